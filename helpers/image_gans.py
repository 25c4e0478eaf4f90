"""The image experiments of Berard et al. 2020 (Sections 5.1 and 5.2, Appendices C.2 and C.5).

DCGANs with spectral norm in D, trained by Adam or ExtraAdam on the loss of NSGAN or of WGAN-GP.
The settings are those of the text; where it is silent, those of the released script. A trained GAN
is a `Game` on a fixed set of images and latents, with the networks as they were when it was kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.optim import Adam

from helpers import inputs
from helpers.copying import copied
from helpers.endpoints import EndPoint, leading_end_point
from helpers.games import Game
from helpers.inputs import float_tensor, whole_number, whole_numbers
from helpers.losses import find_loss
from helpers.models import dcgan
from helpers.networks import joint_point, network_game
from helpers.nudging import Nudging, SharpDirections
from helpers.optimizers import Extragradient, Nudged
from helpers.paths import PathProfile, path_profile
from helpers.penalties import GradientPenalty
from helpers.single import TrainingResult, Watch
from helpers.training import Recording, train


@dataclass(frozen=True)
class Setting:
    """One of the trainings, apart from its length and size."""

    loss: str = "js"
    method: str = "extra-adam"
    rates: tuple[float, float] = (2e-4, 5e-5)  # of G and of D
    beta: float = 0.9  # Adam's first
    critics: int = 1  # passes of D for one of G
    penalty: float | None = None  # weight of the one on D's slope, at interpolates
    normed: bool = True  # whether D has the spectral norm
    nudging: Nudging | None = None  # around Adam, as Durall et al. 2021 have it


# Of WGAN-GP's rate the text prints "8.6 x 10" without an exponent; 1e-5 is our reading of it.
SETTINGS = {
    "nsgan extra-adam": Setting(),
    "nsgan adam": Setting(method="adam", beta=0.5),
    "wgan-gp extra-adam": Setting("wgan", rates=(8.6e-5, 8.6e-5), critics=5, penalty=10.0),
    "wgan-gp adam": Setting("wgan", "adam", (8.6e-5, 8.6e-5), 0.5, 5, 10.0),
}
# D judges reals and samples as one batch, in training and in the game. As nothing in it depends on
# a batch, two would give the same numbers, apart from a second power iteration of its norms.
JOINT_BATCH = True
SAMPLES = 500  # that a generator makes at once, in the statistics of which its batch norm works


@dataclass(frozen=True, eq=False)
class TrainedGan:
    """What a training left, and the games that its networks play."""

    setting: Setting
    latent: int
    run: TrainingResult

    def point(self, iteration: int) -> Tensor:
        """(p + q,) weights after a kept iteration."""
        return joint_point(*self.run.players_at(iteration))

    def game(
        self,
        iteration: int,
        reals: Tensor,
        *,
        seed: int,
        batch_size: int | None = None,
        spectral_norm: str = "held",
    ) -> Game:
        """The game on fixed images, with the buffers that the networks had after an iteration.

        Batch norm takes the statistics of the batch, as in training. For a path that leads to other
        weights, let spectral norm settle.

        Args:
            iteration: a kept one.
            reals: (n, C, H, W); Berard et al. take 1,000 for eigenvalues, 5,000 for paths.
            seed: of the n latents.
            batch_size: as `helpers.networks.network_game` has it.
            spectral_norm: "held" or "settled", as there.
        """
        latents = standard_normal(len(reals), self.latent, seed=seed).to(reals.device)
        return network_game(
            *self.run.players_at(iteration),
            latents,
            reals,
            loss=self.setting.loss,
            penalty=_penalty(self.setting),
            joint_batch=JOINT_BATCH,
            batch_size=batch_size,
            spectral_norm=spectral_norm,
        )

    def end_point(
        self, reals: Tensor, *, seed: int, spectral_norm: str = "held", top: int = 20, own: int = 1
    ) -> EndPoint:
        """What the last kept iteration is, as `helpers.endpoints.leading_end_point` has it.

        Residuals are below a hundredth of their eigenvalues. Other arguments are those of `game`.
        """
        first, last = min(self.run.snapshots), max(self.run.snapshots)
        options = {"seed": seed, "spectral_norm": spectral_norm}
        begin = self.game(first, reals, **options).vector_field(self.point(first).to(reals.device))
        return leading_end_point(
            self.game(last, reals, **options),
            self.point(last).to(reals.device),
            start_norm=float(begin.norm()),
            top=top,
            own=own,
            tolerance=1e-2,
        )

    def path(
        self,
        reals: Tensor,
        begin: int,
        ends: Sequence[int],
        alphas: ArrayLike,
        *,
        seed: int,
        batch_size: int | None = None,
    ) -> PathProfile:
        """The field from one kept iteration to others and beyond, spectral norm settled.

        Other arguments are those of `game` and of `helpers.paths.path_profile`.
        """
        options = {"seed": seed, "batch_size": batch_size, "spectral_norm": "settled"}
        game = self.game(max(ends), reals, **options)
        points = [self.point(each).to(reals.device) for each in (begin, *ends)]
        return path_profile(game, points[0], torch.stack(points[1:]), alphas)

    def samples(self, iteration: int, n: int, *, seed: int) -> Tensor:
        """(n, C, H, W) images of the generator after a kept iteration, on the CPU."""
        generator = self.run.players_at(iteration).generator
        return samples(generator, standard_normal(n, self.latent, seed=seed))


def train_images(
    setting: Setting,
    reals: Tensor,
    iterations: int,
    *,
    seed: int,
    width: int = 64,
    latent: int = 100,
    batch: int = 100,
    keep: Collection[int] = (),
    looked: int = 200,
    observe: Watch | None = None,
    every: int = 100,
    checkpoint: Path | str | None = None,
    save_every: int = 1000,
    device: torch.device | str = "cpu",
) -> TrainedGan:
    """Train a DCGAN on images of 32 x 32 pixels.

    An iteration is one pass of G and `Setting.critics` passes of D. As in the released script, D
    goes first and, under ExtraAdam, a pass that extrapolates counts as one.

    Args:
        setting: one of `SETTINGS`, or another one.
        reals: (n, channels, 32, 32) in [-1, 1].
        iterations: 0 or more; after an even number ExtraAdam rests on a step, not ahead of one.
            From a checkpoint a shorter training of the same setting goes on.
        seed: of the initial weights and of all that is drawn in training.
        width, latent: as `helpers.models.dcgan` has them; the paper's are 64 and 100.
        batch: images in a pass.
        keep: iterations after which both networks are kept; the start and the end always are.
        looked: images, the first ones, that nudging finds its directions on.
        observe, every, checkpoint, save_every: as in `helpers.training.Recording`.
        device: where to train.

    Raises:
        ValueError: for an unknown loss or method, a nudged ExtraAdam, and as `train`.
        Diverged: as `train`.

    >>> noise = torch.rand(10, 1, 32, 32) * 2 - 1
    >>> found = train_images(SETTINGS["nsgan adam"], noise, 2, seed=0, width=2, latent=4, batch=5)
    >>> found.samples(2, 3, seed=0).shape
    torch.Size([3, 1, 32, 32])
    """
    if setting.method not in _METHODS:
        raise ValueError(f"unknown method {setting.method!r}; there are {', '.join(_METHODS)}")
    if setting.nudging is not None and setting.method != "adam":
        raise ValueError("nudging goes around Adam, not around ExtraAdam")
    seed, iterations = inputs.seed(seed), whole_number("iterations", iterations, 0)
    latent, looked = whole_number("latent", latent, 1), whole_number("looked", looked, 1)
    reals = float_tensor("reals", reals, torch.float32)
    few = reals[:looked].to(device)
    drawn = standard_normal(len(few), latent, seed=seed).to(device)
    makers = tuple(
        partial(_optimizer, setting=setting, rate=rate, player=player, latents=drawn, reals=few)
        for player, rate in zip("GD", setting.rates, strict=True)
    )
    run = train(
        dcgan(
            seed=seed, latent=latent, width=width, channels=reals.shape[1], normed=setting.normed
        ),
        reals,
        latent=latent,
        loss=find_loss(setting.loss),
        optimizer=makers,
        iterations=iterations,
        batch_by_epochs=batch,
        steps=(setting.critics, 1),
        penalty=_penalty(setting),
        seed=seed,
        joint_batch=JOINT_BATCH,
        recording=Recording(
            every=every,
            observe=observe,
            snapshots={0, *whole_numbers("keep", keep, 0), iterations},
            checkpoint=checkpoint,
            save_every=save_every,
        ),
        device=device,
    )
    return TrainedGan(setting, latent, run)


def standard_normal(n: int, latent: int, *, seed: int) -> Tensor:
    """(n, latent) latents, the same ones at every call.

    >>> standard_normal(2, 3, seed=0).shape
    torch.Size([2, 3])
    """
    return torch.randn(
        n,
        latent,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float32,
        device="cpu",
    )


@torch.no_grad()
def samples(generator: nn.Module, latents: Tensor) -> Tensor:
    """(n, C, H, W): images of these latents, 500 at a time, on the CPU.

    Batch norm takes the statistics of those 500, as Berard et al.'s script scores them. The
    generator itself is not changed.

    >>> samples(nn.Unflatten(1, (1, 1, 2)), torch.zeros(3, 2)).shape
    torch.Size([3, 1, 1, 2])
    """
    own = copied(generator).train()
    where = next(own.parameters(), latents).device
    return torch.cat([own(part.to(where)).cpu() for part in latents.split(SAMPLES)])


def late_iterations(iterations: int, count: int) -> list[int]:
    """Even iterations of the last tenth, the last one included: several ends of one path.

    >>> late_iterations(1000, 5)
    [920, 940, 960, 980, 1000]
    """
    last = iterations - iterations % 2
    apart = max(iterations // (10 * count) // 2, 1) * 2
    return [last - apart * back for back in reversed(range(count))]


def milestones(iterations: int, count: int) -> list[int]:
    """Even iterations, so many in equal steps up to the end.

    >>> milestones(1000, 4)
    [250, 500, 750, 1000]
    """
    return sorted({iterations * k // count // 2 * 2 for k in range(1, count + 1)})


def _penalty(setting: Setting) -> GradientPenalty | None:
    return None if setting.penalty is None else GradientPenalty(setting.penalty)


def _optimizer(
    weights, *, setting: Setting, rate: float, player: str, latents: Tensor, reals: Tensor
) -> Adam | Extragradient | Nudged:
    made = _METHODS[setting.method](weights, lr=rate, beta=setting.beta)
    nudging = setting.nudging
    if nudging is None or player not in nudging.players:
        return made
    find = SharpDirections(player, nudging, latents, reals, setting.loss, _penalty(setting))
    return Nudged(made, find, nudging.project, every=nudging.every)


def _adam(weights, lr: float, beta: float) -> Adam:
    return Adam(weights, lr=lr, betas=(beta, 0.999))


def _extra_adam(weights, lr: float, beta: float) -> Extragradient:
    return Extragradient(_adam(weights, lr, beta))


_METHODS = {"adam": _adam, "extra-adam": _extra_adam}
