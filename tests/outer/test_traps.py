"""When a collapse is a trap: the formulas, against the objective around it."""

import math

import numpy as np
import pytest

from helpers.outer.lipschitz import best_discriminator, phi_lipschitz
from helpers.outer.traps import trap_slope

STEP, GAP = 1e-3, 2e-4  # what the objective is exact to, over the step
TURNS = np.linspace(0, 2 * np.pi, 8, endpoint=False)


def least_change(loss, L, w=1, d=1):
    """Of the objective around the collapse, over the step; one point moves, or all alike."""
    n = 2 * w
    x = np.zeros((n, d))
    x[w:, 0] = 1
    ways = np.array([[1.0], [-1.0]]) if d == 1 else np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1)
    moves = np.stack([*np.eye(n)[[0, -1]], np.ones(n)])[..., None]
    Y = np.concatenate([np.zeros((1, n, d)), *(STEP * moves * way for way in ways)])
    values = phi_lipschitz(x, Y, loss, L)
    return (values[1:] - values[0]).min() / STEP


@pytest.mark.parametrize("loss", ["js", "ls"])
@pytest.mark.parametrize("w, d", [(1, 1), (1, 2), (2, 1), (3, 2)])
def test_strict_minimum_above_only(loss, w, d):
    slope = trap_slope(loss, w)
    assert least_change(loss, 0.95 * slope, w, d) < -GAP
    assert least_change(loss, 1.05 * slope, w, d) > GAP


@pytest.mark.parametrize("loss", ["hinge", "rs", "rp-hinge", "wgan"])
def test_never_strict(loss):
    assert trap_slope(loss) == math.inf
    for L in (0.5, 2.0, 8.0):
        assert least_change(loss, L) < GAP


def test_by_hand():
    """log 6 and 2 / 5 for two points; large clusters have 12 w and 2 / 3."""
    assert trap_slope("js") == pytest.approx(math.log(6), abs=1e-15)
    assert trap_slope("ls") == 0.4
    assert trap_slope("js", 10**6) - math.log(12e6) == pytest.approx(0, abs=1e-6)
    assert trap_slope("ls", 10**6) == pytest.approx(2 / 3, abs=1e-6)


def test_errors():
    for bad in (0, -1, 1.5, "2", None):
        with pytest.raises(ValueError, match="w"):
            trap_slope("js", bad)
    with pytest.raises(ValueError, match="unknown loss"):
        trap_slope("jsd")
    for loss in ("rs", "rp-hinge", "rp-ls", "wgan"):
        with pytest.raises(ValueError, match="w is 1"):
            trap_slope(loss, 2)


@pytest.mark.parametrize("L", [2.0, 8.0])
def test_rs_has_a_trap_at_a_bounded_slope(L):
    """Three points, one near another: a state that no move leaves, and its balance of masses."""
    x = np.array([[0.0], [0.2], [1.0]])
    Y = x[[2, 2, 0]]
    moves = STEP * np.array(np.meshgrid(*[[0.0, -1.0, 1.0]] * 3)).reshape(3, -1).T[..., None]
    values = phi_lipschitz(x, Y + moves, "rs", L)
    assert (values[1:] - values[0]).min() / STEP > GAP
    assert values[0] > -math.log(2) + 1e-3
    at_x, at_y = best_discriminator(x, Y, "rs", L)
    p, q, r = 1 / (1 + np.exp(at_x - at_y))
    assert r == pytest.approx(p + q, abs=1e-3) and r > 2 * q
