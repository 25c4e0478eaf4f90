"""GANs of any number of weights: a discriminator of two hidden layers, and a small generator."""

from __future__ import annotations

import math

import torch

from helpers.models import mlp
from tests.benchmarks.workload import LOSS, Gan

_INPUTS, _LATENT, _TRAINED = 20, 10, 20


def dense_gan(weights: int, batch: int, device: torch.device | str = "cpu") -> Gan:
    """D of at least so many weights, from 500 on, after some steps of Adam on normal numbers."""
    # w^2 + (inputs + 3) w + 1 weights, biases among them
    half = (_INPUTS + 3) / 2
    width = math.ceil(math.sqrt(half**2 + weights - 1) - half)
    nets = mlp([_LATENT, _INPUTS], seed=0), mlp([_INPUTS, width, width, 1], seed=1)
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(batch, _LATENT, generator=random).to(device)
    reals = (torch.randn(batch, _INPUTS, generator=random) + 0.5).to(device)
    found = Gan((nets[0].to(device), nets[1].to(device)), latents, reals)
    adam = torch.optim.Adam(nets[1].parameters(), 1e-4)
    for _ in range(_TRAINED):
        adam.zero_grad()
        LOSS.discriminator(nets[1](reals), nets[1](nets[0](latents).detach())).backward()
        adam.step()
    adam.zero_grad()
    return found
