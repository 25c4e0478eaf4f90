"""One run, from claiming it to writing its file; this is what every executor calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from helpers import experiments
from helpers.evidence.identity import Run
from helpers.evidence.lines import encoded
from helpers.evidence.store import Store, Unwritable
from helpers.inputs import UnusableFile
from helpers.machine import pick_device, provenance
from helpers.training import Diverged, Paused

STOP = "stop"  # a file of this name in the store's folder asks all runs of its gather to pause
_LOOK = 1.0  # seconds between two looks for that file

DONE, THERE, BUSY, PAUSED = "done", "there", "busy", "paused"
LACKING, FAILED = "lacking", "failed"


@dataclass(frozen=True)
class Outcome:
    """How the work on a run ended."""

    state: str  # done, there (somebody else did it), busy, paused, lacking (data) or failed
    seconds: float = 0.0
    message: str = ""


class Until:
    """Whether a run should pause: its time is over, or the file is there. It can be pickled.

    >>> Until(time.time() - 1, None)()
    True
    """

    def __init__(self, end: float | None, file: Path | None) -> None:
        self.end, self.file, self.looked, self.asked = end, file, 0.0, False

    def __call__(self) -> bool:
        now = time.time()
        if self.end is not None and now >= self.end:
            return True
        if self.file is not None and not self.asked and now - self.looked >= _LOOK:
            self.looked, self.asked = now, self.file.exists()
        return self.asked


def work(
    run: Run,
    folder: Path,
    *,
    device: str,
    data: str | None = None,
    until: Callable[[], bool] | None = None,
) -> Outcome:
    """Do one run and write its file, in one thread, unless it is done or another is at work on it.

    A run that diverges as a whole is recorded as such. A run that pauses, fails or lacks its images
    leaves its checkpoint for whoever takes it up next. Unwritable if the store cannot be written.
    """
    store = Store(folder)
    if until is not None and until():
        return Outcome(PAUSED)
    with store.claimed(run) as is_ours:
        if not is_ours:
            return Outcome(BUSY)
        if store.read(run) is not None:
            return Outcome(THERE)
        start, scratch = time.perf_counter(), store.scratch(run)
        before = spent(scratch)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            place = pick_device(device)
            made = provenance(place)
            made["device"] = _all_devices(scratch, made["device"])
            line = run.parameters | {"key": run.key, "data": None} | made
            with threadpool_limits(1):
                tables = experiments.find(run.experiment).measure(
                    run.setting,
                    run.size,
                    seed=run.block,
                    device=place,
                    folder=scratch,
                    data=data,
                    until=until,
                )
            line["tables"] = encoded(tables)
        except Diverged as end:
            line |= {"tables": {}, "diverged": end.iteration}
        except Paused as paused:
            seconds = time.perf_counter() - start
            (scratch / "seconds").write_text(f"{before + seconds:.2f}", encoding="utf-8")
            return Outcome(PAUSED, seconds, str(paused))
        # Images, weights, or a package of an extra: a user may still bring them.
        except (FileNotFoundError, UnusableFile, ImportError) as error:
            return Outcome(LACKING, time.perf_counter() - start, _said(error))
        except OSError as error:
            raise Unwritable(f"{run}: {error}") from error
        except Exception as error:  # whatever an experiment raises, the other runs go on
            name = type(error).__name__
            return Outcome(FAILED, time.perf_counter() - start, f"{name}: {_said(error)}")
        finally:
            torch.set_num_threads(threads)
        seconds = time.perf_counter() - start
        line |= {"seconds": round(before + seconds, 2)}
        store.write(run, line)
        return Outcome(DONE, seconds)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def record_failure(run: Run, folder: Path, message: str) -> None:
    """Record that a run failed, so that it is not tried again until it is dropped.

    Its checkpoint stays for that time.
    """
    store = Store(folder)
    if store.read(run) is None:
        line = run.parameters | {"key": run.key, "tables": {}, "failed": message, "seconds": 0.0}
        store.write(run, line | provenance() | {"data": None})


def _all_devices(scratch: Path, device: str) -> str:
    """The devices on which a run was done, this one last: a run may go on elsewhere."""
    file = scratch / "devices"
    before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    devices = list(dict.fromkeys([*before, device]))
    file.write_text("\n".join(devices), encoding="utf-8")
    return ", then ".join(devices)


def spent(scratch: Path) -> float:
    """Seconds that earlier parts of a run took, which paused.

    >>> spent(Path("no such folder"))
    0.0
    """
    try:
        return float((scratch / "seconds").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0
