"""Training GANs: many independent runs side by side.

The players' losses are those of `helpers.losses`, each member of an ensemble has its own networks
and data, and one batched step moves all of them. A member's numbers are those it would have alone,
to rounding.
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
from helpers.stacked import Stacked

__all__ = ["Diverged", "EnsembleRun", "train_ensemble"]


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
    settings = Settings(
        groups, makers, steps, batch, penalty, constrain, seed, observe, every, frozenset(keep)
    )
    run = Run(players, latents.to(device), reals.to(device), settings, device)
    store = None if checkpoint is None else Path(checkpoint)
    if store is not None and store.exists():
        run.load(store, iterations)
    bar = tqdm(range(run.done, iterations), initial=run.done, total=iterations, disable=None)
    for iteration in bar:
        run.iterate()
        if store is not None and (iteration + 1) % save_every == 0:
            run.save(store)
    return run.result()
