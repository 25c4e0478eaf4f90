"""Claims judged on the evidence, by the rules of data/claims.json."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from helpers import experiments
from helpers.evidence.frames import by_arm, fresh, of_version, runs_and_lost
from helpers.inputs import one_of
from helpers.ledger import OWN, PROFILES, Judgement, judge
from helpers.ledger.claims import find
from helpers.ledger.rules import CAVEAT, HOLDING, NOT_REPRODUCED, OPEN, REFUTING

_Both = tuple[DataFrame, DataFrame]  # rows, and runs that diverged as a whole


def judged(claim_id: str, *, folder: Path | str | None = None) -> Judgement | None:
    """A claim judged on the deciding evidence; None if none of its quantities has an experiment.

    Each experiment's first reading is judged, at the largest size at which all arms that the claim
    needs have deciding blocks. Where that fails, the other readings give the paper its best chance:
    those in the claim's "readings", if it has them, since its words may be about some alone. A
    claim of this book has no such chance, since it says what it is about.
    A reading in which the claim holds makes the verdict a caveat. A reading of which nothing was
    run leaves the claim open. So does one that comes nearer than the first, by `Record.miss`, on
    screening blocks, until it fails on its own deciding blocks. While a quantity has no evidence,
    the claim is open, and the record holds the other quantities. It is open, too, where runs of the
    arms that were read diverged as a whole: the others are a selection.

    Args:
        claim_id: id in data/claims.json.
        folder: folder of a store, whose runs are judged in place of the shipped evidence.

    Raises:
        ValueError: for an unknown claim, and a quantity that its experiment does not measure.

    >>> judged("C01") is None
    True
    """
    claim = find(claim_id)
    names = dict.fromkeys(q["experiment"] for q in claim["quantities"] if "experiment" in q)
    if not names:
        return None
    own = [name for name in names if name in experiments.ORDER]  # others are judged where they run
    firsts = {name: next(iter(experiments.find(name).READINGS)) for name in own}
    both = {name: runs_and_lost(name, folder=folder) for name in own}
    found, arms = _judged(claim_id, firsts, both)
    # Where several experiments share a claim, it has no single reading.
    of_paper = claim["paper"] != OWN
    if of_paper and found.record.verdict == NOT_REPRODUCED and len(own) == 1:
        return _best_chance(claim_id, own[0], found, arms, both[own[0]])
    return found


def _judged(
    claim_id: str,
    readings: Mapping[str, str],
    rows: Mapping[str, _Both],
    *,
    screened: bool = False,
) -> tuple[Judgement, set[str]]:
    """A claim judged on one reading of each experiment, and the arms that were used.

    If `screened`, it is judged on all runs of the reading, including those that screen.
    """
    quantities = find(claim_id)["quantities"]
    values: dict[str, Any] = {}
    sources, used, arms, count = [], [], set[str](), 0
    for name, reading in readings.items():
        wanted = [q["name"] for q in quantities if q.get("experiment") == name]
        found, lost = (
            of_version(each, name) if screened else fresh(each, name) for each in rows[name]
        )
        found, lost = (each[each["reading"] == reading] for each in (found, lost))
        own, used_rows, size = _values(name, found, claim_id, wanted)
        values |= own
        if len(used_rows):  # some quantities are arithmetic, and rest on no run
            of_these = [lost[part].isin(used_rows[part]) for part in ("arm", "size")]
            gone = lost[of_these[0] & of_these[1]]["key"].nunique()
            told = f", {_runs(gone)} diverged without numbers" if gone else ""
            sources.append(f"{source_of(used_rows)}{told}, reading: {reading}")
            arms |= set(used_rows["arm"])
            count += gone
        if size:
            used.append(size)
    size = min(used, key=PROFILES.index, default="")
    record = judge(claim_id, values, profile=size or PROFILES[0])
    if count and record.verdict != OPEN:
        lacks = f"numbers of {_runs(count)} that diverged"
        record = replace(record, verdict=OPEN, lacks=lacks)
    return Judgement(record, "; ".join(sources), size), arms


def _best_chance(
    claim_id: str, name: str, first: Judgement, arms: set[str], both: _Both
) -> Judgement:
    """What the other readings of an experiment make of a claim that its first reading refutes."""
    readings = experiments.find(name).READINGS
    meant = find(claim_id).get("readings", readings)
    others = [o for o in list(readings)[1:] if readings[o].plausible and o in meant]
    found = {other: _judged(claim_id, {name: other}, {name: both})[0] for other in others}
    for other, made in found.items():
        if made.record.verdict in HOLDING:
            verdict = made.record.verdict if readings[other].stated else CAVEAT
            record = replace(made.record, verdict=verdict, lacks=f"in the reading {other!r}")
            return replace(made, record=record)
    ran = {other: set(both[0][both[0]["reading"] == other]["arm"]) for other in others}
    never = [other for other in others if not arms <= ran[other]]
    if never:
        lacks = f"the reading{'s' if len(never) > 1 else ''} {', '.join(map(repr, never))}"
        return replace(first, record=replace(first.record, verdict=OPEN, lacks=lacks))
    seen = {
        other: _judged(claim_id, {name: other}, {name: both}, screened=True)[0].record
        for other in others
    }
    nearest = min(seen, key=lambda other: seen[other].miss, default=None)
    if nearest is None or seen[nearest].miss >= first.record.miss:
        return first
    if found[nearest].record.verdict in REFUTING:
        return found[nearest]
    lacks = f"seeds of the reading {nearest!r}, which comes nearer"
    return replace(first, record=replace(first.record, verdict=OPEN, lacks=lacks))


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def source_of(rows: DataFrame) -> str:
    """Size, seeds of each arm, device and date of some rows, as text.

    >>> columns = {"size": "full", "arm": "js", "block": 100, "member": [0, 1]}
    >>> source_of(DataFrame(columns | {"device": "CPU (x86_64)", "date": "2026-11-27"}))
    'full size, 2 seeds, CPU (x86_64), 2026-11-27'
    """
    kind = rows.columns.intersection(["reading", "arm"]).tolist()
    seeds = rows.drop_duplicates([*kind, "block", "member"]).groupby(kind).size()
    count = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    one = " seed" if count == "1" else " seeds"
    each = " of each" if len(seeds) > 1 else ""
    dates = sorted(set(rows["date"]))
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    devices = " and ".join(sorted(set(rows["device"])))
    kinds = sorted(set(rows["size"]))
    sizes = " and ".join("legacy run" if kind == "legacy" else f"{kind} size" for kind in kinds)
    return f"{sizes}, {count}{one}{each}, {devices}, {when}"


def _values(
    name: str, found: DataFrame, claim_id: str, wanted: list[str]
) -> tuple[dict[str, Any], DataFrame, str]:
    """Quantities of a claim from one experiment, the rows that they rest on, and their size."""
    module = experiments.find(name)
    functions = module.QUANTITIES.get(claim_id, {})
    for quantity in wanted:
        one_of(f"quantity of {claim_id} in {name}", quantity, functions)
    best: tuple[dict[str, Any], DataFrame, str] = ({}, DataFrame(), "")
    for size in reversed(list(module.SIZES)):
        rows = by_arm(found[found["size"] == size])
        values, used = {}, set()
        for quantity in wanted:
            watched = _Watched(rows)
            try:
                values[quantity] = functions[quantity](watched)
            except KeyError:  # an arm has no rows yet
                continue
            used |= watched.read
        own = pd.concat([rows[arm] for arm in sorted(used)]) if used else DataFrame()
        if len(values) == len(wanted):
            return values, own, size
        if len(values) > len(best[0]):
            best = values, own, size
    return best


class _Watched(UserDict[str, DataFrame]):
    """Rows by arm, which remember the arms that were read."""

    def __init__(self, rows: Mapping[str, DataFrame]) -> None:
        super().__init__(rows)
        self.read = set[str]()

    def __getitem__(self, arm: str) -> DataFrame:
        found = super().__getitem__(arm)
        self.read.add(arm)  # only if the arm was found
        return found
