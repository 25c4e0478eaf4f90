"""All claims with what the book measured for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.ledger import claims, rules
from helpers.ledger.notebooks import collect
from helpers.ledger.standing import Legacy, Standing, by_claim, joined, standing
from helpers.ledger.verdicts import Judgement, Record


@dataclass(frozen=True)
class Row:
    """One claim on the scoreboard."""

    claim: Mapping[str, Any]
    standing: Standing | None  # what decides it
    chapters: tuple[
        str, ...
    ] = ()  # chapters whose boxes the row links to: the claim's home, if it has one
    quick: Record | None = None
    full: tuple[Legacy, ...] = ()  # runs of data/recorded
    judged: Judgement | None = None  # the judgement on evidence, which replaces them

    @property
    def verdict(self) -> str:
        """One of `rules.VERDICTS`."""
        if "untestable" in self.claim:
            return rules.UNMEASURABLE
        return self.standing.record.verdict if self.standing else rules.OPEN

    @property
    def said(self) -> str:
        """The verdict, with what it lacks."""
        if self.standing:
            return self.standing.record.said
        lacks = f"{rules.OPEN}, for lack of {claims.lacking(self.claim)}"
        return lacks if self.verdict == rules.OPEN else self.verdict


def scoreboard(
    executed: Mapping[str, Mapping[str, Any]],
    full_runs: Sequence[Mapping[str, Any]] = (),
    judged: Mapping[str, Judgement] | None = None,
) -> list[Row]:
    """All claims with what the book measured for them, in the order of data/claims.json.

    Args:
        executed: executed notebooks by chapter name.
        full_runs: the files of data/recorded, each with "chapter" and "records", of full or medium
            runs; where a claim has one, it gives the verdict.
        judged: what evidence makes of claims; it takes precedence over all runs.

    Raises:
        ValueError: if a quantity is recorded twice.

    >>> sorted({row.verdict for row in scoreboard({})})
    ['cannot be measured', 'open']
    """
    live: dict[str, list[tuple[Record, str]]] = {}
    for chapter, notebook in executed.items():
        for made in collect(notebook):
            live.setdefault(made.claim, []).append((made, chapter))
    judged, legacy = judged or {}, by_claim(full_runs)
    rows = []
    for claim_id, claim in claims.all_claims().items():
        evidence, recorded = judged.get(claim_id), tuple(legacy.get(claim_id, ()))
        quick = joined(live.get(claim_id, []))
        found = standing(claim_id, judged=evidence, legacy=recorded, live=quick)
        chapters = tuple(chapter for _, chapter in live.get(claim_id, []))
        if claim.get("home") in chapters:
            chapters = (claim["home"],)
        if found and found.legacy:
            evidence = None
        elif evidence:
            recorded = ()
        rows.append(Row(claim, found, chapters, quick, recorded, evidence))
    return rows


def count(rows: Sequence[Row]) -> dict[str, int]:
    """Number of claims with each verdict, in the order of `rules.VERDICTS`.

    >>> rows = scoreboard({})
    >>> sum(count(rows).values()) == len(rows)
    True
    """
    return {v: sum(row.verdict == v for row in rows) for v in rules.VERDICTS}
