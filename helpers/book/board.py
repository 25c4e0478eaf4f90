"""The scoreboard page, and the counts that the intro and the README print."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from helpers import evidence, experiments, ledger
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
    for chapter, boxes in _boxes(layout).items():
        for claim, text, now in boxes:
            if text != ledger.as_text(now.record, now.source):
                found.setdefault(chapter, []).append(claim)
    return found


def _boxes(layout: Layout) -> dict[str, list[tuple[str, str, ledger.Standing]]]:
    """Claim, text and present standing of the boxes of committed notebooks, by chapter.

    Of claims that evidence judges, and of one with a home, only the box there.
    """
    found: dict[str, list[tuple[str, str, ledger.Standing]]] = {}
    for chapter in layout.chapters():
        path = layout.notebook(chapter)
        for claim, text in ledger.boxes_of(pairing.read(path)) if path.exists() else ():
            judged = evidence.judged(claim)
            if judged is None or ledger.find(claim).get("home", chapter) != chapter:
                continue
            legacy = ledger.legacy_runs().get(claim, [])
            if now := ledger.standing(claim, judged=judged, legacy=legacy):
                found.setdefault(chapter, []).append((claim, text, now))
    return found


def faults(layout: Layout) -> list[str]:
    """What claims are judged by that is not there, and verdicts that nothing supports.

    A line for each quantity that its experiment does not measure, each wanted run and each run of
    the evidence that is of no reading, and each box of a committed notebook with a decided verdict
    that is not the one of the evidence.
    """
    found = []
    for claim in ledger.all_claims().values():
        for quantity in claim["quantities"]:
            name = quantity.get("experiment")
            if name is None:
                continue
            if name not in experiments.ORDER:
                found.append(f"{claim['id']}, {quantity['name']}: no experiment {name!r}")
            elif quantity["name"] not in experiments.find(name).QUANTITIES.get(claim["id"], {}):
                found.append(f"{claim['id']}, {quantity['name']}: {name} does not measure it")
    for name in experiments.ORDER:
        module = experiments.find(name)
        for wanted in module.WANTED:
            unknown = [r for r in wanted.readings if r not in module.READINGS]
            unknown += [arm for arm in wanted.arms if arm not in module.ARMS]
            found += [
                f"{name}: runs are wanted of {each!r}, which there is not" for each in unknown
            ]
        found += [f"{name}: run {key} is of no reading" for key in evidence.astray(name)]
    for chapter, boxes in _boxes(layout).items():
        for claim_id, text, now in boxes:
            said = text.removeprefix(f"{claim_id} ").partition(":")[0]
            decided = not said.startswith(ledger.rules.OPEN)
            if decided and now.record.verdict != said.partition(" (")[0]:
                found.append(
                    f"{chapter}: the box of {claim_id} says {said!r}, and the evidence "
                    f"{now.record.said!r}; run `make notebooks`"
                )
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
