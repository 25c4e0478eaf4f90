"""Where a training ended, in the numbers that Berard et al. 2020 read off their figures.

Sections 5.1 and 5.2: is the point near a stationary one, does the game rotate there, is it stable,
and is it a minimum for each player? The paper sees the eigenvalues of largest modulus; for nets as
small as those of the mixture all of them are at hand, and the ones that it did not see decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from helpers.games import PLAYERS, Game
from helpers.operators import hessian, jacobian
from helpers.paths import PathProfile, sign_switches
from helpers.spectra import game_eigenvalues, top_eigenpairs
from helpers.stability import Classification, classify


@dataclass(frozen=True, eq=False)
class EndPoint:
    """A point of a game after training, and one before."""

    found: Classification
    start_norm: float  # of the field at the start
    top: int  # eigenvalues of the Jacobian that count as the leading ones

    @property
    def relative_norm(self) -> float:
        """Norm of the field in parts of that at the start."""
        return self.found.gradient_norm / self.start_norm

    @property
    def leading(self) -> NDArray[np.complex128]:
        """(top,) eigenvalues of the Jacobian, by falling modulus."""
        return self.found.spectrum[np.argsort(-np.abs(self.found.spectrum))][: self.top]

    @property
    def imaginary_share(self) -> float:
        """Largest imaginary part over largest modulus among the leading eigenvalues."""
        return float(np.abs(self.leading.imag).max() / np.abs(self.leading).max())

    @property
    def lean(self) -> float:
        """Median of Re / modulus over the leading eigenvalues: 0 on the imaginary axis."""
        return float(np.median(self.leading.real / np.abs(self.leading)))

    @property
    def lowest_leading(self) -> float:
        """Smallest real part of the leading eigenvalues, over the largest modulus."""
        return float(self.leading.real.min() / np.abs(self.leading).max())

    @property
    def lowest(self) -> float:
        """Smallest real part of all known eigenvalues, over the largest modulus."""
        return float(self.found.spectrum.real.min() / np.abs(self.leading).max())

    @property
    def negative_curvature(self) -> float:
        """Lowest eigenvalue of G's own Hessian, over its largest modulus: below 0 at a saddle."""
        own = self.found.spectrum_g
        return float(own.min() / np.abs(own).max())

    @property
    def sharpness(self) -> float:
        """Largest eigenvalue of D's own Hessian."""
        return float(self.found.spectrum_d.max())

    def numbers(self) -> dict[str, float]:
        """All of the above, and what they are made of, by name."""
        own, modulus = self.found.spectrum_g, np.abs(self.leading)
        return {
            "norm": self.found.gradient_norm,
            "relative_norm": self.relative_norm,
            "modulus": float(modulus.max()),
            "imaginary": float(np.abs(self.leading.imag).max()),
            "imaginary_share": self.imaginary_share,
            "lean": self.lean,
            "lowest_leading": self.lowest_leading,
            "lowest": self.lowest,
            "curvature_low": float(own.min()),
            "curvature_high": float(own.max()),
            "negative_curvature": self.negative_curvature,
            "sharpness": self.sharpness,
            "stable": float(self.found.is_lssp is True),
        }


def end_point(
    game: Game, start: ArrayLike | Tensor, end: ArrayLike | Tensor, *, top: int = 100
) -> EndPoint:
    """Look at the end of a training by the full spectra there.

    The end counts as stationary where the field is at most a tenth of what it was at the start.

    Args:
        game: any game whose Jacobian fits into memory.
        start, end: (p + q,) points; the field at the start must not vanish.
        top: leading eigenvalues, as many as the paper takes on the mixture.

    Raises:
        ValueError: for bad points, and a start where the field vanishes.

    >>> from helpers.games import quadratic_game
    >>> turning = quadratic_game([[0.1]], [[0.1]], [[-1.0]], [[1.0]])
    >>> end_point(turning, [1.0, 1.0], [1e-3, 0.0]).found.is_lssp
    True
    """
    start_norm = float(game.vector_field(start).norm())
    if not start_norm > 0:
        raise ValueError("the field vanishes at the start: nothing to compare the end with")
    return EndPoint(classify(game, end, tolerance=start_norm / 10), start_norm, top)


def leading_end_point(
    game: Game,
    end: ArrayLike | Tensor,
    *,
    start_norm: float,
    top: int = 20,
    own: int = 3,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> EndPoint:
    """Look at the end of a training of nets too large for a matrix, as Berard et al. 2020 do.

    The spectra are the leading eigenvalues of the Jacobian, by modulus, and the largest and the
    lowest ones of each player's Hessian: the paper's are the largest by modulus, and a player's
    lowest eigenvalue need not be among them. Part of a spectrum can refute stability, no more.

    Args:
        game: any game.
        end: (p + q,) point.
        start_norm: of the field where training began, above 0.
        top: leading eigenvalues; the paper takes 20 for MNIST.
        own: how many of each player's largest, and lowest.
        tolerance: of the residuals, in parts of the eigenvalues.
        seed: of the vectors that the searches begin with.

    Raises:
        ValueError: for bad points, and a start_norm that is not above 0.
        RuntimeError: if eigenvalues do not converge.

    >>> from helpers.games import quadratic_game
    >>> turning = quadratic_game(np.eye(3), np.eye(3), -np.eye(3), np.eye(3))
    >>> found = leading_end_point(turning, [1e-3] * 6, start_norm=1.0, top=1, own=1)
    >>> round(found.imaginary_share, 3)
    0.707
    """
    if not start_norm > 0:
        raise ValueError(f"the norm at the start must be above 0, got {start_norm}")
    options = {"tolerance": tolerance, "seed": seed}
    # So few products do not pay for a trace.
    joint = game_eigenvalues(jacobian(game, end, route="retained"), top, **options)
    spectra, errors = [], []
    for player in PLAYERS:
        operator = hessian(game, player, end, route="retained")
        found = [top_eigenpairs(operator, own, which, **options) for which in ("LA", "SA")]
        spectra.append(np.concatenate([each.values for each in found]))
        errors.append(max(each.residuals.max() for each in found))
    norm = float(game.vector_field(end).norm())
    known = Classification(
        gradient_norm=norm,
        is_stationary=norm <= start_norm / 10,
        spectrum=joint.values,
        spectrum_g=spectra[0],
        spectrum_d=spectra[1],
        stability_resolution=float(joint.residuals.max()),
        nash_resolution=float(max(errors)),
        is_complete=False,
    )
    return EndPoint(known, start_norm, top)


@dataclass(frozen=True, eq=False)
class Bump:
    """What the path-angle does near the end point, seen in the median over the end points."""

    height: float  # largest size for alpha in [0.9, 1.1]
    level: float  # median size for alpha in [0.4, 0.8]
    switches: int  # changes of sign for alpha in [0.4, 1.1]


def bump(profile: PathProfile) -> Bump:
    """Read the bump of Berard et al. 2020, Fig. 3, off a path profile.

    Raises:
        ValueError: if no alpha lies in one of the intervals.

    >>> from helpers.games import quadratic_game
    >>> from helpers.paths import path_profile
    >>> turning = quadratic_game([[0.1]], [[0.1]], [[-1.0]], [[1.0]])
    >>> alphas = np.linspace(0.4, 1.1, 8)
    >>> bump(path_profile(turning, [1.0, 1.0], [0.01, 0.0], alphas)).switches
    1
    """
    alphas, middle = profile.alphas, profile.quartiles("angle")[1]
    near = np.abs(alphas - 1) <= 0.1 + 1e-9
    before = (alphas >= 0.4 - 1e-9) & (alphas <= 0.8 + 1e-9)
    if not near.any() or not before.any():
        raise ValueError("alphas in [0.4, 0.8] and in [0.9, 1.1] are asked for")
    return Bump(
        float(np.abs(middle[near]).max()),
        float(np.median(np.abs(middle[before]))),
        sign_switches(middle[alphas >= 0.4 - 1e-9]),
    )
