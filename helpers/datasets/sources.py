"""The sets that torchvision downloads: who downloads them, and where they lie."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torchvision.datasets import CIFAR10, EMNIST, KMNIST, MNIST, STL10, FashionMNIST

from helpers.datasets.files import read_cifar10, read_idx, read_stl10
from helpers.datasets.images import Raw
from helpers.datasets.pictures import read_pictures


@dataclass(frozen=True)
class Source:
    """A data set of torchvision."""

    maker: type  # torchvision's class
    folder: str  # that it keeps the set in
    read: Callable[[Path, str], Raw]  # a split from a root, checked
    part: str = ""  # of EMNIST
    stand_in: str = ""  # a folder that is taken where the official one is missing

    def fetch(self, root: Path) -> None:
        """Download the set into the root."""
        options = {"split": self.part} if self.part else {}
        self.maker(root, download=True, **options)

    def command(self, root: Path) -> str:
        """Python that downloads the set into the root.

        >>> SOURCES["kmnist"].command(Path("sets"))
        "import torchvision; torchvision.datasets.KMNIST('sets', download=True)"
        """
        part = f"{self.part!r}, " if self.part else ""
        call = f"{self.maker.__name__}({str(root)!r}, {part}download=True)"
        return f"import torchvision; torchvision.datasets.{call}"

    def lies_in(self, root: Path) -> bool:
        """Whether the root holds the set, whole or not, or a stand-in."""
        return any((root / folder).exists() for folder in (self.folder, self.stand_in) if folder)


def _idx(
    maker: type,
    classes: tuple[str, ...],
    train: int = 60_000,
    test: int = 10_000,
    *,
    part: str = "",
    first: int = 0,
) -> Source:
    folder = maker.__name__
    counts = {"train": train, "test": test}
    read = partial(read_idx, folder=folder, classes=classes, counts=counts, part=part, first=first)
    return Source(maker, folder, read, part)


def _read_cifar10(root: Path, split: str) -> Raw:
    official = (root / CIFAR10.base_folder).exists()
    return (read_cifar10 if official else read_pictures)(root, split)


_DIGITS = tuple(string.digits)
_LETTERS = tuple(string.ascii_uppercase)  # of both cases
_BALANCED = tuple(EMNIST.classes_split_dict["balanced"])
SOURCES = {
    "mnist": _idx(MNIST, _DIGITS),
    "fashion-mnist": _idx(FashionMNIST, tuple(FashionMNIST.classes)),
    "kmnist": _idx(KMNIST, tuple(KMNIST.classes)),
    "emnist-digits": _idx(EMNIST, _DIGITS, 240_000, 40_000, part="digits"),
    "emnist-letters": _idx(EMNIST, _LETTERS, 124_800, 20_800, part="letters", first=1),
    "emnist-balanced": _idx(EMNIST, _BALANCED, 112_800, 18_800, part="balanced"),
    "cifar10": Source(CIFAR10, CIFAR10.base_folder, _read_cifar10, stand_in="CIFAR10"),
    "stl10": Source(STL10, STL10.base_folder, read_stl10),
}
