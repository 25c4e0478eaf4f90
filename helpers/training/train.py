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

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from helpers import inputs
from helpers.inputs import float_tensor, one_of, real_number, shown, whole_number
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import GanLoss
from helpers.machine.devices import pick_device
from helpers.models import Players
from helpers.models.stacked import Stacked
from helpers.training.core import MakeOptimizer
from helpers.training.ensemble import EnsembleResult, EnsembleSettings, EnsembleTraining
from helpers.training.recording import Diverged, Recording
from helpers.training.single import SingleSettings, SingleTraining, TrainingResult

__all__ = ["Diverged", "EnsembleResult", "Recording", "TrainingResult", "train", "train_ensemble"]


def train(
    players: Players,
    reals: Tensor | ArrayLike,
    *,
    latent: int | tuple[int, ...],
    loss: GanLoss,
    optimizer: MakeOptimizer | tuple[MakeOptimizer, MakeOptimizer],
    iterations: int,
    batch_by_epochs: int = 100,
    steps: tuple[int, int] | None = (1, 1),
    penalty: GradientPenalty | None = None,
    seed: int = 0,
    joint_batch: bool = False,
    logit: Callable[[Any], Tensor] | None = None,
    labels: Tensor | ArrayLike | None = None,
    first: str = "D",
    noise: float = 0.0,
    recording: Recording | None = None,
    device: torch.device | str = "cpu",
) -> TrainingResult:
    """Train one GAN of any two networks.

    All reals are held on the device. What the networks draw from torch's global generators, for
    dropout or noise, follows from the seed; the generators themselves are left as they were.

    On a CUDA device, iterations that are all the same program are captured once and replayed
    (`helpers.training.cuda_graph`): those of Adam and its like, nudged or not.

    Args:
        players: the networks; they are copied, and trained in training mode. Only weights that
            require grad move; the gradient is zero for those that do not enter a loss.
        reals: (n, ...) samples of the data, floating-point numbers, n at least the batch size. They
            are converted to the dtype of the networks.
        latent: dimension or shape of a latent; each is standard normal, drawn again in every step.
        loss: one of `helpers.losses.LOSSES`.
        optimizer: a function from parameters to a torch optimiser or a wrapper of
            `helpers.training.optimizers`; one is made for each player. A pair holds G's and D's.
        iterations: 0 or more.
        batch_by_epochs: number of reals and of latents per step. Every epoch takes the reals in a
            new order, each of them once; what is left over at its end is dropped.
        steps: steps of D and then of G per iteration. With extragradient in turn, each player's
            moves alternate between an extrapolation and a step, as in the code that Berard et al.
            2020 released. None: both step at once, from gradients at one point.
        penalty: on D's slope; it is added to D's loss, but not to the record of that loss.
        seed: seed for the order of the reals, the latents and the penalty's places.
        joint_batch: whether D sees reals and samples as one batch in a loss that looks at both,
            which matters to networks with batch statistics. By default D sees two batches. In a
            loss that looks at samples alone, as G's separable ones do, D sees samples alone in
            either case. Analyse a GAN as it was trained: `helpers.games.network_game` has the same
            argument.
        logit: a function from D's output to one logit per sample, if D gives something else.
        labels: (n, ...) labels of the reals. The networks are then called as G(z, y) and D(x, y);
            a latent takes the label of the real at the same place in its batch.
        first: "D", or "G" to let G take its steps before D, each of them on a batch of its own, as
            in the image code that Sun et al. 2020 released. By default G's first step takes the
            batch and the samples of D's last.
        noise: width of the uniform noise from 0 that is added to the reals at each draw, as for
            images with whole numbers for grey levels.
        recording: what is recorded, and the file that an interrupted run goes on from; by default
            the losses after every hundredth iteration, and no file.
        device: where to train.

    Raises:
        ValueError: for counts out of range; reals that are fewer than a batch, not finite, or whole
            numbers (bytes of images); a wrapper that extrapolates for one player only; a player
            without weights that require grad; a D that does not give one logit per sample; a
            checkpoint that is damaged, of another run or of an earlier version, or that cannot be
            written, which is tried before the first iteration.
        Diverged: once a loss is not finite, or a search for directions fails; it names the
            iteration. Losses are checked at each record, snapshot and checkpoint, after every
            hundredth iteration, and at the end.

    >>> from functools import partial
    >>> from helpers.losses.table import LOSSES
    >>> from helpers.models import mlp
    >>> run = train(
    ...     Players(mlp([1, 5, 1], seed=0), mlp([1, 5, 1], seed=1)), torch.ones(8, 1), latent=1,
    ...     loss=LOSSES["js"], optimizer=partial(torch.optim.Adam, lr=1e-3), iterations=4,
    ...     batch_by_epochs=4, recording=Recording(every=2))
    >>> run.records["loss_d"].shape
    (2,)
    """
    batch = whole_number("batch_by_epochs", batch_by_epochs, 1)
    players = _players(players)
    reals = float_tensor("reals", reals, _dtype(*players))
    if reals.ndim < 2 or len(reals) < batch:
        raise ValueError(f"reals are (n, ...), n at least {batch}, got {tuple(reals.shape)}")
    if one_of("first", first, ("D", "G")) == "G" and steps is None:
        raise ValueError("first='G' needs steps in turn, got steps=None")
    settings = SingleSettings(
        latent=_latent(latent),
        loss=_loss(loss),
        logit=_function("logit", logit),
        batch=batch,
        first=first,
        noise=real_number("noise", noise, least=0),
        **_common(optimizer, steps, penalty, joint_batch, seed),
    )
    labels = None if labels is None else _labels(labels, len(reals))
    iterations = whole_number("iterations", iterations, 0)
    run = SingleTraining(
        players, reals, labels, settings, _recording(recording), pick_device(device)
    )
    return run.advance(iterations)


def train_ensemble(
    players: Sequence[Players],
    latents: Tensor | ArrayLike,
    reals: Tensor | ArrayLike,
    *,
    loss: GanLoss | Sequence[GanLoss],
    optimizer: MakeOptimizer | tuple[MakeOptimizer, MakeOptimizer],
    iterations: int,
    steps: tuple[int, int] | None = (1, 1),
    batch_with_replacement: int | None = None,
    penalty: GradientPenalty | None = None,
    constrain: Callable[[Stacked], None] | None = None,
    seed: int = 0,
    joint_batch: bool = False,
    recording: Recording | None = None,
    device: torch.device | str = "cpu",
) -> EnsembleResult:
    """Train S GANs of one shape at once.

    Arguments that are not explained here are those of `train`.

    Args:
        players: S pairs of networks without buffers, alike in all but the values of their weights;
            they are copied. Only weights that require grad move.
        latents: (S, m, ...) latents of each member.
        reals: (S, n, ...) reals of each member. Latents and reals are floating-point numbers, and
            are converted to the dtype of the networks.
        loss: from `helpers.losses.LOSSES`, one for all members or one for each; members with the
            same loss are best kept together.
        optimizer: as in `train`; it must treat each number by itself (as SGD and Adam do).
        batch_with_replacement: number of latents and of reals per step, drawn with replacement for
            each member from a stream of its own; all of them by default.
        constrain: called with the discriminators after each of their steps, to put weights back to
            where they are allowed to be.
        seed: seed of those streams; a member's stream follows from it and the member's number.
        joint_batch: as in `train`. Networks of linear layers and activations judge each sample by
            itself, so it makes no difference to them.

    Raises:
        ValueError: for no members; members that differ in more than the values of their weights;
            counts out of range; data that are not (S, ...), not finite, or whole numbers; and for
            optimisers and checkpoints as in `train`.
        Diverged: once every member has diverged; losses are checked as in `train`.

    >>> from functools import partial
    >>> from helpers.losses.table import LOSSES
    >>> from helpers.models import mlp
    >>> pairs = [Players(mlp([1, 5, 1], seed=s), mlp([1, 5, 1], seed=9 + s)) for s in range(3)]
    >>> run = train_ensemble(
    ...     pairs, torch.zeros(3, 8, 1), torch.ones(3, 8, 1), loss=LOSSES["rs"], iterations=5,
    ...     optimizer=partial(torch.optim.SGD, lr=0.1), recording=Recording(every=1))
    >>> run.records["loss_d"].shape
    (5, 3)
    """
    batch = batch_with_replacement
    if batch is not None:
        batch = whole_number("batch_with_replacement", batch, 1)
    try:
        pairs = [_players(pair) for pair in players]
    except TypeError as error:
        raise ValueError(f"players are pairs of networks, got {shown(players)}") from error
    if not pairs:
        raise ValueError("at least one pair of players is needed, got none")
    dtype = _dtype(*pairs[0])
    latents = float_tensor("latents", latents, dtype)
    reals = float_tensor("reals", reals, dtype)
    for name, data in (("latents", latents), ("reals", reals)):
        if data.ndim < 2 or len(data) != len(pairs) or not data.shape[1]:
            raise ValueError(
                f"{name} are ({len(pairs)}, n, ...), n at least 1, got {tuple(data.shape)}"
            )
    losses = [loss] * len(pairs) if isinstance(loss, GanLoss) else _losses(loss)
    if len(losses) != len(pairs):
        raise ValueError(f"{len(pairs)} members need one loss or one for each, got {len(losses)}")
    pairing = any(each.pairs for each in losses)
    if pairing and batch is None and latents.shape[1] != reals.shape[1]:
        raise ValueError(
            "without batch_with_replacement a loss of pairs needs as many latents as reals, got "
            f"{latents.shape[1]} and {reals.shape[1]}"
        )
    settings = EnsembleSettings(
        losses=_groups(losses),
        constrain=_function("constrain", constrain),
        batch=batch,
        **_common(optimizer, steps, penalty, joint_batch, seed),
    )
    iterations = whole_number("iterations", iterations, 0)
    run = EnsembleTraining(
        pairs, latents, reals, settings, _recording(recording), pick_device(device)
    )
    return run.advance(iterations)


def _common(
    optimizer: Any, steps: Any, penalty: Any, joint_batch: Any, seed: Any
) -> dict[str, Any]:
    """The settings that both forms of training share, checked."""
    if not isinstance(joint_batch, bool | np.bool_):
        raise ValueError(f"joint_batch is True or False, got {shown(joint_batch)}")
    return {
        "optimizers": _makers(optimizer),
        "steps": _steps(steps),
        "penalty": _function("penalty", penalty),
        "joint_batch": bool(joint_batch),
        "seed": inputs.seed(seed),
    }


def _recording(recording: Any) -> Recording:
    if recording is None:
        return Recording()
    if not isinstance(recording, Recording):
        raise ValueError(f"recording is a Recording, got {shown(recording)}")
    return recording


def _steps(steps: Any) -> tuple[int, int] | None:
    if steps is None:
        return None
    if not isinstance(steps, tuple | list | np.ndarray) or len(steps) != 2:
        raise ValueError(f"steps are those of D and of G, or None, got {shown(steps)}")
    return whole_number("D's steps", steps[0], 1), whole_number("G's steps", steps[1], 1)


def _players(players: Any) -> Players:
    if (
        not isinstance(players, tuple | list)
        or len(players) != 2
        or not all(isinstance(net, nn.Module) for net in players)
    ):
        raise ValueError(f"players are two networks, G and D, got {shown(players)}")
    return Players(*players)


def _dtype(generator: nn.Module, discriminator: nn.Module) -> torch.dtype:
    """The dtype in which both networks compute, judged by their first weights."""
    of_g, of_d = (
        next((w.dtype for w in net.parameters() if w.is_floating_point()), None)
        for net in (generator, discriminator)
    )
    if of_g is None or of_g != of_d:
        raise ValueError(f"G and D have real weights of one dtype, got {of_g} and {of_d}")
    return of_g


def _labels(labels: Any, count: int) -> Tensor:
    if not isinstance(labels, Tensor):
        try:
            labels = torch.as_tensor(np.array(labels), device="cpu")
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"labels are numbers (n, ...), got {shown(labels)}") from error
    if not labels.ndim or len(labels) != count or labels.is_complex():
        got = f"{tuple(labels.shape)} of {labels.dtype}"
        raise ValueError(f"labels are ({count}, ...), one for each real, got {got}")
    if not labels.isfinite().all():
        raise ValueError("labels must be finite")
    return labels.detach()


def _latent(latent: Any) -> tuple[int, ...]:
    sizes = tuple(latent) if isinstance(latent, tuple | list) else (latent,)
    if not sizes:
        raise ValueError(f"a latent has one dimension or more, got {latent!r}")
    return tuple(whole_number("a latent has sizes, each of which", size, 1) for size in sizes)


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
