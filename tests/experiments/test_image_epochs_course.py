"""What is read off a course, on courses whose numbers are known."""

import numpy as np
import pytest
from pandas import DataFrame

from helpers.experiments.image_epochs import SIZES
from helpers.experiments.image_epochs_course import summary, thinned, visible

STAGES = SIZES["full"].stages


def course(epochs=180):
    """G's eigenvalue falls up to epoch 25 and grows after; D's grows; the score grows."""
    epoch = np.arange(1.0, epochs + 1)
    columns = {"epoch": epoch, "score": 1 + epoch / 100, "entropy": epoch / 90}
    columns["modes"] = np.where(epoch < 100, 10.0, 8.0)
    for rank in range(5):
        columns[f"top_g {rank}"] = (np.abs(epoch - 25) + 1) / (rank + 1)
        columns[f"top_d {rank}"] = 100 * epoch / (rank + 1)
    columns["low_g"] = np.where(epoch < 50, -1.0, 0.0)
    columns["low_d"] = -epoch
    return DataFrame(columns | {"slope_g": epoch**2})


def test_summary_by_hand():
    found = summary(course(), STAGES)
    assert (found["epochs"], found["best_epoch"]) == (180, 180)
    assert found["score_mean"] == pytest.approx(1.905)
    assert (found["score_best"], found["score_late"]) == (pytest.approx(2.8), pytest.approx(2.6))
    assert found["score_spread"] == pytest.approx(np.std(np.arange(25, 181) / 100))
    assert (found["modes_middle"], found["modes_late"], found["modes_least"]) == (10, 8, 8)
    assert found["modes_gained"] == -2
    assert (found["top_g_middle"], found["top_g_late"], found["top_g_end"]) == (1, 136, 156)
    assert found["top_d_late"] == 16_000
    assert found["lowest_d_late"] == pytest.approx(-0.01)
    # Epochs 2, 25 and 160: -1/24, -1/1 and 0.
    assert found["lowest_g_highest"] == 0 and found["lowest_g_end"] == 0
    assert found["slope_late"] == pytest.approx(160**2 / 4)
    assert found["slope_end"] == pytest.approx(180**2 / 4)
    assert (found["turning_epoch"], found["peak_epoch"]) == (25, 180)
    assert found["sharpening_d"] == pytest.approx(1) and found["against_d"] == pytest.approx(1)
    assert found["against_late"] == pytest.approx(1) and found["against_g"] < 1
    assert found["widening_g"] == pytest.approx(136 / 2)
    assert found["width_against_modes"] < -0.5
    # Of 170 windows of ten epochs D rises in all; G in those that end 25 epochs before 25 or later.
    assert found["rising"] == pytest.approx((180 - 30) / 170)
    assert found["levels"] == pytest.approx(found["levels_of_five"])


def test_score_away_from_an_equilibrium():
    """Over the epochs with a negative eigenvalue that counts, and 0 without any."""
    found = summary(course(), STAGES)
    assert found["score_away"] == pytest.approx(1 + np.arange(1, 50).mean() / 100)
    flat = course().assign(low_g=-1e-3)
    assert summary(flat, STAGES)["score_away"] == 0


def test_windows_are_parts_of_the_training():
    """Of forty epochs a window has two, and the last part begins with the twenty-second."""
    few = course(40)
    few["score"] = np.where(few["epoch"] < 22, 0.0, few["top_g 0"])
    found = summary(few, (2, 20, 40))
    assert found["against_late"] == pytest.approx(1) and found["against_g"] < 0.9
    rises = few["top_g 0"].diff(2) > 0
    assert found["rising"] == pytest.approx(rises[2:].mean())


def test_constant_curves_have_no_correlation():
    found = summary(course().assign(score=1.0, modes=1.0), STAGES)
    assert np.isnan(found["against_g"]) and np.isnan(found["width_against_modes"])


def test_thinned():
    """Sixty epochs at most, from the first on; a short course is whole."""
    found = thinned(course())
    assert found["epoch"].tolist() == list(range(1, 180, 3)) and set(found["epochs"]) == {180}
    assert len(thinned(course(40))) == 40


def test_visible():
    """What a logarithmic axis shows, on both sides of a gap."""
    density = [0, 1e-30, 1.0, 1e-12, 0, 0, 1e-20, 1e-3, 1e-15, 0]
    assert visible(DataFrame({"density": density})).index.tolist() == [1, 2, 3, 6, 7, 8]
