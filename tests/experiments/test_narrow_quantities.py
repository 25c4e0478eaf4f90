"""What claims about narrow nets are judged by, on rows written by hand."""

import numpy as np
import pytest
from pandas import DataFrame, concat

from helpers.experiments import imbalance
from helpers.experiments.narrow_nets import ARMS
from helpers.experiments.narrow_quantities import BY_INCEPTION, QUANTITIES, gap_table

INF = float("inf")


def rows(**columns):
    """Members of blocks from 100 on."""
    count = len(next(iter(columns.values())))
    return DataFrame({"block": np.arange(100, 100 + count), "member": 0, **columns})


def test_gaps_in_points_of_inception():
    """They ask for arms that Inception judges, and for no others; scores go the other way round."""
    js, rs = rows(frechet=[50.0, 40.0], score=[6.0, 6.5]), rows(frechet=[45.0, 42.0], score=[7, 6])
    arms = {BY_INCEPTION + "cnn/4 js": js, BY_INCEPTION + "cnn/4 rs": rs.iloc[::-1]}
    asked = QUANTITIES["C22-3"]
    assert asked["fid_gap_quarter"](arms) == [5.0, -2.0]
    assert asked["is_gap_quarter"](arms) == [1.0, -0.5]
    assert sorted(asked["fid_rs_quarter"](arms)) == [42.0, 45.0]
    with pytest.raises(KeyError):
        asked["fid_gap_half"](arms)
    # Half as wide there are other seeds, too, which say nothing about what narrowing does.
    more = rows(frechet=[1.0, 3.0, 2.0]).assign(block=[101, 99, 100])
    half = {"cnn/2 js": more, "cnn/2 rs": rows(frechet=[0.0, 0.0])}
    arms |= {BY_INCEPTION + arm: own for arm, own in half.items()}
    assert asked["fid_gap_quarter_over_half"](arms) == [5.0 - 2.0, -2.0 - 1.0]
    with pytest.raises(KeyError):
        asked["fid_gap_quarter"]({"cnn/4 js": js, "cnn/4 rs": rs})


def test_one_that_diverged_is_the_worst_there_is():
    """JS alone, RS alone, both."""
    bad = np.nan
    js = rows(frechet=[bad, 40.0, bad], score=[bad, 6.0, bad], diverged=[7, 0, 9])
    rs = rows(frechet=[50.0, bad, bad], score=[5.0, bad, bad], diverged=[0, 3, 9])
    arms = {BY_INCEPTION + "cnn/4 js": js, BY_INCEPTION + "cnn/4 rs": rs}
    asked = QUANTITIES["C22-3"]
    assert asked["fid_gap_quarter"](arms) == [INF, -INF, 0.0]
    assert asked["is_gap_quarter"](arms) == [4.0, -5.0, 0.0]
    assert asked["fid_rs_quarter"](arms) == [50.0, INF, INF]
    named = {"cnn/8 js": js, "cnn/8 rs": rs}
    assert QUANTITIES["R22"]["eighth_gap"](named) == [INF, -1.0, 0.0]
    members = concat([own.assign(arm=arm) for arm, own in named.items()])
    (row,) = gap_table(members).to_dict("index").values()
    assert (row["gap"], row["low"], row["high"]) == (0.0, -1.0, INF)
    assert (row["pairs"], row["diverged"]) == (3, 4)


def test_what_averages_change():
    js = rows(frechet=[50.0, 40.0], average_frechet=[40.0, 30.0])
    rs = rows(frechet=[25.0, 32.0], average_frechet=[20.0, 30.0])
    arms = {f"{BY_INCEPTION}resnet/1 {name}": each for name, each in (("js", js), ("rs", rs))}
    arms[BY_INCEPTION + "resnet/2 bottleneck rs"] = rs
    asked = QUANTITIES["C32"]
    assert asked["smallest_ema_gain"](arms) == [5.0, 2.0]
    assert asked["gap_change"](arms) == [20.0 - 25.0, 0.0 - 8.0]
    assert asked["fid_rs_bottleneck_ema"](arms) == [20.0, 30.0]
    asked, arms = QUANTITIES["R23"], {"cnn/4 js": js, "cnn/4 rs": rs}
    assert asked["js_gain_by_average"](arms) == pytest.approx([0.2, 0.25])
    assert asked["relative_gap_change"](arms) == pytest.approx([1.0 - 1.0, 0.0 - 0.25])
    # Of a pair with a run that diverged there is no gap that the average could have kept.
    wild = js.assign(frechet=[np.nan, 40.0], average_frechet=[np.nan, 30.0])
    found = asked["relative_gap_change"](arms | {"cnn/4 js": wild})
    assert found == pytest.approx([0.0 - 0.25])
    with pytest.raises(KeyError, match="a pair of which no run diverges"):
        asked["relative_gap_change"](arms | {"cnn/4 js": wild.iloc[:1]})
    with pytest.raises(KeyError, match="a run of cnn/4 js that does not diverge"):
        asked["js_gain_by_average"]({"cnn/4 js": js.assign(frechet=np.nan)})


def test_what_spectral_norm_and_width_do():
    """Only seeds that have all four runs tell."""
    arms = {
        "cnn/8 js": rows(frechet=[11.0, 12.0]),
        "cnn/8 rs": rows(frechet=[10.0, 10.0]),
        "cnn/8 js without norm": rows(frechet=[30.0, 15.0]),
        "cnn/8 rs without norm": rows(frechet=[20.0]),
        "cnn/4 js": rows(frechet=[11.0, 11.0]),
        "cnn/4 rs": rows(frechet=[10.0, 10.0]),
    }
    asked = QUANTITIES["R22"]
    assert asked["eighth_gap"](arms) == pytest.approx([0.1, 0.2])
    assert asked["eighth_gap_without_norm"](arms) == pytest.approx([0.5])
    assert asked["norm_narrows_it"](arms) == pytest.approx([0.4])
    assert asked["narrower_is_wider"](arms) == pytest.approx([0.0, 0.1])


def test_names_of_nets():
    """What is left of an arm's name without its loss; arms without a partner have no row."""
    names = ["cnn/8 js without norm", "cnn/8 rs without norm", "js 0.0001", "rs 0.0001", "cnn/1 js"]
    table = {"block": 0, "member": 0, "diverged": 0, "frechet": [4.0, 2.0, 3.0, 3.0, 1.0]}
    found = gap_table(DataFrame({"arm": names, **table}))
    assert found["gap"].to_dict() == {"cnn/8 without norm": 1.0, "0.0001": 0.0}
    assert len(gap_table(DataFrame({"arm": ["cnn/1 js"], **table | {"frechet": 1.0}}))) == 0


class Asked(dict):
    """Rows of every arm there is, all alike."""

    def __missing__(self, arm):
        assert arm in ARMS
        table = rows(frechet=[50.0, 40.0], average_frechet=[40.0, 30.0], score=[6.0, 6.5])
        return table


@pytest.mark.parametrize("claim", QUANTITIES)
def test_arms_that_are_asked_for_exist(claim):
    for quantity in QUANTITIES[claim].values():
        assert len(quantity(Asked())) >= 1


def test_who_loses_the_rare_digit():
    """JS alone, RS alone, neither, both; and RS by diverging, where its share is 1 away."""
    table = {"block": [100, 101, 102, 103, 104], "member": 0}
    js = {"lost": [1.0, 0, 0, 1, 0], "lasting": [400.0, 100, 300, 500, 100]}
    rs = {"lost": [0.0, 1, 0, 1, 1], "lasting": [100.0, 500, 300, 500, 5000]}
    js["excess"], rs["excess"] = [-0.15, 0.1, -0.05, -0.15, 0.1], [0.02, -0.15, 0.08, -0.15, np.nan]
    arms = {"js 5:1": DataFrame(table | js), "rs 5:1": DataFrame(table | rs).iloc[::-1]}
    asked = imbalance.QUANTITIES["C30-2"]
    assert asked["js_loses_five_alone"](arms) == [1, -1, 0, 0, -1]
    assert asked["js_loses_rs_is_right_mnist"](arms) == [1, 0]
    assert asked["rs_error_mnist"](arms) == pytest.approx([0.02, 0.15, 0.08, 0.15, 1])
    asked = imbalance.QUANTITIES["R21"]
    assert asked["pairing_is_nearer"](arms) == pytest.approx([0.13, -0.05, -0.03, 0, -0.9])
    assert asked["pairing_is_sooner"](arms) == pytest.approx(np.log([4, 0.2, 1, 1, 0.02]))
    arms["js 5:1"] = arms["js 5:1"].assign(lost=0.0)
    found = imbalance.QUANTITIES["C30-2"]["js_loses_rs_is_right_mnist"](arms)
    assert found == [0, 0, 0, 0, 0]  # in no pair: the claim fails, and is not left open
