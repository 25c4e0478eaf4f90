"""How far a number may move, and the intervals of medians."""

import numpy as np
import pytest
from scipy.stats import quantile_test

from helpers.ledger import judge, references
from helpers.ledger.references import Number, median_interval


@pytest.mark.parametrize("count", [6, 7, 9, 30, 101])
def test_median_interval_is_scipys(count):
    """Both are by order statistics; ours has its two tails alike."""
    values = np.random.default_rng(count).normal(size=count)
    theirs = quantile_test(values, q=0.0, p=0.5).confidence_interval(0.95)
    assert median_interval(values.tolist()) == (theirs.low, theirs.high)


@pytest.mark.parametrize("count", range(6))
def test_few_numbers_have_no_interval(count):
    assert median_interval([1.0] * count) is None


def test_median_interval_covers():
    """Of a known median, in 95% of samples or more."""
    rng = np.random.default_rng(0)
    intervals = [median_interval(rng.exponential(size=8).tolist()) for _ in range(2000)]
    inside = np.mean([low <= np.log(2) <= high for low, high in intervals])
    assert 0.95 <= inside <= 1


def test_difference_names_the_worst_entry():
    """Measured by what each may move."""
    number = Number("C14", "q", [1.0, 100.0], (0.01, 0.0))
    assert number.difference([1.05, 100.01]) == "100.01, in the reference 100, may move by 0.0001"
    assert number.difference([1.0]) == "1 numbers, in the reference 2"


def test_a_chapter_without_a_reference():
    """All its numbers are listed as not compared."""
    record = judge("C14", 2e6, profile="quick")
    found = references.compare("no_such_chapter", record, seed=0, device="cpu")
    assert found == ([], ["C14 supremum_to_1e6: not in the reference"])
    _, others = references.compare("two_point_landscape", record, seed=0, device="cuda")
    assert others == ["C14 supremum_to_1e6: the reference is of seed 0, on cpu"]
