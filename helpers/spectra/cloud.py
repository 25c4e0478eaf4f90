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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from tqdm import tqdm

from helpers.operators import Operator
from helpers.spectra.density import probe_vector
from helpers.spectra.krylov import Krylov
from helpers.spectra.lanczos import check_count

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


def ritz_cloud(
    operator: Operator,
    probes: int = 10,
    steps: int = 80,
    *,
    seed: int,
    sigma: float | None = None,
    grid: tuple[ArrayLike, ArrayLike] | None = None,
) -> RitzCloud:
    """Estimate where the eigenvalues of a game's Jacobian lie in the complex plane.

    The module says how far the estimate can be trusted. A weight is the size of ``s_i t_i``, with
    s_i and t_i the first entries of the right and left eigenvectors of M; weights are scaled to sum
    to 1. Where J is normal these are the weights of the mean itself.

    Args:
        operator: a Jacobian, or any operator (n, n).
        probes: number of random start vectors, with entries +-1.
        steps: products per probe, at most n.
        seed: for the probes, as in `slq_density`.
        sigma: standard deviation of the Gaussians; 2% of the spectrum's extent by default.
        grid: real and imaginary parts where the density is wanted; by default 120 each, over the
            Ritz values and three sigma beyond.

    Raises:
        ValueError: for counts out of range, a bad sigma or grid.
        FloatingPointError: for a product that is not finite, naming the step.

    >>> from helpers.operators import Matrix
    >>> found = ritz_cloud(Matrix([[0.0, -2.0], [2.0, 0.0]]), 1, 2, seed=0)
    >>> found.values.round(6) + 0.0
    array([[0.+2.j, 0.-2.j]])
    """
    check_count("steps", steps, operator.shape[0])
    check_count("probes", probes, 2**31)
    _check(sigma, grid)  # before the work
    values = np.zeros((probes, steps), dtype=complex)
    weights, cancellation = np.zeros((probes, steps)), np.zeros(probes)
    for number in tqdm(range(probes), desc="probes", disable=None):
        krylov = Krylov(operator, probe_vector(operator, seed, number)[:, None], steps + 1, seed)
        while krylov.known < steps and krylov.pending:
            krylov.advance()
        found, S = np.linalg.eig(krylov.M.numpy())
        left = np.linalg.lstsq(S, np.eye(len(S))[0], rcond=None)[0]
        sizes = np.abs(S[0] * left)
        values[number] = np.pad(found, (0, steps - len(found)), mode="edge")
        weights[number, : len(found)] = sizes / sizes.sum()
        cancellation[number] = sizes.sum()
    sigma, real, imaginary = _frame(values, sigma, grid)
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


def _check(sigma: float | None, grid: tuple[ArrayLike, ArrayLike] | None) -> None:
    if sigma is not None and not 0 < sigma < np.inf:
        raise ValueError(f"sigma must be positive and finite, got {sigma}")
    axes = [] if grid is None else [np.asarray(axis, dtype=np.float64) for axis in grid]
    if grid is not None and len(axes) != 2:
        raise ValueError(f"a grid is two rows of finite numbers, got {len(axes)}")
    for axis in axes:
        if axis.ndim != 1 or not np.isfinite(axis).all():
            raise ValueError(f"a grid is two rows of finite numbers, got shape {axis.shape}")


def _frame(
    values: NDArray[Any], sigma: float | None, grid: tuple[ArrayLike, ArrayLike] | None
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Sigma and the two grids, as given or by default."""
    parts = values.real, values.imag
    if sigma is None:
        sigma = 0.02 * max(max(np.ptp(part) for part in parts), np.abs(values).max()) or 1.0
    axes: Sequence[ArrayLike] | None = grid
    if axes is None:
        reach = 3 * sigma
        axes = [np.linspace(p.min() - reach, p.max() + reach, _POINTS) for p in parts]
    real, imaginary = (np.asarray(axis, dtype=np.float64) for axis in axes)
    return float(sigma), real, imaginary


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
