"""The sets that torchvision reads and downloads, and where they are kept."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from torchvision.datasets import CIFAR10, EMNIST, KMNIST, MNIST, STL10, FashionMNIST, ImageFolder
from torchvision.datasets.folder import has_file_allowed_extension
from torchvision.datasets.utils import extract_archive

from helpers.datasets.images import Raw
from helpers.inputs import UnusableFile

VARIABLE = "GANSCAPES_DATA"
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SEEN = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


@dataclass(frozen=True)
class Source:
    """A data set of torchvision."""

    maker: type[MNIST] | type[CIFAR10] | type[STL10]
    classes: tuple[str, ...]
    train: int = 60_000  # number of official images
    test: int = 10_000
    part: str = ""  # of EMNIST, or of STL-10's images to train on
    first: int = 0  # lowest label in the files
    shape: tuple[int, int, int] = (1, 28, 28)  # of an image

    @property
    def folder(self) -> str:
        """Where torchvision keeps the set below its root."""
        return getattr(self.maker, "base_folder", self.maker.__name__)

    @property
    def checked(self) -> bool:
        """Whether torchvision compares the files with the official MD5 sums."""
        return self.maker in (CIFAR10, STL10)


_DIGITS = tuple(string.digits)
_LETTERS = tuple(string.ascii_uppercase)  # of both cases
_BALANCED = tuple(EMNIST.classes_split_dict["balanced"])
SOURCES = {
    "mnist": Source(MNIST, _DIGITS),
    "fashion-mnist": Source(FashionMNIST, tuple(FashionMNIST.classes)),
    "kmnist": Source(KMNIST, tuple(KMNIST.classes)),
    "emnist-digits": Source(EMNIST, _DIGITS, 240_000, 40_000, "digits"),
    "emnist-letters": Source(EMNIST, _LETTERS, 124_800, 20_800, "letters", first=1),
    "emnist-balanced": Source(EMNIST, _BALANCED, 112_800, 18_800, "balanced"),
    "cifar10": Source(CIFAR10, _THINGS, 50_000, shape=(3, 32, 32)),
    "stl10": Source(STL10, _SEEN, 5_000, 8_000, "train", shape=(3, 96, 96)),
    "stl10-unlabeled": Source(STL10, _SEEN, 100_000, 8_000, "unlabeled", shape=(3, 96, 96)),
}


def cache() -> Path:
    """The folder for downloads: data/cache in a checkout, ~/.cache/ganscapes if installed."""
    data = Path(__file__).parents[2] / "data"
    if (data / "claims.json").exists():
        return data / "cache"
    return Path.home() / ".cache" / "ganscapes"


def folder_of(root: str | PathLike[str] | None) -> tuple[Path, bool]:
    """The folder of data sets, and whether it is the cache, into which sets are downloaded."""
    given = root if root is not None else os.environ.get(VARIABLE)
    return (Path(given).expanduser(), False) if given else (cache(), True)


def read(name: str, split: str, root: str | PathLike[str] | None) -> Raw:
    """A split of one of SOURCES; `helpers.datasets.load` lists the folders and the errors."""
    folder, download = folder_of(root)
    source = SOURCES[name]
    place = folder / source.folder
    stand_in = name == "cifar10" and not place.exists() and (folder / "CIFAR10").exists()
    if stand_in:
        place = folder / "CIFAR10"
    if not download and not place.exists():
        advice = f"load({name!r}) without a root, and with {VARIABLE} unset, downloads the set"
        raise FileNotFoundError(f"no folder {place}; {advice}")
    try:
        if stand_in:
            images, labels = _stand_in(place, split)
        elif download:
            images, labels = _downloaded(source, folder, split)
        else:
            images, labels = _official(source, folder, split)
        _check(images, labels, source)
    except Exception as error:  # whatever a damaged file makes torchvision raise
        # Its messages may have several lines, or none, and no type marks missing files.
        why = " ".join(f"{type(error).__name__} {error}".split())
        if download:
            message = f"{name} is incomplete in {place}, and could not be downloaded: {why}"
            raise FileNotFoundError(message) from error
        missing = isinstance(error, FileNotFoundError) or "not found" in why
        kind = FileNotFoundError if missing else UnusableFile
        raise kind(f"{place}: {split} files are missing or damaged: {why}") from error
    official = not stand_in and (source.checked or len(images) == getattr(source, split))
    return Raw(images, labels, source.classes, official)


def _downloaded(
    source: Source, folder: Path, split: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The files in the cache; what is missing is downloaded, by one process at a time."""
    try:  # a whole set needs no lock, so that the cache may be read-only
        return _official(source, folder, split)
    except Exception:  # missing, damaged, or half written: by another process, perhaps
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{source.folder}.lock"):
            return _official(source, folder, split, download=True)


def _official(
    source: Source, folder: Path, split: str, download: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if source.maker is STL10:
        files = STL10(folder, split=source.part if split == "train" else split, download=download)
        return files.data, np.asarray(files.labels, dtype=np.int64)
    part = {"split": source.part} if source.part else {}
    files = source.maker(folder, train=split == "train", download=download, **part)
    images = np.asarray(files.data)
    labels = np.asarray(files.targets, dtype=np.int64) - source.first
    if source.maker is CIFAR10:
        return images.transpose(0, 3, 1, 2), labels
    if source.part:  # EMNIST is stored with rows and columns swapped
        images = images.transpose(0, 2, 1)
    return images[:, None], labels


class _Pictures(ImageFolder):  # type: ignore[misc] # torchvision has no type hints
    """Pictures of CIFAR-10's classes, without what macOS and Jupyter leave beside them."""

    def __init__(self, folder: Path) -> None:
        def is_picture(path: str) -> bool:
            parts = Path(path).relative_to(folder).parts
            hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
            return has_file_allowed_extension(path, (".jpg", ".jpeg", ".png")) and not hidden

        super().__init__(folder, is_valid_file=is_picture)

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        names = {path.name for path in Path(directory).iterdir() if path.is_dir()}
        other = sorted(name for name in names - {*_THINGS, "__MACOSX"} if not name.startswith("."))
        if other:
            raise ValueError(f"expected {', '.join(_THINGS)} as folders, found {other[0]}")
        return list(_THINGS), {name: k for k, name in enumerate(_THINGS)}


def _stand_in(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures <split>/<class>/*, in the folder or in its cifar10-<split>-images.zip."""
    if not (folder / split).is_dir():
        with TemporaryDirectory() as unpacked:
            extract_archive(folder / f"cifar10-{split}-images.zip", unpacked)
            return _stand_in(Path(unpacked), split)
    pictures = _Pictures(folder / split)
    images = np.stack([np.asarray(picture).transpose(2, 0, 1) for picture, _ in pictures])
    return images, np.array(pictures.targets, dtype=np.int64)


def _check(images: NDArray[np.uint8], labels: NDArray[np.int64], source: Source) -> None:
    """Check what torchvision accepts unseen."""
    if images.shape[1:] != source.shape or not len(images):
        raise ValueError(f"expected images of shape {source.shape}, found an array {images.shape}")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"expected {len(images):,} labels, one per image, found {len(labels):,}")
    none = source.part == "unlabeled" and (labels == -1).all()
    if not none and (labels.min() < 0 or labels.max() >= len(source.classes)):
        raise ValueError(f"expected {len(source.classes)} classes, found labels beyond them")
