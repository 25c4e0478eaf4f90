"""What claims about the two clusters of Sun et al. 2020 are judged by, from the members' rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, Series, concat
from scipy.stats import binomtest

from helpers.analysis.coverage import least_loss
from helpers.experiments.ensembles import difference, log_ratio, paired, ratio
from helpers.experiments.protocol import Quantity, Rows
from helpers.experiments.two_cluster_arms import CHANGES, RATES, SCALES, UNEVEN, grid_arm
from helpers.experiments.two_cluster_training import Setting, collapse_loss, real_shares

_LONG = 500  # iterations of a collapse that lingers
_LOST, _RIGHT = 0.01, 0.05  # shares this small count as none; this near the true one, as right
# The setting that suits JS best is chosen on the first deciding block and judged on others.
_CHOICE = 100
_RS_RATE, _JS_RATE = ("js D at RS's rate", "rs"), ("js", "rs D at JS's rate")  # equal rates of D


def sitting(rows: DataFrame) -> DataFrame:
    """The members with a stay of 100 iterations or more; in shorter runs, with the longest stay.

    Raises:
        KeyError: if there is no stay at all.
    """
    least = min(100, rows["stay"].max())
    if not least > 0:
        raise KeyError("a member that stays at one cluster")
    return rows[rows["stay"] >= least]


def tuned_arm(rows: Rows) -> str:
    """JS's arm, by rate and scale, that covers both clusters for good soonest, on one block.

    Raises:
        KeyError: for an arm without that block.
    """

    def median(arm: str) -> float:
        own = rows[arm]
        chosen = own.loc[own["block"] == _CHOICE, "stable"]
        if not len(chosen):
            raise KeyError(f"block {_CHOICE} of {arm}")
        return float(chosen.median())

    return min((grid_arm("js", lr, scale) for lr in RATES for scale in SCALES), key=median)


def _covering(rows: Rows, arm: str, column: str) -> float:
    return float((rows[arm][column] == 2).mean())


def _gone(rows: Rows, column: str, equal: tuple[str, str]) -> list[float]:
    """RS's lead as released minus twice the one at equal rates: above 0 where most of it is gone.

    One number for each member that all arms have.
    """
    left = log_ratio(rows, *equal, column)
    return (log_ratio(rows, "js", "rs", column) - 2 * left).dropna().tolist()


def proportions(rows: Rows) -> DataFrame:
    """A row per member of JS and of RS, for each imbalance of `UNEVEN` that has both.

    Columns "imbalance", "loss", "block", "member", and whether its points end without the small
    cluster ("lost": at most one in a hundred there), or with its true share ("right": to within
    0.05).
    """
    parts = []
    for label in UNEVEN:
        both = {loss: rows.get(f"{loss} {label}") for loss in ("js", "rs")}
        for loss, own in both.items():
            if own is not None and all(other is not None for other in both.values()):
                found = own[["block", "member"]].assign(imbalance=label, loss=loss)
                found["lost"] = own["at_four"] <= _LOST
                parts.append(found.assign(right=(own["at_four"] - _true(label)).abs() <= _RIGHT))
    return concat(parts, ignore_index=True) if parts else DataFrame()


def pairs(rows: Rows, label: str) -> DataFrame:
    """A row per pair from one start, named by "block" and "member", at an imbalance.

    Columns "js" and "rs", whether they lose the small cluster, and "both", whether JS loses it
    and RS has its true share, as C30 says; "js_share" of its points there, and "rs_off", how far
    RS's share is from the true one.

    Raises:
        KeyError: if an arm is missing.
    """
    both = paired(rows, f"js {label}", f"rs {label}", "at_four")
    lost, off = both <= _LOST, (both["other"] - _true(label)).abs()
    found = DataFrame({"js": lost["one"], "rs": lost["other"]})
    found["both"] = found["js"] & (off <= _RIGHT)
    return found.assign(js_share=both["one"], rs_off=off)


def losing(rows: Rows) -> DataFrame:
    """Who loses the small cluster, a row per imbalance of `UNEVEN` that both losses have.

    Columns "js_lost" and "rs_lost", percent of the seeds; "js_alone" and "rs_alone", the number of
    the "pairs" from one start in which only that loss does; "as_shown", percent of the pairs in
    which JS loses it and RS has its true share; "p_value" of the sign test of whether one of them
    does so alone more often than the other.
    """
    found: dict[str, dict[str, float]] = {}
    for label in UNEVEN:
        if all(f"{loss} {label}" in rows for loss in ("js", "rs")):
            own = pairs(rows, label)
            alone = {"js_alone": own["js"] & ~own["rs"], "rs_alone": own["rs"] & ~own["js"]}
            percent = {"js_lost": own["js"], "rs_lost": own["rs"], "as_shown": own["both"]}
            found[label] = {name: 100 * seen.mean() for name, seen in percent.items()}
            counts = {name: int(seen.sum()) for name, seen in alone.items()}
            tested = sum(counts.values())
            p_value = binomtest(counts["js_alone"], tested).pvalue if tested else 1.0
            found[label] |= {**counts, "pairs": len(own), "p_value": p_value}
    return DataFrame.from_dict(found, orient="index")


def _true(label: str) -> float:
    """The data's share of the small cluster."""
    return float(real_shares(Setting(**CHANGES[label]))[1])


def uneven(rows: Rows) -> str:
    """The imbalance of `UNEVEN` that suits C30 best, by the first half of each block.

    There, the share of pairs in which "both" do as the claim says is largest.

    Raises:
        KeyError: if an arm is missing.
    """

    def suits(label: str) -> float:
        own = pairs(rows, label)
        return float(own.loc[_chooses(own), "both"].mean())

    return max(UNEVEN, key=suits)


def _chooses(own: DataFrame) -> NDArray[np.bool_]:
    member = own.index.get_level_values("member").to_numpy()
    return np.asarray(member < (member.max() + 1) / 2)


def _judging(rows: Rows) -> DataFrame:
    own = pairs(rows, uneven(rows))
    return own[~_chooses(own)]


def _alone(rows: Rows) -> list[float]:
    """Of the pairs in which one loses the small cluster: +1 where that is JS, else -1."""
    own = _judging(rows)
    lead = own["js"].astype(float) - own["rs"].astype(float)
    return lead[lead != 0].tolist()


def _from_collapse(rows: Rows, loss: str) -> Series:
    """How far D's lowest loss is from that of collapse; 1 if D never had that loss there."""
    own = rows[loss]
    off = (own["min_loss"] - collapse_loss(Setting(loss))).abs()
    return off.where(own["at_best"] > 0, 1.0)


def _lingering(rows: Rows) -> list[float]:
    """The same for JS, and 1, too, if no collapse is long."""
    return _from_collapse(rows, "js").where(rows["js"]["longest"] >= _LONG, 1.0).tolist()


def _more_than_half(rows: Rows) -> list[float]:
    """Iterations in collapse that wide nets save JS, minus half of all that they gain."""
    saved, gained = (
        difference(rows, "js 5, 3", "js 40, 20", column) for column in ("collapsed", "stable")
    )
    return [one - all_of_it / 2 for one, all_of_it in zip(saved, gained, strict=True)]


def value_at_collapse(imbalance: float, loss: str) -> float:
    """The outer objective with all points on the large cluster, for reals in exact proportion.

    >>> round(value_at_collapse(1, "js"), 4), round(value_at_collapse(5, "js"), 4)
    (-0.4774, -0.6316)
    """
    real = np.array([imbalance, 1]) / (imbalance + 1)
    return -float(least_loss([[real[0], 0], [real[1], 0]], real, loss))


def _deeper(rows: Rows) -> float:
    return value_at_collapse(5, "js") - value_at_collapse(1, "js")


def _tuned(rows: Rows) -> list[float]:
    tuned = tuned_arm(rows)
    times = ratio(rows, "js", tuned, "stable")
    judged = times[times.index.get_level_values("block") != _CHOICE]
    if not len(judged):
        raise KeyError(f"a second block of js and {tuned}")
    return judged.tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "C17": {
        "js_min_d_loss_share": _lingering,
        "js_longest_collapse": lambda rows: rows["js"]["longest"].tolist(),
    },
    "C18": {
        "d_on_occupied_cluster": lambda rows: sitting(rows["js"])["occupied"].tolist(),
        "d_on_abandoned_cluster": lambda rows: sitting(rows["js"])["abandoned"].tolist(),
    },
    "C19": {
        "rs_min_d_loss_share": lambda rows: _from_collapse(rows, "rs").tolist(),
        "collapse_js_minus_rs": lambda rows: difference(rows, "js", "rs", "longest"),
        "collapse_at_equal_rates": lambda rows: difference(rows, *_JS_RATE, "longest"),
    },
    "C20": {
        "rs_first_cover": lambda rows: rows["rs"]["first"].tolist(),
        "first_cover_js_over_rs": lambda rows: ratio(rows, "js", "rs", "first").tolist(),
        "stable_cover_js_over_rs": lambda rows: ratio(rows, "js", "rs", "stable").tolist(),
        "first_cover_at_equal_rates": lambda rows: ratio(rows, *_JS_RATE, "first").tolist(),
    },
    "C21": {
        "js_speedup_with_width": lambda rows: ratio(
            rows, "js 5, 3", "js 40, 20", "stable"
        ).tolist(),
        "rs_speedup_with_width": lambda rows: ratio(
            rows, "rs 5, 3", "rs 40, 20", "stable"
        ).tolist(),
        "js_collapse_time_saved": lambda rows: difference(
            rows, "js 5, 3", "js 40, 20", "collapsed"
        ),
        "js_collapse_time_over_half": _more_than_half,
    },
    "C30": {
        "js_loses_alone": _alone,
        "js_loses_rs_is_right": lambda rows: _judging(rows)["both"].astype(float).tolist(),
        "js_minor_share": lambda rows: _judging(rows)["js_share"].tolist(),
        "rs_proportion_error": lambda rows: _judging(rows)["rs_off"].tolist(),
        "js_collapse_value_change": _deeper,
    },
    "C34": {
        "cover_gain_with_time": lambda rows: (
            _covering(rows, "js", "covered") - _covering(rows, "js", "early")
        ),
        "cover_gain_with_width": lambda rows: (
            _covering(rows, "js 40, 20", "early") - _covering(rows, "js 5, 3", "early")
        ),
        "tuned_stable_cover": _tuned,
    },
    "R04": {
        "hinge_first": lambda rows: log_ratio(rows, "hinge", "rp-hinge", "first").tolist(),
        "ls_first": lambda rows: log_ratio(rows, "ls", "rp-ls", "first").tolist(),
        "ls_stable": lambda rows: log_ratio(rows, "ls", "rp-ls", "stable").tolist(),
        "rp_hinge_covered": lambda rows: rows["rp-hinge"]["covered"].tolist(),
    },
    "R01": {
        "first_at_rs_rate": lambda rows: _gone(rows, "first", _RS_RATE),
        "first_at_js_rate": lambda rows: _gone(rows, "first", _JS_RATE),
        "stable_at_rs_rate": lambda rows: _gone(rows, "stable", _RS_RATE),
        "stable_at_js_rate": lambda rows: _gone(rows, "stable", _JS_RATE),
    },
}
