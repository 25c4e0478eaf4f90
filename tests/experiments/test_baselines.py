"""The nets that may have been the baseline of Durall et al. 2021, and how they are compared."""

from dataclasses import replace

import pytest
import torch
from pandas import DataFrame
from torch import nn

from helpers.experiments import baselines
from helpers.experiments.baselines import FIT, READINGS, SIZES, fit, measure
from helpers.experiments.image_epochs_training import Setting
from helpers.games import Judging, joint_point, network_game
from helpers.models import dcgan, dense_image_nets

TINY = replace(
    SIZES["quick"],
    images=50,
    epochs=2,
    stages=(1, 1, 2),
    judge_epochs=1,
    score_samples=40,
    batch=25,
)


def norms(net):
    return [type(layer).__name__ for layer in net if "Norm" in type(layer).__name__]


def test_nets_of_the_readings():
    """Norm layers are where a reading says, and nowhere else."""
    found = {
        name: [len(norms(net)) for net in reading.setting.players(8, 4, seed=0)]
        for name, reading in READINGS.items()
    }
    assert found == {
        "dense": [0, 0],
        "dense, batch norm": [3, 0],
        "dcgan": [3, 0],
        "dcgan, batch norm": [3, 2],
    }
    layers = [
        layer for layer in dense_image_nets(seed=0).discriminator if isinstance(layer, nn.Linear)
    ]
    assert [layer.in_features for layer in layers] == [1024, 512, 256]
    G, D = dense_image_nets(seed=0, latent=5, batch_normed=True)
    images = G(torch.randn(3, 5))
    assert images.shape == (3, 1, 32, 32) and images.abs().max() <= 1 and D(images).shape == (3,)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Setting(nets="mlp"), "nets is one of 'dcgan', 'dense', got 'mlp'"),
        (lambda: Setting(nets="dense", batch_norm="D"), "batch_norm is one of"),
        (lambda: Setting(batch_norm="G"), "batch_norm is one of"),
        (lambda: dcgan(seed=0, batch_normed=True), "D has spectral norm or batch norm"),
        (lambda: dense_image_nets(seed=0, latent=0), "latent is a whole number"),
        (lambda: dense_image_nets(seed=0, width=0), "width is a whole number"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_with_batch_norm_d_sees_reals_and_samples_apart():
    """Losses of such a D differ between one batch and two; the setting says two."""
    setting = READINGS["dcgan, batch norm"].setting
    joint = {name: each.setting.judging.joint_batch for name, each in READINGS.items()}
    assert joint.pop("dcgan, batch norm") is False and all(joint.values())
    nets = setting.players(4, 2, seed=0)
    z, x = torch.randn(6, 4), torch.randn(6, 1, 32, 32)
    one, two = (
        network_game(*nets, z, x, judging=Judging(joint)).losses(joint_point(*nets))[1]
        for joint in (True, False)
    )
    assert abs(one - two) > 1e-4


@pytest.mark.parametrize(
    "name", [pytest.param("dense, batch norm", marks=pytest.mark.slow), "dcgan, batch norm"]
)
def test_measured(name):
    """A row with all that the fit needs, and a course of an epoch a row."""
    found = measure(READINGS[name].setting, TINY, seed=0)
    (row,) = found["members"].to_dict("records")
    assert set(FIT) < set(row) and row["score_fall"] == row["score_best"] - row["score_end"]
    assert found["course"]["epoch"].tolist() == [1, 2]


def test_fit_by_hand():
    """Inside 0, half an interval beyond 0.5, far beyond 1; the nearest reading first."""
    inside = {name: (low + high) / 2 for name, (low, high) in FIT.items()}
    off = inside | {"score_mean": 6.3, "score_fall": -3.0, "peak_epoch": 1000}
    rows = DataFrame(
        [{"reading": "off"} | off, {"reading": "good"} | inside, {"reading": "good"} | inside]
    )
    table = fit(rows)
    assert table.index.tolist() == ["good", "off"] and table["seeds"].tolist() == [2, 1]
    assert table.loc["good", "fit"] == 0
    assert table.loc["off", ["score_mean", "score_fall", "peak_epoch"]].tolist() == [0.5, 0.5, 1.0]
    assert table.loc["off", "fit"] == 2 / len(FIT)


def test_a_calibration_judges_no_claim():
    assert baselines.QUANTITIES == {}
    assert len(READINGS) <= 6 and not any(reading.stated for reading in READINGS.values())
