"""How long noise takes to drive a point out of a basin, on a grid of values.

Langevin diffusion goes down a landscape V and is pushed about by noise: dX = -grad V dt +
sqrt(2 T) dW. On a grid it is a walk that proposes one of four neighbours and rises by d with
probability exp(-d / T). Mean times then solve a linear system, without runs or seeds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import generate_binary_structure, minimum_filter
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import spsolve

from helpers.inputs import real_array, real_number, shown, whole_number

_MOST = 1e12  # steps, beyond which rounding decides


def escape_times(
    values: ArrayLike, goals: ArrayLike, temperature: float, *, spacing: float = 1.0
) -> NDArray[np.float64]:
    """Mean time of Langevin diffusion from each node of a grid to the first goal it reaches.

    Sun et al. 2020 (Section 4.3) quote such times for basins of different depths. The walk is
    reflected at the edges. A proposal takes spacing^2 / (4 T) of the diffusion's time.

    Args:
        values: (rows, columns) heights.
        goals: (m, 2) row and column of each, at least one.
        temperature: T of the noise, above 0.
        spacing: distance between neighbours.

    Returns:
        (rows, columns) mean times, 0 at the goals.

    Raises:
        ValueError: for values that are not a finite grid, goals that are not on it, no goals, and a
            temperature or spacing that is not above 0.
        FloatingPointError: for times beyond what floats can resolve, under next to no noise.

    >>> escape_times([[0.0, 0.0, 0.0]], [(0, 2)], 0.25)
    array([[12.,  8.,  0.]])
    """
    heights, ends = _grid(values, goals)
    temperature = real_number("temperature", temperature, above=0)
    spacing = real_number("spacing", spacing, above=0)
    index = np.arange(heights.size).reshape(heights.shape)
    pairs = [(index[1:], index[:-1]), (index[:, 1:], index[:, :-1])]
    here = np.concatenate([side.ravel() for pair in pairs for side in pair])
    there = np.concatenate([side.ravel() for pair in pairs for side in pair[::-1]])
    flat = heights.ravel()
    chance = np.exp(-np.maximum(flat[there] - flat[here], 0) / temperature) / 4
    moves = csr_matrix((chance, (here, there)), shape=(flat.size, flat.size))
    leaving = diags(np.asarray(moves.sum(axis=1)).ravel()) - moves
    free = np.flatnonzero(~ends.ravel())
    steps = np.zeros(flat.size)
    if len(free):
        steps[free] = spsolve(leaving.tocsc()[free][:, free], np.ones(len(free)))
    unit = spacing * spacing / temperature / 4
    if not (
        np.isfinite(unit) and np.isfinite(steps).all() and 0 <= steps.min() <= steps.max() < _MOST
    ):
        raise FloatingPointError(f"at temperature {temperature:g} times are beyond floats")
    return (steps * unit).reshape(heights.shape)


def barrier(values: ArrayLike, goals: ArrayLike, row: int, column: int) -> float:
    """The least rise of any path from a node to one of some goals: a basin's depth.

    Sun et al. 2020 (Section 4.3) call it the height of the barrier.

    Args:
        values: (rows, columns) heights.
        goals: (m, 2) row and column of each, at least one.
        row, column: the node.

    Raises:
        ValueError: for values that are not a finite grid, goals that are not on it, no goals, and a
            node that is not on the grid.

    >>> barrier([[1.0, 3.0, 0.0]], [(0, 2)], 0, 0)
    2.0
    """
    heights, ends = _grid(values, goals)
    rows, columns = heights.shape
    place = whole_number("row", row, 0, rows - 1), whole_number("column", column, 0, columns - 1)
    return float(_rises(heights, ends, generate_binary_structure(2, 1))[place])


def barriers(values: ArrayLike, goals: ArrayLike) -> NDArray[np.float64]:
    """The least rise of any path to a goal from each node of a grid, of any dimension.

    Where it is 0 the goals can be reached without climbing, on the grid: what Sun et al. 2020
    (Definition 4.1) call global-min-reachable. A step changes each coordinate by one at most, so
    that no barrier is higher than that of `barrier`, whose steps change a single one.

    Args:
        values: (...) heights, at least one dimension.
        goals: (m, number of dimensions) place of each, at least one.

    Returns:
        (...) rises, 0 or more.

    Raises:
        ValueError: for values that are not a finite grid, goals that are not on it, and no goals.

    >>> barriers([1.0, 3.0, 0.0, 2.0], [[2]])
    array([2., 0., 0., 0.])
    """
    heights, ends = _grid(values, goals, dimensions=None)
    return _rises(heights, ends, generate_binary_structure(heights.ndim, heights.ndim))


def _rises(
    heights: NDArray[np.float64], ends: NDArray[np.bool_], steps: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(...) the least rise from each node to an end, by steps to the neighbours of a footprint."""
    level = np.where(ends, heights, np.inf)  # the lowest pass so far; it only falls
    while True:
        lower = np.maximum(heights, minimum_filter(level, footprint=steps, mode="nearest"))
        if np.array_equal(lower, level):
            return level - heights
        level = lower


def _grid(
    values: ArrayLike, goals: ArrayLike, *, dimensions: int | None = 2
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Heights, and which of them are goals; of any number of dimensions where it is None."""
    heights, nodes = real_array("heights of a finite grid", values), real_array("goals", goals)
    if not heights.ndim or dimensions not in (None, heights.ndim) or not heights.size:
        form = "(rows, columns)" if dimensions == 2 else "of one dimension or more"
        raise ValueError(f"heights are a finite grid {form}, got shape {heights.shape}")
    if nodes.ndim != 2 or nodes.shape[1] != heights.ndim or not len(nodes):
        form = "a row and a column" if dimensions == 2 else f"{heights.ndim} whole numbers"
        raise ValueError(f"goals are {form} each, at least one, got {shown(goals)}")
    if (nodes % 1 != 0).any() or (nodes < 0).any() or (nodes >= heights.shape).any():
        raise ValueError(f"goals are nodes of a grid {heights.shape}, got {shown(goals)}")
    ends = np.zeros(heights.shape, dtype=bool)
    ends[tuple(nodes.astype(np.intp).T)] = True
    return heights, ends
