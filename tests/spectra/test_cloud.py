"""Clouds of Ritz values: where they can be trusted, how one sees it, and where they cannot."""

import numpy as np
import pytest
import torch
from scipy.linalg import block_diag
from scipy.stats import norm, wasserstein_distance

from helpers.games.closed_form import rotating_saddle
from helpers.operators import Matrix, jacobian
from helpers.spectra import ritz_cloud
from tests.common import Watched, with_spectrum

CLOSE = 1e-12
N, PROBES = 200, 16


def rotated(J, seed=0):
    """The same spectrum, and as normal, without the structure."""
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=J.shape))[0]
    return Q @ J @ Q.T


def normal_with(values):
    """A normal matrix with these eigenvalues and their conjugates, (2 k, 2 k)."""
    return rotated(block_diag(*[[[t.real, t.imag], [-t.imag, t.real]] for t in values]))


def axis():
    """Eigenvalues on the imaginary axis, denser in the middle."""
    return normal_with(1j * np.linspace(0.01, 1, N // 2) ** 2)


def circle():
    return normal_with(np.exp(1j * np.linspace(0.01, np.pi - 0.01, N // 2)))


def cross():
    """Half of the eigenvalues on each of the two axes."""
    S = with_spectrum(np.linspace(-1, 0.3, N // 2), np.random.default_rng(0))
    turning = normal_with(1j * np.linspace(0.02, 0.8, N // 4))
    return rotated(block_diag(S, turning), seed=1)


def disc(n):
    """A normal matrix whose eigenvalues fill the unit disc evenly, (2 n, 2 n)."""
    rng = np.random.default_rng(0)
    return normal_with(np.sqrt(rng.uniform(size=n)) * np.exp(1j * np.pi * rng.uniform(size=n)))


def distance(found, J, weights=None):
    """Sliced Wasserstein distance, in spreads of the spectrum: a mean over 16 directions."""
    values, exact = found.values.ravel(), np.linalg.eigvals(J)
    weights = found.weights.ravel() if weights is None else weights.ravel()
    each = [
        wasserstein_distance((values * turn).real, (exact * turn).real, weights)
        for turn in np.exp(1j * np.pi * np.arange(16) / 16)
    ]
    return np.mean(each) / np.sqrt(np.mean(np.abs(exact - exact.mean()) ** 2))


def noise(n, probes=PROBES):
    """What two standard errors of the probes come to: tr f / n is off by (2 / n / probes)^0.5."""
    return 2 * np.sqrt(2 / n / probes)


CURVES = {"axis": axis(), "circle": circle(), "cross": cross()}
curves = pytest.mark.parametrize("J", CURVES.values(), ids=CURVES.keys())


# ---- Where it can be trusted. ----


@curves
def test_normal_matrices_on_curves(J):
    """Near to the spectrum, far nearer than without the weights, and no cancellation."""
    found = ritz_cloud(Matrix(J), PROBES, 40, seed=0)
    near = distance(found, J)
    equal = distance(found, J, np.ones_like(found.weights))
    assert near < noise(N)
    if J is not CURVES["circle"]:  # whose Ritz values are spread as its eigenvalues are
        assert near < equal / 2
    assert np.median(found.cancellation) == pytest.approx(1, abs=0.05)
    assert (found.cancellation < 1.5).all()


@pytest.mark.parametrize("name", ["axis", "cross"])
def test_ritz_values_of_curves(name):
    """On the imaginary axis they stay there, and within the spectrum's extent everywhere."""
    J = CURVES[name]
    found = ritz_cloud(Matrix(J), 2, 30, seed=0)
    exact = np.linalg.eigvals(J)
    if name == "axis":
        assert np.abs(found.values.real).max() <= CLOSE
    for part in (np.real, np.imag):
        assert part(found.values).max() <= part(exact).max() + CLOSE
        assert part(found.values).min() >= part(exact).min() - CLOSE


def test_moments():
    """Of a symmetric matrix it is Gauss' quadrature: exact up to degree 2 m - 1, no further."""
    S = with_spectrum(np.linspace(-1, 2, 30), np.random.default_rng(0))
    found = ritz_cloud(Matrix(S), 1, 5, seed=3)
    v = 2 * np.random.default_rng([3, 0]).integers(0, 2, 30) - 1
    for power in range(11):
        mean = found.weights[0] @ found.values[0] ** power
        moment = v @ np.linalg.matrix_power(S, power) @ v / 30
        assert (abs(mean - moment) <= 1e-10 * moment) == (power < 10)
    assert found.cancellation == pytest.approx([1], abs=CLOSE)


@curves
def test_all_steps(J):
    """steps = n: the eigenvalues themselves, each of them."""
    found = ritz_cloud(Matrix(J), 1, N, seed=0)
    exact = np.linalg.eigvals(J)
    apart = np.abs(found.values[0][:, None] - exact)
    assert apart.min(axis=0).max() < 1e-8
    assert apart.min(axis=1).max() < 1e-8


def test_eq_18():
    """The rotating saddle's three eigenvalues (B, eq. 18)."""
    found = ritz_cloud(jacobian(rotating_saddle(), [1, 1, 0]), 3, 3, seed=0)
    wanted = np.sort(np.roots([1, -1, 11, -2]))
    assert np.sort(found.values, axis=1) == pytest.approx(np.tile(wanted, (3, 1)), abs=1e-10)


# ---- Where it cannot. ----


def test_far_from_normal():
    """A triangular matrix: the cancellation tells that the cloud is not the spectrum."""
    rng = np.random.default_rng(0)
    J = np.diag(rng.uniform(-1, 1, N)) + np.triu(rng.normal(size=(N, N)), 1) / np.sqrt(N)
    found = ritz_cloud(Matrix(J), 4, 40, seed=0)
    assert (found.cancellation > 10).all()
    assert distance(found, J) > 0.2


def test_disc():
    """A normal matrix whose spectrum fills a disc: nothing cancels, and the cloud is wrong."""
    J = disc(200)
    found = ritz_cloud(Matrix(J), 10, 80, seed=0)
    assert 1 <= np.median(found.cancellation) < 1.1
    assert distance(found, J) > max(0.05, 1.4 * noise(400, 10))


# ---- The density. ----


def test_density():
    """Gaussians of both parts by the weights, their mean, and the error of it."""
    found = ritz_cloud(Matrix(CURVES["cross"]), 4, 12, seed=0)
    real, imaginary = found.real[:, None, None], found.imaginary[None, :, None]
    each = [
        (norm.pdf(real, t.real, found.sigma) * norm.pdf(imaginary, t.imag, found.sigma)) @ w
        for t, w in zip(found.values, found.weights, strict=True)
    ]
    assert found.density.shape == found.standard_error.shape == (120, 120)
    assert np.allclose(found.density, np.mean(each, axis=0), rtol=1e-9, atol=CLOSE)
    error = np.std(each, axis=0, ddof=1) / 2
    assert np.allclose(found.standard_error, error, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("J", [*CURVES.values(), np.zeros((5, 5)), 7 * np.eye(5)])
def test_integrates_to_one(J):
    """But for what is beyond three sigma, which the grid leaves out."""
    found = ritz_cloud(Matrix(J), 3, 4, seed=0)
    inside = np.trapezoid(np.trapezoid(found.density, found.imaginary), found.real)
    assert 0.99 < inside < 1.001


def test_sigma_and_grid():
    """2% of the extent, and three sigma beyond it; one probe knows no error."""
    found = ritz_cloud(Matrix(np.diag([-3.0, 1, 2])), 1, 3, seed=0)
    assert found.sigma == pytest.approx(0.1)
    assert found.real[[0, -1]] == pytest.approx([-3.3, 2.3])
    assert found.imaginary[[0, -1]] == pytest.approx([-0.3, 0.3])
    assert np.isnan(found.standard_error).all()


@pytest.mark.parametrize("factor", [1e-12, 1e6])
def test_scale(factor):
    """The units of the eigenvalues do not matter."""
    J = CURVES["cross"]
    found, scaled = (ritz_cloud(Matrix(c * J), 2, 10, seed=0) for c in (1, factor))
    assert scaled.values / factor == pytest.approx(found.values, abs=1e-9)
    assert scaled.weights == pytest.approx(found.weights, abs=1e-9)
    assert scaled.cancellation == pytest.approx(found.cancellation, abs=1e-9)
    assert scaled.density * factor**2 == pytest.approx(found.density, rel=1e-5, abs=1e-9)


# ---- Early ends. ----


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_multiples_of_the_identity(value):
    """One step tells all, and its value fills the row without weight."""
    found = ritz_cloud(Matrix(value * np.eye(9)), 2, 5, seed=0)
    assert found.values == pytest.approx(np.full((2, 5), value), abs=CLOSE)
    assert found.weights == pytest.approx(np.tile([1.0, 0, 0, 0, 0], (2, 1)), abs=CLOSE)
    assert found.cancellation == pytest.approx([1, 1], abs=CLOSE)


def test_invariant_subspace():
    """Three eigenvalues, however often each is there: three steps."""
    operator = Watched(block_diag(*[np.diag([1.0])] * 4, *[[[0.0, 2], [-2, 0]]] * 4))
    found = ritz_cloud(operator, 2, 9, seed=0)
    assert operator.products == 6
    for row in found.values:
        assert np.abs(row[:, None] - [1, 2j, -2j]).min(axis=0) == pytest.approx(
            np.zeros(3), abs=1e-9
        )
    assert found.weights[:, 3:].tolist() == [[0] * 6] * 2
    # v' f(J) v is 1/3 of f(1) and 2/3 of f's mean over the pair.
    at_one = np.abs(found.values - 1) < 1e-9
    assert (found.weights * at_one).sum(axis=1) == pytest.approx([1 / 3] * 2, abs=1e-10)


def test_defective():
    """A Jordan block has no basis of eigenvectors, and yet a cloud: weights that cancel."""
    found = ritz_cloud(Matrix(np.eye(6) + np.diag(np.ones(5), 1)), 2, 6, seed=0)
    assert np.isfinite(found.values).all()
    assert np.abs(found.weights.sum(axis=1) - 1).max() <= CLOSE
    assert (found.cancellation > 100).all()


# ---- The same again, and bad input. ----


def test_seeds():
    """The same bits at every call, others with another seed; more probes keep the first."""
    J, state = Matrix(CURVES["cross"]), torch.get_rng_state()
    one, two, more, other = (
        ritz_cloud(J, probes, 8, seed=seed) for probes, seed in ((2, 1), (2, 1), (3, 1), (2, 2))
    )
    for name in ("values", "weights", "cancellation", "density", "standard_error"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()
    assert more.values[:2].tolist() == one.values.tolist()
    assert not np.isclose(one.values[:, None], other.values).all(axis=2).any()
    assert torch.equal(torch.get_rng_state(), state)


def test_float32():
    """Products in single precision, all that follows in double."""
    J = torch.from_numpy(CURVES["axis"])
    single, double = (ritz_cloud(Matrix(each), 2, 8, seed=0) for each in (J.float(), J))
    assert single.values.dtype == np.complex128
    assert 1e-12 < np.abs(single.values - double.values).max() < 1e-5
    assert np.abs(single.weights.sum(axis=1) - 1).max() <= CLOSE


@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps": 0}, "steps is a whole number, from 1 to 5, got 0"),
        ({"steps": 6}, "steps is a whole number, from 1 to 5, got 6"),
        ({"probes": 0}, "probes is a whole number, 1 or more"),
        ({"probes": True}, "probes is a whole number, 1 or more"),
    ],
)
def test_bad_arguments(options, message):
    """Refused before any product."""
    operator = Watched(np.eye(5))
    with pytest.raises(ValueError, match=message):
        ritz_cloud(operator, **{"probes": 1, "steps": 2, "seed": 0} | options)
    assert operator.products == 0


def test_nan():
    """A product that is not finite is named by its step within its probe."""
    with pytest.raises(FloatingPointError, match="step 2 is not finite"):
        ritz_cloud(Watched(CURVES["axis"], nan_at=5), 2, 3, seed=0)
