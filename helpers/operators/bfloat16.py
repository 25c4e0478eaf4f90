"""Whether multiplying in bfloat16 is faster here: measured, not assumed.

Products of a DCGAN in bfloat16 took 0.73 to 0.79 of the time of single precision on an AMD EPYC of
two cores (`data/benchmarks/spectra.json`), and 11 and 30 times as long in some shapes on another
processor. So the convolutions and matrix products of a program are timed once in both precisions,
in their own shapes, before any is done in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

_REPEATS = 3  # of which the shortest counts: a busy machine only ever makes a repeat longer
# Seconds in the program's precision, and in bfloat16.
_measured: dict[tuple[Any, ...], tuple[float, float]] = {}


def is_faster(traced: GraphModule, multiplications: Iterable[Node], moving: set[Node]) -> bool:
    """Whether the multiplications of a traced program take less time in bfloat16 in total.

    Each shape is timed once per process. The time includes rounding what moves to bfloat16 and
    converting the result back; what does not move is rounded once, when the program is made. A
    program without multiplications is not faster, nor is one that this device cannot multiply in
    bfloat16.
    """
    single = rounded = 0.0
    for node in multiplications:
        one, other = _seconds_of(traced, node, moving)
        single, rounded = single + one, rounded + other
    return rounded < single


def _seconds_of(traced: GraphModule, node: Node, moving: set[Node]) -> tuple[float, float]:
    """Seconds of one multiplication in the program's precision and in bfloat16."""
    sources = node.all_input_nodes
    values = {source: _value(traced, source) for source in sources}
    shapes = map_arg(node.args, lambda source: _shape(values[source], source in moving))
    key = (node.target, repr(shapes), repr(node.kwargs))
    if key not in _measured:
        # Zeros and ones are as good as any numbers; subnormal numbers are slow.
        drawn = {source: torch.ones_like(value) for source, value in values.items()}
        low = {
            source: each if source in moving else each.bfloat16() for source, each in drawn.items()
        }
        try:
            _measured[key] = (_timed(node, drawn), _timed(node, low, torch.bfloat16))
        except (RuntimeError, NotImplementedError):  # this device has no such kernel
            _measured[key] = (0.0, float("inf"))
    return _measured[key]


def _timed(node: Node, values: dict[Node, Tensor], dtype: torch.dtype | None = None) -> float:
    target: Any = node.target

    def once() -> None:
        args = map_arg(node.args, lambda source: values[source].to(dtype or values[source].dtype))
        results = target(*args, **node.kwargs)
        for each in results if isinstance(results, (list, tuple)) else [results]:
            if dtype and isinstance(each, Tensor):
                each.float()

    device, times = next(iter(values.values())).device, []
    with torch.no_grad():
        once()  # kernels are chosen and loaded at the first call
        for _ in range(_REPEATS):
            _wait(device)
            begin = perf_counter()
            once()
            _wait(device)
            times.append(perf_counter() - begin)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _value(traced: GraphModule, node: Node) -> Tensor:
    """What a node holds, or a stand-in of its shape."""
    if node.op == "get_attr":
        return getattr(traced, str(node.target)).detach()
    like = node.meta["val"]
    return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=like.device)


def _shape(value: Tensor, moves: bool) -> tuple[Any, ...]:
    return (*value.shape, *value.stride(), value.dtype, value.device, moves)
