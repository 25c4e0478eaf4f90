"""Places in the plane for the states of generated points, and walks between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.inputs import real_array, whole_number
from helpers.outer.states import StateGraph


@dataclass(frozen=True, eq=False)
class Places:
    """A place for each real point, and for each generated point that sits on none of them."""

    real: NDArray[np.float64]  # (n, d)
    free: NDArray[np.float64]  # (n, d): where y_i is while it sits on no x_j

    @classmethod
    def on_circles(cls, n: int) -> Places:
        """Real points on the unit circle, free places further out, none of them in line.

        Raises:
            ValueError: for n < 1.

        >>> Places.on_circles(2).real.round(6) + 0.0
        array([[ 1.,  0.],
               [-1.,  0.]])
        """
        angle = 2 * np.pi * np.arange(whole_number("n", n, 1)) / n
        real, turned = (np.stack([np.cos(angle + a), np.sin(angle + a)], axis=1) for a in (0, 0.7))
        return cls(real, 3 * turned)

    def points(self, states: ArrayLike) -> NDArray[np.float64]:
        """(..., n, d) generated points of states (..., n), numbered as in `StateGraph.states`.

        Raises:
            ValueError: for values that are not states of n points.

        >>> Places(np.array([[0.0], [4.0]]), np.array([[7.0], [9.0]])).points([0, 2]).tolist()
        [[0.0], [9.0]]
        """
        where, n = real_array("states", states), len(self.real)
        numbers = where.astype(int)
        fits = where.shape[-1:] == (n,) and (numbers == where).all()
        if not fits or numbers.min(initial=0) < 0 or numbers.max(initial=0) > n:
            raise ValueError(f"states (..., {n}) are numbers from 0 to {n}, got {where.shape}")
        on_real = (numbers < n)[..., None]
        return np.where(on_real, self.real[np.minimum(numbers, n - 1)], self.free)

    def walk(self, graph: StateGraph, start: int, *, steps: int) -> NDArray[np.float64]:
        """(k, n, d) points along the path of the graph from a state to a global minimum.

        Args:
            graph: whose `path` is followed.
            start: number of the state.
            steps: number of equal straight steps from each state to the next.

        Raises:
            ValueError: for a state that is stuck, and for no steps.

        >>> from helpers.outer.states import stuck_states
        >>> Places.on_circles(2).walk(stuck_states(2, "rs"), 0, steps=4).shape
        (9, 2, 2)
        """
        stops = self.points(graph.states[graph.path(start)])
        parts = np.arange(1, whole_number("steps", steps, 1) + 1)[:, None, None] / steps
        # Weights that add up to 1, so that the last point of a step is the state's own.
        moves = [(1 - parts) * a + parts * b for a, b in pairwise(stops)]
        return np.concatenate([stops[:1], *moves])
