"""The image epochs: what their readings are, what a run gives, what claims are judged on."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pandas import DataFrame
from pandas.testing import assert_frame_equal

from helpers.evidence import legacy_rows
from helpers.evidence.frames import by_arm
from helpers.experiments import image_epochs
from helpers.experiments.image_epochs import (
    ARMS,
    KINDS,
    PAPER_SETS,
    QUANTITIES,
    READINGS,
    SIZES,
    TABLE_1,
    WANTED,
    Setting,
    measure,
)
from helpers.experiments.protocol import setting_of
from helpers.ledger import data_file
from helpers.training import Paused
from helpers.training.nudging import Nudging

SMALL = replace(
    SIZES["quick"], images=100, epochs=2, stages=(1, 1, 2), width=2, latent=4, hessian_images=12,
    score_samples=20, judge_epochs=1, steps=8,
)  # fmt: skip
MAIN = [f"{name} {kind}" for name in PAPER_SETS for kind in KINDS]


def run(setting, **options):
    return measure(setting, SMALL, seed=3, device="cpu", **options)


def test_readings_and_arms():
    """An arm has its set; NSGAN is not nudged in any reading, NuGAN as the reading says."""
    assert list(ARMS)[:8] == MAIN
    for reading, each in READINGS.items():
        for arm in MAIN:
            setting = setting_of(image_epochs, reading, arm)
            name, _, kind = arm.rpartition(" ")
            assert setting.data == name and setting.rates == (2e-4, 2e-4)
            assert setting.nudging == (each.setting.nudging if kind == "NuGAN" else None)
        assert each.stated == (reading == "as printed")
    printed = setting_of(image_epochs, "as printed", "mnist NuGAN").nudging
    assert printed == Nudging(k=5, every=50, project="gradient", players="GD")
    # Readings are among what is varied on MNIST, so that a run of either is a run of both.
    varied = [arm["nudging"] for arm in ARMS.values() if arm.get("nudging")]
    assert all(each.setting.nudging in [printed, *varied] for each in READINGS.values())


def test_six_seeds_of_the_paper_s_protocol_come_first():
    first = WANTED[0]
    assert (first.readings, first.size, len(first.blocks)) == (("as printed",), "full", 6)
    assert list(first.arms) == MAIN and SIZES["full"].lacks == "nothing"


@pytest.mark.slow
def test_frames():
    """A row of numbers, a course and spectra, with the columns that are promised."""
    found = run(setting_of(image_epochs, "as printed", "mnist NuGAN"))
    members, course, density = (found[name] for name in ("members", "course", "density"))
    assert members["member"].tolist() == [0] and members["epochs"].tolist() == [2]
    assert {"accuracy", "real", "noise", "score_mean", "levels", "turning_epoch"} < set(members)
    assert course["epoch"].tolist() == [1, 2] and set(course["epochs"]) == {2}
    assert members["top_d_end"][0] == course["top_d 0"].iloc[-1]
    assert set(density["player"]) == {"G", "D"} and set(density["epoch"]) == {1, 2}
    for (player, epoch), own in density.groupby(["player", "epoch"]):
        top = course.set_index("epoch").loc[epoch, f"top_{player.lower()} 0"]
        assert own["eigenvalue"].max() > 0.8 * top


class Asked:
    """True from a number of questions on."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.slow
def test_paused_run_goes_on(tmp_path):
    """Stopped in the middle of an epoch and taken up, a run gives the same bits."""
    setting = Setting(nudging=Nudging(k=2, every=2))
    whole = run(setting)
    with pytest.raises(Paused):
        run(setting, folder=tmp_path, until=Asked(2))
    parts = run(setting, folder=tmp_path, until=Asked(1000))
    assert whole.keys() == parts.keys()
    for name in whole:
        assert_frame_equal(whole[name], parts[name], check_exact=True)


def rows(**columns):
    """Rows of two single runs, as evidence gives them."""
    return DataFrame({"block": [100, 101], "member": [0, 0]} | columns)


def values_of(claim, found):
    return {name: of(found) for name, of in QUANTITIES[claim].items()}


def test_over_sets():
    """A07 combines the sets seed by seed; a seed that a set lacks is left out, NaN counts as 0."""
    ranks = {"mnist": [0.9, 0.1], "kmnist": [0.5, 0.6], "fashion-mnist": [0.8, np.nan]}
    ranks["emnist"] = [0.7, 0.4]
    found = {f"{n} NSGAN": rows(ranks=r, changes=r, rising=r) for n, r in ranks.items()}
    values = values_of("A07", found)
    assert values["lowest_rank_correlation"] == [0.5, 0.0]
    assert values["joint_rise_share"] == pytest.approx([2.9 / 4, 1.1 / 4])
    found["emnist NSGAN"] = found["emnist NSGAN"].iloc[1:]
    assert values_of("A07", found)["lowest_rank_correlation"] == [0.0]
    del found["emnist NSGAN"]
    with pytest.raises(KeyError):
        values_of("A07", found)


def test_both_kinds_on_mnist():
    nsgan = rows(score_spread=[0.4, 0.6], top_d_late=[10.0, 1000.0], slope_late=[0.5, 3.0])
    nugan = rows(score_spread=[0.1, 0.1], top_d_late=[1.0, 10.0], slope_late=[2.0, 1.0])
    found = {
        "mnist NSGAN": nsgan.assign(lowest_g_highest=-0.2, modes_late=10.0),
        "mnist NuGAN": nugan.assign(lowest_g_highest=-0.1, modes_late=3.0).iloc[::-1],
    }
    assert values_of("A13", found)["is_fluctuation"] == pytest.approx([4, 6])
    assert values_of("A13", found)["nugan_classes_at_160"] == [3.0, 3.0]
    assert values_of("A14", found)["g_gradient_norm_ratio"] == [2.0, 3.0]
    assert values_of("A16", found)["d_top_eigenvalue_at_160"] == pytest.approx([10, 100])
    assert values_of("A16", found)["d_log_sharpness_gap"] == pytest.approx([1.0, 2.0])


def test_table_1():
    """A set is won by the higher median; all four sets must be there."""
    found = {f"{name} NSGAN": rows(score_mean=[5.0, 6.0], score_best=9.0) for name in PAPER_SETS}
    found |= {f"{name} NuGAN": rows(score_mean=[5.8, 5.4], score_best=9.0) for name in PAPER_SETS}
    assert values_of("A19", found) == {
        "data_sets_with_higher_mean": 4,
        "data_sets_with_higher_max": 0,
    }
    assert values_of("A18-MNIST", found)["nugan_mean_gain"] == pytest.approx([0.8, -0.6])
    assert values_of("A18-EMNIST", found)["printed_mean_minus_maximum"] == pytest.approx(0.86)
    del found["emnist NuGAN"]
    with pytest.raises(KeyError):
        values_of("A19", found)


def test_the_better_kind_away_from_an_equilibrium():
    found = {
        "mnist NSGAN": rows(score_away=[0.0, 3.0], lowest_g_at_best=[-0.1, -0.2]),
        "mnist NuGAN": rows(score_away=[2.0, 2.0], lowest_g_at_best=[-0.3, -0.4]),
    }
    assert values_of("A21", found) == {
        "is_away_from_equilibrium": [2.0, 2.0],
        "g_min_over_max_eigenvalue_at_best_is": [-0.3, -0.4],
    }


def test_sizes_as_on_an_axis():
    """Powers of ten of each player's largest eigenvalue by set; on MNIST the eigenvalue itself."""
    found = {
        f"{name} NSGAN": rows(top_g_late=[10.0**power, -1.0], top_d_late=[1.0, 20.0 * power])
        for power, name in enumerate(PAPER_SETS, start=1)
    }
    values = values_of("A24", found)
    assert [values[f"log_top_g_{n}"][0] for n in ("kuzushiji", "fashion", "emnist")] == [2, 3, 4]
    assert values["log_top_g_emnist"][1] == -12
    assert values["log_top_d_fashion"] == pytest.approx([0, np.log10(60)])
    assert values["top_d_mnist"] == [1, 20]


def records(profile):
    """The values that were recorded when these runs were a chapter's, by claim."""
    found = {}
    for path in data_file("recorded").glob("*.json"):
        for made in json.loads(path.read_text(encoding="utf-8"))["records"]:
            if made["profile"] == profile and made["claim"] in QUANTITIES:
                found[made["claim"]] = made["values"]
    return found


def test_legacy_rows_give_the_recorded_values():
    """At the medium size of four sets; the full one had two, of which some claims are not."""
    medium, long = (by_arm(own) for _, own in legacy_rows("image_epochs").groupby("epochs"))
    recorded = records("medium")
    assert set(recorded) == set(QUANTITIES) - {"A24"}  # no claim by then
    for claim, values in recorded.items():
        for name, value in values.items():
            np.testing.assert_allclose(
                QUANTITIES[claim][name](medium), value, rtol=2e-3, atol=1e-4, err_msg=claim + name
            )
    for claim in ("A13", "A14", "A15", "A16", "A17", "A18-MNIST", "A18-Fashion", "A21"):
        for name, value in records("full")[claim].items():
            np.testing.assert_allclose(
                QUANTITIES[claim][name](long), value, rtol=2e-3, atol=1e-4, err_msg=claim + name
            )
    of_two_sets = [
        *long["mnist NSGAN"]["turning_epoch"],
        *long["fashion-mnist NSGAN"]["turning_epoch"],
    ]
    assert of_two_sets == records("full")["A10"]["eigenvalue_turning_epoch"]


def test_legacy_tables():
    """Courses of the pairs of kinds, spectra of the long runs on MNIST."""
    course = legacy_rows("image_epochs", table="course")
    assert (
        set(course["arm"]) == set(MAIN)
        and course.groupby(["arm", "epochs", "member"]).size().max() <= 60
    )
    density = legacy_rows("image_epochs", table="density")
    assert set(density["arm"]) == {"mnist NSGAN", "mnist NuGAN"}
    assert set(density["epoch"]) == set(SIZES["full"].stages)
    assert set(TABLE_1) == set(PAPER_SETS)
