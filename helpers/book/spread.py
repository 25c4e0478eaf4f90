"""How far each recorded number moves where nothing but rounding differs.

The chapters are executed under variants of the environment: other kernels of BLAS, of torch and of
oneDNN, which add in other orders, and two threads instead of one. The interpreter that runs this
module decides the version of torch; to add versions, run it once with each. A spread on record
counts on for as long as its number stands, so that what one version has measured is not lost when
the next one measures. Executions are kept in ``_build/spread``, so that an interrupted measurement
goes on where it stopped; those of an older state of chapter or helpers are made anew.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from helpers.book import execute, fixed, pairing, regress
from helpers.book.layout import Layout
from helpers.ledger.references import Number, Reference, Value, listed

_ONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "plain": _ONE,
    "kernels without AVX": {
        **_ONE,
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
    "two threads": dict.fromkeys(_ONE, "2"),
}


def measure(layout: Layout, chapters: Iterable[str], variants: Iterable[str]) -> list[str]:
    """Execute the chapters under the variants, unless done before; the result is what failed."""
    variants = list(variants)
    for name in variants:
        if name not in VARIANTS:
            raise ValueError(f"unknown variant {name!r}; there are: {', '.join(VARIANTS)}")
    failed = []
    for chapter in chapters:
        source = pairing.to_notebook(layout, chapter)
        key = execute.key_of(layout, source, {})
        for variant in variants:
            kept = _kept(layout, chapter, f"{variant}, torch {_version()}")
            if kept.exists() and json.loads(kept.read_text(encoding="utf-8"))["key"] == key:
                continue
            notebook = kept.with_suffix(".ipynb")
            limit = 3 * execute.TIME_LIMITS["quick"]  # kernels without AVX are slow
            result = execute.one(layout, chapter, source, {}, notebook, limit, VARIANTS[variant])
            if result.error:
                failed.append(f"{variant}: {result.error}")
                continue
            numbers = [[*where, value] for where, value in regress.numbers(notebook)]
            at_fixed_states = fixed.numbers(chapter, VARIANTS[variant])
            numbers += [[regress.FIXED, *named] for named in at_fixed_states.items()]
            label = f"{variant}, torch {_version()}"
            run = {"key": key, "variant": label, "seconds": result.seconds, "numbers": numbers}
            kept.write_text(json.dumps(run), encoding="utf-8")
            notebook.unlink()
            print(f"{chapter}: {label}, {result.seconds:.0f} s", flush=True)
    return failed


def write(layout: Layout, chapter: str) -> Reference:
    """Put beside each number of a reference its spread over all stored executions.

    The reference's own value counts as one more execution, and no spread becomes less than the one
    on record (to begin afresh, take it out of the file); a number that the reference lacks gets the
    value of the plain one.
    """
    key = execute.key_of(layout, pairing.to_notebook(layout, chapter), {})
    paths = sorted((layout.build / "spread" / chapter).glob("*.json"))
    runs = [run for path in paths if (run := json.loads(path.read_text("utf-8")))["key"] == key]
    if not runs:
        raise ValueError(f"{chapter} has not been executed in its present state, as a spread needs")
    runs.sort(key=lambda run: not run["variant"].startswith(f"plain, torch {_version()}"))
    executions: dict[tuple[str, str], list[Any]] = {}
    for run in runs:
        for claim, quantity, value in run["numbers"]:
            executions.setdefault((claim, quantity), []).append(value)
    before = regress.load(layout, chapter)
    known = {(n.claim, n.quantity): n for n in before.numbers}
    numbers = []
    for (claim, quantity), values in executions.items():
        n = known.pop((claim, quantity), Number(claim, quantity, values[0]))
        spread = spread_of([n.value, *values]) if len(values) == len(runs) else None
        if spread and len(spread) == len(listed(n.value)):
            on_record = n.spread or (0.0,) * len(spread)
            wider = tuple(max(pair) for pair in zip(spread, on_record, strict=True))
            n = replace(n, spread=wider)
        numbers.append(n)
    numbers += known.values()  # no longer recorded, as the regression check will say
    over = dict.fromkeys([*before.over, *(run["variant"] for run in runs)])
    reference = Reference(tuple(over), tuple(numbers))
    regress.save(layout, chapter, reference)
    return reference


def spread_of(values: list[Value]) -> tuple[float, ...]:
    """Largest minus smallest value of several executions, entry by entry.

    Infinite where the executions do not even agree on how many entries there are.
    """
    rows = [listed(value) for value in values]
    if len({len(row) for row in rows}) > 1:
        return (math.inf,) * len(rows[0])
    return tuple(float(f"{max(entry) - min(entry):.2g}") for entry in zip(*rows, strict=True))


def _version() -> str:
    return torch.__version__.partition("+")[0]


def _kept(layout: Layout, chapter: str, label: str) -> Path:
    return layout.build / "spread" / chapter / f"{re.sub(r'[^-.0-9A-Za-z]+', '_', label)}.json"
