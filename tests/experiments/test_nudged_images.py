"""NSGAN and NuGAN on the nets of the baseline: settings, what a run gives, and the screening."""

from dataclasses import replace

import pytest
from pandas import DataFrame
from pandas.testing import assert_frame_equal

from helpers.experiments import baselines, nudged_images
from helpers.experiments.image_epochs import KINDS, PAPER_SETS
from helpers.experiments.nudged_images import ARMS, READINGS, SIZES, WANTED, measure, screened
from helpers.experiments.protocol import setting_of
from helpers.training import Paused
from helpers.training.nudging import Nudging
from tests.experiments.test_image_epochs import Asked

SMALL = replace(
    SIZES["quick"], images=100, epochs=2, stages=(1, 1, 2), width=1, latent=4, hessian_images=12,
    score_samples=20, judge_epochs=1, steps=8,
)  # fmt: skip


def test_readings():
    """Projection and frequency, each either way; all else is the baseline's."""
    found = {name: reading.setting.nudging for name, reading in READINGS.items()}
    assert found == {
        f"{project}, {often}": Nudging(k=5, every=every, project=project, players="GD")
        for project in ("gradient", "step")
        for often, every in (("once an epoch", 937), ("every 50 steps", 50))
    }
    # Directions are the player's own steps old: both players step once a batch.
    full = SIZES["full"]
    assert full.images // full.batch == 937 and READINGS["step, once an epoch"].setting.critics == 1
    for reading in READINGS.values():
        plain = replace(reading.setting, nudging=None)
        assert plain == baselines.READINGS["dense"].setting


def test_arms():
    """NSGAN is the baseline itself, in every reading."""
    assert list(ARMS) == [f"{name} {kind}" for name in PAPER_SETS for kind in KINDS]
    for reading in READINGS:
        setting = setting_of(nudged_images, reading, "mnist NSGAN")
        assert setting == baselines.READINGS["dense"].setting


def test_screening_comes_before_the_judging():
    """On blocks that decide nothing, at the length at which the baseline was picked."""
    screen, judged = WANTED[:2]
    assert set(screen.readings) == set(READINGS) and list(screen.blocks) == [0, 1]
    assert SIZES["medium"] == baselines.SIZES["medium"]
    assert (judged.size, list(judged.blocks)) == ("full", list(range(100, 106)))
    assert SIZES["full"].lacks == "nothing" and SIZES["full"].epochs == 180


def test_screened_by_hand():
    """By medians of the mean score; a high best score is not enough."""
    rows = [("a", 7.0), ("a", 1.0), ("a", 6.0), ("b", 5.0), ("b", 5.5), ("b", 5.9)]
    frame = DataFrame(rows, columns=["reading", "score_mean"])
    frame = frame.assign(score_best=9 - frame["score_mean"], modes_end=10.0, top_d_end=1.0)
    found = screened(frame)
    assert found["score_mean"].to_dict() == {"a": 6.0, "b": 5.5} and set(found["seeds"]) == {3}


@pytest.mark.slow
@pytest.mark.parametrize("reading", ["gradient, every 50 steps", "step, every 50 steps"])
def test_paused_run_goes_on(tmp_path, reading):
    """Stopped in the middle of an epoch and taken up, a run gives the same bits."""
    setting = setting_of(nudged_images, reading, "mnist NuGAN")
    setting = replace(setting, nudging=replace(setting.nudging, k=2, every=2))
    whole = measure(setting, SMALL, seed=3)
    with pytest.raises(Paused):
        measure(setting, SMALL, seed=3, folder=tmp_path, until=Asked(2))
    parts = measure(setting, SMALL, seed=3, folder=tmp_path, until=Asked(1000))
    assert whole["course"]["epoch"].tolist() == [1, 2]
    for name in whole:
        assert_frame_equal(whole[name], parts[name], check_exact=True)
