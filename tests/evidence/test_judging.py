"""Claims on made-up evidence: which rows are judged, and what a judgement says it rests on."""

import sys

import pytest
from pandas import DataFrame

from helpers import evidence, experiments, ledger
from helpers.evidence import committed
from helpers.evidence.judging import source_of
from tests import toy


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Where the toy's evidence is; the toy is the only experiment."""
    toy.install(monkeypatch, tmp_path / "evidence")
    return tmp_path / "evidence"


def rows(**columns):
    """Two seeds of one arm, and what is said otherwise."""
    usual = {"size": "full", "arm": "a", "block": 100, "member": [0, 1], "device": "CPU"}
    return DataFrame(usual | {"date": "2026-01-02"} | columns)


@pytest.mark.parametrize(
    "columns, said",
    [
        ({}, "full size, 2 seeds, CPU, 2026-01-02"),
        ({"member": [0]}, "full size, 1 seed, CPU, 2026-01-02"),
        ({"member": 0, "value": [1, 2]}, "full size, 1 seed, CPU, 2026-01-02"),
        ({"reading": ["one", "other"]}, "full size, 1 seed of each, CPU, 2026-01-02"),
        ({"member": 0, "block": [100, 101]}, "full size, 2 seeds, CPU, 2026-01-02"),
        ({"arm": ["a", "b"]}, "full size, 1 seed of each, CPU, 2026-01-02"),
        (
            {"arm": ["a", "b", "b"], "member": [0, 0, 1]},
            "full size, 1 to 2 seeds of each, CPU, 2026-01-02",
        ),
        ({"device": ["GPU", "CPU"]}, "full size, 2 seeds, CPU and GPU, 2026-01-02"),
        (
            {"date": ["2026-01-09", "2026-01-02", "2026-01-03"], "member": [0, 1, 2]},
            "full size, 3 seeds, CPU, 2026-01-02 to 2026-01-09",
        ),
        ({"size": "legacy"}, "legacy run, 2 seeds, CPU, 2026-01-02"),
        ({"size": ["quick", "full"]}, "full size and quick size, 2 seeds, CPU, 2026-01-02"),
    ],
)
def test_source(columns, said):
    """Seeds of an arm, each counted once; what differs between rows is named in order."""
    assert source_of(rows(**columns)) == said


@pytest.fixture
def two(monkeypatch, place):
    """A second experiment, the toy by another name, and what makes evidence of one of them."""
    other = toy.module()
    monkeypatch.setitem(sys.modules, "helpers.experiments.other", other)
    monkeypatch.setattr(experiments, "ORDER", (toy.NAME, "other"))
    other.QUANTITIES = {"Z5": {"high_value": toy.quantity("high")}}
    sys.modules["helpers.experiments.toy"].QUANTITIES["Z5"] = {"low_value": toy.quantity("low")}
    claim = toy.claim("Z5", toy.at_most("low_value", 1.0), toy.at_most("high_value", 20.0, "other"))
    monkeypatch.setitem(ledger.claims.all_claims(), "Z5", claim)

    def make(name, arm, size, reading="as printed"):
        chosen = {"reading": reading, "arms": [arm], "size": size, "blocks": range(100, 101)}
        runs = evidence.wanted([name], **chosen)
        evidence.gather(runs, folder=place.parent / "runs", device="cpu")
        lines, _ = committed.runs_of_store(evidence.Store(place.parent / "runs"))
        committed.merge(lines, place)

    return make


def test_two_experiments(two):
    """The claim has the quantities of both, at the smaller of their sizes, and names both."""
    two("toy", "low", "full")
    two("other", "high", "quick")
    found = evidence.judged("Z5")
    assert found.record.values.keys() == {"low_value", "high_value"}
    assert (found.size, found.record.said) == ("quick", "open, for lack of a run at full size")
    first, second = found.source.split("; ")
    assert first.startswith("full size, 16 seeds, ") and first.endswith(", reading: as printed")
    assert second.startswith("quick size, 4 seeds, ") and second.endswith(", reading: as printed")


def test_two_experiments_have_no_other_reading(two, monkeypatch):
    """One refutes the claim in its first reading: no other one of either is asked."""
    two("toy", "low", "full")
    two("other", "high", "full")
    quantities = ledger.find("Z5")["quantities"]
    monkeypatch.setitem(quantities[0], "paper", -50.0)
    assert evidence.judged("Z5").record.said == "not reproduced"


def test_no_runs(place):
    """A claim without evidence is open at the smallest size, and rests on nothing."""
    found = evidence.judged("Z1")
    assert (found.source, found.size) == ("", "")
    assert found.record.profile == "quick"
    assert found.record.said == "open, for lack of runs"


@pytest.mark.parametrize(
    "runs, size, values, source",
    [
        ([("full", "low"), ("full", "high")], "full", ["low", "high"], "full size, 16 seeds of"),
        ([("full", "low")], "full", ["low"], "full size, 16 seeds, "),
        ([("full", "high")], "full", ["high"], "full size, 16 seeds, "),
        ([("full", "low"), ("quick", "low")], "full", ["low"], "full size, 16 seeds, "),
        (
            [("full", "low"), ("quick", "low"), ("quick", "high")],
            "quick",
            ["low", "high"],
            "quick size, 4 seeds of each",
        ),
    ],
)
def test_which_size(place, runs, size, values, source):
    """The largest that has all arms, else the largest with the most; of its rows is the source."""
    for of, arm in runs:
        chosen = {"reading": "as printed", "arms": [arm], "size": of, "blocks": range(100, 101)}
        toy.make_evidence(place, place.parent / "runs", **chosen)
    found = evidence.judged("Z1")
    assert found.size == size and found.source.startswith(source)
    assert list(found.record.values) == [f"{arm}_value" for arm in values]


def test_a_quantity_of_all_arms(place):
    """One that goes through all the rows that there are rests on all of them."""
    toy.make_evidence(place, place.parent / "runs")
    quantities = sys.modules["helpers.experiments.toy"].QUANTITIES
    quantities["Z3"] = {"rare_value": lambda rows: [rows[arm]["value"].min() for arm in rows]}
    found = evidence.judged("Z3")
    assert len(found.record.values["rare_value"]) == 2
    assert found.source.startswith("full size, 32 seeds of each")


def test_a_quantity_that_nothing_measures(place):
    del sys.modules["helpers.experiments.toy"].QUANTITIES["Z3"]
    with pytest.raises(ValueError, match="quantity of Z3 in toy"):
        evidence.judged("Z3")
