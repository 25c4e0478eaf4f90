"""Image GANs epoch by epoch (Durall et al. 2021): what is trained, and what is recorded of it.

The paper leaves nets, rates, batch, data of the Hessians and the judge open. Unless a setting says
otherwise, we choose a DCGAN without norm in D, Adam at 2e-4 with betas (0.5, 0.999), and a LeNet
for each set of images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pandas import DataFrame
from torch import Tensor
from typing_extensions import Unpack

from helpers.datasets import load
from helpers.experiments import image_training, judges, protocol
from helpers.experiments.image_training import TrainedGan, samples, standard_normal, train_nets
from helpers.experiments.judges import at_most
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How
from helpers.games.game import Game
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.inputs import one_of
from helpers.models import Players, dcgan, dense_image_nets
from helpers.operators import hessian
from helpers.scores.classifiers import Classifier
from helpers.scores.metrics import (
    ScoreRange,
    class_counts,
    class_entropy,
    inception_score,
    modes,
    score_range,
)
from helpers.spectra import top_eigenpairs
from helpers.training.data import EpochBatches

TOP = 5  # leading eigenvalues of each player, after every epoch
_TOLERANCE = 0.05  # tolerance of their residuals, relative to each eigenvalue
_TESTED = 10_000  # images that the judge is tested on, at most


@dataclass(frozen=True, kw_only=True)
class Setting(image_training.Setting):
    """One of the trainings, apart from its length and size.

    >>> Setting(data="kmnist").nudging is None
    True
    """

    data: str = "mnist"  # a name in `helpers.datasets.NAMES`
    method: str = "adam"
    rates: tuple[float, float] = (2e-4, 2e-4)
    beta: float = 0.5
    normed: bool = False
    nets: str = "dcgan"  # or "dense", fully connected
    batch_norm: str = ""  # the players that get batch norm, of those without it by default

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("nets", self.nets, ("dcgan", "dense"))
        one_of("batch_norm", self.batch_norm, ("", "D") if self.nets == "dcgan" else ("", "G"))

    @property
    def judging(self) -> Judging:
        """D judges reals and samples as one batch; with batch norm it gets one of each."""
        return Judging(joint_batch="D" not in self.batch_norm)

    def players(self, latent: int, width: int, *, seed: int) -> Players:
        """Both nets before training; width is the DCGAN's, an eighth of the fully connected ones'.

        >>> Setting(nets="dense").players(100, 16, seed=0).generator[0].out_features
        128
        """
        if self.nets == "dense":
            batch_normed = self.batch_norm == "G"
            return dense_image_nets(
                seed=seed, latent=latent, width=8 * width, batch_normed=batch_normed
            )
        batch_normed = self.batch_norm == "D"
        return dcgan(
            seed=seed, latent=latent, width=width, normed=self.normed, batch_normed=batch_normed
        )


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How large a training is, and how closely it is looked at. A block is one GAN."""

    images: int  # images that the GAN learns from, at most
    epochs: int
    width: int
    batch: int
    hessian_images: int  # the first ones, on which Hessians are taken, for nudging and for records
    score_samples: int
    judge_epochs: int
    stages: tuple[int, int, int]  # epochs: early, middle, late
    keep_every: int  # epochs between kept nets
    latent: int = 100
    judge_images: int = 60_000  # images that the judge learns from, at most: EMNIST has 240,000
    rate_factor: float = 1.0  # factor on the rates of both players
    probes: int = 3  # for a density of eigenvalues
    steps: int = 50  # Lanczos steps per probe
    stand_in: str = ""  # a set of images in place of the setting's

    @property
    def kept(self) -> list[int]:
        """(m,) epochs after which nets are kept, the start and the end included."""
        steps = range(0, self.epochs, self.keep_every)
        return sorted({*steps, *self.stages, self.epochs})


@dataclass(frozen=True)
class EpochWatch:
    """What is recorded once an epoch: a score, and the ends of both players' spectra.

    "score", "entropy" and "modes" of samples under a judge, and the "counts" (10,) of each class;
    "top_g" and "top_d" (5,) the leading eigenvalues of each player's own Hessian, "low_g" and
    "low_d" the lowest ones, "slope_g" the norm of G's gradient, "value_g" and "value_d" the losses,
    on fixed data; "norm_g" and "norm_d" the norms of the weights. Nothing is carried from one epoch
    to the next, so an interrupted training records the same as an uninterrupted one.

    Args:
        judge: a classifier.
        reals: the images on which losses are taken, with as many latents.
        setting: of the training; its loss is used.
        latent: dimension of a latent.
        score_samples: samples to score.
        seed: of the latents, and of the vectors that searches begin with.
    """

    judge: Classifier
    reals: Tensor = field(repr=False)
    setting: image_training.Setting
    latent: int
    score_samples: int
    seed: int = 0

    def __call__(self, players: Players) -> dict[str, float | NDArray[np.float64]]:
        setting = self.setting
        latents = standard_normal(self.score_samples, self.latent, seed=self.seed + 1)
        drawn = samples(players.generator, latents).to(self.reals.device)
        counts = class_counts(self.judge, drawn)
        record: dict[str, float | NDArray[np.float64]] = {
            "score": inception_score(self.judge, drawn),
            "entropy": class_entropy(counts),
            "modes": float(modes(counts)),
            "counts": np.asarray(counts, dtype=float),
        }
        latents = standard_normal(len(self.reals), self.latent, seed=self.seed).to(self.reals)
        game = network_game(
            *players, latents, self.reals, loss=setting.loss, penalty=setting.penalty
        )
        point = joint_point(*players)
        options: dict[str, Any] = {"seed": self.seed, "tolerance": _TOLERANCE}
        for player in "GD":
            operator = hessian(game, player, point, route="retained")
            record[f"top_{player.lower()}"] = top_eigenpairs(operator, TOP, **options).values
            record[f"low_{player.lower()}"] = top_eigenpairs(operator, 1, "SA", **options).values[0]
        record["slope_g"] = float(game.gradient("G", point).norm())
        for player, value, weights in zip("gd", game.losses(point), game.split(point), strict=True):
            record |= {f"value_{player}": float(value), f"norm_{player}": float(weights.norm())}
        return record


@dataclass(frozen=True, eq=False)
class Trained:
    """A GAN after training, with the images and the judge that it was watched with."""

    gan: TrainedGan
    size: Size
    reals: Tensor  # (n, 1, 32, 32) images for Hessians, on the device of the training
    passes: int  # per epoch
    judge: Classifier
    range: ScoreRange  # the scores of real images and of noise under the judge
    seed: int

    def point(self, epoch: int) -> Tensor:
        """(p + q,) weights after a kept epoch."""
        return self.gan.point(epoch * self.passes).to(self.reals.device)

    def game(self, epoch: int) -> Game:
        """The game on the fixed images, with the buffers that the nets had after a kept epoch."""
        return self.gan.game(epoch * self.passes, self.reals, seed=self.seed)

    def course(self) -> DataFrame:
        """A row per epoch of what `EpochWatch` records; "top_g 0" is G's largest eigenvalue."""
        records = self.gan.run.records
        columns: dict[str, Any] = {"epoch": range(1, len(records["score"]) + 1)}
        for name, values in records.items():
            if name.startswith("loss"):  # only that of an epoch's last pass
                continue
            if values.ndim == 1:
                columns[name] = values
            else:
                columns |= {f"{name} {rank}": column for rank, column in enumerate(values.T)}
        return DataFrame(columns)


def train(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Trained:
    """Train a judge and the GAN of a block, with an `EpochWatch` at the end of every epoch.

    Args:
        setting, size: what to train, and how long.
        data: the folder of the sets of images, as for `helpers.datasets.load`.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        ValueError, Diverged, Paused: as `helpers.training.train`.
        FileNotFoundError: if images are missing.
        FloatingPointError, NotConverged: if a search of the watch fails.

    >>> from dataclasses import replace
    >>> from helpers.experiments.image_epochs import SIZES
    >>> tiny = replace(SIZES["quick"], images=50, epochs=1, stages=(1, 1, 1), judge_epochs=1)
    >>> train(Setting(), tiny, seed=0).course()["epoch"].tolist()
    [1]
    """
    given = Context(**how)
    name = size.stand_in or setting.data
    reals = images_of(name, size.images, data)
    judge = judge_of(name, size, device=given.device, folder=given.folder, data=data)
    held = at_most(load(name, "test", root=data), 2 * size.score_samples).images
    few = len(held) // 2
    found = score_range(judge, held.to(given.device), n=min(size.score_samples, few))
    gan = train_epochs(setting, size, reals, judge, **how)
    fixed, passes = reals[: size.hessian_images].to(given.device), len(reals) // size.batch
    return Trained(gan, size, fixed, passes, judge, found, given.seed)


def train_epochs(
    setting: Setting, size: Size, reals: Tensor, judge: Classifier, **how: Unpack[How]
) -> TrainedGan:
    """Train the GAN of a setting on given images, watched by a given judge; see `train`.

    The checkpoint is written after each epoch. A watch of other sizes needs a folder of its own.

    Args:
        setting, size: as for `train`.
        reals: (n, channels, 32, 32) in [-1, 1], in epochs of n // batch passes.
        judge: of the samples.
        how: as `helpers.experiments.protocol.How` says.
    """
    given = Context(**how)
    seed, latent, passes = given.seed, size.latent, len(reals) // size.batch
    fixed, setting = reals[: size.hessian_images], setting.hurried(size.rate_factor)
    watch = EpochWatch(
        judge, fixed.to(given.device), setting, latent, size.score_samples, given.seed
    )
    return train_nets(
        setting,
        setting.players(latent, size.width, seed=seed),
        EpochBatches(reals, latent=latent, size=size.batch, seed=seed),
        size.epochs * passes,
        fixed=fixed,
        recording=given.recording(
            every=passes,
            observe=watch,
            snapshots={epoch * passes for epoch in size.kept},
            save_every=passes,
        ),
        device=given.device,
    )


@cache
def images_of(name: str, count: int, data: Path | str | None = None) -> Tensor:
    """(n, 1, 32, 32) the images that GANs learn from, n at most `count`, drawn once and for all.

    >>> images_of("digits", 100).shape
    torch.Size([100, 1, 32, 32])
    """
    return at_most(load(name, root=data), count).images


def judge_of(
    name: str,
    size: Size,
    *,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    data: Path | str | None = None,
) -> Classifier:
    """The LeNet of one set of images for all runs of a size; see `helpers.experiments.judges`."""
    return judges.judge_of(
        name,
        size.judge_epochs,
        device=device,
        folder=folder,
        data=data,
        most=(size.judge_images, _TESTED),
    )
