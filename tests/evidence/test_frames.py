"""Evidence as frames: what decides, under which names, and what stands beside it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from helpers import evidence, ledger
from helpers.evidence import committed, frames
from helpers.evidence.identity import key_of
from helpers.evidence.lines import encoded
from helpers.evidence.planning import run_of
from helpers.experiments import two_clusters

READING = "as released"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of evidence of its own."""
    monkeypatch.setattr(committed, "folder", lambda: tmp_path)
    return tmp_path


def put(arm, block, values, *, size="full", version=two_clusters.VERSION, date="2026-11-27"):
    run = run_of("two_clusters", READING, arm, size, block)
    frame = pd.DataFrame({"member": range(len(values)), "min_loss": values, "longest": 600})
    frame["at_best"] = 0.5
    line = run.parameters | {"version": version, "device": "CPU", "torch": "2.6", "commit": "a"}
    line |= {"date": date, "seconds": 1.0, "tables": encoded({"members": frame})}
    committed.merge([line | {"key": key_of(line)}], committed.folder())


def test_blocks_from_a_hundred_on_decide(shelf):
    put("js", 0, [0.1, 0.1])
    put("js", 100, [0.47, 0.48])
    put("js", 101, [0.46, 0.9])
    rows = evidence.deciding("two_clusters", reading=READING)
    assert rows["min_loss"].tolist() == [0.47, 0.48, 0.46, 0.9]
    assert rows["block"].tolist() == [100, 100, 101, 101] and set(rows["arm"]) == {"js"}
    assert len(evidence.runs("two_clusters")) == 6


def test_an_earlier_version_is_there_and_decides_nothing(shelf, monkeypatch):
    put("js", 100, [0.47])
    monkeypatch.setattr(two_clusters, "VERSION", two_clusters.VERSION + 1)
    assert len(evidence.runs("two_clusters")) == 1
    assert not len(evidence.deciding("two_clusters", reading=READING))
    assert evidence.judged("C17").record.verdict == ledger.rules.OPEN
    plan = evidence.listing(evidence.wanted(["two_clusters"]), evidence.Store(shelf / "runs"))
    assert plan.set_index("arm").loc["js", "stale"] == 1


def test_the_largest_size_at_which_all_arms_are(shelf):
    put("js", 100, [0.47], size="quick")
    put("rs", 100, [0.35], size="quick")
    put("js", 100, [0.48])
    both = evidence.deciding("two_clusters", reading=READING, arms=["js", "rs"])
    assert set(both["size"]) == {"quick"} and len(both) == 2
    assert evidence.deciding("two_clusters", reading=READING, arms=["js"])["size"].item() == "full"


def test_replicates_stand_beside(shelf):
    put("js", 100, [0.47])
    put("js", 100, [0.44], date="2026-11-28")
    rows = evidence.deciding("two_clusters", reading=READING)
    assert rows["min_loss"].tolist() == [0.47]
    runs = evidence.wanted(["two_clusters"], arms=["js"], blocks=range(100, 101))
    plan = evidence.listing(runs, evidence.Store(shelf / "runs"))
    assert plan["spread"].item() == pytest.approx(0.03 / 0.47)


def test_claims_are_judged_on_what_decides(shelf):
    assert evidence.judged("C17").record.verdict == ledger.rules.OPEN
    put("js", 0, [0.9] * 4)
    put("js", 100, [0.47, 0.48, 0.49, 0.9])
    found = evidence.judged("C17")
    assert found.record.verdict == ledger.rules.REPRODUCED and found.size == "full"
    off = [abs(value - 0.477386) for value in (0.47, 0.48, 0.49, 0.9)]
    assert found.record.values["js_min_d_loss_share"] == pytest.approx(off, abs=1e-5)
    assert "full size, 4 seeds, CPU, 2026-11-27" in found.source
    put("js", 101, [0.9] * 400)
    # It fails, and there is one more reading that was never run.
    assert evidence.judged("C17").record.said == "open, for lack of the reading 'equal rates'"


def test_rows_of_before_are_named_and_decide_nothing():
    rows = evidence.legacy_rows("two_clusters", ["ls", "hinge"])
    assert set(rows["arm"]) == {"ls", "hinge"} and set(rows["size"]) == {evidence.LEGACY}
    assert (rows["block"] < evidence.DECIDING).all()
    assert "legacy run, 32 seeds of each" in evidence.source_of(rows)
    assert not len(evidence.legacy_rows("mixture"))
    ring = evidence.legacy_rows("five_gaussians")
    assert ring.groupby("arm").size().to_dict() == {"js": 16, "rs": 16, "rs, normalised": 16}


def test_a_course_of_before(tmp_path, monkeypatch):
    about = {"device": "CPU", "torch": "2.9", "commit": "a", "date": "2026-11-01"}
    course = {"member": [0, 0], "iteration": [1, 2], "loss": [0.5, None]}
    text = json.dumps({**about, "arm": "nsgan", "tables": {"course": course}}) + "\n"
    (tmp_path / "mixture.jsonl").write_text(text)
    monkeypatch.setattr(frames, "data_file", lambda name: tmp_path / Path(name).name)
    rows = evidence.legacy_rows("mixture", ["nsgan", "nsgan descent"], "course")
    assert set(rows["reading"]) == {"as printed"} and set(rows["size"]) == {evidence.LEGACY}
    assert rows["iteration"].tolist() == [1, 2] and rows["loss"].isna().tolist() == [False, True]
    assert not len(evidence.legacy_rows("mixture", ["nsgan descent"], "course"))
    assert not len(evidence.legacy_rows("mixture", ["nsgan"]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: evidence.runs("unheard"), "experiment is one of"),
        (lambda: evidence.deciding("mixture", reading="as meant"), "reading is one of"),
        (lambda: evidence.deciding("mixture", reading="as printed", arms=["x"]), "arm is one of"),
        (lambda: evidence.judged("C99"), "unknown claim 'C99'"),
        (lambda: evidence.legacy_rows("unheard"), "experiment is one of"),
    ],
)
def test_what_is_unknown_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
