"""Curves and shares over one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from helpers.figures.style import styled


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
        axes.set_xticks(places, [f"{place:,.4g}" for place in places])
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


def _apart(x: Sequence[float]) -> list[float]:
    """Positions on a logarithmic axis whose labels do not touch, from the smallest on."""
    places: list[float] = []
    least = 0.09 * np.log(max(x) / min(x))
    for place in sorted(x):
        if not places or np.log(place / places[-1]) >= least:
            places.append(place)
    return places
