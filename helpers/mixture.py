"""The mixture-of-Gaussians experiment of Berard et al. 2020 (Section 5, Appendix C), seed by seed.

Both nets have one hidden layer of 100 ReLU units. All points and latents are fixed, so that field,
path and Jacobian are exact and belong to the very game that was trained. The paper's text and the
script that was released contradict each other; a `Setting` holds what they leave open.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import vector_to_parameters
from torch.optim import SGD

from helpers.clusters import mixture_of_gaussians
from helpers.games import Game
from helpers.inputs import whole_number, whole_numbers
from helpers.losses import find_loss
from helpers.models import Players, mlp
from helpers.networks import network_game
from helpers.optimizers import Extragradient
from helpers.penalties import GradientPenalty
from helpers.piecewise import LineNet
from helpers.stacked import Stacked
from helpers.training import Diverged, EnsembleResult, Recording, train_ensemble

UNITS = 100


@dataclass(frozen=True)
class Setting:
    """What to train. The defaults are those of the paper's text for NSGAN.

    >>> Setting("wgan", rates=(1e-2, 1e-1), penalty="data").loss
    'wgan'
    """

    loss: str = "js"  # a name of `helpers.losses.LOSSES`
    rates: tuple[float, float] = (1e-1, 1e-1)  # learning rates of G and of D
    sigmas: tuple[float, float] = (0.5, 1.0)  # of the modes at 2 and at -2
    method: str = "extragradient"  # or "simultaneous"
    penalty: str | None = None  # on D's slope: at the "data", or at "interpolates"
    clip: float | None = None  # bound on D's weights
    latent: int = 1

    def game_penalty(self) -> GradientPenalty | None:
        """The penalty with the text's weight, 1e-3."""
        return None if self.penalty is None else GradientPenalty(1e-3, self.penalty)


_RELEASED = (1.0, 1.0)
_WASSERSTEIN = {"loss": "wgan", "rates": (1e-2, 1e-1)}
# What the text says, what the released script does, and slower steps of the same.
SETTINGS: dict[str, Setting] = {
    "nsgan": Setting(),
    "nsgan-descent": Setting(method="simultaneous"),
    "nsgan-slow": Setting(rates=(1e-2, 1e-2)),
    "nsgan-slow-descent": Setting(rates=(1e-2, 1e-2), method="simultaneous"),
    "gan-released": Setting("js-saturating", (1e-2, 1e-1), _RELEASED),
    "gan-released-descent": Setting("js-saturating", (1e-2, 1e-1), _RELEASED, "simultaneous"),
    "wgan-gp": Setting(**_WASSERSTEIN, penalty="data"),
    "wgan-gp-released": Setting(**_WASSERSTEIN, sigmas=_RELEASED, penalty="data"),
    "wgan-gp-interpolates": Setting(**_WASSERSTEIN, sigmas=_RELEASED, penalty="interpolates"),
    "rsgan-slow": Setting("rs", rates=(1e-2, 1e-2)),
}


@dataclass(frozen=True, eq=False)
class Trained:
    """S members of one setting, with what is needed to look at them as games."""

    setting: Setting
    latents: Tensor  # (S, n, latent)
    reals: Tensor  # (S, n, 1)
    run: EnsembleResult

    def game(self, member: int, *, latents: Tensor | None = None, **changes: Any) -> Game:
        """The game of one member, as it was trained, or with latents or settings changed."""
        setting = replace(self.setting, **changes)
        return network_game(
            *self.nets(),
            self.latents[member] if latents is None else latents,
            self.reals[member],
            loss=setting.loss,
            penalty=setting.game_penalty(),
        )

    def nets(self) -> Players:
        """Networks of the shapes of a member's, whose weights a point of its game replaces."""
        return _nets(self.setting, 0)

    def point(self, member: int, iteration: int) -> Tensor:
        """(p + q,) weights of one member in double precision, as kept in training."""
        return self.run.snapshots[iteration][member].double()

    def end(self, member: int, iteration: int) -> Tensor:
        """(p + q,) what the released script has for a training's point: `ahead`, or `point`."""
        found = self.ahead if self.setting.method == "extragradient" else self.point
        return found(member, iteration)

    def samples(self, point: Tensor, latents: Tensor) -> Tensor:
        """(n,) what a generator with the weights of a point makes of latents (n, latent)."""
        generator = self.nets().generator.to(point.dtype)
        count = sum(weight.numel() for weight in generator.parameters())
        vector_to_parameters(point[:count].clone(), generator.parameters())
        with torch.no_grad():
            return generator(latents.to(point.dtype))[:, 0]

    def lasted(self, member: int, iterations: int) -> int:
        """The iteration in which a member diverged, or all that there are."""
        return self.run.diverged.get(member, iterations)

    @property
    def finite(self) -> list[int]:
        """Members that have not diverged."""
        return [m for m in range(len(self.latents)) if m not in self.run.diverged]

    @cached_property
    def norm(self) -> NDArray[np.float64]:
        """(t, S) norm of the field at the start of each recorded step."""
        return self._norm_of("norm")

    @cached_property
    def norm_ahead(self) -> NDArray[np.float64]:
        """(t, S) norm of the field at the point to which extragradient extrapolates."""
        return self._norm_of("ahead")

    def ahead(self, member: int, iteration: int) -> Tensor:
        """(p + q,) the point to which a step from a kept one extrapolates.

        It is what the script of Berard et al. 2020 saves, and takes to be the end of training.
        """
        point, game = self.point(member, iteration), self.game(member)
        parts = zip(
            game.split(point), game.split(game.vector_field(point)), self.setting.rates, strict=True
        )
        return torch.cat([part - rate * slope for part, slope, rate in parts])

    def _norm_of(self, where: str) -> NDArray[np.float64]:
        records = self.run.records
        return np.hypot(records[f"{where}_g"], records[f"{where}_d"], dtype=np.float64)


def train_mixture(
    setting: Setting,
    members: int,
    iterations: int,
    *,
    seed: int,
    n: int = 10_000,
    every: int = 10,
    keep: Collection[int] = (),
    checkpoint: Path | None = None,
    device: torch.device | str = "cpu",
) -> Trained:
    """Train members of one setting on all their points at once.

    If every member diverges, the result is what there was until then: look at `Trained.finite`.

    Args:
        setting: what to train.
        members: S; the same seed gives the same points, latents and nets to every setting that has
            room for them.
        iterations: an iteration of extragradient takes two gradients.
        seed: of the points, latents and nets.
        n: points and latents of a member.
        every: iterations between records.
        keep: iterations after which weights are kept; the last always is, and the start.
        checkpoint: as in `helpers.training.Recording`.
        device: where to train.

    Raises:
        ValueError: for an unknown loss or method, and as `train_ensemble` and
            `helpers.clusters.mixture_of_gaussians`.

    >>> train_mixture(Setting(), 2, 3, seed=0, n=50).point(1, 3).shape
    torch.Size([602])
    """
    iterations = whole_number("iterations", iterations, 0)
    members, seed = whole_number("members", members, 1), whole_number("seed", seed, 0, 2**40)
    loss = find_loss(setting.loss)
    if setting.method not in _METHODS:
        raise ValueError(f"unknown method {setting.method!r}; there are {', '.join(_METHODS)}")
    samples = mixture_of_gaussians(
        members, seed=seed, n=n, sigmas=setting.sigmas, latent=setting.latent
    )
    reals = samples.reals
    if not loss.pairs and setting.penalty != "interpolates":
        reals = reals.sort(dim=1).values  # nothing but speed depends on the order
    try:
        run = train_ensemble(
            [_nets(setting, 100_000 * seed + number) for number in range(members)],
            samples.latents,
            reals,
            loss=loss,
            optimizer=tuple(partial(_METHODS[setting.method], lr=rate) for rate in setting.rates),
            iterations=iterations,
            steps=None,
            penalty=setting.game_penalty(),
            constrain=None if setting.clip is None else partial(clip_weights, bound=setting.clip),
            seed=seed,
            recording=Recording(
                every=every,
                snapshots={0, *whole_numbers("keep", keep, 0), iterations},
                checkpoint=checkpoint,
            ),
            device=device,
        )
    except Diverged as every_member:
        run = every_member.run
    return Trained(setting, samples.latents, samples.reals, run)


def late_points(iterations: int, count: int = 20) -> list[int]:
    """Iterations of the last tenth, the last one included, at an odd distance from each other.

    What swings between two states from step to step is seen in both.

    >>> late_points(30_000)[-2:]
    [29849, 30000]
    """
    apart = max(iterations // (10 * count), 1) | 1
    return sorted({max(iterations - apart * back, 1) for back in range(count)})


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
    coordinates to leave out; the indicator of the paper, multiplied with the gradient, would leave
    out the others.

    >>> clipping_filter(torch.tensor([1.0, 1.0, 0.5]), torch.tensor([-2.0, 2.0, 2.0]), 1.0)
    tensor([ True, False, False])
    """
    return (phi.abs() == bound) & (gradient.sign() == -phi.sign())


def _extragradient(weights, lr: float) -> Extragradient:
    return Extragradient(SGD(weights, lr=lr))


_METHODS = {"extragradient": _extragradient, "simultaneous": SGD}


def _nets(setting: Setting, seed: int) -> Players:
    if setting.latent == 1:
        return Players(LineNet(UNITS, seed=2 * seed), LineNet(UNITS, seed=2 * seed + 1))
    generator = mlp([setting.latent, UNITS, 1], seed=2 * seed)
    return Players(generator, LineNet(UNITS, seed=2 * seed + 1))
