"""Where trainings end: norms on the way, densities, relations over seeds, own spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame

from helpers.figures.style import INK, PLAYER_COLOURS, panel_row, styled


@styled
def bands(
    panels: Mapping[str, Mapping[str, DataFrame]], *, x: str, ylabel: str, log: bool = True
) -> Figure:
    """Median and quartiles over seeds along a training: a panel per setting.

    Args:
        panels: frames with columns `x`, "low" and "high" (the quartiles) and "middle" (the
            median), by setting and name of the line.
        x: the column of positions, and the name of its axis.
        ylabel: name of the other axis.
        log: whether that is logarithmic.

    >>> norms = DataFrame({"step": [0, 9], "low": [1, 2], "middle": [2, 4], "high": [3, 8]})
    >>> axes = bands({"width 8": {"G": norms}}, x="step", ylabel="norm").axes[0]
    >>> axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), axes.lines[0].get_ydata().tolist()
    ('width 8', 'step', 'norm', [2, 4])
    """
    figure, axes_row = panel_row(len(panels), (0.8 + 3.1 * len(panels), 3.8))
    for axes, (title, groups) in zip(axes_row, panels.items(), strict=True):
        for number, (name, table) in enumerate(groups.items()):
            look = {"color": f"C{number}", "linestyle": ("-", "--", ":")[number % 3]}
            axes.plot(table[x], table["middle"], label=name, **look)
            axes.fill_between(
                table[x], table["low"], table["high"], color=f"C{number}", alpha=0.3, linewidth=0
            )
        axes.set(title=title, xlabel=x, yscale="log" if log else "linear")
    axes_row[0].set_ylabel(ylabel)
    # Above the panels: beside three of them, it would make all letters too small on a page.
    named = axes_row[-1].get_legend_handles_labels()
    figure.legend(*named, loc="outside upper left", ncols=4)
    return figure


@styled
def related(
    groups: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    *,
    xlabel: str,
    ylabel: str,
    log: Sequence[str] = ("x", "y"),
) -> Figure:
    """A mark a seed in a plane, another mark for each group.

    Args:
        groups: x and y of the seeds, (S,) each, by name, positive where an axis is logarithmic.
        xlabel, ylabel: names of the axes.
        log: the axes, of "x" and "y", that are logarithmic.

    >>> seeds = {"JS": (np.array([1.0, 2.0]), np.array([3.0, 4.0]))}
    >>> axes = related(seeds, xlabel="norm", ylabel="loss").axes[0]
    >>> axes.get_xlabel(), axes.get_xscale(), axes.collections[0].get_offsets().tolist()
    ('norm', 'log', [[1.0, 3.0], [2.0, 4.0]])
    """
    figure, axes = plt.subplots(figsize=(5.6, 3.8))
    for number, (name, (x, y)) in enumerate(groups.items()):
        look: dict[str, Any] = {"marker": "os^Dv"[number % 5], "color": f"C{number % 6}"}
        axes.scatter(x, y, s=26, alpha=0.8, label=name, linewidth=0, **look)
    axes.set(xlabel=xlabel, ylabel=ylabel, **{f"{axis}scale": "log" for axis in log})
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def histograms(panels: Mapping[str, DataFrame], truth: DataFrame) -> Figure:
    """Histograms of generated points, a thin line per seed, over the true density (shaded).

    Args:
        panels: frames with columns "block" and "member" (the seed), "x" and "density", by title.
        truth: a frame with columns "x" and "density".

    >>> truth = DataFrame({"x": [0, 1], "density": [1, 1]})
    >>> two = {"block": 0, "member": [0, 0, 1, 1], "x": [0, 1, 0, 1], "density": [1, 2, 3, 4]}
    >>> axes = histograms({"JS": DataFrame(two)}, truth).axes[0]
    >>> axes.get_title(), axes.get_ylabel(), [line.get_ydata().tolist() for line in axes.lines]
    ('JS', 'density', [[1, 2], [3, 4]])
    """
    figure, axes_row = panel_row(len(panels), (2.8 * len(panels), 3))
    for axes, (title, frame) in zip(axes_row, panels.items(), strict=True):
        axes.fill_between(truth["x"], truth["density"], color=INK, alpha=0.22, linewidth=0)
        look = {"color": PLAYER_COLOURS["G"], "linewidth": 0.9, "alpha": 0.8}
        for _, seed in frame.groupby(["block", "member"]):
            axes.step(seed["x"], seed["density"], where="mid", **look)
        axes.set(title=title, xlabel="x")
    axes_row[0].set_ylabel("density")
    return figure


@styled
def own_spectra(panels: Mapping[str, DataFrame]) -> Figure:
    """Quantiles of the players' own eigenvalues, a thin line per seed, logarithmic with a sign.

    Args:
        panels: frames with columns "block" and "member" (the seed), "share" (of the
            eigenvalues that lie below), "g" and "d" (each player's eigenvalue there), by title.

    >>> seed = {"block": 0, "member": 0, "share": [0.5, 1.0], "g": [-1.0, 2.0], "d": [3.0, 4.0]}
    >>> axes = own_spectra({"JS": DataFrame(seed)}).axes[0]
    >>> [(line.get_label(), line.get_ydata().tolist()) for line in axes.lines[1:]]
    [('G', [-1.0, 2.0]), ('D', [3.0, 4.0])]
    """
    figure, axes_row = panel_row(len(panels), (0.8 + 2.6 * len(panels), 3.2))
    for axes, (title, frame) in zip(axes_row, panels.items(), strict=True):
        axes.axhline(0, color=INK, linewidth=1)
        for number, (_, seed) in enumerate(frame.groupby(["block", "member"])):
            for player, line in (("G", "-"), ("D", "--")):
                look = {"color": PLAYER_COLOURS[player], "linestyle": line, "linewidth": 0.9}
                name = None if number else player
                axes.plot(seed["share"], seed[player.lower()], label=name, **look)
        axes.set_yscale("symlog", linthresh=1e-4)
        axes.set_yticks([-1, -1e-2, 0, 1e-2, 1, 100])
        axes.set(title=title, xlabel="share below")
    axes_row[0].set_ylabel("eigenvalue")
    axes_row[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
