"""How narrow nets on images are scored along their training, and by which judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.optim import Optimizer

from helpers.experiments import judges
from helpers.experiments.image_training import samples, standard_normal
from helpers.experiments.narrow_setting import Setting, Size
from helpers.models import Players
from helpers.scores import inception
from helpers.scores.classifiers import Classifier
from helpers.scores.samples import scores_of_features
from helpers.scores.weights import shipped_judge
from helpers.training.schedules import averaged, averaging
from helpers.training.single import TrainingResult

MakeOptimizer = Callable[[Any], Optimizer]
LATENT = 128
_SIDE = 32  # pixels of what judges other than Inception see
_OTHERS = {"stl10": "cifar10", "stl10-unlabeled": "cifar10"}  # sets judged by another one's judge
SCORES = ("frechet", "kernel", "precision", "recall", "score")
AVERAGE = "average_"  # before the name of a score: that of G's average


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

    def average(self, generator: nn.Module) -> nn.Module:
        """G with the running average of its weights."""
        assert self.optimizer is not None
        return averaged(generator, self.optimizer)


@dataclass(frozen=True)
class Watch:
    """What is recorded of a training: `SCORES` of G's samples and, as "average_", of its average's.

    They are NaN after iterations that are not scored.

    Args:
        judge: a classifier.
        reals: (n, d) its features of the images that samples are scored beside.
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
        if self.player.steps not in self.size.scored:
            return {prefix + name: float("nan") for prefix in ("", AVERAGE) for name in SCORES}
        latents = standard_normal(self.size.samples, LATENT, seed=self.seed)
        found: dict[str, float] = {}
        nets = {"": players.generator, AVERAGE: self.player.average(players.generator)}
        for prefix, net in nets.items():
            features, logits = read(self.judge, samples(net, latents))
            scores = scores_of_features(self.reals, features, logits, label="")
            found |= {prefix + name: value for name, value in scores.numbers().items()}
        return found


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
    return judge.both(images)


def course_of(run: TrainingResult, size: Size) -> dict[str, np.ndarray]:
    """What `Watch` has scored so far, by name, with the "iteration"."""
    scored = np.isin(run.iterations, size.scored)
    found = {name: values[scored] for name, values in run.records.items()}
    return {"iteration": run.iterations[scored], **found}


def judge_for(
    setting: Setting,
    size: Size,
    *,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    data: Path | str | None = None,
) -> Classifier:
    """What scores samples: the setting's judge, or of a stand-in a LeNet that learns it first.

    Inception is the judge of a setting that names the first digits of its SHA-256. STL-10 has the
    judge of CIFAR-10 otherwise. All but Inception see images of 32 x 32 pixels.

    Arguments and errors are those of `helpers.experiments.narrow_training.train`.
    """
    if size.stand_in:
        epochs = size.judge_epochs
        judge = judges.judge_of(size.stand_in, epochs, device=device, folder=folder, data=data)
    elif setting.judge == inception.SHA:
        judge = inception.load_inception()
        return replace(judge, net=judge.net.to(device))
    else:
        judge = shipped_judge(_OTHERS.get(setting.data, setting.data), setting.judge)
        if not setting.judge:
            raise ValueError("a setting names its judge by the SHA-256 of its weights, got ''")
        judge = replace(judge, net=judge.net.to(device))
    return judge if setting.side == _SIDE else shrinking(judge)


def shrinking(judge: Classifier) -> Classifier:
    """A judge to which images of any size are shown at 32 x 32 pixels; its name says so.

    >>> from helpers.models import lenet
    >>> shrinking(Classifier(lenet(seed=0), 0.1, "LeNet")).name
    'LeNet, images resized to 32 x 32'
    """
    name = f"{judge.name or 'a judge without a name'}, images resized to {_SIDE} x {_SIDE}"
    return replace(judge, net=nn.Sequential(_Resized(), *judge.net), name=name)


class _Resized(nn.Module):
    """Images at the size that a judge takes, as `helpers.datasets.load` resizes them."""

    def forward(self, images: Tensor) -> Tensor:
        options: dict[str, Any] = {"mode": "bilinear", "antialias": True, "align_corners": False}
        return interpolate(images, (_SIDE, _SIDE), **options)


def coloured(images: Tensor) -> Tensor:
    """(n, 3, height, width): grey images three times.

    >>> coloured(torch.zeros(2, 1, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
