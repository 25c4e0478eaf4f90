"""What a search may have missed, though every residual is small, and how to make that unlikely.

A search sees an eigenvector u through the weight w = (u'v)^2 that its start v gives it. With
orthonormal polynomials p_0, p_1, ... of a Krylov chain, ``v_j = p_j(H) v``, an eigenvalue t has
``w |p_j(t)|^2 <= 1`` for every j: where p_j is large, an eigenvalue can be there only if its weight
is small. For a random v on the sphere of R^n that is unlikely: w < x has a chance of at most
sqrt(2 n x / pi), whatever the operator, and whatever the search does. A chain none of whose Ritz
values lie beyond an edge, and whose p_j is at least ``sqrt(2 n / pi) / chance`` along it, has
missed an eigenvalue beyond it with at most that chance. (Kuczynski & Wozniakowski 1992 bound the
same chance by the number of steps alone, for the worst of all operators; looking at the chain at
hand needs far fewer steps where the leading eigenvalues stand apart.)

For a single pair the search itself is such a chain. For more it is not: one vector cannot tell
equal eigenvalues apart, and p_j is small near those already found. Then a chain from a fresh random
vector looks at the operator in the complement of what was found. If k Ritz pairs have residuals R,
of norm r, and the j-th is too low by more than d, then the operator in their complement has an
eigenvalue beyond the k-th by at least d - r^2 / d: by Courant and Fischer one lies at the j-th
eigenvalue once the first j - 1 are taken away, and R couples it to the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.basis import start_vector
from helpers.spectra.krylov import Krylov

CHANCE = 1e-4  # of a miss, at most
LOW = 3  # tolerances, times the largest modulus, by which a missed eigenvalue is too low
_STREAM = 2**20  # seeds of fresh vectors lie this far from those of starts


class NotConverged(RuntimeError):
    """A search that ran out of products."""


Size = Callable[[NDArray[Any]], NDArray[Any]]  # by which eigenvalues are put in order


@dataclass(frozen=True)
class Region:
    """Eigenvalues that come before others: those whose size is above an edge."""

    size: Size
    # Points on the edge, given the edge and how far out the spectrum reaches.
    border: Callable[[float, float], NDArray[Any]]

    def clears(self, krylov: Krylov, edge: float, chance: float) -> bool:
        """Whether a chain from one random vector, without Ritz values beyond the edge, shows that
        no eigenvalue lies there, up to that chance.
        """
        below = float(krylov.B[:, -1].norm()) if krylov.pending else 0.0
        points = self.border(edge, krylov.seen.longest)
        last = last_polynomial(krylov.M.numpy(), below, points)
        return bool(np.abs(last).min() >= needed(krylov.operator.shape[0], chance))


def check_chance(chance: float | None) -> None:
    """Raise a ValueError unless it is a chance, or None."""
    if chance is not None and not 0 < chance < 1:
        raise ValueError(f"chance is above 0 and below 1, or None, got {chance}")


class Looks:
    """Looks for what a search whose pairs have converged may have missed, and leads it there."""

    def __init__(self, region: Region, chance: float | None, seed: int, most: int) -> None:
        """Of a chance, half goes to the search itself, a quarter to the first look, and so on."""
        check_chance(chance)
        self.region, self.chance, self.seed, self.most = region, chance, seed, most
        self.count = 0

    def settle(
        self, krylov: Krylov, values: NDArray[Any], S: NDArray[Any], first: NDArray[Any], low: float
    ) -> bool:
        """Whether nothing is missed. If not, the search has advanced by a product or more.

        `values` (j,) and `S` (j, j) are eigenvalues and eigenvectors of M, of which `first` are
        wanted. NotConverged if it takes more products than allowed, or more room.
        """
        n, room = krylov.operator.shape[0], krylov.basis.room
        size, edge = self.region.size(values), float(self.region.size(values[first]).min()) + low
        if krylov.is_chain and not krylov.is_full and not (size > edge).any():
            assert self.chance is not None  # searches without one do not look
            if self.region.clears(krylov, edge, self.chance / 2):
                return True
        elif room < n or 2 * krylov.known < n:
            span, sizes, _ = np.linalg.svd(np.hstack([S[:, first].real, S[:, first].imag]))
            U = torch.from_numpy(span[:, : len(sizes)][:, sizes > 1e-10 * sizes[0]])
            rest = krylov.residuals(U)  # without rows where the span is exhausted
            left = float(torch.linalg.matrix_norm(rest, 2)) if len(rest) else 0.0
            # If low is 0, every product was 0, and of random vectors at that.
            return not low or self._look(krylov, U, edge - left**2 / low, low / LOW)
        if krylov.products >= self.most:
            raise NotConverged(unsettled(krylov.products))
        krylov.advance()
        return False

    def _look(self, krylov: Krylov, U: Tensor, edge: float, enough: float) -> bool:
        """The same, by a chain in the complement of V U."""
        self.count += 1
        found, krylov.products = unseen(
            krylov.operator,
            krylov.vectors(U),
            self.region,
            edge,
            enough=enough,
            chance=self.chance / 2 ** (self.count + 1),
            seed=self.seed + self.count,
            spent=krylov.products,
            most=self.most,
        )
        if found is None:
            return True
        if krylov.room_left < found.shape[1]:
            krylov.cut(U)
        if not krylov.room_left:
            raise NotConverged("no room for an eigenvector that was missed; allow more room")
        krylov.add(found[:, : krylov.room_left])
        return False


def needed(n: int, chance: float) -> float:
    """How large a polynomial makes a miss as unlikely as this, for random vectors of n entries."""
    return math.sqrt(2 * n / math.pi) / chance


def last_polynomial(M: NDArray[Any], below: float, points: NDArray[Any]) -> NDArray[Any]:
    """p_j at points (g,), for a Hessenberg matrix M (j, j) and the entry below its last column.

    Infinite once a chain has come to its end: what it has not seen has no weight at all.
    """
    beside = np.append(np.diag(M, -1), below)
    found = np.ones((1, len(points)), dtype=points.dtype)
    if not beside.all():
        return np.full(len(points), np.inf)
    for j, length in enumerate(beside):
        following = points / length * found[j] - M[: j + 1, j] / length @ found
        found = np.vstack([found, following])
    return found[-1]


def unseen(
    operator: Operator,
    held: Tensor,
    region: Region,
    edge: float,
    *,
    enough: float,
    chance: float,
    seed: int,
    spent: int,
    most: int,
) -> tuple[Tensor | None, int]:
    """What lies beyond the edge in the complement of some vectors (n, k), up to that chance.

    Returns vectors (n, c) that belong to such eigenvalues, or None if there are none, and the
    number of products by then; NotConverged if `most` products do not settle it.
    """
    deflated = _Complement(operator, held)
    fresh = deflated.part(start_vector(operator, _STREAM + seed))
    n, k = held.shape
    # It has what is needed of an operator here.
    chain = Krylov(deflated, fresh[:, None], n, seed)  # type: ignore[arg-type] # see above
    chain.products = spent
    while True:
        chain.advance()
        values, S = (np.linalg.eigh if operator.symmetric else np.linalg.eig)(chain.M.numpy())
        beyond = torch.from_numpy(S[:, region.size(values) > edge])
        is_over = not chain.pending or chain.known == n - k
        if beyond.numel():
            left = chain.residuals(beyond).norm(dim=0).max()
            if is_over or left <= enough or chain.products >= most:
                found = chain.vectors(beyond)
                parts = [found.real, found.imag] if found.is_complex() else [found]
                return torch.cat(parts, dim=1), chain.products
        elif is_over or region.clears(chain, edge, chance):
            return None, chain.products
        elif chain.products >= most:
            raise NotConverged(unsettled(most))


def unsettled(products: int) -> str:
    """What to say of a search that ran out of products after its pairs had converged."""
    return (
        f"not settled after {products} products: the pairs have converged, but one before them "
        "may have been missed; allow more products (most), a larger chance, or a larger tolerance"
    )


class _Complement:
    """An operator with some vectors projected out of its inputs and outputs."""

    def __init__(self, operator: Operator, held: Tensor) -> None:
        self.operator, self.held = operator, held
        self.like, self.shape = operator.like, operator.shape
        self.dtype, self.device = operator.dtype, operator.device

    def part(self, vector: Tensor) -> Tensor:
        """A vector minus its part along those held."""
        for _ in range(2):  # a single pass leaves what rounding puts back
            vector = vector - self.held @ (self.held.T @ vector)
        return vector

    def matvec(self, u: Tensor) -> Tensor:
        return self.part(self.operator.matvec(u))
