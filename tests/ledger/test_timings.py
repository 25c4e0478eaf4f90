"""The record that `make bench` leaves."""

from datetime import date

import pytest

from helpers.ledger.timings import timings


def test_record_says_where_it_is_from():
    record = timings("spectra")
    assert date.fromisoformat(record["date"])
    assert all(record[key] for key in ("device", "threads", "commit", "torch", "data", "seeds"))


def test_rows():
    """Every number lies in the range of its repeats, and is there once."""
    rows = timings("spectra")["rows"]
    assert all(0 <= row["low"] <= row["value"] <= row["high"] for row in rows)
    assert all(row["repeats"] >= 1 and row["unit"] for row in rows)
    keys = ("work", "name", "player", "N", "which", "unit")
    assert len(rows) == len({tuple(row.get(key) for key in keys) for row in rows})


def test_unknown_record():
    with pytest.raises(FileNotFoundError, match=r"no benchmarks/nothing\.json"):
        timings("nothing")
