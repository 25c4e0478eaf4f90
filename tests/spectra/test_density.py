"""Stochastic Lanczos quadrature: exact densities, known laws, its own error bars, interruptions."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad_vec
from scipy.stats import norm
from torch import nn
from torch.func import functional_call

from helpers.games.game import Game
from helpers.operators import Matrix, hessian
from helpers.spectra import blurred, slq_density
from helpers.spectra.density import probe_vector
from tests.benchmarks.peers import pyhessian_slq
from tests.common import SETTINGS, Watched, logistic, with_spectrum

CLOSE = 1e-12


def distance(first, second, grid):
    """L1 distance of two densities, 2 where they have nothing in common."""
    return float(np.trapezoid(np.abs(first - second), grid))


def noise(law, grid, sigma, n, probes):
    """What two standard errors of +-1 probes come to in L1.

    The variance of v' f(H) v / n is at most 2 tr f(H)^2 / n^2, and the square of a Gaussian is
    one of sigma / sqrt 2 times 1 / (2 sqrt(pi) sigma).
    """
    error = np.sqrt(2 * law / (2 * np.sqrt(np.pi) * sigma) / (n * probes))
    return float(np.trapezoid(2 * error, grid))


def diagonal(*values):
    return Matrix(np.diag(np.array(values, dtype=float)))


def same(first, second):
    """Whether two densities agree in every bit."""
    names = ("nodes", "weights", "grid", "density", "standard_error")
    return all(np.array_equal(getattr(first, n), getattr(second, n)) for n in names)


# ---- Against what is known. ----


def semicircle(t):
    """Wigner's law, on [-2, 2]."""
    return np.sqrt(np.maximum(4 - t**2, 0)) / (2 * np.pi)


def marchenko_pastur(t, ratio=0.5):
    """The law of X'X / n for ratio n variables."""
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    inside = np.maximum((t - low) * (high - t), 0)
    return np.sqrt(inside) / (2 * np.pi * ratio * np.maximum(t, low))


def goe(n, rng):
    A = rng.normal(size=(n, n))
    return (A + A.T) / np.sqrt(2 * n)


def wishart(n, rng):
    X = rng.normal(size=(2 * n, n))
    H = X.T @ X / (2 * n)
    return (H + H.T) / 2


LAWS = {"semicircle": (goe, semicircle), "Marchenko-Pastur": (wishart, marchenko_pastur)}


@pytest.mark.parametrize("matrix, law", LAWS.values(), ids=LAWS.keys())
def test_random_matrices(matrix, law):
    """Within two standard errors of the law, blurred alike, and of no other law."""
    n, probes, sigma, grid = 800, 8, 0.1, np.linspace(-3, 4, 400)
    operator = Matrix(matrix(n, np.random.default_rng(0)))
    found = slq_density(operator, probes, 50, seed=0, sigma=sigma, grid=grid)
    for _, each in LAWS.values():
        wanted = quad_vec(lambda t, f=each: f(t) * norm.pdf(grid, t, sigma), -2.5, 3.5, limit=500)[
            0
        ]
        assert np.trapezoid(wanted, grid) == pytest.approx(1, abs=1e-6)
        bound = noise(wanted, grid, sigma, n, probes)
        assert bound < 0.15
        assert (distance(found.density, wanted, grid) < bound) == (each is law)


def test_exact_with_all_steps():
    """Over all 2^n signs of a probe, and all steps, the mean is the exact density."""
    values = np.array([-2.0, 0, 0.5, 3, 7])
    H = with_spectrum(values, np.random.default_rng(0))
    grid = np.linspace(-4, 9, 200)
    many = slq_density(Matrix(H), 600, 5, seed=0, sigma=0.3, grid=grid)
    signs = [tuple(probe_vector(Matrix(H), 0, number).tolist()) for number in range(600)]
    first = [signs.index(each) for each in sorted(set(signs))]
    assert len(first) == 32
    each = [blurred_with(many.nodes[number], many.weights[number], grid, 0.3) for number in first]
    assert np.abs(np.mean(each, axis=0) - blurred(values, grid, 0.3)).max() <= CLOSE


def blurred_with(nodes, weights, grid, sigma):
    return norm.pdf(grid[:, None], nodes, sigma) @ weights


def test_exact_on_diagonals():
    """Signs see all of a diagonal alike: one probe is enough."""
    values = [-1.0, 0, 0.25, 2, 6]
    grid = np.linspace(-3, 8, 300)
    found = slq_density(diagonal(*values), 1, 5, seed=0, sigma=0.2, grid=grid)
    assert np.abs(found.density - blurred(values, grid, 0.2)).max() <= CLOSE
    assert found.weights == pytest.approx(np.full((1, 5), 0.2), abs=CLOSE)


def test_logistic_regression():
    """The nodes of all steps are the eigenvalues of the Hessian in closed form."""
    game, omega, H = logistic(np.random.default_rng(0))
    found = slq_density(hessian(game, "D", omega), 3, 6, seed=0)
    wanted = np.linalg.eigvalsh(H)
    assert np.abs(found.nodes - wanted).max() <= CLOSE * wanted.max()


def test_blurred():
    """A mean of Gaussians, repeats counted, also of more eigenvalues than are summed at once."""
    rng = np.random.default_rng(0)
    values, grid = rng.normal(size=1000).round(1), np.linspace(-4, 4, 50)
    wanted = np.mean([norm.pdf(grid, value, 0.3) for value in values], axis=0)
    assert np.abs(blurred(values, grid, 0.3) - wanted).max() <= CLOSE


@pytest.mark.slow
def test_pyhessian():
    """Its nodes and weights of a small network and ours are equally near to the spectrum."""
    if find_spec("pyhessian") is None:
        pytest.skip("PyHessian is not installed: nothing to compare with")
    rng = np.random.default_rng(0)
    inputs, targets = (torch.from_numpy(rng.normal(size=(50, d))) for d in (3, 1))
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    shapes = {name: each.shape for name, each in net.named_parameters()}
    flat = torch.from_numpy(rng.normal(size=sum(each.numel() for each in net.parameters())))
    nn.utils.vector_to_parameters(flat, net.parameters())

    def loss(_theta, phi):
        parts = phi.split([shape.numel() for shape in shapes.values()])
        named = {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
        return ((functional_call(net, named, inputs) - targets) ** 2).mean()

    game = Game(lambda theta, _: (theta**2).sum(), loss, (1, len(flat)))
    operator = hessian(game, "D", torch.cat([flat.new_zeros(1), flat]))
    exact = torch.linalg.eigvalsh(operator.dense()).numpy()
    probes, steps, sigma = 40, 15, 0.05 * np.ptp(exact)
    grid = np.linspace(exact[0] - 4 * sigma, exact[-1] + 4 * sigma, 400)
    wanted = blurred(exact, grid, sigma)
    ours = slq_density(operator, probes, steps, seed=0, sigma=sigma, grid=grid)
    theirs = pyhessian_slq(
        net, lambda: loss(None, flat_of(net)), probes=probes, steps=steps, seed=0
    )
    density = np.mean(
        [blurred_with(*row, grid, sigma) for row in zip(*theirs, strict=True)], axis=0
    )
    bound = noise(wanted, grid, sigma, len(exact), probes)
    assert distance(ours.density, wanted, grid) < bound
    assert distance(density, wanted, grid) < bound
    for nodes in (ours.nodes, theirs[0]):
        assert nodes.max(axis=1) == pytest.approx(np.full(probes, exact[-1]), rel=1e-5)


def flat_of(net):
    return nn.utils.parameters_to_vector(net.parameters())


# ---- Its own error bars. ----


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 9))
@SETTINGS
def test_integrates_to_one(seed, probes, steps):
    """Also with runs that end early; no density is negative, and no more than the sum of parts."""
    rng = np.random.default_rng(seed)
    H = with_spectrum(rng.integers(-2, 3, size=9).astype(float), rng)
    found = slq_density(Matrix(H), probes, steps, seed=seed)
    assert found.nodes.shape == found.weights.shape == (probes, steps)
    assert (found.weights >= 0).all()
    assert np.abs(found.weights.sum(axis=1) - 1).max() <= CLOSE
    wide = found.smoothed(0.2, np.linspace(-5, 5, 500))
    assert np.trapezoid(wide.density, wide.grid) == pytest.approx(1, abs=1e-9)
    assert (wide.density >= 0).all()
    # The default grid ends three sigma beyond the outermost nodes.
    assert 0.997 < np.trapezoid(found.density, found.grid) < 1.001


@pytest.mark.slow
def test_standard_error():
    """It covers the exact density as often as 1.96 standard errors do, and falls with the root."""
    rng = np.random.default_rng(0)
    H = with_spectrum(rng.uniform(-1, 1, size=40), rng)
    grid, sigma = np.array([-0.5, 0.0, 0.6]), 0.3
    wanted = blurred(np.linalg.eigvalsh(H), grid, sigma)
    covered, few, many = [], [], []
    for seed in range(50):
        found = slq_density(Matrix(H), 20, 10, seed=seed, sigma=sigma, grid=grid)
        covered.append(np.abs(found.density - wanted) <= 1.96 * found.standard_error)
        few.append(found.standard_error)
    for seed in range(6):
        found = slq_density(Matrix(H), 80, 10, seed=seed, sigma=sigma, grid=grid)
        many.append(found.standard_error)
    # The chance is 0.935 by Student's t for 20; of 50 runs, three deviations are 0.1.
    assert 0.835 <= np.mean(covered) <= 0.99
    assert np.mean(few) / np.mean(many) == pytest.approx(2, rel=0.1)


def test_standard_error_by_hand():
    """The deviation of the probes, by n - 1, over the root of their number."""
    H = with_spectrum(np.arange(9.0), np.random.default_rng(0))
    found = slq_density(Matrix(H), 4, 3, seed=0)
    each = [
        blurred_with(*row, found.grid, found.sigma)
        for row in zip(found.nodes, found.weights, strict=True)
    ]
    assert found.density == pytest.approx(np.mean(each, axis=0), abs=CLOSE)
    assert found.standard_error == pytest.approx(np.std(each, axis=0, ddof=1) / 2, abs=CLOSE)


def test_one_probe():
    """It knows nothing of its error."""
    found = slq_density(diagonal(1, 2, 3), 1, 3, seed=0)
    assert np.isnan(found.standard_error).all()
    assert found.standard_error.shape == found.grid.shape


# ---- Scale, sigma and grid. ----


@pytest.mark.parametrize("factor", [1e-4, 1e6, -1e-30])
def test_scale(factor):
    """Nodes of a scaled operator are scaled, and so is the density, error included."""
    H = with_spectrum(np.linspace(-1, 3, 20), np.random.default_rng(0))
    found, scaled = (slq_density(Matrix(c * H), 3, 8, seed=0) for c in (1, factor))
    nodes, weights, density, error = (
        scaled.nodes / factor,
        scaled.weights,
        scaled.density * abs(factor),
        scaled.standard_error * abs(factor),
    )
    if factor < 0:
        nodes, weights = nodes[:, ::-1], weights[:, ::-1]
        density, error = density[::-1], error[::-1]
    assert np.abs(nodes - found.nodes).max() <= CLOSE
    assert np.abs(weights - found.weights).max() <= CLOSE
    assert scaled.sigma == pytest.approx(abs(factor) * found.sigma, rel=CLOSE)
    assert np.abs(density - found.density).max() <= 1e-9
    assert np.abs(error - found.standard_error).max() <= 1e-9


def test_defaults():
    """A sigma of 1% of the extent, and three of it beyond the spectrum."""
    found = slq_density(diagonal(-1, 0, 3), 2, 3, seed=0)
    assert found.sigma == pytest.approx(0.04)
    assert found.grid[[0, -1]] == pytest.approx([-1.12, 3.12])
    assert found.grid.shape == (1000,)
    # Of one eigenvalue the extent is its size; of nothing but zeros it is 1.
    assert slq_density(diagonal(-5, -5, -5), 2, 3, seed=0).sigma == pytest.approx(0.05)
    assert slq_density(diagonal(0, 0, 0), 2, 3, seed=0).sigma == 1


def test_runs_that_end_early():
    """Their last node is repeated, without weight."""
    found = slq_density(diagonal(2, 2, 2, 2), 2, 3, seed=0)
    assert found.nodes.tolist() == [[2, 2, 2]] * 2
    assert found.weights.tolist() == [[1, 0, 0]] * 2


def test_smoothed():
    """Another sigma and grid without a product: what a run with these would have given."""
    operator = Watched(with_spectrum(np.arange(9.0), np.random.default_rng(0)))
    found = slq_density(operator, 3, 5, seed=0)
    assert operator.products == 15
    grid = np.linspace(-1, 11, 77)
    other = found.smoothed(0.7, grid)
    default = found.smoothed(0.7)
    assert operator.products == 15
    assert same(other, slq_density(operator, 3, 5, seed=0, sigma=0.7, grid=grid))
    assert same(default, slq_density(operator, 3, 5, seed=0, sigma=0.7))
    assert same(found, found.smoothed(found.sigma, found.grid))


# ---- Seeds, and probes at once. ----


def test_seeds():
    """The same bits at every call, others with another seed, and no global random state."""
    H = Matrix(with_spectrum(np.arange(20.0), np.random.default_rng(0)))
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    found = slq_density(H, 3, 5, seed=1)
    assert same(found, slq_density(H, 3, 5, seed=1))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()
    other = slq_density(H, 3, 5, seed=2)
    # Neighbouring seeds share no probe.
    assert not np.isclose(found.nodes[:, None], other.nodes).all(axis=2).any()


def test_more_probes_keep_the_first():
    H = Matrix(with_spectrum(np.arange(20.0), np.random.default_rng(0)))
    few, many = (slq_density(H, probes, 5, seed=0) for probes in (2, 5))
    assert many.nodes[:2].tolist() == few.nodes.tolist()
    assert many.weights[:2].tolist() == few.weights.tolist()
    assert len({tuple(row) for row in many.nodes}) == 5


@pytest.mark.parametrize("batch_size, products", [(1, 25), (2, 15), (5, 5), (9, 5)])
def test_at_once(batch_size, products):
    """Probes that share their products are the same to rounding."""
    H = with_spectrum(np.linspace(-1, 3, 20), np.random.default_rng(0))
    alone, operator = slq_density(Matrix(H), 5, 5, seed=0), Watched(H)
    found = slq_density(operator, 5, 5, seed=0, batch_size=batch_size)
    assert operator.products == products
    assert np.abs(found.nodes - alone.nodes).max() <= CLOSE
    assert np.abs(found.weights - alone.weights).max() <= CLOSE


def test_float32():
    """Products in single precision, all that follows in double."""
    H = torch.from_numpy(with_spectrum(np.linspace(-1, 3, 50), np.random.default_rng(0)))
    single, double = (slq_density(Matrix(each), 4, 10, seed=0) for each in (H.float(), H))
    for name in ("nodes", "weights", "density", "standard_error"):
        assert getattr(single, name).dtype == np.float64
    assert np.abs(single.weights.sum(axis=1) - 1).max() <= CLOSE
    assert 1e-12 < np.abs(single.nodes - double.nodes).max() < 1e-5
    assert np.abs(single.weights - double.weights).max() < 1e-5


# ---- Bad input. ----

D = np.diag([1.0, 2, 3, 4, 5])


def test_unsymmetric():
    with pytest.raises(ValueError, match="needs a symmetric operator"):
        slq_density(Matrix([[1.0, 2.0], [0.0, 1.0]]), 1, 1, seed=0)


def test_nan():
    """A product that is not finite is named by its step within its probe."""
    with pytest.raises(FloatingPointError, match="step 2 is not finite"):
        slq_density(Watched(D, nan_at=5), 3, 3, seed=0)


@pytest.mark.parametrize("bad", [0, -1, 1.0, True, "3"])
@pytest.mark.parametrize("name", ["probes", "steps", "batch_size"])
def test_bad_counts(name, bad):
    with pytest.raises(ValueError, match=f"{name} is a whole number, "):
        slq_density(Matrix(D), **{"probes": 1, "steps": 1, "seed": 0, name: bad})


def test_too_many_steps():
    with pytest.raises(ValueError, match="steps is a whole number, from 1 to 5, got 6"):
        slq_density(Matrix(D), 1, 6, seed=0)


@pytest.mark.parametrize("sigma", [0, -1, np.nan, np.inf])
def test_bad_sigma(sigma):
    operator = Watched(D)
    with pytest.raises(ValueError, match=f"sigma must be positive and finite, got {sigma}"):
        slq_density(operator, 1, 2, seed=0, sigma=sigma)
    assert operator.products == 0
    with pytest.raises(ValueError, match="sigma must be positive"):
        slq_density(Matrix(D), 1, 2, seed=0).smoothed(sigma)


@pytest.mark.parametrize("grid", [0.0, [[0.0, 1.0]], [0.0, np.nan], [np.inf]])
def test_bad_grid(grid):
    operator = Watched(D)
    with pytest.raises(ValueError, match="a grid is one row of finite numbers, got shape"):
        slq_density(operator, 1, 2, seed=0, grid=grid)
    assert operator.products == 0
    with pytest.raises(ValueError, match="a grid is one row of finite numbers"):
        slq_density(Matrix(D), 1, 2, seed=0).smoothed(1.0, grid)
