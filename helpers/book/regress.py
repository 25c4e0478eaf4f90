"""The regression check: every recorded number against the one committed in data/references.

`helpers.ledger.references` says how far each may move, and what is not compared because it depends
on chaos. In place of that, `helpers.book.fixed` has numbers at a fixed state or over a short
horizon.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from helpers import ledger
from helpers.book import fixed
from helpers.book.layout import Layout
from helpers.ledger import references
from helpers.ledger.references import Number, Reference, Value, listed

FIXED = "fixed"  # stands for the claim of `helpers.book.fixed`'s numbers


@dataclass(frozen=True)
class Comparison:
    """One number: what it was, what it is, and how far it may move."""

    chapter: str
    claim: str
    quantity: str
    reference: Number | None  # None: not in the reference
    now: Value | None  # None: no longer recorded

    @property
    def drifted(self) -> bool:
        if self.reference is None or self.now is None:
            return True
        return self.reference.drifted(self.now)


def compare(layout: Layout, chapter: str) -> list[Comparison]:
    """Compare the last execution of a chapter with its references."""
    before = {(n.claim, n.quantity): n for n in load(layout, chapter).numbers}
    now = dict(_now(layout, chapter))
    keys = dict.fromkeys([*before, *now])
    return [Comparison(chapter, *key, before.get(key), now.get(key)) for key in keys]


def check(layout: Layout) -> list[str]:
    """Chapters without a reference, which nothing else would notice: one line each."""
    return [
        f"{chapter}: no data/references/{chapter}.json; execute the chapter, then "
        f"`python -m helpers.book spread --chapter {chapter} --write`"
        for chapter in layout.chapters()
        if not (layout.references / f"{chapter}.json").exists()
    ]


def accept(layout: Layout, chapter: str) -> None:
    """Make the last execution the reference; numbers that stay keep their spread."""
    before = load(layout, chapter)
    spread = {(n.claim, n.quantity): n.spread for n in before.numbers}
    numbers = []
    for (claim, quantity), value in _now(layout, chapter):
        kept = spread.get((claim, quantity))
        same = kept is not None and len(kept) == len(listed(value))
        numbers.append(Number(claim, quantity, value, kept if same else None))
    save(layout, chapter, Reference(before.over, tuple(numbers)))


def load(layout: Layout, chapter: str) -> Reference:
    """The committed reference of a chapter; an empty one where there is none."""
    return references.read(layout.references / f"{chapter}.json")


def save(layout: Layout, chapter: str, reference: Reference) -> None:
    """Write a reference, one number per line."""
    lines = []
    for n in reference.numbers:
        row: dict[str, Any] = {"claim": n.claim, "quantity": n.quantity, "value": n.value}
        if n.spread is not None:
            row["spread"] = [s if math.isfinite(s) else "inf" for s in n.spread]
        if n.why_not:
            row["not compared"] = n.why_not
        lines.append(json.dumps(row))
    layout.references.mkdir(parents=True, exist_ok=True)
    body = ",\n  ".join(lines)
    text = f'{{\n "over": {json.dumps(reference.over)},\n "numbers": [\n  {body}\n ]\n}}\n'
    (layout.references / f"{chapter}.json").write_text(text, encoding="utf-8")


def numbers(notebook: Path) -> Iterator[tuple[tuple[str, str], Value]]:
    """(claim, quantity) and value of all that an executed notebook has recorded."""
    for record in ledger.collect(nbformat.read(notebook, as_version=4)):
        for quantity, value in record.values.items():
            yield (record.claim, quantity), value


def table(comparisons: list[Comparison]) -> str:
    """The comparisons as a table, drifted ones marked."""
    width = max([len("quantity"), *(len(c.quantity) for c in comparisons)])
    lines = [f"{'claim':6} {'quantity':{width}} {'reference':>14} {'now':>14} {'may move':>10}"]
    for c in comparisons:
        mark = "  DRIFT" if c.drifted else ""
        before = None if c.reference is None else c.reference.value
        lines.append(
            f"{c.claim:6} {c.quantity:{width}} {_shown(before):>14} {_shown(c.now):>14} "
            f"{_allowed(c.reference):>10}{mark}"
        )
    return "\n".join(lines)


def _now(layout: Layout, chapter: str) -> Iterator[tuple[tuple[str, str], Value]]:
    yield from numbers(layout.executed / f"{chapter}.ipynb")
    for name, value in fixed.numbers(chapter).items():
        yield (FIXED, name), value


def _shown(value: Value | None) -> str:
    if value is None:
        return "missing"
    if isinstance(value, list):
        return f"{len(value)} seeds" if len(value) != 1 else f"{value[0]:.7g}"
    return f"{value:.7g}"


def _allowed(reference: Number | None) -> str:
    if reference is None:
        return ""
    return "any" if reference.why_not else f"{max(reference.tolerances, default=0):.1g}"
