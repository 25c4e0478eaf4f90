"""Lanczos' method: a symmetric operator seen from one vector, as a small tridiagonal matrix.

Durall et al. 2021, section 4.2, after Lanczos 1950. After m products the operator, restricted to
the span of v, Hv, ..., H^(m-1) v, is the tridiagonal T. Its eigenvalues (Ritz values) approach
those of H from the ends of the spectrum inwards.

In finite precision the vectors lose their orthogonality as Ritz values converge. There are two
remedies. With full reorthogonalisation, which is the default, all vectors are stored, and T is what
exact arithmetic would give. Without it only the last two are kept. T then has several copies of
eigenvalues that have converged ("ghosts"), but as a quadrature it is as good. It is the exact T of
a larger matrix, whose eigenvalues lie in tiny intervals around those of H and share their weights
(Greenbaum 1989, "Behavior of slightly perturbed Lanczos and conjugate-gradient recurrences"); and
its sums of Chebyshev polynomials are right up to rounding (Knizhnerman 1996, "The simple Lanczos
procedure"). Chen 2023, "A spectrum adaptive kernel polynomial method", draws on both to estimate
densities without reorthogonalisation. Each copy takes a step, though: of few steps, which leave the
inside of the spectrum unresolved, T with reorthogonalisation resolves a little more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from helpers.inputs import shown, whole_number
from helpers.operators import Operator
from helpers.spectra.basis import Basis, LastTwo, Products, check_product


@dataclass(frozen=True, eq=False)
class Tridiagonal:
    """T of a Lanczos run, and what belongs to it."""

    diagonal: NDArray[np.float64]  # (m,)
    off_diagonal: NDArray[np.float64]  # (m - 1,)
    next_off_diagonal: float  # what couples T to the rest; 0 where the span is invariant
    # (m, n) orthonormal rows, in the precision of the products; (0, n) without reorthogonalisation
    basis: Tensor

    def nodes_and_weights(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ritz values (m,), ascending, and the squared first entries of T's eigenvectors (m,).

        Durall et al. 2021, eq. 9 and 10: nodes and weights of Gauss' quadrature for the spectral
        measure of H as the first vector sees it. The weights sum to 1.
        """
        nodes, vectors = eigh_tridiagonal(self.diagonal, self.off_diagonal)
        return nodes, vectors[0] ** 2 / (vectors[0] ** 2).sum()


def lanczos(
    operator: Operator, starts: Tensor, steps: int, *, reorthogonalise: bool = True
) -> list[Tridiagonal]:
    """Run Lanczos' method from one vector or several at once.

    It ends early where the vectors so far span an invariant subspace: nothing is left to find from
    there.

    Args:
        operator: a symmetric one.
        starts: (n,) or (n, k), for k separate runs side by side; they share products of k
            vectors, which pays on a GPU.
        steps: products of each run, 1 to n.
        reorthogonalise: whether each vector is made orthogonal to all earlier ones, which are
            stored: m n numbers a run. Without it a single run holds four vectors beside its start,
            whatever m is: the last two, a product and what is left of it. Its nodes and weights are
            good for quadrature, but eigenvalues that have converged come several times, and there
            is no basis.

    Raises:
        ValueError: for an operator that is not symmetric, starts that are complex, have another
            shape, vanish or are not finite, steps below 1 or above n, and a choice that is not True
            or False.
        FloatingPointError: for a product that is not finite, naming the step.

    >>> from helpers.operators import Matrix
    >>> run, = lanczos(Matrix([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([1.0, 0.0]), 2)
    >>> run.nodes_and_weights()[0].round(12)
    array([1., 3.])
    """
    check_symmetric(operator)
    n = operator.shape[0]
    steps = whole_number("steps", steps, 1, n)
    if not isinstance(reorthogonalise, bool):
        raise ValueError(f"reorthogonalise is True or False, got {shown(reorthogonalise)}")
    if starts.is_complex():
        raise ValueError(f"starts are real, got {starts.dtype}; start from .real and from .imag")
    starts = starts.to(operator.device, operator.dtype)
    if starts.ndim not in (1, 2) or len(starts) != n or not starts.numel():
        raise ValueError(f"starts are ({n},) or ({n}, k), got {tuple(starts.shape)}")
    runs = [_Run(start, steps, reorthogonalise) for start in starts.reshape(n, -1).T]
    for step in range(1, steps + 1):
        going = [run for run in runs if not run.is_over]
        if not going:
            break
        if starts.ndim == 1:
            products = [check_product(operator.matvec(going[0].basis.newest), step)]
        else:
            block = torch.stack([run.basis.newest for run in runs], dim=1)
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


class _Run:
    """One start vector's share of the work."""

    def __init__(self, start: Tensor, steps: int, reorthogonalise: bool) -> None:
        if not start.isfinite().all() or not start.any():
            raise ValueError("a start vector must be finite and not zero")
        self.basis: Basis | LastTwo = Basis(start, steps) if reorthogonalise else LastTwo(start)
        self.basis.append(start)
        self.steps = steps
        self.alpha: list[float] = []
        self.beta: list[float] = []
        self.products = Products(start)
        self.is_over = False

    def advance(self, product: Tensor) -> None:
        split = self.basis.split_product(product)
        self.alpha.append(float(split.coefficients[-1]))
        self.products.add(split.whole)
        self.beta.append(split.length if split.leaves(self.products.rounding) else 0.0)
        self.is_over = len(self.alpha) == self.steps or not self.beta[-1]
        if not self.is_over:
            self.basis.append(split.rest, split.length)

    def result(self) -> Tridiagonal:
        beta = np.array(self.beta)
        return Tridiagonal(np.array(self.alpha), beta[:-1], float(beta[-1]), self.basis.vectors)
