"""Recorded timings: what `make bench` measured, for the pages that print it."""

from __future__ import annotations

import functools
import json
from typing import Any

from helpers.ledger.claims import data_file


@functools.cache
def timings(name: str) -> dict[str, Any]:
    """A record of data/benchmarks: when, where and at which commit, and its rows.

    Raises:
        FileNotFoundError: if no record has this name.

    >>> sorted(timings("spectra")["rows"][0])[:3]
    ['N', 'high', 'low']
    """
    return json.loads(data_file(f"benchmarks/{name}.json").read_text(encoding="utf-8"))
