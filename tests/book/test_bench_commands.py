"""`make bench-curves` and `make bench-gpu` at toy size, and what they make of their numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.benchmarks.curves import PARTS, main
from tests.benchmarks.gpu import GOALS, verdicts
from tests.benchmarks.precision import tf32
from tests.benchmarks.record import Rows, in_turn
from tests.benchmarks.side_by_side import difference, seconds_an_iteration

ROOT = Path(__file__).parents[2]


def run(module, *arguments):
    """The finished command, in one thread."""
    return subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=540,
    )  # fmt: skip


@pytest.mark.slow
def test_curves(tmp_path):
    """Every part leaves rows that say where they belong, and a part done again replaces its own."""
    path = tmp_path / "curves.json"
    done = run("curves", "--toy", "--out", str(path))
    assert done.returncode == 0, done.stderr
    record = json.loads(path.read_text(encoding="utf-8"))
    assert list(record["parts"]) == list(PARTS)
    assert {"device", "threads", "date", "commit", "torch", "versions"} <= record.keys()
    assert all(row["value"] == row["value"] for row in record["rows"])
    of = {part: [row for row in record["rows"] if row["part"] == part] for part in PARTS}
    for part, place in (("weights", "weights"), ("batches", "batch"), ("probes", "probes")):
        assert len({row[place] for row in of[part]}) == 2, part
    assert len({row["seeds"] for row in of["seeds"]}) == 2
    assert {row["workers"] for row in of["workers"] if "workers" in row} == {"1"}
    memory = {row["name"] for row in of["weights"] if row["work"] == "memory"}
    assert memory == {"gradient", "product", "SLQ, basis", "SLQ, no basis", "pairs"}
    assert "times one alone" in done.stdout
    again = run("curves", "--toy", "--out", str(path), "--only", "seeds")
    assert again.returncode == 0, again.stderr
    renewed = json.loads(path.read_text(encoding="utf-8"))
    assert len(renewed["rows"]) == len(record["rows"])
    kept = [row for row in renewed["rows"] if row["part"] == "weights"]
    assert kept == of["weights"]


@pytest.mark.slow
def test_gpu_script_on_a_cpu(tmp_path):
    """All of it, at toy size, to the file, the table and the goals; nothing fails on the way."""
    path = tmp_path / "gpu.json"
    done = run("gpu", "--toy", "--device", "cpu", "--out", str(path))
    assert done.returncode == 0, done.stderr
    record = json.loads(path.read_text(encoding="utf-8"))
    found = {(row["work"], row["name"], row["unit"]) for row in record["rows"]}
    for player in "GDJ":
        assert (f"product, {player}", "captured", "gradients") in found
        assert (f"product, {player}", "captured", "MB") in found
    assert ("DCGAN training", "TF32", "times the plain loop") in found
    assert ("SLQ, G", "captured, all", "of its products") in found
    assert ("two-cluster seeds", "2 blocks, processes", "times one seed alone") in found
    same = [row for row in record["rows"] if row["unit"] == "difference from alone"]
    assert len(same) >= 4
    assert max(row["value"] for row in same) < 1e-3
    # Nets with buffers have no ensemble; all else is done.
    assert all("buffer" in each for each in record["not_done"]), record["not_done"]
    assert "goals" in done.stdout


def test_numbers_of_a_toy_are_not_for_the_book():
    with pytest.raises(SystemExit):
        main(["--toy"])


def test_without_a_gpu():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    from tests.benchmarks.gpu import main as bench

    assert bench([]) == 0  # says so, and writes nothing


def test_goals():
    """Met, missed and not measured, in the sense of each goal."""
    (at_least, _, least), (at_most, _, most) = GOALS[0], GOALS[-1]
    rows = Rows()
    rows.add(at_least[0], at_least[1], least, at_least[2])
    rows.add(at_most[0], at_most[1], 1.01 * most, at_most[2])
    lines = verdicts(rows.rows, ["compiled: no compiler"])
    assert lines[1].endswith("4, met")
    assert lines[len(GOALS)].endswith("missed")
    assert sum(line.endswith("not measured") for line in lines) == len(GOALS) - 2
    assert lines[-1] == "  not done: compiled: no compiler"


def test_rows():
    rows = Rows()
    rows.add("SLQ", "helpers", [3.0, 1.0, 2.0], "ratio", weights=5)
    assert rows.rows == [
        {"work": "SLQ", "name": "helpers", "value": 2.0, "unit": "ratio", "weights": 5,
         "repeats": 3, "low": 1.0, "high": 3.0},
    ]  # fmt: skip


def test_in_turn():
    """One after the other, again and again."""
    calls = []
    times = in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 3
    assert [len(each) for each in times.values()] == [3, 3]


def test_seconds_an_iteration(monkeypatch):
    """What a training takes before its first iteration does not count."""
    clock = iter([0.0, 9.0, 10.0, 15.0, 20.0, 35.0])
    monkeypatch.setattr("tests.benchmarks.side_by_side.perf_counter", lambda: next(clock))
    done = []
    assert seconds_an_iteration(done.append, 5, 25) == pytest.approx((15 - 5) / 20)
    assert done == [5, 5, 25]


def test_difference():
    one = torch.tensor([1.0, -4.0])
    assert difference(one + torch.tensor([0.0, 2.0]), one) == 0.5


def test_tf32_is_put_back():
    kinds = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [kind.allow_tf32 for kind in kinds]
    for allowed in (True, False):
        with tf32(allowed):
            assert [kind.allow_tf32 for kind in kinds] == [allowed] * 2
    assert [kind.allow_tf32 for kind in kinds] == before
