"""Does leaving out the sharp directions lead to flatter minima? A test on small classifiers.

Durall et al. 2021, section 4.3, say so, and cite Jastrzebski et al. 2018, who report the contrary:
smaller steps along the sharpest directions steered SGD to regions that were sharper. A classifier
has one loss and no opponent. Its curvature falls with its loss, so losses are recorded, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pandas import DataFrame, concat
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer
from typing_extensions import Unpack

from helpers.datasets import load
from helpers.experiments import protocol
from helpers.experiments.ensembles import paired
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.inputs import float_tensor, one_of, shown, whole_number
from helpers.machine.devices import pick_device
from helpers.models import mlp
from helpers.models.stacked import Stacked
from helpers.spectra import CHANCE, MemberPairs
from helpers.training.nudged import Nudged
from helpers.training.nudging import Nudging, leading_pairs

VERSION = 1
_HESSIAN_SAMPLES = 256  # fixed samples on which Hessians are taken
_PIXELS = 8  # per side of a digit
_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam}
Labelled = tuple[Tensor, Tensor]  # (n, d) floating-point numbers, (n,) whole numbers from 0
Weights = dict[str, Tensor]  # of all members, by name


@dataclass(frozen=True)
class Setting:
    """What is trained: a net with one hidden layer of tanh, on cross-entropy.

    Raises:
        ValueError: for an optimiser other than SGD and Adam.

    >>> Setting("adam", rate=1e-3).batch
    64
    """

    optimizer: str = "sgd"  # or "adam"
    rate: float = 0.5
    nudging: Nudging | None = None  # its players do not matter
    units: int = 32  # width of the hidden layer
    batch: int = 64  # samples per step

    def __post_init__(self) -> None:
        one_of("optimizer", self.optimizer, _OPTIMIZERS)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is trained."""

    members: int = 16
    iterations: int = 2000
    every: int = 100  # steps between records


READINGS = {
    "ours": Reading(
        Setting(),
        "ours: the paper trains no classifier, but cites work that does",
        stated=False,
    )
}
_WAYS: dict[str, dict[str, Any]] = {"sgd": {}, "adam": {"optimizer": "adam", "rate": 1e-3}}
_NUDGES = {"plain": None, "gradient": Nudging(), "step": Nudging(project="step")}
ARMS: dict[str, dict[str, Any]] = {
    f"{way} {name}": {**change, "nudging": nudging}
    for way, change in _WAYS.items()
    for name, nudging in _NUDGES.items()
}
SIZES = {
    "quick": Size(members=8, iterations=300, lacks="1,700 of 2,000 steps, half of the seeds"),
    "full": Size(lacks="nothing: there is no protocol for a classifier"),
}
WANTED = [Wanted(("ours",), tuple(ARMS), "full", range(100, 101), "A12; half a minute a run")]


def train_classifiers(
    setting: Setting,
    size: Size,
    samples: Labelled,
    others: Labelled,
    *,
    seed: int,
    device: torch.device | str = "cpu",
) -> Measured:
    """Train classifiers side by side, nudged or not.

    Args:
        setting, size: what to train, how many members and how long.
        samples: (n, d) floating-point numbers and their labels (n,), whole numbers from 0.
        others: likewise, for the accuracy.
        seed: of nets and batches; the same seed gives the same ones to every setting.
        device: where to train.

    Returns:
        Frames "members" and "course", as `measure` says.

    Raises:
        ValueError: for nudging of more directions than there are weights, counts out of range,
            samples that are not finite floating-point numbers, and labels that do not fit.

    >>> data = torch.randn(300, 4), torch.arange(300) % 2
    >>> size = Size(members=2, iterations=4, every=2, lacks="nearly all")
    >>> train_classifiers(Setting(rate=0.1), size, data, data, seed=0)["course"].shape
    (4, 4)
    """
    every = whole_number("every", size.every, 1)
    iterations = whole_number("iterations", size.iterations, every)
    batch = whole_number("batch", setting.batch, 1)
    place = pick_device(device)
    x, y = (part.to(place) for part in _labelled("samples", samples))
    others_x, others_y = (part.to(place) for part in _labelled("others", others))
    ensemble = _Ensemble(setting, size.members, (x, y), seed)
    about, course = {"member": range(size.members)}, []
    for step in range(1, iterations + 1):
        drawn = ensemble.drawn(len(x), batch).to(place)
        ensemble.step(x[drawn], y[drawn])
        if step % every == 0:
            course.append(DataFrame(about | {"iteration": step} | ensemble.seen()))
    ends = {"accuracy": ensemble.accuracy(others_x, others_y)} | ensemble.seen()
    return {"members": DataFrame(about | ends), "course": concat(course, ignore_index=True)}


class _Ensemble:
    """The nets in training, and what is seen of them on fixed samples."""

    def __init__(self, setting: Setting, members: int, samples: Labelled, seed: int) -> None:
        members, self.seed = (
            whole_number("members", members, 1),
            whole_number("seed", seed, 0, 2**40),
        )
        (x, y), units = samples, whole_number("units", setting.units, 1)
        sizes = [x.shape[1], units, int(y.max()) + 1]
        nets = [mlp(sizes, seed=1000 * seed + m, activation=torch.nn.Tanh) for m in range(members)]
        self.streams = [
            torch.Generator().manual_seed(2**20 * seed + number) for number in range(members)
        ]
        self.nets = Stacked(nets, x.device)
        self.weights = list(self.nets.parameters.values())
        fixed = (part[:_HESSIAN_SAMPLES] for part in samples)
        self.fixed = tuple(part.expand(members, *part.shape) for part in fixed)
        made = _OPTIMIZERS[setting.optimizer](self.weights, lr=setting.rate)
        if setting.nudging is not None:
            find, nudging = partial(self.directions, setting.nudging), setting.nudging
            made = Nudged(made, find, nudging.project, every=nudging.every)
        self.optimizer = made

    def drawn(self, count: int, batch: int) -> Tensor:
        """(S, batch) numbers of samples below `count`; no member's depend on other members."""
        each = [
            torch.randint(count, (batch,), generator=stream, device="cpu")
            for stream in self.streams
        ]
        return torch.stack(each)

    def losses(self, own: Weights, x: Tensor, y: Tensor) -> Tensor:
        """(S,) loss of each member on its own samples."""
        logits = self.nets.at(own, x)
        losses = cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
        return losses.reshape(y.shape).mean(dim=1)

    def step(self, x: Tensor, y: Tensor) -> None:
        """A step of every member, on a batch of its own."""
        total = self.losses(self.nets.parameters, x, y).sum()
        gradients = torch.autograd.grad(total, self.weights)
        for weight, gradient in zip(self.weights, gradients, strict=True):
            weight.grad = gradient
        if isinstance(self.optimizer, Nudged):
            self.optimizer.refresh(self.nets.parameters)
        self.optimizer.step()

    def sharpest(
        self, own: Weights, before: Tensor | None, nudging: Nudging, chance: float | None
    ) -> MemberPairs:
        """The leading eigenpairs of each member's Hessian."""

        def total(own: Weights) -> Tensor:
            return self.losses(own, *self.fixed).sum()

        structure = ("classifiers", self.nets.signature, tuple(self.fixed[0].shape))
        return leading_pairs(own, total, before, nudging, self.seed, chance, structure=structure)

    def directions(self, nudging: Nudging, own: Weights, before: Tensor | None) -> Tensor:
        """(S, n, k) directions that the next steps leave out."""
        return self.sharpest(own, before, nudging, None).vectors

    def seen(self) -> dict[str, Any]:
        """The largest eigenvalues and the losses, (S,) each, on the fixed samples."""
        own = self.nets.parameters
        pairs = self.sharpest(own, None, Nudging(k=1, tolerance=0.01), CHANCE)
        losses = self.losses(own, *self.fixed).detach()
        numbers = {"top": pairs.values[:, 0], "loss": losses}
        return {name: values.double().cpu().numpy() for name, values in numbers.items()}

    @torch.no_grad()
    def accuracy(self, x: Tensor, y: Tensor) -> Any:
        """(S,) share of right guesses."""
        guesses = self.nets(x.expand(len(self.fixed[0]), *x.shape)).argmax(dim=2)
        return (guesses == y).double().mean(dim=1).cpu().numpy()


def _labelled(name: str, given: Labelled) -> Labelled:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ValueError(f"{name} must be points (n, d) and their labels (n,), got {shown(given)}")
    x, y = float_tensor(name, given[0], torch.float32), torch.as_tensor(given[1])
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    if x.ndim != 2 or not len(x) or y.shape != x.shape[:1] or not whole or y.min() < 0:
        got = f"{tuple(x.shape)} and {tuple(y.shape)} of {y.dtype}"
        raise ValueError(f"{name} must be points (n, d) and whole numbers (n,) from 0, got {got}")
    return x, y


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Classifiers of scikit-learn's digits, 8 pixels a side: "members" and their "course".

    Members have, at the end, the largest eigenvalue "top" of the Hessian and the "loss" on fixed
    samples, and the "accuracy" on samples that were not trained on. The course has each member's
    "top" and "loss" at an "iteration".

    No checkpoint is written: a run takes half a minute.

    >>> size = Size(members=2, iterations=4, every=4, lacks="nearly all")
    >>> list(measure(Setting(), size, seed=0)["members"])
    ['member', 'accuracy', 'top', 'loss']
    """
    given = Context(**how)
    sets = (load("digits", size=_PIXELS), load("digits", "test", size=_PIXELS))
    samples, others = ((each.images.flatten(1), each.labels) for each in sets)
    return train_classifiers(setting, size, samples, others, seed=given.seed, device=given.device)


def at_equal_loss(nudged: DataFrame, plain: DataFrame) -> DataFrame:
    """Nudged nets after training, beside plain ones where these had the same loss.

    Args:
        nudged: members, with columns "block", "member", "top" and "loss".
        plain: the course of plain ones, with an "iteration" as well.

    Returns:
        A row per member with columns "block", "member", "nudged" and "plain": largest eigenvalues.
        Between two records the plain net's is taken to be linear in the loss; NaN for losses that
        the plain net did not pass.

    >>> plain = DataFrame({"block": 0, "member": 0, "top": [4.0, 2.0], "loss": [1.0, 0.0]})
    >>> nudged = DataFrame({"block": [0], "member": [0], "top": [9.0], "loss": [0.5]})
    >>> at_equal_loss(nudged, plain.assign(iteration=[1, 2]))[["nudged", "plain"]].values.tolist()
    [[9.0, 3.0]]
    """
    courses = dict(list(plain.sort_values("iteration").groupby(["block", "member"])))
    rows = []
    for end in nudged.to_dict("records"):
        who = (end["block"], end["member"])
        beside = _top_at(courses[who], end["loss"]) if who in courses else np.nan
        rows.append((*who, end["top"], beside))
    return DataFrame(rows, columns=["block", "member", "nudged", "plain"])


def _top_at(course: DataFrame, loss: float) -> float:
    """Sharpness where the loss first fell to a level."""
    lowest = np.minimum.accumulate(course["loss"].to_numpy())
    if not lowest[-1] <= loss <= lowest[0]:
        return np.nan
    falls = np.r_[True, np.diff(lowest) < 0]
    along = course["top"].to_numpy()[falls]
    return float(np.interp(loss, lowest[falls][::-1], along[::-1]))


def _log_ratio(rows: Rows) -> list[float]:
    """log10 of the nudged net's largest eigenvalue over the plain one's, by member."""
    both = paired(rows, "sgd gradient", "sgd plain", "top")
    return np.log10(both["one"] / both["other"]).tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {"A12": {"classifier_log_sharpness_ratio": _log_ratio}}
