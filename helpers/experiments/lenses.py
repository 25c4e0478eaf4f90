"""One game, every lens: nine GANs, each examined in the ways of all three papers.

Three losses times three ways to train, on the ring of eight Gaussians, with nets small enough that
the whole Jacobian of the game is at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from typing_extensions import Unpack

from helpers.analysis.endpoints import bump, end_point
from helpers.analysis.paths import path_profile
from helpers.experiments import protocol
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Wanted
from helpers.experiments.ring_training import Setting, TrainedRing, train_ring
from helpers.losses.penalty import GradientPenalty
from helpers.training.nudging import Nudging

VERSION = 1
UNITS = 16  # width of both hidden layers of either player
_ENDS = 5  # end points of a path, from the last tenth of a training
_LEADING = 20  # eigenvalues of the game that count as leading


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How long a GAN is trained, and how closely its end is looked at."""

    iterations: int = 3000
    samples: int = 256  # points and latents on which losses are taken
    alphas: int = 15  # positions on a path


READINGS = {
    "ring of eight": Reading(
        Setting(),
        "ours: no paper has this table; the penalty's weight is that of the toy code of Gulrajani "
        "et al. 2017, and every method has one step of D for one of G",
        stated=False,
    )
}
LOSSES: dict[str, dict[str, Any]] = {
    "js": {"loss": "js"},
    "rs": {"loss": "rs"},
    "wgan-gp": {"loss": "wgan", "penalty": GradientPenalty(0.1)},
}
METHODS: dict[str, dict[str, Any]] = {
    "adam": {},
    "extra-adam": {"method": "extra-adam"},
    "nugan": {"nudging": Nudging()},
}
ARMS: dict[str, dict[str, Any]] = {
    f"{loss} {method}": LOSSES[loss] | METHODS[method] for loss in LOSSES for method in METHODS
}
SIZES = {
    "quick": Size(iterations=100, lacks="2,900 of 3,000 iterations, 31 of 32 seeds"),
    "full": Size(members=32, lacks="nothing: no paper has it"),
}
WANTED = [
    Wanted(tuple(READINGS), tuple(ARMS), "full", range(100, 101), "where the lenses agree; minutes")
]
QUANTITIES: dict[str, dict[str, Quantity]] = {}  # no paper claims anything about all nine


def train(setting: Setting, size: Size, **how: Unpack[How]) -> TrainedRing:
    """Train the members of a block; weights are kept at the start and at the ends of its paths.

    Arguments and errors are those of `helpers.experiments.ring_training.train_ring`.

    >>> train(Setting(), Size(iterations=2, lacks="most"), seed=0).finite
    [0]
    """
    return train_ring(
        setting,
        size.members,
        size.iterations,
        units=UNITS,
        keep=late(size.iterations),
        every=size.iterations,
        **how,
    )


def late(iterations: int) -> list[int]:
    """Five iterations of the last tenth, the last one included: ends of paths.

    >>> late(3000)
    [2700, 2775, 2850, 2925, 3000]
    """
    steps = np.arange(_ENDS)[::-1]
    return sorted({iterations - int(step) for step in iterations // 10 * steps // (_ENDS - 1)})


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", NaN where a member diverged.

    score, modes: the inception score under the true posterior of the ring, and the modes covered.
    height, level: of the path-angle's bump, on paths from the start to five late points.
    imaginary_share, lowest, sharpness, negative_curvature, relative_norm: at the end, as
        `helpers.analysis.EndPoint.summary` names them.

    >>> tiny = Size(iterations=2, samples=10, alphas=3, lacks="most")
    >>> measure(Setting(), tiny, seed=0)["members"].shape
    (1, 11)
    """
    ring = train(setting, size, **how)
    return {"members": ring.rows(lambda member: looked_at(ring, member, size))}


def looked_at(ring: TrainedRing, member: int, size: Size) -> dict[str, float]:
    """Every lens on one member, as `measure` names its numbers."""
    game = ring.game(member, size.samples)
    start, *ends = (ring.point(member, each) for each in (0, *late(size.iterations)))
    profile = path_profile(game, start, torch.stack(ends), np.linspace(0.4, 1.1, size.alphas))
    path, at_end = bump(profile), end_point(game, start, ends[-1], top=_LEADING).summary()
    found = {name: float(ring.run.records[name][-1, member]) for name in ("score", "modes")}
    found |= {"height": float(path.height), "level": float(path.level)}
    names = ("imaginary_share", "lowest", "sharpness", "negative_curvature", "relative_norm")
    return found | {name: at_end[name] for name in names}
