"""Basins of a landscape sampled on a grid: where steepest descent ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.inputs import real_array, real_number, whole_number


@dataclass(frozen=True)
class Basins:
    """Local minima of a grid of values, and which of them each node descends to."""

    minima: NDArray[np.intp]  # (M, 2): row and column of each local minimum, lowest first
    values: NDArray[np.float64]  # (M,)
    label: NDArray[np.intp]  # (rows, columns): number of the minimum reached
    next_node: NDArray[np.intp]  # (rows, columns): flat index of where the steepest step leads
    relief: float  # highest value of the grid less its lowest

    @property
    def share(self) -> NDArray[np.float64]:
        """(M,) share of the grid that descends to each minimum."""
        return np.bincount(self.label.ravel(), minlength=len(self.minima)) / self.label.size

    @property
    def is_global(self) -> NDArray[np.bool_]:
        """(rows, columns) nodes that descend to a lowest minimum, up to 1e-6 of the relief."""
        return (self.values - self.values.min() <= 1e-6 * self.relief)[self.label]

    def path(self, row: int, column: int) -> NDArray[np.intp]:
        """(steps, 2) rows and columns of the descent from a node to its minimum."""
        rows, columns = self.label.shape
        row, column = (
            whole_number("row", row, 0, rows - 1),
            whole_number("column", column, 0, columns - 1),
        )
        walk = [int(np.ravel_multi_index((row, column), self.label.shape))]
        while (step := int(self.next_node.ravel()[walk[-1]])) != walk[-1]:
            walk.append(step)
        return np.stack(np.unravel_index(walk, self.label.shape), axis=1)


def find_basins(values: ArrayLike, *, tolerance: float = 0.0) -> Basins:
    """Follow the steepest step to one of the eight neighbours from every node of a grid.

    Args:
        values: (rows, columns) heights, finite.
        tolerance: slopes (height per grid step) that differ by no more than this count as equal,
            with the first neighbour in reading order winning, and a slope of no more than this
            counts as none. Noise in the heights then makes no minima and moves no border.

    Raises:
        ValueError: if values is not a finite two-dimensional grid or the tolerance is negative.
        FloatingPointError: for heights whose differences are beyond the range of floats.

    >>> heights = np.array([[3.0, 1.0, 2.0, 0.0]])
    >>> find_basins(heights).label  # 0.0 is the lowest minimum, 1.0 the other one
    array([[1, 1, 0, 0]])
    """
    values = real_array("heights of a finite grid", values)
    tolerance = real_number("tolerance", tolerance, least=0)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"heights are a finite grid (rows, columns), got shape {values.shape}")
    if np.abs(values).max() > np.finfo(np.float64).max / 2:
        raise FloatingPointError("differences of the heights are beyond the range of floats")
    rows, columns = values.shape
    index = np.arange(values.size).reshape(values.shape)
    padded = np.pad(values, 1, constant_values=np.inf)
    best, target = np.zeros(values.shape), index.copy()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down == right == 0:
                continue
            there = padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
            slope = (values - there) / np.hypot(down, right)
            steeper = slope > best + tolerance
            best[steeper] = slope[steeper]
            target[steeper] = index[steeper] + down * columns + right
    end = target.ravel().copy()
    while not np.array_equal(end, end[end]):
        end = end[end]
    found = np.unique(end)
    found = found[np.argsort(values.ravel()[found], kind="stable")]
    place = np.zeros(values.size, dtype=np.intp)
    place[found] = np.arange(len(found))
    minima = np.stack(np.unravel_index(found, values.shape), axis=1)
    label = place[end].reshape(values.shape)
    return Basins(minima, values.ravel()[found], label, target, float(np.ptp(values)))
