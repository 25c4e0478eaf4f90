"""The papers' slips on one page, and the rules of this book that were changed after a run.

For each claim judged to be an error, data/errata.json says what is printed and what is right.
"""

from __future__ import annotations

from collections.abc import Sequence

from helpers.book import sentences
from helpers.book.templates import render
from helpers.ledger import MARKS, PAPERS, Row, rules

IN_ERROR = (rules.HARMLESS_ERROR, rules.ERROR)


def faults(board: Sequence[Row]) -> list[str]:
    """Errors without an erratum, errata for what is no error, and numbers that are not measured."""
    rows, listed = {row.claim["id"]: row for row in board}, sentences.read("errata.json")
    wrong = {claim for claim, row in rows.items() if row.verdict in IN_ERROR}
    lacking = sorted(wrong - set(listed))
    found = [f"{claim} is in error, and data/errata.json has no erratum" for claim in lacking]
    found += [f"erratum of {claim}, which is no error" for claim in listed if claim not in wrong]
    for claim, erratum in listed.items():
        places = sentences.missing(erratum["right"], rows)
        found += [f"erratum of {claim} has a number {place}, not measured" for place in places]
    return found


def html(board: Sequence[Row]) -> str:
    """The errata by paper, those with a consequence first, and this book's own changes.

    A ValueError for errata that the board does not support.
    """
    if wrong := faults(board):
        raise ValueError("; ".join(wrong))
    rows, listed = {row.claim["id"]: row for row in board}, sentences.read("errata.json")
    found = [(row, listed[claim]) for claim, row in rows.items() if claim in listed]
    found.sort(key=lambda each: each[0].verdict != rules.ERROR)
    lines = [(r, e["printed"], sentences.filled(e["right"], rows)) for r, e in found]
    papers = [
        (name, [line for line in lines if line[0].claim["paper"] == key])
        for key, name in PAPERS.items()
    ]
    changes: dict[tuple[str, str, str], list[str]] = {}
    for row in board:
        for change in row.claim["history"]:
            if change["seen"]:
                words = (change["date"], change["what"], change["why"])
                changes.setdefault(words, []).append(row.claim["id"])
    return render(
        "errata.html",
        papers=[part for part in papers if part[1]],
        changes=sorted(changes.items()),
        claims={claim for found in changes.values() for claim in found},
        marks=MARKS,
    )
