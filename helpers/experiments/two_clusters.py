"""The two-cluster experiment of Sun et al. 2020, Section 5: what is run, kept and judged.

`helpers.experiments.two_cluster_training` trains, `two_cluster_arms` names what is varied, and
`two_cluster_quantities` has what claims are judged by.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame, concat
from scipy.special import expit
from typing_extensions import Unpack

from helpers.analysis.coverage import coverage, longest_stays
from helpers.experiments.protocol import How, Measured, Reading, Wanted
from helpers.experiments.two_cluster_arms import (
    ARMS,
    GRID,
    OTHER_LOSSES,
    RATES,
    SCALES,
    UNEVEN,
    grid_arm,
)
from helpers.experiments.two_cluster_quantities import (
    QUANTITIES,
    losing,
    pairs,
    proportions,
    sitting,
    tuned_arm,
    uneven,
    value_at_collapse,
)
from helpers.experiments.two_cluster_training import (
    Setting,
    Size,
    Trained,
    collapse_loss,
    train,
)

__all__ = [
    "ARMS",
    "GRID",
    "QUANTITIES",
    "RATES",
    "READINGS",
    "SCALES",
    "SIZES",
    "UNEVEN",
    "VERSION",
    "WANTED",
    "course_of",
    "grid_arm",
    "losing",
    "measure",
    "members_of",
    "pairs",
    "proportions",
    "reached_by",
    "sitting",
    "tuned_arm",
    "uneven",
    "value_at_collapse",
]

VERSION = 1
_EARLY = 1000  # the covered clusters are counted after this iteration, and at the end
_NEAR = 0.02  # two losses this close are called the same
_TIMES, _DRAWN = 125, 10  # records and points kept of a course
_CELLS, _TOP = 40, 0.85  # cells along either axis of the counts of losses, and where these end

READINGS = {
    "as released": Reading(
        Setting(), "the released script for two clusters; the text of Section 5 has no details"
    ),
    "equal rates": Reading(
        Setting(equal_rates=True),
        "ours: eq. 1 as Goodfellow prints it, a sum, so that D of JS learns as fast as D of RS",
        stated=False,
    ),
}
SIZES = {
    "quick": Size(members=8, iterations=240, lacks="4,760 of 5,000 iterations, most of the seeds"),
    "full": Size(lacks="nothing"),
}


def _both(*labels: str) -> list[str]:
    return [f"{loss} {label}" for label in labels for loss in ("js", "rs")]


def _wanted(arms: list[str], blocks: range, why: str, reading: str = "as released") -> Wanted:
    return Wanted((reading,), arms, "full", blocks, why)


_JS_GRID, _RS_GRID = ([arm for arm in GRID if arm.startswith(loss)] for loss in ("js ", "rs "))
_EARLIER_BEST = "js lr 0.03 scale 2"  # over 32 seeds per setting, none of which is among these
_ONE = range(100, 101)
WANTED = [
    _wanted(["js", "rs"], range(100, 102), "C17 to C20"),
    _wanted(_both(*UNEVEN), _ONE, "C30"),
    _wanted(["js D at RS's rate", "rs D at JS's rate"], _ONE, "R01"),
    _wanted([*OTHER_LOSSES], _ONE, "R04"),
    _wanted(_both(*UNEVEN), _ONE, "C30", "equal rates"),
    _wanted(_JS_GRID, _ONE, "C34: JS's best setting is chosen on this block"),
    _wanted([_EARLIER_BEST], range(101, 102), "C34: and judged on this one"),
    _wanted(_both("5, 3", "40, 20"), _ONE, "C21, C34"),
    _wanted(_both("script"), _ONE, "the run that the paper shows"),
    _wanted(_both("20, 10"), _ONE, "between the extremes"),
    _wanted(_RS_GRID, _ONE, "is RS the sooner in every setting?"),
    _wanted(_both("no momentum", "5 D steps", "1 step each"), _ONE, "the same"),
    _wanted(["js", "rs"], range(102, 108), "C17 to C20: 512 seeds of each"),
    _wanted(_JS_GRID, range(101, 102), "C34: whichever is chosen can be judged"),
]


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", and for the paper's own two GANs "course" and "reached".

    >>> found = measure(Setting("ls"), Size(members=2, iterations=4, lacks="most"), seed=0)
    >>> found["members"]["first"].tolist()
    [4, 4]
    """
    trained = train(setting, size, **how)
    found = {"members": members_of(trained)}
    if setting in (Setting("js"), Setting("rs")):
        found |= {"course": course_of(trained), "reached": reached_by(trained)}
    return found


def members_of(trained: Trained) -> DataFrame:
    """A row per member; times are iterations, and the run's length stands for never.

    At exactly a threshold rounding decides (`Trained.compared`), which is part of this VERSION.

    first, stable: when both clusters are covered for the first time, and for good. The threshold
        is a tenth of the fair share, 5 points of 100, of which 5 suffice only if the reals paired
        with them are all of one cluster: else 6 are needed. With "_point" it is a fiftieth, which
        was to be one point; in effect it takes two. With "_half" it is a half, 25 points.
    collapsed, longest: iterations with exactly one cluster covered, and their longest run.
    covered, early: clusters covered at the end, and after iteration 1,000.
    min_loss: D's lowest loss. at_zero, at_four: share of the points at each cluster at the end.
    stay: the longest stay of nine tenths of the points at one cluster; of 100 points it takes 91,
        since 90 fall short however they are paired with 50 reals of each cluster.
    occupied, abandoned: D on either cluster at the lowest loss of that stay.
    at_collapse, at_best: share of records in a state whose least loss is that of collapse, and of
        records in such a state with D at this loss.
    """
    columns: dict[str, Any] = {"member": range(trained.loss.shape[1])}
    columns["diverged"] = [trained.diverged.get(member, 0) for member in columns["member"]]
    covered = trained.coverage()
    columns |= {name: getattr(covered, name) for name in ("first", "stable", "collapsed")}
    columns |= {"longest": covered.longest, "covered": covered.at_end}
    until = max(int((trained.iterations <= _EARLY).sum()), 1)
    columns["early"] = coverage(trained.compared()[:until], trained.iterations[:until]).at_end
    for label, least in (("point", 0.02), ("half", 0.5)):
        found = trained.coverage(least)
        columns |= {f"{n}_{label}": getattr(found, n) for n in ("first", "stable", "longest")}
    columns["min_loss"] = np.fmin.reduce(trained.loss, axis=0)
    columns["at_zero"], columns["at_four"] = trained.shares[-1].T
    return DataFrame(columns | _longest_stay(trained) | _places(trained))


def _longest_stay(trained: Trained) -> dict[str, Any]:
    stays = longest_stays(trained.compared(), trained.iterations)
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
    """Three members, by when they cover both clusters for good: points and D's loss over time.

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
    """How many records had D's loss in one cell and the least loss in another; none is left out.

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
