"""The table that `make bench` prints."""

from tests.benchmarks.report import table

ROW = {"work": "SLQ", "unit": "retained products", "repeats": 3, "low": 1.0, "high": 3.0}


def test_ours_beside_the_others():
    """A block for each comparison, in the order measured; in it ours first, with the range."""
    rows = [
        {**ROW, "name": "a peer", "value": 2.5, "player": "G", "N": 32},
        {**ROW, "name": "helpers", "value": 1.25, "player": "G", "N": 32},
        {**ROW, "name": "a peer", "value": 7.0, "player": "D", "N": 32},
        {**ROW, "unit": "MB", "name": "a peer", "value": 5.0, "repeats": 1},
    ]
    lines = table(rows).splitlines()
    assert lines[0] == "SLQ, retained products (player G, N 32)"
    assert lines[1].split() == ["helpers", "1.25", "(1", "to", "3)"]
    assert lines[2].split() == ["a", "peer", "2.5", "(1", "to", "3)"]
    assert lines[3] == "SLQ, retained products (player D, N 32)"
    assert lines[5] == "SLQ, MB"
    assert lines[6].split() == ["a", "peer", "5"]


def test_nothing_measured():
    assert table([]) == ""
