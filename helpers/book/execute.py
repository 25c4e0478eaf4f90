"""Execution of chapters by papermill: a process, a time limit and a report for each."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import papermill
from ipykernel.kernelspec import get_kernel_dict
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from helpers import ledger
from helpers.book import pairing, parameters
from helpers.book.layout import Layout
from helpers.machine import progress_bar

# Wall-clock limits in seconds. A quick chapter must take 60 on two cores; a slow or busy machine
# may take six times as long before the run is given up.
TIME_LIMITS = {"quick": 360.0, "medium": 24 * 3600.0, "full": 24 * 3600.0}
# Threads that wait by spinning steal the cores from whatever else runs: with one busy neighbour on
# two cores a chapter took twice as long. numpy's do so whatever the policy, so it gets one
# thread; a second would save a chapter next to nothing.
_QUIET: dict[str, str] = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}

_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload(["helpers.book.__main__"])  # once, not for each chapter


@dataclass(frozen=True)
class Result:
    """How the run of one chapter went."""

    chapter: str
    seconds: float
    peak_mb: float  # of the largest process of the run: the kernel
    claims: int  # claims recorded
    cached: bool = False
    error: str = ""  # chapter, cell, line and message; empty if all went well


def run(
    layout: Layout,
    *,
    chapters: Sequence[str] = (),
    settings: list[str] | None = None,
    force: bool = False,
    time_limit: float | None = None,
) -> list[Result]:
    """Execute chapters; those that fail are reported, and the others still run.

    A run with default parameters goes to `layout.executed`, from which the site is built; any
    other to a folder of its own under ``_build/runs``. Unknown names are refused before any run.
    """
    plans = []
    for name in layout.select(chapters):
        notebook = pairing.to_notebook(layout, name)
        plans.append((name, notebook, chosen_values(notebook, settings or [])))
    results = []
    with progress_bar(plans, unit="chapter") as bar:
        for name, notebook, values in bar:
            bar.set_postfix_str(name)
            target = output_path(layout, name, values)
            key = key_of(layout, notebook, values)
            result = None if force else _from_cache(target, key)
            if result is None:
                limit = time_limit or TIME_LIMITS[str(values.get("profile", "quick"))]
                result = one(layout, name, notebook, values, target, limit)
                if not result.error:
                    _stamp(target).write_text(json.dumps({"key": key, **asdict(result)}))
            results.append(result)
    return results


def key_of(layout: Layout, notebook: NotebookNode, values: dict[str, parameters.Value]) -> str:
    """Hash of a chapter, its parameters, the package, claims, evidence, timings and pins."""
    cells = [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]
    digest = hashlib.sha256(json.dumps([cells, values], sort_keys=True).encode())
    digest.update(platform.python_version().encode())
    package = [p for end in ("py", "csv") for p in (layout.root / "helpers").rglob(f"*.{end}")]
    files = [layout.root / "requirements.txt", *package]
    kept = [p for end in ("json", "jsonl") for p in (layout.root / "data").rglob(f"*.{end}")]
    for path in sorted([*files, *(p for p in kept if not p.is_relative_to(layout.cache))]):
        # The references are compared with a result, which does not depend on them.
        if not path.is_relative_to(layout.references):
            digest.update(f"\0{path.relative_to(layout.root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def chosen_values(notebook: NotebookNode, settings: list[str]) -> dict[str, parameters.Value]:
    """Parameters of a run that differ from the chapter's defaults."""
    known = parameters.declared(notebook)
    values = parameters.parse(settings, known)
    profile = values.get("profile", "quick")
    if profile not in TIME_LIMITS:
        raise ValueError(f"unknown profile {profile!r}; there are: {', '.join(TIME_LIMITS)}")
    if profile != "quick" and not values.get("runs"):
        raise ValueError(f"profile {profile!r} needs --set runs=FOLDER, where its runs are done")
    if values.get("runs"):  # absolute, as a chapter runs in a folder of its own
        values["runs"] = str(Path(str(values["runs"])).expanduser().absolute())
    return {name: value for name, value in values.items() if value != known[name]}


def output_path(layout: Layout, chapter: str, values: dict[str, parameters.Value]) -> Path:
    """Where the executed notebook of a run with these parameters belongs."""
    if not values:
        return layout.executed / f"{chapter}.ipynb"
    label = ",".join(f"{name}={value}" for name, value in sorted(values.items()))
    return layout.build / "runs" / re.sub(r"[^\w=,.-]", "_", label) / f"{chapter}.ipynb"


def report(results: list[Result]) -> str:
    """Closing table of a run: chapter, seconds, peak memory, claims, state."""
    width = max([len("chapter"), *(len(r.chapter) for r in results)])
    lines = [f"{'chapter':{width}}  {'seconds':>8}  {'peak MB':>8}  {'claims':>6}  state"]
    for r in results:
        state = "FAILED" if r.error else "unchanged, from cache" if r.cached else "executed"
        lines.append(
            f"{r.chapter:{width}}  {r.seconds:8.1f}  {r.peak_mb:8.0f}  {r.claims:6d}  {state}"
        )
    lines += [f"\n{r.error}" for r in results if r.error]
    return "\n".join(lines)


def _from_cache(target: Path, key: str) -> Result | None:
    if not target.exists() or not _stamp(target).exists():
        return None
    stored = json.loads(_stamp(target).read_text())
    if stored.pop("key") != key:
        return None
    return Result(**{**stored, "cached": True})


def _stamp(target: Path) -> Path:
    return target.with_suffix(".json")


def one(
    layout: Layout,
    chapter: str,
    source: NotebookNode,
    values: dict[str, parameters.Value],
    target: Path,
    limit: float,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Execute one chapter into a file, within `limit` seconds, with these variables set."""
    failed = layout.failed / f"{chapter}.ipynb"
    failed.parent.mkdir(parents=True, exist_ok=True)
    variables = _QUIET | dict(os.environ) | _own_jupyter(layout.build / "work" / "jupyter")
    variables |= environment or {}
    # A process of its own, so that its children's peak memory is that of this chapter's kernel.
    with ProcessPoolExecutor(1, mp_context=_PROCESSES) as pool:
        job = pool.submit(_execute, source, values, failed, layout.book, limit, variables)
        error, seconds, peak_mb = job.result()
    if error:
        return Result(chapter, seconds, peak_mb, 0, error=f"{chapter}, {error}")
    executed = pairing.read(failed)
    failed.unlink()
    if not values:  # with values papermill has added a cell, and the times do no harm
        executed = pairing.tidy(executed, source)
    pairing.write(executed, target)
    return Result(chapter, seconds, peak_mb, len(list(ledger.collect(executed))))


def _execute(
    source: NotebookNode,
    values: dict[str, parameters.Value],
    output: Path,
    folder: Path,
    limit: float,
    variables: Mapping[str, str],
) -> tuple[str, float, float]:
    """What went wrong ("" if nothing did), the seconds, and the kernel's peak memory in MB."""
    os.environ.update(variables)
    start, error = time.perf_counter(), ""
    try:
        papermill.execute_notebook(
            source,
            output,
            values,
            kernel_name="python3",
            progress_bar=False,
            cwd=folder,
            timeout_func=lambda cell: max(1, round(start + limit - time.perf_counter())),
        )
    except PapermillExecutionError as failure:
        # Counted as in the source: papermill has put the values into a cell of their own.
        error = f"cell {failure.cell_index - bool(values)}: {failure}"
    except CellTimeoutError:
        error = f"stopped after the time limit of {limit:g} s"
    except DeadKernelError as failure:
        error = str(failure)
    seconds = time.perf_counter() - start
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes or kilobytes
    return error, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit


def _own_jupyter(folder: Path) -> dict[str, str]:
    """Variables that make Jupyter's `python3` the interpreter that this tool runs on.

    They take precedence over the user's own folders: a `python3` there may belong to an environment
    that is gone, and IPython's start-up files there may print or import anything.
    """
    kernel = folder / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True, exist_ok=True)
    kernel.write_text(json.dumps(get_kernel_dict()), encoding="utf-8")
    paths = [str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    return {"JUPYTER_PATH": os.pathsep.join(paths), "IPYTHONDIR": str(folder / "ipython")}
