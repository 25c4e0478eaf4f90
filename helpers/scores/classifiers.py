"""Classifiers that judge generated images: a LeNet trained here.

It gives logits and features of images in [-1, 1], which is what `helpers.scores.metrics` reads.
`helpers.scores.released` has the one by which Berard et al. 2020 score images of digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from helpers import inputs
from helpers.checkpoints.descriptions import (
    architecture,
    described_optimizer,
    digest,
    digest_of_state,
)
from helpers.checkpoints.files import checkpoint_path, read_state, try_writing, write_state
from helpers.inputs import shown, whole_number
from helpers.machine import pick_device, progress_bar
from helpers.models import lenet
from helpers.models.copying import copied
from helpers.training import Paused

_AT_ONCE = 100  # images that a net is shown together


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained net, from images (n, channels, height, width) to logits (n, classes).

    It keeps a copy of the net in evaluation mode. Its outputs are on the images' device.

    >>> blank = Classifier(lenet(seed=0), accuracy=0.1)
    >>> blank.features(torch.zeros(3, 1, 32, 32)).shape
    torch.Size([3, 84])
    """

    net: nn.Sequential
    accuracy: float  # on images that it was not trained on
    name: str = field(default="", compare=False)  # what it is called beside its scores

    def __post_init__(self) -> None:
        object.__setattr__(self, "net", copied(self.net).eval().requires_grad_(False))

    def logits(self, images: Tensor) -> Tensor:
        """(n, classes) before the softmax.

        Raises:
            ValueError: for no images, images of another shape, and pixels that are not finite.
        """
        return _in_batches(self.net, images)

    def features(self, images: Tensor) -> Tensor:
        """(n, d) that the last layer sees; raises as `logits` does."""
        return _in_batches(self.net[:-1], images)

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, d) and logits (n, classes) by one pass; raises as `logits` does."""
        features, last = self.features(images), self.net[-1]
        weight = next(last.parameters(), features)
        return features, last(features.to(weight)).to(features.device)


def train_judge(
    images: Tensor,
    labels: Tensor,
    *,
    test_images: Tensor,
    test_labels: Tensor,
    seed: int,
    epochs: int,
    batch: int = 128,
    checkpoint: str | Path | None = None,
    until: Callable[[], bool] | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """`helpers.models.lenet`, trained by Adam at a rate of 0.001 on cross-entropy.

    Args:
        images: (n, channels, 32, 32) in [-1, 1].
        labels: (n,) whole numbers from 0, each class at least once.
        test_images, test_labels: likewise; the classifier's accuracy is the share of these that it
            gets right.
        seed: for the first weights and the order of images; one seed gives the same net on the CPU.
        epochs: passes over the images.
        batch: images per step; the last step of an epoch takes what is left.
        checkpoint: a file written after each epoch, from which a training with the same images,
            batch and seed goes on, to the same net as without a break.
        until: called after each epoch but the last to ask whether to pause; it needs a checkpoint.
        device: where to train, and where the classifier's net will be.

    Raises:
        Paused: once `until` says so.
        ValueError: for bad images and labels, epochs and batch below 1, and a checkpoint that is
            damaged, of another training or of more epochs, or cannot be written.

    >>> from helpers.datasets import load
    >>> some = load("digits").subset(200, seed=0)
    >>> test = {"test_images": some.images, "test_labels": some.labels}
    >>> train_judge(some.images, some.labels, **test, seed=0, epochs=1).net[-1]
    Linear(in_features=84, out_features=10, bias=True)
    """
    classes = check_labelled(images, labels)
    check_labelled(test_images, test_labels, classes)
    device = pick_device(device)  # a bad one is refused before the first step
    epochs, batch = whole_number("epochs", epochs, 1), whole_number("batch", batch, 1)
    seed, path = inputs.seed(seed), checkpoint_path(checkpoint)
    if until is not None and path is None:
        raise ValueError("until needs a checkpoint from which the training goes on")
    net = lenet(seed=seed, channels=images.shape[1], classes=classes)
    for each in (images, test_images):
        _in_batches(net, each[:1])  # or a wrong shape would show only after the training
    images = images.to(next(net.parameters()).dtype)
    start = digest_of_state(net)
    net.to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(seed)
    steps, begun = math.ceil(len(images) / batch), 0
    run = {
        "seed": seed,
        "batch": batch,
        "optimizer": described_optimizer(optimizer),
        "data": [digest(images), digest(labels)],
        "net": architecture(net),
        "start": start,
    }
    if path is not None and path.exists():
        state = read_state(path, run, epochs * steps)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["adam"])
        order.set_state(state["order"])
        begun = state["done"] // steps
    if path is not None and begun < epochs:
        try_writing(path)
    bar = progress_bar(total=epochs * steps, initial=begun * steps, desc="classifier")
    with bar:
        for epoch in range(begun, epochs):
            for rows in torch.randperm(len(images), generator=order, device="cpu").split(batch):
                loss = cross_entropy(net(images[rows].to(device)), labels[rows].to(device).long())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                bar.update()
            if path is not None:
                state = {"net": net.state_dict(), "adam": optimizer.state_dict()}
                done = (epoch + 1) * steps
                write_state({"run": run, "done": done, **state, "order": order.get_state()}, path)
            if until is not None and epoch + 1 < epochs and until():
                raise Paused(f"stopped after {epoch + 1} of {epochs} epochs of a classifier")
    return Classifier(net, accuracy(net, test_images, test_labels))


def accuracy(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images that a net in evaluation mode puts into their class."""
    right = _in_batches(net, images).argmax(dim=1) == labels.to(images.device)
    return float(right.double().mean())


@torch.no_grad()
def _in_batches(net: nn.Module, images: Tensor) -> Tensor:
    _check_images(images)
    weight = next(net.parameters(), images)  # of the type and on the device that net computes with
    try:
        net(images[:1].to(weight))
    except RuntimeError as error:
        shape = tuple(images.shape[1:])
        raise ValueError(f"the net does not take images of shape {shape}: {error}") from error
    read = torch.cat([net(part.to(weight)).to(images.device) for part in images.split(_AT_ONCE)])
    if not read.isfinite().all():
        number = int((~read.flatten(start_dim=1).isfinite()).any(dim=1).nonzero()[0])
        raise FloatingPointError(f"the net gives NaN or infinity for image {number}")
    return read


def _check_images(images: Tensor) -> None:
    fits = isinstance(images, Tensor) and images.ndim == 4 and len(images)
    if not fits or not images.is_floating_point():
        tensor = isinstance(images, Tensor)
        got = f"{tuple(images.shape)} of {images.dtype}" if tensor else shown(images)
        raise ValueError(f"images are floats (n, channels, height, width), at least one, got {got}")
    if not images.isfinite().all():
        raise ValueError("images have finite pixels, got NaN or infinity")


def check_labelled(images: Tensor, labels: Tensor, classes: int | None = None) -> int:
    """The number of classes: those of the labels, unless it is given."""
    _check_images(images)
    tensor = isinstance(labels, Tensor)
    whole = tensor and not (labels.is_floating_point() or labels.is_complex())
    if not whole or labels.shape != images.shape[:1]:
        got = f"{tuple(labels.shape)} of {labels.dtype}" if tensor else shown(labels)
        raise ValueError(
            f"{len(images)} images need a tensor of as many whole numbers as labels, got {got}"
        )
    found = labels.unique().tolist()
    if classes is None and (len(found) < 2 or found != list(range(len(found)))):
        raise ValueError(f"labels are 0, 1, and so on without a gap, got {found}")
    if classes is not None and not 0 <= found[0] <= found[-1] < classes:
        raise ValueError(f"test labels lie in 0 to {classes - 1}, got {found}")
    return len(found)
