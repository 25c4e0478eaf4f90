"""NSGAN and NuGAN on the nets of the baseline: settings, what a run gives, and the screening."""

from dataclasses import replace

import pytest
from pandas import DataFrame, concat
from pandas.testing import assert_frame_equal

from helpers.experiments import baselines, nudged_images
from helpers.experiments.image_epochs import KINDS, PAPER_SETS
from helpers.experiments.nudged_images import (
    ARMS,
    READINGS,
    SIZES,
    SLOW,
    WANTED,
    confirmed,
    measure,
    screened,
)
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
    for name, reading in READINGS.items():
        # Section 4.3: "the resulting gradient g* is now used by the regular Adam optimizer".
        assert reading.plausible == reading.stated == name.startswith("gradient")
        plain = replace(reading.setting, nudging=None)
        assert plain == baselines.READINGS["dense"].setting


def test_arms():
    """NSGAN is the baseline itself, in every reading; with a slow D, all but D's rate."""
    assert list(ARMS) == [*(f"{name} {kind}" for name in PAPER_SETS for kind in KINDS), SLOW]
    for reading in READINGS:
        setting = setting_of(nudged_images, reading, "mnist NSGAN")
        assert setting == baselines.READINGS["dense"].setting
        slow = setting_of(nudged_images, reading, SLOW)
        assert slow.rates == (2e-4, 2e-4 / 4)
        assert replace(slow, rates=(2e-4, 2e-4)) == setting


def test_screening_comes_before_the_judging():
    """On blocks that decide nothing, at the length at which the baseline was picked."""
    screen, beside, slow, ours, plain, nudged = WANTED[:6]
    assert [*screen.readings, *ours.readings] == list(READINGS)
    assert list(screen.blocks) == list(ours.blocks) == [0, 1]
    assert (beside.arms, beside.size, list(beside.blocks)) == (["mnist NSGAN"], "medium", [0, 1])
    assert (slow.arms, slow.size, list(slow.blocks)) == ([SLOW], "medium", [0, 1])
    assert SIZES["medium"] == baselines.SIZES["medium"]
    for each, kind in ((plain, "NSGAN"), (nudged, "NuGAN")):
        assert (each.arms, each.size) == ([f"mnist {kind}"], "full")
        assert list(each.readings) == list(READINGS)[:1] and list(each.blocks) == [*range(100, 106)]
    assert SIZES["full"].lacks == "nothing" and SIZES["full"].epochs == 180


def members(*found, **columns):
    """Rows of "members" that screen, by reading, mean score and dose of D."""
    rows = DataFrame(found, columns=["reading", "score_mean", "left_out_d"])
    rows = rows.assign(score_best=9 - rows["score_mean"], modes_end=10.0, top_d_end=1.0)
    rows = rows.assign(left_out_g=0.0, arm="mnist NuGAN", size="medium", block=0)
    return rows.assign(**columns)


def test_screened_by_hand():
    """By medians of the mean score; a high best score is not enough."""
    rows = [("a", 7.0, 0.1), ("a", 1.0, 0.3), ("a", 6.0, 0.1)]
    rows += [("b", 5.0, 0.2), ("b", 5.5, 0.2), ("b", 5.9, 0.4)]
    found = screened(members(*rows))
    assert found["score_mean"].to_dict() == {"a": 6.0, "b": 5.5} and set(found["seeds"]) == {3}
    assert found["dose"].to_dict() == {"a": 0.1, "b": 0.2}


@pytest.mark.parametrize(
    "other", [{"arm": "mnist NSGAN"}, {"size": "full"}, {"block": 100}, {"arm": "kmnist NuGAN"}]
)
def test_only_what_screens_is_screened(other):
    """Runs of the judging, of NSGAN and of other sets leave the order as it is."""
    screens = members(("a", 7.0, 0.1), ("b", 5.0, 0.2))
    more = concat([screens, members(("b", 9.0, 0.2), ("b", 9.0, 0.2), ("b", 9.0, 0.2), **other)])
    assert_frame_equal(screened(more), screened(screens))


def test_a_faint_nudge_is_not_confirmed_alone():
    """Next to no dose: the best of the others is judged first. With a dose it is judged alone."""
    rows = [("faint", 7.0, 0.049), ("weak", 5.0, 0.05), ("strong", 6.0, 0.2)]
    assert confirmed(members(*rows)) == ["strong", "faint"]
    assert confirmed(members(*rows[:2])) == ["weak", "faint"]
    assert confirmed(members(*rows[1:])) == ["strong"]
    assert confirmed(members(rows[0])) == ["faint"]


def test_a_variant_of_ours_is_not_confirmed():
    """However good its scores: the paper's claims are not about it."""
    rows = [("step, once an epoch", 9.0, 0.5), ("gradient, once an epoch", 5.0, 0.2)]
    assert screened(members(*rows)).index[0] == "step, once an epoch"
    assert confirmed(members(*rows)) == ["gradient, once an epoch"]
    assert confirmed(members(rows[0])) == []


def test_the_dose_is_that_of_the_nudged_player():
    """The mean over both players, or of the one that is nudged."""
    both = members(("a", 7.0, 0.1), left_out_g=0.3)
    assert screened(both)["dose"].to_dict() == {"a": pytest.approx(0.2)}
    setting = replace(READINGS["step, every 50 steps"].setting, nudging=Nudging(players="D", k=2))
    found = measure(setting, SMALL, seed=3)
    row, course = found["members"].iloc[0], found["course"]
    assert "left_out_g" not in course and row["left_out_g"] == 0.0
    assert 0 < row["left_out_d"] < 1 and row["left_out_d"] == course["left_out_d"].mean()
    counts = course[[f"counts {digit}" for digit in range(10)]]
    assert counts.sum(axis=1).tolist() == [SMALL.score_samples] * 2


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
