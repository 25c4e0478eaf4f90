"""The evidence that ships: brought in once, never lost, never too large, taken out on record."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpers import experiments
from helpers.evidence import committed
from helpers.evidence.identity import key_of
from helpers.evidence.lines import text_of
from helpers.evidence.store import Store, alone
from tests.evidence.test_lines import line
from tests.evidence.test_store import RUN, result


def test_runs_are_brought_in_once_and_sorted(tmp_path):
    lines = [line(block) for block in (3, 1, 2)]
    assert committed.merge(lines, tmp_path)["new"] == 3
    assert committed.merge(lines, tmp_path) == {
        "new": 0, "the same": 3, "replicates": 0, "dropped before": 0,
    }  # fmt: skip
    text = (tmp_path / "two_clusters.jsonl").read_text()
    assert text.splitlines() == sorted(text.splitlines()) and len(text.splitlines()) == 3
    assert {row["block"] for row in committed.read("two_clusters", tmp_path)} == {1, 2, 3}
    assert "0.333333]" in text and "0.33333333" not in text


def test_other_numbers_are_kept_as_a_replicate(tmp_path):
    committed.merge([line(loss=(0.5, 0.25))], tmp_path)
    assert committed.merge([line(loss=(0.5, 0.26))], tmp_path)["replicates"] == 1
    assert committed.merge([line(loss=(0.5, 0.26))], tmp_path)["the same"] == 1
    first, second = sorted(
        committed.read("two_clusters", tmp_path), key=lambda row: row.get("replicate", False)
    )
    assert first["tables"]["members"]["loss"][1] == 0.25 and "replicate" not in first
    assert second["tables"]["members"]["loss"][1] == 0.26 and second["replicate"]


def test_a_union_of_two_branches_is_read(tmp_path):
    """`merge=union` puts the lines of both sides into the file, in any order."""
    a, b = (text_of(line(block)) for block in (1, 2))
    (tmp_path / "two_clusters.jsonl").write_text(f"{b}\n{a}\n")
    assert committed.merge([line(1), line(3)], tmp_path) == {
        "new": 1, "the same": 1, "replicates": 0, "dropped before": 0,
    }  # fmt: skip


def newer():
    version = experiments.find("two_clusters").VERSION + 1
    return line(version=version)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "line 1, is no run"),
        (text_of(line()) + "\n" + text_of(line()).replace("block", "bloc"), "line 2, is no run"),
        (text_of(line(experiment="unheard of")), "experiment is one of"),
        (text_of(newer()), "and this package knows version"),
        ("\xff", "is no run"),
    ],
)
def test_what_is_no_evidence_is_refused_and_nothing_is_lost(tmp_path, text, says):
    good, bad = tmp_path / "two_clusters.jsonl", tmp_path / "other.jsonl"
    good.write_text(text_of(line()) + "\n")
    bad.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is") as error:
        committed.merge(committed.checked(bad), tmp_path)
    assert says in str(error.value)
    assert good.read_text() == text_of(line()) + "\n"


def test_too_much_is_refused_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(committed, "_FILE", 1000)
    committed.merge([line(1)], tmp_path)
    before = (tmp_path / "two_clusters.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"two_clusters\.jsonl would have .* more than 1,000"):
        committed.merge([line(block) for block in range(2, 9)], tmp_path)
    assert (tmp_path / "two_clusters.jsonl").read_bytes() == before
    monkeypatch.setattr(committed, "_FILE", 2_000_000)
    monkeypatch.setattr(committed, "_ALL", 1000)
    with pytest.raises(ValueError, match=r"all evidence would have .* more than 1,000"):
        committed.merge([line(block) for block in range(2, 9)], tmp_path)


def test_a_run_is_taken_out_on_record_and_does_not_come_back(tmp_path):
    store = Store(tmp_path / "runs")
    store.write(RUN, result())
    found, _ = committed.runs_of_store(store)
    committed.merge([*found, line(5)], tmp_path)
    with pytest.raises(ValueError, match="for a reason"):
        committed.drop(RUN.key, " ", tmp_path, store)
    assert committed.drop(RUN.key, "a wrong seed", tmp_path, store) == 2
    assert [row["block"] for row in committed.read("two_clusters", tmp_path)] == [5]
    assert committed.dropped(tmp_path)[0]["why"] == "a wrong seed"
    assert store.read(RUN) is None
    assert committed.merge([result()], tmp_path)["dropped before"] == 1
    assert committed.merge([result(loss=0.7)], tmp_path)["new"] == 1
    with pytest.raises(ValueError, match="there is no run 'nowhere'"):
        committed.drop("nowhere", "no", tmp_path, store)


def test_merges_and_drops_at_once_lose_nothing(tmp_path, monkeypatch):
    """Each has read the evidence before the one before it has written, unless it waits."""
    whole = committed.checked

    def slowly(*words):
        found = whole(*words)
        time.sleep(0.01)
        return found

    monkeypatch.setattr(committed, "checked", slowly)
    committed.merge([line(0)], tmp_path)

    def change(block):
        if block == 0:
            return committed.drop(line(0)["key"], "a wrong seed", tmp_path)
        return committed.merge([line(block)], tmp_path)["new"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(change, range(8))) == [1] * 8
    assert {row["block"] for row in committed.read("two_clusters", tmp_path)} == set(range(1, 8))
    assert [row["block"] for row in committed.dropped(tmp_path)] == [0]


@pytest.mark.slow
def test_merges_of_two_processes_lose_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from helpers.evidence import committed\n"
        "from tests.evidence.test_lines import line\n"
        "place, first = Path(sys.argv[1]), int(sys.argv[2])\n"
        "(place / f'{first}.ready').touch()\n"
        "while len(list(place.glob('*.ready'))) < 2: pass\n"
        "for block in range(first, first + 25): committed.merge([line(block)], place)"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), first], cwd=Path(__file__).parents[2]
        )
        for first in ("0", "25")
    ]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert {row["block"] for row in committed.read("two_clusters", tmp_path)} == set(range(50))


def test_evidence_without_the_run_is_not_locked(tmp_path):
    """A run that is in the store alone is dropped though nobody may write the evidence."""
    store, place = Store(tmp_path / "runs"), tmp_path / "evidence"
    store.write(RUN, result())
    committed.merge([line(5)], place)
    with alone(place):
        assert committed.drop(RUN.key, "a wrong seed", place, store) == 1


def test_a_damaged_run_is_named_and_the_others_exported(tmp_path):
    store = Store(tmp_path)
    store.write(RUN, result())
    bad = tmp_path / "two_clusters" / "0000.json"
    bad.write_text("{")
    found, damaged = committed.runs_of_store(store)
    assert [each["key"] for each in found] == [RUN.key]
    assert len(damaged) == 1 and str(bad) in damaged[0]


def test_what_ships_is_whole_sorted_small_and_known():
    """Every line of data/evidence is a run, under its own key, without doubles."""
    for name in experiments.ORDER:
        path = committed.folder() / f"{name}.jsonl"
        rows = committed.read(name)
        if path.exists():
            text = path.read_text()
            assert text == "".join(sorted(text_of(row) + "\n" for row in rows))
            assert len(text.encode()) <= 2_000_000
        kept = [row["key"] for row in rows if not row.get("replicate")]
        assert len(set(kept)) == len(kept)
        assert all(key_of(row) == row["key"] for row in rows)
        for row in rows:
            size = len(json.dumps(row["tables"]))
            members = len(row["tables"].get("members", {}).get("member", [0]))
            # What leads and what follows is read off every epoch of a NuGAN, in some forty numbers.
            epochs = len(row["tables"]["course"]["epoch"]) if name == "nudged_images" else 0
            most = 20_000 + 1_000 * members + 250 * epochs
            # Two densities, five paths and six pictures; all runs that are wanted fit the file.
            most += 2_000 if name == "images" else 0
            assert size <= most, (name, row["key"], size, members)
    total = sum(path.stat().st_size for path in committed.folder().glob("*.jsonl"))
    assert total <= 10_000_000
