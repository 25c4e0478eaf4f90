"""The site: stage pages and executed chapters in one folder, build it there, swap it in."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import nbformat
import yaml

import helpers
from helpers.book import board, errata, findings, pairing, playground, reading, table, terms
from helpers.book.layout import Layout
from helpers.book.slim import slim

# Files of MathJax that a page with TeX loads; the rest of the package stays behind.
_MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2")


def build(layout: Layout) -> Path:
    """Build the site from the last execution, warnings as errors; its folder.

    The last good site stays in place unless the new one is complete.
    """
    missing = [c for c in layout.chapters() if not (layout.executed / f"{c}.ipynb").exists()]
    if missing:
        raise FileNotFoundError(f"not executed yet: {', '.join(missing)}; run `make book`")
    stage, fresh = layout.build / "stage", layout.build / "fresh"
    for folder in (stage, fresh):
        shutil.rmtree(folder, ignore_errors=True)
    _stage(layout, stage)
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(stage)]
    command += ["--config", str(stage / "_config.yml"), "--toc", str(stage / "_toc.yml")]
    command += ["--builder", "html", "--path-output", str(fresh), "-W", "-n", "--keep-going", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the site was not built:\n{done.stdout}\n{done.stderr}")
    slim(fresh / "_build" / "html")
    known = terms.definitions(layout.book)
    for page in (fresh / "_build" / "html" / "book").glob("*.html"):
        page.write_text(terms.titled(page.read_text("utf-8"), known), encoding="utf-8")
    old = layout.build / "html.old"
    shutil.rmtree(old, ignore_errors=True)
    if layout.html.exists():
        layout.html.replace(old)
    (fresh / "_build" / "html").replace(layout.html)
    for folder in (old, fresh):
        shutil.rmtree(folder, ignore_errors=True)
    return layout.html


def _footer(layout: Layout) -> str:
    """Version, day and the evidence that the site was built from."""
    command = ["git", "log", "-1", "--format=%h, %cs", "--", "data/evidence"]
    done = subprocess.run(command, cwd=layout.root, capture_output=True, text=True, check=False)
    evidence = f", evidence of commit {done.stdout.strip()}" if done.stdout.strip() else ""
    day = datetime.now(timezone.utc).date()
    return f"<p>Version {helpers.__version__}, built {day}{evidence}.</p>"


def _raw(html: str) -> str:
    """HTML as a page of MyST takes it."""
    return f"```{{raw}} html\n{html}\n```"


def _stage(layout: Layout, stage: Path) -> None:
    book = stage / "book"
    shutil.copytree(layout.book / "_static", book / "_static")
    shutil.copy(layout.root / "_toc.yml", stage / "_toc.yml")
    config = layout.config()
    config.setdefault("html", {})["extra_footer"] = _footer(layout)
    (stage / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copy(layout.book / "references.bib", book)
    rows = board.rows(layout, committed=False)

    def playing() -> str:
        playground.write(book / "_static")
        return _raw(playground.html())

    def found() -> str:
        html = findings.html(rows, layout.repository())
        findings.draw(rows, book / "_static")
        return _raw(html)

    parts = {
        "scoreboard": lambda: _raw(
            board.table(rows, layout.repository(), {c: layout.title(c) for c in layout.chapters()})
        ),
        "counts": lambda: board.counts_line(rows),
        "bars": lambda: _raw(board.bars(rows)),
        "playground": playing,
        "findings": found,
        "errata": lambda: _raw(errata.html(rows)),
    }
    for page in layout.pages():
        text = page.read_text(encoding="utf-8")
        for name, part in parts.items():
            if (mark := f"<!-- {name} -->") in text:
                text = text.replace(mark, part())
        target = book / page.relative_to(layout.book)
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
    claims = table.claims(rows)
    table.frame(claims).to_csv(book / "_static" / table.CSV, index=False)
    text = json.dumps(claims, indent=1, ensure_ascii=False, allow_nan=False)
    (book / "_static" / table.JSON).write_text(text, encoding="utf-8")
    known = terms.definitions(layout.book)
    for chapter in layout.chapters():
        notebook = pairing.read(layout.executed / f"{chapter}.ipynb")
        prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
        cells = reading.framed([cell.source for cell in prose], chapter)
        for cell, text in zip(prose, terms.linked(cells, known), strict=True):
            cell.source = text
        nbformat.write(notebook, book / f"{chapter}.ipynb")
    # Both are shipped inside packages, so that the site can be read without a network.
    plotly = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    shutil.copy(str(plotly), book / "_static" / "plotly.min.js")
    mathjax = importlib.resources.files("sphinx-mathjax-offline") / "static" / "mathjax"
    for name in _MATHJAX:
        source, target = mathjax / name, book / "_static" / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(str(source), target)
