"""One training of one GAN: its state, its steps, and what it leaves.

`helpers.training.train` is the door to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.checkpoints import check_kept, check_observed, read_state, rows_to_keep, write_state
from helpers.copying import copied
from helpers.descriptions import (
    architecture,
    described,
    described_optimizer,
    digest,
    digest_of_state,
)
from helpers.ensemble import Diverged, MakeOptimizer, check_trainable, slopes
from helpers.judging import Judging
from helpers.losses import GanLoss
from helpers.models import Players
from helpers.optimizers import Extragradient, Nudged, Wrapper
from helpers.penalties import GradientPenalty
from helpers.randomness import PrivateRandom
from helpers.replay import Replay
from helpers.spectra import NotConverged

# Reals, latents, the penalty's shares, and the labels of the reals.
Batch = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
Watch = Callable[[Players], dict[str, Any]]
_LOOK = 100  # iterations between looks at whether all is finite: each waits for the device
_FIRST = 3  # iterations before one is captured: what optimisers and libraries set up is there then


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What a training of one GAN left."""

    players: Players  # as they are at the end
    averaged: nn.Module | None  # the generator with the running mean of its weights
    iterations: NDArray[np.int64]  # (k,) after which records were taken, from 1
    records: dict[str, NDArray]  # (k, ...) by name
    kept: dict[int, list[dict[str, Tensor]]]  # iteration: the states of G and of D then

    def players_at(self, iteration: int) -> Players:
        """Both networks as they were after a kept iteration.

        Raises:
            ValueError: for an iteration that was not kept.
        """
        if iteration not in self.kept:
            raise ValueError(f"kept are the iterations {sorted(self.kept)}, got {iteration}")
        nets = Players(*map(copied, self.players))
        for net, state in zip(nets, self.kept[iteration], strict=True):
            put_state(net, state)
        return nets


@dataclass(frozen=True)
class Settings:
    """How to train, in the words of `train`."""

    latent: tuple[int, ...]  # shape of one latent
    loss: GanLoss
    optimizers: tuple[MakeOptimizer, MakeOptimizer]  # G's and D's
    steps: tuple[int, int] | None
    batch: int
    penalty: GradientPenalty | None
    average: float | None
    schedule: Callable[[int], float] | None
    seed: int
    observe: Watch | None
    every: int
    keep: frozenset[int]
    judging: Judging


class Single:
    """The state of a training."""

    def __init__(
        self,
        players: Players,
        reals: Tensor,
        labels: Tensor | None,
        settings: Settings,
        device: torch.device,
    ) -> None:
        self.settings, self.device = settings, device
        self.players = Players(*(copied(net).to(device).train() for net in players))
        self.reals = reals.to(device)
        self.labels = None if labels is None else labels.to(device)
        if device.type == "cuda":  # the layout that its convolutions are fastest in
            for net in self.players:
                net.to(memory_format=torch.channels_last)
            if reals.ndim == 4:
                self.reals = self.reals.contiguous(memory_format=torch.channels_last)
        self.weights = [[w for w in net.parameters() if w.requires_grad] for net in self.players]
        for player, own in zip("GD", self.weights, strict=True):
            check_trainable(player, own)
        self.latent_dtype = next(w.dtype for w in self.players.generator.parameters())
        self.optimizers = [
            make(own) for make, own in zip(settings.optimizers, self.weights, strict=True)
        ]
        extrapolates = {isinstance(each, Extragradient) for each in self.optimizers}
        if len(extrapolates) > 1:
            raise ValueError("extragradient is asked for by both players or by neither")
        self.extrapolates = True in extrapolates
        self.inner = [getattr(each, "optimizer", each) for each in self.optimizers]
        self.schedules = []
        if settings.schedule is not None:
            self.schedules = [LambdaLR(each, settings.schedule) for each in self.inner]
        self.repeats = device.type == "cuda" and self.is_repeated()
        self.replay: Replay | None = None
        self.told = 0  # iterations not replayed
        self.let_capture()
        self.averaged = None
        if settings.average is not None:
            rule = get_ema_multi_avg_fn(settings.average)
            self.averaged = AveragedModel(self.players.generator, device, multi_avg_fn=rule)
        self.random = PrivateRandom(settings.seed, device)
        self.stream = torch.Generator().manual_seed(settings.seed)
        self.epoch_start = self.stream.get_state()
        self.order, self.used = None, 0
        self.done, self.taken = 0, []
        self.finite = torch.zeros((), dtype=torch.int64, device=device)
        self.records: dict[str, list] = {}
        self.kept: dict[int, list[dict[str, Tensor]]] = {}
        self.keep()

    def iterate(self) -> None:
        """Steps of both players, then a record if it is time."""
        with self.random.used():
            found = self.turn()
            for each in self.schedules:
                each.step()
            if self.averaged is not None:
                self.averaged.update_parameters(self.players.generator)
            self.done += 1
            fine = (found["loss_d"] + found["loss_g"]).isfinite()
            self.finite += fine & (self.finite == self.done - 1)  # how many from the first on
            if self.done % _LOOK == 0 or self.done % self.settings.every == 0:
                self.look()
            if self.done % self.settings.every == 0:
                self.note(found)
        self.keep()

    def is_repeated(self) -> bool:
        """Whether every iteration is the same program, apart from those that look for directions.

        A captured one keeps the rates that it was captured with, and only that wrapper whose state
        is one tensor can be in it.
        """
        wrapped = [each for each in self.optimizers if isinstance(each, Wrapper)]
        one_each = self.settings.steps in (None, (1, 1))
        return (
            not self.schedules
            and all("capturable" in each.defaults for each in self.inner)
            and all(isinstance(each, Nudged) and one_each for each in wrapped)
        )

    def let_capture(self) -> None:
        """Tell Adam and its like where to count their steps: on the device, if captured there."""
        for optimizer in self.inner:
            for group in optimizer.param_groups:
                if "capturable" in group:
                    group["capturable"] = self.repeats
            for state in optimizer.state.values():
                if "step" in state:
                    state["step"] = state["step"].to(self.device if self.repeats else "cpu")

    def turn(self) -> dict[str, Tensor]:
        """One iteration, on a CUDA device by a replay of the last one where that is the same."""
        steps = self.settings.steps
        batches = [self.draw() for _ in range(1 if steps is None else sum(steps) - 1)]
        once = self.together if steps is None else self.in_turn
        nudged = [each for each in self.optimizers if isinstance(each, Nudged)]
        if not self.repeats or self.told < _FIRST or any(each.is_due for each in nudged):
            self.told += 1
            return once(batches)
        if self.replay is None:
            self.replay = Replay(once, batches)  # which counts the step that it is to repeat
        else:
            for each in nudged:
                each.taken += 1
        return self.replay(batches)

    def together(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """One step of both from gradients at one point, by way of an extrapolation if there is one.

        The losses are those at the start of the step.
        """
        x, z, shares, y = batches[0]
        of = self.settings.loss
        found: dict[str, Tensor] = {}
        for _ in range(1 + self.extrapolates):
            fake = self.generate(z, y)
            logits = self.judge(x, fake, y)
            loss_d = of.discriminator(*logits)
            if self.settings.judging.joint_batch and not of.pairs:
                logits = self.judge_alone(fake, y)
            loss_g = of.generator(*logits)
            whole = loss_d + self.penalty(x, fake.detach(), shares, y)
            found_slopes = (
                slopes(loss_g, self.weights[0], retain_graph=True),
                slopes(whole, self.weights[1]),
            )
            for player in (0, 1):
                self.prepare(player)
            for player in (0, 1):
                self.move(player, found_slopes[player])
            found = found or {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}
        return found

    def in_turn(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Steps of D, then steps of G, whose first one takes the samples of D's last."""
        count, of = self.settings.steps[0], self.settings.loss
        for x, z, shares, y in batches[:count]:
            fake = self.generate(z, y)
            ahead = fake.detach()
            loss_d = of.discriminator(*self.judge(x, ahead, y))
            whole = loss_d + self.penalty(x, ahead, shares, y)
            found = slopes(whole, self.weights[1])
            self.prepare(1)
            self.move(1, found)
        for step in range(self.settings.steps[1]):
            if step:
                x, z, _, y = batches[count - 1 + step]
                fake = self.generate(z, y)
            logits = self.judge(x, fake, y) if of.pairs else self.judge_alone(fake, y)
            loss_g = of.generator(*logits)
            found = slopes(loss_g, self.weights[0])
            self.prepare(0)
            self.move(0, found)
        return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}

    def generate(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """G's samples."""
        given = (latents,) if labels is None else (latents, labels)
        return self.players.generator(*given)

    def discriminate(self, samples: Tensor, *labels: Tensor) -> Any:
        """What D gives; it may write to what it is given."""
        return self.players.discriminator(samples.clone(), *labels)

    def judge(self, reals: Tensor, fakes: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits of both, for a loss that looks at both."""
        return self.settings.judging.both(self.discriminate, reals, fakes, labels)

    def judge_alone(self, fakes: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits for a loss that looks at the generated samples alone."""
        found = self.settings.judging.alone(self.discriminate, fakes, labels)
        return found, found

    def penalty(
        self, reals: Tensor, fakes: Tensor, shares: Tensor | None, labels: Tensor | None
    ) -> Tensor | float:
        """The penalty on D's slope, if there is one."""
        if self.settings.penalty is None:
            return 0.0
        alone = partial(self.settings.judging.alone, self.discriminate, labels=labels)
        return self.settings.penalty(alone, reals, fakes, shares)

    def prepare(self, player: int) -> None:
        """Let an optimiser that leaves directions out find them, if it is time."""
        if isinstance(self.optimizers[player], Nudged):
            try:
                self.optimizers[player].look(self.players)
            except (FloatingPointError, NotConverged) as error:
                at = self.done + 1
                what = f"no directions could be found in iteration {at}: {error}"
                raise Diverged(what, self.result(), at) from error

    def move(self, player: int, slopes: tuple[Tensor, ...]) -> None:
        """A player's next move along these gradients: with extragradient every other one is a step.

        In turn that is what Berard et al. 2020 released; a pass that extrapolates counts there too.
        """
        for weight, slope in zip(self.weights[player], slopes, strict=True):
            weight.grad = slope
        optimizer = self.optimizers[player]
        ahead = self.extrapolates and not optimizer.is_ahead
        (optimizer.extrapolate if ahead else optimizer.step)()

    def draw(self) -> Batch:
        """Reals, latents and the penalty's shares of one step; every epoch in an order of its own.

        What is left over at an epoch's end is dropped.
        """
        size = self.settings.batch
        if self.order is None or self.used + size > len(self.order):
            self.epoch_start = self.stream.get_state()
            self.shuffle()
            self.used = 0
        rows = self.order[self.used : self.used + size]
        x = self.reals[rows]
        self.used += size
        pinned = self.device.type == "cuda"  # or the copy would wait for all that is under way
        drawn = {"generator": self.stream, "dtype": torch.float32, "device": "cpu"}
        z = torch.randn(size, *self.settings.latent, **drawn, pin_memory=pinned)
        z = z.to(self.latent_dtype)
        shares = None
        if self.settings.penalty is not None:
            shares = torch.rand(size, **drawn).to(self.device)
        labels = None if self.labels is None else self.labels[rows]
        return x, z.to(self.device, non_blocking=pinned), shares, labels

    def shuffle(self) -> None:
        order = torch.randperm(len(self.reals), generator=self.stream, device="cpu")
        self.order = order.to(self.device)

    def keep(self) -> None:
        """Keep the networks, if it is time."""
        if self.done in self.settings.keep:
            self.kept[self.done] = [
                {name: part.detach().cpu().clone() for name, part in whole_state(net).items()}
                for net in self.players
            ]

    def look(self) -> None:
        """Raise Diverged if a loss was not finite."""
        finite = int(self.finite)
        if finite < self.done:
            what = f"the losses ceased to be finite in iteration {finite + 1}"
            raise Diverged(what, self.result(), finite + 1)

    def note(self, found: dict[str, Tensor]) -> None:
        """Record, and look on if there is a watch."""
        if self.settings.observe is not None:
            with torch.no_grad(), self.random.undisturbed():
                found = found | self.settings.observe(self.players)
        self.taken.append(self.done)
        for name, value in found.items():
            if not isinstance(value, Tensor):
                value = torch.as_tensor(value, device="cpu")
            self.records.setdefault(name, []).append(value.detach().cpu().clone())

    def result(self) -> TrainingRun:
        """What there is now."""
        return TrainingRun(
            Players(*map(copied, self.players)),
            None if self.averaged is None else self.averaged.module,
            np.array(self.taken, dtype=np.int64),
            {name: torch.stack(each).numpy() for name, each in self.records.items()},
            dict(self.kept),
        )

    def save(self, path: Path) -> None:
        """Write the state, never half a file; of a training that has diverged, none.

        Raises:
            Diverged: if a loss was not finite.
        """
        self.look()
        state = {
            "run": self.identity,
            "observe": self.observed,
            "done": self.done,
            "taken": self.taken,
            "records": self.records,
            "kept": self.kept,
            "players": [whole_state(net) for net in self.players],
            "optimizers": [each.state_dict() for each in self.optimizers],
            "schedules": [
                each.state_dict() | {"lr_lambdas": [None] * len(each.lr_lambdas)}
                for each in self.schedules
            ],
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "stream": self.stream.get_state(),
            "random": self.random.states,
            "epoch": [self.epoch_start, self.used, self.order is not None],
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
        for net, held in zip(self.players, state["players"], strict=True):
            put_state(net, held)
        for optimizer, held in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(held)
        self.let_capture()
        for schedule, held in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(held)
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.epoch_start, self.used, begun = state["epoch"]
        if begun:
            self.stream.set_state(self.epoch_start)
            self.shuffle()
        self.stream.set_state(state["stream"])
        self.random.load(state["random"])
        self.done = done
        self.finite.fill_(done)
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
        return {
            "seed": settings.seed,
            "loss": described(settings.loss),
            "latent": list(settings.latent),
            "steps": settings.steps and list(settings.steps),
            "batch": settings.batch,
            "penalty": described(settings.penalty),
            "average": settings.average,
            "schedule": described(settings.schedule),
            "joint_batch": settings.judging.joint_batch,
            "logit": described(settings.judging.logit),
            "players": [architecture(net) for net in self.players],
            "optimizers": [described_optimizer(each) for each in self.optimizers],
            "reals": digest(self.reals),
            "labels": None if self.labels is None else digest(self.labels),
            "start": [digest_of_state(net) for net in self.players],
        }

    @cached_property
    def observed(self) -> Any:
        """What is recorded, as far as that can be told."""
        return described(self.settings.observe, closures=False)


def whole_state(net: nn.Module) -> dict[str, Tensor]:
    """The state of a network, with the buffers that `state_dict` leaves out.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> net.register_buffer("count", torch.zeros(()), persistent=False)
    >>> sorted(whole_state(net))
    ['count', 'weight']
    """
    return dict(net.named_buffers()) | net.state_dict()


@torch.no_grad()
def put_state(net: nn.Module, state: dict[str, Tensor]) -> None:
    """Let a network be as it was when `whole_state` gave this.

    >>> net = nn.Linear(1, 1)
    >>> put_state(net, {"weight": torch.ones(1, 1), "bias": torch.ones(1)})
    >>> net.bias.item()
    1.0
    """
    left_out = dict(net.named_buffers()).keys() - net.state_dict().keys()
    for name, buffer in net.named_buffers():
        if name in left_out:
            buffer.copy_(state[name])
    net.load_state_dict({name: part for name, part in state.items() if name not in left_out})
