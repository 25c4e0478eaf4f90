"""Copies of networks that carry graphs: what old norms and hooks leave behind."""

import copy
import warnings

import pytest
import torch
from torch import nn

from helpers.models.copying import copied


def old(norm):
    """A layer under one of torch's older norms, which warn of their age."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return norm(nn.Linear(3, 3))


class Equalised(nn.Module):
    """He's constant by a hook that writes the weight before each pass."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.layer.weight_orig = nn.Parameter(self.layer.weight.detach().clone())
        del self.layer.weight
        self.layer.weight = self.layer.weight_orig.detach()
        self.layer.register_forward_pre_hook(_scale)

    def forward(self, x):
        return self.layer(x)


def _scale(layer, _):
    layer.weight = layer.weight_orig * (2 / 3) ** 0.5


class Remembers(nn.Module):
    """Writes a buffer with its graph, and keeps more in a list and a dictionary."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.register_buffer("mean", torch.zeros(3))
        self.seen, self.named = [], {}

    def forward(self, x):
        y = self.layer(x)
        self.mean = 0.9 * self.mean + 0.1 * y.mean(dim=0)
        self.seen.append(y)
        self.named["y"] = y
        return y + self.mean


NETS = {
    "spectral": lambda: old(nn.utils.spectral_norm),
    "weight": lambda: old(nn.utils.weight_norm),
    "equalised": Equalised,
    "remembers": Remembers,
    "new spectral": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)),
}


@pytest.mark.parametrize("kind", NETS)
def test_copies_compute_the_same_apart(kind):
    """After a pass with gradients: equal outputs and gradients, and nothing shared."""
    torch.manual_seed(0)
    net, x = NETS[kind](), torch.randn(4, 3)
    net(x).sum().backward()
    before = {name: each.detach().clone() for name, each in net.state_dict().items()}
    if kind != "new spectral":
        with pytest.raises(RuntimeError, match="deepcopy protocol"):
            copy.deepcopy(net)
    again, third = copied(net), copied(net)
    assert [name for name, _ in again.named_parameters()] == [
        name for name, _ in net.named_parameters()
    ]
    twin = copied(again)
    slopes = []
    for each in (again, twin):
        y = each(x)
        slopes.append(torch.autograd.grad(y.square().sum(), list(each.parameters())))
    for one, other in zip(*slopes, strict=True):
        assert torch.equal(one, other) and one.abs().max() > 0
    with torch.no_grad():
        for weight in again.parameters():
            weight.zero_()
    after = net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(net(x), third(x))


def test_the_original_keeps_its_graph():
    net = Remembers()
    net(torch.ones(2, 3))
    again = copied(net)
    assert net.mean.grad_fn is not None and again.mean.grad_fn is None
    assert torch.equal(net.mean, again.mean)
    assert again.seen[0] is again.named["y"]  # one tensor stays one
    assert net.seen[0].grad_fn is not None


def test_what_was_set_on_weights():
    """Attributes by which an optimiser's groups are made, each copy's its own."""
    net = nn.Linear(2, 2)
    net.weight.no_decay, net.bias.group = True, ["biases", net.bias]
    again = copied(net)
    assert again.weight.no_decay and again.bias.group[0] == "biases"
    assert again.bias.group is not net.bias.group and again.bias.group[1] is again.bias
