"""The one shape of an experiment, on which all that runs, stores or judges one relies.

An experiment is a module with `VERSION`, a `Setting`, `READINGS`, `ARMS`, `SIZES`, `WANTED`,
`QUANTITIES` and `measure`. A *reading* is one way in which a paper may have meant what it leaves
open; an *arm* is what the paper itself varies; a *size* is how much is run; a *block* is one seed,
or the seed from which the members of an ensemble are drawn, never split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypedDict

import torch
from pandas import DataFrame

from helpers.inputs import one_of

Until = Callable[[], bool]
# Frames by name. "members" has a row per member, and a column "member"; the others are courses,
# with columns that tell their rows apart: a member, an iteration, a cluster.
Measured = dict[str, DataFrame]
Rows = Mapping[str, DataFrame]  # members of all blocks of a reading at a size, by arm
Quantity = Callable[[Rows], Any]


class Block(TypedDict):
    """Which block of an experiment is trained."""

    seed: int


class How(Block, total=False):
    """How a block is trained; the keywords of every `train` and `measure`.

    The seed is the block's, from which all that is random is drawn. The device is where to train,
    by default the CPU. The folder is the run's own, for its checkpoints; without it none is
    written. `until` is asked now and then; once it is true, the checkpoint is written and
    `helpers.training.Paused` raised. The next call goes on from there, to the same result.
    """

    device: torch.device | str
    folder: Path | None
    until: Until | None


@dataclass(frozen=True)
class Reading:
    """One way to read a paper, and its source."""

    setting: Any  # an instance of the experiment's own class
    source: str  # the place in the paper or its code; "ours: why" for what neither says
    stated: bool = True  # whether the paper states it
    plausible: bool = True  # whether the paper may have meant it; then a claim may hold by it


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is run; experiments add their own numbers."""

    members: int = 1  # per block
    lacks: str  # what the paper's protocol has beyond it; "nothing" where it is the protocol


@dataclass(frozen=True)
class Wanted:
    """Runs that are wanted: all these arms of all these readings, at a size, in these blocks."""

    readings: Sequence[str]
    arms: Sequence[str]
    size: str
    blocks: range
    why: str


class Experiment(Protocol):
    """What a module of `helpers.experiments.ORDER` has."""

    VERSION: int  # counted up when a run's numbers change
    READINGS: Mapping[str, Reading]
    ARMS: Mapping[str, Mapping[str, Any]]  # fields of the setting, by name
    SIZES: Mapping[str, Any]  # "quick", "medium", "full" to a `Size`
    WANTED: Sequence[Wanted]
    QUANTITIES: Mapping[str, Mapping[str, Quantity]]  # by claim and name

    @staticmethod
    def measure(
        setting: Any,
        size: Any,
        *,
        seed: int,
        device: torch.device | str,
        folder: Path | None = None,
        data: Path | str | None = None,
        until: Until | None = None,
    ) -> Measured:
        """What one run gives.

        `folder` is the run's own, for its checkpoint. Once `until`, which is asked now and then, is
        true, the checkpoint is written and `helpers.training.Paused` raised; the next call goes on
        from there, to the same result.
        """


def setting_of(experiment: Experiment, reading: str, arm: str) -> Any:
    """The setting of an arm of a reading.

    Raises:
        ValueError: for an unknown reading or arm.

    >>> from helpers.experiments import mixture
    >>> setting_of(mixture, "as printed", "nsgan descent").method
    'simultaneous'
    """
    one_of("reading", reading, experiment.READINGS)
    one_of("arm", arm, experiment.ARMS)
    return replace(experiment.READINGS[reading].setting, **experiment.ARMS[arm])
