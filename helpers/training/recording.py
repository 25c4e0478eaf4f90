"""What is recorded of a training, where its state is kept, and the two ways in which it may end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.checkpoints.files import checkpoint_path
from helpers.inputs import shown, whole_number, whole_numbers


class Diverged(FloatingPointError):
    """A training has diverged, in all its members; `run` holds its result up to then."""

    def __init__(self, message: str, run: Any, iteration: int) -> None:
        super().__init__(message)
        self.run = run
        self.iteration = iteration  # in which the training ended


class Paused(Exception):
    """A training was asked to stop; its checkpoint is written, and it goes on from there."""


@dataclass(frozen=True)
class Recording:
    """What is recorded of a training, and where its state is kept. Neither changes the training.

    Args:
        every: iterations between records of D's loss "loss_d" and G's "loss_g" in the last step.
            Where both step at once, these are the losses at the start of the step, and so are the
            norms of the gradients, "norm_d" and "norm_g"; "ahead_d" and "ahead_g" are the norms at
            the extrapolated point. Of a nudged player "left_out_d" or "left_out_g" is which part of
            the norm was left out of its gradients, or of its steps: the mean since the last record.
        observe: called for each record, by `train` with the players, by `train_ensemble` with both
            stacked players, latents and reals. What it returns, by name, is recorded beside the
            losses. It must not change its arguments.
        snapshots: iterations after which both players are kept; 0 is the start.
        checkpoint: a file that keeps the state, so that an interrupted run goes on from there, to
            the same result. It belongs to one run, identified by settings, networks, optimisers and
            the data's content. The run may go on with more iterations, and with other `snapshots`
            or `every`, unless they need something from the past that was not recorded.
        save_every: iterations after which the checkpoint is written; it is always written at the
            end, and after five minutes.
        until: called after each iteration; once it returns True, the checkpoint is written and
            `Paused` is raised.

    Raises:
        ValueError: for counts out of range, an observer or `until` that cannot be called, a
            checkpoint that is not the path of a file, and `until` without a checkpoint.

    >>> Recording(every=10, snapshots=[0, 100]).every
    10
    """

    every: int = 100
    observe: Callable[..., dict[str, Any]] | None = None
    snapshots: Collection[int] = frozenset()
    checkpoint: Path | str | None = None
    save_every: int = 500
    until: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        if self.until is not None and (not callable(self.until) or self.checkpoint is None):
            raise ValueError(
                "until is a function or None, and needs a checkpoint to go on from, got "
                f"{shown(self.until)} and {shown(self.checkpoint)}"
            )
        if self.observe is not None and not callable(self.observe):
            raise ValueError(f"observe is a function or None, got {shown(self.observe)}")
        checked = {
            "every": whole_number("every", self.every, 1),
            "snapshots": whole_numbers("snapshots", self.snapshots, 0),
            "checkpoint": checkpoint_path(self.checkpoint),
            "save_every": whole_number("save_every", self.save_every, 1),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
