"""Which runs are wanted, and which of them are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from helpers import experiments
from helpers.evidence import committed
from helpers.evidence.identity import Run, canonical
from helpers.evidence.lines import decoded, same_numbers
from helpers.evidence.store import Store
from helpers.experiments.protocol import Experiment, Wanted, setting_of
from helpers.inputs import one_of, shown

# Of a listing; experiments of which no runs are wanted any more have one without rows.
_COLUMNS = ["experiment", "reading", "arm", "size", "wanted", "there", "busy", "failed"]
_COLUMNS += ["stale", "past", "seconds", "device", "spread", "cost"]


def wanted(
    names: Sequence[str] = (),
    *,
    size: str | None = None,
    reading: str | None = None,
    arms: Sequence[str] = (),
    blocks: range | None = None,
) -> list[Run]:
    """The runs that are wanted, in the order in which they are done, none twice.

    Args:
        names: experiments; if empty, all, in the order of `helpers.experiments.ORDER`.
        size: this size, in place of those that are wanted; at a size where nothing is wanted, one
            block of each.
        reading: this reading alone.
        arms: these arms alone, by their names or by patterns such as "cnn*"; if empty, all that are
            wanted.
        blocks: these blocks, in place of those that are wanted.

    Raises:
        ValueError: for an unknown experiment, reading, arm or size, and blocks below 0.

    >>> str(wanted(["mixture"])[0])
    'mixture, as printed, nsgan, full, 100'
    """
    found: dict[str, Run] = {}
    for name in names or experiments.ORDER:
        module = experiments.find(name)
        for each in _chosen(module, size, reading, arms, blocks):
            for block, own, arm in product(each.blocks, each.readings, each.arms):
                run = run_of(name, own, arm, each.size, block)
                found.setdefault(run.key, run)
    return list(found.values())


def run_of(name: str, reading: str, arm: str, size: str, block: int) -> Run:
    """One run of an experiment, by the names of its reading, arm and size."""
    module = experiments.find(name)
    one_of("size", size, module.SIZES)
    setting = setting_of(module, reading, arm)
    return Run(name, module.VERSION, setting, module.SIZES[size], block, reading, arm, size)


def _chosen(
    module: Experiment,
    size: str | None,
    reading: str | None,
    arms: Sequence[str],
    blocks: range | None,
) -> list[Wanted]:
    chosen = list(module.WANTED)
    arms = [arm for pattern in arms for arm in _matching(pattern, module)]
    if arms:
        few = {id(each): [arm for arm in arms if arm in each.arms] for each in chosen}
        chosen = [replace(each, arms=few[id(each)]) for each in chosen if few[id(each)]]
    if reading is not None:
        one_of("reading", reading, module.READINGS)
        own = [replace(each, readings=(reading,)) for each in chosen if reading in each.readings]
        others = [
            replace(each, readings=(reading,), arms=arms or tuple(module.ARMS))
            for each in module.WANTED[:1]
        ]
        chosen = own or others
    if size is not None:
        one_of("size", size, module.SIZES)
        own = [each for each in chosen if each.size == size]
        chosen = own or [replace(each, size=size, blocks=range(1)) for each in chosen]
    if blocks is not None:
        if not len(blocks) or blocks[0] < 0 or blocks.step != 1:
            raise ValueError(f"blocks are counted from 0 on, as in 100:106, got {shown(blocks)}")
        chosen = [replace(each, blocks=blocks) for each in chosen]
    return chosen


def _matching(pattern: str, module: Experiment) -> list[str]:
    """The arms that a pattern such as "cnn*" matches, as a shell matches names; one at least."""
    found = [arm for arm in module.ARMS if fnmatchcase(arm, pattern)]
    return [one_of("arm", pattern, module.ARMS)] if pattern in module.ARMS or not found else found


def lacking(runs: Sequence[Run], store: Store, *, anew: bool = False) -> list[Run]:
    """The runs that neither the store nor, unless `anew`, the evidence has."""
    have: set[str] = set()
    if not anew:
        for name in dict.fromkeys(run.experiment for run in runs):
            have |= {row["key"] for row in committed.read(name)}
    return [run for run in runs if run.key not in have and store.read(run) is None]


def failed(runs: Sequence[Run], store: Store) -> list[Run]:
    """Those of some runs that a store has on record as failed: they are not tried again.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     failed(wanted(["two_clusters"]), Store(folder))
    []
    """
    return [run for run in runs if "failed" in (store.read(run) or {})]


def listing(runs: Sequence[Run], store: Store, *, anew: bool = False) -> DataFrame:
    """Which of some runs there are, with one row for each reading, arm and size.

    Columns: experiment, reading, arm, size, wanted, there, busy, failed, stale (runs of an earlier
    version of this setting), past (runs of this setting and size, of any block), seconds (their
    median; where there are none, that of other settings at this size), device (on which those were
    done), cost (core-hours of the missing runs; unknown where seconds are), spread (largest
    relative difference between replicates).

    >>> from tempfile import TemporaryDirectory
    >>> some = wanted(["two_clusters"], arms=["ls"], size="full", blocks=range(100, 102))
    >>> with TemporaryDirectory() as folder:
    ...     listing(some, Store(folder), anew=True)[["arm", "wanted", "there"]]
      arm  wanted  there
    0  ls       2      0
    """
    missing = {run.key for run in lacking(runs, store, anew=anew)}
    past = _past(runs, store)
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    first: dict[tuple[str, ...], Run] = {}
    for run in runs:
        group = (run.experiment, run.reading, run.arm, run.size_name)
        row = rows.setdefault(
            group,
            dict(zip(("experiment", "reading", "arm", "size"), group, strict=True))
            | dict.fromkeys(("wanted", "there", "busy", "failed"), 0),
        )
        first.setdefault(group, run)
        row["wanted"] += 1
        row["there"] += run.key not in missing
        row["busy"] += store.holder(run) is not None
        row["failed"] += bool(failed([run], store))
    for kind, row in rows.items():
        row |= _history(first[kind], past)
        left = row["wanted"] - row["there"]
        row["cost"] = left * row["seconds"] / 3600 if left else 0.0
    return pd.DataFrame(list(rows.values()), columns=None if rows else _COLUMNS)


def cost_of(plan: DataFrame) -> str:
    """What is missing of a `listing` and what that costs, in a sentence without its full stop.

    >>> from tempfile import TemporaryDirectory
    >>> some = wanted(["two_clusters"], arms=["ls"], size="full", blocks=range(100, 101))
    >>> with TemporaryDirectory() as folder:
    ...     plan = listing(some, Store(folder), anew=True).assign(cost=0.25)
    >>> cost_of(plan)
    '1 of 1 run is missing, 0.2 core-hours by what was run before on CPU (x86_64)'
    """
    wanted, missing = int(plan["wanted"].sum()), int((plan["wanted"] - plan["there"]).sum())
    text = f"{missing} of {wanted} run{'' if wanted == 1 else 's'} "
    text += f"{'is' if missing == 1 else 'are'} missing"
    lacking = plan[plan["wanted"] > plan["there"]]
    known = lacking.dropna(subset="cost")
    if len(known):
        devices = sorted({name for row in known["device"] for name in row.split(", ")})
        text += f", {known['cost'].sum():.1f} core-hours by what was run before on "
        text += ", ".join(devices)
    if new := int((lacking["past"] == 0).sum()):
        text += f"; {new} kind{' was' if new == 1 else 's were'} never run, and "
        text += f"count{'s' if new == 1 else ''} as others of the same size, if there are any"
    if count := int(plan["failed"].sum()):  # they count as there, but have no numbers
        text += f"; {count} failed, see drop"
    return text


def seconds_of(runs: Sequence[Run], store: Store) -> dict[str, float]:
    """What past runs suggest that each of some runs takes, by key, in seconds.

    It is the median over runs of the same setting and size; where there are none, over those of
    the experiment at this size; else NaN.

    >>> from tempfile import TemporaryDirectory
    >>> some = wanted(["two_clusters"], arms=["ls"], size="full", blocks=range(100, 102))
    >>> with TemporaryDirectory() as folder:
    ...     [seconds > 60 for seconds in seconds_of(some, Store(folder)).values()]
    [True, True]
    """
    past = _past(runs, store)
    found: dict[str, float] = {}
    of_kind: dict[tuple[str, ...], float] = {}
    for run in runs:
        kind = (run.experiment, run.reading, run.arm, run.size_name)
        if kind not in of_kind:
            of_kind[kind] = _seconds(_timed(run, past))
        found[run.key] = of_kind[kind]
    return found


def _past(runs: Sequence[Run], store: Store) -> list[dict[str, Any]]:
    """Lines of past runs of the same experiments, of the evidence and of the store."""
    past = []
    for name in dict.fromkeys(run.experiment for run in runs):
        past += committed.read(name)
        past += [line for _, line in store.lines(name) if isinstance(line, dict)]
    return [line for line in past if "failed" not in line]


def _history(run: Run, past: Sequence[dict[str, Any]]) -> dict[str, Any]:
    of_setting = _alike(past, experiment=run.experiment, setting=canonical(run.setting))
    same = _alike(of_setting, size=canonical(run.size), version=run.version)
    timed = _timed(run, past)
    return {
        "stale": len({p["key"] for p in of_setting if p["version"] < run.version}),
        "past": len(same),
        "seconds": _seconds(timed),
        "device": ", ".join(sorted({str(p["device"]) for p in timed})),
        "spread": _spread(same),
    }


def _timed(run: Run, past: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Past runs that say how long one takes: of its setting, or else of its size alone."""
    size = canonical(run.size)
    own = _alike(past, experiment=run.experiment, size=size, version=run.version)
    return _alike(own, setting=canonical(run.setting)) or own


def _seconds(timed: Sequence[dict[str, Any]]) -> float:
    return median(p["seconds"] for p in timed) if timed else float("nan")


def _alike(lines: Sequence[dict[str, Any]], **parts: object) -> list[dict[str, Any]]:
    return [line for line in lines if all(line[name] == part for name, part in parts.items())]


def _spread(lines: Sequence[dict[str, Any]]) -> float:
    """Largest relative difference of a member's number between runs of a key.

    NaN for one run; infinite where one of two diverged as a whole, and has no numbers.
    """
    worst = float("nan")
    by_key: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        twins = by_key.setdefault(line["key"], [])
        if not any(same_numbers(line, twin) for twin in twins):
            twins.append(line)
    for first, *others in by_key.values():
        for other in others:
            if not all("members" in each["tables"] for each in (first, other)):
                worst = float("inf")
                continue
            one, two = (decoded(each["tables"]["members"]) for each in (first, other))
            one, two = one.select_dtypes("number").align(two.select_dtypes("number"), join="inner")
            apart = (one - two).abs() / np.maximum(one.abs(), two.abs()).clip(lower=1e-300)
            worst = float(np.fmax(worst, np.nanmax(apart, initial=0.0)))
    return worst
