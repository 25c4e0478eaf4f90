"""Files that keep the state of a training, so that an interrupted one goes on to the same result.

A file belongs to one run: it holds what tells that run from others, and is not read for another.
The length of the run, and what of it is recorded and kept, do not tell runs apart.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch

from helpers.checkpoints.descriptions import difference
from helpers.inputs import shown

_FORMAT = 3  # of the files; increased whenever earlier files would be misread
_MARK = b"whole"  # ahead of the hash that ends a file
_BODY = -(len(_MARK) + hashlib.sha256().digest_size)


def checkpoint_path(given: Path | str | None) -> Path | None:
    """The path of a checkpoint, with ~ for the home folder, or None if none is given.

    Raises:
        ValueError: for what is not a path, and for a folder.

    >>> checkpoint_path("runs/first.pt").name
    'first.pt'
    """
    if given is None:
        return None
    if not isinstance(given, str | PathLike) or not isinstance(fspath(given), str) or not given:
        raise ValueError(f"checkpoint is the path of a file, got {shown(given)}")
    try:
        path = Path(given).expanduser()
        is_folder = path.is_dir()
    except (RuntimeError, ValueError, OSError) as error:
        raise ValueError(
            f"checkpoint is the path of a file, got {shown(given)}: {error}"
        ) from error
    if is_folder:
        raise ValueError(f"checkpoint is the path of a file, and {path} is a folder")
    return path


def try_writing(path: Path) -> None:
    """Make the folder of a checkpoint, and check that a file can be written beside it.

    Raises:
        ValueError: if it cannot.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     try_writing(Path(folder) / "new" / "a.pt")
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _part(path)
        part.touch()
        part.unlink()
    except (OSError, ValueError) as error:
        raise ValueError(f"the checkpoint {path} cannot be written: {error}") from error


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, never half a file.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_state({"run": {}, "done": 3}, Path(folder) / "a.pt")
    ...     read_state(Path(folder) / "a.pt", {}, 5)["done"]
    3
    """
    part, content = _part(path), io.BytesIO()
    # By way of memory, since torch's own writing does not say when there is no room for a file.
    torch.save({"format": _FORMAT, **_plain(state)}, content)
    body = content.getbuffer()
    try:
        with part.open("wb") as file:
            file.write(body)
            # torch's own checksums leave parts of a file unguarded
            file.write(_MARK + hashlib.sha256(body).digest())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def read_state(path: Path, run: dict[str, Any], iterations: int) -> dict[str, Any]:
    """A checkpoint of this run, on the CPU.

    Args:
        path: the file that `write_state` wrote.
        run: all that the run is made of.
        iterations: length of the run.

    Raises:
        ValueError: if the checkpoint is damaged, of an earlier version or of another run, or has
            more iterations.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.pt"
    ...     write_state({"run": {"seed": 1}, "done": 3}, path)
    ...     try:
    ...         read_state(path, {"seed": 2}, 5)
    ...     except ValueError as error:
    ...         print("refused:", "seed" in str(error))
    refused: True
    """
    damaged = f"{path} is no whole checkpoint; delete it to train from the start"
    try:
        content = path.read_bytes()
        body, end = content[:_BODY], content[_BODY:]
        is_whole = end == _MARK + hashlib.sha256(body).digest()
        stream = io.BytesIO(body if is_whole else content)
        state = torch.load(stream, weights_only=True, map_location="cpu")
    except Exception as error:  # torch, zipfile and pickle raise a dozen kinds
        said = str(error).partition("\n")[0][:200]
        raise ValueError(f"{damaged} ({said})") from error
    if not isinstance(state, dict) or not {"run", "done"} <= state.keys():
        raise ValueError(damaged)
    if not is_whole and "format" in state:
        raise ValueError(damaged)
    if state.get("format") != _FORMAT:
        raise ValueError(
            f"{path} was written by another version of this package, which stored other things; "
            "delete it to train from the start"
        )
    other = difference(state["run"], _plain(run))
    if other is not None:
        raise ValueError(f"{path} is of another run: there and here, {other}")
    if state["done"] > iterations:
        raise ValueError(f"{path} has {state['done']} iterations, more than {iterations}")
    return state


def recorded_rows(
    path: Path, state: Mapping[str, Any], every: int, snapshots: Collection[int]
) -> list[int]:
    """The records that an uninterrupted run has; ValueError if a record or snapshot is missing."""
    done, recorded, kept = state["done"], state["recorded"], state["snapshots"]
    wanted = range(every, done + 1, every)
    missing = [iteration for iteration in wanted if iteration not in recorded]
    if missing:
        raise ValueError(
            f"{path} has {done} iterations, but no record after {missing[0]}: it has those after "
            f"{shown(recorded)}; keep every as it was, or delete the file to train from the start"
        )
    missing = sorted(iteration for iteration in snapshots - kept.keys() if iteration < done)
    if missing:
        raise ValueError(
            f"{path} has {done} iterations and did not keep {missing}, but {sorted(kept)}; "
            "leave those out of snapshots, or delete the file to train from the start"
        )
    return [recorded.index(iteration) for iteration in wanted]


def check_observed(path: Path, there: Any, here: Any, goes_on: bool) -> None:
    """ValueError if a run was observed in another way; a finished run may have no observer."""
    other = difference(there, _plain(here))
    if other is not None and (here is not None or goes_on):
        raise ValueError(f"the records in {path} are of another observe: there and here, {other}")


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _plain(value: Any) -> Any:
    """The value with Python's numbers in place of numpy's, which a safe reader would not build."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return type(value)((key, _plain(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return type(value)(_plain(each) for each in value)
    return value
