"""Claims judged on the evidence, by the rules of data/claims.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from helpers import experiments
from helpers.evidence.frames import by_arm, fresh, runs
from helpers.inputs import one_of
from helpers.ledger import PROFILES, Record, judge
from helpers.ledger.claims import find


@dataclass(frozen=True)
class Judgement:
    """What the evidence says of a claim."""

    record: Record
    source: str  # size, seeds, device, date and reading, as text
    size: str  # the smallest of its experiments', or ""


def judged(claim_id: str, *, folder: Path | str | None = None) -> Judgement | None:
    """A claim judged on the deciding evidence; None if none of its quantities has an experiment.

    Each experiment's first reading is judged, at the largest size at which all arms that the claim
    needs have deciding blocks. While a quantity has no evidence the verdict is "no run yet", and
    the record holds the others.

    Args:
        claim_id: id in data/claims.json.
        folder: of a store, whose runs are judged in place of the evidence that ships.

    Raises:
        ValueError: for an unknown claim, and a quantity that names no experiment that there is.

    >>> judged("C01") is None
    True
    """
    claim = find(claim_id)
    names = dict.fromkeys(q["experiment"] for q in claim["quantities"] if "experiment" in q)
    if not names:
        return None
    values: dict[str, Any] = {}
    sources, used = [], []
    for name in names:
        wanted = [q["name"] for q in claim["quantities"] if q.get("experiment") == name]
        if name not in experiments.ORDER:  # its runs are still those of a chapter
            continue
        own, rows, size = _values(name, claim_id, wanted, folder)
        values |= own
        if len(rows):  # some quantities are arithmetic, and rest on no run
            sources.append(f"{source_of(rows)}, reading: {rows['reading'].iloc[0]}")
        if size:
            used.append(size)
    size = min(used, key=_rank, default="")
    record = judge(claim_id, values, profile=size or PROFILES[0])
    return Judgement(record, "; ".join(sources), size)


def source_of(rows: DataFrame) -> str:
    """Size, seeds of each arm, device and date of some rows, as text.

    >>> columns = {"size": "full", "arm": "js", "block": 100, "member": [0, 1]}
    >>> source_of(DataFrame(columns | {"device": "CPU (x86_64)", "date": "2026-11-27"}))
    'full size, 2 seeds, CPU (x86_64), 2026-11-27'
    """
    seeds = rows.drop_duplicates(["arm", "block", "member"]).groupby("arm").size()
    count = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    one = " seed" if count == "1" else " seeds"
    each = " of each" if len(seeds) > 1 else ""
    dates = sorted(set(rows["date"]))
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    devices = " and ".join(sorted(set(rows["device"])))
    sizes = " and ".join("legacy run" if s == "legacy" else f"{s} size" for s in set(rows["size"]))
    return f"{sizes}, {count}{one}{each}, {devices}, {when}"


def _values(
    name: str, claim_id: str, wanted: list[str], folder: Path | str | None
) -> tuple[dict[str, Any], DataFrame, str]:
    """Quantities of a claim by one experiment, the rows that they are of, and their size."""
    module = experiments.find(name)
    functions = module.QUANTITIES.get(claim_id, {})
    for quantity in wanted:
        one_of(f"quantity of {claim_id} in {name}", quantity, functions)
    found = fresh(runs(name, folder=folder), name)
    found = found[found["reading"] == next(iter(module.READINGS))]
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


class _Watched(Mapping[str, DataFrame]):
    """Rows by arm, that remember which arms were read."""

    def __init__(self, rows: Mapping[str, DataFrame]) -> None:
        self.rows, self.read = rows, set[str]()

    def __getitem__(self, arm: str) -> DataFrame:
        self.read.add(arm)
        return self.rows[arm]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def _rank(size: str) -> int:
    return PROFILES.index(size)
