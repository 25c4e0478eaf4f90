"""The LeNet under which Berard et al. 2020 score images of digits (Appendix C.2), as released.

`mnist_classifier.pt`, in the repository facebookresearch/GAN-optimization-landscape, holds its
weights. The code beside it says how it was trained: by Adam at a rate of 0.001, with batches of
100, on MNIST resized to 32 x 32, for 50 epochs at most, of which the best on the test images was
kept. It is wider than `helpers.models.lenet`, and has dropout.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from torch import nn

from helpers.models.players import seeded
from helpers.scores.classifiers import Classifier
from helpers.scores.weights import WeightsFile

VARIABLE = "GANSCAPES_LENET"
FILE = "mnist_classifier.pt"
SHA = "15206cff"  # the first digits of its SHA-256
_WEIGHTS = WeightsFile("the LeNet of Berard et al.", FILE, VARIABLE)


def load_released_lenet(path: str | Path | None = None, *, sha: str = SHA) -> Classifier:
    """The judge of Berard et al. 2020, from its file of weights; it prints the file's SHA-256.

    Args:
        path: of the file; by default the one that the variable GANSCAPES_LENET names.
        sha: the first digits that the file's SHA-256 must have.

    Raises:
        FileNotFoundError: without a path, and without a file.
        ValueError: for a damaged file, weights of another net, and another SHA-256; as an
            `UnusableFile`, after which `gather` passes its run over.

    >>> load_released_lenet("nowhere.pt")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no file of weights nowhere.pt
    """
    net = released_lenet()
    found = _WEIGHTS.put_into(net, path, sha)
    return Classifier(net, float("nan"), f"LeNet of Berard et al., SHA-256 {found[:8]}")


def released_lenet() -> nn.Sequential:
    """The net, untrained: from images (N, 1, 32, 32) to logits (N, 10); features are (N, 96).

    >>> sum(part.numel() for part in released_lenet().parameters())
    129130
    """
    with seeded(0):
        layers: dict[str, nn.Module] = {
            **{"conv1": nn.Conv2d(1, 16, 5), "relu1": nn.ReLU(), "pool1": nn.MaxPool2d(2)},
            **{"conv2": nn.Conv2d(16, 32, 5), "relu2": nn.ReLU(), "pool2": nn.MaxPool2d(2)},
            **{"flat": nn.Flatten(), "fc1": nn.Linear(32 * 5 * 5, 128), "relu3": nn.ReLU()},
            **{"drop1": nn.Dropout(0.25), "fc2": nn.Linear(128, 96), "relu4": nn.ReLU()},
            **{"drop2": nn.Dropout(0.25), "fc3": nn.Linear(96, 10)},
        }
    return nn.Sequential(OrderedDict(layers))
