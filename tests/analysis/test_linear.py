"""Linear games: the parts of their flow, against the matrix exponential, and two numbers."""

import numpy as np
import pytest
from scipy.linalg import expm

from helpers.analysis.linear import decoupled, evenness, linear_orbit, rotation

PULL, TURN = np.eye(2), np.array([[0.0, 2.0], [-2.0, 0.0]])
BOTH = PULL + TURN


def random_matrix(seed, n=6):
    return np.random.default_rng(seed).normal(size=(n, n))


@pytest.mark.parametrize("J", [PULL, TURN, BOTH, *(random_matrix(seed) for seed in range(8))])
def test_proposition_1(J):
    """In the basis exp(-tJ) has the stated blocks, and J is what they are the flow of."""
    parts = decoupled(J)
    P = parts.basis
    assert P.shape == J.shape
    scale = np.linalg.cond(P) * np.linalg.norm(J)
    assert np.abs(J @ P - P @ parts.blocks).max() < 1e-13 * scale
    for t in (0.0, 0.3, 1.0):
        exact = expm(-t * J)
        assert np.abs(exact @ P - P @ parts.flow(t)).max() < 1e-12 * scale * np.linalg.norm(exact)


def test_blocks_by_hand():
    """A decay of 1 with a rotation by 2t, and the eigenvalue in the upper half plane."""
    parts = decoupled(BOTH)
    assert parts.values == pytest.approx([1 + 2j])
    c, s = np.cos(0.5), np.sin(0.5)
    assert parts.flow(0.25) == pytest.approx(np.exp(-0.25) * np.array([[c, s], [-s, c]]))


def test_orbits_are_those_of_the_exponential():
    J, start, times = random_matrix(3), np.arange(6.0), np.array([0.0, 0.2, 1.0])
    orbit = linear_orbit(J, start, times)
    assert orbit[0] == pytest.approx(start)
    for t, point in zip(times, orbit, strict=True):
        assert point == pytest.approx(expm(-t * J) @ start, rel=1e-9, abs=1e-9)


def test_rotation_and_evenness():
    """Of matrices whose parts are known, of a scale that is in neither."""
    for a, b in ((1.0, 0.0), (2.0, 3.0), (0.1, 50.0)):
        J = a * PULL + b * TURN / 2
        assert rotation(J) == pytest.approx(b / a)
        assert evenness(J) == pytest.approx(1.0)
        assert rotation(7 * J) == pytest.approx(b / a)
    assert evenness(np.diag([1.0, 0.0, 0.0, 0.0])) == pytest.approx(0.5)
    assert rotation(TURN) == np.inf and np.isnan(evenness(TURN))


@pytest.mark.parametrize("function", [decoupled, rotation, evenness])
@pytest.mark.parametrize("J", [np.ones((2, 3)), np.ones(4), np.zeros((0, 0)), [[np.nan]]])
def test_refuses_what_is_no_square_matrix(function, J):
    with pytest.raises(ValueError, match="J "):
        function(J)


@pytest.mark.parametrize(
    ("start", "times"), [(np.ones(3), [0.0]), (np.ones(2), 0.0), ([1.0, np.inf], [0.0])]
)
def test_refuses_an_orbit_that_does_not_fit(start, times):
    with pytest.raises(ValueError, match=r"start|times"):
        linear_orbit(PULL, start, times)


def test_refuses_a_time_that_is_none():
    with pytest.raises(ValueError, match="t "):
        decoupled(PULL).flow(np.nan)
