"""One training of an ensemble: its state, its steps, and what it leaves.

`helpers.training.train_ensemble` is the door to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from helpers.checkpoints import check_kept, check_observed, read_state, rows_to_keep, write_state
from helpers.descriptions import architecture, described, described_optimizer, digest
from helpers.losses import GanLoss
from helpers.models import Players
from helpers.optimizers import Extragradient, Nudged, Wrapper
from helpers.penalties import GradientPenalty
from helpers.randomness import PrivateRandom
from helpers.stacked import Stacked

Observe = Callable[[Stacked, Stacked, Tensor, Tensor], dict[str, Tensor]]
MakeOptimizer = Callable[[Iterable[Tensor]], Optimizer | Wrapper]


@dataclass(frozen=True, eq=False)
class EnsembleRun:
    """What a training of S members left."""

    generators: Stacked
    discriminators: Stacked
    iterations: NDArray[np.int64]  # (k,) after which records were taken, from 1
    records: dict[str, NDArray]  # (k, S, ...) by name; NaN from where a member diverged
    diverged: dict[int, int]  # member: the iteration in which its loss ceased to be finite
    kept: dict[int, Tensor]  # iteration: (S, p + q) the weights then, as `joint_point` has them


class Diverged(FloatingPointError):
    """A training has diverged, all members of it; `run` holds what there was until then."""

    def __init__(self, message: str, run: Any, iteration: int) -> None:
        super().__init__(message)
        self.run = run
        self.iteration = iteration  # the one in which it ended


@dataclass(frozen=True)
class Settings:
    """How to train, in the words of `train_ensemble`."""

    groups: list[tuple[GanLoss, int]]  # losses, and how many members in turn have each
    optimizers: tuple[MakeOptimizer, MakeOptimizer]  # G's and D's
    steps: tuple[int, int] | None
    batch: int | None
    penalty: GradientPenalty | None
    constrain: Callable[[Stacked], None] | None
    seed: int
    observe: Observe | None
    every: int
    keep: frozenset[int]
    joint_batch: bool


class Run:
    """The state of a training."""

    def __init__(
        self,
        players: Sequence[Players],
        latents: Tensor,
        reals: Tensor,
        settings: Settings,
        device: torch.device | str,
    ) -> None:
        self.settings = settings
        self.generators = Stacked([pair.generator for pair in players], device)
        self.discriminators = Stacked(
            [pair.discriminator for pair in players], device, twice=settings.penalty is not None
        )
        self.latents, self.reals = latents, reals
        self.random = PrivateRandom(settings.seed, torch.device(device))
        self.pairs = any(loss.pairs for loss, _ in settings.groups)
        if settings.penalty is not None:
            count = latents.shape[1] if settings.batch is None else settings.batch
            self.shares = settings.penalty.shares(count).to(device).expand(len(players), -1)
        for name, each in (("G", self.generators), ("D", self.discriminators)):
            check_trainable(name, list(each.parameters.values()))
        self.optimizers = [
            make(list(each.parameters.values()))
            for make, each in zip(
                settings.optimizers, (self.generators, self.discriminators), strict=True
            )
        ]
        extrapolates = {isinstance(each, Extragradient) for each in self.optimizers}
        if True in extrapolates and (settings.steps is not None or False in extrapolates):
            raise ValueError("extragradient asks for both players to extrapolate, and steps=None")
        self.moves = ("extrapolate", "step") if True in extrapolates else ("step",)
        entropy = [
            np.random.SeedSequence([settings.seed, number]) for number in range(len(players))
        ]
        self.streams = [
            torch.Generator().manual_seed(int(each.generate_state(1, np.uint64)[0] >> 1))
            for each in entropy
        ]
        self.done, self.diverged = 0, {}
        self.taken: list[int] = []
        self.records: dict[str, list[Tensor]] = {}
        self.kept: dict[int, Tensor] = {}
        self.keep()

    def iterate(self) -> None:
        """Steps of both players, then a record if it is time."""
        with self.random.used():
            found = self.together() if self.settings.steps is None else self.in_turn()
            self.done += 1
            self.note(found)
        self.keep()

    def together(self) -> dict[str, Tensor]:
        """One step of both from gradients at one point, by way of an extrapolation if there is one.

        The losses and norms are those at the start of the step.
        """
        z, x = self.draw()
        found: dict[str, Tensor] = {}
        for move in self.moves:
            y = self.samples(z)
            real, fake = self.judged(x, y)
            loss_d = torch.cat(self.each("discriminator", real, fake, alone=True))
            real, fake = self.for_generators(y, real, fake)
            loss_g = torch.cat(self.each("generator", real, fake, alone=True))
            self.slopes(1, loss_d.sum() + self.penalty(x, y), retain_graph=True)
            self.slopes(0, loss_g.sum())
            where = "ahead" if found else "norm"
            if not found:
                found = {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}
            found[f"{where}_d"] = _norms(self.discriminators)
            found[f"{where}_g"] = _norms(self.generators)
            for optimizer in self.optimizers:
                self.look(optimizer)
            for optimizer in self.optimizers:
                getattr(optimizer, move)()
            self.constrain()
        return found

    def in_turn(self) -> dict[str, Tensor]:
        """Steps of D, then steps of G."""
        for step in range(self.settings.steps[0]):
            z, x = self.draw()
            if not step or self.settings.batch is not None:
                with torch.no_grad():
                    y = self.samples(z)
                    _check_shapes(x, y)
                    both = torch.cat([x, y], dim=1)
            samples = both.split([x.shape[1], z.shape[1]], dim=1)
            real, fake = self.judged(*samples, both)
            self.slopes(1, sum(self.each("discriminator", real, fake)) + self.penalty(*samples))
            self.look(self.optimizers[1])
            self.optimizers[1].step()
            self.constrain()
        found = {"loss_d": self.each("discriminator", real.detach(), fake.detach(), alone=True)}
        for step in range(self.settings.steps[1]):
            z, x = self.draw()
            if self.pairs and self.is_joint:
                y = self.samples(z)
                real, fake = self.for_generators(y, *self.judged(x, y))
            else:
                if not step or self.settings.batch is not None:
                    with torch.no_grad():
                        real = self.logits(x) if self.pairs else x
                fake = self.logits(self.samples(z))
            self.slopes(0, sum(self.each("generator", real, fake)))
            self.look(self.optimizers[0])
            self.optimizers[0].step()
        found["loss_g"] = self.each("generator", real.detach(), fake.detach(), alone=True)
        return {name: torch.cat(parts) for name, parts in found.items()}

    def samples(self, z: Tensor) -> Tensor:
        """(S, n, ...) of G."""
        return self.generators(z if self.generators.is_samplewise else z.clone())

    @property
    def is_joint(self) -> bool:
        """Whether it matters that D sees reals and samples as one batch, and it shall."""
        return self.settings.joint_batch and not self.discriminators.is_samplewise

    def judged(self, x: Tensor, y: Tensor, both: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits of reals and samples, as two batches or as one.

        One pass is the faster way, and is taken for networks that judge each sample by itself.
        """
        _check_shapes(x, y)
        if not (self.settings.joint_batch or self.discriminators.is_samplewise):
            return self.logits(x), self.logits(y)
        if both is None:
            both = torch.cat([x, y], dim=1)
        return self.logits(both).split([x.shape[1], y.shape[1]], dim=1)

    def for_generators(self, y: Tensor, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The logits that G's losses look at: separable ones look at the samples alone."""
        if not self.is_joint or all(loss.pairs for loss, _ in self.settings.groups):
            return real, fake
        counts = [count for _, count in self.settings.groups]
        alone = self.logits(y).split(counts)
        parts = zip(self.settings.groups, fake.split(counts), alone, strict=True)
        return real, torch.cat([both if loss.pairs else own for (loss, _), both, own in parts])

    def logits(self, samples: Tensor) -> Tensor:
        """(S, n, ...) of D, one for each sample."""
        if not self.discriminators.is_samplewise:
            samples = samples.clone()  # such a network may write to what it is given
        found = self.discriminators(samples)
        if found.shape[:2] != samples.shape[:2] or found[0, 0].numel() != 1:
            raise ValueError(
                "discriminators give one logit per sample, got "
                f"{tuple(found.shape)} for {tuple(samples.shape[:2])} samples"
            )
        return found

    def each(self, player: str, real: Tensor, fake: Tensor, *, alone: bool = False) -> list[Tensor]:
        """For the members of each loss the sum of theirs, or all of them alone."""
        counts = [count for _, count in self.settings.groups]
        found = []
        for (loss, count), x, y in zip(
            self.settings.groups, real.split(counts), fake.split(counts), strict=True
        ):
            of = getattr(loss, player)
            # The mean is over members too: as many times it is the sum of their losses.
            found.append(torch.vmap(of)(x, y) if alone else count * of(x, y))
        return found

    def draw(self) -> tuple[Tensor, Tensor]:
        """Latents and reals of one step."""
        if self.settings.batch is None:
            return self.latents, self.reals
        return tuple(self.pick(data) for data in (self.latents, self.reals))

    def pick(self, data: Tensor) -> Tensor:
        shape = (self.settings.batch,)
        drawn = [
            torch.randint(data.shape[1], shape, generator=each, device="cpu")
            for each in self.streams
        ]
        rows = torch.arange(len(data), device=data.device)[:, None]
        return data[rows, torch.stack(drawn).to(data.device)]

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor | float:
        """The sum of the members' penalties, if there is one."""
        if self.settings.penalty is None:
            return 0.0
        return len(real) * self.settings.penalty(self.logits, real, fake, self.shares)

    def slopes(self, player: int, loss: Tensor, *, retain_graph: bool = False) -> None:
        """The gradient of a player's sum of losses, where its optimiser will look for it."""
        own = list((self.generators, self.discriminators)[player].parameters.values())
        found = slopes(loss, own, retain_graph=retain_graph)
        for weight, slope in zip(own, found, strict=True):
            weight.grad = slope

    def look(self, optimizer: Optimizer | Wrapper) -> None:
        """Let an optimiser that leaves directions out find them, if it is time."""
        if isinstance(optimizer, Nudged):
            optimizer.look((self.generators, self.discriminators))

    def constrain(self) -> None:
        """Put D's weights back to where they may be."""
        if self.settings.constrain is not None:
            with torch.no_grad():
                self.settings.constrain(self.discriminators)

    def keep(self) -> None:
        """Keep the weights, if it is time."""
        if self.done in self.settings.keep:
            parts = [
                weight.detach().flatten(start_dim=1).clone()
                for each in (self.generators, self.discriminators)
                for weight in each.parameters.values()
            ]
            self.kept[self.done] = torch.cat(parts, dim=1).cpu()

    def note(self, found: dict[str, Tensor]) -> None:
        """Look whether all is finite, and record."""
        broken = ~(found["loss_d"] + found["loss_g"]).isfinite()
        if broken.any():
            for number in broken.nonzero().flatten().tolist():
                self.diverged.setdefault(number, self.done)
            if len(self.diverged) == len(self.generators):
                what = f"every member has diverged, at {self.diverged}"
                raise Diverged(what, self.result(), self.done)
        if self.done % self.settings.every == 0:
            if self.settings.observe is not None:
                with torch.no_grad(), self.random.undisturbed():
                    players = self.generators, self.discriminators
                    found |= self.settings.observe(*players, self.latents, self.reals)
            self.taken.append(self.done)
            for name, value in found.items():
                self.records.setdefault(name, []).append(value.cpu())

    def result(self) -> EnsembleRun:
        """All that was recorded, NaN from where a member diverged."""
        iterations = np.array(self.taken, dtype=np.int64)
        records = {name: torch.stack(each).numpy() for name, each in self.records.items()}
        for number, when in self.diverged.items():
            for each in records.values():
                if np.issubdtype(each.dtype, np.floating):
                    each[iterations >= when, number] = np.nan
        return EnsembleRun(
            self.generators,
            self.discriminators,
            iterations,
            records,
            dict(self.diverged),
            dict(self.kept),
        )

    def save(self, path: Path) -> None:
        """Write the state, never half a file."""
        state = {
            "run": self.identity,
            "done": self.done,
            "diverged": self.diverged,
            "taken": self.taken,
            "records": self.records,
            "kept": self.kept,
            "players": [each.parameters for each in (self.generators, self.discriminators)],
            "optimizers": [each.state_dict() for each in self.optimizers],
            "streams": [each.get_state() for each in self.streams],
            "random": self.random.states,
            "observe": self.observed,
        }
        write_state(state, path)

    def load(self, path: Path, iterations: int) -> None:
        """Go on from a state that `save` wrote.

        Raises:
            ValueError: if it is of another run, or of one with more iterations.
        """
        state = read_state(path, self.identity, iterations)
        done, settings = state["done"], self.settings
        rows = rows_to_keep(path, state["taken"], settings.every, done)
        check_kept(path, state["kept"], settings.keep, done)
        check_observed(path, state["observe"], self.observed, done < iterations)
        for stacked, held in zip(
            (self.generators, self.discriminators), state["players"], strict=True
        ):
            for name, weight in stacked.parameters.items():
                weight.data.copy_(held[name])
        for optimizer, held in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(held)
        for stream, held in zip(self.streams, state["streams"], strict=True):
            stream.set_state(held)
        self.random.load(state["random"])
        self.done, self.diverged = done, state["diverged"]
        self.taken = [state["taken"][row] for row in rows]
        self.records = {
            name: [each[row] for row in rows] for name, each in state["records"].items() if rows
        }
        self.kept = {k: each for k, each in state["kept"].items() if k in settings.keep}
        if done not in self.kept:
            self.keep()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What tells this run from others; to be looked at before the first iteration."""
        settings = self.settings
        stacked = self.generators, self.discriminators
        return {
            "seed": settings.seed,
            "losses": [[described(loss), count] for loss, count in settings.groups],
            "steps": settings.steps and list(settings.steps),
            "batch": settings.batch,
            "penalty": described(settings.penalty),
            "constrain": described(settings.constrain),
            "joint_batch": settings.joint_batch,
            "players": [architecture(each.member(0)) for each in stacked],
            "optimizers": [described_optimizer(each) for each in self.optimizers],
            "latents": digest(self.latents),
            "reals": digest(self.reals),
            "start": [digest(*each.held.values(), *each.parameters.values()) for each in stacked],
        }

    @cached_property
    def observed(self) -> Any:
        """What is recorded, as far as that can be told."""
        return described(self.settings.observe, closures=False)


def _check_shapes(reals: Tensor, samples: Tensor) -> None:
    if reals.shape[2:] != samples.shape[2:]:
        got = f"{tuple(reals.shape[2:])} and {tuple(samples.shape[2:])}"
        raise ValueError(f"reals and generated samples are of one shape, got {got}")


def _norms(stacked: Stacked) -> Tensor:
    """(S,) of the gradients that the weights of each network hold."""
    slopes = [weight.grad.flatten(start_dim=1) for weight in stacked.parameters.values()]
    return torch.cat(slopes, dim=1).norm(dim=1)


def check_trainable(player: str, weights: Sequence[Tensor]) -> None:
    """Raise a ValueError for a player without weights to train.

    >>> check_trainable("G", [torch.zeros(2)])
    """
    if not weights:
        raise ValueError(f"{player} has no weights that require grad, so there is none to train")


def slopes(
    loss: Tensor, weights: Sequence[Tensor], *, retain_graph: bool = False
) -> tuple[Tensor, ...]:
    """The gradient of a loss in weights, zero in those that have no part in it.

    >>> a, b = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)
    >>> slopes((2 * a).sum(), [a, b])
    (tensor([2., 2.]), tensor([0.]))
    """
    if not loss.requires_grad:  # none of them has
        return tuple(torch.zeros_like(weight) for weight in weights)
    return torch.autograd.grad(
        loss, weights, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )
