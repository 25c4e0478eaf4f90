"""Does leaving the sharp directions out lead to flatter minima? Small classifiers say.

Durall et al. 2021, section 4.3, say so and cite Jastrzebski et al. 2018, who report the contrary:
smaller steps along the sharpest directions steered SGD to regions that were sharper. A classifier
has one loss and no opponent. Its curvature falls with its loss, so that losses are recorded, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from helpers.inputs import float_tensor, shown, whole_number
from helpers.models import mlp
from helpers.models.stacked import Stacked
from helpers.spectra import CHANCE, MemberPairs
from helpers.training.core import MakeOptimizer
from helpers.training.nudging import Nudging, leading_pairs
from helpers.training.optimizers import Nudged

_HESSIAN_SAMPLES = 256  # fixed ones that Hessians are taken on
Weights = dict[str, Tensor]  # of all members, by name


@dataclass(frozen=True, eq=False)
class ClassifierRun:
    """S classifiers along a training."""

    iterations: NDArray[np.int64]  # (t,)
    sharpness: NDArray[np.float64]  # (t, S) largest eigenvalue of the Hessian, on fixed samples
    loss: NDArray[np.float64]  # (t, S) on them
    accuracy: NDArray[np.float64]  # (S,) at the end, on samples not trained on

    def at_loss(self, levels: ArrayLike) -> NDArray[np.float64]:
        """(S,) each classifier's sharpness where its loss came down to a level of its own (S,).

        Between two records it is taken to be linear in the loss; NaN for levels out of reach.
        """
        sharpness = np.full(len(self.accuracy), np.nan)
        for member, level in enumerate(np.asarray(levels, dtype=float)):
            lowest = np.minimum.accumulate(self.loss[:, member])
            if lowest[-1] <= level <= lowest[0]:
                falls = np.r_[True, np.diff(lowest) < 0]
                along = self.sharpness[falls, member]
                sharpness[member] = np.interp(level, lowest[falls][::-1], along[::-1])
        return sharpness


def train_classifiers(
    samples: tuple[Tensor, Tensor],
    others: tuple[Tensor, Tensor],
    optimizer: MakeOptimizer,
    *,
    members: int,
    iterations: int,
    seed: int,
    nudging: Nudging | None = None,
    units: int = 32,
    batch: int = 64,
    every: int = 100,
) -> ClassifierRun:
    """Train S nets with one hidden layer of tanh on cross-entropy, nudged or not.

    Args:
        samples: (n, d) floating-point numbers and their labels (n,), whole numbers from 0.
        others: likewise, for the accuracy.
        optimizer: from parameters to a torch optimiser.
        members: S; the same seed gives the same nets and batches to every optimiser.
        iterations: steps.
        seed: of nets and batches.
        nudging: its players do not matter.
        units: of the hidden layer.
        batch: samples of a step.
        every: steps between records.

    Raises:
        ValueError: for nudging of more directions than there are weights, counts out of range,
            samples that are no floating-point numbers or not finite, and labels that do not fit.

    >>> x, y = torch.randn(300, 4), torch.arange(300) % 2
    >>> make = partial(torch.optim.SGD, lr=0.1)
    >>> run = train_classifiers((x, y), (x, y), make, members=2, iterations=4, seed=0, every=2)
    >>> run.sharpness.shape
    (2, 2)
    """
    members, units = whole_number("members", members, 1), whole_number("units", units, 1)
    iterations, batch = whole_number("iterations", iterations, 0), whole_number("batch", batch, 1)
    every, seed = whole_number("every", every, 1), whole_number("seed", seed, 0, 2**40)
    x, y = _labelled("samples", samples)
    others = _labelled("others", others)
    sizes = [x.shape[1], units, int(y.max()) + 1]
    nets = [mlp(sizes, seed=1000 * seed + m, activation=torch.nn.Tanh) for m in range(members)]
    stacked = Stacked(nets)
    weights = list(stacked.parameters.values())
    fixed = [part[:_HESSIAN_SAMPLES] for part in (x, y)]
    fixed_x, fixed_y = (part.expand(members, *part.shape) for part in fixed)
    losses = partial(_losses, stacked, fixed_x, fixed_y)
    structure = ("classifiers", stacked.signature, tuple(fixed_x.shape))

    def sharpest(
        own: Weights, before: Tensor | None, nudging: Nudging, chance: float | None = CHANCE
    ) -> MemberPairs:
        def total(own: Weights) -> Tensor:
            return losses(own).sum()

        return leading_pairs(own, total, before, nudging, seed, chance, structure=structure)

    def directions(nudging: Nudging, own: Weights, before: Tensor | None) -> Tensor:
        return sharpest(own, before, nudging, chance=None).vectors

    made = optimizer(weights)
    if nudging is not None:
        find = partial(directions, nudging)
        made = Nudged(made, find, nudging.project, every=nudging.every)
    random = torch.Generator().manual_seed(seed)
    steps, sharpness, recorded_losses = [], [], []
    for step in tqdm(range(1, iterations + 1), disable=None):
        drawn = torch.randint(len(x), (members, batch), generator=random, device="cpu")
        total = _losses(stacked, x[drawn], y[drawn], stacked.parameters).sum()
        for weight, gradient in zip(weights, torch.autograd.grad(total, weights), strict=True):
            weight.grad = gradient
        if isinstance(made, Nudged):
            made.refresh(stacked.parameters)
        made.step()
        if step % every == 0:
            pairs = sharpest(stacked.parameters, None, Nudging(k=1, tolerance=0.01))
            steps.append(step)
            sharpness.append(pairs.values[:, 0].double().numpy())
            recorded_losses.append(losses(stacked.parameters).detach().double().numpy())
    with torch.no_grad():
        guesses = stacked(others[0].expand(members, *others[0].shape)).argmax(dim=2)
        accuracy = (guesses == others[1]).double().mean(dim=1).numpy()
    return ClassifierRun(np.array(steps), np.array(sharpness), np.array(recorded_losses), accuracy)


def _labelled(name: str, given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ValueError(f"{name} are points (n, d) and their labels (n,), got {shown(given)}")
    x, y = float_tensor(name, given[0], torch.float32), torch.as_tensor(given[1])
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    if x.ndim != 2 or not len(x) or y.shape != x.shape[:1] or not whole or y.min() < 0:
        got = f"{tuple(x.shape)} and {tuple(y.shape)} of {y.dtype}"
        raise ValueError(f"{name} are points (n, d) and whole numbers (n,) from 0, got {got}")
    return x, y


def _losses(stacked: Stacked, x: Tensor, y: Tensor, own: Weights) -> Tensor:
    """(S,) of each member on its own samples."""
    logits = stacked.at(own, x)
    losses = cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
    return losses.reshape(y.shape).mean(dim=1)
