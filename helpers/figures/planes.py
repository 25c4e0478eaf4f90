"""Heat maps over a plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helpers.figures.style import BAD, GOOD, WHITE, panel_row, styled


@styled
def landscapes(
    grid: NDArray[np.float64],
    surfaces: Mapping[str, NDArray[np.float64]],
    *,
    stars: Sequence[tuple[float, float]],
    crosses: Mapping[str, Sequence[tuple[float, float]]],
    outlines: Mapping[str, NDArray[np.bool_]],
    paths: Mapping[str, Sequence[NDArray[np.float64]]],
) -> Figure:
    """Heat maps of objectives over (y1, y2), side by side on one colour scale.

    Args:
        grid: (m,) values of y1 and of y2.
        surfaces: (m, m) values, 0 at most, by title, first axis y1.
        stars: global minima.
        crosses: bad local minima by title.
        outlines: (m, m) part of the grid to outline, by title: a basin.
        paths: (steps, 2) routes by title.

    >>> grid, heights = np.array([0.0, 1.0]), {"JS": np.array([[-0.7, 0.0], [0.0, -0.7]])}
    >>> rest = {"crosses": {"JS": [(1, 1)]}, "outlines": {}, "paths": {}}
    >>> plane, bar = landscapes(grid, heights, stars=[(0, 0)], **rest).axes
    >>> plane.get_title(), [line.get_xydata().tolist() for line in plane.lines], bar.get_ylabel()
    ('JS', [[[0.0, 0.0]], [[1.0, 1.0]]], 'outer objective')
    """
    figure, panels = _planes(surfaces, height=4.3)
    low = min(values.min() for values in surfaces.values())
    levels = np.linspace(low, 0, 19)
    for axes, (title, values) in zip(panels, surfaces.items(), strict=True):
        filled = axes.contourf(grid, grid, values.T, levels=levels, cmap="viridis")
        if title in outlines and outlines[title].any():
            axes.contour(grid, grid, outlines[title].T, levels=[0.5], colors=[WHITE], linewidths=2)
        for route in paths.get(title, ()):
            axes.plot(*route.T, color=WHITE, linewidth=1.4, marker=".", markersize=5)
        axes.plot(*np.transpose(stars), "*", color=WHITE, markersize=15, markeredgecolor="#000")
        if crosses.get(title):
            axes.plot(*np.transpose(crosses[title]), "X", color=BAD, markersize=12, mec=WHITE)
    bar = figure.colorbar(filled, ax=panels, shrink=0.75, label="outer objective")
    bar.set_ticks(np.round(np.linspace(low, 0, 5), 2).tolist())
    return figure


@styled
def basin_maps(
    grid: NDArray[np.float64],
    maps: Mapping[str, NDArray[np.bool_]],
    *,
    stars: Sequence[tuple[float, float]],
) -> Figure:
    """Where descent ends, start by start: recovery in one colour, anything else in the other.

    Args:
        grid: (m,) values of y1 and of y2 at the start.
        maps: (m, m) whether descent from there recovers the data, by title, first axis y1.
        stars: global minima.

    >>> recovers = np.array([[True, False], [False, True]])
    >>> figure = basin_maps(np.array([0.0, 1.0]), {"JS": recovers, "RS": ~recovers}, stars=[(0, 1)])
    >>> [axes.get_title() for axes in figure.axes], [t.get_text() for t in figure.legends[0].texts]
    (['JS', 'RS'], ['recovers', 'stuck'])
    """
    figure, panels = _planes(maps, height=3.2)
    both = mpl.colors.ListedColormap([BAD, GOOD])
    for axes, recovered in zip(panels, maps.values(), strict=True):
        axes.contourf(grid, grid, recovered.T.astype(float), levels=[-0.5, 0.5, 1.5], cmap=both)
        axes.plot(*np.transpose(stars), "*", color=WHITE, markersize=13, markeredgecolor="#000")
    handles = [mpl.patches.Patch(color=c, label=t) for c, t in ((GOOD, "recovers"), (BAD, "stuck"))]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@styled
def turning_contours(
    grid: NDArray[np.float64],
    surfaces: Mapping[str, NDArray[np.float64]],
    centres: Mapping[str, tuple[float, float]],
    directions: Mapping[str, tuple[float, float]],
    *,
    star: tuple[float, float],
    xlabel: str,
    ylabel: str,
) -> Figure:
    """A saddle over a plane in several states, with arrows along its descent.

    Args:
        grid: (m,) values of both coordinates.
        surfaces: (m, m) values by title, first axis the horizontal coordinate.
        centres: of the saddle, by title.
        directions: those in which it falls, by title, drawn both ways from its centre.
        star: a fixed place to mark.
        xlabel, ylabel: names of the axes.

    >>> grid, place = np.linspace(-1, 1, 3), {"star": (0, 0), "xlabel": "x", "ylabel": "y"}
    >>> saddle = {"t = 0": np.subtract.outer(grid**2, grid**2)}
    >>> axes = turning_contours(grid, saddle, {"t = 0": (0, 0)}, {"t = 0": (3, 4)}, **place).axes[0]
    >>> axes.get_title(), [(each.U.item(), each.V.item()) for each in axes.collections[1:]]
    ('t = 0', [(0.6, 0.8), (-0.6, -0.8)])
    """
    figure, panels = panel_row(len(surfaces), (2.1 * len(surfaces), 2.9))
    reach = np.percentile([np.abs(values) for values in surfaces.values()], 75)
    for axes, (title, values) in zip(panels, surfaces.items(), strict=True):
        levels = np.linspace(-reach, reach, 15)
        axes.contourf(grid, grid, values.T, levels=levels, cmap="viridis", extend="both")
        unit = np.array(directions[title]) / np.linalg.norm(directions[title])
        for way in (unit, -unit):
            axes.quiver(*centres[title], *way, color=WHITE, scale=2.6, width=0.022)
        axes.plot(*centres[title], "o", color=WHITE, markersize=5)
        axes.plot(*star, "*", color=WHITE, markersize=13, markeredgecolor="#000")
        axes.set(title=title, xlabel=xlabel, aspect="equal")
        axes.grid(visible=False)
    panels[0].set_ylabel(ylabel)
    return figure


def _planes(titles: Iterable[str], *, height: float) -> tuple[Figure, NDArray[Any]]:
    """Empty panels over (y1, y2), side by side, one per title."""
    titles = list(titles)
    figure, panels = panel_row(len(titles), (8.4, height))
    for axes, title in zip(panels, titles, strict=True):
        axes.set(title=title, xlabel="$y_1$", aspect="equal")
        axes.grid(False)
    panels[0].set_ylabel("$y_2$")
    return figure, panels
