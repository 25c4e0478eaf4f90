"""Training on a ring of eight Gaussians, many members of a setting at a time.

Data, nets and batches are those of the usual first test of cures for collapse (Metz et al. 2017).
The true modes are known, so no classifier has to be trusted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from helpers.analysis.coverage import shares_near
from helpers.datasets.synthetic import circle_of_gaussians
from helpers.experiments.ensembles import member_seed
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How
from helpers.experiments.setting import (
    TrainedMembers,
    TrainingSetting,
    directions_for,
    optimizers_for,
)
from helpers.games.game import PLAYERS, Game
from helpers.games.networks import network_game
from helpers.inputs import whole_number, whole_numbers
from helpers.losses.table import find_loss
from helpers.models import Players, mlp
from helpers.models.stacked import Stacked
from helpers.scores.metrics import MODE_SHARE
from helpers.training.data import Members
from helpers.training.nudging import MemberDirections, Nudging
from helpers.training.train import Diverged, train_ensemble
from helpers.training.turns import Turns

MODES = 8
SIGMA = 0.002**0.5  # standard deviation of each mode, around a point of the unit circle
RADIUS = 3 * SIGMA  # a sample this near to a mode's centre is good
TOP = 5  # leading eigenvalues of each player that are recorded
_BATCH = 64  # points and latents per step
_POINTS = 4096  # points and latents in all
_HESSIAN_SAMPLES = 128  # fixed latents and reals on which eigenvalues are taken


@dataclass(frozen=True, kw_only=True)
class Setting(TrainingSetting):
    """How to train. ExtraAdam moves both players at once, Adam first D and then G.

    >>> Setting("rs", nudging=Nudging(k=5)).method
    'adam'
    """

    rates: tuple[float, float] = (1e-3, 1e-3)
    critics: int = 1  # steps of D per step of G, under Adam


@dataclass(frozen=True, eq=False)
class TrainedRing(TrainedMembers):
    """S members of one setting, and the games that their networks play."""

    units: int

    def game(self, member: int, n: int = 1000) -> Game:
        """The game of one member's nets on its first n latents and points."""
        G, D = ring_nets(self.units, 0)
        place = self.latents.device
        return network_game(
            G.to(place),
            D.to(place),
            self.latents[member, :n],
            self.reals[member, :n],
            loss=self.setting.loss,
            penalty=self.setting.penalty,
        )


def train_ring(
    setting: Setting,
    members: int,
    iterations: int,
    *,
    units: int = 32,
    every: int = 500,
    keep: Collection[int] = (),
    **how: Unpack[How],
) -> TrainedRing:
    """Train members of one setting on a ring of eight Gaussians.

    Records, each (t, S) or (t, S, 5): "modes" that hold at least a hundredth of the samples within
    three standard deviations, "good" the share of samples as near to some mode, "score" the
    inception score under the true posterior, "top_g" and "top_d" the five leading eigenvalues of
    the players' Hessians on fixed data, "low_g" and "low_d" the lowest Ritz value beside them.

    If every member diverges, the result covers all until then: see `TrainedRing.finite`.

    Args:
        setting: what to train.
        members: S; the same seed gives the same points and nets to every setting.
        iterations: an iteration of ExtraAdam takes two gradients.
        units: width of both hidden layers of either player.
        every: iterations between records.
        keep: iterations after which weights are kept; the start and the end always are.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        ValueError: as in `train_ensemble`.

    >>> ring = train_ring(Setting(), 2, 4, seed=0, units=6, every=2)
    >>> ring.run.records["top_g"].shape
    (2, 2, 5)
    """
    iterations = whole_number("iterations", iterations, 0)
    given = Context(**how)
    members, seed = whole_number("members", members, 1), whole_number("seed", given.seed, 0, 2**40)
    loss, extra = find_loss(setting.loss), setting.method == "extra-adam"
    data = circle_of_gaussians(members, seed=seed, n=_POINTS, modes=MODES)
    latents, reals = data.latents.to(given.device), data.reals.to(given.device)
    fixed: dict[str, Any] = {
        "latents": latents[:, :_HESSIAN_SAMPLES],
        "reals": reals[:, :_HESSIAN_SAMPLES],
    }
    fixed |= {"groups": [(loss, members)], "penalty": setting.penalty, "seed": seed}
    recorded = {player: MemberDirections(player, Nudging(k=TOP), **fixed) for player in PLAYERS}
    left_out = directions_for(setting, fixed["latents"], fixed["reals"], seed=seed)
    nets = [ring_nets(units, member_seed(seed, number)) for number in range(members)]
    try:
        run = train_ensemble(
            Members(nets, latents, reals, batch_with_replacement=_BATCH, seed=seed),
            loss=loss,
            optimizer=optimizers_for(setting, left_out),
            iterations=iterations,
            turns=None if extra else Turns(setting.critics),
            penalty=setting.penalty,
            recording=given.recording(
                every=every,
                observe=partial(_observe, spectra=recorded, centres=data.centres.to(given.device)),
                snapshots={0, *whole_numbers("keep", keep, 0), iterations},
            ),
            device=given.device,
        )
    except Diverged as every_member:
        run = every_member.run
    return TrainedRing(setting, latents, reals, run, units)


def posterior_score(points: Tensor, centres: Tensor) -> Tensor:
    """(S,) inception scores of points (S, n, 2), the classes being modes (k, 2) of one law.

    ``exp E_x KL(p(y|x) || p(y))`` with the posterior of the true mixture for p(y|x): from 1 to the
    number of modes. Where a point lies within its mode's share of the plane does not matter.

    >>> posterior_score(torch.eye(2)[None], torch.eye(2)).round(decimals=3)
    tensor([2.])
    """
    away = (points[:, :, None] - centres).square().sum(dim=-1) / (2 * SIGMA**2)
    posterior = (-away.double()).softmax(dim=-1)
    entropy = torch.special.entr
    spread = entropy(posterior.mean(dim=1)).sum(dim=-1) - entropy(posterior).sum(dim=-1).mean(dim=1)
    return spread.exp().to(points.dtype)


def ring_ceiling(*, n: int, seed: int) -> float:
    """The score of n points of the true mixture.

    >>> 7.9 < ring_ceiling(n=4000, seed=0) <= 8
    True
    """
    data = circle_of_gaussians(1, seed=seed, n=n, modes=MODES)
    return float(posterior_score(data.reals, data.centres))


def _observe(
    generators: Stacked,
    discriminators: Stacked,
    latents: Tensor,
    reals: Tensor,
    *,
    spectra: dict[str, MemberDirections],
    centres: Tensor,
) -> dict[str, Tensor]:
    samples = generators(latents)
    shares = shares_near(samples, centres, RADIUS)
    records = {
        "modes": (shares >= MODE_SHARE).sum(dim=1).float(),  # a diverged member covers none
        "good": shares.sum(dim=1),
        "score": posterior_score(samples, centres),
    }
    for player, directions in spectra.items():
        pairs = directions.pairs((generators, discriminators))
        records[f"top_{player.lower()}"] = pairs.values
        records[f"low_{player.lower()}"] = pairs.lowest
    return records


def ring_nets(units: int, seed: int) -> Players:
    """Both nets before training, with two layers of so many units.

    >>> [sum(w.numel() for w in net.parameters()) for net in ring_nets(32, 0)]
    [1218, 1185]
    """
    leaky = partial(nn.LeakyReLU, 0.2)
    return Players(
        mlp([2, units, units, 2], seed=2 * seed),
        mlp([2, units, units, 1], seed=2 * seed + 1, activation=leaky),
    )
