"""The networks of the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class Players(NamedTuple):
    """The two networks of a GAN: latents to samples, and samples to logits."""

    generator: nn.Module
    discriminator: nn.Module


def mlp(
    sizes: Sequence[int], *, seed: int, activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """Fully connected layers of these sizes, an activation between them, torch's initialisation.

    Berard et al. 2020, Appendix C.1, take (latent, 100, 1) and (1, 100, 1) for the mixture of
    Gaussians: 301 parameters a player with a latent of one dimension.

    Raises:
        ValueError: for fewer than two sizes, or one below 1.

    >>> sum(each.numel() for each in mlp([1, 100, 1], seed=0).parameters())
    301
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes are two or more positive integers, got {list(sizes)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(sizes):
            layers += [nn.Linear(wide, narrow), activation()]
    return nn.Sequential(*layers[:-1])


def two_cluster_nets(
    *, seed: int, widths: tuple[int, int] = (10, 5), scale: float = 1.0
) -> Players:
    """The "4-layer" nets of Sun et al. 2020, Section 5, as released: layers of units are counted.

    G has two hidden layers of tanh, D two of sigmoid; D gives logits.

    Args:
        seed: of both initialisations.
        widths: of D's hidden layers and of G's.
        scale: factor on all initial weights and biases.

    >>> [sum(p.numel() for p in net.parameters()) for net in two_cluster_nets(seed=0)]
    [46, 141]
    """
    of_discriminator, of_generator = widths
    players = Players(
        mlp([1, of_generator, of_generator, 1], seed=2 * seed, activation=nn.Tanh),
        mlp([1, of_discriminator, of_discriminator, 1], seed=2 * seed + 1, activation=nn.Sigmoid),
    )
    with torch.no_grad():
        for net in players:
            for weight in net.parameters():
                weight.mul_(scale)
    return players


def gaussians_nets(*, seed: int) -> Players:
    """The nets that Sun et al. 2020 released for five Gaussians: 128 wide, no bias on D's last.

    >>> gaussians_nets(seed=0).discriminator(torch.zeros(3, 2)).shape
    torch.Size([3, 1])
    """
    generator = mlp([2, 128, 128, 2], seed=2 * seed)
    discriminator = mlp([2, 128, 128, 1], seed=2 * seed + 1, activation=partial(nn.LeakyReLU, 0.2))
    discriminator[-1].bias = None
    return Players(generator, discriminator)


def dcgan(*, seed: int, latent: int = 100, width: int = 64, channels: int = 1) -> Players:
    """The DCGAN of Berard et al. 2020 for images of 32 x 32 pixels (Section 5, Appendix C.2).

    G: latents (N, latent) to images (N, channels, 32, 32) by four transposed convolutions, batch
    norm after all but the last. D: images to logits (N,) by four convolutions, spectral norm on
    all but the last. Weights start from a normal law of standard deviation 0.02, as Radford et al.
    2016 have it.

    Raises:
        ValueError: for a latent, width or channels below 1.

    >>> [sum(p.numel() for p in net.parameters()) for net in dcgan(seed=0)]
    [1066880, 660480]
    """
    if min(latent, width, channels) < 1:
        raise ValueError(
            f"latent, width and channels are 1 or more, got {latent}, {width} and {channels}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Players(
            _dcgan_generator(latent, width, channels), _dcgan_discriminator(width, channels)
        )


def _dcgan_generator(latent: int, width: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
    sizes = [latent, 4 * width, 2 * width, width]
    for before, after in pairwise(sizes):
        stride, padding = (1, 0) if before == latent and len(layers) == 1 else (2, 1)
        up = nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False)
        norm = nn.BatchNorm2d(after)
        nn.init.normal_(up.weight, 0.0, 0.02)
        nn.init.normal_(norm.weight, 1.0, 0.02)
        layers += [up, norm, nn.ReLU()]
    last = nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False)
    nn.init.normal_(last.weight, 0.0, 0.02)
    return nn.Sequential(*layers, last, nn.Tanh())


def _dcgan_discriminator(width: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    sizes = [channels, width, 2 * width, 4 * width]
    for before, after in pairwise(sizes):
        down = nn.Conv2d(before, after, 4, 2, 1, bias=False)
        nn.init.normal_(down.weight, 0.0, 0.02)
        layers += [spectral_norm(down), nn.LeakyReLU(0.2)]
    last = nn.Conv2d(4 * width, 1, 4, 1, 0, bias=False)
    nn.init.normal_(last.weight, 0.0, 0.02)
    return nn.Sequential(*layers, last, nn.Flatten(0))
