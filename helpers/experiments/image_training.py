"""Training DCGANs on images as Berard et al. 2020 do (Sections 5.1 and 5.2, Appendices C.2, C.5).

D has spectral norm, and training is by Adam or ExtraAdam on the loss of NSGAN or of WGAN-GP. The
settings are the paper's; where it is silent, those of the released script, apart from the biases
that the script's D has in all its convolutions and its G in the last one, and ours have not. A
trained GAN is a `Game` on a fixed set of images and latents, with the networks as they were when it
was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from helpers import inputs
from helpers.analysis.endpoints import EndPoint, leading_end_point
from helpers.analysis.paths import PathProfile, path_profile
from helpers.experiments.setting import TrainingSetting, optimizers_for
from helpers.games.game import Game
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.inputs import float_tensor, whole_number
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import find_loss
from helpers.models import Players, dcgan
from helpers.models.copying import copied
from helpers.models.functional import PassSettings
from helpers.training.data import EpochBatches
from helpers.training.nudging import SharpDirections
from helpers.training.single import TrainingResult
from helpers.training.train import Recording, train
from helpers.training.turns import Turns


@dataclass(frozen=True, kw_only=True)
class Setting(TrainingSetting):
    """One of the trainings, apart from its length and size.

    >>> SETTINGS["nsgan adam"] == Setting(method="adam", beta=0.5)
    True
    """

    method: str = "extra-adam"
    rates: tuple[float, float] = (2e-4, 5e-5)
    beta: float = 0.9
    critics: int = 1  # passes of D per pass of G
    normed: bool = True  # whether D has the spectral norm

    @property
    def judging(self) -> Judging:
        """D judges reals and samples as one batch, in training and in the game.

        As nothing in this D depends on a batch, two batches would give the same numbers, apart
        from a second power iteration of its norms.
        """
        return Judging(joint_batch=True)


# For WGAN-GP's rate the paper prints "8.6 x 10" without an exponent; 8.6e-5 is our reading of it.
_WGAN_GP: dict[str, Any] = {
    "loss": "wgan",
    "rates": (8.6e-5, 8.6e-5),
    "critics": 5,
    "penalty": GradientPenalty(10.0),
}
_ADAM: dict[str, Any] = {"method": "adam", "beta": 0.5}
KINDS: dict[str, dict[str, Any]] = {  # fields of a setting by name
    "nsgan extra-adam": {},
    "nsgan adam": _ADAM,
    "wgan-gp extra-adam": _WGAN_GP,
    "wgan-gp adam": _WGAN_GP | _ADAM,
}
SETTINGS = {kind: Setting(**fields) for kind, fields in KINDS.items()}
SAMPLES = 500  # samples that a generator makes at once; its batch norm uses their statistics


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
            batch_size, spectral_norm: as for `helpers.games.network_game`.
        """
        latents = standard_normal(len(reals), self.latent, seed=seed).to(reals.device)
        return network_game(
            *self.run.players_at(iteration),
            latents,
            reals,
            loss=self.setting.loss,
            penalty=self.setting.penalty,
            batch_size=batch_size,
            judging=self.setting.judging,
            passes=PassSettings(spectral_norm=spectral_norm),
        )

    def end_point(
        self,
        iteration: int,
        reals: Tensor,
        *,
        top: int = 20,
        lenient: bool = False,
        **options: Any,
    ) -> EndPoint:
        """What kind of point a kept iteration is, by `helpers.analysis.leading_end_point`.

        Residuals are below a hundredth of their eigenvalues. `top` and `lenient` are those of that
        function, other arguments those of `game`.
        """
        first = min(self.run.snapshots)
        start = self.game(first, reals, **options).vector_field(self.point(first).to(reals.device))
        return leading_end_point(
            self.game(iteration, reals, **options),
            self.point(iteration).to(reals.device),
            start_norm=float(start.norm()),
            top=top,
            lenient=lenient,
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
        """The field from one kept iteration to others and beyond, with exact spectral norm.

        Other arguments are those of `game` and of `helpers.analysis.path_profile`.
        """
        game = self.game(max(ends), reals, seed=seed, batch_size=batch_size, spectral_norm="exact")
        points = [self.point(iteration).to(reals.device) for iteration in (begin, *ends)]
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
    hessian_images: int = 200,
    recording: Recording | None = None,
    device: torch.device | str = "cpu",
) -> TrainedGan:
    """Train a DCGAN on images of 32 x 32 pixels.

    An iteration is one pass of G and `Setting.critics` passes of D. As in the released script, D
    goes first and, under ExtraAdam, a pass that extrapolates counts as one.

    Args:
        setting: one of `SETTINGS`, or another one.
        reals: (n, channels, 32, 32) in [-1, 1].
        iterations: 0 or more; after an even number ExtraAdam rests on a step, not ahead of one.
            It goes on from the checkpoint of a shorter training of the same setting.
        seed: of the initial weights and of all that is drawn in training.
        width, latent: as for `helpers.models.dcgan`; the paper's are 64 and 100.
        batch: images in a pass.
        hessian_images: how many images, the first ones, nudging finds its directions on.
        recording: as for `train`; start and end are always among its snapshots.
        device: where to train.

    Raises:
        ValueError, Diverged, Paused: as `train`.

    >>> noise = torch.rand(10, 1, 32, 32) * 2 - 1
    >>> gan = train_images(SETTINGS["nsgan adam"], noise, 2, seed=0, width=2, latent=4, batch=5)
    >>> gan.samples(2, 3, seed=0).shape
    torch.Size([3, 1, 32, 32])
    """
    seed, iterations = inputs.seed(seed), whole_number("iterations", iterations, 0)
    latent = whole_number("latent", latent, 1)
    hessian_images = whole_number("hessian_images", hessian_images, 1)
    reals = float_tensor("reals", reals, torch.float32)
    nets = dcgan(
        seed=seed, latent=latent, width=width, channels=reals.shape[1], normed=setting.normed
    )
    recording = Recording() if recording is None else recording
    return train_nets(
        setting,
        nets,
        EpochBatches(reals, latent=latent, size=batch, seed=seed),
        iterations,
        fixed=reals[:hessian_images],
        recording=replace(recording, snapshots={0, *recording.snapshots, iterations}),
        device=device,
    )


def train_nets(
    setting: Setting,
    players: Players,
    batches: EpochBatches,
    iterations: int,
    *,
    fixed: Tensor,
    recording: Recording,
    device: torch.device | str,
) -> TrainedGan:
    """Train any nets as a setting says; nudging finds its directions on some fixed images.

    Arguments and errors are those of `helpers.training.train`.

    >>> noise = torch.rand(10, 1, 32, 32) * 2 - 1
    >>> nets = dcgan(seed=0, latent=4, width=2)
    >>> batches, how = EpochBatches(noise, latent=4, size=5), {"fixed": noise, "device": "cpu"}
    >>> train_nets(SETTINGS["nsgan adam"], nets, batches, 1, recording=Recording(), **how).latent
    4
    """
    (latent,), fixed = batches.latent_shape, fixed.to(device)
    latents = standard_normal(len(fixed), latent, seed=batches.seed).to(device)
    nudging, directions = setting.nudging, {}
    if nudging is not None:
        of = (setting.loss, setting.penalty, setting.judging.joint_batch, setting.judging.logit)
        directions = {
            player: SharpDirections(player, nudging, latents, fixed, *of)
            for player in nudging.players
        }
    run = train(
        players,
        batches,
        loss=find_loss(setting.loss),
        optimizer=optimizers_for(setting, directions),
        iterations=iterations,
        turns=Turns(setting.critics),
        penalty=setting.penalty,
        judging=setting.judging,
        recording=recording,
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
    generator = copied(generator).train()
    device = next(generator.parameters(), latents).device
    return torch.cat([generator(part.to(device)).cpu() for part in latents.split(SAMPLES)])


def milestones(iterations: int, count: int) -> list[int]:
    """`count` even iterations, in equal steps up to the end.

    >>> milestones(1000, 4)
    [250, 500, 750, 1000]
    """
    return sorted({iterations * k // count // 2 * 2 for k in range(1, count + 1)})
