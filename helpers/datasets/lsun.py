"""Scenes of LSUN, from its makers' databases: a fixed number of pictures, drawn once and for all.

A database of LSUN (Yu et al. 2015) is a folder with an LMDB file, one picture per entry, each
scaled so that its shorter side has 256 pixels. No usual memory holds all of them at that size.
torchvision's `LSUN` reads them one by one, but it writes an index into the working directory, and
unpickles whatever has the name of that index; hence it is not used.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from helpers.datasets.images import Raw
from helpers.inputs import UnusableFile

SIDE = 256  # pixels of a picture's shorter side, and of the squares that are cut out
_DRAW = 0  # the seed by which pictures are drawn
_MAKERS = "https://github.com/fyu/lsun"


@dataclass(frozen=True)
class Scene:
    """A category of LSUN."""

    name: str  # of its folders
    train: int  # number of official pictures
    test: int = 300  # of its pictures for validation; those for testing have no category


SCENES = {
    "lsun-church": Scene("church_outdoor", 126_227),
    "lsun-tower": Scene("tower", 708_264),
}


def read_lsun(name: str, split: str, root: Path, most: int) -> Raw:
    """At most so many pictures of a scene, the squares in their middle.

    Which ones depends on the keys in the file alone; a larger draw begins with a smaller.

    Args:
        name: one of SCENES.
        split: "train", or "test" for the pictures for validation.
        root: folder with those of the databases, as `torchvision.datasets.LSUN` takes it.
        most: number of pictures to draw.

    Raises:
        FileNotFoundError: for a missing database.
        ValueError: for one that is damaged, and pictures of another size.
        ImportError: without lmdb.
    """
    scene = SCENES[name]
    place = root / f"{scene.name}_{'train' if split == 'train' else 'val'}_lmdb"
    if not (place / "data.mdb").exists():
        raise FileNotFoundError(f"no {place / 'data.mdb'}; LSUN is on its makers' site: {_MAKERS}")
    try:
        import lmdb
    except ImportError:
        raise ImportError(f"{name} is an LMDB file: pip install 'ganscapes[lsun]'") from None
    try:
        images, count = _drawn(lmdb, place, most)
    except (lmdb.Error, OSError, SyntaxError) as error:  # PIL raises the latter two
        why = " ".join(f"{type(error).__name__} {error}".split())
        raise UnusableFile(f"{place}: {split} files are damaged: {why}") from error
    labels = np.zeros(len(images), dtype=np.int64)
    return Raw(images, labels, (scene.name,), official=count == getattr(scene, split))


def _drawn(lmdb: Any, place: Path, most: int) -> tuple[NDArray[np.uint8], int]:
    """(n, 3, 256, 256) squares, and how many pictures the database has. It is not written to."""
    from PIL import Image

    options = {"readonly": True, "lock": False, "readahead": False, "create": False}
    with lmdb.open(str(place), **options) as database, database.begin(buffers=True) as view:
        # Reading beyond the end of a mapped file ends the process, and no error can be caught.
        whole = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
        there = (place / "data.mdb").stat().st_size
        if there < whole:
            raise UnusableFile(
                f"{place}: data.mdb has {there} of {whole} bytes, as if its download had stopped"
            )
        keys = [bytes(key) for key in view.cursor().iternext(keys=True, values=False)]
        if not keys:
            raise ValueError(f"{place} has no pictures")
        random = torch.Generator("cpu").manual_seed(_DRAW)
        drawn = torch.randperm(len(keys), generator=random, device="cpu")[:most].tolist()
        images = np.empty((len(drawn), 3, SIDE, SIDE), dtype=np.uint8)
        for k, number in enumerate(drawn):
            with Image.open(io.BytesIO(view.get(keys[number]))) as picture:
                images[k] = _square(picture.convert("RGB"), place)
    return images, len(keys)


def _square(picture: Any, place: Path) -> NDArray[np.uint8]:
    """(3, 256, 256) from the middle of a picture, where torchvision's `CenterCrop` cuts."""
    width, height = picture.size
    if min(width, height) != SIDE:
        wanted = f"pictures whose shorter side has {SIDE} pixels"
        raise ValueError(f"{place}: expected {wanted}, found one of {width} x {height}")
    left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
    cut = picture.crop((left, top, left + SIDE, top + SIDE))
    return np.asarray(cut).transpose(2, 0, 1)
