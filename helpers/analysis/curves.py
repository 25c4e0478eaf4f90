"""How two curves over a training are related, and where one turns."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from helpers.inputs import real_array, shown, whole_number

_ROUNDING = 1e-12  # of a curve's size: by no more than this it does not change


def correlations(g: ArrayLike, d: ArrayLike) -> dict[str, float]:
    """How two curves of positive numbers go together, in the readings that a paper may have meant.

    Durall et al. 2021 print one number per data set and do not say what is correlated. A trend that
    both curves share makes "levels", "logs" and "ranks" large. It does not affect "changes", those
    of the logs from one record to the next. NaN where a curve does not change, or has fewer than
    three points.

    Args:
        g, d: (t,) positive values along one training.

    Raises:
        ValueError: for curves of different lengths, and values that are not positive and finite.

    >>> readings = correlations([1.0, 2.0, 4.0, 8.0], [1.0, 3.0, 9.0, 27.0])
    >>> {name: round(value, 2) for name, value in readings.items()}
    {'levels': 0.99, 'logs': 1.0, 'ranks': 1.0, 'changes': nan}
    """
    curves = [real_array(name, curve, finite=False) for name, curve in (("g", g), ("d", d))]
    positive = all(((curve > 0) & np.isfinite(curve)).all() for curve in curves)
    if curves[0].shape != curves[1].shape or curves[0].ndim != 1 or not positive:
        raise ValueError(f"both curves are (t,) positive numbers, got {shown(g)} and {shown(d)}")
    logs = [np.log(curve) for curve in curves]
    # What is rounding in a curve moves its logarithm by as much as that of 1.
    sizes = [max(1.0, _size(log)) for log in logs]
    changes = [np.diff(log) for log in logs]
    return {
        "levels": _correlation(curves, "pearson"),
        "logs": _correlation(logs, "pearson", sizes),
        "ranks": _correlation(curves, "spearman"),
        "changes": _correlation(changes, "pearson", sizes),
    }


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's correlation of two curves, NaN where one does not change.

    Records at which one of them is NaN are left out; NaN if fewer than three are left.

    Raises:
        ValueError: for curves of different lengths, and what is no numbers.

    >>> rank_correlation([1, 2, 3], [5, 4, 0])
    -1.0
    """
    return _correlation(_both(a, b), "spearman")


def rank_correlation_of_changes(a: ArrayLike, b: ArrayLike, apart: int) -> float:
    """Spearman's correlation of the changes of two curves over a number of records.

    A trend that both share makes `rank_correlation` large, but not this one. Changes from or to NaN
    are left out.

    Raises:
        ValueError: for an `apart` below 1, and as `rank_correlation`.

    >>> rank_correlation_of_changes([0, 1, 3, 6], [0, 3, 5, 6], 1)
    -1.0
    """
    curves, apart = _both(a, b), whole_number("apart", apart, 1)
    with np.errstate(invalid="ignore"):  # from infinite to infinite: no number, too
        changes = [curve[apart:] - curve[:-apart] for curve in curves]
    return _correlation(changes, "spearman", [_size(curve) for curve in curves])


def lagged_correlations(a: ArrayLike, b: ArrayLike, most: int) -> dict[int, float]:
    """Spearman's correlation of the changes of a with those of b some records later, by that lag.

    Where a leads, the strongest correlation is at a lag above 0; where it follows, below 0. With n
    changes, two curves that have nothing in common stay within 2 / sqrt(n) of 0 at nineteen of
    twenty lags.

    Args:
        a, b: (t,) along one training; changes from or to NaN are left out.
        most: the largest lag, either way; at least three changes have to be left.

    Raises:
        ValueError: for a lag that is too large, and as `rank_correlation`.

    >>> found = lagged_correlations([0, 1, 3, 2, 6, 5], [7, 7, 8, 10, 9, 13], 1)
    >>> max(found, key=found.get), round(found[1], 6)
    (1, 1.0)
    """
    curves, most = _both(a, b), whole_number("most", most, 0)
    n = len(curves[0]) - 1
    if n - most < 3:
        raise ValueError(f"a lag of {most} leaves less than three of {max(n, 0)} changes")
    with np.errstate(invalid="ignore"):  # from infinite to infinite: no number, too
        first, second = (np.diff(curve) for curve in curves)
    sizes = [_size(curve) for curve in curves]
    return {
        lag: _correlation(
            [first[max(-lag, 0) : n - max(lag, 0)], second[max(lag, 0) : n - max(-lag, 0)]],
            "spearman",
            sizes,
        )
        for lag in range(-most, most + 1)
    }


def rising_together(g: ArrayLike, d: ArrayLike, window: int) -> float:
    """Of the windows in which d rises, the share in which g rises too; NaN if d never rises.

    Raises:
        ValueError: for a window below 1, curves of different lengths, and values that are not
            finite numbers.

    >>> rising_together([1, 2, 1, 2], [1, 2, 3, 4], 1)
    0.666...
    """
    window = whole_number("window", window, 1)
    rises = [curve[window:] > curve[:-window] for curve in _both(g, d, finite=True)]
    return float(rises[0][rises[1]].mean()) if rises[1].any() else float("nan")


def turning(values: ArrayLike) -> int:
    """Place of the minimum of a curve's running mean over five records.

    Raises:
        ValueError: for what is not a curve of finite numbers, one or more.

    >>> turning([9, 7, 5, 3, 1, 3, 5, 7, 9])
    4
    """
    curve = real_array("values", values)
    if curve.ndim != 1 or not len(curve):
        raise ValueError(f"values are (t,), one or more, got {curve.shape}")
    # Each mean by itself: in a running sum, a spike would spoil all that follows.
    return int(sliding_window_view(np.pad(curve, 2, mode="edge"), 5).mean(axis=1).argmin())


def _both(a: ArrayLike, b: ArrayLike, *, finite: bool = False) -> list[NDArray[np.float64]]:
    curves = [real_array("the values of a curve", curve, finite=finite) for curve in (a, b)]
    shapes = [curve.shape for curve in curves]
    if curves[0].ndim != 1 or shapes[0] != shapes[1]:
        raise ValueError(f"both curves are (t,), of one length, got {shapes[0]} and {shapes[1]}")
    return curves


def _size(curve: NDArray[np.float64]) -> float:
    """The largest modulus of the finite numbers in a curve; 0 if there are none."""
    return float(np.abs(curve[np.isfinite(curve)]).max(initial=0.0))


def _correlation(
    curves: list[NDArray[np.float64]], method: str, sizes: list[float] | None = None
) -> float:
    """NaN where a curve changes by no more than rounding, or has fewer than three points.

    Rounding is measured by a curve's own size, or by that of what it was computed from.
    """
    known = ~np.isnan(curves).any(axis=0)
    curves = [curve[known] for curve in curves]
    with np.errstate(invalid="ignore"):  # a curve that is infinite throughout
        spreads = [np.ptp(curve) if len(curve) > 2 else 0.0 for curve in curves]
    least = [_ROUNDING * size for size in sizes or map(_size, curves)]
    if not (np.array(spreads) > least).all():
        return float("nan")
    one, other = map(pd.Series, curves)
    return float(one.corr(other, method=method))
