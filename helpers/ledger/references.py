"""Reference numbers: what a page's live run gave, and how far each may move.

`helpers.book.spread` measures how far a number moves where nothing but rounding differs. It may
move ten times as far, since a few executions may lie close together by chance, and never less than
another order of additions moves a number that depends on little. What moves by more than a
twentieth of itself says nothing about drift and is not compared; the file says so beside the
number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.ledger.claims import data_file
from helpers.ledger.verdicts import Record

FACTOR = 10  # a number may move this many times its spread
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9  # or this far, where that is more
MOST = 0.05  # largest spread of a number that is compared, as a share of its largest entry
SEED, DEVICE = 0, "cpu"  # of the runs that references are made from

Value = float | list[float]


@dataclass(frozen=True)
class Number:
    """A recorded number, and how far it moves where nothing but rounding differs.

    >>> Number("C14", "supremum_to_1e6", [100.0, 0.0], (0.01, 0.0)).tolerances
    [0.1, 1e-09]
    """

    claim: str
    quantity: str
    value: Value
    spread: tuple[float, ...] | None = None  # of each entry; None: not measured

    @property
    def tolerances(self) -> list[float]:
        """How far each entry may move."""
        entries = listed(self.value)
        spread = self.spread or [0.0] * len(entries)
        least = (max(_RELATIVE * abs(v), _ABSOLUTE) for v in entries)
        return [max(FACTOR * s, low) for s, low in zip(spread, least, strict=True)]

    @property
    def why_not(self) -> str:
        """Why the number is not compared; empty where it is."""
        if self.spread is None:
            return ""
        largest = max((abs(v) for v in listed(self.value)), default=0.0)
        worst = max(self.spread, default=0.0)
        if FACTOR * worst <= _ABSOLUTE or worst <= MOST * largest:
            return ""
        return f"moves by {worst:.2g} where nothing but rounding differs"

    def drifted(self, now: Value) -> bool:
        """Whether a number has drifted from this one; never where it is not compared."""
        if self.why_not:
            return False
        before, entries = listed(self.value), listed(now)
        if len(before) != len(entries):
            return True
        return not np.isclose(entries, before, rtol=0, atol=self.tolerances).all()

    def difference(self, now: Value) -> str:
        """The number now, the reference and how far it may move, where they are farthest apart."""
        before, entries = listed(self.value), listed(now)
        if len(before) != len(entries):
            return f"{len(entries)} numbers, in the reference {len(before)}"
        far = int(np.argmax(np.abs(np.subtract(entries, before)) / self.tolerances))
        return (
            f"{entries[far]:.7g}, in the reference {before[far]:.7g}, "
            f"may move by {self.tolerances[far]:.1g}"
        )


@dataclass(frozen=True)
class Reference:
    """The numbers of a chapter, and over what their spread was measured."""

    over: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()


def read(path: Path) -> Reference:
    """The reference in a file; an empty one where there is none."""
    if not path.exists():
        return Reference()
    stored = json.loads(path.read_text(encoding="utf-8"))
    numbers = []
    for n in stored["numbers"]:
        spread = n.get("spread")
        measured = None if spread is None else tuple(map(float, spread))
        numbers.append(Number(n["claim"], n["quantity"], n["value"], measured))
    return Reference(tuple(stored["over"]), tuple(numbers))


def compare(chapter: str, record: Record, *, seed: int, device: str) -> tuple[list[str], list[str]]:
    """A live run's numbers against the reference: what has drifted, and what is not compared.

    Args:
        chapter: whose reference is used.
        record: of the live run.
        seed, device: of the live run; a reference is of one seed, on the CPU.

    >>> from helpers.ledger.verdicts import judge
    >>> record = judge("C14", 2e6, profile="quick")
    >>> compare("two_point_landscape", record, seed=0, device="cpu")
    (['C14 supremum_to_1e6: 2000000, in the reference 1000000, may move by 1'], [])
    """
    numbers, drifted, not_compared = reference(chapter), [], []
    for name, now in record.values.items():
        label, number = f"{record.claim} {name}", numbers.get((record.claim, name))
        if (seed, device) != (SEED, DEVICE):
            not_compared.append(f"{label}: the reference is of seed {SEED}, on {DEVICE}")
        elif number is None:
            not_compared.append(f"{label}: not in the reference")
        elif number.why_not:
            not_compared.append(f"{label}: {number.why_not}")
        elif number.drifted(now):
            drifted.append(f"{label}: {number.difference(now)}")
    return drifted, not_compared


def reference(chapter: str) -> dict[tuple[str, str], Number]:
    """The numbers of a chapter as they came with the package, by claim and quantity."""
    try:
        path = data_file(f"references/{chapter}.json")
    except FileNotFoundError:
        return {}
    return {(n.claim, n.quantity): n for n in read(path).numbers}


def listed(value: Value) -> list[float]:
    """The entries of a value; a single number counts as one."""
    return value if isinstance(value, list) else [value]
