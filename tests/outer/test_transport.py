"""Matchings and the Wasserstein distance, against all permutations and against the line."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from helpers.outer.transport import matching, wasserstein

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("n, d", [(1, 1), (2, 2), (4, 1), (4, 3), (5, 2)])
def test_least_of_all_permutations(n, d):
    x, y = RNG.normal(size=(2, n, d))
    costs = {p: np.linalg.norm(x[list(p)] - y, axis=1).mean() for p in permutations(range(n))}
    best = min(costs, key=costs.get)
    assert matching(x, y).tolist() == list(best)
    assert wasserstein(x, y) == pytest.approx(costs[best], abs=1e-14)


def test_on_the_line():
    """Where scipy has the distance by another way, repeats included."""
    for n in (1, 3, 8):
        x, y = np.round(RNG.normal(size=(2, n)), 1)
        assert wasserstein(x, y) == pytest.approx(wasserstein_distance(x, y), abs=1e-14)
    assert wasserstein([1.0, 1.0], [1.0, 3.0]) == 1.0


@pytest.mark.parametrize("function", [matching, wasserstein])
@pytest.mark.parametrize(
    "x, y, message",
    [
        ([0.0, 1.0], [0.0], "shapes"),
        ([[0.0, 1.0]], [0.0], "shapes"),
        ([], [], "empty"),
        ([0.0, np.nan], [0.0, 1.0], "x holds NaN"),
        ([0.0, 1.0], [0.0, np.inf], "y holds NaN"),
    ],
)
def test_errors(function, x, y, message):
    with pytest.raises(ValueError, match=message):
        function(x, y)
    with pytest.raises(FloatingPointError, match="beyond floats"):
        function([1e308], [-1e308])
