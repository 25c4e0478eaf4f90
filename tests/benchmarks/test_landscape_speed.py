"""Timings of the exact landscape: `make bench`."""

import numpy as np
import pytest

from helpers.outer.exact import phi_js, phi_rs
from helpers.outer.lipschitz import phi_lipschitz
from helpers.outer.states import stuck_states

LOSSES = ("js", "rs", "hinge")


@pytest.mark.parametrize("d", [1, 3])
def test_hundred_thousand_points(in_turn, landscape_rows, d):
    """A third of the generated points coincide with real ones."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100_000, d))
    y = np.where(rng.random((100_000, 1)) < 0.33, rng.permutation(x), rng.normal(size=x.shape))
    times = in_turn({"js": lambda: phi_js(x, y), "rs": lambda: phi_rs(x, y)}, 5)
    for name, seconds in times.items():
        landscape_rows.add(f"outer objective, 100,000 points in {d} dimensions", name, seconds, "s")


def test_state_search(in_turn, landscape_rows):
    """All states of n points under JS."""
    times = in_turn({f"{n} points": lambda n=n: stuck_states(n, "js") for n in (4, 5)}, 3)
    for name, seconds in times.items():
        landscape_rows.add("search of all states", name, seconds, "s")


def test_lipschitz_grid(in_turn, landscape_rows):
    """The chapter's grid: 81 x 81 sets of two generated points."""
    grid = np.linspace(-2, 6, 81)
    y = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    works = {each: lambda each=each: phi_lipschitz([0.0, 4.0], y, each, 1.0) for each in LOSSES}
    for name, seconds in in_turn(works, 3).items():
        landscape_rows.add("Lipschitz surface of 81 x 81", name, seconds, "s")
