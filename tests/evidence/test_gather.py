"""gather, with real trainings: whatever interrupts it, the numbers are those of a quiet run."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from helpers import experiments
from helpers.evidence import gather, planning
from helpers.evidence import work as work_module
from helpers.evidence.__main__ import main
from helpers.evidence.forecast import Forecast
from helpers.evidence.gathering import _Gathering, _pool
from helpers.evidence.identity import Run
from helpers.evidence.planning import lacking, listing, wanted
from helpers.evidence.store import Store, Unwritable
from helpers.evidence.work import DONE, LACKING, PAUSED, Until, work
from helpers.experiments import narrow_nets, two_clusters
from helpers.experiments.protocol import setting_of
from helpers.scores import inception
from tests.evidence import tiny

pytestmark = pytest.mark.slow  # whole runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sizes(monkeypatch):
    """The tiny sizes, for the length of a test."""
    monkeypatch.setattr(two_clusters, "SIZES", two_clusters.SIZES | tiny.SIZES)
    monkeypatch.setattr(two_clusters, "WANTED", tiny.WANTED)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """The numbers of runs that nothing disturbed, by key."""
    folder = tmp_path_factory.mktemp("quiet")
    for run in [*tiny.runs(), *tiny.runs("long", range(100, 101))]:
        assert work(run, folder, device="cpu").state == DONE
    return numbers(folder)


def numbers(folder):
    """All tables of a folder's runs, to the last bit."""
    found = {}
    for path, line in Store(folder).lines("two_clusters"):
        assert isinstance(line, dict), (path, line)
        found[line["key"]] = line["tables"]
    return found


def begin(folder, *arguments, size="tiny", **environment):
    command = [sys.executable, "-m", "tests.evidence.tiny", "gather", "two_clusters"]
    command += ["--size", size, "--anew", "--device", "cpu", "--runs", str(folder), *arguments]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    """Wait until a gather is over, which has to go well."""
    said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return said[0]


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)  # with two, sums in later tests have another order


def test_same_numbers_in_process_by_processes_and_by_dask(
    tmp_path, quiet, sizes, threads_as_before
):
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    runs, options = wanted(["two_clusters"], size="tiny"), {"anew": True, "device": "cpu"}
    torch.set_num_threads(2)  # runs have one thread all the same
    for name, how in {
        "process": {},
        "processes": {"workers": 2},
        "dask": {"cluster": "local:2"},
    }.items():
        done = gather(runs, folder=tmp_path / name, **options, **how)
        assert len(done.done) == 4 and str(done) == "4 done"
        found = numbers(tmp_path / name)
        assert found == {key: quiet[key] for key in found} and len(found) == 4
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_random_moments(tmp_path, quiet, end):
    moments = random.Random(int(end))
    for _ in range(1 if end == signal.SIGKILL else 2):
        process = begin(tmp_path, "--blocks", "100", size="long")
        wait_for(lambda: list(tmp_path.glob("*/*.busy")))
        time.sleep(moments.uniform(0, 2))
        process.send_signal(end)
        said = process.communicate(timeout=600)
        if end == signal.SIGINT:
            assert process.returncode == 0, said
            assert "1 paused" in said[0] or "2 done" in said[0], said
            assert not list(tmp_path.glob("*/*.busy")) and not list(tmp_path.glob(".stop*"))
    finish(begin(tmp_path, "--blocks", "100", size="long"))
    found = numbers(tmp_path)
    assert found == {key: quiet[key] for key in found} and len(found) == 2
    left = [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".json"]
    assert all(p.name == ".lock" for p in left)  # one an experiment, empty, never removed


def test_many_short_parts_are_one_run(tmp_path, quiet):
    """Paused after every 90 iterations, and taken up again."""
    (run, _), seconds = tiny.runs("long", range(100, 101)), []
    while True:
        outcome = work(run, tmp_path, device="cpu", until=Counter(90))
        seconds.append(outcome.seconds)
        assert outcome.state in (PAUSED, DONE)
        if outcome.state == DONE:
            break
        assert list(Store(tmp_path).scratch(run).glob("*.pt"))
    assert len(seconds) == 5
    assert numbers(tmp_path) == {run.key: quiet[run.key]}
    told = Store(tmp_path).read(run)["seconds"]
    assert told == pytest.approx(sum(seconds), rel=0.2)  # those of all parts


def test_no_time_no_run(tmp_path, sizes):
    runs = wanted(["two_clusters"], size="long")
    done = gather(runs, minutes=0, anew=True, folder=tmp_path)
    assert str(done) == "0 done, 4 not begun"
    assert not list(tmp_path.rglob("*.json"))


def test_two_gathers_on_one_store_do_nothing_twice(tmp_path, quiet):
    both = [begin(tmp_path) for _ in range(2)]
    said = [finish(process) for process in both]
    done = [int(re.search(r"(\d+) done", text).group(1)) if " done" in text else 0 for text in said]
    assert sum(done) == 4, said
    found = numbers(tmp_path)
    assert found == {key: quiet[key] for key in found} and len(found) == 4


def test_a_worker_lost_in_the_middle(tmp_path, quiet):
    process = begin(tmp_path, "--workers", "2", "--blocks", "100", size="long")
    wait_for(lambda: len(list(tmp_path.glob("*/*.busy"))) == 2)
    marks = [json.loads(path.read_text()) for path in tmp_path.glob("*/*.busy")]
    os.kill(marks[0]["process"], signal.SIGKILL)
    finish(process)
    found = numbers(tmp_path)
    assert found == {key: quiet[key] for key in found} and len(found) == 2


def test_a_full_disk_ends_it_and_loses_nothing(tmp_path, quiet):
    """Files can have 2 kB at the most: no checkpoint can be written."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from tests.evidence.tiny import command\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))\n"
        "sys.exit(command(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "gather", "two_clusters", "--size", "tiny"]
    command += ["--anew", "--device", "cpu", "--runs", str(tmp_path)]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    full = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert full.returncode == 2 and len(full.stderr.strip().splitlines()[-1]) > 20, full
    assert "File too large" in full.stderr
    assert numbers(tmp_path) == {} and not list(tmp_path.glob("*/*.busy"))
    finish(begin(tmp_path))
    found = numbers(tmp_path)
    assert found == {key: quiet[key] for key in found} and len(found) == 4


def test_a_damaged_file_is_named_left_alone_and_done_again(tmp_path, quiet, sizes, capsys):
    first, second, *_ = tiny.runs()
    for run in (first, second):
        work(run, tmp_path, device="cpu")
    path = Store(tmp_path).path(first)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    command = ["gather", "two_clusters", "--size", "tiny", "--blocks", "100", "--anew"]
    command += ["--device", "cpu", "--runs", str(tmp_path)]
    assert main([*command, "--list"]) == 0
    assert f"damaged, left alone and done again: {path}" in capsys.readouterr().err
    assert path.read_bytes() == whole[:100]
    assert main(command) == 0
    assert path.with_suffix(".json.damaged").read_bytes() == whole[:100]
    assert numbers(tmp_path) == {run.key: quiet[run.key] for run in (first, second)}


def test_a_damaged_checkpoint_fails_three_times_and_is_on_record(tmp_path, sizes, capsys):
    run = tiny.runs()[0]
    assert work(run, tmp_path, device="cpu", until=Counter(30)).state == PAUSED
    (checkpoint,) = Store(tmp_path).scratch(run).glob("*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:50])
    command = ["gather", "two_clusters", "--size", "tiny", "--blocks", "100", "--anew"]
    command += ["--device", "cpu", "--runs", str(tmp_path), "--arm", "js"]
    assert main(command) == 1
    assert "failed three times" in capsys.readouterr().err
    line = Store(tmp_path).read(run)
    assert "no whole checkpoint" in line["failed"] and line["tables"] == {}
    assert main(command) == 0  # it is not tried again
    assert listing([run], Store(tmp_path), anew=True)["failed"].tolist() == [1]
    assert main(["drop", run.key, "--why", "its checkpoint was cut", "--runs", str(tmp_path),
                 "--to", str(tmp_path / "evidence")]) == 0  # fmt: skip
    assert lacking([run], Store(tmp_path), anew=True) == [run]


def test_a_run_whose_weights_are_wrong_is_passed_over(tmp_path, monkeypatch):
    """It is no failure that would keep it from being done once they are right."""
    (tmp_path / "weights.pth").write_bytes(b"half of a download")
    monkeypatch.setenv(inception.VARIABLE, str(tmp_path / "weights.pth"))
    lsun = setting_of(narrow_nets, "as released", "lsun tower js")
    run = Run("narrow_nets", narrow_nets.VERSION, lsun, narrow_nets.SIZES["full"], 0)
    outcome = work(run, tmp_path, device="cpu")
    assert outcome.state == LACKING and "no whole file of weights" in outcome.message
    assert Store(tmp_path).read(run) is None


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_without_its_images_is_passed_over(tmp_path, capsys, monkeypatch, workers):
    """It is no failure, is named, and does not keep others from being done."""
    monkeypatch.delenv(inception.VARIABLE, raising=False)
    lsun = setting_of(narrow_nets, "as released", "lsun tower js")
    size = replace(narrow_nets.SIZES["full"], iterations=1)
    missing = Run("narrow_nets", narrow_nets.VERSION, lsun, size, 0, "as released", "lsun", "full")
    monkeypatch.setattr(planning, "wanted", lambda *args, **kwargs: [missing, tiny.runs()[0]])
    command = ["gather", "--anew", "--device", "cpu", "--runs", str(tmp_path), "--workers", workers]
    assert main(command) == 1
    told = capsys.readouterr()
    assert "1 done, 1 without their data" in told.out
    assert "1 run not done: no weights of Inception: give" in told.err
    assert Store(tmp_path).read(missing) is None
    assert lacking([missing], Store(tmp_path), anew=True) == [missing]


class Counter:
    """True from the so-manyth time on that it is asked."""

    def __init__(self, times):
        self.left = times

    def __call__(self):
        self.left -= 1
        return self.left < 0


def test_a_run_that_diverges_is_recorded_as_such(tmp_path):

    from helpers.experiments import mixture

    wild = replace(mixture.READINGS["as printed"].setting, rates=(1e6, 1e6))
    size = replace(mixture.SIZES["quick"], members=2, iterations=50)
    run = Run("mixture", 1, wild, size, 0)
    assert work(run, tmp_path, device="cpu").state == DONE
    line = Store(tmp_path).read(run)
    assert all(end > 0 for end in line["tables"]["members"]["diverged"])


def test_until_looks_at_the_clock_and_at_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(work_module, "_LOOK", 0.0)
    until = Until(time.time() + 100, tmp_path / "stop")
    assert not until()
    (tmp_path / "stop").touch()
    assert until() and until()
    assert Until(time.time() - 1, None)()
    assert not Until(None, None)()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gather", "unheard"], "experiment is one of 'two_clusters'"),
        (["gather", "two_clusters", "--reading", "as meant"], "reading is one of"),
        (["gather", "two_clusters", "--size", "huge"], "size is one of 'quick'"),
        (["gather", "two_clusters", "--arm", "third"], "arm is one of 'js'"),
        (["gather", "two_clusters", "--blocks", "3:2"], "blocks are counted from 0 on"),
        (["gather", "--blocks=-3:2"], "blocks are counted from 0 on"),
        (["gather", "--minutes", "-1"], "minutes is a finite number, 0 or more"),
        (["gather", "--minutes", "nan"], "minutes is a finite number, 0 or more"),
        (["gather", "--workers", "0"], "workers is a whole number, 1 or more"),
        (["gather", "--device", "tpu9"], "unknown device 'tpu9'"),
        (["gather", "--cluster", "local:none"], "a cluster here is local:N"),
        (["gather", "--cluster", "tcp://127.0.0.1:1"], "no dask scheduler answers"),
        (["gather", "--runs", "/proc/nowhere"], "cannot be written"),
        (["merge", "/nowhere.jsonl"], "cannot be read"),
        (["drop", "nothing", "--why", "no"], "there is no run 'nothing'"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    tmp_path, arguments, says, capsys, monkeypatch, sizes
):
    import helpers.evidence.gathering as gathering

    monkeypatch.setattr(gathering, "_PATIENCE", 2)
    own = [] if "--runs" in arguments else ["--runs", str(tmp_path)]
    own = own if arguments[0] in ("gather", "drop") else []
    assert main([*arguments, *own]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and len(error.splitlines()) == 1
    assert not list(tmp_path.glob("*/*"))


def test_words_that_are_no_blocks(capsys):
    with pytest.raises(SystemExit):
        main(["gather", "--blocks", "many"])
    assert "blocks are FIRST:END, such as 100:106, got 'many'" in capsys.readouterr().err


def test_what_is_wanted_is_listed_with_its_cost(tmp_path, sizes):
    runs = tiny.runs()
    before = listing(runs, Store(tmp_path), anew=True)
    assert before["wanted"].tolist() == [2, 2] and before["there"].tolist() == [0, 0]
    assert before["cost"].isna().all()
    work(runs[0], tmp_path, device="cpu")
    after = listing(runs, Store(tmp_path), anew=True)
    assert after["there"].tolist() == [1, 0] and (after["cost"] > 0).all()
    assert isinstance(after, pd.DataFrame) and after["spread"].isna().all()


def test_runs_are_wanted_once_and_in_order():
    runs = wanted()
    assert len({run.key for run in runs}) == len(runs)
    order = list(dict.fromkeys(run.experiment for run in runs))
    assert order == [name for name in experiments.ORDER if name in order]
    (one,) = wanted(["mixture"], reading="as printed", arms=["nsgan"], size="full", blocks=range(1))
    assert (one.arm, one.block, one.size_name) == ("nsgan", 0, "full")
    quick = wanted(["mixture"], size="quick")
    assert {run.block for run in quick} == {0} and {run.size_name for run in quick} == {"quick"}


def test_an_unwritable_store_stops_what_is_under_way(tmp_path):
    def task(run):
        raise Unwritable("no room")

    file, runs = tmp_path / "stop", tiny.runs()
    never = Forecast({run.key: float("nan") for run in runs})
    with pytest.raises(Unwritable, match="no room"):
        _Gathering(task, Store(tmp_path), None, file, never).all(runs, _pool(1, None))
    assert file.exists()
