"""Timings of the exact landscape: `make bench`."""

import numpy as np
import pytest

from helpers.outer import phi_js, phi_lipschitz, phi_rs, stuck_states


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("phi", [phi_js, phi_rs])
def test_hundred_thousand_points(benchmark, phi, d):
    """A third of the generated points coincide with real ones."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100_000, d))
    y = np.where(rng.random((100_000, 1)) < 0.33, rng.permutation(x), rng.normal(size=x.shape))
    benchmark(phi, x, y)


@pytest.mark.parametrize("n", [4, 5])
def test_state_search(benchmark, n):
    """All states of n points under JS."""
    benchmark(stuck_states, n, "js")


@pytest.mark.parametrize("loss", ["js", "rs", "hinge"])
def test_lipschitz_grid(benchmark, loss):
    """The chapter's grid: 81 x 81 sets of two generated points."""
    grid = np.linspace(-2, 6, 81)
    y = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    benchmark.pedantic(phi_lipschitz, args=([0.0, 4.0], y, loss, 1.0), rounds=3, warmup_rounds=1)
