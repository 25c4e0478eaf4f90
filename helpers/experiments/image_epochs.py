"""The image experiments of Durall et al. 2021: NSGAN and NuGAN, epoch by epoch, on four sets.

`image_epochs_training` trains them, `image_epochs_course` says what is read off a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pandas import DataFrame, concat

from helpers.experiments.image_epochs_course import LEAST, densities_of, row_of, thinned
from helpers.experiments.image_epochs_training import Setting, Size, train
from helpers.experiments.protocol import Measured, Quantity, Reading, Rows, Until, Wanted
from helpers.training.nudging import Nudging

__all__ = [
    "ARMS",  # each set with NSGAN and NuGAN, and what NuGAN may have been on MNIST
    "KINDS",  # NSGAN and NuGAN
    "PAPER_SETS",  # the paper's sets of images
    "QUANTITIES",  # what claims are judged on
    "READINGS",  # what the paper may have meant by NuGAN
    "SIZES",  # how much is run
    "TABLE_1",  # the scores that the paper prints
    "VERSION",  # of a run's numbers
    "WANTED",  # which runs are to be had
    "Setting",  # what to train
    "Size",  # how long and on how much, and how closely it is looked at
    "measure",  # the numbers of a run
    "train",  # the training of a run
]

VERSION = 1

KINDS = ("NSGAN", "NuGAN")
PAPER_SETS = ("mnist", "kmnist", "fashion-mnist", "emnist")
# Inception scores over training: NSGAN's mean and maximum, NuGAN's mean and maximum.
TABLE_1 = {
    "mnist": (4.30, 7.03, 7.14, 8.46),
    "kmnist": (5.24, 6.50, 6.12, 7.20),
    "fashion-mnist": (5.74, 6.82, 6.35, 7.20),
    "emnist": (3.77, 7.02, 8.53, 7.67),
}

_PRINTED = Nudging()
_STALE = Nudging(every=500)
_STEP = Nudging(project="step")
_STALE_STEP = Nudging(project="step", every=500)
_STEP_OF_G = Nudging(project="step", players="G")
_ONE = Nudging(k=1)


def _ours(nudging: Nudging, why: str) -> Reading:
    return Reading(Setting(nudging=nudging), f"ours: {why}", stated=False)


READINGS = {
    "as printed": Reading(
        Setting(nudging=_PRINTED),
        "Section 4.3, eq. 12: out of both players' gradients; that there are 5 directions, found "
        "anew every 50 steps, is ours",
    ),
    "every 500 steps": _ours(_STALE, "the directions may be found as rarely as they are shown"),
    "step": _ours(_STEP, "what Adam makes of the gradient may be projected"),
    "step, every 500 steps": _ours(_STALE_STEP, "both of these"),
    "step of G": _ours(_STEP_OF_G, "of G alone, which helps on a ring of Gaussians"),
    "one direction": _ours(_ONE, "the paper does not give k"),
}

ARMS: dict[str, dict[str, Any]] = {
    f"{name} {kind}": {"data": name} | ({"nudging": None} if kind == "NSGAN" else {})
    for name in PAPER_SETS
    for kind in KINDS
}
_VARIANTS = {
    "NuGAN (step)": _STEP,
    "NuGAN, k 1": _ONE,
    "NuGAN, G only": Nudging(players="G"),
    "NuGAN, D only": Nudging(players="D"),
    "NuGAN, every 500": _STALE,
    "NuGAN (step), every 500": _STALE_STEP,
    "NuGAN, k 2, every 500": Nudging(k=2, every=500),
    "NuGAN (step), G only": _STEP_OF_G,
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

_FULL = "minutes each on a GPU, five to six hours on one core"
WANTED = [
    Wanted(
        ("as printed",),
        [f"{name} {kind}" for name in PAPER_SETS for kind in KINDS],
        "full",
        range(100, 106),
        f"A07 to A10, A13 to A19, A21 and A24, six seeds in place of legacy runs of two; {_FULL}",
    ),
    Wanted(
        tuple(READINGS)[1:],
        ["mnist NuGAN"],
        "full",
        range(1),
        f"which other NuGAN comes nearer to the paper, one seed to screen; {_FULL}",
    ),
    Wanted(
        ("as printed",),
        [f"mnist {kind}" for kind in _VARIANTS],
        "medium",
        range(100, 102),
        "what is varied of NuGAN, in place of legacy runs; some ten minutes each on one core",
    ),
]


def measure(
    setting: Setting,
    size: Size,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    data: Path | str | None = None,
    until: Until | None = None,
) -> Measured:
    """Train the GAN of a block, and read off it what claims and figures need.

    "members" has one row, of numbers that `image_epochs_course.summary` names, the judge's
    "accuracy", and what real images and noise score under it, "real" and "noise". "course" is the
    training at sixty epochs at most, "density" the spectra of both players at the size's stages.

    Args:
        setting, size, seed: what, how much, and the block.
        device: where to train and to measure.
        folder: of this run, for its checkpoints.
        data: the folder of the sets of images, as for `helpers.datasets.load`.
        until: asked in training.

    Raises:
        Paused: once `until` says so.
        FileNotFoundError: for images that are not there.

    >>> from dataclasses import replace
    >>> tiny = replace(SIZES["quick"], images=50, epochs=1, stages=(1, 1, 1), judge_epochs=1)
    >>> measure(Setting(), tiny, seed=0)["members"]["epochs"].tolist()
    [1.0]
    """
    trained = train(setting, size, seed=seed, device=device, folder=folder, data=data, until=until)
    return {
        "members": DataFrame([row_of(trained)]),
        "course": thinned(trained.course()),
        "density": densities_of(trained),
    }


def _seeds(rows: Rows, arm: str, column: str) -> list[float]:
    """A column of an arm; 0 where a correlation was of a curve that does not change."""
    return np.nan_to_num(rows[arm][column].to_numpy(dtype=float)).tolist()


def _by_seed(rows: Rows, arms: Sequence[str], column: str) -> DataFrame:
    """A row a seed that all of these arms have, a column an arm."""
    parts = [rows[arm].set_index(["block", "member"])[column].rename(arm) for arm in arms]
    return concat(parts, axis=1, join="inner").sort_index().fillna(0.0)


def _over_sets(column: str, how: str) -> Quantity:
    arms = [f"{name} NSGAN" for name in PAPER_SETS]
    return lambda rows: _by_seed(rows, arms, column).agg(how, axis=1).tolist()


def _of(arm: str, column: str) -> Quantity:
    return lambda rows: _seeds(rows, arm, column)


def _of_runs(column: str) -> Quantity:
    """Of all NSGANs, set by set."""
    arms = [f"{name} NSGAN" for name in PAPER_SETS]
    return lambda rows: [value for arm in arms for value in _seeds(rows, arm, column)]


_ON_MNIST = [f"mnist {kind}" for kind in KINDS]


def _over(column: str) -> Quantity:
    """NSGAN over NuGAN on MNIST, seed by seed."""

    def ratios(rows: Rows) -> list[float]:
        both = _by_seed(rows, _ON_MNIST, column)
        return (both[_ON_MNIST[0]] / both[_ON_MNIST[1]]).tolist()

    return ratios


def _sharper(rows: Rows) -> list[float]:
    return np.log10(_over("top_d_late")(rows)).tolist()


def _gain(name: str) -> Quantity:
    nsgan, nugan = arms = [f"{name} {kind}" for kind in KINDS]

    def gain(rows: Rows) -> list[float]:
        scores = _by_seed(rows, arms, "score_mean")
        return (scores[nugan] - scores[nsgan]).tolist()

    return gain


def _won(column: str) -> Quantity:
    """In how many sets NuGAN's median is the higher one."""

    def won(rows: Rows) -> int:
        medians = [
            [np.median(_seeds(rows, f"{name} {kind}", column)) for kind in KINDS]
            for name in PAPER_SETS
        ]
        return sum(bool(nugan > nsgan) for nsgan, nugan in medians)

    return won


def _better(column: str) -> Quantity:
    """Of the kind whose score away from an equilibrium is the higher one, on MNIST."""

    def better(rows: Rows) -> list[float]:
        arm = max(_ON_MNIST, key=lambda arm: np.median(_seeds(rows, arm, "score_away")))
        return _seeds(rows, arm, column)

    return better


def _table(name: str) -> dict[str, Quantity]:
    return {
        f"{kind.lower()}_{of}_is": _of(f"{name} {kind}", column)
        for kind in KINDS
        for of, column in (("mean", "score_mean"), ("max", "score_best"))
    }


def _size(arm: str, column: str) -> Quantity:
    """Powers of ten, as an axis shows them."""

    def size(rows: Rows) -> list[float]:
        return np.log10(np.maximum(rows[arm][column].to_numpy(dtype=float), LEAST)).tolist()

    return size


def _contradiction(rows: Rows) -> float:
    """The printed mean of NuGAN on EMNIST minus the printed maximum."""
    return TABLE_1["emnist"][2] - TABLE_1["emnist"][3]


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "A07": {
        "lowest_rank_correlation": _over_sets("ranks", "min"),
        "correlation_of_changes": _over_sets("changes", "mean"),
        "joint_rise_share": _over_sets("rising", "mean"),
    },
    "A08": {
        "correlation_kuzushiji": _of("kmnist NSGAN", "levels"),
        "correlation_fashion": _of("fashion-mnist NSGAN", "levels"),
        "correlation_emnist": _of("emnist NSGAN", "levels"),
    },
    "A09": {
        "is_against_g_eigenvalue": _of_runs("against_g"),
        "is_against_d_eigenvalue": _of_runs("against_d"),
        "changes_against_g_eigenvalue": _of_runs("against_changes"),
    },
    "A10": {
        "eigenvalue_turning_epoch": _of_runs("turning_epoch"),
        "is_peak_epoch": _of_runs("peak_epoch"),
        "classes_gained_after_25": _of_runs("modes_gained"),
    },
    "A13": {
        "nsgan_classes_at_160": _of("mnist NSGAN", "modes_late"),
        "nugan_classes_at_160": _of("mnist NuGAN", "modes_late"),
        "is_fluctuation": _over("score_spread"),
    },
    "A14": {
        "nsgan_g_min_over_max_eigenvalue": _of("mnist NSGAN", "lowest_g_highest"),
        "nugan_g_min_over_max_eigenvalue": _of("mnist NuGAN", "lowest_g_highest"),
        "g_gradient_norm_ratio": lambda rows: (
            _by_seed(rows, _ON_MNIST, "slope_late").max(axis=1).tolist()
        ),
    },
    "A15": {
        "nsgan_d_min_over_max_eigenvalue": _of("mnist NSGAN", "lowest_d_late"),
        "nugan_d_min_over_max_eigenvalue": _of("mnist NuGAN", "lowest_d_late"),
        "d_sharpening_trend": _of("mnist NSGAN", "sharpening_d"),
    },
    "A16": {"d_top_eigenvalue_at_160": _over("top_d_late"), "d_log_sharpness_gap": _sharper},
    "A17": {
        "nsgan_classes_lost": _of("mnist NSGAN", "modes_late"),
        "nsgan_g_spectrum_widening": _of("mnist NSGAN", "widening_g"),
        "nugan_g_spectrum_widening": _of("mnist NuGAN", "widening_g"),
        "width_against_classes": _of("mnist NSGAN", "width_against_modes"),
    },
    "A18-MNIST": _table("mnist") | {"nugan_mean_gain": _gain("mnist")},
    "A18-Kuzushiji": _table("kmnist") | {"nugan_mean_gain": _gain("kmnist")},
    "A18-Fashion": _table("fashion-mnist") | {"nugan_mean_gain": _gain("fashion-mnist")},
    "A18-EMNIST": _table("emnist") | {"printed_mean_minus_maximum": _contradiction},
    "A19": {
        "data_sets_with_higher_mean": _won("score_mean"),
        "data_sets_with_higher_max": _won("score_best"),
    },
    "A21": {
        "is_away_from_equilibrium": _better("score_away"),
        "g_min_over_max_eigenvalue_at_best_is": _better("lowest_g_at_best"),
    },
    "A24": {
        f"log_top_{player}_{called}": _size(f"{name} NSGAN", f"top_{player}_late")
        for called, name in zip(("kuzushiji", "fashion", "emnist"), PAPER_SETS[1:], strict=True)
        for player in "gd"
    }
    | {"top_d_mnist": _of("mnist NSGAN", "top_d_late")},
}
