"""The training of one GAN; its entry point is `helpers.training.train`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from helpers.games.judging import Judging
from helpers.games.objective import check_logits
from helpers.losses.table import GanLoss
from helpers.models import Players
from helpers.models.copying import copied
from helpers.models.stacked import check_registered
from helpers.training.core import Settings, Training, put_state
from helpers.training.cuda_graph import Replay
from helpers.training.gradients import steps_ahead
from helpers.training.nudged import Nudged
from helpers.training.optimizers import Wrapper
from helpers.training.recording import Recording
from helpers.training.turns import Consensus, Unrolled

# Reals, latents, the penalty's shares, and the labels of the reals.
Batch = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
Watch = Callable[[Players], dict[str, Any]]
_WARM_UP = 3  # iterations before one is captured, in which optimisers and libraries set up


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """The result of a training of one GAN."""

    players: Players  # as they are at the end
    iterations: NDArray[np.int64]  # (k,) those after which records were taken, from 1
    records: dict[str, NDArray[Any]]  # (k, ...) by name
    snapshots: dict[int, list[dict[str, Tensor]]]  # by iteration, the states of G and of D

    def players_at(self, iteration: int) -> Players:
        """Both networks as they were at a snapshot.

        Raises:
            ValueError: for an iteration without a snapshot.
        """
        if iteration not in self.snapshots:
            there = sorted(self.snapshots)
            raise ValueError(f"snapshots are those of the iterations {there}, got {iteration}")
        nets = Players(*map(copied, self.players))
        for net, state in zip(nets, self.snapshots[iteration], strict=True):
            put_state(whole_state(net), state)
        return nets


@dataclass(frozen=True)
class SingleSettings(Settings):
    """How to train; the names are those of `train`."""

    batch: int
    latent: tuple[int, ...]  # shape of one latent
    loss: GanLoss
    logit: Callable[[Any], Tensor] | None
    first: str = "D"
    noise: float = 0.0


class SingleTraining(Training):
    """The state of a training of one GAN."""

    settings: SingleSettings
    players: Players

    def __init__(
        self,
        players: Players,
        reals: Tensor,
        labels: Tensor | None,
        settings: SingleSettings,
        recording: Recording,
        device: torch.device,
    ) -> None:
        players = Players(*(copied(net).to(device).train() for net in players))
        self.reals = reals.to(device)
        self.labels = None if labels is None else labels.to(device)
        if device.type == "cuda":  # the layout in which its convolutions are fastest
            for net in players:
                net.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in torch's stub
            if reals.ndim == 4:
                self.reals = self.reals.contiguous(memory_format=torch.channels_last)
        weights = [[w for w in net.parameters() if w.requires_grad] for net in players]
        if isinstance(settings.follow, Unrolled):
            check_registered(players.discriminator, "steps ahead cannot put D's later ones")
        data = {"reals": self.reals, "labels": self.labels}
        super().__init__(settings, recording, players, weights, data, (players,), (), device)
        self.judging = Judging(settings.joint_batch, settings.logit)
        self.logits_alone = partial(self.judging.alone, self.discriminate)
        self.latent_dtype = next(w.dtype for w in players.generator.parameters())
        self.inner = [getattr(each, "optimizer", each) for each in self.optimizers]
        self.repeats = device.type == "cuda" and self.is_repeated()
        self.replay: Replay | None = None
        self.eager_iterations = 0  # not replayed
        self.let_capture()
        self.stream = torch.Generator().manual_seed(settings.seed)
        self.epoch_start = self.stream.get_state()
        self.order: Tensor | None = None
        self.used = 0

    def is_repeated(self) -> bool:
        """Whether every iteration is the same program, apart from those that look for directions.

        Of the wrappers, only the one whose state is a single tensor can be part of it; and what
        hooks of an optimiser do in Python would not be replayed.
        """
        wrapped = [each for each in self.optimizers if isinstance(each, Wrapper)]
        one_each = self.settings.steps in (None, (1, 1))
        if any(hooked(each) for each in (*self.inner, *wrapped)) or self.settings.follow:
            return False
        return all("capturable" in each.defaults for each in self.inner) and all(
            isinstance(each, Nudged) and one_each for each in wrapped
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

    def step(self) -> dict[str, Tensor]:
        """One iteration; on a CUDA device, a replay of the captured one if that is the same."""
        steps = self.settings.steps
        shared = self.settings.first == "D"  # a batch, between D's last step and G's first
        batches = [self.draw() for _ in range(1 if steps is None else sum(steps) - shared)]
        nudged = [each for each in self.optimizers if isinstance(each, Nudged)]
        is_due = any(each.is_due for each in nudged)
        if not self.repeats or self.eager_iterations < _WARM_UP or is_due:
            self.eager_iterations += 1
            return self.steps_on(batches)
        if self.replay is None:
            self.replay = Replay(self.steps_on, batches)  # capturing counts the step
        else:
            for each in nudged:
                each.taken += 1
        return self.replay(batches)

    def steps_on(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """The steps of an iteration on these batches."""
        steps = self.settings.steps
        return self.in_turn(batches, *steps) if steps else self.together(batches[0])

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | float]:
        reals, latents, shares, labels = batch
        of = self.settings.loss
        fakes = self.generate(latents, labels)
        real, fake = self.logits_of_both(reals, fakes, labels)
        loss_d = of.discriminator(real, fake)
        judge = self.discriminate
        if isinstance(self.settings.follow, Unrolled):
            judge = self.unrolled(batch, fakes, self.settings.follow)
            real, fake = self.judging.both(judge, reals, fakes, labels)
        if self.settings.joint_batch and not of.pairs:
            fake = self.judging.alone(judge, fakes, labels)
        loss_g = of.generator(real, fake) if of.pairs else of.of_fakes(fake)
        # Consensus differentiates D's gradient in G's weights, on which interpolates depend.
        if not isinstance(self.settings.follow, Consensus):
            fakes = fakes.detach()
        return loss_d, loss_g, self.penalty(reals, fakes, shares, labels)

    def unrolled(self, batch: Batch, fakes: Tensor, ahead: Unrolled) -> Callable[..., Any]:
        """D as it would be after some steps, which depend on G by these samples."""
        (reals, _, shares, labels), net = batch, self.players.discriminator
        weights = {name: weight for name, weight in net.named_parameters() if weight.requires_grad}

        def judge_at(own: dict[str, Tensor]) -> Callable[..., Any]:
            def judge(samples: Tensor, *labels: Tensor) -> Any:
                # What D writes to its buffers is no part of the training.
                held = {name: buffer.clone() for name, buffer in net.named_buffers()}
                return functional_call(net, held | own, (samples.clone(), *labels))

            return judge

        def loss_at(own: dict[str, Tensor]) -> Tensor:
            judge = judge_at(own)
            logits = self.judging.both(judge, reals, fakes, labels)
            loss = self.settings.loss.discriminator(*logits)
            return loss + self.penalty(reals, fakes, shares, labels, judge)

        return judge_at(steps_ahead(ahead, weights, loss_at))

    def in_turn(self, batches: Sequence[Batch], of_d: int, of_g: int) -> dict[str, Tensor]:
        """Steps of D, then steps of G, whose first takes the samples of D's last.

        If G goes first, each step has a batch of its own.
        """
        if self.settings.first == "G":
            for batch in batches[:of_g]:
                loss_g = self.turn_of_g(batch, self.generate(batch[1], batch[3]))
            for batch in batches[of_g:]:
                loss_d, _ = self.turn_of_d(batch)
            return {"loss_d": loss_d, "loss_g": loss_g}
        for batch in batches[:of_d]:
            loss_d, fakes = self.turn_of_d(batch)
        for step in range(of_g):
            batch = batches[of_d - 1 + step]
            if step:
                fakes = self.generate(batch[1], batch[3])
            loss_g = self.turn_of_g(batch, fakes)
        return {"loss_d": loss_d, "loss_g": loss_g}

    def turn_of_d(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A step of D: its loss, and the samples, with the graph that leads to G."""
        reals, latents, shares, labels = batch
        fakes = self.generate(latents, labels)
        fixed = fakes.detach()
        loss = self.settings.loss.discriminator(*self.logits_of_both(reals, fixed, labels))
        self.take_turn(1, loss + self.penalty(reals, fixed, shares, labels))
        return loss.detach(), fakes

    def turn_of_g(self, batch: Batch, fakes: Tensor) -> Tensor:
        """A step of G on these samples: its loss."""
        of, (reals, _, _, labels) = self.settings.loss, batch
        if of.pairs:
            loss = of.generator(*self.logits_of_both(reals, fakes, labels))
        else:
            loss = of.of_fakes(self.logits_alone(fakes, labels))
        self.take_turn(0, loss)
        return loss.detach()

    def logits_of_both(
        self, reals: Tensor, fakes: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """D's logits; in the first iteration their graph shows whether they are logits."""
        logits = self.judging.both(self.discriminate, reals, fakes, labels)
        if not self.done:
            check_logits(self.settings.loss, logits[1])
        return logits

    def generate(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """G's samples; G may write to its latents, which an extrapolation needs twice."""
        given = (latents.clone(),) if labels is None else (latents.clone(), labels)
        return self.players.generator(*given)

    def discriminate(self, samples: Tensor, *labels: Tensor) -> Any:
        """What D returns; D may write to its input."""
        return self.players.discriminator(samples.clone(), *labels)

    def penalty(
        self,
        reals: Tensor,
        fakes: Tensor,
        shares: Tensor | None,
        labels: Tensor | None,
        judge: Callable[..., Any] | None = None,
    ) -> Tensor | float:
        """The penalty on the slope of D, or of what else judges, if there is one."""
        if self.settings.penalty is None:
            return 0.0
        assert shares is not None  # they are drawn where there is a penalty
        of = partial(self.judging.alone, judge or self.discriminate, labels=labels)
        return self.settings.penalty(of, reals, fakes, shares)

    def draw(self) -> Batch:
        """Reals, latents and the penalty's shares of one step; each epoch has its own order.

        What is left over at an epoch's end is dropped.
        """
        size = self.settings.batch
        order = self.order
        if order is None or self.used + size > len(order):
            self.epoch_start = self.stream.get_state()
            order = self.shuffle()
            self.used = 0
        rows = order[self.used : self.used + size]
        x = self.reals[rows]
        self.used += size
        pinned = self.device.type == "cuda"  # otherwise the copy would wait for all work under way
        drawn: dict[str, Any] = {"generator": self.stream, "dtype": torch.float32, "device": "cpu"}
        z = torch.randn(size, *self.settings.latent, **drawn, pin_memory=pinned)
        z = z.to(self.latent_dtype)
        shares = None
        if self.settings.penalty is not None:
            shares = torch.rand(size, **drawn).to(self.device)
        if self.settings.noise:
            x = x + self.settings.noise * torch.rand(x.shape, **drawn).to(x)
        labels = None if self.labels is None else self.labels[rows]
        return x, z.to(self.device, non_blocking=pinned), shares, labels

    def shuffle(self) -> Tensor:
        """The order of a new epoch."""
        order = torch.randperm(len(self.reals), generator=self.stream, device="cpu")
        self.order = order.to(self.device)
        return self.order

    def states(self) -> list[dict[str, Tensor]]:
        return [whole_state(net) for net in self.players]

    def networks(self) -> Players:
        return self.players

    def stream_state(self) -> dict[str, Any]:
        is_under_way = self.order is not None
        return {
            "now": self.stream.get_state(),
            "epoch": [self.epoch_start, self.used, is_under_way],
        }

    def load_streams(self, state: dict[str, Any]) -> None:
        self.let_capture()
        self.epoch_start, self.used, is_under_way = state["epoch"]
        if is_under_way:
            self.stream.set_state(self.epoch_start)
            self.shuffle()
        self.stream.set_state(state["now"])

    def result(self) -> TrainingResult:
        players = Players(*map(copied, self.players))
        return TrainingResult(players, *self.stacked_records(), dict(self.snapshots))


def hooked(optimizer: Any) -> bool:
    """Whether something else runs at each step of an optimiser."""
    kinds = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    return any(getattr(optimizer, kind, None) for kind in kinds)


def whole_state(net: nn.Module) -> dict[str, Tensor]:
    """All weights and buffers of a network, with the buffers that its `state_dict` leaves out."""
    return {name: part.detach() for name, part in (*net.named_parameters(), *net.named_buffers())}
