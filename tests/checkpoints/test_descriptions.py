"""Descriptions: equal where two things compute the same, and different where they do not."""

import copy
import datetime
import functools
import math
import operator
import random
import re
import subprocess
import sys
import threading
import types
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
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


@dataclass(frozen=True, slots=True)
class Slotted:
    slope: float


class Bare:
    __slots__ = ("__hidden", "unset")

    def __init__(self, hidden):
        self.__hidden = hidden


class BareToo(Bare):
    __slots__ = "width"

    def __init__(self, width, hidden=0):
        super().__init__(hidden)
        self.width = width


class Wrapper:
    def __init__(self, function, factor):
        self.factor = factor
        functools.update_wrapper(self, function)

    def __call__(self, x):
        return self.factor * self.__wrapped__(x)


class Text(str):
    pass


class Sum(Decimal):
    pass


def of_a_module(value):
    """A function that reads a global value, a class that has it, and one that reads such a class.

    They are defined in a module of their own, as a user's are.
    """
    made = types.ModuleType("users")
    made.VALUE = value
    code = """
import torch
def reads(x): return x, VALUE
class Has(torch.nn.Module):
    value = VALUE
def reads_class(x): return Has()
class Calls:
    def __call__(self, x): return VALUE
"""
    exec(code, vars(made))
    return [made.reads, made.Has(), made.reads_class, made.Calls()]


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


# Of one type each, with nothing in `__dict__` that would tell them apart.
UNSEEN = {
    "built-in": (torch.relu, torch.tanh),
    "of a module": (nn.functional.softplus, nn.functional.gelu),
    "descriptors": (torch.Tensor.relu, torch.Tensor.tanh),
    "slot wrappers": (int.__add__, int.__mul__),
    "mathematical": (math.sin, math.cos),
    "universal": (np.tanh, np.exp),
    "bound": (torch.tensor(1.0).add, torch.tensor(2.0).add),
    "wrapped slots": ((1.0).__add__, (2.0).__add__),
    "dataclasses with slots": (Slotted(0.2), Slotted(0.01)),
    "slots": (Bare(1), Bare(2)),
    "slots of two classes": (BareToo(1), BareToo(2)),
    "slots of the first class": (BareToo(1, 2), BareToo(1, 3)),
    "deques": (deque([1]), deque([2])),
    "lengths of deques": (deque([1], 2), deque([1], 3)),
    "ranges": (range(3), range(5)),
    "slices": (slice(3), slice(5)),
    "items": (operator.itemgetter(0), operator.itemgetter(1)),
    "callers": (operator.methodcaller("relu"), operator.methodcaller("tanh")),
    "patterns": (re.compile("a"), re.compile("b")),
    "torch's generators": (torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)),
    "numpy's generators": (np.random.default_rng(0), np.random.default_rng(1)),
    "numpy's old generators": (np.random.RandomState(0), np.random.RandomState(1)),
    "bits": (np.random.PCG64(0), np.random.PCG64(1)),
    "python's generators": (random.Random(0), random.Random(1)),
    "fractions": (Fraction(1, 2), Fraction(1, 3)),
    "decimals": (Decimal(1), Decimal(2)),
    "decimals with attributes": (Sum(1), Sum(2)),
    "dates": (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
    "text with attributes": (Text("a"), Text("b")),
    "kinds of numbers": (np.dtype("f4"), np.dtype("f8")),
    "bytes": (bytearray(b"a"), bytearray(b"b")),
    "cached": (functools.cache(lambda x: x), functools.cache(lambda x: 2 * x)),
    "wrappers": (Wrapper(scaled, 1), Wrapper(scaled, 2)),
    "scripts": (torch.jit.script(nn.ReLU()), torch.jit.script(nn.Tanh())),
    "formats": (torch.channels_last, torch.contiguous_format),
}
APART |= UNSEEN


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


VALUES = {
    "tuples": ((0.2,), (0.9,)),
    "lists": ([0.2], [0.9]),
    "dictionaries": ({"a": 0.2}, {"a": 0.9}),
    "tensors": (torch.ones(1), torch.zeros(1)),
    "arrays": (np.ones(1), np.zeros(1)),
    "built-in": (torch.relu, torch.tanh),
    "functions": (lambda x: x, lambda x: 2 * x),
    "classes": (nn.ReLU, nn.Tanh),
    "dataclasses": (Slotted(0.2), Slotted(0.9)),
    "generators": (torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)),
}


@pytest.mark.parametrize("kind", VALUES)
def test_what_functions_and_classes_read(kind):
    """Global values and attributes of a class, as closures are."""
    one, other = map(of_a_module, VALUES[kind])
    for a, again, b in zip(one, of_a_module(VALUES[kind][0]), other, strict=True):
        assert described(a) == described(again) != described(b)


def test_networks_as_attributes_of_a_class():
    one, other = (type("Net", (nn.Module,), {"act": act}) for act in (nn.ReLU(), nn.Tanh()))
    assert architecture(one()) != architecture(other())


def test_what_is_wrapped():
    """Where a wrapper does not close over it."""

    def of(factor):
        def wrapper(x):
            return wrapper.__wrapped__(x)

        wrapper.__wrapped__ = lambda x: factor * x
        return wrapper

    assert described(of(2)) == described(of(2)) != described(of(3))


@pytest.mark.parametrize("kind", UNSEEN)
def test_copies(kind):
    """What is told apart is not told apart by where it lies in memory."""
    one = UNSEEN[kind][0]
    text = str(described(one))
    assert " at 0x" not in text
    if kind not in ("torch's generators", "scripts"):  # torch copies the one not, the other not all
        assert text == str(described(copy.copy(one)))


def test_what_cannot_be_seen():
    """It is refused, as no two of a kind could be told apart; locks are all alike."""
    for value in ((x for x in "ab"), np.frompyfunc(lambda x: x, 1, 1)):
        with pytest.raises(
            ValueError, match=r"^what is within an object of type .* cannot be seen"
        ):
            described([Slope(value)])
    assert described(threading.Lock()) == described(threading.Lock())
    assert described(Slope(object())) == described(Slope(object()))


def test_generators_as_they_draw():
    """A network's own one has another state after a draw, of which a checkpoint is told."""
    net = module(random=torch.Generator().manual_seed(0))
    start = architecture(net)
    assert architecture(net) == start
    torch.rand(1, generator=net.random)
    assert difference(start, architecture(net)).startswith("random.content.digest is")


def test_references_to_weights():
    """They are those of the network, whatever their values."""
    one, other = (nn.LSTM(1, 2) for _ in range(2))
    assert difference(architecture(one), architecture(other)) is None


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
