"""Random stable games: what their blocks are, and that they are stable."""

import numpy as np
import pytest

from helpers.analysis.stability import classify
from helpers.games.closed_form import linear_game
from helpers.games.sampling import KINDS, stable_jacobian


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("coupling", [0.0, 1.0, 30.0])
def test_is_stable(kind, coupling):
    """0 is an LSSP of the game, which `linear_game` takes: its own blocks are symmetric."""
    for seed in range(5):
        J = stable_jacobian(kind, 8, coupling, seed=seed)
        assert classify(linear_game(J, 4), np.zeros(8)).is_lssp
        assert kind == "zero-sum" or np.linalg.eigvals(J).real.min() > 0.1 - 1e-9


def test_zero_sum_blocks():
    """A = -B', and both own blocks are positive definite."""
    J = stable_jacobian("zero-sum", 10, 2.0, seed=1)
    assert (J[:5, 5:] == -J[5:, :5].T).all()
    for own in (J[:5, :5], J[5:, 5:]):
        assert np.linalg.eigvalsh(own).min() > 0


def test_free_games_are_not_zero_sum_and_lifted_no_further():
    J = stable_jacobian("free", 10, 2.0, seed=1)
    assert np.abs(J[:5, 5:] + J[5:, :5].T).max() > 0.1
    assert np.linalg.eigvals(J).real.min() == pytest.approx(0.1)


def test_coupling_scales_the_coupling_alone():
    """Seed by seed; the same seed gives the same game."""
    one, five = (stable_jacobian("zero-sum", 6, c, seed=2) for c in (1.0, 5.0))
    assert five[:3, 3:] == pytest.approx(5 * one[:3, 3:])
    assert (five[:3, :3] == one[:3, :3]).all()
    assert (one == stable_jacobian("zero-sum", 6, 1.0, seed=2)).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("zero", 4, 1.0), "kind is one of"),
        (("free", 5, 1.0), "n must be even"),
        (("free", 0, 1.0), "n is"),
        (("free", 4, -1.0), "coupling is"),
    ],
)
def test_refused(given, words):
    with pytest.raises(ValueError, match=words):
        stable_jacobian(*given, seed=0)
