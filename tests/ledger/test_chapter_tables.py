"""Tables of this run and of the recorded one."""

import numpy as np
import pytest

from helpers import ledger
from helpers.ledger.chapter_tables import Tables
from helpers.ledger.columns import Table

RECORDED = {"parameters": {"profile": "medium"}, "tables": {"a": Table({"x": [1, 2]})}}


@pytest.fixture
def kept(monkeypatch):
    """What was left in the notebook, where a medium run is recorded."""
    found = []
    monkeypatch.setattr(ledger, "recorded", lambda chapter: RECORDED)
    monkeypatch.setattr(ledger, "store_table", lambda label, table: found.append(label))
    return found


def test_quick_shows_the_recorded_run(kept):
    tables = Tables("c", "quick")
    tables.store("a", {"x": [5.0]})
    assert tables.shown("a")["x"].tolist() == [1, 2]
    assert tables.live["a"]["x"].tolist() == [5.0]
    assert tables.shown_profile == "medium"
    assert "a" in tables and "b" not in tables
    assert kept == []


def test_longer_runs_show_and_keep_themselves(kept):
    tables = Tables("c", "full")
    tables.store("a", {"x": np.array([5.0])})
    assert tables.shown("a")["x"].tolist() == [5.0]
    assert tables.shown_profile == "full"
    assert kept == ["a"]
    assert "a" in tables and "b" not in tables
    with pytest.raises(KeyError):
        tables.shown("b")


def test_live_tables_are_read_by_name_too(kept):
    """Code that reads this run's table by position would fail on the recorded one's."""
    tables = Tables("c", "full")
    tables.store("a", {"x": [5.0], "y": [6.0]})
    for table in (tables.live["a"], tables.shown("a"), RECORDED["tables"]["a"]):
        with pytest.raises(TypeError):
            list(table)
