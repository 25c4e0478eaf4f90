"""What a computation costs in operations, which depend on no clock and no other process."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

_ATEN = torch.ops.aten


def operations(work: Callable[[], object]) -> int:
    """Floating point operations of the products of matrices and vectors in some work.

    A product of (m, n) with a vector counts 2 m n, additions and multiplications alike. Entrywise
    operations, which are of lower order, are left out.

    >>> operations(lambda: torch.ones(3, 5) @ torch.ones(5))
    30
    """
    with FlopCounterMode(display=False, custom_mapping=_VECTORS) as counter:
        work()
    return counter.get_total_flops()


def tridiagonalise(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(n,) diagonal and (n - 1,) off-diagonal of a tridiagonal matrix with the same eigenvalues.

    Householder's reduction, the part of a dense symmetric eigensolver with the most operations
    (Golub and Van Loan, Matrix Computations, Section 8.3.1). Each of n steps takes a product with
    what is left of the matrix and changes all of it.

    Args:
        matrix: (n, n) symmetric; it is not changed.

    Raises:
        ValueError: for a matrix that is not square.

    >>> diagonal, beside = tridiagonalise(torch.eye(3))
    >>> diagonal.tolist(), (beside + 0).tolist()
    ([1.0, 1.0, 1.0], [0.0, 0.0])
    """
    if matrix.ndim != 2 or len(matrix) != matrix.shape[1]:
        raise ValueError(f"a matrix is (n, n), got {tuple(matrix.shape)}")
    left, diagonal, beside = matrix.clone(), [], [matrix.new_empty(0)]
    while len(left) > 1:
        diagonal.append(left[:1, 0].clone())
        u, left = left[1:, 0].clone(), left[1:, 1:]
        length = torch.copysign(u.norm(), u[0])
        beside.append(-length[None])
        u[0] += length
        if length == 0:  # nothing to reflect
            continue
        u /= u.norm()
        w = 2 * torch.mv(left, u)
        w -= u * torch.dot(u, w)
        left -= torch.stack([u, w], dim=1) @ torch.stack([w, u])
    return torch.cat([*diagonal, left[:1, 0]]), torch.cat(beside)


# torch counts products of matrices and convolutions, but leaves out these two.
_VECTORS = {
    _ATEN.mv: lambda matrix, *_, **__: 2 * matrix[0] * matrix[1],
    _ATEN.addmv: lambda _, matrix, *__, **___: 2 * matrix[0] * matrix[1],
}
