"""What a pair of networks is."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn


class Players(NamedTuple):
    """The two networks of a GAN: latents to samples, and samples to logits."""

    generator: nn.Module
    discriminator: nn.Module
