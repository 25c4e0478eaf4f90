"""What `make bench` and its like print: a line for each tool of each comparison, ours first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_OURS = ("helpers", "train", "nudged", "pieces", "linearized")  # as the comparisons name them
_PLACE = ("player", "N", "which", "weights", "batch", "probes", "seeds", "workers")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Comparisons in the order in which they were measured, one tool below the other.

    Median, and the least and largest of the repeats; a unit like "times bare passes" names what a
    number is a ratio to.

    >>> row = {"work": "SLQ", "unit": "products", "name": "helpers", "value": 1.25, "repeats": 1}
    >>> print(table([row]))
    SLQ, products
      helpers                                            1.25
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        where = ", ".join(f"{key} {row[key]}" for key in _PLACE if key in row)
        title = f"{row['work']}, {row['unit']}" + (f" ({where})" if where else "")
        groups.setdefault(title, []).append(row)
    lines = []
    for title, each in groups.items():
        lines.append(title)
        for row in sorted(each, key=lambda row: not row["name"].startswith(_OURS)):
            between = f"({row['low']:.4g} to {row['high']:.4g})" if row["repeats"] > 1 else ""
            lines.append(f"  {row['name']:46} {row['value']:8.4g}  {between}".rstrip())
    return "\n".join(lines)
