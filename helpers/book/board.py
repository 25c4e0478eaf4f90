"""The scoreboard page, and the counts that the intro and the README print."""

from __future__ import annotations

import json
from html import escape

from helpers import ledger
from helpers.book import pairing
from helpers.book.layout import Layout
from helpers.ledger import Record, Row


def rows(layout: Layout, *, committed: bool) -> list[Row]:
    """Scoreboard rows from the notebooks beside the sources, or from the last execution."""
    folder = layout.book if committed else layout.executed
    paths = {name: folder / f"{name}.ipynb" for name in layout.chapters()}
    executed = {n: pairing.read(p) for n, p in paths.items() if p.exists()}
    runs = [
        json.loads(p.read_text(encoding="utf-8")) for p in sorted(layout.recorded.glob("*.json"))
    ]
    return ledger.scoreboard(executed, runs)


def counts_line(board: list[Row]) -> str:
    """The counts in one sentence of Markdown."""
    parts = [
        f"{ledger.MARKS[verdict][0]} {number} {verdict}"
        for verdict, number in ledger.count(board).items()
        if number
    ]
    return f"Of {len(board)} claims: " + ", ".join(parts) + "."


def table(board: list[Row]) -> str:
    """The filterable table as HTML; `_static/scoreboard.js` brings the filters to life."""
    papers = "".join(f'<option value="{k}">{escape(v)}</option>' for k, v in ledger.PAPERS.items())
    verdicts = "".join(
        f'<option value="{escape(v)}">{escape(v)} ({n})</option>'
        for v, n in ledger.count(board).items()
    )
    return (
        '<div id="scoreboard"><p class="filters">'
        f'<label>Paper <select id="filter-paper"><option value="">all</option>{papers}</select>'
        '</label> <label>Verdict <select id="filter-verdict"><option value="">all</option>'
        f"{verdicts}</select></label> "
        f'<span id="filter-count" role="status">{len(board)} claims</span></p>'
        '<table class="claims"><thead><tr><th>claim</th><th>the paper\'s number</th><th>ours</th>'
        f"<th>verdict</th></tr></thead><tbody>{''.join(map(_row, board))}</tbody></table></div>"
    )


def _row(row: Row) -> str:
    claim = row.claim
    mark, colour = ledger.MARKS[row.verdict]
    verdict = f"{mark} {escape(row.verdict)}"
    if row.chapters:
        links = (f"{chapter}.html#claim-{claim['id']}" for chapter in row.chapters)
        verdict = f'<a href="{next(links)}">{verdict}</a>' + "".join(
            f' <a href="{link}">and here</a>' for link in links
        )
    return (
        f'<tr id="{claim["id"]}" data-paper="{claim["paper"]}" data-verdict="{row.verdict}" '
        f'style="--verdict:{colour}">'
        f'<td data-label="claim"><strong>{claim["id"]}</strong> {escape(claim["claim"])} '
        f"<em>{ledger.PAPERS[claim['paper']]}, {escape(claim['place'])}</em>"
        f"{''.join(f'<br><small>{escape(line)}</small>' for line in ledger.changes(claim))}</td>"
        f'<td data-label="the paper\'s number">{escape(claim["paper_value"])}</td>'
        f'<td data-label="ours">{_ours(row)}</td>'
        f'<td data-label="verdict" class="verdict-cell">{verdict}</td></tr>'
    )


def _ours(row: Row) -> str:
    if row.quick is None and not row.full:
        if "untestable" in row.claim:
            return f"not measurable: {escape(row.claim['untestable'])}"
        planned = ", ".join(row.claim["chapters"])
        return "no run yet" + (f"; planned in <code>{planned}</code>" if planned else "")
    parts = []
    for made, run in row.full:
        about = f"{run['device']}, {run['date']}, commit {run['commit']}, seeds {run['seeds']}"
        parts.append(f"<em>{made.profile} profile ({escape(about)})</em>{_numbers(made)}")
    if row.quick is not None:
        numbers = _numbers(row.quick)
        folded = f"<details><summary>quick profile</summary>{numbers}</details>"
        parts.append(folded if parts else numbers)
    return "".join(parts)


def _numbers(made: Record) -> str:
    shown = (
        f"{escape(q['what'])}: <b>{escape(ours)}</b> <small>(asked: {escape(asked)})</small>"
        for q, asked, ours in ledger.show_quantities(made)
    )
    note = f"<small>Measured {escape(made.note)}.</small>" if made.note else ""
    return note + "<ul><li>" + "</li><li>".join(shown) + "</li></ul>"
