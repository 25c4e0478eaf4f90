"""Training the narrow nets of Sun et al. 2020 on images (Section 6, Table 2), as released.

The text has no details; nets, rates and schedule are those of the released rsgan.py, vanillaGAN.py
and scripts.txt. An iteration is a step of G and then some steps of D, each on a batch of its own.
Three details differ, by one step each. The released average starts from the weights before the
first step, not after it. The released rates end just below zero, not at it. And they fall once in
an iteration, not with each of D's steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import Tensor, nn
from typing_extensions import Unpack

from helpers.datasets import ImageSet, load
from helpers.experiments.ensembles import member_seed
from helpers.experiments.image_training import samples, standard_normal
from helpers.experiments.narrow_setting import Setting, Size
from helpers.experiments.narrow_watch import (
    LATENT,
    MakeOptimizer,
    Player,
    Watch,
    coloured,
    course_of,
    judge_for,
    read,
)
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How
from helpers.experiments.setting import optimizers_for
from helpers.losses.table import find_loss
from helpers.models import Players
from helpers.scores.classifiers import Classifier
from helpers.scores.samples import label_of
from helpers.training.data import EpochBatches
from helpers.training.schedules import falling
from helpers.training.single import TrainingResult
from helpers.training.train import train as train_players
from helpers.training.turns import Turns

_DRAW = 0  # the seed of the images that are scored, and of those that are looked at
# Few pictures of LSUN are for testing, and those of STL-10 are of fewer kinds than those without
# labels. As released, samples are scored beside images to train on there.
_SCORED_BESIDE_TRAINING = ("stl10-unlabeled", "lsun-church", "lsun-tower")


@dataclass(frozen=True, eq=False)
class Trained:
    """A GAN after training, and what it was scored against."""

    run: TrainingResult
    setting: Setting
    size: Size
    looked: Tensor  # (n, 3, side, side) images, of those that it learnt from, to look at its end
    judge: Classifier
    held: ImageSet  # that samples are scored beside
    average: nn.Module  # G with the running average of its weights
    seed: int

    def course(self) -> dict[str, np.ndarray]:
        """What `Watch` has scored, by name, with the "iteration"."""
        return course_of(self.run, self.size)

    def drawn(self, count: int) -> Tensor:
        """(count, 3, side, side) samples of the last G, from the same latents for a seed."""
        latents = standard_normal(count, LATENT, seed=self.seed)
        return samples(self.run.players.generator, latents)

    @property
    def label(self) -> str:
        """What the scores were taken with."""
        none = self.held.images[:1].expand(self.size.samples, -1, -1, -1)
        return label_of(self.judge, self.held, none)


def train(
    setting: Setting,
    size: Size,
    *,
    member: int = 0,
    data: Path | str | None = None,
    **how: Unpack[How],
) -> Trained:
    """Train one member of a block, and score its samples along the way.

    Args:
        setting, size: what, and how much.
        member: the member's number.
        data: folder of data sets, as for `helpers.datasets.load`.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        ValueError, Diverged, Paused: as `helpers.training.train`.
        ValueError: for a setting whose judge is not the one that the package ships.
        FileNotFoundError: if images or the judge's weights are missing.

    >>> tiny = Size(iterations=2, every=1, earlier=1, samples=9, batch=5, narrower=16, lacks="most",
    ...     judge_epochs=1, stand_in="digits")
    >>> train(Setting(), tiny, seed=0).course()["iteration"].tolist()
    [1, 2]
    """
    given = Context(**how)
    number = member_seed(given.seed, member)
    name = size.stand_in or setting.data
    judge = judge_for(setting, size, device=given.device, folder=given.folder, data=data)
    most = None if size.stand_in else setting.most
    images = loaded(name, "train", data, size=setting.side, most=most)
    held = images
    if name not in _SCORED_BESIDE_TRAINING:
        held = loaded(name, "test", data, size=setting.side)
    # A set may be stored class by class: what is scored or looked at is drawn, once and for all.
    held = held.subset(min(2 * size.samples, len(held)), seed=_DRAW)
    looked = images.subset(min(size.looked, len(images)), seed=_DRAW)
    features, _ = read(judge, coloured(held.images).to(given.device))
    make_g, make_d = schedules(setting.hurried(size.faster), size.iterations)
    player = Player(make_g, size.decay)
    run = train_players(
        narrowed_nets(setting, size.narrower, seed=number),
        EpochBatches(
            coloured(images.images),
            latent=LATENT,
            size=size.batch,
            noise=setting.noise,
            seed=number,
        ),
        loss=find_loss(setting.loss),
        optimizer=(player, make_d),
        iterations=size.iterations,
        turns=Turns(setting.critics, first="G"),
        penalty=setting.penalty,
        recording=given.recording(
            every=size.every,
            observe=Watch(judge, features, size, player, number),
            snapshots={0, size.iterations},
        ),
        device=given.device,
    )
    average = player.average(run.players.generator)
    return Trained(run, setting, size, coloured(looked.images), judge, held, average, number)


@lru_cache(maxsize=2)
def loaded(
    name: str,
    split: str,
    data: Path | str | None = None,
    *,
    size: int = 32,
    most: int | None = None,
) -> ImageSet:
    """`helpers.datasets.load`, kept for the next member: reading 50,000 pictures takes a while.

    >>> loaded("digits", "test").split
    'test'
    """
    return load(name, split, size=size, root=data, most=most)


def schedules(setting: Setting, iterations: int) -> tuple[MakeOptimizer, MakeOptimizer]:
    """G's and D's optimisers, with rates that fall over the second half if the setting says so.

    >>> import torch
    >>> make_g, make_d = schedules(Setting(critics=5), 100)
    >>> make_d([torch.zeros(1, requires_grad=True)]).param_groups[0]["falls"]
    [248, 498]
    """
    make_g: MakeOptimizer
    make_d: MakeOptimizer
    make_g, make_d = optimizers_for(setting)
    if not setting.falls:
        return make_g, make_d
    begin, end = iterations // 2, iterations
    of_d = setting.critics
    return falling_maker(make_g, begin, end), falling_maker(make_d, begin * of_d, end * of_d)


def falling_maker(make: MakeOptimizer, begin: int, end: int) -> MakeOptimizer:
    """An optimiser whose rates reach zero when those of the release do.

    There the first smaller rate is that of step `begin`, counted from 1, and the last one is
    already below zero, by one part in `end - begin`; here it is zero.

    >>> import torch
    >>> weight = torch.zeros(1, requires_grad=True)
    >>> adam = falling_maker(lambda w: torch.optim.Adam(w, lr=1.0), 50, 100)([weight])
    >>> adam.param_groups[0]["falls"]
    [48, 98]
    """
    first = max(begin - 2, 0)
    return lambda weights: falling(make(weights), first, max(end - 2, first + 1))


def narrowed_nets(setting: Setting, narrower: int, *, seed: int) -> Players:
    """The setting's nets, with all numbers of channels divided once more.

    >>> narrowed_nets(Setting(narrow=4), 2, seed=0).generator[0].out_features
    1024
    """
    return replace(setting, narrow=setting.narrow * narrower).players(seed=seed)
