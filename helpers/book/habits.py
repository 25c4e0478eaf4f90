"""What a chapter's code keeps to, so that a page can be read and extended."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import zip_longest

from helpers.book import pairing
from helpers.book.layout import Layout

CELL, CHAPTER = 12, 250  # lines of code, blank ones not counted
OPENING = ("The question.", "What we found.", "Claims tested.", "What you need.")
NEXT = "**What is next.**"
EXERCISES = ("Exercises", "Exercise", "Try it yourself")
_SOLUTION = "solution"  # tag of an exercise's solution, which does not count as the page's code


def check(layout: Layout) -> list[str]:
    """What is wrong with the chapters' code: one line a fault, naming chapter and cell.

    A cell has at most 12 lines and a chapter 250: what is longer is an idea that has a name and
    belongs into the package, or a second chapter. A page computes one thing whatever the profile,
    so nothing of it asks for that; and it reads no file.
    """
    faults = []
    for chapter in layout.chapters():
        total = 0
        for number, source in _cells(layout, chapter):
            lines = sum(bool(line.strip()) for line in source.splitlines())
            total += lines
            if lines > CELL:
                faults.append(f"{chapter}: cell {number} has {lines} lines, more than {CELL}")
            faults += [f"{chapter}: cell {number} {fault}" for fault in _faults(source)]
        if total > CHAPTER:
            faults.append(f"{chapter}: {total} lines of code, more than {CHAPTER}")
    return faults


def pages(layout: Layout) -> list[str]:
    """What is wrong with the chapters as pages: one line a fault, naming the chapter.

    A page opens with its question, what was found, the claims, and what it takes to run; it has
    exercises, and their solutions are run. It ends with what is next, and why: the chapter that
    follows in _toc.yml, or for the last one any other page.
    """
    chapters, faults = layout.chapters(), []
    for chapter, after in zip_longest(chapters, chapters[1:]):
        faults += [f"{chapter}: {fault}" for fault in _of_page(layout, chapter, after)]
    return faults


def _cells(layout: Layout, chapter: str) -> Iterator[tuple[int, str]]:
    """Number and source of the cells that are the page's own code, magics as `pass`."""
    for number, cell in enumerate(pairing.to_notebook(layout, chapter).cells):
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "code" and not tags & {"parameters", "remove-cell", _SOLUTION}:
            yield number, re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)


def _of_page(layout: Layout, chapter: str, after: str | None) -> Iterator[str]:
    cells = pairing.to_notebook(layout, chapter).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    places = [re.search(rf"^\*\*{re.escape(part)}\*\*", prose, re.MULTILINE) for part in OPENING]
    for part, place in zip(OPENING, places, strict=True):
        if place is None:
            yield f"does not open with {part!r}"
    found = [place.start() for place in places if place]
    if found != sorted(found):
        yield f"opens in another order than {', '.join(OPENING)}"
    if not re.search(rf"^#+ ({'|'.join(EXERCISES)})$", prose, re.MULTILINE):
        yield f"has no part {' or '.join(map(repr, EXERCISES))}"
    if not any(_SOLUTION in cell.metadata.get("tags", []) for cell in cells):
        yield f"has no solution, a cell tagged {_SOLUTION!r}"
    _, found_next, ending = prose.rpartition(NEXT)
    if not found_next or "\n\n" in ending.strip():
        yield f"does not end with {NEXT!r}"
    elif (links := re.findall(r"\]\(([\w/]+)\)", ending)) and after not in (None, links[0]):
        yield f"leads to {links[0]!r}, and {after!r} is next"
    elif not links:
        yield f"has no link after {NEXT!r}"


def _faults(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare | ast.Subscript | ast.IfExp | ast.If | ast.Match):
            asked = node.test if isinstance(node, ast.If | ast.IfExp) else node
            if any(isinstance(n, ast.Name) and n.id == "profile" for n in ast.walk(asked)):
                yield "asks for the profile"
                return
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "Path"):
            yield f"reads a file: {ast.unparse(node)}"
