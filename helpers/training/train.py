"""Training GANs: one, or many independent runs side by side.

The players' losses are those of `helpers.losses`. `train` takes any networks, in training mode, and
draws batches from one data set. Weights that do not require grad are not part of the game: no
optimiser receives them. Each member of `train_ensemble` has its own networks and data, and one
batched step moves all of them; a member's numbers are those it would have alone, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import torch

from helpers.games.judging import Judging
from helpers.inputs import instance_of, shown, whole_number
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import GanLoss
from helpers.machine.devices import pick_device
from helpers.models import Players
from helpers.models.stacked import Stacked
from helpers.training.core import MakeOptimizer
from helpers.training.data import EpochBatches, Members, checked_players, dtype_of
from helpers.training.ensemble import EnsembleResult, EnsembleSettings, EnsembleTraining
from helpers.training.recording import Diverged, Recording
from helpers.training.single import SingleSettings, SingleTraining, TrainingResult
from helpers.training.turns import Consensus, Turns, Unrolled

__all__ = ["Diverged", "EnsembleResult", "Recording", "TrainingResult", "train", "train_ensemble"]

_IN_TURN = Turns()  # by default: a step of D, then one of G


def train(
    players: Players,
    batches: EpochBatches,
    *,
    loss: GanLoss,
    optimizer: MakeOptimizer | tuple[MakeOptimizer, MakeOptimizer],
    iterations: int,
    turns: Turns | Consensus | Unrolled | None = _IN_TURN,
    penalty: GradientPenalty | None = None,
    judging: Judging | None = None,
    recording: Recording | None = None,
    device: torch.device | str = "cpu",
) -> TrainingResult:
    """Train one GAN of any two networks.

    All reals are held on the device. What the networks draw from torch's global generators, for
    dropout or noise, follows from the seed of the batches; the generators themselves are left as
    they were.

    On a CUDA device, iterations that are all the same program are captured once and replayed
    (`helpers.training.cuda_graph`): those of Adam and its like, nudged or not.

    Args:
        players: the networks; they are copied, and trained in training mode. Only weights that
            require grad move; the gradient is zero for those that do not enter a loss.
        batches: the reals, and what is drawn in each step.
        loss: one of `helpers.losses.LOSSES`.
        optimizer: a function from parameters to a torch optimiser or a wrapper of
            `helpers.training.optimizers`; one is made for each player. A pair holds G's and D's.
        iterations: 0 or more.
        turns: steps of D and of G per iteration, by default one of each. None: both step at once,
            from gradients at one point.
            `Consensus` and `Unrolled` do so along another field: cures of the literature.
        penalty: on D's slope; it is added to D's loss, but not to the record of that loss.
        judging: whether D sees reals and samples as one batch, and which part of its output is the
            logit; by default two batches, and all of it. Analyse a GAN as it was trained:
            `helpers.games.network_game` has the same argument.
        recording: what is recorded, and the file that an interrupted run goes on from; by default
            the losses after every hundredth iteration, and no file.
        device: where to train.

    Raises:
        ValueError: for counts out of range; reals and labels that `EpochBatches.tensors` refuses; a
            wrapper that extrapolates for one player only; a player without weights that require
            grad; weights that G and D share, or that have hooks; a D that does not give one logit
            per sample, or under a logistic loss ends in a sigmoid; a G's loss that looks at reals
            but has not `pairs`; a D that is unrolled and uses weights from a list or another plain
            attribute; a checkpoint that is damaged, of another run or of an earlier version, or
            that cannot be written, which is tried before the first iteration; and with a
            checkpoint, after the first iteration, for step hooks of an optimiser and attributes of
            a network that change and cannot be kept in a file.
        Diverged: once a loss is not finite, or a search for directions fails; it names the
            iteration. Losses are checked at each record, snapshot and checkpoint, after every
            hundredth iteration, and at the end.

    >>> from functools import partial
    >>> from helpers.losses.table import LOSSES
    >>> from helpers.models import mlp
    >>> nets = Players(mlp([1, 5, 1], seed=0), mlp([1, 5, 1], seed=1))
    >>> run = train(
    ...     nets, EpochBatches(torch.ones(8, 1), latent=1, size=4), loss=LOSSES["js"],
    ...     optimizer=partial(torch.optim.Adam, lr=1e-3), iterations=4,
    ...     recording=Recording(every=2))
    >>> run.records["loss_d"].shape
    (2,)
    """
    players = checked_players(players)
    batches = instance_of("batches", batches, EpochBatches)
    reals, labels = batches.tensors(dtype_of(players))
    judging = instance_of("judging", Judging() if judging is None else judging, Judging)
    steps, first, follow = _turns(turns)
    settings = SingleSettings(
        latent=batches.latent_shape,
        loss=_loss(loss),
        logit=judging.logit,
        batch=batches.size,
        first=first,
        noise=batches.noise,
        optimizers=_makers(optimizer),
        follow=follow,
        steps=steps,
        penalty=_function("penalty", penalty),
        joint_batch=judging.joint_batch,
        seed=batches.seed,
    )
    iterations = whole_number("iterations", iterations, 0)
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller has turned off
        run = SingleTraining(
            players, reals, labels, settings, _recording(recording), pick_device(device)
        )
        return run.advance(iterations)


def train_ensemble(
    members: Members,
    *,
    loss: GanLoss | Sequence[GanLoss],
    optimizer: MakeOptimizer | tuple[MakeOptimizer, MakeOptimizer],
    iterations: int,
    turns: Turns | Consensus | Unrolled | None = _IN_TURN,
    penalty: GradientPenalty | None = None,
    constrain: Callable[[Stacked], None] | None = None,
    joint_batch: bool = False,
    recording: Recording | None = None,
    device: torch.device | str = "cpu",
) -> EnsembleResult:
    """Train S GANs of one shape at once.

    Arguments that are not explained here are those of `train`.

    Args:
        members: their networks, which are copied, and their data.
        loss: from `helpers.losses.LOSSES`, one for all members or one for each; members with the
            same loss are best kept together.
        optimizer: as in `train`; it must treat each number by itself (as SGD and Adam do).
        turns: as in `train`, but D is always first.
        constrain: called with the discriminators after each of their steps, to put weights back to
            where they are allowed to be.
        joint_batch: whether D sees reals and samples as one batch. Networks of linear layers and
            activations judge each sample by itself, so it makes no difference to them.

    Raises:
        ValueError: for members that differ in more than the values of their weights; counts out of
            range; and for optimisers, logits and checkpoints as in `train`.
        Diverged: once every member has diverged; losses are checked as in `train`.

    >>> from functools import partial
    >>> from helpers.losses.table import LOSSES
    >>> from helpers.models import mlp
    >>> pairs = [Players(mlp([1, 5, 1], seed=s), mlp([1, 5, 1], seed=9 + s)) for s in range(3)]
    >>> run = train_ensemble(
    ...     Members(pairs, torch.zeros(3, 8, 1), torch.ones(3, 8, 1)), loss=LOSSES["rs"],
    ...     optimizer=partial(torch.optim.SGD, lr=0.1), iterations=5, recording=Recording(every=1))
    >>> run.records["loss_d"].shape
    (5, 3)
    """
    members = instance_of("members", members, Members)
    latents, reals, count = members.latents, members.reals, len(members.players)
    losses = [loss] * count if isinstance(loss, GanLoss) else _losses(loss)
    if len(losses) != count:
        raise ValueError(f"{count} members need one loss or one for each, got {len(losses)}")
    batch, pairing = members.batch_with_replacement, any(each.pairs for each in losses)
    if pairing and batch is None and latents.shape[1] != reals.shape[1]:
        raise ValueError(
            "without batch_with_replacement a loss of pairs needs as many latents as reals, got "
            f"{latents.shape[1]} and {reals.shape[1]}"
        )
    steps, first, follow = _turns(turns)
    if first == "G":
        raise ValueError("in an ensemble D is first, got first='G'")
    settings = EnsembleSettings(
        losses=_groups(losses),
        constrain=_function("constrain", constrain),
        batch=batch,
        optimizers=_makers(optimizer),
        follow=follow,
        steps=steps,
        penalty=_function("penalty", penalty),
        joint_batch=Judging(joint_batch).joint_batch,
        seed=members.seed,
    )
    iterations = whole_number("iterations", iterations, 0)
    with torch.inference_mode(False), torch.enable_grad():
        run = EnsembleTraining(
            members.players, latents, reals, settings, _recording(recording), pick_device(device)
        )
        return run.advance(iterations)


def _recording(recording: Any) -> Recording:
    return Recording() if recording is None else instance_of("recording", recording, Recording)


def _turns(
    turns: Any,
) -> tuple[tuple[int, int] | None, str, Consensus | Unrolled | None]:
    """Steps of D and of G, who is first, and what is followed, as checkpoints tell them apart."""
    if turns is None or isinstance(turns, Consensus | Unrolled):
        return None, "D", turns
    turns = instance_of("turns", turns, Turns)
    return (turns.d, turns.g), turns.first, None


def _loss(loss: Any) -> GanLoss:
    if not isinstance(loss, GanLoss):
        raise ValueError(f"loss is one of helpers.losses, such as LOSSES['js'], got {shown(loss)}")
    return loss


def _losses(losses: Any) -> list[GanLoss]:
    if not isinstance(losses, Sequence) or isinstance(losses, str):
        _loss(losses)
    return [_loss(each) for each in losses]


def _groups(losses: Sequence[GanLoss]) -> list[tuple[GanLoss, int]]:
    """Losses, and how many consecutive members have each: the same object, not an equal one."""
    runs = [list(run) for _, run in groupby(losses, key=id)]
    return [(run[0], len(run)) for run in runs]


def _makers(optimizer: Any) -> tuple[MakeOptimizer, MakeOptimizer]:
    makers = tuple(optimizer) if isinstance(optimizer, tuple | list) else (optimizer, optimizer)
    if len(makers) != 2 or not all(callable(make) for make in makers):
        raise ValueError(
            "optimizer is a function from weights to an optimiser, or a pair of such functions, "
            f"for example partial(torch.optim.SGD, lr=0.1), got {shown(optimizer)}"
        )
    return makers


def _function(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise ValueError(f"{name} is a function or None, got {shown(value)}")
    return value
