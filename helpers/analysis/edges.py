"""The edge of stability of a game: how large the steps of a method may be at a point.

Cohen et al. 2021 (arXiv:2103.00065) find that gradient descent of one player sharpens until its
rate times the largest eigenvalue of the Hessian is 2, and then stays there; Cohen et al. 2022
(arXiv:2207.14484) find the same for Adam, with its preconditioned Hessian. In a game two players
move. A small displacement x from the path of a method that takes steps of sizes P, a diagonal
matrix, is multiplied by a matrix that depends on P J, with J the game's Jacobian. For all methods
but the alternating one it does so eigenvalue by eigenvalue: an eigenvalue z of P J becomes the
*multipliers* of the method, and the edge is where the largest of them leaves the unit circle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.inputs import one_of, real_array, real_number, shown, whole_number

# All players at once, but for "alternating": D steps first, and G from where D has gone.
EDGE_METHODS = ("simultaneous", "alternating", "extragradient", "optimistic", "adam")
_BY_VALUE = tuple(method for method in EDGE_METHODS if method != "alternating")
_LENGTHS = np.geomspace(1e-4, 1e2, 601)  # |s z|, from small steps to some that only Adam may take
_HALVINGS = 40  # of an interval between two of them
_SLACK = 1e-12  # of a modulus, for rounding


def multipliers(values: ArrayLike, method: str, *, beta: float = 0.0) -> NDArray[np.complex128]:
    """What a method's step multiplies a small displacement by, for eigenvalues z of P J.

    - simultaneous descent: ``m = 1 - z``;
    - extragradient (Korpelevich 1976): ``m = 1 - z + z^2``, the Jacobian at the extrapolated point
      being taken for that at the past one;
    - optimistic descent (Daskalakis et al. 2018): ``m^2 - (1 - 2 z) m - z = 0``;
    - Adam: ``m^2 - (1 + beta - (1 - beta) z) m + beta = 0``, its second moment held (Cohen et al.
      2022); P is then ``rate / (sqrt(second moment) + eps)``, both corrected for their start.

    Args:
        values: (...) real or complex eigenvalues of P J.
        method: one of `EDGE_METHODS` except "alternating", for which the eigenvalues do not decide:
            see `update_matrix`.
        beta: decay of Adam's first moment, in [0, 1).

    Returns:
        (..., 1), or (..., 2) for methods with a memory.

    Raises:
        ValueError: for another method, a beta out of range or without Adam, and values that are not
            finite numbers.

    >>> multipliers([2.0, 1j], "simultaneous")[:, 0]
    array([-1.+0.j,  1.-1.j])
    """
    z, beta = _complex(values), _checked(method, beta)
    if method == "simultaneous":
        return 1 - z[..., None]
    if method == "extragradient":
        return (1 - z + z**2)[..., None]
    if method == "optimistic":
        middle, last = 1 - 2 * z, -z
    else:
        middle, last = 1 + beta - (1 - beta) * z, np.full_like(z, beta)
    root = np.sqrt(middle**2 - 4 * last)
    return np.stack([(middle + root) / 2, (middle - root) / 2], axis=-1)


def edge_ratio(values: ArrayLike, method: str, *, beta: float = 0.0) -> NDArray[np.float64]:
    """How much of the largest stable step a method takes: 1 at the edge, above 1 beyond it.

    With s the least factor of all step sizes at which a multiplier of s z leaves the unit circle,
    this is 1 / s. For simultaneous descent it is ``|z|^2 / (2 Re z)``, and for a real z half of
    rate times eigenvalue. It is infinite where a step with ``|s z| = 1e-4`` is not stable either:
    so for eigenvalues with a negative real part, which are unstable under the flow itself.

    Args, Raises: as `multipliers`.

    Returns:
        (...), of the shape of values.

    >>> edge_ratio([2.0, 1.0], "simultaneous").round(6)
    array([1. , 0.5])
    >>> float(edge_ratio(6.0, "adam", beta=0.5).round(6))  # 2 (1 + beta) / (1 - beta)
    1.0
    """
    z, beta = _complex(values), _checked(method, beta)
    size = np.abs(z)
    unit = np.where(size > 0, size, 1.0)
    ray = np.where(size > 0, z, 1.0) / unit

    def leaves(length: float | NDArray[np.float64]) -> NDArray[np.bool_]:
        moduli = np.abs(multipliers(length * ray, method, beta=beta)).max(axis=-1)
        return np.asarray(moduli > 1 + _SLACK)

    lengths = _lengths(beta)
    beyond = np.stack([leaves(length) for length in lengths])  # the last row is all true
    first = np.argmax(beyond, axis=0)
    low, high = lengths[np.maximum(first - 1, 0)], lengths[first]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_beyond = leaves(middle)
        low, high = np.where(is_beyond, low, middle), np.where(is_beyond, middle, high)
    return np.where(size == 0, 0.0, np.where(first == 0, np.inf, size / high))


def _lengths(beta: float) -> NDArray[np.float64]:
    """Lengths |z| from small ones to twice the largest that a method can take.

    The two multipliers of Adam have the product beta. If neither exceeds 1 in modulus, the modulus
    of their sum is at most 1 + beta, and so is that of ``1 + beta - (1 - beta) z``. Hence
    ``|z| <= 2 (1 + beta) / (1 - beta)``. For the other methods |z| is at most 2.
    """
    farthest = 2 * (1 + beta) / (1 - beta)
    more = np.arange(1, np.ceil(100 * np.log10(2 * farthest / _LENGTHS[-1])) + 1)
    return np.concatenate([_LENGTHS, _LENGTHS[-1] * 10 ** (more / 100)])


def update_matrix(
    J: ArrayLike, p: int, method: str, sizes: ArrayLike, *, beta: float = 0.0
) -> NDArray[np.float64]:
    """(m, m) what a step of a method does to a small displacement, and to what it remembers.

    The state is the displacement, n numbers; for "optimistic" also that of the last gradient, times
    its step sizes; for "adam" also that of the first moment, corrected for its start and times the
    step sizes. Away from stationary points, "extragradient" and "alternating" take gradients at two
    points; both Jacobians are taken to be J.

    Args:
        J: (n, n) the game's Jacobian.
        p: number of G's weights, which come first.
        method: one of `EDGE_METHODS`.
        sizes: (2,) step sizes of G and of D, or (n,) one per weight.
        beta: decay of Adam's first moment, in [0, 1).

    Raises:
        ValueError: for what is not a square matrix of finite numbers, sizes of another number or
            below 0, and as `multipliers`.

    >>> update_matrix([[0.0, 1.0], [-1.0, 0.0]], 1, "alternating", [0.5, 0.5])
    array([[ 0.75, -0.5 ],
           [ 0.5 ,  1.  ]])
    """
    one_of("method", method, EDGE_METHODS)
    J, sizes = real_array("J", J), real_array("sizes", sizes)
    if J.ndim != 2 or not len(J) or J.shape[0] != J.shape[1]:
        raise ValueError(f"J is square (n, n), got {J.shape}")
    n = len(J)
    p = whole_number("p", p, 1, n - 1)
    if sizes.shape not in ((2,), (n,)) or (sizes < 0).any():
        raise ValueError(f"sizes are (2,) or ({n},), none below 0, got {shown(sizes)}")
    if len(sizes) != n:
        sizes = np.repeat(sizes, [p, n - p])
    PJ, eye, nothing = sizes[:, None] * J, np.eye(n), np.zeros((n, n))
    if method == "alternating":
        of_g, of_d = PJ.copy(), PJ.copy()
        of_g[p:] = 0
        of_d[:p] = 0
        return (eye - of_g) @ (eye - of_d)
    beta = _checked(method, beta)
    if method == "simultaneous":
        return eye - PJ
    if method == "extragradient":
        return eye - PJ @ (eye - PJ)
    if method == "optimistic":
        return np.block([[eye - 2 * PJ, eye], [PJ, nothing]])
    moment = [(1 - beta) * PJ, beta * eye]
    return np.block([[eye - moment[0], -moment[1]], moment])


def _complex(values: ArrayLike) -> NDArray[np.complex128]:
    try:
        z = np.asarray(values)
    except (TypeError, ValueError):
        raise ValueError(f"values are numbers, got {shown(values)}") from None
    if z.dtype.kind not in "iufc" or not np.isfinite(z).all():
        raise ValueError(f"values are finite numbers, got {shown(values)}")
    return z.astype(complex)


def _checked(method: str, beta: float) -> float:
    one_of("method", method, _BY_VALUE)
    beta = real_number("beta", beta, least=0)
    if beta >= 1 or (beta and method != "adam"):
        raise ValueError(f"beta is Adam's, in [0, 1), got {beta} with {method!r}")
    return beta
