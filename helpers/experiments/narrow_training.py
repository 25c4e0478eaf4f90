"""Training the narrow nets of Sun et al. 2020 on images (Section 6, Table 2), as released.

The text has no details; nets, rates and schedule are those of the released rsgan.py, vanillaGAN.py
and scripts.txt. An iteration is some steps of D and then one of G, which takes the samples of D's
last step. (In the release G goes first, on a batch of its own, and the noise on real images is
drawn again at each visit; here it is drawn once per image.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from helpers.datasets import ImageSet, load
from helpers.experiments import judges, protocol
from helpers.experiments.ensembles import member_seed
from helpers.experiments.image_training import samples, standard_normal
from helpers.experiments.judges import at_most
from helpers.experiments.parts import in_folder
from helpers.experiments.protocol import Until
from helpers.experiments.setting import TrainingSetting, optimizers_for
from helpers.inputs import one_of
from helpers.losses.table import find_loss
from helpers.models import Players, sn_cnn, sn_resnet
from helpers.scores.classifiers import Classifier
from helpers.scores.metrics import distance_of_features, score_of_logits
from helpers.training.recording import Recording
from helpers.training.schedules import averaged, averaging, falling
from helpers.training.single import TrainingResult
from helpers.training.train import train as train_players

MakeOptimizer = Callable[[Any], Optimizer]
LATENT = 128
NETS = ("cnn", "resnet")
_LAST = 10  # scored nets over which a run's numbers are averaged


@dataclass(frozen=True, kw_only=True)
class Setting(TrainingSetting):
    """One of the trainings, apart from its length.

    Raises:
        ValueError: as in `TrainingSetting`, for unknown nets, and for a bottleneck in the CNN.

    >>> Setting(narrow=4).players(seed=0).generator[0].out_features
    2048
    """

    METHODS = ("adam",)

    data: str = "cifar10"  # a name in `helpers.datasets.NAMES`
    nets: str = "cnn"  # or "resnet"
    narrow: int = 1  # divides all numbers of channels
    bottleneck: bool = False  # of the ResNet's blocks
    normed: bool = True  # spectral norm in D
    rates: tuple[float, float] = (5e-4, 2e-4)
    beta: float = 0.5
    critics: int = 1  # steps of D for one of G
    noise: float = 1 / 128  # width of the uniform noise on real images
    falls: bool = True  # whether rates fall linearly to zero over the second half

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("nets", self.nets, NETS)
        if self.nets == "cnn" and self.bottleneck:
            raise ValueError("bottleneck is of the ResNet's blocks, got nets='cnn' with one")
        if self.nets == "resnet" and not self.normed:
            raise ValueError("the ResNet has spectral norm in D, got normed=False")

    def players(self, *, seed: int) -> Players:
        """Both nets before training, for images of 32 x 32 pixels in three colours."""
        if self.nets == "cnn":
            return sn_cnn(seed=seed, narrow=self.narrow, normed=self.normed)
        return sn_resnet(seed=seed, narrow=self.narrow, bottleneck=self.bottleneck)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How long a training is, and how closely its samples are looked at."""

    iterations: int
    every: int  # iterations between the scored nets at the end
    earlier: int  # and before them, a multiple of `every`
    samples: int  # of a net, to score
    batch: int = 64
    looked: int = 200  # images on which the end point is analysed
    narrower: int = 1  # divides the setting's channels once more
    judge_epochs: int = 20
    stand_in: str = ""  # a set of images in place of the setting's
    faster: float = 1.0  # factor on the setting's rates

    @property
    def decay(self) -> float:
        """Of the running average of G's weights: the release's 0.9999 at 100,000 iterations."""
        return 1 - 10 / max(self.iterations, 11)

    @property
    def scored(self) -> list[int]:
        """(k,) iterations after which nets are scored; over the last ten a run is averaged.

        >>> Size(iterations=100, every=5, earlier=20, samples=9, lacks="most").scored[:3]
        [20, 40, 55]
        """
        last = {self.iterations - self.every * back for back in range(_LAST)}
        return sorted(
            {i for i in last if i > 0} | set(range(self.earlier, min(last), self.earlier))
        )


class Player:
    """What makes G's optimiser, and keeps hold of it, so that its average can be scored."""

    def __init__(self, make: MakeOptimizer, decay: float) -> None:
        self.make, self.decay = make, decay
        self.optimizer: Optimizer | None = None

    def __call__(self, weights: Any) -> Optimizer:
        """The optimiser, with a running average of the weights."""
        self.optimizer = averaging(self.make(weights), self.decay)
        return self.optimizer

    @property
    def steps(self) -> int:
        """How many steps it has taken."""
        assert self.optimizer is not None  # the training has begun
        states = self.optimizer.state.values()
        return max((int(state["step"]) for state in states if "step" in state), default=0)


@dataclass(frozen=True)
class Watch:
    """What is recorded of a training: scores of G's samples and of its average's.

    "frechet" is the distance to test images in the features of a judge, "score" the inception
    score, "average_frechet" and "average_score" those of the averaged G; NaN after iterations that
    are not scored.

    Args:
        judge: a classifier.
        reals: (n, d) features of test images.
        size: of the training.
        player: G's.
        seed: of the latents.
    """

    judge: Classifier
    reals: Tensor = field(repr=False)
    size: Size
    player: Player = field(compare=False, repr=False)
    seed: int = 0

    def __call__(self, players: Players) -> dict[str, float]:
        names = ("frechet", "score", "average_frechet", "average_score")
        if self.player.steps not in self.size.scored:
            return dict.fromkeys(names, float("nan"))
        latents = standard_normal(self.size.samples, LATENT, seed=self.seed)
        assert self.player.optimizer is not None
        found: list[float] = []
        for net in (players.generator, averaged(players.generator, self.player.optimizer)):
            features, logits = read(self.judge, samples(net, latents))
            found += [distance_of_features(self.reals, features), score_of_logits(logits)]
        return dict(zip(names, found, strict=True))


def read(judge: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features (n, d) and logits (n, classes) of images, which a grey judge sees in grey.

    >>> from helpers.models import lenet
    >>> blank = Classifier(lenet(seed=0), accuracy=0.1)
    >>> [each.shape[1] for each in read(blank, torch.zeros(2, 3, 32, 32))]
    [84, 10]
    """
    wanted = next(judge.net.parameters()).shape[1]
    if wanted == 1 and images.shape[1] > 1:
        images = images.mean(dim=1, keepdim=True)
    features = judge.features(images)
    last = judge.net[-1]
    return features, last(features.to(next(last.parameters()))).to(features)


@dataclass(frozen=True, eq=False)
class Trained:
    """A GAN after training, and what it was scored against."""

    run: TrainingResult
    setting: Setting
    size: Size
    reals: Tensor  # (n, 3, 32, 32) images that it learnt from, with noise
    judge: Classifier
    held: ImageSet
    average: nn.Module  # G with the running average of its weights
    seed: int

    def course(self) -> dict[str, np.ndarray]:
        """What `Watch` has scored, by name, with the "iteration"."""
        scored = np.isin(self.run.iterations, self.size.scored)
        found = {name: values[scored] for name, values in self.run.records.items()}
        return {"iteration": self.run.iterations[scored], **found}


def train(
    setting: Setting,
    size: Size,
    *,
    seed: int,
    member: int = 0,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    data: Path | str | None = None,
    until: Until | None = None,
) -> Trained:
    """Train one member of a block, and score its samples along the way.

    Args:
        setting, size, seed: what, how much, and the block.
        member: the member's number.
        device: where to train.
        folder: for its checkpoint; without it none is written.
        data: folder of data sets, as for `helpers.datasets.load`.
        until: as in `helpers.training.Recording`.

    Raises:
        ValueError, Diverged, Paused: as `helpers.training.train`.
        FileNotFoundError: if images are missing.

    >>> tiny = Size(iterations=2, every=1, earlier=1, samples=9, batch=5, narrower=16, lacks="most",
    ...     judge_epochs=1, stand_in="digits")
    >>> train(Setting(), tiny, seed=0).course()["iteration"].tolist()
    [1, 2]
    """
    number = member_seed(seed, member)
    setting = setting.hurried(size.faster)
    name = size.stand_in or setting.data
    judge = judges.judge_of(name, size.judge_epochs, device=device, folder=folder, data=data)
    held = at_most(load(name, "test", root=data), 2 * size.samples)
    reals = noisy(coloured(load(name, root=data).images), setting.noise, seed=number)
    make_g: MakeOptimizer
    make_d: MakeOptimizer
    make_g, make_d = optimizers_for(setting)
    begin, end = size.iterations // 2, size.iterations
    if setting.falls:
        make_g = falling_maker(make_g, begin, end)
        make_d = falling_maker(make_d, begin * setting.critics, end * setting.critics)
    player = Player(make_g, size.decay)
    features, _ = read(judge, coloured(held.images).to(device))
    narrowed = narrowed_nets(setting, size.narrower, seed=number)
    run = train_players(
        narrowed,
        reals,
        latent=LATENT,
        loss=find_loss(setting.loss),
        optimizer=(player, make_d),
        iterations=size.iterations,
        batch_by_epochs=size.batch,
        steps=(setting.critics, 1),
        penalty=setting.penalty,
        seed=number,
        recording=Recording(
            every=size.every,
            observe=Watch(judge, features, size, player, number),
            snapshots={0, size.iterations},
            checkpoint=in_folder(folder),
            until=until,
        ),
        device=device,
    )
    assert player.optimizer is not None
    average = averaged(run.players.generator, player.optimizer)
    return Trained(run, setting, size, reals, judge, held, average, number)


def narrowed_nets(setting: Setting, narrower: int, *, seed: int) -> Players:
    """The setting's nets, with all numbers of channels divided once more.

    >>> narrowed_nets(Setting(narrow=4), 2, seed=0).generator[0].out_features
    1024
    """
    return replace(setting, narrow=setting.narrow * narrower).players(seed=seed)


def falling_maker(make: MakeOptimizer, begin: int, end: int) -> MakeOptimizer:
    """An optimiser whose rates reach zero when those of the release do.

    There the first smaller rate is that of iteration `begin`, counted from 1, and the last one is
    already below zero, by one part in `end - begin`; here it is zero.

    >>> weight = torch.zeros(1, requires_grad=True)
    >>> adam = falling_maker(lambda w: torch.optim.Adam(w, lr=1.0), 50, 100)([weight])
    >>> adam.param_groups[0]["falls"]
    [48, 98]
    """
    first = max(begin - 2, 0)
    return lambda weights: falling(make(weights), first, max(end - 2, first + 1))


def coloured(images: Tensor) -> Tensor:
    """(n, 3, height, width): grey images three times.

    >>> coloured(torch.zeros(2, 1, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def noisy(images: Tensor, width: float, *, seed: int) -> Tensor:
    """The images plus uniform noise in [0, width), drawn once for each pixel.

    >>> float(noisy(torch.zeros(1, 3, 2, 2), 0.5, seed=0).max()) < 0.5
    True
    """
    if not width:
        return images
    stream = torch.Generator().manual_seed(seed)
    return images + width * torch.rand(images.shape, generator=stream, device="cpu")
