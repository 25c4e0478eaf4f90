"""LeNets that judge images of digits, as those of Berard et al. 2020 do (Appendix C.2).

The paper's is "a LeNet classifier pretrained on MNIST", and nothing more is said of it. So a run
is one LeNet, scored along its training; how high an inception score can be depends on that.
`helpers.experiments.images` scores all GANs of a data set under one of them.
"""

from __future__ import annotations

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
from helpers.scores import Classifier, inception_score, score_range, train_judge

VERSION = 1
SCORED = 5000  # images, as many as Berard et al. score per generator; at most half the test images
_JUDGE = 0  # the seed of the LeNet under which all GANs of a set are scored
_JUDGES: dict[tuple[Any, ...], Classifier] = {}  # kept for this process: each takes minutes
_DRAW = 0  # the seed of the images that are scored: all judges see the same ones


@dataclass(frozen=True)
class Setting:
    """Which images are learnt."""

    data: str = "mnist"  # a name in `helpers.datasets.NAMES`


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How long a LeNet is trained."""

    epochs: tuple[int, ...]  # epochs after which it is scored, the last of them the end
    stand_in: str = ""  # a set of images in place of the setting's


READINGS = {
    "as printed": Reading(
        Setting(),
        "Appendix C.2 says LeNet and MNIST; Adam at a rate of 0.001 and batches of 128 are ours",
    )
}
ARMS: dict[str, dict[str, str]] = {"mnist": {}}
SIZES = {
    "quick": Size(epochs=(1, 4), stand_in="digits", lacks="56 of 60 epochs, and MNIST"),
    "full": Size(epochs=(1, 5, 20, 60), lacks="nothing that the paper says"),
}
WANTED = [
    Wanted(
        ("as printed",),
        ("mnist",),
        "full",
        range(100, 106),
        "B26; ten minutes a block on one core",
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
    of "noise", and Fréchet distances of reals and noise to the other half.

    >>> tiny = Size(epochs=(1,), stand_in="digits", lacks="nearly all")
    >>> list(measure(Setting(), tiny, seed=0, device="cpu")["course"])
    ['member', 'epochs', 'accuracy', 'all', 'half']
    """
    given = Context(**how)
    own = replace(setting, data=size.stand_in or setting.data)
    held = load(own.data, "test", root=data)
    members, course = [], []
    for member in range(size.members):
        number, place = member_seed(given.seed, member), of_member(given.folder, member)
        for epochs in size.epochs:
            judged = partial(
                _judged,
                own,
                epochs,
                held,
                seed=number,
                device=given.device,
                checkpoint=in_folder(place, "judge.pt"),
                data=data,
                until=given.until,
            )
            path = in_folder(place, f"{epochs} epochs.pt")
            found = kept(judged, path, {"setting": repr(own), "seed": number}, given.until)
            scores = {name: found[name] for name in ("epochs", "accuracy", "all", "half")}
            course.append({"member": member, **scores})
        members.append({"member": member, "official": float(held.official), **found})
    return {"members": DataFrame(members), "course": DataFrame(course)}


def _judged(
    setting: Setting, epochs: int, held: ImageSet, *, seed: int, **options: Any
) -> dict[str, float]:
    """What a LeNet says of test images after some epochs."""
    judge = train(setting, epochs, seed=seed, **options)
    bounds = score_range(judge, held.images, n=scored(held), seed=_DRAW)
    return {
        "epochs": epochs,
        "accuracy": judge.accuracy,
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
