"""Chapters executed elsewhere than the book's tool does it: with another interpreter or device."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

_LIMIT = 1800  # seconds for a cell; a quick chapter takes two minutes in all


def execute(
    notebook: NotebookNode,
    python: str,
    *,
    parameters: Mapping[str, object] | None = None,
    before: str = "",
) -> tuple[float, str]:
    """Run a chapter in an empty folder: its seconds, and what went wrong ("" if nothing did).

    Args:
        notebook: its cells; outputs are written into it.
        python: the interpreter, which has ipykernel and the package; no variable leads it to the
            checkout.
        parameters: values for the parameters cell.
        before: code that runs before the first cell.
    """
    own = "\n".join(f"{name} = {value!r}" for name, value in (parameters or {}).items())
    tagged = [i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", [])]
    notebook.cells.insert(tagged[0] + 1, nbformat.v4.new_code_cell(own))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
    start = time.perf_counter()
    with TemporaryDirectory() as folder, _kernel(python) as manager:
        client = NotebookClient(
            notebook, km=manager, timeout=_LIMIT, resources={"metadata": {"path": folder}}
        )
        client.owns_km = True  # it then ends the kernel too
        try:
            client.execute(env=_environment())
            error = _warnings(notebook)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as failed:
            error = " ".join(str(failed).split())[-400:]
    return time.perf_counter() - start, error


def line(chapter: str, seconds: float, error: str) -> str:
    """What is printed of a chapter."""
    return f"{chapter:24} {seconds:7.1f} s  {'FAILED: ' + error if error else 'ok'}"


@contextmanager
def _kernel(python: str):
    argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    with TemporaryDirectory() as folder:
        kernel = Path(folder, "python3", "kernel.json")
        kernel.parent.mkdir()
        kernel.write_text(json.dumps(spec), encoding="utf-8")
        specs = KernelSpecManager(kernel_dirs=[folder])
        yield AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)


def _environment() -> dict[str, str]:
    """This process's variables, without those that would lead Python into the checkout."""
    own = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return own | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # or each kernel prints four lines


def _warnings(notebook: NotebookNode) -> str:
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                return f"cell {number} prints a warning: {output.text.strip()[:300]}"
    return ""
