"""End points of games whose spectra and paths are known."""

import numpy as np
import pytest
import torch

from helpers.analysis.endpoints import (
    bump,
    end_point,
    leading_end_point,
    lean_of,
    pairs_or_none,
    searched,
)
from helpers.analysis.paths import PathProfile
from helpers.games.closed_form import linear_game
from helpers.spectra import NotConverged

# Two turning pairs 1 +- 5i and -0.5 +- 3i, and a slow direction for each player.
J = np.zeros((6, 6))
J[:2, 3:5] = [[5.0, 0.0], [0.0, 3.0]]
J[3:5, :2] = [[-5.0, 0.0], [0.0, -3.0]]
np.fill_diagonal(J, [1.0, -0.5, 0.1, 1.0, -0.5, 0.2])
START, END = np.ones(6), np.full(6, 1e-3)


def test_numbers():
    """Every number by hand."""
    at = end_point(linear_game(J, 3), START, END, top=4)
    found = at.summary()
    largest = np.hypot(1, 5)
    second = np.hypot(0.5, 3)
    assert np.allclose(np.abs(at.leading), [largest, largest, second, second])
    wanted = {
        "relative_norm": 1e-3,
        "modulus": largest,
        "imaginary": 5.0,
        "imaginary_share": 5 / largest,
        "lean": np.median([1 / largest, -0.5 / second]),
        "lowest_leading": -0.5 / largest,
        "lowest": -0.5 / largest,
        "curvature_low": -0.5,
        "curvature_high": 1.0,
        "negative_curvature": -0.5,
        "sharpness": 1.0,
        "stable": 0.0,
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value), name
    assert found["norm"] == pytest.approx(np.linalg.norm(J @ END))


def test_what_the_leading_ones_miss():
    """With the two largest only, the negative real part is out of sight, but not of the whole."""
    at = end_point(linear_game(J, 3), START, END, top=2)
    assert at.summary()["lowest_leading"] > 0 > at.summary()["lowest"]
    assert at.classification.is_lssp is False


def test_a_list_that_splits_a_pair():
    """The second of two conjugates counts in the lean, wherever the list ends."""
    reals = [9.0, 8.0, 7.0, -6.0, -5.0]
    turning = 0.2 + 4j
    cut = end_point(linear_game(J, 3), START, END, top=3).summary()["lean"]
    assert cut == pytest.approx(end_point(linear_game(J, 3), START, END, top=4).summary()["lean"])
    assert lean_of([*reals, turning]) == lean_of([*reals, turning, turning.conjugate()])
    assert lean_of([*reals, turning]) == pytest.approx(0.2 / abs(turning))
    assert lean_of([*reals, 0.1, 0.1, turning]) == 1
    assert lean_of([2.0, 0.0, 0.0]) == 1
    assert np.isnan(lean_of([])) and np.isnan(lean_of([np.nan, 1.0]))


def test_far_from_stationary():
    """A point with more than a tenth of the first norm is none, however stable its Jacobian."""
    game = linear_game(np.diag([1.0, 2.0]), 1)
    assert end_point(game, [1.0, 1.0], [0.01, 0.0]).classification.is_lssp is True
    assert end_point(game, [1.0, 1.0], [0.5, 0.0]).classification.is_lssp is False


def test_no_start():
    game = linear_game(J, 3)
    with pytest.raises(ValueError, match="vanishes at the start"):
        end_point(game, np.zeros(6), END)
    # Of four copies the norm is twice that of one, and four times as many ends count as at rest.
    for start in ([START] * 4, [START]):
        with pytest.raises(ValueError, match="one point is expected, got a batch"):
            end_point(game, start, END)
    with pytest.raises(FloatingPointError, match="has the norm inf at the start"):
        end_point(game, 1e200 * START, END)


@pytest.mark.parametrize("top", [0, -2, 2.0, None])
def test_no_leading_ones(top):
    with pytest.raises(ValueError, match="top is a whole number, 1 or more, got"):
        end_point(linear_game(J, 3), START, END, top=top)


def profile(angle):
    alphas = np.linspace(0.0, 1.2, 13)
    row = np.array([[angle(a) for a in alphas]])
    return PathProfile(alphas, row, row)


def test_bump():
    """Height next to the end, level before it, and the signs from 0.4 on."""
    seen = bump(profile(lambda a: 0.8 if abs(a - 1) < 0.01 else (0.2 if a < 1 else -0.1)))
    assert (seen.height, seen.level, seen.switches) == (0.8, 0.2, 1)
    early = bump(profile(lambda a: -0.3 if a < 0.35 else 0.3))
    assert (early.height, early.level, early.switches) == (0.3, 0.3, 0)
    touching = bump(profile(lambda a: 0.0 if abs(a - 1) < 0.01 else 0.3))
    assert touching.switches == 0
    beyond = bump(profile(lambda a: 0.3 if a < 1.05 else (-0.3 if a < 1.15 else 0.3)))
    assert beyond.switches == 1  # at 1.05; the next one is past 1.1


def test_bump_is_of_the_median():
    """One end point of three that differs does not show."""
    alphas = torch.linspace(0.4, 1.1, 8).numpy()
    rows = np.stack([np.full(8, 0.2), np.full(8, 0.2), np.full(8, -0.9)])
    assert bump(PathProfile(alphas, rows, rows)).height == pytest.approx(0.2)


def test_no_alphas():
    alphas = np.linspace(0.4, 0.8, 5)
    row = np.ones((1, 5))
    with pytest.raises(ValueError, match="must reach into"):
        bump(PathProfile(alphas, row, row))


def test_leading_ones_by_products():
    """The same numbers as from the matrix, of what is sought; never "stable"."""
    game = linear_game(J, 3)
    whole = end_point(game, START, END, top=4)
    norm = float(game.vector_field(START).norm())
    found = leading_end_point(game, END, start_norm=norm, top=4, tolerance=1e-6)
    for name, value in whole.summary().items():
        assert found.summary()[name] == pytest.approx(value, abs=1e-6), name
    assert found.classification.is_lssp is False  # the leading ones refute it
    calm = linear_game(np.diag([1.0, 0.5, 2.0, 0.3]), 2)
    found = leading_end_point(calm, [1e-3] * 4, start_norm=1.0, top=2)
    assert found.classification.is_lssp is None and found.classification.is_dne is None
    assert sorted(found.classification.spectrum_d) == pytest.approx([0.3, 2.0])


def test_bad_start_norm():
    for norm in (0.0, -1.0, float("nan"), float("inf"), "1"):
        with pytest.raises(ValueError, match="start_norm is a finite number, above 0, got"):
            leading_end_point(linear_game(J, 3), END, start_norm=norm, top=2)


@pytest.mark.parametrize("error", [NotConverged, FloatingPointError])
def test_a_search_that_fails_is_no_error(error):
    """Its eigenvalues are NaN in both parts."""

    def search():
        raise error

    assert pairs_or_none(search) is None
    values, residuals = searched(search, 3)
    assert values.shape == residuals.shape == (3,)
    assert np.isnan(values.real).all() and np.isnan(values.imag).all() and np.isnan(residuals).all()


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_other_errors_of_a_search_are_raised(error):
    def search():
        raise error("out of memory")

    for call in (lambda: pairs_or_none(search), lambda: searched(search, 1)):
        with pytest.raises(error, match="out of memory"):
            call()
