"""How large rounding errors of products are: against exact sums, over dimensions and precisions."""

import numpy as np
import pytest
import torch

from helpers.operators import Matrix
from helpers.spectra import lanczos, top_eigenpairs
from helpers.spectra.basis import Products, matrix_rounding, rounding_error
from helpers.spectra.members import member_eigenpairs
from tests.common import with_spectrum

dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
dimensions = pytest.mark.parametrize("n", [3, 10, 50, 200, 800])


def flat(n, dtype, seed=0):
    """A matrix without structure, its eigenvalues from -1 to 3, and three of its eigenvectors."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
    H = basis @ np.diag(np.linspace(-1, 3, n)) @ basis.T
    places = [0, 2 * n // 5, n - 1]
    return (
        torch.from_numpy((H + H.T) / 2).to(dtype),
        basis[:, places],
        np.linspace(-1, 3, n)[places],
    )


@dtypes
@dimensions
def test_products(n, dtype):
    """The error of a product is within the bound, and not lost in it."""
    H, *_ = flat(n, dtype)
    exact = H.numpy().astype(np.longdouble)
    errors = []
    for seed in range(5):
        v = torch.from_numpy(np.random.default_rng(seed).normal(size=n)).to(dtype)
        v /= v.norm()
        product = H @ v
        error = product.numpy().astype(np.longdouble) - exact @ v.numpy().astype(np.longdouble)
        length = float(product.double().norm())
        errors.append(float(np.linalg.norm(error)) / rounding_error(dtype, n, length, length))
    assert max(errors) <= 1
    assert max(errors) >= 1e-3


@dtypes
@dimensions
@pytest.mark.parametrize("seed", range(3))
def test_rounding_is_no_direction(n, dtype, seed):
    """Of three eigenvectors, all that is left after three steps is rounding."""
    H, vectors, values = flat(n, dtype, seed)
    (run,) = lanczos(Matrix(H), torch.from_numpy(vectors.sum(axis=1)), min(n, 10))
    assert len(run.diagonal) == 3
    assert run.next_off_diagonal == 0
    within = 1e-12 if dtype == torch.float64 else 1e-5
    assert run.nodes_and_weights()[0] == pytest.approx(values, abs=within)


@dtypes
@dimensions
def test_small_directions_are_no_rounding(n, dtype):
    """What is a hundred times as long as a product's rounding is found and counted."""
    small = 100 * rounding_error(dtype, n, 1.0, 1.0)
    H = torch.eye(n, dtype=dtype)
    H[0, 1] = H[1, 0] = small
    start = torch.zeros(n)
    start[0] = 1
    (run,) = lanczos(Matrix(H), start, 2)
    assert run.off_diagonal == pytest.approx([small], rel=1e-3)


@dtypes
def test_same_everywhere(dtype):
    """Lanczos' method, searches and searches of many stop at one and the same place."""
    n = 60
    H = torch.from_numpy(with_spectrum(np.linspace(-1, 3, n), np.random.default_rng(0))).to(dtype)
    one = top_eigenpairs(Matrix(H), 1, tolerance=0)
    many = member_eigenpairs(lambda v: v @ H, torch.ones(1, n, dtype=dtype), 1, tolerance=0, most=n)
    least = rounding_error(dtype, n, 3.0, 3.0)
    assert one.residuals[0] <= least
    assert float(many.residuals[0, 0]) <= least
    assert one.values[0] == pytest.approx(3, abs=least)


def test_grows_with_dimension_and_roundoff():
    """Like the root of the terms, up to what a kernel adds in one go, and like the roundoff."""
    of = [rounding_error(torch.float64, n, 0.0, 1.0) for n in (4, 16, 64, 2**12, 2**20)]
    assert np.divide(of, of[0]) == pytest.approx([1, 2, 4, 32, 32])
    ratio = torch.finfo(torch.float32).eps / torch.finfo(torch.float64).eps
    assert rounding_error(torch.float32, 4, 0.0, 1.0) == pytest.approx(ratio * of[0])


def test_of_many():
    """Lengths of several operators' products at once, each as if alone."""
    longest, shortest = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0])
    found = rounding_error(torch.float32, 100, longest, shortest)
    alone = [rounding_error(torch.float32, 100, a, b) for a, b in ((3.0, 1.0), (5.0, 2.0))]
    assert found.tolist() == pytest.approx(alone)


def test_products_seen():
    """Nothing before the first product, and nothing of products that are all zero."""
    seen = Products(torch.zeros(4, dtype=torch.float64))
    assert seen.rounding == 0
    seen.add(0.0)
    assert seen.rounding == 0
    seen.add(2.0)
    assert seen.rounding == rounding_error(torch.float64, 4, 2.0, 0.0)


@dimensions
def test_eigenvalues_of_a_matrix(n):
    """Those of a matrix rounded to float32 move by less than is said."""
    H, *_ = flat(n, torch.float64)
    moved = np.linalg.eigvalsh(H.numpy()) - np.linalg.eigvalsh(H.float().double().numpy())
    assert 0 < np.abs(moved).max() <= matrix_rounding(H.numpy(), torch.float32)
