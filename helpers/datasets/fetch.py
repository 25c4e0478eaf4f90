"""Where the files of a data set lie, and how they come there."""

from __future__ import annotations

import os
from http.client import HTTPException
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers.datasets.images import Raw
from helpers.datasets.sources import SOURCES, Source
from helpers.inputs import one_of, shown

VARIABLE = "GANSCAPES_DATA"


def cache() -> Path:
    """The folder for downloads: data/cache in a checkout, ~/.cache/ganscapes if installed.

    >>> cache().name in ("cache", "ganscapes")
    True
    """
    data = Path(__file__).parents[2] / "data"
    if (data / "claims.json").exists():
        return data / "cache"
    return Path.home() / ".cache" / "ganscapes"


def at_hand(name: str, root: str | PathLike[str] | None = None) -> bool:
    """Whether `helpers.datasets.load` would give both splits of a set without a download.

    Raises:
        ValueError: for an unknown set.

    >>> at_hand("digits")
    True
    """
    one_of("data set", name, ("digits", "emnist", *SOURCES))
    name = "emnist-digits" if name == "emnist" else name
    if name == "digits":
        return True
    where = _folder(root)[1]
    try:
        for split in ("train", "test"):
            SOURCES[name].read(where, split)
    except (OSError, ValueError):
        return False
    return True


def read(name: str, split: str, root: str | PathLike[str] | None) -> Raw:
    """A split of one of SOURCES from the root, the variable's folder or the cache.

    Raises:
        FileNotFoundError: for a missing folder or file, and a failed download.
        ValueError: for a damaged file.
    """
    source = SOURCES[name]
    given, where = _folder(root)
    try:
        if given is not None and not where.is_dir():
            whose = "" if root is not None else f", which {VARIABLE} names"
            raise FileNotFoundError(f"no folder {where}{whose}")
        if given is None and not source.lies_in(where):
            _download(name, source, where)
        return source.read(where, split)
    except (FileNotFoundError, ValueError) as error:
        code = f"from helpers.datasets import load; load({name!r})"
        if given is not None:
            code = source.command(where)
        missing = isinstance(error, FileNotFoundError)
        old, first = where / source.folder, ""
        # torchvision adds what is missing; a set in the cache is taken or left as a whole.
        if old.exists() and not (missing and given is not None):
            first = f"move {old} away and "
        kind = FileNotFoundError if missing else ValueError
        raise kind(f'{error}; to get the set, {first}run: python -c "{code}"') from error


def _folder(root: str | PathLike[str] | None) -> tuple[str | PathLike[str] | None, Path]:
    """The folder that was named, if one was, and the one to read from."""
    if root is not None and not isinstance(root, str | PathLike):
        raise ValueError(f"root is a path or None, got {shown(root)}")
    given = root if root is not None else os.environ.get(VARIABLE) or None
    return given, cache() if given is None else Path(given).expanduser()


def _download(name: str, source: Source, where: Path) -> None:
    """Put the whole set into where, or nothing."""
    try:
        where.mkdir(parents=True, exist_ok=True)
        # Beside its final place, so that one rename moves it there.
        with TemporaryDirectory(dir=where, prefix=".partial-") as partial:
            source.fetch(Path(partial))
            for split in ("train", "test"):
                source.read(Path(partial), split)
            got = Path(partial, source.folder)
            for archive in [*got.rglob("*.gz"), *got.rglob("*.zip")]:
                archive.unlink()  # its content lies beside it
            try:
                got.replace(where / source.folder)
            except OSError:
                if not (where / source.folder).exists():  # else another process was quicker
                    raise
    except (OSError, RuntimeError, ValueError, HTTPException) as error:
        why = " ".join(str(error).split())  # torchvision's has several lines
        raise FileNotFoundError(f"no {name} in {where}, and its download failed: {why}") from error
