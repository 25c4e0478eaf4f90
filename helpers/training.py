"""Training GANs: one, or many independent runs side by side.

The players' losses are those of `helpers.losses`. `train` takes any networks, in training mode, and
batches of one set of data. Each member of `train_ensemble` has its own networks and data, and one
batched step moves all of them; a member's numbers are those it would have alone, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.ensemble import Diverged, EnsembleRun, MakeOptimizer, Observe, Run, Settings
from helpers.losses import GanLoss
from helpers.models import Players
from helpers.penalties import GradientPenalty
from helpers.single import Settings as SingleSettings
from helpers.single import Single, TrainingRun, Watch
from helpers.stacked import Stacked

__all__ = ["Diverged", "EnsembleRun", "TrainingRun", "train", "train_ensemble"]


def train(
    players: Players,
    reals: Tensor,
    *,
    latent: int | tuple[int, ...],
    loss: GanLoss,
    optimizer: MakeOptimizer | tuple[MakeOptimizer, MakeOptimizer],
    iterations: int,
    batch: int = 100,
    steps: tuple[int, int] | None = (1, 1),
    penalty: GradientPenalty | None = None,
    average: float | None = None,
    schedule: Callable[[int], float] | None = None,
    seed: int = 0,
    observe: Watch | None = None,
    every: int = 100,
    keep: Collection[int] = (),
    checkpoint: Path | str | None = None,
    save_every: int = 1000,
    device: torch.device | str = "cpu",
) -> TrainingRun:
    """Train one GAN of any two networks.

    All reals are held on the device. In its own steps D judges reals and samples as one batch, so
    that batch norm in it would see both.

    On a CUDA device iterations that are one program are captured once and replayed
    (`helpers.replay`): those of Adam and its like, nudged or not, under constant rates.

    Args:
        players: the networks; they are copied, and trained in training mode.
        reals: (n, ...) samples of the data, n at least a batch.
        latent: dimension or shape of a latent; each is standard normal, drawn anew in every step.
        loss: of `helpers.losses.LOSSES`.
        optimizer: from parameters to a torch optimiser or a wrapper of `helpers.optimizers`; one is
            made for each player. A pair holds G's and D's.
        iterations: 0 or more.
        batch: reals and latents in a step; every epoch takes the reals in a new order.
        steps: of D and then of G in an iteration. With extragradient in turn each player's moves
            are an extrapolation and a step by turns, as Berard et al. 2020 released it. None: both
            step at once, from gradients at one point.
        penalty: on D's slope, added to D's loss; "loss_d" in the records is without it.
        average: decay of a running mean of G's weights, `TrainingRun.averaged`.
        schedule: from the number of iterations done to a factor on both learning rates.
        seed: of the order of the reals, the latents and the penalty's places.
        observe: called with the players; what it gives is recorded beside D's loss "loss_d" and G's
            "loss_g" of the last step. It may not change them.
        every: iterations between records.
        keep: iterations after which both networks are kept; 0 is the start.
        checkpoint: a file that keeps the state every `save_every` iterations, so that an
            interrupted run goes on from there, to the same result.
        device: where to train.

    Raises:
        ValueError: for counts out of range, reals that are fewer than a batch or not finite, a
            decay outside [0, 1), a wrapper that extrapolates for one player only, and a checkpoint
            of another run.
        Diverged: once a loss is not finite, or a search for directions fails; it names the
            iteration.

    >>> from functools import partial
    >>> from helpers.losses import LOSSES
    >>> from helpers.models import mlp
    >>> run = train(
    ...     Players(mlp([1, 5, 1], seed=0), mlp([1, 5, 1], seed=1)), torch.ones(8, 1), latent=1,
    ...     loss=LOSSES["js"], optimizer=partial(torch.optim.Adam, lr=1e-3), iterations=4, batch=4,
    ...     every=2)
    >>> run.records["loss_d"].shape
    (2,)
    """
    _check_counts(iterations, every, save_every, steps, batch)
    if reals.ndim < 2 or len(reals) < batch:
        raise ValueError(f"reals are (n, ...), n at least {batch}, got {tuple(reals.shape)}")
    if not reals.isfinite().all():
        raise ValueError("reals must be finite")
    if average is not None and not 0 <= average < 1:
        raise ValueError(f"the decay of an average is from 0 to below 1, got {average}")
    shape = (latent,) if isinstance(latent, int) else tuple(latent)
    if not shape or min(shape) < 1:
        raise ValueError(f"a latent has one dimension or more, got {latent!r}")
    makers = optimizer if isinstance(optimizer, tuple) else (optimizer, optimizer)
    settings = SingleSettings(
        shape, loss, makers, steps, batch, penalty, average, schedule, seed, observe, every,
        frozenset(keep),
    )  # fmt: skip
    run = Single(players, reals, settings, torch.device(device))
    _advance(run, iterations, checkpoint, save_every)
    run.look()
    return run.result()


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
    _check_counts(iterations, every, save_every, steps, 1 if batch is None else batch)
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
    settings = Settings(
        groups, makers, steps, batch, penalty, constrain, seed, observe, every, frozenset(keep)
    )
    run = Run(players, latents.to(device), reals.to(device), settings, device)
    _advance(run, iterations, checkpoint, save_every)
    return run.result()


def _check_counts(
    iterations: int, every: int, save_every: int, steps: tuple[int, int] | None, batch: int
) -> None:
    for name, count, least in (
        ("iterations", iterations, 0),
        ("every", every, 1),
        ("save_every", save_every, 1),
        ("D's steps", 1 if steps is None else steps[0], 1),
        ("G's steps", 1 if steps is None else steps[1], 1),
        ("batch", batch, 1),
    ):
        if type(count) is not int or count < least:
            raise ValueError(f"{name} must be a whole number from {least} on, got {count!r}")


def _advance(
    run: Run | Single, iterations: int, checkpoint: Path | str | None, save_every: int
) -> None:
    """Iterate under a progress bar, from the checkpoint if there is one."""
    store = None if checkpoint is None else Path(checkpoint)
    if store is not None and store.exists():
        run.load(store, iterations)
    bar = tqdm(range(run.done, iterations), initial=run.done, total=iterations, disable=None)
    for _ in bar:
        run.iterate()
        if store is not None and (run.done % save_every == 0 or run.done == iterations):
            run.save(store)
