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


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Layers made in here are on the CPU and the same for one seed, whatever the default device.

    The caller's random numbers go on as if nothing had been drawn, on every device.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(inputs.seed(seed))
        yield
