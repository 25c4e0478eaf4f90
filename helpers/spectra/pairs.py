"""Extreme eigenvalues of a symmetric operator with their eigenvectors, fresh or followed along.

Durall et al. 2021, section 4.3 and Figures 3 and 4, track the top eigenvalues of both players'
Hessians during training. From one time to the next the eigenvectors change little: given as a warm
start they save most of the products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.basis import start_vector
from helpers.spectra.krylov import Krylov
from helpers.spectra.lanczos import check_count, check_symmetric

# The order in which eigenvalues are wanted, as scipy names it.
_ORDERS = {
    "LA": lambda values: np.argsort(-values),
    "SA": lambda values: np.argsort(values),
    "LM": lambda values: np.argsort(-np.abs(values)),
}


@dataclass(frozen=True, eq=False)
class EigenPairs:
    """Eigenvalues, eigenvectors, and how well they fit."""

    values: NDArray[np.float64]  # (k,) in the order asked for
    vectors: Tensor  # (n, k) orthonormal columns
    residuals: NDArray[np.float64]  # (k,) |H x - t x|, in the units of the eigenvalues
    products: int  # that it took


def top_eigenpairs(
    operator: Operator,
    k: int,
    which: str = "LA",
    *,
    seed: int = 0,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    room: int | None = None,
    most: int | None = None,
) -> EigenPairs:
    """The k first eigenpairs of a symmetric operator in an order.

    Args:
        operator: a Hessian, or any symmetric operator (n, n).
        k: how many, 1 to n.
        which: "LA" largest algebraic, "SA" smallest algebraic, "LM" largest in magnitude.
        seed: of the random vector that the search begins with.
        tolerance: each residual is at most this times the size of its eigenvalue, or rounding.
        start: (n, m) vectors near the wanted ones, the eigenvectors of an earlier point for
            instance; any spanning set will do.
        room: basis vectors held at once, before the basis is cut back; 6 k + 40 by default.
        most: products after which to give up; 40 k + 400 by default.

    Raises:
        ValueError: for an operator that is not symmetric, a k out of range, an unknown order, a
            negative tolerance, a start of another shape, too little room.
        FloatingPointError: for a product that is not finite, naming the step.
        RuntimeError: if the pairs have not converged after so many products.

    One random vector cannot tell equal eigenvalues apart: of an eigenvalue that is there several
    times, it may find one copy.

    >>> from helpers.operators import Matrix
    >>> top_eigenpairs(Matrix(torch.diag(torch.arange(9.0))), 2).values.round(4)
    array([8., 7.])
    """
    check_symmetric(operator)
    n = operator.shape[0]
    check_count("k", k, n)
    if which not in _ORDERS:
        raise ValueError(f"which is one of {', '.join(_ORDERS)}, got {which!r}")
    starts = [start_vector(operator, seed)[:, None]]
    if start is not None:
        if start.ndim != 2 or len(start) != n or not start.isfinite().all():
            raise ValueError(f"start is ({n}, m) and finite, got {tuple(start.shape)}")
        starts.insert(0, start.to(starts[0]))  # the random one guards against what start misses
    begin = torch.cat(starts, dim=1)[:, :n]
    room, most = check_limits(n, k, begin.shape[1], room, most, tolerance)
    krylov = Krylov(operator, begin, room, seed)
    order = _ORDERS[which]
    while True:
        ready = krylov.known >= min(n, max(k, begin.shape[1]))
        direction = None
        if ready:
            values, S = np.linalg.eigh((krylov.M + krylov.M.T).numpy() / 2)
            wanted = order(values)[:k]
            left = krylov.residuals(torch.from_numpy(S[:, wanted])).numpy()
            sizes = np.linalg.norm(left, axis=0)
            limit = converged_at(values[wanted], tolerance, krylov)
            if (sizes <= limit).all() or krylov.known == n:
                break
            if krylov.products >= most:
                raise_unconverged(sizes, values[wanted], krylov.products)
            direction = worst_direction(left, limit)
            if krylov.is_full:
                keep = order(values)[: (k + krylov.known) // 2]
                krylov.cut(torch.from_numpy(S[:, keep]))
        krylov.advance(direction)
    vectors = krylov.vectors(torch.from_numpy(S[:, wanted]))
    return EigenPairs(values[wanted], vectors, sizes, krylov.products)


def check_limits(
    n: int, k: int, begin: int, room: int | None, most: int | None, tolerance: float
) -> tuple[int, int]:
    """Room and most, by default or checked, and the tolerance checked."""
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is from 0 to below 1, got {tolerance}")
    least = min(n, 2 * k + begin + 2)
    room = min(n, max(least, 6 * k + 40)) if room is None else room
    if room < least:
        raise ValueError(f"{k} pairs from {begin} vectors need room for {least}, got {room}")
    most = 40 * k + 400 if most is None else most
    check_count("most", most, 2**31)
    return min(room, n), most


def converged_at(values: NDArray, tolerance: float, krylov: Krylov) -> NDArray[np.float64]:
    """(k,) residuals that are small enough, or as small as the products' rounding lets them be."""
    eps = torch.finfo(krylov.operator.dtype).eps
    return np.maximum(tolerance * np.abs(values), 10 * eps * krylov.scale)


def worst_direction(left: NDArray, limit: NDArray) -> Tensor:
    """(r,) the direction in Q that most of the residuals (r, k) have in common, by their limits."""
    U, _, _ = np.linalg.svd(left / np.maximum(limit, np.finfo(float).tiny), full_matrices=False)
    common = U[:, 0]
    return torch.from_numpy(np.ascontiguousarray(common))


def raise_unconverged(sizes: NDArray, values: NDArray, products: int) -> None:
    """Say how far a search came that ran out of products."""
    share = np.max(sizes / np.maximum(np.abs(values), np.finfo(float).tiny))
    raise RuntimeError(
        f"not converged after {products} products: the worst residual is still {share:.1e} of its "
        "eigenvalue; allow more products (most), more room, or a larger tolerance"
    )
