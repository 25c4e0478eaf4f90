"""What all experiments say of a training."""

import numpy as np
import pytest
import torch

from helpers.experiments.setting import TrainingSetting, late_iterations, optimizers_for
from helpers.training.nudged import Nudged
from helpers.training.nudging import Nudging
from helpers.training.optimizers import Extragradient


class Plain(TrainingSetting):
    """An experiment by descent."""

    METHODS = ("extragradient", "simultaneous")


def test_directions_need_a_nudging():
    """What is left out, and how often it is found again, is the nudging's to say."""
    make, _ = optimizers_for(TrainingSetting(), {"G": lambda where, before: torch.eye(2, 1)})
    with pytest.raises(ValueError, match="a setting with nudging"):
        make([torch.zeros(2, requires_grad=True)])


@pytest.mark.parametrize(
    "setting, inner, betas",
    [
        (TrainingSetting(beta=0.3), torch.optim.Adam, (0.3, 0.999)),
        (TrainingSetting(method="extra-adam"), torch.optim.Adam, (0.5, 0.999)),
        (Plain(method="simultaneous"), torch.optim.SGD, None),
        (Plain(method="extragradient"), torch.optim.SGD, None),
    ],
)
def test_optimizers(setting, inner, betas):
    """Each player has the method and a rate of its own; extrapolation goes around either."""
    for make, rate in zip(optimizers_for(setting), setting.rates, strict=True):
        optimizer = make([torch.zeros(2, requires_grad=True)])
        assert isinstance(optimizer, Extragradient) == setting.method.startswith("extra")
        optimizer = getattr(optimizer, "optimizer", optimizer)
        assert type(optimizer) is inner
        assert optimizer.param_groups[0]["lr"] == rate
        assert optimizer.param_groups[0].get("betas") == betas


def test_who_is_nudged():
    """The player whose directions are given, by the setting's rule."""
    setting = TrainingSetting(nudging=Nudging(k=1, project="step", players="D", every=7))
    make_g, make_d = optimizers_for(setting, {"D": lambda players, before: torch.zeros(2, 1)})
    assert type(make_g([torch.zeros(2)])) is torch.optim.Adam
    assert isinstance(make_d([torch.zeros(2)]), Nudged)


def test_refused():
    with pytest.raises(ValueError, match="unknown loss"):
        TrainingSetting("gan")
    with pytest.raises(ValueError, match="method is one of 'adam', 'extra-adam', got 'sgd'"):
        TrainingSetting(method="sgd")
    with pytest.raises(ValueError, match="only around adam, got it around extra-adam"):
        TrainingSetting(method="extra-adam", nudging=Nudging())
    with pytest.raises(ValueError, match="got it around simultaneous"):
        Plain(method="simultaneous", nudging=Nudging())


def test_late_iterations():
    """The last tenth: even numbers, or odd steps, whatever the number of iterations."""
    assert late_iterations(10, 3) == [6, 8, 10]
    assert late_iterations(11, 1) == [10]
    assert all(k % 2 == 0 for k in late_iterations(997, 5))
    found = late_iterations(30_000, 20, odd_steps=True)
    assert len(found) == 20 and found[-1] == 30_000 and found[0] >= 27_000
    assert set(np.diff(found) % 2) == {1}
    assert late_iterations(10, 20, odd_steps=True) == list(range(1, 11))
    assert late_iterations(3, 3) == [2]
