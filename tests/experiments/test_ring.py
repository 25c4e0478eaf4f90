"""The ring of eight Gaussians: arms, what is kept of a run, and what is judged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.experiments import ring
from helpers.experiments.protocol import setting_of
from helpers.experiments.ring import Setting, Size
from helpers.ledger import claims
from helpers.training.nudging import Nudging
from helpers.training.recording import Paused

SMALL = Size(members=3, iterations=8, every=2, lacks="most")
COLUMNS = ["modes", "good", "score", "top_g", "top_d", "low_g", "low_d"]


def test_arms():
    """Two losses and betas with 19 variants each, and four of how often directions are found."""
    settings = {arm: setting_of(ring, "ours", arm) for arm in ring.ARMS}
    assert len(set(settings.values())) == len(settings) == 2 * 2 * 19 + 4
    assert settings["js 0.5 adam"] == Setting()
    assert settings["rs 0.9 step, k 20, both"] == Setting(
        "rs", beta=0.9, nudging=Nudging(20, project="step", players="GD")
    )
    assert settings["js 0.5 gradient, k 5, both, every 500"].nudging == Nudging(every=500)
    assert {arm for wanted in ring.WANTED for arm in wanted.arms} == settings.keys()
    for wanted in ring.WANTED:
        assert wanted.size in ring.SIZES and wanted.blocks.start >= 100
    full = ring.SIZES["full"]
    assert (full.members, full.iterations, full.every) == (32, 3000, 300)


def run_of(records, diverged=None):
    """A training with these records, of two members."""
    whole = {"good": 1.0, "score": 1.0, "low_g": -1.0, "low_d": 0.0} | records
    shape = np.shape(records["modes"])
    arrays = {name: np.broadcast_to(v, shape).astype(float) for name, v in whole.items()}
    for player in "gd":
        arrays[f"top_{player}"] = np.stack([arrays[f"top_{player}"]] * 5, axis=2)
    iterations = np.arange(1, shape[0] + 1) * 2
    run = type("Run", (), {"records": arrays, "iterations": iterations, "diverged": diverged or {}})
    return type("Trained", (), {"run": run, "latents": np.zeros((shape[1], 1, 2))})


def test_members_and_course_by_hand():
    """The end, and the first record after a third; a diverged member has no number."""
    nan = np.nan
    records = {
        "modes": [[1, 2], [3, 4], [5, nan], [8, nan]],
        "good": [[0.1, 0.1], [0.2, 0.2], [0.3, nan], [0.4, nan]],
        "top_g": [[1, 2], [3, 4], [5, nan], [7, nan]],
        "top_d": [[10, 20], [30, 40], [50, nan], [70, nan]],
    }
    trained = run_of(records, {1: 5})
    members = ring.members_of(trained, SMALL)
    assert list(members) == ["member", "diverged", *COLUMNS, "early_top_g"]
    assert members["diverged"].tolist() == [0, 5]
    assert members.iloc[0][["modes", "good", "top_g", "top_d", "early_top_g"]].tolist() == [
        8, 0.4, 7, 70, 3,
    ]  # fmt: skip
    gone = members.iloc[1][["modes", "good", "top_g", "top_d"]]
    assert gone.isna().all() and members["early_top_g"][1] == 4
    course = ring.course_of(trained)
    modes = course[course["number"] == "modes"].set_index("iteration")
    assert modes.loc[2, ["low", "median", "high"]].tolist() == [1.25, 1.5, 1.75]
    assert modes.loc[8, "median"] == 8 and set(course["number"]) == set(COLUMNS)


def test_a_run_that_ended_early():
    """Every member diverged before the last record, or before the first."""
    records = {"modes": [[1, 2]], "top_g": [[1, 2]], "top_d": [[1, 2]]}
    one = run_of(records, {0: 3, 1: 3})
    members = ring.members_of(one, SMALL)
    assert members[COLUMNS].isna().all(axis=None) and members["early_top_g"].isna().all()
    assert len(ring.course_of(one)) == len(COLUMNS)
    wild = Setting("wgan", rates=(1e18, 1e18))
    found = ring.measure(wild, Size(members=2, iterations=60, every=20, lacks="most"), seed=0)
    assert (found["members"]["diverged"] > 0).all() and not len(found["course"])
    assert found["members"][COLUMNS].isna().all(axis=None)


@pytest.mark.slow
def test_interrupted_and_resumed(tmp_path):
    """Stopped on its way: the frames of a run that was not, to the bit."""
    setting = setting_of(ring, "ours", "js 0.5 gradient, k 5, both, every 5")
    calls = iter([False] * 4 + [True] + [False] * 100)
    arguments = {"seed": 3, "folder": tmp_path, "until": lambda: next(calls)}
    with pytest.raises(Paused):
        ring.measure(setting, SMALL, **arguments)
    found = ring.measure(setting, SMALL, **arguments)
    whole = ring.measure(setting, SMALL, seed=3)
    assert found.keys() == whole.keys() == {"members", "course"}
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)
    assert np.isfinite(whole["members"]).all(axis=None)


def test_quick():
    size = replace(ring.SIZES["quick"], iterations=2, every=2)
    found = ring.measure(Setting("rs"), size, seed=0)
    assert found["members"]["member"].tolist() == list(range(4))
    assert found["course"].groupby("number").size().eq(1).all()


def test_quantities_by_hand():
    """Logarithms of ratios by member; a member of one arm alone, or one that diverged, is out."""

    def rows(top_g, top_d):
        columns = {"member": range(len(top_g)), "top_g": top_g, "top_d": top_d}
        return pd.DataFrame({"block": 100} | columns)

    arms = {
        "js 0.5 adam": rows([1.0, 2.0, np.nan], [4.0, 0.0, 1.0]),
        "js 0.5 gradient, k 5, both": rows([100.0, 0.2, 1.0, 1.0], [0.4, 1.0, 1.0, 1.0]),
    }
    own = ring.QUANTITIES["A12"]
    assert own["g_log_sharpness_ratio"](arms) == pytest.approx([2, -1])
    assert own["d_log_sharpness_ratio"](arms) == pytest.approx([-1, 6, 0])
    # Of all arms that nudge a player the one in which it is flatter in most members.
    more = arms | {"js 0.5 step, k 1, D": rows([9.0, 9.0, 9.0], [0.4, 1.0, 0.1])}
    assert own["d_log_sharpness_ratio"](more) == pytest.approx([-1, 6, -1])
    assert own["g_log_sharpness_ratio"](more) == pytest.approx([2, -1])
    assert set(own) < {q["name"] for q in claims.find("A12")["quantities"]}
    gone = {name: frame.assign(top_g=np.nan) for name, frame in arms.items()}
    for of, given in ((own["d_log_sharpness_ratio"], {}), (own["g_log_sharpness_ratio"], gone)):
        with pytest.raises(KeyError):
            of(given)


def test_gains_by_hand():
    """Differences of the same seeds; plain Adam has one more, and one has two blocks."""

    def rows(arm, modes, block=100):
        return pd.DataFrame(
            {"arm": arm, "block": block, "member": range(len(modes)), "modes": modes}
        )

    parts = [
        rows("js 0.5 adam", [2.0, 5.0, 8.0]),
        rows("js 0.5 adam", [1.0], block=101),
        rows("js 0.9 adam", [0.0, 0.0]),
        rows("js 0.5 step, k 5, G", [4.0, 5.0]),
        rows("js 0.5 step, k 5, G", [5.0], block=101),
        rows("js 0.9 gradient, k 1, both", [1.0, 3.0]),
    ]
    found = ring.gains(ring.described(pd.concat(parts, ignore_index=True))).set_index("arm")
    step, gradient = (found.loc[arm] for arm in found.index)
    assert (step["gain"], step["k"], step["players"], step["every"]) == (2.0, 5, "G", 50)
    assert step["error"] == pytest.approx(2 / 3**0.5)
    assert (gradient["gain"], gradient["error"], gradient["beta"]) == (2.0, 1.0, 0.9)


def test_a_member_that_is_hardly_flatter_does_not_count():
    """A12 asks for falls beyond its margin, so by these the setting is picked, not by all falls."""

    def rows(top_d):
        return pd.DataFrame({"block": 100, "member": range(3), "top_d": top_d})

    arms = {
        "js 0.5 adam": rows([1.0, 1.0, 1.0]),
        "js 0.5 gradient, k 1, D": rows([0.99, 0.99, 0.99]),  # flatter in all, by next to nothing
        "js 0.5 gradient, k 5, D": rows([0.1, 2.0, 2.0]),
    }
    found = ring.QUANTITIES["A12"]["d_log_sharpness_ratio"](arms)
    assert found == pytest.approx(np.log10([0.1, 2.0, 2.0]))
    for name in ring.QUANTITIES["A12"]:
        (rule,) = [q["each"] for q in claims.find("A12")["quantities"] if q["name"] == name]
        assert (rule["rule"], rule["paper"], rule["margin"]) == ("sign", -1, ring.FALL)
