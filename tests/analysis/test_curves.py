"""What two curves over a training have to do with each other."""

import numpy as np
import pytest

from helpers.analysis.curves import (
    correlations,
    lagged_correlations,
    rank_correlation,
    rank_correlation_of_changes,
    rising_together,
    turning,
)


def test_a_common_trend_is_no_common_change():
    """Two curves that rise for reasons of their own: levels say yes, changes say no."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 3, 400)
    g, d = (np.exp(time + 0.1 * rng.standard_normal(400)) for _ in range(2))
    found = correlations(g, d)
    assert min(found["levels"], found["logs"], found["ranks"]) > 0.95
    assert abs(found["changes"]) < 0.2
    assert rank_correlation(g, d) == pytest.approx(found["ranks"])
    assert abs(rank_correlation_of_changes(g, d, 1)) < 0.2
    same = correlations(g, g**2)
    assert same["changes"] > 0.999
    assert rank_correlation_of_changes(g, -g, 7) == pytest.approx(-1)


def test_changes_are_so_far_apart():
    """A trend with a swing of period two: what is left two records apart is the trend."""
    swing = np.tile([0.0, 5.0], 20)
    trend = np.arange(40.0) ** 1.5
    assert rank_correlation_of_changes(swing + trend, trend, 2) == pytest.approx(1)
    assert rank_correlation_of_changes(swing + trend, trend, 1) < 0.6


def test_a_curve_that_leads_is_told_by_the_sign_of_the_lag():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(60).cumsum()
    b = np.r_[np.zeros(3), -2 * a[:-3]]  # what a does, b undoes three records later
    found = lagged_correlations(a, b, 5)
    assert list(found) == list(range(-5, 6))
    assert found[3] == pytest.approx(-1, abs=0.02)
    assert max(abs(value) for lag, value in found.items() if lag != 3) < 0.5
    back = lagged_correlations(b, a, 5)
    assert [back[-lag] for lag in found] == pytest.approx([*found.values()])
    assert found[0] == pytest.approx(rank_correlation_of_changes(a, b, 1))


def test_curves_of_their_own_stay_within_chance_at_all_lags():
    rng = np.random.default_rng(1)
    curves = rng.standard_normal((400, 2, 60)).cumsum(axis=-1)
    found = [[*lagged_correlations(a, b, 6).values()] for a, b in curves]
    assert 0.03 < (np.abs(found) > 2 / 59**0.5).mean() < 0.08


def test_lags_that_leave_too_little_are_refused():
    curve = [1.0, 2.0, 1.0, 3.0, 2.0]
    assert list(lagged_correlations(curve, curve, 1)) == [-1, 0, 1]
    with pytest.raises(ValueError, match="a lag of 2 leaves less than three of 4 changes"):
        lagged_correlations(curve, curve, 2)
    with pytest.raises(ValueError, match="less than three of 0 changes"):
        lagged_correlations([], [], 0)
    with pytest.raises(ValueError, match="most is a whole number, 0 or more"):
        lagged_correlations(curve, curve, -1)


def test_readings_by_hand():
    found = correlations([1.0, 2.0, 3.0, 2.0], [1.0, 4.0, 9.0, 4.0])
    assert found["logs"] == pytest.approx(1)
    assert found["ranks"] == pytest.approx(1)
    assert found["levels"] == pytest.approx(np.corrcoef([1, 2, 3, 2], [1, 4, 9, 4])[0, 1])


@pytest.mark.parametrize(
    "bad", [[1.0, -1.0, 2.0], [1.0, np.nan, 2.0], [1.0, np.inf, 2.0], [1.0, 2.0], [[1.0, 2.0, 3.0]]]
)
def test_correlations_take_positive_numbers_in_either_place(bad):
    good = [1.0, 2.0, 3.0]
    for curves in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match="positive numbers, got"):
            correlations(*curves)


def test_each_curve_changes_on_its_own_scale():
    """A billionth of a billionth of the other is a change, and its own rounding is none."""
    small, large = np.array([1e-7, 2e-7, 3e-7, 5e-7]), np.array([1e6, 2e6, 3e6, 4e6])
    assert rank_correlation(small, large) == rank_correlation(large, small) == pytest.approx(1)
    assert rank_correlation_of_changes(small**2, large**2, 1) == pytest.approx(1)
    found, scaled = correlations(small, large), correlations(1e7 * small, 1e-6 * large)
    assert found == pytest.approx(scaled) and not np.isnan(list(found.values())).any()
    still = np.array([0.3, 0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2])
    other = np.array([1.0, 2.0, 4.0, 1.0, 3.0])
    assert np.isnan(list(correlations(1e-9 * still, other).values())).all()
    assert np.isnan(list(correlations(other, still / 0.3).values())).all()
    assert np.isnan(rank_correlation(other, 1e-20 * still))
    assert np.isnan(rank_correlation_of_changes(still, other, 1))


def test_ranks_leave_out_what_is_no_number():
    """In either curve, and from as few as three on."""
    a, b = [1.0, np.nan, 4.0, 8.0, 3.0], [1.0, 3.0, 9.0, 27.0, 2.0]
    assert rank_correlation(a, b) == rank_correlation(b, a) == pytest.approx(1)
    assert rank_correlation(a, [1.0, 3.0, np.inf, 27.0, 2.0]) == pytest.approx(0.8)
    assert np.isnan(rank_correlation([1.0, 2.0, np.nan], [1.0, 2.0, 3.0]))
    assert np.isnan(rank_correlation([np.nan] * 4, [np.inf] * 4))
    assert np.isnan(rank_correlation([], []))
    gap = [0.0, 1.0, np.nan, 3.0, 5.0, 8.0, 7.0]
    assert rank_correlation_of_changes(gap, np.nan_to_num(gap), 1) == pytest.approx(1)
    assert np.isnan(rank_correlation_of_changes([1.0, 2.0], [1.0, 2.0], 5))


@pytest.mark.parametrize("related", [
    rank_correlation,
    lambda a, b: rank_correlation_of_changes(a, b, 1),
    lambda a, b: rising_together(a, b, 1),
    lambda a, b: lagged_correlations(a, b, 1),
])  # fmt: skip
def test_curves_that_are_none_are_refused(related):
    with pytest.raises(ValueError, match=r"of one length, got \(3,\) and \(5,\)"):
        related([1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 0.0, -5.0])
    with pytest.raises(ValueError, match=r"of one length, got \(1, 2\) and \(1, 2\)"):
        related([[1.0, 2.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="the values of a curve are real numbers, got"):
        related(["1", "2"], [1.0, 2.0])


def test_steps_and_values_that_are_none_are_refused():
    curve = [1.0, 2.0, 1.0, 3.0]
    for apart in (0, -2, 1.0):
        with pytest.raises(ValueError, match="apart is a whole number, 1 or more"):
            rank_correlation_of_changes(curve, curve, apart)
        with pytest.raises(ValueError, match="window is a whole number, 1 or more"):
            rising_together(curve, curve, apart)
    for bad in ([1.0, np.nan, 1.0, 3.0], [1.0, np.inf, 1.0, 3.0]):
        for curves in ((bad, curve), (curve, bad)):
            with pytest.raises(ValueError, match=r"are finite numbers, got (nan|inf) at \[1\]"):
                rising_together(*curves, 1)
        with pytest.raises(ValueError, match=r"values are finite numbers, got (nan|inf) at \[1\]"):
            turning(bad)
    for bad in ([], [curve]):
        with pytest.raises(ValueError, match=r"values are \(t,\), one or more, got"):
            turning(bad)


def test_turning_and_rising():
    values = np.abs(np.arange(40) - 25.0) + 1
    assert turning(values) == 25
    assert turning([3, 2, 1, 1, 1, 1, 1, 2, 3, 1e17] + [4] * 10) == 4  # a spike is local
    assert turning([2]) == 0 and turning([1, 2]) == 0 and turning([2, 1]) == 1
    assert rising_together([3, 2, 1], [1, 2, 3], 1) == 0
    assert np.isnan(rising_together([1, 2], [2, 1], 1))
