"""Training the mixture of Gaussians of Berard et al. 2020 (Section 5, Appendix C), seed by seed.

Both nets have one hidden layer of 100 ReLU units. All points and latents are fixed, so that field,
path and Jacobian are exact and belong to the very game that was trained.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters
from typing_extensions import Unpack

from helpers.datasets.synthetic import mixture_of_gaussians
from helpers.experiments.ensembles import member_seed
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How
from helpers.experiments.setting import TrainedMembers, TrainingSetting, optimizers_for
from helpers.games.game import Game
from helpers.games.networks import network_game
from helpers.inputs import whole_number, whole_numbers
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import find_loss
from helpers.models import Players, mlp
from helpers.models.line import LineNet
from helpers.models.stacked import Stacked
from helpers.training.data import Members
from helpers.training.train import Diverged, train_ensemble

UNITS = 100


@dataclass(frozen=True, kw_only=True)
class Setting(TrainingSetting):
    """What to train, both players at once. The defaults are those of the paper for NSGAN.

    >>> Setting("wgan", rates=(1e-2, 1e-1), penalty=GradientPenalty(1e-3, "data")).method
    'extragradient'
    """

    METHODS = ("extragradient", "simultaneous")

    method: str = "extragradient"
    rates: tuple[float, float] = (1e-1, 1e-1)
    sigmas: tuple[float, float] = (0.5**0.5, 1.0)  # standard deviations of the modes at 2 and at -2
    clip: float | None = None  # bound on D's weights
    latent: int = 1  # dimension of a latent


# The released script's defaults.
RELEASED = Setting("js-saturating", rates=(1e-2, 1e-1), sigmas=(1.0, 1.0), latent=100)


@dataclass(frozen=True, eq=False)
class TrainedMixture(TrainedMembers):
    """S members of one setting, and the games that their networks play."""

    setting: Setting
    seed: int  # the seed of their points, latents and nets

    def game(
        self, member: int, *, latents: Tensor | None = None, penalty: GradientPenalty | None = None
    ) -> Game:
        """The game of one member, as it was trained, or with other latents or another penalty."""
        return network_game(
            *_nets(self.setting.latent, 0),
            self.latents[member] if latents is None else latents,
            self.reals[member],
            loss=self.setting.loss,
            penalty=penalty or self.setting.penalty,
        )

    def point(self, member: int, iteration: int) -> Tensor:
        """(p + q,) weights of one member in double precision, as kept in training."""
        return super().point(member, iteration).double()

    def ahead(self, member: int, iteration: int) -> Tensor:
        """(p + q,) the point to which a step of extragradient from a kept one extrapolates."""
        point, game = self.point(member, iteration), self.game(member)
        parts = zip(
            game.split(point), game.split(game.vector_field(point)), self.setting.rates, strict=True
        )
        return torch.cat([part - rate * field for part, field, rate in parts])

    def end(self, member: int, iteration: int) -> Tensor:
        """(p + q,) what the script of Berard et al. 2020 saves as a training's end.

        For extragradient that is the point `ahead`, for descent the `point`.
        """
        find = self.ahead if self.setting.method == "extragradient" else self.point
        return find(member, iteration)

    def samples(self, point: Tensor, latents: Tensor) -> Tensor:
        """(n,) what a generator with the weights of a point makes of latents (n, latent)."""
        generator = _nets(self.setting.latent, 0).generator.to(point.dtype)
        count = sum(weight.numel() for weight in generator.parameters())
        vector_to_parameters(point[:count].clone(), generator.parameters())
        with torch.no_grad():
            return generator(latents.to(point.dtype))[:, 0]

    def lasted(self, member: int, iterations: int) -> int:
        """The iteration in which a member diverged, or else all `iterations`."""
        return self.run.diverged.get(member, iterations)

    @property
    def norm(self) -> NDArray[np.float64]:
        """(t, S) norm of the field at the start of each recorded step."""
        return self._norm_of("norm")

    @property
    def norm_ahead(self) -> NDArray[np.float64]:
        """(t, S) norm of the field at the point to which extragradient extrapolates."""
        return self._norm_of("ahead")

    def _norm_of(self, where: str) -> NDArray[np.float64]:
        records = self.run.records
        return np.hypot(records[f"{where}_g"], records[f"{where}_d"], dtype=np.float64)


def train_mixture(
    setting: Setting,
    members: int,
    iterations: int,
    *,
    n: int = 10_000,
    every: int = 10,
    keep: Collection[int] = (),
    **how: Unpack[How],
) -> TrainedMixture:
    """Train members of one setting on all their points at once.

    If every member diverges, the result covers all until then: see `TrainedMixture.finite`.

    Args:
        setting: what to train.
        members: S; the same seed gives the same points, latents and nets to every setting that has
            room for them.
        iterations: an iteration of extragradient takes two gradients.
        n: points and latents of a member.
        every: iterations between records.
        keep: iterations after which weights are kept; the start and the end always are.
        how: as `helpers.experiments.protocol.How` says; the result is on the CPU.

    Raises:
        ValueError: as in `train_ensemble` and `helpers.datasets.mixture_of_gaussians`.

    >>> train_mixture(Setting(), 2, 3, seed=0, n=50).point(1, 3).shape
    torch.Size([602])
    """
    iterations = whole_number("iterations", iterations, 0)
    given = Context(**how)
    members, seed = whole_number("members", members, 1), whole_number("seed", given.seed, 0, 2**40)
    loss, penalty = find_loss(setting.loss), setting.penalty
    samples = mixture_of_gaussians(
        members, seed=seed, n=n, sigmas=setting.sigmas, latent=setting.latent
    )
    reals = samples.reals
    if not loss.pairs and (penalty is None or penalty.where == "data"):
        reals = reals.sort(dim=1).values  # the order affects only speed
    nets = [_nets(setting.latent, member_seed(seed, number)) for number in range(members)]
    try:
        run = train_ensemble(
            Members(nets, samples.latents, reals, seed=seed),
            loss=loss,
            optimizer=optimizers_for(setting),
            iterations=iterations,
            turns=None,
            penalty=penalty,
            constrain=None if setting.clip is None else partial(clip_weights, bound=setting.clip),
            recording=given.recording(
                every=every,
                snapshots={0, *whole_numbers("keep", keep, 0), iterations},
            ),
            device=given.device,
        )
    except Diverged as every_member:
        run = every_member.run
    return TrainedMixture(setting, samples.latents, samples.reals, run, seed)


@torch.no_grad()
def clip_weights(discriminators: Stacked, bound: float) -> None:
    """Put every weight into [-bound, bound] (Arjovsky et al. 2017).

    >>> clip_weights(Stacked([mlp([1, 1], seed=0)]), bound=1e-3)
    """
    for weight in discriminators.parameters.values():
        weight.clamp_(-bound, bound)


def clipping_filter(phi: Tensor, gradient: Tensor, bound: float) -> Tensor:
    """(q,) true where a step down the gradient and clipping leave D's weight in its place.

    The condition of Berard et al. 2020, eq. 24: the weight sits at the bound, and its gradient has
    the other sign. The gradient of the constrained player is zero there, so these are the
    coordinates to leave out; the indicator of the paper, multiplied by the gradient, would leave
    out the others.

    >>> clipping_filter(torch.tensor([1.0, 1.0, 0.5]), torch.tensor([-2.0, 2.0, 2.0]), 1.0)
    tensor([ True, False, False])
    """
    return (phi.abs() == bound) & (gradient.sign() == -phi.sign())


def _nets(latent: int, seed: int) -> Players:
    generator: nn.Module
    if latent == 1:
        generator = LineNet(UNITS, seed=2 * seed)
    else:
        generator = mlp([latent, UNITS, 1], seed=2 * seed)
    return Players(generator, LineNet(UNITS, seed=2 * seed + 1))
