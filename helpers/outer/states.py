"""The landscape between exact values as a finite graph: which states are stuck.

In function space the outer objective is piecewise constant: all that matters is which real
point each generated point sits on, if any. A continuous path is a walk between such states, and
"no non-increasing path to a global minimum" (Sun et al. 2020, Definition 4.1) becomes a search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from helpers.inputs import whole_number
from helpers.losses.scalars import PAIRING, SEPARABLE, check_loss
from helpers.outer.exact import on_cycle, xi

# Two values of one loss differ by far more than this, or are equal up to rounding.
_TIE = 1e-9
_MOST_STATES = 1_000_000


@dataclass(frozen=True)
class StateGraph:
    """All states of n generated points under one loss, and where each can go without rising."""

    n: int
    loss: str
    on_line: bool
    states: NDArray[np.intp]  # (S, n): the x_j that y_i sits on, or n if on none
    positions: NDArray[np.intp]  # (S, n): as states, but telling the gaps of a line apart
    values: NDArray[np.float64]  # (S,): the outer objective
    moves: NDArray[np.intp]  # (E, 2): from state, to state, one point moving, never rising
    next_state: NDArray[np.intp]  # (S,): next on a shortest non-increasing path; -1 if stuck
    is_strict_minimum: NDArray[np.bool_]  # (S,): sub-optimal strict local minima

    @property
    def is_stuck(self) -> NDArray[np.bool_]:
        """(S,) states from which no non-increasing path leads to a global minimum."""
        return self.next_state < 0

    @property
    def is_full(self) -> NDArray[np.bool_]:
        """(S,) states in which every generated point sits on a real one."""
        return np.asarray((self.states < self.n).all(axis=1))

    @property
    def is_minimum(self) -> NDArray[np.bool_]:
        """(S,) states at the global minimum of the objective."""
        return self.values <= self.values.min() + _TIE

    @property
    def is_recovery(self) -> NDArray[np.bool_]:
        """(S,) states in which the generated points are the real ones, in some order."""
        return (np.sort(self.states, axis=1) == np.arange(self.n)).all(axis=1)

    def path(self, start: int) -> list[int]:
        """Rows of `states` from `start` to a global minimum, values never rising.

        Raises:
            ValueError: if the state is stuck, or no state has that number.

        >>> graph = stuck_states(2, "rs")
        >>> [graph.states[s].tolist() for s in graph.path(0)]  # both on x_0, to recovery
        [[0, 0], [0, 2], [0, 1]]
        """
        start = whole_number("start", start, 0, len(self.states) - 1)
        if self.next_state[start] < 0:
            raise ValueError(f"state {self.states[start].tolist()} is stuck under {self.loss}")
        walk = [start]
        while self.next_state[walk[-1]] != walk[-1]:
            walk.append(int(self.next_state[walk[-1]]))
        return walk


def stuck_states(n: int, loss: str, *, on_line: bool = False) -> StateGraph:
    """Search the state graph of n points for strict minima and stuck states (Theorems 1 and 2).

    Moving one point at a time loses no path: freeing a point never lowers a supremum over
    f, so if several points leave at once at no cost, each of them leaves at no cost.

    Args:
        n: number of real points, and of generated points.
        loss: a name of `scalars.SEPARABLE` or `scalars.PAIRING`.
        on_line: whether points live on the real line and must cross the real points between them
            and their goal; otherwise (d >= 2) they can go around.

    Returns:
        A `StateGraph`; ``(n + 1)**n`` states, or ``(2 n + 1)**n`` on the line.

    Raises:
        ValueError: for an unknown loss, n < 1, or more than a million states.

    >>> [int(stuck_states(n, "js").is_strict_minimum.sum()) for n in (2, 3)]  # n^n - n!
    [2, 21]
    """
    check_loss(loss)
    # A place is one of the x_j, numbered j, or a gap; `n` stands for every gap in `states`.
    n = whole_number("n", n, 1)
    places = 2 * n + 1 if on_line else n + 1
    if n * math.log(places) > math.log(_MOST_STATES):  # the power itself could take hours
        form = "(2 n + 1)^n" if on_line else "(n + 1)^n"
        raise ValueError(
            f"at most {_MOST_STATES} states can be searched, and there are {form}; got n = {n}"
        )
    if on_line:  # gap 0, x_0, gap 1, x_1, ..., gap n
        occupant = np.array([p // 2 if p % 2 else n for p in range(places)])
        steps = [(p, p + 1) for p in range(places - 1)]
    else:
        occupant = np.arange(places)
        steps = [(n, j) for j in range(n)]

    positions = np.indices((places,) * n).reshape(n, -1).T
    states = occupant[positions]
    values = _values(states, loss)
    index = np.arange(len(states)).reshape((places,) * n)

    pairs = [
        (np.take(index, p, axis=i).ravel(), np.take(index, q, axis=i).ravel())
        for i in range(n)
        for p, q in steps
    ]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    source, target = np.concatenate([first, second]), np.concatenate([second, first])
    rises = values[target] > values[source] + _TIE
    best = values.min()
    next_state = np.where(values <= best + _TIE, np.arange(len(states)), -1)
    allowed_source, allowed_target = source[~rises], target[~rises]
    while True:  # breadth first, so that the paths are shortest
        new = (next_state[allowed_source] < 0) & (next_state[allowed_target] >= 0)
        if not new.any():
            break
        next_state[allowed_source[new]] = allowed_target[new]

    strict = (states < n).all(axis=1) & (values > best + _TIE)
    strict[source[~rises]] = False  # some neighbour is no higher
    moves = np.stack([allowed_source, allowed_target], axis=1)
    return StateGraph(n, loss, on_line, states, positions, values, moves, next_state, strict)


def _values(states: NDArray[np.intp], loss: str) -> NDArray[np.float64]:
    """Outer objective of each row of states, (S, n) -> (S,)."""
    n = states.shape[1]
    if loss in SEPARABLE:
        table = xi(1, np.arange(n + 1), *SEPARABLE[loss])
        fakes = (states[:, :, None] == np.arange(n)).sum(axis=1)  # (S, n): points on each x_j
        return table[fakes].sum(axis=1) / (2 * n)
    sink = np.full((len(states), 1), n)
    cycles = on_cycle(np.concatenate([states, sink], axis=1)).sum(axis=1)
    return float(PAIRING[loss](torch.zeros((), dtype=torch.float64, device="cpu"))) * cycles / n
