"""The glossary in the pages: terms are links where a page first uses them, and explain themselves.

Sources stay plain text; links are put into the staged copies, titles into the built pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

PAGE = "glossary.md"
# Words of every page, and of everyday language besides: their links would be in the way.
_COMMON = frozenset(
    {"generator", "discriminator", "hinge", "reading", "verdict", "evidence", "block", "GAN"}
)
# What is no prose: code, formulas, roles, links, HTML, emphasis that marks a name as a setting's.
_FIXED = re.compile(r"(\{[^}]*\}`[^`]*`|`[^`]*`|\$[^$]*\$|\[[^\]]*\]\([^)]*\)|<[^>]*>)")
_BLOCK = re.compile(r"^(```|\$\$|:::)")
_LINK = re.compile(r'<span class="xref std std-term">([^<]*)</span>')


def definitions(book: Path) -> dict[str, str]:
    """Each term of the glossary with its definition; a ValueError for one that is listed twice."""
    path = book / PAGE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    block = re.search(r"^```\{glossary\}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    found: dict[str, str] = {}
    for entry in block[1].strip().split("\n\n") if block else []:
        term, _, said = entry.partition("\n")
        if term in found:
            raise ValueError(f"{PAGE} lists {term!r} twice")
        found[term.strip()] = " ".join(said.split())
    return found


def linked(cells: Iterable[str], terms: Iterable[str]) -> list[str]:
    """The Markdown of a page, cell by cell, with a link from the first use of each term."""
    left = sorted(set(terms) - _COMMON, key=len, reverse=True)
    pages = []
    for cell in cells:
        lines, is_block = [], False
        for line in cell.split("\n"):
            if _BLOCK.match(line.strip()):
                is_block = not is_block
            elif not is_block and not line.lstrip().startswith(("#", "|")):
                line = _with_links(line, left)
            lines.append(line)
        pages.append("\n".join(lines))
    return pages


def titled(page: str, said: Mapping[str, str]) -> str:
    """A built page whose links to terms say what the terms mean."""

    def with_title(found: re.Match[str]) -> str:
        title = escape(said.get(found[1], ""))
        return f'<span class="xref std std-term" title="{title}">{found[1]}</span>'

    return _LINK.sub(with_title, page)


def _with_links(line: str, left: list[str]) -> str:
    """A line with a link for each term that is still to be met, which is then taken off."""
    for term in list(left):
        parts = _FIXED.split(line)
        for place in range(0, len(parts), 2):
            found = re.search(rf"(?<![\w*-]){re.escape(term)}(?![\w-])", parts[place])
            if found:
                before, after = parts[place][: found.start()], parts[place][found.end() :]
                parts[place] = f"{before}{{term}}`{term}`{after}"
                left.remove(term)
                line = "".join(parts)
                break
    return line
