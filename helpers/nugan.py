"""The image experiments of Durall et al. 2021: NSGAN, NuGAN, and what they did epoch by epoch.

The paper leaves nets, rates, batch, k, data of the Hessians and the judge open; what is chosen here
is a DCGAN without norm in D, Adam at 2e-4 with betas (0.5, 0.999), and k = 5.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from helpers.classifiers import Classifier
from helpers.image_gans import Setting, TrainedGan, samples, standard_normal, train_images
from helpers.inputs import shown
from helpers.metrics import class_counts, class_entropy, inception_score, modes
from helpers.models import Players
from helpers.networks import joint_point, network_game
from helpers.nudging import Nudging
from helpers.operators import hessian
from helpers.spectra import top_eigenpairs

NSGAN = Setting("js", method="adam", rates=(2e-4, 2e-4), beta=0.5, normed=False)
# The first two are compared on every set; the others are what the paper may have meant instead.
OPTIMIZERS = {
    "NSGAN": NSGAN,
    "NuGAN": replace(NSGAN, nudging=Nudging()),
    "NuGAN (step)": replace(NSGAN, nudging=Nudging(project="step")),
    "NuGAN, k 1": replace(NSGAN, nudging=Nudging(k=1)),
    "NuGAN, G only": replace(NSGAN, nudging=Nudging(players="G")),
    "NuGAN, D only": replace(NSGAN, nudging=Nudging(players="D")),
    "NuGAN, every 500": replace(NSGAN, nudging=Nudging(every=500)),
    "NuGAN (step), every 500": replace(NSGAN, nudging=Nudging(project="step", every=500)),
    "NuGAN, k 2, every 500": replace(NSGAN, nudging=Nudging(k=2, every=500)),
    "NuGAN (step), G only": replace(NSGAN, nudging=Nudging(project="step", players="G")),
}


@dataclass(frozen=True)
class EpochWatch:
    """What is recorded once an epoch: a score, and the ends of both players' spectra.

    "score", "entropy" and "modes" of samples under a judge; "top_g" and "top_d" (k,) the leading
    eigenvalues of the own Hessians, "low_g" and "low_d" the lowest ones, "slope_g" the norm of G's
    gradient, on fixed data. Nothing is carried from one epoch to the next, so that a training that
    was cut off records what an uncut one does.

    Args:
        judge: a classifier.
        reals: the images that losses are taken on; as many latents.
        latent: dimension of a latent.
        score_samples: samples to score.
        k: leading eigenvalues.
        loss: a name of `helpers.losses.LOSSES`.
        seed: of the latents, and of the vectors that searches begin with.
        tolerance: of the residuals, relative to the eigenvalues.
    """

    judge: Classifier
    reals: Tensor = field(repr=False)
    latent: int
    score_samples: int
    k: int = 5
    loss: str = "js"
    seed: int = 0
    tolerance: float = 0.05

    def __call__(self, players: Players) -> dict[str, float | NDArray[np.float64]]:
        latents = standard_normal(self.score_samples, self.latent, seed=self.seed + 1)
        images = samples(players.generator, latents).to(self.reals.device)
        counts = class_counts(self.judge, images)
        record = {
            "score": inception_score(self.judge, images),
            "entropy": class_entropy(counts),
            "modes": float(modes(counts)),
        }
        latents = standard_normal(len(self.reals), self.latent, seed=self.seed).to(self.reals)
        game = network_game(*players, latents, self.reals, loss=self.loss)
        point = joint_point(*players)
        options = {"seed": self.seed, "tolerance": self.tolerance}
        for player in "GD":
            operator = hessian(game, player, point, route="retained")
            record[f"top_{player.lower()}"] = top_eigenpairs(operator, self.k, **options).values
            record[f"low_{player.lower()}"] = top_eigenpairs(operator, 1, "SA", **options).values[0]
        record["slope_g"] = float(game.gradient("G", point).norm())
        return record


def train_epochs(
    setting: Setting,
    reals: Tensor,
    judge: Classifier,
    epochs: int,
    *,
    seed: int,
    width: int = 64,
    latent: int = 100,
    batch: int = 128,
    hessian_images: int = 1024,
    score_samples: int = 5000,
    k: int = 5,
    keep: Collection[int] = (),
    checkpoint: Path | str | None = None,
    device: torch.device | str = "cpu",
) -> TrainedGan:
    """Train one of `OPTIMIZERS`, with an `EpochWatch` at the end of every epoch.

    Args:
        setting: what to train.
        reals: (n, channels, 32, 32) in [-1, 1].
        judge: of the samples.
        epochs: each of n // batch passes.
        seed: of weights, batches, and all that the watch draws.
        width, latent, batch, device: as for `helpers.image_gans.train_images`.
        hessian_images: how many, the first ones, Hessians are taken on, of nudging and the watch.
        score_samples, k: as for `EpochWatch`.
        keep: epochs after which both networks are kept; the start and the end always are.
        checkpoint: a file that the state is kept in after each epoch; a watch of other sizes needs
            a file of its own.

    Raises:
        ValueError, Diverged: as `train_images`.
        FloatingPointError, NotConverged: if a search of the watch fails.

    >>> from helpers.models import lenet
    >>> blank, noise = Classifier(lenet(seed=0), 0.1), torch.rand(10, 1, 32, 32) * 2 - 1
    >>> sizes = {"width": 2, "latent": 4, "batch": 5, "hessian_images": 6, "score_samples": 4}
    >>> gan = train_epochs(OPTIMIZERS["NuGAN"], noise, blank, 2, seed=0, **sizes)
    >>> gan.run.records["top_d"].shape
    (2, 5)
    """
    passes = len(reals) // batch
    fixed = reals[:hessian_images].to(device)
    watch = EpochWatch(judge, fixed, latent, score_samples, k, setting.loss, seed)
    return train_images(
        setting,
        reals,
        epochs * passes,
        seed=seed,
        width=width,
        latent=latent,
        batch=batch,
        keep={epoch * passes for epoch in keep},
        hessian_images=hessian_images,
        observe=watch,
        every=passes,
        checkpoint=checkpoint,
        save_every=passes,
        device=device,
    )


def correlations(g: ArrayLike, d: ArrayLike) -> dict[str, float]:
    """How two curves of positive numbers go together, in the readings that a paper may have meant.

    Durall et al. 2021 print one number a data set and do not say of what. A trend that both curves
    share makes "levels", "logs" and "ranks" large; "changes" of the logs from one record to the
    next do not see it. NaN where a curve does not change, or has fewer than three points.

    Args:
        g, d: (t,) positive values along one training.

    Raises:
        ValueError: for curves of different lengths, and values that are not positive.

    >>> readings = correlations([1.0, 2.0, 4.0, 8.0], [1.0, 3.0, 9.0, 27.0])
    >>> {name: round(value, 2) for name, value in readings.items()}
    {'levels': 0.99, 'logs': 1.0, 'ranks': 1.0, 'changes': nan}
    """
    g, d = np.asarray(g, dtype=np.float64), np.asarray(d, dtype=np.float64)
    if g.shape != d.shape or g.ndim != 1 or not (min(g.min(), d.min()) > 0):
        raise ValueError(f"both curves are (t,) positive numbers, got {shown(g)} and {shown(d)}")
    logs = np.log(g), np.log(d)
    return {
        "levels": _correlation(g, d, "pearson"),
        "logs": _correlation(*logs, "pearson"),
        "ranks": _correlation(g, d, "spearman"),
        "changes": _correlation(*(np.diff(log) for log in logs), "pearson"),
    }


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's correlation of two curves, NaN where one does not change.

    >>> rank_correlation([1, 2, 3], [5, 4, 0])
    -1.0
    """
    return _correlation(a, b, "spearman")


def lagged(a: ArrayLike, b: ArrayLike, most: int) -> dict[int, float]:
    """Rank correlation of a with b so many records later, from -most to most.

    >>> round(lagged([0, 1, 0, 2, 0, 3], [9, 0, 1, 0, 2, 0], 1)[1], 6)
    1.0
    """
    lags = range(-most, most + 1)
    pairs = {lag: pd.DataFrame({"a": a, "b": pd.Series(b).shift(-lag)}).dropna() for lag in lags}
    return {lag: rank_correlation(pair["a"], pair["b"]) for lag, pair in pairs.items()}


def rising_together(g: ArrayLike, d: ArrayLike, window: int) -> float:
    """Share of the windows in which d rises where g rises too; NaN if d never rises.

    >>> rising_together([1, 2, 1, 2], [1, 2, 3, 4], 1)
    0.666...
    """
    rises = [np.asarray(c)[window:] > np.asarray(c)[:-window] for c in (g, d)]
    return float(rises[0][rises[1]].mean()) if rises[1].any() else float("nan")


def turning(values: ArrayLike) -> int:
    """Place of the minimum of a curve's running mean over five records.

    >>> turning([9, 7, 5, 3, 1, 3, 5, 7, 9])
    4
    """
    return int(uniform_filter1d(np.asarray(values, dtype=float), 5, mode="nearest").argmin())


def columns(records: Mapping[str, NDArray]) -> dict[str, list[float]]:
    """What an `EpochWatch` recorded, as a table: an epoch a row, "top_g 0" and so on by rank.

    >>> columns({"score": np.ones(2), "top_g": np.array([[3.0, 1.0], [4.0, 2.0]])})
    {'epoch': [1, 2], 'score': [1.0, 1.0], 'top_g 0': [3.0, 4.0], 'top_g 1': [1.0, 2.0]}
    """
    table: dict[str, list[float]] = {"epoch": list(range(1, len(records["score"]) + 1))}
    for name, values in records.items():
        if values.ndim == 1:
            table[name] = values.tolist()
        else:
            table |= {f"{name} {k}": column.tolist() for k, column in enumerate(values.T)}
    return table


def _correlation(a: ArrayLike, b: ArrayLike, method: str) -> float:
    """NaN where a curve does not change but for rounding, or has fewer than three points."""
    a, b = pd.Series(a, dtype=float), pd.Series(b, dtype=float)
    spread = min(np.ptp(a), np.ptp(b)) if len(a) > 2 else 0.0
    scale = max(a.abs().max(), b.abs().max())
    return float(a.corr(b, method=method)) if spread > 1e-12 * scale else float("nan")
