"""Leading eigenvalues of several general operators at once, against dense ones."""

import numpy as np
import pytest
import torch

from helpers.spectra import member_eigenvalues


def matrices(seed, members=3, n=30):
    """With a pair and a real eigenvalue that stand out, and all else within the unit circle."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(members, n, n)) / np.sqrt(n) / 1.5
    found[:, 0, 0] += 6.0
    found[:, 1:3, 1:3] += np.array([[2.0, 4.0], [-4.0, 2.0]])
    return torch.from_numpy(found)


@pytest.mark.parametrize("seed", range(3))
def test_against_dense(seed):
    M = matrices(seed)
    begin = torch.from_numpy(np.random.default_rng(9).normal(size=(3, 30)))
    values, residuals = member_eigenvalues(
        lambda v: (M @ v[..., None])[..., 0], begin, 3, tolerance=1e-8
    )
    for member in range(3):
        dense = np.linalg.eigvals(M[member].numpy())
        expected = np.sort_complex(dense[np.argsort(-np.abs(dense))][:3])
        assert np.sort_complex(values[member].numpy()) == pytest.approx(expected, rel=1e-6)
    assert (residuals <= 1e-8 * values[:, :1].abs()).all()


def test_residuals_are_those_of_the_pairs():
    """Cut off early, they are no smaller than the distance to the nearest eigenvalue allows."""
    M = matrices(0, members=1)
    M = (M + M.mT) / 2  # symmetric: some eigenvalue lies within the residual
    values, residuals = member_eigenvalues(
        lambda v: (M @ v[..., None])[..., 0], torch.ones(1, 30).double(), 3, tolerance=0, most=8
    )
    dense = np.linalg.eigvalsh(M[0].numpy())
    for value, residual in zip(values[0].real, residuals[0], strict=True):
        assert residual > 1e-6 and np.abs(dense - float(value)).min() <= float(residual)


def test_invariant_spans_and_lost_members():
    """The identity has one span; a member that is not finite gets NaN, and the others do not."""
    scale = torch.tensor([2.0, torch.nan, 3.0])[:, None]
    values, residuals = member_eigenvalues(lambda v: scale * v, torch.ones(3, 6), 2)
    assert values[0].real.tolist() == pytest.approx([2, 2])
    assert values[2].real.tolist() == pytest.approx([3, 3])
    assert values[1].isnan().all() and residuals[1].isnan().all()


def test_scales_side_by_side():
    """In float32 squares end at 1e19 and at 1e-19; zero stays zero."""
    M = matrices(0, members=1).float()
    scales = torch.tensor([1e18, 1e20, 1.0, 1e-25, 1e-36, 0.0, torch.inf])[:, None]
    begin = torch.ones(7, 30)
    values, residuals = member_eigenvalues(
        lambda v: scales * (M @ v[..., None])[..., 0], begin, 3, tolerance=1e-3
    )
    alone, _ = member_eigenvalues(lambda v: (M @ v[..., None])[..., 0], begin[:1], 3)
    for member in range(5):
        found = values[member] / scales[member]
        assert found.real.tolist() == pytest.approx(alone.real[0].tolist(), rel=1e-3)
        assert (residuals[member] / scales[member]).max() <= 1e-3 * alone.abs().max()
    assert not values[5].any() and values[6].isnan().all()


def test_refusals():
    with pytest.raises(ValueError, match=r"begin is \(S, n\), got \(3,\)"):
        member_eigenvalues(lambda v: v, torch.ones(3), 1)
    with pytest.raises(ValueError, match="k is 1 to 3, and most k or more, got 4 and 3"):
        member_eigenvalues(lambda v: v, torch.ones(1, 3), 4)
