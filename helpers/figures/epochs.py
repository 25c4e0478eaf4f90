"""Curvature along trainings, and several measurements of the same GANs in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter
from numpy.typing import NDArray
from pandas import DataFrame
from scipy.stats import rankdata

from helpers.figures.style import INK, PALETTE, PLAYER_COLOURS, WHITE, panel_rows, styled

Numbers = NDArray[np.float64]


@styled
def loss_planes(
    surface: DataFrame, path: DataFrame, planes: DataFrame, *, titles: Mapping[str, str]
) -> Figure:
    """A loss over planes, and on each a training on its way to (0, 0), which has the star.

    Args:
        surface, path, planes: as `helpers.experiments.surfaces.measure`, of one training; a panel
            per player and plane.
        titles: of the planes, by name.
    """
    groups = list(surface.groupby(["player", "plane"], sort=False))
    figure, axes_rows = panel_rows(len(groups), 2, width=4.3)
    for axes, ((player, plane), own) in zip(axes_rows.flat, groups, strict=False):
        heights = own.filter(regex="^at ").dropna(axis=1).to_numpy()
        x, reach = own["x"].to_numpy(), own["reach"].iloc[0]
        y = np.linspace(-reach, reach, heights.shape[1])
        filled = axes.contourf(x, y, heights.T, levels=24, cmap="viridis")
        axes.contour(x, y, heights.T, levels=12, colors=[WHITE], linewidths=0.4, alpha=0.5)
        way = _of(path, player, plane)
        axes.plot(way["first"], way["second"], color=WHITE, marker=".", markersize=6, linewidth=1.2)
        axes.plot(0, 0, "*", color=WHITE, markersize=14, markeredgecolor="#000")
        curved = _of(planes, player, plane).iloc[0]
        axes.set(title=f"{player}: {titles[plane]}", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        axes.set_xlabel(f"along eigenvalue {curved['first']:.3g}")
        axes.set_ylabel(f"along eigenvalue {curved['second']:.3g}")
        axes.grid(visible=False)
        # As many digits as tell the ticks apart.
        digits = ScalarFormatter(useOffset=False)
        figure.colorbar(filled, ax=axes, label="log10 of the loss", format=digits)
    return figure


@styled
def told_and_true(path: DataFrame, *, titles: Mapping[str, str]) -> Figure:
    """What a plane says of a training's loss beside what it was, and the share it holds (dotted).

    Args:
        path: as `helpers.experiments.surfaces.measure`, of one training; a panel per player and
            plane.
        titles: of the planes, by name.
    """
    groups = list(path.groupby(["player", "plane"], sort=False))
    figure, axes_rows = panel_rows(len(groups), 2, width=4.3)
    last = [*axes_rows[:, -1], axes_rows.flat[len(groups) - 1]]  # of each row
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
        share = _right_axis(axes)
        share.plot(
            own["epoch"], own["share"], ":", color=INK, linewidth=1.4, label="share held (right)"
        )
        share.set(ylim=(0, 1))
        axes.set(title=f"{player}: {titles[plane]}", xlabel="epoch", yscale="log")
        if axes in last:
            share.set_ylabel("share of the displacement")
    for axes in axes_rows[:, 0]:
        axes.set_ylabel("loss")
    handles = [*axes_rows[0, 0].get_lines(), *share.get_lines()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@styled
def curvature_and_score(
    panels: Mapping[str, tuple[Numbers, Numbers, Numbers, Numbers]],
    *,
    ceiling: Mapping[str, float],
) -> Figure:
    """Leading eigenvalues of both players (logarithmic, left) and a score (right), per training.

    Args:
        panels: epochs (t,), G's and D's eigenvalues (t, k), scores (t,), by title.
        ceiling: of the score, by title.
    """
    figure, axes_rows = panel_rows(len(panels), 2, width=4.4)
    last = [*axes_rows[:, -1], axes_rows.flat[len(panels) - 1]]  # of each row
    for axes, (title, (epochs, top_g, top_d, score)) in zip(
        axes_rows.flat, panels.items(), strict=False
    ):
        for player, top in (("G", top_g), ("D", top_d)):
            for k, row in enumerate(np.where(top > 0, top, np.nan).T):
                look = {"color": PLAYER_COLOURS[player], "linewidth": 0.9 if k else 2}
                axes.plot(
                    epochs, row, "-" if player == "G" else "--", alpha=0.5 if k else 1, **look
                )
        own = _right_axis(axes)
        own.plot(epochs, score, ":", color=INK, linewidth=1.6)
        own.set(ylim=(1, 1.05 * ceiling[title]))
        own.axhline(ceiling[title], color=INK, linewidth=0.6)
        axes.set(title=title, xlabel="epoch", yscale="log")
        if axes in last:
            own.set_ylabel("score")
    for axes in axes_rows[:, 0]:
        axes.set_ylabel("eigenvalues")
    handles = [
        Line2D([], [], color=PLAYER_COLOURS["G"], linestyle="-", label="G's Hessian"),
        Line2D([], [], color=PLAYER_COLOURS["D"], linestyle="--", label="D's Hessian"),
        Line2D([], [], color=INK, linestyle=":", label="score (right)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@styled
def lenses(found: DataFrame, *, shown: Mapping[str, str]) -> Figure:
    """A table with a colour: GANs in rows, measurements in columns, each column ranked apart.

    Args:
        found: a row per GAN, a column per measurement; NaN where there is none.
        shown: format of each measurement.
    """
    figure, axes = plt.subplots(figsize=(1.5 + 1.2 * found.shape[1], 1.1 + 0.36 * len(found)))
    ranks = np.full(found.shape, np.nan)
    columns = {str(name): found[name].to_numpy() for name in found}
    for number, values in enumerate(columns.values()):
        known = np.isfinite(values)
        order = rankdata(values[known], method="dense") - 1  # equals share a colour
        ranks[known, number] = order / max(order.max(initial=0), 1)
    axes.imshow(ranks, cmap="viridis", aspect="auto", vmin=-0.15, vmax=1.15)
    for number, (name, values) in enumerate(columns.items()):
        for row, value in enumerate(values):
            dark = not ranks[row, number] > 0.6
            text = format(value, shown[name]) if np.isfinite(value) else "none"
            color = WHITE if dark else "#000000"
            axes.text(number, row, text, ha="center", va="center", color=color, fontsize=10)
    axes.set_xticks(range(len(columns)), [fill(name, 13) for name in columns])
    axes.set_yticks(range(len(found)), found.index)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure


def _of(rows: DataFrame, player: str, plane: str) -> DataFrame:
    return rows[(rows["player"] == player) & (rows["plane"] == plane)]


def _right_axis(axes: Axes) -> Axes:
    """A second vertical axis, on the right, without a grid of its own."""
    right = axes.twinx()
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    return right
