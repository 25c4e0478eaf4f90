"""The two-cluster experiment of Sun et al. 2020, Section 5: what is run, kept and judged.

`helpers.experiments.two_cluster_training` trains.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pandas import DataFrame, Series, concat
from scipy.special import expit

from helpers.analysis.coverage import coverage, least_loss, longest_stays
from helpers.experiments.ensembles import paired
from helpers.experiments.protocol import Measured, Quantity, Reading, Rows, Until, Wanted
from helpers.experiments.two_cluster_training import (
    Setting,
    Size,
    Trained,
    collapse_loss,
    train,
)

VERSION = 1
_EARLY = 1000  # after this iteration the covered clusters are counted once more
_NEAR = 0.02  # two losses are called the same within this
_TIMES, _DRAWN = 125, 10  # records and points of a course that is kept
_CELLS, _TOP = 40, 0.85  # of the counts of losses, along either axis, and where they end

READINGS = {
    "as released": Reading(
        Setting(), "the released script for two clusters; the text of Section 5 has no details"
    )
}
RATES, SCALES = (0.003, 0.01, 0.03), (0.5, 1.0, 2.0)


def grid_arm(loss: str, lr: float, scale: float) -> str:
    """The arm of a loss at a rate and a scale of the weights; the released one has a plain name.

    >>> grid_arm("js", 0.01, 1.0), grid_arm("js", 0.03, 2.0)
    ('js', 'js lr 0.03 scale 2')
    """
    released = READINGS["as released"].setting
    if (lr, scale) == (released.lr, released.scale):
        return loss
    return f"{loss} lr {lr:g} scale {scale:g}"


_GRID = {
    grid_arm(loss, lr, scale): {"loss": loss, "lr": lr, "scale": scale}
    for loss in ("js", "rs")
    for lr in RATES
    for scale in SCALES
    if grid_arm(loss, lr, scale) != loss
}
_OTHER_LOSSES = ("hinge", "hinge-linear", "ls", "rp-hinge", "rp-ls")
_CHANGES: dict[str, dict[str, Any]] = {  # for both losses
    "5, 3": {"widths": (5, 3)},
    "20, 10": {"widths": (20, 10)},
    "40, 20": {"widths": (40, 20)},
    "2:1": {"imbalance": 2},
    "5:1": {"imbalance": 5},
    "no momentum": {"momentum": 0.0},
    "5 D steps": {"steps": (5, 10)},
    "1 step each": {"steps": (1, 1)},
    "script": {"script_seed": 0},
}
ARMS: dict[str, dict[str, Any]] = {
    **{loss: {"loss": loss} for loss in ("js", "rs", *_OTHER_LOSSES)},
    **{
        f"{loss} {label}": {"loss": loss, **change}
        for label, change in _CHANGES.items()
        for loss in ("js", "rs")
    },
    **_GRID,
    "js D at RS's rate": {"loss": "js", "d_weight": 2.0},
    "rs D at JS's rate": {"loss": "rs", "d_weight": 0.5},
}
SIZES = {
    "quick": Size(members=8, iterations=240, lacks="4,760 of 5,000 iterations, most of the seeds"),
    "full": Size(lacks="nothing"),
}


def _both(*labels: str) -> list[str]:
    return [f"{loss} {label}" for label in labels for loss in ("js", "rs")]


def _wanted(arms: list[str], blocks: range, why: str) -> Wanted:
    return Wanted(("as released",), arms, "full", blocks, why)


# The setting that suits JS best is chosen on the first deciding block and judged on others.
_CHOICE = 100
_JS_GRID, _RS_GRID = ([arm for arm in _GRID if arm.startswith(loss)] for loss in ("js ", "rs "))
_EARLIER_BEST = "js lr 0.03 scale 2"  # of 32 seeds of each setting, none of which is among these
_ONE = range(100, 101)
_RS_RATE, _JS_RATE = ("js D at RS's rate", "rs"), ("js", "rs D at JS's rate")  # equal rates of D
WANTED = [
    _wanted(["js", "rs"], range(100, 102), "C17 to C20"),
    _wanted(_both("5:1"), _ONE, "C30"),
    _wanted(["js D at RS's rate", "rs D at JS's rate"], _ONE, "R01"),
    _wanted(_JS_GRID, _ONE, "C34: JS's best setting is chosen on this block"),
    _wanted([_EARLIER_BEST], range(101, 102), "C34: and judged on this one"),
    _wanted(_both("5, 3", "40, 20"), _ONE, "C21, C34"),
    _wanted([*_OTHER_LOSSES], _ONE, "other landscapes"),
    _wanted(_both("script"), _ONE, "the run that the paper shows"),
    _wanted(_both("2:1", "20, 10"), _ONE, "between the extremes"),
    _wanted(_RS_GRID, _ONE, "is RS the sooner in every setting?"),
    _wanted(_both("no momentum", "5 D steps", "1 step each"), _ONE, "the same"),
    _wanted(["js", "rs"], range(102, 108), "C17 to C20: 512 seeds of each"),
    _wanted(_JS_GRID, range(101, 102), "C34: whichever is chosen can be judged"),
]


def measure(
    setting: Setting,
    size: Size,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    data: Path | str | None = None,
    until: Until | None = None,
) -> Measured:
    """What the evidence keeps: "members", and of the paper's own two GANs "course" and "reached".

    >>> found = measure(Setting("ls"), Size(members=2, iterations=4, lacks="most"), seed=0)
    >>> found["members"]["first"].tolist()
    [4, 4]
    """
    trained = train(setting, size, seed=seed, device=device, folder=folder, until=until)
    found = {"members": members_of(trained)}
    if setting in (Setting("js"), Setting("rs")):
        found |= {"course": course_of(trained), "reached": reached_by(trained)}
    return found


def members_of(trained: Trained) -> DataFrame:
    """A row per member; times are iterations, the run's length stands for never.

    first, stable: both clusters covered for the first time, and from which on they stay so; at
        other thresholds than a tenth of the fair share, "_point" a fiftieth, one point in a
        hundred, and "_half" a half.
    collapsed, longest: iterations with exactly one cluster covered, and their longest run.
    covered, early: clusters covered at the end, and after iteration 1,000.
    min_loss: D's lowest loss. at_zero, at_four: share of the points at each cluster at the end.
    stay: the longest stay of nine tenths of the points at one cluster; occupied, abandoned: D on
        either cluster at the lowest loss of that stay.
    at_collapse, at_best: share of records in a state whose least loss is that of collapse, and of
        records in such a state with D at this loss.
    """
    columns: dict[str, Any] = {"member": range(trained.loss.shape[1])}
    columns["diverged"] = [trained.diverged.get(member, 0) for member in columns["member"]]
    covered = trained.coverage()
    columns |= {name: getattr(covered, name) for name in ("first", "stable", "collapsed")}
    columns |= {"longest": covered.longest, "covered": covered.at_end}
    until = max(int((trained.iterations <= _EARLY).sum()), 1)
    columns["early"] = coverage(trained.shares[:until], trained.iterations[:until]).at_end
    for label, least in (("point", 0.02), ("half", 0.5)):
        found = trained.coverage(least)
        columns |= {f"{n}_{label}": getattr(found, n) for n in ("first", "stable", "longest")}
    columns["min_loss"] = np.fmin.reduce(trained.loss, axis=0)
    columns["at_zero"], columns["at_four"] = trained.shares[-1].T
    return DataFrame(columns | _longest_stay(trained) | _places(trained))


def _longest_stay(trained: Trained) -> dict[str, Any]:
    stays = longest_stays(trained.shares, trained.iterations)
    D = np.full((len(stays.length), 2), np.nan)
    for member in np.flatnonzero(stays.length):
        start, end, mode = stays.start[member], stays.end[member], stays.mode[member]
        when = start + trained.loss[start:end, member].argmin()
        D[member] = expit(trained.logits[when, member, [mode, 1 - mode]])
    return {"stay": stays.length, "occupied": D[:, 0], "abandoned": D[:, 1]}


def _places(trained: Trained) -> dict[str, Any]:
    least = trained.least()
    there = np.abs(least - collapse_loss(trained.setting)) <= _NEAR
    best = there & (trained.loss <= least + _NEAR)
    return {"at_collapse": there.mean(axis=0), "at_best": best.mean(axis=0)}


def course_of(trained: Trained) -> DataFrame:
    """Three members by when they cover both clusters for good: points and D's loss over time.

    A row per "seed" (the best, the typical or the worst), its "member" and an "iteration"; columns
    "loss" and "point 0" on.
    """
    order = np.argsort(trained.coverage().stable, kind="stable")
    few = slice(None, None, -(-len(trained.iterations) // _TIMES))
    parts = []
    for seed, member in zip(
        ("best", "typical", "worst"), order[[0, len(order) // 2, -1]], strict=True
    ):
        points = trained.points[few, member].astype(float)
        drawn = points[:, :: points.shape[1] // _DRAWN].round(2)
        columns: dict[str, Any] = {"seed": seed, "member": int(member)}
        columns["iteration"] = trained.iterations[few]
        columns["loss"] = trained.loss[few, member].astype(float).round(3)
        parts.append(DataFrame(columns | {f"point {k}": line for k, line in enumerate(drawn.T)}))
    return concat(parts, ignore_index=True)


def reached_by(trained: Trained) -> DataFrame:
    """How many records had D's loss in a cell when the least loss was in another; none left out.

    A row per pair of cells with records: "least" and "loss" are the middles of the cells.
    """
    is_there = np.isfinite(trained.loss)
    edges = np.linspace(0, _TOP, _CELLS + 1)
    least, loss = (
        np.clip(losses[is_there].astype(float), 0, _TOP)
        for losses in (trained.least(), trained.loss)
    )
    counts, _, _ = np.histogram2d(least, loss, bins=[edges, edges])
    rows, columns = np.nonzero(counts)
    middles = ((edges[1:] + edges[:-1]) / 2).round(4)
    return DataFrame(
        {
            "least": middles[rows],
            "loss": middles[columns],
            "records": counts[rows, columns].astype(int),
        }
    )


def sitting(rows: DataFrame) -> DataFrame:
    """The members with a stay of 100 iterations or more; of shorter runs, with the longest stay.

    Raises:
        KeyError: if there is no stay at all.
    """
    least = min(100, rows["stay"].max())
    if not least > 0:
        raise KeyError("a member that stays at one cluster")
    return rows[rows["stay"] >= least]


def tuned_arm(rows: Rows) -> str:
    """JS's arm of a rate and a scale that covers both clusters for good soonest, on one block.

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


def _medians(rows: Rows, column: str, *arms: str) -> list[float]:
    return [float(rows[arm][column].median()) for arm in arms]


def _saved(rows: Rows) -> float:
    narrow, wide = _medians(rows, "collapsed", "js 5, 3", "js 40, 20")
    return narrow - wide


def _covering(rows: Rows, arm: str, column: str) -> float:
    return float((rows[arm][column] == 2).mean())


def _gap(rows: Rows) -> list[float]:
    long = sitting(rows["js"])
    return (long["occupied"] - long["abandoned"]).tolist()


def _lead(rows: Rows, column: str, js: str = "js", rs: str = "rs") -> Series:
    """By member, the logarithm of how many times longer JS takes than RS from the same start."""
    both = paired(rows, js, rs, column)
    return np.log(both["one"] / both["other"])


def _gone(rows: Rows, column: str, equal: tuple[str, str]) -> list[float]:
    """RS's lead as released minus twice the one at equal rates: above 0 where most of it is gone.

    One number for each member that all arms have.
    """
    left = _lead(rows, column, *equal)
    return (_lead(rows, column) - 2 * left).dropna().tolist()


def _longer(rows: Rows) -> list[float]:
    both = paired(rows, "js", "rs", "longest")
    return (both["one"] - both["other"]).tolist()


def _deeper(rows: Rows) -> float:
    """The outer objective at collapse, at 5:1 minus at 1:1, for reals in exact proportion."""
    values = []
    for share in (5, 1):
        real = np.array([share, 1]) / (share + 1)
        values.append(-float(least_loss([[real[0], 0], [real[1], 0]], real, "js")))
    return values[0] - values[1]


def _tuned(rows: Rows) -> list[float]:
    found = []
    for arm in ("js", tuned_arm(rows)):
        judged = rows[arm].loc[rows[arm]["block"] != _CHOICE, "stable"]
        if not len(judged):
            raise KeyError(f"a second block of {arm}")
        found.append(float(judged.median()))
    return found


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "C17": {
        "js_min_d_loss_share": lambda rows: rows["js"]["min_loss"].tolist(),
        "js_longest_collapse": lambda rows: rows["js"]["longest"].tolist(),
    },
    "C18": {
        "d_on_occupied_cluster": lambda rows: sitting(rows["js"])["occupied"].tolist(),
        "d_on_abandoned_cluster": lambda rows: sitting(rows["js"])["abandoned"].tolist(),
        "d_occupied_minus_abandoned": _gap,
    },
    "C19": {
        "rs_min_d_loss_share": lambda rows: rows["rs"]["min_loss"].tolist(),
        "collapse_js_minus_rs": _longer,
    },
    "C20": {
        "rs_first_cover": lambda rows: rows["rs"]["first"].tolist(),
        "first_cover_js_over_rs": lambda rows: np.exp(_lead(rows, "first")).tolist(),
        "stable_cover_js_over_rs": lambda rows: np.exp(_lead(rows, "stable")).tolist(),
    },
    "C21": {
        "js_speedup_with_width": lambda rows: _medians(rows, "stable", "js 5, 3", "js 40, 20"),
        "rs_speedup_with_width": lambda rows: _medians(rows, "stable", "rs 5, 3", "rs 40, 20"),
        "js_collapse_time_saved": _saved,
    },
    "C30": {
        "js_minor_share": lambda rows: rows["js 5:1"]["at_four"].tolist(),
        "rs_proportion_error": lambda rows: (rows["rs 5:1"]["at_four"] - 1 / 6).abs().tolist(),
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
    "R01": {
        "first_at_rs_rate": lambda rows: _gone(rows, "first", _RS_RATE),
        "first_at_js_rate": lambda rows: _gone(rows, "first", _JS_RATE),
        "stable_at_rs_rate": lambda rows: _gone(rows, "stable", _RS_RATE),
        "stable_at_js_rate": lambda rows: _gone(rows, "stable", _JS_RATE),
    },
}
