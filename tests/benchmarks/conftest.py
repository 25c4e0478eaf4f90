"""Comparisons in one run: works taken in turn, medians, and a record of what came out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.benchmarks.record import ROOT, Rows, head, in_turn, write
from tests.benchmarks.report import table
from tests.benchmarks.workload import FULL, images

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
def memory_rows() -> Iterator[Rows]:
    """The rows of this run on densities with and without a stored basis."""
    yield from _session("memory", lambda: {"data": "normal numbers", "seeds": "0"})


@pytest.fixture(scope="session")
def precision_rows() -> Iterator[Rows]:
    """The rows of this run on errors by precision."""
    about = "networks and training 0, latents 1, vectors and probes from 0"
    yield from _session("precision", lambda: {"data": images()[0], "seeds": about})


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
    record = head(**about)
    path = ROOT / "data" / "benchmarks" / f"{name}.json"
    write(path, record, [*_kept(path, record, rows), *rows])


@pytest.fixture(name="in_turn")
def in_turn_fixture() -> Callable[..., dict[str, NDArray[np.float64]]]:
    """`tests.benchmarks.record.in_turn`."""
    return in_turn


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
