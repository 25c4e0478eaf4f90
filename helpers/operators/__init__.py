"""Second derivatives of a game as operators: products with vectors, never matrices.

In Berard et al. 2020, eq. 5, the Jacobian of the field has the players' own Hessians on its
diagonal and their interaction off it. It is not symmetric, so its products come in two kinds,
``J u`` and ``J' u``; what Appendix B of the paper calls the first is the second (the eigenvalues
are the same).
"""

from helpers.operators.base import Block, Matrix, Operator, Sum
from helpers.operators.curvature import hessian, jacobian
from helpers.operators.derivative import ROUTES, Derivative
from helpers.operators.members import MemberHessians

__all__ = [
    "ROUTES",  # ways to compute a product
    "Block",  # a diagonal block of an operator: some of its rows and the same columns
    "Derivative",  # the derivative of a map R^n -> R^n at a point
    "Matrix",  # an explicit matrix: random matrices, and what tests compare with
    "MemberHessians",  # the Hessian of each of S networks side by side, in its own weights
    "Operator",  # a square real matrix that is known by its products
    "Sum",  # a weighted sum of operators, in the order given
    "hessian",  # a player's own Hessian, (p, p) for "G" or (q, q) for "D", the other player held
    "jacobian",  # the Jacobian of a game's field
]
