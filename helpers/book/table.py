"""The scoreboard as data: a frame with a row per quantity, and claims with all that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from pandas import DataFrame

from helpers import evidence, experiments, ledger
from helpers.ledger import Record, Row

CSV, JSON = "claims.csv", "claims.json"  # in _static, where the scoreboard's links lead
_BOOK = "book/"  # folder of the pages, from the root of the site
_FORM = "dispute.yml"
_DECIDED: dict[str, str | None] = {"command": None, "cost": None}


def claims(board: Sequence[Row]) -> list[dict[str, Any]]:
    """Each claim with its numbers, rule, verdict, links and history, as JSON can hold it."""
    ahead = next_runs(board)
    return [_claim(row) | ahead.get(row.claim["id"], _DECIDED) for row in board]


def next_runs(board: Sequence[Row]) -> dict[str, dict[str, str | None]]:
    """What would help to decide open claims, by claim: the "command", and what it would "cost".

    Where a claim lacks data, the command is its own, and what it costs is not known. There is
    nothing for a claim of whose experiments all wanted runs are there, or that none measures.
    """
    found: dict[str, dict[str, str | None]] = {}
    costs: dict[tuple[str, ...], str | None] = {}
    for row in board:
        own = dict.fromkeys(q.get("experiment", "") for q in row.claim["quantities"])
        names = tuple(name for name in own if name in experiments.ORDER)
        if row.verdict != ledger.rules.OPEN or not names:
            continue
        if "needs" in row.claim:
            found[row.claim["id"]] = {"command": row.claim["needs"]["command"], "cost": None}
            continue
        if names not in costs:
            costs[names] = _cost(names)
        if costs[names]:
            command = f"python -m helpers.evidence gather {' '.join(names)}"
            found[row.claim["id"]] = {"command": command, "cost": costs[names]}
    return found


def _cost(names: Sequence[str]) -> str | None:
    """What runs of some experiments the evidence lacks, in a sentence; None if it lacks none."""
    with TemporaryDirectory() as folder:  # what this machine has done besides is its own affair
        plan = evidence.listing(evidence.wanted(names), evidence.Store(folder))
    return evidence.cost_of(plan) if (plan["there"] < plan["wanted"]).any() else None


def frame(found: Sequence[Mapping[str, Any]]) -> DataFrame:
    """These claims as a frame: a row per quantity, and one for a claim that has none."""
    rows = []
    for claim in found:
        own = {**claim, "history": " ".join(ledger.changes(claim))}
        rows += [own | quantity for quantity in own.pop("quantities") or [{}]]
    return DataFrame(rows)


def dispute(claim_id: str, repository: str) -> str:
    """Address of the form that disputes a claim's verdict, with the claim filled in.

    >>> dispute("A01", "https://github.com/OWNER/NAME")
    'https://github.com/OWNER/NAME/issues/new?template=dispute.yml&title=A01&claim=A01'
    """
    query = urlencode({"template": _FORM, "title": claim_id, "claim": claim_id})
    return f"{repository}/issues/new?{query}"


def _claim(row: Row) -> dict[str, Any]:
    claim, found = row.claim, row.standing
    if found and not (found.record.values or row.quick):  # it only says what is lacking
        found = None
    return {
        "claim": claim["id"],
        "paper": ledger.PAPERS[claim["paper"]],
        "place": claim["place"],
        "statement": claim["claim"],
        "papers_number": claim["paper_value"],
        "verdict": row.verdict,
        "said": row.said,
        "size": found.record.profile if found else None,
        "rests_on": (found.source or "the page itself") if found else None,
        "permalink": f"{_BOOK}scoreboard.html#{claim['id']}",
        "box": f"{_BOOK}{row.chapters[0]}.html#claim-{claim['id']}" if row.chapters else None,
        "history": claim["history"],
        "quantities": list(_quantities(found.record)) if found else [],
    }


def _quantities(record: Record) -> Iterator[dict[str, Any]]:
    for quantity, asked, ours in ledger.show_quantities(record):
        value = record.values[quantity["name"]]
        seeds = value if isinstance(value, list) else []
        enough = len(seeds) >= ledger.rules.FEWEST
        low, high = ledger.rules.median_interval(seeds) if enough else (None, None)
        yield {
            "quantity": quantity["name"],
            "what": quantity["what"],
            "asked": asked,
            "ours": ours,
            "value": median(seeds) if seeds else value,
            "low": low,
            "high": high,
            "seeds": len(seeds) or None,
            "quantity_verdict": record.verdicts[quantity["name"]],
        }
