"""One quantity on a line: its seeds, their median and interval, and what its rule asks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from helpers.figures.style import INK, PALETTE, styled


@styled
def quantity_strip(
    value: float | Sequence[float],
    rule: Mapping[str, Any],
    interval: tuple[float, float] | None = None,
) -> Figure:
    """A measured quantity and the region in which its rule holds, shaded, or a line for one value.

    Args:
        value: a number, or one number per seed.
        rule: of the quantity, as in data/claims.json: what is asked of each value.
        interval: of the median.

    >>> figure = quantity_strip([1.0, 2.0, 4.0], {"rule": "at_most", "paper": 3}, (1.0, 4.0))
    >>> [line.get_xdata().tolist() for line in figure.axes[0].lines][-1]
    [2.0]
    """
    figure, axes = plt.subplots(figsize=(4.6, 1.0))
    seeds = sorted(value) if isinstance(value, Sequence) else [value]
    low, high = _region(rule)
    ends = [end for end in (low, high) if math.isfinite(end)]
    left, right = min([*seeds, *ends]), max([*seeds, *ends])
    room = 0.08 * ((right - left) or abs(left) or 1.0)
    axes.set_xlim(left - room, right + room)
    if high - low > 0.01 * (right - left):
        low, high = max(low, left - room), min(high, right + room)
        axes.axvspan(low, high, color=PALETTE[1], alpha=0.22, lw=0)
    else:  # too narrow to be seen
        axes.axvline((low + high) / 2, color=PALETTE[1], linewidth=3)
    if len(seeds) > 1:
        axes.plot(seeds, [0.0] * len(seeds), "|", color=INK, alpha=0.35, markersize=16)
    if interval:
        axes.plot(interval, [0.0, 0.0], "-", color=PALETTE[0], linewidth=5, solid_capstyle="butt")
    axes.plot([median(seeds)], [0.0], "o", color=PALETTE[0], markersize=9)
    axes.set_yticks([])
    axes.set_ylim(-1, 1)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    return figure


def _region(rule: Mapping[str, Any]) -> tuple[float, float]:
    """The range in which a value satisfies a rule; for a share of seeds, the rule for each."""
    if rule["rule"] == "fraction":
        return _region(rule["each"])
    paper = rule["paper"]
    if rule["rule"] == "sign" and paper:
        return (rule["margin"], math.inf) if paper > 0 else (-math.inf, -rule["margin"])
    width = rule["within"] if rule["rule"] == "equal" else rule.get("margin", 0.0)
    return {
        "at_most": (-math.inf, paper),
        "at_least": (paper, math.inf),
    }.get(rule["rule"], (paper - width, paper + width))
