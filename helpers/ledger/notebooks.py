"""What a chapter leaves in its executed notebook, in the outputs' metadata, and how it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

from IPython.display import publish_display_data

from helpers.inputs import shown
from helpers.ledger.boxes import as_html, as_text
from helpers.ledger.standing import Standing
from helpers.ledger.verdicts import Record

_RECORD = "ganscapes"  # key in an output's metadata
_GLUED = "application/papermill.record/"


def show_box(found: Standing, live: Record) -> None:
    """Show what the book says of a claim, with a page's live run folded inside, and store that run.

    A later execution is compared with the numbers of the live run.

    >>> from helpers.ledger import judge
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
            raise ValueError(f"glue takes a number or text, got {shown(value)}")
        value = float(f"{float(value):.10g}")
    where = {"name": name, "mime_prefix": _GLUED}
    publish_display_data({f"{_GLUED}text/plain": repr(value)}, {"scrapbook": where})


def collect(notebook: Mapping[str, Any]) -> Iterator[Record]:
    """Records in an executed notebook's outputs, judged by today's rules.

    >>> list(collect({"cells": []}))
    []
    """
    return (Record.from_json(stored) for stored, _ in _stored(notebook))


def boxes_of(notebook: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The claim of each verdict box in a notebook, and the line of text that stands for the box.

    >>> list(boxes_of({"cells": []}))
    []
    """
    for stored, output in _stored(notebook):
        yield stored["claim"], "".join(output["data"]["text/plain"])


def _stored(notebook: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """The live runs that `show_box` has stored, each with its output."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if stored := output.get("metadata", {}).get(_RECORD):
                yield stored, output
