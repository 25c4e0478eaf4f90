"""Training a classifier of photographs: flips, shifts, and one cycle of the learning rate.

He et al. 2016 (Section 4.2) flip and shift CIFAR-10's images, for 180 epochs. One cycle of the rate
(Smith and Topin 2019) needs fewer. What is drawn in a step follows from the seed and the step's
number alone, so a training that was interrupted goes on to the same net.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR

from helpers import inputs
from helpers.checkpoints.descriptions import (
    architecture,
    described_optimizer,
    digest,
    digest_of_state,
)
from helpers.checkpoints.files import checkpoint_path, read_state, try_writing, write_state
from helpers.inputs import real_number, whole_number
from helpers.machine import pick_device, progress_bar
from helpers.models.copying import copied
from helpers.scores.classifiers import check_labelled
from helpers.training import Paused

_SAVE = 100  # steps between two writings of the checkpoint
_ORDER, _CHANGES = 0, 1  # what a stream of random numbers is for


@dataclass(frozen=True, kw_only=True)
class OneCycle:
    """How long and how fast a classifier learns.

    The rate rises for a quarter of the steps and falls for the others, along cosines (torch's
    `OneCycleLR`); steps are those of SGD with Nesterov's momentum of 0.9.

    Raises:
        ValueError: for numbers out of range.

    >>> OneCycle(epochs=2).rate
    0.2
    """

    epochs: int
    batch: int = 128  # what is left over at an epoch's end is dropped
    rate: float = 0.2  # the highest
    decay: float = 5e-4  # of the weights
    shift: int = 2  # pixels by which an image is shifted at most; half of the images are flipped

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs, 1)
        whole_number("batch", self.batch, 2)
        whole_number("shift", self.shift, 0)
        real_number("rate", self.rate, above=0)
        real_number("decay", self.decay, least=0)


def train_one_cycle(
    net: nn.Sequential,
    images: Tensor,
    labels: Tensor,
    plan: OneCycle,
    *,
    seed: int,
    checkpoint: str | Path | None = None,
    until: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> nn.Sequential:
    """A copy of a net after training on cross-entropy, in evaluation mode.

    Args:
        net: from images to logits, one for each class.
        images: (n, channels, height, width) in [-1, 1], n at least a batch.
        labels: (n,) whole numbers from 0, each class at least once.
        plan: how long and how fast.
        seed: of the order of the images, their flips and shifts.
        checkpoint: a file written after every hundredth step, from which a training of the same
            net, images, plan and seed goes on, to the same net as without a break.
        until: called after each step but the last to ask whether to pause; it needs a checkpoint.
        device: where to train, and where the net will be.

    Raises:
        Paused: once `until` says so.
        FloatingPointError: once the loss is not finite; it names the step.
        ValueError: for bad images and labels, fewer images than a batch, and a checkpoint that is
            damaged, of another training, or cannot be written.

    >>> from helpers.datasets import load
    >>> from helpers.models import small_resnet
    >>> some = load("digits", size=8).subset(200, seed=0)
    >>> net = small_resnet(seed=0, width=2, blocks=1, channels=1)
    >>> trained = train_one_cycle(net, some.images, some.labels, OneCycle(epochs=2), seed=0)
    >>> trained.training
    False
    """
    classes = check_labelled(images, labels)
    device, seed, path = pick_device(device), inputs.seed(seed), checkpoint_path(checkpoint)
    if until is not None and path is None:
        raise ValueError("until needs a checkpoint from which the training goes on")
    per_epoch = len(images) // plan.batch
    if not per_epoch:
        raise ValueError(f"{plan.batch} images or more are needed for a batch, got {len(images)}")
    _check_logits(net, images, classes)
    start = digest_of_state(net)
    # Images come in this layout as well, in which torch's convolutions are faster.
    net = copied(net).train().to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in torch's stub
    total = plan.epochs * per_epoch
    optimizer = SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=plan.decay, nesterov=True)
    schedule = OneCycleLR(
        optimizer, plan.rate, total_steps=total, pct_start=0.25, cycle_momentum=False
    )
    run: dict[str, Any] = {
        "seed": seed,
        "plan": asdict(plan),
        "optimizer": described_optimizer(optimizer),
        "data": [digest(images), digest(labels)],
        "net": architecture(net),
        "start": start,
    }
    begun = 0
    if path is not None and path.exists():
        state = read_state(path, run, total)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["sgd"])
        schedule.load_state_dict(state["schedule"])
        begun = state["done"]
    if path is not None and begun < total:
        try_writing(path)
    order = np.empty(0, dtype=np.int64)
    for step in progress_bar(range(begun, total), initial=begun, total=total, desc="net"):
        epoch, place = divmod(step, per_epoch)
        if step == begun or not place:
            order = np.random.default_rng([seed, _ORDER, epoch]).permutation(len(images))
        rows = torch.from_numpy(order[place * plan.batch : (place + 1) * plan.batch])
        shown = changed(images[rows], plan.shift, np.random.default_rng([seed, _CHANGES, step]))
        loss = cross_entropy(net(shown.to(device)), labels[rows].to(device).long())
        if not loss.isfinite():
            raise FloatingPointError(f"the loss is {loss.item()} in step {step + 1} of {total}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        done = step + 1
        is_asked = until is not None and done < total and until()
        if path is not None and (is_asked or done == total or done % _SAVE == 0):
            states: dict[str, Any] = {"net": net, "sgd": optimizer, "schedule": schedule}
            kept = {name: each.state_dict() for name, each in states.items()}
            write_state({"run": run, "done": done, **kept}, path)
        if is_asked:
            raise Paused(f"stopped after {done} of {total} steps of a classifier")
    return net.eval()


def changed(images: Tensor, shift: int, random: np.random.Generator) -> Tensor:
    """(n, channels, height, width): each image shifted, and flipped from left to right or not.

    Shifts are of `shift` pixels at most, to each side and up or down; pixels that one leaves empty
    mirror those inside.
    """
    count, _, height, width = images.shape
    padded = pad(images, (shift,) * 4, mode="reflect") if shift else images
    down, right = (random.integers(2 * shift + 1, size=(count, 1)) for _ in range(2))
    rows, columns = down + np.arange(height), right + np.arange(width)
    columns = np.where(random.random((count, 1)) < 0.5, columns[:, ::-1], columns)
    each, rows, columns = np.arange(count)[:, None, None], rows[:, :, None], columns[:, None]
    places = [torch.from_numpy(np.ascontiguousarray(index)) for index in (each, rows, columns)]
    return padded[places[0], :, places[1], places[2]].permute(0, 3, 1, 2)


@torch.no_grad()
def _check_logits(net: nn.Sequential, images: Tensor, classes: int) -> None:
    """ValueError if the net does not take the images, or gives another number of logits."""
    try:
        found = tuple(copied(net).eval()(images[:2].to(next(net.parameters()))).shape)
    except RuntimeError as error:
        shape = tuple(images.shape[1:])
        raise ValueError(f"the net does not take images of shape {shape}: {error}") from error
    if found != (2, classes):
        raise ValueError(f"two images of {classes} classes have logits (2, {classes}), got {found}")
