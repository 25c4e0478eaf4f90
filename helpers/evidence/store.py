"""Runs in a folder while they go on: one file per run, and a mark for each run in progress.

This is written for folders that several processes share, on one machine or over a network. A result
is written under another name and renamed; a mark is created exclusively, and touched while its run
goes on. (signac was tried: its jobs have no such mark, and a half-written job stops the listing of
all jobs.)
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from helpers.evidence.identity import Run
from helpers.evidence.lines import parsed, text_of
from helpers.inputs import shown

DEFAULT = Path("data", "cache", "runs")
_STALE = 600.0  # seconds without a touch after which a mark no longer counts
_TOUCH = 30.0
# What reading a file gives that holds no run: it cannot be read, is no JSON, or has an odd shape.
_NO_RUN = (OSError, ValueError, KeyError, TypeError, AttributeError)


class Unwritable(OSError):
    """A store cannot be written: no folder, no permission, or no room."""


class Store:
    """Runs in a folder, by experiment and key.

    Args:
        folder: created if it does not exist.

    Raises:
        ValueError: for what is not a path.
        Unwritable: if nothing can be written there.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     list(Store(folder).lines("mixture"))
    []
    """

    def __init__(self, folder: Path | str = DEFAULT) -> None:
        if not isinstance(folder, str | Path) or not str(folder):
            raise ValueError(f"a folder of runs is a path, got {shown(folder)}")
        self.folder = Path(folder).expanduser().absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".{os.getpid()}.{threading.get_ident()}"
            probe.write_text("room\n", encoding="utf-8")
            probe.unlink()
        except OSError as error:
            raise Unwritable(
                f"the folder of runs {self.folder} cannot be written: {error}"
            ) from error

    def path(self, run: Run) -> Path:
        """The file of a run that is done."""
        return self.folder / run.experiment / f"{run.key}.json"

    def scratch(self, run: Run) -> Path:
        """The folder in which a run keeps its checkpoint while it goes on."""
        return self.folder / run.experiment / run.key

    def read(self, run: Run) -> dict[str, Any] | None:
        """A run that is done; None if it is not there, or damaged."""
        try:
            return _read(self.path(run))
        except _NO_RUN:
            return None

    def write(self, run: Run, line: Mapping[str, Any]) -> None:
        """Write a run that is over, never half of it; a damaged file is set aside.

        The checkpoint goes with it, except that of a run that failed: once that is dropped, it is
        done from there.
        """
        path = self.path(run)
        if path.exists() and self.read(run) is None:
            path.replace(path.with_suffix(".json.damaged"))
        write_text(path, text_of(line) + "\n")
        if "failed" not in line:
            shutil.rmtree(self.scratch(run), ignore_errors=True)

    def lines(self, experiment: str) -> Iterator[tuple[Path, dict[str, Any] | str]]:
        """The files of an experiment, each with its run, or with what is wrong with it."""
        for path in sorted((self.folder / experiment).glob("*.json")):
            try:
                yield path, _read(path)
            except _NO_RUN as error:
                yield path, str(error)

    @contextmanager
    def claimed(self, run: Run) -> Iterator[bool]:
        """Whether the run is this process's to do, for as long as the block lasts."""
        mark = self.path(run).with_suffix(".busy")
        if not _claim(mark):
            yield False
            return
        over = threading.Event()
        toucher = threading.Thread(target=_keep_touched, args=(mark, over), daemon=True)
        toucher.start()
        try:
            yield True
        finally:
            over.set()
            toucher.join()
            mark.unlink(missing_ok=True)

    def holder(self, run: Run) -> dict[str, Any] | None:
        """Who is at work on a run: host, process, when that started, and since when it is."""
        mark = self.path(run).with_suffix(".busy")
        held = _held(mark)
        return None if held is None or _is_stale(mark, held) else held


def _read(path: Path) -> dict[str, Any]:
    line = parsed(path.read_text(encoding="utf-8"))
    # A copy under another name, such as a service that synchronises folders makes of a file that
    # two machines wrote, would count as a second run.
    if line["key"] != path.stem:
        raise ValueError(f"the file holds the run {line['key']}, and not that of its name")
    return line


def write_text(path: Path, text: str) -> None:
    """Write a text file, all of it or nothing; Unwritable if it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Unwritable(f"{path} cannot be written: {error}") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time into a folder; others wait a minute, and then give up.

    Raises:
        Unwritable: if the folder cannot be written, or another process is too long in it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, alone(Path(folder)):
    ...     write_text(Path(folder, "count"), "1")
    """
    # The system frees a lock whose process is gone, so that its file may stay.
    lock = FileLock(folder / ".lock", timeout=60, poll_interval=0.01)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise Unwritable(f"the folder {folder} cannot be locked: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _claim(mark: Path) -> bool:
    own = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "start": _start(os.getpid()),
        "time": round(time.time()),
    }
    try:
        # Otherwise, of two that find a mark stale, the slower would remove the other's fresh mark.
        with alone(mark.parent):
            held = _held(mark)
            if held is not None:
                if not _is_stale(mark, held):
                    return False
                mark.unlink(missing_ok=True)
            # Where locks do not reach other machines, exclusive creation still does.
            with mark.open("x", encoding="utf-8") as file:
                file.write(json.dumps(own))
    except FileExistsError:
        return False
    except OSError as error:
        raise Unwritable(f"{mark} cannot be written: {error}") from error
    return True


def _held(mark: Path) -> dict[str, Any] | None:
    """What a mark says; {} if that cannot be read, None if there is none."""
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_stale(mark: Path, held: Mapping[str, Any]) -> bool:
    process = held.get("process")
    if held.get("host") == socket.gethostname() and isinstance(process, int):
        if not _is_alive(process):
            return True
        # After a while, or a reboot, the system gives the number to another process.
        before, now = held.get("start"), _start(process)
        if before is not None and now is not None:
            return before != now
    try:
        return time.time() - mark.stat().st_mtime > _STALE
    except OSError:
        return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # alive, but another user's
        return True
    return True


def _start(process: int) -> int | None:
    """When a process started, in ticks since the last boot; None where the system does not say."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        # Before the last bracket is the program's name, which may have spaces and brackets itself.
        return int(status.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _keep_touched(mark: Path, over: threading.Event) -> None:
    while not over.wait(_TOUCH):
        try:
            os.utime(mark)
        except OSError:
            return
