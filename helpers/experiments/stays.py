"""What a trap looks like: the places where GANs on two clusters stay with one of them.

Sun et al. 2020 say that training is caught near collapse, Berard et al. 2020 ask whether the points
that training reaches are stable and Nash, and Durall et al. 2021 say that collapse is sharp. Here
the two-cluster GANs are trained as in `helpers.experiments.two_clusters`, with all weights kept now
and then. A *stay* is a time of 500 iterations or more in which exactly one cluster is covered, as
in claim C17. `helpers.experiments.stay_points` says what is measured at a point.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame, Series
from torch import Tensor
from typing_extensions import Unpack

from helpers.analysis.coverage import collapses
from helpers.datasets.synthetic import Samples
from helpers.experiments import protocol, stay_points
from helpers.experiments.ensembles import paired
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.experiments.stay_places import (
    Numbers,
    longest_of,
    looked_at,
    places,
)
from helpers.experiments.stay_points import member_of
from helpers.experiments.two_cluster_training import Setting, Trained, draw
from helpers.experiments.two_cluster_training import Size as TrainingSize
from helpers.experiments.two_cluster_training import train as train_members

VERSION = 1
_FLOW = 1.5  # for how much longer than the optimiser the flow is followed


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is run."""

    members: int = 64
    iterations: int = 5000
    shortest: int = 500  # iterations that a stay lasts at least
    every: int = 50  # iterations after which weights are kept


READINGS = {
    "as released": Reading(
        Setting(), "the released script for two clusters; a stay is that of claim C17"
    )
}
ARMS: dict[str, dict[str, Any]] = {
    "js": {"loss": "js"},
    "rs": {"loss": "rs"},
    "js D at RS's rate": {"loss": "js", "d_weight": 2.0},
    "hinge": {"loss": "hinge"},
    "ls": {"loss": "ls"},
}
SIZES = {
    "quick": Size(
        members=3,
        iterations=240,
        shortest=50,
        every=10,
        lacks="4,760 of 5,000 iterations, most seeds, and stays as long as those that count",
    ),
    "full": Size(lacks="nothing"),
}


def _wanted(arms: list[str], blocks: range, why: str) -> Wanted:
    return Wanted(("as released",), arms, "full", blocks, why)


_ONE = range(100, 101)
WANTED = [
    _wanted(["js", "rs"], _ONE, "R10 to R13, 64 seeds"),
    _wanted(["js D at RS's rate"], _ONE, "R12: equal rates"),
    _wanted(["ls", "hinge"], _ONE, "losses of other forms"),
    _wanted(["js", "rs"], range(101, 108), "R10 to R13, 512 seeds"),
]


def train(setting: Setting, size: Size, **how: Unpack[How]) -> Trained:
    """Train the members of a block, with weights kept every `size.every` iterations and at the end.

    Arguments and errors are those of `helpers.experiments.two_cluster_training.train`.

    >>> tiny = Size(members=1, iterations=4, every=2, lacks="nearly all")
    >>> sorted(train(Setting("rs"), tiny, seed=0).weights)
    [0, 2, 4]
    """
    much = TrainingSize(members=size.members, iterations=size.iterations, lacks=size.lacks)
    iterations = setting.longer * size.iterations
    keep = {*range(0, iterations, size.every), iterations}
    return train_members(setting, much, keep=keep, **how)


def places_of(trained: Trained, shortest: int) -> DataFrame:
    """The places of a training that are looked at, as `stay_places.places` says.

    With two clusters, full coverage is that of both. Which 5 points of 100 cover one is decided by
    rounding in this VERSION: see `Trained.compared`.
    """
    covered = trained.coverage()
    return places(
        collapses(trained.compared(), trained.iterations, shortest=shortest),
        stable=covered.stable,
        is_full=covered.at_end == 2,
        weights=trained.weights,
        end=int(trained.iterations[-1]),
    )


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", as `members_of`, and "points", a row per place.

    The columns of "points" are those of `places_of` and of the functions of
    `helpers.experiments.stay_points`: `curvature` at all places, `refined` at stays and at full
    coverage, and at stays also `growth`. "flow_left", at a member's longest stay, is the time for
    which the flow stays from there, up to one and a half times as long as the optimiser does.

    >>> tiny = Size(members=2, iterations=4, every=2, shortest=500, lacks="nearly all")
    >>> measure(Setting("rs"), tiny, seed=0)["members"]["stays"].tolist()
    [0, 0]
    """
    trained = train(setting, size, **how)
    about = {"setting": repr(setting), "size": repr(size), "seed": how["seed"]}
    _, samples = draw(setting, size.members, seed=how["seed"])
    look = partial(_numbers_at, trained, samples)
    points = looked_at(places_of(trained, size.shortest), look, about, _NUMBERS, **how)
    return {"members": members_of(trained, points), "points": points}


def _numbers_at(trained: Trained, samples: Samples, who: int, own: DataFrame) -> list[Numbers]:
    """The numbers of a member's places, in their order."""
    setting, longest, found = trained.setting, longest_of(own), []
    member, time = member_of(setting, samples, who), stay_points.time_of(setting)
    for index, place, iteration, left, radius in zip(
        *(own.index, own["place"], own["iteration"], own["left"], own["radius"]), strict=True
    ):
        point: Tensor = trained.weights[iteration][who].double().cpu()
        numbers: Numbers = stay_points.curvature(member, point)[0]
        if place != "between":
            numbers |= stay_points.refined(member, point, radius)
        if place == "stay":
            numbers |= stay_points.growth(setting, member, point)
        # The hinge's field jumps: the solver's steps would have no end.
        if index == longest and "hinge" not in setting.loss:
            numbers["flow_left"] = stay_points.flow_stays(member, point, _FLOW * left * time)
        found.append(numbers)
    return found


_NUMBERS = (
    *("norm", "lowest", "turning", "resolution", "low_g", "top_g", "low_d", "top_d"),
    *("residual", "moved", "same", "away", "stuck", "found", "stable", "nash", "weak"),
    *("rest_lowest", "rest_resolution", "rest_own", "rest_own_resolution"),
    *("grow_flow", "grow_method", "grow_plain", "grow_single", "flow_left"),
)
# Columns of the longest stay, and of the other places of its member.
_OF_STAY = (
    *("start", "end", "last", "left", "norm", "lowest", "turning", "resolution"),
    *("low_g", "low_d", "top_g", "top_d", "residual", "moved", "same", "away", "stuck"),
    *("found", "stable", "nash", "weak"),
    *("grow_flow", "grow_method", "grow_plain", "grow_single", "flow_left"),
)
_OF_OTHERS = {
    "between": ("top_g", "top_d"),
    "full": (
        *("norm", "lowest", "low_g", "low_d", "top_g", "top_d"),
        *("residual", "moved", "found", "stable", "nash", "weak"),
    ),
}


def members_of(trained: Trained, points: DataFrame) -> DataFrame:
    """A row per member; NaN where there is no such place.

    diverged: the iteration in which it did, or 0. first, longest, covered: as in
        `helpers.experiments.two_clusters`.
    stays: how many there are; at_rest, at_nash: at how many of them a stationary point was found,
        and a point that may be a local Nash equilibrium.
    The other columns are those of "points" at the member's longest stay; they begin with
    "between_" and "full_" for the places that follow it.
    """
    covered = trained.coverage()
    rows = []
    for member in range(trained.loss.shape[1]):
        own = points[points["member"] == member]
        stays = own[own["place"] == "stay"]
        row: dict[str, Any] = {"member": member, "diverged": trained.diverged.get(member, 0)}
        row |= {"first": int(covered.first[member])}
        row |= {"longest": int(covered.longest[member]), "covered": int(covered.at_end[member])}
        row |= {"stays": len(stays)}
        for name, column in (("at_rest", "found"), ("at_nash", "weak")):
            row[name] = int(stays[column].sum()) if len(stays) else 0
        rows.append(row | _of_longest(own, stays))
    return DataFrame(rows)


def _of_longest(own: DataFrame, stays: DataFrame) -> dict[str, float]:
    found = dict.fromkeys(_OF_STAY, np.nan)
    found |= {f"{place}_{n}": np.nan for place, columns in _OF_OTHERS.items() for n in columns}
    if not len(stays):
        return found
    longest = stays.loc[longest_of(stays)]
    found |= {name: float(longest[name]) for name in _OF_STAY}
    for place, columns in _OF_OTHERS.items():
        there = own[own["place"] == place]
        if place == "between":
            there = there[there["number"] == longest["number"]]
        if len(there):
            found |= {f"{place}_{name}": float(there.iloc[0][name]) for name in columns}
    return found


def staying(rows: Rows, arm: str) -> DataFrame:
    """The members of an arm with a stay.

    Raises:
        KeyError: if there is none.
    """
    own = rows[arm]
    if not (own["stays"] > 0).any():
        raise KeyError(f"a member of {arm} with a stay")
    return own[own["stays"] > 0]


def ended(searches: DataFrame) -> Series:
    """Whether each search for rest came to an end, whatever end; the others were cut off.

    >>> kinds = {"residual": [1e-12, 0.1, 0.1], "away": [0, 1, 0], "stuck": [0, 0, 0]}
    >>> ended(DataFrame(kinds)).tolist()
    [True, True, False]
    """
    at_rest = searches["residual"] <= stay_points.TOLERANCE
    return at_rest | (searches["away"] > 0) | (searches["stuck"] > 0)


def _searched(rows: Rows) -> list[int]:
    """1 for each JS seed the search of whose longest stay came to an end."""
    return ended(staying(rows, "js")).astype(int).tolist()


def _sharper(rows: Rows, player: str) -> list[float]:
    """log10 of a player's largest own curvature at JS's longest stay over that at full coverage."""
    own = staying(rows, "js")
    both = own[[f"top_{player}", f"full_top_{player}"]].dropna()
    if not len(both):
        raise KeyError("a member of js with a stay that covers both clusters for good")
    return np.log10(both[f"top_{player}"] / both[f"full_top_{player}"]).tolist()


def ending(rows: Rows, arm: str) -> DataFrame:
    """The members of an arm whose longest stay ends before the run does.

    Raises:
        KeyError: if there is none.
    """
    own = staying(rows, arm)
    if (own["last"] > 0).all():
        raise KeyError(f"a stay of {arm} that ends")
    return own[own["last"] == 0]


def _e_folds(rows: Rows) -> list[float]:
    """How often the fastest-growing displacement grows by e until a JS stay ends."""
    own, time = ending(rows, "js"), stay_points.time_of(READINGS["as released"].setting)
    return (own["grow_flow"] * own["left"] * time).tolist()


def _by_rate(rows: Rows) -> list[float]:
    """By how much JS's longest collapse is longer than RS's, minus twice that at equal rates."""
    released = paired(rows, "js", "rs", "longest")
    equal = paired(rows, "js D at RS's rate", "rs", "longest")
    gone = (released["one"] - released["other"]) - 2 * (equal["one"] - equal["other"])
    return gone.dropna().tolist()


def _flow_over_method(rows: Rows) -> list[float]:
    """Logarithm of the time for which the flow stays over that for which the optimiser does."""
    own = ending(rows, "js")
    time = own["left"] * stay_points.time_of(READINGS["as released"].setting)
    return np.log(own["flow_left"] / time).tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "R10": {
        "js_at_nash": lambda rows: staying(rows, "js")["at_nash"].tolist(),
        "js_at_rest": lambda rows: staying(rows, "js")["at_rest"].tolist(),
        "js_searches_ended": _searched,
    },
    "R11": {
        "d_log_sharpness": lambda rows: _sharper(rows, "d"),
        "g_log_sharpness": lambda rows: _sharper(rows, "g"),
    },
    "R12": {
        "rs_stays": lambda rows: rows["rs"]["stays"].tolist(),
        "gone_at_equal_rates": _by_rate,
    },
    "R13": {
        "e_folds_left": _e_folds,
        "method_over_flow": lambda rows: (
            staying(rows, "js")["grow_method"] / staying(rows, "js")["grow_flow"]
        ).tolist(),
        "flow_over_method_time": _flow_over_method,
    },
}
