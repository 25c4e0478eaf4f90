"""Extreme eigenpairs: against numpy and scipy, with residuals that are true, cold and warm."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh

from helpers.games.closed_form import quadratic_game
from helpers.operators import Matrix, hessian
from helpers.spectra import top_eigenpairs
from helpers.spectra.basis import rounding_error
from helpers.spectra.search import GUARD
from tests.common import SETTINGS, Watched, as_scipy, logistic, with_spectrum

EPS = np.finfo(float).eps
KEYS = {
    "LA": lambda values: -values,
    "SA": lambda values: values,
    "LM": lambda values: -abs(values),
}
orders = pytest.mark.parametrize("which", KEYS)
SPECTRA = {
    "even": np.linspace(-1, 3, 80),
    "graded": np.r_[-np.geomspace(1e-3, 1e2, 30), np.geomspace(1e-3, 1e4, 50)],
    "outliers": np.r_[np.linspace(-1e-3, 1e-3, 75), -2, 1, 3, 5, 100],
    "cluster": np.r_[np.linspace(-1, 1, 75), 5, 5 - 1e-6, 5 - 2e-6, -4.9, -4.9 + 1e-6],
}
spectra = pytest.mark.parametrize("values", SPECTRA.values(), ids=SPECTRA.keys())


def first(values, which, k):
    """The k first of these eigenvalues."""
    return values[np.argsort(KEYS[which](values), kind="stable")][:k]


def matrix(values, seed=0):
    return with_spectrum(values, np.random.default_rng(seed))


def check(found, H, tolerance):
    """Residuals are true, small enough, and below the error; vectors are orthonormal."""
    X, size = found.vectors.double().numpy(), np.linalg.norm(H, 2)
    eps = torch.finfo(found.vectors.dtype).eps
    true = np.linalg.norm(H @ X - X * found.values, axis=0)
    assert np.abs(true - found.residuals).max() <= 40 * eps * size
    least = rounding_error(found.vectors.dtype, len(H), size, size)
    limit = np.maximum(tolerance * np.abs(found.values), least)
    assert (found.residuals <= limit).all()
    assert np.abs(X.T @ X - np.eye(X.shape[1])).max() <= 100 * eps
    errors = np.abs(np.linalg.eigvalsh(H)[:, None] - found.values).min(axis=0)
    assert (errors <= found.residuals + 40 * eps * size).all()


# ---- Against dense solvers. ----


@orders
@spectra
@pytest.mark.parametrize("k", [1, 5])
def test_against_numpy(values, which, k):
    """To a tolerance of 1e-8, whose square times the size is what values are off by."""
    if which == "SA" and values.min() == -100:
        values = -values  # its low end is out of reach next to 1e4
    H = matrix(values)
    found = top_eigenpairs(Matrix(H), k, which, tolerance=1e-8)
    check(found, H, 1e-8)
    wanted = first(values, which, k)
    assert np.abs(found.values - wanted).max() <= 1e-8 * np.abs(wanted).max()
    assert top_eigenpairs(Matrix(H), k, which, tolerance=1e-8, chance=None).products < 80


@given(st.integers(1, 9), st.data())
@SETTINGS
def test_small(n, data):
    """Any spectrum of n different whole numbers, any k to n, in no more than n products."""
    values = data.draw(st.lists(st.integers(-9, 9), min_size=n, max_size=n, unique=True))
    k, which = data.draw(st.integers(1, n)), data.draw(st.sampled_from(list(KEYS)))
    values = np.array(values, dtype=float)
    H = matrix(values, data.draw(st.integers(0, 99)))
    found = top_eigenpairs(Matrix(H), k, which, tolerance=0)
    check(found, H, 0)
    assert found.products <= n
    assert KEYS[which](found.values) == pytest.approx(
        KEYS[which](first(values, which, k)), abs=1e-9
    )
    assert len(set(found.values.round(9))) == k


@orders
def test_all(which):
    """k = n: the whole decomposition."""
    values = np.linspace(-1, 3.5, 40)
    H = matrix(values)
    found = top_eigenpairs(Matrix(H), 40, which)
    check(found, H, 0)
    assert found.products == 40
    assert found.values == pytest.approx(first(values, which, 40), abs=1e-12)
    X = found.vectors.numpy()
    assert np.abs(X * found.values @ X.T - H).max() < 1e-12


@orders
def test_against_scipy(which):
    """As eigsh on the same products, of a quadratic and of a logistic regression."""
    rng = np.random.default_rng(0)
    S, flat = matrix(np.r_[np.linspace(-1, 1, 18), 4, -6.0]), np.zeros((20, 20))
    quadratic = hessian(quadratic_game(S, flat, flat, flat), "G", np.zeros(40))
    game, omega, H = logistic(rng)
    for operator, dense in ((quadratic, S), (hessian(game, "D", omega), H)):
        found = top_eigenpairs(operator, 3, which, tolerance=1e-10)
        check(found, dense, 1e-10)
        v0 = np.ones(len(dense))
        theirs = eigsh(as_scipy(operator), 3, which=which, v0=v0, return_eigenvectors=False)
        assert np.sort(found.values) == pytest.approx(np.sort(theirs), rel=1e-8)


@spectra
def test_tolerance(values):
    """Residuals go as far as was asked, to rounding with 0, and a smaller one takes more."""
    H, products = matrix(values), []
    for tolerance in (0.1, 1e-4, 0):
        found = top_eigenpairs(Matrix(H), 3, tolerance=tolerance)
        check(found, H, tolerance)
        products.append(found.products)
    assert products == sorted(products)
    assert products[0] < products[-1]


def test_float32():
    """Products and vectors in single precision, numbers in double; 0 goes to its rounding."""
    H = torch.from_numpy(matrix(SPECTRA["outliers"])).float()
    for tolerance in (1e-3, 0):
        found = top_eigenpairs(Matrix(H), 3, tolerance=tolerance)
        assert found.vectors.dtype == torch.float32
        assert found.values.dtype == found.residuals.dtype == np.float64
        check(found, H.double().numpy(), tolerance)
        assert found.values == pytest.approx([100, 5, 3], rel=1e-4)


@pytest.mark.parametrize("factor", [1e-20, 1e-4, 1e10])
def test_scale(factor):
    """The units of the eigenvalues do not matter."""
    H = matrix(SPECTRA["even"])
    found, scaled = (top_eigenpairs(Matrix(c * H), 3, "LM") for c in (1, factor))
    assert scaled.products == found.products
    assert scaled.values / factor == pytest.approx(found.values, rel=1e-9)
    assert scaled.residuals / factor == pytest.approx(found.residuals, rel=1e-3)


# ---- Repeats, and nothing at all. ----


@given(st.lists(st.integers(-2, 2), min_size=2, max_size=9), st.data())
@SETTINGS
def test_repeats(values, data):
    """Of equal eigenvalues one copy at least is found, and never more than there are."""
    k, which = data.draw(st.integers(1, len(values))), data.draw(st.sampled_from(list(KEYS)))
    H = matrix(np.array(values, dtype=float))
    found = top_eigenpairs(Matrix(H), k, which, tolerance=0)
    check(found, H, 0)
    rounded = found.values.round(9)
    assert all(np.sum(rounded == value) <= values.count(value) for value in set(rounded))
    every, distinct = (
        KEYS[which](first(v, which, k)) for v in (np.array(values), np.unique(values))
    )
    keys = KEYS[which](rounded)
    assert (every <= keys).all()
    assert (keys[: len(distinct)] <= distinct).all()


@orders
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_multiples_of_the_identity(value, which):
    """Every vector is an eigenvector; the zero operator is no special case."""
    H = value * np.eye(30)
    found = top_eigenpairs(Matrix(H), 4, which, tolerance=0)
    check(found, H, 0)
    assert found.values == pytest.approx([value] * 4, abs=1e-14)
    assert found.products == 4


def test_low_rank():
    """The rank ends the search in the vectors that one start leads to; beyond it are zeros."""
    H = matrix(np.r_[np.zeros(45), 1, 2, -3.0, 4, 5])
    found = top_eigenpairs(Matrix(H), 7, "LM", tolerance=0)
    check(found, H, 0)
    assert found.values == pytest.approx([5, 4, -3, 2, 1, 0, 0], abs=1e-13)


# ---- Restarts. ----


@orders
@pytest.mark.parametrize("k, room", [(1, 5), (1, 8), (4, 11), (4, 16)])
def test_restarts(k, room, which):
    """With little room the basis is cut back many times, and the pairs are as good."""
    H = matrix(np.linspace(-1.1, 1, 60) ** 3)
    found = top_eigenpairs(Matrix(H), k, which, tolerance=1e-9, room=room, most=3000)
    check(found, H, 1e-9)
    assert found.values == pytest.approx(first(np.linspace(-1.1, 1, 60) ** 3, which, k), abs=1e-8)
    assert found.products > 2 * room
    options = {"tolerance": 1e-9, "chance": None, "most": 3000}
    little, much = (top_eigenpairs(Matrix(H), k, which, room=r, **options) for r in (room, None))
    assert little.products > much.products


def test_room_is_kept_to():
    """A room of exactly what is needed at the least will do, one less is refused."""
    H = matrix(np.linspace(-1, 1, 100) ** 3)
    top_eigenpairs(Matrix(H), 2, room=7)
    with pytest.raises(ValueError, match="2 pairs from 1 vectors need room for 7, got 6"):
        top_eigenpairs(Matrix(H), 2, room=6)
    with pytest.raises(ValueError, match="2 pairs from 4 vectors need room for 10, got 9"):
        top_eigenpairs(Matrix(H), 2, room=9, start=top_vectors(H, 3))


@pytest.mark.parametrize("most", [1, 7, 20])
def test_most(most):
    """The search ends after so many products, and says how far it came."""
    operator = Watched(matrix(SPECTRA["even"]))
    with pytest.raises(
        RuntimeError, match=rf"after {most} products: .* residual is still \d\.\de[-+]"
    ):
        top_eigenpairs(operator, 1, tolerance=1e-12, most=most)
    assert operator.products == most


# ---- Warm starts. ----


def cold_and_warm(H, start, k, tolerance=1e-3):
    """Products without a start and with it, after checks that all found the same.

    The products are those of the searches themselves; what makes sure is needed with and without.
    """
    options = {"tolerance": tolerance, "chance": None}
    cold = top_eigenpairs(Matrix(H), k, **options)
    warm = top_eigenpairs(Matrix(H), k, start=start, **options)
    sure = top_eigenpairs(Matrix(H), k, start=start, tolerance=tolerance)
    for found in (cold, warm, sure):
        check(found, H, tolerance)
    wanted = np.linalg.eigvalsh(H)[::-1][:k]
    for found in (warm, sure):
        assert np.abs(found.values - wanted).max() <= tolerance * np.abs(wanted).max()
    return cold.products, warm.products


def top_vectors(H, k):
    return torch.from_numpy(np.linalg.eigh(H)[1][:, ::-1][:, :k].copy())


@pytest.mark.parametrize("k", [1, 5])
def test_warm_start(k):
    """Exact eigenvectors, and those of a point nearby: one product each, and what guards them."""
    H = matrix(np.linspace(0, 1, 100) ** 3)
    near = H + 1e-4 * matrix(np.random.default_rng(1).normal(size=100), seed=1)
    start = top_vectors(H, k)
    for each in (H, near):
        cold, warm = cold_and_warm(each, start, k)
        assert warm <= min(cold - 1, k + 2 + GUARD)  # a trial, and a random vector


def test_warm_start_may_be_any_spanning_set():
    """Mixed, scaled, repeated, of single precision: it is the span that counts."""
    H = matrix(np.linspace(0, 1, 100) ** 3)
    start = top_vectors(H, 3)
    mixed = start @ torch.tensor([[1.0, 2, 3, 0], [0, 1, 1, 0], [5, 0, 1, 0]]).double() * 1e3
    for each in (mixed, start.float(), torch.cat([start, start], dim=1)):
        cold, warm = cold_and_warm(H, each, 3)
        assert warm <= min(cold - 1, each.shape[1] + 2 + GUARD)


@pytest.mark.parametrize("start", ["second", "zeros", "random"])
def test_poor_starts(start):
    """Without the top direction in it, a start does not hide it."""
    H = matrix(np.linspace(0, 1, 100) ** 3)
    X = top_vectors(H, 100)
    rng = np.random.default_rng(2)
    starts = {
        "second": X[:, 1:4] + 1e-2 * torch.from_numpy(rng.normal(size=(100, 3))) / 10,
        "zeros": torch.zeros(100, 3),
        "random": torch.from_numpy(rng.normal(size=(100, 3))),
    }
    cold_and_warm(H, starts[start], 3)


@pytest.mark.parametrize("k", [1, 3])
def test_start_of_other_eigenvectors(k):
    """Exact eigenvectors, but not of the top: an invariant subspace that hides nothing."""
    H = matrix(np.r_[np.linspace(-1, 1, 95), 2, 3, 4, 5, 9])
    X = top_vectors(H, k + 1)
    assert top_eigenpairs(Matrix(H), k, start=X[:, 1:]).values[0] == pytest.approx(9, rel=1e-3)


def test_start_that_is_good_enough_at_once():
    """With a wide tolerance one product may satisfy it; the search goes beyond it all the same."""
    operator = Matrix(matrix(np.r_[np.linspace(0.6, 1.4, 39), 3.0]))
    found = top_eigenpairs(operator, 1, start=torch.ones(40, 1), tolerance=0.6, chance=None)
    assert found.products > GUARD
    np.testing.assert_allclose(found.values, 3.0, rtol=0.1)


def test_start_that_is_invariant():
    """A search that its start has exhausted goes on elsewhere: of a constant D's Hessian, say."""
    operator = Matrix(np.diag(np.r_[np.zeros(30), 1.0, 2.0]))
    found = top_eigenpairs(operator, 2, start=torch.eye(32)[:, -2:])
    np.testing.assert_allclose(found.values, [2, 1])
    flat = top_eigenpairs(Matrix(np.zeros((40, 40))), 3, start=torch.eye(40)[:, :3], tolerance=0.1)
    np.testing.assert_allclose(flat.values, 0)


def test_start_of_everything():
    """More vectors than dimensions are cut to as many."""
    H = matrix(np.arange(6.0))
    for start in (torch.eye(6), torch.ones(6, 9), top_vectors(H, 6)):
        found = top_eigenpairs(Matrix(H), 2, start=start, tolerance=0)
        check(found, H, 0)
        assert found.values == pytest.approx([5, 4], abs=1e-12)


# ---- The same again, and bad input. ----


def test_seeds():
    """The same bits at every call, others with another seed, and no global random state."""
    H, state = Matrix(matrix(SPECTRA["even"])), torch.get_rng_state()
    start = top_vectors(H.entries.numpy(), 2)
    before = start.clone()
    for options in ({}, {"start": start}, {"room": 9, "tolerance": 1e-2}):
        one, two, other = (top_eigenpairs(H, 2, seed=seed, **options) for seed in (1, 1, 2))
        assert one.values.tolist() == two.values.tolist()
        assert one.residuals.tolist() == two.residuals.tolist()
        assert torch.equal(one.vectors, two.vectors)
        assert not torch.equal(one.vectors, other.vectors)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(start, before)


def test_products_are_counted():
    operator = Watched(matrix(SPECTRA["even"]))
    assert top_eigenpairs(operator, 3).products == operator.products


@pytest.mark.parametrize("k", [0, -1, 6, 1.0, True, "1"])
def test_bad_k(k):
    with pytest.raises(ValueError, match="k is a whole number, from 1 to 5, got"):
        top_eigenpairs(Matrix(np.eye(5)), k)


@pytest.mark.parametrize("which", ["LR", "la", "", None])
def test_unknown_order(which):
    with pytest.raises(ValueError, match=f"which is one of 'LA', 'SA', 'LM', got {which!r}"):
        top_eigenpairs(Matrix(np.eye(5)), 1, which)


@pytest.mark.parametrize("tolerance", [-1e-3, 1, np.nan])
def test_bad_tolerance(tolerance):
    with pytest.raises(ValueError, match=f"tolerance is from 0 to below 1, got {tolerance}"):
        top_eigenpairs(Matrix(np.eye(5)), 1, tolerance=tolerance)


@pytest.mark.parametrize("most", [0, -1, 2.5, True])
def test_bad_most(most):
    with pytest.raises(ValueError, match="most is a whole number, 1 or more"):
        top_eigenpairs(Matrix(np.eye(5)), 1, most=most)


@pytest.mark.parametrize("start", [torch.ones(5), torch.ones(4, 2), torch.full((5, 1), np.nan)])
def test_bad_start(start):
    with pytest.raises(ValueError, match=r"start is \(5, m\) and finite, got \("):
        top_eigenpairs(Matrix(np.eye(5)), 1, start=start)


def test_unsymmetric():
    with pytest.raises(ValueError, match="needs a symmetric operator"):
        top_eigenpairs(Matrix([[1.0, 2.0], [0.0, 1.0]]), 1)


def test_nan():
    """A product that is not finite stops the search at once, with its step."""
    operator = Watched(matrix(SPECTRA["even"]), nan_at=3)
    with pytest.raises(FloatingPointError, match="product at step 3 is not finite"):
        top_eigenpairs(operator, 2)
    assert operator.products == 3
