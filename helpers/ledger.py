"""The ledger: a measured number is recorded against a claim, and the claim gets its verdict.

`record` is called in a chapter. It shows the verdict box and leaves the numbers in the output's
metadata, so that the executed notebook is the only place where a measurement is kept; `collect`
reads it back, for the scoreboard and the regression check.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from numbers import Integral, Real
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from IPython.display import publish_display_data

from helpers import rules
from helpers.columns import Table
from helpers.inputs import shown

_KEY = "ganscapes"  # of a record in an output's metadata
_TABLE = "ganscapes-table"  # of a table kept there
PROFILES = ("quick", "medium", "full")
PAPERS = {
    "A": "Durall et al. 2021",
    "B": "Berard et al. 2020",
    "C": "Sun et al. 2020",
}
# Mark and colour of each verdict; the mark carries the meaning where the colour is not seen.
MARKS = {
    rules.REPRODUCED: ("✓", "#1f8f4e"),
    rules.CAVEAT: ("≈", "#b58900"),
    rules.NOT_REPRODUCED: ("✗", "#d1492e"),
    rules.PAPER_IN_ERROR: ("!", "#8b5fd0"),
    rules.NEEDS_FULL: ("…", "#4a8fc7"),
    rules.NO_RUN: ("–", "#8a8f98"),
}


@dataclass(frozen=True)
class Record:
    """Numbers measured for one claim, and what the claim's rules make of them."""

    claim: str
    values: Mapping[str, float | list[float]]  # one entry a quantity; lists hold one number a seed
    verdicts: Mapping[str, str]  # one entry a quantity
    verdict: str  # the worst of them, or "needs the full profile"
    profile: str
    note: str = ""  # what the numbers were measured on, where that is not what the claim names

    @property
    def missing(self) -> list[dict[str, Any]]:
        """Quantities of the claim that are not among the values: other chapters measure them."""
        return [q for q in find(self.claim)["quantities"] if q["name"] not in self.values]

    def as_json(self) -> dict[str, Any]:
        return {"claim": self.claim, "values": dict(self.values), "profile": self.profile} | (
            {"note": self.note} if self.note else {}
        )


def data_file(name: str) -> Path:
    """A file of the book's data: beside this module if installed, under data/ in a checkout.

    Raises:
        FileNotFoundError: if it is in neither place.

    >>> data_file("claims.json").name
    'claims.json'
    """
    here = Path(__file__).parent
    found = [p for p in (here / name, here.parent / "data" / name) if p.exists()]
    if not found:
        raise FileNotFoundError(f"no {name} beside {here} nor in {here.parent / 'data'}")
    return found[0]


@functools.cache
def claims() -> dict[str, dict[str, Any]]:
    """All claims of data/claims.json by id, checked.

    >>> claims()["C03"]["paper"]
    'C'
    """
    stored = json.loads(data_file("claims.json").read_text(encoding="utf-8"))
    table = {claim["id"]: claim for claim in stored}
    for claim in table.values():
        for quantity in claim["quantities"]:
            rules.check_rule(quantity)
    return table


def judge(
    claim_id: str, values: float | Sequence[float] | Mapping, *, profile: str, note: str = ""
) -> Record:
    """Apply a claim's rules to measured numbers, without showing or storing anything.

    Args:
        claim_id: id in data/claims.json.
        values: one entry a quantity of the claim; a bare number or list where it has just one.
            A list holds one number a seed (or the pair of a ratio). Of a claim that several
            chapters share, each may bring its own quantities.
        profile: "quick", "medium" or "full". A claim that needs the full profile gets no other
            verdict from another run, unless a quantity that needs "quick" refutes it; such a run
            may also lack quantities. While quantities are missing
            from a full one, the others can refute the claim and no more: it still needs the rest.
        note: what the numbers were measured on, where that is not what the claim names.

    Raises:
        ValueError: for an unknown claim, quantities missing or not known, NaN.

    >>> judge("C14", 1e6, profile="quick").verdict
    'reproduced'
    """
    claim = find(claim_id)
    known = {quantity["name"]: quantity for quantity in claim["quantities"]}
    if not known:
        raise ValueError(f"{claim_id} cannot be measured: {claim['untestable']}")
    if not isinstance(profile, str) or profile not in PROFILES:
        raise ValueError(f"unknown profile {shown(profile)}; there are {', '.join(PROFILES)}")
    if not isinstance(note, str):
        raise ValueError(f"a note is text, got {shown(note)}")
    if not isinstance(values, Mapping):
        if len(known) != 1:
            raise ValueError(f"{claim_id} has {len(known)} quantities: {', '.join(known)}")
        values = {next(iter(known)): values}
    undecided = claim["needs"] == "full" and profile != "full"
    partly = undecided or (values and len(claim["chapters"]) > 1)
    if set(values) - set(known) or (len(values) < len(known) and not partly):
        got = ", ".join(map(str, values))
        raise ValueError(f"{claim_id} wants {', '.join(known)}; got {got}")
    plain = {name: rules.plain_numbers(values[name]) for name in known if name in values}
    verdicts = {
        name: known[name].get("if_holds", rules.REPRODUCED)
        if rules.holds(plain[name], known[name])
        else known[name].get("if_fails", rules.NOT_REPRODUCED)
        for name in plain
    }
    verdict = rules.worst(list(verdicts.values())) if verdicts else rules.NEEDS_FULL
    refuting = (rules.NOT_REPRODUCED, rules.PAPER_IN_ERROR)
    # What is wrong at any scale, printed numbers that contradict each other, is wrong at this one.
    apart = [v for name, v in verdicts.items() if known[name].get("needs") == "quick"]
    if undecided and apart and rules.worst(apart) in refuting:
        verdict = rules.worst(apart)
    elif undecided or (len(plain) < len(known) and verdict not in refuting):
        verdict = rules.NEEDS_FULL
    return Record(claim_id, plain, verdicts, verdict, profile, note)


def record(
    claim_id: str,
    values: float | Sequence[float] | Mapping,
    *,
    profile: str = "quick",
    note: str = "",
) -> None:
    """Judge a claim, show its verdict box and store the numbers in the executed notebook.

    Arguments and errors as `judge`.

    >>> record("C14", 1e6)  # doctest: +ELLIPSIS
    C14 reproduced: ...
    """
    made = judge(claim_id, values, profile=profile, note=note)
    publish_display_data(
        {"text/plain": _as_text(made), "text/html": as_html(made)}, {_KEY: made.as_json()}
    )


def glue(name: str, value: float | int | str) -> None:
    """Name a value, so that a page's prose can print it with ``{glue:text}`name```.

    Stores what MyST-NB's glue stores, and works where MyST-NB is not installed (Colab). Floats
    keep ten significant digits, so that a notebook reads the same on every machine.

    Raises:
        ValueError: for what is neither a number nor text.

    >>> glue("answer", 42)
    """
    if isinstance(value, Integral):
        value = int(value)
    elif not isinstance(value, str):
        if hasattr(value, "item"):
            value = value.item()
        if not isinstance(value, Real):
            raise ValueError(f"a number or text is glued, got {shown(value)}")
        value = float(f"{float(value):.10g}")
    prefix = "application/papermill.record/"
    publish_display_data(
        {prefix + "text/plain": repr(value)}, {"scrapbook": {"name": name, "mime_prefix": prefix}}
    )


def keep(name: str, table: Mapping[str, Sequence[float]]) -> None:
    """Leave a table, one row a seed, in the executed notebook; a full run's is kept in the record.

    Floats keep five significant digits.

    Raises:
        ValueError: for NaN, and what is no number.

    >>> keep("times", {"first": [3.0, 4.0]})
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"a table is a mapping of columns, got {shown(table)}")
    columns = {column: rules.plain_numbers(values) for column, values in table.items()}
    for column, values in columns.items():
        if not isinstance(values, list):
            raise ValueError(f"a column is a row of numbers, got {values} for {column}")
    plain = {column: [_brief(v) for v in values] for column, values in columns.items()}
    nothing = {"application/papermill.record/text/plain": ""}
    publish_display_data(nothing, {_TABLE: {"name": name, "columns": plain}})


def tables(notebook: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """What `keep` left in an executed notebook, by name.

    >>> tables({"cells": []})
    {}
    """
    outputs = (o for cell in notebook["cells"] for o in cell.get("outputs", []))
    kept = (o.get("metadata", {}).get(_TABLE) for o in outputs)
    return {table["name"]: table["columns"] for table in kept if table}


@functools.cache
def recorded(chapter: str) -> dict[str, Any] | None:
    """A chapter's run in data/recorded, or None: when, where, "records" and "tables", by name.

    >>> recorded("two_point_landscape")["parameters"]
    {'profile': 'full'}
    >>> recorded("two_clusters")["tables"]["js"]["first"].shape
    (512,)
    """
    try:
        run = json.loads(data_file(f"recorded/{chapter}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return run | {"tables": {name: Table(t) for name, t in run.get("tables", {}).items()}}


def show_recorded(chapter: str) -> None:
    """Show the verdict boxes of a chapter's recorded run, with where and when it ran.

    >>> show_recorded("two_point_landscape")  # doctest: +ELLIPSIS
    Full profile, seeds 0, CPU ...
    """
    run = recorded(chapter)
    if run is None:
        print("No run is recorded yet.")
        return
    how = run["parameters"]["profile"].capitalize()
    print(
        f"{how} profile, seeds {run['seeds']}, {run['device']}, {run['date']}, "
        f"commit {run['commit']}, {run['seconds'] / 60:.0f} minutes."
        + (f" {run['note']}." if "note" in run else "")
    )
    made = [_again(r) for r in run["records"]]
    # The boxes of the chapter's own run are the ones that links lead to.
    page = "".join(as_html(each, anchor=False) for each in made)
    text = "\n".join(map(_as_text, made))
    publish_display_data({"text/plain": text, "text/html": page})


def collect(notebook: Mapping[str, Any]) -> Iterator[Record]:
    """Records in an executed notebook's outputs, judged anew by the rules of today.

    >>> list(collect({"cells": []}))
    []
    """
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            stored = output.get("metadata", {}).get(_KEY)
            if stored:
                yield _again(stored)


@dataclass(frozen=True)
class Row:
    """One claim on the scoreboard."""

    claim: Mapping[str, Any]
    verdict: str
    chapters: tuple[str, ...] = ()  # that recorded it
    quick: Record | None = None
    full: tuple[tuple[Record, Mapping[str, Any]], ...] = ()  # with the run: device, date and so on


def scoreboard(
    executed: Mapping[str, Mapping[str, Any]], full_runs: Sequence[Mapping[str, Any]] = ()
) -> list[Row]:
    """All claims with what the book measured for them, in the order of data/claims.json.

    Args:
        executed: executed notebooks by chapter name.
        full_runs: the files of data/recorded, each with "chapter" and "records", of full or medium
            runs; where a claim has one, it gives the verdict.

    Raises:
        ValueError: if a quantity is recorded twice.

    >>> {row.verdict for row in scoreboard({})} <= {"no run yet"}
    True
    """
    quick: dict[str, list[tuple[Record, str]]] = {}
    for chapter, notebook in executed.items():
        for made in collect(notebook):
            quick.setdefault(made.claim, []).append((made, chapter))
    full: dict[str, list[tuple[Record, Mapping[str, Any]]]] = {}
    for run in full_runs:
        for stored in run["records"]:
            made = _again(stored)
            full.setdefault(made.claim, []).append((made, run))
    rows = []
    for claim_id, claim in claims().items():
        own, recorded = quick.get(claim_id, []), full.get(claim_id, [])
        chapters = tuple(chapter for _, chapter in own)
        joined = _join([made for made, _ in own], chapters)
        # A medium run's numbers stand beside a full one's of another chapter, and decide nothing.
        largest = max((PROFILES.index(made.profile) for made, _ in recorded), default=0)
        deciding = [(m, run) for m, run in recorded if PROFILES.index(m.profile) == largest]
        best = _join([made for made, _ in deciding], [run["chapter"] for _, run in deciding])
        verdict = (best or joined).verdict if own or recorded else rules.NO_RUN
        rows.append(Row(claim, verdict, chapters, joined, tuple(recorded)))
    return rows


def _join(parts: Sequence[Record], chapters: Sequence[str]) -> Record | None:
    """What several chapters measured for one claim, as one record."""
    if len(parts) < 2:
        return parts[0] if parts else None
    names = [name for each in parts for name in each.values]
    if len(set(names)) < len(names):
        raise ValueError(f"{parts[0].claim} is recorded twice, by {' and '.join(chapters)}")
    values = {name: value for each in parts for name, value in each.values.items()}
    notes = "; ".join(dict.fromkeys(each.note for each in parts if each.note))
    return judge(parts[0].claim, values, profile=parts[0].profile, note=notes)


def _again(stored: Mapping[str, Any]) -> Record:
    """What `Record.as_json` has stored, judged by the rules of today."""
    how = {"profile": stored["profile"], "note": stored.get("note", "")}
    return judge(stored["claim"], stored["values"], **how)


def count(rows: Sequence[Row]) -> dict[str, int]:
    """Number of claims with each verdict, in the order of `rules.VERDICTS`.

    >>> sum(count(scoreboard({})).values())
    100
    """
    return {v: sum(row.verdict == v for row in rows) for v in rules.VERDICTS}


def find(claim_id: str) -> dict[str, Any]:
    """The claim with this id, or a ValueError.

    >>> find("C03")["place"]
    'Claim 3.1'
    """
    if not isinstance(claim_id, str) or claim_id not in claims():
        raise ValueError(f"unknown claim {claim_id!r}: data/claims.json holds {len(claims())}")
    return claims()[claim_id]


def changes(claim: Mapping[str, Any]) -> list[str]:
    """What was changed in a claim's rules after a run had been seen, a sentence for each time.

    >>> changes(find("A02"))  # doctest: +ELLIPSIS
    ['Rule changed on 2026-11-27: ...']
    """
    return [
        f"Rule changed on {each['date']}: {each['what']}, because {each['why']}."
        for each in claim.get("history", [])
    ]


def show_value(value: float | Sequence[float], rule: str) -> str:
    """A measured value as the verdict box prints it; many seeds as median and quartiles.

    >>> show_value([1.0, 2.0, 4.0], "at_most")
    '2 (1.5 to 3, 3 seeds)'
    """
    if not isinstance(value, Sequence):
        return _short(value)
    if rule == "ratio_at_least":
        return f"{_short(value[0])} / {_short(value[1])}"
    if len(value) < 2:
        return f"{_short(value[0])} (1 seed)"
    low, _, high = quantiles(value, n=4, method="inclusive")
    return f"{_short(median(value))} ({_short(low)} to {_short(high)}, {len(value)} seeds)"


def show_quantities(made: Record) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Each quantity that a record has, with what its rule asks and what we got, as printed.

    >>> [(asked, ours) for _, asked, ours in show_quantities(judge("C14", 2e6, profile="quick"))]
    [('≥ 1e+06', '2e+06')]
    """
    for quantity in find(made.claim)["quantities"]:
        if quantity["name"] not in made.values:
            continue
        ours = show_value(made.values[quantity["name"]], quantity["rule"])
        yield quantity, rules.describe(quantity), ours


def as_html(made: Record, *, anchor: bool = True) -> str:
    """The verdict box: its styles are inline, its colours translucent, so it reads anywhere.

    With an anchor, links can lead to it; a page holds one such box a claim.
    """
    claim = find(made.claim)
    mark, colour = MARKS[made.verdict]
    place = f' id="claim-{made.claim}"' if anchor else ""
    cell = 'style="text-align:left;padding:.1rem .8rem .1rem 0;border:0;background:none"'
    rows = "".join(
        f"<tr><td {cell}>{MARKS[made.verdicts[q['name']]][0]} "
        f"{escape(q['what'])}</td><td {cell}>{escape(asked)}</td>"
        f"<td {cell}>{escape(ours)}</td></tr>"
        for q, asked, ours in show_quantities(made)
    )
    rows += "".join(
        f"<tr><td {cell}>{MARKS[rules.NO_RUN][0]} {escape(q['what'])}</td>"
        f"<td {cell}>{escape(rules.describe(q))}</td><td {cell}>not in this run</td></tr>"
        for q in made.missing
    )
    return (
        f'<div class="verdict"{place} style="border-left:.3rem solid {colour};'
        f'background:{colour}1c;border-radius:.25rem;padding:.6rem 1rem;margin:.5rem 0">'
        f"<strong>{mark} {made.claim}: {escape(made.verdict)}</strong><br>"
        f"{escape(claim['claim'])} <em>({PAPERS[claim['paper']]}, {escape(claim['place'])})</em>"
        + (f"<br><small>Measured {escape(made.note)}.</small>" if made.note else "")
        + "".join(f"<br><small>{escape(line)}</small>" for line in changes(claim))
        + '<div style="overflow-x:auto"><table style="margin:.4rem 0 0;border:0;font-size:.92em">'
        f"<tr><th {cell}>measured</th><th {cell}>the paper's</th><th {cell}>ours</th></tr>"
        f"{rows}</table></div></div>"
    )


def _as_text(made: Record) -> str:
    shown = (f"{q['name']} = {ours} [{asked}]" for q, asked, ours in show_quantities(made))
    return f"{made.claim} {made.verdict}: " + "; ".join(shown)


def _brief(value: float) -> float:
    number = float(f"{float(value):.5g}")
    return int(number) if number.is_integer() else number


def _short(value: float) -> str:
    # Differences of rounding size would print other digits on every machine.
    return "0" if abs(value) < 1e-12 else f"{value:.5g}"
