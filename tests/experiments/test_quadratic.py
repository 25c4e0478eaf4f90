"""What nudging removes from a step, and what comes back."""

from functools import partial

import numpy as np
import pytest
import torch

from helpers.experiments.quadratic import OPTIMIZERS, gap_to_formula, nudged_descent
from helpers.training.nudged import Nudged

ADAM = partial(torch.optim.Adam, lr=0.01, betas=(0.5, 0.999))
SGD = partial(torch.optim.SGD, lr=0.005)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 5, 20])
def test_removed_coordinates_stay(seed, k):
    """Projected steps leave them where they were, and so do projected gradients under SGD."""
    for optimizer, project in ((ADAM, "step"), (SGD, "gradient"), (SGD, "step")):
        found = nudged_descent(optimizer, project, seed=seed, k=k)
        moved = np.abs(found.removed - found.removed[0]).max()
        assert moved < 1e-10, (optimizer, project)
        assert found.step_share.max() < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_adam_leads_back(seed):
    """Nothing of the gradient is left in the removed directions, but much of Adam's step is."""
    found = nudged_descent(ADAM, "gradient", seed=seed)
    assert found.gradient_left < 1e-12
    assert 0.1 < np.median(found.step_share) < 0.5  # a random vector: sqrt(5 / 50) = 0.32
    assert np.abs(found.removed[-1] - found.removed[0]).max() > 0.1


def test_sharpest_is_not_steepest():
    """From a start far out along the flatter half of the axes little of the gradient is removed."""
    near, far = (nudged_descent(ADAM, "gradient", seed=0, flat=f, steps=1) for f in (1, 1000))
    assert near.gradient_share > 0.5
    assert far.gradient_share < 0.2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nudged_as_the_formula(name):
    """Every rule takes what the formula leaves of a gradient, for one direction and for many."""
    for k in (1, 20):
        assert gap_to_formula(OPTIMIZERS[name], seed=1, k=k) < 1e-10, k


def test_another_gradient_is_seen(monkeypatch):
    """A wrapper that leaves its directions in is far from the formula."""
    monkeypatch.setattr(Nudged, "step", lambda self: self.optimizer.step())
    assert gap_to_formula(SGD, seed=1) > 0.01


def test_runaway_descents():
    """Both ways to descend say so."""
    away = partial(torch.optim.SGD, lr=1e9)
    for look in (partial(nudged_descent, project="step"), gap_to_formula):
        with pytest.raises(FloatingPointError, match="beyond floats"):
            look(away, seed=0, steps=200)
