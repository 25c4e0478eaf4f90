"""Densities that are interrupted: the same bits afterwards, and no file taken for another."""

import numpy as np
import pytest
import torch

from helpers.operators import Matrix
from helpers.spectra import slq_density
from tests.common import Watched, with_spectrum

H = with_spectrum(np.linspace(-1, 3, 30), np.random.default_rng(0))
NAMES = ("nodes", "weights", "grid", "density", "standard_error")


def same(first, second):
    return all(np.array_equal(getattr(first, n), getattr(second, n)) for n in NAMES)


@pytest.mark.parametrize("reorthogonalise", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("moment", [2, 9, 12, 20])
def test_interrupted(tmp_path, reorthogonalise, batch_size, moment):
    """Killed anywhere and called again, it gives what an uninterrupted call gives, to the bit."""
    more = {"seed": 0, "batch_size": batch_size, "reorthogonalise": reorthogonalise}
    whole = slq_density(Matrix(H), 5, 8, **more)
    path = tmp_path / "new" / "a.pt"
    with pytest.raises(KeyboardInterrupt):
        slq_density(Watched(H, interrupt_at=moment), 5, 8, **more, checkpoint=path)
    rest = Watched(H)
    assert same(slq_density(rest, 5, 8, **more, checkpoint=path), whole)
    done = (moment - 2) // 8  # batches, after the product that knows the operator
    assert rest.products == 1 + 8 * (-(-5 // batch_size) - done)
    again = Watched(H)
    assert same(slq_density(again, 5, 8, **more, checkpoint=path), whole)
    assert again.products == 1


@pytest.mark.parametrize("batch_size", [1, 2])
def test_more_probes(tmp_path, batch_size):
    """Further probes go on from those that are done, with the bits of a single call."""
    path, more = tmp_path / "a.pt", {"seed": 0, "batch_size": batch_size}
    slq_density(Matrix(H), 3, 8, **more, checkpoint=path)
    rest = Watched(H)
    found = slq_density(rest, 6, 8, **more, checkpoint=path)
    assert same(found, slq_density(Matrix(H), 6, 8, **more))
    assert rest.products == 1 + 8 * (3 if batch_size == 1 else 2)


def test_smoothing_is_not_part_of_a_run(tmp_path):
    """Nodes do not depend on sigma and grid."""
    path, grid = tmp_path / "a.pt", np.linspace(-2, 4, 50)
    slq_density(Matrix(H), 3, 8, seed=0, checkpoint=path)
    found = slq_density(Matrix(H), 3, 8, seed=0, sigma=0.3, grid=grid, checkpoint=path)
    assert same(found, slq_density(Matrix(H), 3, 8, seed=0, sigma=0.3, grid=grid))


@pytest.mark.parametrize(
    "name, other", [("seed", 1), ("steps", 9), ("batch_size", 2), ("reorthogonalise", False)]
)
def test_other_run(tmp_path, name, other):
    path, usual = tmp_path / "a.pt", {"seed": 0, "steps": 8}
    slq_density(Matrix(H), 3, **usual, checkpoint=path)
    with pytest.raises(ValueError, match=rf"of another run: there and here, {name} is"):
        slq_density(Matrix(H), 3, **(usual | {name: other}), checkpoint=path)


def test_fewer_probes(tmp_path):
    path = tmp_path / "a.pt"
    slq_density(Matrix(H), 3, 8, seed=0, checkpoint=path)
    with pytest.raises(ValueError, match="has 3 probes, more than 2"):
        slq_density(Matrix(H), 2, 8, seed=0, checkpoint=path)


def test_other_operator(tmp_path):
    """At another point, and at the same point with other data."""
    path = tmp_path / "a.pt"
    slq_density(Matrix(H), 3, 8, seed=0, checkpoint=path)
    moved, other = H.copy(), H.copy()
    moved[0, 0] += 1e-9  # its first row stands for the point
    other[1:, 1:] += 0.01 * np.eye(29)
    for matrix, said in ((moved, "point is"), (other, "of another operator: its product")):
        with pytest.raises(ValueError, match=said):
            slq_density(Matrix(matrix), 3, 8, seed=0, checkpoint=path)


def test_damaged(tmp_path):
    path = tmp_path / "a.pt"
    slq_density(Matrix(H), 3, 8, seed=0, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="no whole checkpoint"):
        slq_density(Matrix(H), 3, 8, seed=0, checkpoint=path)


@pytest.mark.parametrize("bad", [3, "", b"a.pt", np.nan])
def test_bad_path(bad):
    operator = Watched(H)
    with pytest.raises(ValueError, match="checkpoint is the path of a file"):
        slq_density(operator, 1, 2, seed=0, checkpoint=bad)
    assert operator.products == 0


def test_folder(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        slq_density(Matrix(H), 1, 2, seed=0, checkpoint=tmp_path)


def test_nothing_else_changes(tmp_path):
    """Torch's random state stays, and the file is plain data."""
    state, path = torch.get_rng_state(), tmp_path / "a.pt"
    slq_density(Matrix(H), 2, 8, seed=0, checkpoint=path)
    assert torch.equal(torch.get_rng_state(), state)
    kept = torch.load(path, weights_only=True)
    assert kept["nodes"].shape == (2, 8)
