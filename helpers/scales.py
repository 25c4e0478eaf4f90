"""The image experiments of Durall et al. 2021 at three scales, for the chapters that share them.

"quick" trains small nets on the digits of scikit-learn, "medium" small nets on 6,000 images of each
real set, "full" as long as the paper does, 180 epochs: of whole sets, and of a quarter of EMNIST.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from helpers.classifiers import Classifier, train_classifier
from helpers.datasets import ImageSet, load
from helpers.image_gans import TrainedGan
from helpers.nugan import OPTIMIZERS, train_epochs


@dataclass(frozen=True)
class Scale:
    """How large an image experiment is."""

    sets: tuple[str, ...]
    images: int  # that the GANs learn from, at most
    epochs: int
    width: int
    latent: int
    batch: int
    hessian_images: int
    score_samples: int
    judge_epochs: int
    seeds: int
    snapshot_epochs: int  # between kept nets
    stages: tuple[int, int, int]  # epochs: early, middle, late
    rate_factor: int = 1  # on the rates of a training at full scale
    judge_images: int = 60_000  # that the judge learns from, at most: EMNIST has 240,000

    @property
    def snapshots(self) -> list[int]:
        """(m,) epochs after which nets are kept, the end included."""
        steps = range(self.snapshot_epochs, self.epochs, self.snapshot_epochs)
        return sorted({*steps, *self.stages, self.epochs})


PAPER_SETS = ("mnist", "kmnist", "fashion-mnist", "emnist")
SCALES = {
    "quick": Scale(("digits",), 700, 4, 4, 16, 50, 16, 300, 10, 1, 1, (1, 2, 4), 10),
    "medium": Scale(PAPER_SETS, 6000, 40, 8, 100, 50, 100, 1000, 5, 2, 2, (2, 20, 40)),
    "full": Scale(PAPER_SETS, 60_000, 180, 16, 100, 512, 200, 2000, 20, 2, 20, (2, 25, 160)),
}


@cache
def images_of(name: str, count: int) -> Tensor:
    """(n, 1, 32, 32) the images that GANs learn from, n at most count, drawn once and for all.

    >>> images_of("digits", 100).shape
    torch.Size([100, 1, 32, 32])
    """
    return _at_most(load(name), count).images


@cache
def judge_of(
    name: str,
    seed: int,
    epochs: int,
    folder: str = "",
    device: torch.device | str = "cpu",
    images: int = 60_000,
) -> Classifier:
    """A LeNet for one set of images, taken up from its checkpoint if the folder holds one.

    >>> judge_of("digits", 0, 1).accuracy > 0.3
    True
    """
    train, test = _at_most(load(name), images), _at_most(load(name, "test"), 10_000)
    return train_classifier(
        train.images,
        train.labels,
        test_images=test.images,
        test_labels=test.labels,
        seed=seed,
        epochs=epochs,
        checkpoint=Path(folder) / f"classifier {name} {seed} {epochs}.pt" if folder else None,
        device=device,
    )


def trained(
    scale: Scale,
    name: str,
    kind: str,
    seed: int,
    folder: str = "",
    device: torch.device | str = "cpu",
) -> TrainedGan:
    """One of `helpers.nugan.OPTIMIZERS` on one set of images, from its checkpoint if there is one.

    Raises:
        KeyError: for an unknown kind.
        ValueError: for an unknown set.
    """
    judge = judge_of(name, 0, scale.judge_epochs, folder, device, scale.judge_images)
    setting = OPTIMIZERS[kind]
    setting = replace(setting, rates=tuple(scale.rate_factor * rate for rate in setting.rates))
    return train_epochs(
        setting,
        images_of(name, scale.images),
        judge,
        scale.epochs,
        seed=seed,
        width=scale.width,
        latent=scale.latent,
        batch=scale.batch,
        hessian_images=scale.hessian_images,
        score_samples=scale.score_samples,
        keep=scale.snapshots,
        checkpoint=Path(folder) / f"a {scale.epochs} {name} {kind} {seed}.pt" if folder else None,
        device=device,
    )


def _at_most(images: ImageSet, count: int) -> ImageSet:
    return images.subset(count, seed=0) if len(images) > count else images
