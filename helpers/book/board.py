"""The scoreboard page, and the counts that the intro and the README print."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from helpers import evidence, ledger
from helpers.book import pairing
from helpers.book import table as tables
from helpers.book.layout import Layout


def rows(layout: Layout, *, committed: bool) -> list[ledger.Row]:
    """Scoreboard rows from the notebooks beside the sources, or from the last execution."""
    folder = layout.book if committed else layout.executed
    paths = {name: folder / f"{name}.ipynb" for name in layout.chapters()}
    executed = {name: pairing.read(path) for name, path in paths.items() if path.exists()}
    runs = [json.loads(path.read_text("utf-8")) for path in sorted(layout.recorded.glob("*.json"))]
    judged = {claim: evidence.judged(claim) for claim in ledger.all_claims()}
    return ledger.scoreboard(executed, runs, {c: j for c, j in judged.items() if j is not None})


def lagging(layout: Layout) -> dict[str, list[str]]:
    """Claims whose box in a committed notebook says something else than the evidence, by chapter.

    Of a claim with a home, only the box there; a line of text stands for each box.
    """
    found: dict[str, list[str]] = {}
    for chapter in layout.chapters():
        path = layout.notebook(chapter)
        notebook = pairing.read(path) if path.exists() else None
        if notebook is None:
            continue
        for claim, text in ledger.boxes_of(notebook):
            judged = evidence.judged(claim)
            if judged is None or ledger.find(claim).get("home", chapter) != chapter:
                continue
            legacy = ledger.legacy_runs().get(claim, [])
            now = ledger.standing(claim, judged=judged, legacy=legacy)
            if now and text != ledger.as_text(now.record, now.source):
                found.setdefault(chapter, []).append(claim)
    return found


def counts_line(board: list[ledger.Row]) -> str:
    """The counts in one sentence of Markdown."""
    papers = [row for row in board if row.claim["paper"] != ledger.OWN]
    own = [row for row in board if row.claim["paper"] == ledger.OWN]
    ours = f"Of {len(own)} results of this book's own: {_counts(own)}."
    return f"Of {len(papers)} claims: {_counts(papers)}. {ours}"


def _counts(board: list[ledger.Row]) -> str:
    return ", ".join(
        f"{ledger.MARKS[verdict][0]} {number} {verdict}"
        for verdict, number in ledger.count(board).items()
        if number
    )


def table(board: list[ledger.Row], repository: str) -> str:
    """The filterable table as HTML; `_static/scoreboard.js` brings the filters to life."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return templates.get_template("scoreboard.html").render(
        rows=board,
        counts=ledger.count(board),
        papers=ledger.PAPERS,
        marks=ledger.MARKS,
        changes=ledger.changes,
        dispute=lambda claim_id: tables.dispute(claim_id, repository),
        files=(tables.CSV, tables.JSON),
        show_quantities=ledger.show_quantities,
    )
