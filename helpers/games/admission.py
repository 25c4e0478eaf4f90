"""What is observed of two networks, and checked, before a game of them is returned.

One pass shows their side effects. The game's field at their own weights is compared with plain
autograd of the networks as they are; this is done once for networks of one structure that do the
same in that pass, on data of one shape.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from helpers.games.differences import compared
from helpers.games.game import PLAYERS, Game, Probe
from helpers.games.objective import Objective, check_logits, plain_field
from helpers.models.functional import FunctionalNet, PassRecords, as_trained, seeded
from helpers.models.observing import SideEffects

_FEW = 8  # samples that networks are observed on
_MOST = 256  # pairs of networks whose side effects are remembered


@dataclass(frozen=True, eq=False)
class Known:
    """What was found about networks of one structure on data of one shape."""

    key: Hashable
    effects: tuple[SideEffects, SideEffects]
    count: int  # samples that they were observed on
    dtype: torch.dtype  # in which they could be called

    @property
    def rough(self) -> bool:
        """Whether losses are less accurate than float64."""
        return self.dtype != torch.float64 or any(each.rounds for each in self.effects)


_KNOWN: dict[Hashable, Known] = {}


def known_nets(
    nets: list[FunctionalNet], given: tuple[nn.Module, nn.Module], batch: Objective
) -> Known:
    """What these networks do, observed, and checked once; sets how they are held."""
    data = [batch.latents, batch.reals, batch.labels]
    structure = (
        *((net.signature, net.settings) for net in nets), batch.loss, batch.penalty, batch.judging,
        min(_FEW, len(batch.latents)),
        *(None if part is None else (part.shape[1:], part.dtype, part.device) for part in data),
    )  # fmt: skip
    seen, logits = _observed(structure, nets, batch)
    known = _KNOWN.get(seen.key)
    if known is None:
        known = seen
        _refuse(nets, batch, logits)
        _decide_holding(nets, batch, known)
        is_sure = not nets[0].settings.check or _check_field(nets, given, batch, known)
        if is_sure and _tells(nets, batch, known):
            while len(_KNOWN) >= _MOST:
                del _KNOWN[next(iter(_KNOWN))]
            _KNOWN[known.key] = known
    for net, effects in zip(nets, known.effects, strict=True):
        net.effects = effects
    return known


def _tells(nets: list[FunctionalNet], batch: Objective, known: Known) -> bool:
    """Whether both players have a gradient on the few samples: zeros agree with anything.

    A hinge loss has none once all samples are beyond its margin.
    """
    game, point = few_samples_game(nets, batch, known)
    return all(bool(game.gradient(player, point).any()) for player in PLAYERS)


def _observed(
    structure: Hashable, nets: list[FunctionalNet], batch: Objective
) -> tuple[Known, Tensor]:
    """Let both networks make one pass, on few samples in float64 if they can.

    What they do then is part of the key: it may depend on more than their structure. Also gives
    the logits of samples.
    """
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
        key = structure, *(each.seen for each in effects)
        return Known(key, effects, count, dtype), logits[-1]
    raise errors[-1]


def _refuse(nets: list[FunctionalNet], batch: Objective, logits: Tensor) -> None:
    """Refuse networks of which no game can be made."""
    for net in nets:
        if net.effects.draws and net.settings.noise_seed is None:
            raise ValueError(
                f"{net.effects.draws} draws random numbers in its forward pass, so that a loss is "
                "not a function of the weights; passes=PassSettings(noise_seed=0) holds them "
                "(nn.Dropout layers are off)"
            )
        if net.effects.rounds:
            warnings.warn(
                f"{net.effects.rounds} computes in lower precision than the weights that it is "
                "given; products in float64 are no more accurate than that",
                stacklevel=4,
            )
    check_logits(batch.loss, logits)


def _decide_holding(nets: list[FunctionalNet], batch: Objective, known: Known) -> None:
    """Hold what is computed without gradients only where second derivatives depend on it.

    Ranks and masks change in jumps, so a game whose networks compute them at each point is right
    everywhere. The vectors of a spectral norm move with the weights: the derivative of such a field
    is not symmetric, and so not a Hessian. Held vectors fit the networks' own weights only.
    """
    if not any(net.effects.holds for net in nets):
        return
    found = [net.effects.holds for net in nets]
    for net in nets:
        net.effects.holds, net.effects.suspect = "", True  # with care, and nothing held
    game, point = few_samples_game(nets, batch, known)
    free = all(_is_gradient(game, player, point, known.rough) for player in PLAYERS)
    for net, layer in zip(nets, found, strict=True):
        net.effects.suspect = False
        if free:
            continue
        net.effects.holds = layer
        if layer and net.settings.spectral_norm == "exact":
            raise ValueError(
                f"{layer} computes without gradients; spectral_norm='exact' works for torch's "
                "own spectral norms only, so use 'held'"
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
        if not slope.any():  # zeros agree with anything; what is held is right here
            return False

        def product(rows: Tensor) -> Tensor:
            if not slope.requires_grad:
                return torch.zeros_like(rows)
            along = torch.autograd.grad(slope, own, rows[0], True, materialize_grads=True)
            return along[0][None]

        return bool(compared(gradient, own.detach()[None], product, rough=rough).is_right)
    except RuntimeError:  # torch has no such derivative
        return False


def _check_field(
    nets: list[FunctionalNet], given: tuple[nn.Module, nn.Module], batch: Objective, known: Known
) -> bool:
    """Compare the game's field at the networks' own weights with plain autograd of them.

    False where plain autograd is not finite, so that nothing can be said.
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
        game, point = few_samples_game(nets, batch, known)
        try:
            losses = game.losses(point)
            again = game.losses(point)
            found = game.vector_field(point)
        except RuntimeError as error:
            problem = f"the networks cannot be called as a function of their weights: {error}"
            continue
        if not _repeats(losses, again, rough=known.rough):
            raise ValueError(
                f"the losses are not a function of the weights: at one point D's is "
                f"{losses[1].item():.7g} and then {again[1].item():.7g}; a network draws from a "
                "generator of its own, or counts its calls"
            )
        apart = (found - wanted).abs()
        if apart.norm() <= allowed * max(wanted.norm(), 1e-6):
            return True
        worst = max(game.blocks, key=lambda name: float(apart[game.blocks[name]].norm()))
        problem = (
            "the game's field at the networks' own weights is not that of the networks: the "
            f"relative error is {float(apart.norm() / wanted.norm()):.1e}, largest in {worst!r}; a "
            "weight may be used other than by its name"
        )
    raise ValueError(problem)


def _repeats(losses: Tensor, again: Tensor, *, rough: bool) -> bool:
    """Whether two calls gave the same: bit for bit on a CPU, up to rounding on a GPU."""
    if losses.device.type == "cpu":
        return torch.equal(losses, again)
    # Convolution kernels there add in whatever order their blocks are done.
    return torch.allclose(losses, again, rtol=1e-5 if rough else 1e-12, atol=0.0)


class _Alone(nn.Module):
    """A network whose pass leaves the caller's random numbers and its inputs as they are."""

    def __init__(self, net: nn.Module, noise_seed: int | None) -> None:
        super().__init__()
        self.net, self.noise_seed = net, noise_seed

    def forward(self, *inputs: Tensor) -> Any:
        with seeded(self.noise_seed or 0, inputs[0].device):
            return self.net(*(each.clone() for each in inputs))


def few_samples_game(
    nets: list[FunctionalNet], batch: Objective, known: Known
) -> tuple[Game, Tensor]:
    """The game on few samples in float64, and the networks' own point."""
    point = torch.cat([net.weights for net in nets]).to(known.dtype)
    return game_of(nets, batch.few(known.count, known.dtype), None), point


def game_of(nets: list[FunctionalNet], batch: Objective, probe: Probe | None) -> Game:
    """The game of networks whose effects are known, on one batch."""
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
        # Record now, at the networks' own weights: what is held is what they have here. In float64
        # for a check in float64, which compares with networks that compute it so.
        dtype = torch.promote_types(generator.weights.dtype, batch.latents.dtype)
        own = generator.weights.to(dtype), discriminator.weights.to(dtype)
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
