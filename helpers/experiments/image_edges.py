"""The edge of stability of an image GAN: a small DCGAN on fixed images, by plain descent.

`helpers.experiments.edges` asks it of nets with few hundred weights; here is one with convolutions
and batch norm. All images and as many latents are in each step, so that the losses descended are
functions of the weights alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pandas import DataFrame
from torch import Tensor
from typing_extensions import Unpack

from helpers.analysis import edge_ratio
from helpers.analysis.endpoints import pairs_or_none
from helpers.datasets import load
from helpers.experiments import protocol
from helpers.experiments.ensembles import member_seed
from helpers.experiments.parts import Context, in_folder, kept
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Wanted
from helpers.games.game import PLAYERS, Game
from helpers.games.networks import joint_point, network_game
from helpers.inputs import real_number
from helpers.losses.table import find_loss
from helpers.models import dcgan
from helpers.operators import Operator, hessian, jacobian
from helpers.spectra import EigenPairs, game_eigenvalues, top_eigenpairs

VERSION = 1
_TOLERANCE = 0.01  # of an eigenvalue's residual, relative to it
_LATE = 4  # the last quarter of a training
_NEAR = 0.95  # of the edge: from here on it is reached
_NUMBERS = ("d", "g", "game", "turning", "value_d", "loss_g", "loss_d")
Find = Callable[..., EigenPairs]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained, by simultaneous descent of both players at one rate.

    Raises:
        ValueError: for an unknown loss, and a rate that is not above 0.

    >>> Setting(rate=0.01).loss
    'js'
    """

    loss: str = "js"  # a name in `helpers.losses.LOSSES`
    rate: float = 0.03

    def __post_init__(self) -> None:
        find_loss(self.loss)
        real_number("rate", self.rate, above=0)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How large the GAN is, and how long it is trained."""

    data: str = "mnist"  # a name in `helpers.datasets.NAMES`
    images: int = 1000  # drawn once and for all
    width: int = 8
    latent: int = 100
    iterations: int = 1500
    every: int = 50  # iterations between records


READINGS = {
    "ours": Reading(
        Setting(),
        "ours: the DCGAN of Berard et al. 2020 without a norm in D, at an eighth of its width; no "
        "paper on GANs asks about the edge",
        stated=False,
    )
}
RATES = (0.003, 0.01, 0.03)
ARMS: dict[str, dict[str, Any]] = {f"rate {rate:g}": {"rate": rate} for rate in RATES}
SIZES = {
    "quick": Size(
        data="digits",
        images=40,
        width=2,
        latent=8,
        iterations=20,
        every=5,
        lacks="MNIST, 960 of 1,000 images, 1,480 of 1,500 iterations, three quarters of the width",
    ),
    "full": Size(lacks="nothing: there is no protocol for an edge of GANs"),
}
WANTED = [Wanted(tuple(READINGS), tuple(ARMS), "full", range(100, 103), "R29")]


def game_of(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> tuple[Game, Tensor]:
    """The game of a block's nets on its images and latents, and their weights at the start.

    Raises:
        ValueError, FileNotFoundError: as in `helpers.datasets.load`.

    >>> game_of(Setting(), SIZES["quick"], seed=0)[0].sizes
    (1724, 800)
    """
    given = Context(**how)
    images = load(size.data, root=data)
    reals = images.subset(min(size.images, len(images)), seed=0).images.to(given.device)
    stream = torch.Generator().manual_seed(given.seed)
    latents = torch.randn(len(reals), size.latent, generator=stream, device="cpu").to(given.device)
    start = member_seed(given.seed, 0)
    nets = dcgan(seed=start, latent=size.latent, width=size.width, normed=False)
    G, D = (net.to(given.device) for net in nets)
    return network_game(G, D, latents, reals, loss=setting.loss), joint_point(G, D)


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", one row as `member_of` says, and "course", as `course`.

    >>> from dataclasses import replace
    >>> tiny = replace(SIZES["quick"], images=10, iterations=2, every=1)
    >>> measure(Setting(), tiny, seed=0)["course"]["iteration"].tolist()
    [0, 1, 2]
    """
    found, diverged = course(setting, size, data=data, **how)
    return {"members": member_of(found, diverged), "course": found}


def course(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> tuple[DataFrame, int]:
    """Train, and look where the edge is; a part of the training is kept as soon as it is done.

    Returns:
        A row per "iteration" that is recorded, the start included: "d", "g" and "game" are edge
        ratios of simultaneous descent, of the largest eigenvalue of each player's own Hessian and
        of the game's eigenvalue of largest modulus, whose angle is "turning", in degrees;
        "value_d" is D's largest eigenvalue itself; "loss_g" and "loss_d" are the losses. "g",
        "game" and "turning" are looked for in the last quarter alone, where members are judged,
        and NaN before. NaN, too, is an eigenvalue that a search did not find. And the iteration in
        which the weights ceased to be finite, or 0.

    Raises:
        ValueError, FileNotFoundError: as in `helpers.datasets.load`.
        Paused: once `until` says so.
    """
    given = Context(**how)
    game, point = game_of(setting, size, data=data, **how)
    about = {"setting": repr(setting), "size": repr(size), "seed": given.seed}
    rows: list[dict[str, float]] = []
    before: dict[str, Tensor] = {}
    for done in range(0, size.iterations + 1, size.every):
        # What is found is used before the next turn of the loop.
        def part(done: int = done, point: Tensor = point, before: Any = before) -> dict[str, Any]:
            late = done > size.iterations * (1 - 1 / _LATE)
            row, vectors = _looked_at(game, point, setting.rate, before, late=late)
            steps = min(size.every, size.iterations - done)
            after, lost = _descended(game, point, setting.rate, steps)
            lost = done + lost if lost else 0
            return {"row": row, "vectors": vectors, "point": after.cpu(), "lost": lost}

        path = in_folder(given.folder, f"from-{done}.pt")
        found = kept(part, path, about | {"from": done}, given.until)
        rows.append({"iteration": done} | found["row"])
        if found["lost"]:
            return DataFrame(rows), found["lost"]
        point = found["point"].to(given.device)
        before = {name: each.to(given.device) for name, each in found["vectors"].items()}
    return DataFrame(rows), 0


def _descended(game: Game, point: Tensor, rate: float, steps: int) -> tuple[Tensor, int]:
    """The point after so many steps, or until it is lost; and the step in which it was, or 0."""
    for step in range(1, steps + 1):
        after = point - rate * game.unchecked_field(point)
        if not after.isfinite().all():
            return point, step
        point = after
    return point, 0


def _looked_at(
    game: Game, point: Tensor, rate: float, before: dict[str, Tensor], *, late: bool
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """The numbers at a point, and the eigenvectors with which the next search begins."""
    row = dict.fromkeys(_NUMBERS, np.nan)
    losses = game.losses(point)
    row |= {"loss_g": float(losses[0]), "loss_d": float(losses[1])}
    vectors: dict[str, Tensor] = {}
    for player in PLAYERS if late else ("D",):
        own = player.lower()
        found = _leading(top_eigenpairs, hessian(game, player, point), before.get(own))
        if found is not None:
            value, vectors[own] = float(found.values[0]), found.vectors
            row[own] = _ratio(rate * value)
            if player == "D":
                row["value_d"] = value
    if late:
        found = _leading(game_eigenvalues, jacobian(game, point), before.get("game"))
        if found is not None:
            value_of_game = complex(found.values[0])
            vectors["game"] = found.vectors
            row["game"] = _ratio(rate * value_of_game)
            row["turning"] = abs(float(np.degrees(np.angle(value_of_game))))
    return row, vectors


def _leading(find: Find, operator: Operator, start: Tensor | None) -> EigenPairs | None:
    """The first eigenpair; None if the search does not find it, or products overflow."""
    return pairs_or_none(partial(find, operator, 1, start=start, tolerance=_TOLERANCE))


def _ratio(value: complex) -> float:
    """The edge ratio of simultaneous descent; NaN for what no step is small enough for."""
    found = float(edge_ratio(value, "simultaneous"))
    return found if np.isfinite(found) else np.nan


def member_of(found: DataFrame, diverged: int) -> DataFrame:
    """The row of the only member.

    diverged: the iteration in which its weights ceased to be finite, or 0.
    The numbers of `course` are medians over the last quarter; NaN if it diverged.
    highest: the largest d in the whole training; reached: the first recorded iteration in which d
    is at least 0.95, NaN if it never is.
    """
    late = found[found["iteration"] > found["iteration"].max() * (1 - 1 / _LATE)]
    row: dict[str, Any] = {"member": 0, "diverged": diverged}
    row |= {name: np.nan if diverged else late[name].median() for name in _NUMBERS}
    near = found.loc[found["d"] >= _NEAR, "iteration"]
    row |= {"highest": found["d"].max(), "reached": near.min() if len(near) else np.nan}
    return DataFrame([row])


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "R29": {
        "fast_highest": lambda rows: rows[f"rate {RATES[-1]:g}"]["highest"].tolist(),
        "slow_highest": lambda rows: rows[f"rate {RATES[0]:g}"]["highest"].tolist(),
    }
}
