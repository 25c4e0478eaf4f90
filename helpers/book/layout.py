"""Where everything lies, and what the book's configuration says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PLACEHOLDER = "/ORGANISATION/"  # owner of the repository until it has a home


def _path(*parts: str) -> Any:
    return property(lambda layout: layout.root.joinpath(*parts))


@dataclass(frozen=True)
class Layout:
    """Paths of a checkout; tests point it at a small book of their own."""

    root: Path

    book = _path("book")
    build = _path("_build")
    executed = _path("_build", "executed")  # with default parameters: what the site is built from
    failed = _path("_build", "failed")  # notebooks of runs that failed, to look at
    html = _path("_build", "html")
    references = _path("data", "references")
    recorded = _path("data", "recorded")
    cache = _path("data", "cache")  # downloads, and runs under way

    def source(self, chapter: str) -> Path:
        return self.book / f"{chapter}.md"

    def notebook(self, chapter: str) -> Path:
        return self.book / f"{chapter}.ipynb"

    def chapters(self) -> list[str]:
        """Chapters in the order of _toc.yml: the entries that are notebooks."""
        files = [Path(entry["file"]) for entry in self._entries()]
        return [file.stem for file in files if file.suffix == ".ipynb"]

    def documents(self) -> list[str]:
        """The built pages in the order of _toc.yml, from the root of the site."""
        below = [e for entry in self._entries() for e in (entry, *entry.get("sections", []))]
        files = [self._read("_toc.yml")["root"], *(entry["file"] for entry in below)]
        return [f"{file.removesuffix('.ipynb')}.html" for file in files]

    def title(self, chapter: str) -> str:
        """A chapter's heading, from its source."""
        text = self.source(chapter).read_text(encoding="utf-8")
        found = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
        if found is None:
            raise ValueError(f"{self.source(chapter)} has no heading")
        return found[1]

    def pages(self) -> list[Path]:
        """Pages of plain text: the .md files that are no chapter's source."""
        sources = {self.source(chapter) for chapter in self.chapters()}
        return [page for page in sorted(self.book.rglob("*.md")) if page not in sources]

    def repository(self) -> str:
        """The repository's address; _config.yml is the one place that holds it."""
        address = str(self.config()["repository"]["url"]).rstrip("/").removesuffix(".git")
        # Colab opens chapters from GitHub.
        if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
            raise ValueError(
                "`url` under `repository` in _config.yml must be like "
                f"https://github.com/OWNER/NAME, got {address}"
            )
        return address

    def config(self) -> dict[str, Any]:
        """What _config.yml says."""
        return self._read("_config.yml")

    def _entries(self) -> list[dict[str, Any]]:
        """Entries of _toc.yml, without the root and what is below an entry."""
        toc = self._read("_toc.yml")
        return [entry for block in toc.get("parts", [toc]) for entry in block["chapters"]]

    def _read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.root / name).read_text(encoding="utf-8"))
        return found

    def select(self, chapters: Sequence[str] = ()) -> list[str]:
        """All chapters, or those named."""
        known = self.chapters()
        for chapter in chapters:
            if chapter not in known:
                raise ValueError(f"unknown chapter {chapter!r}; there are: {', '.join(known)}")
        return list(dict.fromkeys(chapters)) or known


def checkout() -> Layout:
    """The checkout that this package is part of."""
    return Layout(Path(__file__).resolve().parents[2])
