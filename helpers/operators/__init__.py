"""Second derivatives of a game as operators: products with vectors, never matrices.

Berard et al. 2020, eq. 5: the Jacobian of the field has the players' own Hessians on its diagonal
and their interaction off it. It is not symmetric, so its products come in two kinds, ``J u`` and
``J' u``; Appendix B of the paper calls the second one the first (the eigenvalues are the same).
"""

from helpers.operators.base import Block, Matrix, Operator, Sum
from helpers.operators.curvature import hessian, jacobian
from helpers.operators.derivative import ROUTES, Derivative
from helpers.operators.members import MemberHessians

__all__ = [
    "ROUTES",
    "Block",
    "Derivative",
    "Matrix",
    "MemberHessians",
    "Operator",
    "Sum",
    "hessian",
    "jacobian",
]
