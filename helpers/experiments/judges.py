"""LeNets that judge images of digits, as those of Berard et al. 2020 do (Appendix C.2).

The paper's is "a LeNet classifier pretrained on MNIST", and nothing more is said of it. So a run
is one LeNet, scored along its training: how high an inception score can be depends on that.
`helpers.experiments.images` scores all GANs of a data set under one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pandas import DataFrame

from helpers.datasets import ImageSet, load
from helpers.experiments import protocol
from helpers.experiments.parts import kept
from helpers.experiments.protocol import Measured, Quantity, Reading, Until, Wanted
from helpers.scores import Classifier, inception_score, score_range, train_judge

VERSION = 1
SCORED = 5000  # images, as many as Berard et al. score of a generator; half the test images at most
_DRAW = 0  # the seed of the images that are scored: all judges see the same ones


@dataclass(frozen=True)
class Setting:
    """Whose images are learnt."""

    data: str = "mnist"  # a name of `helpers.datasets.NAMES`


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How long a LeNet is trained."""

    epochs: tuple[int, ...]  # after which it is scored, the last one the end
    stand_in: str = ""  # the set that is learnt in place of the setting's


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
) -> Classifier:
    """A LeNet after some epochs, with its accuracy on the test images.

    Args:
        setting: what it learns.
        epochs: passes over the images.
        seed: of its weights and the order of the images.
        device, checkpoint, until: as `helpers.scores.train_judge`.
        data: folder of data sets, as `helpers.datasets.load`.

    Raises:
        Paused: once `until` says so.

    >>> train(Setting("digits"), 1, seed=0).accuracy > 0.3
    True
    """
    images, held = (load(setting.data, split, root=data) for split in ("train", "test"))
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


def measure(
    setting: Setting,
    size: Size,
    *,
    seed: int,
    device: torch.device | str,
    folder: Path | None = None,
    data: Path | str | None = None,
    until: Until | None = None,
) -> Measured:
    """Score the test images under LeNets along their training.

    The frame "course" has accuracy and inception scores, of "all" test images and of "half" of
    them, after each of `size.epochs`; "members" has the last of these, the score of as many images
    of "noise", and Fréchet distances of reals and noise to the other half.

    Raises:
        Paused: once `until` says so.

    >>> tiny = Size(epochs=(1,), stand_in="digits", lacks="nearly all")
    >>> list(measure(Setting(), tiny, seed=0, device="cpu")["course"])
    ['member', 'epochs', 'accuracy', 'all', 'half']
    """
    own = replace(setting, data=size.stand_in or setting.data)
    held = load(own.data, "test", root=data)
    members, course = [], []
    for member in range(size.members):
        number = 100_000 * seed + member
        place = None if folder is None else folder / f"member-{member}"
        if place is not None:
            place.mkdir(parents=True, exist_ok=True)
        for epochs in size.epochs:
            judged = partial(
                _judged,
                own,
                epochs,
                held,
                seed=number,
                device=device,
                checkpoint=None if place is None else place / "judge.pt",
                data=data,
                until=until,
            )
            path = None if place is None else place / f"{epochs} epochs.pt"
            found = kept(judged, path, {"setting": repr(own), "seed": number}, until)
            scores = {name: found[name] for name in ("epochs", "accuracy", "all", "half")}
            course.append({"member": member, **scores})
        members.append({"member": member, "official": float(held.official), **found})
    return {"members": DataFrame(members), "course": DataFrame(course)}


def _judged(
    setting: Setting, epochs: int, held: ImageSet, *, seed: int, **options: Any
) -> dict[str, float]:
    """What a LeNet says of test images after some epochs."""
    judge = train(setting, epochs, seed=seed, **options)
    scored = min(SCORED, len(held) // 2)
    bounds = score_range(judge, held.images, n=scored, seed=_DRAW)
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
