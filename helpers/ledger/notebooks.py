"""What a chapter leaves in its executed notebook, in the outputs' metadata, and how it is read."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from IPython.display import publish_display_data
from numpy.typing import ArrayLike

from helpers.inputs import shown
from helpers.ledger.boxes import as_html, as_text
from helpers.ledger.claims import data_file
from helpers.ledger.columns import Table
from helpers.ledger.rules import plain_numbers
from helpers.ledger.standing import Standing
from helpers.ledger.verdicts import Judgement, Record, judge

_RECORD, _TABLE = "ganscapes", "ganscapes-table"  # keys in an output's metadata
_GLUED = "application/papermill.record/"


def record(
    claim_id: str,
    values: float | Sequence[float] | Mapping[str, Any],
    *,
    profile: str = "quick",
    note: str = "",
    judged: Judgement | None = None,
) -> None:
    """Judge a claim, show its verdict box and store the numbers in the executed notebook.

    Arguments and errors as `judge`; `judged` is what evidence makes of the claim, of which the box
    then is, with these numbers folded inside.

    >>> record("C14", 1e6)
    C14 reproduced: ...
    """
    made = judge(claim_id, values, profile=profile, note=note)
    show_box(Standing(judged.record, judged.source) if judged else Standing(made, ""), made)


def show_box(found: Standing, live: Record) -> None:
    """Show what the book says of a claim, with a page's live run folded inside, which is stored.

    The live run's numbers are those that a later execution is compared with.

    >>> made = judge("C14", 1e6, profile="quick")
    >>> show_box(Standing(made, ""), made)
    C14 reproduced: ...
    """
    folded = live if live.values and live is not found.record else None
    box = {
        "text/plain": as_text(found.record, found.source),
        "text/html": as_html(found.record, source=found.source, live=folded),
    }
    publish_display_data(box, {_RECORD: live.as_json()})


def glue(name: str, value: float | int | str) -> None:
    """Name a value, so that a page's prose can print it with ``{glue:text}`name```.

    Stores what MyST-NB's glue stores, and works where MyST-NB is not installed (Colab). Floats
    keep ten significant digits, so that a notebook reads the same on every machine.

    Raises:
        ValueError: for what is neither a number nor text.

    >>> glue("answer", 42)
    """
    if isinstance(value, Integral):
        value = int(value)
    elif not isinstance(value, str):
        if hasattr(value, "item"):
            value = value.item()
        if not isinstance(value, Real):
            raise ValueError(f"a number or text is glued, got {shown(value)}")
        value = float(f"{float(value):.10g}")
    where = {"name": name, "mime_prefix": _GLUED}
    publish_display_data({f"{_GLUED}text/plain": repr(value)}, {"scrapbook": where})


def store_table(name: str, table: Mapping[str, ArrayLike]) -> None:
    """Leave a table, one row per seed, in the executed notebook; `--record` keeps a full run's.

    Floats keep five significant digits.

    Raises:
        ValueError: for NaN, and what is no number.

    >>> store_table("times", {"first": [3.0, 4.0]})
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"a table is a mapping of columns, got {shown(table)}")
    brief = {}
    for column, given in table.items():
        values = plain_numbers(given)
        if not isinstance(values, list):
            raise ValueError(f"a column is a row of numbers, got {values} for {column}")
        brief[column] = [_brief(value) for value in values]
    stored = {_TABLE: {"name": name, "columns": brief}}
    publish_display_data({f"{_GLUED}text/plain": ""}, stored)


def collect(notebook: Mapping[str, Any]) -> Iterator[Record]:
    """Records in an executed notebook's outputs, judged by the rules of today.

    >>> list(collect({"cells": []}))
    []
    """
    return map(Record.from_json, _stored(notebook, _RECORD))


def boxes_of(notebook: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The claim of each verdict box in a notebook, and the line of text that stands for the box.

    >>> list(boxes_of({"cells": []}))
    []
    """
    for output in _outputs(notebook):
        if stored := output.get("metadata", {}).get(_RECORD):
            yield stored["claim"], "".join(output["data"]["text/plain"])


def tables(notebook: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """What `store_table` left in an executed notebook, by name.

    >>> tables({"cells": []})
    {}
    """
    return {table["name"]: table["columns"] for table in _stored(notebook, _TABLE)}


@functools.cache
def recorded(chapter: str) -> dict[str, Any] | None:
    """A chapter's run in data/recorded, or None: when, where, "records" and "tables", by name.

    >>> recorded("two_clusters")["tables"]["js"]["first"].shape
    (512,)
    """
    try:
        run = json.loads(data_file(f"recorded/{chapter}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return run | {"tables": {name: Table(t) for name, t in run.get("tables", {}).items()}}


def show_recorded(chapter: str) -> None:
    """Show the verdict boxes of a chapter's recorded run, with where and when it ran.

    >>> show_recorded("path_angle")
    No run is recorded yet.
    """
    run = recorded(chapter)
    if run is None:
        print("No run is recorded yet.")
        return
    profile, minutes = run["parameters"]["profile"].capitalize(), run["seconds"] / 60
    print(
        f"{profile} profile, seeds {run['seeds']}, {run['device']}, {run['date']}, "
        f"commit {run['commit']}, {minutes:.0f} minutes."
        + (f" {run['note']}." if "note" in run else "")
    )
    records = [Record.from_json(stored) for stored in run["records"]]
    # The boxes of the chapter's own run are the ones that links lead to.
    page = "".join(as_html(made, anchor=False) for made in records)
    publish_display_data({"text/plain": "\n".join(map(as_text, records)), "text/html": page})


def _stored(notebook: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    for output in _outputs(notebook):
        if stored := output.get("metadata", {}).get(key):
            yield stored


def _outputs(notebook: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for cell in notebook["cells"]:
        yield from cell.get("outputs", [])


def _brief(value: float) -> float:
    number = float(f"{value:.5g}")
    return int(number) if number.is_integer() else number
