"""Parts of a run: where they are kept, and what a resumed run reads back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from helpers.checkpoints import read_state, write_state
from helpers.experiments.protocol import How, Until
from helpers.training import Paused, Recording


def in_folder(folder: Path | None, name: str = "training.pt") -> Path | None:
    """A file of a run's own folder; None where nothing is kept.

    >>> in_folder(None) is None, in_folder(Path("run"), "judge.pt").name
    (True, 'judge.pt')
    """
    return None if folder is None else folder / name


def of_part(folder: Path | None, name: str) -> Path | None:
    """A folder for a part of a run, made if missing; None where nothing is kept.

    >>> of_part(None, "judged") is None
    True
    """
    place = in_folder(folder, name)
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    return place


def of_member(folder: Path | None, member: int) -> Path | None:
    """A folder for one member of a run, as `of_part`.

    >>> of_member(None, 0) is None
    True
    """
    return of_part(folder, f"member-{member}")


def for_part(how: How, name: str) -> How:
    """How a part of a run is trained: in a folder of its own.

    >>> for_part({"seed": 3}, "judged")
    {'seed': 3, 'folder': None}
    """
    return {**how, "folder": of_part(how.get("folder"), name)}


def for_member(how: How, member: int) -> How:
    """How one member of a block is trained, as `for_part`.

    >>> for_member({"seed": 3, "folder": None}, 0)
    {'seed': 3, 'folder': None}
    """
    return for_part(how, f"member-{member}")


@dataclass(frozen=True, kw_only=True)
class Context:
    """`helpers.experiments.protocol.How`, with its defaults."""

    seed: int
    device: torch.device | str = "cpu"
    folder: Path | None = None
    until: Until | None = None

    def recording(self, **what: Any) -> Recording:
        """What is recorded of a training whose checkpoint is in the folder.

        >>> Context(seed=0).recording(every=10).checkpoint is None
        True
        """
        return Recording(**what, checkpoint=in_folder(self.folder), until=self.until)


def kept(
    find: Callable[[], dict[str, Any]],
    path: Path | None,
    run: Mapping[str, Any],
    until: Until | None = None,
) -> dict[str, Any]:
    """What `find` gives, read from a file if it was found before.

    Args:
        find: gives numbers, texts, and lists and dictionaries of them.
        path: of the file; None to keep nothing.
        run: the run of the part; a file of another run is refused.
        until: asked once the part has been found.

    Raises:
        ValueError: for a file that is damaged or of another run.
        Paused: once `until` says so.

    >>> kept(lambda: {"norm": 2.0}, None, {})
    {'norm': 2.0}
    """
    if path is None:
        return find()
    about = dict(run)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_state({"run": about, "done": 0, "found": find()}, path)
        if until is not None and until():
            raise Paused(f"stopped after {path.stem.replace('-', ' ')}")
    return read_state(path, about, 0)["found"]
