"""What a chapter asks of its reader, and where it leads: put into the staged pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from helpers import ledger

_PACE = 200  # words a minute
_NO_WORDS = re.compile(r"\{[^}]*\}`[^`]*`|<[^>]*>|\]\([^)]*\)|[^\w\s'-]")


def minutes(cells: Iterable[str]) -> int:
    """How long the prose of a page takes to read.

    >>> minutes(["word " * 500, "**word** `word`"])
    3
    """
    words = sum(len(_NO_WORDS.sub(" ", cell).split()) for cell in cells)
    return max(1, round(words / _PACE))


def framed(cells: Sequence[str], chapter: str) -> list[str]:
    """The Markdown cells of a whole chapter, with what it takes to read it below the title.

    >>> framed(["# Title\\n\\nText."], "nowhere")[0].splitlines()[2:]
    ['<p class="about">1 minute to read.</p>', '', 'Text.']
    """
    asked = [c for c in ledger.all_claims().values() if chapter in c["chapters"]]
    time = minutes(cells)
    said = f"{time} minute{'s' if time > 1 else ''} to read"
    if asked:
        papers = ", ".join(dict.fromkeys(escape(ledger.PAPERS[c["paper"]]) for c in asked))
        claims = f"{len(asked)} claim{'s' if len(asked) > 1 else ''}"
        said += f'; <a href="scoreboard.html?chapter={chapter}">{claims}</a> ({papers})'
    head, _, rest = cells[0].partition("\n")
    return [f'{head}\n\n<p class="about">{said}.</p>\n{rest}', *cells[1:]]
