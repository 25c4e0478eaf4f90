"""All claims with what the book measured for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.ledger import claims, rules
from helpers.ledger.notebooks import collect
from helpers.ledger.verdicts import PROFILES, Record, judge


@dataclass(frozen=True)
class Row:
    """One claim on the scoreboard."""

    claim: Mapping[str, Any]
    verdict: str
    chapters: tuple[str, ...] = ()  # that recorded it
    quick: Record | None = None
    full: tuple[tuple[Record, Mapping[str, Any]], ...] = ()  # with the run: device, date and so on


def scoreboard(
    executed: Mapping[str, Mapping[str, Any]], full_runs: Sequence[Mapping[str, Any]] = ()
) -> list[Row]:
    """All claims with what the book measured for them, in the order of data/claims.json.

    Args:
        executed: executed notebooks by chapter name.
        full_runs: the files of data/recorded, each with "chapter" and "records", of full or medium
            runs; where a claim has one, it gives the verdict.

    Raises:
        ValueError: if a quantity is recorded twice.

    >>> {row.verdict for row in scoreboard({})} <= {"no run yet"}
    True
    """
    live: dict[str, list[tuple[Record, str]]] = {}
    for chapter, notebook in executed.items():
        for made in collect(notebook):
            live.setdefault(made.claim, []).append((made, chapter))
    full: dict[str, list[tuple[Record, Mapping[str, Any]]]] = {}
    for run in full_runs:
        for made in map(Record.from_json, run["records"]):
            full.setdefault(made.claim, []).append((made, run))
    rows = []
    for claim_id, claim in claims.all_claims().items():
        quick, recorded = _joined(live.get(claim_id, [])), full.get(claim_id, [])
        # A medium run's numbers stand beside a full one's of another chapter, and decide nothing.
        largest = max((PROFILES.index(made.profile) for made, _ in recorded), default=0)
        deciding = [(m, run["chapter"]) for m, run in recorded if m.profile == PROFILES[largest]]
        best = _joined(deciding) or quick
        verdict = best.verdict if best else rules.NO_RUN
        chapters = tuple(chapter for _, chapter in live.get(claim_id, []))
        rows.append(Row(claim, verdict, chapters, quick, tuple(recorded)))
    return rows


def _joined(parts: Sequence[tuple[Record, str]]) -> Record | None:
    """What several chapters measured for one claim, as one record."""
    if len(parts) < 2:
        return parts[0][0] if parts else None
    records, chapters = zip(*parts, strict=True)
    names = [name for made in records for name in made.values]
    if len(set(names)) < len(names):
        raise ValueError(f"{records[0].claim} is recorded twice, by {' and '.join(chapters)}")
    values = {name: value for made in records for name, value in made.values.items()}
    note = "; ".join(dict.fromkeys(made.note for made in records if made.note))
    return judge(records[0].claim, values, profile=records[0].profile, note=note)


def count(rows: Sequence[Row]) -> dict[str, int]:
    """Number of claims with each verdict, in the order of `rules.VERDICTS`.

    >>> sum(count(scoreboard({})).values())
    100
    """
    return {v: sum(row.verdict == v for row in rows) for v in rules.VERDICTS}
