"""Spectral densities of small GANs, where exact ones are known (Durall et al. 2021, Section 4.2).

Each member is a GAN of 301 weights per player on a mixture of two Gaussians, trained by Adam on all
its points at once. At the end of training, the density that `slq_density` estimates for each
player's Hessian is compared with the exact one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Unpack

from helpers.datasets.synthetic import mixture_of_gaussians
from helpers.experiments import protocol
from helpers.experiments.ensembles import member_seed
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.experiments.setting import TrainedMembers, TrainingSetting, optimizers_for
from helpers.games.game import PLAYERS, Game
from helpers.games.networks import network_game
from helpers.losses.table import find_loss
from helpers.models import Players, mlp
from helpers.operators import hessian
from helpers.spectra import SpectralDensity, blurred, slq_density, top_eigenpairs
from helpers.training.data import Members
from helpers.training.train import train_ensemble

VERSION = 1
_LAYERS = [1, 100, 1]  # of either player
_TINY = 1e-6  # part of the largest eigenvalue below which one counts as zero


@dataclass(frozen=True, kw_only=True)
class Setting(TrainingSetting):
    """How a GAN is trained.

    >>> Setting().rates
    (0.003, 0.003)
    """

    METHODS = ("adam",)
    NUDGED = ()

    rates: tuple[float, float] = (3e-3, 3e-3)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is run, and how densities are estimated: by default as the paper's tool does."""

    iterations: int = 1000
    points: int = 500  # real points, and as many latents
    probes: int = 10
    steps: int = 80  # products per probe


READINGS = {
    "small GANs": Reading(
        Setting(),
        "Section 4.2, which gives no error and no width of the Gaussians; ours: GANs whose exact "
        "density can be had, and a width of 1% of the spectrum's extent",
        stated=False,
    )
}
ARMS: dict[str, dict[str, Any]] = {"nsgan": {}}
SIZES = {
    "quick": Size(members=1, iterations=400, lacks="600 of 1,000 iterations, 19 of 20 GANs"),
    "full": Size(members=20, lacks="the paper's networks, of which no exact density can be had"),
}
WANTED = [Wanted(tuple(READINGS), tuple(ARMS), "full", range(100, 101), "A01, two minutes")]


@dataclass(frozen=True, eq=False)
class TrainedGans(TrainedMembers):
    """S small GANs after training, and the games that they play."""

    def game(self, member: int) -> Game:
        """The game of one member on its own points and latents."""
        place = self.latents.device
        G, D = (net.to(place) for net in _nets(0))
        z, x = self.latents[member], self.reals[member]
        return network_game(G, D, z, x, loss=self.setting.loss)

    def end(self, member: int) -> Tensor:
        """(602,) weights of one member after training."""
        return self.point(member, max(self.run.snapshots))


def train(setting: Setting, size: Size, **how: Unpack[How]) -> TrainedGans:
    """Train the members of a block, both players at once.

    Args:
        setting, size: what to train, and how long.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        ValueError: as in `train_ensemble`.

    >>> gans = train(Setting(), Size(members=1, iterations=2, lacks="most"), seed=0)
    >>> gans.end(0).shape
    torch.Size([602])
    """
    given = Context(**how)
    data = mixture_of_gaussians(size.members, seed=given.seed, n=size.points)
    nets = [_nets(member_seed(given.seed, member)) for member in range(size.members)]
    run = train_ensemble(
        Members(nets, data.latents, data.reals, seed=given.seed),
        loss=find_loss(setting.loss),
        optimizer=optimizers_for(setting),
        iterations=size.iterations,
        turns=None,
        recording=given.recording(
            snapshots={size.iterations},
        ),
        device=given.device,
    )
    return TrainedGans(setting, data.latents.to(given.device), data.reals.to(given.device), run)


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", whose columns end in the player, "_g" or "_d".

    l1: area between the estimated density and the exact one under the same Gaussians, 2 at most.
    ends: the larger relative error of the top and of the bottom eigenvalue.
    weights: the largest distance from 1 of the sum of a probe's weights.
    low, high: the exact ends of the spectrum.
    zero: share of the eigenvalues below a millionth of the largest.

    >>> tiny = Size(members=1, iterations=2, points=20, probes=1, steps=5, lacks="most")
    >>> found = measure(Setting(), tiny, seed=0)
    >>> bool(0 < found["members"]["l1_d"][0] < 2)
    True
    """
    trained = train(setting, size, **how)

    def looked_at(member: int) -> dict[str, float]:
        game, point = trained.game(member), trained.end(member)
        found = {
            player: compared(game, player, point, size, seed=how["seed"]) for player in PLAYERS
        }
        return {f"{name}_{p.lower()}": v for p in PLAYERS for name, v in found[p].items()}

    return {"members": trained.rows(looked_at)}


def compared(game: Game, player: str, point: Tensor, size: Size, *, seed: int) -> dict[str, float]:
    """One player's numbers at a point, as `measure` names them."""
    values = np.linalg.eigvalsh(exact_hessian(game, player, point)).astype(np.float64)
    H = hessian(game, player, point, route="retained")  # one graph, for all products
    found = slq_density(H, size.probes, size.steps, seed=seed)
    top, bottom = (top_eigenpairs(H, 1, which).values[0] for which in ("LA", "SA"))
    largest = np.abs(values).max()
    return {
        "l1": distance(found, values),
        "ends": max(abs(top / values[-1] - 1), abs(bottom / values[0] - 1)),
        "weights": float(np.abs(found.weights.sum(axis=1) - 1).max()),
        "low": values[0],
        "high": values[-1],
        "zero": float((np.abs(values) < _TINY * largest).mean()),
    }


def exact_hessian(game: Game, player: str, point: Tensor) -> NDArray[np.float64]:
    """(n, n) a player's Hessian as a matrix in double precision.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> import torch
    >>> exact_hessian(rotating_saddle(), "D", torch.tensor([1.0, 1.0, 0.0])).shape
    (1, 1)
    """
    matrix = hessian(game, player, point.double(), route="retained").dense().cpu().numpy()
    return (matrix + matrix.T) / 2  # symmetric despite rounding


def distance(found: SpectralDensity, values: NDArray[np.float64]) -> float:
    """Area between an estimate and the density of some eigenvalues under the same Gaussians.

    >>> from helpers.operators import Matrix
    >>> found = slq_density(Matrix(np.eye(3)), 1, 1, seed=0)
    >>> round(distance(found, np.ones(3)), 6), round(distance(found, np.full(3, 9.0)), 2)
    (0.0, 1.0)
    """
    exact = blurred(values, found.grid, found.sigma)
    return float(np.trapezoid(np.abs(found.density - exact), found.grid))


def _nets(seed: int) -> Players:
    return Players(mlp(_LAYERS, seed=2 * seed), mlp(_LAYERS, seed=2 * seed + 1))


def _worse(rows: Rows, word: str) -> list[float]:
    """The larger of the two players' errors, one number per GAN."""
    return rows["nsgan"][[f"{word}_g", f"{word}_d"]].max(axis=1).dropna().tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "A01": {
        "density_l1_distance": lambda rows: _worse(rows, "l1"),
        "extreme_eigenvalue_error": lambda rows: _worse(rows, "ends"),
        "weight_sum_error": lambda rows: _worse(rows, "weights"),
    }
}
