"""Lanczos' method: a symmetric operator seen from one vector, as a small tridiagonal matrix.

Durall et al. 2021, section 4.2, after Lanczos 1950. After m products the operator, restricted to
the span of v, Hv, ..., H^(m-1) v, is the tridiagonal T. Its eigenvalues (Ritz values) approach
those of H from the ends of the spectrum inwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.basis import Basis, Products, check_product


@dataclass(frozen=True, eq=False)
class Tridiagonal:
    """T of a Lanczos run, and what belongs to it."""

    diagonal: NDArray[np.float64]  # (m,)
    off_diagonal: NDArray[np.float64]  # (m - 1,)
    next_off_diagonal: float  # what couples T to the rest; 0 where the span is invariant
    basis: Tensor  # (m, n) orthonormal rows, in the precision of the products

    def nodes_and_weights(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ritz values (m,), ascending, and the squared first entries of T's eigenvectors (m,).

        Durall et al. 2021, eq. 9 and 10: nodes and weights of Gauss' quadrature for the spectral
        measure of H as the first vector sees it. The weights sum to 1.
        """
        nodes, vectors = eigh_tridiagonal(self.diagonal, self.off_diagonal)
        return nodes, vectors[0] ** 2 / (vectors[0] ** 2).sum()


def lanczos(operator: Operator, starts: Tensor, steps: int) -> list[Tridiagonal]:
    """Run Lanczos' method from one vector or several at once, with full orthogonality.

    It ends early where the vectors so far span an invariant subspace: nothing is left to find from
    there.

    Args:
        operator: a symmetric one.
        starts: (n,) or (n, k), for k separate runs side by side; they share products of k
            vectors, which pays on a GPU.
        steps: products of each run, 1 to n.

    Raises:
        ValueError: for an operator that is not symmetric, starts that have another shape, vanish or
            are not finite, and steps below 1 or above n.
        FloatingPointError: for a product that is not finite, naming the step.

    >>> from helpers.operators import Matrix
    >>> run, = lanczos(Matrix([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([1.0, 0.0]), 2)
    >>> run.nodes_and_weights()[0].round(12)
    array([1., 3.])
    """
    check_symmetric(operator)
    n = operator.shape[0]
    check_count("steps", steps, n)
    starts = starts.to(operator.device, operator.dtype)
    if starts.ndim not in (1, 2) or len(starts) != n or not starts.numel():
        raise ValueError(f"starts are ({n},) or ({n}, k), got {tuple(starts.shape)}")
    runs = [_Run(start, steps) for start in starts.reshape(n, -1).T]
    for step in range(1, steps + 1):
        going = [run for run in runs if not run.is_over]
        if not going:
            break
        newest = [run.basis.vectors[-1] for run in going]
        if starts.ndim == 1:
            products = [check_product(operator.matvec(newest[0]), step)]
        else:
            block = torch.stack([run.basis.vectors[-1] for run in runs], dim=1)
            together = check_product(operator.matmat(block), step)
            products = [together[:, i] for i, run in enumerate(runs) if not run.is_over]
        for run, product in zip(going, products, strict=True):
            run.advance(product)
    return [run.result() for run in runs]


def check_symmetric(operator: Operator) -> None:
    """Raise a ValueError for an operator whose eigenvalues may be complex."""
    if not operator.symmetric:
        raise ValueError(
            "this method needs a symmetric operator, such as a Hessian; for a game's Jacobian "
            "there are game_eigenvalues and ritz_cloud"
        )


def check_count(name: str, count: int, most: int) -> None:
    """Raise a ValueError unless the count is a whole number from 1 to most."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, got {count!r}")


class _Run:
    """One start vector's share of the work."""

    def __init__(self, start: Tensor, steps: int) -> None:
        if not start.isfinite().all() or not start.any():
            raise ValueError("a start vector must be finite and not zero")
        self.basis = Basis(start, steps)
        self.basis.append(start)
        self.steps = steps
        self.alpha: list[float] = []
        self.beta: list[float] = []
        self.products = Products(start)
        self.is_over = False

    def advance(self, product: Tensor) -> None:
        # Three terms; the second pass sees to the others.
        split = self.basis.split(product, recent=2)
        self.alpha.append(float(split.coefficients[-1]))
        self.products.add(split.whole)
        self.beta.append(split.length if split.leaves(self.products.rounding) else 0.0)
        self.is_over = len(self.alpha) == self.steps or not self.beta[-1]
        if not self.is_over:
            self.basis.append(split.rest, split.length)

    def result(self) -> Tridiagonal:
        beta = np.array(self.beta)
        return Tridiagonal(np.array(self.alpha), beta[:-1], float(beta[-1]), self.basis.vectors)
