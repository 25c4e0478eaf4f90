"""Leading eigenpairs of many symmetric operators at once, one for each member of an ensemble.

Lanczos' method in full orthogonality, a step of all members at a time: one batched product takes
all of them a step further, which for small networks costs little more than a step of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.spectra.basis import rounding_error

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
) -> MemberPairs:
    """The k largest eigenvalues of each of S symmetric operators, with eigenvectors.

    Args:
        product: (S, n) to (S, n), each row by its own operator.
        begin: (S, n) vectors to begin with, none of them 0. A sum of old eigenvectors and a random
            vector makes a warm start.
        k: how many, 1 to n.
        tolerance: steps end once each residual is at most this times the size of its eigenvalue,
            or rounding, as `top_eigenpairs` has it.
        most: steps at most, from k to n; 4 k + 30 by default. The residuals say how far they led.

    Members whose products are not finite get NaN, and vectors of 0. Of an eigenvalue that is there
    several times, one copy may be found.

    Raises:
        ValueError: for a begin of another shape, and counts out of range.

    >>> rows = torch.stack([torch.arange(9.0), 2 * torch.arange(9.0)])
    >>> found = member_eigenpairs(lambda v: rows * v, torch.ones(2, 9), 2, tolerance=1e-3)
    >>> found.values.round(decimals=3)
    tensor([[ 8.,  7.],
            [16., 14.]])
    """
    if begin.ndim != 2 or not begin.numel():
        raise ValueError(f"begin is (S, n), got {tuple(begin.shape)}")
    members, n = begin.shape
    most = min(n, 4 * k + 30) if most is None else most
    if not 1 <= k <= most <= n:
        raise ValueError(f"k and most are 1 to {n}, k the smaller, got {k} and {most}")
    basis = begin.new_zeros(members, most, n)
    diagonal, beside = (begin.new_zeros(members, most) for _ in range(2))
    lost = torch.zeros(members, dtype=torch.bool, device=begin.device)
    going = ~lost
    found = MemberPairs(
        begin.new_zeros(members, k), begin.new_zeros(members, n, k),
        begin.new_zeros(members, k), begin.new_zeros(members), most,
    )  # fmt: skip
    newest = begin / begin.norm(dim=1, keepdim=True)
    longest, shortest = begin.new_zeros(members), begin.new_full((members,), torch.inf)
    draws = torch.Generator().manual_seed(0)
    for known in range(1, most + 1):
        basis[:, known - 1] = newest
        image = product(newest)
        lost |= ~image.isfinite().all(dim=1)
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
        newest = image / length.clamp(min=1e-30)[:, None]
        if over.any():  # an invariant span: what is beyond it has to be asked for anew
            newest = torch.where(over[:, None], _beyond(held, draws), newest)
        if known < k or (known % _LOOK and known < most):
            continue
        values, inner = _ritz(diagonal, beside, known)
        left = beside[:, known - 1, None] * inner[:, -1, -k:].abs()
        limit = torch.maximum(tolerance * values[:, -k:].abs(), rounding[:, None])
        fine = (left <= limit).all(dim=1)
        # Each as soon as it is found: what a member gets does not depend on the others.
        ready = going & (fine | (known == most))
        found.values[ready] = values[ready, -k:].flip(-1)
        found.vectors[ready] = (held[ready].mT @ inner[ready][..., -k:]).flip(-1)
        found.residuals[ready] = left[ready].flip(-1)
        found.lowest[ready] = values[ready, 0]
        going &= ~ready
        if not going.any():
            break
    for each in (found.values, found.residuals, found.lowest):
        each[lost] = torch.nan
    found.vectors[lost] = 0
    return replace(found, products=known)


def _without(held: Tensor, vectors: Tensor) -> Tensor:
    """(S, n) vectors less their parts along the orthonormal rows of held (S, m, n)."""
    for _ in range(2):  # once leaves what rounding puts back
        vectors = vectors - (held.mT @ (held @ vectors[..., None]))[..., 0]
    return vectors


def _beyond(held: Tensor, draws: torch.Generator) -> Tensor:
    """(S, n) unit vectors orthogonal to the rows of held (S, m, n); of 0 where m is n."""
    members, _, n = held.shape
    found = _without(held, torch.randn(n, generator=draws).to(held).expand(members, n))
    return found / found.norm(dim=1, keepdim=True).clamp(min=1e-30)


def _ritz(diagonal: Tensor, beside: Tensor, known: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues (S, m), ascending, and eigenvectors (S, m, m) of the tridiagonal matrices."""
    coupling = beside[:, : known - 1]
    tridiagonal = torch.diag_embed(diagonal[:, :known])
    if known > 1:
        tridiagonal = tridiagonal + torch.diag_embed(coupling, 1) + torch.diag_embed(coupling, -1)
    return torch.linalg.eigh(tridiagonal)
