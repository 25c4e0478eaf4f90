"""What claims about the narrow nets of Sun et al. 2020 are judged by, from the members' rows.

Rules in points of Inception are judged by runs that Inception has scored; signs and relative gaps
of this book's own results, by the judge that the package ships. Members that diverged have no
scores and are left out of medians; the tables of the chapter count them.
"""

from __future__ import annotations

import re
from math import nan
from statistics import median

from pandas import DataFrame

from helpers.experiments.ensembles import paired
from helpers.experiments.narrow_watch import AVERAGE
from helpers.experiments.protocol import Quantity, Rows
from helpers.ledger import rules

BY_INCEPTION = "inception "  # before the name of an arm that has the same with Inception as judge
_FRECHET = "frechet"


def gap(one: str, other: str, column: str = _FRECHET) -> Quantity:
    """One arm's value minus the other's, a number per pair of seeds in which neither diverged.

    >>> from pandas import DataFrame
    >>> js = DataFrame({"block": [0], "member": [0], "frechet": [8.0]})
    >>> gap("js", "rs")({"js": js, "rs": js.assign(frechet=5.0)})
    [3.0]
    """

    def found(rows: Rows) -> list[float]:
        both = paired(rows, one, other, column).dropna()
        return _some((both["one"] - both["other"]).tolist(), f"{one} or {other}")

    return found


def relative_gap(net: str, ending: str = "", prefix: str = "") -> Quantity:
    """(JS - RS) / RS of the Fréchet distance, a number per pair of seeds.

    >>> from pandas import DataFrame
    >>> js = DataFrame({"block": [0], "member": [0], "frechet": [6.0]})
    >>> relative_gap("cnn/8")({"cnn/8 js": js, "cnn/8 rs": js.assign(frechet=4.0)})
    [0.5]
    """
    one, other = (f"{net} {loss}{ending}" for loss in ("js", "rs"))

    def found(rows: Rows) -> list[float]:
        both = paired(rows, one, other, prefix + _FRECHET).dropna()
        return _some((both["one"] / both["other"] - 1).tolist(), f"{one} or {other}")

    return found


def _value(arm: str, column: str = _FRECHET) -> Quantity:
    return lambda rows: _some(rows[arm][column].dropna().tolist(), arm)


def _gain(arm: str, *, relative: bool = False) -> Quantity:
    """By how much the average of G's weights lowers the Fréchet distance."""

    def found(rows: Rows) -> list[float]:
        own = rows[arm].dropna(subset=[_FRECHET])
        gained = own[_FRECHET] - own[AVERAGE + _FRECHET]
        return _some((gained / own[_FRECHET] if relative else gained).tolist(), arm)

    return found


def _smaller_gain(arms: tuple[str, str]) -> Quantity:
    def found(rows: Rows) -> list[float]:
        both = [paired(rows, *arms, prefix + _FRECHET).dropna() for prefix in ("", AVERAGE)]
        return _some((both[0] - both[1]).min(axis=1).tolist(), " or ".join(arms))

    return found


def _gap_change(arms: tuple[str, str]) -> Quantity:
    def found(rows: Rows) -> list[float]:
        raw, average = (gap(*arms, prefix + _FRECHET)(rows) for prefix in ("", AVERAGE))
        return [after - before for before, after in zip(raw, average, strict=True)]

    return found


def _relative_change(net: str) -> Quantity:
    def found(rows: Rows) -> list[float]:
        raw, average = (relative_gap(net, prefix=prefix)(rows) for prefix in ("", AVERAGE))
        return [after - before for before, after in zip(raw, average, strict=True)]

    return found


def _norm_narrows(net: str) -> Quantity:
    """The relative gap without spectral norm minus that with it, for seeds that have all four."""

    def found(rows: Rows) -> list[float]:
        gaps = []
        for ending in (" without norm", ""):
            both = paired(rows, f"{net} js{ending}", f"{net} rs{ending}", _FRECHET).dropna()
            gaps.append(both["one"] / both["other"] - 1)
        return _some((gaps[0] - gaps[1]).dropna().tolist(), f"{net} with or without norm")

    return found


def _some(values: list[float], arms: str) -> list[float]:
    if not values:
        raise KeyError(f"every member of {arms} has diverged")
    return values


def gap_table(rows: DataFrame, column: str = _FRECHET) -> DataFrame:
    """How far JS is behind RS, a row per net and a name of the training that has both.

    Args:
        rows: members, with columns "arm", "block", "member" and the distance.
        column: the distance.

    Returns:
        Of the pairs of seeds in which neither diverged: the medians "JS" and "RS", the median "gap"
        (JS - RS) / RS, "low" and "high" of its 95% interval (of its range, with fewer than six
        pairs), and how many "pairs" there are; and how many runs "diverged".

    >>> table = {"arm": ["cnn/8 js", "cnn/8 rs"], "block": 0, "member": 0, "diverged": 0}
    >>> gap_table(DataFrame(table | {"frechet": [6.0, 5.0]})).round(2).T["cnn/8"].tolist()
    [6.0, 5.0, 0.2, 0.2, 0.2, 1.0, 0.0]
    """
    arms = dict(list(rows.groupby("arm", sort=False)))
    found = {}
    for arm in arms:
        other = re.sub(r"\bjs\b", "rs", arm)
        if other == arm or other not in arms:
            continue
        both = paired(arms, arm, other, column).dropna()
        gaps = (both["one"] / both["other"] - 1).tolist()
        enough = len(gaps) >= rules.FEWEST
        low, high = (
            rules.median_interval(gaps)
            if enough
            else (min(gaps), max(gaps))
            if gaps
            else (nan, nan)
        )
        found[re.sub(r" js\b", "", arm)] = {
            "JS": both["one"].median(),
            "RS": both["other"].median(),
            "gap": median(gaps) if gaps else nan,
            "low": low,
            "high": high,
            "pairs": len(gaps),
            "diverged": sum(int((arms[name]["diverged"] > 0).sum()) for name in (arm, other)),
        }
    return DataFrame(found).T


def _gaps(net: str, ending: str = "") -> tuple[str, str]:
    return f"{net} js{ending}", f"{net} rs{ending}"


def _by(net: str, ending: str = "") -> tuple[str, str]:
    return _gaps(BY_INCEPTION + net, ending)


_PLAIN, _NORMED = _by("cnn/1", " without norm"), _by("cnn/1")
_HALF, _QUARTER = _by("cnn/2"), _by("cnn/4")
_RES, _RES_HALF, _RES_QUARTER = (_by(f"resnet/{narrow}") for narrow in (1, 2, 4))
_RES_SLIM = _by("resnet/2 bottleneck")

QUANTITIES: dict[str, dict[str, Quantity]] = {
    "C22-1": {
        "fid_js": _value(_PLAIN[0]),
        "fid_rs": _value(_PLAIN[1]),
        "fid_gap": gap(*_PLAIN),
        "is_gap": gap(*_PLAIN[::-1], "score"),
        "fid_wgan_gp_minus_rs": gap(BY_INCEPTION + "cnn/1 wgan-gp without norm", _PLAIN[1]),
    },
    "C22-2": {
        "fid_js_sn": _value(_NORMED[0]),
        "fid_rs_sn": _value(_NORMED[1]),
        "fid_gap_sn": gap(*_NORMED),
        "is_gap_sn": gap(*_NORMED[::-1], "score"),
    },
    "C22-3": {
        "fid_gap_half": gap(*_HALF),
        "fid_gap_quarter": gap(*_QUARTER),
        "fid_rs_half": _value(_HALF[1]),
        "fid_rs_quarter": _value(_QUARTER[1]),
        "is_gap_quarter": gap(*_QUARTER[::-1], "score"),
    },
    "C22-4": {
        "fid_js_resnet": _value(_RES[0]),
        "fid_rs_resnet": _value(_RES[1]),
        "fid_gap_resnet": gap(*_RES),
        "is_gap_resnet": gap(*_RES[::-1], "score"),
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
        "gap_change": _gap_change(_RES),
        "fid_rs_bottleneck_ema": _value(_RES_SLIM[1], AVERAGE + _FRECHET),
    },
    "C33": {
        "hinge_fid_gap": gap("cnn/4 hinge", "cnn/4 rp-hinge"),
        "ls_fid_gap": gap("cnn/4 ls", "cnn/4 rp-ls"),
    },
    "R22": {
        "eighth_gap": relative_gap("cnn/8"),
        "eighth_gap_without_norm": relative_gap("cnn/8", " without norm"),
        "norm_narrows_it": _norm_narrows("cnn/8"),
    },
    "R23": {
        "js_gain_by_average": _gain("cnn/4 js", relative=True),
        "rs_gain_by_average": _gain("cnn/4 rs", relative=True),
        "relative_gap_change": _relative_change("cnn/4"),
    },
}
