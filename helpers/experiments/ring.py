"""A ring of eight Gaussians: does nudging keep modes, and is sharpness a sign of collapse?

Durall et al. 2021 ask this of images; here the modes are known and every setting has many seeds.
Do the leading eigenvalues of G's and D's Hessians foretell how many modes are covered, and does
nudging keep them? `helpers.experiments.ring_training` trains.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, concat
from typing_extensions import Unpack

from helpers.experiments import protocol
from helpers.experiments.ensembles import paired, quartiles
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.experiments.ring_training import Setting, TrainedRing, train_ring
from helpers.training.nudged import PROJECTIONS
from helpers.training.nudging import Nudging

VERSION = 1
LOSSES, BETAS = ("js", "rs"), (0.5, 0.9)
COUNTS, PLAYERS, OFTEN = (1, 5, 20), ("G", "D", "GD"), (5, 500)
_NUMBERS = ("modes", "good", "score", "top_g", "top_d", "low_g", "low_d")
_SAID = ("project", "k", "players", "every")  # fields of a nudging
_LEAST = 1e-6  # smaller eigenvalues are raised to this before a logarithm
FALL = 0.05  # what counts as flatter, in log10 of the eigenvalue: the margin of A12's rule


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is trained."""

    members: int = 32
    iterations: int = 3000
    every: int = 300  # iterations between records


READINGS = {
    "ours": Reading(
        Setting(),
        "ours: the paper trains on images, and names neither nets nor rates",
        stated=False,
    )
}
SIZES = {
    "quick": Size(members=4, iterations=300, every=75, lacks="2,700 of 3,000 steps, most seeds"),
    "full": Size(lacks="nothing: there is no protocol for a ring"),
}


def nudge(nudging: Nudging | None) -> str:
    """How the name of an arm says what is left out of whose steps.

    >>> nudge(None), nudge(Nudging(k=1, players="G")), nudge(Nudging(project="step", every=5))
    ('adam', 'gradient, k 1, G', 'step, k 5, both, every 5')
    """
    if nudging is None:
        return "adam"
    who = "both" if nudging.players == "GD" else nudging.players
    often = f", every {nudging.every}" if nudging.every != Nudging().every else ""
    return f"{nudging.project}, k {nudging.k}, {who}{often}"


NUDGINGS = (
    None,
    *(
        Nudging(k, project=project, players=players)
        for project in PROJECTIONS
        for k in COUNTS
        for players in PLAYERS
    ),
)
_OFTEN = tuple(Nudging(project=project, every=every) for every in OFTEN for project in PROJECTIONS)


def _arms(loss: str, beta: float, nudgings: tuple[Nudging | None, ...]) -> dict[str, Any]:
    return {
        f"{loss} {beta:g} {nudge(nudging)}": {"loss": loss, "beta": beta, "nudging": nudging}
        for nudging in nudgings
    }


ARMS: dict[str, dict[str, Any]] = {
    name: arm
    for loss in LOSSES
    for beta in BETAS
    for name, arm in _arms(loss, beta, NUDGINGS).items()
} | _arms("js", 0.5, _OFTEN)


def _of(*endings: str) -> list[str]:
    return [arm for arm in ARMS if arm.endswith(endings)]


def _wanted(arms: list[str], blocks: range, why: str) -> Wanted:
    return Wanted(("ours",), arms, "full", blocks, why)


_ONE = range(100, 101)
_PLAIN, _PRINTED = "js 0.5 adam", "js 0.5 gradient, k 5, both"
WANTED = [
    _wanted([_PLAIN, _PRINTED], _ONE, "A12"),
    _wanted(_of("adam", "step, k 5, G"), _ONE, "a better loss, or a nudged step"),
    _wanted(list(_arms("js", 0.5, _OFTEN)), _ONE, "how often directions are found anew"),
    _wanted(_of("k 5, G", "k 5, D", "k 5, both"), _ONE, "whose steps, of gradient or step"),
    _wanted(_of("k 1, G", "k 1, D", "k 1, both"), _ONE, "one direction"),
    _wanted(_of("k 20, G", "k 20, D", "k 20, both"), _ONE, "twenty directions"),
    _wanted(
        [*_of("0.5 adam", "0.5 step, k 5, G"), *_arms("js", 0.5, _OFTEN[2:])],
        range(101, 102),
        "64 seeds where few seeds make the difference",
    ),
]


def train(setting: Setting, size: Size, **how: Unpack[How]) -> TrainedRing:
    """Train the members of a block; arguments and errors are those of `train_ring`.

    >>> tiny = Size(members=1, iterations=2, every=1, lacks="nearly all")
    >>> train(Setting("rs"), tiny, seed=0).finite
    [0]
    """
    return train_ring(setting, size.members, size.iterations, every=size.every, **how)


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", and "course", quartiles over members along training.

    >>> tiny = Size(members=2, iterations=2, every=2, lacks="nearly all")
    >>> sorted(measure(Setting(), tiny, seed=0))
    ['course', 'members']
    """
    trained = train(setting, size, **how)
    return {"members": members_of(trained, size), "course": course_of(trained)}


def members_of(trained: TrainedRing, size: Size) -> DataFrame:
    """A row per member; NaN for members that diverged.

    modes, good, score: those at the end, as `train_ring` says.
    top_g, top_d, low_g, low_d: the largest and the lowest eigenvalue of each player at the end.
    early_top_g: G's largest at the first record after a third of the training.
    """
    run, members = trained.run, range(len(trained.latents))
    columns: dict[str, Any] = {"member": members}
    columns["diverged"] = [run.diverged.get(member, 0) for member in members]
    values, records = _numbers(trained), size.iterations // size.every
    for name, number in values.items():
        columns[name] = _at(number, records - 1)
    columns["early_top_g"] = _at(values["top_g"], records // 3)
    return DataFrame(columns)


def course_of(trained: TrainedRing) -> DataFrame:
    """A row per "number" and "iteration": quartiles "low", "median" and "high" over members."""
    parts = [
        quartiles(values, trained.run.iterations).assign(number=name)
        for name, values in _numbers(trained).items()
    ]
    return concat(parts, ignore_index=True)


def _numbers(trained: TrainedRing) -> dict[str, NDArray[np.float64]]:
    """Values (t, S) by name, for t records; NaN once a member has diverged."""
    records = trained.run.records
    if not len(trained.run.iterations):
        return dict.fromkeys(_NUMBERS, np.zeros((0, len(trained.latents))))
    first = {name: records[name] for name in _NUMBERS}
    first |= {name: records[name][..., 0] for name in ("top_g", "top_d")}
    return {name: values.astype(float) for name, values in first.items()}


def _at(values: NDArray[np.float64], record: int) -> NDArray[np.float64]:
    """(S,) values at a record; NaN if every member had diverged before."""
    if record < len(values):
        return values[record]
    return np.full(values.shape[1], np.nan)


def described(rows: DataFrame) -> DataFrame:
    """Rows with what their arm is: columns loss, beta, nudge, project, k, players and every.

    Without nudging "nudge" is "adam", and the columns from "project" on are missing values.

    >>> rows = described(DataFrame({"arm": ["js 0.5 adam", "rs 0.9 step, k 20, G"]}))
    >>> rows[["loss", "nudge", "k"]].values.tolist()
    [['js', 'adam', nan], ['rs', 'step, k 20, G', 20.0]]
    """
    parts = [
        {"arm": arm, "loss": change["loss"], "beta": change["beta"]}
        | {"nudge": nudge(change["nudging"])}
        | {name: getattr(change["nudging"], name, None) for name in _SAID}
        for arm, change in ARMS.items()
    ]
    return rows.merge(DataFrame(parts), on="arm", how="left")


def gains(rows: DataFrame) -> DataFrame:
    """What each nudge gains over plain Adam in modes, seed by seed.

    Args:
        rows: of members, as `described` gives them.

    Returns:
        A row per nudged arm: what it is, the mean "gain" and its standard "error".
    """
    seed = ["loss", "beta", "block", "member"]
    plain = rows.loc[rows["nudge"] == "adam", [*seed, "modes"]]
    both = rows[rows["nudge"] != "adam"].merge(plain, on=seed, suffixes=("", "_plain"))
    both["gained"] = both["modes"] - both["modes_plain"]
    kinds = both.groupby(["arm", "loss", "beta", "nudge", *_SAID], sort=False)["gained"]
    return kinds.agg(gain="mean", error="sem").reset_index()


def _flatter(rows: Rows, player: str) -> list[float]:
    """log10 of a player's largest eigenvalue with a nudge over that without, by member.

    The arm is the one, of all in which the player is nudged, where it falls by more than `FALL` in
    the largest share of members.
    """
    column = f"top_{player.lower()}"
    found = [
        np.log10(both["one"] / both["other"])
        for arm, change in ARMS.items()
        if arm in rows and player in getattr(change["nudging"], "players", "")
        for both in [paired(rows, arm, f"{change['loss']} {change['beta']} adam", column)]
        for both in [both.dropna().clip(lower=_LEAST)]
        if len(both)
    ]
    if not found:
        raise KeyError(f"a member with {player} nudged that did not diverge")
    return max(found, key=lambda own: float((own < -FALL).mean())).tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "A12": {
        "d_log_sharpness_ratio": lambda rows: _flatter(rows, "D"),
        "g_log_sharpness_ratio": lambda rows: _flatter(rows, "G"),
    }
}
