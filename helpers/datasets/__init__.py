"""Sets of images, from scikit-learn, torchvision and LSUN.

`load` takes the digits from scikit-learn, and every other set from a folder in torchvision's
layout: a given folder, the one that the variable GANSCAPES_DATA names, or the cache. Only the cache
is ever written to: torchvision downloads into it what is missing, except for LSUN, which has to be
there.
"""

from __future__ import annotations

from os import PathLike

import torch

from helpers.datasets.digits import read_digits
from helpers.datasets.images import ImageSet, as_tensor
from helpers.datasets.synthetic import (
    CENTRES,
    RADIUS,
    WIDTH,
    Samples,
    circle_of_gaussians,
    mixture_of_gaussians,
    two_clusters,
)
from helpers.inputs import one_of, shown, whole_number

__all__ = [
    "CENTRES",  # the centres of the two clusters
    "NAMES",  # the sets by name
    "RADIUS",  # around a cluster's left end, in which points count for it
    "SPLITS",  # train and test
    "TITLES",  # the sets' names as their makers write them
    "WIDTH",  # of each of the two clusters
    "ImageSet",  # labelled images of one size
    "Samples",  # fixed latents and real samples of S members
    "circle_of_gaussians",  # points around modes on the unit circle
    "load",  # a set of images in [-1, 1], in memory
    "mixture_of_gaussians",  # points from a mixture of two Gaussians, and latents
    "two_clusters",  # points at two clusters, and latents
]

_EMNIST = ("emnist-digits", "emnist-letters", "emnist-balanced")
TITLES = {
    "emnist": "EMNIST",
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "kmnist": "Kuzushiji-MNIST",
    "cifar10": "CIFAR-10",
    "stl10": "STL-10",
    "stl10-unlabeled": "STL-10",
    "lsun-church": "LSUN Church",
    "lsun-tower": "LSUN Tower",
}
_COLOURED = ("cifar10", "stl10", "stl10-unlabeled")
_SCENES = ("lsun-church", "lsun-tower")
NAMES = ("digits", "emnist", "mnist", "fashion-mnist", "kmnist", *_EMNIST, *_COLOURED, *_SCENES)
SPLITS = ("train", "test")
_DRAW = 0  # the seed by which a part of a set is drawn


def load(
    name: str,
    split: str = "train",
    *,
    size: int = 32,
    root: str | PathLike[str] | None = None,
    most: int | None = None,
) -> ImageSet:
    """A set of images in [-1, 1], in memory, whole or a part that is drawn once and for all.

    Images of another size are resized bilinearly, with antialiasing. EMNIST, which is stored with
    rows and columns swapped, is returned upright, and its letters have labels from 0. The images
    to train on of "stl10-unlabeled" have no labels, which reads -1; its test images are STL-10's.
    Of LSUN's pictures the square in the middle is taken; its test images are the 300 for
    validation. LSUN is an LMDB file, for which the extra "lsun" has to be installed.

    Args:
        name: one of NAMES; "emnist" is "emnist-digits". "digits" needs neither folder nor network;
            a fifth of each class forms its test split.
        split: "train" or "test".
        size: height and width in pixels.
        root: a folder in torchvision's layout, to which nothing is written; by default the one that
            GANSCAPES_DATA names, else the cache, into which torchvision downloads what is missing.
        most: how many images to draw without replacement, the same ones at every call; by default,
            and of a smaller set, all. LSUN does not fit in memory, so that it needs this number.

    Raises:
        ValueError: for an unknown name or split, a bad size, a damaged file, and LSUN without
            `most` or without lmdb.
        FileNotFoundError: for missing files, a failed download, and a cache that is damaged.

    >>> load("digits", size=8).images.shape
    torch.Size([1442, 1, 8, 8])
    """
    one_of("data set", name, NAMES)
    if root is not None and not isinstance(root, str | PathLike):
        raise ValueError(f"root is a path or None, got {shown(root)}")
    name = "emnist-digits" if name == "emnist" else name
    one_of("split", split, SPLITS)
    size = whole_number("size", size, 1)
    most = None if most is None else whole_number("most", most, 1)
    if name == "digits":
        raw = read_digits(split)
    elif name in _SCENES:
        if most is None:
            raise ValueError(f"{name} does not fit in memory: most says how many images to draw")
        from helpers.datasets.lsun import read_lsun
        from helpers.datasets.sources import folder_of

        raw = read_lsun(name, split, folder_of(root)[0], most)
    else:  # torchvision takes seconds to import, and only these sets need it
        from helpers.datasets.sources import read

        raw = read(name, split, root)
    images = as_tensor(raw, size)
    labels = torch.from_numpy(raw.labels)
    found = ImageSet(name, split, images, labels, raw.classes, raw.official)
    return found if most is None or most >= len(found) else found.subset(most, seed=_DRAW)
