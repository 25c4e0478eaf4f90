"""Nets for images of 32 x 32 pixels: GANs and a classifier to judge them."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from helpers.inputs import whole_number
from helpers.models.players import Players, seeded


def dcgan(
    *,
    seed: int,
    latent: int = 100,
    width: int = 64,
    channels: int = 1,
    normed: bool = True,
    batch_normed: bool = False,
) -> Players:
    """The DCGAN of Berard et al. 2020 for images of 32 x 32 pixels (Section 5, Appendix C.2).

    G maps latents (N, latent) to images (N, channels, 32, 32) by four transposed convolutions, with
    batch norm after all but the last. D maps images to logits (N,) by four convolutions, with
    spectral norm on all but the last. Weights start from a normal law of standard deviation 0.02,
    as in Radford et al. 2016. No convolution has biases, as there; in the released MNIST script D's
    four and G's last one have them.

    Args:
        seed: for both initialisations.
        latent: dimension of the latents.
        width: channels next to the image, in both players.
        channels: of the images.
        normed: whether D has spectral norm.
        batch_normed: whether D has batch norm after its second and third convolutions, as in
            Radford et al. 2016, in place of spectral norm.

    Raises:
        ValueError: for a latent, width or channels below 1, and for a D with both norms.

    >>> [sum(p.numel() for p in net.parameters()) for net in dcgan(seed=0)]
    [1066880, 660480]
    """
    latent, width = whole_number("latent", latent, 1), whole_number("width", width, 1)
    channels = whole_number("channels", channels, 1)
    if normed and batch_normed:
        raise ValueError("D has spectral norm or batch norm, got both normed and batch_normed")
    with seeded(seed):
        return Players(
            _dcgan_generator(latent, width, channels),
            _dcgan_discriminator(width, channels, normed, batch_normed),
        )


def dense_image_nets(
    *, seed: int, latent: int = 100, width: int = 128, batch_normed: bool = False
) -> Players:
    """Fully connected nets for grey images of 32 x 32 pixels, as in many simple GANs.

    G maps latents (N, latent) to images (N, 1, 32, 32) through 1, 2, 4 and 8 times width units. D
    maps images to logits (N,) through 4 and 2 times width units. They have leaky ReLU of slope 0.2,
    tanh at the image, and torch's initialisation.

    Args:
        seed: for both initialisations.
        latent: dimension of the latents.
        width: units of G's first layer.
        batch_normed: whether G has batch norm after all layers but the first and the last.

    Raises:
        ValueError: for a latent or a width below 1.

    >>> [sum(p.numel() for p in net.parameters()) for net in dense_image_nets(seed=0)]
    [1752448, 656385]
    """
    width = whole_number("width", width, 1)
    sizes = [whole_number("latent", latent, 1), *(times * width for times in (1, 2, 4, 8))]
    with seeded(seed):
        up: list[nn.Module] = []
        for before, after in pairwise(sizes):
            norm = [nn.BatchNorm1d(after)] if batch_normed and up else []
            up += [nn.Linear(before, after), *norm, nn.LeakyReLU(0.2)]
        up += [nn.Linear(8 * width, 32 * 32), nn.Tanh(), nn.Unflatten(1, (1, 32, 32))]
        down = [nn.Flatten(), nn.Linear(32 * 32, 4 * width), nn.LeakyReLU(0.2)]
        down += [nn.Linear(4 * width, 2 * width), nn.LeakyReLU(0.2)]
        down += [nn.Linear(2 * width, 1), nn.Flatten(0)]
    return Players(nn.Sequential(*up), nn.Sequential(*down))


def _dcgan_generator(latent: int, width: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
    sizes = [latent, 4 * width, 2 * width, width]
    for before, after in pairwise(sizes):
        stride, padding = (1, 0) if before == latent and len(layers) == 1 else (2, 1)
        up = nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False)
        nn.init.normal_(up.weight, 0.0, 0.02)
        layers += [up, _batch_norm(after), nn.ReLU()]
    last = nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False)
    nn.init.normal_(last.weight, 0.0, 0.02)
    return nn.Sequential(*layers, last, nn.Tanh())


def _dcgan_discriminator(
    width: int, channels: int, normed: bool, batch_normed: bool
) -> nn.Sequential:
    layers: list[nn.Module] = []
    sizes = [channels, width, 2 * width, 4 * width]
    for before, after in pairwise(sizes):
        down = nn.Conv2d(before, after, 4, 2, 1, bias=False)
        nn.init.normal_(down.weight, 0.0, 0.02)
        layers.append(spectral_norm(down) if normed else down)
        if batch_normed and len(layers) > 1:
            layers.append(_batch_norm(after))
        layers.append(nn.LeakyReLU(0.2))
    last = nn.Conv2d(4 * width, 1, 4, 1, 0, bias=False)
    nn.init.normal_(last.weight, 0.0, 0.02)
    return nn.Sequential(*layers, last, nn.Flatten(0))


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm, initialised as in Radford et al. 2016."""
    norm = nn.BatchNorm2d(channels)
    nn.init.normal_(norm.weight, 1.0, 0.02)
    return norm


def lenet(*, seed: int, channels: int = 1, classes: int = 10) -> nn.Sequential:
    """A classifier in the style of LeNet-5 (LeCun et al. 1998, Section II.B), for 32 x 32 pixels.

    It maps images (N, channels, 32, 32) to logits (N, classes), with ReLU and max-pooling as is
    usual now. The last layer is linear; ``net[:-1]`` gives the features (N, 84) that it sees.

    Raises:
        ValueError: for channels below 1 or classes below 2.

    >>> import torch
    >>> net = lenet(seed=0)
    >>> sum(each.numel() for each in net.parameters()), net[:-1](torch.zeros(3, 1, 32, 32)).shape
    (61706, torch.Size([3, 84]))
    """
    channels, classes = whole_number("channels", channels, 1), whole_number("classes", classes, 2)
    with seeded(seed):
        return nn.Sequential(
            *(nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(16 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
            nn.Linear(84, classes),
        )
