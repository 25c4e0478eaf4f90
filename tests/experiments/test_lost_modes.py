"""Where training on the ring has lost modes: the places, what is measured there, what is judged."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from helpers.datasets.synthetic import circle_of_gaussians
from helpers.experiments import lost_modes, lost_modes_training, stay_points
from helpers.experiments.lost_modes_training import Setting, Size, Trained
from helpers.experiments.protocol import setting_of
from tests.common import paused_and_resumed

TINY = Setting(units=4, smooth=True, points=64, batch=None, rate=0.02)
SIZE = Size(members=2, iterations=80, shortest=6, every=2, keep=4, searched=2, lacks="most")


def trained(*members, diverged=None, setting=TINY):
    """Members whose records, ten iterations apart, cover these modes; three weights each."""
    count = len(members[0])
    shares = np.zeros((count, len(members), 8), dtype=np.float32)
    for number, modes in enumerate(members):
        for record, covered in enumerate(modes):
            shares[record, number, list(covered)] = 0.1
    weights = {k: float(k) ** 2 * torch.ones(len(members), 3) for k in range(0, 10 * count + 1, 20)}
    return Trained(
        setting,
        np.arange(10, 10 * count + 1, 10),
        shares,
        circle_of_gaussians(len(members), seed=0, n=8, modes=8),
        diverged or {},
        weights,
    )


def untrained(seed):
    """The weights of both nets before training, in a row."""
    nets = lost_modes_training.nets_of(TINY, seed)
    return torch.cat([parameters_to_vector(net.parameters()).detach() for net in nets])


ALL = tuple(range(8))


def test_places_by_hand():
    """A mode that was covered before is lost; one not yet found, or of a lost member, is not."""
    found = trained(
        [(0,)] * 5 + [(0, 1)] * 2 + [(0,)] * 5 + [ALL] * 6,  # 1 is lost for 50 iterations
        [(0, 1)] * 2 + [(0,)] * 10 + [(0, 1)] * 6,  # 1 for 100, and the others are never found
        [ALL] * 6 + [()] * 12,
        [(0,)] * 18,
        diverged={2: 60},
    )
    table = lost_modes.places_of(found, 50)
    assert table[["member", "place", "start", "end", "last", "iteration"]].values.tolist() == [
        [0, "lost", 70, 120, False, 100],
        [0, "full", 130, 180, True, 160],
        [1, "lost", 20, 120, False, 60],
    ]
    assert table["radius"][2] == pytest.approx(np.sqrt(3) * (120**2 - 60**2))
    assert lost_modes.places_of(found, 60)["member"].tolist() == [1]
    assert not len(lost_modes.places_of(found, 110))


def test_members_by_hand():
    """Stays are of the same modes; hops are counted while some are covered and not all."""
    found = trained(
        [(0,)] * 5 + [(0, 1)] * 2 + [(1, 2)] * 5 + [ALL] * 6,
        [()] * 18,
        [ALL] * 18,
    )
    places = lost_modes.places_of(found, 200)
    size = replace(SIZE, every=10, shortest=50)
    table = lost_modes.members_of(found, places, size)
    assert table["stays"].tolist() == [2, 0, 0] and table["longest"].tolist() == [50, 0, 0]
    assert table["loose_stays"].tolist() == [2, 0, 0] and table["partly"].tolist() == [120, 0, 0]
    assert table["first"].tolist() == [130, 180, 10] and table["covered"].tolist() == [8, 0, 8]
    assert table["settled"].tolist() == [130, 180, 10]
    # One mode comes, one comes as one goes, and six come, in 12 times of ten iterations.
    assert table["hops"].tolist() == pytest.approx([100 * 9 / 120, np.nan, np.nan], nan_ok=True)
    assert table[["lost_norm", "full_top_d"]].isna().all(axis=None)


def test_a_mode_at_the_threshold_ends_no_loose_stay():
    """It is there until it has half of the samples that it came with."""
    found = trained([(0, 1)] * 18)
    found.shares[5:7, 0, 1] = 0.1 / 8 * np.array([0.9, 0.6])  # below what covers, above half of it
    found.shares[12, 0, 1] = 0.1 / 8 * 0.4
    row = lost_modes.members_of(found, lost_modes.places_of(found, 200), replace(SIZE, every=10))
    assert row["longest"][0] == 50 and row["loose_longest"][0] == 120


def test_another_seed_at_the_same_time():
    """The next one that covers all modes then; none that has diverged, and none at all."""
    lost = [ALL] * 2 + [(0,)] * 8 + [ALL] * 8
    full = [ALL] * 18
    weights = [untrained(seed) for seed in range(4)]
    found = trained(lost, [(0,)] * 18, full, full, diverged={2: 30})
    found = replace(found, weights={k: torch.stack(weights) for k in found.weights})
    at = lost_modes.places_of(found, 50)
    table = lost_modes.beside(found, at)
    assert table[["member", "beside"]].values.tolist() == [[0, 3]]
    curved, _ = stay_points.curvature(found.member(3), weights[3].double())
    for player in "gd":
        assert table[f"beside_top_{player}"][0] == pytest.approx(curved[f"top_{player}"], rel=1e-3)
    alone = trained(lost)
    nobody = lost_modes.beside(alone, lost_modes.places_of(alone, 50))
    assert nobody[["beside", "beside_top_g", "beside_top_d"]].isna().all(axis=None)


@pytest.fixture(scope="module")
def run():
    """A short training with its weights."""
    return lost_modes.train(TINY, SIZE, seed=3)


def test_weights_and_game_are_those_of_the_training(run):
    """G of the kept weights makes the recorded shares; the field is that of the losses."""
    for who in range(2):
        member = run.member(who)
        for k in (4, 80):
            point = run.weights[k][who].double()
            assert list(member.covers(point)) == run.covered()[k // 2 - 1, who].tolist()
    start = run.weights[0][0].double()
    p = run.member(0).game.sizes[0]
    D_first = run.member(0).game.vector_field(start)[p:]
    moved = run.weights[80][0][p:].double() - start[p:]
    # Adam's first steps are by signs: a step of one iteration goes against the field.
    one = lost_modes.train(TINY, replace(SIZE, iterations=2, every=2, keep=1), seed=3)
    step = one.weights[1][0][p:].double() - start[p:]
    big = D_first.abs() > 1e-6
    assert torch.equal(step[big].sign(), -D_first[big].sign()) and float(moved.norm()) > 0


@pytest.mark.parametrize("arm", lost_modes.ARMS)
def test_arms(arm):
    """The ring's own nets in batches, or small smooth ones on all points, which have no kinks."""
    setting = setting_of(lost_modes, "ours", arm)
    G, D = lost_modes_training.nets_of(setting, 0)
    kinks = [net for part in (G, D) for net in part if "ReLU" in type(net).__name__]
    assert setting.loss == arm.split(",")[0]
    assert bool(kinks) != setting.smooth == arm.endswith("small")
    assert setting.points == 256 if setting.smooth else setting.batch == 64


def kept_points():
    """Numbers of a run in which both members lose a mode for a while."""
    modes = [ALL] * 2 + [(0,)] * 8 + [ALL] * 8
    found = trained(modes, modes)
    point = untrained(5)
    weights = {k: torch.stack([point, 1.1 * point]) for k in found.weights}
    return replace(found, weights=weights)


def test_numbers_at_places():
    """Curvature at both places; a search only where a mode is lost, and only of smooth nets."""
    found = kept_points()
    at = lost_modes.places_of(found, 50)
    lost, full = lost_modes._numbers_at(found, 2, 1, at[at["member"] == 1])
    assert set(lost_modes._CURVED) == full.keys() and {"residual", "moved"} < lost.keys()
    curved, _ = stay_points.curvature(found.member(1), found.weights[20][1].double())
    assert full == curved  # both places have the same weights here
    other = replace(found, setting=replace(TINY, smooth=False))
    assert len(lost_modes._numbers_at(other, 2, 1, at[at["member"] == 1])[0]) == len(full)


@pytest.mark.slow
def test_interrupted_and_resumed(tmp_path):
    """Stopped in training and between members: the frames of a run that was not, to the bit."""
    size = replace(SIZE, iterations=300)
    found, pauses = paused_and_resumed(partial(lost_modes.measure, TINY, size, seed=0), tmp_path)
    whole = lost_modes.measure(TINY, size, seed=0)
    assert pauses == 2 and len(found["points"])
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def test_what_is_wanted():
    """64 seeds of every arm, of stays as long as those on two clusters."""
    seeds = {arm: 0 for arm in lost_modes.ARMS}
    for wanted in lost_modes.WANTED:
        for arm in wanted.arms:
            seeds[arm] += len(wanted.blocks) * lost_modes.SIZES[wanted.size].members
    assert seeds == dict.fromkeys(lost_modes.ARMS, 64)
    full = lost_modes.SIZES["full"]
    assert (full.iterations, full.shortest, full.every, full.keep) == (5000, 500, 10, 50)


def test_quantities_by_hand():
    """Members without a lost mode, or without full coverage, count in no ratio."""
    js = pd.DataFrame(
        {
            "loose_stays": [0, 1, 0],
            "partly": [500, 900, 490],
            "beside_top_d": [0.1, np.nan, 1.0],
            "beside_top_g": [1.0, 10.0, 1.0],
            "lost_top_d": [1.0, 10.0, np.nan],
            "full_top_d": [10.0, np.nan, 1.0],
            "lost_top_g": [1.0, 1.0, np.nan],
            "full_top_g": [0.01, np.nan, 1.0],
        }
    )
    small = pd.DataFrame({"lost_found": [0.0, 1.0, np.nan]})
    rows = {"js": js, "js, small": small}
    of = lost_modes.QUANTITIES
    assert of["R24"]["js_stays"](rows) == [0, 1]  # the third had no time for a stay
    assert of["R25"]["js_at_rest"](rows) == [0, 1]
    assert of["R26"]["d_log_sharpness"](rows) == pytest.approx([-1])
    assert of["R26"]["g_log_sharpness"](rows) == pytest.approx([2])
    assert of["R26"]["d_at_the_same_time"](rows) == pytest.approx([1])
    assert of["R26"]["g_at_the_same_time"](rows) == pytest.approx([0, -1])
    none = {
        "js": js.assign(full_top_d=np.nan, partly=0),
        "js, small": small.assign(lost_found=np.nan),
    }
    for claim, name in (("R24", "js_stays"), ("R25", "js_at_rest"), ("R26", "d_log_sharpness")):
        with pytest.raises(KeyError, match="a member of js"):
            of[claim][name](none)


def test_an_unknown_loss_is_refused():
    """By the setting, before anything is drawn."""
    with pytest.raises(ValueError, match="loss"):
        Setting(loss="no such loss")
