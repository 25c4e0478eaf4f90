"""What claims about the narrow nets of Sun et al. 2020 are judged by, from the members' rows.

Rules in points of Inception are judged by runs that Inception has scored; signs and relative gaps
of this book's own results, by the judge that the package ships. A member that diverged counts as
one with the worst value that there is; where both of a pair did, they differ by nothing.
"""

from __future__ import annotations

import re
from math import inf
from statistics import median

import numpy as np
from pandas import DataFrame, Series, concat

from helpers.experiments.ensembles import paired
from helpers.experiments.narrow_watch import AVERAGE
from helpers.experiments.protocol import Quantity, Rows
from helpers.ledger import rules

BY_INCEPTION = "inception "  # before the name of an arm that has the same with Inception as judge
_FRECHET, _SCORE = "frechet", "score"


def _pair(rows: Rows, one: str, other: str, column: str = _FRECHET) -> DataFrame:
    """Values of two arms per pair of seeds; one that diverged has the worst that there is."""
    worst = 1.0 if column == _SCORE else inf
    return paired(rows, one, other, column).fillna(worst)


def gap(one: str, other: str, column: str = _FRECHET) -> Quantity:
    """One arm's value minus the other's, a number per pair of seeds.

    >>> from pandas import DataFrame
    >>> js = DataFrame({"block": [0], "member": [0], "frechet": [8.0]})
    >>> gap("js", "rs")({"js": js, "rs": js.assign(frechet=5.0)})
    [3.0]
    """

    return lambda rows: gap_by_seed(rows, one, other, column).fillna(0.0).tolist()


def gap_by_seed(rows: Rows, one: str, other: str, column: str = _FRECHET) -> Series:
    """The same with its "block" and "member"; NaN where both diverged."""
    both = _pair(rows, one, other, column)
    return both["one"] - both["other"]


def relative_gap(net: str, ending: str = "", prefix: str = "") -> Quantity:
    """(JS - RS) / RS of the Fréchet distance, a number per pair of seeds.

    >>> from pandas import DataFrame
    >>> js = DataFrame({"block": [0], "member": [0], "frechet": [6.0]})
    >>> relative_gap("cnn/8")({"cnn/8 js": js, "cnn/8 rs": js.assign(frechet=4.0)})
    [0.5]
    """
    return lambda rows: _relative(rows, net, ending, prefix).tolist()


def _relative(rows: Rows, net: str, ending: str = "", prefix: str = "") -> Series:
    js, rs = _gaps(net, ending)
    return _relative_of(_pair(rows, js, rs, prefix + _FRECHET))


def _relative_of(both: DataFrame) -> Series:
    """By which share of the other's distance one is larger."""
    return (both["one"] / both["other"] - 1).fillna(0.0)


def _excess(one: tuple[str, str], other: tuple[str, str]) -> Quantity:
    """A relative gap, of a net and an ending, minus another, for seeds that have all four runs."""
    return lambda rows: _minus(_relative(rows, *one), _relative(rows, *other))


def _widening(wide: tuple[str, str], slim: tuple[str, str]) -> Quantity:
    """The gap of slimmer nets minus that of wider ones, for seeds that have all four runs."""
    return lambda rows: _minus(gap_by_seed(rows, *slim), gap_by_seed(rows, *wide))


def _minus(one: Series, other: Series) -> list[float]:
    """Differences for the seeds that both have."""
    both = concat([one, other], axis=1, join="inner", keys=range(2))
    return (both[0] - both[1]).fillna(0.0).tolist()


def _value(arm: str, column: str = _FRECHET) -> Quantity:
    return lambda rows: rows[arm][column].fillna(inf).tolist()


def _gain(arm: str) -> Quantity:
    """By which share of it the average of G's weights lowers the Fréchet distance."""

    def found(rows: Rows) -> list[float]:
        own = rows[arm].dropna(subset=[_FRECHET])  # a run that diverged has no average either
        gained = (1 - own[AVERAGE + _FRECHET] / own[_FRECHET]).tolist()
        if not gained:
            raise KeyError(f"a run of {arm} that does not diverge")
        return gained

    return found


def _smaller_gain(arms: tuple[str, str]) -> Quantity:
    def found(rows: Rows) -> list[float]:
        both = [_pair(rows, *arms, prefix + _FRECHET) for prefix in ("", AVERAGE)]
        return (both[0] - both[1]).fillna(0.0).min(axis=1).tolist()

    return found


def _change(raw: Quantity, average: Quantity) -> Quantity:
    """A gap with the average of G's weights minus the same without it, per pair of seeds."""

    def found(rows: Rows) -> list[float]:
        # Where a run diverged, neither gap is a number that an average could have kept.
        change = Series(average(rows)) - Series(raw(rows))
        change = change[np.isfinite(change)]
        if not len(change):
            raise KeyError("a pair of which no run diverges")
        return change.tolist()

    return found


def gap_table(rows: DataFrame, column: str = _FRECHET) -> DataFrame:
    """How far JS is behind RS, a row per net that has both.

    Args:
        rows: members, with columns "arm", "block", "member", "diverged" and the distance.
        column: the distance.

    Returns:
        The medians "JS" and "RS" over pairs of seeds, the median "gap" (JS - RS) / RS, "low" and
        "high" of its 95% interval (of its range, with fewer than six pairs), how many "pairs" there
        are, and how many runs "diverged", whose distance is infinite.

    >>> table = {"arm": ["cnn/8 js", "cnn/8 rs"], "block": 0, "member": 0, "diverged": 0}
    >>> gap_table(DataFrame(table | {"frechet": [6.0, 4.0]})).T["cnn/8"].tolist()
    [6.0, 4.0, 0.5, 0.5, 0.5, 1.0, 0.0]
    """
    columns = ["JS", "RS", "gap", "low", "high", "pairs", "diverged"]
    arms, found = dict(list(rows.groupby("arm", sort=False))), {}
    for js in arms:
        rs = re.sub(r"\bjs\b", "rs", js)
        if rs == js or rs not in arms:
            continue
        both = _pair(arms, js, rs, column)
        if len(both):
            gaps = _relative_of(both).tolist()
            enough = len(gaps) >= rules.FEWEST
            low, high = rules.median_interval(gaps) if enough else (min(gaps), max(gaps))
            middle = [both["one"].median(), both["other"].median(), median(gaps)]
            diverged = sum(int((arms[arm]["diverged"] > 0).sum()) for arm in (js, rs))
            found[re.sub(r"\bjs ?", "", js).strip()] = [*middle, low, high, len(gaps), diverged]
    return DataFrame.from_dict(found, orient="index", columns=columns)


def _gaps(net: str, ending: str = "") -> tuple[str, str]:
    return f"{net} js{ending}", f"{net} rs{ending}"


def _by(net: str, ending: str = "") -> tuple[str, str]:
    return _gaps(BY_INCEPTION + net, ending)


_PLAIN, _NORMED = _by("cnn/1", " without norm"), _by("cnn/1")
_WGAN_GP = BY_INCEPTION + "cnn/1 wgan-gp without norm"
_HALF, _QUARTER = _by("cnn/2"), _by("cnn/4")
_RES, _RES_HALF, _RES_QUARTER = (_by(f"resnet/{narrow}") for narrow in (1, 2, 4))
_RES_SLIM = _by("resnet/2 bottleneck")

QUANTITIES: dict[str, dict[str, Quantity]] = {
    "C22-1": {
        "fid_js": _value(_PLAIN[0]),
        "fid_rs": _value(_PLAIN[1]),
        "fid_gap": gap(*_PLAIN),
        "is_gap": gap(*_PLAIN[::-1], _SCORE),
        "fid_wgan_gp_minus_rs": gap(_WGAN_GP, _PLAIN[1]),
        "is_rs_minus_wgan_gp": gap(_PLAIN[1], _WGAN_GP, _SCORE),
    },
    "C22-2": {
        "fid_js_sn": _value(_NORMED[0]),
        "fid_rs_sn": _value(_NORMED[1]),
        "fid_gap_sn": gap(*_NORMED),
        "fid_gap_sn_size": gap(*_NORMED),
        "is_gap_sn": gap(*_NORMED[::-1], _SCORE),
        "is_gap_sn_size": gap(*_NORMED[::-1], _SCORE),
    },
    "C22-3": {
        "fid_gap_half": gap(*_HALF),
        "fid_gap_half_size": gap(*_HALF),
        "fid_gap_quarter": gap(*_QUARTER),
        "fid_gap_quarter_over_half": _widening(_HALF, _QUARTER),
        "fid_rs_half": _value(_HALF[1]),
        "fid_rs_quarter": _value(_QUARTER[1]),
        "is_gap_quarter": gap(*_QUARTER[::-1], _SCORE),
    },
    "C22-4": {
        "fid_js_resnet": _value(_RES[0]),
        "fid_rs_resnet": _value(_RES[1]),
        "fid_gap_resnet": gap(*_RES),
        "fid_gap_resnet_size": gap(*_RES),
        "is_gap_resnet": gap(*_RES[::-1], _SCORE),
    },
    "C22-5": {
        "fid_gap_resnet_half": gap(*_RES_HALF),
        "fid_gap_resnet_quarter": gap(*_RES_QUARTER),
        "fid_gap_resnet_bottleneck": gap(*_RES_SLIM),
        "fid_rs_resnet_half": _value(_RES_HALF[1]),
        "fid_js_resnet_quarter": _value(_RES_QUARTER[0]),
    },
    "C22-6": {
        "fid_gap_stl_no_sn": gap(*_gaps("stl10 cnn/1", " without norm")),
        "fid_gap_stl_sn": gap(*_gaps("stl10 cnn/1")),
        "fid_gap_stl_half": gap(*_gaps("stl10 cnn/2")),
        "fid_gap_stl_quarter": gap(*_gaps("stl10 cnn/4")),
        "fid_js_stl_sn": _value("stl10 cnn/1 js"),
    },
    "C22-7": {
        "fid_gap_stl_resnet": gap(*_gaps("stl10 resnet/1")),
        "fid_gap_stl_resnet_half": gap(*_gaps("stl10 resnet/2")),
        "fid_gap_stl_resnet_quarter": gap(*_gaps("stl10 resnet/4")),
        "fid_gap_stl_resnet_bottleneck": gap(*_gaps("stl10 resnet/2 bottleneck")),
        "fid_rs_stl_resnet": _value("stl10 resnet/1 rs"),
    },
    "C29": {
        "fid_gap_church": gap(*_gaps("lsun church")),
        "fid_gap_tower": gap(*_gaps("lsun tower")),
    },
    "C32": {
        "smallest_ema_gain": _smaller_gain(_RES),
        "gap_change": _change(gap(*_RES), gap(*_RES, AVERAGE + _FRECHET)),
        "fid_rs_bottleneck_ema": _value(_RES_SLIM[1], AVERAGE + _FRECHET),
    },
    "C33": {
        "hinge_fid_gap": gap("cnn/4 hinge", "cnn/4 rp-hinge"),
        "ls_fid_gap": gap("cnn/4 ls", "cnn/4 rp-ls"),
    },
    "R22": {
        "eighth_gap": relative_gap("cnn/8"),
        "eighth_gap_without_norm": relative_gap("cnn/8", " without norm"),
        "norm_narrows_it": _excess(("cnn/8", " without norm"), ("cnn/8", "")),
        "narrower_is_wider": _excess(("cnn/8", ""), ("cnn/4", "")),
    },
    "R23": {
        "js_gain_by_average": _gain("cnn/4 js"),
        "rs_gain_by_average": _gain("cnn/4 rs"),
        "relative_gap_change": _change(relative_gap("cnn/4"), relative_gap("cnn/4", "", AVERAGE)),
    },
}
