"""A GAN of two networks as a `Game` of one flat point.

Data and latents are fixed, so that both losses are functions of the weights alone: the same
numbers at every call. What a network would change while it runs is held. Batch norm takes the
statistics of the batch at hand, as in training, and keeps no running ones (or, on request, takes
the stored ones); dropout layers are off. What a network computes without gradients, under
`torch.no_grad` or from detached weights, is a constant in the gradients of a training: for
instance the two singular vectors of a spectral norm, torch's or your own. Where second derivatives
depend on such a constant, it is held at the networks' own weights.

What to write in special cases:

- for weights that are not part of the game, ``weight.requires_grad_(False)``; no training moves
  them;
- for networks that take labels, G(z, y) and D(x, y), ``labels=y``, one for each real sample; the
  sample in the same place is generated with the same label;
- for a D that gives more than one logit per sample, or gives it in a tuple or a dictionary,
  ``judging=Judging(logit=lambda output: output[0])``, as in the training;
- for networks that draw noise as they run, ``passes=PassSettings(noise_seed=0)``.

Before the first game of two networks is returned, its field at their own weights is compared with
plain autograd of the networks as they are, and a game that differs is refused.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList

from helpers.games.admission import few_samples_game, game_of, known_nets
from helpers.games.game import Game, Probe, average
from helpers.games.judging import Judging
from helpers.games.objective import Objective
from helpers.inputs import instance_of, shown, whole_number
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import GanLoss, find_loss
from helpers.models.functional import FunctionalNet, PassSettings
from helpers.models.players import check_weights


def network_game(
    generator: nn.Module,
    discriminator: nn.Module,
    latents: Tensor,
    reals: Tensor,
    *,
    loss: str | GanLoss = "js",
    penalty: GradientPenalty | None = None,
    labels: Tensor | None = None,
    batch_size: int | None = None,
    judging: Judging | None = None,
    passes: PassSettings | None = None,
) -> Game:
    """The game that two networks play on fixed latents and fixed real samples.

    A point of the game is `joint_point` of two networks of the same shapes; the networks given
    here are copied and never changed. Precision follows the point: a bfloat16 point makes bfloat16
    products. Parameters keep their names: ``game.blocks`` has "G.0.weight" and the like.

    Args:
        generator: latents (N, ...) to samples (N, ...).
        discriminator: samples to logits, of N elements.
        latents, reals: N each, on one device.
        loss: a name of `helpers.losses.LOSSES`, or one of your own; "js" is the non-saturating GAN.
        penalty: on D's slope, added to D's loss.
        labels: (N, ...) of the reals, for networks that are called as G(z, y) and D(x, y).
        batch_size: if given, the losses are means over batches of this size, in order, each
            weighted by its size; batch norm sees one batch at a time. All at once by default.
        judging: what D sees at once, which matters for its batch norm, and which part of its output
            is the logit; take that of the training.
        passes: how batch norm, spectral norm and noise are held, and whether that is checked.

    Raises:
        ValueError: for an unknown loss, no samples, unequal numbers of latents, reals and labels, a
            batch_size below 1, data that are not finite, and networks that cannot be held, naming
            the layer: losses that differ from call to call at one point, a field that is not that
            of the networks themselves, a player without weights that require grad, weights that
            both players have or that have hooks, outputs that are not logits, a G's loss that looks
            at reals but has not `pairs`.

    >>> from helpers.models import mlp
    >>> nets = mlp([1, 100, 1], seed=0), mlp([1, 100, 1], seed=1)
    >>> z, x = torch.zeros(8, 1), torch.ones(8, 1)
    >>> network_game(*nets, z, x).vector_field(joint_point(*nets)).shape
    torch.Size([602])
    """
    of = loss if isinstance(loss, GanLoss) else find_loss(loss)
    _check_data(latents, reals, labels)
    check_weights(generator, discriminator)
    size = len(latents) if batch_size is None else whole_number("batch_size", batch_size, 1)
    judging = Judging() if judging is None else instance_of("judging", judging, Judging)
    passes = PassSettings() if passes is None else instance_of("passes", passes, PassSettings)
    passes = replace(passes, thrice=penalty is not None)
    with torch.inference_mode(False):  # tensors made in that mode have no derivatives
        nets = [FunctionalNet(generator, "G", passes), FunctionalNet(discriminator, "D", passes)]
        shares = None if penalty is None else penalty.shares(len(latents)).to(reals.device)
        z, x = latents.detach().clone(), reals.detach().clone()
        y = None if labels is None else labels.detach().clone()
        whole = Objective(of, judging, z, x, y, penalty, shares)
        batches = whole.batches(size)
        known = known_nets(nets, (generator, discriminator), batches[0])
        probe = Probe(known.key, lambda: few_samples_game(nets, batches[0], known), known.rough)
        parts = [game_of(nets, batch, probe if passes.check else None) for batch in batches]
        if len(parts) == 1:
            return parts[0]
        return average(parts, [len(batch.latents) / len(latents) for batch in batches])


def joint_point(generator: nn.Module, discriminator: nn.Module) -> Tensor:
    """(p + q,): the weights of both networks in one vector, G's first, in their own order.

    Only weights that require grad; others are not part of the game.

    >>> from helpers.models import mlp
    >>> joint_point(mlp([1, 1], seed=0), mlp([1, 1], seed=1)).shape
    torch.Size([4])
    """
    weights = [w for net in (generator, discriminator) for w in net.parameters()]
    return torch.cat([weight.detach().reshape(-1) for weight in weights if weight.requires_grad])


@torch.no_grad()
def spectral_norms(net: nn.Module) -> Tensor:
    """(layers, 3): the norm that each layer is divided by, and its two largest singular values.

    Where singular values lie close together, one power iteration per training pass does not keep
    the first two numbers equal.

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


def _check_data(latents: Tensor, reals: Tensor, labels: Tensor | None) -> None:
    for name, data in (("latents", latents), ("reals", reals)):
        if not isinstance(data, Tensor) or not data.is_floating_point() or not data.ndim:
            got = f"{data.dtype} {tuple(data.shape)}" if isinstance(data, Tensor) else shown(data)
            raise ValueError(f"{name} are a tensor of floats, one row per sample, got {got}")
    if labels is not None and not isinstance(labels, Tensor):
        raise ValueError(f"labels are a tensor, one per real sample, got {shown(labels)}")
    if not len(latents) or len(latents) != len(reals):
        raise ValueError(
            f"as many latents as reals, and at least one, got {len(latents)} and {len(reals)}"
        )
    if labels is not None and len(labels) != len(reals):
        raise ValueError(f"a label for each of {len(reals)} reals, got {len(labels)}")
    if not (latents.isfinite().all() and reals.isfinite().all()):
        raise ValueError("latents and reals must be finite")
