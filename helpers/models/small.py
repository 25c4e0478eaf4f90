"""Fully connected nets for samples of one or two numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from helpers.inputs import real_number, shown, whole_number
from helpers.inputs import seed as whole_seed
from helpers.models.players import Players, seeded


def mlp(
    sizes: Sequence[int], *, seed: int, activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """Fully connected layers of these sizes, with activations between and torch's initialisation.

    Berard et al. 2020, Appendix C.1, take (latent, 100, 1) and (1, 100, 1) for the mixture of
    Gaussians: 301 parameters per player if the latent has one dimension.

    Raises:
        ValueError: for fewer than two sizes, or a size below 1.

    >>> sum(each.numel() for each in mlp([1, 100, 1], seed=0).parameters())
    301
    """
    if not isinstance(sizes, Sequence) or isinstance(sizes, str) or len(sizes) < 2:
        raise ValueError(f"sizes are two or more positive integers, got {shown(sizes)}")
    sizes = [whole_number("each of the sizes", size, 1) for size in sizes]
    if not callable(activation):
        raise ValueError(f"an activation is a function that makes a layer, got {shown(activation)}")
    with seeded(seed):
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(sizes):
            layers += [nn.Linear(wide, narrow), activation()]
    return nn.Sequential(*layers[:-1])


def two_cluster_nets(
    *, seed: int, widths: tuple[int, int] = (10, 5), scale: float = 1.0
) -> Players:
    """The "4-layer" nets of Sun et al. 2020, Section 5, as released: the 4 counts layers of units.

    G has two hidden layers of tanh, D two of sigmoid; D gives logits.

    Args:
        seed: for both initialisations.
        widths: of D's hidden layers and of G's.
        scale: factor on all initial weights and biases.

    Raises:
        ValueError: for other than two widths, and numbers out of range.

    >>> [sum(p.numel() for p in net.parameters()) for net in two_cluster_nets(seed=0)]
    [46, 141]
    """
    if not isinstance(widths, Sequence) or isinstance(widths, str) or len(widths) != 2:
        raise ValueError(f"widths are D's and G's, got {shown(widths)}")
    of_discriminator, of_generator = widths
    seed, scale = whole_seed(seed), real_number("scale", scale)
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
    """The nets released by Sun et al. 2020 for five Gaussians: 128 wide, no bias in D's last layer.

    >>> gaussians_nets(seed=0).discriminator(torch.zeros(3, 2)).shape
    torch.Size([3, 1])
    """
    seed = whole_seed(seed)
    generator = mlp([2, 128, 128, 2], seed=2 * seed)
    discriminator = mlp([2, 128, 128, 1], seed=2 * seed + 1, activation=partial(nn.LeakyReLU, 0.2))
    discriminator[-1].register_parameter("bias", None)
    return Players(generator, discriminator)
