"""The two-cluster experiment of Sun et al. 2020, Section 5, for many seeds and settings at once.

Set-up as released: 100 fixed points and 100 fixed latents, full batch, SGD with momentum, ten
steps of D and ten of G an iteration, a record every second iteration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from helpers.analysis.coverage import Coverage, coverage, least_loss, pair_shares
from helpers.datasets.synthetic import CENTRES, RADIUS, WIDTH, Samples, two_clusters
from helpers.inputs import whole_number
from helpers.losses.table import LOSSES, GanLoss, find_loss
from helpers.models import Players, mlp, two_cluster_nets
from helpers.models.stacked import Stacked
from helpers.training.train import Recording, train_ensemble

MIDDLES = CENTRES + WIDTH / 2  # of the clusters
_EVERY_POINT = 5  # one point in so many is recorded, to be drawn


@dataclass(frozen=True, eq=False)
class Group:
    """Members that share a setting."""

    loss: str
    players: list[Players]
    samples: Samples
    d_weight: float = 1.0  # factor on D's loss


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a group's S members did, at t records."""

    loss_name: str
    iterations: NDArray[np.int64]  # (t,)
    loss: NDArray[np.float32]  # (t, S) of D, the mean over real and generated as in eq. 2
    pairs: NDArray[np.float32]  # (t, S, 2, 2) share of pairs, real's cluster by point's
    logits: NDArray[np.float32]  # (t, S, 2) of D in the middle of each cluster
    points: NDArray[np.float16]  # (t, S, n) some of the generated points
    real: NDArray[np.float64]  # (2,) share of the real points in each cluster

    @property
    def shares(self) -> NDArray[np.float32]:
        """(t, S, 2) share of the generated points at each cluster."""
        return self.pairs.sum(axis=2)

    def least(self) -> NDArray[np.float64]:
        """(t, S) D's least loss on the landscape of clusters at each record's points."""
        return least_loss(self.pairs, self.real, self.loss_name)

    def coverage(self, least: float = 0.1) -> Coverage:
        """When both clusters were covered, as `helpers.analysis.coverage`."""
        return coverage(self.shares, self.iterations, least=least)

    def table(self, early: int = 1000) -> dict[str, NDArray[Any]]:
        """One number a member: when covered, how long collapsed, least loss, shares at the end.

        Args:
            early: iteration after which the covered clusters are counted once more, or the last.
        """
        covered = self.coverage()
        until = max(int((self.iterations <= early).sum()), 1)
        return {
            "first": covered.first,
            "stable": covered.stable,
            "collapsed": covered.collapsed,
            "longest": covered.longest,
            "covered": covered.at_end,
            "early": coverage(self.shares[:until], self.iterations[:until]).at_end,
            "min_loss": np.nanmin(self.loss, axis=0),
            "at_zero": self.shares[-1, :, 0],
            "at_four": self.shares[-1, :, 1],
        }


def group(
    loss: str,
    members: int,
    *,
    seed: int,
    widths: tuple[int, int] = (10, 5),
    scale: float = 1.0,
    imbalance: int = 1,
    d_weight: float = 1.0,
) -> Group:
    """Members of one setting; the same seed gives every loss the same networks and data.

    Args:
        loss: a name of `helpers.losses.LOSSES`.
        members: S, at least 1.
        seed: of the group; groups of different seeds share nothing.
        widths: of D's hidden layers and of G's.
        scale: factor on all initial weights.
        imbalance: real points at 0 for each at 4.
        d_weight: factor on D's loss, which is a factor on D's learning rate; with 2 a separable
            loss is the sum that most code has.

    Raises:
        ValueError: for an unknown loss, no members, and a cluster that would have no point.

    >>> len(group("rs", 3, seed=0).players)
    3
    """
    find_loss(loss)
    members, seed = whole_number("members", members, 1), whole_number("seed", seed, 0, 2**40)
    samples = two_clusters(members, seed=seed, pattern=(0,) * imbalance + (1,))
    players = [
        two_cluster_nets(seed=100_000 * seed + number, widths=widths, scale=scale)
        for number in range(members)
    ]
    return Group(loss, players, samples, d_weight)


def released(loss: str, *, seed: int = 0) -> Group:
    """One member with the data, latents and networks that the released script draws.

    The script seeds numpy for the data, torch for the latents, and torch again for D and then G.

    >>> released("js").samples.reals[0, :2, 0]
    tensor([0.1646, 4.2146])
    """
    uniform = np.random.RandomState(seed).rand(100)[:, None]
    reals = CENTRES.numpy()[np.arange(100) % 2] + WIDTH * uniform
    latents = 10 * (
        torch.rand(100, 1, generator=torch.Generator().manual_seed(seed), device="cpu") - 0.5
    )
    # D's three layers and then G's, from one stream.
    linear = list(mlp([1, 10, 10, 1, 5, 5, 1], seed=seed))[::2]
    D, G = (
        nn.Sequential(a, activation(), b, activation(), c)
        for (a, b, c), activation in ((linear[:3], nn.Sigmoid), (linear[3:], nn.Tanh))
    )
    samples = Samples(latents[None], torch.from_numpy(reals)[None].float(), CENTRES)
    return Group(loss, [Players(G, D)], samples)


def train_groups(
    groups: Mapping[str, Group],
    iterations: int,
    *,
    lr: float = 1e-2,
    momentum: float = 0.9,
    steps: tuple[int, int] = (10, 10),
    checkpoint: Path | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Outcome]:
    """Train groups of one size of networks side by side.

    D's part of a separable loss is the mean over real and generated, as in the paper and its code.

    Args:
        groups: by name.
        iterations: 2 or more.
        lr, momentum: of SGD, for both players.
        steps: of D and of G in an iteration.
        checkpoint: as in `helpers.training.Recording`.
        device: where to train.

    Raises:
        ValueError: for no groups and fewer than 2 iterations; and as `train_ensemble`.

    >>> two = {name: group(name, 2, seed=0) for name in ("js", "rs")}
    >>> train_groups(two, 4)["rs"].loss.shape
    (2, 2)
    """
    iterations = whole_number("iterations", iterations, 2)
    if not groups:
        raise ValueError("at least one group is needed, got none")
    run = train_ensemble(
        [players for group in groups.values() for players in group.players],
        torch.cat([group.samples.latents for group in groups.values()]),
        torch.cat([group.samples.reals for group in groups.values()]),
        loss=[loss for group in groups.values() for loss in [_loss(group)] * len(group.players)],
        optimizer=partial(torch.optim.SGD, lr=lr, momentum=momentum),
        iterations=iterations,
        steps=steps,
        recording=Recording(every=2, observe=_observe, checkpoint=checkpoint),
        device=device,
    )
    outcomes, start = {}, 0
    for name, group in groups.items():
        members = slice(start, start + len(group.players))
        at_four = float((group.samples.reals[0] > MIDDLES.mean()).double().mean())
        outcomes[name] = Outcome(
            group.loss,
            run.iterations,
            run.records["loss_d"][:, members],
            run.records["pairs"][:, members],
            run.records["logits"][:, members],
            run.records["points"][:, members],
            np.array([1 - at_four, at_four]),
        )
        start = members.stop
    return outcomes


def _loss(group: Group) -> GanLoss:
    loss = LOSSES[group.loss]
    weight = group.d_weight if loss.pairs else group.d_weight / 2
    return loss if weight == 1 else loss.weighted(weight)


def _observe(G: Stacked, D: Stacked, latents: Tensor, reals: Tensor) -> dict[str, Tensor]:
    points = G(latents)
    middles = MIDDLES.to(points).expand(len(points), -1, -1)
    return {
        "pairs": pair_shares(points, reals, CENTRES, RADIUS),
        "logits": D(middles)[..., 0],
        "points": points[:, ::_EVERY_POINT, 0].half(),
    }
