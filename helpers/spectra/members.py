"""Leading eigenpairs of many symmetric operators at once, one for each member of an ensemble.

Lanczos' method with full orthogonality, one step of all members at a time: one batched product
takes all of them a step further, which for small networks costs little more than a step of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.basis import rounding_error
from helpers.spectra.pairs import top_eigenpairs
from helpers.spectra.unseen import CHANCE, LOW, NotConverged, check_chance, needed

_FIRST = 64  # steps for which memory is taken at first
_LOOK = 5  # steps between looks at the residuals


@dataclass(frozen=True, eq=False)
class MemberPairs:
    """Eigenvalues and eigenvectors of S operators, and how well they fit."""

    values: Tensor  # (S, k), the largest first
    vectors: Tensor  # (S, n, k) orthonormal columns
    residuals: Tensor  # (S, k) |H x - t x|, in the units of the eigenvalues
    lowest: Tensor  # (S,) the smallest Ritz value: an upper bound of the smallest eigenvalue
    products: int  # batched ones


@torch.no_grad()
def member_eigenpairs(
    product: Callable[[Tensor], Tensor],
    begin: Tensor,
    k: int,
    *,
    tolerance: float = 0.05,
    most: int | None = None,
    chance: float | None = CHANCE,
) -> MemberPairs:
    """The k largest eigenvalues of each of S symmetric operators, with eigenvectors.

    Args:
        product: (S, n) to (S, n), each row multiplied by its own operator.
        begin: (S, n) vectors to begin with, none of them 0. A sum of old eigenvectors and a random
            vector makes a warm start.
        k: how many, 1 to n.
        tolerance: steps end once each residual is at most this times the size of its eigenvalue,
            or is rounding, as in `top_eigenpairs`.
        most: largest number of steps of the search, from k to n; 40 k + 400 by default.
        chance: that an eigenvalue of a member is too low by more than three tolerances times the
            largest modulus, as in `top_eigenpairs`. None saves the steps of making sure.

    Members whose products are not finite get NaN, and vectors of 0. The scale of an operator does
    not matter as long as its products are in the range of floats.

    Raises:
        ValueError: for a begin of another shape, counts out of range, or an invalid chance.
        NotConverged: naming the other members that have not converged after `most` steps.

    >>> rows = torch.stack([torch.arange(9.0), 2 * torch.arange(9.0)])
    >>> found = member_eigenpairs(lambda v: rows * v, torch.ones(2, 9), 2, tolerance=1e-3)
    >>> found.values.round(decimals=3)
    tensor([[ 8.,  7.],
            [16., 14.]])
    """
    if begin.ndim != 2 or not begin.numel():
        raise ValueError(f"begin is (S, n), got {tuple(begin.shape)}")
    n = begin.shape[1]
    most = min(n, 40 * k + 400) if most is None else most
    if not 1 <= k <= most <= n:
        raise ValueError(f"k and most are 1 to {n}, most at least k, got {k} and {most}")
    check_chance(chance)
    scaled = _InRange(product, begin)
    found, lows, errors, lost = _search(scaled, begin, k, tolerance, most, chance)
    if chance is not None:
        found = _make_sure(scaled, found, lows, errors, lost, tolerance, chance)
    values, residuals, lowest = map(scaled.back, (found.values, found.residuals, found.lowest))
    return replace(found, values=values, residuals=residuals, lowest=lowest)


@torch.no_grad()
def member_eigenvalues(
    product: Callable[[Tensor], Tensor],
    begin: Tensor,
    k: int,
    *,
    tolerance: float = 1e-3,
    most: int = 200,
) -> tuple[Tensor, Tensor]:
    """The k eigenvalues of largest modulus of each of S general operators, by Arnoldi's method.

    Nothing makes sure that none is missed, and the search ends after `most` products, whatever the
    residuals are.

    Args:
        product: (S, n) to (S, n), each row multiplied by its own operator.
        begin: (S, n) vectors to begin with, none of them 0.
        k: how many, 1 to n.
        tolerance: steps end once all residuals are at most this times the largest modulus.
        most: largest number of products, k or more.

    Returns:
        Eigenvalues (S, k), complex, the largest modulus first, and residuals (S, k). Members whose
        products are not finite get NaN. The scale does not matter, as for `member_eigenpairs`.

    Raises:
        ValueError: for a begin of another shape, and counts out of range.

    >>> turn = torch.tensor([[1.0, 2.0, 0.0], [-2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> values, _ = member_eigenvalues(lambda v: v @ turn.T, torch.ones(1, 3), 2)
    >>> sorted(values[0].imag.round(decimals=3).tolist())
    [-2.0, 2.0]
    """
    if begin.ndim != 2 or not begin.numel():
        raise ValueError(f"begin is (S, n), got {tuple(begin.shape)}")
    members, n = begin.shape
    most = min(n, most)
    if not 1 <= k <= most:
        raise ValueError(f"k is 1 to {n}, and most k or more, got {k} and {most}")
    scaled = _InRange(product, begin)
    basis = begin[:, None] / begin.norm(dim=1)[:, None, None]
    small = begin.new_zeros(members, most + 1, most, dtype=torch.float64)
    lost = torch.zeros(members, dtype=torch.bool, device=begin.device)
    for known in range(1, most + 1):
        image = scaled(basis[:, -1])
        lost |= ~image.norm(dim=1).isfinite()
        image = torch.where(lost[:, None], 0.0, image)
        whole = image.norm(dim=1)
        for _ in range(2):  # a single pass leaves what rounding puts back
            along = (basis @ image[..., None])[..., 0]
            small[:, :known, known - 1] += along.double()
            image = image - (basis.mT @ along[..., None])[..., 0]
        length = image.norm(dim=1)
        over = length <= rounding_error(begin.dtype, n, whole, whole)  # the span is invariant
        small[:, known, known - 1] = torch.where(over, 0.0, length).double()
        following = image / torch.where(over, 1.0, length)[:, None]
        if over.any():
            draws = torch.Generator().manual_seed(known)
            following = torch.where(over[:, None], _beyond(basis, draws), following)
        basis = torch.cat([basis, following[:, None]], dim=1)
        if known < k or (known % _LOOK and known < most):
            continue
        values, vectors = torch.linalg.eig(small[:, :known, :known])
        order = values.abs().argsort(dim=1, descending=True)[:, :k]
        values = values.gather(1, order)
        last = (vectors[:, -1] / vectors.norm(dim=1)).gather(1, order)
        residuals = small[:, known, known - 1, None].abs() * last.abs()
        if (lost[:, None] | (residuals <= tolerance * values[:, :1].abs())).all():
            break
    values[lost], residuals[lost] = torch.nan, torch.nan
    return scaled.back(values), scaled.back(residuals)


def _search(
    product: Callable[[Tensor], Tensor],
    begin: Tensor,
    k: int,
    tolerance: float,
    most: int,
    chance: float | None,
) -> tuple[MemberPairs, Tensor, Tensor, Tensor]:
    """What one start leads to, how much too low a miss would be, the rounding error of products,
    and whose products are lost.
    """
    members, n = begin.shape
    basis = begin.new_zeros(members, min(most, _FIRST), n)
    diagonal, beside = (begin.new_zeros(members, most) for _ in range(2))
    lost = torch.zeros(members, dtype=torch.bool, device=begin.device)
    going = ~lost
    found = MemberPairs(
        begin.new_zeros(members, k), begin.new_zeros(members, n, k),
        begin.new_zeros(members, k), begin.new_zeros(members), most,
    )  # fmt: skip
    lows, errors = begin.new_zeros(members), begin.new_zeros(members)
    newest = begin / begin.norm(dim=1, keepdim=True)
    longest, shortest = begin.new_zeros(members), begin.new_full((members,), torch.inf)
    draws = torch.Generator().manual_seed(0)
    for known in range(1, most + 1):
        basis = _with_room(basis, known, most)
        basis[:, known - 1] = newest
        image = product(newest)
        lost |= ~image.norm(dim=1).isfinite()
        image = torch.where(lost[:, None], 0.0, image)
        whole = image.norm(dim=1)
        longest, shortest = torch.maximum(longest, whole), torch.minimum(shortest, whole)
        rounding = rounding_error(begin.dtype, n, longest, shortest)
        diagonal[:, known - 1] = (newest * image).sum(dim=1)
        held = basis[:, :known]
        image = _without(held, image)
        length = image.norm(dim=1)
        over = length <= rounding
        beside[:, known - 1] = torch.where(over, 0.0, length)
        newest = image / torch.where(over, 1.0, length)[:, None]
        if over.any():  # an invariant span: what is beyond it needs a new start
            newest = torch.where(over[:, None], _beyond(held, draws), newest)
        if known < k or (known % _LOOK and known < most):
            continue
        values, inner = _ritz(diagonal, beside, known)
        left = beside[:, known - 1, None] * inner[:, -1, -k:].abs()
        limit = torch.maximum(tolerance * values[:, -k:].abs(), rounding[:, None])
        fine = (left <= limit).all(dim=1)
        low = LOW * torch.maximum(tolerance * values.abs().amax(dim=1), rounding)
        if chance is not None:  # so weakly coupled to all else that a miss shows there
            fine &= left.norm(dim=1) <= low / 2
        fine |= lost | (known == n)
        # Each as soon as it is found: what a member gets does not depend on the others.
        ready = going & fine
        found.values[ready] = values[ready, -k:].flip(-1)
        found.vectors[ready] = (held[ready].mT @ inner[ready][..., -k:]).flip(-1)
        found.residuals[ready] = left[ready].flip(-1)
        found.lowest[ready] = values[ready, 0]
        lows[ready], errors[ready] = low[ready], rounding[ready]
        going &= ~ready
        if not going.any():
            break
    _raise_unconverged(going, most)
    for each in (found.values, found.residuals, found.lowest):
        each[lost] = torch.nan
    found.vectors[lost] = 0
    return replace(found, products=known), lows, errors, lost


def _make_sure(
    product: Callable[[Tensor], Tensor],
    found: MemberPairs,
    lows: Tensor,
    errors: Tensor,
    lost: Tensor,
    tolerance: float,
    chance: float,
) -> MemberPairs:
    """Look for what each member's search missed, and put it in its place.

    As `helpers.spectra.unseen.unseen`, one step of all members at a time. The few members where
    something turns up are searched again, each by itself.
    """
    members, n, k = found.vectors.shape
    held = found.vectors.mT
    left = found.residuals.double().norm(dim=1)
    edge = found.values[:, -1].double() + lows.double() - left**2 / lows.double()
    amiss = torch.zeros_like(lost)
    going = ~lost & (lows > 0)  # 0 where every product was 0, and of random vectors
    newest = _beyond(held, torch.Generator().manual_seed(1))
    basis = newest.new_zeros(members, 0, n)
    now = torch.ones_like(edge)
    last, beside = torch.zeros_like(edge), torch.zeros_like(edge)
    enough, steps = needed(n, chance / 2), 0
    while steps < n - k and going.any():
        steps += 1
        basis = torch.cat([basis, newest[:, None]], dim=1)
        image = torch.where(going[:, None], product(newest), 0.0)
        image = _without(held, image)
        along = (newest * image).sum(dim=1).double()
        image = _without(basis, image)
        length = image.norm(dim=1)
        over = length <= errors
        step = torch.where(over, 1.0, length).double()
        following = ((edge - along) * now - beside * last) / step
        last, now, beside = now, following, length.double()
        amiss |= going & (now <= 0)  # a Ritz value beyond the edge
        going &= ~amiss & ~over & (now < enough)
        newest = image / torch.where(over, 1.0, length)[:, None]
    products = found.products + steps
    for member in amiss.nonzero()[:, 0].tolist():
        again = top_eigenpairs(
            _Alone(product, found.vectors[..., 0], member),
            k,
            start=found.vectors[member],
            tolerance=tolerance,
            chance=chance / 2,
        )
        found.values[member] = torch.from_numpy(again.values)
        found.residuals[member] = torch.from_numpy(again.residuals)
        found.vectors[member] = again.vectors
        products += again.products
    return replace(found, products=products)


class _InRange:
    """A product in units of each member's own, so that squares of its numbers are floats, too.

    The units are powers of 2, which cost no digit, and 1 wherever that will do. A member's first
    product that is not 0 decides.
    """

    def __init__(self, product: Callable[[Tensor], Tensor], like: Tensor) -> None:
        self.product, self.is_plain = product, True
        self.units = like.new_ones(len(like))
        self.undecided = torch.ones_like(self.units, dtype=torch.bool)
        floats = torch.finfo(like.dtype)
        # What is as small as rounding beside a product has a square as well, and there is room for
        # products that are longer than the first.
        self.least, self.most = (
            math.sqrt(floats.tiny) / floats.eps,
            math.sqrt(floats.max) * floats.eps,
        )
        self.exponent = int(math.log2(floats.max)) - 2

    def __call__(self, rows: Tensor) -> Tensor:
        image = self.product(rows)
        if self.undecided.any():
            self._decide(image.abs().amax(dim=1))
        return image if self.is_plain else image / self.units[:, None]

    def _decide(self, sizes: Tensor) -> None:
        odd = self.undecided & sizes.isfinite() & (sizes > 0)
        odd &= (sizes < self.least) | (sizes > self.most)
        for member in odd.nonzero()[:, 0].tolist():
            exponent = math.frexp(float(sizes[member]))[1]
            self.units[member] = 2.0 ** min(max(exponent, -self.exponent), self.exponent)
            self.is_plain = False
        self.undecided &= sizes == 0

    def back(self, values: Tensor) -> Tensor:
        """Values (S, ...) in the units of the product itself."""
        if self.is_plain:
            return values
        return values * self.units.view(-1, *[1] * (values.ndim - 1))


class _Alone(Operator):
    """The operator of one member."""

    symmetric = True

    def __init__(self, product: Callable[[Tensor], Tensor], like: Tensor, member: int) -> None:
        self.product, self.rows, self.member = product, torch.zeros_like(like), member
        self.like = like[member]

    def _times(self, u: Tensor) -> Tensor:
        rows = self.rows.clone()
        rows[self.member] = u
        return self.product(rows)[self.member]

    _transposed_times = _times


def _with_room(basis: Tensor, count: int, most: int) -> Tensor:
    """A basis (S, m, n) with room for that many rows: itself, or one of twice the length."""
    members, length, n = basis.shape
    if count <= length:
        return basis
    return torch.cat([basis, basis.new_zeros(members, min(most, 2 * length) - length, n)], dim=1)


def _raise_unconverged(going: Tensor, most: int) -> None:
    if going.any():
        members = ", ".join(map(str, going.nonzero()[:, 0].tolist()))
        raise NotConverged(
            f"not converged after {most} products: members {members}; allow more products (most), "
            "or a larger tolerance"
        )


def _without(held: Tensor, vectors: Tensor) -> Tensor:
    """(S, n) vectors minus their parts along the orthonormal rows of held (S, m, n)."""
    for _ in range(2):  # a single pass leaves what rounding puts back
        vectors = vectors - (held.mT @ (held @ vectors[..., None]))[..., 0]
    return vectors


def _beyond(held: Tensor, draws: torch.Generator) -> Tensor:
    """(S, n) unit vectors orthogonal to the rows of held (S, m, n); 0 where m is n."""
    members, _, n = held.shape
    drawn = torch.randn(n, generator=draws, device="cpu", dtype=torch.float32)
    found = _without(held, drawn.to(held).expand(members, n))
    return found / found.norm(dim=1, keepdim=True).clamp(min=1e-30)


def _ritz(diagonal: Tensor, beside: Tensor, known: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues (S, m), ascending, and eigenvectors (S, m, m) of the tridiagonal matrices."""
    coupling = beside[:, : known - 1]
    tridiagonal = torch.diag_embed(diagonal[:, :known])
    if known > 1:
        tridiagonal = tridiagonal + torch.diag_embed(coupling, 1) + torch.diag_embed(coupling, -1)
    return torch.linalg.eigh(tridiagonal)
