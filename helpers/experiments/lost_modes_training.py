"""Training on a ring of eight Gaussians, to see whether it stays where modes are missing.

Data, nets and rate are those of `helpers.experiments.ring_training`, in batches; or small and
smooth nets on all of their points at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import Unpack

from helpers.analysis.coverage import Coverage, coverage, shares_near
from helpers.datasets.synthetic import Samples, circle_of_gaussians
from helpers.experiments import protocol
from helpers.experiments.ensembles import member_seed, records_of
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How
from helpers.experiments.ring_training import MODES, RADIUS, ring_nets
from helpers.experiments.stay_points import LEAST, Member
from helpers.games.networks import network_game
from helpers.losses.table import find_loss
from helpers.models import Players, mlp
from helpers.models.stacked import Stacked
from helpers.training import Members, Turns, train_ensemble

OF_GAME = 256  # points and latents of the game that is looked at, at most
_SEEN = 1024  # latents whose samples are looked at in a training, at most
_BETAS = (0.5, 0.999)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained, by Adam, D and G in turn. The defaults are those of the ring elsewhere.

    Raises:
        ValueError: for an unknown loss.

    >>> Setting(loss="rs").batch
    64
    """

    loss: str = "js"  # a name in `helpers.losses.LOSSES`
    units: int = 32  # of each hidden layer of either player
    smooth: bool = False  # tanh in both players, in place of ReLU
    points: int = 4096  # of the data, and latents
    batch: int | None = 64  # points and latents per step; None for all of them
    rate: float = 1e-3  # of both players

    def __post_init__(self) -> None:
        find_loss(self.loss)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is run."""

    members: int = 64
    iterations: int = 5000
    shortest: int = 500  # iterations that a stay lasts at least
    every: int = 10  # iterations between records
    keep: int = 50  # iterations after which weights are kept
    searched: int = 100  # points that a search for rest tries at most


@dataclass(frozen=True, eq=False)
class Trained:
    """What the S members of a setting did, at t records; NaN once a member has diverged."""

    setting: Setting
    iterations: NDArray[np.int64]  # (t,)
    shares: NDArray[np.float32]  # (t, S, 8) of the samples at each mode
    samples: Samples
    diverged: Mapping[int, int]  # member: the iteration in which its loss ceased to be finite
    weights: Mapping[int, Tensor]  # (S, p + q), by the iteration after which they were kept

    def coverage(self) -> Coverage:
        """When all modes were covered, as `helpers.analysis.coverage`."""
        return coverage(self.shares, self.iterations, least=LEAST)

    def covered(self) -> NDArray[np.bool_]:
        """(t, S, 8) whether each mode is covered; none is once a member has diverged."""
        found: NDArray[np.bool_] = self.shares >= LEAST / MODES
        return found

    def loosely(self) -> NDArray[np.bool_]:
        """(t, S, 8) as `covered`, but a mode is there until it has half of what it came with."""
        held = self.covered()
        for t in range(1, len(held)):
            held[t] |= held[t - 1] & (self.shares[t] >= LEAST / MODES / 2)
        return held

    def member(self, number: int, mode: int | None = None) -> Member:
        """The game of one member, in double precision, on its first 256 points and latents.

        What it covers is asked of all modes, or of one.
        """
        G, D = (net.double() for net in nets_of(self.setting, 0))
        z, x = (
            data[number, :OF_GAME].double().cpu()
            for data in (self.samples.latents, self.samples.reals)
        )
        game = network_game(G, D, z, x, loss=self.setting.loss)
        centres = self.samples.centres.double().cpu()
        share = LEAST / MODES
        return Member(game, G, z, centres if mode is None else centres[[mode]], RADIUS, share)


def nets_of(setting: Setting, seed: int) -> Players:
    """Both nets before training: those of `ring_nets`, or smooth ones of the same widths.

    >>> [sum(w.numel() for w in net.parameters()) for net in nets_of(Setting(units=16), 0)]
    [354, 337]
    """
    if not setting.smooth:
        return ring_nets(setting.units, seed)
    hidden = [2, setting.units, setting.units]
    G, D = (
        mlp([*hidden, last], seed=2 * seed + player, activation=nn.Tanh)
        for player, last in enumerate((2, 1))
    )
    return Players(G, D)


def train(setting: Setting, size: Size, **how: Unpack[How]) -> Trained:
    """Train the members of a block side by side.

    The same seed gives the same points, latents and nets to both losses.

    Args:
        setting, size: what to train, and how many members and iterations.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        ValueError: as `helpers.training.train_ensemble`.

    >>> tiny = Size(members=2, iterations=4, every=2, keep=2, lacks="nearly all")
    >>> train(Setting(), tiny, seed=0).shares.shape
    (2, 2, 8)
    """
    given, members = Context(**how), size.members
    samples = circle_of_gaussians(members, seed=given.seed, n=setting.points, modes=MODES)
    seeds = [member_seed(given.seed, number) for number in range(members)]
    data = Members(
        [nets_of(setting, seed) for seed in seeds],
        samples.latents.to(given.device),
        samples.reals.to(given.device),
        batch_with_replacement=setting.batch,
        seed=given.seed,
    )
    keep = {*range(0, size.iterations, size.keep), size.iterations}
    times, records, diverged, weights = records_of(
        partial(
            train_ensemble,
            data,
            loss=find_loss(setting.loss),
            optimizer=partial(torch.optim.Adam, lr=setting.rate, betas=_BETAS),
            turns=Turns(),
            recording=given.recording(
                every=size.every,
                observe=partial(_observe, centres=samples.centres.to(given.device)),
                snapshots=keep,
            ),
            device=given.device,
        ),
        size.iterations,
        size.every,
        {"shares": (members, MODES)},
    )
    return Trained(setting, times, records["shares"], samples, diverged, weights)


def _observe(
    G: Stacked, D: Stacked, latents: Tensor, reals: Tensor, *, centres: Tensor
) -> dict[str, Tensor]:
    return {"shares": shares_near(G(latents[:, :_SEEN]), centres, RADIUS)}
