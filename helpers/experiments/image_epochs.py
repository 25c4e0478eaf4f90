"""The image experiments of Durall et al. 2021: NSGAN, NuGAN, and what they did epoch by epoch.

The paper leaves nets, rates, batch, k, data of the Hessians and the judge open; what is chosen here
is a DCGAN without norm in D, Adam at 2e-4 with betas (0.5, 0.999), and k = 5.

Chapters run them at one of three scales.
"quick" trains small nets on the digits of scikit-learn, "medium" small nets on 6,000 images of each
real set, "full" as long as the paper does, 180 epochs: of whole sets, and of a quarter of EMNIST.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.datasets import ImageSet, load
from helpers.experiments.image_training import (
    Setting,
    TrainedGan,
    samples,
    standard_normal,
    train_images,
)
from helpers.games.networks import joint_point, network_game
from helpers.models import Players
from helpers.operators import hessian
from helpers.scores.classifiers import Classifier, train_judge
from helpers.scores.metrics import class_counts, class_entropy, inception_score, modes
from helpers.spectra import top_eigenpairs
from helpers.training.nudging import Nudging
from helpers.training.train import Recording

NSGAN = Setting("js", method="adam", rates=(2e-4, 2e-4), beta=0.5, normed=False)
# The first two are compared on every set; the others are what the paper may have meant instead.
OPTIMIZERS = {
    "NSGAN": NSGAN,
    "NuGAN": replace(NSGAN, nudging=Nudging()),
    "NuGAN (step)": replace(NSGAN, nudging=Nudging(project="step")),
    "NuGAN, k 1": replace(NSGAN, nudging=Nudging(k=1)),
    "NuGAN, G only": replace(NSGAN, nudging=Nudging(players="G")),
    "NuGAN, D only": replace(NSGAN, nudging=Nudging(players="D")),
    "NuGAN, every 500": replace(NSGAN, nudging=Nudging(every=500)),
    "NuGAN (step), every 500": replace(NSGAN, nudging=Nudging(project="step", every=500)),
    "NuGAN, k 2, every 500": replace(NSGAN, nudging=Nudging(k=2, every=500)),
    "NuGAN (step), G only": replace(NSGAN, nudging=Nudging(project="step", players="G")),
}


@dataclass(frozen=True)
class EpochWatch:
    """What is recorded once an epoch: a score, and the ends of both players' spectra.

    "score", "entropy" and "modes" of samples under a judge; "top_g" and "top_d" (k,) the leading
    eigenvalues of the own Hessians, "low_g" and "low_d" the lowest ones, "slope_g" the norm of G's
    gradient, on fixed data. Nothing is carried from one epoch to the next, so that a training that
    was cut off records what an uncut one does.

    Args:
        judge: a classifier.
        reals: the images that losses are taken on; as many latents.
        latent: dimension of a latent.
        score_samples: samples to score.
        k: leading eigenvalues.
        loss: a name of `helpers.losses.LOSSES`.
        seed: of the latents, and of the vectors that searches begin with.
        tolerance: of the residuals, relative to the eigenvalues.
    """

    judge: Classifier
    reals: Tensor = field(repr=False)
    latent: int
    score_samples: int
    k: int = 5
    loss: str = "js"
    seed: int = 0
    tolerance: float = 0.05

    def __call__(self, players: Players) -> dict[str, float | NDArray[np.float64]]:
        latents = standard_normal(self.score_samples, self.latent, seed=self.seed + 1)
        images = samples(players.generator, latents).to(self.reals.device)
        counts = class_counts(self.judge, images)
        record: dict[str, float | NDArray[np.float64]] = {
            "score": inception_score(self.judge, images),
            "entropy": class_entropy(counts),
            "modes": float(modes(counts)),
        }
        latents = standard_normal(len(self.reals), self.latent, seed=self.seed).to(self.reals)
        game = network_game(*players, latents, self.reals, loss=self.loss)
        point = joint_point(*players)
        options: dict[str, Any] = {"seed": self.seed, "tolerance": self.tolerance}
        for player in "GD":
            operator = hessian(game, player, point, route="retained")
            record[f"top_{player.lower()}"] = top_eigenpairs(operator, self.k, **options).values
            record[f"low_{player.lower()}"] = top_eigenpairs(operator, 1, "SA", **options).values[0]
        record["slope_g"] = float(game.gradient("G", point).norm())
        return record


def train_epochs(
    setting: Setting,
    reals: Tensor,
    judge: Classifier,
    epochs: int,
    *,
    seed: int,
    width: int = 64,
    latent: int = 100,
    batch: int = 128,
    hessian_images: int = 1024,
    score_samples: int = 5000,
    k: int = 5,
    keep: Collection[int] = (),
    checkpoint: Path | str | None = None,
    device: torch.device | str = "cpu",
) -> TrainedGan:
    """Train one of `OPTIMIZERS`, with an `EpochWatch` at the end of every epoch.

    Args:
        setting: what to train.
        reals: (n, channels, 32, 32) in [-1, 1].
        judge: of the samples.
        epochs: each of n // batch passes.
        seed: of weights, batches, and all that the watch draws.
        width, latent, batch, device: as for `helpers.experiments.image_training.train_images`.
        hessian_images: how many, the first ones, Hessians are taken on, of nudging and the watch.
        score_samples, k: as for `EpochWatch`.
        keep: epochs after which both networks are kept; the start and the end always are.
        checkpoint: a file that the state is kept in after each epoch; a watch of other sizes needs
            a file of its own.

    Raises:
        ValueError, Diverged: as `train_images`.
        FloatingPointError, NotConverged: if a search of the watch fails.

    >>> from helpers.models import lenet
    >>> blank, noise = Classifier(lenet(seed=0), 0.1), torch.rand(10, 1, 32, 32) * 2 - 1
    >>> sizes = {"width": 2, "latent": 4, "batch": 5, "hessian_images": 6, "score_samples": 4}
    >>> gan = train_epochs(OPTIMIZERS["NuGAN"], noise, blank, 2, seed=0, **sizes)
    >>> gan.run.records["top_d"].shape
    (2, 5)
    """
    passes = len(reals) // batch
    fixed = reals[:hessian_images].to(device)
    watch = EpochWatch(judge, fixed, latent, score_samples, k, setting.loss, seed)
    return train_images(
        setting,
        reals,
        epochs * passes,
        seed=seed,
        width=width,
        latent=latent,
        batch=batch,
        hessian_images=hessian_images,
        recording=Recording(
            every=passes,
            observe=watch,
            snapshots={epoch * passes for epoch in keep},
            checkpoint=checkpoint,
            save_every=passes,
        ),
        device=device,
    )


def columns(records: Mapping[str, NDArray[Any]]) -> dict[str, list[float]]:
    """What an `EpochWatch` recorded, as a table: an epoch a row, "top_g 0" and so on by rank.

    >>> columns({"score": np.ones(2), "top_g": np.array([[3.0, 1.0], [4.0, 2.0]])})
    {'epoch': [1, 2], 'score': [1.0, 1.0], 'top_g 0': [3.0, 4.0], 'top_g 1': [1.0, 2.0]}
    """
    table: dict[str, list[float]] = {"epoch": list(range(1, len(records["score"]) + 1))}
    for name, values in records.items():
        if values.ndim == 1:
            table[name] = values.tolist()
        else:
            table |= {f"{name} {k}": column.tolist() for k, column in enumerate(values.T)}
    return table


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
    return train_judge(
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
    """One of `helpers.experiments.image_epochs.OPTIMIZERS` on one set of images, from its
    checkpoint if there is one.

    Raises:
        KeyError: for an unknown kind.
        ValueError: for an unknown set.
    """
    judge = judge_of(name, 0, scale.judge_epochs, folder, device, scale.judge_images)
    setting = OPTIMIZERS[kind]
    rate_g, rate_d = (scale.rate_factor * rate for rate in setting.rates)
    setting = replace(setting, rates=(rate_g, rate_d))
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
