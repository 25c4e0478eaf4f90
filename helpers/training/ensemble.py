"""The training of an ensemble; its entry point is `helpers.training.train_ensemble`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from helpers.games.objective import check_logits
from helpers.losses.table import GanLoss, is_mean
from helpers.models import Players
from helpers.models.stacked import Stacked
from helpers.training.core import Settings, Training
from helpers.training.gradients import steps_ahead
from helpers.training.recording import Recording
from helpers.training.turns import Unrolled


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """The result of a training of S members."""

    generators: Stacked
    discriminators: Stacked
    iterations: NDArray[np.int64]  # (k,) those after which records were taken, from 1
    records: dict[str, NDArray[Any]]  # (k, S, ...) by name; NaN from where a member diverged
    diverged: dict[int, int]  # by member, the iteration in which its loss ceased to be finite
    snapshots: dict[int, Tensor]  # by iteration, (S, p + q) weights as in `joint_point`


@dataclass(frozen=True)
class EnsembleSettings(Settings):
    """How to train; the names are those of `train_ensemble`."""

    losses: list[tuple[GanLoss, int]]  # and how many consecutive members have each
    constrain: Callable[[Stacked], None] | None


@dataclass(frozen=True)
class MemberLosses:
    """The losses of each member, and what D is shown for them."""

    groups: Sequence[tuple[GanLoss, int]]  # losses, and how many consecutive members have each
    joint_batch: bool
    judge: Callable[[Tensor], Tensor]  # from samples (S, n, ...) to logits (S, n, ...)
    is_samplewise: bool  # whether a logit depends on one sample alone

    @property
    def is_joint(self) -> bool:
        """Whether D is to see reals and samples as one batch, and this makes a difference."""
        return self.joint_batch and not self.is_samplewise

    def both(self, x: Tensor, y: Tensor, joined: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits of reals and samples, as two batches or as one.

        One pass is faster, and is taken for networks that judge each sample by itself.
        """
        _check_shapes(x, y)
        if not (self.joint_batch or self.is_samplewise):
            return self.judge(x), self.judge(y)
        joined = torch.cat([x, y], dim=1) if joined is None else joined
        return self.judge(joined).split([x.shape[1], y.shape[1]], dim=1)

    def check(self, fake: Tensor) -> None:
        """A ValueError if logits of samples, which carry a graph, are probabilities."""
        for loss, _ in self.groups:
            check_logits(loss, fake, is_judged=False)

    def for_generators(self, y: Tensor, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The logits that G's losses look at; separable losses look at the samples alone."""
        if not self.is_joint or all(loss.pairs for loss, _ in self.groups):
            return real, fake
        counts = [count for _, count in self.groups]
        alone = self.judge(y).split(counts)
        parts = zip(self.groups, fake.split(counts), alone, strict=True)
        return real, torch.cat([both if loss.pairs else own for (loss, _), both, own in parts])

    def each(self, player: str, real: Tensor, fake: Tensor) -> Tensor:
        """(S,) the loss of each member."""
        parts = self._parts(player, real, fake)
        return torch.cat([torch.vmap(of)(x, y) for of, _, x, y, _ in parts])

    def total(self, player: str, real: Tensor, fake: Tensor) -> Tensor:
        """The sum of the members' losses: for each group, its mean loss times its size.

        Of losses that may couple samples, each member's is taken by itself.
        """
        return sum(
            count * of(x, y) if mean else torch.vmap(of)(x, y).sum()
            for of, count, x, y, mean in self._parts(player, real, fake)
        )

    def _parts(self, player: str, real: Tensor, fake: Tensor) -> Iterator[tuple[Any, ...]]:
        counts = [count for _, count in self.groups]
        parts = zip(self.groups, real.split(counts), fake.split(counts), strict=True)
        for (loss, count), x, y in parts:
            if player == "D":
                yield loss.discriminator, count, x, y, is_mean(loss.discriminator)
            else:
                of = loss.generator if loss.pairs else partial(_of_fakes, loss)
                yield of, count, x, y, is_mean(loss.generator)


class EnsembleTraining(Training):
    """The state of a training of an ensemble."""

    settings: EnsembleSettings
    players: tuple[Stacked, Stacked]

    def __init__(
        self,
        players: Sequence[Players],
        latents: Tensor,
        reals: Tensor,
        settings: EnsembleSettings,
        recording: Recording,
        device: torch.device,
    ) -> None:
        count, penalty = len(players), settings.penalty
        self.generators = Stacked([pair.generator for pair in players], device)
        self.discriminators = Stacked(
            [pair.discriminator for pair in players], device, twice=penalty is not None
        )
        self.latents, self.reals = latents.to(device), reals.to(device)
        stacked = self.generators, self.discriminators
        weights = [list(each.parameters.values()) for each in stacked]
        data = {"latents": self.latents, "reals": self.reals}
        seen = (*stacked, self.latents, self.reals)
        super().__init__(settings, recording, stacked, weights, data, seen, (count,), device)
        self.pairs = any(loss.pairs for loss, _ in settings.losses)
        self.members = MemberLosses(
            settings.losses, settings.joint_batch, self.logits, self.discriminators.is_samplewise
        )
        if penalty is not None:
            size = latents.shape[1] if settings.batch is None else settings.batch
            self.shares = penalty.shares(size).to(device).expand(count, -1)
        entropy = [np.random.SeedSequence([settings.seed, number]) for number in range(count)]
        self.streams = [
            torch.Generator().manual_seed(int(each.generate_state(1, np.uint64)[0] >> 1))
            for each in entropy
        ]

    def step(self) -> dict[str, Tensor]:
        """One iteration."""
        steps = self.settings.steps
        return self.in_turn(*steps) if steps else self.together(self.draw())

    def losses(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor | float]:
        latents, reals = batch
        fakes = self.samples(latents)
        logits = self.members.both(reals, fakes)
        if not self.done:
            self.members.check(logits[1])
        loss_d = self.members.each("D", *logits)
        members = self.members
        if isinstance(self.settings.follow, Unrolled):
            members = self.unrolled(reals, fakes, self.settings.follow)
            logits = members.both(reals, fakes)
        loss_g = members.each("G", *members.for_generators(fakes, *logits))
        return loss_d, loss_g, self.penalty(reals, fakes)

    def unrolled(self, reals: Tensor, fakes: Tensor, ahead: Unrolled) -> MemberLosses:
        """The losses by D as it would be after some steps, which depend on G by these samples."""

        def members_at(own: dict[str, Tensor]) -> MemberLosses:
            return replace(self.members, judge=partial(self.logits, own=own))

        def loss_at(own: dict[str, Tensor]) -> Tensor:
            members = members_at(own)
            total = members.total("D", *members.both(reals, fakes))
            return total + self.penalty(reals, fakes, members.judge)

        return members_at(steps_ahead(ahead, self.discriminators.parameters, loss_at))

    def in_turn(self, of_d: int, of_g: int) -> dict[str, Tensor]:
        """Steps of D, then steps of G."""
        members, is_drawn = self.members, self.settings.batch is not None
        for step in range(of_d):
            if is_drawn or not step:
                z, x = self.draw()
                with torch.no_grad():
                    y = self.samples(z)
                _check_shapes(x, y)
                joined = torch.cat([x, y], dim=1)
                x, y = joined.split([x.shape[1], y.shape[1]], dim=1)
            real, fake = members.both(x, y, joined)
            if not self.done:
                members.check(fake)
            self.take_turn(1, members.total("D", real, fake) + self.penalty(x, y))
        loss_d = members.each("D", real.detach(), fake.detach())
        for step in range(of_g):
            z, x = self.draw()
            if self.pairs and members.is_joint:
                y = self.samples(z)
                real, fake = members.for_generators(y, *members.both(x, y))
            else:
                if is_drawn or not step:
                    with torch.no_grad():
                        real = self.logits(x) if self.pairs else x
                fake = self.logits(self.samples(z))
            self.take_turn(0, members.total("G", real, fake))
        return {"loss_d": loss_d, "loss_g": members.each("G", real.detach(), fake.detach())}

    def constrain(self, player: int) -> None:
        if player == 1 and self.settings.constrain is not None:
            with torch.no_grad():
                self.settings.constrain(self.discriminators)

    def samples(self, z: Tensor) -> Tensor:
        """(S, n, ...) samples of G."""
        return self.generators(z if self.generators.is_samplewise else z.clone())

    def logits(self, samples: Tensor, own: dict[str, Tensor] | None = None) -> Tensor:
        """(S, n, ...) logits of D, with other weights if given, one for each sample."""
        if not self.discriminators.is_samplewise:
            samples = samples.clone()  # such a network may write to its input
        found = self.discriminators(samples, own)
        if found.shape[:2] != samples.shape[:2] or found[0, 0].numel() != 1:
            raise ValueError(
                "discriminators give one logit per sample, got "
                f"{tuple(found.shape)} for {tuple(samples.shape[:2])} samples"
            )
        return found

    def penalty(
        self, real: Tensor, fake: Tensor, judge: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor | float:
        """The sum of the members' penalties, if there is one; of another judge, if given."""
        if self.settings.penalty is None:
            return 0.0
        return len(real) * self.settings.penalty(judge or self.logits, real, fake, self.shares)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Latents and reals of one step, with replacement, from each member's own stream."""
        size = self.settings.batch
        if size is None:
            return self.latents, self.reals
        members = torch.arange(len(self.streams), device=self.device)[:, None]

        def of(data: Tensor) -> Tensor:
            rows = [
                torch.randint(data.shape[1], (size,), generator=stream, device="cpu")
                for stream in self.streams
            ]
            return data[members, torch.stack(rows).to(self.device)]

        return of(self.latents), of(self.reals)

    def states(self) -> list[dict[str, Tensor]]:
        return [each.held | each.parameters for each in self.players]

    def networks(self) -> list[nn.Module]:
        return [each.member(0) for each in self.players]

    def called(self) -> list[nn.Module]:
        return [each.net for each in self.players]

    def stream_state(self) -> dict[str, Any]:
        return {"members": [stream.get_state() for stream in self.streams]}

    def load_streams(self, state: dict[str, Any]) -> None:
        for stream, held in zip(self.streams, state["members"], strict=True):
            stream.set_state(held)

    def result(self) -> EnsembleResult:
        iterations, records = self.stacked_records()
        diverged = self.diverged
        for number, end in diverged.items():
            for values in records.values():
                if np.issubdtype(values.dtype, np.floating):
                    values[iterations >= end, number] = np.nan
        snapshots = {
            iteration: torch.cat(
                [
                    state[name].flatten(start_dim=1)
                    for stacked, state in zip(self.players, states, strict=True)
                    for name in stacked.parameters
                ],
                dim=1,
            )
            for iteration, states in self.snapshots.items()
        }
        return EnsembleResult(*self.players, iterations, records, diverged, snapshots)


def _of_fakes(loss: GanLoss, _: Tensor, fake: Tensor) -> Tensor:
    return loss.of_fakes(fake)


def _check_shapes(reals: Tensor, samples: Tensor) -> None:
    if reals.shape[2:] != samples.shape[2:]:
        got = f"{tuple(reals.shape[2:])} and {tuple(samples.shape[2:])}"
        raise ValueError(f"reals and generated samples are of one shape, got {got}")
