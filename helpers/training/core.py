"""A training: its state, records and snapshots, its checkpoint, and how it ends.

`helpers.training.single` trains one GAN and `helpers.training.ensemble` many of one shape. They add
what differs: how batches are drawn, what D is shown, and how players take turns.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from helpers.checkpoints.attributes import changed_attributes, put_attributes
from helpers.checkpoints.descriptions import (
    architecture,
    described,
    described_hooks,
    described_optimizer,
    difference,
    digest,
)
from helpers.checkpoints.files import (
    check_observed,
    checkpoint_path,
    read_state,
    recorded_rows,
    try_writing,
    write_state,
)
from helpers.games.game import PLAYERS
from helpers.losses.penalty import GradientPenalty
from helpers.machine import progress_bar
from helpers.models.replacing import in_steps
from helpers.spectra import NotConverged
from helpers.training.gradients import apart, gradient, towards_rest
from helpers.training.nudged import Nudged, check_of, check_order
from helpers.training.optimizers import Extragradient, Lookahead, Wrapper
from helpers.training.randomness import PrivateRandom
from helpers.training.recording import Diverged, Paused, Recording
from helpers.training.turns import Consensus, Unrolled

MakeOptimizer = Callable[[Iterable[Tensor]], Optimizer | Wrapper]
_CHECK = 100  # iterations between checks that losses are finite: a check waits for the device
_LONGEST = 300.0  # seconds between two writings of a checkpoint


@dataclass(frozen=True)
class Settings:
    """How to train; the names are those of `helpers.training`."""

    optimizers: tuple[MakeOptimizer, MakeOptimizer]  # G's and D's
    steps: tuple[int, int] | None
    batch: int | None
    penalty: GradientPenalty | None
    joint_batch: bool
    seed: int
    # What both follow who step at once, if it is not their own slopes.
    follow: Consensus | Unrolled | None = field(default=None, kw_only=True)


class Training(ABC):
    """The state of a training.

    Args:
        settings, recording: how to train, and what is recorded.
        players: both players, in the form that searches for directions receive.
        weights: the weights of each player that move.
        data: everything that batches are drawn from, by name.
        observed: the arguments of `Recording.observe`.
        shape: () for one GAN, (S,) for S members.
    """

    def __init__(
        self,
        settings: Settings,
        recording: Recording,
        players: tuple[Any, Any],
        weights: Sequence[Sequence[Tensor]],
        data: Mapping[str, Tensor | None],
        observed: tuple[Any, ...],
        shape: tuple[int, ...],
        device: torch.device,
    ) -> None:
        self.settings, self.recording = settings, recording
        self.players, self.weights = players, weights
        self.data, self.observed, self.device = data, observed, device
        for player, own in zip(PLAYERS, weights, strict=True):
            if not own:
                raise ValueError(f"{player} has no weights that require grad to train")
        self.optimizers = [
            make(own) for make, own in zip(settings.optimizers, weights, strict=True)
        ]
        extrapolates = {isinstance(optimizer, Extragradient) for optimizer in self.optimizers}
        if len(extrapolates) > 1:
            raise ValueError("extragradient must be used by both players or by neither")
        self.extrapolates = True in extrapolates
        for player, optimizer, own in zip(PLAYERS, self.optimizers, weights, strict=True):
            check_order(player, optimizer, own)
            check_of(player, optimizer, settings)
        self.random = PrivateRandom(settings.seed, device)
        self.done = 0
        # How many iterations had finite losses.
        self.finite = torch.zeros(shape, dtype=torch.int64, device=device)
        self.recorded: list[int] = []
        self.records: dict[str, list[Tensor]] = {}
        self.snapshots: dict[int, Any] = {}
        self.take_snapshot()

    @abstractmethod
    def step(self) -> dict[str, Tensor]:
        """The steps of an iteration; both losses by name."""

    @abstractmethod
    def losses(self, batch: tuple[Any, ...]) -> tuple[Tensor, Tensor, Tensor | float]:
        """D's and G's losses, and what the penalty adds to the sum of D's."""

    @abstractmethod
    def states(self) -> list[dict[str, Tensor]]:
        """All tensors of G and of D by name, to read and to write to."""

    @abstractmethod
    def networks(self) -> Sequence[nn.Module]:
        """G and D of one member."""

    def called(self) -> Sequence[nn.Module]:
        """The networks that are called; of an ensemble, for all members at once."""
        return self.networks()

    @abstractmethod
    def stream_state(self) -> dict[str, Any]:
        """Where the streams of batches stand."""

    @abstractmethod
    def load_streams(self, state: dict[str, Any]) -> None:
        """Go on from what `stream_state` gave."""

    @abstractmethod
    def result(self) -> Any:
        """The result so far."""

    def advance(self, iterations: int) -> Any:
        """Iterate under a progress bar, from the checkpoint if there is one; return the result."""
        path = checkpoint_path(self.recording.checkpoint)
        if path is not None:
            _ = self.identity, self.described_observer  # read while the run is at its start
            if path.exists():
                self.load(path, iterations)
            if self.done < iterations:
                try_writing(path)
        saved, until = time.monotonic(), self.recording.until
        first = self.done + 1
        for _ in progress_bar(range(self.done, iterations), initial=self.done, total=iterations):
            self.iterate()
            if path is not None and self.done == first:
                self.attributes()  # what cannot be kept is refused at once
            is_last = self.done == iterations
            is_asked = until is not None and not is_last and until()
            is_due = is_last or is_asked or self.done % self.recording.save_every == 0
            if path is not None and (is_due or time.monotonic() - saved > _LONGEST):
                self.save(path)
                saved = time.monotonic()
            if is_asked:
                raise Paused(f"stopped after {self.done} of {iterations} iterations")
        self.check_finite()
        return self.result()

    def iterate(self) -> None:
        """Steps of both players, then a record and a snapshot if they are due."""
        is_recorded = (self.done + 1) % self.recording.every == 0
        with self.random.used():
            losses = self.step()
            for player, optimizer in enumerate(self.optimizers):
                if isinstance(optimizer, Lookahead):
                    optimizer.look_back(partial(self.constrain, player))
            self.done += 1
            is_finite = (losses["loss_d"] + losses["loss_g"]).isfinite()
            self.finite += is_finite & (self.finite == self.done - 1)
            if is_recorded or self.done % _CHECK == 0 or self.done in self.recording.snapshots:
                self.check_finite()
            if is_recorded:
                self.record(losses)
        self.take_snapshot()

    def together(self, batch: tuple[Any, ...]) -> dict[str, Tensor]:
        """One step of both players from gradients at one point, after an extrapolation if due.

        The losses and the norms of the gradients are those at the start of the step; the norms
        named "ahead" are those at the extrapolated point.
        """
        found: dict[str, Tensor] = {}
        follow = self.settings.follow
        again = isinstance(follow, Consensus)  # whether gradients are differentiated again
        for _ in range(1 + self.extrapolates):
            with in_steps(follow is not None):
                loss_d, loss_g, penalty = self.losses(batch)
            gradients = (
                gradient(loss_g.sum(), self.weights[0], retain_graph=True, create_graph=again),
                gradient(loss_d.sum() + penalty, self.weights[1], create_graph=again),
            )
            where = "ahead" if found else "norm"
            found = found or {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}
            for name, parts in zip("gd", gradients, strict=True):
                rows = [part.detach().flatten(start_dim=self.finite.ndim) for part in parts]
                found[f"{where}_{name}"] = torch.cat(rows, dim=-1).norm(dim=-1)
            if isinstance(follow, Consensus):
                gradients = towards_rest(gradients, self.weights, follow.weight)
            for player in (0, 1):
                self.refresh_directions(player)
            for player in (0, 1):
                self.move(player, gradients[player])
        return found

    def take_turn(self, player: int, loss: Tensor) -> None:
        """A move of one player alone."""
        gradients = gradient(loss, self.weights[player])
        self.refresh_directions(player)
        self.move(player, gradients)

    def refresh_directions(self, player: int) -> None:
        """Let an optimiser that leaves directions out find them, if they are due."""
        optimizer = self.optimizers[player]
        if isinstance(optimizer, Nudged):
            try:
                optimizer.refresh(self.players)
            except (FloatingPointError, NotConverged) as error:
                at = self.done + 1
                what = f"no directions could be found in iteration {at}: {error}"
                raise Diverged(what, self.result(), at) from error

    def move(self, player: int, gradients: tuple[Tensor, ...]) -> None:
        """A player's next move along these gradients; with extragradient every other is a step.

        For players in turn this is what the code of Berard et al. 2020 does; there a pass that
        extrapolates counts too.
        """
        own = apart(gradients)
        for weight, part in zip(self.weights[player], own, strict=True):
            weight.grad = part
        optimizer = self.optimizers[player]
        if isinstance(optimizer, Extragradient) and not optimizer.is_ahead:
            optimizer.extrapolate()
        else:
            optimizer.step()
        self.constrain(player)

    def constrain(self, player: int) -> None:  # noqa: B027 # by default there is nothing to do
        """Put a player's weights back to where they are allowed to be, after each change."""

    @property
    def diverged(self) -> dict[int, int]:
        """The iterations in which losses ceased to be finite, by member; the earliest first."""
        ends = [(int(count) + 1, number) for number, count in enumerate(self.finite.reshape(-1))]
        return {number: end for end, number in sorted(ends) if end <= self.done}

    def check_finite(self) -> None:
        """Raise Diverged if no loss has been finite throughout."""
        if (self.finite < self.done).all():
            diverged = self.diverged
            last = max(diverged.values())
            what = f"the losses ceased to be finite in iteration {last}"
            if self.finite.ndim:
                what = f"every member has diverged, at {diverged}"
            raise Diverged(what, self.result(), last)

    def record(self, losses: dict[str, Tensor]) -> None:
        """Record losses, and what an observer returns."""
        if self.recording.observe is not None:
            with torch.no_grad(), self.random.undisturbed():
                losses = losses | self.recording.observe(*self.observed)
        for name, optimizer in zip("gd", self.optimizers, strict=True):
            if isinstance(optimizer, Nudged):
                losses = losses | {f"left_out_{name}": optimizer.mean_left_out()}
        self.recorded.append(self.done)
        for name, value in losses.items():
            self.records.setdefault(name, []).append(_kept(value))

    def stacked_records(self) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Iterations (k,), and what was recorded after them (k, ...) by name."""
        stacked = {name: torch.stack(values).numpy() for name, values in self.records.items()}
        return np.array(self.recorded, dtype=np.int64), stacked

    def take_snapshot(self) -> None:
        """Keep the players, if a snapshot is due."""
        if self.done in self.recording.snapshots and self.done not in self.snapshots:
            self.snapshots[self.done] = [
                {name: part.detach().cpu().clone() for name, part in state.items()}
                for state in self.states()
            ]

    def save(self, path: Path) -> None:
        """Write the state, never half a file; raise Diverged if the training has diverged."""
        self.check_finite()
        attributes = self.attributes()
        state = {
            "run": self.identity,
            "observe": self.described_observer,
            "done": self.done,
            "finite": self.finite,
            "recorded": self.recorded,
            "records": self.records,
            "snapshots": self.snapshots,
            "players": self.states(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "random": self.random.states,
            "streams": self.stream_state(),
        }
        write_state(state | ({"attributes": attributes} if any(attributes) else {}), path)

    def attributes(self) -> list[dict[str, Any]]:
        """Each network's plain attributes that have changed; ValueError for what no file keeps."""
        pairs = zip(PLAYERS, self.optimizers, self.identity["optimizers"], strict=True)
        for player, optimizer, start in pairs:
            other = difference(start.get("hooks", {}), described_hooks(optimizer))
            if other is not None:
                raise ValueError(
                    f"a step hook of {player}'s optimiser changes, and no checkpoint keeps that; "
                    "let it count in a parameter group, as helpers.training.falling does: "
                    f"at the start and now, {other}"
                )
        starts = zip(self.called(), self.identity["players"], strict=True)
        return [changed_attributes(net, start) for net, start in starts]

    def load(self, path: Path, iterations: int) -> None:
        """Go on from a state that `save` wrote; raise ValueError if it is of another run."""
        state, recording = read_state(path, self.identity, iterations), self.recording
        rows = recorded_rows(path, state, recording.every, recording.snapshots)
        goes_on = state["done"] < iterations
        check_observed(path, state["observe"], self.described_observer, goes_on)
        for here, there in zip(self.states(), state["players"], strict=True):
            put_state(here, there)
        for optimizer, there in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(there)
        for net, there in zip(self.called(), state.get("attributes", ()), strict=False):
            put_attributes(net, there)
        self.random.load(state["random"])
        self.load_streams(state["streams"])
        self.done = state["done"]
        self.finite.copy_(state["finite"])
        self.recorded = [state["recorded"][row] for row in rows]
        self.records = {
            name: [values[row] for row in rows] for name, values in state["records"].items() if rows
        }
        self.snapshots = {
            iteration: players
            for iteration, players in state["snapshots"].items()
            if iteration in recording.snapshots
        }
        self.take_snapshot()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What tells this run from others; to be read before the first iteration."""
        # Options that came later are left out where they are not used: older checkpoints go on.
        later = {field.name: field.default for field in fields(self.settings)}
        settings = {
            name: described(value)
            for name, value in vars(self.settings).items()
            if name != "optimizers" and (later[name] is MISSING or value != later[name])
        }
        return {
            **settings,
            "players": [architecture(net) for net in self.networks()],
            "optimizers": [described_optimizer(optimizer) for optimizer in self.optimizers],
            **{name: None if d is None else digest(d) for name, d in self.data.items()},
            "start": [digest(*state.values()) for state in self.states()],
        }

    @cached_property
    def described_observer(self) -> Any:
        """What is recorded, as far as it can be described."""
        return described(self.recording.observe, closures=False)


@torch.no_grad()
def put_state(here: dict[str, Tensor], there: dict[str, Tensor]) -> None:
    """Write tensors of one state to those of the same names in another."""
    for name, part in here.items():
        part.copy_(there[name])


def _kept(value: Any) -> Tensor:
    """A copy on the CPU. Python's numbers keep their precision, whatever torch's default dtype."""
    copy = torch.as_tensor(value, device="cpu")
    if copy.is_floating_point() and not hasattr(value, "dtype"):
        copy = torch.as_tensor(value, device="cpu", dtype=torch.float64)
    return copy.detach().clone()
