"""What goes wrong on the way: failed runs, files of an odd shape, and doubles."""

import pytest

from helpers.evidence import committed, gather, wanted
from helpers.evidence.store import Store
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
