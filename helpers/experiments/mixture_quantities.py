"""What claims about the mixture of Berard et al. 2020 are judged by, from the members' rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas import DataFrame, Series

from helpers.experiments.ensembles import paired
from helpers.experiments.protocol import Quantity, Rows
from helpers.experiments.pull import remedies

_METHODS = ("extragradient", "optimism", "gradient penalty", "averaging, in turn")  # Section 6


def _seeds(rows: Rows, arm: str, column: str) -> list[float]:
    """A column of an arm's members that did not diverge."""
    values = rows[arm][column].dropna().astype(float).tolist()
    if not values:
        raise KeyError(f"every member of {arm} has diverged")
    return values


def _median(rows: Rows, arm: str, column: str) -> float:
    return float(np.median(_seeds(rows, arm, column)))


def _lasting(rows: Rows) -> str:
    """The WGAN-GP whose ends count: as printed if all last, else the one with more that do."""
    if (rows["wgan-gp"]["diverged"] == 0).all():
        return "wgan-gp"
    arms = ("wgan-gp", "wgan-gp, sigma 1")
    return min(arms, key=lambda arm: float((rows[arm]["diverged"] > 0).mean()))


def _of_loss(column: str, choose: Any) -> Quantity:
    """Seeds of NSGAN or of WGAN-GP: `choose`, max or min, picks the loss by its median."""

    def seeds(rows: Rows) -> list[float]:
        arm = choose(("nsgan", _lasting(rows)), key=lambda arm: _median(rows, arm, column))
        return _seeds(rows, arm, column)

    return seeds


def _pairs(rows: Rows, one: str, other: str, column: str, column_of_other: str = "") -> DataFrame:
    """Two arms from the same start, a row per member that diverged in neither."""
    found = paired(rows, one, other, column, column_of_other).dropna().astype(float)
    if not len(found):
        raise KeyError(f"every member of {one} or of {other} has diverged")
    return found


def _settled(rows: Rows) -> str:
    """The norm of extragradient that serves the paper best: of the iterate, or one step ahead."""
    return min(("late", "ahead"), key=lambda where: _median(rows, "nsgan", f"{where}_norm"))


def _late(what: str) -> Quantity:
    """Descent's late norm, or its spread, over extragradient's from the same start."""

    def ratios(rows: Rows) -> list[float]:
        mine = f"{_settled(rows)}_{what}"
        both = _pairs(rows, "nsgan descent", "nsgan", f"late_{what}", mine)
        return (both["one"] / both["other"]).tolist()

    return ratios


def _finite(rows: Rows) -> list[float]:
    """Iterations that both losses lasted, by seed."""
    return paired(rows, "nsgan", "wgan-gp", "finite_iterations").min(axis=1).tolist()


def _quotients(rows: Rows, arm: str) -> Series:
    """Height of the path-angle over its level, seed by seed."""
    own = rows[arm][["height", "level"]].dropna().astype(float)
    if not len(own):
        raise KeyError(f"every member of {arm} has diverged")
    return own["height"] / own["level"]


def _bump(rows: Rows) -> list[float]:
    """The quotients of the loss for which they are smaller."""
    found = [_quotients(rows, arm) for arm in ("nsgan", _lasting(rows))]
    return min(found, key=lambda own: float(own.median())).tolist()


def _lean(rows: Rows) -> list[float]:
    """WGAN-GP's lean minus NSGAN's from the same start."""
    both = _pairs(rows, _lasting(rows), "nsgan", "lean")
    return (both["one"] - both["other"]).tolist()


def _sharper(rows: Rows) -> list[float]:
    """Sharpness of NSGAN's D over that of WGAN-GP's from the same start."""
    both = _pairs(rows, "nsgan", _lasting(rows), "sharpness")
    return (both["one"] / both["other"]).tolist()


def _of_seeds(arm: str, column: str) -> Quantity:
    return lambda rows: _seeds(rows, arm, column)


def _of_lasting(column: str) -> Quantity:
    return lambda rows: _seeds(rows, _lasting(rows), column)


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "B16": {
        "extragradient_final_norm": lambda rows: _seeds(rows, "nsgan", f"{_settled(rows)}_norm"),
        "late_norm": _late("norm"),
        "late_norm_spread": _late("spread"),
    },
    "B17": {
        "mog_bump": _bump,
        "mog_nsgan_sign_switches": _of_seeds("nsgan", "switches"),
        "mog_wgan_gp_sign_switches": _of_lasting("switches"),
    },
    "B19": {"mog_relative_norm": _of_loss("relative_norm", max)},
    "B20": {"mog_imaginary_share": _of_loss("imaginary_share", min)},
    "B21": {
        "mog_nsgan_top_real_part": _of_seeds("nsgan", "lowest_leading"),
        "mog_nsgan_full_real_part": _of_seeds("nsgan", "lowest"),
        "mog_wgan_gp_top_real_part": _of_lasting("lowest_leading"),
    },
    "B22": {"mog_lean": _lean},
    "B23": {"mog_negative_curvature": _of_loss("negative_curvature", max)},
    "B24": {"mog_sharpness": _sharper},
    "B30": {"finite_iterations": _finite},
    "B35": {
        "descent_log_ratio": lambda rows: remedies()["descent"],
        "slowest_remedy_log_ratio": lambda rows: max(remedies()[name] for name in _METHODS),
        "advantage_without_rotation": lambda rows: (
            remedies()["descent alone"] - remedies()["extragradient alone"]
        ),
        "mog_late_norm": _late("norm"),
    },
}
