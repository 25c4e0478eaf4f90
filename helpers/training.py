"""Training GANs: many independent runs side by side.

The players' losses are those of `helpers.losses`, each member of an ensemble has its own networks
and data, and one batched step moves all of them. A member's numbers are those it would have alone,
to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
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
from helpers.optimizers import Extragradient, Optimistic
from helpers.penalties import GradientPenalty
from helpers.stacked import Stacked

Observe = Callable[[Stacked, Stacked, Tensor, Tensor], dict[str, Tensor]]
Wrapper = Extragradient | Optimistic
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
    """Every member of an ensemble has diverged; `run` holds what there was until then."""

    def __init__(self, run: EnsembleRun) -> None:
        super().__init__(f"every member has diverged, at {run.diverged}")
        self.run = run


def train_ensemble(
    players: Sequence[Players],
    latents: Tensor,
    reals: Tensor,
    *,
    loss: GanLoss | Sequence[GanLoss],
    optimizer: MakeOptimizer | tuple[MakeOptimizer, MakeOptimizer],
    iterations: int,
    steps: tuple[int, int] | None = (1, 1),
    batch: int | None = None,
    penalty: GradientPenalty | None = None,
    constrain: Callable[[Stacked], None] | None = None,
    seed: int = 0,
    observe: Observe | None = None,
    every: int = 1,
    keep: Collection[int] = (),
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
            Adam), or a wrapper of `helpers.optimizers`; one is made for each player. A pair holds
            G's and D's.
        iterations: 0 or more.
        steps: of D and then of G in an iteration. None: both step at once, from gradients at one
            point, as a method for games such as extragradient asks.
        batch: how many latents and reals a step takes, drawn with replacement for each member from
            a stream of its own; all of them by default.
        penalty: on D's slope, added to D's loss; "loss_d" in the records is without it.
        constrain: called with the discriminators after each step of theirs, to put weights back to
            where they may be.
        seed: of those streams; a member's stream follows from it and from the member's number.
        observe: called with both stacked players, latents and reals; what it gives is recorded
            beside D's loss "loss_d" and G's "loss_g" of the last step. Where both step at once,
            these are of the step's start, and so are the norms of the gradients, "norm_d" and
            "norm_g"; "ahead_d" and "ahead_g" are the norms at the extrapolated point.
        every: iterations between records.
        keep: iterations after which the weights are kept; 0 is the start.
        checkpoint: a file that keeps the state every `save_every` iterations, so that an
            interrupted run goes on from there, to the same result.
        device: where to train.

    Raises:
        ValueError: for no members, counts out of range, data that are not (S, ...) or not finite,
            an optimiser that extrapolates where players take turns, and a checkpoint of another
            run.
        Diverged: once every member has diverged.

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
        ("D's steps", 1 if steps is None else steps[0], 1),
        ("G's steps", 1 if steps is None else steps[1], 1),
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
    makers = optimizer if isinstance(optimizer, tuple) else (optimizer, optimizer)
    settings = _Settings(
        groups, makers, steps, batch, penalty, constrain, seed, observe, every, frozenset(keep)
    )
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
    optimizers: tuple[MakeOptimizer, MakeOptimizer]  # G's and D's
    steps: tuple[int, int] | None
    batch: int | None
    penalty: GradientPenalty | None
    constrain: Callable[[Stacked], None] | None
    seed: int
    observe: Observe | None
    every: int
    keep: frozenset[int]


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
        self.discriminators = Stacked(
            [pair.discriminator for pair in players], device, twice=settings.penalty is not None
        )
        self.latents, self.reals = latents, reals
        self.pairs = any(loss.pairs for loss, _ in settings.groups)
        if settings.penalty is not None:
            count = latents.shape[1] if settings.batch is None else settings.batch
            self.shares = settings.penalty.shares(count).to(device).expand(len(players), -1)
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
        self.start = [
            sum(float(weight.detach().double().sum()) for weight in each.parameters.values())
            for each in (self.generators, self.discriminators)
        ]
        self.taken: list[int] = []
        self.records: dict[str, list[Tensor]] = {}
        self.kept: dict[int, Tensor] = {}
        self.keep()

    def iterate(self) -> None:
        """Steps of both players, then a record if it is time."""
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
            y = self.generators(z)
            real, fake = self.discriminators(torch.cat([x, y], dim=1)).split(
                [x.shape[1], y.shape[1]], dim=1
            )
            loss_d = torch.cat(self.each("discriminator", real, fake, alone=True))
            loss_g = torch.cat(self.each("generator", real, fake, alone=True))
            self.slopes(1, loss_d.sum() + self.penalty(x, y), retain_graph=True)
            self.slopes(0, loss_g.sum())
            where = "ahead" if found else "norm"
            if not found:
                found = {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}
            found[f"{where}_d"] = _norms(self.discriminators)
            found[f"{where}_g"] = _norms(self.generators)
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
                    both = torch.cat([x, self.generators(z)], dim=1)
            samples = both.split([x.shape[1], z.shape[1]], dim=1)
            real, fake = self.discriminators(both).split([x.shape[1], z.shape[1]], dim=1)
            self.slopes(1, sum(self.each("discriminator", real, fake)) + self.penalty(*samples))
            self.optimizers[1].step()
            self.constrain()
        found = {"loss_d": self.each("discriminator", real.detach(), fake.detach(), alone=True)}
        for step in range(self.settings.steps[1]):
            z, x = self.draw()
            if not step or self.settings.batch is not None:
                with torch.no_grad():
                    real = self.discriminators(x) if self.pairs else x
            fake = self.discriminators(self.generators(z))
            self.slopes(0, sum(self.each("generator", real, fake)))
            self.optimizers[0].step()
        found["loss_g"] = self.each("generator", real.detach(), fake.detach(), alone=True)
        return {name: torch.cat(parts) for name, parts in found.items()}

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

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor | float:
        """The sum of the members' penalties, if there is one."""
        if self.settings.penalty is None:
            return 0.0
        return len(real) * self.settings.penalty(self.discriminators, real, fake, self.shares)

    def slopes(self, player: int, loss: Tensor, *, retain_graph: bool = False) -> None:
        """The gradient of a player's sum of losses, where its optimiser will look for it."""
        own = list((self.generators, self.discriminators)[player].parameters.values())
        found = torch.autograd.grad(loss, own, retain_graph=retain_graph)
        for weight, slope in zip(own, found, strict=True):
            weight.grad = slope

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
                raise Diverged(self.result())
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
            self.generators,
            self.discriminators,
            iterations,
            records,
            dict(self.diverged),
            dict(self.kept),
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
                "kept": self.kept,
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
        self.kept = state["kept"]

    def identity(self) -> dict:
        """What tells this run from others."""
        return {
            "seed": self.settings.seed,
            "losses": [f"{count} {loss.name}" for loss, count in self.settings.groups],
            "steps": list(self.settings.steps or ()),
            "batch": self.settings.batch,
            "penalty": str(self.settings.penalty),
            "every": self.settings.every,
            "keep": sorted(self.settings.keep),
            "optimizers": [_described(each) for each in self.optimizers],
            "data": [float(data.double().sum()) for data in (self.latents, self.reals)],
            "start": self.start,
        }


def _norms(stacked: Stacked) -> Tensor:
    """(S,) of the gradients that the weights of each network hold."""
    slopes = [weight.grad.flatten(start_dim=1) for weight in stacked.parameters.values()]
    return torch.cat(slopes, dim=1).norm(dim=1)


def _described(optimizer: Optimizer | Wrapper) -> str:
    if isinstance(optimizer, Wrapper):
        return f"{type(optimizer).__name__} of {_described(optimizer.optimizer)}"
    return f"{type(optimizer).__name__} {optimizer.defaults}"
