"""Products that a CUDA device repeats by itself: captured once, launched as a whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.operators import Operator


class Captured(Operator):
    """An operator whose products are replayed; on other devices, the operator itself.

    The products of one vector, and of `columns` vectors if there are several, are captured. What
    they read lies where it lay at the capture: the operator must not change.
    """

    def __init__(self, operator: Operator, columns: int = 1) -> None:
        self.like, self.symmetric, self.route = operator.like, operator.symmetric, operator.route
        self.columns = columns
        n = operator.shape[0]
        self._one = replayed(operator.matvec, self.like.new_ones(n))
        self._many = None
        if columns > 1:
            self._many = replayed(operator.matmat, self.like.new_ones(n, columns))

    def _times(self, u: Tensor) -> Tensor:
        return self._one(u)

    def _transposed_times(self, u: Tensor) -> Tensor:
        if not self.symmetric:
            raise ValueError("the transposed product is not captured")
        return self._one(u)

    def _times_many(self, U: Tensor) -> Tensor:
        if self._many is None or U.shape[1] != self.columns:
            return torch.stack([self._one(u) for u in U.T], dim=1)
        return self._many(U)


def replayed(work: Callable[[Tensor], Tensor], like: Tensor) -> Callable[[Tensor], Tensor]:
    """A function of a tensor, captured for inputs like this one; the result is a new tensor."""
    if like.device.type != "cuda":
        return work
    given = like.clone()
    stream = torch.cuda.Stream(like.device)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # libraries set up outside of the capture
        for _ in range(3):
            work(given)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = work(given)

    def again(u: Tensor) -> Tensor:
        given.copy_(u)
        graph.replay()
        return found.clone()

    return again
