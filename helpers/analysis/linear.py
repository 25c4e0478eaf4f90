"""Linear games, v = J omega: their flow in parts that do not interact, rotation and evenness.

Near a stationary point every game is one of these. Berard et al. 2020, Proposition 1: in a real
basis of eigenvectors the flow exp(-tJ) is block diagonal, with a decay for each real eigenvalue
and a rotation, damped or not, for each complex pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import block_diag, expm

from helpers.inputs import real_array, real_number, shown, whole_number

_WELL = 1e6  # condition of eigenvectors up to which an orbit is taken from them, to some ten digits


@dataclass(frozen=True, eq=False)
class Decoupled:
    """The parts into which a linear game decouples."""

    values: NDArray[np.complex128]  # (m,): real eigenvalues of J, and the upper one of each pair
    vectors: NDArray[np.complex128]  # (m, n): their eigenvectors, one per row

    @property
    def basis(self) -> NDArray[np.float64]:
        """(n, n) columns: u of a real eigenvalue, (Im u, Re u) of a pair, in this order."""
        pairs = zip(self.values, self.vectors, strict=True)
        columns = [[u.imag, u.real] if v.imag else [u.real] for v, u in pairs]
        return np.concatenate(columns).T

    @property
    def blocks(self) -> NDArray[np.float64]:
        """(n, n) J in the basis: [[Re, -Im], [Im, Re]] for a pair."""
        return block_diag(
            *([[v.real, -v.imag], [v.imag, v.real]] if v.imag else v.real for v in self.values)
        )

    def flow(self, t: float) -> NDArray[np.float64]:
        """(n, n) exp(-tJ) in the basis, as Proposition 1 states its blocks.

        Raises:
            ValueError: for a time that is not a finite number.

        >>> quarter = decoupled([[0.0, 1.0], [-1.0, 0.0]]).flow(np.pi / 2)
        >>> quarter.round(6) + 0.0
        array([[ 0.,  1.],
               [-1.,  0.]])
        """
        t, parts = real_number("t", t), []
        for value in self.values:
            decay = np.exp(-value.real * t)
            c, s = np.cos(value.imag * t), np.sin(value.imag * t)
            parts.append(decay * (np.array([[c, s], [-s, c]]) if value.imag else np.eye(1)))
        return block_diag(*parts)


def decoupled(J: ArrayLike) -> Decoupled:
    """The eigenvalues of J and its eigenvectors, of which `basis` is made (Proposition 1).

    Args:
        J: (n, n), diagonalisable; otherwise the basis is singular or nearly so.

    Raises:
        ValueError: for what is not a square matrix of finite numbers.

    >>> decoupled([[2.0, 0.0], [0.0, 3.0]]).values.real
    array([2., 3.])
    """
    values, vectors = np.linalg.eig(_square(J))
    upper = values.imag >= 0
    return Decoupled(values[upper].astype(complex), vectors.T[upper].astype(complex))


def linear_orbit(J: ArrayLike, start: ArrayLike, times: ArrayLike) -> NDArray[np.float64]:
    """Points exp(-tJ) start of the gradient flow of a linear game.

    They are taken from J's eigenvectors, or where these hardly span the space, as those of a J that
    is defective or nearly so, from matrix exponentials, which take longer.

    Args:
        J: (n, n).
        start: (n,).
        times: (T,).

    Returns:
        (T, n).

    Raises:
        ValueError: for shapes that do not fit, and entries that are not finite.

    >>> linear_orbit([[1.0, 0.0], [0.0, 2.0]], [1.0, 1.0], [0.0, 1.0]).round(4)
    array([[1.    , 1.    ],
           [0.3679, 0.1353]])
    """
    J, start, times = _square(J), real_array("start", start), real_array("times", times)
    if start.shape != J.shape[:1] or times.ndim != 1:
        raise ValueError(
            f"start is ({len(J)},), times are (T,), got {start.shape} and {times.shape}"
        )
    values, vectors = np.linalg.eig(J)
    # Rounding keeps the eigenvectors of a defective J from being exactly singular.
    if not np.linalg.cond(vectors) <= _WELL:
        return np.array([expm(-t * J) @ start for t in times]).reshape(len(times), len(J))
    parts = np.linalg.solve(vectors, start.astype(complex))
    return ((np.exp(-np.outer(times, values)) * parts) @ vectors.T).real


def rotation(J: ArrayLike) -> float:
    """Norm of the antisymmetric part of J over that of its symmetric part.

    Infinite for a J that only rotates, NaN for one of zeros.

    Raises:
        ValueError: for what is not a square matrix of finite numbers.

    >>> round(rotation([[1.0, -3.0], [3.0, 1.0]]), 9)
    3.0
    """
    J = _moderate(_square(J))
    turning, symmetric = (float(np.linalg.norm(part)) for part in (J - J.T, J + J.T))
    if not symmetric:
        return np.inf if turning else np.nan
    return turning / symmetric


def evenness(J: ArrayLike) -> float:
    """``tr S / (sqrt(n) |S|)`` of the symmetric part S of J: 1 where all directions attract alike.

    NaN for a J that only rotates.

    Raises:
        ValueError: for what is not a square matrix of finite numbers.

    >>> round(evenness([[2.0, -1.0], [1.0, 2.0]]), 9)
    1.0
    """
    J = _moderate(_square(J))
    symmetric = float(np.linalg.norm(J + J.T))
    return float(2 * np.trace(J) / np.sqrt(len(J))) / symmetric if symmetric else np.nan


def turns(
    J: ArrayLike, p: int, *, rate: float, momentum: float = 0.0, steps: tuple[int, int] = (1, 1)
) -> NDArray[np.float64]:
    """(2 n, 2 n) what an iteration of descent in turn does to a small displacement, and velocities.

    D takes its steps first and then G, as in `helpers.training.train`, each by torch's SGD:
    a velocity u becomes ``momentum u + gradient``, and the weights move by ``-rate u``. The state
    is the displacement from a stationary point, n numbers, and the velocities of all weights. A
    small displacement grows if an eigenvalue lies outside the unit circle.

    Args:
        J: (n, n) the Jacobian there.
        p: number of G's weights, which come first.
        rate, momentum: of both players; the momentum is in (-1, 1), and below 0 it is that of Gidel
            et al. 2019, for which `helpers.training.HeavyBall` takes the place of torch's SGD.
        steps: of D and of G.

    Raises:
        ValueError: for what is not a square matrix of finite numbers, and numbers out of range.

    >>> turns([[1.0, 0.0], [0.0, 2.0]], 1, rate=0.1)[:2, :2]
    array([[0.9, 0. ],
           [0. , 0.8]])
    """
    J = _square(J)
    n, p = len(J), whole_number("p", p, 1, len(J) - 1)
    rate, momentum = real_number("rate", rate, above=0), real_number("momentum", momentum)
    if not -1 < momentum < 1:
        raise ValueError(f"a momentum is in (-1, 1), got {momentum}")
    if not isinstance(steps, tuple | list) or len(steps) != 2:
        raise ValueError(f"steps are D's and G's, got {shown(steps)}")
    whole = np.eye(2 * n)
    for count, own in zip(steps, (slice(p, n), slice(0, p)), strict=True):
        step, velocity = np.eye(2 * n), slice(own.start + n, own.stop + n)
        step[velocity, :n] = J[own]
        step[velocity, velocity] *= momentum
        step[own] -= rate * step[velocity]
        whole = np.linalg.matrix_power(step, whole_number("a number of steps", count, 0)) @ whole
    return whole


def _moderate(J: NDArray[np.float64]) -> NDArray[np.float64]:
    """J times a power of two, by which no digit changes and squares stay in the range of floats."""
    return np.ldexp(J, -np.frexp(np.abs(J).max())[1])


def _square(J: ArrayLike) -> NDArray[np.float64]:
    J = real_array("J", J)
    if J.ndim != 2 or not len(J) or J.shape[0] != J.shape[1]:
        raise ValueError(f"J is square (n, n), got {J.shape}")
    return J
