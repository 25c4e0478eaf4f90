"""Eigenvalues of games: against numpy and scipy, with true residuals and whole conjugate pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import eigs

from helpers.games.closed_form import linear_game, rotating_saddle, unstable_nash
from helpers.operators import Matrix, jacobian
from helpers.spectra import game_eigenvalues
from helpers.spectra.arnoldi import _first
from helpers.spectra.basis import rounding_error
from tests.common import SETTINGS, Watched, as_scipy, with_spectrum

EPS = np.finfo(float).eps
SIZES = {
    "LM": np.abs,
    "LR": np.real,
    "SR": lambda values: -np.real(values),
    "LI": lambda values: np.abs(np.imag(values)),
}
orders = pytest.mark.parametrize("which", SIZES)


def ginibre(n, seed=0):
    """Without structure; its eigenvalues fill the unit disc."""
    return np.random.default_rng(seed).normal(size=(n, n)) / np.sqrt(n)


def turns(n, seed=0):
    """Antisymmetric: its eigenvalues lie on the imaginary axis."""
    A = ginibre(n, seed)
    return A - A.T


def players(n, seed=0):
    """The Jacobian of a quadratic game of n + n parameters, its two players far apart in scale."""
    rng = np.random.default_rng(seed)
    S1 = with_spectrum(np.linspace(-0.1, 1, n), rng)
    S2 = with_spectrum(np.linspace(1, 30, n), rng)
    A = rng.normal(size=(n, n))
    return np.block([[S1, -A.T], [A, S2]])


MATRICES = {
    "ginibre": ginibre(70),
    "antisymmetric": turns(70),
    "symmetric": with_spectrum(np.linspace(-2, 1, 70), np.random.default_rng(0)),
    "game": players(35),
}
matrices = pytest.mark.parametrize("J", MATRICES.values(), ids=MATRICES.keys())


def check(found, J, tolerance):
    """Residuals are true and small enough, vectors of length 1, conjugates side by side."""
    X, size = found.vectors.to(torch.complex128).numpy(), np.linalg.norm(J, 2)
    eps = torch.finfo(found.vectors.dtype).eps
    true = np.linalg.norm(J @ X - X * found.values, axis=0)
    assert np.abs(true - found.residuals).max() <= 40 * eps * size
    least = rounding_error(found.vectors.dtype, len(J), size, size)
    limit = np.maximum(tolerance * np.abs(found.values), least)
    assert (found.residuals <= limit).all()
    assert np.abs(np.linalg.norm(X, axis=0) - 1).max() <= 100 * eps
    check_pairs(found.values)


def check_pairs(values):
    """The one with positive imaginary part comes first and its conjugate next, if not cut off."""
    place = 0
    while place < len(values):
        if values[place].imag:
            assert values[place].imag > 0
            assert place + 1 == len(values) or values[place + 1] == values[place].conj()
            place += 1
        place += 1


def nearest(found, wanted):
    """(k,) distances of what was found to a spectrum."""
    return np.abs(np.asarray(found)[:, None] - wanted).min(axis=1)


# ---- Against dense solvers. ----


@orders
@matrices
@pytest.mark.parametrize("k", [1, 4])
def test_against_numpy(J, which, k):
    """The k first in each order; a tolerance of 1e-9 times the condition bounds their error."""
    found = game_eigenvalues(Matrix(J), k, which, tolerance=1e-9)
    check(found, J, 1e-9)
    values, S = np.linalg.eig(J)
    size = SIZES[which]
    bound = np.linalg.cond(S) * max(found.residuals.max(), 100 * EPS * np.linalg.norm(J, 2))
    assert bound < 1e-5
    assert nearest(found.values, values).max() <= bound
    assert np.abs(size(found.values) - np.sort(size(values))[::-1][:k]).max() <= bound


@given(st.integers(1, 8), st.data())
@SETTINGS
def test_small(n, data):
    """Any matrix, any k to n, in no more than n products; no eigenvalue twice."""
    J = ginibre(n, data.draw(st.integers(0, 999))) * 3
    k, which = data.draw(st.integers(1, n)), data.draw(st.sampled_from(list(SIZES)))
    found = game_eigenvalues(Matrix(J), k, which, tolerance=0)
    check(found, J, 0)
    assert found.products <= n
    values, S = np.linalg.eig(J)
    within = 1e3 * EPS * np.linalg.cond(S) * np.linalg.norm(J, 2)
    assert nearest(found.values, values).max() <= within
    size = SIZES[which]
    assert np.abs(size(found.values) - np.sort(size(values))[::-1][:k]).max() <= within
    assert len(set(found.values.tolist())) == k


@orders
@matrices
def test_all(J, which):
    """k = n: each eigenvalue once."""
    found = game_eigenvalues(Matrix(J), len(J), which, tolerance=0)
    check(found, J, 0)
    values = np.linalg.eigvals(J)
    assert found.products == len(J)
    assert nearest(found.values, values).max() < 1e-11 * np.abs(values).max()
    assert nearest(values, found.values).max() < 1e-11 * np.abs(values).max()


def test_eq_18():
    """The rotating saddle's spectrum: roots of t^3 - t^2 + 11 t - 2 (B, eq. 18)."""
    operator = jacobian(rotating_saddle(), [1, 1, 0])
    lower, real, upper = sorted(np.roots([1, -1, 11, -2]), key=np.imag)
    pair = [upper, lower]
    for which, wanted in {"LM": [*pair, real], "SR": [real, *pair], "LI": [*pair, real]}.items():
        assert game_eigenvalues(operator, 3, which).values == pytest.approx(wanted, abs=1e-12)
    assert game_eigenvalues(operator, 1, "SR").values == pytest.approx([real], abs=1e-12)


def test_eq_23():
    """The unstable Nash game repels at one point and attracts at the other (B, eq. 23)."""
    for phi, wanted in ((1, (3 - 17**0.5) / 4), (-1, (1 + 7**0.5 * 1j) / 4)):
        found = game_eigenvalues(jacobian(unstable_nash(), [0, phi]), 1, "SR")
        assert found.values == pytest.approx([wanted], abs=1e-12)


@orders
def test_against_scipy(which):
    """As eigs on the same products of a linear game."""
    J = players(10)
    operator = jacobian(linear_game(J, 10), np.zeros(20))
    found = game_eigenvalues(operator, 4, which, tolerance=1e-10)
    check(found, J, 1e-10)
    v0 = np.ones(20)
    theirs = eigs(as_scipy(operator), 4, which=which, v0=v0, return_eigenvectors=False)
    size = SIZES[which]
    assert np.sort(size(found.values)) == pytest.approx(np.sort(size(theirs)), abs=1e-7)


def test_float32():
    """Products and vectors in single precision, numbers in double; 0 goes to its rounding."""
    J = torch.from_numpy(players(35)).float()
    for tolerance in (1e-3, 0):
        found = game_eigenvalues(Matrix(J), 3, tolerance=tolerance)
        assert found.vectors.dtype == torch.complex64
        assert found.values.dtype == np.complex128
        check(found, J.double().numpy(), tolerance)


@orders
@pytest.mark.parametrize("factor", [1e-20, 1e-4, 1e10])
def test_scale(factor, which):
    """The units of the eigenvalues do not matter, nor do they for the order."""
    J = players(15)
    found, scaled = (game_eigenvalues(Matrix(c * J), 5, which) for c in (1, factor))
    assert scaled.products == found.products
    assert scaled.values / factor == pytest.approx(found.values, rel=1e-6)


# ---- Conjugate pairs, and matrices far from normal. ----


@pytest.mark.parametrize("k", range(1, 9))
@pytest.mark.parametrize("which", ["LM", "LI"])
def test_pairs_of_equal_size(which, k):
    """+-1 +-2i and their doubles: all of a size, and each beside its own conjugate."""
    J = np.zeros((8, 8))
    for place, (real, imaginary) in enumerate([(1, 2), (-1, 2), (2, 4), (-2, 4)]):
        block = slice(2 * place, 2 * place + 2)
        J[block, block] = [[real, imaginary], [-imaginary, real]]
    found = game_eigenvalues(Matrix(J), k, which, tolerance=0)
    check(found, J, 0)
    assert (np.abs(found.values[:4].imag) > 3).all()


def test_order_of_equals():
    """Pairs that agree in size and in imaginary part, to the last bit, are kept apart."""
    values = np.array([1 + 2j, -1 + 2j, 1 - 2j, -1 - 2j])
    for size in (np.abs, SIZES["LI"]):
        for k in range(1, 5):
            check_pairs(values[_first(values, size, k, EPS)])
            assert len(_first(values, size, k, EPS)) == k + k % 2  # the other of a pair, beside it


def test_split_pair():
    """Where the last is one of a pair, it is the one with positive imaginary part."""
    for k in (1, 3):
        values = game_eigenvalues(Matrix(turns(30)), k, "LM").values
        assert len(values) == k
        assert values[-1].imag > 0


@pytest.mark.parametrize("off", [1.0, 10.0, 1e3])
def test_far_from_normal(off):
    """Residuals are true however ill the eigenvectors are conditioned."""
    rng = np.random.default_rng(0)
    J = np.diag(np.linspace(1, 5, 30)) + off * np.triu(rng.normal(size=(30, 30)), 1)
    for which in SIZES:
        check(game_eigenvalues(Matrix(J), 3, which, tolerance=1e-6), J, 1e-6)


def test_jordan_block():
    """A defective eigenvalue, to the cube root of rounding."""
    J = np.array([[2.0, 1, 0], [0, 2, 1], [0, 0, 2]])
    found = game_eigenvalues(Matrix(J), 3, tolerance=0)
    check(found, J, 0)
    assert np.abs(found.values - 2).max() < 1e-4


# ---- Early ends and restarts. ----


@orders
@pytest.mark.parametrize("value", [0.0, -3.0])
def test_multiples_of_the_identity(value, which):
    """Every vector is an eigenvector; the zero operator is no special case."""
    J = value * np.eye(30)
    found = game_eigenvalues(Matrix(J), 4, which, tolerance=0)
    check(found, J, 0)
    assert found.values == pytest.approx([value] * 4, abs=1e-14)


def test_low_rank():
    """What one start leads to ends with the rank; beyond it are zeros."""
    J = np.zeros((40, 40))
    J[:4, :4] = [[0, 3, 0, 0], [-3, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, -2]]
    Q = np.linalg.qr(ginibre(40))[0]
    found = game_eigenvalues(Matrix(Q @ J @ Q.T), 6, tolerance=0)
    check(found, Q @ J @ Q.T, 0)
    assert found.values == pytest.approx([3j, -3j, -2, 1, 0, 0], abs=1e-13)


@pytest.mark.parametrize("k, room", [(1, 7), (2, 9), (4, 13), (4, 20)])
@pytest.mark.parametrize("which", ["LM", "SR", "LR"])
def test_restarts(k, room, which):
    """With little room the basis is cut back many times, and no pair is torn."""
    J = players(35)
    J[:35, :35] -= 40 * np.diag(np.linspace(0, 1, 35) ** 4)
    found = game_eigenvalues(Matrix(J), k, which, tolerance=1e-9, room=room, most=3000)
    check(found, J, 1e-9)
    values, size = np.linalg.eigvals(J), SIZES[which]
    wanted = np.sort(size(values))[::-1][:k]
    assert size(found.values) == pytest.approx(wanted, abs=1e-6)
    assert found.products > 1.5 * room


@pytest.mark.parametrize(
    "which, J",
    [
        ("LR", turns(90)),  # no real part differs from another
        ("SR", turns(90)),
        ("LI", with_spectrum(np.linspace(1, 2, 90), np.random.default_rng(0))),
        ("LM", np.linalg.qr(ginibre(90))[0]),
    ],
    ids=["LR", "SR", "LI", "LM"],
)
def test_restarts_among_equals(which, J):
    """Where all eigenvalues are of one size the basis is cut back nevertheless."""
    try:
        found = game_eigenvalues(Matrix(J), 2, which, tolerance=1e-6, room=12, most=300)
    except RuntimeError as error:  # there is no first one to converge to
        assert "not converged after 300 products" in str(error)
    else:
        check(found, J, 1e-6)
        assert found.products > 12


@pytest.mark.parametrize("most", [2, 7, 20])
def test_most(most):
    """The search ends after so many products, and says how far it came."""
    operator = Watched(ginibre(70))
    with pytest.raises(RuntimeError, match=rf"not converged after {most} products: .* still \d"):
        game_eigenvalues(operator, 1, tolerance=1e-12, most=most)
    assert operator.products == most


# ---- Warm starts. ----


@pytest.mark.slow
@pytest.mark.parametrize("which", ["LM", "SR"])
def test_warm_start(which):
    """Eigenvectors, complex as they are, take fewer products, also those of a point nearby."""
    J = players(60)
    cold = game_eigenvalues(Matrix(J), 4, which, tolerance=1e-6)
    for each in (J, J + 1e-7 * ginibre(120, seed=1)):
        warm = game_eigenvalues(Matrix(each), 4, which, tolerance=1e-6, start=cold.vectors)
        check(warm, each, 1e-6)
        assert warm.values == pytest.approx(cold.values, rel=1e-4)
        assert warm.products < cold.products / 2


def test_poor_starts():
    """A start of zeros, or of noise, or of repeats, hides nothing."""
    J = players(15)
    cold = game_eigenvalues(Matrix(J), 3, tolerance=1e-8)
    noise = torch.from_numpy(ginibre(30)[:, :4])
    for start in (torch.zeros(30, 2), noise, torch.cat([noise, noise], dim=1), torch.ones(30, 40)):
        found = game_eigenvalues(Matrix(J), 3, tolerance=1e-8, start=start)
        check(found, J, 1e-8)
        assert found.values == pytest.approx(cold.values, rel=1e-6)


def test_start_that_is_invariant():
    """A search that its start has exhausted goes on elsewhere."""
    operator = Matrix(np.diag(np.r_[np.zeros(30), 1.0, 2.0]))
    found = game_eigenvalues(operator, 2, start=torch.eye(32)[:, -2:])
    np.testing.assert_allclose(found.values, [2, 1])
    flat = game_eigenvalues(Matrix(np.zeros((40, 40))), 3, start=torch.eye(40)[:, :3])
    np.testing.assert_allclose(flat.values, 0)


def test_start_of_other_eigenvectors():
    """Exact eigenvectors, but not of the first ones: an invariant subspace that hides nothing."""
    J = with_spectrum(np.r_[np.linspace(-1, 1, 57), 4, 5, 9], np.random.default_rng(0))
    start = torch.from_numpy(np.linalg.eigh(J)[1][:, [58]].copy())
    assert game_eigenvalues(Matrix(J), 1, start=start).values == pytest.approx([9], rel=1e-3)


# ---- The same again, and bad input. ----


def test_seeds():
    """The same bits at every call, others with another seed, and no global random state."""
    J, state = Matrix(players(35)), torch.get_rng_state()
    for options in ({}, {"start": torch.ones(70, 1)}, {"room": 12, "tolerance": 1e-2}):
        one, two, other = (game_eigenvalues(J, 3, seed=seed, **options) for seed in (1, 1, 2))
        assert one.values.tolist() == two.values.tolist()
        assert one.residuals.tolist() == two.residuals.tolist()
        assert torch.equal(one.vectors, two.vectors)
        assert not torch.equal(one.vectors, other.vectors)
    assert torch.equal(torch.get_rng_state(), state)


def test_products_are_counted():
    operator = Watched(ginibre(70))
    assert game_eigenvalues(operator, 3).products == operator.products


@pytest.mark.parametrize("k", [0, -1, 6, 1.0, True, "1"])
def test_bad_k(k):
    with pytest.raises(ValueError, match="k is a whole number, from 1 to 5, got"):
        game_eigenvalues(Matrix(np.eye(5)), k)


@pytest.mark.parametrize("which", ["LA", "SI", "lm", None])
def test_unknown_order(which):
    with pytest.raises(ValueError, match=f"which is one of 'LM', 'LR', 'SR', 'LI', got {which!r}"):
        game_eigenvalues(Matrix(np.eye(5)), 1, which)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tolerance": -1}, "tolerance is from 0 to below 1, got -1"),
        ({"most": 0}, "most is a whole number, 1 or more"),
        ({"room": 6}, "2 pairs from 1 vectors need room for 7, got 6"),
        ({"start": torch.ones(9)}, r"start is \(9, m\) and finite, got \(9,\)"),
        ({"start": torch.full((9, 1), np.inf)}, r"start is \(9, m\) and finite"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        game_eigenvalues(Matrix(np.eye(9)), 1, **options)


def test_nan():
    """A product that is not finite stops the search at once, with its step."""
    operator = Watched(ginibre(70), nan_at=3)
    with pytest.raises(FloatingPointError, match="product at step 3 is not finite"):
        game_eigenvalues(operator, 2)
    assert operator.products == 3
