"""Curves, shares and bars over one axis, and one quantity on a line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray
from pandas import DataFrame

from helpers.figures.style import INK, PALETTE, styled


@styled
def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    marker: str = "o",
    log: Sequence[str] = (),
) -> Figure:
    """Named curves over one axis, each with its own line style, and a legend beside them.

    Args:
        x: (k,) positions.
        lines: (k,) values by name.
        xlabel, ylabel: names of the axes.
        marker: of the points, "" for none.
        log: the axes, of "x" and "y", that are logarithmic.

    >>> axes = curves([1, 2], {"G": [3, 4], "D": [5, 6]}, xlabel="step", ylabel="loss").axes[0]
    >>> axes.get_ylabel(), [(line.get_label(), line.get_ydata().tolist()) for line in axes.lines]
    ('loss', [('G', [3, 4]), ('D', [5, 6])])
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    styles = ("-", "--", ":", "-.")
    for number, (name, y) in enumerate(lines.items()):
        axes.plot(x, y, marker=marker, linestyle=styles[number % len(styles)], label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, **{f"{axis}scale": "log" for axis in log})
    if "x" in log and len(x) <= 6:  # matplotlib's own labels overlap where there are few decades
        places = _apart(x)
        # A format by digits would write ten thousand and more as powers of ten.
        names = [f"{place:,.0f}" if place >= 1000 else f"{place:.4g}" for place in places]
        axes.set_xticks(places, names)
        axes.xaxis.set_minor_locator(NullLocator())
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def shares(
    x: Sequence[float],
    counts: Mapping[str, NDArray[np.float64]],
    *,
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Shares between 0 and 1 over a logarithmic axis, with their intervals.

    Args:
        x: (k,) positive positions.
        counts: (k, 3) share and ends of its interval, by name.

    >>> counts = {"JS": np.array([[0.5, 0.4, 0.6], [0.0, 0.0, 0.1]])}
    >>> axes = shares([0.1, 1], counts, xlabel="rate", ylabel="recovered").axes[0]
    >>> axes.get_xscale(), axes.get_ylabel(), axes.containers[0].lines[0].get_ydata().tolist()
    ('log', 'recovered', [0.5, 0.0])
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    for number, (name, (share, low, high)) in enumerate((n, c.T) for n, c in counts.items()):
        bars = [share - low, high - share]
        axes.errorbar(x, share, bars, marker="os^"[number], capsize=3, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale="log", ylim=(-0.04, 1.04))
    axes.set_xticks(x, [f"{place:g}" for place in x])
    axes.minorticks_off()
    axes.legend(loc="upper right")
    return figure


@styled
def gaps(found: DataFrame, *, heights: Mapping[str, str]) -> Figure:
    """Bars over the widths of nets: a row of panels per height, and a column per data set.

    Args:
        found: rows with "data_set", "width", "net" (a colour each) and the columns of `heights`,
            one row for each bar; all are drawn in the order in which they come.
        heights: label of the vertical axis by column of `found`.

    >>> found = DataFrame({"data_set": "STL-10", "width": ["regular", "half"], "net": "CNN"})
    >>> axes = gaps(found.assign(gap=[-2, 5]), heights={"gap": "FID gap"}).axes[0]
    >>> axes.get_title(), axes.get_ylabel(), [float(bar.get_height()) for bar in axes.containers[0]]
    ('STL-10', 'FID gap', [-2.0, 5.0])
    """
    sets, widths, nets = (list(dict.fromkeys(found[name])) for name in ("data_set", "width", "net"))
    figure, panels = plt.subplots(
        len(heights),
        len(sets),
        figsize=(3.8 * len(sets), 2.6 * len(heights)),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    thick = 0.8 / len(nets)
    for across, (height, ylabel) in zip(panels, heights.items(), strict=True):
        for axes, data_set in zip(across, sets, strict=True):
            for number, net in enumerate(nets):
                own = found[(found["data_set"] == data_set) & (found["net"] == net)]
                middle = own["width"].map(widths.index) + (number - (len(nets) - 1) / 2) * thick
                axes.bar(middle, own[height], 0.9 * thick, color=f"C{number}", label=net)
            axes.axhline(0, color=INK, linewidth=1)
        across[0].set_ylabel(ylabel)
    for axes, data_set in zip(panels[0], sets, strict=True):
        axes.set_title(data_set)
    for axes in panels[-1]:
        axes.set_xlabel("width of the nets")
        axes.set_xticks(range(len(widths)), widths)
    panels[0, -1].legend(loc="upper right", fontsize=9)
    return figure


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


def _apart(x: Sequence[float]) -> list[float]:
    """Positions on a logarithmic axis whose labels do not touch, from the smallest on."""
    places: list[float] = []
    least = 0.09 * np.log(max(x) / min(x))
    for place in sorted(x):
        if not places or np.log(place / places[-1]) >= least:
            places.append(place)
    return places


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
