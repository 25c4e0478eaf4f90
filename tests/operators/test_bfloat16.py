"""Whether bfloat16 is measured to be faster: what is timed, how often, and what it decides."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from helpers.operators import bfloat16
from helpers.operators.bfloat16 import is_faster

ATEN = torch.ops.aten
WEIGHT = torch.ones(4, 3, 3, 3)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Each test begins as a process does."""
    monkeypatch.setattr(bfloat16, "_measured", {})


@pytest.fixture
def timed(monkeypatch):
    """Seconds to be found, by target and precision; and what was timed."""
    seconds, calls = {}, []

    def stand_in(node, values, dtype=None):
        calls.append((node.target, dtype))
        return seconds[node.target, dtype]

    monkeypatch.setattr(bfloat16, "_timed", stand_in)
    return seconds, calls


def program():
    """Two convolutions of one shape and one matrix product, with what moves in it."""

    def f(u):
        a = torch.nn.functional.conv2d(u, WEIGHT, padding=1)
        b = torch.nn.functional.conv2d(u + 1, WEIGHT, padding=1)
        return torch.mm((a + b).flatten(1), torch.ones(4 * 64, 5))

    traced = make_fx(f)(torch.ones(2, 3, 8, 8))
    targets = (ATEN.convolution.default, ATEN.mm.default)
    nodes = [node for node in traced.graph.nodes if node.target in targets]
    moving = {node for node in traced.graph.nodes if node.op != "get_attr"}
    assert len(nodes) == 3
    return traced, nodes, moving


@pytest.mark.parametrize("rounded, faster", [(0.4, True), (0.6, False)])
def test_decides_by_the_sum(timed, rounded, faster):
    """A slow product may be outweighed by fast convolutions, and not by slow ones."""
    seconds, _ = timed
    seconds[ATEN.convolution.default, None] = 0.5
    seconds[ATEN.convolution.default, torch.bfloat16] = rounded
    seconds[ATEN.mm.default, None] = 0.1
    seconds[ATEN.mm.default, torch.bfloat16] = 0.2
    assert is_faster(*program()) is faster


def test_each_shape_is_timed_once(timed):
    """In a process, whatever the number of products and programs."""
    seconds, calls = timed
    seconds |= {
        (target, dtype): 1.0
        for target in (ATEN.convolution.default, ATEN.mm.default)
        for dtype in (None, torch.bfloat16)
    }
    traced, nodes, moving = program()
    assert is_faster(traced, nodes, moving) is False  # as fast is no reason
    assert len(calls) == 4
    is_faster(*program())
    assert len(calls) == 4
    is_faster(traced, nodes, set())  # nothing moves: nothing is rounded each time
    assert len(calls) == 8


def test_nothing_to_multiply():
    traced, _, moving = program()
    assert is_faster(traced, [], moving) is False


def test_no_kernel(monkeypatch):
    """What a device cannot do in bfloat16 is left in the program's precision."""
    traced, nodes, moving = program()
    own = bfloat16._timed

    def refused(node, values, dtype=None):
        if dtype:
            raise RuntimeError("not implemented for 'BFloat16'")
        return own(node, values)

    monkeypatch.setattr(bfloat16, "_timed", refused)
    assert is_faster(traced, nodes, moving) is False


def test_measures():
    """In earnest: seconds of both precisions for each shape; the program stays as it was."""
    traced, nodes, moving = program()
    before, state = str(traced.graph), torch.get_rng_state()
    assert isinstance(is_faster(traced, nodes, moving), bool)
    assert len(bfloat16._measured) == 2
    for single, rounded in bfloat16._measured.values():
        assert 0 < single < 10 and 0 < rounded < 10
    assert str(traced.graph) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_agrees_with_a_clock():
    """Where one precision takes three times as long as the other, the answer is that."""
    size = 512
    traced = make_fx(lambda A, u: torch.mm(A, u))(torch.ones(size, size), torch.ones(size, size))
    nodes = [node for node in traced.graph.nodes if node.target is ATEN.mm.default]
    moving = {node for node in traced.graph.nodes if node.op == "placeholder"}
    found = is_faster(traced, nodes, moving)
    ((single, rounded),) = bfloat16._measured.values()
    A, B = torch.ones(size, size), torch.ones(size, size).bfloat16()
    best = {}
    for name, each in {"single": A, "rounded": B}.items():
        best[name] = min(
            bfloat16._timed(nodes[0], dict.fromkeys(nodes[0].all_input_nodes, each))
            for _ in range(2)
        )
    if best["rounded"] > 3 * best["single"]:
        assert not found
    assert found == (rounded < single)
