"""Evidence as tidy frames, every row labelled with its run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from helpers import experiments
from helpers.evidence import committed
from helpers.evidence.identity import canonical
from helpers.evidence.lines import decoded, rounded, text_of
from helpers.evidence.store import Store
from helpers.experiments.protocol import Experiment, setting_of
from helpers.inputs import one_of
from helpers.ledger import data_file

LEGACY = "legacy"  # in the column "size"
DECIDING = 100  # blocks from this number on decide; those before it screen
_RUN = ("experiment", "version", "block", "key", "device", "torch", "commit", "date", "seconds")
COLUMNS = ("experiment", "version", "reading", "arm", "size", *_RUN[2:])


def runs(experiment: str, table: str = "members", *, folder: Path | str | None = None) -> DataFrame:
    """The rows of all runs of an experiment, replicates left out.

    A run whose setting is that of several readings or arms has rows under each of them; a run whose
    setting no reading has any more is left out.

    Args:
        experiment: a name of `helpers.experiments.ORDER`.
        table: "members", or the name of a course.
        folder: folder of a store, whose runs are shown in place of the shipped evidence.

    Raises:
        ValueError: for an unknown experiment, and evidence that is damaged.

    >>> list(runs("two_clusters").columns[:5])
    ['experiment', 'version', 'reading', 'arm', 'size']
    """
    return runs_and_lost(experiment, table, folder=folder)[0]


def runs_and_lost(
    experiment: str, table: str = "members", *, folder: Path | str | None = None
) -> tuple[DataFrame, DataFrame]:
    """What `runs` gives, and the runs that diverged as a whole, which have no numbers to give.

    The latter have one row for each reading and arm.

    >>> len(runs_and_lost("two_clusters")[1])
    0
    """
    module = experiments.find(experiment)
    labels, sizes = _labels(module), _sizes(module)
    parts, lost = [], []
    for line in _lines(experiment, folder):
        size = sizes.get(text_of(line["size"]))
        for reading, arm in labels.get(text_of(line["setting"]), []):
            about = {name: line[name] for name in _RUN}
            about |= {"reading": reading, "arm": arm, "size": size}
            if size is not None and table in line["tables"]:
                parts.append(decoded(line["tables"][table]).assign(**about))
            elif size is not None and "diverged" in line and not line["tables"]:
                lost.append(DataFrame([about]))
    whole = stacked(parts)
    by = [name for name in ("reading", "arm", "size", "block", "member") if name in whole]
    return whole.sort_values(by, kind="stable", ignore_index=True), stacked(lost)


def stacked(parts: Sequence[DataFrame]) -> DataFrame:
    """Frames of runs one below the other, with what tells the runs apart first."""
    if not parts:
        return DataFrame({name: [] for name in COLUMNS})
    whole = pd.concat(parts, ignore_index=True)
    return whole[[*COLUMNS, *(name for name in whole.columns if name not in COLUMNS)]]


def deciding(
    experiment: str,
    table: str = "members",
    *,
    reading: str,
    arms: Sequence[str] | None = None,
    folder: Path | str | None = None,
) -> DataFrame:
    """The rows that decide: those of the largest size at which all arms have blocks from 100 on.

    Args:
        experiment, table, folder: as in `runs`.
        reading: the reading whose rows are taken.
        arms: arms that must be there; by default all that have rows at the largest size.

    Raises:
        ValueError: for an unknown experiment, reading or arm.

    >>> rows = deciding("two_clusters", reading="as released", arms=["js", "rs"])
    >>> sorted(set(rows["arm"])), bool((rows["block"] >= 100).all())
    (['js', 'rs'], True)
    """
    module = experiments.find(experiment)
    one_of("reading", reading, module.READINGS)
    for arm in arms or ():
        one_of("arm", arm, module.ARMS)
    found = fresh(runs(experiment, table, folder=folder), experiment)
    found = found[found["reading"] == reading]
    for size in reversed(list(module.SIZES)):
        own = found[found["size"] == size]
        if len(own) and set(arms or ()) <= set(own["arm"]):
            chosen = own if arms is None else own[own["arm"].isin(list(arms))]
            return chosen.reset_index(drop=True)
    return found.iloc[:0]


def legacy_rows(
    experiment: str, arms: Sequence[str] | None = None, table: str = "members"
) -> DataFrame:
    """What a chapter ran of some arms before there was evidence, in the experiment's first reading.

    They come from data/recorded/EXPERIMENT.jsonl, whose lines are like those of the evidence: an
    arm, where it was made, and tables by name. They are shown, labelled as what they are, where the
    evidence has no rows of an arm yet. They decide nothing: their members were drawn in another
    number, so they belong to no block.

    Raises:
        ValueError: for an unknown experiment.

    >>> set(legacy_rows("two_clusters", ["ls"])["size"])
    {'legacy'}
    """
    module = experiments.find(experiment)
    parts = []
    for about, frame in _recorded(experiment, table):
        if about["arm"] in (module.ARMS if arms is None else arms):
            known = {"experiment": experiment, "version": 0, "block": -1, "key": LEGACY}
            known |= {"reading": next(iter(module.READINGS)), "size": LEGACY}
            parts.append(frame.assign(**{"seconds": float("nan")} | about | known))
    return stacked(parts)


def fresh(rows: DataFrame, experiment: str) -> DataFrame:
    """The rows of an experiment that may decide: of its present version, from block 100 on."""
    found = of_version(rows, experiment)
    return found[found["block"] >= DECIDING]


def of_version(rows: DataFrame, experiment: str) -> DataFrame:
    """The rows of an experiment's present version."""
    return rows[rows["version"] == experiments.find(experiment).VERSION]


def by_arm(rows: DataFrame) -> dict[str, DataFrame]:
    """Rows by their arm."""
    return {str(arm): own.reset_index(drop=True) for arm, own in rows.groupby("arm")}


def astray(experiment: str) -> list[str]:
    """Keys of the shipped runs that belong to no reading, arm or size of the present version.

    Raises:
        ValueError: for an unknown experiment, and evidence that is damaged.

    >>> astray("two_clusters")
    []
    """
    module = experiments.find(experiment)
    labels, sizes = _labels(module), _sizes(module)
    return [
        line["key"]
        for line in committed.read(experiment)
        if line["version"] == module.VERSION
        and (text_of(line["setting"]) not in labels or text_of(line["size"]) not in sizes)
    ]


def _lines(experiment: str, folder: Path | str | None) -> Iterator[dict[str, Any]]:
    if folder is None:
        yield from (line for line in committed.read(experiment) if not line.get("replicate"))
        return
    for _, line in Store(folder).lines(experiment):
        if isinstance(line, dict) and "failed" not in line:
            yield rounded(line)  # as evidence has it: the same run has the same numbers


def _recorded(experiment: str, table: str) -> Iterator[tuple[dict[str, Any], DataFrame]]:
    """From data/recorded: what each line is about, and its table."""
    try:
        text = data_file(f"recorded/{experiment}.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    for line in map(json.loads, text.splitlines()):
        tables = line.pop("tables")
        if table in tables:
            yield line, decoded(tables[table])


def _labels(module: Experiment) -> dict[str, list[tuple[str, str]]]:
    """Readings and arms by their setting as text."""
    found: dict[str, list[tuple[str, str]]] = {}
    for reading in module.READINGS:
        for arm in module.ARMS:
            setting = text_of(canonical(setting_of(module, reading, arm)))
            found.setdefault(setting, []).append((reading, arm))
    return found


def _sizes(module: Experiment) -> dict[str, str]:
    return {text_of(canonical(size)): name for name, size in module.SIZES.items()}
