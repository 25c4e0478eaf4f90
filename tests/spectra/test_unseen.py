"""Whether searches miss leading eigenvalues: counted, for every kind of search, at every scale."""

import math

import numpy as np
import pytest
import torch

from helpers.operators import Matrix
from helpers.spectra import (
    CHANCE,
    NotConverged,
    game_eigenvalues,
    lanczos,
    member_eigenpairs,
    top_eigenpairs,
)
from helpers.spectra.basis import start_vector
from helpers.spectra.unseen import last_polynomial, needed
from tests import common  # noqa: F401  one thread
from tests.oracles.searches import Diagonal, missed, simulate, spectra

SPECTRA = spectra()
GOE = SPECTRA["random 50"]


# ---- The argument. ----


def test_weights_lie_below_the_bound():
    """No eigenvalue of a start's weight w has w p_j(t)^2 above 1, at any step."""
    operator = Matrix(np.diag(GOE))
    start = start_vector(operator, 3)
    for steps in (3, 10, 25):
        (run,) = lanczos(operator, start, steps)
        T = np.diag(run.diagonal) + np.diag(run.off_diagonal, 1) + np.diag(run.off_diagonal, -1)
        last = last_polynomial(T, run.next_off_diagonal, GOE)
        assert (start.numpy() ** 2 * last**2).max() <= 1 + 1e-9


def test_polynomials_of_a_general_matrix():
    """p_j(t) is what the last vector of Arnoldi's method has along a left eigenvector."""
    J = np.random.default_rng(0).normal(size=(12, 12))
    V, H = [np.eye(12)[0]], np.zeros((6, 5))
    for j in range(5):
        w = J @ V[j]
        for i in range(j + 1):
            H[i, j] = V[i] @ w
            w = w - H[i, j] * V[i]
        H[j + 1, j] = np.linalg.norm(w)
        V.append(w / H[j + 1, j])
    values, left = np.linalg.eig(J.T)
    expected = (left.T @ V[5]) / (left.T @ V[0])
    np.testing.assert_allclose(last_polynomial(H[:5], H[5, 4], values), expected, rtol=1e-8)


@pytest.mark.parametrize("n", [3, 50, 1000])
def test_small_weights_are_as_rare_as_said(n):
    """P(w < x) <= sqrt(2 n x / pi) of a random vector; nearly equal where n is large."""
    drawn = np.random.default_rng(0).normal(size=(200_000 // int(math.sqrt(n)), n))
    weights = drawn[:, 0] ** 2 / (drawn**2).sum(axis=1)
    chance = 0.05
    rate = (weights < 1 / needed(n, chance) ** 2).mean()
    assert rate < chance + 4 * math.sqrt(chance / len(drawn))
    assert n < 50 or rate > 0.9 * chance - 4 * math.sqrt(chance / len(drawn))


# ---- Counts. ----


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("chance", [None, CHANCE])
def test_simulator(name, chance):
    """It stops where `top_eigenpairs` stops, with the same values, in every cell."""
    values, seeds = SPECTRA[name], np.array([0, 7])
    for (k, tolerance), cell in simulate(values, seeds, chance=chance, hand=0).items():
        for seed, found, products, handed in zip(
            seeds, cell.values, cell.products, cell.handed, strict=True
        ):
            if handed:
                continue
            one = top_eigenpairs(
                Diagonal(values), k, seed=int(seed), tolerance=tolerance, chance=chance
            )
            assert one.products == products
            np.testing.assert_allclose(found, one.values, atol=1e-10 * np.abs(values).max())


@pytest.mark.slow
def test_no_misses():
    """Of 1,000 searches each none where one in a hundred went wrong without the look."""
    seeds = np.arange(1000)
    for name, k in (("spiked", 1), ("random 50", 5)):
        lost, values = {}, SPECTRA[name]
        for chance in (None, CHANCE):
            cells = simulate(values, seeds, ks=(k,), tolerances=(1e-2,), chance=chance)
            found = cells[k, 1e-2].values
            assert np.isfinite(found).all()
            lost[chance] = missed(values, found, 1e-2).sum()
        assert lost[None] >= 10
        assert lost[CHANCE] == 0


@pytest.mark.parametrize("name, k", [("spiked", 1), ("random 50", 5)])
def test_top_eigenpairs_itself(name, k):
    """Without the simulator: the default search over seeds that go wrong without the look."""
    values = SPECTRA[name]
    cell = simulate(values, np.arange(400), ks=(k,), tolerances=(1e-2,), chance=None)
    wrong = np.flatnonzero(missed(values, cell[k, 1e-2].values, 1e-2))
    assert len(wrong) >= 4
    for seed in wrong:
        found = top_eigenpairs(Diagonal(values), k, seed=int(seed), tolerance=1e-2)
        assert not missed(values, found.values[None], 1e-2)[0]


@pytest.mark.parametrize("which, sign", [("LA", 1), ("SA", -1), ("LM", 1), ("LM", -1)])
def test_copies_are_found(which, sign):
    """Equal eigenvalues, which one vector cannot tell apart, in every order."""
    values = np.r_[[5.0] * 4, [3.0] * 3, np.random.default_rng(0).uniform(-1, 1, 193)] * sign
    for seed in range(5):
        found = top_eigenpairs(Diagonal(values), 7, which, seed=seed)
        np.testing.assert_allclose(np.abs(found.values), [5] * 4 + [3] * 3, rtol=1e-5)
        inner = found.vectors.T @ found.vectors
        np.testing.assert_allclose(inner, np.eye(7), atol=1e-10)


def test_members():
    """Each member's are the leading ones, equal ones among them, in one search of many."""
    rows = torch.from_numpy(np.stack([GOE] * 400))
    begin = torch.from_numpy(np.random.default_rng(0).normal(size=rows.shape))
    lost = {}
    for chance in (None, CHANCE):
        found = member_eigenpairs(lambda v: rows * v, begin, 5, tolerance=1e-2, chance=chance)
        lost[chance] = missed(GOE, found.values.numpy(), 1e-2).sum()
    assert lost[None] >= 4
    assert lost[CHANCE] == 0
    values = torch.tensor([4.0, 4, 4, 2, 1, *np.linspace(-0.5, 0.5, 60)], dtype=torch.float64)
    rows = torch.stack([values, 2 * values, values.flip(0) ** 2])
    found = member_eigenpairs(lambda v: rows * v, torch.ones(3, 65).double(), 4, tolerance=0.01)
    wanted = [[4, 4, 4, 2], [8, 8, 8, 4], [16, 16, 16, 4]]
    np.testing.assert_allclose(found.values, wanted, rtol=1e-3)
    left = rows[..., None] * found.vectors - found.vectors * found.values[:, None]
    assert (left.norm(dim=1) <= 0.01 * found.values).all()


def test_games():
    """Normal matrices that are not symmetric: leading real ones, before pairs that turn."""
    values = SPECTRA["spiked"]
    J = np.diag(values)
    for i in range(10, 118, 2):
        J[i, i + 1], J[i + 1, i], J[i + 1, i + 1] = 0.05, -0.05, J[i, i]
    cell = simulate(values, np.arange(400), ks=(1,), tolerances=(1e-2,), chance=None)
    low = {None: 0, CHANCE: 0}
    for seed in np.flatnonzero(missed(values, cell[1, 1e-2].values, 1e-2)):
        for chance in low:
            found = game_eigenvalues(Matrix(J), 1, seed=int(seed), tolerance=1e-2, chance=chance)
            low[chance] += abs(found.values[0]) < 1 - 0.03
    assert low[None] >= 3
    assert low[CHANCE] == 0
    double = np.kron(np.eye(2), J)
    for which in ("LM", "LR", "SR", "LI"):
        found = game_eigenvalues(Matrix(double), 4, which, seed=1, tolerance=1e-2)
        values = np.linalg.eigvals(double)
        size = {"LM": abs, "LR": np.real, "SR": lambda v: -np.real(v), "LI": lambda v: abs(v.imag)}
        best = np.sort(size[which](values))[::-1][:4]
        np.testing.assert_allclose(size[which](found.values), best, atol=0.02)


# ---- Scales, and running out. ----


@pytest.mark.parametrize("factor, dtype", [
    (1e30, torch.float64), (1e-30, torch.float64), (1e15, torch.float32), (1e-15, torch.float32),
    (1e20, torch.float32), (1e-25, torch.float32),
])  # fmt: skip
def test_scale(factor, dtype):
    """The units of the eigenvalues matter to none of the searches."""
    values = torch.from_numpy(GOE).to(dtype)
    rows, start = torch.stack([values, 2 * values]), torch.ones(2, len(values), dtype=dtype)
    near = 1e-9 if dtype == torch.float64 else 1e-3

    def all_of_them(c):
        H = Matrix(torch.diag(values * c))
        yield top_eigenpairs(H, 3, tolerance=1e-2).values / c
        yield top_eigenpairs(H, 3, "LM", start=torch.eye(50)[:, :4]).values / c
        yield game_eigenvalues(H, 3, tolerance=1e-2).values.real / c
        yield member_eigenpairs(lambda v: c * rows * v, start, 3).values.double().numpy() / c

    for one, other in zip(all_of_them(1.0), all_of_them(factor), strict=True):
        np.testing.assert_allclose(other, one, rtol=near)


@pytest.mark.parametrize("chance", [CHANCE, None])
@pytest.mark.parametrize("dtype, power", [(torch.float32, 1), (torch.float64, 8)])
def test_members_of_any_scale_side_by_side(chance, dtype, power):
    """In float32 squares end at 1e19 and at 1e-19; a member gets what it would get alone."""
    scales = torch.tensor([1e20, 1.0, 0.0, torch.nan, 1e-25, 1e-36]).to(dtype)[:, None] ** power
    begin = torch.randn(1, 50, generator=torch.Generator().manual_seed(1)).to(dtype).expand(6, -1)
    rows = torch.linspace(-0.5, 1, 50, dtype=dtype)
    found = member_eigenpairs(lambda v: scales * rows * v, begin, 2, tolerance=1e-3, chance=chance)
    for scale, values, lowest, residuals, vectors in zip(
        scales, found.values, found.lowest, found.residuals, found.vectors, strict=True
    ):
        if scale > 0:
            assert (values / scale).tolist() == pytest.approx([1, 1 - 1.5 / 49], abs=5e-3)
            assert float(lowest / scale) == pytest.approx(-0.5, abs=0.05)
            true = (rows[:, None] * vectors - vectors * (values / scale)).norm(dim=0)
            assert (residuals / scale).tolist() == pytest.approx(true.tolist(), abs=1e-5)
    assert not found.values[2].any() and found.values[3].isnan().all()


def test_a_member_whose_products_leave_the_range():
    """The first product is ordinary, and the next has no length in float32: no number is wrong."""
    rows = torch.tensor([[1.0, 1e25, 2.0, 3.0]])
    begin = torch.tensor([[1.0, 1e-20, 0.0, 0.0]])
    found = member_eigenpairs(lambda v: rows * v, begin, 2, chance=None)
    assert found.values.isnan().all()


def test_members_that_run_out_are_named():
    """Those that have converged, or whose products are not finite, are not among them."""
    rows = torch.stack(
        [torch.linspace(0, 1, 40) ** 3, torch.eye(40)[3], torch.full((40,), torch.nan)]
    )
    with pytest.raises(NotConverged, match=r"not converged after 7 products: members 0; allow"):
        member_eigenpairs(lambda v: rows * v, torch.ones(3, 40), 2, tolerance=1e-6, most=7)


def test_running_out_amid_a_look():
    """Pairs that have converged are not handed out before it is settled that none was missed."""
    with pytest.raises(NotConverged, match="not settled after 16 products: the pairs have conv"):
        top_eigenpairs(Diagonal(SPECTRA["spiked"]), 5, tolerance=0.1, most=16)


@pytest.mark.parametrize("chance", [0, 1, -1e-4, np.nan])
def test_bad_chance(chance):
    for search in (top_eigenpairs, game_eigenvalues):
        with pytest.raises(ValueError, match="chance is above 0 and below 1, or None, got"):
            search(Matrix(np.eye(5)), 1, chance=chance)
    with pytest.raises(ValueError, match="chance is above 0 and below 1, or None, got"):
        member_eigenpairs(lambda v: v, torch.ones(2, 5), 1, chance=chance)
