"""The search for leading eigenpairs, of symmetric operators and of others, and its guard.

A Krylov decomposition goes where the wanted pairs' residuals are largest, and is cut back when its
room is used up. Once they are small, `helpers.spectra.unseen` looks for what was missed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.inputs import one_of, whole_number
from helpers.operators import Operator
from helpers.spectra.basis import check_product, start_vector
from helpers.spectra.krylov import Krylov
from helpers.spectra.unseen import LOW, Looks, NotConverged, Region, Size

# Share of a product outside the span above which old eigenvectors are no help as a block. On D of a
# DCGAN, whose Hessian changes much from step to step, 0.05 saved some products and 0.15 none.
_STILL = 0.1
GUARD = 12  # least products after those of a start, where its misses are not looked for


Order = Callable[[NDArray[Any], Size, int, float], NDArray[Any]]


@dataclass(frozen=True)
class Small:
    """How the eigenpairs of the small matrix M of a search are computed, ordered and kept."""

    orders: Mapping[str, Region]  # in which eigenvalues can be put, by name
    # Values (j,) and vectors (j, j) of M.
    solve: Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]
    first: Order  # places of the first k values by a size, and of one more rather than split a pair
    # Orthonormal vectors for the room of the first pairs; by default the eigenvectors themselves.
    schur: Order | None = None
    extra: int = 0  # further vectors that a pair may take


@dataclass(frozen=True, eq=False)
class EigenPairs:
    """Eigenvalues, eigenvectors, and how well they fit; complex where the operator is general."""

    values: NDArray[Any]  # (k,) in the chosen order
    vectors: Tensor  # (n, k) unit columns, orthogonal to one another for a symmetric operator
    residuals: NDArray[np.float64]  # (k,) |H x - t x|, in the units of the eigenvalues
    products: int  # number that the search took


def leading_pairs(
    operator: Operator,
    k: int,
    which: str,
    small: Small,
    seed: int,
    tolerance: float,
    start: Tensor | None,
    room: int | None,
    most: int | None,
    chance: float | None,
) -> EigenPairs:
    """The first k eigenpairs in one of `small`'s orders; see `top_eigenpairs`."""
    n = operator.shape[0]
    k, region = whole_number("k", k, 1, n), small.orders[one_of("which", which, small.orders)]
    begin, tried = _beginning(operator, start, seed)
    width = begin.shape[1]
    room, most = _limits(n, k + small.extra, width, room, most, tolerance)
    krylov = Krylov(operator, begin, room, seed)
    least = width + GUARD if tried and chance is None else 0
    looks = Looks(region, chance, seed, most)
    while True:
        direction = None
        if krylov.known >= min(n, max(k, width)):
            M, rounding = krylov.M.numpy(), krylov.seen.rounding
            values, S = small.solve(M)
            wanted = small.first(values, region.size, k, rounding)
            left = krylov.residuals(torch.from_numpy(S[:, wanted])).numpy()
            lengths = np.linalg.norm(left, axis=0)
            # Small enough, or as small as the products' rounding lets them be.
            limits = np.maximum(tolerance * np.abs(values), rounding)
            limit, low = limits[wanted], LOW * limits.max()
            # So weakly coupled to all else that a miss, too low by this much, shows there.
            is_loose = not left.size or np.linalg.norm(left, 2) <= low / 2
            converged = (lengths <= limit).all() and is_loose
            if krylov.known == n:
                break
            if not converged and krylov.products >= most:
                _raise_unconverged(lengths, values[wanted], krylov.products)
            if converged and chance is not None:
                if looks.settle(krylov, values, S, wanted, low):
                    break
                continue
            if converged and krylov.products >= least:
                break
            if converged:  # those of the start have converged; others come up behind them
                count = min(len(wanted) + 1, len(values))
                more = small.first(values, region.size, count, rounding)
                left = krylov.residuals(torch.from_numpy(S[:, more[len(wanted) :]])).numpy()
                limit = np.ones(left.shape[1])
            direction = _worst_direction(left, limit, np.iscomplexobj(values))
            if krylov.is_full:
                m = (k + small.extra + krylov.known) // 2
                if small.schur is None:
                    kept = S[:, small.first(values, region.size, m, rounding)]
                else:
                    kept = small.schur(M, region.size, m, rounding)
                krylov.cut(torch.from_numpy(kept))
        krylov.advance(direction)
    wanted = wanted[:k]
    vectors = krylov.vectors(torch.from_numpy(S[:, wanted]))
    return EigenPairs(values[wanted], vectors, lengths[:k], krylov.products + tried)


def _beginning(operator: Operator, start: Tensor | None, seed: int) -> tuple[Tensor, int]:
    """What a search begins with, (n, m'), and how many products it took to decide on it.

    Vectors that still nearly span an invariant subspace save most of the work. Where they do not,
    a block of them takes more products than a single random vector, and their sum about as many.
    A random vector is always added, for what the others may miss.
    """
    random = start_vector(operator, seed)
    if start is None:
        return random[:, None], 0
    n = operator.shape[0]
    if start.ndim != 2 or len(start) != n or not start.numel() or not start.isfinite().all():
        raise ValueError(f"start is ({n}, m) and finite, got {tuple(start.shape)}")
    columns = [start.real, start.imag] if start.is_complex() else [start]
    given = torch.cat([each.to(random) for each in columns], dim=1)[:, :n]
    span = torch.linalg.qr(given)[0]
    product = check_product(operator.matvec(given[:, -1]), 1)
    left = product - span @ (span.T @ product)
    if left.norm() <= _STILL * product.norm():
        return torch.cat([given, random[:, None]], dim=1)[:, :n], 1
    together = span.sum(dim=1)
    return (together / together.norm() + random)[:, None], 1


def _limits(
    n: int, k: int, begin: int, room: int | None, most: int | None, tolerance: float
) -> tuple[int, int]:
    """Room and most, by default or as given, all checked along with the tolerance."""
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is from 0 to below 1, got {tolerance}")
    least = min(n, 2 * k + begin + 2)
    room = min(n, max(least, 6 * k + 40)) if room is None else room
    if room < least:
        raise ValueError(f"{k} pairs from {begin} vectors need room for {least}, got {room}")
    most = 40 * k + 400 if most is None else most
    whole_number("most", most, 1)
    return min(room, n), most


def _worst_direction(left: NDArray[Any], limit: NDArray[Any], is_complex: bool) -> Tensor | None:
    """(r,) the direction in Q that most residuals (r, k) share, relative to their limits.

    None where Q is empty, or where there are no residuals: the span is exhausted.
    """
    if not left.size:
        return None
    if is_complex:
        left, limit = np.hstack([left.real, left.imag]), np.tile(limit, 2)
    U, _, _ = np.linalg.svd(left / np.maximum(limit, np.finfo(float).tiny), full_matrices=False)
    return torch.from_numpy(np.ascontiguousarray(U[:, 0]))


def _raise_unconverged(sizes: NDArray[Any], values: NDArray[Any], products: int) -> None:
    share = np.max(sizes / np.maximum(np.abs(values), np.finfo(float).tiny))
    raise NotConverged(
        f"not converged after {products} products: the worst residual is still {share:.1e} of its "
        "eigenvalue; allow more products (most), more room, or a larger tolerance"
    )
