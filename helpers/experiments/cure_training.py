"""Cures for GANs that rotate or collapse, all trained alike: three tasks, one protocol each.

What a cure needs beside a rate is taken from its paper, or said to be ours where the papers take
other steps or other nets; nothing but the rate is chosen by results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer
from typing_extensions import Unpack

from helpers.analysis.coverage import Coverage, coverage, shares_near
from helpers.datasets import synthetic
from helpers.datasets.synthetic import Samples
from helpers.experiments.edge_training import MIXTURE, RING, nets_of
from helpers.experiments.edge_watch import LEADING, MemberFields
from helpers.experiments.ensembles import member_seed
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How
from helpers.experiments.ring_training import MODES
from helpers.experiments.ring_training import RADIUS as RING_RADIUS
from helpers.experiments.setting import around
from helpers.inputs import one_of, whole_number
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import find_loss
from helpers.models import Players, two_cluster_nets
from helpers.models.stacked import Stacked
from helpers.spectra import member_eigenvalues
from helpers.training import (
    Consensus,
    Diverged,
    EnsembleResult,
    HeavyBall,
    Lookahead,
    MemberDirections,
    Members,
    Nudged,
    Nudging,
    Turns,
    Unrolled,
    train_ensemble,
)

CLUSTERS = "two clusters"
TASKS = (CLUSTERS, RING, MIXTURE)
METHODS = (
    *("in turn", "at once", "extragradient", "optimistic", "negative momentum", "lookahead"),
    *("consensus", "unrolled", "nudged"),
)
MOMENTUM = -0.5  # Gidel et al. 2019, Theorem 6
LOOK_BACK = (5, 0.5)  # iterations and share of Chavdarova et al. 2021
UNROLLED = 5  # steps; Metz et al. 2017 take 5 and 10 on the ring
NUDGING = Nudging(k=5, players="G")
LEAST = 0.1  # of its fair share of the samples: then a mode is covered
_SEEN = 1024  # latents whose samples are looked at in a training
_FIXED = 256  # latents and reals on which the field and directions are taken


@dataclass(frozen=True)
class Task:
    """What a task's GANs are trained on, and how."""

    rates: tuple[float, ...]  # those of which every method may have one, the smallest first
    points: int  # points of the data, and latents
    modes: int
    radius: float  # a sample this near to a mode's centre is at that mode
    _: KW_ONLY
    batch: int | None = None  # points and latents per step; all of them by default
    adam: bool = False  # else plain descent
    # Of consensus, and of the steps ahead of an unrolled D; D's own rate if there is none. Adam's
    # rates are no rates of plain steps.
    consensus: float = 0.1  # ours
    ahead: float | None = None
    # What is least at the best rate, of those with equally many modes at the end.
    by: str = "stable"


PROTOCOLS: Mapping[str, Task] = {
    CLUSTERS: Task((0.1, 0.3, 1.0), 100, 2, synthetic.RADIUS),
    RING: Task(
        (3e-4, 1e-3, 3e-3), 4096, MODES, RING_RADIUS, batch=64, adam=True,
        consensus=10.0,  # as Mescheder et al. 2017 have it, with RMSProp
        ahead=0.1,  # ours
    ),
    MIXTURE: Task((0.01, 0.03, 0.1), 200, 2, 1.0, by="norm"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A cure on a task. The defaults are NSGAN, D and G in turn.

    Raises:
        ValueError: for an unknown task, method or loss, and a ratio that is not above 0.

    >>> Setting(task="ring", method="lookahead").loss
    'js'
    """

    task: str = CLUSTERS
    method: str = "in turn"
    loss: str = "js"  # a name in `helpers.losses.LOSSES`
    penalty: GradientPenalty | None = None  # on D's slope
    ratio: float = 1.0  # G's rate over D's

    def __post_init__(self) -> None:
        one_of("task", self.task, TASKS)
        one_of("method", self.method, METHODS)
        find_loss(self.loss)
        if not self.ratio > 0:
            raise ValueError(f"ratio is above 0, got {self.ratio}")

    @property
    def protocol(self) -> Task:
        """How the task's GANs are trained."""
        return PROTOCOLS[self.task]


def gradients_of(setting: Setting) -> int:
    """Backward passes in an iteration, whatever each of them costs.

    Two, one for each player, and what the cure adds: extragradient takes two more, consensus one
    through both gradients, an unrolled D one for each step ahead, and a penalty one for each
    gradient of a loss that contains it. A search for directions is not counted: see
    `TrainedCure.searching`.

    >>> gradients_of(Setting()), gradients_of(Setting(method="extragradient"))
    (2, 4)
    """
    steps = {"extragradient": 4, "consensus": 3, "unrolled": 2 + UNROLLED}.get(setting.method, 2)
    penalised = {"extragradient": 2, "unrolled": 1 + UNROLLED}.get(setting.method, 1)
    return steps + (penalised if setting.penalty is not None else 0)


@dataclass(frozen=True, eq=False)
class TrainedCure:
    """S members of one setting after training."""

    setting: Setting
    run: EnsembleResult
    iterations: NDArray[np.int64]  # (t,) of all records, also of those after the last divergence
    shares: NDArray[np.float64]  # (t, S, modes) of the samples; NaN once a member has diverged
    latents: Tensor  # (S, n, ...)
    reals: Tensor  # (S, n, ...)
    directions: MemberDirections | None  # of the method "nudged"

    def coverage(self) -> Coverage:
        """When all modes were covered, as `helpers.analysis.coverage`."""
        return coverage(self.shares, self.iterations, least=LEAST)

    @property
    def covered(self) -> NDArray[np.int64]:
        """(t, S) modes that are covered; none once a member has diverged."""
        return self.coverage().covered

    def searching(self) -> float:
        """Gradients per iteration that searches for directions take: one each, and one per product.

        Those of a search at the end which begins with nothing: an upper bound, since searches in a
        training begin with the directions that they had found before. NaN if nobody is left.
        """
        if self.directions is None:
            return 0.0
        if len(self.run.diverged) == len(self.latents):
            return float("nan")
        before = self.directions.products
        self.directions((self.run.generators, self.run.discriminators), None)
        return (self.directions.products - before + 1) / NUDGING.every

    def end(self) -> dict[str, NDArray[np.float64]]:
        """Numbers (S,) at the end, on fixed data; NaN for members that have diverged.

        norm: of the field, both players' gradients. angle: the largest angle between the real axis
        and one of the four leading eigenvalues of the game's Jacobian, in degrees, 90 for a mere
        rotation. leading: the largest of their moduli.
        """
        fields = self._fields()
        draws = torch.Generator().manual_seed(0)
        begin = torch.randn(sum(fields.sizes), generator=draws, device="cpu").to(self.latents)
        begin = begin.expand(len(self.latents), -1)
        values, _ = member_eigenvalues(fields.transposed, begin, LEADING)
        z = values.cpu().numpy()
        angles = np.degrees(np.arctan2(np.abs(z.imag), np.abs(z.real)))
        found = {"norm": self._known(fields.norm().cpu().numpy())}
        found["angle"] = self._known(angles.max(axis=1))
        return found | {"leading": self._known(np.abs(z).max(axis=1))}

    def norm(self) -> NDArray[np.float64]:
        """(S,) the first of the numbers of `end`, which is found sooner than all."""
        return self._known(self._fields().norm().cpu().numpy())

    def _fields(self) -> MemberFields:
        players = (self.run.generators, self.run.discriminators)
        fixed = self.latents[:, :_FIXED], self.reals[:, :_FIXED]
        return MemberFields(players, *fixed, find_loss(self.setting.loss), self.setting.penalty)

    def _known(self, numbers: NDArray[Any]) -> NDArray[np.float64]:
        found = numbers.astype(float)
        found[list(self.run.diverged)] = np.nan
        return found


def draw(task: str, members: int, *, seed: int) -> tuple[list[Players], Samples]:
    """Nets, latents and points of each member of a block; the same ones for every cure.

    >>> nets, samples = draw("ring", 2, seed=0)
    >>> samples.reals.shape
    torch.Size([2, 4096, 2])
    """
    points = PROTOCOLS[one_of("task", task, TASKS)].points
    seeds = [member_seed(seed, number) for number in range(members)]
    if task == CLUSTERS:
        samples = synthetic.two_clusters(members, seed=seed, n=points)
        return [two_cluster_nets(seed=each) for each in seeds], samples
    if task == RING:
        samples = synthetic.circle_of_gaussians(members, seed=seed, n=points, modes=MODES)
    else:
        samples = synthetic.mixture_of_gaussians(members, seed=seed, n=points)
    return [nets_of(task, each) for each in seeds], samples


def train_cure(
    setting: Setting,
    rate: float,
    members: int,
    iterations: int,
    *,
    every: int,
    **how: Unpack[How],
) -> TrainedCure:
    """Train members of one setting, and record where their samples are.

    If every member diverges, the result covers all until then.

    Args:
        setting: what to train.
        rate: of D; G's is that times the setting's ratio.
        members: S; the same seed gives the same points, latents and nets to every setting.
        iterations: one step of each player, whatever it costs: see `gradients_of`.
        every: iterations between records, a divisor of `iterations`.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        ValueError: as in `train_ensemble`, and where no record is at the end.

    >>> train_cure(Setting(), 0.1, 2, 4, every=2, seed=0).shares.shape
    (2, 2, 2)
    """
    iterations, every = whole_number("iterations", iterations, 1), whole_number("every", every, 1)
    if iterations % every:
        raise ValueError(f"every divides {iterations} iterations, got {every}")
    given, task, loss = Context(**how), setting.protocol, find_loss(setting.loss)
    nets, samples = draw(setting.task, members, seed=given.seed)
    latents, reals = (part.to(given.device) for part in (samples.latents, samples.reals))
    directions = None
    if setting.method == "nudged":
        directions = MemberDirections(
            "G", NUDGING, latents[:, :_FIXED], reals[:, :_FIXED], [(loss, members)],
            penalty=setting.penalty, seed=given.seed,
        )  # fmt: skip
    centres = samples.centres.to(given.device)
    try:
        run = train_ensemble(
            Members(nets, latents, reals, batch_with_replacement=task.batch, seed=given.seed),
            loss=loss,
            optimizer=(
                partial(_optimizer, setting, setting.ratio * rate, directions),
                partial(_optimizer, setting, rate, None),
            ),
            iterations=iterations,
            turns=turns_of(setting, rate),
            penalty=setting.penalty,
            recording=given.recording(
                every=every, observe=partial(_observe, centres=centres, radius=task.radius)
            ),
            device=given.device,
        )
    except Diverged as every_member:
        run = every_member.run
    when = np.arange(every, iterations + 1, every)
    shares = np.full((len(when), members, task.modes), np.nan)
    shares[: len(run.iterations)] = run.records["shares"] if len(run.iterations) else np.nan
    return TrainedCure(setting, run, when, shares, latents, reals, directions)


def turns_of(setting: Setting, rate: float) -> Turns | Consensus | Unrolled | None:
    """How the players of a method move: in turn, or at once along their own or another field.

    >>> turns_of(Setting(method="unrolled"), 0.3)
    Unrolled(steps=5, rate=0.3)
    """
    if setting.method == "consensus":
        return Consensus(setting.protocol.consensus)
    if setting.method == "unrolled":
        ahead = setting.protocol.ahead
        return Unrolled(UNROLLED, rate if ahead is None else ahead)
    return None if setting.method in ("at once", "extragradient", "optimistic") else Turns()


def _optimizer(
    setting: Setting, rate: float, directions: Callable[..., Tensor] | None, weights: Any
) -> Optimizer:
    method = setting.method
    optimizer: Optimizer
    if setting.protocol.adam:
        # A momentum below 0 takes the place of Adam's own.
        beta = 0.0 if method == "negative momentum" else 0.5
        optimizer = Adam(weights, lr=rate, betas=(beta, 0.999))
    else:
        optimizer = SGD(weights, lr=rate)
    if method in ("extragradient", "optimistic"):
        return around(optimizer, method)
    if method == "negative momentum":
        return HeavyBall(optimizer, MOMENTUM)
    if method == "lookahead":
        return Lookahead(optimizer, *LOOK_BACK)
    if directions is not None:
        return Nudged(optimizer, directions, NUDGING.project, every=NUDGING.every)
    return optimizer


def _observe(
    generators: Stacked,
    discriminators: Stacked,
    latents: Tensor,
    reals: Tensor,
    *,
    centres: Tensor,
    radius: float,
) -> dict[str, Tensor]:
    return {"shares": shares_near(generators(latents[:, :_SEEN]), centres, radius)}
