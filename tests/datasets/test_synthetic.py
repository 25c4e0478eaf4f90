"""Small data with known modes, and coverage by hand."""

import numpy as np
import pytest
import torch

from helpers.datasets.synthetic import WIDTH, circle_of_gaussians, two_clusters


def test_two_clusters():
    """As many points at 0 as at 4, each within the width above its centre."""
    found = two_clusters(5, seed=0)
    assert found.latents.shape == found.reals.shape == (5, 100, 1)
    at_four = found.reals > 2
    assert (at_four.sum(dim=(1, 2)) == 50).all()
    above = found.reals - 4 * at_four
    assert above.min() >= 0 and above.max() <= WIDTH
    assert found.latents.abs().max() <= 5


@pytest.mark.parametrize("pattern, small", [((0, 0, 1), 33), ((0, 0, 0, 0, 0, 1), 16)])
def test_imbalance(pattern, small):
    found = two_clusters(2, seed=0, pattern=pattern)
    assert ((found.reals > 2).sum(dim=(1, 2)) == small).all()


def test_members_have_streams_of_their_own():
    """More members keep the first; no two are alike; the seed changes all."""
    few, many = two_clusters(2, seed=1), two_clusters(4, seed=1)
    assert torch.equal(few.reals, many.reals[:2]) and torch.equal(few.latents, many.latents[:2])
    assert not torch.equal(many.reals[2], many.reals[3])
    assert not torch.equal(few.reals, two_clusters(2, seed=2).reals)


def test_circle_of_gaussians():
    """Five modes a fifth of a turn apart, with the covariance asked for."""
    found = circle_of_gaussians(1, seed=0)
    assert found.centres.norm(dim=1).numpy() == pytest.approx(1, abs=1e-6)
    away = found.reals[0] - found.centres[torch.arange(10_000) % 5]
    np.testing.assert_allclose(np.cov(away.T), 0.002 * np.eye(2), atol=1e-4)


def test_refusals():
    for make in (two_clusters, circle_of_gaussians):
        with pytest.raises(ValueError, match="members is a whole number, 1 or more, got 0"):
            make(0, seed=0)
    with pytest.raises(ValueError, match="each of the two clusters needs a point"):
        two_clusters(1, seed=0, n=1)
    with pytest.raises(ValueError, match="each of the two clusters needs a point"):
        two_clusters(1, seed=0, pattern=(0, 0))
