"""Parts of a run that are computed once, and read back by a run that is taken up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from helpers.checkpoints import read_state, write_state
from helpers.experiments.protocol import Until
from helpers.training import Paused


def kept(
    find: Callable[[], dict[str, Any]],
    path: Path | None,
    run: Mapping[str, Any],
    until: Until | None = None,
) -> dict[str, Any]:
    """What `find` gives, from a file if it was found before.

    Args:
        find: numbers, texts, and lists and dictionaries of them.
        path: of the file; None to keep nothing.
        run: what the part is of; a file of another one is refused.
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
            raise Paused(f"stopped after {path.stem}")
    return read_state(path, about, 0)["found"]
