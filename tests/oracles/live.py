"""Small GANs as torch itself trains them: a field by `backward`, a Jacobian by differences of it.

Nothing here goes through helpers.games.networks, helpers.losses or torch.func. The modules run in
training mode, so that batch norm takes the statistics of each batch; only spectral norm holds its
two vectors. All is float64.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import parametrize, vector_to_parameters
from torch.nn.utils.parametrizations import spectral_norm

torch.set_num_threads(1)  # more of them would only wait for one another
STEP = 1e-6  # batches of two samples have third derivatives in the thousands
NETWORKS = ("convolutions", "layers")


def cross_entropy(logits: Tensor, label: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


# G's loss and D's, of the logits of real and of generated samples.
BY_HAND = {
    "js": (
        lambda real, fake: cross_entropy(fake, 1),
        lambda real, fake: cross_entropy(real, 1) + cross_entropy(fake, 0),
    ),
    "rs": (
        lambda real, fake: cross_entropy(fake - real, 1),
        lambda real, fake: cross_entropy(real - fake, 1),
    ),
}
LOSS = {"convolutions": "js", "layers": "rs"}


def gan(kind: str) -> tuple[nn.Module, nn.Module]:
    """G and D with batch norm and spectral norm, the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "convolutions":
            generator = nn.Sequential(
                nn.Unflatten(1, (2, 1, 1)),
                nn.ConvTranspose2d(2, 2, 2, bias=False),
                nn.BatchNorm2d(2),
                nn.Tanh(),
                nn.ConvTranspose2d(2, 1, 2, 2),
            )
            discriminator = nn.Sequential(
                spectral_norm(nn.Conv2d(1, 2, 2, 2)),
                nn.LeakyReLU(0.2),
                nn.Conv2d(2, 1, 2),
                nn.Flatten(0),
            )
        else:
            generator = nn.Sequential(
                nn.Linear(2, 3), nn.BatchNorm1d(3), nn.LeakyReLU(0.2), nn.Linear(3, 2)
            )
            discriminator = nn.Sequential(
                spectral_norm(nn.Linear(2, 3)), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 1)
            )
    return generator.double(), discriminator.double()


def data(kind: str, count: int = 8) -> tuple[Tensor, Tensor]:
    """Latents and real samples, `count` of each."""
    random = torch.Generator().manual_seed(1)
    shape = (1, 4, 4) if kind == "convolutions" else (2,)
    latents = torch.randn(count, 2, generator=random, dtype=torch.float64)
    return latents, torch.randn(count, *shape, generator=random, dtype=torch.float64)


def point(kind: str) -> Tensor:
    """(p + q,): a point somewhat away from the initial weights, batch norm's ones among them."""
    initial = torch.cat([w.detach().reshape(-1) for net in gan(kind) for w in net.parameters()])
    random = torch.Generator().manual_seed(2)
    return initial + 0.2 * torch.randn(len(initial), generator=random, dtype=torch.float64)


def live_losses(
    nets: tuple[nn.Module, nn.Module], latents: Tensor, reals: Tensor, loss: str
) -> list[Tensor]:
    """L_G and L_D of one batch, in training mode but for the vectors of spectral norm."""
    for module in [each for net in nets for each in net.train().modules()]:
        if parametrize.is_parametrized(module):
            module.parametrizations.eval()
    real, fake = nets[1](reals), nets[1](nets[0](latents))
    return [player(real, fake) for player in BY_HAND[loss]]


def live_field(kind: str, omega: Tensor, size: int) -> Tensor:
    """(p + q,): both players' gradients by `backward`, weighted over batches of this size."""
    nets, (latents, reals) = gan(kind), data(kind)
    vector_to_parameters(omega, [w for net in nets for w in net.parameters()])
    for z, x in zip(latents.split(size), reals.split(size), strict=True):
        own = live_losses(nets, z, x, LOSS[kind])
        for net, other, value in zip(nets, nets[::-1], own, strict=True):
            other.requires_grad_(False)
            (value * len(z) / len(latents)).backward(retain_graph=True, inputs=[*net.parameters()])
            other.requires_grad_(True)
    return torch.cat([w.grad.reshape(-1) for net in nets for w in net.parameters()])


@cache
def live_jacobian(kind: str, size: int = 8) -> Tensor:
    """(p + q, p + q): of the field at `point`, by central differences."""
    omega = point(kind)
    away = STEP * torch.eye(len(omega), dtype=omega.dtype)
    rises = [live_field(kind, omega + a, size) - live_field(kind, omega - a, size) for a in away]
    return torch.stack(rises, dim=1) / (2 * STEP)
