"""What claims on images are judged by: from constructed rows, and from those that were recorded."""

import json

import numpy as np
import pytest
from pandas import DataFrame

from helpers.evidence import legacy_rows
from helpers.evidence.frames import by_arm
from helpers.experiments.image_epochs import PAPER_SETS
from helpers.experiments.image_quantities import QUANTITIES, TABLE_1
from helpers.ledger import data_file, find, judge


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


def test_what_is_said_of_each_set_is_judged_on_the_hardest():
    """A set that fails cannot hide among three that hold; a set without runs leaves it open."""
    found = {f"{name} NSGAN": rows(turning_epoch=[25.0, 30.0]) for name in PAPER_SETS}
    found["emnist NSGAN"] = rows(turning_epoch=[2.0, 25.0])
    turning = QUANTITIES["A10"]["eigenvalue_turning_epoch"]
    assert turning(found) == [2.0, 25.0]
    del found["kmnist NSGAN"]
    with pytest.raises(KeyError):
        turning(found)
    against = QUANTITIES["A09"]["is_against_g_eigenvalue"]
    signs = dict(zip(PAPER_SETS, (-0.9, -0.2, 0.1, -0.5), strict=True))
    assert against({f"{n} NSGAN": rows(against_g=[r, r]) for n, r in signs.items()}) == [0.1, 0.1]


def test_both_kinds_on_mnist():
    nsgan = rows(score_spread=[0.4, 0.6], top_d_late=[10.0, 1000.0], slope_late=[0.5, 3.0])
    nugan = rows(score_spread=[0.1, 0.1], top_d_late=[1.0, 10.0], slope_late=[2.0, 1.0])
    found = {
        "mnist NSGAN": nsgan.assign(lowest_g_highest=-0.2, modes_late=10.0),
        "mnist NuGAN": nugan.assign(lowest_g_highest=-0.1, modes_late=3.0).iloc[::-1],
    }
    found["mnist NuGAN"]["score_best"] = [8.0, 7.0]
    assert values_of("A13", found)["is_fluctuation"] == pytest.approx([4, 6])
    assert values_of("A13", found)["nugan_classes_at_160"] == [3.0, 3.0]
    assert values_of("A14", found)["g_gradient_norm_ratio"] == [2.0, 3.0]
    assert values_of("A16", found)["d_top_eigenvalue_at_160"] == pytest.approx([10, 100])
    assert values_of("A16", found)["d_log_sharpness_gap"] == pytest.approx([1.0, 2.0])
    assert values_of("A16", found)["nugan_best_is"] == [8.0, 7.0]


@pytest.mark.parametrize(
    ("claim", "value"), [("A14", 0.5), ("A15", -0.5), ("A16", 0.5), ("A17", 0.5)]
)
def test_a_nugan_that_has_not_learnt_decides_nothing(claim, value):
    """Values that would refute the claim leave it open if more than half of the NuGANs fail."""
    wrong = {q["name"]: [value] * 6 for q in find(claim)["quantities"]}
    if claim == "A17":
        wrong["nsgan_classes_lost"] = [9.0] * 6
    for learnt, verdict in ((3, "not reproduced"), (2, "open")):
        best = {"nugan_best_is": [7.03] * learnt + [7.0] * (6 - learnt)}
        found = judge(claim, wrong | best, profile="full")
        assert found.verdict == verdict
    assert found.lacks == "runs in which NuGAN learns"


def test_table_1():
    """A seed wins a set by the higher number; all four sets must be there, of both kinds."""
    found = {f"{name} NSGAN": rows(score_mean=[5.0, 6.0], score_best=9.0) for name in PAPER_SETS}
    found |= {f"{name} NuGAN": rows(score_mean=[5.8, 5.4], score_best=9.0) for name in PAPER_SETS}
    assert values_of("A19", found) == {
        "sets_won_by_mean": [4, 0],
        "sets_won_by_max": [0, 0],
    }
    fewer = found | {"mnist NuGAN": found["mnist NuGAN"].iloc[:1].assign(score_mean=5.0)}
    assert values_of("A19", fewer)["sets_won_by_mean"] == [3]
    assert values_of("A18-MNIST", found)["nugan_mean_gain"] == pytest.approx([0.8, -0.6])
    assert values_of("A18-MNIST", found)["nugan_best_gain"] == [0.0, 0.0]
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


def test_recorded_values_are_what_today_s_rules_make_of_the_rows():
    """Old numbers cannot stand under the words of a rule that has changed since.

    The medium size has four sets and the full one two; of what is said of each set, a set that
    stands for those that are missing changes nothing.
    """
    medium, long = (by_arm(own) for _, own in legacy_rows("image_epochs").groupby("epochs"))
    of_each = {f"{name} NSGAN": long["mnist NSGAN"] for name in PAPER_SETS} | long
    recorded, at_full = records("medium"), records("full")
    assert set(recorded) == set(QUANTITIES) - {"A10"}  # 40 epochs have no place for an epoch of 180
    four_sets = {"A07", "A08", "A18-Kuzushiji", "A18-EMNIST", "A19", "A24"}
    assert set(at_full) == set(QUANTITIES) - four_sets
    parts = [(claim, medium, values) for claim, values in recorded.items()]
    for claim, values in at_full.items():
        parts.append((claim, of_each if claim in ("A09", "A10") else long, values))
    for claim, found, values in parts:
        assert set(values) == set(QUANTITIES[claim]), claim
        for name, value in values.items():
            np.testing.assert_allclose(
                QUANTITIES[claim][name](found), value, rtol=2e-3, atol=1e-4, err_msg=claim + name
            )


def test_the_table_has_the_paper_s_sets():
    assert set(TABLE_1) == set(PAPER_SETS)
