"""Planes beside trainings, and several measurements of the same GANs in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from numpy.typing import NDArray
from scipy.stats import rankdata

from helpers.analysis.surfaces import ProjectedPath
from helpers.figures.style import INK, PALETTE, WHITE, panel_rows, right_axis, styled

Numbers = NDArray[np.float64]


@styled
def loss_planes(
    panels: Mapping[str, tuple[Numbers, Numbers, Numbers, ProjectedPath]],
    labels: Mapping[str, tuple[str, str]],
    *,
    bar: str,
) -> Figure:
    """A loss over planes, and on each a training on its way to (0, 0), which has the star.

    Args:
        panels: x (a,), y (b,), heights (a, b) and the path, by title.
        labels: names of both axes, by title.
        bar: name of the heights.
    """
    figure, axes_rows = panel_rows(len(panels), 2, width=4.3)
    for axes, (title, (x, y, heights, path)) in zip(axes_rows.flat, panels.items(), strict=False):
        filled = axes.contourf(x, y, heights.T, levels=24, cmap="viridis")
        axes.contour(x, y, heights.T, levels=12, colors=[WHITE], linewidths=0.4, alpha=0.5)
        axes.plot(*path.places.T, color=WHITE, marker=".", markersize=6, linewidth=1.2)
        axes.plot(0, 0, "*", color=WHITE, markersize=14, markeredgecolor="#000")
        axes.set(title=title, xlabel=labels[title][0], ylabel=labels[title][1])
        axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        axes.grid(visible=False)
        # As many digits as tell the ticks apart.
        figure.colorbar(filled, ax=axes, label=bar, format=ScalarFormatter(useOffset=False))
    return figure


@styled
def told_and_true(panels: Mapping[str, tuple[Numbers, ProjectedPath]], *, xlabel: str) -> Figure:
    """What a plane says of a training's loss beside what it was, and the share it holds (dotted).

    Args:
        panels: positions (m,) and the path, by title.
        xlabel: name of the positions.
    """
    figure, axes_rows = panel_rows(len(panels), 2, width=4.3)
    last = [*axes_rows[:, -1], axes_rows.flat[len(panels) - 1]]  # of each row
    for axes, (title, (place, path)) in zip(axes_rows.flat, panels.items(), strict=False):
        for number, (name, values) in enumerate(
            {
                "on the plane": path.plane_loss,
                "own weights as they were": path.held_loss,
                "both as they were": path.true_loss,
            }.items()
        ):
            look = {"color": PALETTE[number], "linestyle": ("-", "--", "-.")[number]}
            axes.plot(place, values, marker="os^"[number], markersize=4, label=name, **look)
        share = right_axis(axes)
        share.plot(place, path.share, ":", color=INK, linewidth=1.4, label="share held (right)")
        share.set(ylim=(0, 1))
        axes.set(title=title, xlabel=xlabel, yscale="log")
        if axes in last:
            share.set_ylabel("share of the displacement")
    for axes in axes_rows[:, 0]:
        axes.set_ylabel("loss")
    handles = [*axes_rows[0, 0].get_lines(), *share.get_lines()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@styled
def lenses(
    rows: Sequence[str], columns: Mapping[str, Sequence[float]], *, shown: Mapping[str, str]
) -> Figure:
    """A table with a colour: GANs in rows, measurements in columns, each column ranked apart.

    Args:
        rows: names of the GANs.
        columns: a number a row, by name of the measurement; NaN where there is none.
        shown: format of each measurement.
    """
    figure, axes = plt.subplots(figsize=(1.5 + 1.2 * len(columns), 1.1 + 0.36 * len(rows)))
    ranks = np.full((len(rows), len(columns)), np.nan)
    for number, values in enumerate(columns.values()):
        known = np.isfinite(values)
        order = rankdata(np.asarray(values)[known], method="dense") - 1  # equals share a colour
        ranks[known, number] = order / max(order.max(initial=0), 1)
    axes.imshow(ranks, cmap="viridis", aspect="auto", vmin=-0.15, vmax=1.15)
    for number, (name, values) in enumerate(columns.items()):
        for row, value in enumerate(values):
            dark = not ranks[row, number] > 0.6
            text = format(value, shown[name]) if np.isfinite(value) else "none"
            color = WHITE if dark else "#000000"
            axes.text(number, row, text, ha="center", va="center", color=color, fontsize=10)
    axes.set_xticks(range(len(columns)), [fill(name, 13) for name in columns])
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure
