"""A pair of networks, and where its first weights come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from helpers import inputs


class Players(NamedTuple):
    """The two networks of a GAN: latents to samples, and samples to logits."""

    generator: nn.Module
    discriminator: nn.Module


def check_weights(generator: nn.Module, discriminator: nn.Module) -> None:
    """Raise a ValueError, with their names, for weights of which copies would be something else.

    A weight that both players have would become two. A hook of a weight changes its gradient, and
    copies do not have it. Weights that do not require grad are constants, and may be shared.

    >>> check_weights(nn.Linear(1, 1), nn.Linear(1, 1))
    """
    seen: dict[int, str] = {}
    for player, net in (("G", generator), ("D", discriminator)):
        moving = {f"{player}.{k}": w for k, w in net.named_parameters() if w.requires_grad}
        for name, weight in moving.items():
            if weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None):
                raise ValueError(
                    f"{name} has a hook on its gradient, which copies of the network do not have; "
                    "remove the hook, and change gradients in an optimiser, or what the network "
                    "computes in its forward pass"
                )
            other = seen.get(_place(weight))
            if other is not None:
                raise ValueError(
                    f"{other} and {name} are one weight, but the players move weights of their "
                    "own; give each a layer of its own, or hold the shared one by "
                    "requires_grad_(False)"
                )
        seen |= {_place(weight): name for name, weight in moving.items()}


def _place(weight: torch.Tensor) -> int:
    """Where a weight lies in memory; one without numbers lies nowhere, and is itself."""
    return weight.data_ptr() if weight.numel() and not weight.is_meta else id(weight)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Layers made in here are on the CPU and the same for one seed, whatever the default device.

    The caller's random numbers go on as if nothing had been drawn, on every device.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(inputs.seed(seed))
        yield
