"""Counts of operations, and the dense solver whose operations are counted."""

import numpy as np
import pytest
import torch

from helpers.games.networks import joint_point, network_game
from helpers.machine.costs import operations, tridiagonalise
from helpers.models import mlp
from helpers.operators import hessian
from helpers.spectra import lanczos
from tests.common import with_spectrum


def test_products():
    """Two operations for each entry of the matrix, and of a matrix product for each column."""
    A, B, u = torch.ones(3, 5), torch.ones(5, 7), torch.ones(5)
    assert operations(lambda: A @ u) == 30
    assert operations(lambda: torch.mv(A, u)) == 30
    assert operations(lambda: torch.addmv(torch.ones(3), A, u)) == 30
    assert operations(lambda: A @ B) == 210
    assert operations(lambda: [A @ B, A @ u]) == 240
    assert operations(lambda: A + A) == 0


@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_tridiagonal_form(n):
    """The same eigenvalues; the matrix is left as it was."""
    H = torch.from_numpy(with_spectrum(np.linspace(-1, 3, n), np.random.default_rng(0)))
    before = H.clone()
    diagonal, beside = tridiagonalise(H)
    assert (diagonal.shape, beside.shape) == ((n,), (n - 1,))
    T = torch.diag(diagonal) + torch.diag(beside, 1) + torch.diag(beside, -1)
    assert torch.linalg.eigvalsh(T).numpy() == pytest.approx(np.linalg.eigvalsh(H), abs=1e-12)
    assert torch.equal(H, before)


def test_tridiagonal_form_of_what_is_one():
    """A column of zeros needs no reflection."""
    for H in (torch.zeros(4, 4), torch.eye(4), torch.diag(torch.arange(4.0))):
        diagonal, beside = tridiagonalise(H)
        assert diagonal.tolist() == H.diagonal().tolist()
        assert beside.tolist() == [0, 0, 0]


def test_operations_of_the_reduction():
    """2 (k^2 + 2 k^2) for each k below n: 2 n^3 to leading order."""
    n = 40
    H = torch.from_numpy(with_spectrum(np.arange(n), np.random.default_rng(0)))
    assert operations(lambda: tridiagonalise(H)) == sum(6 * k * k for k in range(1, n))


def test_operations_of_lanczos():
    """In proportion to the weights where the steps stay the same."""
    x, found = torch.randn(16, 1, generator=torch.Generator().manual_seed(0)), []
    for width in (20, 40, 80):
        nets = mlp([1, width, 1], seed=0), mlp([1, width, 1], seed=1)
        H = hessian(network_game(*nets, x, x), "D", joint_point(*nets), route="recomputed")
        start = torch.ones(len(H.like))
        found.append(operations(lambda H=H, start=start: lanczos(H, start, 10)) / len(H.like))
    assert max(found) < 1.1 * min(found)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 2)])
def test_no_square_matrix(shape):
    with pytest.raises(ValueError, match=r"a matrix is \(n, n\), got \("):
        tridiagonalise(torch.zeros(shape))
