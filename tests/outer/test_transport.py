"""Matchings and the Wasserstein distance, against all permutations and against the line."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from helpers.losses.scalars import PAIRING, SEPARABLE
from helpers.outer.lipschitz import best_discriminator
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


def slope_of(h, t):
    """h' at each of some numbers."""
    t = torch.from_numpy(t).requires_grad_()
    return torch.autograd.grad(h(t).sum(), t)[0].numpy()


@pytest.mark.parametrize("loss", ["js", "ls", "rs", "rp-ls"])
@pytest.mark.parametrize("L", [0.3, 2.0])
def test_elastic_masses(loss, L):
    """The dual problem: the best f carries the masses that are its slopes of h at least cost."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 4, 2))
    at_x, at_y = best_discriminator(x, y, loss, L)
    if loss in PAIRING:
        a = b = slope_of(PAIRING[loss], at_x - at_y)
    else:
        h1, h2 = SEPARABLE[loss]
        a, b = slope_of(h1, at_x), slope_of(h2, -at_y)
    assert a.sum() == pytest.approx(b.sum(), abs=1e-3) and a.min() > 0
    cost = L * np.linalg.norm(x[:, None] - y, axis=2)
    sums = np.concatenate([np.kron(np.eye(4), np.ones(4)), np.kron(np.ones(4), np.eye(4))])
    plan = linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([a, b * a.sum() / b.sum()]))
    assert a @ at_x - b @ at_y == pytest.approx(plan.fun, abs=2e-3)
