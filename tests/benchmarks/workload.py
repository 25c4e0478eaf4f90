"""What `make bench` works on: a DCGAN after some training, as modules and as a game.

The networks of Berard et al. 2020 (G: z 100, ngf 64, batch norm; D: ndf 64, spectral norm) on
images of 32 x 32, after some steps of Adam: MNIST where it is at hand, else blobs of light. Both
views are of the same functions: batch norm takes the statistics of the batch, spectral norm holds
its vectors.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils import parametrize
from torchvision.datasets import MNIST

from helpers.games.game import Game
from helpers.games.networks import joint_point, network_game
from helpers.losses.table import LOSSES
from helpers.models import dcgan, mlp

# A run that is recorded for the book does all the work and takes an hour. Any other, of some ten
# minutes, makes do with fewer repeats, fewer images, probes and eigenvalues, and leaves out what
# repeats a comparison at another size.
FULL = bool(os.environ.get("GANSCAPES_RECORD_BENCH"))
FEW = 64 if FULL else 32  # images in a comparison

LOSS = LOSSES["js"]
TRAINED = 200 if FULL else 50  # steps
Nets = tuple[nn.Module, nn.Module]


@dataclass(frozen=True)
class Gan:
    """A GAN on fixed data: modules in training mode, and the same as a game at a point."""

    nets: Nets
    latents: Tensor
    reals: Tensor

    @property
    def game(self) -> Game:
        return network_game(*self.nets, self.latents, self.reals)

    @property
    def omega(self) -> Tensor:
        return joint_point(*self.nets)

    def closure(self, player: str) -> Callable[[], Tensor]:
        """The player's loss; D's has its generated images at hand, as D's user would."""
        generator, discriminator = self.nets
        if player == "G":
            return lambda: LOSS.generator(None, discriminator(generator(self.latents)))
        fake = generator(self.latents).detach()
        return lambda: LOSS.discriminator(discriminator(self.reals), discriminator(fake))

    def game_closures(self) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
        """Both losses, each a function of both players."""
        generator, discriminator = self.nets

        def of_discriminator() -> Tensor:
            fake = discriminator(generator(self.latents))
            return LOSS.discriminator(discriminator(self.reals), fake)

        return self.closure("G"), of_discriminator

    def gradient(self, player: str) -> Callable[[], object]:
        """One gradient as training computes it: the unit of `make bench`'s ratios.

        With "J" both players', from one pass through either network.
        """
        generator, discriminator = self.nets
        if player != "J":
            closure, net = self.closure(player), self.nets["GD".index(player)]
            return lambda: torch.autograd.grad(closure(), [*net.parameters()])

        def both() -> object:
            fake, real = discriminator(generator(self.latents)), discriminator(self.reals)
            of_g = torch.autograd.grad(
                LOSS.generator(real, fake), [*generator.parameters()], retain_graph=True
            )
            loss = LOSS.discriminator(real, fake)
            return of_g, torch.autograd.grad(loss, [*discriminator.parameters()])

        return both

    def gradients_apart(self) -> Callable[[], object]:
        """Both players' gradients, each loss by itself, as Berard et al. released it."""
        each = list(zip(self.game_closures(), self.nets, strict=True))
        return lambda: [torch.autograd.grad(loss(), [*net.parameters()]) for loss, net in each]


@cache
def images() -> tuple[str, Tensor]:
    """The data's name, and (5000, 1, 32, 32) in -1 to 1."""
    folder = os.environ.get("GANSCAPES_DATA")
    if folder and (Path(folder) / "MNIST").is_dir():
        digits = MNIST(folder, train=True).data[:5000, None].float() / 127.5 - 1
        return "MNIST", interpolate(digits, size=32, mode="bilinear", align_corners=False)
    random = torch.Generator().manual_seed(0)
    centre = 8 + 16 * torch.rand(5000, 2, 1, 1, generator=random)
    across, down = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="xy")
    away = (across - centre[:, :1]) ** 2 + (down - centre[:, 1:]) ** 2
    return "blobs", 2 * torch.exp(-away / 18) - 1


@cache
def snapshots() -> dict[str, Nets]:
    """The networks after training, and 1 and 50 steps later; 50 also at a 20th of the rate."""
    nets, random = dcgan(seed=0), torch.Generator().manual_seed(0)
    rates = (2e-4, 1e-5)
    found = {}
    _train(nets, rates[0], TRAINED, random)
    found["trained"] = copy.deepcopy(nets)
    _train(nets, rates[0], 1, random)
    found["1 step later"] = copy.deepcopy(nets) if FULL else nets
    if FULL:
        _train(nets, rates[0], 49, random)
        found["50 steps later"] = nets
        slow = copy.deepcopy(found["trained"])
        _train(slow, rates[1], 50, random)
        found["50 slow steps later"] = slow
    return {name: held(nets) for name, nets in found.items()}


def gan(size: int, state: str = "trained") -> Gan:
    """A state of training on the first images."""
    random = torch.Generator().manual_seed(1)
    return Gan(snapshots()[state], torch.randn(size, 100, generator=random), images()[1][:size])


def small_gan(seed: int) -> Gan:
    """301 weights a player on a mixture of two Gaussians, after 1,000 steps of Adam."""
    random = torch.Generator().manual_seed(seed)
    normal = torch.randn(1000, 1, generator=random)
    left = torch.rand(1000, 1, generator=random) < 0.5
    reals = torch.where(left, -2 + normal, 2 + 0.5**0.5 * normal)
    nets = mlp([1, 100, 1], seed=2 * seed), mlp([1, 100, 1], seed=2 * seed + 1)
    found = Gan(nets, torch.randn(1000, 1, generator=random), reals)
    both = [*nets[0].parameters(), *nets[1].parameters()]
    adam, gradient = torch.optim.Adam(both, lr=3e-3, betas=(0.5, 0.999)), found.gradient("J")
    for _ in range(1000):
        of_g, of_d = gradient()
        for weight, slope in zip(both, [*of_g, *of_d], strict=True):
            weight.grad = slope
        adam.step()
    return found


def _train(nets: Nets, rate: float, steps: int, random: torch.Generator) -> None:
    adams = [torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.999)) for net in nets]
    reals = images()[1]
    for _ in range(steps):
        real = reals[torch.randint(len(reals), (64,), generator=random)]
        fake = nets[0](torch.randn(64, 100, generator=random))
        adams[1].zero_grad()
        LOSS.discriminator(nets[1](real), nets[1](fake.detach())).backward()
        adams[1].step()
        adams[0].zero_grad()
        LOSS.generator(None, nets[1](fake)).backward()
        adams[0].step()


def held(nets: Nets) -> Nets:
    """In training mode, but that batch norm keeps no books and spectral norm holds its vectors."""
    for module in [each for net in nets for each in net.train().modules()]:
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
        if parametrize.is_parametrized(module):
            module.parametrizations.eval()
    return nets
