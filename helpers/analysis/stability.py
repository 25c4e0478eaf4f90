"""What kind of point is it? Stationary, locally stable, a differential Nash equilibrium.

Berard et al. 2020: Definition 1 (DNE: v = 0, both own Hessians positive definite) and Definition
2 (LSSP: v = 0, every eigenvalue of the Jacobian of v with a positive real part). The paper
infers an LSSP from the eigenvalues of largest magnitude, which misses a negative one among the
others. So here part of a spectrum can refute stability, but never show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvals, eigvalsh
from torch import Tensor

from helpers.games.game import PLAYERS, Game
from helpers.inputs import real_number, whole_number
from helpers.operators import Operator, hessian, jacobian
from helpers.spectra import game_eigenvalues, top_eigenpairs
from helpers.spectra.basis import matrix_rounding, rounding_error


@dataclass(frozen=True, eq=False)
class Classification:
    """A point of a game and the numbers that say what it is.

    A margin is the smallest real part (or eigenvalue) on which a property depends. A margin within
    its resolution, the rounding error to be expected of it, counts as zero, and then the property
    does not hold. Where only part of a spectrum is known, a property is False if that part refutes
    it, and otherwise None: not decided.
    """

    gradient_norm: float
    is_stationary: bool
    spectrum: NDArray[np.complex128]  # (n,) eigenvalues of the Jacobian, or the top (k,)
    spectrum_g: NDArray[np.float64]  # (p,) eigenvalues of G's own Hessian, or the top (k,)
    spectrum_d: NDArray[np.float64]  # (q,) of D's, or the top (k,)
    stability_resolution: float
    nash_resolution: float
    is_complete: bool  # whether the spectra are whole

    @property
    def stability_margin(self) -> float:
        """Smallest real part of the known eigenvalues of the Jacobian."""
        return float(self.spectrum.real.min())

    @property
    def nash_margin(self) -> float:
        """Smallest known eigenvalue of the two own Hessians."""
        return float(min(self.spectrum_g.min(), self.spectrum_d.min()))

    @property
    def is_lssp(self) -> bool | None:
        """Whether the point is a locally stable stationary point."""
        return self._holds(self.stability_margin, self.stability_resolution)

    @property
    def is_dne(self) -> bool | None:
        """Whether the point is a differential Nash equilibrium."""
        return self._holds(self.nash_margin, self.nash_resolution)

    def summary(self) -> dict[str, Any]:
        """The margins and what follows from them, by name, as a row of a table.

        >>> from helpers.games.closed_form import quadratic_game
        >>> pull = quadratic_game([[1.0]], [[2.0]], [[0.0]], [[0.0]])
        >>> classify(pull, [0.0, 0.0]).summary()["smallest own curvature"]
        1.0
        """
        return {
            "stationary": self.is_stationary,
            "smallest real part": self.stability_margin,
            "LSSP": self.is_lssp,
            "smallest own curvature": self.nash_margin,
            "DNE": self.is_dne,
        }

    def _holds(self, margin: float, resolution: float) -> bool | None:
        if not self.is_stationary or margin < -resolution:
            return False
        if not self.is_complete:
            return None
        return bool(margin > resolution)


def classify(
    game: Game, omega: ArrayLike | Tensor, *, tolerance: float = 1e-8, top: int | None = None
) -> Classification:
    """Say whether a point is stationary, an LSSP, a DNE, and by what margins.

    Args:
        game: any game.
        omega: (p + q,) the point.
        tolerance: largest norm of the field at a point that counts as stationary.
        top: compute only this many eigenvalues of each matrix, the largest in magnitude, by
            Arnoldi's and Lanczos' methods, as Berard et al. do for nets. By default all of them are
            computed, from dense matrices.

    Raises:
        ValueError: for a bad point, a negative tolerance, and a top that is not from 1 to p and q.
        FloatingPointError: for a field or a Jacobian that is not finite at the point.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> saddle = classify(rotating_saddle(), [1.0, 1.0, 0.0])
    >>> saddle.is_lssp, saddle.is_dne
    (True, False)
    """
    tolerance = real_number("tolerance", tolerance, least=0)
    norm = float(game.vector_field(game.one_point(omega)).norm())
    if not np.isfinite(norm):
        raise FloatingPointError(f"the field of {game.name} has the norm {norm} at this point")
    if top is None:
        (joint, error), *own = _all_eigenvalues(jacobian(game, omega), game.sizes[0])
    else:
        top = whole_number(f"top in {game.name}", top, 1, min(game.sizes))
        joint, error = _top_eigenvalues(top, jacobian(game, omega))
        own = [_top_eigenvalues(top, hessian(game, player, omega)) for player in PLAYERS]
    return Classification(
        gradient_norm=norm,
        is_stationary=norm <= tolerance,
        spectrum=joint,
        spectrum_g=own[0][0],
        spectrum_d=own[1][0],
        stability_resolution=error,
        nash_resolution=max(error for _, error in own),
        is_complete=top is None,
    )


def _all_eigenvalues(joint: Operator, p: int) -> list[tuple[NDArray[Any], float]]:
    """Eigenvalues, with the rounding error to be expected of the one that decides.

    The own Hessians are the diagonal blocks of the Jacobian, G's of size p.
    """
    J, dtype = joint.dense().double().cpu().numpy(), joint.like.dtype
    if not np.isfinite(J).all():
        row, column = np.argwhere(~np.isfinite(J))[0]
        raise FloatingPointError(f"the Jacobian holds {J[row, column]} at {row}, {column}")
    size = matrix_rounding(J, dtype)
    values = eigvals(J)
    # The effect of rounding is tried out: if J is not diagonalisable, it far exceeds `size`.
    noise = np.random.default_rng(0).normal(size=(5, *J.shape))
    noise /= np.linalg.norm(noise, axis=(1, 2), keepdims=True)
    moved = np.linalg.eigvals(J + size * noise).real.min(axis=1) - values.real.min()
    spectra = [(values, float(10 * np.abs(moved).max() + size))]
    for H in (J[:p, :p], J[p:, p:]):
        spectra.append((eigvalsh((H + H.T) / 2), matrix_rounding(H, dtype)))
    return spectra


def _top_eigenvalues(top: int, operator: Operator) -> tuple[NDArray[Any], float]:
    """Eigenvalues of largest magnitude, with the error of a pair that nearly coincides."""
    find = top_eigenpairs if operator.symmetric else game_eigenvalues
    values = find(operator, top, "LM", tolerance=1e-10).values
    # The smallest leading eigenvalue is an upper bound on the length of a usual product.
    sizes = np.abs(values)
    rounding = rounding_error(operator.like.dtype, len(operator.like), sizes.max(), sizes.min())
    error = float(np.sqrt(rounding * sizes.max()))
    # Below its error an eigenvalue differs from call to call.
    return np.where(sizes < error, 0.0, values), error
