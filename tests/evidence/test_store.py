"""A folder that processes share: marks, damage, and writing that is whole or nothing."""

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpers.evidence import store as module
from helpers.evidence.identity import Run
from helpers.evidence.store import Store, Unwritable, write_text
from tests.evidence.test_identity import Inner, Setting
from tests.evidence.test_lines import line

RUN = Run("two_clusters", 1, Setting("js"), Inner(), 0)


def result(run=RUN, loss=0.5):
    tables = {"members": {"member": [0], "loss": [loss]}}
    return line() | run.parameters | {"key": run.key, "tables": tables}


def test_what_is_written_is_read(tmp_path):
    store = Store(tmp_path)
    assert store.read(RUN) is None
    store.scratch(RUN).mkdir(parents=True)
    store.write(RUN, result())
    assert store.read(RUN) == result()
    assert [each for _, each in store.lines("two_clusters")] == [result()]
    assert not store.scratch(RUN).exists()
    assert os.listdir(tmp_path / "two_clusters") == [f"{RUN.key}.json"]


def test_one_claims_and_the_others_do_not(tmp_path):
    store, held = Store(tmp_path), []

    def claim(number):
        with store.claimed(RUN) as is_ours:
            if is_ours:
                held.append(number)
                time.sleep(0.2)
            return is_ours

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(claim, range(16))) == 1 == len(held)
    assert store.holder(RUN) is None
    with store.claimed(RUN) as is_ours:
        assert is_ours
        assert store.holder(RUN)["process"] == os.getpid()
        assert Store(tmp_path).holder(RUN)["host"] == socket.gethostname()


def test_a_mark_goes_away_with_an_error(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(KeyError), store.claimed(RUN):
        raise KeyError
    with store.claimed(RUN) as is_ours:
        assert is_ours


@pytest.mark.slow
def test_a_mark_of_a_process_that_is_gone_counts_no_longer(tmp_path):
    code = (
        "import os, sys; from helpers.evidence.store import Store\n"
        "from tests.evidence.test_store import RUN\n"
        f"with Store({str(tmp_path)!r}).claimed(RUN): os._exit(9)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    store = Store(tmp_path)
    assert (tmp_path / "two_clusters" / f"{RUN.key}.busy").exists()
    assert store.holder(RUN) is None
    with store.claimed(RUN) as is_ours:
        assert is_ours


def mark(tmp_path, age, **words):
    path = tmp_path / "two_clusters" / f"{RUN.key}.busy"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": "elsewhere", "process": 1, "time": 0} | words))
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize(("age", "is_free"), [(0, False), (500, False), (700, True)])
def test_a_mark_of_another_machine_counts_for_ten_minutes(tmp_path, age, is_free):
    mark(tmp_path, age)
    with Store(tmp_path).claimed(RUN) as is_ours:
        assert is_ours is is_free


OWN = {"host": socket.gethostname(), "process": os.getpid()}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
@pytest.mark.parametrize(("later", "is_free"), [(0, False), (1, True)])
@pytest.mark.parametrize("age", [0, 700])
def test_a_number_that_another_process_has_by_now_counts_no_longer(tmp_path, age, later, is_free):
    """A process that is alive counts however long it was stopped, one with its number never."""
    path = mark(tmp_path, age, **OWN, start=module._start(os.getpid()) - later)
    with Store(tmp_path).claimed(RUN) as is_ours:
        assert is_ours is is_free
        if is_ours:
            assert json.loads(path.read_text())["start"] == module._start(os.getpid())


@pytest.mark.parametrize(("age", "is_free"), [(0, False), (700, True)])
@pytest.mark.parametrize("words", [{}, {"start": None}, {"start": 1}])
def test_where_no_start_is_known_a_mark_counts_for_ten_minutes(
    tmp_path, monkeypatch, words, age, is_free
):
    monkeypatch.setattr(module, "_start", lambda _: None)
    mark(tmp_path, age, **OWN, **words)
    with Store(tmp_path).claimed(RUN) as is_ours:
        assert is_ours is is_free


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_when_a_process_started(tmp_path):
    """The later the larger, whatever the program is called."""
    program = tmp_path / "a) b (c"
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o700)
    process = subprocess.Popen([program], stdin=subprocess.PIPE)
    try:
        assert program.name in Path(f"/proc/{process.pid}/stat").read_text()
        assert module._start(process.pid) >= module._start(os.getpid())
    finally:
        process.communicate()
    assert module._start(process.pid) is None


@pytest.mark.parametrize("_", range(5))
def test_a_stale_mark_is_taken_by_one(tmp_path, monkeypatch, _):
    is_stale = module._is_stale

    def slowly(*words):
        found = is_stale(*words)
        time.sleep(0.01 * random.random())  # so that others come between the look and the deed
        return found

    monkeypatch.setattr(module, "_is_stale", slowly)
    mark(tmp_path, 700)
    store, gate = Store(tmp_path), threading.Barrier(24)

    def claim(_):
        gate.wait()
        with store.claimed(RUN) as is_ours:
            gate.wait()
            return is_ours

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(claim, range(24))) == 1


def test_a_mark_without_words_counts_while_it_is_fresh(tmp_path):
    path = mark(tmp_path, 0)
    path.write_text("")
    with Store(tmp_path).claimed(RUN) as is_ours:
        assert not is_ours


def test_a_mark_is_touched_while_its_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TOUCH", 0.02)
    store = Store(tmp_path)
    with store.claimed(RUN):
        path = tmp_path / "two_clusters" / f"{RUN.key}.busy"
        os.utime(path, (1000, 1000))
        deadline = time.time() + 5
        while path.stat().st_mtime < 2000 and time.time() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 2000


@pytest.mark.parametrize("content", [b"", b'{"key": 1', b"\0" * 50, b"\xff\xfe", b"null", b"[1]"])
def test_a_damaged_file_is_named_and_set_aside(tmp_path, content):
    store = Store(tmp_path)
    other = Run("two_clusters", 1, Setting("rs"), Inner(), 0)
    store.write(other, result(other))
    path = store.path(RUN)
    path.write_bytes(content)
    assert store.read(RUN) is None
    found = dict(store.lines("two_clusters"))
    assert isinstance(found[path], str) and isinstance(found[store.path(other)], dict)
    assert path.read_bytes() == content  # left alone
    store.write(RUN, result())
    assert store.read(RUN) == result()
    assert path.with_suffix(".json.damaged").read_bytes() == content


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unwritable, match=r"a\.json cannot be written: .* No space left"):
        write_text(path, "after")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["a.json"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "below"):
        with pytest.raises(Unwritable, match="cannot be written"):
            Store(place)
    for place in (None, "", 3):
        with pytest.raises(ValueError, match="a folder of runs is a path"):
            Store(place)
