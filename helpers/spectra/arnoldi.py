"""Eigenvalues of a game's Jacobian, which may be complex, since it is not symmetric.

Berard et al. 2020, Section 5 and Appendix B, take the 20 (or 100) eigenvalues of largest
magnitude. Here they come from Arnoldi's method, with residuals, and from the end of the spectrum
that is wanted: where stability is the question, the eigenvalues of smallest real part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eig, schur
from scipy.linalg.lapack import dtrsen
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.search import EigenPairs, Small, leading_pairs
from helpers.spectra.unseen import CHANCE, Region, Size

# The size that puts eigenvalues in order, as scipy names it, and the border of those whose size
# exceeds an edge; the other half of the plane mirrors it.
_AROUND = np.linspace(0, 1, 65)
_ORDERS = {
    "LM": Region(np.abs, lambda edge, _: edge * np.exp(1j * np.pi * _AROUND)),
    "LR": Region(np.real, lambda edge, out: edge + 1.1j * out * _AROUND),
    "SR": Region(lambda values: -np.real(values), lambda edge, out: -edge + 1.1j * out * _AROUND),
    "LI": Region(
        lambda values: np.abs(np.imag(values)),
        lambda edge, out: 1.1 * out * (2 * _AROUND - 1) + 1j * edge,
    ),
}


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
    chance: float | None = CHANCE,
) -> EigenPairs:
    """The first k eigenvalues of a game's Jacobian, or any operator, in a chosen order.

    Where the operator is normal, the chance that one of them is too low, in the order, by more than
    three tolerances times the largest modulus is at most 1 in 10,000, as for `top_eigenpairs`. Far
    from normal there is no such promise, from this or any other method.

    Where the k-th is one of a conjugate pair, both are found, and the one with positive imaginary
    part is returned.

    Args:
        operator: a Jacobian, or any operator (n, n).
        k: how many, 1 to n.
        which: "LM" largest magnitude, "LR" largest real part, "SR" smallest real part, "LI"
            largest imaginary part in size.
        seed: for the random vector that the search begins with.
        tolerance: each residual is at most this times the size of its eigenvalue, or is rounding.
            On a matrix far from normal an eigenvalue's error may be much larger than its residual.
        start: (n, m) real or complex vectors near the wanted eigenvectors; as for
            `top_eigenpairs`.
        room, most, chance: as for `top_eigenpairs`.

    Raises:
        ValueError, FloatingPointError, RuntimeError: as `top_eigenpairs`.

    >>> from helpers.operators import Matrix
    >>> game_eigenvalues(Matrix([[1.0, 2.0], [-2.0, 1.0]]), 2).values.round(6)
    array([1.+2.j, 1.-2.j])
    """
    small = Small(_ORDERS, eig, _first, _wanted_schur, extra=1)
    search = (seed, tolerance, start, room, most, chance)
    return leading_pairs(operator, k, which, small, *search)


def _first(values: NDArray[Any], size: Size, k: int, rounding: float) -> NDArray[np.intp]:
    """Places of the first k values, or k + 1 where that leaves no conjugate pair split."""
    # Conjugates side by side, the one with positive imaginary part first: all else about them is
    # equal to the last bit. Others that are equal up to rounding are always in the same order.
    sizes = np.round(size(values) / (rounding or 1.0))
    order = np.lexsort((-values.imag, -values.real, np.abs(values.imag), -sizes))
    last = values[order[k - 1]]
    is_split = last.imag > 0 and len(values) > k
    return order[: k + int(is_split)]


def _wanted_schur(M: NDArray[Any], size: Size, m: int, rounding: float) -> NDArray[np.float64]:
    """(j, m or m + 1) real Schur vectors of the first m eigenvalues; no conjugate pair is split."""
    T, Z = schur(M, output="real")
    below, above = np.diag(T, -1), np.diag(T, 1)
    turning = np.where(below != 0, np.sqrt(np.abs(below)) * np.sqrt(np.abs(above)), 0)
    values = np.diag(T) + 1j * (np.append(turning, 0) - np.append(0, turning))
    chosen = np.zeros(len(T), dtype=int)
    chosen[_first(values, size, m, rounding)] = 1
    Z = dtrsen(chosen, T, Z, job="N")[1]
    return Z[:, : chosen.sum()]
