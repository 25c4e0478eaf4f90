"""The main findings as a page: sentences whose numbers are those of the board.

data/findings.json has the sentences, and the verdicts that they rest on. A sentence whose claim now
has another verdict is refused, as it may no longer be true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers import figures
from helpers.book import sentences
from helpers.book.templates import render
from helpers.ledger import MARKS, Row, rules

FOLDER = "findings"  # folder of the figures, in _static


def listed() -> list[dict[str, Any]]:
    """The findings in data/findings.json."""
    found: list[dict[str, Any]] = sentences.read("findings.json")
    return found


def faults(board: Sequence[Row]) -> list[str]:
    """What a finding says but the board does not: one line per fault."""
    rows, found = {row.claim["id"]: row for row in board}, []
    for finding in listed():
        name, text = finding["id"], finding["text"]
        for claim, verdict in finding["claims"].items():
            now = rows[claim].verdict if claim in rows else "no claim"
            if now != verdict:
                found.append(f"finding {name} rests on {claim} as {verdict!r}, which is {now!r}")
        places = [*sentences.missing(text, rows)]
        if not sentences.has(rows, *finding["shown"]):
            places.append(".".join(finding["shown"]))
        found += [f"finding {name} has a number {p}, which nothing measures" for p in places]
        unnamed = (sentences.named(text) | {finding["shown"][0]}) - set(finding["claims"])
        found += [f"finding {name} has a number of {c}, and not its verdict" for c in unnamed]
    return found


def html(board: Sequence[Row], repository: str) -> str:
    """All findings, each with its numbers, a figure, what it rests on, and how to cite it.

    A ValueError for a finding that the board does not support.
    """
    if wrong := faults(board):
        raise ValueError("; ".join(wrong))
    rows, shown = {row.claim["id"]: row for row in board}, []
    for finding in listed():
        claim, name = finding["shown"]
        rule, value = sentences.rule_of(rows[claim], name), sentences.value_of(rows[claim], name)
        about: dict[str, Any] = {"asked": rules.describe(rule)}
        about |= {"said": sentences.filled(finding["text"], rows)}
        about |= {"ours": sentences.number(value, rule), "seeds": isinstance(value, Sequence)}
        about["rows"] = [rows[c] for c in finding["claims"]]
        about["bibtex"] = "\n".join(_bibtex(finding, repository))
        shown.append(finding | about)
    return render("findings.html", findings=shown, marks=MARKS, folder=FOLDER)


def draw(board: Sequence[Row], folder: Path) -> None:
    """Write the figure of each finding into a folder of static files."""
    rows = {row.claim["id"]: row for row in board}
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for finding in listed():
        claim, name = finding["shown"]
        value = sentences.value_of(rows[claim], name)
        seeds = value if isinstance(value, Sequence) else []
        interval = rules.median_interval(seeds) if len(seeds) >= rules.FEWEST else None
        figure = figures.quantity_strip(value, sentences.rule_of(rows[claim], name), interval)
        (folder / FOLDER / f"{finding['id']}.svg").write_text(figures.svg(figure), encoding="utf-8")


def _bibtex(finding: Mapping[str, Any], repository: str) -> Iterator[str]:
    yield f"@misc{{ganscapes-{finding['id']},"
    yield f"  title = {{{finding['title']}}},"
    yield "  author = {{The ganscapes authors}},"
    yield "  howpublished = {GAN landscapes, re-run: an executable book},"
    yield f"  note = {{Finding {finding['id']}, claims {', '.join(finding['claims'])}}},"
    yield f"  url = {{{repository}}},"
    yield "  year = {2026}"
    yield "}"
