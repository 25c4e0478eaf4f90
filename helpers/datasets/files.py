"""The official files of the data sets, checked, then read.

Every error names the file, what was expected and what was found.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torchvision.datasets import CIFAR10, STL10
from torchvision.datasets.utils import calculate_md5

from helpers.datasets.images import Raw

_STL10_CLASSES = (
    "airplane",
    "bird",
    "car",
    "cat",
    "deer",
    "dog",
    "horse",
    "monkey",
    "ship",
    "truck",
)


def read_idx(
    root: Path,
    split: str,
    *,
    folder: str,
    classes: tuple[str, ...],
    counts: Mapping[str, int],
    part: str = "",
    first: int = 0,
) -> Raw:
    """A split in the format of MNIST: IDX files, plain or gzipped.

    Args:
        root: the folder that holds folder.
        split: "train" or "test".
        folder: that torchvision keeps the set in.
        classes: names in the order of the labels.
        counts: images of the official set, by split.
        part: of EMNIST.
        first: the first class's label in the file.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: for a file that is not what its header says, or headers and labels that do not
            fit the set.

    >>> read_idx(Path("nowhere"), "test", folder="MNIST", classes=("0",), counts={})
    Traceback (most recent call last):
        ...
    FileNotFoundError: no t10k-images-idx3-ubyte in nowhere/MNIST/raw
    """
    own = f"emnist-{part}-{split}" if part else {"train": "train", "test": "t10k"}[split]
    raw = root / folder / "raw"
    images = _idx(raw / f"{own}-images-idx3-ubyte", (28, 28))
    labels_file = raw / f"{own}-labels-idx1-ubyte"
    labels = _from_zero(labels_file, _idx(labels_file, ()), len(images), first, len(classes))
    if part:  # EMNIST is stored with rows and columns swapped
        images = images.transpose(0, 2, 1)
    return Raw(images[:, None], labels, classes, official=len(images) == counts[split])


def read_cifar10(root: Path, split: str) -> Raw:
    """A split of the official CIFAR-10. Its pickles are opened only if their MD5 sums are right.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: for a file with another MD5 sum than torchvision's.
    """
    meta = CIFAR10.meta["filename"], CIFAR10.meta["md5"]
    for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, meta]:
        _check_md5(root / CIFAR10.base_folder / name, md5)
    data = CIFAR10(root, train=split == "train")
    labels = np.array(data.targets, dtype=np.int64)
    return Raw(data.data.transpose(0, 3, 1, 2), labels, tuple(data.classes), official=True)


def read_stl10(root: Path, split: str) -> Raw:
    """A split of STL-10. torchvision's class would want its 2.8 GB of unlabelled images, too.

    Raises:
        FileNotFoundError: for a missing file.
        ValueError: for a file with another MD5 sum than torchvision's.
    """
    folder = root / STL10.base_folder
    files = STL10.train_list[:2] if split == "train" else STL10.test_list
    for name, md5 in files:
        _check_md5(folder / name, md5)
    (images_name, _), (labels_name, _) = files
    images = np.fromfile(folder / images_name, dtype=np.uint8).reshape(-1, 3, 96, 96)
    labels = np.fromfile(folder / labels_name, dtype=np.uint8)
    labels = _from_zero(folder / labels_name, labels, len(images), 1, len(_STL10_CLASSES))
    # The files hold one column of pixels after the other.
    return Raw(images.transpose(0, 1, 3, 2), labels, _STL10_CLASSES, official=True)


def _idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """(N, *shape) of a file of bytes, whose header is a magic number, N and the shape."""
    path, content = _content(path)
    numbers = 2 + len(shape)
    if len(content) < 4 * numbers:
        raise ValueError(
            f"{path}: expected a header of {4 * numbers} bytes, found {len(content)} bytes in all"
        )
    found, n, *sides = struct.unpack_from(f">{numbers}I", content)
    magic = 0x0801 + len(shape)
    if found != magic:
        raise ValueError(f"{path}: expected the magic number {magic}, found {found}")
    if tuple(sides) != shape:
        raise ValueError(f"{path}: expected items of shape {shape}, found {tuple(sides)}")
    if not n:
        raise ValueError(f"{path}: expected one item or more, found none")
    size = 4 * numbers + n * math.prod(shape)
    if len(content) != size:
        raise ValueError(f"{path}: expected {size:,} bytes by its header, found {len(content):,}")
    return np.frombuffer(content, dtype=np.uint8, offset=4 * numbers).reshape(n, *shape)


def _content(path: Path) -> tuple[Path, bytes]:
    """The file that there is, plain or gzipped, and its content."""
    if path.is_file():
        return path, path.read_bytes()
    packed = path.with_name(f"{path.name}.gz")
    if not packed.is_file():
        raise FileNotFoundError(f"no {path.name} in {path.parent}")
    try:
        return packed, gzip.decompress(packed.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{packed}: expected a whole gzip file, found: {error}") from error


def _from_zero(
    path: Path, labels: NDArray[np.uint8], images: int, first: int, classes: int
) -> NDArray[np.int64]:
    if len(labels) != images:
        raise ValueError(f"{path}: expected {images:,} labels, one an image, found {len(labels):,}")
    last = first + classes - 1
    wrong = labels[(labels < first) | (labels > last)]
    if len(wrong):
        raise ValueError(f"{path}: expected labels from {first} to {last}, found {wrong[0]}")
    return labels.astype(np.int64) - first


def _check_md5(path: Path, md5: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no {path.name} in {path.parent}")
    found = calculate_md5(path)
    if found != md5:
        size = path.stat().st_size
        raise ValueError(f"{path}: expected the MD5 sum {md5}, found {found} of {size:,} bytes")
