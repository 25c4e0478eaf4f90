"""`gather`: the runs that are missing, in turn or side by side, each from its checkpoint."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from tqdm import tqdm

from helpers.evidence import planning
from helpers.evidence.forecast import Forecast
from helpers.evidence.identity import Run
from helpers.evidence.store import DEFAULT, Store, Unwritable
from helpers.evidence.work import (
    DONE,
    FAILED,
    LACKING,
    STOP,
    Outcome,
    Until,
    record_failure,
    spent,
    work,
)
from helpers.inputs import real_number, whole_number
from helpers.machine import pick_device, progress_bar

_TRIES = 3
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} runs [{elapsed}{postfix}]"
_PATIENCE = 30  # seconds for a scheduler to answer
# Of runs on one CUDA device: how many at most, and the bytes that each is to have. Launches bound a
# small GAN, so that several share a device; neither number has been measured.
_ON_A_GPU, _ROOM = 8, 4 * 2**30


@dataclass
class Gathered:
    """What a gather did: runs by how they ended."""

    done: list[Run] = field(default_factory=list)
    there: list[Run] = field(default_factory=list)  # another gather did them meanwhile
    busy: list[Run] = field(default_factory=list)  # another gather is at work on them
    paused: list[Run] = field(default_factory=list)
    lacking: dict[Run, str] = field(default_factory=dict)  # images or weights; with what is said
    failed: dict[Run, str] = field(default_factory=dict)  # with the error's message
    left: int = 0  # not begun

    def __str__(self) -> str:
        parts = [f"{len(self.done)} done"]
        for name in ("there", "busy", "paused", "failed"):
            count = len(getattr(self, name))
            parts += [f"{count} {name}"] if count else []
        parts += [f"{len(self.lacking)} without their data"] if self.lacking else []
        return ", ".join([*parts, f"{self.left} not begun"] if self.left else parts)


class _InProcess(Executor):
    """Does the work in the calling process, one task after another."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def gather(
    runs: Sequence[Run],
    *,
    minutes: float | None = None,
    device: str = "auto",
    folder: Path | str = DEFAULT,
    data: Path | str | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    anew: bool = False,
) -> Gathered:
    """Do those of the runs that are not there, each from its checkpoint if it has one.

    Whatever ends it (the time, Ctrl-C, a killed process), the next call goes on. Two calls may
    share a folder: no run is done twice. The numbers do not depend on how the runs are carried out.
    A run whose images or weights are missing is passed over, and done once they are there.

    Args:
        runs: what is wanted, as `helpers.evidence.planning.wanted` gives it.
        minutes: time after which runs write their checkpoints and stop.
        device: device of every run.
        folder: folder of the store.
        data: folder of data sets, for experiments that need one.
        workers: number of processes on this machine, one thread each; 1 is this process itself. By
            default `side_by_side`: 1, and several on a CUDA device.
        cluster: address of a dask scheduler whose workers share the folder, or "local:N" for N
            workers here; needs the extra "cluster".
        anew: whether to do runs that the evidence already has as well.

    Raises:
        ValueError: for a device, workers, minutes or a cluster that cannot be had.
        Unwritable: if the folder cannot be written; what was done stays.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     print(gather(planning.wanted(["two_clusters"]), minutes=0, folder=folder).done)
    []
    """
    place = pick_device(device)  # an unknown one is refused before any run
    if workers is not None:
        workers = whole_number("workers", workers, 1)
    store = Store(folder)
    todo = planning.lacking(runs, store, anew=anew)
    if workers is None:
        workers = 1 if cluster is not None else side_by_side(place, len(todo))
    limit = None if minutes is None else 60 * real_number("minutes", minutes, least=0)
    end = None if limit is None else time.time() + limit
    with _stopping(store.folder) as stop:
        task = partial(
            work,
            folder=store.folder,
            device=device,
            data=None if data is None else str(data),
            until=Until(end, stop),
        )
        pool = _pool(workers, cluster)
        return _Gathering(task, store, end, stop, _forecast(todo, store)).all(todo, pool)


def side_by_side(device: torch.device, runs: int) -> int:
    """How many of so many runs a device is given at once.

    One on a CPU, where each further process would take a core that its owner may want for
    something else. On a CUDA device eight, or fewer where there are fewer processors to drive them
    or less than 4 GiB of free memory for each.

    >>> side_by_side(torch.device("cpu"), 100)
    1
    """
    if device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(_ON_A_GPU, os.cpu_count() or 1, free // _ROOM, runs))


def _forecast(todo: Sequence[Run], store: Store) -> Forecast:
    """What runs are expected to take from here on; a part that is done needs no doing again."""
    expected = planning.seconds_of(todo, store)
    for run in todo:
        done = spent(store.scratch(run))
        if done:
            expected[run.key] = max(expected[run.key] - done, 0.0)
    return Forecast(expected)


@dataclass(frozen=True)
class _Pool:
    """How to make an executor, and how many runs it takes at once."""

    make: Callable[[], Executor]
    width: Callable[[], int]
    close: Callable[[], None] = lambda: None


def _pool(workers: int, cluster: str | None) -> _Pool:
    if cluster is not None:
        return _dask(cluster)
    if workers == 1:
        return _Pool(_InProcess, lambda: 1)
    make = partial(
        ProcessPoolExecutor, workers, mp_context=get_context("spawn"), initializer=_in_child
    )
    return _Pool(make, lambda: workers)


def _in_child() -> None:
    """Ignore Ctrl-C, which in a terminal reaches the children too: there the file alone decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _dask(address: str) -> _Pool:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ValueError("--cluster needs dask: pip install 'ganscapes[cluster]'") from None
    local, _, count = address.partition(":")
    cluster = None
    if local == "local":
        if not count.isdigit() or not int(count):
            raise ValueError(f"a cluster here is local:N with N workers, got {address!r}")
        cluster = LocalCluster(n_workers=int(count), threads_per_worker=1, dashboard_address=None)
    try:
        client = Client(cluster or address, timeout=_PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"no dask scheduler answers at {address!r}: {said}") from error

    def close() -> None:
        client.close()
        if cluster is not None:
            cluster.close()

    # pure=False: the same run may be submitted again after it paused.
    return _Pool(
        lambda: client.get_executor(pure=False, retries=0),
        lambda: max(1, len(client.scheduler_info(n_workers=-1)["workers"])),
        close,
    )


class _Gathering:
    """Runs under way, and what became of the others."""

    def __init__(
        self,
        task: Callable[[Run], Outcome],
        store: Store,
        end: float | None,
        stop: Path,
        forecast: Forecast,
    ) -> None:
        self.task, self.folder, self.stop, self.forecast = task, store.folder, stop, forecast
        self.until = Until(end, stop)
        self.result = Gathered()
        self.tries: dict[Run, int] = {}
        self.begun: dict[str, float] = {}  # when, by key
        # One process that is killed breaks its pool, and all runs under way are lost. Whose it was
        # is not said: they are done one by one, until one breaks a pool alone.
        self.doubtful: list[Run] = []
        self.breaking: list[Run] = []  # broke a pool alone: done last, and alone again
        self.is_alone = False  # whether the run under way is to have no other beside it

    def all(self, todo: Sequence[Run], pool: _Pool) -> Gathered:
        """Work through the runs, under a progress bar: done, under way, left, time."""
        waiting, running = list(todo), dict[Future[Outcome], Run]()
        executor = pool.make()
        try:
            with progress_bar(total=len(waiting), bar_format=_BAR) as bar:
                while running or self._left(waiting):
                    width = pool.width()
                    is_broken = False
                    while not self.until() and (run := self._next(waiting, len(running), width)):
                        self.begun[run.key] = time.monotonic()
                        # Told before: a run in this process is over when `submit` returns.
                        bar.set_postfix_str(self._told([*running.values(), run], waiting, width))
                        try:
                            running[executor.submit(self.task, run)] = run
                        except BrokenProcessPool:
                            (self.doubtful if self.is_alone else waiting).insert(0, run)
                            is_broken = True
                            break
                    if not running and self.until():
                        break
                    over, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                    if is_broken or any(map(_broke, over)):
                        is_broken = True
                        over, _ = wait(running)  # they are lost as well
                    lost = sum(map(_broke, over))
                    for future in over:
                        run = running.pop(future)
                        if _broke(future) and lost > 1:
                            self.doubtful.append(run)
                            continue
                        again = self._take(run, future)
                        if _broke(future):
                            self.breaking += [run] if again else []
                            waiting[:0], self.doubtful = self.doubtful, []
                        else:
                            waiting += [run] if again else []
                        bar.update(not again)
                    bar.set_postfix_str(self._told([*running.values()], waiting, width))
                    if is_broken:
                        executor.shutdown(wait=False)
                        executor = pool.make()
        except BaseException:
            with suppress(OSError):
                self.stop.touch()  # runs under way should pause, not be waited for
            raise
        finally:
            for future in running:
                future.cancel()
            executor.shutdown(wait=True)
            pool.close()
        self.result.left = len(self._left(waiting))
        return self.result

    def _left(self, waiting: Sequence[Run]) -> list[Run]:
        return [*self.doubtful, *waiting, *self.breaking]

    def _next(self, waiting: list[Run], under_way: int, width: int) -> Run | None:
        """The run to begin now; None if there is none, or no room for it."""
        if under_way and self.is_alone:
            return None
        alone = self.doubtful or ([] if waiting else self.breaking)
        if alone:
            if under_way:
                return None
            self.is_alone = True
            return alone.pop(0)
        self.is_alone = False
        return waiting.pop(0) if waiting and under_way < width else None

    def _told(self, running: Sequence[Run], waiting: Sequence[Run], width: int) -> str:
        """How many runs there are of each kind, and the time until the last is done."""
        now, left = time.monotonic(), self._left(waiting)
        seconds = self.forecast.seconds_left(
            {run.key: now - self.begun[run.key] for run in running},
            [run.key for run in left],
            width=width,
        )
        ahead = "time unknown" if math.isnan(seconds) else f"{tqdm.format_interval(seconds)} left"
        return f"{len(running)} under way, {len(left)} waiting, {ahead}"

    def _take(self, run: Run, future: Future[Outcome]) -> bool:
        """Note how a run ended; return whether to try it again."""
        error = future.exception()
        if isinstance(error, Unwritable):
            raise error
        if error is None:
            outcome = future.result()
            if outcome.state == DONE:
                self.forecast.note(run.key, outcome.seconds)
            if outcome.state == LACKING:
                self.result.lacking[run] = outcome.message
                return False
            if outcome.state != FAILED:
                getattr(self.result, outcome.state).append(run)
                return False
        else:  # the process was killed, or the worker lost
            outcome = Outcome(FAILED, 0.0, f"{type(error).__name__}: {error}")
        self.tries[run] = self.tries.get(run, 0) + 1
        if self.tries[run] < _TRIES:
            return True
        self.result.failed[run] = outcome.message
        record_failure(run, self.folder, outcome.message)
        return False


def _broke(future: Future[Outcome]) -> bool:
    return isinstance(future.exception(), BrokenProcessPool)


@contextmanager
def _stopping(folder: Path) -> Iterator[Path]:
    """A file that exists once Ctrl-C was pressed; a second Ctrl-C interrupts at once."""
    file = folder / f".{STOP}-{uuid4().hex[:8]}"
    before = None
    if threading.current_thread() is threading.main_thread():

        def pause(number: int, frame: Any) -> None:
            if file.exists():
                raise KeyboardInterrupt
            file.touch()
            tqdm.write("stopping: runs write their checkpoints; Ctrl-C again stops at once")

        before = signal.signal(signal.SIGINT, pause)
    try:
        yield file
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
        file.unlink(missing_ok=True)
