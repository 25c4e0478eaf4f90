"""An orthonormal basis that grows by one vector at a time, in the precision of the products.

A new vector is made orthogonal to all earlier ones by one matrix product, twice: in single
precision the first pass leaves inner products of 1e-4, and the second takes them to rounding
("twice is enough"). Norms and coefficients are kept in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.operators import Operator

# Inner products are summed in float64 over pieces of this many entries: in float32 a million
# entries lose half a digit, and on a GPU, which sums in trees, none.
_PIECE = 2**14
# In products of dense matrices of 3 to 2,000 rows, rounding errors were up to 0.5 of what
# `rounding_error` gives without this factor, and up to 2 where the matrix itself had been computed
# as a product of three in the same precision.
_MARGIN = 5
_TERMS = 2**12  # the most that a kernel adds one after another; longer sums are taken in pieces
_FIRST = 128  # vectors for which memory is taken at first: more than a density takes steps


@dataclass(frozen=True, eq=False)
class Split:
    """A vector split into its part in the span of a basis and the rest."""

    coefficients: Tensor  # (j,) float64, of the basis vectors
    rest: Tensor  # (n,) orthogonal to them
    length: float  # of the rest
    whole: float  # length of the vector itself

    def leaves(self, rounding: float) -> bool:
        """Whether the rest is more than rounding error."""
        return self.length > rounding


class Products:
    """The lengths of products so far, and how large their rounding errors may therefore be."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self.longest, self.shortest = 0.0, math.inf

    def add(self, length: float) -> None:
        """Take note of a product of a unit vector."""
        self.longest = max(self.longest, length)
        self.shortest = min(self.shortest, length)

    @property
    def rounding(self) -> float:
        """The largest length of a vector that is only the rounding error of a product."""
        if not self.longest:
            return 0.0
        return rounding_error(self._like.dtype, len(self._like), self.longest, self.shortest)


def matrix_rounding(matrix: NDArray[Any], dtype: torch.dtype) -> float:
    """How far rounding may move an eigenvalue of a normal matrix (n, n) computed in a precision."""
    n = len(matrix)
    usual = float(np.linalg.norm(matrix)) / math.sqrt(n)  # root mean square length of a product
    return rounding_error(dtype, n, float(np.linalg.norm(matrix, 2)), usual)


Length = TypeVar("Length", float, Tensor)


def rounding_error(dtype: torch.dtype, n: int, longest: Length, shortest: Length) -> Length:
    """How long the rounding error of a product H v may be, for a unit vector v of n entries.

    An entry of the product is a sum of n terms. Rounding errors of a sum are as likely up as down,
    so they grow like the root of the number of terms (Higham and Mary 2019, "A new approach to
    probabilistic rounding error analysis"), and so do the sum's own partial values. The error of an
    entry is then about eps times the length of H's row, and that of all entries eps times the
    Frobenius norm of H. Products tell two things about that norm. It is at least the longest of
    them, and about root n times the length of a usual one. For the usual one the shortest so far is
    taken: too small an error costs a step in a direction of noise, too large a one would lose a
    direction that is there. Every kernel takes sums of more than some thousand terms in pieces, so
    n counts only up to there.
    """
    terms = math.sqrt(min(n, _TERMS))
    return _MARGIN * torch.finfo(dtype).eps * (longest + terms * shortest)


class Basis:
    """Room for m orthonormal vectors, of which the first j are filled in."""

    def __init__(self, like: Tensor, room: int) -> None:
        self.room = room
        self._rows = like.new_empty(min(room, _FIRST), len(like))
        self._pieces = _pieces(like)
        self.size = 0

    @property
    def vectors(self) -> Tensor:
        """(j, n): the vectors, one per row, as a view."""
        return self._rows[: self.size]

    @property
    def newest(self) -> Tensor:
        """(n,): the last vector, as a view."""
        return self._rows[self.size - 1]

    def append(self, vector: Tensor, length: float | None = None) -> None:
        """Add a vector that is orthogonal to the others, divided by its length."""
        length = _length(vector) if length is None else length
        if self.size == len(self._rows):
            more = min(self.room, 2 * self.size) - self.size
            self._rows = torch.cat([self._rows, self._rows.new_empty(more, len(vector))])
        torch.div(vector, length, out=self._rows[self.size])
        self.size += 1

    def split(self, vector: Tensor, recent: int | None = None) -> Split:
        """The vector's coefficients in the basis, and the rest of it.

        Where its part in the span lies along the most recent vectors, up to rounding, the first
        pass needs only those.
        """
        coefficients = torch.zeros(self.size, dtype=torch.float64, device=vector.device)
        rest = torch.empty_like(vector)
        before = vector
        for first in (max(self.size - recent, 0) if recent else 0, 0):
            held = self.vectors[first:]
            part = _inner(held, before, self._pieces)
            torch.addmv(before, held.T, part.to(rest), alpha=-1, out=rest)
            coefficients[first:] += part
            before = rest
        length = _length(rest)
        return Split(coefficients, rest, length, math.hypot(length, float(coefficients.norm())))

    def split_product(self, product: Tensor) -> Split:
        """As `split`, of a product of the last vector with a symmetric operator."""
        return self.split(product, recent=2)  # three terms; the second pass sees to the others

    def cut(self, Z: Tensor, kept: int) -> None:
        """Replace the first j vectors by Z' (m, j) times them, and keep the last ones."""
        j, m = Z.shape
        last = self.vectors[self.size - kept :].clone()
        self._rows[:m] = Z.T.to(self._rows) @ self.vectors[:j]
        self._rows[m : m + kept] = last
        self.size = m + kept


class LastTwo:
    """The last two vectors of a basis that is not stored, for Lanczos' three terms alone.

    The order of the operations is the one of four that keeps the recurrence's errors at rounding
    (Paige 1972, "Computational variants of the Lanczos method for the eigenproblem"): the vector
    before the last is taken off first, by the length found a step ago, and the coefficient of the
    last one is that of what is left.
    """

    def __init__(self, like: Tensor) -> None:
        self._pieces = _pieces(like)
        self._before: Tensor | None = None
        self.newest = like.new_empty(0, len(like))  # (n,) once there is one
        self._length = 0.0  # of the newest before it was divided by it
        self.vectors = self.newest  # (0, n): none is stored

    def append(self, vector: Tensor, length: float | None = None) -> None:
        """Add a vector, divided by its length, and let go of the last but one."""
        self._length = _length(vector) if length is None else length
        self._before = self.newest if self.newest.ndim == 1 else None
        self.newest = vector / self._length

    def split_product(self, product: Tensor) -> Split:
        """The coefficient (1,) of the last vector, and the rest of a product of it."""
        if self._before is None:
            between, rest = 0.0, product.clone()
        else:
            between = self._length
            rest = torch.add(product, self._before, alpha=-between)
        along = _inner(self.newest[None], rest, self._pieces)
        rest.sub_(self.newest, alpha=float(along))
        length = _length(rest)
        return Split(along, rest, length, math.hypot(length, float(along), between))


def start_vector(operator: Operator, seed: int) -> Tensor:
    """(n,) a random unit vector of normal entries, drawn on the CPU for every device."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(operator.shape[0], generator=generator, dtype=torch.float64, device="cpu")
    return (drawn / drawn.norm()).to(operator.device, operator.dtype)


def check_product(product: Tensor, step: int) -> Tensor:
    """The product at this step, counted from 1; a FloatingPointError if it is not finite."""
    # The norm takes a quarter of the time of isfinite().all(), and in float64 never overflows.
    if not math.isfinite(_length(product)):
        raise FloatingPointError(f"the product at step {step} is not finite")
    return product


def _pieces(like: Tensor) -> list[slice]:
    length = _PIECE if like.device.type == "cpu" else len(like)
    return [slice(i, i + length) for i in range(0, len(like), length)]


def _inner(rows: Tensor, vector: Tensor, pieces: list[slice]) -> Tensor:
    """(j,) float64: inner products of rows (j, n) with a vector (n,)."""
    parts = [torch.mv(rows[:, piece], vector[piece]) for piece in pieces]
    return torch.stack(parts).sum(dim=0, dtype=torch.float64)


def _length(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))
