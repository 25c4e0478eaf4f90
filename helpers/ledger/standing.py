"""What the book says of a claim: one source for the box in a chapter and the scoreboard's row."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from helpers.ledger import rules
from helpers.ledger.claims import data_file, find
from helpers.ledger.verdicts import PROFILES, Judgement, Record, judge, of_evidence

Legacy = tuple[Record, Mapping[str, Any]]  # a record and its run: chapter, device, date and so on


@dataclass(frozen=True)
class Standing:
    """A record that decides, or says what is missing, and what it rests on."""

    record: Record
    source: str  # as it is printed: size, seeds, device, date; "" for this page's own run
    legacy: bool = False  # a run of data/recorded, which cannot be split by seed


def standing(
    claim_id: str,
    *,
    judged: Judgement | None = None,
    legacy: Sequence[Legacy] = (),
    live: Record | None = None,
) -> Standing | None:
    """What decides a claim: evidence, else a run of data/recorded, else the page's own run.

    None if all of these are missing. For a claim that names experiments, a run of data/recorded
    decides only where it has all quantities and the evidence has not, and refutes only by numbers
    of six seeds or more.

    Args:
        claim_id: id in data/claims.json.
        judged: what `helpers.evidence` makes of it.
        legacy: its records in data/recorded; only those of the largest profile decide.
        live: what a chapter has computed.

    Raises:
        ValueError: for an unknown claim, and a quantity that two legacy runs hold.

    >>> standing("C14", live=judge("C14", 2e6, profile="quick")).record.verdict
    'reproduced'
    """
    claim = find(claim_id)
    largest = max((PROFILES.index(made.profile) for made, _ in legacy), default=0)
    deciding = [(made, run) for made, run in legacy if made.profile == PROFILES[largest]]
    best = joined([(made, run["chapter"]) for made, run in deciding])
    whole = best is not None and not (of_evidence(claim) and best.missing)
    if judged is not None and not (judged.record.missing and whole):
        return Standing(judged.record, judged.source)
    if best is not None and whole:
        where = dict.fromkeys(_where(run) for _, run in deciding)
        source = f"legacy: {best.profile} profile, {'; '.join(where)}"
        return Standing(_cautious(best), source, legacy=True)
    return Standing(live, "") if live else None


def joined(parts: Sequence[tuple[Record, str]]) -> Record | None:
    """What several chapters measured for one claim, as one record; each part names its chapter.

    A ValueError if a quantity is recorded twice.
    """
    if len(parts) < 2:
        return parts[0][0] if parts else None
    records, chapters = zip(*parts, strict=True)
    names = [name for made in records for name in made.values]
    if len(set(names)) < len(names):
        raise ValueError(f"{records[0].claim} is recorded twice, by {' and '.join(chapters)}")
    values = {name: value for made in records for name, value in made.values.items()}
    note = "; ".join(dict.fromkeys(made.note for made in records if made.note))
    return judge(records[0].claim, values, profile=records[0].profile, note=note)


def by_claim(runs: Sequence[Mapping[str, Any]]) -> dict[str, list[Legacy]]:
    """The records of runs of data/recorded, by claim."""
    found: dict[str, list[Legacy]] = {}
    for run in runs:
        for made in map(Record.from_json, run["records"]):
            found.setdefault(made.claim, []).append((made, run))
    return found


@functools.cache
def legacy_runs() -> dict[str, list[Legacy]]:
    """The records of data/recorded by claim, as they came with the package.

    >>> all(made.claim == claim for claim, runs in legacy_runs().items() for made, _ in runs)
    True
    """
    paths = sorted(data_file("recorded").glob("*.json"))
    return by_claim([json.loads(path.read_text(encoding="utf-8")) for path in paths])


def _cautious(made: Record) -> Record:
    """A legacy record, open where what refutes it does not say how many seeds it is from."""
    counted = [made.verdicts[n] for n, value in made.values.items() if isinstance(value, Sequence)]
    if made.verdict == rules.NOT_REPRODUCED and rules.NOT_REPRODUCED not in counted:
        return replace(made, verdict=rules.OPEN, lacks="seeds")
    return made


def _where(run: Mapping[str, Any]) -> str:
    return f"seeds {run.get('seeds', '?')}, {run.get('device', '?')}, {run.get('date', '?')}"
