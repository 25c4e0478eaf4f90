"""What claims about narrow nets are judged by, on rows written by hand."""

import numpy as np
import pytest
from pandas import DataFrame

from helpers.experiments import imbalance
from helpers.experiments.narrow_nets import ARMS
from helpers.experiments.narrow_quantities import BY_INCEPTION, QUANTITIES


def rows(**columns):
    """A member of each of three blocks; the last one diverged."""
    whole = {name: [*values, np.nan] for name, values in columns.items()}
    return DataFrame({"block": [100, 101, 102], "member": 0, **whole})


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
    with pytest.raises(KeyError):
        asked["fid_gap_quarter"]({"cnn/4 js": js, "cnn/4 rs": rs})


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
    assert asked["js_gain_by_average"](arms) == [0.2, 0.25]
    assert asked["relative_gap_change"](arms) == pytest.approx([1.0 - 1.0, 0.0 - 0.25])


def test_what_spectral_norm_narrows():
    """Only seeds that have all four runs tell."""
    arms = {
        "cnn/8 js": rows(frechet=[11.0, 12.0]),
        "cnn/8 rs": rows(frechet=[10.0, 10.0]),
        "cnn/8 js without norm": rows(frechet=[30.0, 15.0]),
        "cnn/8 rs without norm": rows(frechet=[20.0, np.nan]),
    }
    asked = QUANTITIES["R22"]
    assert asked["eighth_gap"](arms) == pytest.approx([0.1, 0.2])
    assert asked["eighth_gap_without_norm"](arms) == pytest.approx([0.5])
    assert asked["norm_narrows_it"](arms) == pytest.approx([0.4])
    arms["cnn/8 js"] = arms["cnn/8 js"].tail(1)
    with pytest.raises(KeyError, match="cnn/8 js or cnn/8 rs has diverged"):
        asked["eighth_gap"](arms)


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
    with pytest.raises(KeyError, match="a run in which JS loses the rare digit"):
        imbalance.QUANTITIES["C30-2"]["js_loses_rs_is_right_mnist"](arms)
