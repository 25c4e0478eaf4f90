"""Five Gaussians on a circle, an experiment that Sun et al. 2020 released but did not print.

Nets of 128 units, Adam, batches of 128. D's loss is the sum, as in the released code, and each
step draws its batch with replacement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pandas import DataFrame
from torch import Tensor
from typing_extensions import Unpack

from helpers.analysis.coverage import coverage, shares_near
from helpers.datasets.synthetic import circle_of_gaussians
from helpers.experiments import protocol
from helpers.experiments.ensembles import difference, member_seed, quartiles, ratio, records_of
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Wanted
from helpers.inputs import one_of, whole_number
from helpers.losses.table import LOSSES
from helpers.models import gaussians_nets
from helpers.models.stacked import Stacked
from helpers.training.data import Members
from helpers.training.train import train_ensemble

VERSION = 1
MODES = 5
_EVERY = 20  # iterations between records
_LEAST = 0.1  # part of its fair share of the points with which a mode is covered
_TIMES = 100  # records kept of the course


@dataclass(frozen=True)
class Setting:
    """What is trained; the defaults are those of the released script for JS.

    Raises:
        ValueError: for an unknown loss.

    >>> Setting("rs").lr
    0.0001
    """

    loss: str = "js"  # a name in `helpers.losses.LOSSES`
    normalised: bool = False  # whether D's last layer is scaled to norm 1 after each step of D
    lr: float = 1e-4  # of Adam, for both players
    betas: tuple[float, float] = (0.0, 0.9)
    batch: int = 128

    def __post_init__(self) -> None:
        one_of("loss", self.loss, LOSSES)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is run."""

    members: int = 16
    iterations: int = 20_000


READINGS = {"as released": Reading(Setting(), "the released script for five Gaussians")}
ARMS: dict[str, dict[str, Any]] = {
    "js": {"loss": "js"},
    "rs": {"loss": "rs"},
    "rs, normalised": {"loss": "rs", "normalised": True},
}
SIZES = {
    "quick": Size(members=2, iterations=100, lacks="19,900 of 20,000 iterations, most seeds"),
    "full": Size(lacks="nothing"),
}
WANTED = [
    Wanted(("as released",), tuple(ARMS), "full", range(100, 103), "R02, 48 seeds"),
]


@dataclass(frozen=True, eq=False)
class Trained:
    """What the S members of a setting did, at t records; NaN once a member has diverged."""

    setting: Setting
    iterations: NDArray[np.int64]  # (t,)
    near: NDArray[np.float32]  # (t, S, 5) share of the generated points near each mode
    diverged: dict[int, int]  # member: the iteration in which its loss ceased to be finite

    @property
    def modes(self) -> NDArray[np.int64]:
        """(t, S) number of modes covered, each by 10 of 500 points or more."""
        return (self.near >= _LEAST / MODES).sum(axis=2)


def train(setting: Setting, size: Size, **how: Unpack[How]) -> Trained:
    """Train the members of a setting side by side.

    Args:
        setting, size: what to train, and how many members and iterations (20 or more).
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        ValueError: for fewer than 20 iterations; and as in `train_ensemble`.

    >>> size = Size(members=1, iterations=20, lacks="most")
    >>> train(Setting("rs"), size, seed=0).near.shape
    (1, 1, 5)
    """
    given = Context(**how)
    iterations, members = whole_number("iterations", size.iterations, _EVERY), size.members
    data = circle_of_gaussians(members, seed=given.seed, modes=MODES)
    nets = [gaussians_nets(seed=member_seed(given.seed, member)) for member in range(members)]
    times, records, diverged, _ = records_of(
        partial(
            train_ensemble,
            Members(
                nets,
                data.latents,
                data.reals,
                batch_with_replacement=setting.batch,
                seed=given.seed,
            ),
            loss=LOSSES[setting.loss],
            optimizer=partial(torch.optim.Adam, lr=setting.lr, betas=setting.betas),
            constrain=_normalise if setting.normalised else None,
            recording=given.recording(
                every=_EVERY,
                observe=partial(_observe, centres=data.centres),
            ),
            device=given.device,
        ),
        iterations,
        _EVERY,
        {"near": (members, MODES)},
    )
    return Trained(setting, times, records["near"], diverged)


def _observe(
    G: Stacked, D: Stacked, latents: Tensor, reals: Tensor, *, centres: Tensor
) -> dict[str, Tensor]:
    return {"near": shares_near(G(latents[:, :500]), centres, 3 * 0.002**0.5)}


def _normalise(discriminators: Stacked) -> None:
    """What the released code does to D's last layer."""
    last = discriminators.parameters["4.weight"]
    last /= last.norm(dim=2, keepdim=True)


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", and "course", quartiles over members along training.

    Members have the mean number of "modes" covered over training. "first" and "stable" are the
    iterations at which all five were covered for the first time and for good, with the run's length
    for never; "at_end" is how many were covered at the end. A course has the quartiles "low",
    "median" and "high" of the modes covered at an "iteration".

    A tenth of the fair share is 10 points of 500. In "modes" and in the course they cover a mode;
    in "first", "stable" and "at_end" it takes 11, which is part of this VERSION.

    >>> found = measure(Setting(), Size(members=2, iterations=20, lacks="most"), seed=0)
    >>> found["members"]["stable"].tolist()
    [20, 20]
    """
    trained = train(setting, size, **how)
    return {"members": members_of(trained), "course": course_of(trained)}


def members_of(trained: Trained) -> DataFrame:
    """A row per member, as `measure` says."""
    # In double precision these shares get no slack for rounding, and 10 of 500 fall short of 0.02:
    # a slack would move recorded numbers. The next VERSION can pass `trained.near`.
    found = coverage(trained.near.astype(np.float64), trained.iterations, least=_LEAST)
    members = range(trained.near.shape[1])
    return DataFrame(
        {
            "member": members,
            "diverged": [trained.diverged.get(member, 0) for member in members],
            "modes": trained.modes.mean(axis=0),
            "first": found.first,
            "stable": found.stable,
            "at_end": found.at_end,
        }
    )


def course_of(trained: Trained) -> DataFrame:
    """A row per time, as `measure` says."""
    few = slice(None, None, -(-len(trained.iterations) // _TIMES))
    return quartiles(trained.modes[few], trained.iterations[few])


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "R02": {
        "all_modes_js_over_rs": lambda rows: ratio(rows, "js", "rs", "first").tolist(),
        "effect_of_normalised_head": lambda rows: difference(rows, "rs, normalised", "rs", "modes"),
    }
}
