"""Times out of a basin: chains whose answer is known, and walks that are counted."""

import numpy as np
import pytest
from scipy.ndimage import label

from helpers.outer.escape import barrier, barriers, escape_times

WELLS = np.array([[0.3, 1.0, 0.0]])
END = [(0, 2)]


def test_flat_line():
    """Unit steps to either side, with a chance of 1/4 each, of which each takes a unit of time."""
    n = 7
    found = escape_times(np.zeros((1, n + 1)), [(0, n)], 0.25)[0]
    assert found == pytest.approx([2 * (n - k) * (n + k + 1) for k in range(n + 1)])


def test_two_wells_by_hand():
    """Up with chance e^(-0.7 / T) / 4, then down to either side."""
    T = 0.2
    up = np.exp(-0.7 / T) / 4
    left = 2 * (1 / up + 2)  # left = 1 / up + top and top = 2 + left / 2
    top = 2 + left / 2
    found = escape_times(WELLS, END, T, spacing=0.1)[0] * 4 * T / 0.1**2
    assert found == pytest.approx([left, top, 0])


def test_a_walk_takes_as_long():
    """The mean of walks that are played, in two dimensions, with the goal in a corner."""
    random = np.random.default_rng(0)
    heights, T, count = random.uniform(0, 0.5, (3, 3)), 0.4, 4000
    at, steps = np.zeros((count, 2), dtype=int), np.zeros(count)
    moves = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    for _ in range(2000):
        active = (at < 2).any(axis=1)
        steps += active
        to = at + moves[random.integers(4, size=count)]
        inside = ((to >= 0) & (to < 3)).all(axis=1)
        to[~inside] = at[~inside]
        rise = heights[to[:, 0], to[:, 1]] - heights[at[:, 0], at[:, 1]]
        moved = active & (random.random(count) < np.exp(-np.maximum(rise, 0) / T))
        at[moved] = to[moved]
    assert active.mean() < 0.01
    error = steps.std() / np.sqrt(count)
    assert escape_times(heights, [(2, 2)], T)[0, 0] * 4 * T == pytest.approx(
        steps.mean(), abs=4 * error
    )


def test_time_is_exponential_in_depth():
    """Kramers' law: twice the depth at one temperature squares what depth does to the time."""
    x = np.linspace(-1.2, 1.2, 97)
    well = (x**2 - 1) ** 2  # two wells of depth 1, a barrier at 0
    depths, T = np.array([8.0, 10.0, 12.0]), 1.0
    start, goals = np.abs(x + 1).argmin(), [(0, np.abs(x - 1).argmin())]
    times = [escape_times(d * well[None], goals, T, spacing=x[1] - x[0])[0, start] for d in depths]
    slopes = np.diff(np.log(times * depths)) / np.diff(depths)  # the prefactor is as 1 / depth
    assert slopes == pytest.approx([1, 1], abs=0.01)
    kramers = 2 * np.pi / (np.sqrt(8 * 4) * depths) * np.exp(depths)
    assert times == pytest.approx(kramers, rel=0.2)


def test_barriers():
    """The lowest pass counts, wherever it is; going down only takes none."""
    assert barrier(WELLS, END, 0, 0) == pytest.approx(0.7)
    assert barrier(WELLS, END, 0, 1) == 0
    assert barrier(WELLS, END, 0, 2) == 0
    around = np.array([[0.0, 5.0, 0.0], [2.0, 5.0, 1.0], [3.0, 2.5, 1.0]])
    assert barrier(around, [(0, 2)], 0, 0) == 3
    assert barrier(around, [(0, 2), (1, 0)], 0, 0) == 2


@pytest.mark.parametrize(
    "values, goals",
    [
        ([1.0, 2.0], [(0, 1)]),
        ([[]], [(0, 0)]),
        ([[1.0, 2.0]], []),
        ([[1.0, 2.0]], (0, 1)),
        ([[1.0, 2.0]], [(0, 2)]),
        ([[1.0, 2.0]], [(0, -1)]),
        ([[1.0, 2.0]], [(0, 0.5)]),
        ([[1.0, np.inf]], [(0, 0)]),
    ],
)
def test_grids_that_are_none(values, goals):
    with pytest.raises(ValueError, match=r"grid|goals"):
        escape_times(values, goals, 1.0)
    with pytest.raises(ValueError, match=r"grid|goals"):
        barrier(values, goals, 0, 0)
    if np.ndim(values) == 2:
        with pytest.raises(ValueError, match=r"grid|goals"):
            barriers(values, goals)


@pytest.mark.parametrize("row, column", [(0, 3), (-1, 0), (1, 0), ("a", 0), (0, 0.5)])
def test_nodes_off_the_grid(row, column):
    with pytest.raises(ValueError, match=r"row|column"):
        barrier(WELLS, END, row, column)


def test_hardly_any_noise():
    with pytest.raises(FloatingPointError, match="beyond floats"):
        escape_times(WELLS, END, 1e-3)


def test_barriers_of_all_nodes():
    """By hand on a line; around a wall in three dimensions; and through the wall's corner."""
    assert barriers([2.0, 1.0, 4.0, 3.0, 5.0, 0.0], [[5]]).tolist() == [3, 4, 1, 2, 0, 0]
    assert barriers([2.0, 1.0, 4.0, 3.0, 5.0, 0.0], [[5], [1]]).tolist() == [0, 0, 0, 1, 0, 0]
    wall = np.zeros((3, 3, 3))
    wall[1], wall[1, 2, 2] = 5, 2  # a wall with a low corner
    found = barriers(wall, [(2, 0, 0)])
    assert (found[0] == 2).all() and (found[1:] == 0).all()
    diagonal = np.array([[0.0, 9.0], [9.0, 0.0]])
    assert barriers(diagonal, [(1, 1)])[0, 0] == 0 and barrier(diagonal, [(1, 1)], 0, 0) == 9


def test_barriers_against_a_search():
    """Node by node, the lowest level under which it hangs together with a goal."""
    heights = np.random.default_rng(2).uniform(size=(4, 5))
    found = barriers(heights, [(3, 4), (0, 0)])
    square = np.ones((3, 3))
    for place, height in np.ndenumerate(heights):
        for level in np.sort(heights[heights >= height]):
            pieces, _ = label(heights <= level, square)
            if pieces[place] and pieces[place] in (pieces[3, 4], pieces[0, 0]):
                break
        assert found[place] == level - height


@pytest.mark.parametrize(
    "values, goals", [(1.0, [[0]]), ([], [[0]]), ([1.0], [0]), ([1.0], [[0, 0]]), ([1.0], [[1]])]
)
def test_lines_that_are_none(values, goals):
    with pytest.raises(ValueError, match=r"grid|goals"):
        barriers(values, goals)
