"""One training of an ensemble: its state, its steps, and what it leaves.

`helpers.training.train_ensemble` is the door to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from helpers.losses import GanLoss
from helpers.models import Players
from helpers.optimizers import Extragradient, Nudged, Wrapper
from helpers.penalties import GradientPenalty
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
        # Once: a save must not look at all data again.
        self.data = [float(data.double().sum()) for data in (latents, reals)]
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
                    both = torch.cat([x, self.generators(z)], dim=1)
            samples = both.split([x.shape[1], z.shape[1]], dim=1)
            real, fake = self.discriminators(both).split([x.shape[1], z.shape[1]], dim=1)
            self.slopes(1, sum(self.each("discriminator", real, fake)) + self.penalty(*samples))
            self.look(self.optimizers[1])
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
            self.look(self.optimizers[0])
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
        state = {
            "run": self.identity(),
            "done": self.done,
            "diverged": self.diverged,
            "taken": self.taken,
            "records": self.records,
            "kept": self.kept,
            "players": [each.parameters for each in (self.generators, self.discriminators)],
            "optimizers": [each.state_dict() for each in self.optimizers],
            "streams": [each.get_state() for each in self.streams],
        }
        write_state(state, path)

    def load(self, path: Path, iterations: int) -> None:
        """Go on from a state that `save` wrote.

        Raises:
            ValueError: if it is of another run, or of one with more iterations.
        """
        state = read_state(path, self.identity(), iterations)
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
            "optimizers": [described(each) for each in self.optimizers],
            "data": self.data,
            "start": self.start,
        }


def _norms(stacked: Stacked) -> Tensor:
    """(S,) of the gradients that the weights of each network hold."""
    slopes = [weight.grad.flatten(start_dim=1) for weight in stacked.parameters.values()]
    return torch.cat(slopes, dim=1).norm(dim=1)


def described(optimizer: Optimizer | Wrapper) -> str:
    """Name and settings of an optimiser, for telling runs apart.

    >>> described(torch.optim.SGD([torch.zeros(1)], lr=0.1))
    "SGD {'lr': 0.1, ...}"
    """
    if isinstance(optimizer, Wrapper):
        return f"{optimizer} of {described(optimizer.optimizer)}"
    return f"{type(optimizer).__name__} {optimizer.defaults}"


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, never half a file.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_state({"run": {}, "done": 3}, Path(folder) / "a.pt")
    ...     read_state(Path(folder) / "a.pt", {}, 5)["done"]
    3
    """
    part = path.with_name(f"{path.name}.part")
    torch.save(state, part)
    part.replace(path)


def read_state(path: Path, run: dict[str, Any], iterations: int) -> dict[str, Any]:
    """A checkpoint of this run, on the CPU.

    Raises:
        ValueError: if it is of another run, or of one with more iterations.
    """
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["run"] != run:
        raise ValueError(f"{path} is of another run: {state['run']}, not {run}")
    if state["done"] > iterations:
        raise ValueError(f"{path} has {state['done']} iterations, more than {iterations}")
    return state
