"""The built site as one PDF file, printed page by page by a headless browser.

A surface that a reader can turn on the screen stands still on paper: it is drawn once and put in as
a picture. Links within the site lead nowhere from a file, unless the site has an address.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

import helpers
from helpers.book.browser import headless, served
from helpers.book.layout import Layout

FILE = "ganscapes.pdf"
_PAPER = {"printBackground": True, "paperWidth": 8.27, "paperHeight": 11.69}
_READY = """
const done = arguments[arguments.length - 1];
const wait = (ms) => new Promise((then) => setTimeout(then, ms));
(async () => {
  for (const box of document.querySelectorAll(".turnable")) {
    box.scrollIntoView();
    for (let n = 0; n < 100 && !box.data; n++) await wait(100);
    if (!box.data) return done(false);
    const source = await Plotly.toImage(box, {format: "png", width: 900, height: 600});
    const picture = Object.assign(document.createElement("img"), {src: source, alt: ""});
    picture.style.maxWidth = "100%";
    await picture.decode();
    box.replaceWith(picture);
  }
  if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
  for (const link of document.querySelectorAll("a[href]")) {
    if (!link.href.startsWith(location.origin)) continue;
    const path = link.href.slice(location.origin.length);
    arguments[0] ? link.href = arguments[0] + path : link.removeAttribute("href");
  }
  done(true);
})();
""".replace("arguments[0]", "address")


def write(layout: Layout) -> Path:
    """Print the built site to a file in its folder, so that pages can link to it.

    A FileNotFoundError without site or browser; a RuntimeError for a page whose surfaces take more
    than ten seconds each.
    """
    from pypdf import PdfReader, PdfWriter

    if not layout.html.exists():
        raise FileNotFoundError("no site built; run `make book`")
    config = layout.config()
    address = str(config.get("html", {}).get("baseurl") or "").rstrip("/")  # "" until published
    with served(layout.html) as site, headless() as browser:
        browser.set_window_size(1000, 1400)
        browser.set_script_timeout(120)
        parts = []
        for page in layout.documents():
            browser.get(f"{site}/{page}")
            script = f"const address = {address!r};" + _READY
            if not browser.execute_async_script(script):
                raise RuntimeError(f"{page}: a surface was not drawn")
            title = browser.find_element("css selector", "article h1").text.rstrip("#")
            parts.append((title, _printed(browser)))
        counts = [len(PdfReader(io.BytesIO(part)).pages) for _, part in parts]
        front = _front(browser, [title for title, _ in parts], counts)
    book = PdfWriter()
    for title, part in (("Contents", front), *parts):
        book.append(io.BytesIO(part), outline_item=title)
    book.add_metadata({"/Title": config["title"], "/Author": "The ganscapes authors"})
    book.compress_identical_objects()
    target: Path = layout.html / FILE
    book.write(target)
    for page in layout.documents():
        path = layout.html / page
        path.write_text(_with_link(path.read_text(encoding="utf-8"), page), encoding="utf-8")
    return target


def _with_link(text: str, page: str) -> str:
    """A page whose foot links to the file."""
    link = f'<a href="{"../" * page.count("/")}{FILE}">This book as one PDF</a>. '
    return text if link in text else text.replace("<p>Version ", f"<p>{link}Version ", 1)


def contents(titles: Sequence[str], counts: Sequence[int], front: int) -> list[tuple[str, int]]:
    """Each title with the number of its first page, after `front` pages of cover and contents.

    >>> contents(["One", "Two"], [3, 5], front=2)
    [('One', 3), ('Two', 6)]
    """
    return [(title, front + 1 + sum(counts[:k])) for k, title in enumerate(titles)]


def _front(browser: Any, titles: Sequence[str], counts: Sequence[int]) -> bytes:
    """Cover and contents; they are printed twice, as their own length is not known at first."""
    from pypdf import PdfReader

    length, printed = 1, b""
    for _ in range(2):
        rows = "".join(
            f"<tr><td>{escape(title)}</td><td align=right>{page}</td></tr>"
            for title, page in contents(titles, counts, length)
        )
        day = datetime.now(timezone.utc).date()
        page = (
            "<html><body style='font:11pt sans-serif'><div>"
            f"<h1 style='margin-top:35vh;font-size:30pt'>{escape(titles[0])}</h1>"
            "<p>An executable book on the optimisation landscapes of GANs.</p>"
            f"<p>Version {helpers.__version__}, {day}.</p></div>"
            "<h2 style='break-before:page'>Contents</h2>"
            f"<table style='width:100%'>{rows}</table></body></html>"
        )
        browser.get("data:text/html;base64," + base64.b64encode(page.encode()).decode())
        printed = _printed(browser)
        length = len(PdfReader(io.BytesIO(printed)).pages)
    return printed


def _printed(browser: Any) -> bytes:
    return base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", _PAPER)["data"])
