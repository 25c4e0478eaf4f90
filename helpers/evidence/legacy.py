"""Rows of data/recorded: what a chapter ran before there was evidence, one row per seed.

They are shown, labelled as what they are, where the evidence has no rows of an arm yet. They decide
nothing here: their members were drawn in another number, so they belong to no block.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pandas import DataFrame

from helpers import experiments
from helpers.evidence.frames import stacked
from helpers.evidence.lines import decoded
from helpers.ledger import data_file

LEGACY = "legacy"  # in the column "size"


def legacy_rows(
    experiment: str, arms: Sequence[str] | None = None, table: str = "members"
) -> DataFrame:
    """The rows of some arms in the experiment's first reading; none where nothing was recorded.

    They come from data/recorded/EXPERIMENT.jsonl, whose lines are like those of the evidence: an
    arm, where it was made, and tables by name.

    Raises:
        ValueError: for an unknown experiment.

    >>> set(legacy_rows("two_clusters", ["ls"])["size"])
    {'legacy'}
    """
    module = experiments.find(experiment)
    parts = []
    for about, frame in _lines(experiment, table):
        if about["arm"] in (module.ARMS if arms is None else arms):
            known = {"experiment": experiment, "version": 0, "block": -1, "key": LEGACY}
            known |= {"reading": next(iter(module.READINGS)), "size": LEGACY}
            parts.append(frame.assign(**{"seconds": float("nan")} | about | known))
    return stacked(parts)


def _lines(experiment: str, table: str) -> Iterator[tuple[dict[str, Any], DataFrame]]:
    """From data/recorded: what each line is about, and its table."""
    try:
        text = data_file(f"recorded/{experiment}.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    for line in map(json.loads, text.splitlines()):
        tables = line.pop("tables")
        if table in tables:
            yield line, decoded(tables[table])
