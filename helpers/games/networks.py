"""A GAN of two networks as a `Game` of one flat point.

Data and latents are fixed, so that both losses are functions of the weights alone: the same
numbers at every call. What a network would change while it runs is held. Batch norm takes the
statistics of the batch at hand, as in training, and keeps no running ones (or, on request, takes
the stored ones); layers of dropout are off. What a network computes where no gradient is taken,
under `torch.no_grad` or from detached weights, is a constant in a gradient taken in training: the
two singular vectors of a spectral norm, torch's or one's own. Where second derivatives depend on
it, it is held at the networks' own weights.

What one would write for

- weights that are no part of the game: ``weight.requires_grad_(False)``; no training moves them;
- networks that take labels, G(z, y) and D(x, y): ``labels=y``, one for each real sample, and the
  sample of the same place is generated with it;
- a D that gives more than one logit per sample, or gives it in a tuple or a dictionary:
  ``logit=lambda output: output[0]``.

Before the first game of two such networks is given out, its field at their own weights is held
against plain autograd of the networks as they are, and one that differs is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList

from helpers.games.differences import compared
from helpers.games.game import PLAYERS, Game, Probe, average
from helpers.games.judging import Judging
from helpers.games.objective import Objective, ends_in_sigmoid, plain_field
from helpers.inputs import one_of, shown, whole_number
from helpers.inputs import seed as checked_seed
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import GanLoss, find_loss
from helpers.models.functional import (
    FunctionalNet,
    PassRecords,
    PassSettings,
    as_trained,
    seeded,
)
from helpers.models.observing import SideEffects

_FEW = 8  # samples that networks are observed on
_MOST = 256  # pairs of networks whose side effects are remembered
_LOGISTIC = ("js", "js-saturating", "rs")  # losses that mean nothing of probabilities


def network_game(
    generator: nn.Module,
    discriminator: nn.Module,
    latents: Tensor,
    reals: Tensor,
    *,
    loss: str | GanLoss = "js",
    penalty: GradientPenalty | None = None,
    batch_size: int | None = None,
    batch_norm: str = "batch",
    spectral_norm: str = "held",
    joint_batch: bool = False,
    labels: Tensor | None = None,
    logit: Callable[[Any], Tensor] | None = None,
    noise_seed: int | None = None,
    check: bool = True,
) -> Game:
    """The game that two networks play on fixed latents and fixed real samples.

    A point of the game is `joint_point` of two networks of the same shapes; the ones given here
    are copied and never changed. Precision follows the point: a bfloat16 point makes bfloat16
    products. Parameters keep their names, as ``game.blocks`` of "G.0.weight" and the like.

    Args:
        generator: latents (N, ...) to samples (N, ...).
        discriminator: samples to logits, of N elements.
        latents, reals: N each, on one device.
        loss: a name of `helpers.losses.LOSSES`, or one of your own; "js" is the non-saturating GAN.
        penalty: on D's slope, added to D's loss.
        batch_size: the losses are then means over batches of this size, in order, each weighted
            by its size; batch norm sees one batch at a time. All at once by default.
        batch_norm: "batch" for the statistics of the batch, "running" for the stored ones.
        spectral_norm: "held" for the singular vectors that the networks have stored, constants as
            in the derivatives that Berard et al. 2020 take; they fit no other point than the
            networks' own. "exact" divides by the
            largest singular value itself, and has all its derivatives; second ones are not finite
            where singular values of a layer coincide. It knows torch's spectral norms, old and new.
        joint_batch: whether D sees reals and samples as one batch, where a loss looks at both, or
            as two. It matters to batch norm in D; say what the training said.
        labels: (N, ...) of the reals, for networks that are called G(z, y) and D(x, y).
        logit: from D's output to one logit per sample, where D gives something else.
        noise_seed: holds what the networks draw in a forward pass. Without it, networks that draw
            are refused.
        check: whether this game's field and the products of its operators are held against plain
            autograd and against differences, once for networks of this structure, on the first
            eight samples in float64.

    Raises:
        ValueError: for an unknown loss, batch_norm or spectral_norm, no samples, unequal numbers of
            latents, reals and labels, a batch_size below 1, data that are not finite, and networks
            that cannot be held, naming the layer: losses that differ from call to call at one
            point, a field that is not that of the networks themselves, a player without weights
            that require grad, outputs that are no logits.

    >>> from helpers.models import mlp
    >>> nets = mlp([1, 100, 1], seed=0), mlp([1, 100, 1], seed=1)
    >>> z, x = torch.zeros(8, 1), torch.ones(8, 1)
    >>> network_game(*nets, z, x).vector_field(joint_point(*nets)).shape
    torch.Size([602])
    """
    of = loss if isinstance(loss, GanLoss) else find_loss(loss)
    one_of("batch_norm", batch_norm, ("batch", "running"))
    one_of("spectral_norm", spectral_norm, ("held", "exact"))
    if noise_seed is not None:
        noise_seed = checked_seed(noise_seed, "noise_seed")
    _check_data(latents, reals, labels)
    size = len(latents) if batch_size is None else whole_number("batch_size", batch_size, 1)
    settings = PassSettings(batch_norm, spectral_norm, noise_seed, thrice=penalty is not None)
    nets = [FunctionalNet(generator, "G", settings), FunctionalNet(discriminator, "D", settings)]
    shares = None if penalty is None else penalty.shares(len(latents)).to(reals.device)
    z, x = latents.detach().clone(), reals.detach().clone()
    y = None if labels is None else labels.detach().clone()
    whole = Objective(of, Judging(joint_batch, logit), z, x, y, penalty, shares)
    batches = whole.batches(size)
    known = _known(nets, (generator, discriminator), batches[0], check)
    probe = Probe(known.key, lambda: _small(nets, batches[0], known), known.rough)
    parts = [_game(nets, batch, probe if check else None) for batch in batches]
    if len(parts) == 1:
        return parts[0]
    return average(parts, [len(batch.latents) / len(latents) for batch in batches])


def joint_point(generator: nn.Module, discriminator: nn.Module) -> Tensor:
    """(p + q,): the weights of both networks in one vector, G's first, in their own order.

    Those that require grad; others are no part of the game.

    >>> from helpers.models import mlp
    >>> joint_point(mlp([1, 1], seed=0), mlp([1, 1], seed=1)).shape
    torch.Size([4])
    """
    weights = [w for net in (generator, discriminator) for w in net.parameters()]
    return torch.cat([weight.detach().reshape(-1) for weight in weights if weight.requires_grad])


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


@dataclass(frozen=True, eq=False)
class _Known:
    """What was found of networks of one structure on data of one shape."""

    key: Hashable
    effects: tuple[SideEffects, SideEffects]
    count: int  # samples that they were observed on
    dtype: torch.dtype  # in which they could be called

    @property
    def rough(self) -> bool:
        """Whether losses are of lower accuracy than float64."""
        return self.dtype != torch.float64 or any(each.rounds for each in self.effects)


_KNOWN: dict[Hashable, _Known] = {}


def _known(
    nets: list[FunctionalNet], given: tuple[nn.Module, nn.Module], batch: Objective, check: bool
) -> _Known:
    """What these networks do, observed and checked once; they are told how to be held."""
    data = [batch.latents, batch.reals, batch.labels]
    key = (
        *((net.signature, net.settings) for net in nets), batch.loss, batch.penalty, batch.judging,
        min(_FEW, len(batch.latents)), check,
        *(None if part is None else (part.shape[1:], part.dtype, part.device) for part in data),
    )  # fmt: skip
    known = _KNOWN.get(key)
    if known is None:
        known = _observed(key, nets, batch)
        _decide_holding(nets, batch, known)
        if not check or _check_field(nets, given, batch, known):
            while len(_KNOWN) >= _MOST:
                del _KNOWN[next(iter(_KNOWN))]
            _KNOWN[key] = known
    for net, effects in zip(nets, known.effects, strict=True):
        net.effects = effects
    return known


def _observed(key: Hashable, nets: list[FunctionalNet], batch: Objective) -> _Known:
    """Let both networks make one pass, of few samples in float64 if they can."""
    own = nets[0].weights.dtype
    most = len(batch.latents)
    errors = []
    for count, dtype in dict.fromkeys(
        (n, kind) for kind in (torch.float64, own) for n in (min(_FEW, most), most)
    ):
        few = batch.few(count, dtype)
        flats = [net.weights.to(dtype).requires_grad_() * 1 for net in nets]
        for net in nets:
            net.effects = SideEffects()

        def pass_of(number: int, flats: list[Tensor] = flats) -> Callable[..., Any]:
            return lambda *inputs: nets[number].observe(flats[number], *inputs)

        try:
            logits = few.logits(lambda *_: pass_of(1), few.samples(pass_of(0)))
        except ValueError as error:
            errors.append(error)
            continue
        effects = nets[0].effects, nets[1].effects
        _refuse(nets, few, logits[-1])
        return _Known(key, effects, count, dtype)
    raise errors[-1]


def _refuse(nets: list[FunctionalNet], batch: Objective, logits: Tensor) -> None:
    """Say of what no game can be made."""
    for net in nets:
        if net.effects.draws and net.settings.noise_seed is None:
            raise ValueError(
                f"{net.effects.draws} draws random numbers in its forward pass, so that a loss is "
                "no function of the weights; noise_seed=0 holds them (layers of nn.Dropout are off)"
            )
        if net.effects.rounds:
            warnings.warn(
                f"{net.effects.rounds} computes in less than the precision of the weights that it "
                "is given; products in float64 are no more accurate than it is",
                stacklevel=5,
            )
    if batch.loss.name.split("*")[0] in _LOGISTIC and ends_in_sigmoid(logits):
        raise ValueError(
            f"D ends in a sigmoid, and the loss {batch.loss.name!r} is one of logits; leave the "
            "sigmoid out, or say logit=torch.logit"
        )


def _decide_holding(nets: list[FunctionalNet], batch: Objective, known: _Known) -> None:
    """Hold what is computed without gradients only where second derivatives depend on it.

    Places in an order and masks move by leaps, so that a game whose networks compute them at each
    point is right everywhere. The vectors of a spectral norm move with the weights: the derivative
    of such a field is not symmetric, and no Hessian. Held, they fit the networks' own weights only.
    """
    if not any(net.effects.holds for net in nets):
        return
    found = [net.effects.holds for net in nets]
    for net in nets:
        net.effects.holds, net.effects.suspect = "", True  # with care, and nothing held
    game, point = _small(nets, batch, known)
    free = all(_is_gradient(game, player, point, known.rough) for player in PLAYERS)
    for net, layer in zip(nets, found, strict=True):
        net.effects.suspect = False
        if free:
            continue
        net.effects.holds = layer
        if layer and net.settings.spectral_norm == "exact":
            raise ValueError(
                f"{layer} computes where no gradient is taken; spectral_norm='exact' is known "
                "for torch's own spectral norms, so take 'held'"
            )


def _is_gradient(game: Game, player: str, point: Tensor, rough: bool) -> bool:
    """Whether double backward agrees with a difference of a player's own gradient."""
    number = PLAYERS.index(player)
    parts = list(game.split(point))

    def gradient(rows: Tensor) -> Tensor:
        parts[number] = rows[0]
        return game.gradient(player, torch.cat(parts))[None]

    own = parts[number].clone().requires_grad_()
    try:
        theta, phi = (own, parts[1]) if player == "G" else (parts[0], own)
        slope = game.gradient_with_graph(player, theta, phi)

        def product(rows: Tensor) -> Tensor:
            if not slope.requires_grad:
                return torch.zeros_like(rows)
            along = torch.autograd.grad(slope, own, rows[0], True, materialize_grads=True)
            return along[0][None]

        return bool(compared(gradient, own.detach()[None], product, rough=rough).is_right)
    except RuntimeError:  # torch has no such derivative
        return False


def _check_field(
    nets: list[FunctionalNet], given: tuple[nn.Module, nn.Module], batch: Objective, known: _Known
) -> bool:
    """Hold the game's field at the networks' own weights against plain autograd of them.

    False where it is not finite, and nothing can be said.
    """
    few = batch.few(known.count, known.dtype)
    settings = nets[0].settings

    def copy_of(number: int) -> Callable[[], nn.Module]:
        return lambda: _Alone(
            as_trained(given[number], settings).to(known.dtype), settings.noise_seed
        )

    try:
        wanted = plain_field(few, [copy_of(0), copy_of(1)])
    except RuntimeError as error:
        raise ValueError(f"plain autograd of the networks fails: {error}") from error
    if not wanted.isfinite().all():
        return False
    allowed = 1e-3 if known.rough else 1e-6
    problem = ""
    for careful in (False, True):
        for net in nets:
            net.effects.suspect = careful
        game, point = _small(nets, batch, known)
        try:
            losses = game.losses(point)
            again = game.losses(point)
            found = game.vector_field(point)
        except RuntimeError as error:
            problem = f"the networks cannot be called as a function of their weights: {error}"
            continue
        if not _repeats(losses, again, rough=known.rough):
            raise ValueError(
                f"the losses are no function of the weights: at one point D's is "
                f"{losses[1].item():.7g} and then {again[1].item():.7g}; a network draws from a "
                "generator of its own, or counts its calls"
            )
        apart = (found - wanted).abs()
        if apart.norm() <= allowed * max(wanted.norm(), 1e-6):
            return True
        worst = max(game.blocks, key=lambda name: float(apart[game.blocks[name]].norm()))
        problem = (
            "the game's field at the networks' own weights is not that of the networks: they "
            f"differ by {float(apart.norm() / wanted.norm()):.1e} of it, most in {worst!r}; a "
            "weight may be used otherwise than by its name"
        )
    raise ValueError(problem)


def _repeats(losses: Tensor, again: Tensor, *, rough: bool) -> bool:
    """Whether two calls gave the same: to the bit on a CPU, to rounding on a GPU."""
    if losses.device.type == "cpu":
        return torch.equal(losses, again)
    # Kernels of convolutions there add in whatever order their blocks are done.
    return torch.allclose(losses, again, rtol=1e-5 if rough else 1e-12, atol=0.0)


class _Alone(nn.Module):
    """A network whose pass leaves the caller's random numbers and its inputs as they are."""

    def __init__(self, net: nn.Module, noise_seed: int | None) -> None:
        super().__init__()
        self.net, self.noise_seed = net, noise_seed

    def forward(self, *inputs: Tensor) -> Any:
        with seeded(self.noise_seed or 0, inputs[0].device):
            return self.net(*(each.clone() for each in inputs))


def _small(nets: list[FunctionalNet], batch: Objective, known: _Known) -> tuple[Game, Tensor]:
    """The game of few samples in float64, and the networks' own point."""
    point = torch.cat([net.weights for net in nets]).to(known.dtype)
    return _game(nets, batch.few(known.count, known.dtype), None), point


def _game(nets: list[FunctionalNet], batch: Objective, probe: Probe | None) -> Game:
    generator, discriminator = nets
    records: dict[str, PassRecords] = {}

    def generates(theta: Tensor) -> Callable[..., Any]:
        held = records.setdefault("G", PassRecords())
        return lambda *inputs: generator(theta, *inputs, records=held)

    def judges(phi: Tensor) -> Callable[..., Any]:
        def at(*sites: str) -> Callable[..., Any]:
            passes = iter([records.setdefault(site, PassRecords()) for site in sites])
            return lambda *inputs: discriminator(phi, *inputs, records=next(passes))

        return at

    def generator_loss(theta: Tensor, phi: Tensor) -> Tensor:
        return batch.of_generator(generates(theta), judges(phi))

    def discriminator_loss(theta: Tensor, phi: Tensor) -> Tensor:
        return batch.of_discriminator(generates(theta), judges(phi))

    if generator.effects.holds or discriminator.effects.holds:
        # Now, at the networks' own weights: what is held is what they have here.
        own = generator.weights, discriminator.weights
        labels = () if batch.labels is None else (batch.labels,)
        judges(own[1])("penalty")(batch.reals, *labels)
        (
            generator_loss(*own),
            replace(batch, penalty=None).of_discriminator(generates(own[0]), judges(own[1])),
        )
    p, q = (sum(net.lengths) for net in nets)
    blocks = dict([*generator.blocks(0), *discriminator.blocks(p)])
    return Game(
        generator_loss, discriminator_loss, (p, q), f"a GAN ({batch.loss.name})", blocks,
        probe=probe,
    )  # fmt: skip


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
