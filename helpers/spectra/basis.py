"""An orthonormal basis that grows by one vector at a time, in the precision of the products.

A new vector is projected against all earlier ones by one matrix product, twice: in single precision
one pass leaves inner products of 1e-4, the second takes them to rounding ("twice is enough"). Norms
and coefficients are kept in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.operators import Operator

# Inner products are summed in float64 over pieces of so many entries: in float32 a million entries
# lose half a digit, and on a GPU, which sums in trees, none.
_PIECE = 2**14
_FIRST = 64  # vectors that memory is taken for at first


@dataclass(frozen=True, eq=False)
class Split:
    """A vector taken apart into its part in the span of a basis and the rest."""

    coefficients: Tensor  # (j,) float64, of the basis vectors
    rest: Tensor  # (n,) orthogonal to them
    length: float  # of the rest
    whole: float  # length of the vector itself

    def leaves(self, scale: float) -> bool:
        """Whether the rest is more than rounding error of vectors as long as scale."""
        return self.length > 10 * torch.finfo(self.rest.dtype).eps * scale


class Basis:
    """Room for m orthonormal vectors, of which the first j are there.

    >>> basis = Basis(torch.zeros(3), room=2)
    >>> basis.append(torch.tensor([0.0, 2.0, 0.0]))
    >>> basis.split(torch.tensor([3.0, 5.0, 0.0])).coefficients
    tensor([5.], dtype=torch.float64)
    """

    def __init__(self, like: Tensor, room: int) -> None:
        self.room = room
        self._rows = like.new_empty(min(room, _FIRST), len(like))
        length = _PIECE if like.device.type == "cpu" else len(like)
        self._pieces = [slice(i, i + length) for i in range(0, len(like), length)]
        self.size = 0

    @property
    def vectors(self) -> Tensor:
        """(j, n): the vectors, one a row, as a view."""
        return self._rows[: self.size]

    def append(self, vector: Tensor, length: float | None = None) -> None:
        """Add a vector that is orthogonal to the others, made a unit vector by its length."""
        length = _length(vector) if length is None else length
        if self.size == len(self._rows):
            more = min(self.room, 2 * self.size) - self.size
            self._rows = torch.cat([self._rows, self._rows.new_empty(more, len(vector))])
        torch.div(vector, length, out=self._rows[self.size])
        self.size += 1

    def split(self, vector: Tensor, recent: int | None = None) -> Split:
        """The vector's coefficients in the basis, and the rest of it.

        Args:
            vector: (n,).
            recent: how many of the last basis vectors hold all of it that is not rounding, so that
                the first pass needs no more than those; all of them by default.
        """
        coefficients = torch.zeros(self.size, dtype=torch.float64, device=vector.device)
        rest = torch.empty_like(vector)
        before = vector
        for first in (max(self.size - recent, 0) if recent else 0, 0):
            held = self.vectors[first:]
            parts = [torch.mv(held[:, piece], before[piece]) for piece in self._pieces]
            part = torch.stack(parts).sum(dim=0, dtype=torch.float64)
            torch.addmv(before, held.T, part.to(rest), alpha=-1, out=rest)
            coefficients[first:] += part
            before = rest
        length = _length(rest)
        return Split(coefficients, rest, length, math.hypot(length, float(coefficients.norm())))

    def cut(self, Z: Tensor, kept: int) -> None:
        """Put Z' (m, j) times the first j vectors in their place, and keep the last ones."""
        j, m = Z.shape
        last = self.vectors[self.size - kept :].clone()
        self._rows[:m] = Z.T.to(self._rows) @ self.vectors[:j]
        self._rows[m : m + kept] = last
        self.size = m + kept


def start_vector(operator: Operator, seed: int) -> Tensor:
    """(n,) a random unit vector of normal entries, drawn on the CPU for every device.

    >>> from helpers.operators import Matrix
    >>> float(start_vector(Matrix(torch.eye(4)), 0).norm().round(decimals=6))
    1.0
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(operator.shape[0], generator=generator, dtype=torch.float64)
    return (drawn / drawn.norm()).to(operator.device, operator.dtype)


def check_product(product: Tensor, step: int) -> Tensor:
    """The product at this step, counted from 1, if it is finite.

    Raises:
        FloatingPointError: if it is not.
    """
    # The norm takes a quarter of the time of isfinite().all(), and in float64 overflows for none.
    if not math.isfinite(_length(product)):
        raise FloatingPointError(f"the product at step {step} is not finite")
    return product


def _length(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))
