"""Training GANs: many independent runs side by side.

The players' losses are those of `helpers.losses`, each member of an ensemble has its own networks
and data, and one batched step moves all of them. A member's numbers are those it would have alone,
to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer
from tqdm import tqdm

from helpers.losses import GanLoss
from helpers.models import Players
from helpers.stacked import Stacked

Observe = Callable[[Stacked, Stacked, Tensor, Tensor], dict[str, Tensor]]
MakeOptimizer = Callable[[Iterable[Tensor]], Optimizer]


@dataclass(frozen=True, eq=False)
class EnsembleRun:
    """What a training of S members left."""

    generators: Stacked
    discriminators: Stacked
    iterations: NDArray[np.int64]  # (k,) after which records were taken, from 1
    records: dict[str, NDArray]  # (k, S, ...) by name; NaN from where a member diverged
    diverged: dict[int, int]  # member: the iteration in which its loss ceased to be finite


def train_ensemble(
    players: Sequence[Players],
    latents: Tensor,
    reals: Tensor,
    *,
    loss: GanLoss | Sequence[GanLoss],
    optimizer: MakeOptimizer,
    iterations: int,
    steps: tuple[int, int] = (1, 1),
    batch: int | None = None,
    constrain: Callable[[Stacked], None] | None = None,
    seed: int = 0,
    observe: Observe | None = None,
    every: int = 1,
    checkpoint: Path | str | None = None,
    save_every: int = 500,
    device: torch.device | str = "cpu",
) -> EnsembleRun:
    """Train S GANs of one shape at once.

    Args:
        players: S pairs of networks without buffers; they are copied.
        latents: (S, m, ...) of each member.
        reals: (S, n, ...) of each member.
        loss: of `helpers.losses.LOSSES`, one for all or one for each member; those of one loss are
            best kept together.
        optimizer: from parameters to a torch optimiser that treats each number by itself (SGD,
            Adam); one is made for each player.
        iterations: 0 or more.
        steps: of D and then of G in an iteration.
        batch: how many latents and reals a step takes, drawn with replacement for each member from
            a stream of its own; all of them by default.
        constrain: called with the discriminators after each step of theirs, to put weights back to
            where they may be.
        seed: of those streams; a member's stream follows from it and from the member's number.
        observe: called with both stacked players, latents and reals; what it gives is recorded
            beside D's loss "loss_d" and G's "loss_g" of the last step.
        every: iterations between records.
        checkpoint: a file that keeps the state every `save_every` iterations, so that an
            interrupted run goes on from there, to the same result.
        device: where to train.

    Raises:
        ValueError: for no members, counts out of range, data that are not (S, ...) or not finite,
            and a checkpoint of another run.
        FloatingPointError: once every member has diverged, naming them with their iterations.

    >>> from functools import partial
    >>> from helpers.losses import LOSSES
    >>> from helpers.models import mlp
    >>> pairs = [Players(mlp([1, 5, 1], seed=s), mlp([1, 5, 1], seed=9 + s)) for s in range(3)]
    >>> run = train_ensemble(
    ...     pairs, torch.zeros(3, 8, 1), torch.ones(3, 8, 1), loss=LOSSES["rs"], iterations=5,
    ...     optimizer=partial(torch.optim.SGD, lr=0.1))
    >>> run.records["loss_d"].shape
    (5, 3)
    """
    for name, count, least in (
        ("iterations", iterations, 0),
        ("every", every, 1),
        ("save_every", save_every, 1),
        ("D's steps", steps[0], 1),
        ("G's steps", steps[1], 1),
        ("batch", 1 if batch is None else batch, 1),
    ):
        if type(count) is not int or count < least:
            raise ValueError(f"{name} must be a whole number from {least} on, got {count!r}")
    if not players:
        raise ValueError("at least one pair of players is asked for, got none")
    for name, data in (("latents", latents), ("reals", reals)):
        if data.ndim < 2 or len(data) != len(players) or not data.shape[1]:
            raise ValueError(
                f"{name} are ({len(players)}, n, ...), n at least 1, got {tuple(data.shape)}"
            )
        if not data.isfinite().all():
            raise ValueError(f"{name} must be finite")
    losses = [loss] * len(players) if isinstance(loss, GanLoss) else list(loss)
    if len(losses) != len(players):
        raise ValueError(f"losses for {len(players)} members are asked for, got {len(losses)}")
    groups = [(one, len(list(same))) for one, same in groupby(losses)]
    settings = _Settings(groups, optimizer, steps, batch, constrain, seed, observe, every)
    run = _Run(players, latents.to(device), reals.to(device), settings, device)
    store = None if checkpoint is None else Path(checkpoint)
    if store is not None and store.exists():
        run.load(store, iterations)
    bar = tqdm(range(run.done, iterations), initial=run.done, total=iterations, disable=None)
    for iteration in bar:
        run.iterate()
        if store is not None and (iteration + 1) % save_every == 0:
            run.save(store)
    return run.result()


@dataclass(frozen=True)
class _Settings:
    """How to train, in the words of `train_ensemble`."""

    groups: list[tuple[GanLoss, int]]  # losses, and how many members in turn have each
    optimizer: MakeOptimizer
    steps: tuple[int, int]
    batch: int | None
    constrain: Callable[[Stacked], None] | None
    seed: int
    observe: Observe | None
    every: int


class _Run:
    """The state of a training."""

    def __init__(
        self,
        players: Sequence[Players],
        latents: Tensor,
        reals: Tensor,
        settings: _Settings,
        device: torch.device | str,
    ) -> None:
        self.settings = settings
        self.generators = Stacked([pair.generator for pair in players], device)
        self.discriminators = Stacked([pair.discriminator for pair in players], device)
        self.latents, self.reals = latents, reals
        self.pairs = any(loss.pairs for loss, _ in settings.groups)
        self.optimizers = [
            settings.optimizer(list(each.parameters.values()))
            for each in (self.generators, self.discriminators)
        ]
        entropy = [
            np.random.SeedSequence([settings.seed, number]) for number in range(len(players))
        ]
        self.streams = [
            torch.Generator().manual_seed(int(each.generate_state(1, np.uint64)[0] >> 1))
            for each in entropy
        ]
        self.done, self.diverged = 0, {}
        self.start = [
            sum(float(weight.detach().double().sum()) for weight in each.parameters.values())
            for each in (self.generators, self.discriminators)
        ]
        self.taken: list[int] = []
        self.records: dict[str, list[Tensor]] = {}

    def iterate(self) -> None:
        """Steps of D, then steps of G, then a record if it is time."""
        for step in range(self.settings.steps[0]):
            z, x = self.draw()
            if not step or self.settings.batch is not None:
                with torch.no_grad():
                    both = torch.cat([x, self.generators(z)], dim=1)
            real, fake = self.discriminators(both).split([x.shape[1], z.shape[1]], dim=1)
            self.move(1, sum(self.each("discriminator", real, fake)))
            if self.settings.constrain is not None:
                with torch.no_grad():
                    self.settings.constrain(self.discriminators)
        found = {"loss_d": self.each("discriminator", real.detach(), fake.detach(), alone=True)}
        for step in range(self.settings.steps[1]):
            z, x = self.draw()
            if not step or self.settings.batch is not None:
                with torch.no_grad():
                    real = self.discriminators(x) if self.pairs else x
            fake = self.discriminators(self.generators(z))
            self.move(0, sum(self.each("generator", real, fake)))
        found["loss_g"] = self.each("generator", real.detach(), fake.detach(), alone=True)
        self.done += 1
        self.note({name: torch.cat(parts) for name, parts in found.items()})

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
        drawn = [torch.randint(data.shape[1], shape, generator=each) for each in self.streams]
        rows = torch.arange(len(data), device=data.device)[:, None]
        return data[rows, torch.stack(drawn).to(data.device)]

    def move(self, player: int, loss: Tensor) -> None:
        """One step of a player down the sum of its losses."""
        own = list((self.generators, self.discriminators)[player].parameters.values())
        for weight, slope in zip(own, torch.autograd.grad(loss, own), strict=True):
            weight.grad = slope
        self.optimizers[player].step()

    def note(self, found: dict[str, Tensor]) -> None:
        """Look whether all is finite, and record."""
        broken = ~(found["loss_d"] + found["loss_g"]).isfinite()
        if broken.any():
            for number in broken.nonzero().flatten().tolist():
                self.diverged.setdefault(number, self.done)
            if len(self.diverged) == len(self.generators):
                raise FloatingPointError(f"every member has diverged, at {self.diverged}")
        if self.done % self.settings.every == 0:
            if self.settings.observe is not None:
                with torch.no_grad():
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
            self.generators, self.discriminators, iterations, records, dict(self.diverged)
        )

    def save(self, path: Path) -> None:
        """Write the state, never half a file."""
        part = path.with_name(f"{path.name}.part")
        torch.save(
            {
                "run": self.identity(),
                "done": self.done,
                "diverged": self.diverged,
                "taken": self.taken,
                "records": self.records,
                "players": [each.parameters for each in (self.generators, self.discriminators)],
                "optimizers": [each.state_dict() for each in self.optimizers],
                "streams": [each.get_state() for each in self.streams],
            },
            part,
        )
        part.replace(path)

    def load(self, path: Path, iterations: int) -> None:
        """Go on from a state that `save` wrote.

        Raises:
            ValueError: if it is of another run, or of one with more iterations.
        """
        state = torch.load(path, weights_only=True, map_location="cpu")
        if state["run"] != self.identity():
            raise ValueError(f"{path} is of another run: {state['run']}, not {self.identity()}")
        if state["done"] > iterations:
            raise ValueError(f"{path} has {state['done']} iterations, more than {iterations}")
        for stacked, held in zip(
            (self.generators, self.discriminators), state["players"], strict=True
        ):
            for name, weight in stacked.parameters.items():
                weight.data.copy_(held[name])
        for optimizer, held in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(held)
        for stream, held in zip(self.streams, state["streams"], strict=True):
            stream.set_state(held)
        self.done, self.diverged = state["done"], state["diverged"]
        self.taken, self.records = state["taken"], state["records"]

    def identity(self) -> dict:
        """What tells this run from others."""
        return {
            "seed": self.settings.seed,
            "losses": [f"{count} {loss.name}" for loss, count in self.settings.groups],
            "steps": list(self.settings.steps),
            "batch": self.settings.batch,
            "every": self.settings.every,
            "optimizers": [f"{type(each).__name__} {each.defaults}" for each in self.optimizers],
            "data": [float(data.double().sum()) for data in (self.latents, self.reals)],
            "start": self.start,
        }
