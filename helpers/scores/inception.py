"""Inception, as published scores take it: the net of 2015, ported from TensorFlow.

`pt_inception-2015-12-05-6726825d.pth`, a release of the project pytorch-fid, holds its weights; the
last digits of the name are the first of its SHA-256. The net is torchvision's `inception_v3` with
1,008 classes, except for how its blocks pool: averages leave out what lies beyond the edge, and the
last block takes the maximum. It is not `inception_v3_google`, whose weights are another net's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d
from torch.overrides import TorchFunctionMode

from helpers.models.players import seeded
from helpers.scores.classifiers import Classifier
from helpers.scores.weights import WeightsFile

VARIABLE = "GANSCAPES_INCEPTION"
SIDE = 299  # pixels to which images are resized
FILE = "pt_inception-2015-12-05-6726825d.pth"
SHA = "6726825d"  # the first digits of its SHA-256
_WEIGHTS = WeightsFile("Inception", FILE, VARIABLE)
_CLASSES = 1008
_AVERAGED = ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b")  # blocks, as torchvision names them
_MAXIMAL = ("7c",)


def load_inception(path: str | Path | None = None, *, sha: str = SHA) -> Classifier:
    """The judge of published inception scores and FIDs, from its file of weights.

    It prints the file's SHA-256. Images of any size are resized to 299 x 299 bilinearly, features
    are the 2,048 after the last pooling, and logits leave out the bias, as in the inception score
    as released.

    Args:
        path: of the file; by default the one that the variable GANSCAPES_INCEPTION names.
        sha: the first digits that the file's SHA-256 must have.

    Raises:
        FileNotFoundError: without a path, and without a file.
        ValueError: for a damaged file, weights of another net, and another SHA-256; as an
            `UnusableFile`, after which `gather` passes its run over.

    >>> load_inception("nowhere.pth")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no file of weights nowhere.pth
    """
    net = inception()
    found = _WEIGHTS.put_into(net, path, sha)
    name = f"Inception of 2015, SHA-256 {found[:8]}, resized to {SIDE} x {SIDE}"
    return Classifier(as_judge(net), float("nan"), name)


def inception() -> nn.Module:
    """Torchvision's net with 1,008 classes, before its blocks pool as TensorFlow's do."""
    from torchvision.models import inception_v3  # it takes seconds to import

    options = {"aux_logits": False, "init_weights": False, "transform_input": False}
    with seeded(0):
        net: nn.Module = inception_v3(weights=None, num_classes=_CLASSES, **options)
    return net


def as_judge(net: Any) -> nn.Sequential:
    """From images of any size to logits; the net is changed."""
    for names, pool in ((_AVERAGED, _average), (_MAXIMAL, _maximum)):
        for name in names:
            block = f"Mixed_{name}"
            setattr(net, block, _Pooled(getattr(net, block), pool))
    last = nn.Linear(net.fc.in_features, net.fc.out_features, bias=False)
    last.weight = net.fc.weight
    net.fc = nn.Identity()
    return nn.Sequential(_Resized(), net, last)


_average = partial(avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
_maximum = partial(max_pool2d, kernel_size=3, stride=1, padding=1)


class _Resized(nn.Module):
    """Images at the size that the net takes."""

    def forward(self, images: Tensor) -> Tensor:
        return interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False)


class _Pooled(nn.Module):
    """A block in which something else takes the place of its average pooling."""

    def __init__(self, block: nn.Module, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.block, self.pool = block, pool

    def forward(self, x: Tensor) -> Tensor:
        with _InPlaceOfAverages(self.pool):
            return self.block(x)


class _InPlaceOfAverages(TorchFunctionMode):
    def __init__(self, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.pool = pool

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is avg_pool2d:
            return self.pool(args[0])
        return func(*args, **(kwargs or {}))
