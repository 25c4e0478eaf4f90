"""The two-cluster experiment against the released script, and what is made of its records."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers.analysis.coverage import shares_near
from helpers.datasets.synthetic import CENTRES, RADIUS
from helpers.experiments import two_clusters
from helpers.experiments.protocol import setting_of
from helpers.experiments.two_cluster_arms import UNEVEN
from helpers.experiments.two_cluster_training import (
    Setting,
    Size,
    Trained,
    collapse_loss,
    draw,
    real_shares,
    train,
)
from helpers.ledger import claims
from helpers.training.recording import Paused
from tests.oracles.released import released_loop


def size(members, iterations):
    return Size(members=members, iterations=iterations, lacks="most")


def script(name, seed, iterations):
    """The released loop, with its own draws: D's losses of every second iteration's last step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        z = 10 * (torch.rand(100, 1) - 0.5)
        random = np.random.RandomState(seed)
        points = [[0, 4][i % 2] + 0.3 * random.rand(1) for i in range(100)]
        data = torch.from_numpy(np.array(points, dtype="float32"))
        torch.manual_seed(seed)
        D = nn.Sequential(
            nn.Linear(1, 10), nn.Sigmoid(), nn.Linear(10, 10), nn.Sigmoid(), nn.Linear(10, 1)
        )
        G = nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1))
    losses = released_loop(name, G, D, z, data, iterations)
    return losses[1::2], G(z).detach()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["js", "rs"])
def test_released_script(name):
    """Two members side by side, a hundred iterations: the script's runs, to rounding."""
    found = train(Setting(name, script_seed=2), size(2, 100), seed=7)
    for member in range(2):
        losses, points = script(name, 2 + member, 100)
        np.testing.assert_array_equal(found.iterations, np.arange(2, 101, 2))
        np.testing.assert_allclose(found.loss[:, member], losses, rtol=1e-4)
        np.testing.assert_allclose(
            found.points[-1, member], points[::5, 0].half(), rtol=2e-3, atol=2e-3
        )
        shares = shares_near(points[None], CENTRES, RADIUS)[0]
        np.testing.assert_allclose(found.shares[-1, member], shares, atol=0.02)


def test_losses_share_networks_and_data():
    """The same seed: the same start for each loss. Another: another."""
    (js, data), (rs, same), (other, others) = (
        draw(Setting(loss), 2, seed=seed) for loss, seed in (("js", 0), ("rs", 0), ("js", 1))
    )
    weights = [each[1].discriminator[0].weight for each in (js, rs, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(data.reals, same.reals)
    assert not torch.equal(data.latents, others.latents)


@pytest.mark.slow
def test_weight_of_d():
    """Twice the loss at the same start, and other points soon after."""
    for lr, apart in ((1e-9, False), (1e-2, True)):
        for name in ("js", "rs"):
            one, two = (
                train(Setting(name, lr=lr, d_weight=weight), size(2, 20), seed=0)
                for weight in (1.0, 2.0)
            )
            assert np.allclose(two.loss, 2 * one.loss, rtol=1e-5) is not apart
            assert np.allclose(two.points, one.points, atol=1e-3) is not apart


def test_settings_are_drawn():
    """Twice the weights, other widths, five times as many points at 0."""
    changed = Setting("js", scale=2.0, imbalance=5)
    ((plain,), _), ((other,), samples) = (draw(s, 1, seed=0) for s in (Setting("js"), changed))
    for net, twice in zip(plain, other, strict=True):
        for weight, doubled in zip(net.parameters(), twice.parameters(), strict=True):
            assert torch.equal(2 * weight, doubled)
    assert (samples.reals > 2).sum() == 16 == 100 * real_shares(changed)[1]
    ((wide,), _) = draw(Setting("js", widths=(40, 20)), 1, seed=0)
    assert (wide.discriminator[0].out_features, wide.generator[0].out_features) == (40, 20)


@pytest.mark.parametrize("imbalance", [1, 1.5, 2, 5, 7])
def test_real_shares_are_those_of_the_data(imbalance):
    _, samples = draw(Setting(imbalance=imbalance), 1, seed=0)
    at_four = float((samples.reals > 2).double().mean())
    assert real_shares(Setting(imbalance=imbalance)) == pytest.approx([1 - at_four, at_four])


def trained(shares, loss, setting=None, **change):
    """One member with the reals alternating, and its points without regard to their partners."""
    shares = np.array(shares)[:, None, None, :]
    parts = {
        "setting": setting or Setting("js"),
        "iterations": np.arange(1, len(shares) + 1),
        "loss": np.array(loss, dtype=np.float32)[:, None],
        "pairs": np.concatenate([shares, shares], axis=2) / 2,
        "logits": np.zeros((len(shares), 1, 2)),
        "points": np.zeros((len(shares), 1, 20)),
        "diverged": {},
    }
    return Trained(**(parts | change))


ONE, BOTH = [1.0, 0.0], [0.5, 0.5]


def test_members_by_hand(monkeypatch):
    """Collapsed, covered, lost again and covered once more; D looks where its loss was least."""
    monkeypatch.setattr(two_clusters, "_EARLY", 3)
    logits = np.zeros((4, 1, 2))
    logits[2, 0] = [-1.0, 2.0]
    table = two_clusters.members_of(
        trained([ONE, BOTH, ONE, BOTH], [0.6, 0.7, 0.49, 0.69], logits=logits)
    )
    wanted = {
        "member": 0,
        "diverged": 0,
        "first": 2,
        "stable": 4,
        "collapsed": 2,
        "longest": 1,
        "covered": 2,
        "early": 1,
        "first_point": 2,
        "stable_point": 4,
        "longest_point": 1,
        "first_half": 2,
        "stable_half": 4,
        "longest_half": 1,
        "min_loss": pytest.approx(0.49),
        "at_zero": 0.5,
        "at_four": 0.5,
        "stay": 1,
        "occupied": 0.5,
        "abandoned": 0.5,
        "at_collapse": 0.5,  # the first and the third record
        "at_best": 0.25,  # the third: 0.49 is within 0.02 of 0.477
    }
    assert table.iloc[0].to_dict() == wanted
    again = trained([ONE, ONE, BOTH, BOTH], [0.6, 0.49, 0.7, 0.69], logits=logits[[0, 2, 1, 3]])
    row = two_clusters.members_of(again).iloc[0]
    assert row["stay"] == 2
    assert [row["occupied"], row["abandoned"]] == pytest.approx(1 / (1 + np.exp([1, -2])))


@pytest.mark.parametrize(
    "pairs, covered, at_point, stay",
    [
        ([[0, 50], [1, 49]], 1, 1, 1),  # one point at the first cluster
        ([[1, 49], [1, 49]], 1, 2, 1),  # two
        ([[2, 48], [3, 47]], 1, 2, 1),  # five, from reals of both clusters
        ([[0, 50], [5, 45]], 2, 2, 1),  # and of one
        ([[3, 47], [3, 47]], 2, 2, 1),  # six
        ([[45, 0], [45, 0]], 1, 1, 0),  # ninety
        ([[46, 0], [45, 0]], 1, 1, 1),  # ninety-one
    ],
)
def test_rounding_at_a_threshold_is_part_of_the_version(pairs, covered, at_point, stay):
    """What evidence was recorded with, for as long as its VERSION lasts."""
    shares = np.array(pairs, dtype=np.float32)[None, None] / np.float32(100)
    run = trained([BOTH], [0.6], pairs=shares)
    row = two_clusters.members_of(run).iloc[0]
    assert (row["covered"], row["stay"]) == (covered, stay)
    assert run.coverage(0.02).at_end.tolist() == [at_point]


def test_a_member_that_diverged():
    """It covers nothing, and has no number that it did not reach."""
    gone = trained([ONE, [np.nan] * 2], [0.6, np.nan], diverged={0: 2})
    row = two_clusters.members_of(gone).iloc[0]
    assert row["diverged"] == row["first"] == row["stable"] == 2
    assert row["covered"] == 0 and row["min_loss"] == pytest.approx(0.6)
    assert np.isnan(row["at_four"])
    assert two_clusters.reached_by(gone)["records"].sum() == 1


def test_every_member_diverges():
    """The run's length is that of the setting, whatever there was before the end."""
    wild = Setting("ls", lr=1e12)
    for count in (2, 300):
        found = two_clusters.measure(wild, size(2, count), seed=0)["members"]
        assert (found["diverged"] > 0).all() and (found["stable"] == count).all()
        assert (found["covered"] == 0).all()


def test_least_loss_of_states():
    """Claim 3.1 and 3.2 at collapse and at the data: log 2 there."""
    states = [ONE, BOTH, [0.0, 0.0]]
    js = trained(states, [0, 0, 0]).least()[:, 0]
    assert js == pytest.approx([0.477386, np.log(2), 0], abs=1e-6)
    rs = trained(states, [0, 0, 0], Setting("rs")).least()[:, 0]
    assert rs == pytest.approx([np.log(2) / 2, np.log(2), 0], abs=1e-6)
    for setting in (Setting("js"), Setting("hinge-linear"), Setting("rs", d_weight=0.5)):
        at_collapse = trained([ONE], [0], setting).least()[0, 0]
        assert at_collapse == pytest.approx(collapse_loss(setting))


def test_reached_by_hand():
    """Two records in one cell, one in another, and what is beyond the end in the last cell."""
    states = [ONE, ONE, BOTH, BOTH]
    found = two_clusters.reached_by(trained(states, [0.5, 0.5, 0.7, 3.0]))
    cells = {(row.least, row.loss): row.records for row in found.itertuples()}
    width = 0.85 / 40
    middle = {v: round((v // width + 0.5) * width, 4) for v in (0.477386, np.log(2), 0.5, 0.7)}
    assert cells == {
        (middle[0.477386], middle[0.5]): 2,
        (middle[np.log(2)], middle[0.7]): 1,
        (middle[np.log(2)], round(39.5 * width, 4)): 1,
    }


def test_course_by_hand():
    """The best, the typical and the worst of five, by when they cover both for good."""
    stable = [3, 1, 5, 2, 4]
    shares = np.array([[BOTH if t >= s else ONE for s in stable] for t in range(1, 6)])[:, :, None]
    run = replace(
        trained([ONE] * 5, [0] * 5),
        loss=np.tile(np.arange(5.0), (5, 1)),
        pairs=np.concatenate([shares, shares], axis=2) / 2,
        points=np.broadcast_to(np.arange(20.0), (5, 5, 20)),
    )
    course = two_clusters.course_of(run)
    seeds = course.drop_duplicates("seed").set_index("seed")["member"]
    assert seeds.to_dict() == {"best": 1, "typical": 0, "worst": 2}
    assert (course["loss"] == course["member"]).all() and len(course) == 15
    assert [c for c in course if c.startswith("point")] == [f"point {k}" for k in range(10)]
    assert course["point 9"].unique().tolist() == [18.0]


def test_every_arm_is_a_setting():
    """Arms are settings of their own, and what is wanted is there to be run."""
    settings = {arm: setting_of(two_clusters, "as released", arm) for arm in two_clusters.ARMS}
    assert len(set(settings.values())) == len(settings) == 55
    names = {field.name for field in fields(Setting)}
    assert all(names.issuperset(change) for change in two_clusters.ARMS.values())
    for wanted in two_clusters.WANTED:
        assert settings.keys() >= set(wanted.arms) and wanted.size in two_clusters.SIZES
        assert set(wanted.readings) <= two_clusters.READINGS.keys()
    assert {arm for wanted in two_clusters.WANTED for arm in wanted.arms} == settings.keys()
    grid = [two_clusters.grid_arm("rs", lr, scale) for lr in (0.003, 0.01) for scale in (1.0, 2.0)]
    assert [(settings[arm].lr, settings[arm].scale) for arm in grid] == [
        (0.003, 1.0),
        (0.003, 2.0),
        (0.01, 1.0),
        (0.01, 2.0),
    ]


@pytest.mark.slow
def test_interrupted_and_resumed(tmp_path):
    """Stopped three times on its way: the frames of a run that was not, to the bit."""
    setting, much = Setting("rs"), size(3, 40)
    calls = iter([False] * 6 + [True] + [False] * 10 + [True, True] + [False] * 100)
    pauses = 0
    while True:
        try:
            found = two_clusters.measure(
                setting, much, seed=4, folder=tmp_path, until=lambda: next(calls)
            )
            break
        except Paused:
            pauses += 1
    assert pauses == 3
    whole = two_clusters.measure(setting, much, seed=4)
    assert found.keys() == whole.keys() == {"members", "course", "reached"}
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def test_quick_sizes():
    """A quick block has a row for each member and column of the full one."""
    found = two_clusters.measure(
        Setting("hinge-linear"), replace(two_clusters.SIZES["quick"], iterations=20), seed=0
    )
    assert found.keys() == {"members"}
    members = found["members"]
    assert members["member"].tolist() == list(range(8)) and (members["first"] == 20).all()
    assert two_clusters.SIZES["full"] == Size(members=64, iterations=5000, lacks="nothing")


def rows(block=100, **columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"block": block, "member": range(count), **columns})


def test_quantities_by_hand():
    js = rows(
        min_loss=[0.5, 0.48],
        at_best=[0.25, 0.0],
        longest=[900, 20],
        first=[1000, 3000],
        stable=[2000, 4000],
        stay=[150, 80],
        occupied=[0.3, 0.5],
        abandoned=[0.9, 0.6],
        covered=[2, 2],
        early=[2, 1],
    )
    rs = rows(min_loss=[0.4], at_best=[1.0], longest=[100], first=[500], stable=[1000])
    found = {name: of({"js": js, "rs": rs}) for name, of in two_clusters.QUANTITIES["C17"].items()}
    assert found == {
        "js_min_d_loss_share": pytest.approx([0.5 - 0.477386, 1.0], abs=1e-6),
        "js_longest_collapse": [900, 20],
    }
    short = {"js": js.assign(longest=499)}
    assert two_clusters.QUANTITIES["C17"]["js_min_d_loss_share"](short) == [1.0, 1.0]
    # The stay of 80 iterations is none of those that count.
    found = {name: of({"js": js}) for name, of in two_clusters.QUANTITIES["C18"].items()}
    assert found == {"d_on_occupied_cluster": [0.3], "d_on_abandoned_cluster": [0.9]}
    # Only the first member has a partner.
    found = two_clusters.QUANTITIES["C19"]["collapse_js_minus_rs"]({"js": js, "rs": rs})
    assert found == [800]
    slow = rows(first=[1000], stable=[2000], longest=[950])
    both = {"js": js, "rs": rs, "rs D at JS's rate": slow}
    assert two_clusters.QUANTITIES["C19"]["collapse_at_equal_rates"](both) == [-50]
    assert two_clusters.QUANTITIES["C19"]["rs_min_d_loss_share"](both) == pytest.approx(
        [0.0534], abs=1e-4
    )
    assert {name: of(both) for name, of in two_clusters.QUANTITIES["C20"].items()} == {
        "first_cover_at_equal_rates": pytest.approx([1.0]),
        "rs_first_cover": [500],
        "first_cover_js_over_rs": pytest.approx([2.0]),
        "stable_cover_js_over_rs": pytest.approx([2.0]),
    }
    # Of the lead, log 2, there is log 1.25 left or nothing: at both rates more than half is gone.
    both |= {"js D at RS's rate": rows(first=[625], stable=[1250])}
    assert {name: of(both) for name, of in two_clusters.QUANTITIES["R01"].items()} == {
        "first_at_rs_rate": pytest.approx([np.log(2) - 2 * np.log(1.25)]),
        "stable_at_rs_rate": pytest.approx([np.log(2) - 2 * np.log(1.25)]),
        "first_at_js_rate": pytest.approx([np.log(2)]),
        "stable_at_js_rate": pytest.approx([np.log(2)]),
    }
    assert two_clusters.QUANTITIES["C34"]["cover_gain_with_time"](both) == 0.5


def test_imbalance_is_chosen_by_half_of_the_seeds_and_judged_on_the_others():
    """A setting in which only the choosing half does as the claim says is chosen, and fails."""

    def arms(js, rs):
        """Ends of four members each; those of 4:1 apart from all others."""
        own = {
            f"{loss} {label}": rows(at_four=[0.5] * 4) for label in UNEVEN for loss in ("js", "rs")
        }
        return own | {"js 4:1": rows(at_four=js), "rs 4:1": rows(at_four=rs)}

    quantities = two_clusters.QUANTITIES["C30"]
    right = float(real_shares(Setting(imbalance=4))[1])
    chosen = arms([0.0, 0.01, 0.0, 0.4], [right, right + 0.04, 0.1, 0.0])
    assert two_clusters.uneven(chosen) == "4:1"
    assert quantities["js_loses_alone"](chosen) == [1, -1]
    assert quantities["js_loses_rs_is_right"](chosen) == [0, 0]
    assert quantities["js_minor_share"](chosen) == [0.0, 0.4]
    assert quantities["rs_proportion_error"](chosen) == pytest.approx([right - 0.1, right])
    ends = two_clusters.proportions(chosen)
    shares = ends.groupby(["imbalance", "loss"])[["lost", "right"]].mean()
    assert shares.loc[("4:1", "js")].tolist() == [0.75, 0.0]
    assert shares.loc[("4:1", "rs")].tolist() == [0.25, 0.5]
    assert two_clusters.proportions({"js 4:1": chosen["js 4:1"]}).empty
    # In one and the same pair both losses have to do their part.
    apart = arms([0.0, 0.5, 0.0, 0.5], [0.5, right, 0.5, right])
    assert two_clusters.uneven(apart) == UNEVEN[0]
    held = arms([0.0] * 4, [right] * 4)
    assert quantities["js_loses_rs_is_right"](held) == [1, 1]
    assert quantities["js_loses_alone"](held) == [1, 1]
    for name in ("js_loses_alone", "js_minor_share", "rs_proportion_error"):
        with pytest.raises(KeyError):
            quantities[name]({arm: own for arm, own in chosen.items() if arm != "rs 6:1"})


def test_at_equal_rates_a_separable_loss_learns_twice_as_fast():
    """The same points as with twice D's loss, recorded as the paper's; pairing losses stay."""
    equal, doubled = (
        train(Setting("js", **change), size(2, 20), seed=0)
        for change in ({"equal_rates": True}, {"d_weight": 2.0})
    )
    assert np.array_equal(equal.points, doubled.points)
    assert np.array_equal(2 * equal.loss, doubled.loss) and equal.least().max() < 0.7
    assert Setting("rs", equal_rates=True) == Setting("rs")
    assert Setting("hinge-linear", equal_rates=True) != Setting("hinge-linear")


def test_twice_as_long_is_the_same_training_gone_on_with():
    long, short = (train(Setting("js", longer=n), size(2, 10), seed=0) for n in (2, 1))
    assert long.iterations[-1] == 20 and np.array_equal(long.points[:5], short.points)


def test_quantities_of_width_and_imbalance_by_hand():
    narrow = rows(stable=[100, 300], collapsed=[50, 70], early=[1, 2])
    wide = rows(stable=[40, 60], collapsed=[10, 20], early=[2, 2])
    widths = {
        f"{n} {w}": of for n in ("js", "rs") for w, of in {"5, 3": narrow, "40, 20": wide}.items()
    }
    assert {name: of(widths) for name, of in two_clusters.QUANTITIES["C21"].items()} == {
        "js_speedup_with_width": pytest.approx([2.5, 5.0]),
        "rs_speedup_with_width": pytest.approx([2.5, 5.0]),
        "js_collapse_time_saved": [40, 50],
        "js_collapse_time_over_half": [40 - 30, 50 - 120],
    }
    assert two_clusters.QUANTITIES["C34"]["cover_gain_with_width"](widths) == 0.5
    change = two_clusters.QUANTITIES["C30"]["js_collapse_value_change"]({})
    # With all points where the reals have a share p the optimal D is p / (1 + p) there.
    large = 5 / 6
    value = large * np.log(large / (1 + large)) + np.log(1 / (1 + large))
    even = 0.5 * np.log(0.5 / 1.5) + np.log(1 / 1.5)
    assert change == pytest.approx((value - even) / 2)


def test_tuned_is_chosen_on_one_block_and_judged_on_another():
    """The arm that was best on the block of choice counts, with its other block's numbers."""

    def blocks(first, second):
        return pd.concat([rows(100, stable=first), rows(101, stable=second)])

    arms = {
        two_clusters.grid_arm("js", lr, scale): blocks([900], [100])
        for lr in two_clusters.RATES
        for scale in two_clusters.SCALES
    }
    arms["js"] = blocks([5000], [2000, 2200])
    arms["js lr 0.03 scale 0.5"] = blocks([300], [400, 500])
    quantity = two_clusters.QUANTITIES["C34"]["tuned_stable_cover"]
    assert two_clusters.tuned_arm(arms) == "js lr 0.03 scale 0.5"
    assert quantity(arms) == pytest.approx([2000 / 400, 2200 / 500])
    for arm in ("js", "js lr 0.03 scale 0.5"):
        short = arms | {arm: arms[arm].query("block == 100")}
        with pytest.raises(KeyError, match="a second block"):
            quantity(short)
    with pytest.raises(KeyError, match="block 100 of js"):
        quantity(arms | {"js": arms["js"].query("block == 101")})


def test_quantities_that_are_missing():
    """An arm without rows, and no member that stays at one cluster."""
    for of in (of for own in two_clusters.QUANTITIES.values() for of in own.values()):
        if of is not two_clusters.QUANTITIES["C30"]["js_collapse_value_change"]:
            with pytest.raises(KeyError):
                of({})
    with pytest.raises(KeyError, match="stays at one cluster"):
        two_clusters.sitting(rows(stay=[0, 0]))


def test_names_of_quantities_are_those_of_the_claims():
    for claim, own in two_clusters.QUANTITIES.items():
        known = claims.find(claim)["quantities"]
        assert [q["name"] for q in known if q["experiment"] == "two_clusters"] == list(own)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"loss": "jsd"}, "unknown loss 'jsd'; there are js, hinge"),
        ({"loss": "wgan"}, "the losses with an exact landscape are js"),
        ({"members": 0}, "members is a whole number, 1 or more, got 0"),
        ({"imbalance": 0.5}, "imbalance is a finite number, 1 or more, got 0.5"),
        ({"longer": 0}, "longer is a whole number, 1 or more, got 0"),
        ({"imbalance": 100}, "each of the two clusters needs a point"),
        ({"iterations": 1}, "iterations is a whole number, 2"),
        ({"iterations": -1}, "iterations is a whole number, 2"),
        ({"iterations": None}, "iterations is a whole number, 2"),
    ],
)
def test_refused(change, message):
    given = {"loss": "js", "members": 2, "iterations": 4} | change
    much = {name: given.pop(name) for name in ("members", "iterations")}
    with pytest.raises(ValueError, match=message):
        train(Setting(**given), Size(**much, lacks="most"), seed=0)


def test_who_loses_the_small_cluster():
    """Of four pairs at 2:1: both, JS alone with RS right, RS alone, neither; none at 3:1."""
    one = {"block": [0] * 4, "member": range(4)}
    rows = {
        "js 2:1": pd.DataFrame(one | {"at_four": [0.0, 0.0, 0.3, 0.3]}),
        "rs 2:1": pd.DataFrame(one | {"at_four": [0.0, 1 / 3, 0.0, 0.3]}),
        "js 3:1": pd.DataFrame(one | {"at_four": [0.0] * 4}),
    }
    found = two_clusters.losing(rows)
    assert found.index.tolist() == ["2:1"]
    assert found.loc["2:1"].to_dict() == {
        **{"js_lost": 50, "rs_lost": 50, "as_shown": 25},
        **{"js_alone": 1, "rs_alone": 1, "pairs": 4, "p_value": 1},
    }
    assert not len(two_clusters.losing({}))
