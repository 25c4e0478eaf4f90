"""Is there a stationary point near a given one? A search by least squares, with exact Jacobians.

Training may stay near a stationary point, or where there is none. Points of games of networks lie
on flat directions and have copies by symmetry, so that the Jacobian is singular and Newton's method
has no unique step; Levenberg and Marquardt's takes the shortest that serves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import leastsq
from torch import Tensor

from helpers.games.game import Game
from helpers.inputs import real_array, real_number, whole_number
from helpers.operators import jacobian

_SMALL = 1e-15  # changes below this part end the search
_STEP = 0.1  # part of the start's length that the first step has at most: a nearby point is sought
_OVER = 5  # MINPACK's code for a search that was cut off


@dataclass(frozen=True, eq=False)
class Rest:
    """Where a search for a stationary point ended."""

    point: Tensor  # (n,) in double precision
    residual: float  # norm of the field there
    distance: float  # from the start
    # "rest": the residual is within the tolerance. "stuck": no small step makes the field shorter.
    # "away": it left the ball in which it was to search, whatever it found outside. "cut off": it
    # was stopped before.
    ending: str

    @property
    def is_stationary(self) -> bool:
        """Whether the field is zero there, within the tolerance."""
        return self.ending == "rest"


class _Away(Exception):
    """The search has left its ball."""

    def __init__(self, omega: NDArray[np.float64]) -> None:
        super().__init__()
        self.omega = omega.copy()


def find_rest(
    game: Game,
    start: ArrayLike | Tensor,
    *,
    tolerance: float = 1e-10,
    within: float | None = None,
    most: int = 200,
) -> Rest:
    """Search for a stationary point from a start, by scipy's leastsq (MINPACK).

    The search lowers the norm of the field. Its steps begin at a tenth of the start's length or
    less, and grow where they succeed. It may end far away: whether the point that it finds has to
    do with the start, the caller has to say.

    Args:
        game: any game.
        start: (n,) a point.
        tolerance: largest norm of the field that counts as stationary.
        within: the search ends once it is farther than this from the start.
        most: points to try at most.

    Raises:
        ValueError: for a bad start, a tolerance or a within not above 0, and a most below 1.
        FloatingPointError: if the field is not finite at the start or where the search ends.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> found = find_rest(rotating_saddle(), [0.9, 1.1, 0.1])
    >>> found.is_stationary, found.point.numpy().round(6) + 0.0
    (True, array([1., 1., 0.]))
    """
    given = start if isinstance(start, Tensor) else real_array("start", start)
    first = game.one_point(given).to(torch.float64).cpu().numpy()
    tolerance = real_number("tolerance", tolerance, above=0)
    within = np.inf if within is None else real_number("within", within, above=0)
    most = whole_number("most", most, 1)

    def field(omega: NDArray[np.float64]) -> NDArray[np.float64]:
        return game.unchecked_field(torch.from_numpy(omega.copy())).numpy()

    def slope(omega: NDArray[np.float64]) -> NDArray[np.float64]:
        if np.linalg.norm(omega - first) > within:
            raise _Away(omega)
        return jacobian(game, omega).dense().numpy()

    if not np.isfinite(field(first)).all():
        raise FloatingPointError(f"the field of {game.name} is not finite at the start")
    limits = {"xtol": _SMALL, "ftol": _SMALL, "gtol": _SMALL, "maxfev": most, "factor": _STEP}
    lengths = np.ones_like(first)  # all weights are measured in the same unit
    try:
        last, *_, code = leastsq(field, first, Dfun=slope, full_output=True, diag=lengths, **limits)
        ending = "cut off" if code == _OVER else "stuck"
    except _Away as away:
        last, ending = away.omega, "away"
    residual = float(np.linalg.norm(field(last))) if np.isfinite(last).all() else np.nan
    if not np.isfinite(residual):
        raise FloatingPointError(f"the field of {game.name} is not finite where the search ended")
    distance = float(np.linalg.norm(last - first))
    if distance > within:  # MINPACK may end with a step for which it wants no slope
        ending = "away"
    elif residual <= tolerance:
        ending = "rest"
    return Rest(torch.from_numpy(last), residual, distance, ending)
