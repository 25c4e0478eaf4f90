"""A Sphinx extension: what search engines and previews of shared links show of a page.

Each page gets a description, the beginning of its text; a title and a picture for previews, and the
metadata by which a citation manager knows the book.
"""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_LONGEST = 200  # characters of a description
_PICTURE = "_static/preview.png"


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("html-page-context", _add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def description(tree: nodes.Node) -> str:
    """The first paragraph of a page, cut at the end of a word.

    >>> text = nodes.paragraph("", "Two nets. " * 30)
    >>> description(nodes.section("", text))[-11:]
    'Two nets. …'
    """
    for paragraph in tree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if len(text) > _LONGEST:
            return text[:_LONGEST].rsplit(" ", 1)[0] + " …"
        if text:
            return text
    return ""


def tags(
    title: str, said: str, *, book: str, author: str, year: str, address: str = "", page: str = ""
) -> str:
    """The tags of a page's head; addresses only where the site knows its own."""
    named = {"description": said, "citation_title": book, "citation_author": author}
    named["citation_publication_date"] = year
    properties = {"og:title": title, "og:description": said, "og:type": "article"}
    properties["og:site_name"] = book
    if address:
        properties["og:url"] = f"{address}/{page}.html"
        properties["og:image"] = f"{address}/{_PICTURE}"
    lines = [f'<meta name="{name}" content="{escape(text)}">' for name, text in named.items()]
    lines += [f'<meta property="{p}" content="{escape(text)}">' for p, text in properties.items()]
    return "\n".join(lines)


def _add(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    if tree is None:  # a search page, an index
        return
    config = app.config
    context["metatags"] = context.get("metatags", "") + tags(
        context["title"],
        description(tree),
        book=config.html_title,
        author=config.author,
        year=str(config.copyright),
        address=str(config.html_baseurl or "").rstrip("/"),
        page=page,
    )
