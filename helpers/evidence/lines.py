"""A run as one line of JSON: what it is, where it was made, and its tables, all by name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pandas import DataFrame, Series

from helpers.evidence.identity import key_of

_WANTED = (
    *("experiment", "version", "setting", "size", "block", "key"),
    *("device", "torch", "commit", "date", "seconds", "tables"),
)
_ODD = {"inf": math.inf, "-inf": -math.inf}


def encoded(tables: Mapping[str, DataFrame]) -> dict[str, dict[str, list[Any]]]:
    """Frames as lists by name; NaN is null, infinity is text."""
    return {
        name: {str(column): [_plain(v) for v in frame[column].tolist()] for column in frame}
        for name, frame in tables.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def decoded(columns: Mapping[str, list[Any]]) -> DataFrame:
    """The frame of a table: what `encoded` was given."""
    return DataFrame({name: _column(values) for name, values in columns.items()})


def _column(values: list[Any]) -> Series:
    if any(v is None or v in _ODD for v in values):
        plain = [math.nan if v is None else _ODD.get(v, v) if isinstance(v, str) else v
                 for v in values]  # fmt: skip
        if all(isinstance(v, int | float) for v in plain):
            return Series(plain, dtype=float)
    return Series(values)


def rounded(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line as it is committed: six digits of each number in its tables."""
    tables = {
        name: {column: [_six(v) for v in values] for column, values in columns.items()}
        for name, columns in line["tables"].items()
    }
    return {**line, "seconds": round(line["seconds"], 1), "tables": tables}


def _six(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def text_of(line: Mapping[str, Any]) -> str:
    """A line of JSON, with its names in order."""
    return json.dumps(line, sort_keys=True, allow_nan=False, separators=(",", ":"))


def parsed(text: str) -> dict[str, Any]:
    """The line whose text `text_of` gave; a ValueError for any other text."""
    line = json.loads(text)
    missing = [n for n in _WANTED if not isinstance(line, dict) or n not in line]
    if missing:
        raise ValueError(f"a run lacks {', '.join(missing)}")
    if key_of(line) != line["key"]:
        raise ValueError(f"the key {line['key']} is not that of the run's parameters")
    for columns in line["tables"].values():
        if len({len(values) for values in columns.values()}) > 1:
            raise ValueError(f"the columns of a table of {line['key']} differ in length")
    return line


def same_numbers(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two lines of one key have the same numbers, to six digits."""
    return bool(rounded(a)["tables"] == rounded(b)["tables"])
