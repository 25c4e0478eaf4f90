"""A small residual net that tells classes of images apart, to judge generated ones."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from helpers.inputs import whole_number
from helpers.models.players import seeded


def small_resnet(
    *, seed: int, width: int = 16, blocks: int = 2, channels: int = 3, classes: int = 10
) -> nn.Sequential:
    """The residual net of He et al. 2016 for CIFAR-10 (Section 4.2), with fewer blocks.

    Images (N, channels, 32, 32) to logits (N, classes): a convolution, three stages of `width`, 2
    and 4 times `width` channels, of which the last two halve the image, the mean over places, and a
    linear layer. A shortcut that changes shape is a convolution of one pixel. 6 blocks + 2 layers
    have weights: 14 by default, 20 in the paper's smallest.

    Args:
        seed: of the initialisation, which is torch's.
        width: channels of the first stage.
        blocks: of each stage, two convolutions each.
        channels: of the images.
        classes: number of logits.

    Raises:
        ValueError: for numbers below 1.

    >>> sum(p.numel() for p in small_resnet(seed=0).parameters())
    175258
    """
    width, blocks = whole_number("width", width, 1), whole_number("blocks", blocks, 1)
    channels, classes = whole_number("channels", channels, 1), whole_number("classes", classes, 1)
    sizes = [width, width, 2 * width, 4 * width]
    with seeded(seed):
        first = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm2d(width), nn.ReLU()]
        for before, after in pairwise(sizes):
            stride = 1 if before == after else 2
            layers.append(_Block(before, after, stride))
            layers += [_Block(after, after, 1) for _ in range(blocks - 1)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sizes[-1], classes)]
        return nn.Sequential(*layers)


class _Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if before != after or stride != 1:
            conv = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        inner = relu(self.first_norm(self.first(x)))
        return relu(self.second_norm(self.second(inner)) + self.shortcut(x))
