"""Tables of this run and of the recorded one."""

import numpy as np
import pytest

from helpers import ledger
from helpers.tables import Tables

RECORDED = {"parameters": {"profile": "medium"}, "tables": {"a": {"x": [1, 2]}}}


@pytest.fixture
def kept(monkeypatch):
    """What was left in the notebook, where a medium run is recorded."""
    found = []
    monkeypatch.setattr(ledger, "recorded", lambda chapter: RECORDED)
    monkeypatch.setattr(ledger, "keep", lambda label, table: found.append(label))
    return found


def test_quick_shows_the_recorded_run(kept):
    tables = Tables("c", "quick")
    tables.store("a", {"x": [5.0]})
    assert tables.shown("a")["x"].tolist() == [1, 2]
    assert tables.live["a"]["x"] == [5.0]
    assert tables.shown_profile == "medium"
    assert kept == []


def test_longer_runs_show_and_keep_themselves(kept):
    tables = Tables("c", "full")
    tables.store("a", {"x": np.array([5.0])})
    assert tables.shown("a")["x"].tolist() == [5.0]
    assert tables.shown_profile == "full"
    assert kept == ["a"]
    with pytest.raises(KeyError):
        tables.shown("b")
