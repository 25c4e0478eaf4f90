"""The scoreboard as data: a frame with a row per quantity, and claims with all that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any
from urllib.parse import urlencode

from pandas import DataFrame

from helpers import ledger
from helpers.ledger import Record, Row

CSV, JSON = "claims.csv", "claims.json"  # in _static, where the scoreboard's links lead
_BOOK = "book/"  # folder of the pages, from the root of the site
_FORM = "dispute.yml"


def claims(board: Sequence[Row]) -> list[dict[str, Any]]:
    """Each claim with its numbers, rule, verdict, links and history, as JSON can hold it."""
    return [_claim(row) for row in board]


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
        "command": claim.get("needs", {}).get("command"),
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
