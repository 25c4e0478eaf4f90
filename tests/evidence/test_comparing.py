"""Runs of a folder against the evidence."""

import pytest

from helpers import evidence
from tests import toy


@pytest.fixture
def book(monkeypatch, tmp_path):
    """The toy's module; its evidence is two blocks of each arm at the full size."""
    made = toy.install(monkeypatch, tmp_path / "evidence")
    toy.make_evidence(tmp_path / "evidence", tmp_path / "made")
    return made


def compared(tmp_path, size="full", **chosen):
    folder = tmp_path / "own"
    runs = evidence.wanted([toy.NAME], size=size, **chosen)
    evidence.gather(runs, folder=folder, device="cpu", anew=True)
    return {(c.claim, c.quantity): c for c in evidence.compare(toy.NAME, size, folder)}


def test_other_seeds_overlap(book, tmp_path):
    """Each quantity of each claim, with both intervals in what is printed."""
    found = compared(tmp_path, blocks=range(110, 113))
    assert set(found) == {("Z1", "low_value"), ("Z1", "high_value"), ("Z2", "low_value")}
    assert not any(c.drifted or c.why_not for c in found.values())
    high = found["Z1", "high_value"]
    assert high.new[0] < 10 < high.new[1] and high.shipped[0] < 10 < high.shipped[1]
    assert f"{high.new[0]:.5g} to {high.new[1]:.5g}, in the evidence {high.shipped[0]:.5g}" in str(
        high
    )


@pytest.mark.parametrize("mean", [3.0, -3.0])
def test_another_mean_is_drift(book, tmp_path, monkeypatch, mean):
    """On either side."""

    def measure(setting, *args, **more):
        return toy.measure(toy.Setting(setting.mean + mean), *args, **more)

    monkeypatch.setattr(book, "measure", measure)
    found = compared(tmp_path, blocks=range(110, 113))
    assert found and all(c.drifted for c in found.values())


def test_what_is_not_compared(book, tmp_path):
    """Arms, sizes and readings without a counterpart, and too few numbers, say why."""
    book.QUANTITIES["Z1"]["low_value"] = lambda rows: rows["low"]["value"].median()
    found = compared(tmp_path, blocks=range(110, 111), arms=["low"])
    assert found["Z1", "low_value"].why_not == "fewer than six numbers"
    assert ("Z1", "high_value") not in found
    quick = compared(tmp_path, size="quick", blocks=range(110, 111))
    assert {c.why_not for c in quick.values()} == {"the evidence has no such runs"}
    assert not any(c.drifted for c in quick.values())


def test_screening_blocks_are_no_evidence(book, tmp_path):
    assert compared(tmp_path, blocks=range(0, 3)) == {}


def test_refused(book, tmp_path):
    with pytest.raises(ValueError, match="size is one of 'quick', 'full', got 'huge'"):
        evidence.compare(toy.NAME, "huge", tmp_path)
    with pytest.raises(ValueError, match="experiment is one of 'toy'"):
        evidence.compare("toys", "full", tmp_path)


def test_arithmetic_alone_is_no_run(book, tmp_path):
    """A quantity that rests on no rows has nothing to be compared with."""
    book.QUANTITIES["Z3"]["rare_value"] = lambda rows: 1.0
    (tmp_path / "empty").mkdir()
    assert evidence.compare(toy.NAME, "full", tmp_path / "empty") == []
    assert evidence.judged("Z3").source == ""
