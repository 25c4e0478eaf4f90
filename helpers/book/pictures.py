"""What a chapter's figures keep to, so that they can be read: captions, alt texts, text sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html import unescape

from helpers import figures
from helpers.book import pairing
from helpers.book.layout import Layout

PAGE = 750  # px of a page's text on a screen of 1400, to which wider figures shrink
SMALLEST = 10  # px of text
_WORDS = 6  # of an alt text and of a caption, at least
_SOURCE = re.compile(r" (Live|Recorded)\b.*$", re.DOTALL)  # what `Chapter` says at a caption's end


def check(layout: Layout) -> list[str]:
    """What is wrong with the figures of the executed chapters: one line a fault.

    A figure has a number, a caption of a full sentence, and an alt text that is no path and says
    something else; no two figures or tables of a page have one number; and where a page is `PAGE`
    wide no text is smaller than `SMALLEST`, sub- and superscripts apart.
    """
    chapters = layout.chapters()
    return [f"{chapter}: {fault}" for chapter in chapters for fault in _of_page(layout, chapter)]


def text_size(picture: str, page: float = PAGE) -> float | None:
    """Height in px of the smallest text in a picture on a page so wide; None without text.

    Text is drawn as paths, each scaled by a hundredth of its size in points.

    >>> drawn = '<svg viewBox="0 0 1000 90"><g transform="translate(1 2) scale(0.11 -0.11)"/></svg>'
    >>> round(text_size(drawn, page=1000), 2)
    11.0
    """
    sizes = re.findall(r"scale\(([\d.]+) -[\d.]+\)", picture)
    if not sizes:
        return None
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', picture)[1])  # type: ignore[index]
    return min(map(float, sizes)) * 100 * min(page / width, 4 / 3)


def _of_page(layout: Layout, chapter: str) -> Iterator[str]:
    notebook = layout.notebook(chapter)
    if not notebook.exists():  # `pairing.check` says so
        return
    pages = [
        output["data"]["text/html"]
        for cell in pairing.read(notebook).cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    labels = re.findall(r'<(?:figure|div) id="((?:figure|table)-\d+)"', "".join(pages))
    yield from (f"two have the number {label}" for label, n in Counter(labels).items() if n > 1)
    for page in pages:
        if "<figcaption" in page:
            yield from _of_figure(page)


def _of_figure(page: str) -> Iterator[str]:
    found = re.search(r"<figcaption[^>]*>(?:<strong>(.*?)\.</strong> )?(.*?)</figcaption>", page)
    told = re.search(r'(?:alt|aria-label)="([^"]*)"', page)
    if found is None or told is None:
        yield "a figure without a caption or an alt text"
        return
    name = found[1] or "a figure"
    if not found[1]:
        yield f"a figure without a number: {unescape(found[2])[:60]!r}"
    caption, alt = _SOURCE.sub("", unescape(found[2])), unescape(told[1])
    if len(caption.split()) < _WORDS or not caption.endswith((".", "?")):
        yield f"{name}: the caption is no sentence: {caption!r}"
    if len(alt.split()) < _WORDS or re.search(r"[\w-]/[\w-]+\.\w+$", alt) or alt in caption:
        yield f"{name}: the alt text does not describe it: {alt!r}"
    picture = figures.picture(page)
    size = None if picture is None else text_size(picture)
    if size is not None and size < SMALLEST:
        yield f"{name}: its smallest text has {size:.1f} px, less than {SMALLEST}"
