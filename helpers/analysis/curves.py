"""How two curves over a training are related, and where one turns."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.ndimage import uniform_filter1d

from helpers.inputs import shown


def correlations(g: ArrayLike, d: ArrayLike) -> dict[str, float]:
    """How two curves of positive numbers go together, in the readings that a paper may have meant.

    Durall et al. 2021 print one number per data set and do not say what is correlated. A trend that
    both curves share makes "levels", "logs" and "ranks" large. It does not affect "changes", those
    of the logs from one record to the next. NaN where a curve does not change, or has fewer than
    three points.

    Args:
        g, d: (t,) positive values along one training.

    Raises:
        ValueError: for curves of different lengths, and values that are not positive.

    >>> readings = correlations([1.0, 2.0, 4.0, 8.0], [1.0, 3.0, 9.0, 27.0])
    >>> {name: round(value, 2) for name, value in readings.items()}
    {'levels': 0.99, 'logs': 1.0, 'ranks': 1.0, 'changes': nan}
    """
    g, d = np.asarray(g, dtype=np.float64), np.asarray(d, dtype=np.float64)
    if g.shape != d.shape or g.ndim != 1 or not (min(g.min(), d.min()) > 0):
        raise ValueError(f"both curves are (t,) positive numbers, got {shown(g)} and {shown(d)}")
    logs = np.log(g), np.log(d)
    return {
        "levels": _correlation(g, d, "pearson"),
        "logs": _correlation(logs[0], logs[1], "pearson"),
        "ranks": _correlation(g, d, "spearman"),
        "changes": _correlation(np.diff(logs[0]), np.diff(logs[1]), "pearson"),
    }


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's correlation of two curves, NaN where one does not change.

    >>> rank_correlation([1, 2, 3], [5, 4, 0])
    -1.0
    """
    return _correlation(a, b, "spearman")


def rank_correlation_of_changes(a: ArrayLike, b: ArrayLike, apart: int) -> float:
    """Spearman's correlation of the changes of two curves over a number of records.

    A trend that both share makes `rank_correlation` large, but not this one.

    >>> rank_correlation_of_changes([0, 1, 3, 6], [0, 3, 5, 6], 1)
    -1.0
    """
    one, other = (np.asarray(curve, dtype=float) for curve in (a, b))
    return rank_correlation(one[apart:] - one[:-apart], other[apart:] - other[:-apart])


def rising_together(g: ArrayLike, d: ArrayLike, window: int) -> float:
    """Of the windows in which d rises, the share in which g rises too; NaN if d never rises.

    >>> rising_together([1, 2, 1, 2], [1, 2, 3, 4], 1)
    0.666...
    """
    rises = [np.asarray(c)[window:] > np.asarray(c)[:-window] for c in (g, d)]
    return float(rises[0][rises[1]].mean()) if rises[1].any() else float("nan")


def turning(values: ArrayLike) -> int:
    """Place of the minimum of a curve's running mean over five records.

    >>> turning([9, 7, 5, 3, 1, 3, 5, 7, 9])
    4
    """
    return int(uniform_filter1d(np.asarray(values, dtype=float), 5, mode="nearest").argmin())


def _correlation(a: ArrayLike, b: ArrayLike, method: str) -> float:
    """NaN where a curve changes by no more than rounding, or has fewer than three points."""
    one, other = pd.Series(a, dtype=float), pd.Series(b, dtype=float)
    spread = min(np.ptp(one), np.ptp(other)) if len(one) > 2 else 0.0
    scale = max(one.abs().max(), other.abs().max())
    return float(one.corr(other, method=method)) if spread > 1e-12 * scale else float("nan")
