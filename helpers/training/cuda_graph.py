"""A training step that a CUDA device repeats by itself.

An iteration of a small GAN is some hundred kernels, and launching them one by one takes longer than
running them. A graph of them, captured once, is launched as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Batches = Sequence[tuple[Tensor | None, ...]]


class Replay:
    """A function of batches, captured on the current CUDA device; capturing does not run it.

    The function must make no decisions on the host, and change nothing but what is on the device.
    Whatever it reads besides the batches is read where it lay at the capture.
    """

    def __init__(self, turn: Callable[[Any], dict[str, Tensor]], batches: Batches) -> None:
        self._inputs = [
            tuple(None if part is None else part.clone() for part in batch) for batch in batches
        ]
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._found = turn(self._inputs)

    def __call__(self, batches: Batches) -> dict[str, Tensor]:
        """What the function returns for these; the next call overwrites the tensors."""
        for held, batch in zip(self._inputs, batches, strict=True):
            for mine, part in zip(held, batch, strict=True):
                if mine is not None and part is not None:
                    mine.copy_(part)
        self._graph.replay()
        return self._found
