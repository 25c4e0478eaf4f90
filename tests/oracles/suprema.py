"""Outer values found by other means: linear programs and L-BFGS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize

from helpers.losses.scalars import PAIRING, SEPARABLE
from helpers.outer.exact import phi_pairing, phi_separable

# h of each term as the paper prints it, apart from helpers.losses.scalars: its family and its a.
_PRINTED = {
    "js": ("logistic", 0.0, 0.0),
    "hinge": ("hinge", 1.0, 1.0),
    "ls": ("square", 1.0, 0.0),
    "rs": ("logistic", 0.0, None),
    "rp-hinge": ("hinge", 1.0, None),
    "rp-ls": ("square", 1.0, None),
}
_EXACTLY = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def exact(x: NDArray, y: NDArray, loss: str) -> float:
    """Outer value in function space, by the helper that is responsible for the loss."""
    if loss in SEPARABLE:
        return phi_separable(x, y, *SEPARABLE[loss])
    return phi_pairing(x, y, PAIRING[loss])


def supremum(x: NDArray, y: NDArray, loss: str) -> float:
    """Outer value in function space, by convex optimisation over f's values at the points."""
    family, margin, rows, weight, _ = _terms(x, y, loss)
    if family == "square":
        f = np.linalg.lstsq(rows, margin, rcond=None)[0]
        return -weight * float(((margin - rows @ f) ** 2).sum())
    size, k = rows.shape
    if family == "hinge":  # minimise the slacks s >= 0, s >= margin - rows f
        found = linprog(
            np.repeat([0.0, weight], [k, size]),
            A_ub=np.hstack([-rows, -np.eye(size)]),
            b_ub=-margin,
            bounds=[(None, None)] * k + [(0, None)] * size,
            options=_EXACTLY,
        )
        return -float(found.fun)

    def cost(f: NDArray) -> tuple[float, NDArray]:
        t = rows @ f
        return float(np.logaddexp(0, -t).sum()), -rows.T @ np.exp(-np.logaddexp(0, t))

    # The supremum may lie at infinity, along chains of up to n terms. With 40 for each term the
    # box costs n exp(-40); beyond it the gradient vanishes anyway.
    reach = 40.0 * len(x)
    options = {"ftol": 0.0, "gtol": 1e-12, "maxcor": 30, "maxiter": 2000, "maxls": 60}
    box = [(-reach, reach)] * k
    found = minimize(cost, np.zeros(k), jac=True, method="L-BFGS-B", bounds=box, options=options)
    return -weight * float(found.fun)


def lipschitz_bracket(x: NDArray, y: NDArray, loss: str, L: float) -> tuple[float, float]:
    """Lower and upper bound of the supremum over L-Lipschitz f, by Kelley's cutting planes.

    Tangents lie above a concave h, so a linear program over them bounds the supremum from above,
    and h at its solution does so from below; tangents are added there until the two meet.
    """
    family, margin, rows, weight, points = _terms(x, y, loss)
    size, k = rows.shape
    p, q = np.triu_indices(k, 1)
    change = np.eye(k)[p] - np.eye(k)[q]
    room = L * np.linalg.norm(points[p] - points[q], axis=1)
    # Some optimal f changes sign or takes values of [-1, 1]: a level outside is never needed.
    level = room.max(initial=0.0) + 1
    columns = np.hstack([np.vstack([change, -change]), np.zeros((2 * len(p), size))])
    limits = np.concatenate([room, room])
    t, low, high = np.zeros(size), -np.inf, 0.0
    for _ in range(200):
        value, slope = _tangent(family, margin, t)
        columns = np.vstack([columns, np.hstack([-slope[:, None] * rows, np.eye(size)])])
        limits = np.concatenate([limits, value - slope * t])
        found = linprog(
            np.repeat([0.0, -weight], [k, size]),
            A_ub=columns,
            b_ub=limits,
            bounds=[(-level, level)] * k + [(None, 0)] * size,
            options=_EXACTLY,
        )
        high = min(high, -float(found.fun))
        t = rows @ found.x[:k]
        low = max(low, weight * float(_tangent(family, margin, t)[0].sum()))
        if high - low < 1e-9:
            break
    return low, high


def _tangent(family: str, margin: NDArray, t: NDArray) -> tuple[NDArray, NDArray]:
    """h and its slope at t, for each term."""
    if family == "logistic":
        return -np.logaddexp(0, -t), np.exp(-np.logaddexp(0, t))
    if family == "hinge":
        return -np.maximum(0, margin - t), (t < margin).astype(float)
    return -((margin - t) ** 2), 2 * (margin - t)


def _terms(x: NDArray, y: NDArray, loss: str) -> tuple[str, NDArray, NDArray, float, NDArray]:
    """Family and a of h, rows to apply to f, weight, and the K places of f: (2n or n, K)."""
    family, first, second = _PRINTED[loss]
    n = len(x)
    points = np.concatenate([x, y]).reshape(2 * n, -1)
    number: dict[tuple, int] = {}
    where = [number.setdefault(tuple(point), len(number)) for point in points.tolist()]
    at = np.eye(len(number))[where]
    if second is None:
        rows, margin = at[:n] - at[n:], np.full(n, first)
    else:
        rows, margin = np.concatenate([at[:n], -at[n:]]), np.repeat([first, second], n)
    return family, margin, rows, 1 / len(rows), np.array(list(number))
