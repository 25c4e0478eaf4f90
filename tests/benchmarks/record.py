"""Rows of what was measured, works timed in turn, and the files of data/benchmarks."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
_PACKAGES = ("numpy", "scipy", "pyhessian", "curvlinops-for-pytorch", "hessian-eigenthings")
_PACKAGES += ("distributed",)


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


Works = Mapping[str, Callable[[], object]]


def in_turn(works: Works, repeats: int) -> dict[str, NDArray[np.float64]]:
    """Time works in turn, so that a slow minute is slow for all: seconds (repeats,) by name.

    What a work leaves running on a CUDA device counts as its own.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            wait()
            begin = perf_counter()
            work()
            wait()
            times[name].append(perf_counter() - begin)
    return {name: np.array(each) for name, each in times.items()}


def wait() -> None:
    """Until the CUDA device, if there is one in use, has done all that it was given."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def head(device: torch.device | str = "cpu", **about: object) -> dict[str, Any]:
    """Where, when and with what the rows were measured."""
    is_cuda = torch.device(device).type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if is_cuda else processor(),
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "torch": torch.__version__,
        **about,
    }


def versions() -> dict[str, str]:
    """Versions of what takes part, where it is installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write(path: Path, record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """A record and its rows, a row a line."""
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    start = json.dumps(record, indent=1)[:-2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{start},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


def _commit() -> str:
    """The commit, "-dirty" if anything but records has changed since."""

    def git(*arguments: str) -> str:
        ask = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "-uno", "--", ".", ":(exclude)data/benchmarks")
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")


def processor() -> str:
    """The processor, as Linux names it, and its cores."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"
