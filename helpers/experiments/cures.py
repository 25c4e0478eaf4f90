"""A leaderboard of cures: losses, penalties, optimisers and nudges on three tasks, side by side.

Two clusters (Sun et al. 2020) show collapse, the mixture (Berard et al. 2020) shows rotation, the
ring (Metz et al. 2017) is where cures are usually tried. Each cure on each task is an arm.
`helpers.experiments.cure_training` trains.

The choice of a rate is part of a run. Every cure may have one of the same three rates. All three
are tried on block 0, whatever block is judged, and the rule of `picked` takes one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame, Series
from typing_extensions import Unpack

from helpers.analysis.curves import rank_correlation
from helpers.experiments import protocol
from helpers.experiments.cure_rates import exact_rates
from helpers.experiments.cure_training import (
    CLUSTERS,
    PROTOCOLS,
    TASKS,
    Setting,
    TrainedCure,
    gradients_of,
    train_cure,
)
from helpers.experiments.edge_training import MIXTURE, RING
from helpers.experiments.ensembles import paired
from helpers.experiments.parts import for_part
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.inputs import one_of
from helpers.losses.penalty import GradientPenalty

__all__ = [
    "ARMS",  # a cure on a task
    "CURES",  # what each of them changes
    "QUANTITIES",  # what claims are judged by
    "READINGS",  # what is trained
    "SIZES",  # how much is run
    "TURNING",  # cures that were made against rotation
    "VERSION",  # the version of a run's numbers
    "WANTED",  # which runs are wanted
    "Setting",  # what to train
    "Size",  # how much is trained
    "arm_of",  # the arm of a cure on a task
    "choose",  # what each rate does on block 0
    "course_of",  # the course of a run
    "foretold",  # exact rates of methods, and how soon or how far they get
    "helped",  # what each cure does to each ill
    "leaderboard",  # the cures of a task, the soonest first
    "measure",  # the numbers of a run
    "members_of",  # the members' numbers of a run
    "picked",  # the rate of a cure
    "train",  # the training of a run, at the rate that was picked
]

VERSION = 1
_CHOICE = 0  # the block on which rates are chosen
_FEWER = 4  # the mixture, a slow task, has one member in so many
_DRAWN = 100  # records kept of a course


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is trained."""

    members: int = 32  # of the mixture a quarter
    choosing: int = 8  # members with which a rate is chosen; of the mixture a quarter
    iterations: int = 5000
    every: int = 10  # iterations between records


READINGS = {
    "ours": Reading(
        Setting(),
        "ours: each cure with the settings of its paper where they fit nets as small as these, and "
        "with one of three rates",
        stated=False,
    )
}
SIZES = {
    "quick": Size(
        members=4,
        choosing=4,
        iterations=400,
        every=10,
        lacks="4,600 of 5,000 iterations, most seeds",
    ),
    "full": Size(lacks="nothing: there is no protocol for all of them"),
}
_PENALTY = GradientPenalty(0.1, "interpolates")  # the weight of Gulrajani et al. 2017 on toy data
CURES: dict[str, dict[str, Any]] = {
    "nsgan": {},  # what there is to cure
    "at once": {"method": "at once"},
    "rs": {"loss": "rs"},
    "ls": {"loss": "ls"},
    "hinge": {"loss": "hinge-linear"},
    "wgan-gp": {"loss": "wgan", "penalty": _PENALTY},
    "two rates": {"ratio": 0.25},  # Heusel et al. 2017: D's rate is four times G's
    "extragradient": {"method": "extragradient"},
    "optimistic": {"method": "optimistic"},
    "negative momentum": {"method": "negative momentum"},
    "lookahead": {"method": "lookahead"},
    "consensus": {"method": "consensus"},
    "unrolled": {"method": "unrolled"},
    "nudged g": {"method": "nudged"},
}
TURNING = ("extragradient", "optimistic", "negative momentum", "lookahead", "consensus")


def arm_of(task: str, cure: str) -> str:
    """The arm of a cure on a task.

    >>> arm_of("ring", "rs")
    'ring, rs'
    """
    return f"{task}, {cure}"


ARMS: dict[str, dict[str, Any]] = {
    arm_of(task, cure): {"task": task} | change for task in TASKS for cure, change in CURES.items()
}


def _wanted(task: str, why: str) -> Wanted:
    return Wanted(tuple(READINGS), [arm_of(task, cure) for cure in CURES], "full", _ONE, why)


_ONE = range(100, 101)
WANTED = [
    _wanted(CLUSTERS, "R18 and R20"),
    _wanted(MIXTURE, "R19 and R20"),
    _wanted(RING, "R18 and R20"),
]


def _members(setting: Setting, members: int) -> int:
    return max(members // _FEWER, 1) if setting.task == MIXTURE else members


def choose(setting: Setting, size: Size, **how: Unpack[How]) -> DataFrame:
    """What each rate of the task does on block 0: a row per rate, the smallest first.

    Columns: "rate"; "modes", the mean over members of the modes covered at the end; "stable", the
    median time to cover all for good, the run's length for never; "norm", the median of the field's
    norm at the end; and "diverged", how many members did. The seed in `how` plays no part.

    >>> tiny = Size(members=1, choosing=1, iterations=2, every=2, lacks="nearly all")
    >>> choose(Setting(), tiny, seed=7)["rate"].tolist()
    [0.1, 0.3, 1.0]
    """
    rows = []
    for number, rate in enumerate(setting.protocol.rates):
        own: How = {**for_part(how, f"rate-{number}"), "seed": _CHOICE}
        trained = train_cure(
            setting,
            rate,
            _members(setting, size.choosing),
            size.iterations,
            every=size.every,
            **own,
        )
        found = trained.coverage()
        row = {"rate": rate, "modes": float(found.at_end.mean())}
        row |= {"stable": float(np.median(found.stable))}
        row |= {"norm": float(Series(trained.norm()).median())}
        rows.append(row | {"diverged": len(trained.run.diverged)})
    return DataFrame(rows)


def picked(rates: DataFrame, task: str) -> float:
    """The rate with the most modes at the end; of equals the best, and then the smallest.

    The best is the soonest to cover all modes for good; on the mixture, where rotation is the ill
    and modes are soon covered, the one with the smallest field at the end.

    Args:
        rates: as `choose` gives them.
        task: what is trained.

    >>> rates = DataFrame({"rate": [0.1, 0.3], "modes": [2.0, 2.0], "stable": [80.0, 20.0]})
    >>> picked(rates, "ring")
    0.3
    """
    by = PROTOCOLS[one_of("task", task, TASKS)].by
    order = rates.sort_values(["modes", by, "rate"], ascending=[False, True, True])
    return float(order["rate"].iloc[0])


def train(setting: Setting, size: Size, rate: float, **how: Unpack[How]) -> TrainedCure:
    """Train the members of a block; arguments and errors are those of `train_cure`.

    >>> tiny = Size(members=1, choosing=1, iterations=2, every=2, lacks="nearly all")
    >>> train(Setting(), tiny, 0.1, seed=0).covered.shape
    (1, 1)
    """
    members = _members(setting, size.members)
    return train_cure(setting, rate, members, size.iterations, every=size.every, **how)


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", "rates" as `choose`, and "course" as `course_of`.

    >>> tiny = Size(members=1, choosing=1, iterations=2, every=2, lacks="nearly all")
    >>> sorted(measure(Setting(), tiny, seed=0))
    ['course', 'members', 'rates']
    """
    rates = choose(setting, size, **how)
    rate = picked(rates, setting.task)
    trained = train(setting, size, rate, **for_part(how, "judged"))
    return {"members": members_of(trained, rate), "rates": rates, "course": course_of(trained)}


def members_of(trained: TrainedCure, rate: float) -> DataFrame:
    """A row per member.

    diverged: the iteration in which it did, or 0. rate: D's, as picked.
    modes: covered at the end. first, stable: iterations until all modes are covered for the first
        time, and for good; the run's length stands for never.
    gradients: per iteration, with the products of searches: see `gradients_of`.
    cost: gradients until all modes are covered for good.
    norm, angle, leading: as `TrainedCure.end` says.
    """
    covered, members = trained.coverage(), range(len(trained.latents))
    columns: dict[str, Any] = {"member": members}
    columns["diverged"] = [trained.run.diverged.get(member, 0) for member in members]
    columns |= {"rate": rate, "modes": covered.at_end}
    columns |= {"first": covered.first, "stable": covered.stable}
    columns["gradients"] = gradients_of(trained.setting) + trained.searching()
    columns["cost"] = covered.stable * columns["gradients"]
    return DataFrame(columns | trained.end())


def course_of(trained: TrainedCure) -> DataFrame:
    """The mean of "modes" covered, and the share "all" of members with all: a row per iteration.

    Of at most a hundred iterations, the last one included.
    """
    few = slice(None, None, -max(-(-len(trained.iterations) // _DRAWN), 1))
    covered = trained.covered[few][::-1]
    everything = covered == trained.shares.shape[2]
    columns = {"modes": covered.mean(axis=1), "all": everything.mean(axis=1)}
    return DataFrame({"iteration": trained.iterations[few][::-1]} | columns)


def leaderboard(rows: DataFrame, task: str) -> DataFrame:
    """The cures of a task, the soonest first: one row each.

    Columns: "cure"; "rate"; "modes", the mean at the end; "covered", the percentage of seeds with
    all modes at the end; "stable", "low" and "high", the median and quartiles of the iterations
    until all modes are covered for good, and "cost", the median of the gradients until then, all
    of which take the run's length for never; "norm" and "angle", medians; "gradients" per
    iteration; and "diverged", the percentage of seeds.

    Args:
        rows: of members, with their "arm".
    """
    modes, found = PROTOCOLS[one_of("task", task, TASKS)].modes, []
    for cure in CURES:
        own = rows[rows["arm"] == arm_of(task, cure)]
        if not len(own):
            continue
        low, middle, high = np.percentile(own["stable"], [25, 50, 75])
        row: dict[str, Any] = {"cure": cure, "rate": own["rate"].median()}
        row |= {"modes": own["modes"].mean(), "covered": 100 * (own["modes"] == modes).mean()}
        row |= {"stable": middle, "low": low, "high": high}
        row |= {name: own[name].median() for name in ("cost", "norm", "angle", "gradients")}
        found.append(row | {"diverged": 100 * (own["diverged"] > 0).mean()})
    order = ["cost", "covered"]
    board = DataFrame(found)
    return board.sort_values(order, ascending=[True, False], ignore_index=True) if found else board


def helped(rows: DataFrame) -> DataFrame:
    """What each cure does to each ill, relative to NSGAN: a row per cure, below 1 where it helps.

    Columns: "two clusters" and "ring", the gradients until all modes are covered for good;
    "mixture", the field's norm at the end; medians over seeds of ratios seed by seed, NaN where
    there is no run. "gradients" per iteration, the largest of the three tasks.

    Args:
        rows: of members, with their "arm".
    """
    by_arm = {str(arm): own for arm, own in rows.groupby("arm")}
    columns, found = {CLUSTERS: "cost", RING: "cost", MIXTURE: "norm"}, {}
    for cure in CURES:
        own: dict[str, float] = {}
        for task, column in columns.items():
            arms = arm_of(task, cure), arm_of(task, "nsgan")
            both = paired(by_arm, *arms, column) if set(arms) <= set(by_arm) else None
            own[task] = np.nan if both is None else (both["one"] / both["other"]).median()
        there = [
            by_arm[arm]["gradients"] for task in TASKS if (arm := arm_of(task, cure)) in by_arm
        ]
        if there:
            found[cure] = own | {"gradients": max(float(each.median()) for each in there)}
    return DataFrame.from_dict(found, orient="index")


def _never_less(rows: Rows, task: str) -> list[float]:
    """Logarithm of the least cost of the cures against rotation over that of RS, by member.

    Raises:
        KeyError: if an arm is missing.
    """
    other = arm_of(task, "rs")
    costs = [paired(rows, arm_of(task, cure), other, "cost") for cure in TURNING]
    least = np.minimum.reduce([own["one"].to_numpy(dtype=float) for own in costs])
    return np.log(least / costs[0]["other"].to_numpy(dtype=float)).tolist()


def _nearer_to_rest(rows: Rows, cure: str) -> list[float]:
    """log10 of a cure's field norm on the mixture over NSGAN's, by member that did not diverge.

    Raises:
        KeyError: if there is none.
    """
    both = paired(rows, arm_of(MIXTURE, cure), arm_of(MIXTURE, "nsgan"), "norm").dropna()
    if not len(both):
        raise KeyError(f"a member of {cure} that did not diverge")
    return np.log10(both["one"] / both["other"]).tolist()


def foretold(rows: Rows, task: str) -> tuple[Series, Series]:
    """By method, the exact factor per gradient on the bilinear game, and what it is compared with.

    The latter is a median over members: of the gradients until all modes are covered for good, or
    on the mixture of the field's norm at the end, infinite where nobody is left.

    Raises:
        KeyError: if an arm is missing.
    """
    rates = exact_rates()
    exact = rates[rates["game"] == "bilinear"].set_index("method")["per_gradient"]
    column, names = "norm" if task == MIXTURE else "cost", {"in turn": "nsgan"}
    found = {
        method: float(rows[arm_of(task, names.get(method, method))][column].median())
        for method in exact.index
    }
    return exact, Series(found).fillna(np.inf)


def _foretold(rows: Rows, task: str) -> float:
    found = rank_correlation(*(own.rank() for own in foretold(rows, task)))
    if np.isnan(found):
        raise KeyError(f"methods that differ on {task}")
    return found


def _short(task: str) -> str:
    return task.replace(" ", "_")


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "R18": {
        f"{_short(task)}_best_over_rs": partial(_never_less, task=task) for task in (CLUSTERS, RING)
    },
    "R19": {f"{_short(cure)}_log_norm": partial(_nearer_to_rest, cure=cure) for cure in TURNING},
    "R20": {f"{_short(task)}_foretold": partial(_foretold, task=task) for task in TASKS},
}
