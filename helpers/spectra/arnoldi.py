"""Eigenvalues of the game's Jacobian, which is not symmetric, so that they may be complex.

Berard et al. 2020, Section 5 and Appendix B, take the 20 (or 100) eigenvalues of largest
magnitude. They come from Arnoldi's method here, with residuals, and with the part of the spectrum
that one asks for: where stability is the question, that is the part of smallest real part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eig, schur
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.basis import start_vector
from helpers.spectra.krylov import Krylov
from helpers.spectra.lanczos import check_count
from helpers.spectra.pairs import check_limits, converged_at, raise_unconverged, worst_direction

# The size by which eigenvalues are wanted first, as scipy names it.
_SIZES = {
    "LM": np.abs,
    "LR": np.real,
    "SR": lambda values: -np.real(values),
    "LI": lambda values: np.abs(np.imag(values)),
}


@dataclass(frozen=True, eq=False)
class GameEigenvalues:
    """Eigenvalues of a general operator, and how well they fit."""

    values: NDArray[np.complex128]  # (k,) in the order asked for
    vectors: Tensor  # (n, k) complex unit columns
    residuals: NDArray[np.float64]  # (k,) |J x - t x|, in the units of the eigenvalues
    products: int  # that it took


def game_eigenvalues(
    operator: Operator,
    k: int,
    which: str = "LM",
    *,
    seed: int = 0,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    room: int | None = None,
    most: int | None = None,
) -> GameEigenvalues:
    """The k first eigenvalues of a game's Jacobian, or any operator, in an order.

    Where the k-th is one of a conjugate pair, both are found, and the one with positive imaginary
    part is returned.

    Args:
        operator: a Jacobian, or any operator (n, n).
        k: how many, 1 to n.
        which: "LM" largest magnitude, "LR" largest real part, "SR" smallest real part, "LI"
            largest imaginary part in size.
        seed: of the random vector that the search begins with.
        tolerance: each residual is at most this times the size of its eigenvalue, or rounding.
            On a matrix far from normal an eigenvalue's error may be much larger than its residual.
        start: (n, m) real or complex vectors near the wanted eigenvectors.
        room, most: as for `top_eigenpairs`.

    Raises:
        ValueError, FloatingPointError, RuntimeError: as `top_eigenpairs`.

    >>> from helpers.operators import Matrix
    >>> game_eigenvalues(Matrix([[1.0, 2.0], [-2.0, 1.0]]), 2).values.round(6)
    array([1.+2.j, 1.-2.j])
    """
    n = operator.shape[0]
    check_count("k", k, n)
    if which not in _SIZES:
        raise ValueError(f"which is one of {', '.join(_SIZES)}, got {which!r}")
    size = _SIZES[which]
    starts = [start_vector(operator, seed)[:, None]]
    if start is not None:
        if start.ndim != 2 or len(start) != n or not start.isfinite().all():
            raise ValueError(f"start is ({n}, m) and finite, got {tuple(start.shape)}")
        parts = [start.real, start.imag] if start.is_complex() else [start]
        starts = [each.to(starts[0]) for each in parts] + starts
    begin = torch.cat(starts, dim=1)[:, :n]
    room, most = check_limits(n, k + 1, begin.shape[1], room, most, tolerance)
    krylov = Krylov(operator, begin, room, seed)
    while True:
        direction = None
        if krylov.known >= min(n, max(k, begin.shape[1])):
            M = krylov.M.numpy()
            values, S = eig(M)
            wanted = _first(values, size, k)
            left = krylov.residuals(torch.from_numpy(S[:, wanted])).numpy()
            sizes = np.linalg.norm(left, axis=0)
            limit = converged_at(values[wanted], tolerance, krylov)
            if (sizes <= limit).all() or krylov.known == n:
                break
            if krylov.products >= most:
                raise_unconverged(sizes, values[wanted], krylov.products)
            direction = worst_direction(np.hstack([left.real, left.imag]), np.tile(limit, 2))
            if krylov.is_full:
                krylov.cut(torch.from_numpy(_wanted_schur(M, size, (k + 1 + krylov.known) // 2)))
        krylov.advance(direction)
    wanted = wanted[:k]
    vectors = krylov.vectors(torch.from_numpy(S[:, wanted]))
    return GameEigenvalues(values[wanted], vectors, sizes[:k], krylov.products)


def _first(values: NDArray, size: object, k: int) -> NDArray[np.intp]:
    """Places of the first k values, or k + 1 where that leaves no conjugate pair split."""
    # Conjugates side by side, the one with positive imaginary part first.
    order = np.lexsort((-values.imag, np.abs(values.imag), -np.round(size(values), 12)))
    last = values[order[k - 1]]
    is_split = last.imag > 0 and len(values) > k
    return order[: k + int(is_split)]


def _wanted_schur(M: NDArray, size: object, m: int) -> NDArray[np.float64]:
    """(j, about m) real Schur vectors of the m first eigenvalues; no conjugate pair is split."""
    values = np.linalg.eigvals(M)
    edge = np.sort(size(values))[::-1][min(m, len(values)) - 1]
    slack = 1e-9 * np.abs(values).max()
    _, Z, count = schur(M, output="real", sort=lambda x, y: size(complex(x, y)) >= edge - slack)
    return Z[:, :count]
