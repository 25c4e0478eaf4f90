"""Trainings and products on a GPU, in ratios, with goals and peak memory: `make bench-gpu`.

It takes at most `--minutes` (8). Parts are done in the order below; what time does not suffice for
is named at the end. A part that is done is written at once. On a machine without a CUDA device
`--device cpu --toy` tries all of it: nothing is captured there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from tests.benchmarks.gpu_bench import TOY, Bench, Scale
from tests.benchmarks.gpu_products import precision, products, spectra
from tests.benchmarks.gpu_trainings import seeds, small, training
from tests.benchmarks.record import ROOT, Rows, head, versions, write
from tests.benchmarks.report import table
from tests.benchmarks.workload import images

FILE = ROOT / "data" / "benchmarks" / "gpu.json"
# (work, name, unit), whether it is to be at least or at most this, as the work was set out.
GOALS = [
    (("C's CNN/4, 8 jobs", "best", "times one after another"), "at least", 4.0),
    (("A's DCGAN, 8 jobs", "best", "times one after another"), "at least", 4.0),
    (("A's dense nets, 8 jobs", "best", "times one after another"), "at least", 4.0),
    (("DCGAN training", "TF32", "iterations a second"), "at least", 1000.0),
    (("DCGAN training", "float32", "iterations a second"), "at least", 400.0),
    (("DCGAN training", "TF32", "times the plain loop"), "at least", 3.0),
    (("DCGAN training", "float32", "times the plain loop"), "at least", 3.0),
    (("two-cluster seeds", "8 blocks, processes", "times one seed alone"), "at least", 100.0),
    (("product, G", "captured", "gradients"), "at most", 2.2),
    (("product, D", "captured", "gradients"), "at most", 2.2),
    (("SLQ, D", "captured", "of its products"), "at most", 1.1),
    (("SLQ, G", "captured", "of its products"), "at most", 1.1),
]
PARTS = {part.__name__: part for part in (products, training, seeds, small, spectra, precision)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the file, and print the table and what became of the goals."""
    parser = argparse.ArgumentParser(prog="make bench-gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--toy", action="store_true", help="seconds of work, to try the script")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, help=f"a file; by default {FILE.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        print(f"skipped: torch {torch.__version__} sees no CUDA device on this machine")
        return 0
    if options.out is None and (options.toy or options.device == "cpu"):
        parser.error("--toy and --device cpu need --out: their numbers are not for the book")
    path, begin = options.out or FILE, perf_counter()
    scale = TOY if options.toy else Scale()
    end = begin + 60 * options.minutes
    bench = Bench(options.device, options.toy, scale, end, Rows(), [])
    about: dict[str, Any] = {"data": images()[0], "seeds": "from 0", "versions": versions()}
    for name in options.only:
        start = perf_counter()
        try:
            PARTS[name](bench)
        except (RuntimeError, ValueError, MemoryError) as error:  # the other parts go on
            said = " ".join(str(error).split())[:200]
            bench.skipped.append(f"{name}: {type(error).__name__}: {said}")
        print(f"{name}: {perf_counter() - start:.0f} s", flush=True)
        minutes = round((perf_counter() - begin) / 60, 2)
        record = head(options.device, **about, minutes=minutes, not_done=bench.skipped)
        write(path, record, bench.rows.rows)
    print(table(bench.rows.rows))
    print("\n".join(verdicts(bench.rows.rows, bench.skipped)))
    return 0


def verdicts(rows: Sequence[dict[str, Any]], skipped: Sequence[str]) -> list[str]:
    """A line for each goal, met, missed or not measured, and one for all that was not done."""
    found = {(row["work"], row["name"], row["unit"]): row["value"] for row in rows}
    lines = ["goals"]
    for key, sense, bound in GOALS:
        value = found.get(key)
        if value is None:
            said = "not measured"
        else:
            is_met = value >= bound if sense == "at least" else value <= bound
            said = f"{value:.4g}, {'met' if is_met else 'missed'}"
        lines.append(f"  {', '.join(key):70} {sense} {bound:g}: {said}")
    return lines + [f"  not done: {each}" for each in skipped]


if __name__ == "__main__":
    sys.exit(main())
