"""NSGAN and NuGAN (Durall et al. 2021) as this book first read them: a DCGAN in large batches.

Its recorded runs stand beside those of `nudged_images`, whose nets do what the paper shows of its
NSGAN. `image_epochs_training` trains both, `image_epochs_course` says what is read off a training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame
from typing_extensions import Unpack

from helpers.experiments.image_epochs_course import densities_of, row_of, thinned
from helpers.experiments.image_epochs_training import Setting, Size, train
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Wanted
from helpers.training.nudging import Nudging

VERSION = 1

KINDS = ("NSGAN", "NuGAN")
PAPER_SETS = ("mnist", "kmnist", "fashion-mnist", "emnist")

READINGS = {
    "as printed": Reading(
        Setting(nudging=Nudging()),
        "Section 4.3, eq. 12: out of both players' gradients; that there are 5 directions, found "
        "anew every 50 steps, and the nets are ours",
    )
}

ARMS: dict[str, dict[str, Any]] = {
    f"{name} {kind}": {"data": name} | ({"nudging": None} if kind == "NSGAN" else {})
    for name in PAPER_SETS
    for kind in KINDS
}
_VARIANTS = {
    "NuGAN (step)": Nudging(project="step"),
    "NuGAN, k 1": Nudging(k=1),
    "NuGAN, G only": Nudging(players="G"),
    "NuGAN, D only": Nudging(players="D"),
    "NuGAN, every 500": Nudging(every=500),
    "NuGAN (step), every 500": Nudging(project="step", every=500),
    "NuGAN, k 2, every 500": Nudging(k=2, every=500),
    "NuGAN (step), G only": Nudging(project="step", players="G"),
}
ARMS |= {f"mnist {kind}": {"nudging": nudging} for kind, nudging in _VARIANTS.items()}

SIZES = {
    "quick": Size(
        images=700, epochs=4, width=3, latent=16, batch=50, hessian_images=8, score_samples=300,
        judge_epochs=10, stages=(1, 2, 4), keep_every=1, rate_factor=10, probes=1, steps=16,
        stand_in="digits",
        lacks="176 of 180 epochs, and the sets: scikit-learn's digits stand in for each",
    ),
    "medium": Size(
        images=6000, epochs=40, width=8, batch=50, hessian_images=100, score_samples=1000,
        judge_epochs=5, stages=(2, 20, 40), keep_every=2,
        lacks="140 of 180 epochs, 54,000 of 60,000 images",
    ),
    "full": Size(
        images=60_000, epochs=180, width=16, batch=512, hessian_images=200, score_samples=2000,
        judge_epochs=20, stages=(2, 25, 160), keep_every=20, lacks="nothing",
    ),
}  # fmt: skip

WANTED: list[Wanted] = []  # its runs are recorded; `nudged_images` has those to come
QUANTITIES: dict[str, dict[str, Quantity]] = {}  # no claim waits for this GAN


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Train the GAN of a block, and read off it what claims and figures need.

    "members" has one row: the numbers that `image_epochs_course.summary` names, the judge's
    "accuracy", and the scores of real images and noise under it, "real" and "noise". "course" is
    the training at sixty epochs at most, "density" the spectra of both players at the size's
    stages.

    `data` is the folder of the sets of images, as for `helpers.datasets.load`.

    Raises:
        FileNotFoundError: if images are missing.

    >>> from dataclasses import replace
    >>> tiny = replace(SIZES["quick"], images=50, epochs=1, stages=(1, 1, 1), judge_epochs=1)
    >>> measure(Setting(), tiny, seed=0)["members"]["epochs"].tolist()
    [1.0]
    """
    trained = train(setting, size, data=data, **how)
    return {
        "members": DataFrame([row_of(trained)]),
        "course": thinned(trained.course()),
        "density": densities_of(trained),
    }
