"""The regression check: every recorded number against the one committed in data/references."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import nbformat

from helpers import ledger
from helpers.book.layout import Layout

# Of a number that comes without tolerances of its own: exact but for the order of additions.
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


@dataclass(frozen=True)
class Comparison:
    """One number: what it was, what it is, and how far it may move."""

    chapter: str
    claim: str
    quantity: str
    reference: float | list[float] | None  # None: not in the reference
    now: float | list[float] | None  # None: no longer recorded
    relative: float = _RELATIVE
    absolute: float = _ABSOLUTE

    @property
    def drifted(self) -> bool:
        if self.reference is None or self.now is None:
            return True
        pairs = zip(_listed(self.reference), _listed(self.now), strict=False)
        close = (math.isclose(a, b, rel_tol=self.relative, abs_tol=self.absolute) for a, b in pairs)
        return len(_listed(self.reference)) != len(_listed(self.now)) or not all(close)


def compare(layout: Layout, chapter: str) -> list[Comparison]:
    """Compare the last execution of a chapter with its references."""
    path = layout.references / f"{chapter}.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    references = {(n["claim"], n["quantity"]): n for n in stored}
    now = dict(_numbers(layout, chapter))
    comparisons = []
    for key in dict.fromkeys([*references, *now]):
        stored = references.get(key, {})
        tolerances = {k: stored[k] for k in ("relative", "absolute") if k in stored}
        comparisons.append(
            Comparison(chapter, *key, stored.get("value"), now.get(key), **tolerances)
        )
    return comparisons


def accept(layout: Layout, chapter: str) -> None:
    """Make the last execution the reference; numbers that stay keep their tolerances."""
    numbers = [
        {
            "claim": c.claim,
            "quantity": c.quantity,
            "value": c.now,
            "relative": c.relative,
            "absolute": c.absolute,
        }
        for c in compare(layout, chapter)
        if c.now is not None
    ]
    layout.references.mkdir(parents=True, exist_ok=True)
    path = layout.references / f"{chapter}.json"
    path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def table(comparisons: list[Comparison]) -> str:
    """The comparisons as a table, drifted ones marked."""
    lines = [f"{'claim':6} {'quantity':28} {'reference':>14} {'now':>14} {'may move':>10}"]
    for c in comparisons:
        mark = "  DRIFT" if c.drifted else ""
        lines.append(
            f"{c.claim:6} {c.quantity:28} {_shown(c.reference):>14} {_shown(c.now):>14} "
            f"{_allowed(c):>10}{mark}"
        )
    return "\n".join(lines)


def _numbers(layout: Layout, chapter: str) -> Iterator[tuple[tuple[str, str], float | list[float]]]:
    notebook = nbformat.read(layout.executed / f"{chapter}.ipynb", as_version=4)
    for record in ledger.collect(notebook):
        for quantity, value in record.values.items():
            yield (record.claim, quantity), value


def _listed(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]


def _shown(value: float | list[float] | None) -> str:
    if value is None:
        return "missing"
    if isinstance(value, list):
        return f"{len(value)} seeds"
    return f"{value:.7g}"


def _allowed(c: Comparison) -> str:
    size = max((abs(v) for v in _listed(c.reference or 0.0)), default=0.0)
    return f"{max(c.relative * size, c.absolute):.1g}"
