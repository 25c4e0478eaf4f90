"""Image GANs watched epoch by epoch: what is recorded, and that a break changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.experiments.image_epochs import SIZES, Setting, train
from helpers.experiments.image_epochs_training import (
    EpochWatch,
    images_of,
    judge_of,
    train_epochs,
)
from helpers.experiments.image_training import SETTINGS, standard_normal
from helpers.games.networks import joint_point, network_game
from helpers.models import lenet
from helpers.operators import hessian
from helpers.scores.classifiers import Classifier
from helpers.spectra import top_eigenpairs
from helpers.training.nudging import Nudging

NOISE = torch.rand(24, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
JUDGE = Classifier(lenet(seed=0), 0.1)
SMALL = replace(
    SIZES["quick"], images=24, epochs=3, stages=(1, 2, 3), width=2, latent=4, batch=8,
    hessian_images=12, score_samples=16, judge_epochs=1, rate_factor=1.0,
)  # fmt: skip
NUDGED = {"NSGAN": None, "gradient": Nudging(k=2, every=2)}
NUDGED |= {"step of G": Nudging(k=2, every=2, project="step", players="G")}


@pytest.mark.slow
def test_watch_sees_the_hessians():
    gan = train_epochs(Setting(), replace(SMALL, epochs=1), NOISE, JUDGE, seed=0)
    players = gan.run.players
    found = EpochWatch(JUDGE, NOISE[:12], Setting(), 4, 16)(players)
    game = network_game(*players, standard_normal(12, 4, seed=0), NOISE[:12])
    point = joint_point(*players)
    for player in "GD":
        operator = hessian(game, player, point)
        values = top_eigenpairs(operator, 5, tolerance=1e-3).values
        np.testing.assert_allclose(found[f"top_{player.lower()}"], values, rtol=0.05)
        low = top_eigenpairs(operator, 1, "SA", tolerance=1e-3).values[0]
        np.testing.assert_allclose(found[f"low_{player.lower()}"], low, rtol=0.05)
    assert 1 <= found["score"] <= 10
    assert 1 <= found["modes"] <= 10
    norm = float(game.gradient("G", point).norm())
    np.testing.assert_allclose(found["slope_g"], norm, rtol=1e-4)
    values = [found["value_g"], found["value_d"]]
    np.testing.assert_allclose(values, game.losses(point), rtol=1e-6)
    for name, net in zip("gd", players, strict=True):
        parts = [weight.detach().norm() for weight in net.parameters()]
        np.testing.assert_allclose(found[f"norm_{name}"], torch.stack(parts).norm(), rtol=1e-5)
    last = {name: values[-1] for name, values in gan.run.records.items()}
    np.testing.assert_allclose(last["top_d"], found["top_d"])


@pytest.mark.slow
@pytest.mark.parametrize("arm", list(NUDGED))
def test_epochs_go_on_where_they_were(tmp_path, arm):
    """Cut off after an epoch, the records and nets of the rest are those of an uncut training."""
    setting = Setting(nudging=NUDGED[arm])
    one = replace(SMALL, epochs=1, stages=(1, 1, 1))
    train_epochs(setting, one, NOISE, JUDGE, seed=0, folder=tmp_path)
    again = train_epochs(setting, SMALL, NOISE, JUDGE, seed=0, folder=tmp_path)
    whole = train_epochs(setting, SMALL, NOISE, JUDGE, seed=0)
    assert whole.run.iterations.tolist() == [3, 6, 9]
    for name, values in whole.run.records.items():
        assert np.array_equal(again.run.records[name], values), name
    assert torch.equal(again.point(9), whole.point(9))


def test_nudging_goes_around_adam():
    with pytest.raises(ValueError, match="only around adam"):
        replace(SETTINGS["nsgan extra-adam"], nudging=Nudging())


def test_sizes_are_whole():
    """Stages are kept epochs, in order and within the training; the full size is the paper's."""
    for size in SIZES.values():
        early, middle, late = size.stages
        assert early < middle < late <= size.epochs
        assert {0, *size.stages, size.epochs} <= set(size.kept)
        assert size.hessian_images <= size.images and size.members == 1
    assert (SIZES["full"].epochs, SIZES["full"].stages) == (180, (2, 25, 160))


def test_trained():
    """One small run of digits, which stand in for another set: its game, course and rates."""
    size = replace(SMALL, images=100, batch=50, rate_factor=10.0)
    trained = train(Setting(data="kmnist"), size, seed=0)
    assert trained.gan.setting.rates == (2e-3, 2e-3)
    assert sorted(trained.gan.run.snapshots) == [0, 2, 4, 6]
    course = trained.course()
    assert course["epoch"].tolist() == [1, 2, 3]
    assert {"top_g 0", "top_d 4", "low_g", "score", "modes"} < set(course)
    assert (course["top_d 0"] >= course["top_d 1"]).all()
    slope = float(trained.game(3).gradient("G", trained.point(3)).norm())
    assert course["slope_g"].iloc[-1] == pytest.approx(slope, rel=1e-4)
    assert torch.equal(trained.reals, images_of("digits", 100)[:12])
    same = judge_of("digits", size)
    assert trained.judge is same and same.accuracy > 0.3
    assert trained.range.real_score > trained.range.noise_score
