"""Plain attributes that change: kept with their values, or refused by name."""

from collections import deque

import pytest
import torch
from torch import nn

from helpers.checkpoints import architecture, changed_attributes, put_attributes, write_state
from helpers.models import mlp
from helpers.models.copying import copied


class Counts(nn.Module):
    """Attributes of all kinds, in a layer of its own."""

    def __init__(self):
        super().__init__()
        self.body = mlp([2, 1], seed=0)
        self.inner = nn.Tanh()
        self.inner.seen, self.mean, self.held, self.fixed = 0, None, [], (1, "a")
        self.weight_too = self.body[0].weight

    def forward(self, x):
        self.inner.seen += 1
        self.mean = x.mean() + self.body[0].bias.sum()
        self.held.append({"x": x, 3: (0.5, True)})
        return self.inner(self.body(x))


def test_what_has_changed(tmp_path):
    """And nothing else, as values that a file keeps and another network takes over."""
    net = Counts()
    other, start = copied(net), architecture(net)
    assert changed_attributes(net, start) == {}
    x = torch.ones(3, 2)
    net(x)
    found = changed_attributes(net, start)
    assert sorted(found) == ["held", "inner.seen", "mean"]
    assert not found["mean"].requires_grad
    write_state(found, tmp_path / "a.pt")
    kept = torch.load(tmp_path / "a.pt", weights_only=True)
    kept.pop("format")
    put_attributes(other, kept)
    assert other.inner.seen == 1 and torch.equal(other.mean, net.mean)
    assert torch.equal(other.held[0]["x"], x) and other.held[0][3] == (0.5, True)
    assert other.weight_too is other.body[0].weight


@pytest.mark.parametrize(
    "value", [object, {1}, [nn.Tanh()], {(1, 2): 3}, lambda x: x, torch.Generator(), deque([1])]
)
def test_what_no_file_keeps(value):
    net = Counts()
    start = architecture(net)
    net.inner.seen = value
    with pytest.raises(ValueError, match=r"^inner\.seen changes .* make it a buffer, .* got"):
        changed_attributes(net, start)


def test_what_torch_compiles_is_no_state():
    net = torch.compile(Counts().body, backend="eager")
    start = architecture(net)
    net(torch.ones(3, 2))
    assert changed_attributes(net, start) == {}
    net._orig_mod.seen = 1
    assert changed_attributes(net, start) == {"_orig_mod.seen": 1}
