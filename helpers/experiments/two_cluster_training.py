"""Training on the two clusters of Sun et al. 2020, Section 5, many members of a setting at a time.

Set-up as released: 100 fixed points and 100 fixed latents, full batch, SGD with momentum, ten
steps of D and ten of G per iteration, a record every second iteration.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import Unpack

from helpers.analysis.coverage import Coverage, coverage, least_loss, pair_shares
from helpers.datasets.synthetic import CENTRES, RADIUS, WIDTH, Samples, two_clusters
from helpers.experiments import protocol
from helpers.experiments.ensembles import member_seed, records_of
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How
from helpers.inputs import real_number, whole_number
from helpers.losses.scalars import check_loss
from helpers.losses.table import GanLoss, find_loss
from helpers.models import Players, mlp, two_cluster_nets
from helpers.models.stacked import Stacked
from helpers.training.data import Members
from helpers.training.train import train_ensemble
from helpers.training.turns import Turns

MIDDLES = CENTRES + WIDTH / 2  # middles of the clusters
POINTS = 100
_EVERY = 2  # iterations between records
_EVERY_POINT = 5  # one point in so many is recorded, to be drawn


@dataclass(frozen=True)
class Setting:
    """What is trained, and how; the defaults are those of the released script.

    Raises:
        ValueError: for a loss that is unknown, or that has no exact landscape.

    >>> Setting("rs", widths=(40, 20)).momentum
    0.9
    """

    loss: str = "js"  # a name in `helpers.losses.LOSSES`
    widths: tuple[int, int] = (10, 5)  # of D's hidden layers and of G's
    scale: float = 1.0  # factor on all initial weights
    imbalance: int | float = 1  # real points at 0 per real point at 4
    # Factor on D's loss: under SGD, on D's learning rate. D's part of a separable loss is the mean
    # over real and generated, as in the paper and its code; with 2 it is the sum.
    d_weight: float = 1.0
    # Whether D of a separable loss learns twice as fast, at the rate of its pairing form; its loss
    # is still recorded as in the paper. False for a pairing loss, whatever is given.
    equal_rates: bool = False
    longer: int = 1  # factor on the iterations of a size
    lr: float = 1e-2  # learning rate of both players
    momentum: float = 0.9
    steps: tuple[int, int] = (10, 10)  # steps of D and of G per iteration
    # The first member's seed where data, latents and networks are drawn as the script draws them;
    # the block's seed then plays no part. None: members are drawn from the block's seed.
    script_seed: int | None = None

    def __post_init__(self) -> None:
        find_loss(self.loss)
        check_loss(self.landscape)
        whole_number("longer", self.longer, 1)
        real_number("imbalance", self.imbalance, least=1)
        # One setting, and so one run, however it is written.
        equal = self.equal_rates and not find_loss(self.loss).pairs
        object.__setattr__(self, "equal_rates", equal)

    @property
    def pattern(self) -> tuple[int, ...]:
        """The clusters of the real points in turn, to be repeated: (0, 0, 0, 1, 1) for 1.5."""
        share = Fraction(self.imbalance).limit_denominator(POINTS)
        return (0,) * share.numerator + (1,) * share.denominator

    @property
    def rate_factor(self) -> float:
        """What D's loss is multiplied by so that its rate is that of the pairing form."""
        return 2.0 if self.equal_rates else 1.0

    @property
    def landscape(self) -> str:
        """The loss by which D is judged, whatever form G's has."""
        return self.loss.removesuffix("-linear")


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How much is run."""

    members: int = 64
    iterations: int = 5000


@dataclass(frozen=True, eq=False)
class Trained:
    """What the S members of a setting did, at t records; NaN once a member has diverged."""

    setting: Setting
    iterations: NDArray[np.int64]  # (t,)
    loss: NDArray[np.float32]  # (t, S) D's loss, the mean over real and generated as in eq. 2
    pairs: NDArray[np.float32]  # (t, S, 2, 2) share of pairs, by the real's cluster and the point's
    logits: NDArray[np.float32]  # (t, S, 2) D's logits in the middle of each cluster
    points: NDArray[np.float16]  # (t, S, n) some of the generated points
    diverged: Mapping[int, int]  # member: the iteration in which its loss ceased to be finite
    # Weights (S, p + q) of all members after the iterations that were to be kept.
    weights: Mapping[int, Tensor] = field(default_factory=dict)

    @property
    def shares(self) -> NDArray[np.float32]:
        """(t, S, 2) share of the generated points at each cluster."""
        return self.pairs.sum(axis=2)

    def least(self) -> NDArray[np.float64]:
        """(t, S) D's least loss on the landscape of clusters at each record's points."""
        setting, pairs = self.setting, np.nan_to_num(self.pairs)
        return setting.d_weight * least_loss(pairs, real_shares(setting), setting.landscape)

    def compared(self) -> NDArray[np.float64]:
        """(t, S, 2) the shares as this VERSION compares them with thresholds: to the last digit.

        They are sums of two shares in single precision. At exactly a threshold their rounding
        decides: one point of 100 is never the hundredth that a "least" of 0.02 asks for, 5 fall
        short of 0.05 if both clusters' reals are among their partners, and 90 fall short of 0.9.
        """
        # In double precision they get no slack for rounding, which would move recorded numbers. The
        # next VERSION can pass `shares`.
        return self.shares.astype(np.float64)

    def coverage(self, least: float = 0.1) -> Coverage:
        """When both clusters were covered: `helpers.analysis.coverage` of what is `compared`."""
        return coverage(self.compared(), self.iterations, least=least)


def real_shares(setting: Setting) -> NDArray[np.float64]:
    """(2,) share of the real points in each cluster.

    >>> real_shares(Setting(imbalance=5))
    array([0.84, 0.16])
    """
    small = sum(setting.pattern[i % len(setting.pattern)] for i in range(POINTS))
    return np.array([POINTS - small, small]) / POINTS


def collapse_loss(setting: Setting) -> float:
    """D's least loss with all points at the cluster at 0, the larger one if there is one.

    >>> round(collapse_loss(Setting("js")), 4), round(collapse_loss(Setting("rs")), 4)
    (0.4774, 0.3466)
    """
    real = real_shares(setting)
    all_at_one = np.stack([real, np.zeros(2)], axis=1)
    return setting.d_weight * float(least_loss(all_at_one, real, setting.landscape))


def draw(setting: Setting, members: int, *, seed: int) -> tuple[list[Players], Samples]:
    """Networks, latents and points of each member; the same ones for every loss.

    Args:
        setting: what to draw.
        members: S, at least 1.
        seed: of the block; members of different blocks share nothing, unless the script draws.

    Raises:
        ValueError: for no members, or a cluster that would have no point.

    >>> len(draw(Setting("rs"), 3, seed=0)[0])
    3
    """
    members, seed = whole_number("members", members, 1), whole_number("seed", seed, 0, 2**40)
    if setting.script_seed is not None:
        drawn = [_script_draws(setting.script_seed + number) for number in range(members)]
        players, latents, reals = zip(*drawn, strict=True)
        return list(players), Samples(torch.stack(latents), torch.stack(reals), CENTRES)
    samples = two_clusters(members, seed=seed, n=POINTS, pattern=setting.pattern)
    nets = [
        two_cluster_nets(seed=each, widths=setting.widths, scale=setting.scale)
        for each in (member_seed(seed, number) for number in range(members))
    ]
    return nets, samples


def _script_draws(seed: int) -> tuple[Players, Tensor, Tensor]:
    """Networks, latents and points as the released script draws them.

    It seeds numpy for the data, torch for the latents, and torch again for D and then G.
    """
    uniform = np.random.RandomState(seed).rand(POINTS)[:, None]
    reals = CENTRES.numpy()[np.arange(POINTS) % 2] + WIDTH * uniform
    latents = 10 * (
        torch.rand(POINTS, 1, generator=torch.Generator().manual_seed(seed), device="cpu") - 0.5
    )
    # D's three layers and then G's, from one stream.
    linear = list(mlp([1, 10, 10, 1, 5, 5, 1], seed=seed))[::2]
    D, G = (
        nn.Sequential(a, activation(), b, activation(), c)
        for (a, b, c), activation in ((linear[:3], nn.Sigmoid), (linear[3:], nn.Tanh))
    )
    return Players(G, D), latents, torch.from_numpy(reals).float()


def train(
    setting: Setting, size: Size, *, keep: Collection[int] = (), **how: Unpack[How]
) -> Trained:
    """Train the members of a setting side by side.

    Args:
        setting, size: what to train, and how many members and iterations (2 or more).
        how: as `helpers.experiments.protocol.How` says.
        keep: iterations after which the weights are kept.

    Raises:
        ValueError: for fewer than 2 iterations; and as `draw` and `train_ensemble`.

    >>> train(Setting("rs"), Size(members=2, iterations=4, lacks="most"), seed=0).loss.shape
    (2, 2)
    """
    given = Context(**how)
    iterations = setting.longer * whole_number("iterations", size.iterations, _EVERY)
    players, samples = draw(setting, size.members, seed=given.seed)
    recording = given.recording(
        every=_EVERY,
        observe=_observe,
        snapshots=keep,
    )
    times, records, diverged, weights = records_of(
        partial(
            train_ensemble,
            Members(players, samples.latents, samples.reals),
            loss=loss_of(setting),
            optimizer=partial(torch.optim.SGD, lr=setting.lr, momentum=setting.momentum),
            turns=Turns(*setting.steps),
            recording=recording,
            device=given.device,
        ),
        iterations,
        _EVERY,
        {
            "loss_d": (size.members,),
            "pairs": (size.members, 2, 2),
            "logits": (size.members, 2),
            "points": (size.members, POINTS // _EVERY_POINT),
        },
    )
    return Trained(
        setting,
        times,
        loss=(records["loss_d"] / setting.rate_factor).astype(np.float32),
        pairs=records["pairs"],
        logits=records["logits"],
        points=records["points"],
        diverged=diverged,
        weights=weights,
    )


def loss_of(setting: Setting) -> GanLoss:
    """Both players' losses as they are trained; D's is weighted as the setting says.

    >>> loss_of(Setting("js")).name, loss_of(Setting("rs")).name
    ('js*0.5', 'rs')
    """
    loss = find_loss(setting.loss)
    weight = setting.rate_factor * setting.d_weight / (1 if loss.pairs else 2)
    return loss if weight == 1 else loss.weighted(weight)


def _observe(G: Stacked, D: Stacked, latents: Tensor, reals: Tensor) -> dict[str, Tensor]:
    points = G(latents)
    middles = MIDDLES.to(points).expand(len(points), -1, -1)
    return {
        "pairs": pair_shares(points, reals, CENTRES, RADIUS),
        "logits": D(middles)[..., 0],
        "points": points[:, ::_EVERY_POINT, 0].half(),
    }
