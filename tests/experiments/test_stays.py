"""Where training stays with one cluster: the places, what is measured there, and what is judged."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.experiments import stay_points, stays
from helpers.experiments.protocol import setting_of
from helpers.experiments.stay_points import Member, member_of
from helpers.experiments.stays import Size
from helpers.experiments.two_cluster_training import Setting, Trained, draw
from helpers.games.game import Game
from tests.common import paused_and_resumed

ONE, BOTH, NONE = [1.0, 0.0], [0.5, 0.5], [0.0, 0.0]


def size(members=2, iterations=20, shortest=6, every=4):
    return Size(
        members=members, iterations=iterations, shortest=shortest, every=every, lacks="most"
    )


def trained(*members):
    """Members whose records, ten iterations apart, are in these states; three weights each."""
    shares = np.array(members, dtype=float).transpose(1, 0, 2)
    count = len(shares)
    steps = {k: float(k) ** 2 * torch.ones(len(members), 3) for k in range(0, 10 * count + 1, 20)}
    return Trained(
        setting=Setting("js"),
        iterations=np.arange(10, 10 * count + 1, 10),
        loss=np.zeros((count, len(members)), dtype=np.float32),
        pairs=np.stack([shares, shares], axis=2) / 2,
        logits=np.zeros((count, len(members), 2)),
        points=np.zeros((count, len(members), 20)),
        diverged={},
        weights=steps,
    )


def test_places_by_hand():
    """A stay, half way to full coverage, and full coverage."""
    found = stays.places_of(trained([ONE] * 6 + [NONE] + [BOTH] * 5), 50)
    # Distances of k^2 (1, 1, 1) from the one in the middle.
    radius = [np.sqrt(3) * each for each in (60**2 - 20**2, 80**2 - 60**2, 120**2 - 100**2)]
    assert found.to_dict("list") == {
        "member": [0, 0, 0],
        "place": ["stay", "between", "full"],
        "number": [0, 0, 1],
        "start": [0, 60, 80],
        "end": [60, 80, 120],
        "last": [False, False, True],
        "iteration": [20, 60, 100],
        "left": [40, 20, 20],
        "radius": pytest.approx(radius, rel=1e-6),
    }


def test_stays_without_an_end_and_several_of_them():
    """The first member stays to the end, the second has two stays and is lost, the third none."""
    found = stays.places_of(
        trained([BOTH] * 4 + [ONE] * 8, [ONE] * 5 + [BOTH] + [ONE] * 5 + [NONE], [BOTH] * 12), 50
    )
    assert found[["member", "place", "number", "start", "end", "last"]].values.tolist() == [
        [0, "stay", 0, 40, 120, True],
        [1, "stay", 0, 0, 50, False],
        [1, "stay", 1, 60, 110, False],
    ]
    assert not len(stays.places_of(trained([ONE] * 12), 130))


def numbers(**columns):
    """Rows of points with these columns; all other numbers tell the rows apart."""
    count = len(columns["place"])
    names = {*stays._OF_STAY, *stays._OF_OTHERS["full"]} - set(columns)
    rest = {name: [100.0 * k + row for row in range(count)] for k, name in enumerate(sorted(names))}
    return pd.DataFrame(columns | rest)


def test_members_by_hand():
    """Each column is that of the longest stay, or of the place that follows it."""
    points = numbers(
        member=[0, 0, 0, 0, 0, 1],
        place=["stay", "between", "stay", "between", "full", "stay"],
        number=[0, 0, 1, 1, 2, 0],
        start=[0, 50, 100, 180, 200, 0],
        end=[50, 200, 180, 200, 240, 240],
        found=[1.0, np.nan, 0.0, np.nan, 1.0, 1.0],
        weak=[1.0, np.nan, 0.0, np.nan, 1.0, 0.0],
    )
    table = stays.members_of(trained([ONE] * 20 + [BOTH] * 4, [ONE] * 24, [BOTH] * 24), points)
    assert table["stays"].tolist() == [2, 1, 0]
    assert table["at_rest"].tolist() == [1, 1, 0] and table["at_nash"].tolist() == [1, 0, 0]
    assert table["longest"].tolist() == [200, 240, 0] and table["covered"].tolist() == [2, 1, 2]
    for name in stays._OF_STAY:
        assert table[name].tolist() == pytest.approx(
            [points[name][2], points[name][5], np.nan], nan_ok=True
        ), name
    for place, row in (("between", 3), ("full", 4)):
        for name in stays._OF_OTHERS[place]:
            own = table[f"{place}_{name}"]
            assert own[0] == points[name][row] and own[1:].isna().all(), name


@pytest.fixture(scope="module")
def run():
    """A short training with its weights, and what it was trained on."""
    setting = Setting("js")
    much = size()
    return stays.train(setting, much, seed=3), draw(setting, much.members, seed=3)[1]


def test_weights_are_those_of_the_training(run):
    """G of the kept weights makes the points that were recorded, in float32."""
    found, samples = run
    assert sorted(found.weights) == [0, 4, 8, 12, 16, 20]
    for who in range(2):
        member = member_of(found.setting, samples, who)
        for k in (8, 20):
            point, row = found.weights[k][who].double(), int(k // 2 - 1)
            covers = (found.shares[row, who] >= 0.05).tolist()
            assert list(member.covers(point)) == covers
            made = member.generator(member.latents)[::5, 0].detach()
            assert made.numpy() == pytest.approx(found.points[row, who].astype(float), abs=4e-3)


@pytest.mark.parametrize("arm", stays.ARMS)
def test_the_game_is_the_one_that_was_trained(arm):
    """One step of plain descent of each player in turn, by the game's own field."""
    setting = replace(setting_of(stays, "as released", arm), momentum=0.0, steps=(1, 1))
    found = stays.train(setting, size(iterations=4, every=1), seed=3)
    member = member_of(setting, draw(setting, 2, seed=3)[1], 1)
    before, after = (found.weights[k][1].double() for k in (2, 3))
    p = member.game.sizes[0]
    moved = before.clone()
    moved[p:] -= setting.lr * member.game.vector_field(moved)[p:]
    moved[:p] -= setting.lr * member.game.vector_field(moved)[:p]
    step = float((after - before).norm())
    assert float((moved - after).norm()) < 1e-3 * step


def test_numbers_at_a_point_agree(run):
    """The flow's growth is the lowest real part; without momentum and at small rates, all do."""
    found, samples = run
    point = found.weights[20][0].double()
    member = member_of(found.setting, samples, 0)
    curved, _ = stay_points.curvature(member, point)
    assert curved["norm"] == pytest.approx(float(member.game.vector_field(point).norm()))
    grown = stay_points.growth(found.setting, member, point)
    assert grown["grow_flow"] == pytest.approx(-curved["lowest"], rel=1e-6)
    grown = stay_points.growth(replace(found.setting, lr=1e-6), member, point)
    assert list(grown.values()) == pytest.approx([grown["grow_flow"]] * 4, rel=1e-2)
    with pytest.raises(ValueError, match=r"takes equal steps, got \(5, 10\)"):
        stay_points.time_of(Setting("js", steps=(5, 10)))


class _Pulled(Member):
    """G's only weight falls as exp(-t); one cluster is covered while it is above a half."""

    def covers(self, point):
        return bool(point[0] > 0.5), False


def pulled():
    game = Game(lambda t, p: (t**2 / 2).sum(), lambda t, p: (p**2 / 2).sum(), (1, 1))
    return _Pulled(game, torch.nn.Identity(), torch.zeros(1, 1))


def test_how_long_the_flow_stays():
    """Until log 2, seen at the next look; until the end, if it is sooner; over two windows."""
    start = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert stay_points.flow_stays(pulled(), start, 90) == pytest.approx(2.0)
    assert stay_points.flow_stays(pulled(), start, 0.5) == pytest.approx(0.5)
    far = torch.tensor([0.5 * np.exp(23.5), 0.0], dtype=torch.float64)
    assert stay_points.flow_stays(pulled(), far, 90) == pytest.approx(24.0)


def test_what_counts_as_a_point_here():
    """Within the radius and with the same cluster covered; else there is none here."""
    start = torch.tensor([0.9, 0.1], dtype=torch.float64)
    # The point at rest is 0, where no cluster is covered.
    found = stay_points.refined(pulled(), start, 2.0)
    assert (found["found"], found["same"], found["nash"]) == (0, 0, 0)
    assert found["residual"] <= 1e-10 and found["rest_own"] == pytest.approx(1)
    near = torch.tensor([0.2, 0.1], dtype=torch.float64)  # none is covered here either
    found = stay_points.refined(pulled(), near, 0.5)
    assert (found["found"], found["stable"], found["nash"], found["weak"]) == (1, 1, 1, 1)
    assert found["moved"] == pytest.approx(np.hypot(0.2, 0.1) / 0.5)
    found = stay_points.refined(pulled(), near, 0.1)
    assert (found["found"], found["same"], found["nash"]) == (0, 1, 0)


@pytest.mark.slow
def test_interrupted_and_resumed(tmp_path):
    """Stopped in training and between members: the frames of a run that was not, to the bit."""
    setting, much = Setting("rs"), size(members=3)
    found, pauses = paused_and_resumed(partial(stays.measure, setting, much, seed=0), tmp_path)
    assert pauses == 2 and len(found["points"])
    empty = set(found["points"].columns[found["points"].isna().all()])
    # No number of a place is lost; a point at rest need not be there.
    assert empty <= {"rest_lowest", "rest_resolution", "rest_own", "rest_own_resolution"}
    whole = stays.measure(setting, much, seed=0)
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def test_no_stay_at_all():
    """The columns are those of any other run, and every member has its row."""
    found = stays.measure(Setting("js"), size(iterations=4, shortest=500), seed=0)
    assert set(stays._NUMBERS) < set(found["points"]) and not len(found["points"])
    assert found["members"]["stays"].tolist() == [0, 0]
    assert found["members"][[*stays._OF_STAY]].isna().all(axis=None)


def test_what_is_wanted():
    """512 seeds of JS and RS, 64 of the others, at the length of the script; stays as in C17."""
    seeds = {arm: 0 for arm in stays.ARMS}
    for wanted in stays.WANTED:
        for arm in wanted.arms:
            seeds[arm] += len(wanted.blocks) * stays.SIZES[wanted.size].members
    assert seeds == {"js": 512, "rs": 512, "js D at RS's rate": 64, "hinge": 64, "ls": 64}
    assert stays.SIZES["full"] == Size(
        members=64, iterations=5000, shortest=500, every=50, lacks="nothing"
    )


def rows(**columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"block": 100, "member": range(count), **columns})


def test_quantities_by_hand():
    """Only members with a stay count; those that stay to the end have no time of escape."""
    js = rows(
        stays=[0, 2, 1, 1],
        at_rest=[0, 1, 0, 0],
        at_nash=[0, 0, 0, 0],
        longest=[100, 900, 600, 800],
        last=[np.nan, 0.0, 0.0, 1.0],
        left=[np.nan, 400.0, 100.0, 200.0],
        flow_left=[np.nan, 200.0, 200.0, 400.0],
        grow_flow=[np.nan, 0.1, 0.4, 0.2],
        grow_method=[np.nan, 0.1, 0.2, 0.1],
        top_d=[np.nan, 10.0, 1.0, 5.0],
        full_top_d=[np.nan, 1.0, 10.0, np.nan],
        top_g=[np.nan, 1.0, 1.0, 1.0],
        full_top_g=[np.nan, 1.0, 100.0, np.nan],
        residual=[np.nan, 1e-11, 1e-5, 1e-5],
        away=[np.nan, 0.0, 1.0, 0.0],
        stuck=[np.nan, 0.0, 0.0, 0.0],
    )
    rs = rows(stays=[0, 1, 0, 0], at_rest=[0, 0, 0, 0], longest=[60, 500, 400, 100])
    quick = rows(longest=[80, 700, 300, 200])
    arms = {"js": js, "rs": rs, "js D at RS's rate": quick}
    found = {
        claim: {name: of(arms) for name, of in quantities.items()}
        for claim, quantities in stays.QUANTITIES.items()
    }
    assert found["R10"] == {
        "js_at_nash": [0, 0, 0],
        "js_at_rest": [1, 0, 0],
        "js_searches_ended": [1, 1, 0],
    }
    assert found["R11"] == {
        "d_log_sharpness": pytest.approx([1, -1]),
        "g_log_sharpness": pytest.approx([0, -2]),
    }
    assert found["R12"]["rs_stays"] == [0, 1, 0, 0]
    assert found["R12"]["gone_at_equal_rates"] == [40 - 40, 400 - 400, 200 + 200, 700 - 200]
    assert found["R13"]["e_folds_left"] == pytest.approx([40, 40])
    assert found["R13"]["method_over_flow"] == pytest.approx([1, 0.5, 0.5])
    assert found["R13"]["flow_over_method_time"] == pytest.approx([-np.log(2), np.log(2)])


def test_quantities_without_a_stay():
    """Such an arm has no number yet, and leaves its claims open."""
    none = rows(stays=[0, 0], at_rest=[0, 0], at_nash=[0, 0], last=[np.nan] * 2)
    for claim, name in (
        ("R10", "js_at_nash"),
        ("R11", "d_log_sharpness"),
        ("R13", "e_folds_left"),
    ):
        with pytest.raises(KeyError, match="stay"):
            stays.QUANTITIES[claim][name]({"js": none})


def test_a_search_beside_a_known_rest():
    """Found under JS, missed under RS, which is why R10 is about JS alone."""
    js, rs = (stay_points.beside_rest(loss, members=2) for loss in ("js", "rs"))
    assert (js["at rest"], js["walked away"]) == (2, 0) and js["norm of the field"] < 1e-10
    assert (rs["at rest"], rs["walked away"]) == (0, 2) and 1e-10 < rs["norm of the field"] < 1e-3
