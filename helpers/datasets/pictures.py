"""Pictures in folders named by their classes, or in a zip of such folders, in place of CIFAR-10."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.datasets.images import Raw

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_ENDINGS = (".jpg", ".jpeg", ".png")


def read_pictures(root: Path, split: str) -> Raw:
    """CIFAR10/<split>/<class>/*, in the folder or in CIFAR10/cifar10-<split>-images.zip.

    In the order of their names. A zip is read in memory and never unpacked. It is a stand-in even
    if it counts as many images as CIFAR-10: they have been compressed anew. Files and folders of a
    hidden name, which macOS and Jupyter leave beside pictures, are passed over.

    Raises:
        FileNotFoundError: where there is neither.
        ValueError: for a damaged zip or picture, one of another size than 32 x 32, folders of other
            classes, and classes without a picture.
    """
    folder = root / "CIFAR10" / split
    packed = root / "CIFAR10" / f"cifar10-{split}-images.zip"
    if folder.is_dir():
        base, pictures = folder.parent, _of_folder(folder)
    elif packed.is_file():
        base, pictures = packed, _of_zip(packed, split)
    else:
        raise FileNotFoundError(
            f"neither cifar-10-batches-py nor CIFAR10/{split} nor CIFAR10/{packed.name} in {root}"
        )
    images, labels = [], []
    for name, content in pictures:
        kind = PurePosixPath(name).parent.name
        if kind not in CLASSES:
            raise ValueError(f"{base}: expected {', '.join(CLASSES)} as folders, found {kind}")
        images.append(_pixels(f"{base}/{name}", content))
        labels.append(CLASSES.index(kind))
    counts = Counter(labels)
    if len(counts) < len(CLASSES):
        empty = [kind for label, kind in enumerate(CLASSES) if not counts[label]]
        raise ValueError(f"{base}: expected pictures of each class, found none of {empty}")
    return Raw(np.stack(images), np.array(labels, dtype=np.int64), CLASSES, official=False)


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    files = {path.relative_to(folder.parent).as_posix(): path for path in folder.glob("*/*")}
    for name in sorted(files):
        if _is_picture(name) and files[name].is_file():
            yield name, files[name].read_bytes()


def _of_zip(packed: Path, split: str) -> Iterator[tuple[str, bytes]]:
    try:
        with ZipFile(packed) as archive:
            for name in sorted(archive.namelist()):
                content = archive.read(name)  # of each, lest a damaged name be passed over
                inside = PurePosixPath(name).parts
                if len(inside) == 3 and inside[0] == split and _is_picture(name):
                    yield name, content
    except Exception as error:  # zipfile and zlib have many for damaged files
        raise ValueError(f"{packed}: expected a whole zip, found: {error}") from error


def _is_picture(name: str) -> bool:
    """Whether a path split/class/file is one of a picture, by its ending and no hidden part.

    >>> [_is_picture(f"train/{name}") for name in ("cat/0.PNG", "cat/._0.png", "__MACOSX/0.png")]
    [True, False, False]
    """
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
    return name.lower().endswith(_ENDINGS) and not hidden


def _pixels(name: str, content: bytes) -> NDArray[np.uint8]:
    """(3, 32, 32)"""
    try:
        picture = Image.open(io.BytesIO(content))
        size = picture.size
        pixels = np.asarray(picture.convert("RGB")) if size == (32, 32) else None
    except Exception as error:  # each of PIL's formats has its own for damaged files
        raise ValueError(f"{name}: expected a picture, found: {error}") from error
    if pixels is None:
        raise ValueError(f"{name}: expected 32 x 32 pixels, found {size[0]} x {size[1]}")
    return pixels.transpose(2, 0, 1)
