"""Planes beside trainings, and several measurements of the same GANs in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray
from pandas import DataFrame
from scipy.stats import rankdata

from helpers.figures.style import INK, PALETTE, WHITE, panel_rows, right_axis, styled


@styled
def loss_planes(
    surface: DataFrame, path: DataFrame, planes: DataFrame, *, titles: Mapping[str, str]
) -> Figure:
    """A loss over planes, with a training on each, on its way to (0, 0), which a star marks.

    Args:
        surface: the heights. Rows with "player" and "plane", a panel for each pair of them, the
            place "x" along the first direction, and the logarithms of the loss "at 00" on, at
            evenly spaced places from -"reach" to "reach" along the second one.
        path: the training. Rows with "player", "plane", and its place ("first", "second").
        planes: a row per panel with "player", "plane", and the eigenvalues "first" and "second" of
            the directions.
        titles: of the planes, by name.

    `helpers.experiments.surfaces.measure` gives the frames of one training.

    >>> own, places = {"player": "G", "plane": "top"}, {"x": [-1, 1], "reach": 1}
    >>> surface = DataFrame({**own, **places, "at 00": [2, 1], "at 01": [1, 0]})
    >>> path = DataFrame({**own, "first": [1, 0], "second": [1, 0]})
    >>> planes = DataFrame({**own, "first": [9], "second": [4]})
    >>> axes = loss_planes(surface, path, planes, titles={"top": "two largest"}).axes[0]
    >>> axes.get_title(), axes.get_xlabel(), axes.get_ylabel()
    ('G: two largest', 'along eigenvalue 9', 'along eigenvalue 4')
    """
    groups = list(surface.groupby(["player", "plane"], sort=False))
    figure, axes_rows = panel_rows(len(groups), 2, width=4.3)
    for axes, ((player, plane), own) in zip(axes_rows.flat, groups, strict=False):
        heights = own.filter(regex="^at ").dropna(axis=1).to_numpy()
        x, reach = own["x"].to_numpy(), own["reach"].iloc[0]
        y = np.linspace(-reach, reach, heights.shape[1])
        filled = axes.contourf(x, y, heights.T, levels=_levels(heights), cmap="viridis")
        axes.contour(x, y, heights.T, levels=12, colors=[WHITE], linewidths=0.4, alpha=0.5)
        way = _of(path, player, plane)
        axes.plot(way["first"], way["second"], color=WHITE, marker=".", markersize=6, linewidth=1.2)
        axes.plot(0, 0, "*", color=WHITE, markersize=14, markeredgecolor="#000")
        curved = _of(planes, player, plane).iloc[0]
        axes.set(title=f"{player}: {titles[plane]}", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        axes.set_xlabel(f"along eigenvalue {_three_digits(curved['first'])}")
        axes.set_ylabel(f"along eigenvalue {_three_digits(curved['second'])}")
        axes.grid(visible=False)
        # As many digits as tell the ticks apart.
        digits = ScalarFormatter(useOffset=False)
        figure.colorbar(filled, ax=axes, label="log10 of the loss", format=digits)
    return figure


@styled
def told_and_true(path: DataFrame, *, titles: Mapping[str, str]) -> Figure:
    """What a plane says of a training's loss, what the loss was, and the plane's share (dotted).

    Args:
        path: rows with "player" and "plane", a panel for each pair of them, "epoch", "plane_loss",
            "held_loss" and "true_loss", as `helpers.analysis.ProjectedPath` names them, and the
            "share" of the displacement that is on the plane, drawn on a logarithmic axis.
        titles: of the planes, by name.

    >>> own = {"player": "G", "plane": "top", "epoch": [1, 2], "share": [0.5, 1.0]}
    >>> found = DataFrame({**own, "plane_loss": [3, 1], "held_loss": [4, 1], "true_loss": [5, 1]})
    >>> left, right = told_and_true(found, titles={"top": "two largest"}).axes
    >>> {line.get_label(): line.get_ydata()[0].item() for line in left.lines}
    {'on the plane': 3, 'own weights as they were': 4, 'both as they were': 5}
    """
    groups = list(path.groupby(["player", "plane"], sort=False))
    figure, axes_rows = panel_rows(len(groups), 2, width=4.3)
    last = [*axes_rows[:, -1], axes_rows.flat[len(groups) - 1]]  # the last panel of each row
    lowest = min([0.1, *path["share"][path["share"] > 0]])
    for axes, ((player, plane), own) in zip(axes_rows.flat, groups, strict=False):
        for number, (name, column) in enumerate(
            {
                "on the plane": "plane_loss",
                "own weights as they were": "held_loss",
                "both as they were": "true_loss",
            }.items()
        ):
            look = {"color": PALETTE[number], "linestyle": ("-", "--", "-.")[number]}
            look |= {"marker": "os^"[number], "label": name}
            axes.plot(own["epoch"], own[column], markersize=4, **look)
        share = right_axis(axes)
        name = "share held (right)"
        share.plot(own["epoch"], own["share"], ":", color=INK, linewidth=1.4, label=name)
        share.set(yscale="log", ylim=(lowest / 2, 1))  # a plane may hold a thousandth
        axes.set(title=f"{player}: {titles[plane]}", xlabel="epoch", yscale="log")
        if axes in last:
            share.set_ylabel("share of the displacement")
    for axes in axes_rows[:, 0]:
        axes.set_ylabel("loss")
    handles = [*axes_rows[0, 0].get_lines(), *share.get_lines()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@styled
def lenses(found: DataFrame, *, shown: Mapping[str, str]) -> Figure:
    """A coloured table: GANs in rows, measurements in columns, each column ranked on its own.

    Args:
        found: a row per GAN, a column per measurement; NaN where there is none.
        shown: format of each measurement, by column.

    >>> found = DataFrame({"score": [2.0, np.nan], "norm": [0.5, 0.25]}, index=["JS", "RS"])
    >>> axes = lenses(found, shown={"score": ".1f", "norm": ".2f"}).axes[0]
    >>> [text.get_text() for text in axes.texts]
    ['2.0', 'none', '0.50', '0.25']
    """
    figure, axes = plt.subplots(figsize=(1.5 + 1.2 * found.shape[1], 1.1 + 0.36 * len(found)))
    ranks = np.full(found.shape, np.nan)
    columns = {str(name): found[name].to_numpy() for name in found}
    for number, values in enumerate(columns.values()):
        known = np.isfinite(values)
        order = rankdata(values[known], method="dense") - 1  # equal values share a colour
        ranks[known, number] = order / max(order.max(initial=0), 1)
    axes.imshow(ranks, cmap="viridis", aspect="auto", vmin=-0.15, vmax=1.15)
    for number, (name, values) in enumerate(columns.items()):
        for row, value in enumerate(values):
            dark = not ranks[row, number] > 0.6
            text = format(value, shown[name]) if np.isfinite(value) else "none"
            if np.isfinite(value) and not float(text.replace(",", "")):
                text = text.lstrip("-")  # no minus zero
            color = WHITE if dark else "#000000"
            axes.text(number, row, text, ha="center", va="center", color=color, fontsize=11)
    axes.set_xticks(range(len(columns)), [fill(name, 13) for name in columns])
    axes.set_yticks(range(len(found)), found.index)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure


def _levels(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round levels that contain all heights; rounded ones may miss the ends by a last digit."""
    levels = np.array(MaxNLocator(25).tick_values(heights.min(), heights.max()))
    levels[[0, -1]] = min(levels[0], heights.min()), max(levels[-1], heights.max())
    return levels


def _of(rows: DataFrame, player: str, plane: str) -> DataFrame:
    return rows[(rows["player"] == player) & (rows["plane"] == plane)]


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
