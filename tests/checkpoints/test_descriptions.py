"""Descriptions: equal where two things compute the same, and different where they do not."""

import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from helpers.checkpoints.descriptions import (
    architecture,
    described,
    described_hooks,
    described_optimizer,
    difference,
    digest,
)
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES
from helpers.models import mlp
from helpers.training import Optimistic, averaging

SCALE = 3.0


def scaled(x):
    return SCALE * x


class Slope:
    def __init__(self, slope):
        self.slope = slope

    def __call__(self, x):
        return self.slope * x


def closing(slope):
    return lambda x: slope * x


@dataclass
class Counts:
    size: int
    seen: int = field(default=0, compare=False)


def module(slope=0.2, **changes):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.slope = slope

        def forward(self, x):
            return self.slope * self.layer(x)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
    for name, value in changes.items():
        setattr(net, name, value)
    return net


APART = {
    "code": (lambda x: x + 1, lambda x: x - 1),
    "constants": (lambda x: 2 * x, lambda x: 3 * x),
    "closures": (closing(0.1), closing(0.2)),
    "defaults": (lambda x, a=1: x, lambda x, a=2: x),
    "partials": (partial(scaled, x=1), partial(scaled, x=2)),
    "objects": (Slope(0.1), Slope(0.2)),
    "methods": (Slope(0.1).__call__, Slope(0.2).__call__),
    "dataclasses": (Counts(1), Counts(2)),
    "losses": (LOSSES["js"].weighted(0.5), LOSSES["js"].weighted(0.25)),
    "penalties": (GradientPenalty(1.0), GradientPenalty(2.0)),
    "order": (torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0])),
    "dtypes": (torch.zeros(2), torch.zeros(2).double()),
    "shapes": (torch.zeros(2, 3), torch.zeros(3, 2)),
    "arrays": (np.arange(3), np.arange(3)[::-1]),
    "numbers": (1, 1.0),
    "booleans": (1, True),
    "nested": ({"a": [1, (2, 3)]}, {"a": [1, (2, 4)]}),
    "weights": (mlp([1, 2, 1], seed=0), mlp([1, 2, 1], seed=1)),
    "nan": (float("nan"), float("inf")),
}


@pytest.mark.parametrize("kind", APART)
def test_told_apart(kind):
    one, other = APART[kind]
    assert difference(described(one), described(other)) is not None
    assert difference(described(one), described(one)) is None


def test_the_same_made_twice():
    """Apart in memory, but no different; what is counted does not count."""
    pairs = [
        (closing(0.1), closing(0.1)),
        (LOSSES["js"].weighted(0.5), LOSSES["js"].weighted(0.5)),
        (Counts(1, seen=3), Counts(1)),
        (np.float64(0.5), 0.5),
        (mlp([1, 2, 1], seed=0), mlp([1, 2, 1], seed=0)),
        (module(), module()),
    ]
    for one, other in pairs:
        assert difference(described(one), described(other)) is None


def test_global_numbers_that_a_function_reads(monkeypatch):
    before = described(scaled)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 4.0)
    assert difference(before, described(scaled)) == "reads.SCALE is 3.0 and 4.0"
    assert difference(described(scaled, closures=False), described(scaled, closures=False)) is None


def test_what_contains_itself():
    ring = [1]
    ring.append(ring)
    assert described(ring) == [1, "level 0"]
    net = module()
    net.myself = [net]
    architecture(net)


@pytest.mark.slow
def test_one_description_in_every_process():
    """Whatever the order of hashes: no places in memory, no order of sets."""
    code = (
        "from helpers.checkpoints import described\nfrom helpers.losses import LOSSES\n"
        "print(described([LOSSES['rs'].weighted(2), {'a', 'b', 'c'}, lambda x: x in {'u', 'v'}]))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(p for p in sys.path if p)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1 and " at 0x" not in found.pop()


def altered(change):
    net = nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.2), nn.Linear(2, 2))
    change(net)
    return net


def shared(net):
    net[2] = net[0]


def tied(net):
    net[2].weight = net[0].weight


def hooked(net):
    net[0].register_forward_hook(lambda layer, given, found: 2 * found)


CHANGES = {
    "slope": (lambda net: setattr(net[1], "negative_slope", 0.01), "1.negative_slope is 0.2 and"),
    "type": (lambda net: net.__setitem__(1, nn.Tanh()), "1"),
    "shared": (shared, "2"),
    "tied": (tied, "2.weight"),
    "hook": (hooked, "0.hooks"),
    "mode": (lambda net: net[1].eval(), "1.training is True and False"),
    "frozen": (lambda net: net[0].weight.requires_grad_(False), "0.weight.requires_grad"),
    "dtype": (lambda net: net.double(), "0.weight.dtype is 'torch.float32' and 'torch.float64'"),
    "bias": (lambda net: net[2].register_parameter("bias", None), "2.bias"),
    "buffer": (lambda net: net.register_buffer("mean", torch.zeros(2)), "mean is nothing and"),
    "attribute": (lambda net: setattr(net[0], "scale", torch.ones(1)), "0.scale is nothing and"),
    "forward": (lambda net: setattr(net[1], "forward", scaled), "1.forward is nothing and"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_architectures(kind):
    change, said = CHANGES[kind]
    plain, other = altered(lambda net: None), altered(change)
    assert difference(architecture(plain), architecture(other)).startswith(said)
    assert architecture(other) == architecture(altered(change))


def test_classes_of_one_name():
    """A method's code and what it closes over count, as an instance's attributes do."""

    def made(factor):
        class Net(nn.Module):
            def forward(self, x):
                return factor * x

        return Net()

    assert architecture(made(2)) == architecture(made(2)) != architecture(made(3))
    assert difference(architecture(module()), architecture(module(0.1))) == "slope is 0.2 and 0.1"


def test_optimisers():
    """Options of every group, and which weights are in which."""
    a, b = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)

    def of(*groups):
        return described_optimizer(torch.optim.SGD(list(groups), lr=0.1))

    plain = of({"params": [a]}, {"params": [b], "lr": 0.2})
    assert plain == of({"params": [a]}, {"params": [b], "lr": np.float64(0.2)})
    for other in (
        of({"params": [a]}, {"params": [b], "lr": 0.3}),
        of({"params": [b]}, {"params": [a], "lr": 0.2}),
        of({"params": [a, b]}),
        described_optimizer(torch.optim.Adam([{"params": [a]}, {"params": [b], "lr": 0.2}], 0.1)),
    ):
        assert difference(plain, other) is not None


def test_step_hooks():
    """Those of a user's tell optimisers apart, whatever the weights and the groups hold by now."""

    def of(bound=None, wrap=lambda optimizer: optimizer, steps=0):
        weight = torch.zeros(2, requires_grad=True)
        made = wrap(torch.optim.SGD([weight], lr=0.1, momentum=0.9))
        if bound is not None:
            made.register_step_pre_hook(
                lambda *_: (
                    torch.nn.utils.clip_grad_norm_(made.param_groups[0]["params"], bound) and None
                )
            )
        for _ in range(steps):
            weight.grad = torch.ones(2)
            made.step()
        return made

    plain = described_optimizer(of())
    assert "hooks" not in plain and plain == described_optimizer(averaged_away(of()))
    for wrap in (lambda optimizer: optimizer, Optimistic):
        clipped = described_optimizer(of(1.0, wrap))
        assert clipped == described_optimizer(of(1.0, wrap)) != described_optimizer(of(2.0, wrap))
        found = difference(described_optimizer(of(wrap=wrap)), clipped)
        assert found.startswith("hooks is nothing and")
        assert described_hooks(of(1.0, wrap)) == described_hooks(of(1.0, wrap, steps=3))
    assert list(described_hooks(Optimistic(of(1.0)))) == ["pre"]  # of the one inside


def averaged_away(optimizer):
    """With the package's own hook, and without the setting by which a checkpoint knows of it."""
    averaging(optimizer, 0.5)
    del optimizer.param_groups[0]["averaging"]
    return optimizer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_digests(dtype):
    """Of the values in order: neither strides nor memory format matter."""
    x = torch.arange(16).reshape(1, 4, 2, 2).to(dtype)
    assert digest(x) == digest(x.contiguous(memory_format=torch.channels_last))
    assert digest(x) != digest(x.flip(1)) and digest(x) != digest(x.reshape(4, 4))
    assert digest(torch.zeros(())) != digest(torch.zeros(1))
