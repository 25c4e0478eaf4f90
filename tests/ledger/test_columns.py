"""Tables are read by the names of their columns, and no other way works."""

import json

import numpy as np
import pytest

from helpers import ledger
from helpers.ledger import notebooks
from helpers.ledger.columns import Table

COLUMNS = {"loss": [0.5, 0.25], "iteration": [10, 20], "seed 10": [1], "seed 2": [2], "": []}


@pytest.mark.parametrize(
    "read",
    [
        lambda table: table[0],
        lambda table: table[:2],
        lambda table: table["loss", "iteration"],
        lambda table: table[None],
        list,
        tuple,
        dict,
        len,
        iter,
        reversed,
        np.stack,
        lambda table: [*table],
        lambda table: {**table},
        lambda table: zip(table, table, strict=True),
        lambda table: np.array([*table])[:, 2],
        lambda table: list(table.values()),
        lambda table: list(table.items()),
        lambda table: next(table),
    ],
)
def test_no_column_has_a_place(read):
    with pytest.raises((TypeError, AttributeError)):
        read(Table(COLUMNS))


def test_columns_by_name():
    table = Table(COLUMNS)
    assert table["iteration"].tolist() == [10, 20]
    assert "loss" in table and "gain" not in table and 0 not in table
    with pytest.raises(KeyError, match=r"no column 'gain'; there are .*iteration, loss"):
        table["gain"]
    with pytest.raises(TypeError, match=r"read by .*iteration, loss.* got 1"):
        table[1]
    with pytest.raises(ValueError, match="names, got 3"):
        Table({3: [1.0]})


@pytest.mark.parametrize("order", [sorted, lambda names: sorted(names, reverse=True), list])
def test_order_of_columns_says_nothing(order):
    """The same table, whatever the order in which a file has its columns."""
    names = order(COLUMNS)
    table = Table(json.loads(json.dumps({name: COLUMNS[name] for name in names})))
    assert table.names == ("", "iteration", "loss", "seed 10", "seed 2")
    assert all(table[name].tolist() == COLUMNS[name] for name in COLUMNS)
    assert table.numbered("seed").tolist() == [[2], [1]]


def test_numbered_columns_stand_by_their_numbers():
    """Not in the order of their names, where 10 is before 2; and only those of the very word."""
    rows = {f"row {k}": [k, -k] for k in range(12)}
    table = Table(dict(sorted(rows.items())) | {"row": [5, 5], "row 1 b": [6, 6], "a row 1": [7]})
    assert table.numbered("row").tolist() == [[k, -k] for k in range(12)]
    with pytest.raises(KeyError, match="no columns 'ro' with a number"):
        table.numbered("ro")


def test_a_table_stays_as_it_is():
    """Neither what it was made of nor what it gives out is tied to it."""
    given = np.array([1.0, 2.0])
    table = Table({"a": given})
    given[0] = 5
    table["a"][1] = 5
    assert table["a"].tolist() == [1, 2]


@pytest.mark.parametrize("sort", [False, True])
def test_a_kept_table_comes_back(monkeypatch, tmp_path, sort):
    """From `keep` through a file that sorts its names, as notebooks do, to `recorded`."""
    shown = []
    monkeypatch.setattr(
        notebooks, "publish_display_data", lambda data, metadata: shown.append(metadata)
    )
    columns = {"step": [1, 2], "low": [3.5, 4.5], "middle": [5.5, 6.5], "high": [7.5, 8.5]}
    ledger.store_table("norms", columns)
    notebook = {"cells": [{"outputs": [{"metadata": metadata} for metadata in shown]}]}
    file = tmp_path / "recorded" / "some chapter.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"tables": ledger.tables(notebook)}, sort_keys=sort))
    monkeypatch.setattr(notebooks, "data_file", lambda name: tmp_path / name)
    ledger.recorded.cache_clear()
    table = ledger.recorded("some chapter")["tables"]["norms"]
    ledger.recorded.cache_clear()
    assert {name: table[name].tolist() for name in table.names} == columns
