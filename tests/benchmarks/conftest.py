"""Comparisons in one run: works taken in turn, medians, and a record of what came out."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.benchmarks.report import table
from tests.benchmarks.workload import FULL, images

_ROOT = Path(__file__).parents[2]


class Rows:
    """What was measured: one row a number."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, work: str, name: str, values: object, unit: str, **where: object) -> None:
        """A row with the median and the range of repeats."""
        found = np.atleast_1d(np.asarray(values, dtype=np.float64))
        middle, low, high = (float(f"{f(found):.4g}") for f in (np.median, np.min, np.max))
        row = {"work": work, "name": name, "value": middle, "unit": unit, **where}
        row |= {"repeats": len(found), "low": low, "high": high}
        self.rows.append(row)


_RECORDS: dict[str, Rows] = {}  # by the name of the file in data/benchmarks


def _session(name: str, about: Callable[[], dict[str, str]]) -> Iterator[Rows]:
    _RECORDS[name] = found = Rows()
    yield found
    _write(name, found.rows, **about())


@pytest.fixture(scope="session")
def rows() -> Iterator[Rows]:
    """The rows of this run on operators and spectra."""
    about = "networks and training 0, latents 1, probes 0 to 3"
    yield from _session("spectra", lambda: {"data": images()[0], "seeds": about})


@pytest.fixture(scope="session")
def ensemble_rows() -> Iterator[Rows]:
    """The rows of this run on ensembles."""
    yield from _session("ensembles", lambda: {"data": "two clusters", "seeds": "from 0"})


@pytest.fixture(scope="session")
def mixture_rows() -> Iterator[Rows]:
    """The rows of this run on the mixture of Gaussians."""
    yield from _session("mixture", lambda: {"data": "mixture of Gaussians", "seeds": "from 0"})


@pytest.fixture(scope="session")
def training_rows() -> Iterator[Rows]:
    """The rows of this run on the training of one GAN."""
    yield from _session("training", lambda: {"data": images()[0], "seeds": "0"})


@pytest.fixture(scope="session")
def nudging_rows() -> Iterator[Rows]:
    """The rows of this run on nudged steps."""
    about = {"data": "digits, and a ring of eight Gaussians", "seeds": "0"}
    yield from _session("nudging", lambda: about)


@pytest.fixture(scope="session")
def landscape_rows() -> Iterator[Rows]:
    """The rows of this run on the exact landscape; no page prints them."""
    _RECORDS["landscape"] = found = Rows()
    yield found


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table that all this is for."""
    text = table([row for record in _RECORDS.values() for row in record.rows])
    if text:
        terminalreporter.write_sep("=", "ours beside others" + ("" if FULL else ", quick"))
        terminalreporter.write_line(text)


def _write(name: str, rows: list[dict[str, Any]], **about: str) -> None:
    """Write data/benchmarks if this is a full run.

    Rows of an earlier run on the same device stay where this one (`-k` of some tests) has none.
    """
    if not rows or not FULL:
        return
    ask = ["git", "-C", str(_ROOT), "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    record = {
        "device": _processor(),
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit,
        "torch": torch.__version__,
        **about,
    }
    path = _ROOT / "data" / "benchmarks" / f"{name}.json"
    lines = ",\n  ".join(json.dumps(row) for row in [*_kept(path, record, rows), *rows])
    head = json.dumps(record, indent=1)[:-2]
    path.write_text(f'{head},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


Works = Mapping[str, Callable[[], object]]


@pytest.fixture
def in_turn() -> Callable[..., dict[str, NDArray[np.float64]]]:
    """Time works in turn, so that a slow minute is slow for all: seconds (repeats,) by name."""

    def compare(works: Works, repeats: int) -> dict[str, NDArray[np.float64]]:
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(repeats):
            for name, work in works.items():
                begin = perf_counter()
                work()
                times[name].append(perf_counter() - begin)
        return {name: np.array(each) for name, each in times.items()}

    return compare


def _kept(
    path: Path, record: Mapping[str, Any], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What an earlier record of the same device has beyond these rows."""
    if not path.exists():
        return []
    earlier = json.loads(path.read_text(encoding="utf-8"))
    if any(earlier.get(key) != record[key] for key in ("device", "threads", "torch", "data")):
        return []
    names = ("work", "name", "unit", "player", "N", "which")
    measured = {tuple(row.get(name) for name in names) for row in rows}
    return [r for r in earlier["rows"] if tuple(r.get(name) for name in names) not in measured]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"
