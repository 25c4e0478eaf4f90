"""The scoreboard page, and the counts that the intro and the README print."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from helpers import ledger
from helpers.book import pairing
from helpers.book.layout import Layout


def rows(layout: Layout, *, committed: bool) -> list[ledger.Row]:
    """Scoreboard rows from the notebooks beside the sources, or from the last execution."""
    folder = layout.book if committed else layout.executed
    paths = {name: folder / f"{name}.ipynb" for name in layout.chapters()}
    executed = {name: pairing.read(path) for name, path in paths.items() if path.exists()}
    runs = [json.loads(path.read_text("utf-8")) for path in sorted(layout.recorded.glob("*.json"))]
    return ledger.scoreboard(executed, runs)


def counts_line(board: list[ledger.Row]) -> str:
    """The counts in one sentence of Markdown."""
    parts = [
        f"{ledger.MARKS[verdict][0]} {number} {verdict}"
        for verdict, number in ledger.count(board).items()
        if number
    ]
    return f"Of {len(board)} claims: " + ", ".join(parts) + "."


def table(board: list[ledger.Row]) -> str:
    """The filterable table as HTML; `_static/scoreboard.js` brings the filters to life."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return templates.get_template("scoreboard.html").render(
        rows=board,
        counts=ledger.count(board),
        papers=ledger.PAPERS,
        marks=ledger.MARKS,
        changes=ledger.changes,
        show_quantities=ledger.show_quantities,
    )
