"""Products of a derivative checked against central differences of its map.

Agreement of two ways to differentiate proves little, as torch's own derivatives of a layer may be
wrong in both. A difference uses values only. Units that switch within a step spoil one difference
but not the next, which is smaller and along another direction; a wrong product fails them all. A
unit that switches almost at the point itself spoils every difference across the point, but on one
side of it only, so each side counts by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

STEPS = (1e-6, 1e-7, 1e-8, 1e-6)  # shares of the weights' size
ROUGH = (1e-2, 3e-3, 1e-3, 1e-2)  # where the map is of float32's accuracy
_ALLOWED = {False: 1e-4, True: 5e-2}  # share by which differences may be off, by whether rough
Rows = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Comparison:
    """How near the products of S maps came to differences, each in its best direction."""

    is_right: Tensor  # (S,) whether a difference agreed with the product
    is_transpose: Tensor  # (S,) whether the transposed products match the others
    is_finite: Tensor  # (S,) whether the map is finite at the point; else nothing can be said
    off: Tensor  # (S,) error as a share of the difference
    errors: Tensor  # (S, n) absolute values of the error's entries


def compared(
    map: Rows, at: Tensor, product: Rows, transposed: Rows | None = None, *, rough: bool = False
) -> Comparison:
    """Compare along random directions until all products were right once, or directions run out.

    Args:
        map: (S, n) to (S, n), each row a map of its own.
        at: (S, n) the points, in float64 unless the maps are rough.
        product: (S, n) to (S, n), each row times the derivative of its map.
        transposed: the same for the transposes, where the derivatives are not symmetric.
        rough: whether the maps are less accurate than float64.

    >>> compared(lambda x: x**2, torch.ones(1, 3).double(), lambda u: 2 * u).is_right
    tensor([True])
    """
    draw = partial(_direction, random=torch.Generator().manual_seed(0))
    here = map(at)
    finite = here.isfinite().all(dim=1)
    product(draw(at))  # a fault may show only from the second product on
    off, errors = torch.full_like(here[:, 0], torch.inf), torch.zeros_like(here)
    forward = torch.zeros_like(finite)
    backward = torch.full_like(finite, transposed is None)
    allowed = _ALLOWED[rough]
    for step in ROUGH if rough else STEPS:
        u = draw(at)
        found = product(u)
        ahead, behind = map(at + step * u), map(at - step * u)
        wanted = (ahead - behind) / (2 * step)
        least = _lengths(found - wanted).nan_to_num(torch.inf)
        # One after another: of ten million weights each is 80 MB. Rough maps take steps too long
        # for one side.
        for one, other in () if rough else ((ahead, here), (here, behind)):
            difference = (one - other) / step
            gap = _lengths(found - difference).nan_to_num(torch.inf)
            wanted = torch.where((gap < least)[:, None], difference, wanted)
            least = torch.minimum(gap, least)
        del ahead, behind
        apart = (found - wanted).abs()
        scale = torch.maximum(_lengths(wanted), 1e-3 * _lengths(here)).clamp(min=1e-30)
        share = _lengths(apart) / scale
        errors = torch.where((share < off)[:, None], apart, errors)
        off = torch.where(share < off, share, off)
        forward |= share <= allowed
        if transposed is not None:
            w = draw(wanted)
            pulled = transposed(w)
            # Along a random direction, one number tells this much about a vector's error.
            unit = _lengths(pulled) * _lengths(u) / u.shape[1] ** 0.5
            slack = (allowed * torch.maximum(unit, scale)).clamp(min=1e-12)
            backward |= ((w * wanted).sum(dim=1) - (pulled * u).sum(dim=1)).abs() <= 10 * slack
        if (forward & backward | ~finite).all():
            break
    return Comparison(forward, backward, finite, off, errors)


def steady(map: Rows, at: Tensor, *, rough: bool = False) -> Tensor:
    """(S,) whether differences by two steps along one direction agree, so that they tell anything.

    They do not where units switch in between, or where rounding is all that they show.

    >>> ones = torch.ones(1, 3).double()
    >>> steady(lambda x: x**2, ones), steady(lambda x: (1 + 1e-10 * x) - 1, ones)
    (tensor([True]), tensor([False]))
    """
    u = _direction(at, random=torch.Generator().manual_seed(1))
    step = (ROUGH if rough else STEPS)[0]
    one, other = (
        (map(at + length * u) - map(at - length * u)) / (2 * length)
        for length in (step, 1.37 * step)
    )
    size = _lengths(one)
    return (_lengths(one - other) <= _ALLOWED[rough] * size) & (size > 0)


def _direction(like: Tensor, *, random: torch.Generator) -> Tensor:
    """Random directions, each about as long as the row that it is for."""
    drawn = torch.randn(like.shape, generator=random, dtype=torch.float64, device="cpu")
    return drawn.to(like) * _lengths(like)[:, None] / like.shape[1] ** 0.5


def _lengths(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1)
