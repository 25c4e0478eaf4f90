"""Lanczos without reorthogonalisation: what its quadrature still is, and the memory it saves."""

from functools import partial

import numpy as np
import pytest
import torch

from helpers.machine import peak_bytes
from helpers.operators import Matrix, Operator
from helpers.spectra import blurred, density, lanczos, slq_density
from tests.common import Watched, with_spectrum

N = 2000


class Diagonal(Operator):
    """A diagonal matrix in the memory of its diagonal."""

    symmetric = True

    def __init__(self, values, dtype=torch.float32):
        self.like = torch.as_tensor(np.asarray(values)).to(dtype)

    def _times(self, u):
        return self.like * u

    _transposed_times = _times

    def _times_many(self, U):
        return self.like[:, None] * U


def outliers(seed=0, n=N):
    """Eigenvalues as of a network: most near zero, some beside, and twelve far out."""
    rng = np.random.default_rng(seed)
    bulk = rng.normal(scale=0.02, size=n - 12)
    return np.sort(np.concatenate([bulk, np.geomspace(0.5, 100, 10), [-3.0, -1.0]]))


def start(n=N, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=n))


# ---- What T is. ----


def test_same_at_first():
    """Until a Ritz value has converged there is nothing to lose: the same T to rounding."""
    H = Diagonal(np.linspace(-1, 1, N), torch.float64)
    (full,), (local,) = (
        lanczos(H, start(), 20, reorthogonalise=choice) for choice in (True, False)
    )
    assert local.diagonal == pytest.approx(full.diagonal, abs=1e-12)
    assert local.off_diagonal == pytest.approx(full.off_diagonal, abs=1e-12)
    assert local.next_off_diagonal == pytest.approx(full.next_off_diagonal, abs=1e-12)
    assert local.basis.shape == (0, N)


@pytest.mark.parametrize("dtype, within", [(torch.float64, 1e-13), (torch.float32, 1e-8)])
def test_copies_share_the_weight_of_one(dtype, within):
    """Greenbaum 1989: eigenvalues that have converged come again, and no weight is lost or made."""
    values, v = outliers(), start()
    (run,) = lanczos(Diagonal(values, dtype), v, 150, reorthogonalise=False)
    nodes, weights = run.nodes_and_weights()
    top = values[-1]
    near = np.abs(nodes - top) < 1e-3 * top
    assert near.sum() > 1
    assert weights[near].sum() == pytest.approx(float(v[-1] ** 2 / (v @ v)), abs=within)
    (full,) = lanczos(Diagonal(values, dtype), v, 150)
    assert (np.abs(full.nodes_and_weights()[0] - top) < 1e-3 * top).sum() == 1


@pytest.mark.parametrize("dtype, within", [(torch.float64, 1e-13), (torch.float32, 2e-6)])
def test_nodes_stay_in_the_spectrum(dtype, within):
    """Paige 1980: up to rounding, however many copies there are."""
    values = outliers()
    (run,) = lanczos(Diagonal(values, dtype), start(), 300, reorthogonalise=False)
    nodes = run.nodes_and_weights()[0]
    assert nodes[-1] <= values[-1] * (1 + within)
    assert nodes[0] >= values[0] - within * values[-1]


@pytest.mark.parametrize("dtype, within", [(torch.float64, 1e-11), (torch.float32, 5e-6)])
def test_chebyshev_sums(dtype, within):
    """Knizhnerman 1996: sums of w T_k(node) are v' T_k(H) v to rounding, up to degree 2 m - 1."""
    values, v, steps = outliers(), start(), 80
    (run,) = lanczos(Diagonal(values, dtype), v, steps, reorthogonalise=False)
    nodes, weights = run.nodes_and_weights()
    # The interval is a little wider: outside of it the polynomials grow fast.
    middle, half = (values[0] + values[-1]) / 2, 1.001 * (values[-1] - values[0]) / 2
    seen = (v**2 / (v @ v)).numpy()
    errors = []
    for degree in range(2 * steps):
        f = np.polynomial.Chebyshev.basis(degree)
        exact = seen @ f((values - middle) / half)
        errors.append(abs(weights @ f((nodes - middle) / half) - exact))
    assert max(errors) < within


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_low_rank(dtype):
    """What rounding adds where the span is invariant has no weight."""
    values = np.zeros(300)
    values[:3] = [4.0, -2.0, 1.0]
    (run,) = lanczos(Diagonal(values, dtype), start(300), 40, reorthogonalise=False)
    nodes, weights = run.nodes_and_weights()
    away = np.abs(nodes[:, None] - np.array([0.0, 4.0, -2.0, 1.0])).min(axis=1)
    assert weights[away > 1e-3].sum() < 1e-5
    seen = start(300).numpy() ** 2
    for value in (4.0, -2.0, 1.0, 0.0):
        near = np.abs(nodes - value) < 1e-3
        exact = seen[values == value].sum() / seen.sum()
        assert weights[near].sum() == pytest.approx(exact, abs=1e-5)


# ---- Densities. ----


@pytest.mark.parametrize("steps", [80, 200])
@pytest.mark.parametrize("seed", range(3))
def test_density(steps, seed):
    """In single precision, far nearer to the one with the basis than the probes' error."""
    values = outliers(seed, 400)
    # Of a diagonal matrix all probes of +-1 see the same, and there is no error to compare with.
    H = Matrix(torch.from_numpy(with_spectrum(values, np.random.default_rng(seed))).float())
    found = [
        slq_density(H, 4, steps, seed=seed, sigma=0.5, reorthogonalise=choice)
        for choice in (True, False)
    ]
    full, local = (each.smoothed(0.5, np.linspace(-5, 103, 2000)) for each in found)
    assert (full.reorthogonalised, local.reorthogonalised) == (True, False)
    apart = np.trapezoid(np.abs(full.density - local.density), full.grid)
    error = np.trapezoid(full.standard_error, full.grid)
    assert apart < 0.01 * error
    assert local.standard_error == pytest.approx(full.standard_error, abs=1e-4)
    exact = blurred(values, full.grid, 0.5)
    away = [np.trapezoid(np.abs(each.density - exact), full.grid) for each in (full, local)]
    assert away[1] == pytest.approx(away[0], abs=0.01 * error)


def test_products_of_several():
    """Probes that share products, one of which ends early, are those of separate runs."""
    H = with_spectrum(np.linspace(-1, 3, 60), np.random.default_rng(0))
    alone = slq_density(Watched(H), 5, 12, seed=0, reorthogonalise=False)
    operator = Watched(H)
    found = slq_density(operator, 5, 12, seed=0, reorthogonalise=False, batch_size=3)
    assert operator.products == 24
    assert np.abs(found.nodes - alone.nodes).max() <= 1e-12
    assert np.abs(found.weights - alone.weights).max() <= 1e-12


def test_same_bits():
    operator = Diagonal(outliers())
    first, second = (slq_density(operator, 2, 30, seed=3, reorthogonalise=False) for _ in range(2))
    assert np.array_equal(first.nodes, second.nodes)
    assert np.array_equal(first.weights, second.weights)


# ---- Memory, and the choice. ----


def test_memory():
    """Without the basis, six vectors whatever the steps; with it, as many as steps and a few."""
    n = 100_000
    operator = Diagonal(np.linspace(-1, 1, n))
    for steps in (10, 40):
        peaks = [
            peak_bytes(partial(slq_density, operator, 2, steps, seed=0, reorthogonalise=choice))
            for choice in (True, False)
        ]
        assert peaks[0] > 4 * n * steps
        # The draws of a probe come as whole numbers of 8 bytes.
        assert peaks[1] <= 4 * n * 6 * 1.02


def test_choice_by_size(monkeypatch):
    """A basis is stored up to a number of bytes, and when it is asked for."""
    operator = Diagonal(np.linspace(-1, 1, 1000))
    monkeypatch.setattr(density, "_MOST", 4 * 1000 * 20)
    assert slq_density(operator, 2, 20, seed=0).reorthogonalised
    assert not slq_density(operator, 2, 21, seed=0).reorthogonalised
    assert slq_density(operator, 2, 21, seed=0, reorthogonalise=True).reorthogonalised
    double = Diagonal(np.linspace(-1, 1, 1000), torch.float64)
    assert not slq_density(double, 2, 20, seed=0).reorthogonalised


def test_the_documented_size():
    """80 steps in single precision: from 3.4 million weights on, there is no basis."""
    assert 80 * 3_350_000 * 4 <= density._MOST < 80 * 3_400_000 * 4


# ---- Bad input. ----


@pytest.mark.parametrize("bad", [0, 1, "full", "no", np.nan, []])
def test_bad_choice(bad):
    operator = Watched(np.eye(5))
    with pytest.raises(ValueError, match="reorthogonalise is True or False, got"):
        slq_density(operator, 1, 2, seed=0, reorthogonalise=bad)
    with pytest.raises(ValueError, match="reorthogonalise is True or False, got"):
        lanczos(operator, torch.ones(5), 2, reorthogonalise=bad)
    assert operator.products == 0


def test_no_basis_to_choose():
    """Of `lanczos`, which promises a basis, nothing is decided by size."""
    with pytest.raises(ValueError, match="True or False, got None"):
        lanczos(Watched(np.eye(5)), torch.ones(5), 2, reorthogonalise=None)


def test_nan():
    operator = Watched(np.diag(np.arange(9.0)), nan_at=3)
    with pytest.raises(FloatingPointError, match="product at step 3 is not finite"):
        lanczos(operator, start(9), 9, reorthogonalise=False)


def test_probes_hold_their_bases_one_after_another():
    """However many probes there are, one basis is there at a time."""
    operator = Diagonal(np.linspace(0, 1, N))
    one, four = (
        peak_bytes(partial(slq_density, operator, probes, 20, seed=0)) for probes in (1, 4)
    )
    assert one > 20 * 4 * N and four < 1.1 * one


def test_a_basis_of_eighty_vectors_is_not_copied_as_it_grows():
    operator = Diagonal(np.linspace(0, 1, N))
    peak = peak_bytes(partial(slq_density, operator, 1, 80, seed=0))
    assert 80 * 4 * N < peak < 90 * 4 * N
