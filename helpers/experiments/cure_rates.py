"""How fast cures converge on the smallest games, exactly: spectral radii of their iterations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame

from helpers.analysis import turns, update_matrix
from helpers.experiments.cure_training import (
    LOOK_BACK,
    METHODS,
    MOMENTUM,
    UNROLLED,
    Setting,
    gradients_of,
)
from helpers.inputs import one_of, real_array, real_number

SPEEDS = (1.0, 0.5, 0.25)  # with one alone, a method might have a rate that suits just that one
_DAMPING = 0.5  # of D, as a penalty on its slope gives it


def pull(speed: float, damping: float = 0.0) -> NDArray[np.float64]:
    """(2, 2) Jacobian of two players with one weight each: v = (speed y, -speed x + damping y).

    >>> pull(1.0).tolist()
    [[0.0, 1.0], [-1.0, 0.0]]
    """
    return np.array([[0.0, speed], [-speed, damping]])


# Games of three pairs of weights, which do not interact: mere rotations, and damped ones.
SMALLEST: Mapping[str, Sequence[NDArray[np.float64]]] = MappingProxyType(
    {
        "bilinear": [pull(speed) for speed in SPEEDS],
        "damped": [pull(speed, _DAMPING) for speed in SPEEDS],
    }
)
LINEAR = tuple(method for method in METHODS if method != "nudged")
_RATES = np.geomspace(0.02, 2.0, 161)
_SLACK = 1e-9  # of a radius, for rounding


def iteration_matrix(J: ArrayLike, method: str, rate: float) -> NDArray[np.float64]:
    """(m, m) what an iteration of a method does to a point of a linear game, and to what it keeps.

    One iteration is one step of each player; for "lookahead" it is all iterations until the step
    back, and that step. Settings are those of the two clusters in
    `helpers.experiments.cure_training`.

    Args:
        J: (2, 2) Jacobian of a game of two players with one weight each.
        method: one of `LINEAR`.
        rate: of both players.

    Raises:
        ValueError: for another shape or method, and a rate that is not above 0.
        FloatingPointError: for a rate so large that the matrix is not finite.

    >>> iteration_matrix([[0.0, 1.0], [-1.0, 0.0]], "consensus", 0.5)  # 1 - rate weight, rate
    array([[ 0.95, -0.5 ],
           [ 0.5 ,  0.95]])
    """
    one_of("method", method, LINEAR)
    J, rate = real_array("J", J), real_number("rate", rate, above=0)
    if J.shape != (2, 2):
        raise ValueError(f"J is (2, 2), got {J.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        whole = _matrix(J, method, rate)
    if not np.isfinite(whole).all():
        raise FloatingPointError(f"at a rate of {rate:g} the matrix of {method} is not finite")
    return whole


def _matrix(J: NDArray[np.float64], method: str, rate: float) -> NDArray[np.float64]:
    rates = [rate, rate]
    if method in ("in turn", "lookahead"):
        whole = update_matrix(J, 1, "alternating", rates)
        if method == "in turn":
            return whole
        every, share = LOOK_BACK
        return (1 - share) * np.eye(2) + share * np.linalg.matrix_power(whole, every)
    if method == "negative momentum":
        return turns(J, 1, rate=rate, momentum=MOMENTUM)
    if method in ("extragradient", "optimistic"):
        return update_matrix(J, 1, method, rates)
    if method == "consensus":
        J = J + Setting(method=method).protocol.consensus * J.T @ J
    elif method == "unrolled":
        J = _unrolled(J, rate)
    return update_matrix(J, 1, "simultaneous", rates)


def _unrolled(J: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """The Jacobian once G meets D as it will be: `helpers.games.unrolled_game` of a linear game."""
    (own, of_d), (of_g, curvature) = J
    shrunk = 1 - rate * curvature  # what a step of D leaves of its weight
    answer = -rate * of_g * sum(shrunk**step for step in range(UNROLLED))  # to G's weight
    return np.array([[own + 2 * of_d * answer, of_d * shrunk**UNROLLED], [of_g, curvature]])


def radius(J: ArrayLike, method: str, rate: float) -> float:
    """By what the distance to the solution is multiplied in each iteration, in the long run.

    This is the spectral radius of `iteration_matrix`; for "lookahead" its root, so that it is of
    one step of each player. Above 1 the method runs away.

    Arguments and errors are those of `iteration_matrix`.

    >>> round(radius([[0.0, 1.0], [-1.0, 0.0]], "at once", 0.5) ** 2, 9)  # 1 + rate^2
    1.25
    """
    values = np.linalg.eigvals(iteration_matrix(J, method, rate))
    largest = float(np.abs(values).max())
    return largest ** (1 / LOOK_BACK[0]) if method == "lookahead" else largest


@cache
def exact_rates() -> DataFrame:
    """Each method on each of the `SMALLEST` games, at its best rate: a row each.

    Columns: "game"; "method"; "rate", the best of 161 from 0.02 to 2; "radius" at that rate, the
    largest of the three pairs of weights;
    "per_gradient", its root by the gradients that an iteration takes; and "halving", the gradients
    in which the distance halves, infinite where it does not shrink.

    >>> found = exact_rates().set_index(["game", "method"])["per_gradient"]
    >>> bool(found["bilinear", "extragradient"] < 1 < found["bilinear", "at once"])
    True
    """
    rows = []
    for game, parts in SMALLEST.items():
        for method in LINEAR:
            radii = np.array([max(radius(J, method, r) for J in parts) for r in _RATES])
            best = int(radii.argmin())
            per_gradient = radii[best] ** (1 / gradients_of(Setting(method=method)))
            shrinks = per_gradient < 1 - _SLACK
            halving = np.log(0.5) / np.log(per_gradient) if shrinks else np.inf
            row = {"game": game, "method": method, "rate": _RATES[best], "radius": radii[best]}
            rows.append(row | {"per_gradient": per_gradient, "halving": halving})
    return DataFrame(rows)
