"""The parts of the README that follow from the book: badges, counts, address and figure."""

from __future__ import annotations

import re
from pathlib import Path

from helpers import figures
from helpers.book import board, pairing
from helpers.book.layout import Layout

FIGURE_TAG = "readme-figure"


def render(layout: Layout) -> str:
    """The README with its generated parts up to date."""
    text = (layout.root / "README.md").read_text(encoding="utf-8")
    parts = {
        "install": f"```bash\npip install git+{layout.repository()}\n```",
        "badges": _badges(layout),
        "counts": board.counts_line(board.rows(layout, committed=True)),
    }
    for name, content in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        found = list(re.finditer(pattern, text, flags=re.DOTALL))
        if len(found) != 1:
            raise ValueError(f"README.md has no single part between <!-- {name} --> markers")
        text = f"{text[: found[0].end(1)]}{content}\n{text[found[0].start(2) :]}"
    return text


def sync(layout: Layout) -> bool:
    """Bring README.md and its figure up to date; say whether anything changed."""
    wanted = {layout.root / "README.md": render(layout), **_figures(layout)}
    stale = [p for p, t in wanted.items() if not p.exists() or p.read_text("utf-8") != t]
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return bool(stale)


def check(layout: Layout) -> list[str]:
    """Faults of the README: parts that no longer say what the committed notebooks say."""
    if render(layout) != (layout.root / "README.md").read_text(encoding="utf-8"):
        return ["README.md: badges or counts are out of date; run `make sync`"]
    return []


def _badges(layout: Layout) -> str:
    address = layout.repository().removeprefix("https://github.com/")
    branch = layout.config()["repository"]["branch"]
    folder = f"https://colab.research.google.com/github/{address}/blob/{branch}/book"
    lines = ["| chapter | open |", "|---|---|"]
    for chapter in layout.chapters():
        colab = f"{folder}/{chapter}.ipynb"
        badge = "https://colab.research.google.com/assets/colab-badge.svg"
        lines.append(f"| {layout.title(chapter)} | [![Open in Colab]({badge})]({colab}) |")
    return "\n".join(lines)


def _figures(layout: Layout) -> dict[Path, str]:
    """Pictures of the cells tagged for the README, as files beside the book's other static ones."""
    pictures = {}
    for chapter in layout.chapters():
        for cell in pairing.read(layout.notebook(chapter)).cells:
            if FIGURE_TAG in cell.metadata.get("tags", []):
                for output in cell.outputs:
                    picture = figures.picture(output.get("data", {}).get("text/html", ""))
                    if picture:
                        pictures[layout.book / "_static" / f"{chapter}.svg"] = picture
    return pictures
