"""A GAN of two networks as a `Game` of one flat point.

Data and latents are fixed, so that both losses are functions of the weights alone: the same
numbers at every call. What a network would change while it runs is held. Batch norm takes the
statistics of the batch at hand, as in training, and keeps no running ones (or, on request, takes
the stored ones); dropout is off. Spectral norm holds its two singular vectors, as a
gradient taken in training does, or is settled: a function of the weights at hand alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, replace_all_batch_norm_modules_
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList

from helpers.games import Game, average
from helpers.losses import GanLoss, find_loss
from helpers.penalties import GradientPenalty


def network_game(
    generator: nn.Module,
    discriminator: nn.Module,
    latents: Tensor,
    reals: Tensor,
    *,
    loss: str = "js",
    penalty: GradientPenalty | None = None,
    batch_size: int | None = None,
    batch_norm: str = "batch",
    spectral_norm: str = "held",
) -> Game:
    """The game that two networks play on fixed latents and fixed real samples.

    A point of the game is `joint_point` of two networks of the same shapes; the ones given here
    are copied and never changed. Precision follows the point: a bfloat16 point makes bfloat16
    products. Parameters keep their names, as ``game.blocks`` of "G.0.weight" and the like.

    Args:
        generator: latents (N, ...) to samples (N, ...).
        discriminator: samples to logits, of N elements.
        latents, reals: N each, on one device.
        loss: a name of `helpers.losses.LOSSES`; "js" is the non-saturating GAN.
        penalty: on D's slope, added to D's loss.
        batch_size: the losses are then means over batches of this size, in order, each weighted
            by its size; batch norm sees one batch at a time. All at once by default.
        batch_norm: "batch" for the statistics of the batch, "running" for the stored ones.
        spectral_norm: "held" for the singular vectors that the networks have stored, constants as
            in the derivatives that Berard et al. 2020 take; they fit no other point than the
            networks' own. "settled" divides by the
            largest singular value itself, and has all its derivatives; second ones are not finite
            where singular values of a layer coincide.

    Raises:
        ValueError: for an unknown loss, batch_norm or spectral_norm, no samples, unequal numbers of
            latents and reals, a batch_size below 1, and data that are not finite.

    >>> from helpers.models import mlp
    >>> nets = mlp([1, 100, 1], seed=0), mlp([1, 100, 1], seed=1)
    >>> z, x = torch.zeros(8, 1), torch.ones(8, 1)
    >>> network_game(*nets, z, x).vector_field(joint_point(*nets)).shape
    torch.Size([602])
    """
    of = find_loss(loss)
    if batch_norm not in ("batch", "running"):
        raise ValueError(f"batch_norm is 'batch' or 'running', got {batch_norm!r}")
    if spectral_norm not in ("held", "settled"):
        raise ValueError(f"spectral_norm is 'held' or 'settled', got {spectral_norm!r}")
    if not len(latents) or len(latents) != len(reals):
        raise ValueError(
            f"as many latents as reals, and at least one, got {len(latents)} and {len(reals)}"
        )
    if not (latents.isfinite().all() and reals.isfinite().all()):
        raise ValueError("latents and reals must be finite")
    size = len(latents) if batch_size is None else batch_size
    if type(size) is not int or size < 1:
        raise ValueError(f"batch_size is 1 or more, got {batch_size!r}")
    nets = [_Held(net, batch_norm, spectral_norm) for net in (generator, discriminator)]
    extra = [None] * -(-len(latents) // size)
    if penalty is not None:
        shares = penalty.shares(len(latents)).to(reals.device)
        extra = [partial(penalty, shares=each) for each in shares.split(size)]
    parts = [
        _on_one_batch(*nets, z.detach().clone(), x.detach().clone(), of, own)  # held apart
        for z, x, own in zip(latents.split(size), reals.split(size), extra, strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    return average(parts, [len(z) / len(latents) for z in latents.split(size)])


def joint_point(generator: nn.Module, discriminator: nn.Module) -> Tensor:
    """(p + q,): the weights of both networks in one vector, G's first, in their own order.

    >>> from helpers.models import mlp
    >>> joint_point(mlp([1, 1], seed=0), mlp([1, 1], seed=1)).shape
    torch.Size([4])
    """
    weights = [p for net in (generator, discriminator) for p in net.parameters()]
    return torch.cat([weight.detach().reshape(-1) for weight in weights])


@torch.no_grad()
def spectral_norms(net: nn.Module) -> Tensor:
    """(layers, 3): the norm that each layer is divided by, and its two largest singular values.

    Where singular values lie close together, one power iteration in each pass of a training does
    not keep the first two numbers equal.

    Raises:
        ValueError: for a network without torch's spectral norm.

    >>> from helpers.models import dcgan
    >>> spectral_norms(dcgan(seed=0, width=2).discriminator).shape
    torch.Size([3, 3])
    """
    rows = []
    for each in [m for m in net.modules() if isinstance(m, ParametrizationList)]:
        for part in [p for p in each if isinstance(p, _SpectralNorm)]:
            matrix = part._reshape_weight_to_matrix(each.original)
            held = torch.dot(part._u, matrix @ part._v)
            rows.append(torch.stack([held, *torch.linalg.svdvals(matrix)[:2]]))
    if not rows:
        raise ValueError("no layer of this network has a spectral norm")
    return torch.stack(rows)


class _Held:
    """A network as a pure function of its flat weights."""

    def __init__(self, net: nn.Module, batch_norm: str, spectral_norm: str) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        if spectral_norm == "settled":
            for each in [m for m in self.net.modules() if isinstance(m, ParametrizationList)]:
                for number, part in enumerate(each):
                    if isinstance(part, _SpectralNorm):
                        each[number] = _Settled(part)
        if batch_norm == "batch":
            replace_all_batch_norm_modules_(self.net)
        named = dict(self.net.named_parameters())
        self.shapes = {name: weight.shape for name, weight in named.items()}
        self.lengths = [weight.numel() for weight in named.values()]

    def __call__(self, flat: Tensor, inputs: Tensor) -> Tensor:
        pieces = zip(self.shapes.items(), flat.split(self.lengths), strict=True)
        tensors = {name: piece.view(shape) for (name, shape), piece in pieces}
        for name, buffer in self.net.named_buffers():
            tensors[name] = buffer.to(flat.dtype) if buffer.is_floating_point() else buffer
        return functional_call(self.net, tensors, (inputs.to(flat.dtype),))

    def blocks(self, player: str, start: int) -> Iterator[tuple[str, slice]]:
        for name, length in zip(self.shapes, self.lengths, strict=True):
            plain = f"{player}.{name}".replace(".parametrizations.", ".").removesuffix(".original")
            yield plain, slice(start, start + length)
            start += length


class _Settled(nn.Module):
    """Division by the largest singular value, a function of the weight alone."""

    def __init__(self, norm: _SpectralNorm) -> None:
        super().__init__()
        self.as_matrix = norm._reshape_weight_to_matrix

    def forward(self, weight: Tensor) -> Tensor:
        matrix = self.as_matrix(weight)
        # Of the Gram matrix: torch's second derivatives of singular values are not finite here.
        gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
        return weight / torch.linalg.eigvalsh(gram)[-1].sqrt()


def _on_one_batch(
    generator: _Held,
    discriminator: _Held,
    latents: Tensor,
    reals: Tensor,
    of: GanLoss,
    penalty: Callable[..., Tensor] | None,
) -> Game:
    def logits(phi: Tensor, samples: Tensor) -> Tensor:
        found = discriminator(phi, samples)
        if found.numel() != len(samples):
            got = f"{tuple(found.shape)} for {len(samples)} samples"
            raise ValueError(f"a discriminator gives one logit a sample, got {got}")
        return found

    def generator_loss(theta: Tensor, phi: Tensor) -> Tensor:
        fake = logits(phi, generator(theta, latents))
        return of.generator(logits(phi, reals) if of.pairs else fake, fake)

    def discriminator_loss(theta: Tensor, phi: Tensor) -> Tensor:
        samples = generator(theta, latents)
        value = of.discriminator(logits(phi, reals), logits(phi, samples))
        if penalty is None:
            return value
        return value + penalty(partial(logits, phi), reals.to(samples), samples)

    p, q = sum(generator.lengths), sum(discriminator.lengths)
    blocks = dict([*generator.blocks("G", 0), *discriminator.blocks("D", p)])
    return Game(generator_loss, discriminator_loss, (p, q), f"a GAN ({of.name})", blocks)
