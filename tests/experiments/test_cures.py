"""The leaderboard of cures: what a run promises at a tiny size, and numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.experiments import cures
from helpers.experiments.cure_training import (
    CLUSTERS,
    METHODS,
    NUDGING,
    PROTOCOLS,
    TASKS,
    Setting,
    TrainedCure,
    draw,
    gradients_of,
    train_cure,
)
from helpers.experiments.protocol import setting_of
from helpers.games import joint_point, network_game
from helpers.losses import GradientPenalty
from helpers.operators import jacobian
from helpers.training import Paused
from helpers.training.train import EnsembleResult

TINY = cures.Size(members=2, choosing=2, iterations=4, every=2, lacks="nearly all")
RATE = {task: PROTOCOLS[task].rates[1] for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cure", cures.CURES)
def test_gradients_are_counted(monkeypatch, task, cure):
    """Backward passes of the real training, iteration by iteration."""
    setting = setting_of(cures, "ours", cures.arm_of(task, cure))
    # Not torch.autograd.grad itself: a mode that replaces torch's functions calls that once more.
    counted, of_torch = [0], torch.autograd._engine_run_backward

    def backward(*given, **options):
        counted[0] += 1
        return of_torch(*given, **options)

    def passes(iterations):
        counted[0] = 0
        trained = train_cure(setting, RATE[task], 2, iterations, every=iterations, seed=0)
        return counted[0], trained

    monkeypatch.setattr(torch.autograd, "_engine_run_backward", backward)
    passes(1)  # the first search of a structure is checked
    (few, _), (many, trained) = passes(2), passes(7)
    assert many - few == 5 * gradients_of(setting)
    if cure == "nudged g":  # one search: a graph of the gradients, and a product a step
        assert few == 2 * 2 + 1 + trained.directions.products
        assert trained.searching() > NUDGING.k / NUDGING.every
    else:
        assert few == 2 * gradients_of(setting) and trained.searching() == 0


def test_gradients_of_penalised_losses():
    """As many more as there are gradients of a loss that contains the penalty."""
    penalty = GradientPenalty(0.1, "data")
    found = {
        method: gradients_of(Setting(method=method, penalty=penalty)) - gradients_of(
            Setting(method=method)
        )
        for method in METHODS
    }  # fmt: skip
    assert found.pop("extragradient") == 2 and found.pop("unrolled") == 6
    assert set(found.values()) == {1}


_DENSE = [CLUSTERS, "ring", pytest.param("mixture", marks=pytest.mark.slow)]


@pytest.mark.parametrize("task", _DENSE)
@pytest.mark.parametrize("penalty", [None, GradientPenalty(0.1, "interpolates")])
def test_the_end_by_dense_matrices(task, penalty):
    """Norm, angle and modulus of four eigenvalues at the end, in double precision."""
    setting = Setting(task=task, loss="wgan" if penalty else "js", penalty=penalty)
    trained = train_cure(setting, RATE[task], 2, 6, every=6, seed=1)
    found, n = trained.end(), 256
    for member in range(2):
        nets = [
            each.member(member).double()
            for each in (trained.run.generators, trained.run.discriminators)
        ]
        data = trained.latents[member, :n].double(), trained.reals[member, :n].double()
        game = network_game(*nets, *data, loss=setting.loss, penalty=penalty)
        point = joint_point(*nets)
        assert found["norm"][member] == pytest.approx(
            float(game.vector_field(point).norm()), rel=1e-4
        )
        if task == "ring":
            continue  # 2,403 weights
        values = np.linalg.eigvals(jacobian(game, point).dense().numpy())
        z = values[np.argsort(-np.abs(values))][:4]
        assert found["leading"][member] == pytest.approx(np.abs(z).max(), rel=5e-3)
        if np.abs(z).min() > 1.05 * np.sort(np.abs(values))[-5]:  # not two of one modulus
            angle = np.degrees(np.arctan2(np.abs(z.imag), np.abs(z.real))).max()
            assert found["angle"][member] == pytest.approx(angle, abs=1.0)


def trained(shares, diverged=(), setting=None, every=10):
    """Members with these shares (t, S, modes)."""
    shares = np.asarray(shares, dtype=float)
    t, members = shares.shape[:2]
    run = EnsembleResult(None, None, np.arange(1, t + 1) * every, {}, dict(diverged), {})
    none = torch.zeros(members, 1, 1)
    when = np.arange(1, t + 1) * every
    return TrainedCure(setting or Setting(), run, when, shares, none, none, None)


def test_members_by_hand(monkeypatch):
    """Two clusters: found for good, found and lost, never found, and diverged."""
    both, one, nobody = [0.5, 0.5], [1.0, 0.0], [np.nan, np.nan]
    shares = [
        [one, both, one, one], [both, one, one, both], [both, both, one, nobody],
        [[0.05, 0.95], one, one, nobody],
    ]  # fmt: skip
    ends = {name: np.arange(4.0) for name in ("norm", "angle", "leading")}
    monkeypatch.setattr(TrainedCure, "end", lambda self: ends)
    setting = Setting(method="extragradient")
    table = cures.members_of(trained(shares, {3: 25}, setting), 0.3)
    assert table["modes"].tolist() == [2, 1, 1, 0]
    assert table["first"].tolist() == [20, 10, 40, 20]
    assert table["stable"].tolist() == [20, 40, 40, 40]
    assert table["gradients"].tolist() == [4.0] * 4
    assert table["cost"].tolist() == [80, 160, 160, 160]
    assert table["diverged"].tolist() == [0, 0, 0, 25]
    assert table["rate"].tolist() == [0.3] * 4 and table["norm"].tolist() == [0, 1, 2, 3]
    course = cures.course_of(trained(shares, {3: 25}, setting))
    assert course["iteration"].tolist() == [10, 20, 30, 40]
    assert course["modes"].tolist() == [1.25, 1.5, 1.25, 1.0]
    assert course["all"].tolist() == [0.25, 0.5, 0.5, 0.25]


def test_picked():
    """More modes first, then sooner, or nearer to rest, then the smaller rate."""

    def rates(modes, stable):
        return pd.DataFrame({"rate": [0.1, 0.3, 1.0], "modes": modes, "stable": stable})

    for task in ("two clusters", "ring"):
        assert cures.picked(rates([2, 1, 2], [90, 10, 80]), task) == 1.0
        assert cures.picked(rates([1.0, 1.5, 1.25], [10, 99, 20]), task) == 0.3
        assert cures.picked(rates([2, 2, 2], [50, 50, 50]), task) == 0.1
    norms = rates([2, 2, 2], [10, 20, 30]).assign(norm=[np.nan, 0.2, 0.1])
    assert cures.picked(norms, "mixture") == 1.0 and cures.picked(norms, "ring") == 0.1
    assert cures.picked(norms.assign(modes=[2, 2, 1.5]), "mixture") == 0.3


def test_choosing_by_hand():
    """Block 0, whatever block is judged; as many members as the size says."""
    setting = Setting(task=CLUSTERS, loss="ls")
    much = replace(TINY, choosing=3)
    found = cures.choose(setting, much, seed=5)
    pd.testing.assert_frame_equal(found, cures.choose(setting, much, seed=6))
    for row in found.itertuples():
        run = train_cure(setting, row.rate, 3, 4, every=2, seed=0)
        assert row.modes == run.coverage().at_end.mean()
        assert row.stable == np.median(run.coverage().stable)
        assert row.norm == np.median(run.norm()) == np.median(run.end()["norm"])
    measured = cures.measure(setting, much, seed=5)
    assert measured["members"]["rate"].tolist() == [cures.picked(found, CLUSTERS)] * 2
    pd.testing.assert_frame_equal(measured["rates"], found)


def test_rates_that_diverge_are_kept():
    """A run whose members are all lost has its rows, without numbers at the end."""
    setting = Setting(task="mixture", loss="wgan")
    run = train_cure(setting, 1e18, 2, 200, every=100, seed=0)
    assert len(run.run.diverged) == 2 and run.coverage().at_end.tolist() == [0, 0]
    table = cures.members_of(run, 1e18)
    assert (table["diverged"] > 0).all() and table["norm"].isna().all()
    assert table["modes"].tolist() == [0, 0] and table["stable"].tolist() == [200, 200]


def test_the_same_start_for_every_cure():
    """Data, latents and nets of a block; blocks share nothing."""
    for task in TASKS:
        (nets, one), (again, other) = draw(task, 2, seed=3), draw(task, 3, seed=3)
        assert torch.equal(one.reals, other.reals[:2])
        assert torch.equal(one.latents, other.latents[:2])
        assert torch.equal(joint_point(*nets[1]), joint_point(*again[1]))
        nets, far = draw(task, 2, seed=4)
        assert not torch.equal(far.reals, one.reals)
        assert not torch.equal(joint_point(*nets[0]), joint_point(*again[0]))
        assert one.centres.shape[0] == PROTOCOLS[task].modes


@pytest.mark.slow
@pytest.mark.parametrize(
    "cure", ["nsgan", "lookahead", "negative momentum", "nudged g", "unrolled"]
)
def test_interrupted_and_resumed(tmp_path, cure):
    """Stopped again and again, while rates are chosen and later: to the bit."""
    setting = setting_of(cures, "ours", cures.arm_of("two clusters", cure))
    much, asked, stops = replace(TINY, iterations=6), [], 0

    def until():
        asked.append(0)
        return len(asked) % 4 == 0

    while True:
        try:
            found = cures.measure(setting, much, seed=1, folder=tmp_path, until=until)
            break
        except Paused:
            stops += 1
    assert stops > 3
    whole = cures.measure(setting, much, seed=1)
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def test_arms():
    """Fourteen cures on three tasks, all wanted once, each different from all others."""
    assert len(cures.CURES) == 14 and len(cures.ARMS) == 42
    settings = [setting_of(cures, "ours", arm) for arm in cures.ARMS]
    assert len(set(settings)) == 42
    assert {each.method for each in settings} == set(METHODS)
    wanted = [arm for each in cures.WANTED for arm in each.arms]
    assert sorted(wanted) == sorted(cures.ARMS)
    assert all(list(each.blocks) == [100] for each in cures.WANTED)
    assert set(cures.TURNING) < set(cures.CURES)
    full = cures.SIZES["full"]
    assert (full.members, full.iterations) == (32, 5000)
    for task in TASKS:
        assert len(PROTOCOLS[task].rates) == 3 and list(PROTOCOLS[task].rates) == sorted(
            PROTOCOLS[task].rates
        )


def test_the_mixture_has_fewer_members():
    much = replace(TINY, members=8, choosing=4)
    found = cures.measure(Setting(task="mixture"), much, seed=0)
    assert len(found["members"]) == 2


def rows_of(costs, norms=None):
    """Rows by arm, of two members."""
    return {
        arm: pd.DataFrame(
            {"block": 100, "member": range(2), "cost": cost, "norm": (norms or {}).get(arm, 1.0)}
        )
        for arm, cost in costs.items()
    }


def test_quantities_by_hand():
    costs = {cures.arm_of(task, cure): [100.0, 100.0] for task in TASKS for cure in cures.CURES}
    costs["two clusters, rs"] = [10.0, 50.0]
    costs["two clusters, consensus"] = [20.0, 40.0]
    costs["ring, optimistic"] = [50.0, 200.0]
    norms = {"mixture, nsgan": [1.0, 1.0], "mixture, consensus": [0.01, np.nan]}
    norms["mixture, lookahead"] = [10.0, 100.0]
    rows = rows_of(costs, norms)
    of = cures.QUANTITIES
    assert of["R18"]["two_clusters_best_over_rs"](rows) == pytest.approx(np.log([2.0, 0.8]))
    assert of["R18"]["ring_best_over_rs"](rows) == pytest.approx([np.log(0.5), 0.0])
    assert of["R19"]["consensus_log_norm"](rows) == pytest.approx([-2.0])
    assert of["R19"]["lookahead_log_norm"](rows) == pytest.approx([1.0, 2.0])
    assert of["R19"]["negative_momentum_log_norm"](rows) == [0.0, 0.0]
    assert of["R20"]["ring_foretold"](rows) == pytest.approx(
        np.corrcoef(*(own.rank() for own in cures.foretold(rows, "ring")))[0, 1]
    )
    exact, there = cures.foretold(rows, "ring")
    assert there["optimistic"] == 125 and there["in turn"] == 100
    alike = rows_of({arm: [1.0, 1.0] for arm in rows})
    with pytest.raises(KeyError, match="differ on ring"):
        of["R20"]["ring_foretold"](alike)
    for number, method in enumerate(exact.sort_values().index):
        arm = cures.arm_of("mixture", {"in turn": "nsgan"}.get(method, method))
        rows[arm] = rows[arm].assign(norm=10.0 * number if number < 7 else np.nan)
    assert of["R20"]["mixture_foretold"](rows) == pytest.approx(1)
    del rows["ring, extragradient"]
    for claim, name in (("R18", "ring_best_over_rs"), ("R20", "ring_foretold")):
        with pytest.raises(KeyError):
            of[claim][name](rows)
    gone = rows_of(costs, {"mixture, consensus": [np.nan, np.nan]})
    with pytest.raises(KeyError, match="consensus that did not diverge"):
        of["R19"]["consensus_log_norm"](gone)


def test_leaderboard_by_hand():
    def rows(arm, stable, gradients, modes, diverged):
        own = {"arm": arm, "stable": stable, "gradients": gradients, "modes": modes, "rate": 0.3}
        own |= {"diverged": diverged, "norm": [1.0, 3.0], "angle": [10.0, 20.0]}
        return pd.DataFrame(own).assign(cost=lambda own: own["stable"] * own["gradients"])

    parts = [
        rows("ring, nsgan", [100, 200], 2.0, [8, 6], [0, 0]),
        rows("ring, extragradient", [80, 100], 4.0, [8, 8], [0, 7]),
        rows("mixture, rs", [1, 1], 2.0, [2, 2], [0, 0]),
    ]
    board = cures.leaderboard(pd.concat(parts), "ring")
    assert board["cure"].tolist() == ["nsgan", "extragradient"]
    assert board["cost"].tolist() == [300, 360] and board["stable"].tolist() == [150, 90]
    assert board["covered"].tolist() == [50, 100] and board["diverged"].tolist() == [0, 50]
    assert board["low"].tolist() == [125, 85] and board["high"].tolist() == [175, 95]
    assert board["modes"].tolist() == [7, 8] and board["norm"].tolist() == [2, 2]
    assert len(cures.leaderboard(pd.concat(parts), "two clusters")) == 0
    with pytest.raises(ValueError, match="task is one of"):
        cures.leaderboard(pd.concat(parts), "images")


def test_a_long_course_is_thinned():
    """At most a hundred records, with the last one."""
    shares = np.zeros((250, 1, 2))
    shares[-1] = 0.5
    course = cures.course_of(trained(shares))
    assert len(course) == 84 and course["iteration"].iloc[-1] == 2500
    assert course["iteration"].diff().dropna().eq(30).all()
    assert course["modes"].tolist() == [0.0] * 83 + [2.0]


def test_helped_by_hand():
    """Ratios to NSGAN, seed by seed: of costs, or on the mixture of norms; and the dearest step."""
    columns = {"block": 100, "member": range(3)}

    def rows(arm, cost, norm, gradients):
        own = {"arm": arm, "cost": cost, "norm": norm, "gradients": gradients}
        return pd.DataFrame(columns | own)

    parts = [
        rows("ring, nsgan", [10, 20, 30], 9.0, 2.0),
        rows("ring, nudged g", [20, 10, 3], 9.0, 2.5),
        rows("mixture, nsgan", 7, [1.0, 2.0, 4.0], 2.0),
        rows("mixture, nudged g", 8, [2.0, 1.0, 1.0], 3.5),
        rows("two clusters, rs", 5, 1.0, 2.0),
    ]
    found = cures.helped(pd.concat(parts))
    assert found.index.tolist() == ["nsgan", "rs", "nudged g"]
    assert found.loc["nudged g"].tolist() == pytest.approx([np.nan, 0.5, 0.5, 3.5], nan_ok=True)
    assert found.loc["nsgan"].tolist() == pytest.approx([np.nan, 1, 1, 2], nan_ok=True)
    assert found.loc["rs"].isna().tolist() == [True, True, True, False]
