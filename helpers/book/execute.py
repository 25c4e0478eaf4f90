"""Execution of chapters by papermill: a process, a time limit and a report for each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from nbformat import NotebookNode
from tqdm import tqdm

from helpers import ledger
from helpers.book import cache, pairing, parameters
from helpers.book.layout import Layout

# Wall-clock limits in seconds. A quick chapter must take 120 on two cores; a slow or busy machine
# may take three times as long before the run is given up.
TIME_LIMITS = {"quick": 360.0, "medium": 24 * 3600.0, "full": 24 * 3600.0}
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Result:
    """How the run of one chapter went."""

    chapter: str
    seconds: float
    peak_mb: float  # of the largest process of the run: the kernel
    claims: int  # recorded
    cached: bool = False
    error: str = ""  # chapter, cell, line and message; empty if it ran through


def run(
    layout: Layout,
    *,
    chapter: str | None = None,
    profile: str | None = None,
    settings: list[str] | None = None,
    force: bool = False,
    time_limit: float | None = None,
) -> list[Result]:
    """Execute chapters; those that fail are reported, the others still run.

    A run with default parameters goes to `layout.executed`, from which the site is built; any
    other to a folder of its own under ``_build/runs``.

    Raises:
        ValueError: for an unknown chapter or parameter, or a value of the wrong type; before
            anything runs.
    """
    profile, settings = profile_of(profile, settings or [])
    plans = []
    for name in layout.select(chapter):
        notebook = pairing.to_notebook(layout, name)
        plans.append((name, notebook, chosen_values(notebook, profile, settings)))
    limit = time_limit or TIME_LIMITS[profile or "quick"]
    results = []
    with tqdm(plans, unit="chapter", disable=None) as bar:
        for name, notebook, values in bar:
            bar.set_postfix_str(name)
            target = output_path(layout, name, values)
            key = cache.key(layout, notebook, values)
            result = None if force else _from_cache(target, key)
            if result is None:
                result = one(layout, name, notebook, values, target, limit)
                if not result.error:
                    _stamp(target).write_text(json.dumps({"key": key, **asdict(result)}))
            results.append(result)
    return results


def profile_of(profile: str | None, settings: list[str]) -> tuple[str | None, list[str]]:
    """The profile, whichever way it was chosen, and the other settings.

    Raises:
        ValueError: if it was chosen in both ways, or twice.

    >>> profile_of(None, ["seed=3", "profile=full"])
    ('full', ['seed=3'])
    """
    chosen = [s.removeprefix("profile=") for s in settings if s.startswith("profile=")]
    others = [s for s in settings if not s.startswith("profile=")]
    named = [*([profile] if profile is not None else []), *chosen]
    if len(named) > 1:
        raise ValueError(f"a run has one profile, got {' and '.join(named)}")
    return (named or [None])[0], others


def chosen_values(
    notebook: NotebookNode, profile: str | None, settings: list[str]
) -> dict[str, parameters.Value]:
    """Parameters of a run that differ from the chapter's defaults.

    Raises:
        ValueError: for an unknown profile or parameter, a value of the wrong type, and the medium
            profile of a chapter that has none.
    """
    if profile is not None and profile not in TIME_LIMITS:
        raise ValueError(f"unknown profile {profile!r}; there are: {', '.join(TIME_LIMITS)}")
    if profile == "medium" and not any('"medium"' in cell.source for cell in notebook.cells):
        raise ValueError("there is no medium profile here; quick and full are in every chapter")
    known = parameters.declared(notebook)
    wanted = [*([f"profile={profile}"] if profile else []), *settings]
    values = parameters.parse(wanted, known)
    return {name: value for name, value in values.items() if value != known[name]}


def output_path(layout: Layout, chapter: str, values: dict) -> Path:
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
    """Execute one chapter into a file, within so many seconds, with these variables set."""
    work = layout.build / "work"
    before, after = work / f"{chapter}.in.ipynb", work / f"{chapter}.out.ipynb"
    pairing.write(source, before)
    after.unlink(missing_ok=True)
    command = [sys.executable, "-m", "papermill", str(before), str(after), "-k", "python3"]
    command += ["--no-progress-bar", "--cwd", str(layout.book)]
    for name, value in values.items():
        command += ["-r" if isinstance(value, str) else "-p", name, str(value)]
    start = time.perf_counter()
    own = _own_jupyter(work / "jupyter") | dict(environment or {})
    output, code, peak_mb = _measured(command, limit, own)
    seconds = time.perf_counter() - start
    if code != 0:
        late = f"stopped after the time limit of {limit:g} s" if code == -signal.SIGKILL else ""
        error = _failure(chapter, after, late or output)
        if after.exists():
            layout.failed.mkdir(parents=True, exist_ok=True)
            after.replace(layout.failed / f"{chapter}.ipynb")
        return Result(chapter, seconds, peak_mb, 0, error=error)
    executed = nbformat.read(after, as_version=4)
    if not values:  # with values papermill has added a cell, and the times do no harm
        executed = pairing.tidy(executed, source)
    pairing.write(executed, target)
    return Result(chapter, seconds, peak_mb, len(list(ledger.collect(executed))))


def _own_jupyter(folder: Path) -> dict[str, str]:
    """Variables by which Jupyter's `python3` is the interpreter that this tool runs on.

    They go before the user's own folders: a `python3` there may be of an environment that is gone,
    and IPython's start-up files there may print or import what they like.
    """
    kernel = folder / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True, exist_ok=True)
    kernel.write_text(json.dumps(get_kernel_dict()), encoding="utf-8")
    paths = [str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    return {"JUPYTER_PATH": os.pathsep.join(paths), "IPYTHONDIR": str(folder / "ipython")}


def _measured(
    command: list[str], limit: float, environment: Mapping[str, str]
) -> tuple[str, int, float]:
    """Output, exit code and peak memory in MB (the largest process) of a command."""
    # Threads that wait by spinning steal the cores from whatever else runs: with one busy
    # neighbour on two cores a chapter took twice as long. numpy's do so whatever the policy: there
    # one thread does, beside which a second one saves a chapter next to nothing.
    quiet = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=quiet | dict(os.environ) | dict(environment),
    ) as process:
        timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            output = process.stdout.read()
            # wait4 also counts the kernel, which papermill has waited for.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            raise
        finally:
            timer.cancel()
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes or kilobytes
    return output, process.returncode, usage.ru_maxrss / unit


def _failure(chapter: str, path: Path, output: str) -> str:
    """Name chapter, cell, line and error of a failed run."""
    if path.exists():
        for cell in nbformat.read(path, as_version=4).cells:
            for error in cell.get("outputs", []):
                if error.output_type == "error":
                    # Counted as in the source: papermill has put cells of its own before it.
                    return _describe(chapter, int(cell.id.split("-")[1]), cell.source, error)
    tail = "\n".join(_ANSI.sub("", output).strip().splitlines()[-15:])
    return f"{chapter}: {tail}"


def _describe(chapter: str, number: int, source: str, error) -> str:
    trace = _ANSI.sub("", "\n".join(error.traceback))
    # The first arrow points into the cell; later ones into what it called.
    arrow = re.search(r"^-+> (\d+) (.*)$", trace, flags=re.MULTILINE)
    if arrow:
        where = f"line {arrow[1]}: {arrow[2].strip()}"
    else:
        where = f"starting with: {source.strip().splitlines()[0]}"
    return f"{chapter}, cell {number}, {where}\n  {error.ename}: {error.evalue}"
