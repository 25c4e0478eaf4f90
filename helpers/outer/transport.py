"""The Wasserstein distance of two sets of equally many points, and the matching behind it.

W-GAN's outer objective is this distance (Sun et al. 2020, Remark 2 on Theorem 2): by Kantorovich
and Rubinstein the supremum of mean f(x) - mean f(y) over 1-Lipschitz f is the least mean distance
over which the mass of one set can be moved to the other; and for equally many points of equal mass
some cheapest way to move it is a matching (Birkhoff).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from helpers.outer.exact import check_points


def matching(x: ArrayLike, y: ArrayLike) -> NDArray[np.intp]:
    """The matching of least total distance: y_i belongs to x[partner[i]].

    Args:
        x, y: (n,) or (n, d) real and generated points; repeats are allowed in both.

    Returns:
        (n,) partners, a permutation; of several cheapest ones, one.

    Raises:
        ValueError: for an empty set, NaN or infinite coordinates, or different shapes.
        FloatingPointError: for distances beyond the range of floats.

    >>> matching([0.0, 4.0], [3.0, 1.0])
    array([1, 0])
    """
    x, y = check_points(x, y)
    return linear_sum_assignment(_distances(y, x))[1]


def wasserstein(x: ArrayLike, y: ArrayLike) -> float:
    """The Wasserstein-1 distance of n real and n generated points: the mean over the matching.

    Arguments and errors are those of `matching`.

    >>> wasserstein([0.0, 4.0], [3.0, 1.0])
    1.0
    """
    x, y = check_points(x, y)
    distance = _distances(y, x)
    return float(distance[linear_sum_assignment(distance)].mean())


def _distances(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, n) Euclidean distances."""
    with np.errstate(over="ignore"):
        distance = np.linalg.norm(y[:, None] - x, axis=2)
    if not np.isfinite(distance).all():
        far = max(np.abs(x).max(), np.abs(y).max())
        raise FloatingPointError(f"distances of coordinates up to {far:g} are beyond floats")
    return distance
