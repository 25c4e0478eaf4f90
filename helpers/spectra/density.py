"""The eigenvalue density of a symmetric operator by stochastic Lanczos quadrature (SLQ).

The method is that of Durall et al. 2021, eqs. 6 to 11. From a random unit vector v, Lanczos' method
gives nodes and weights with ``sum_i w_i f(l_i) ~ v' f(H) v``, whose mean over v is ``tr f(H) / n``.
With f a Gaussian around t, that is the blurred density at t. Several probes v give a mean and its
standard error.

What it costs: ``probes * steps`` products, and beside the product's own memory the basis of
Lanczos' method, ``steps * n`` numbers for each probe of a batch, against which every new vector is
made orthogonal twice. Without reorthogonalisation four vectors of n numbers beside the probe
replace the basis (six for each probe of a batch), and two operations on vectors the
reorthogonalisation. Once the steps resolve the density it is the same to far less than the error of
its probes, see `helpers.spectra.lanczos`; single nodes are not, as eigenvalues that have converged
come several times, and each copy takes a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from helpers.checkpoints import checkpoint_path
from helpers.inputs import whole_number
from helpers.machine import progress_bar
from helpers.operators import Operator
from helpers.spectra.lanczos import check_symmetric, lanczos
from helpers.spectra.unfinished import Unfinished

_POINTS = 1000  # of a grid
_MOST = 2**30  # bytes of a probe's basis, beyond which none is stored unless one is asked for


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """Nodes and weights of each probe, and the density they give on a grid."""

    nodes: NDArray[np.float64]  # (probes, steps) Ritz values
    weights: NDArray[np.float64]  # (probes, steps), each row sums to 1; 0 past a run's early end
    grid: NDArray[np.float64]  # (g,)
    sigma: float  # of the Gaussians, in the units of the eigenvalues
    density: NDArray[np.float64]  # (g,) mean over the probes; integrates to 1
    standard_error: NDArray[np.float64]  # (g,) of that mean; NaN for a single probe
    reorthogonalised: bool = True  # if not, converged eigenvalues may come as several nodes

    def smoothed(self, sigma: float, grid: ArrayLike | None = None) -> SpectralDensity:
        """The same nodes and weights under another sigma, or on another grid: no new products.

        Raises:
            ValueError: for a sigma that is not positive, and a grid that is not finite.
        """
        return _smooth(self.nodes, self.weights, self.reorthogonalised, sigma, grid)


def slq_density(
    operator: Operator,
    probes: int = 10,
    steps: int = 80,
    *,
    seed: int,
    sigma: float | None = None,
    grid: ArrayLike | None = None,
    batch_size: int | None = None,
    reorthogonalise: bool | None = None,
    checkpoint: Path | str | None = None,
) -> SpectralDensity:
    """Estimate the eigenvalue density of a symmetric operator.

    Args:
        operator: a Hessian, or any symmetric operator (n, n).
        probes: number of random start vectors, with entries +-1.
        steps: products per probe, at most n.
        seed: for the probes; each draws from its own stream, so that adding probes keeps the first
            ones.
        sigma: standard deviation of the Gaussians; 1% of the spectrum's extent by default.
        grid: where the density is wanted; by default 1,000 points over the spectrum and three
            sigma beyond.
        batch_size: probes that share a product of several vectors; by default all of them on a
            GPU, and one on a CPU, where little memory is needed then; sharing is often faster there
            too (the page "What it costs" has the times).
        reorthogonalise: as for `lanczos`: True stores a basis of (steps, n) for each probe of a
            batch, False stores none, and gives, of enough steps, the same density with other nodes.
            By default True, unless the basis of one probe would take more than 1 GiB: 80 steps in
            single precision from 3.4 million weights on. The choice follows from n, steps and
            precision alone.
        checkpoint: a file that keeps the probes that are done. A call with the same arguments goes
            on from there and ends with the same bits. It takes one more product.

    Raises:
        ValueError: for an operator that is not symmetric, counts out of range, a bad sigma or grid,
            another choice than True, False and None, and a checkpoint that cannot be written, is
            damaged or belongs to another operator or other arguments.
        FloatingPointError: for a product that is not finite, naming the step.

    >>> from helpers.operators import Matrix
    >>> found = slq_density(Matrix(torch.diag(torch.arange(4.0))), 2, 4, seed=0)
    >>> found.nodes[0].round(5) + 0.0
    array([0., 1., 2., 3.])
    """
    check_symmetric(operator)
    steps = whole_number("steps", steps, 1, operator.shape[0])
    probes = whole_number("probes", probes, 1)
    _check(sigma, grid)  # before the work
    if batch_size is None:
        batch_size = probes if operator.device.type == "cuda" else 1
    batch_size = whole_number("batch_size", batch_size, 1)
    if reorthogonalise is None:
        reorthogonalise = steps * operator.shape[0] * operator.dtype.itemsize <= _MOST
    names = ("seed", "steps", "batch_size", "reorthogonalise")
    run = dict(zip(names, (seed, steps, batch_size, reorthogonalise), strict=True))
    path, found = checkpoint_path(checkpoint), Unfinished()
    if path is not None:
        probe = probe_vector(operator, seed, 0)
        found = Unfinished.begun(path, operator, probe, run, probes, batch_size)
    with progress_bar(total=probes, initial=len(found.nodes), desc="probes") as bar:
        for first in range(len(found.nodes), probes, batch_size):
            batch = range(first, min(first + batch_size, probes))
            starts = [probe_vector(operator, seed, number) for number in batch]
            together = starts[0] if len(starts) == 1 else torch.stack(starts, dim=1)
            # No name outlives this line: one run's basis must be gone before the next one grows.
            quadratures = [
                each.nodes_and_weights()
                for each in lanczos(operator, together, steps, reorthogonalise=reorthogonalise)
            ]
            for row, weight in quadratures:
                short = (0, steps - len(row))  # of a run that ended early
                found.nodes.append(np.pad(row, short, mode="edge"))
                found.weights.append(np.pad(weight, short))
            found.write()
            bar.update(len(batch))
    nodes, weights = np.array(found.nodes), np.array(found.weights)
    return _smooth(nodes, weights, reorthogonalise, sigma, grid)


def blurred(eigenvalues: ArrayLike, grid: ArrayLike, sigma: float) -> NDArray[np.float64]:
    """The exact density under Gaussians, (g,): what `slq_density` estimates (A, eq. 7).

    >>> blurred([0.0], [0.0], 1.0).round(4)
    array([0.3989])
    """
    values = np.asarray(eigenvalues, dtype=np.float64)
    return _mixture(values, np.full(len(values), 1 / len(values)), np.asarray(grid), sigma)


def probe_vector(operator: Operator, seed: int, number: int) -> torch.Tensor:
    """(n,) entries +-1 from a stream for each number, drawn on the CPU for every device."""
    drawn = np.random.default_rng([seed, number]).integers(0, 2, operator.shape[0])
    drawn *= 2  # in place: of ten million weights they are 80 MB
    drawn -= 1
    return torch.from_numpy(drawn).to(operator.device, operator.dtype)


def _check(sigma: float | None, grid: ArrayLike | None) -> None:
    if sigma is not None and not 0 < sigma < np.inf:
        raise ValueError(f"sigma must be positive and finite, got {sigma}")
    points = np.zeros(1) if grid is None else np.asarray(grid, dtype=np.float64)
    if points.ndim != 1 or not np.isfinite(points).all():
        raise ValueError(f"a grid is one row of finite numbers, got shape {points.shape}")


def _smooth(
    nodes: NDArray[np.float64],
    weights: NDArray[np.float64],
    reorthogonalised: bool,
    sigma: float | None,
    grid: ArrayLike | None,
) -> SpectralDensity:
    _check(sigma, grid)
    low, high = nodes.min(), nodes.max()
    if sigma is None:
        size = max(abs(low), abs(high))
        sigma = 0.01 * max(high - low, size) or 1.0  # one point, or nothing but zeros
    if grid is None:
        grid = np.linspace(low - 3 * sigma, high + 3 * sigma, _POINTS)
    grid = np.asarray(grid, dtype=np.float64)
    each = np.array([_mixture(row, w, grid, sigma) for row, w in zip(nodes, weights, strict=True)])
    spread = each.std(axis=0, ddof=1) if len(each) > 1 else np.full(grid.shape, np.nan)
    error = spread / np.sqrt(len(each))
    density = each.mean(axis=0)
    return SpectralDensity(nodes, weights, grid, float(sigma), density, error, reorthogonalised)


def _mixture(
    nodes: NDArray[np.float64],
    weights: NDArray[np.float64],
    grid: NDArray[np.float64],
    sigma: float,
) -> NDArray[np.float64]:
    parts = np.array_split(np.arange(len(nodes)), max(len(nodes) // 256, 1))
    return sum(norm.pdf(grid[:, None], nodes[p], sigma) @ weights[p] for p in parts)
