"""The edge of stability of a game: where it is, and whose.

Cohen et al. 2021 find that full-batch descent of one player sharpens until its rate times the
largest eigenvalue of the Hessian is 2. Here two players are trained, by five methods and at several
rates, and at some tens of moments both players' own Hessians and the game's Jacobian are compared
with the edge of the method, `helpers.analysis.edge_ratio`. `edge_training` trains and `edge_watch`
watches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, concat
from typing_extensions import Unpack

from helpers.analysis import EDGE_METHODS, edge_ratio, multipliers
from helpers.experiments import protocol
from helpers.experiments.edge_training import MIXTURE, RING, Setting, TrainedEdges, train_edges
from helpers.experiments.ensembles import log_ratio, quartiles
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.training.nudging import Nudging

__all__ = [
    "ADAM",  # arms of Adam at its larger rates
    "ARMS",  # data, methods and rates
    "AT_20",  # arms whose edge is at an eigenvalue of 20, by method
    "FIRST",  # the arm of the released script
    "NUDGED",  # arms in which D's sharp directions are left out, and D's rate in each
    "QUANTITIES",  # what claims are judged by
    "READINGS",  # what is trained
    "SIZES",  # how much is run
    "VERSION",  # the version of a run's numbers
    "WANTED",  # which runs are wanted
    "Setting",  # what to train
    "Size",  # how much is trained
    "course_of",  # the course of a run
    "measure",  # the numbers of a run
    "members_of",  # the members' numbers of a run
    "train",  # the training of a run
]

VERSION = 1
NEAR = 0.95  # of the edge: from here on it is reached
_LATE = 4  # the last quarter of a training


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is trained."""

    members: int = 8
    iterations: int = 5000
    points: int = 200  # of the data, and latents
    every: int = 125  # iterations between records


READINGS = {
    "as released": Reading(
        Setting("js-saturating"),
        "the loss, rates and deviations of the released script of Berard et al. 2020; ours: "
        "latents of one dimension, full batches of fewer points, and a ring beside the mixture",
        stated=False,
    )
}
SIZES = {
    "quick": Size(
        members=2,
        iterations=400,
        points=100,
        every=20,
        lacks="4,600 of 5,000 iterations, 9,900 of 10,000 points, most seeds",
    ),
    "full": Size(lacks="9,800 of the script's 10,000 points"),
}
RATES = (0.01, 0.03, 0.1, 0.2, 0.3)  # of D on the mixture, G's a tenth; of both on the ring
ADAM_RATES = tuple(rate / 100 for rate in RATES)  # of both players
_LOSSES = {MIXTURE: "js-saturating", RING: "js"}


def _arm(data: str, method: str, rate: float) -> dict[str, Any]:
    both = (rate, rate) if data == RING or method == "adam" else (rate / 10, rate)
    return {"data": data, "loss": _LOSSES[data], "method": method, "rates": both}


ARMS: dict[str, dict[str, Any]] = {
    f"{data}, {method}, {rate:g}": _arm(data, method, rate)
    for data in (MIXTURE, RING)
    for method in EDGE_METHODS
    for rate in (ADAM_RATES if method == "adam" else RATES)
}
FIRST = "mixture, simultaneous, 0.1"  # the script's own
# Where the game's eigenvalue is furthest from D's own: a coupling that is not one of a zero-sum
# game, and a G that is as fast as D.
ARMS["nsgan, 0.1"] = ARMS[FIRST] | {"loss": "js"}
ARMS["nsgan, equal rates, 0.1"] = ARMS[FIRST] | {"loss": "js", "rates": (0.1, 0.1)}
ARMS["nsgan, G at 0.3, D at 0.1"] = ARMS[FIRST] | {"loss": "js", "rates": (0.3, 0.1)}
# Rates at which these methods have their edge where FIRST has it, at an eigenvalue of 20.
ARMS["edge at 20, extragradient"] = ARMS[FIRST] | {
    "method": "extragradient",
    "rates": (0.005, 0.05),
}
ARMS["edge at 20, optimistic"] = ARMS[FIRST] | {"method": "optimistic", "rates": (1 / 300, 1 / 30)}
ARMS["equal rates, 0.1"] = ARMS[FIRST] | {"rates": (0.1, 0.1)}
# D's five leading directions are left out of its gradient: what is not descended cannot oscillate.
# At the smallest rate the edge is too far away to hold D, nudged or not.
NUDGED = {f"nudged d, {rate:g}": rate for rate in (0.03, 0.1, 0.3)}
for _name, _rate in NUDGED.items():
    _plain = ARMS[f"mixture, simultaneous, {_rate:g}"]
    ARMS[_name] = _plain | {"nudging": Nudging(players="D")}


# Adam at its larger rates, by the name of a quantity.
ADAM = {
    f"{data}, adam, {rate:g}": f"{data}_{1000 * rate:g}e_3"
    for data in (MIXTURE, RING)
    for rate in ADAM_RATES[-2:]
}

_ONE = range(100, 101)


def _wanted(arms: list[str], why: str, blocks: range = _ONE) -> Wanted:
    return Wanted(tuple(READINGS), arms, "full", blocks, why)


def _of(data: str, method: str) -> list[str]:
    return [arm for arm in ARMS if arm.startswith(f"{data}, {method}, ")]


_EQUAL = "nsgan, equal rates, 0.1"
_SLOW = "mixture, simultaneous, 0.01"
_PLAIN = "mixture, simultaneous, 0.03"
AT_20 = {  # by method
    "simultaneous": FIRST,
    "alternating": "mixture, alternating, 0.1",
    "extragradient": "edge at 20, extragradient",
    "optimistic": "edge at 20, optimistic",
}
WANTED = [
    _wanted([FIRST, _EQUAL, _SLOW], "R14, R15 and R16; a minute a run, as for all on the mixture"),
    _wanted([_PLAIN, *AT_20.values()], "R17"),
    _wanted([FIRST, _EQUAL], "R14 and R15, 32 seeds", range(101, 104)),
    _wanted(["nsgan, 0.1", "equal rates, 0.1", "mixture, simultaneous, 0.3"], "R14, R15: others"),
    _wanted(["nsgan, G at 0.3, D at 0.1"], "a G that is faster than D"),
    _wanted(
        ["ring, simultaneous, 0.3", "ring, simultaneous, 0.1"], "another game; 2 minutes a run"
    ),
    _wanted(list(NUDGED), "R27"),
    _wanted(list(ADAM), "R28"),
    _wanted(_of(MIXTURE, "adam"), "Adam's own edge at all rates"),
    _wanted(_of(RING, "adam"), "the same on the ring"),
    *(
        _wanted([arm for method in EDGE_METHODS[:4] for arm in _of(data, method)], why)
        for data, why in ((MIXTURE, "all methods at all rates"), (RING, "the same on the ring"))
    ),
]


def train(
    setting: Setting,
    size: Size,
    **how: Unpack[How],
) -> TrainedEdges:
    """Train the members of a block, with weights kept at each record.

    Arguments and errors are those of `helpers.experiments.edge_training.train_edges`.

    >>> tiny = Size(members=1, iterations=4, points=20, every=2, lacks="nearly all")
    >>> sorted(train(Setting("js"), tiny, seed=0).run.snapshots)
    [0, 2, 4]
    """
    return train_edges(
        setting,
        size.members,
        size.iterations,
        points=size.points,
        every=size.every,
        keep=range(0, size.iterations, size.every),
        **how,
    )


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", and "course", quartiles over members along training.

    >>> tiny = Size(members=2, iterations=2, points=20, every=1, lacks="nearly all")
    >>> sorted(measure(Setting("js"), tiny, seed=0))
    ['course', 'members']
    """
    trained = train(setting, size, **how)
    return {"members": members_of(trained), "course": course_of(trained)}


def members_of(trained: TrainedEdges) -> DataFrame:
    """A row per member.

    diverged: the iteration in which it did, or 0.
    d, g, game, radius, turning, value_d: medians over the last quarter of the records of what
        `course_of` says; NaN for members that diverged before the last record that there is, and
        where one of those records is NaN. If all members diverge, the records end there.
    low_d, high_d: the lowest and the largest d among those.
    reached: the first recorded iteration in which d is at least 0.95; NaN if it never is.
    highest: the largest d in the whole training.
    """
    run, members = trained.run, range(len(trained.latents))
    columns: dict[str, Any] = {"member": members}
    columns["diverged"] = [run.diverged.get(member, 0) for member in members]
    numbers = _numbers(trained)
    late = -(-len(run.iterations) // _LATE)
    for name, values in numbers.items():
        columns[name] = np.median(values[len(values) - late :], axis=0) if late else np.nan
    last = numbers["d"][len(numbers["d"]) - late :] if late else np.full((1, len(members)), np.nan)
    columns["low_d"], columns["high_d"] = last.min(axis=0), last.max(axis=0)
    columns["reached"], columns["highest"] = _reached(numbers["d"], run.iterations)
    return DataFrame(columns)


def _reached(
    d: NDArray[np.float64], iterations: NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """When each member's d first comes near the edge, and the largest d it has."""
    near = np.nan_to_num(d) >= NEAR
    first = [float(iterations[own.argmax()]) if own.any() else np.nan for own in near.T]
    highest = [float(own[~np.isnan(own)].max(initial=-np.inf)) for own in d.T]
    return first, [own if np.isfinite(own) else np.nan for own in highest]


def course_of(trained: TrainedEdges) -> DataFrame:
    """A row per "number" and "iteration": quartiles "low", "median" and "high" over members.

    d, g: the `edge_ratio` of the largest eigenvalue of a player's own Hessian, as if it were alone;
        under simultaneous descent its rate times the eigenvalue over 2.
    game: the edge ratio of the game's leading eigenvalue, the one of largest modulus; NaN where no
        step is small enough for it.
    radius: the largest modulus of the multipliers of the four leading eigenvalues.
    turning: the size of the angle of the game's leading eigenvalue, in degrees.
    value_d: the largest eigenvalue of D's own Hessian, except under Adam, where it is NaN.

    Alternating steps have no edge ratio of the game's eigenvalues. Those of I - U stand for them,
    with the ratio of simultaneous steps: this too is 1 at the edge.
    """
    parts = [
        quartiles(values, trained.run.iterations).assign(number=name)
        for name, values in _numbers(trained).items()
    ]
    return concat(parts, ignore_index=True)


_NAMES = ("d", "g", "game", "radius", "turning", "value_d")


def _numbers(trained: TrainedEdges) -> dict[str, NDArray[np.float64]]:
    """Values (t, S) by name, for t records; NaN once a member has diverged."""
    records, setting = trained.run.records, trained.setting
    if not len(trained.run.iterations):
        return dict.fromkeys(_NAMES, np.zeros((0, len(trained.latents))))
    method = "simultaneous" if setting.method == "alternating" else setting.method
    beta = setting.beta if method == "adam" else 0.0

    def ratio(values: NDArray[Any]) -> NDArray[np.float64]:
        found = np.full(values.shape, np.nan)
        there = np.isfinite(values)
        found[there] = edge_ratio(values[there], method, beta=beta)
        return np.where(np.isinf(found), np.nan, found)

    numbers = {name: ratio(records[f"own_{name}"].astype(float)) for name in ("d", "g")}
    leading = records["real"].astype(float) + 1j * records["imag"]
    numbers["game"] = ratio(leading[..., 0])
    there = np.isfinite(leading).all(axis=-1)
    numbers["radius"] = np.full(there.shape, np.nan)
    moduli = np.abs(multipliers(leading[there], method, beta=beta))
    numbers["radius"][there] = moduli.max(axis=(-2, -1))
    numbers["turning"] = np.abs(np.degrees(np.angle(leading[..., 0])))
    value = records["own_d"].astype(float) / setting.rates[1]
    numbers["value_d"] = np.full(value.shape, np.nan) if method == "adam" else value
    return numbers


def _late(arm: str, column: str) -> Quantity:
    """The members' numbers of an arm.

    Those that diverged have none, and none those of which a late eigenvalue has no edge.
    """
    return lambda rows: rows[arm][column].dropna().tolist()


def _nearer(rows: Rows) -> list[float]:
    """By how much D's own ratio is further from 1 than the game's."""
    own = rows[_EQUAL].dropna(subset=["d", "game"])
    return ((own["d"] - 1).abs() - (own["game"] - 1).abs()).tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "R14": {"d_ratio": _late(FIRST, "d"), "g_ratio": _late(FIRST, "g")},
    "R15": {
        "d_beyond": lambda rows: (rows[_EQUAL]["d"].dropna() - 1).tolist(),
        "game_ratio": _late(_EQUAL, "game"),
        "game_nearer": _nearer,
    },
    "R16": {"slow_highest": _late(_SLOW, "highest")},
    "R17": {
        **{f"{method}_ratio": _late(arm, "d") for method, arm in AT_20.items() if arm != FIRST},
        "optimistic_log_sharpness": lambda rows: (
            log_ratio(rows, AT_20["optimistic"], _PLAIN, "value_d").dropna().tolist()
        ),
    },
    "R27": {
        "d_ratio_at_01": _late("nudged d, 0.1", "d"),
        "d_ratio_at_03": _late("nudged d, 0.3", "d"),
        "far_log_sharpness": lambda rows: (
            log_ratio(rows, "nudged d, 0.03", _PLAIN, "value_d").dropna().tolist()
        ),
    },
    "R28": {name: _late(arm, "game") for arm, name in ADAM.items()},
}
