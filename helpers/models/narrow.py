"""The nets of Sun et al. 2020 for CIFAR-10, STL-10 and LSUN, and their narrow versions.

The CNN and the ResNet are those of Miyato et al. 2018 with changes. Sun et al. do not list their
layers, so the nets here are those of the released code (networks.py, gen_resblocks.py,
disc_resblocks.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from helpers.inputs import whole_number
from helpers.models.players import Players, seeded

MakeLayer = Callable[[nn.Conv2d | nn.Linear], nn.Module]
_LATENT = 128
NARROW = (1, 2, 4, 8, 16, 32)  # divisors of 64 that leave a bottleneck channels to halve


def sn_cnn(
    *, seed: int, size: int = 32, narrow: int = 1, normed: bool = True, released: bool = True
) -> Players:
    """The CNN of Sun et al. 2020, Section 6, Table 2, as released: spectral norm on all of D.

    G maps latents (N, 128) to images (N, 3, size, size) in [-1, 1] by a linear layer, three
    transposed convolutions with batch norm, and a convolution. D maps images to logits (N,) by
    seven convolutions and a linear layer without bias. As released, G's linear layer and last
    convolution start from Glorot's uniform law, D's weights start orthogonal, and all else has
    torch's initialisation.

    Args:
        seed: for both initialisations.
        size: 32 for CIFAR-10, 48 for STL-10.
        narrow: divides all numbers of channels; 2 is the paper's "channel/2".
        normed: whether D has spectral norm. Table 2 also has a CNN without it, which was not
            released: here it is the same net with plain layers.
        released: whether weights start as released; otherwise all have torch's initialisation.

    Raises:
        ValueError: for a size other than 32 or 48, and a narrow that is not 1, 2, 4, 8, 16 or 32.

    >>> [sum(p.numel() for p in net.parameters()) for net in sn_cnn(seed=0, narrow=4)]
    [436995, 185616]
    """
    size, narrow = _check(size, narrow)
    width, side = 64 // narrow, size // 8
    with seeded(seed):
        layer = partial(_layer, normed=normed, released=released)
        return Players(
            _cnn_generator(width, side, released), _cnn_discriminator(width, side, layer)
        )


def _cnn_generator(width: int, side: int, released: bool) -> nn.Sequential:
    first = nn.Linear(_LATENT, 8 * width * side**2)
    layers: list[nn.Module] = [first, nn.Unflatten(1, (8 * width, side, side))]
    for before, after in pairwise([8 * width, 4 * width, 2 * width, width]):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    last = nn.Conv2d(width, 3, 3, padding=1)
    for each in (first, last) if released else ():
        nn.init.xavier_uniform_(each.weight)
    return nn.Sequential(*layers, last, nn.Tanh())


def _cnn_discriminator(width: int, side: int, layer: MakeLayer) -> nn.Sequential:
    layers: list[nn.Module] = []
    sizes = [3, width, 2 * width, 4 * width, 8 * width]
    for before, after in pairwise(sizes):
        layers += [layer(nn.Conv2d(before, after, 3, padding=1)), nn.LeakyReLU(0.1)]
        if after < sizes[-1]:
            layers += [layer(nn.Conv2d(after, after, 4, 2, 1)), nn.LeakyReLU(0.1)]
    last = layer(nn.Linear(8 * width * side**2, 1, bias=False))
    return nn.Sequential(*layers, nn.Flatten(), last, nn.Flatten(0))


def sn_dcgan(*, seed: int, narrow: int = 1, normed: bool = True, released: bool = True) -> Players:
    """The DCGAN of Sun et al. 2020 for 256 x 256 pixels, as released: spectral norm on all of D.

    These are the nets for LSUN (Section 6, "High resolution data experiments"). G maps latents
    (N, 128) to images (N, 3, 256, 256) in [-1, 1] by seven transposed convolutions, with batch norm
    after all but the last. D maps images to logits (N,) by six convolutions and a linear layer.
    None of these layers has a bias. As released, D's weights start orthogonal, and G's have
    torch's initialisation.

    Args:
        seed: for both initialisations.
        narrow: divides all numbers of channels, which go from 32 next to the image to 1,024.
        normed: whether D has spectral norm.
        released: whether D's weights start as released; otherwise they have torch's initialisation.

    Raises:
        ValueError: for a narrow that is not 1, 2, 4, 8, 16 or 32.

    >>> import torch
    >>> G, D = sn_dcgan(seed=0, narrow=32)
    >>> D(G(torch.zeros(2, 128))).shape
    torch.Size([2])
    """
    width = 32 // _check_narrow(narrow)
    with seeded(seed):
        layer = partial(_layer, normed=normed, released=released)
        return Players(_dcgan_generator(width), _dcgan_discriminator(width, layer))


def _dcgan_generator(width: int) -> nn.Sequential:
    sizes = [width * 2**k for k in reversed(range(6))]
    layers: list[nn.Module] = [
        nn.Unflatten(1, (_LATENT, 1, 1)),
        *(nn.ConvTranspose2d(_LATENT, sizes[0], 4, bias=False), nn.BatchNorm2d(sizes[0])),
        nn.ReLU(),
    ]
    for before, after in pairwise(sizes):
        up = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)
        layers += [up, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())


def _dcgan_discriminator(width: int, layer: MakeLayer) -> nn.Sequential:
    layers: list[nn.Module] = []
    sizes = [3, *(width * 2**k for k in range(6))]
    for before, after in pairwise(sizes):
        layers += [layer(nn.Conv2d(before, after, 4, 2, 1, bias=False)), nn.LeakyReLU(0.1)]
    last = layer(nn.Linear(sizes[-1] * 16, 1, bias=False))
    return nn.Sequential(*layers, nn.Flatten(), last, nn.Flatten(0))


def sn_resnet(
    *,
    seed: int,
    size: int = 32,
    narrow: int = 1,
    bottleneck: bool = False,
    released: bool = True,
) -> Players:
    """The ResNet of Sun et al. 2020, Section 6, Table 2, as released: spectral norm on all of D.

    G maps latents (N, 128) to images (N, 3, size, size) in [-1, 1] by a linear layer and three
    blocks that enlarge bilinearly, with batch norm. D maps images to logits (N,) by blocks that
    halve the image (four for a size of 32, five for 48), a sum over what is left of it and a linear
    layer without bias. D's weights start orthogonal; G's have torch's initialisation.

    Args:
        seed: for both initialisations.
        size: 32 for CIFAR-10 (256 channels in G, 128 in D), 48 for STL-10 (512 to 64, 64 to 1024).
        narrow: divides all numbers of channels; 2 is the paper's "channel/2".
        bottleneck: whether to halve the channels between the two convolutions of each block. The
            sizes that Table 2 prints for its bottlenecks are those with ``narrow=2`` as well.
        released: whether D's weights start as released; otherwise they have torch's initialisation.

    Raises:
        ValueError: for a size other than 32 or 48, and a narrow that is not 1, 2, 4, 8, 16 or 32.

    >>> import torch
    >>> G, D = sn_resnet(seed=0, size=48, narrow=16, bottleneck=True)
    >>> D(G(torch.zeros(5, 128))).shape
    torch.Size([5])
    """
    size, narrow = _check(size, narrow)
    if size == 32:
        up, down = [256] * 4, [128] * 4
    else:
        up, down = [512, 256, 128, 64], [64, 128, 256, 512, 1024]
    with seeded(seed):
        return Players(
            _resnet_generator([each // narrow for each in up], size // 8, bottleneck),
            _resnet_discriminator(
                [each // narrow for each in down],
                bottleneck,
                partial(_layer, normed=True, released=released),
            ),
        )


class _Residual(nn.Module):
    """The sum of a block's two branches."""

    def __init__(self, shortcut: nn.Module, *layers: nn.Module) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.layers(x)


class _Total(nn.Module):
    """(N, channels, height, width) to the sums (N, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(dim=(2, 3))


def _resnet_generator(channels: list[int], side: int, bottleneck: bool) -> nn.Sequential:
    first, last = channels[0], channels[-1]
    layers: list[nn.Module] = [
        nn.Linear(_LATENT, first * side**2),
        nn.Unflatten(1, (first, side, side)),
    ]
    for before, after in pairwise(channels):
        inner = after // 2 if bottleneck else after
        block = _Residual(
            nn.Sequential(_enlarge(), nn.Conv2d(before, after, 1)),
            *(nn.BatchNorm2d(before), nn.ReLU(), _enlarge()),
            *(nn.Conv2d(before, inner, 3, padding=1), nn.BatchNorm2d(inner), nn.ReLU()),
            nn.Conv2d(inner, after, 3, padding=1),
        )
        layers.append(block)
    return nn.Sequential(*layers, nn.BatchNorm2d(last), nn.ReLU(), nn.Conv2d(last, 3, 1), nn.Tanh())


def _resnet_discriminator(channels: list[int], bottleneck: bool, layer: MakeLayer) -> nn.Sequential:
    first, last = channels[0], channels[-1]
    inner = first // 2 if bottleneck else first
    # The image itself goes through no activation, and its shortcut is cheaper after the pooling.
    layers: list[nn.Module] = [
        _Residual(
            nn.Sequential(nn.AvgPool2d(2), layer(nn.Conv2d(3, first, 1))),
            *(layer(nn.Conv2d(3, inner, 3, padding=1)), nn.LeakyReLU(0.1)),
            *(layer(nn.Conv2d(inner, first, 3, padding=1)), nn.AvgPool2d(2)),
        )
    ]
    for before, after in pairwise(channels):
        inner = before // 2 if bottleneck else before
        block = _Residual(
            nn.Sequential(layer(nn.Conv2d(before, after, 1)), nn.AvgPool2d(2)),
            *(nn.LeakyReLU(0.1), layer(nn.Conv2d(before, inner, 3, padding=1))),
            *(nn.LeakyReLU(0.1), layer(nn.Conv2d(inner, after, 3, padding=1))),
            nn.AvgPool2d(2),
        )
        layers.append(block)
    judge = layer(nn.Linear(last, 1, bias=False))
    return nn.Sequential(*layers, nn.LeakyReLU(0.1), _Total(), judge, nn.Flatten(0))


def _enlarge() -> nn.Module:
    return nn.Upsample(scale_factor=2, mode="bilinear")


def _layer(layer: nn.Conv2d | nn.Linear, *, normed: bool, released: bool) -> nn.Module:
    """One of D's layers: orthogonal weights if as released, spectral norm if wanted."""
    if released:
        nn.init.orthogonal_(layer.weight)
    return spectral_norm(layer) if normed else layer


def _check(size: int, narrow: int) -> tuple[int, int]:
    size, narrow = whole_number("size", size, 1), _check_narrow(narrow)
    if size not in (32, 48):
        raise ValueError(f"images have a size of 32 or 48, got {size}")
    return size, narrow


def _check_narrow(narrow: int) -> int:
    narrow = whole_number("narrow", narrow, 1)
    if narrow not in NARROW:
        raise ValueError(f"narrow is one of {NARROW}, which leave whole channels, got {narrow}")
    return narrow
