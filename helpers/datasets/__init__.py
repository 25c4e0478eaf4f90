"""Sets of images, from files that are checked before they are read.

`load` takes the digits from scikit-learn, and every other set from a folder in torchvision's
layout: the one given, the one that the variable GANSCAPES_DATA names, or the cache. Only the cache
is ever written to: torchvision downloads what it lacks.

The official CIFAR-10 comes as pickles, and they are the one place where a file is unpickled. Their
MD5 sums are checked first, here as in torchvision.
"""

from __future__ import annotations

from os import PathLike

import torch

from helpers.datasets.digits import read_digits
from helpers.datasets.fetch import at_hand, read
from helpers.datasets.images import ImageSet, as_tensor
from helpers.datasets.sources import SOURCES
from helpers.inputs import one_of, whole_number

__all__ = ["NAMES", "SPLITS", "ImageSet", "at_hand", "load"]

NAMES = ("digits", "emnist", *SOURCES)
SPLITS = ("train", "test")


def load(
    name: str,
    split: str = "train",
    *,
    size: int = 32,
    channels: int | None = None,
    root: str | PathLike[str] | None = None,
) -> ImageSet:
    """A set of images in [-1, 1], whole and in memory.

    Images of another size are resized bilinearly, with antialiasing. EMNIST, which is stored with
    rows and columns swapped, comes upright, and its letters have labels from 0.

    Args:
        name: one of NAMES; "emnist" is "emnist-digits". "digits" needs neither folder nor network;
            a fifth of each class makes its test split.
        split: "train" or "test".
        size: height and width in pixels.
        channels: 1 takes the luma of colour images, 3 repeats grey ones, None keeps what there is.
        root: a folder in torchvision's layout, to which nothing is written; by default the one that
            GANSCAPES_DATA names, else the cache, into which a missing set is downloaded.

    Raises:
        ValueError: for an unknown name, split, size or number of channels, and a damaged file.
        FileNotFoundError: for a missing folder or file, and a failed download.

    >>> load("digits", size=8).images.shape
    torch.Size([1442, 1, 8, 8])
    """
    one_of("data set", name, NAMES)
    one_of("split", split, SPLITS)
    size = whole_number("size", size, 1)
    if channels is not None and whole_number("channels", channels, 1) not in (1, 3):
        raise ValueError(f"channels are 1, 3 or None for as many as there are, got {channels!r}")
    name = "emnist-digits" if name == "emnist" else name
    raw = read_digits(split) if name == "digits" else read(name, split, root)
    images = as_tensor(raw, size, channels)
    labels = torch.from_numpy(raw.labels)
    return ImageSet(name, split, images, labels, raw.classes, raw.official)
