"""A density of a game's complex spectrum from Arnoldi's Ritz values, and how far to trust it.

This is stochastic Lanczos quadrature with Arnoldi's method in place of Lanczos'. From a random unit
vector v, m products give a matrix M (m, m) with ``v' f(J) v ~ e1' f(M) e1`` for every analytic f,
exactly for polynomials of degree below m. M's eigenvalues (Ritz values) and weights write that as a
sum. Its mean over v is ``tr f(J) / n``, a mean over the spectrum.

Analytic functions do not determine a measure in the plane: over a disc and over its rim, evenly
filled, all of them have the same mean. So the cloud can be trusted where the spectrum lies on
curves that enclose nothing, such as the two axes, and J is near a normal matrix. Elsewhere it shows
where the outermost eigenvalues are, and no more. ``cancellation`` tells when J is far from normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from helpers.inputs import whole_number
from helpers.machine import progress_bar
from helpers.operators import Operator
from helpers.spectra.density import probe_vector
from helpers.spectra.krylov import Krylov

_POINTS = 120  # per side of the grid


@dataclass(frozen=True, eq=False)
class RitzCloud:
    """Ritz values of each probe with their weights, and the density they give in the plane."""

    values: NDArray[np.complex128]  # (probes, steps)
    weights: NDArray[np.float64]  # (probes, steps) not negative, each row sums to 1
    cancellation: NDArray[np.float64]  # (probes,) sum of |weights| before scaling: 1 for a normal J
    real: NDArray[np.float64]  # (g,) grid of real parts
    imaginary: NDArray[np.float64]  # (h,) grid of imaginary parts
    sigma: float  # of the Gaussians, in the units of the eigenvalues
    density: NDArray[np.float64]  # (g, h) mean over the probes; integrates to 1
    standard_error: NDArray[np.float64]  # (g, h) of that mean; NaN for a single probe


def ritz_cloud(operator: Operator, probes: int = 10, steps: int = 80, *, seed: int) -> RitzCloud:
    """Estimate where the eigenvalues of a game's Jacobian lie in the complex plane.

    The module says how far the estimate can be trusted. A weight is the size of ``s_i t_i``, with
    s_i and t_i the first entries of the right and left eigenvectors of M; weights are scaled to sum
    to 1. Where J is normal these are the weights of the mean itself. The density blurs each Ritz
    value by 2% of the spectrum's extent, on a grid over them and three sigma beyond.

    Args:
        operator: a Jacobian, or any operator (n, n).
        probes: number of random start vectors, with entries +-1.
        steps: products per probe, at most n.
        seed: for the probes, as in `slq_density`.

    Raises:
        ValueError: for counts out of range.
        FloatingPointError: for a product that is not finite, naming the step.

    >>> from helpers.operators import Matrix
    >>> found = ritz_cloud(Matrix([[0.0, -2.0], [2.0, 0.0]]), 1, 2, seed=0)
    >>> found.values.round(6) + 0.0
    array([[0.+2.j, 0.-2.j]])
    """
    steps = whole_number("steps", steps, 1, operator.shape[0])
    probes = whole_number("probes", probes, 1)
    values = np.zeros((probes, steps), dtype=complex)
    weights, cancellation = np.zeros((probes, steps)), np.zeros(probes)
    for number in progress_bar(range(probes), desc="probes"):
        krylov = Krylov(operator, probe_vector(operator, seed, number)[:, None], steps + 1, seed)
        while krylov.known < steps and krylov.pending:
            krylov.advance()
        found, S = np.linalg.eig(krylov.M.numpy())
        left = np.linalg.lstsq(S, np.eye(len(S))[0], rcond=None)[0]
        sizes = np.abs(S[0] * left)
        values[number] = np.pad(found, (0, steps - len(found)), mode="edge")
        weights[number, : len(found)] = sizes / sizes.sum()
        cancellation[number] = sizes.sum()
    parts = values.real, values.imag
    sigma = float(0.02 * max(max(np.ptp(part) for part in parts), np.abs(values).max()) or 1.0)
    reach = 3 * sigma
    real, imaginary = (np.linspace(p.min() - reach, p.max() + reach, _POINTS) for p in parts)
    each = np.array(
        [_smooth(*row, real, imaginary, sigma) for row in zip(values, weights, strict=True)]
    )
    spread = each.std(axis=0, ddof=1) if probes > 1 else np.full(each.shape[1:], np.nan)
    return RitzCloud(
        values,
        weights,
        cancellation,
        real,
        imaginary,
        sigma,
        each.mean(axis=0),
        spread / np.sqrt(probes),
    )


def _smooth(
    values: NDArray[Any],
    weights: NDArray[np.float64],
    real: NDArray[np.float64],
    imaginary: NDArray[np.float64],
    sigma: float,
) -> NDArray[np.float64]:
    across = norm.pdf(real[:, None], values.real, sigma)
    up = norm.pdf(imaginary[:, None], values.imag, sigma)
    return (across * weights) @ up.T
