"""Trainings that are watched for the edge of stability: full batches, on the mixture and the ring.

Berard et al. 2020 train the mixture with all its points at once; Metz et al. 2017 introduce the
ring of eight Gaussians, which is trained here with all points at once, too: the edge is that of
the very loss that is descended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import Unpack

from helpers.analysis import EDGE_METHODS
from helpers.datasets.synthetic import Samples, circle_of_gaussians, mixture_of_gaussians
from helpers.experiments.edge_watch import Kept, Watch
from helpers.experiments.ensembles import member_seed
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How
from helpers.experiments.ring_training import ring_nets
from helpers.experiments.setting import (
    TrainedMembers,
    TrainingSetting,
    directions_for,
    optimizers_for,
)
from helpers.games.game import Game
from helpers.games.networks import network_game
from helpers.inputs import one_of, whole_number, whole_numbers
from helpers.losses.table import find_loss
from helpers.models import Players, mlp
from helpers.training import Diverged, Members, Turns, train_ensemble

MIXTURE, RING = "mixture", "ring"
_SIGMAS = (1.0, 1.0)  # of the mixture's modes, as in the released script


@dataclass(frozen=True, kw_only=True)
class Setting(TrainingSetting):
    """What to train, on all points at once. The defaults are those of the released script.

    Raises:
        ValueError: for unknown data, and as `TrainingSetting`.

    >>> Setting("js", rates=(0.1, 0.1)).data
    'mixture'
    """

    METHODS = EDGE_METHODS
    NUDGED = ("simultaneous", "alternating", "adam")

    method: str = "simultaneous"  # "alternating": first D, then G
    rates: tuple[float, float] = (1e-2, 1e-1)
    data: str = MIXTURE  # or "ring"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("data", self.data, (MIXTURE, RING))


@dataclass(frozen=True, eq=False)
class TrainedEdges(TrainedMembers):
    """S members of one setting, and the games that their networks play."""

    setting: Setting

    def game(self, member: int) -> Game:
        """The game of one member, as it was trained."""
        nets = nets_of(self.setting.data, 0)
        data = self.latents[member], self.reals[member]
        return network_game(*nets, *data, loss=self.setting.loss)

    def point(self, member: int, iteration: int) -> Tensor:
        """(p + q,) weights of one member in double precision, as kept in training."""
        return super().point(member, iteration).double()


def nets_of(data: str, seed: int) -> Players:
    """The nets for these data: those of `mixture_training`, and of `ring_training`.

    >>> [sum(w.numel() for w in net.parameters()) for net in nets_of("ring", 0)]
    [1218, 1185]
    """
    if data == MIXTURE:
        return Players(*(mlp([1, 100, 1], seed=2 * seed + player) for player in (0, 1)))
    return ring_nets(32, seed)


def train_edges(
    setting: Setting,
    members: int,
    iterations: int,
    *,
    points: int,
    every: int,
    keep: Collection[int] = (),
    **how: Unpack[How],
) -> TrainedEdges:
    """Train members of one setting, and record what `Watch` does.

    If every member diverges, the result covers all until then: see `TrainedEdges.finite`.

    Args:
        setting: what to train.
        members: S; the same seed gives the same points, latents and nets to every setting.
        iterations: an iteration of extragradient takes two gradients.
        points: points and latents of a member.
        every: iterations between records.
        keep: iterations after which weights are kept; the start and the end always are.
        how: as `helpers.experiments.protocol.How` says; the result is on the CPU.

    Raises:
        ValueError: as in `train_ensemble`.
        Paused: as in `helpers.training.Recording`.

    >>> train_edges(Setting(), 2, 3, seed=0, points=50, every=1).run.records["own_d"].shape
    (3, 2)
    """
    iterations = whole_number("iterations", iterations, 0)
    given = Context(**how)
    members, seed = whole_number("members", members, 1), whole_number("seed", given.seed, 0, 2**40)
    samples, loss = _samples(setting.data, members, seed, points), find_loss(setting.loss)
    latents, reals = samples.latents.to(given.device), samples.reals.to(given.device)
    left_out = directions_for(setting, latents, reals, seed=seed)
    of_g, of_d = (Kept(make) for make in optimizers_for(setting, left_out))
    in_turn = setting.method == "alternating"
    nets = [nets_of(setting.data, member_seed(seed, number)) for number in range(members)]
    try:
        run = train_ensemble(
            Members(nets, latents, reals, seed=seed),
            loss=loss,
            optimizer=(of_g, of_d),
            iterations=iterations,
            turns=Turns() if in_turn else None,
            recording=given.recording(
                every=every,
                observe=Watch((of_g, of_d), loss, in_turn, seed),
                snapshots={0, *whole_numbers("keep", keep, 0), iterations},
            ),
            device=given.device,
        )
    except Diverged as every_member:
        run = every_member.run
    return TrainedEdges(setting, samples.latents, samples.reals, run)


def _samples(data: str, members: int, seed: int, points: int) -> Samples:
    if data == MIXTURE:
        return mixture_of_gaussians(members, seed=seed, n=points, sigmas=_SIGMAS)
    return circle_of_gaussians(members, seed=seed, n=points, modes=8)
