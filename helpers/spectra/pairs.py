"""Extreme eigenvalues of a symmetric operator with their eigenvectors, from scratch or tracked.

Durall et al. 2021, section 4.3 and Figures 3 and 4, track the top eigenvalues of both players'
Hessians during training. From one time to the next the eigenvectors change little: given as a warm
start they save most of the products.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra.lanczos import check_symmetric
from helpers.spectra.search import EigenPairs, Small, leading_pairs
from helpers.spectra.unseen import CHANCE, Region

# The order in which eigenvalues are put, as scipy names it.
_ORDERS = {
    "LA": Region(lambda values: values, lambda edge, _: np.array([edge])),
    "SA": Region(lambda values: -values, lambda edge, _: np.array([-edge])),
    "LM": Region(np.abs, lambda edge, _: np.array([edge, -edge])),
}
_SMALL = Small(
    orders=_ORDERS,
    solve=lambda M: np.linalg.eigh((M + M.T) / 2),
    first=lambda values, size, k, _: np.argsort(-size(values))[:k],
)


def top_eigenpairs(
    operator: Operator,
    k: int,
    which: str = "LA",
    *,
    seed: int = 0,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    room: int | None = None,
    most: int | None = None,
    chance: float | None = CHANCE,
) -> EigenPairs:
    """The first k eigenpairs of a symmetric operator in a chosen order.

    Small residuals say that the values are eigenvalues, not that they are the first ones. That is
    made sure of as well: the chance that one of them is too low, in the order, by more than three
    tolerances times the largest modulus of the spectrum is at most 1 in 10,000, for every operator,
    including those with equal or close eigenvalues. `helpers.spectra.unseen` says why.

    Args:
        operator: a Hessian, or any symmetric operator (n, n).
        k: how many, 1 to n.
        which: "LA" largest algebraic, "SA" smallest algebraic, "LM" largest in magnitude.
        seed: for the random vector that the search begins with.
        tolerance: each residual is at most this times the size of its eigenvalue, or is rounding.
        start: (n, m) vectors near the wanted ones, for instance the eigenvectors of an earlier
            point. One product, of the last of them, tests whether they still nearly span an
            invariant subspace: if so, all are kept; if not, the search begins with their sum.
        room: basis vectors held at once, before the basis is cut back; 6 k + 40 by default. The
            look for misses holds one more vector for each of its products.
        most: products after which to give up; 40 k + 400 by default.
        chance: of a miss, at most, over the seeds. None saves the products of making sure, but now
            and then silently gives the second eigenvalue for the first.

    Raises:
        ValueError: for an operator that is not symmetric, a k out of range, an unknown order, a
            negative tolerance, a start of another shape, too little room, or an invalid chance.
        FloatingPointError: for a product that is not finite, naming the step.
        NotConverged: a RuntimeError, if the pairs have not converged after `most` products, or if
            it is not settled whether one was missed.

    >>> from helpers.operators import Matrix
    >>> top_eigenpairs(Matrix(np.diag(np.arange(9.0))), 2).values.round(4)
    array([8., 7.])
    """
    check_symmetric(operator)
    search = (seed, tolerance, start, room, most, chance)
    return leading_pairs(operator, k, which, _SMALL, *search)
