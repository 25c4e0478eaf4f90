"""What goes wrong on the way: failed runs, files of an odd shape, and doubles."""

import json
import math
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from threading import Timer

import pytest

from helpers.evidence import committed, compare, gather, judged, listing, runs, wanted
from helpers.evidence.__main__ import main
from helpers.evidence.forecast import Forecast
from helpers.evidence.gathering import _Gathering, _Pool
from helpers.evidence.lines import rounded, text_of
from helpers.evidence.planning import lacking
from helpers.evidence.store import Store
from helpers.evidence.work import DONE, Outcome
from tests import toy


@pytest.fixture
def book(monkeypatch, tmp_path):
    """The toy's module; its evidence is in a folder of the test's."""
    return toy.install(monkeypatch, tmp_path / "evidence")


def failing(setting, *args, folder=None, **more):
    """A training that fails once it has written a checkpoint."""
    (folder / "training.pt").write_text("a day of work")
    raise RuntimeError("CUDA error: out of memory")


def test_a_failed_run_keeps_its_checkpoint_and_goes_on_from_it(book, monkeypatch, tmp_path):
    """Trained for a day, it fails for what is no fault of its own, and is dropped and done."""
    (run, *_), store, seen = wanted([toy.NAME]), Store(tmp_path / "runs"), []

    def goes_on(setting, *args, folder=None, **more):
        seen.extend(path.read_text() for path in folder.glob("*.pt"))
        return toy.measure(setting, *args, **more)

    monkeypatch.setattr(book, "measure", failing)
    assert len(gather([run], folder=store.folder, device="cpu").failed) == 1
    assert "out of memory" in store.read(run)["failed"]
    committed.drop(run.key, "a full device", tmp_path / "evidence", store)
    monkeypatch.setattr(book, "measure", goes_on)
    assert gather([run], folder=store.folder, device="cpu").done == [run]
    assert seen == ["a day of work"]
    assert not store.scratch(run).exists()


def made(tmp_path):
    """The first run of the toy and its line, from a store."""
    (run, *_) = wanted([toy.NAME])
    store = Store(tmp_path / "made")
    gather([run], folder=store.folder, device="cpu", anew=True)
    return run, store.read(run)


def other_numbers(line, **more):
    """The run as another device made it."""
    members = line["tables"]["members"]
    value = [1.5 * number for number in members["value"]]
    return {**line, "tables": {"members": {**members, "value": value}}, **more}


def test_a_replicate_whose_first_run_was_dropped_becomes_the_run(book, tmp_path):
    """It is brought in from elsewhere, and decides here."""
    (run, line), here, there = made(tmp_path), tmp_path / "evidence", tmp_path / "there"
    committed.merge([line], here)
    committed.drop(run.key, "a faulty disk", here)
    # The replicate is the first of the two in the file.
    committed.merge([{**line, "commit": "b"}, other_numbers(line, commit="a")], there)
    lines = committed.checked(there / "toy.jsonl")
    assert [row.get("replicate", False) for row in lines] == [True, False]
    assert committed.merge(lines, here)["new"] == 1
    (row,) = committed.read(toy.NAME, here)
    assert "replicate" not in row and lacking([run], Store(tmp_path / "own")) == []
    assert len(runs(toy.NAME)) == 16


def test_a_file_of_evidence_keeps_its_first_runs_where_it_is_brought_in(book, tmp_path):
    (_, line), there = made(tmp_path), tmp_path / "there"
    committed.merge([{**line, "commit": "b"}, other_numbers(line, commit="a")], there)
    committed.merge(committed.checked(there / "toy.jsonl"), tmp_path / "evidence")
    files = [place / "toy.jsonl" for place in (there, tmp_path / "evidence")]
    assert files[0].read_text() == files[1].read_text()


def test_a_replicate_that_diverged_is_infinitely_far(book, tmp_path):
    (run, line), place = made(tmp_path), tmp_path / "evidence"
    committed.merge([line, {**line, "tables": {}, "diverged": 7}], place)
    assert listing([run], Store(tmp_path / "own"))["spread"].tolist() == [math.inf]


@pytest.mark.parametrize("tables", [[], None, {"members": [1, 2]}, {"members": {"member": 3}}])
def test_a_file_of_an_odd_shape_is_damaged(book, tmp_path, tables):
    """It is JSON, and of the run's key, and ends no gather."""
    (run, line), store = made(tmp_path), Store(tmp_path / "made")
    text = json.dumps({**line, "tables": tables})
    store.path(run).write_text(text)
    assert store.read(run) is None
    assert gather([run], folder=store.folder, device="cpu").done == [run]
    assert store.read(run)["tables"] == line["tables"]
    assert store.path(run).with_suffix(".json.damaged").read_text() == text


def test_a_copy_under_another_name_is_no_run(book, tmp_path):
    """What a service that synchronises folders leaves, or one run under another's name."""
    (run, line), store, (_, second, *_) = made(tmp_path), Store(tmp_path / "made"), wanted(["toy"])
    copy = store.path(run).with_name(f"{run.key}.sync-conflict-20261128.json")
    for path in (copy, store.path(second)):
        path.write_text(store.path(run).read_text())
    assert len(runs(toy.NAME, folder=store.folder)) == 16
    found, damaged = committed.runs_of_store(store)
    assert found == [line] and len(damaged) == 2
    assert all(f"holds the run {run.key}" in said for said in damaged)
    assert store.read(second) is None and lacking([second], store) == [second]


def test_a_run_that_two_branches_brought_in_counts_once(book, tmp_path):
    """`merge=union` leaves both lines, which differ in where and when the run was made."""
    (_, line), place = made(tmp_path), tmp_path / "evidence"
    committed.merge([line], place)
    path = place / "toy.jsonl"
    whole = path.read_text()
    again = text_of({**rounded(line), "commit": "0000000", "seconds": 9.0})
    path.write_text(f"{again}\n{whole}")
    assert len(runs(toy.NAME)) == 16 and len(committed.read(toy.NAME)) == 1


def test_a_run_that_two_branches_made_with_other_numbers_is_refused_until_merged(book, tmp_path):
    (run, line), place = made(tmp_path), tmp_path / "evidence"
    committed.merge([line], place)
    path = place / "toy.jsonl"
    path.write_text(path.read_text() + text_of(rounded(other_numbers(line))) + "\n")
    with pytest.raises(ValueError, match=rf"toy\.jsonl has two runs of the key {run.key} .*merge"):
        runs(toy.NAME)
    assert main(["merge", str(path), "--to", str(place)]) == 0
    assert len(runs(toy.NAME)) == 16 and len(committed.read(toy.NAME)) == 2


def test_a_run_may_be_taken_out_twice(book, tmp_path):
    """Each time with other numbers: the record of what was taken out has both."""
    (run, line), place = made(tmp_path), tmp_path / "evidence"
    for each in (line, other_numbers(line)):
        committed.merge([each], place)
        committed.drop(run.key, "a faulty disk", place)
    assert len(committed.dropped(place)) == 2


def test_the_very_same_runs_have_not_drifted(book, tmp_path):
    """A quantity that all seeds share, of more digits than evidence keeps."""
    book.measure = lambda setting, *args, **more: toy.measure(
        replace(setting, mean=1 / 3, width=0.0), *args, **more
    )
    toy.make_evidence(tmp_path / "evidence", tmp_path / "made")
    found = compare(toy.NAME, "full", tmp_path / "made")
    assert found and not any(each.drifted or each.why_not for each in found)


def test_failed_runs_are_told_every_time(book, tmp_path, monkeypatch, capsys):
    """They count as there, since they are not tried again."""
    (run, *_), own = wanted([toy.NAME]), tmp_path / "own"
    monkeypatch.setattr(book, "measure", failing)
    command = ["gather", toy.NAME, "--arm", "low", "--blocks", "100", "--runs", str(own)]
    command += ["--device", "cpu"]
    assert main(command) == 1
    assert main(command) == 0
    told = capsys.readouterr()
    assert "0 of 1 run are missing; 1 failed, see drop" in told.out
    assert f"failed before: {run} ({run.key})" in told.err


class Breaking(Executor):
    """A pool of processes that soon breaks, with all that it does, if it is given a bad run."""

    def __init__(self, bad, companies):
        self.bad, self.companies, self.under_way = bad, companies, {}

    def submit(self, _, run):
        future = Future()
        self.under_way[run] = future
        bad = run in self.bad
        timer = Timer(0.05 if bad else 0.3, self.breaks if bad else self.ends, [run])
        timer.daemon = True
        timer.start()
        return future

    def ends(self, run):
        if run in self.under_way:
            self.under_way.pop(run).set_result(Outcome(DONE, 0.3))

    def breaks(self, _):
        runs, self.under_way = self.under_way, {}
        self.companies.append(set(runs))
        for future in runs.values():
            with suppress(Exception):  # over in this very moment
                future.set_exception(BrokenProcessPool("a process was killed"))


@pytest.mark.parametrize("count", [1, 2])
def test_a_run_that_is_killed_fails_alone(book, tmp_path, count):
    """It is found by doing alone what was under way, and the others are done side by side."""
    todo, store, companies = wanted([toy.NAME], blocks=range(100, 104)), Store(tmp_path), []
    bad, unknown = todo[1 : 1 + count], Forecast({run.key: math.nan for run in todo})
    pool = _Pool(lambda: Breaking(bad, companies), lambda: 4)
    done = _Gathering(None, store, None, tmp_path / "stop", unknown).all(todo, pool)
    assert set(done.failed) == set(bad) and done.left == 0
    assert set(done.done) == set(todo) - set(bad) and len(done.done) == len(todo) - count
    for run in bad:
        assert companies.count({run}) == 3
    assert sum(len(each) > 1 for each in companies) <= count


@pytest.mark.parametrize("arm, is_open", [("low", True), ("high", True), ("rare", False)])
def test_runs_that_diverged_as_a_whole_leave_a_claim_open(book, tmp_path, arm, is_open):
    """If they are of an arm that it reads: those that did not diverge are a selection."""
    toy.make_evidence(tmp_path / "evidence", tmp_path / "made")
    usual = judged("Z1")
    (_, line) = made(tmp_path)
    for run in wanted([toy.NAME], arms=["rare"] if arm == "rare" else [arm], size="full",
                      reading="as printed", blocks=range(200, 203)):  # fmt: skip
        lost = line | run.parameters | {"key": run.key, "tables": {}, "diverged": 9}
        committed.merge([lost], tmp_path / "evidence")
    found = judged("Z1")
    assert usual.record.said == "reproduced" and found.record.values == usual.record.values
    if is_open:
        assert found.record.said == "open, for lack of numbers of 3 runs that diverged"
        assert ", 3 runs diverged without numbers, reading: as printed" in found.source
    else:
        assert found == usual
