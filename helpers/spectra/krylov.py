"""A Krylov decomposition that starts from one vector or from many, and knows its residuals.

It holds an orthonormal basis in two parts, V, whose products are known, and Q, whose products are
still to come, with ``H V = V M + Q B``. For an eigenpair (t, s) of the small matrix M, the Ritz
pair (t, V s) has the residual ``H V s - t V s = Q B s``, of length |B s|, which is exact and free.
From one start vector this is Lanczos' or Arnoldi's method, with one vector in Q at a time. From
several, for instance eigenvectors found earlier, Q holds as many, and the next product goes where
the wanted pairs' residuals are largest. When the room is used up, V is cut back to the wanted part
of M's Schur form, as in Stewart's Krylov-Schur method; the decomposition still holds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.basis import (
    Basis,
    Products,
    Split,
    check_product,
    rounding_error,
    start_vector,
)


class Krylov:
    """V, Q, M and B of an operator."""

    def __init__(self, operator: Operator, starts: Tensor, room: int, seed: int) -> None:
        """Begin with the span of starts (n, m) in Q."""
        self.operator = operator
        like = operator.like.new_empty(len(starts), dtype=operator.dtype)
        self.basis = Basis(like, room)
        self.known = 0  # rows of the basis that are V; the others are Q
        self.products = 0
        self.seen = Products(like)
        self.M = torch.zeros(0, 0, dtype=torch.float64, device="cpu")
        self.B = torch.zeros(0, 0, dtype=torch.float64, device="cpu")
        self._seed = seed
        self.is_chain = starts.shape[1] == 1  # from one vector, and all of it is still there
        for start in starts.to(operator.device, operator.dtype).T:
            split = self.basis.split(start)
            if self._is_new(split):
                self._add_pending(split.rest)
        if not self.pending:
            self._add_random()

    @property
    def pending(self) -> int:
        """Number of vectors in Q."""
        return self.basis.size - self.known

    @property
    def is_full(self) -> bool:
        """Whether there is no room for one more product; a complete basis needs none."""
        return self.basis.size == self.basis.room < self.operator.shape[0]

    @property
    def room_left(self) -> int:
        """How many vectors `add` has room for."""
        return (self.basis.room - self.basis.size) // 2

    def advance(self, direction: Tensor | None = None) -> None:
        """One product, of the vector of Q with these coefficients (or the first one)."""
        if not self.pending:
            self._add_random()
        if direction is not None and self.pending > 1:
            self._turn(direction)
        j, q = self.known, self.basis.vectors[self.known]
        self.products += 1
        product = check_product(self.operator.matvec(q), self.products)
        split = self.basis.split(product)
        column = split.coefficients.cpu()
        self.M = torch.cat(
            [
                torch.cat([self.M, column[:j, None]], dim=1),
                torch.cat([self.B[:1], column[j : j + 1, None]], dim=1),
            ]
        )
        self.B = torch.cat([self.B[1:], column[j + 1 :, None]], dim=1)
        self.known += 1
        self.seen.add(split.whole)
        if split.leaves(self.seen.rounding):
            self._add_pending(split.rest)
            self.B[-1, -1] = split.length

    def add(self, vectors: Tensor) -> None:
        """Take in vectors (n, c) from elsewhere, with a product each."""
        self.is_chain = False
        for vector in vectors.T:
            split = self.basis.split(vector)
            along = split.coefficients[self.known :].cpu()  # in Q, whose products are to come
            if self._is_new(split):
                self._add_pending(split.rest)
                along = torch.cat(
                    [along, torch.tensor([split.length], dtype=torch.float64, device="cpu")]
                )
            if along.any():
                self.advance(along)

    def residuals(self, S: Tensor) -> Tensor:
        """(r, k) coefficients in Q of the residuals of V S, for S (j, k); may be complex."""
        return self.B.to(S) @ S

    def cut(self, Z: Tensor) -> None:
        """Replace V by V Z, for Z (j, m) with orthonormal columns that span an invariant subspace
        of M.
        """
        self.basis.cut(Z, self.pending)
        self.is_chain = False
        self.known = Z.shape[1]
        self.M, self.B = Z.T @ self.M @ Z, self.B @ Z

    def vectors(self, S: Tensor) -> Tensor:
        """(n, k): V S."""
        V = self.basis.vectors[: self.known].T
        if S.is_complex():
            return torch.complex(V @ S.real.to(V), V @ S.imag.to(V))
        return V @ S.to(V)

    def _turn(self, direction: Tensor) -> None:
        """Rotate Q by a reflection that makes the direction its first vector."""
        w = direction / direction.norm()
        w[0] += torch.copysign(w.new_ones(()), w[0])
        w = w / w.norm()
        Q = self.basis.vectors[self.known :]
        along = w.to(Q) @ Q
        Q.addr_(w.to(Q), along, alpha=-2)
        self.B = self.B - 2 * torch.outer(w, w @ self.B)

    def _is_new(self, split: Split) -> bool:
        """Whether a vector that is not a product has a part outside the span.

        No sums have gone into the vector: each entry is rounded by itself.
        """
        return split.leaves(rounding_error(self.operator.dtype, 1, split.whole, split.whole))

    def _add_pending(self, vector: Tensor) -> None:
        self.basis.append(vector)
        self.B = torch.cat([self.B, torch.zeros(1, self.known, dtype=torch.float64, device="cpu")])

    def _add_random(self) -> None:
        """A direction that nothing so far has led to: the span is invariant without it."""
        self._seed += 1
        self._add_pending(self.basis.split(start_vector(self.operator, self._seed)).rest)
