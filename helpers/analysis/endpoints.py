"""Where a training ended, in the numbers that Berard et al. 2020 read off their figures.

Sections 5.1 and 5.2: is the point near a stationary one, does the game rotate there, is it stable,
and is it a minimum for each player? The paper looks at the eigenvalues of largest modulus. For nets
as small as those of the mixture all are at hand, and those that the paper did not see decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from helpers.analysis.paths import ROUNDING, PathProfile, sign_switches
from helpers.analysis.stability import Classification, classify
from helpers.games.game import PLAYERS, Game
from helpers.inputs import real_number, whole_number
from helpers.operators import hessian, jacobian
from helpers.spectra import EigenPairs, NotConverged, game_eigenvalues, top_eigenpairs


@dataclass(frozen=True, eq=False)
class EndPoint:
    """A point of a game after training, and the field's norm at the start."""

    classification: Classification
    start_norm: float  # of the field at the start
    top: int  # number of eigenvalues of the Jacobian that count as leading

    @property
    def leading(self) -> NDArray[np.complex128]:
        """(top,) eigenvalues of the Jacobian, by decreasing modulus."""
        values = self.classification.spectrum
        return values[np.argsort(-np.abs(values))][: self.top]

    def summary(self) -> dict[str, float]:
        """The numbers of Berard et al. 2020, Sections 5.1 and 5.2, by name.

        Divided by the largest modulus are "imaginary_share", "lowest_leading" (the least real part
        of the leading eigenvalues) and "lowest" (that of all known ones). "negative_curvature" is
        G's lowest own eigenvalue over the largest modulus of its own: below 0 at a saddle. "lean"
        is that of the leading ones, by `lean_of`; "sharpness" is D's largest own eigenvalue.
        """
        at, leading = self.classification, self.leading
        moduli, own = np.abs(leading), at.spectrum_g
        numbers = {
            "norm": at.gradient_norm,
            "relative_norm": at.gradient_norm / self.start_norm,
            "modulus": moduli.max(),
            "imaginary": np.abs(leading.imag).max(),
            "imaginary_share": np.abs(leading.imag).max() / moduli.max(),
            "lean": lean_of(leading),
            "lowest_leading": leading.real.min() / moduli.max(),
            "lowest": at.spectrum.real.min() / moduli.max(),
            "curvature_low": own.min(),
            "curvature_high": own.max(),
            "negative_curvature": own.min() / np.abs(own).max(),
            "sharpness": at.spectrum_d.max(),
            "stable": at.is_lssp is True,
        }
        return {name: float(value) for name, value in numbers.items()}


def lean_of(leading: ArrayLike) -> float:
    """The median of Re / modulus of leading eigenvalues of a real matrix: 0 on the imaginary axis.

    A list of the first k may end between two conjugates. The second one then counts as well: a
    median over half a pair could fall between that half and a real eigenvalue, where there is none.

    Args:
        leading: (k,) eigenvalues, conjugates equal to the last bit; zeros do not count.

    >>> lean_of([3j, -3j, 2.0, 1j])
    0.0
    """
    values = np.asarray(leading, dtype=np.complex128)
    values = np.append(values, values.conj()[~np.isin(values.conj(), values)])
    values = values[values != 0]
    return float(np.median(values.real / np.abs(values))) if len(values) else float("nan")


def end_point(
    game: Game, start: ArrayLike | Tensor, end: ArrayLike | Tensor, *, top: int = 100
) -> EndPoint:
    """Analyse the end of a training by the full spectra there.

    The end counts as stationary where the field is at most a tenth of what it was at the start.

    Args:
        game: any game whose Jacobian fits into memory.
        start, end: (p + q,) points, one of each; the field at the start must not vanish.
        top: number of leading eigenvalues; the default is the paper's for the mixture.

    Raises:
        ValueError: for bad points, batches of them, a start where the field vanishes, and a top
            below 1.
        FloatingPointError: for a field that is not finite at the start, and as `classify`.

    >>> from helpers.games.closed_form import quadratic_game
    >>> turning = quadratic_game([[0.1]], [[0.1]], [[-1.0]], [[1.0]])
    >>> end_point(turning, [1.0, 1.0], [1e-3, 0.0]).classification.is_lssp
    True
    """
    top = whole_number("top", top, 1)
    start_norm = float(game.vector_field(game.one_point(start)).norm())
    if not np.isfinite(start_norm):
        raise FloatingPointError(f"the field of {game.name} has the norm {start_norm} at the start")
    if not start_norm > 0:
        raise ValueError("the field vanishes at the start: nothing to compare the end with")
    return EndPoint(classify(game, end, tolerance=start_norm / 10), start_norm, top)


def leading_end_point(
    game: Game,
    end: ArrayLike | Tensor,
    *,
    start_norm: float,
    top: int = 20,
    tolerance: float = 1e-2,
    lenient: bool = False,
) -> EndPoint:
    """Analyse the end of a training of nets too large for a matrix, as Berard et al. 2020 do.

    The spectra are the leading eigenvalues of the Jacobian, by modulus, and the largest and the
    lowest eigenvalue of each player's Hessian. The paper takes the largest by modulus, and a
    player's lowest eigenvalue need not be among them. Part of a spectrum can only refute stability.

    Args:
        game: any game.
        end: (p + q,) point.
        start_norm: norm of the field where training began, above 0.
        top: number of leading eigenvalues; the paper takes 20 for MNIST.
        tolerance: bound on the residuals, relative to the eigenvalues.
        lenient: whether a search that fails gives NaN, in its place of the spectra.

    Raises:
        ValueError: for bad points, and a start_norm that is not finite and above 0.
        RuntimeError: if eigenvalues do not converge, unless lenient.

    >>> from helpers.games.closed_form import quadratic_game
    >>> turning = quadratic_game(np.eye(3), np.eye(3), -np.eye(3), np.eye(3))
    >>> end = leading_end_point(turning, [1e-3] * 6, start_norm=1.0, top=1)
    >>> round(end.summary()["imaginary_share"], 3)
    0.707
    """
    start_norm = real_number("start_norm", start_norm, above=0)
    find = searched if lenient else _found
    # A trace does not pay for so few products.
    operator = jacobian(game, end, route="retained")
    joint, errors = find(partial(game_eigenvalues, operator, top, tolerance=tolerance), top)
    spectra, residuals = [], []
    for player in PLAYERS:
        operator = hessian(game, player, end, route="retained")
        ends = [
            find(partial(top_eigenpairs, operator, 1, which, tolerance=tolerance), 1)
            for which in ("LA", "SA")
        ]
        spectra.append(np.concatenate([values.real for values, _ in ends]))
        residuals += [error.max() for _, error in ends]
    norm = float(game.vector_field(end).norm())
    known = Classification(
        gradient_norm=norm,
        is_stationary=norm <= start_norm / 10,
        spectrum=joint,
        spectrum_g=spectra[0],
        spectrum_d=spectra[1],
        stability_resolution=float(errors.max()),
        nash_resolution=float(np.fmax.reduce(residuals)),
        is_complete=False,
    )
    return EndPoint(known, start_norm, top)


def searched(search: Callable[[], EigenPairs], k: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """(k,) eigenvalues that a search finds, and their residuals; NaN where it fails.

    It fails where it does not converge, or meets products that are not finite.

    >>> from helpers.operators import Matrix
    >>> searched(lambda: top_eigenpairs(Matrix([[2.0]]), 1), 1)[0].round(6)
    array([2.])
    """
    found = pairs_or_none(search)
    if found is None:
        # Of a real NaN the imaginary part would be 0, a number like any other.
        return np.full(k, complex(np.nan, np.nan)), np.full(k, np.nan)
    return found.values, found.residuals


def pairs_or_none(search: Callable[[], EigenPairs]) -> EigenPairs | None:
    """What a search finds, vectors included; None where it fails, as `searched` says.

    >>> from helpers.operators import Matrix
    >>> pairs_or_none(lambda: top_eigenpairs(Matrix([[2.0]]), 1)).vectors.shape
    torch.Size([1, 1])
    """
    try:
        return search()
    except (NotConverged, FloatingPointError):
        return None


def _found(search: Callable[[], EigenPairs], _: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    found = search()
    return found.values, found.residuals


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

    >>> from helpers.games.closed_form import quadratic_game
    >>> from helpers.analysis.paths import path_profile
    >>> turning = quadratic_game([[0.1]], [[0.1]], [[-1.0]], [[1.0]])
    >>> alphas = np.linspace(0.4, 1.1, 8)
    >>> bump(path_profile(turning, [1.0, 1.0], [0.01, 0.0], alphas)).switches
    1
    """
    alphas, middle = profile.alphas, profile.quartiles("angle")[1]
    near = np.abs(alphas - 1) <= 0.1 + ROUNDING
    late = alphas >= 0.4 - ROUNDING
    before = late & (alphas <= 0.8 + ROUNDING)
    if not near.any() or not before.any():
        raise ValueError("alphas must reach into [0.4, 0.8] and into [0.9, 1.1]")
    return Bump(
        float(np.abs(middle[near]).max()),
        float(np.median(np.abs(middle[before]))),
        sign_switches(middle[late & (alphas <= 1.1 + ROUNDING)]),
    )
