"""Files of states: where they may lie, what is read, and what is refused with which word."""

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.checkpoints.files import checkpoint_path, read_state, try_writing, write_state

STATE = {"run": {"seed": 0, "rate": 0.5}, "done": 3, "weights": torch.arange(50.0)}


def test_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checkpoint_path("~/a.pt") == tmp_path / "a.pt"
    assert checkpoint_path(None) is None
    for bad in (3, {"a.pt"}, b"a.pt", "", True, "a\0b"):
        with pytest.raises(ValueError, match="checkpoint"):
            try_writing(checkpoint_path(bad))
    with pytest.raises(ValueError, match="is a folder"):
        checkpoint_path(tmp_path)
    with pytest.raises(ValueError, match="checkpoint is the path of a file"):
        checkpoint_path("~nobody-of-this-name/a.pt")


def test_folders(tmp_path):
    """Made where they are missing; what cannot be a folder is said at once."""
    path = tmp_path / "one" / "two" / "a.pt"
    try_writing(path)
    assert path.parent.is_dir() and not list(path.parent.iterdir())
    (tmp_path / "file").touch()
    for bad in (tmp_path / "file" / "a.pt", Path("/proc/none/a.pt"), tmp_path / ("n" * 300)):
        with pytest.raises(ValueError, match="cannot be written"):
            try_writing(bad)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_folders_without_leave(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match=r"cannot be written: .*[Pp]ermission"):
        try_writing(tmp_path / "a.pt")


def test_numpy_numbers_are_read_back(tmp_path):
    """A safe reader builds none of numpy's: they are written as Python's."""
    path = tmp_path / "a.pt"
    held = {
        "lr": np.float64(1e-3),
        "steps": (np.int64(3), [np.bool_(True)]),
        "plain": OrderedDict(a=1),
    }
    write_state(STATE | {"held": held}, path)
    found = read_state(path, {"seed": np.int64(0), "rate": 0.5}, 3)["held"]
    assert found["lr"] == 1e-3 and found["steps"] == (3, [True]) and found["plain"] == {"a": 1}
    assert type(found["lr"]) is float and not list(tmp_path.glob("*.part"))


def test_damage(tmp_path):
    """Cut at any length, with any byte changed, or with more behind: one clear error."""
    path = tmp_path / "a.pt"
    write_state(STATE, path)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    cut = [whole[:size] for size in {0, 1, 3, *random.integers(0, len(whole), 20).tolist()}]
    changed = []
    for place in random.integers(0, len(whole), 150).tolist():
        changed.append(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    others = [b"PK\x03\x04", b"not a checkpoint", b"\x80\x02.", whole + b"more", whole + whole]
    for content in [*cut, *changed, *others]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.pt is no whole checkpoint; delete it"):
            read_state(path, STATE["run"], 3)
    path.write_bytes(whole)
    assert torch.equal(read_state(path, STATE["run"], 3)["weights"], STATE["weights"])


def test_files_of_something_else(tmp_path):
    path = tmp_path / "a.pt"
    for other in (torch.zeros(3), [1, 2], {"weights": torch.zeros(3)}, {"run": {}}):
        torch.save(other, path)
        with pytest.raises(ValueError, match=r"a\.pt is no whole checkpoint; delete it"):
            read_state(path, {}, 3)


class _Hostile:
    def __reduce__(self):
        return (os.mkdir, ("hostile",))


def test_hostile_files_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(STATE | {"more": _Hostile()}, "a.pt")
    with pytest.raises(ValueError, match="no whole checkpoint"):
        read_state(Path("a.pt"), STATE["run"], 3)
    assert not (tmp_path / "hostile").exists()


def test_earlier_versions(tmp_path):
    """Those had no number of a format: refused in so many words, whatever they hold."""
    path = tmp_path / "a.pt"
    torch.save(STATE, path)
    with pytest.raises(ValueError, match=r"written by another version .* delete it to train"):
        read_state(path, STATE["run"], 3)


def test_other_runs(tmp_path):
    path = tmp_path / "a.pt"
    write_state(STATE, path)
    with pytest.raises(ValueError, match=r"of another run: there and here, rate is 0\.5 and 0\.25"):
        read_state(path, {"seed": 0, "rate": 0.25}, 3)
    with pytest.raises(ValueError, match="has 3 iterations, more than 2"):
        read_state(path, STATE["run"], 2)
