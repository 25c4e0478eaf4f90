"""Lanczos' method: what T is, how its basis holds, how it ends, and what its quadrature is for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.games.closed_form import quadratic_game
from helpers.operators import Derivative, Matrix, hessian
from helpers.spectra import lanczos
from tests.common import SETTINGS, Watched, logistic, with_spectrum

CLOSE = 1e-12


def dense(run):
    """T as a matrix."""
    off = run.off_diagonal
    return np.diag(run.diagonal) + np.diag(off, 1) + np.diag(off, -1)


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@st.composite
def problems(draw):
    """A symmetric matrix of small whole numbers, with repeats, a start vector, and steps."""
    n = draw(st.integers(1, 7))
    entries = draw(st.lists(st.integers(-3, 3), min_size=n * n, max_size=n * n))
    start = draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n).filter(any))
    half = np.reshape(entries, (n, n)).astype(float)
    return half + half.T, torch.tensor(start, dtype=torch.float64), draw(st.integers(1, n))


# ---- T and its basis. ----


@given(problems())
@SETTINGS
def test_decomposition(problem):
    """H V' = V' T + next e_m', V orthonormal from v on, and nodes and weights those of T."""
    H, start, steps = problem
    (run,) = lanczos(Matrix(H), start, steps)
    V, T, m = run.basis.numpy(), dense(run), len(run.diagonal)
    scale = max(np.abs(H).sum(), 1)
    assert np.allclose(V[0], start / start.norm(), rtol=0, atol=CLOSE)
    assert np.abs(V @ V.T - np.eye(m)).max() <= CLOSE
    assert np.abs(V @ H @ V.T - T).max() <= CLOSE * scale
    left = H @ V.T - V.T @ T
    assert np.abs(left[:, :-1]).max(initial=0) <= CLOSE * scale
    assert abs(np.linalg.norm(left[:, -1]) - run.next_off_diagonal) <= CLOSE * scale
    assert m == steps or run.next_off_diagonal == 0
    nodes, weights = run.nodes_and_weights()
    assert np.abs(nodes - np.linalg.eigvalsh(T)).max() <= CLOSE * scale
    assert (weights >= 0).all()
    assert abs(weights.sum() - 1) <= CLOSE
    assert abs(weights @ nodes - T[0, 0]) <= CLOSE * scale


@pytest.mark.parametrize("dtype, within", [(torch.float64, CLOSE), (torch.float32, 1e-6)])
def test_orthonormal_when_ritz_values_have_converged(dtype, within):
    """Over seven decades the top converges at once, and three terms alone would lose the basis."""
    H = with_spectrum(np.geomspace(1e-3, 1e4, 300), np.random.default_rng(0))
    (run,) = lanczos(Matrix(torch.from_numpy(H).to(dtype)), torch.ones(300), 60)
    V = run.basis.double()
    assert run.basis.dtype == dtype
    assert V.shape == (60, 300)
    assert (V @ V.T - torch.eye(60)).abs().max() <= within
    nodes = run.nodes_and_weights()[0]
    assert nodes[-1] == pytest.approx(1e4, rel=max(within, 1e-9))
    assert nodes.dtype == run.diagonal.dtype == np.float64


def test_against_closed_forms():
    """All steps find all eigenvalues of a quadratic and of a logistic regression."""
    rng = np.random.default_rng(0)
    S = with_spectrum([-5.0, -1, 0, 0.5, 2, 100], rng)
    flat = np.zeros((6, 6))
    game, omega, H = logistic(rng)
    for operator, matrix in (
        (hessian(quadratic_game(S, flat, flat, flat), "G", rng.normal(size=12)), S),
        (hessian(game, "D", omega), H),
    ):
        (run,) = lanczos(operator, normal(6), 6)
        wanted = np.linalg.eigvalsh(matrix)
        assert np.abs(run.nodes_and_weights()[0] - wanted).max() <= CLOSE * np.abs(wanted).max()


def test_ritz_values_interlace():
    """With each step the ends move outwards only, and stay within the spectrum."""
    H = with_spectrum(np.linspace(-1, 3, 40), np.random.default_rng(0))
    low, high = np.inf, -np.inf
    for steps in range(1, 41):
        nodes = lanczos(Matrix(H), normal(40), steps)[0].nodes_and_weights()[0]
        assert -1 - CLOSE <= nodes[0] <= low + CLOSE
        assert high - CLOSE <= nodes[-1] <= 3 + CLOSE
        low, high = nodes[0], nodes[-1]


# ---- Gauss' quadrature. ----


@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_quadrature_is_exact(steps):
    """Sums of w f(node) are v' f(H) v for polynomials up to degree 2 m - 1, and not beyond."""
    values = np.linspace(-1, 1, 30) ** 3
    v = normal(30).numpy()
    (run,) = lanczos(Matrix(np.diag(values)), torch.from_numpy(v), steps)
    nodes, weights = run.nodes_and_weights()
    for degree in range(2 * steps + 1):
        f = np.polynomial.Chebyshev.basis(degree)
        error = abs(weights @ f(nodes) - v**2 @ f(values) / (v @ v))
        assert (error <= CLOSE) == (degree < 2 * steps)


@given(st.integers(0, 2**32 - 1), st.floats(-6, 6))
@SETTINGS
def test_scale(seed, decades):
    """H times c has c times the nodes and the same weights."""
    rng, factor = np.random.default_rng(seed), 10**decades
    H, start = with_spectrum(rng.normal(size=12), rng), torch.from_numpy(rng.normal(size=12))
    nodes, weights = lanczos(Matrix(H), start, 6)[0].nodes_and_weights()
    others, same = lanczos(Matrix(factor * H), 7 * start, 6)[0].nodes_and_weights()
    assert others == pytest.approx(factor * nodes, rel=1e-9, abs=1e-9 * factor)
    assert same == pytest.approx(weights, abs=1e-9)


# ---- How it ends. ----


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_invariant_subspace(dimension, dtype):
    """From within a space of three dimensions there are three steps, whatever was asked for."""
    rng = np.random.default_rng(0)
    H = np.zeros((30, 30))
    H[:dimension, :dimension] = with_spectrum([-1.0, 2, 5][:dimension], rng)
    H[dimension:, dimension:] = with_spectrum(rng.normal(size=30 - dimension), rng)
    start = torch.zeros(30)
    start[:dimension] = torch.tensor([3.0, 4, 5])[:dimension]
    operator = Watched(torch.from_numpy(H).to(dtype))
    (run,) = lanczos(operator, start, 20)
    assert operator.products == len(run.diagonal) == len(run.basis) == dimension
    assert run.next_off_diagonal == 0
    within = 1e-5 if dtype == torch.float32 else CLOSE
    wanted = np.linalg.eigvalsh(H[:dimension, :dimension])
    assert run.nodes_and_weights()[0] == pytest.approx(wanted, abs=within)


def test_eigenvectors_of_a_matrix_without_structure():
    """Three eigenvectors are left by rounding only, which does not count as a direction."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    H = basis @ np.diag(np.linspace(-1, 3, 50)) @ basis.T
    start = torch.from_numpy(basis[:, [0, 20, 49]].sum(axis=1))
    (run,) = lanczos(Matrix((H + H.T) / 2), start, 10)
    nodes, weights = run.nodes_and_weights()
    assert run.next_off_diagonal == 0
    assert nodes == pytest.approx(np.linspace(-1, 3, 50)[[0, 20, 49]], abs=CLOSE)
    assert weights == pytest.approx([1 / 3] * 3, abs=CLOSE)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e-30, 1e30])
def test_multiples_of_the_identity(value):
    """One step tells all; the zero operator is one of them."""
    (run,) = lanczos(Matrix(value * np.eye(9)), normal(9), 9)
    assert run.diagonal == pytest.approx([value], rel=CLOSE, abs=0)
    assert run.off_diagonal.shape == (0,)
    assert run.next_off_diagonal == 0
    assert run.nodes_and_weights()[1].tolist() == [1]


def test_small_couplings_are_not_the_end():
    """A step of 1e-12 of the operator is well over rounding in float64, and under it in float32."""
    H = torch.tensor([[1.0, 1e-12], [1e-12, 2.0]], dtype=torch.float64)
    start = torch.tensor([1.0, 0.0])
    assert lanczos(Matrix(H), start, 2)[0].off_diagonal.tolist() == [1e-12]
    assert len(lanczos(Matrix(H.float()), start, 2)[0].diagonal) == 1


def test_one_step():
    """v' H v, and how far H v is from it."""
    (run,) = lanczos(Matrix([[2.0, 3.0], [3.0, 7.0]]), torch.tensor([5.0, 0.0]), 1)
    assert (run.diagonal.tolist(), run.next_off_diagonal) == ([2], 3)
    assert run.off_diagonal.shape == (0,)
    assert run.basis.tolist() == [[1, 0]]


# ---- Several runs at once. ----


@pytest.mark.parametrize("dtype, within", [(torch.float64, CLOSE), (torch.float32, 1e-5)])
def test_several_runs(dtype, within):
    """Each as if alone, to rounding: a product of many vectors sums in another order."""
    H = torch.from_numpy(with_spectrum(np.linspace(-1, 3, 60), np.random.default_rng(0)))
    operator, starts = Matrix(H.to(dtype)), normal(60, 4)
    for run, start in zip(lanczos(operator, starts, 20), starts.T, strict=True):
        (alone,) = lanczos(operator, start, 20)
        assert np.abs(dense(run) - dense(alone)).max() <= within
        assert abs(run.next_off_diagonal - alone.next_off_diagonal) <= within
        assert (run.basis - alone.basis).abs().max() <= within


def test_runs_do_not_mix():
    """A run has the same bits beside any others, one that ends early included."""
    H = np.zeros((60, 60))
    H[2:, 2:] = with_spectrum(np.linspace(-1, 3, 58), np.random.default_rng(0))
    first, other, short = normal(60), normal(60, seed=1), torch.eye(60, dtype=torch.float64)[0]
    results = [lanczos(Matrix(H), torch.stack([first, each], dim=1), 20) for each in (other, short)]
    assert [len(beside.diagonal) for _, beside in results] == [20, 1]
    (with_other, _), (with_short, _) = results
    assert dense(with_other).tolist() == dense(with_short).tolist()
    assert torch.equal(with_other.basis, with_short.basis)


def test_products_are_shared():
    """As many products of a block as steps, and none once all runs are over."""
    operator = Watched(np.diag(np.arange(9.0)))
    lanczos(operator, normal(9, 3), 5)
    assert operator.products == 5
    lanczos(operator, torch.eye(9)[:, :3], 5)
    assert operator.products == 6


def test_same_at_every_call():
    """The same bits; starts are left alone, and so is torch's random state."""
    H, starts = with_spectrum(np.arange(20.0), np.random.default_rng(0)), normal(20, 2)
    before, state = starts.clone(), torch.get_rng_state()
    first, second = (lanczos(Matrix(H), starts, 9)[1] for _ in range(2))
    assert dense(first).tolist() == dense(second).tolist()
    assert torch.equal(starts, before)
    assert torch.equal(torch.get_rng_state(), state)


# ---- Bad input. ----


@pytest.mark.parametrize("starts", [normal(9), normal(9, 2)], ids=["one", "two"])
def test_nan(starts):
    """A product that is not finite stops the run at once, with its step."""
    operator = Watched(np.diag(np.arange(9.0)), nan_at=3)
    with pytest.raises(FloatingPointError, match="product at step 3 is not finite"):
        lanczos(operator, starts, 9)
    assert operator.products == 3


def test_overflow():
    """Products beyond float32 are not finite."""
    with pytest.raises(FloatingPointError, match="step 1 "):
        lanczos(Matrix(torch.full((4, 4), 3e38)), torch.ones(4), 2)


def test_unsymmetric():
    """Refused before any product, with the functions that would do."""
    operator = Watched([[1.0, 2.0], [0.0, 1.0]])
    for refused in (operator, Derivative(lambda x: x**2, torch.ones(2))):
        with pytest.raises(ValueError, match=r"symmetric.*game_eigenvalues and ritz_cloud"):
            lanczos(refused, torch.ones(2), 1)
    assert operator.products == 0


@pytest.mark.parametrize("steps", [0, -1, 6, 2.0, "2", True, None])
def test_bad_steps(steps):
    with pytest.raises(ValueError, match="steps is a whole number, from 1 to 5, got"):
        lanczos(Matrix(np.eye(5)), torch.ones(5), steps)


@pytest.mark.parametrize("shape", [(), (4,), (6,), (1, 5), (5, 0), (5, 1, 1)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match=r"starts are \(5,\) or \(5, k\), got \("):
        lanczos(Matrix(np.eye(5)), torch.ones(shape), 1)


def test_complex_starts():
    with pytest.raises(ValueError, match=r"starts are real, got torch\.complex64"):
        lanczos(Matrix(np.eye(5)), torch.ones(5) + 1j, 1)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_bad_starts(bad):
    """Zeros and what is not finite, alone or beside a good one."""
    start = torch.full((5,), bad)
    for starts in (start, torch.stack([torch.ones(5), start], dim=1)):
        with pytest.raises(ValueError, match="a start vector must be finite and not zero"):
            lanczos(Matrix(np.eye(5)), starts, 1)
