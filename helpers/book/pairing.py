"""Chapter sources (MyST) and the notebooks written from them.

Only the .md is edited. jupytext reads it; this module turns what it read into the .ipynb that
Colab, GitHub and nbval need: a fixed kernel, positional cell ids, a first code cell that installs
the package in Colab, and the outputs of the last execution where the code did not change.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from helpers.book.layout import PLACEHOLDER, Layout

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_LARGEST = 1_500_000  # most bytes of a notebook with its outputs
_PLAIN = "utf-8-sig"  # with or without the byte-order mark that some editors write


def to_notebook(layout: Layout, chapter: str) -> NotebookNode:
    """The chapter's notebook, without outputs."""
    notebook = jupytext.reads(layout.source(chapter).read_text(_PLAIN), fmt="md:myst")
    notebook.metadata = nbformat.from_dict({"kernelspec": _KERNEL})
    first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    notebook.cells.insert(first, _colab_cell(layout))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def sync(layout: Layout) -> list[str]:
    """Write each chapter's .ipynb, keeping outputs of unchanged code; list what changed."""
    changed = []
    for chapter in layout.chapters():
        notebook, path = to_notebook(layout, chapter), layout.notebook(chapter)
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if before is not None:
            _keep_outputs(notebook, read(path))
        after = dump(notebook)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(chapter)
    return changed


def check(layout: Layout) -> list[str]:
    """What is wrong with the pairs: one line per fault, naming chapter and cell."""
    faults = []
    for chapter in layout.chapters():
        path = layout.notebook(chapter)
        if not path.exists():
            faults.append(f"{chapter}: {path.name} is missing; run `make sync`")
            continue
        if path.read_bytes().startswith(codecs.BOM_UTF8):
            faults.append(f"{chapter}: {path.name} has a byte-order mark; run `make sync`")
        wanted, found = to_notebook(layout, chapter), read(path)
        if _skeleton(wanted) != _skeleton(found):
            faults.append(f"{chapter}: {_first_difference(wanted, found)}; run `make sync`")
        for number, cell in enumerate(found.cells):
            if cell.cell_type != "code":
                continue
            if cell.execution_count is None:
                faults.append(f"{chapter}: cell {number} is not executed; run `make notebooks`")
            for output in cell.outputs:
                if output.output_type == "error":
                    faults.append(f"{chapter}: cell {number} holds the error {output.ename}")
                if output.get("name") == "stderr":
                    faults.append(f"{chapter}: cell {number} prints a warning to the reader")
        if path.stat().st_size > _LARGEST:
            faults.append(f"{chapter}: {path.name} is over {_LARGEST:,} bytes with its outputs")
    return faults


def publish(layout: Layout, chapter: str) -> None:
    """Copy an executed chapter beside its source."""
    executed = layout.executed / f"{chapter}.ipynb"
    layout.notebook(chapter).write_text(executed.read_text(encoding="utf-8"), encoding="utf-8")


def tidy(executed: NotebookNode, source: NotebookNode) -> NotebookNode:
    """An executed notebook without what changes at every run.

    It has no times, no marks of papermill, and no breaks that the kernel put into printed text.
    """
    executed.metadata = source.metadata
    for cell, original in zip(executed.cells, source.cells, strict=True):
        cell.metadata, cell.id = original.metadata, original.id
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return executed


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    kept: list[NotebookNode] = []
    for output in outputs:
        last = kept[-1] if kept else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last["text"] += output.text
        else:
            kept.append(output)
    return kept


def dump(notebook: NotebookNode) -> str:
    """The notebook as text, as it stands in the repository."""
    return nbformat.writes(notebook, version=4) + "\n"


def read(path: Path) -> NotebookNode:
    """A notebook of the repository."""
    return nbformat.reads(path.read_text(_PLAIN), as_version=4)


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, making its folder where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump(notebook), encoding="utf-8")


def _colab_cell(layout: Layout) -> NotebookNode:
    """What makes the package importable in Colab; elsewhere it is installed already."""
    if PLACEHOLDER not in layout.repository():
        source = (
            "import sys\n\n"
            'if "google.colab" in sys.modules:  # elsewhere the package is installed already\n'
            f"    %pip install -q git+{layout.repository()}"
        )
    else:
        source = (
            "import importlib.util\n\n"
            'if importlib.util.find_spec("helpers") is None:\n'
            "    raise RuntimeError(\n"
            '        "this copy of the book has no address to install its package from: set "\n'
            '        "`url` under `repository` in _config.yml and run `make sync`, or install "\n'
            '        "a wheel of the package by hand with %pip"\n'
            "    )"
        )
    return nbformat.v4.new_code_cell(source, metadata={"tags": ["remove-cell"]})


def _skeleton(notebook: NotebookNode) -> list[tuple[Any, ...]]:
    return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]


def _first_difference(wanted: NotebookNode, found: NotebookNode) -> str:
    pairs = zip(_skeleton(wanted), _skeleton(found), strict=False)
    for number, (one, other) in enumerate(pairs):
        if one != other:
            return f"cell {number} differs from the source"
    return f"{len(found.cells)} cells instead of {len(wanted.cells)}"


def _keep_outputs(new: NotebookNode, old: NotebookNode) -> None:
    """Carry outputs over up to the first change in code: what follows it may depend on it.

    Nothing depends on how the package was installed, so a new address keeps them all.
    """
    before = [cell for cell in old.cells if cell.cell_type == "code"]
    after = [cell for cell in new.cells if cell.cell_type == "code"]
    for number, (cell, last) in enumerate(zip(after, before, strict=False)):
        if number > 0 and cell.source != last.source:
            return
        cell.outputs, cell.execution_count = last.outputs, last.execution_count
