"""Rows of data/recorded: what a chapter ran before there was evidence, a row a seed.

They are shown where the evidence has no rows of an arm yet, named as what they are, and decide
nothing here: their members were drawn in another number, so that they are no block's.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from pandas import DataFrame

from helpers import experiments
from helpers.evidence.frames import COLUMNS
from helpers.ledger import recorded

LEGACY = "legacy"  # in the column "size"
_TABLES = {"five_gaussians": ("two_clusters", "ring ")}  # the chapter, and how labels begin
_LABELS = {"js script": "js released", "rs script": "rs released"}  # where an arm had another name


def legacy_rows(experiment: str, arms: Sequence[str] | None = None) -> DataFrame:
    """The rows of some arms in the experiment's first reading; none where nothing was recorded.

    Raises:
        ValueError: for an unknown experiment.

    >>> set(legacy_rows("two_clusters", ["ls"])["size"])
    {'legacy'}
    """
    module = experiments.find(experiment)
    chapter, prefix = _TABLES.get(experiment, (experiment, ""))
    run = recorded(chapter)
    parts = []
    for arm in module.ARMS if arms is None else arms:
        label = prefix + _LABELS.get(arm, arm)
        if run is not None and label in run["tables"]:
            table = run["tables"][label]
            about = {name: run[name] for name in ("device", "torch", "commit", "date")}
            about |= {"experiment": experiment, "version": 0, "block": -1, "key": LEGACY}
            about |= {"reading": next(iter(module.READINGS)), "arm": arm, "size": LEGACY}
            columns = {name: table[name] for name in table.names}
            frame = DataFrame(columns).assign(seconds=float("nan"), **about)
            parts.append(frame.assign(member=range(len(frame))))
    if not parts:
        return DataFrame({name: [] for name in COLUMNS})
    whole = pd.concat(parts, ignore_index=True)
    return whole[[*COLUMNS, *(name for name in whole.columns if name not in COLUMNS)]]
