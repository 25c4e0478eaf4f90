"""Images as tensors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from helpers.inputs import seed as whole_seed
from helpers.inputs import whole_number

_CHUNK = 500  # images at a time, so that the floats of the old size are never all in memory


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images of one size."""

    name: str
    split: str
    images: Tensor = field(repr=False)  # (N, C, size, size) float32 in [-1, 1]
    labels: Tensor = field(repr=False)  # (N,) int64, indices into classes; -1 where there is none
    classes: tuple[str, ...]
    official: bool  # by MD5 sums or the number of images; False marks a stand-in

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, n: int, *, seed: int) -> ImageSet:
        """n images drawn without replacement; for one seed, a larger draw begins with a smaller.

        Raises:
            ValueError: for fewer than one image, more than there are, or an invalid seed.

        >>> from helpers.datasets import load
        >>> load("digits").subset(100, seed=0).labels.shape
        torch.Size([100])
        """
        n = whole_number("n", n, 1, len(self))
        cpu = torch.device("cpu")  # whatever torch's default device is
        random = torch.Generator(cpu).manual_seed(whole_seed(seed))
        drawn = torch.randperm(len(self), generator=random, device=cpu)[:n]
        return replace(self, images=self.images[drawn], labels=self.labels[drawn])


@dataclass(frozen=True, eq=False)
class Raw:
    """Images as the files hold them."""

    images: NDArray[Any]  # (N, C, height, width) from 0 to top
    labels: NDArray[np.int64]  # (N,) from 0; -1 where there is none
    classes: tuple[str, ...]
    official: bool
    top: int = 255


def as_tensor(raw: Raw, size: int) -> Tensor:
    """(N, C, size, size) float32 in [-1, 1]."""
    n, channels, *sides = raw.images.shape
    out = torch.empty(n, channels, size, size, device="cpu")
    for start in range(0, n, _CHUNK):
        part = torch.from_numpy(raw.images[start : start + _CHUNK].astype(np.float32))
        if sides != [size, size]:
            part = interpolate(
                part, (size, size), mode="bilinear", antialias=True, align_corners=False
            )
        # The weights add up to 1 only up to rounding, hence the clamp.
        out[start : start + _CHUNK] = (part / (raw.top / 2) - 1).clamp(-1, 1)
    return out
