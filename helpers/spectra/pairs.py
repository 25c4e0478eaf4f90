"""Extreme eigenvalues of a symmetric operator with their eigenvectors, fresh or followed along.

Durall et al. 2021, section 4.3 and Figures 3 and 4, track the top eigenvalues of both players'
Hessians during training. From one time to the next the eigenvectors change little: given as a warm
start they save most of the products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.basis import check_product, start_vector
from helpers.spectra.krylov import Krylov
from helpers.spectra.lanczos import check_count, check_symmetric
from helpers.spectra.unseen import CHANCE, LOW, Looks, NotConverged, Region

# The order in which eigenvalues are wanted, as scipy names it.
_ORDERS = {
    "LA": Region(lambda values: values, lambda edge, _: np.array([edge])),
    "SA": Region(lambda values: -values, lambda edge, _: np.array([-edge])),
    "LM": Region(np.abs, lambda edge, _: np.array([edge, -edge])),
}
# Share of a product outside the span above which old eigenvectors are no help as a block: measured
# on D of a DCGAN, whose Hessian changes much from step to step, 0.05 saved some and 0.15 none.
_STILL = 0.1
GUARD = 12  # products after those of a start, at the least, where its misses are not looked for


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
    chance: float | None = CHANCE,
) -> EigenPairs:
    """The k first eigenpairs of a symmetric operator in an order.

    Small residuals say that the values are eigenvalues, not that they are the first ones. Here they
    are that as well: the chance that one of them is low, in the order, by more than three
    tolerances times the largest modulus of the spectrum is 1 in 10,000 at the most, for every
    operator, equal and close eigenvalues included. `helpers.spectra.unseen` says why.

    Args:
        operator: a Hessian, or any symmetric operator (n, n).
        k: how many, 1 to n.
        which: "LA" largest algebraic, "SA" smallest algebraic, "LM" largest in magnitude.
        seed: of the random vector that the search begins with.
        tolerance: each residual is at most this times the size of its eigenvalue, or rounding.
        start: (n, m) vectors near the wanted ones, the eigenvectors of an earlier point for
            instance. One product tries whether the last of them still spans with the others what
            it spanned: if so all are kept, if not their sum is what the search begins with.
        room: basis vectors held at once, before the basis is cut back; 6 k + 40 by default. What
            looks for misses holds as many vectors besides as it takes products.
        most: products after which to give up; 40 k + 400 by default.
        chance: of a miss, at the most, over the seeds. None spares the products of making sure,
            and finds now and then, without a word, the second eigenvalue for the first.

    Raises:
        ValueError: for an operator that is not symmetric, a k out of range, an unknown order, a
            negative tolerance, a start of another shape, too little room, a chance that is none.
        FloatingPointError: for a product that is not finite, naming the step.
        NotConverged: a RuntimeError, if the pairs have not after so many products, or if it is
            not settled whether one was missed.

    >>> from helpers.operators import Matrix
    >>> top_eigenpairs(Matrix(torch.diag(torch.arange(9.0))), 2).values.round(4)
    array([8., 7.])
    """
    check_symmetric(operator)
    n = operator.shape[0]
    check_count("k", k, n)
    if which not in _ORDERS:
        raise ValueError(f"which is one of {', '.join(_ORDERS)}, got {which!r}")
    begin, tried = beginning(operator, start, seed)
    room, most = check_limits(n, k, begin.shape[1], room, most, tolerance)
    krylov = Krylov(operator, begin, room, seed)
    least = begin.shape[1] + GUARD if tried and chance is None else 0
    region = _ORDERS[which]
    looks = Looks(region, chance, seed, most)
    while True:
        direction = None
        if krylov.known >= min(n, max(k, begin.shape[1])):
            values, S = np.linalg.eigh((krylov.M + krylov.M.T).numpy() / 2)
            order = np.argsort(-region.size(values))
            wanted = order[:k]
            left = krylov.residuals(torch.from_numpy(S[:, wanted])).numpy()
            sizes = np.linalg.norm(left, axis=0)
            limit = converged_at(values[wanted], tolerance, krylov)
            low = LOW * converged_at(values, tolerance, krylov).max()
            converged = (sizes <= limit).all() and is_loose(left, low)
            if krylov.known == n:
                break
            if not converged and krylov.products >= most:
                raise_unconverged(sizes, values[wanted], krylov.products)
            if converged and chance is not None:
                if looks.settle(krylov, values, S, wanted, low):
                    break
                continue
            if converged and krylov.products >= least:
                break
            if converged:  # those of the start have; others come up behind them
                left = krylov.residuals(torch.from_numpy(S[:, order[k : k + 1]])).numpy()
            direction = worst_direction(left, limit if not converged else np.ones(1))
            if krylov.is_full:
                krylov.cut(torch.from_numpy(S[:, order[: (k + krylov.known) // 2]]))
        krylov.advance(direction)
    vectors = krylov.vectors(torch.from_numpy(S[:, wanted]))
    return EigenPairs(values[wanted], vectors, sizes, krylov.products + tried)


def beginning(operator: Operator, start: Tensor | None, seed: int) -> tuple[Tensor, int]:
    """What a search begins with, (n, m'), and how many products it took to decide on it.

    Vectors that still nearly span an invariant subspace save most of the work. Where they do not,
    a block of them takes more products than a single random vector, and their sum about as many.
    A random vector is always in it, for what the others may miss.

    Raises:
        ValueError: for a start of another shape, or one that is not finite.
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


def is_loose(left: NDArray[Any], low: float) -> bool:
    """Whether Ritz pairs with residuals (r, k) are coupled so little to all else that what is
    missed, low by so much, shows there.
    """
    return bool(np.linalg.norm(left, 2) <= low / 2) if left.size else True


def converged_at(values: NDArray[Any], tolerance: float, krylov: Krylov) -> NDArray[np.float64]:
    """(k,) residuals that are small enough, or as small as the products' rounding lets them be."""
    return np.maximum(tolerance * np.abs(values), krylov.seen.rounding)


def worst_direction(left: NDArray[Any], limit: NDArray[Any]) -> Tensor | None:
    """(r,) the direction in Q that most of the residuals (r, k) have in common, by their limits.

    None where Q is empty, or where there are no residuals: the span is exhausted.
    """
    if not left.size:
        return None
    U, _, _ = np.linalg.svd(left / np.maximum(limit, np.finfo(float).tiny), full_matrices=False)
    common = U[:, 0]
    return torch.from_numpy(np.ascontiguousarray(common))


def raise_unconverged(sizes: NDArray[Any], values: NDArray[Any], products: int) -> None:
    """Say how far a search came that ran out of products."""
    share = np.max(sizes / np.maximum(np.abs(values), np.finfo(float).tiny))
    raise NotConverged(
        f"not converged after {products} products: the worst residual is still {share:.1e} of its "
        "eigenvalue; allow more products (most), more room, or a larger tolerance"
    )
