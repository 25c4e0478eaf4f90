"""What a trap on a ring looks like: does training stay where modes are lost, and what is there?

`helpers.experiments.stays` asks it of two clusters; here the GANs are trained on a ring of eight
Gaussians, with Adam. A *stay* is a time of 500 iterations or more in which the same modes are
covered, some but not all. A mode is *missing* while it is not covered, if it was before, for 500
iterations or more.

Batches keep the nets of the other experiments on the ring moving, and at the kinks of their
activations the field jumps, so that a search for rest says little. So there are also small and
smooth nets, trained on all their points at once.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame
from typing_extensions import Unpack

from helpers.analysis.coverage import absences, steady
from helpers.experiments import stay_points
from helpers.experiments.lost_modes_training import OF_GAME, Setting, Size, Trained, train
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.experiments.ring_training import MODES
from helpers.experiments.stay_places import Numbers, looked_at, places
from helpers.experiments.stay_points import LEAST
from helpers.games.game import PLAYERS
from helpers.operators import hessian
from helpers.spectra import top_eigenpairs

VERSION = 1


READINGS = {
    "ours": Reading(
        Setting(),
        "ours: the ring, nets and rate of the chapter on nudging, for as long as cures are tried; "
        "no paper looks for traps there",
        stated=False,
    )
}
_SMALL = {"units": 16, "smooth": True, "points": OF_GAME, "batch": None}
ARMS: dict[str, dict[str, Any]] = {
    "js": {"loss": "js"},
    "rs": {"loss": "rs"},
    "js, small": {"loss": "js"} | _SMALL,
    "rs, small": {"loss": "rs"} | _SMALL,
}
SIZES = {
    "quick": Size(
        members=2,
        iterations=400,
        shortest=150,
        keep=20,
        searched=2,
        lacks="4,600 of 5,000 iterations, most seeds, and losses as long as those that count",
    ),
    "full": Size(lacks="nothing: there is no protocol for a ring"),
}


def _wanted(arms: list[str], why: str) -> Wanted:
    return Wanted(tuple(READINGS), arms, "full", range(100, 101), why)


WANTED = [
    _wanted(["js", "js, small"], "R24 to R26, 64 seeds"),
    _wanted(["rs", "rs, small"], "the loss without bad basins beside it"),
]


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", as `members_of`, and "points", a row per place.

    The columns of "points" are those of `helpers.experiments.stay_places.places`, for the places
    "lost" and "full", and of `helpers.experiments.stay_points`: `curvature` at both, and `refined`
    of smooth nets where a mode is lost. Nets with kinks have a field that jumps, and a search for
    its zero ends at the next jump.

    >>> tiny = Size(members=2, iterations=4, every=2, keep=2, lacks="nearly all")
    >>> measure(Setting(), tiny, seed=0)["members"]["stays"].tolist()
    [0, 0]
    """
    trained = train(setting, size, **how)
    about = {"setting": repr(setting), "size": repr(size), "seed": how["seed"]}
    at = places_of(trained, size.shortest)
    look = partial(_numbers_at, trained, size.searched)
    points = looked_at(at, look, about, (*_CURVED, *_REST), **how)
    members = members_of(trained, points, size)
    members = members.merge(beside(trained, at), on="member", how="left")
    return {"members": members, "points": points}


def places_of(trained: Trained, shortest: int) -> DataFrame:
    """The places of a training that are looked at: those of `places`, without what is between.

    "lost" is the middle of a member's longest time without a mode that it had covered before, if
    it is at least so long; "full", beside it, the middle of full coverage for good. A member that
    diverged has no place.
    """
    gone = absences(trained.shares, trained.iterations, shortest=shortest, least=LEAST)
    gone = gone[(gone["start"] > 0) & ~gone["member"].isin(list(trained.diverged))]
    gone = gone.sort_values("length", kind="stable")
    covered = trained.coverage()
    gone = gone.groupby("member").tail(1).sort_values("member")
    at = places(
        gone,
        stable=covered.stable,
        is_full=covered.at_end == MODES,
        weights=trained.weights,
        end=int(trained.iterations[-1]),
    )
    at = at[at["place"] != "between"].replace({"place": {"stay": "lost"}})
    return at.merge(gone[["member", "mode"]], on="member")


def beside(trained: Trained, at: DataFrame) -> DataFrame:
    """The sharpness of another seed that covers all modes when a member has lost one.

    It is the next member, in turn, that does so at the record nearest to the time at which the
    member's loss is looked at.

    Args:
        trained: the members.
        at: their places, as `places_of` gives them.

    Returns:
        A row per member that has lost a mode: "beside", the other one, NaN if there is none; and
        "beside_top_g" and "beside_top_d", its largest own curvatures there.
    """
    full, count = trained.coverage().covered == MODES, len(trained.samples.reals)
    rows = []
    for who, iteration in at.loc[at["place"] == "lost", ["member", "iteration"]].to_numpy():
        record = int(np.abs(trained.iterations - iteration).argmin())
        turn = [(who + step) % count for step in range(1, count)]
        others = [each for each in turn if full[record, each] and each not in trained.diverged]
        row: dict[str, float] = {"member": who, "beside": others[0] if others else np.nan}
        for player in PLAYERS:
            row[f"beside_top_{player.lower()}"] = np.nan
            if others:
                game = trained.member(others[0]).game
                point = trained.weights[iteration][others[0]].double().cpu()
                found = top_eigenpairs(hessian(game, player, point), 1)
                row[f"beside_top_{player.lower()}"] = float(found.values[0])
        rows.append(row)
    return DataFrame(rows, columns=["member", "beside", "beside_top_g", "beside_top_d"])


def _numbers_at(trained: Trained, most: int, who: int, own: DataFrame) -> list[Numbers]:
    """The numbers of a member's places, in their order."""
    member, found = trained.member(who, int(own["mode"].iloc[0])), []
    for place, iteration, radius in zip(
        *(own["place"], own["iteration"], own["radius"]), strict=True
    ):
        point = trained.weights[iteration][who].double().cpu()
        numbers: Numbers = stay_points.curvature(member, point)[0]
        if place == "lost" and trained.setting.smooth:
            numbers |= stay_points.refined(member, point, radius, most)
        found.append(numbers)
    return found


_CURVED = ("norm", "lowest", "turning", "resolution", "low_g", "top_g", "low_d", "top_d")
_REST = (
    *("residual", "moved", "same", "away", "stuck", "found", "stable", "nash", "weak"),
    *("rest_lowest", "rest_resolution", "rest_own", "rest_own_resolution"),
)
_OF_PLACES = {"lost": ("start", "end", "last", *_CURVED, *_REST[:9]), "full": _CURVED}


def members_of(trained: Trained, points: DataFrame, size: Size) -> DataFrame:
    """A row per member.

    diverged: the iteration in which it did, or 0. first, settled: when all modes were covered, and
    from when on for good; the length of the run for never. covered: modes at the end.
    partly: iterations in which some modes are covered and not all. stays: how many there are;
    longest: iterations of the longest time with the same modes covered, some but not all.
    loose_stays, loose_longest: the same, where a mode counts as covered until it has half of the
    samples with which it came, so that one at the threshold ends no stay.
    hops: how many modes become covered, or cease to be, in a hundred iterations, while some are
    covered and not all.
    The other columns are those of "points", with the place before their names; NaN where there is
    no such place.
    """
    covered, there = trained.coverage(), trained.covered()
    count = covered.covered[:-1]
    some = (count > 0) & (count < MODES)
    hops = ((there[1:] != there[:-1]).sum(axis=2) * some).sum(axis=0)
    time = size.every * some.sum(axis=0)  # iterations
    kinds = {"": there, "loose_": trained.loosely()}
    same = {
        name: steady(held.astype(float), trained.iterations, shortest=1)
        for name, held in kinds.items()
    }
    rows = []
    for member in range(there.shape[1]):
        row: dict[str, Any] = {"member": member, "diverged": trained.diverged.get(member, 0)}
        row |= {"first": int(covered.first[member]), "settled": int(covered.stable[member])}
        row |= {"covered": int(covered.at_end[member])}
        row |= {"partly": int(time[member])}
        for name, runs in same.items():
            lengths = runs.loc[runs["member"] == member, "length"]
            row[f"{name}stays"] = int((lengths >= size.shortest).sum())
            row[f"{name}longest"] = int(lengths.max()) if len(lengths) else 0
        row |= {"hops": 100 * hops[member] / time[member] if time[member] else np.nan}
        for place, columns in _OF_PLACES.items():
            own = points[(points["member"] == member) & (points["place"] == place)]
            row |= {f"{place}_{n}": own[n].iloc[0] if len(own) else np.nan for n in columns}
        rows.append(row)
    return DataFrame(rows)


def _stays(rows: Rows) -> list[int]:
    """The stays of members that cover some modes and not all for long enough to have one."""
    own = rows["js"]
    own = own[own["partly"] >= SIZES["full"].shortest]
    if not len(own):
        raise KeyError("a member of js that covers some modes for long, and not all")
    return own["loose_stays"].tolist()


def _flatter(rows: Rows, player: str, than: str) -> list[float]:
    """log10 of a player's largest own curvature where a mode is lost over that elsewhere."""
    both = rows["js"][[f"lost_top_{player}", f"{than}_top_{player}"]].dropna()
    if not len(both):
        raise KeyError(f"a member of js that loses a mode for long, and one to compare it ({than})")
    return np.log10(both[f"lost_top_{player}"] / both[f"{than}_top_{player}"]).tolist()


def _at_rest(rows: Rows) -> list[float]:
    """Whether a point at rest was found where a mode is lost, for members that were looked at."""
    found = rows["js, small"]["lost_found"].dropna()
    if not len(found):
        raise KeyError("a member of js, small, that loses a mode for long")
    return found.tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "R24": {"js_stays": _stays},
    "R25": {"js_at_rest": _at_rest},
    "R26": {
        "d_log_sharpness": lambda rows: _flatter(rows, "d", "full"),
        "g_log_sharpness": lambda rows: _flatter(rows, "g", "full"),
        "d_at_the_same_time": lambda rows: _flatter(rows, "d", "beside"),
        "g_at_the_same_time": lambda rows: _flatter(rows, "g", "beside"),
    },
}
