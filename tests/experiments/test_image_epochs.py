"""Nudged image GANs, what is recorded of them, and the readings of a correlation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.analysis.curves import correlations, lagged, rank_correlation, rising_together, turning
from helpers.experiments.image_epochs import OPTIMIZERS, EpochWatch, train_epochs
from helpers.experiments.image_training import SETTINGS, standard_normal, train_images
from helpers.games.networks import joint_point, network_game
from helpers.models import lenet
from helpers.operators import hessian
from helpers.scores.classifiers import Classifier
from helpers.spectra import top_eigenpairs
from helpers.training.nudging import Nudging

NOISE = torch.rand(24, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
JUDGE = Classifier(lenet(seed=0), 0.1)
SIZES = {"width": 2, "latent": 4, "batch": 8, "hessian_images": 12, "score_samples": 16, "k": 2}


def test_watch_sees_the_hessians():
    watch = EpochWatch(JUDGE, NOISE[:12], 4, 16, k=2, tolerance=1e-3)
    nets = train_images(OPTIMIZERS["NSGAN"], NOISE, 3, seed=0, width=2, latent=4, batch=8)
    found = watch(nets.run.players)
    game = network_game(*nets.run.players, standard_normal(12, 4, seed=0), NOISE[:12])
    point = joint_point(*nets.run.players)
    for player in "GD":
        operator = hessian(game, player, point)
        values = top_eigenpairs(operator, 2, tolerance=1e-3).values
        np.testing.assert_allclose(found[f"top_{player.lower()}"], values, rtol=1e-2)
        low = top_eigenpairs(operator, 1, "SA", tolerance=1e-3).values[0]
        np.testing.assert_allclose(found[f"low_{player.lower()}"], low, rtol=1e-2)
    assert 1 <= found["score"] <= 10
    assert 1 <= found["modes"] <= 10
    norm = float(game.gradient("G", point).norm())
    np.testing.assert_allclose(found["slope_g"], norm, rtol=1e-4)


@pytest.mark.parametrize("kind", list(OPTIMIZERS))
def test_epochs_go_on_where_they_were(tmp_path, kind):
    """Cut off after an epoch, the records and nets of the rest are those of an uncut training."""
    setting = OPTIMIZERS[kind]
    if setting.nudging is not None:
        setting = replace(setting, nudging=replace(setting.nudging, k=2, every=2))
    file = tmp_path / "run.pt"

    options = {"seed": 0, "keep": (1,), **SIZES}
    train_epochs(setting, NOISE, JUDGE, 1, checkpoint=file, **options)
    again = train_epochs(setting, NOISE, JUDGE, 3, checkpoint=file, **options)
    whole = train_epochs(setting, NOISE, JUDGE, 3, **options)
    assert whole.run.iterations.tolist() == [3, 6, 9]
    for name, values in whole.run.records.items():
        assert np.array_equal(again.run.records[name], values), name
    assert torch.equal(again.point(9), whole.point(9))


def test_nudging_goes_around_adam():
    with pytest.raises(ValueError, match="around Adam"):
        replace(SETTINGS["nsgan extra-adam"], nudging=Nudging())


def test_a_common_trend_is_no_common_change():
    """Two curves that rise for reasons of their own: levels say yes, changes say no."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 3, 400)
    g, d = (np.exp(time + 0.1 * rng.standard_normal(400)) for _ in range(2))
    found = correlations(g, d)
    assert min(found["levels"], found["logs"], found["ranks"]) > 0.95
    assert abs(found["changes"]) < 0.2
    same = correlations(g, g**2)
    assert same["changes"] > 0.999


def test_readings_by_hand():
    found = correlations([1.0, 2.0, 3.0, 2.0], [1.0, 4.0, 9.0, 4.0])
    assert found["logs"] == pytest.approx(1)
    assert found["ranks"] == pytest.approx(1)
    assert found["levels"] == pytest.approx(np.corrcoef([1, 2, 3, 2], [1, 4, 9, 4])[0, 1])
    for bad in ([1.0, -1.0, 2.0], [1.0, np.nan, 2.0], [1.0, 2.0]):
        with pytest.raises(ValueError, match="positive"):
            correlations(bad, [1.0, 2.0, 3.0])


def test_lag():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(60)
    late = np.roll(a, 2)
    found = lagged(a, late, 3)
    assert max(found, key=found.get) == 2
    assert found[2] == pytest.approx(1)
    assert found[0] == pytest.approx(rank_correlation(a, late))


def test_turning_and_rising():
    values = np.abs(np.arange(40) - 25.0) + 1
    assert turning(values) == 25
    assert rising_together([3, 2, 1], [1, 2, 3], 1) == 0
    assert np.isnan(rising_together([1, 2], [2, 1], 1))
