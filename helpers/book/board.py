"""The scoreboard page, and the counts that the intro and the README print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from helpers import evidence, experiments, ledger
from helpers.book import pairing
from helpers.book import table as tables
from helpers.book.layout import Layout
from helpers.book.templates import render


def rows(layout: Layout, *, committed: bool) -> list[ledger.Row]:
    """Scoreboard rows from the notebooks beside the sources, or from the last execution."""
    folder = layout.book if committed else layout.executed
    paths = {name: folder / f"{name}.ipynb" for name in layout.chapters()}
    executed = {name: pairing.read(path) for name, path in paths.items() if path.exists()}
    runs = [json.loads(path.read_text("utf-8")) for path in sorted(layout.recorded.glob("*.json"))]
    judged = {claim: evidence.judged(claim) for claim in ledger.all_claims()}
    return ledger.scoreboard(executed, runs, {c: j for c, j in judged.items() if j is not None})


Box = tuple[str, str, str, ledger.Standing]  # chapter, claim, text, and what decides the claim now


def boxes(layout: Layout) -> list[Box]:
    """Boxes, in committed notebooks, of claims that evidence judges; only at home if they have one.

    A line of text stands for each box.
    """
    found = []
    for chapter in layout.chapters():
        path = layout.notebook(chapter)
        for claim, text in ledger.boxes_of(pairing.read(path)) if path.exists() else ():
            judged = evidence.judged(claim)
            if judged is None or ledger.find(claim).get("home", chapter) != chapter:
                continue
            legacy = ledger.legacy_runs().get(claim, [])
            if now := ledger.standing(claim, judged=judged, legacy=legacy):
                found.append((chapter, claim, text, now))
    return found


def lagging(shown: Iterable[Box]) -> dict[str, list[str]]:
    """Claims whose box says something other than the evidence, by chapter."""
    found: dict[str, list[str]] = {}
    for chapter, claim, text, now in shown:
        if text != ledger.as_text(now.record, now.source):
            found.setdefault(chapter, []).append(claim)
    return found


def faults(shown: Iterable[Box]) -> list[str]:
    """What judges a claim and is missing, and boxes that nothing supports: a line per fault."""
    return [*_unmeasured(), *_of_no_reading(), *_unsupported(shown)]


def _unmeasured() -> Iterator[str]:
    for claim in ledger.all_claims().values():
        for quantity in claim["quantities"]:
            name, which = quantity.get("experiment"), f"{claim['id']}, {quantity['name']}"
            if name is None:
                continue
            if name not in experiments.ORDER:
                yield f"{which}: no experiment {name!r}"
            elif quantity["name"] not in experiments.find(name).QUANTITIES.get(claim["id"], {}):
                yield f"{which}: {name} does not measure it"


def _of_no_reading() -> Iterator[str]:
    for name in experiments.ORDER:
        module = experiments.find(name)
        for wanted in module.WANTED:
            unknown = [r for r in wanted.readings if r not in module.READINGS]
            unknown += [arm for arm in wanted.arms if arm not in module.ARMS]
            for each in unknown:
                yield f"{name}: runs are wanted of {each!r}, which there is not"
        for key in evidence.astray(name):
            yield f"{name}: run {key} is of no reading"


def _unsupported(shown: Iterable[Box]) -> Iterator[str]:
    for chapter, claim, text, now in shown:
        said = text.removeprefix(f"{claim} ").partition(":")[0]
        decided = not said.startswith(ledger.rules.OPEN)
        if decided and now.record.verdict != said.partition(" (")[0]:
            yield (
                f"{chapter}: the box of {claim} says {said!r}, and the evidence "
                f"{now.record.said!r}; run `make notebooks`"
            )


def counts_line(board: list[ledger.Row]) -> str:
    """The counts in one sentence of Markdown."""
    papers = [row for row in board if row.claim["paper"] != ledger.OWN]
    own = [row for row in board if row.claim["paper"] == ledger.OWN]
    ours = f"Of {len(own)} results of this book's own: {_counts(own)}."
    return f"Of {len(papers)} claims: {_counts(papers)}. {ours}"


def bars(board: list[ledger.Row]) -> str:
    """The counts as bars of HTML, one per paper; each part links to its rows of the scoreboard."""
    parts = []
    for key, paper in ledger.PAPERS.items():
        own = [row for row in board if row.claim["paper"] == key]
        parts.append((key, paper, len(own), ledger.count(own)))
    return render("bars.html", papers=[part for part in parts if part[2]], marks=ledger.MARKS)


def _counts(board: list[ledger.Row]) -> str:
    return ", ".join(
        f"{ledger.MARKS[verdict][0]} {number} {verdict}"
        for verdict, number in ledger.count(board).items()
        if number
    )


def tier_of(row: ledger.Row) -> str:
    """What a verdict rests on, in a word or two.

    >>> {tier_of(row) for row in ledger.scoreboard({})}
    {'no run yet'}
    """
    if row.standing is None or not (row.standing.record.values or row.quick):
        return "no run yet"
    if row.standing.legacy:
        return "legacy runs"
    if not row.standing.source:
        return "the page itself"
    return f"{row.standing.record.profile} size"


def table(board: list[ledger.Row], repository: str, titles: Mapping[str, str] | None = None) -> str:
    """The table as HTML; `_static/scoreboard.js` brings filters, search and order to life.

    A verdict is disputed at `repository`; `titles` of chapters by name are in the book's order.
    """
    named = [chapter for row in board for chapter in row.claim["chapters"]]
    titles = titles or {name: name for name in named}
    return render(
        "scoreboard.html",
        rows=board,
        counts=ledger.count(board),
        chapters={name: title for name, title in titles.items() if name in named},
        tiers=sorted({tier_of(row) for row in board}),
        tier_of=tier_of,
        # The number that leads a row: that of the first quantity with one.
        first=lambda made: next((n for *_, n in ledger.show_quantities(made)), "no number yet"),
        papers=ledger.PAPERS,
        marks=ledger.MARKS,
        changes=ledger.changes,
        ahead=tables.next_runs(board),
        dispute=lambda claim_id: tables.dispute(claim_id, repository),
        files=(tables.CSV, tables.JSON),
        show_quantities=ledger.show_quantities,
    )
