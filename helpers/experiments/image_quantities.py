"""What the claims of Durall et al. 2021 about images are judged by, from the rows of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pandas import DataFrame, concat

from helpers.experiments.image_epochs import KINDS, PAPER_SETS
from helpers.experiments.image_epochs_course import LEAST
from helpers.experiments.protocol import Quantity, Rows

# Inception scores over training: NSGAN's mean and maximum, NuGAN's mean and maximum.
TABLE_1 = {
    "mnist": (4.30, 7.03, 7.14, 8.46),
    "kmnist": (5.24, 6.50, 6.12, 7.20),
    "fashion-mnist": (5.74, 6.82, 6.35, 7.20),
    "emnist": (3.77, 7.02, 8.53, 7.67),
}


def _seeds(rows: Rows, arm: str, column: str) -> list[float]:
    """A column of an arm; 0 for the correlation of a constant curve."""
    return np.nan_to_num(rows[arm][column].to_numpy(dtype=float)).tolist()


def _by_seed(rows: Rows, arms: Sequence[str], column: str) -> DataFrame:
    """A row per seed that all these arms have, a column per arm."""
    parts = [rows[arm].set_index(["block", "member"])[column].rename(arm) for arm in arms]
    return concat(parts, axis=1, join="inner").sort_index().fillna(0.0)


def _over_sets(column: str, how: str) -> Quantity:
    arms = [f"{name} NSGAN" for name in PAPER_SETS]
    return lambda rows: _by_seed(rows, arms, column).agg(how, axis=1).tolist()


def _of(arm: str, column: str) -> Quantity:
    return lambda rows: _seeds(rows, arm, column)


def _of_hardest(column: str, off: Callable[[float], float]) -> Quantity:
    """A column of the NSGANs on the set where its median is farthest `off` from what is said."""
    arms = [f"{name} NSGAN" for name in PAPER_SETS]

    def of_set(rows: Rows) -> list[float]:
        found = [_seeds(rows, arm, column) for arm in arms]
        return max(found, key=lambda own: float(np.median([off(value) for value in own])))

    return of_set


_ON_MNIST = [f"mnist {kind}" for kind in KINDS]


def _over(column: str) -> Quantity:
    """NSGAN over NuGAN on MNIST, seed by seed."""

    def ratios(rows: Rows) -> list[float]:
        both = _by_seed(rows, _ON_MNIST, column)
        return (both[_ON_MNIST[0]] / both[_ON_MNIST[1]]).tolist()

    return ratios


def _sharper(rows: Rows) -> list[float]:
    return np.log10(_over("top_d_late")(rows)).tolist()


def _from_25(epoch: float) -> float:
    return abs(epoch - 25)


def _gain(name: str, column: str) -> Quantity:
    nsgan, nugan = arms = [f"{name} {kind}" for kind in KINDS]

    def gain(rows: Rows) -> list[float]:
        scores = _by_seed(rows, arms, column)
        return (scores[nugan] - scores[nsgan]).tolist()

    return gain


def _won(column: str) -> Quantity:
    """In how many sets NuGAN is the higher one, for the seeds that all sets have of both."""

    def won(rows: Rows) -> list[int]:
        arms = [f"{name} {kind}" for name in PAPER_SETS for kind in KINDS]
        found = _by_seed(rows, arms, column)
        higher = [found[f"{name} NuGAN"] > found[f"{name} NSGAN"] for name in PAPER_SETS]
        return concat(higher, axis=1).sum(axis=1).tolist()

    return won


def _better(column: str) -> Quantity:
    """A column of the kind whose score away from an equilibrium is the higher one, on MNIST."""

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


def _gains(name: str) -> dict[str, Quantity]:
    return {f"nugan_{of}_gain": _gain(name, f"score_{of}") for of in ("mean", "best")}


def _size(arm: str, column: str) -> Quantity:
    """Powers of ten, as an axis shows them."""

    def size(rows: Rows) -> list[float]:
        return np.log10(np.maximum(rows[arm][column].to_numpy(dtype=float), LEAST)).tolist()

    return size


def _contradiction(rows: Rows) -> float:
    """The printed mean of NuGAN on EMNIST minus the printed maximum."""
    return TABLE_1["emnist"][2] - TABLE_1["emnist"][3]


# What is said of where NuGAN arrives is about a NuGAN that has learnt: a flat or unmoved one that
# never did would otherwise be on the paper's side.
_LEARNT = {"nugan_best_is": _of("mnist NuGAN", "score_best")}

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
        "correlation_kuzushiji_is_strong": _of("kmnist NSGAN", "levels"),
        "correlation_fashion_is_strong": _of("fashion-mnist NSGAN", "levels"),
        "correlation_emnist_is_strong": _of("emnist NSGAN", "levels"),
    },
    "A09": {
        "is_against_g_eigenvalue": _of_hardest("against_g", float),
        "is_against_d_eigenvalue": _of_hardest("against_d", float),
        "changes_against_g_eigenvalue": _of_hardest("against_changes", float),
    },
    "A10": {
        "eigenvalue_turning_epoch": _of_hardest("turning_epoch", _from_25),
        "is_peak_epoch": _of_hardest("peak_epoch", _from_25),
        "classes_gained_after_25": _of_hardest("modes_gained", float),
    },
    "A13": {
        "nsgan_classes_at_160": _of("mnist NSGAN", "modes_late"),
        "nugan_classes_at_160": _of("mnist NuGAN", "modes_late"),
        "is_fluctuation": _over("score_spread"),
    },
    "A14": _LEARNT
    | {
        "nsgan_g_min_over_max_eigenvalue": _of("mnist NSGAN", "lowest_g_highest"),
        "nugan_g_min_over_max_eigenvalue": _of("mnist NuGAN", "lowest_g_highest"),
        "g_gradient_norm_ratio": lambda rows: (
            _by_seed(rows, _ON_MNIST, "slope_late").max(axis=1).tolist()
        ),
    },
    "A15": _LEARNT
    | {
        "nsgan_d_min_over_max_eigenvalue": _of("mnist NSGAN", "lowest_d_late"),
        "nugan_d_min_over_max_eigenvalue": _of("mnist NuGAN", "lowest_d_late"),
        "d_sharpening_trend": _of("mnist NSGAN", "sharpening_d"),
    },
    "A16": _LEARNT
    | {"d_top_eigenvalue_at_160": _over("top_d_late"), "d_log_sharpness_gap": _sharper},
    "A17": _LEARNT
    | {
        "nsgan_classes_lost": _of("mnist NSGAN", "modes_late"),
        "nsgan_g_spectrum_widening": _of("mnist NSGAN", "widening_g"),
        "nugan_g_spectrum_widening": _of("mnist NuGAN", "widening_g"),
        "width_against_classes": _of("mnist NSGAN", "width_against_modes"),
    },
    "A18-MNIST": _table("mnist") | _gains("mnist"),
    "A18-Kuzushiji": _table("kmnist") | _gains("kmnist"),
    "A18-Fashion": _table("fashion-mnist") | _gains("fashion-mnist"),
    "A18-EMNIST": _table("emnist") | {"printed_mean_minus_maximum": _contradiction},
    "A19": {
        "sets_won_by_mean": _won("score_mean"),
        "sets_won_by_max": _won("score_best"),
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
