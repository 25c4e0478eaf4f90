"""Basins of hand-made grids."""

import numpy as np
import pytest

from helpers.outer.basins import find_basins


def test_two_wells():
    """Minima come lowest first, and every node gets the well that it runs down to."""
    basins = find_basins([[1.0, 3.0, 4.0, 2.0, 0.0], [2.0, 4.0, 5.0, 3.0, 1.0]])
    assert basins.minima.tolist() == [[0, 4], [0, 0]]
    assert basins.values.tolist() == [0.0, 1.0]
    assert basins.label.tolist() == [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
    assert basins.share.tolist() == [0.6, 0.4]


def test_steepness_counts_distance():
    """A diagonal step is longer: a drop of 1.3 down it is less steep than one of 1 beside it."""
    assert find_basins([[9.0, 2.0, 1.0], [0.7, 9.0, 9.0]]).label[0].tolist() == [0, 1, 1]
    assert find_basins([[9.0, 2.0, 1.0], [0.5, 9.0, 9.0]]).label[0].tolist() == [0, 0, 1]


def test_long_descent():
    """Descent is followed to its end, and a spiral ends where a straight line does."""
    assert (find_basins(np.arange(100.0)[:, None]).label == 0).all()
    wall = 99.0
    spiral = [[5.0, 4.0, 3.0], [wall, wall, 2.0], [wall, 0.0, 1.0]]
    basins = find_basins(spiral)
    assert basins.minima.tolist() == [[2, 1]]
    assert basins.share.tolist() == [1.0]


def test_edges_do_not_wrap():
    """The last column is no neighbour of the first."""
    basins = find_basins([[0.0, 5.0, 2.0], [1.0, 5.0, 1.0]])
    assert basins.minima.tolist() == [[0, 0], [1, 2]]
    assert basins.label.tolist() == [[0, 0, 1], [0, 0, 1]]


def test_plateau():
    """On a plateau every node with no way down is a minimum of its own, ties in reading order."""
    basins = find_basins(np.ones((2, 2)))
    assert basins.minima.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert basins.label.tolist() == [[0, 1], [2, 3]]
    assert basins.share.tolist() == [0.25] * 4


def test_tolerance():
    """A drop of the tolerance counts as none, one above it as a drop; diagonals take more."""
    heights = [[1.0, 0.75, 0.0]]
    assert find_basins(heights, tolerance=0.25).label.tolist() == [[1, 0, 0]]
    assert len(find_basins(heights, tolerance=0.24).minima) == 1
    diagonal = [[1.0, 9.0], [9.0, 0.65]]  # a drop of 0.35 over a distance of 1.41: slope 0.2475
    assert len(find_basins(diagonal, tolerance=0.24).minima) == 1
    assert len(find_basins(diagonal, tolerance=0.25).minima) == 2


def test_noise():
    """Noise below the tolerance makes no minima in a bowl that is steeper than it."""
    rng = np.random.default_rng(3)
    rows, columns = np.indices((9, 9)) - 4
    heights = np.maximum(abs(rows), abs(columns)) + rng.uniform(0, 0.2, (9, 9))
    basins = find_basins(heights, tolerance=0.5)
    assert basins.minima.tolist() == [[4, 4]]
    assert len(find_basins(rng.uniform(0, 0.2, (9, 9))).minima) > 1


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e-6, 1.0, 1e9])
def test_global_minima_at_any_scale(scale):
    """In any unit of height, and up to rounding, which is relative to the whole grid."""
    basins = find_basins(scale * np.array([[3.0, 1.0, 2.0, 0.0]]))
    assert basins.is_global.tolist() == [[False, False, True, True]]
    assert basins.relief == pytest.approx(3 * scale)
    equal = find_basins(scale * np.array([[0.1 + 0.2, 1.0, 0.3]]))  # unequal in the last bit
    assert len(set(equal.values)) == 2 and equal.is_global.all()


def test_single_node():
    """A grid of one node is its own minimum."""
    basins = find_basins([[7.0]])
    assert basins.minima.tolist() == [[0, 0]]
    assert basins.share.tolist() == [1.0]


@pytest.mark.parametrize(
    "values, tolerance",
    [
        ([1.0, 2.0], 0),
        (np.zeros((2, 2, 2)), 0),
        ([[np.nan]], 0),
        ([[0.0, np.inf]], 0),
        (np.zeros((0, 3)), 0),
        ([[0.0]], -1),
        ([[0.0]], np.inf),
    ],
)
def test_errors(values, tolerance):
    """Grids that are none, and negative tolerances, are refused."""
    with pytest.raises(
        ValueError, match=r"finite grid|tolerance is a finite number, 0 or more, got"
    ):
        find_basins(values, tolerance=tolerance)
