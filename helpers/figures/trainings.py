"""Trainings: what points and losses did, and how many seeds got how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame

from helpers.figures.style import INK, PLAYER_COLOURS, panel_row, panel_rows, styled

_TOP = 0.85  # top of the axes for losses: a little more than log 2


@styled
def courses(
    found: DataFrame, *, bands: Sequence[tuple[float, float]], levels: Mapping[str, float]
) -> Figure:
    """Generated points and, below them, D's loss: a pair of rows per arm, a column per seed.

    Args:
        found: with columns "arm", "seed", "iteration", "loss" and "point 0" on; arms and seeds are
            drawn in the order in which they come.
        bands: where the real points are.
        levels: of D's loss, by arm: its value at collapse, drawn as a line.

    >>> run = {"arm": "JS", "seed": "best", "iteration": [0, 9], "loss": [0.7, 0.5]}
    >>> found = DataFrame({**run, "point 0": [2.0, 1.0]})
    >>> figure = courses(found, bands=[(0, 1)], levels={"JS": 0.48})
    >>> [(axes.get_ylabel(), axes.lines[0].get_ydata().tolist()) for axes in figure.axes]
    [('points', [2.0, 1.0]), ("D's loss", [0.7, 0.5])]
    """
    arms, seeds = list(dict.fromkeys(found["arm"])), list(dict.fromkeys(found["seed"]))
    points = [column for column in found if str(column).startswith("point ")]
    figure, panels = plt.subplots(
        2 * len(arms),
        len(seeds),
        figsize=(3.1 * len(seeds), 4.1 * len(arms)),
        sharex=True,
        sharey="row",
        squeeze=False,
        height_ratios=[3, 2] * len(arms),
    )
    for number, arm in enumerate(arms):
        for column, seed in enumerate(seeds):
            own = found[(found["arm"] == arm) & (found["seed"] == seed)]
            above, below = panels[2 * number : 2 * number + 2, column]
            for low, high in bands:
                above.axhspan(low, high, color=INK, alpha=0.18, linewidth=0)
            above.plot(own["iteration"], own[points], color=PLAYER_COLOURS["G"], lw=0.7, alpha=0.6)
            above.set(title=f"{arm}, {seed}", ylim=(-2.5, 6.5))
            below.plot(own["iteration"], own["loss"], color=PLAYER_COLOURS["D"], lw=1.2)
            below.axhline(levels[arm], color=INK, lw=1, ls="--")
            below.axhline(np.log(2), color=INK, lw=1, ls=":")
            below.set_ylim(0.2, _TOP)
        panels[2 * number, 0].set_ylabel("points")
        panels[2 * number + 1, 0].set_ylabel("D's loss")
    for axes in panels[-1]:
        axes.set_xlabel("iteration")
    return figure


@styled
def cumulative(
    found: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """The share of seeds at or below a value: a panel per quantity, a curve per group of seeds.

    Args:
        found: (S,) values of the seeds by quantity (panel) and group (curve). Seeds that never get
            there, NaN or infinity, count among the seeds, and keep the curve below 1.
        marks: the paper's values, by name of the group, drawn upright in the first panel.

    >>> axes = cumulative({"loss": {"JS": [3.0, 1.0, 2.0, 4.0]}}).axes[0]
    >>> axes.get_xlabel(), axes.get_ylabel(), axes.lines[0].get_ydata().tolist()
    ('loss', 'share of seeds', [0.0, 0.25, 0.5, 0.75, 1.0])
    """
    figure, panels = panel_rows(len(found), 2, width=3.9)
    for axes, (quantity, groups) in zip(panels.flat, found.items(), strict=False):
        for number, (name, values) in enumerate(groups.items()):
            look = {"color": f"C{number}", "linestyle": ("-", "--", ":", "-.")[number % 4]}
            there = [value for value in values if value < np.inf]
            if there:  # of all seeds, where seaborn's own shares are of those that get there
                sns.ecdfplot(x=there, ax=axes, stat="count", label=name, **look)
                curve = axes.lines[-1]
                curve.set_ydata(np.asarray(curve.get_ydata()) / len(values))
            else:
                axes.axhline(0, label=name, **look)
            if marks and name in marks and axes is panels[0, 0]:
                axes.axvline(marks[name], lw=1, **look)
        axes.set(xlabel=quantity, ylabel="", ylim=(-0.02, 1.02))
    for axes in panels[:, 0]:
        axes.set_ylabel("share of seeds")
    # Above the panel, as no corner inside is free of curves for all data.
    panels[0, 0].legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize=9)
    return figure


@styled
def reached(found: DataFrame, *, marks: Mapping[str, float]) -> Figure:
    """How often training was at each pair of D's loss and the least loss that there is.

    Args:
        found: with columns "arm" (a panel each), "least", "loss" and "records", the number of
            records with a pair of losses.
        marks: the value at collapse, by arm.

    Raises:
        ValueError: for a loss outside the axes, whose records would not be drawn.

    >>> found = DataFrame({"arm": ["JS", "RS"], "least": 0.2, "loss": 0.5, "records": [3, 7]})
    >>> panels = reached(found, marks={"JS": 0.48, "RS": 0.35}).axes[:2]
    >>> [(axes.get_title(), int(axes.collections[0].get_array().sum())) for axes in panels]
    [('JS', 3), ('RS', 7)]
    """
    for name in ("least", "loss"):
        outside = found[~found[name].between(0, _TOP)]
        if len(outside):
            raise ValueError(
                f"losses are drawn from 0 to {_TOP}, got {outside[name].iloc[0]:g} in {name!r}: "
                f"{outside['records'].sum()} of {found['records'].sum()} records lie outside"
            )
    arms = list(dict.fromkeys(found["arm"]))
    figure, panels = panel_row(len(arms), (4.2 * len(arms), 3.8))
    for axes, arm in zip(panels, arms, strict=True):
        own = found[found["arm"] == arm]
        *_, mesh = axes.hist2d(
            own["least"],
            own["loss"],
            weights=own["records"],
            bins=40,
            range=[(0, _TOP), (0, _TOP)],
            norm=LogNorm(),
            cmap="viridis",
            rasterized=True,
        )
        axes.plot([0, _TOP], [0, _TOP], color=INK, lw=1)
        axes.plot(marks[arm], marks[arm], "o", mfc="none", mec=PLAYER_COLOURS["D"], ms=13, mew=2)
        axes.set(title=arm, xlabel="least loss on the landscape")
        figure.colorbar(mesh, ax=axes, label="records" if axes is panels[-1] else None)
    panels[0].set_ylabel("D's loss")
    return figure


@styled
def scattered(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    value: NDArray[np.float64],
    *,
    star: tuple[float, float],
    xlabel: str,
    ylabel: str,
    label: str,
) -> Figure:
    """A point per seed, coloured by a value, and a ring around where theory puts them all.

    Args:
        x, y, value: (S,) of the seeds.
        star: the place of theory.
        xlabel, ylabel, label: names of the axes and of the value.

    >>> x, y, value = np.arange(6.0).reshape(3, 2)
    >>> figure = scattered(x, y, value, star=(0, 2), xlabel="g", ylabel="d", label="score")
    >>> figure.axes[0].collections[0].get_array().tolist(), figure.axes[1].get_ylabel()
    ([4.0, 5.0], 'score')
    """
    figure, axes = plt.subplots(figsize=(5.6, 3.8))
    drawn = axes.scatter(x, y, c=value, s=14, cmap="viridis", linewidth=0)
    axes.plot(*star, "o", mfc="none", mec=PLAYER_COLOURS["D"], ms=16, mew=2)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.colorbar(drawn, ax=axes, label=label)
    return figure


@styled
def ranges(found: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> Figure:
    """Median and quartiles over seeds: a panel per quantity, a line per setting, a mark per group.

    Args:
        found: (S,) values of the seeds by quantity, by setting and by name of the group; not every
            group need have every setting, but every quantity has the same ones.

    >>> axes = ranges({"loss": {"slow": {"JS": [1, 2, 3], "RS": [2, 4, 6]}}}).axes[0]
    >>> {bar.get_label(): bar.lines[0].get_xdata().tolist() for bar in axes.containers}
    {'JS': [2.0], 'RS': [4.0]}
    """
    settings = list(next(iter(found.values())))
    groups = list(
        dict.fromkeys(name for rows in found.values() for v in rows.values() for name in v)
    )
    height = 1.1 + 0.22 * len(settings) * len(groups)
    figure, panels = panel_row(len(found), (2.2 + 2.3 * len(found), height))
    for axes, (quantity, rows) in zip(panels, found.items(), strict=True):
        for number, name in enumerate(groups):
            own = [k for k, setting in enumerate(settings) if name in rows[setting]]
            low, middle, high = np.transpose(
                [np.percentile(rows[settings[k]][name], [25, 50, 75]) for k in own]
            )
            axes.errorbar(
                middle,
                np.array(own) + 0.2 * (number - (len(groups) - 1) / 2),
                xerr=[middle - low, high - middle],
                fmt="os^Dv"[number % 5],
                capsize=3,
                label=name,
            )
        axes.set(xlabel=quantity)
    panels[0].set_yticks(range(len(settings)), settings)
    panels[0].invert_yaxis()
    panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
