"""The image epochs of a DCGAN: what is varied, what a run gives, and what was recorded."""

from dataclasses import replace

import pytest
from pandas.testing import assert_frame_equal

from helpers.evidence import legacy_rows
from helpers.experiments import image_epochs
from helpers.experiments.image_epochs import ARMS, KINDS, PAPER_SETS, SIZES, Setting, measure
from helpers.experiments.protocol import setting_of
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
    """An arm has its set; NSGAN is not nudged, NuGAN as printed, by five fresh directions."""
    assert list(ARMS)[:8] == MAIN
    for arm in MAIN:
        setting = setting_of(image_epochs, "as printed", arm)
        name, _, kind = arm.rpartition(" ")
        assert setting.data == name and setting.rates == (2e-4, 2e-4) and setting.nets == "dcgan"
        printed = Nudging(k=5, every=50, project="gradient", players="GD")
        assert setting.nudging == (printed if kind == "NuGAN" else None)


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
