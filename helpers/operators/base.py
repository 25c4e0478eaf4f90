"""Matrices that are known by their products, and what can be made from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from helpers.inputs import real_array, shown

Product = Callable[[Tensor], Tensor]
_COLUMNS = 64  # of a dense matrix at once


class Operator(ABC):
    """A square real matrix that is known by its products.

    It multiplies complex vectors too, part by part. Products come in float32, or in float64 where
    the operator is float64: bfloat16 is a precision to multiply in, not to store results in.
    """

    like: Tensor  # (n,) a tensor of the operator's length, precision and device
    symmetric: bool
    route: str = ""  # how products are made, where there is a choice

    @property
    def shape(self) -> tuple[int, int]:
        return (len(self.like), len(self.like))

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the products."""
        return torch.promote_types(self.like.dtype, torch.float32)

    @property
    def device(self) -> torch.device:
        return self.like.device

    def matvec(self, u: Tensor) -> Tensor:
        """J u, (n,)."""
        return self._given(self._times, u, 1)

    def rmatvec(self, u: Tensor) -> Tensor:
        """J' u, (n,)."""
        return self._given(self._transposed_times, u, 1)

    def matmat(self, U: Tensor) -> Tensor:
        """J U, (n, k), for k vectors at once."""
        return self._given(self._times_many, U, 2)

    def dense(self) -> Tensor:
        """J, (n, n)."""
        eye = torch.eye(len(self.like), dtype=self.like.dtype, device=self.device)
        columns = [self._columns(part) for part in eye.split(_COLUMNS, dim=1)]
        return torch.cat(columns, dim=1).to(self.dtype)

    def _given(self, product: Product, u: Tensor, ndim: int) -> Tensor:
        n = len(self.like)
        if not isinstance(u, Tensor):
            raise ValueError(f"this operator multiplies tensors, got {shown(u)}")
        if u.ndim != ndim or len(u) != n or not u.numel():
            wanted = f"({n}{', k' if ndim == 2 else ','})"
            raise ValueError(f"this operator multiplies tensors {wanted}, got {tuple(u.shape)}")
        if u.is_complex():  # the matrix is real, and multiplies both parts
            return torch.complex(*(self._given(product, part, ndim) for part in (u.real, u.imag)))
        return product(u.detach().to(self.like)).to(self.dtype)

    @abstractmethod
    def _times(self, u: Tensor) -> Tensor: ...

    @abstractmethod
    def _transposed_times(self, u: Tensor) -> Tensor: ...

    def _times_many(self, U: Tensor) -> Tensor:
        return torch.stack([self._times(u) for u in U.T], dim=1)  # in the memory of one vector

    def _columns(self, U: Tensor) -> Tensor:
        """As `_times_many`, where the same number of vectors will not come again."""
        return self._times_many(U)


class Matrix(Operator):
    """An explicit matrix: random matrices, and what tests compare with.

    >>> Matrix([[0.0, 1.0], [2.0, 0.0]]).matvec(torch.tensor([1.0, 1.0]))
    tensor([1., 2.], dtype=torch.float64)
    """

    def __init__(self, entries: ArrayLike | Tensor) -> None:
        if not isinstance(entries, Tensor):
            numbers = real_array("the entries of a matrix", entries, finite=False)
            entries = torch.from_numpy(numbers)
        self.entries = entries.detach().clone()
        shape = tuple(self.entries.shape)
        if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
            raise ValueError(f"a matrix (n, n) is expected, got {shape}")
        if not self.entries.is_floating_point() or not self.entries.isfinite().all():
            raise ValueError(f"a matrix of finite real numbers is expected, got {self.entries}")
        self.like = self.entries[0]
        self.symmetric = bool(torch.equal(self.entries, self.entries.T))

    def _times(self, u: Tensor) -> Tensor:
        return self.entries @ u

    def _transposed_times(self, u: Tensor) -> Tensor:
        return self.entries.T @ u

    def _times_many(self, U: Tensor) -> Tensor:
        return self.entries @ U


class Sum(Operator):
    """A weighted sum of operators, in the order given."""

    def __init__(self, weights: Sequence[float], operators: Sequence[Operator]) -> None:
        self.parts = list(zip(weights, operators, strict=True))
        self.like = operators[0].like
        self.symmetric = all(each.symmetric for each in operators)
        self.route = operators[0].route

    def _times(self, u: Tensor) -> Tensor:
        return cast(Tensor, sum(weight * each._times(u) for weight, each in self.parts))

    def _transposed_times(self, u: Tensor) -> Tensor:
        return cast(Tensor, sum(weight * each._transposed_times(u) for weight, each in self.parts))

    def _times_many(self, U: Tensor) -> Tensor:
        return cast(Tensor, sum(weight * each._times_many(U) for weight, each in self.parts))

    def _columns(self, U: Tensor) -> Tensor:
        return cast(Tensor, sum(weight * each._columns(U) for weight, each in self.parts))


class Block(Operator):
    """A diagonal block of an operator: some of its rows and the same columns.

    Raises:
        ValueError: for a row that comes twice.

    >>> Block(Matrix([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1])).dense()
    tensor([[4.]], dtype=torch.float64)
    """

    def __init__(self, whole: Operator, rows: Tensor | Sequence[int]) -> None:
        self.whole, self.rows = whole, torch.as_tensor(rows, device=whole.device)
        self.like = whole.like[self.rows]
        taken = torch.zeros(len(whole.like), dtype=torch.bool, device=whole.device)
        taken[self.rows] = True
        if int(taken.sum()) < len(self.like):  # a product would take one of the two
            raise ValueError(f"a block has each of its rows once, got {shown(self.rows.tolist())}")
        self.symmetric = whole.symmetric
        self.route = whole.route

    def _times(self, u: Tensor) -> Tensor:
        return self._within(self.whole._times, u)

    def _transposed_times(self, u: Tensor) -> Tensor:
        return self._within(self.whole._transposed_times, u)

    def _times_many(self, U: Tensor) -> Tensor:
        return self._within(self.whole._times_many, U)

    def _columns(self, U: Tensor) -> Tensor:
        return self._within(self.whole._columns, U)

    def _within(self, product: Product, u: Tensor) -> Tensor:
        padded = u.new_zeros(len(self.whole.like), *u.shape[1:])
        padded[self.rows] = u
        return product(padded)[self.rows]
