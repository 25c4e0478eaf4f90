"""LeNets that judge images of digits, as those of Berard et al. 2020 do (Appendix C.2).

The paper's is "a LeNet classifier pretrained on MNIST"; its authors have released the weights with
their code. Whoever has them scores real images under it. Since how high an inception score can be
depends on the judge, the other runs are LeNets of our own, each scored along its training.
`helpers.experiments.images` scores all GANs of a data set under one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pandas import DataFrame
from typing_extensions import Unpack

from helpers.datasets import ImageSet, load
from helpers.experiments import protocol
from helpers.experiments.ensembles import member_seed
from helpers.experiments.parts import Context, in_folder, kept, of_member
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Until, Wanted
from helpers.machine import pick_device
from helpers.scores import (
    Classifier,
    inception_score,
    load_released_lenet,
    score_range,
    train_judge,
)
from helpers.scores.classifiers import accuracy
from helpers.scores.released import SHA

VERSION = 1
SCORED = 5000  # images, as many as Berard et al. score per generator; at most half the test images
_JUDGE = 0  # the seed of the LeNet under which all GANs of a set are scored
_JUDGES: dict[tuple[Any, ...], Classifier] = {}  # kept for this process: each takes minutes
_DRAW = 0  # the seed of the images that are scored: all judges of our own see the same ones
_COURSE = ("epochs", "accuracy", "all", "half")


@dataclass(frozen=True)
class Setting:
    """Which images are learnt, or that the judge is the released one."""

    data: str = "mnist"  # a name in `helpers.datasets.NAMES`
    judge: str = ""  # first digits of the SHA-256 of released weights; "" for a LeNet of our own


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How long a LeNet is trained."""

    epochs: tuple[int, ...]  # epochs after which it is scored, the last of them the end
    stand_in: str = ""  # a set of images in place of the setting's


READINGS = {
    "the released LeNet": Reading(
        Setting(judge=SHA),
        "mnist_classifier.pt of the released code, from which the paper's 9.9 is",
    ),
    "as printed": Reading(
        Setting(),
        "Appendix C.2 says LeNet and MNIST; width, batches of 128 and no dropout are ours",
    ),
}
ARMS: dict[str, dict[str, str]] = {"mnist": {}}
SIZES = {
    "quick": Size(epochs=(1, 4), stand_in="digits", lacks="56 of 60 epochs, and MNIST"),
    "full": Size(epochs=(1, 5, 20, 60), lacks="nothing that the paper says"),
}
WANTED = [
    Wanted(
        ("the released LeNet",),
        ("mnist",),
        "full",
        range(100, 106),
        "B26 by the paper's own judge; needs its weights; seconds a block",
    ),
    Wanted(
        ("as printed",),
        ("mnist",),
        "full",
        range(100, 106),
        "B26 by LeNets of our own; ten minutes a block on one core",
    ),
]


def train(
    setting: Setting,
    epochs: int,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    data: Path | str | None = None,
    until: Until | None = None,
    most: tuple[int, int] | None = None,
) -> Classifier:
    """A LeNet after some epochs, with its accuracy on the test images.

    Args:
        setting: what it learns.
        epochs: passes over the images.
        seed: of its weights and the order of the images.
        device, checkpoint, until: as for `helpers.scores.train_judge`.
        data: folder of data sets, as for `helpers.datasets.load`.
        most: the most images that it learns, and is tested on; by default all.

    Raises:
        Paused: once `until` says so.

    >>> train(Setting("digits"), 1, seed=0).accuracy > 0.3
    True
    """
    images, held = (load(setting.data, split, root=data) for split in ("train", "test"))
    if most is not None:
        images, held = at_most(images, most[0]), at_most(held, most[1])
    return train_judge(
        images.images,
        images.labels,
        test_images=held.images,
        test_labels=held.labels,
        seed=seed,
        epochs=epochs,
        checkpoint=checkpoint,
        until=until,
        device=device,
    )


def at_most(found: ImageSet, count: int) -> ImageSet:
    """`count` images of a set, drawn once and for all; the set itself if it has no more.

    >>> len(at_most(load("digits"), 100))
    100
    """
    return found.subset(count, seed=_DRAW) if len(found) > count else found


def judge_of(
    name: str,
    epochs: int,
    *,
    device: torch.device | str,
    folder: Path | None = None,
    data: Path | str | None = None,
    until: Until | None = None,
    most: tuple[int, int] | None = None,
) -> Classifier:
    """The LeNet under which all GANs on one set of images are scored, trained once per process.

    Arguments and errors are those of `train`; the checkpoint is in the folder.

    >>> judge_of("digits", 1, device="cpu").accuracy > 0.3
    True
    """
    key = (name, epochs, str(pick_device(device)), str(data), most)
    if key not in _JUDGES:
        _JUDGES[key] = train(
            Setting(name),
            epochs,
            seed=_JUDGE,
            device=device,
            checkpoint=in_folder(folder, "judge.pt"),
            data=data,
            until=until,
            most=most,
        )
    return _JUDGES[key]


def scored(held: ImageSet) -> int:
    """How many samples are scored beside these test images: 5,000, but at most half the images.

    >>> held = load("digits", "test")
    >>> scored(held) == len(held) // 2
    True
    """
    return min(SCORED, len(held) // 2)


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Score the test images under LeNets along their training.

    The frame "course" has accuracy and inception scores, of "all" test images and of "half" of
    them, after each of `size.epochs`; "members" has the last of these, the score of as many images
    of "noise", and Fréchet distances of reals and noise to the other half. Of the released LeNet
    there is a single row, at epoch NaN; its members differ in the half that they score.

    Raises:
        FileNotFoundError: if images or the released weights are missing.
        ValueError: for weights that are not the released ones.

    >>> tiny = Size(epochs=(1,), stand_in="digits", lacks="nearly all")
    >>> list(measure(Setting(), tiny, seed=0, device="cpu")["course"])
    ['member', 'epochs', 'accuracy', 'all', 'half']
    """
    given = Context(**how)
    released = load_released_lenet(sha=setting.judge) if setting.judge else None
    own = replace(setting, data=size.stand_in or setting.data)
    held = load(own.data, "test", root=data)
    members, course = [], []
    for member in range(size.members):
        if released is not None:
            seen = _seen(released, held, seed=member_seed(given.seed, member))
            found = [{"epochs": math.nan, **seen}]
        else:
            found = _along(own, size.epochs, held, member, given, data)
        course += [{"member": member, **{name: row[name] for name in _COURSE}} for row in found]
        members.append({"member": member, "official": float(held.official), **found[-1]})
    return {"members": DataFrame(members), "course": DataFrame(course)}


def _along(
    setting: Setting,
    epochs: Sequence[int],
    held: ImageSet,
    member: int,
    given: Context,
    data: Path | str | None,
) -> list[dict[str, float]]:
    """What one LeNet of our own says of test images after each of some numbers of epochs."""
    number, place = member_seed(given.seed, member), of_member(given.folder, member)
    found = []
    for count in epochs:
        judged = partial(
            _judged,
            setting,
            count,
            held,
            seed=number,
            device=given.device,
            checkpoint=in_folder(place, "judge.pt"),
            data=data,
            until=given.until,
        )
        path = in_folder(place, f"{count} epochs.pt")
        found.append(kept(judged, path, {"setting": repr(setting), "seed": number}, given.until))
    return found


def _judged(
    setting: Setting, epochs: int, held: ImageSet, *, seed: int, **options: Any
) -> dict[str, float]:
    """What a LeNet says of test images after some epochs."""
    judge = train(setting, epochs, seed=seed, **options)
    return {"epochs": epochs, **_seen(judge, held, seed=_DRAW)}


def _seen(judge: Classifier, held: ImageSet, *, seed: int) -> dict[str, float]:
    """The scores of test images and of noise under a judge, half of the images drawn by a seed."""
    bounds = score_range(judge, held.images, n=scored(held), seed=seed)
    return {
        "accuracy": accuracy(judge.net, held.images, held.labels),
        "all": inception_score(judge, held.images),
        "half": bounds.real_score,
        "noise": bounds.noise_score,
        "real_distance": bounds.real_distance,
        "noise_distance": bounds.noise_distance,
    }


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "B26": {
        "score_10000": lambda rows: rows["mnist"]["all"].tolist(),
        "score_5000": lambda rows: rows["mnist"]["half"].tolist(),
    },
}
