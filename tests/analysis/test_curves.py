"""What two curves over a training have to do with each other."""

import numpy as np
import pytest

from helpers.analysis.curves import (
    correlations,
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


def test_readings_by_hand():
    found = correlations([1.0, 2.0, 3.0, 2.0], [1.0, 4.0, 9.0, 4.0])
    assert found["logs"] == pytest.approx(1)
    assert found["ranks"] == pytest.approx(1)
    assert found["levels"] == pytest.approx(np.corrcoef([1, 2, 3, 2], [1, 4, 9, 4])[0, 1])
    for bad in ([1.0, -1.0, 2.0], [1.0, np.nan, 2.0], [1.0, 2.0]):
        with pytest.raises(ValueError, match="positive"):
            correlations(bad, [1.0, 2.0, 3.0])


def test_turning_and_rising():
    values = np.abs(np.arange(40) - 25.0) + 1
    assert turning(values) == 25
    assert rising_together([3, 2, 1], [1, 2, 3], 1) == 0
    assert np.isnan(rising_together([1, 2], [2, 1], 1))
