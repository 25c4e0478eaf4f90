"""Vector fields, the orbits in them, spectra, and path-angles: how a game moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helpers.analysis.paths import PathProfile
from helpers.figures.style import BAD, INK, PALETTE, PAPER, panel_row, styled

_ORBIT = PALETTE[0]


@styled
def streams(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    fields: Mapping[str, NDArray[np.float64] | None],
    orbits: Mapping[str, Sequence[NDArray[np.float64]]],
    *,
    star: tuple[float, float],
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Planes side by side: streamlines of a field, orbits from ring to arrow, a stationary point.

    Args:
        x, y: (k,) and (m,) evenly spaced coordinates.
        fields: (k, m, 2) the velocity at each place, by title, or None for an empty plane.
        orbits: (steps, 2) curves by title.
        star: the stationary point.
        xlabel, ylabel: names of the axes.

    >>> grid, orbit = np.linspace(-1, 1, 3), np.array([[-1.0, 0.0], [1.0, 0.0]])
    >>> fields, names = {"v": np.tile([1.0, 0.0], (3, 3, 1))}, {"xlabel": "g", "ylabel": "d"}
    >>> axes = streams(grid, grid, fields, {"v": [orbit]}, star=(0, 0), **names).axes[0]
    >>> axes.get_title(), axes.get_xlabel(), axes.lines[0].get_xydata().tolist()
    ('v', 'g', [[-1.0, 0.0], [1.0, 0.0]])
    """
    figure, panels = panel_row(len(fields), (8.4, 4.2))
    for axes, (title, field) in zip(panels, fields.items(), strict=True):
        if field is not None:
            _stream(axes, x, y, field)
        for orbit in orbits[title]:
            _orbit(axes, orbit)
        axes.plot(*star, "*", color=BAD, markersize=13, markeredgecolor=PAPER, zorder=5)
        axes.set(title=title, xlabel=xlabel, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        axes.grid(visible=False)
    panels[0].set_ylabel(ylabel)
    return figure


@styled
def archetypes(
    grid: NDArray[np.float64],
    fields: Mapping[str, NDArray[np.float64]],
    path: NDArray[np.float64],
    arrows: Mapping[str, NDArray[np.float64]],
    profiles: Mapping[str, PathProfile],
) -> Figure:
    """Berard et al. 2020, Fig. 2: fields with a path above, path-angle and path-norm below.

    Args:
        grid: (k,) values of both coordinates.
        fields: (k, k, 2) -v at each place, by title.
        path: (s, 2) points of the path, the first its start, at which arrows are drawn.
        arrows: (s, 2) -v at the points of the path, by title.
        profiles: path profiles by title; median and quartiles over their end points are drawn,
            the norm divided by its largest median.

    >>> grid, path = np.linspace(-1, 1, 3), np.array([[1.0, 1.0], [0.5, 0.5], [0.0, 0.0]])
    >>> right = np.tile([1.0, 0.0], (3, 3, 1))
    >>> profile = PathProfile(np.array([0.0, 1.0]), np.array([[1.0, -1.0]]), np.array([[2.0, 4.0]]))
    >>> figure = archetypes(grid, {"v": right}, path, {"v": right[0]}, {"v": profile})
    >>> [axes.get_title() or axes.get_ylabel() for axes in figure.axes]
    ['v', 'path-angle', 'path-norm, scaled']
    """
    size = (3 * len(fields), 5.6)
    figure, panels = plt.subplots(2, len(fields), figsize=size, sharey="row", squeeze=False)
    for axes, (title, field) in zip(panels[0], fields.items(), strict=True):
        _stream(axes, grid, grid, field)
        axes.plot(*path.T, color=INK, linewidth=1)
        length = np.linalg.norm(arrows[title], axis=1, keepdims=True)
        unit = arrows[title] / np.where(length > 0, length, 1)
        axes.quiver(*path.T, *unit.T, color=INK, scale=9, width=0.012, zorder=4)
        axes.plot(*path[0], "o", color=INK)
        axes.plot(0, 0, "*", color=BAD, markersize=13, markeredgecolor=PAPER, zorder=5)
        axes.set(title=title, aspect="equal", xlim=grid[[0, -1]], ylim=grid[[0, -1]])
        axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        axes.grid(visible=False)
    _draw_profiles(panels[1], profiles, top=1.1)
    return figure


@styled
def path_profiles(profiles: Mapping[str, PathProfile], *, common: bool = False) -> Figure:
    """Path-angle and path-norm side by side: median and quartiles over the end points.

    Args:
        profiles: by title of the panel.
        common: whether the panels share the scale of the angle; in many dimensions it may be
            small in one and large in the other.

    >>> profile = PathProfile(np.array([0.0, 1.0]), np.array([[1.0, -1.0]]), np.array([[2.0, 4.0]]))
    >>> figure = path_profiles({"sink": profile})
    >>> [(axes.get_ylabel(), axes.lines[0].get_ydata().tolist()) for axes in figure.axes]
    [('path-angle', [1.0, -1.0]), ('path-norm, scaled', [0.5, 1.0])]
    """
    size = (2.8 * len(profiles), 3)
    figure, panels = plt.subplots(1, len(profiles), figsize=size, squeeze=False)
    _draw_profiles(panels[0], profiles, top=1.1 if common else None)
    for axes, title in zip(panels[0], profiles, strict=True):
        axes.set_title(title)
    return figure


@styled
def spectra(values: Mapping[str, NDArray[np.complex128]]) -> Figure:
    """Eigenvalues in the complex plane, a marker for each named set; left of the line is unstable.

    The sets are drawn one over the other, so the largest should come first.

    Args:
        values: (n,) eigenvalues by name, four sets at most.

    >>> axes = spectra({"all": np.array([1 + 2j, 3 + 0j]), "top": np.array([3 + 0j])}).axes[0]
    >>> [(each.get_label(), each.get_offsets().tolist()) for each in axes.collections]
    [('all', [[1.0, 2.0], [3.0, 0.0]]), ('top', [[3.0, 0.0]])]
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    looks = [(m, PALETTE[c]) for m, c in (("o", 0), ("x", 3), ("D", 1), ("s", 2))]
    axes.axvline(0, color=INK, linewidth=1)
    for number, (name, points) in enumerate(values.items()):
        marker, colour = looks[number]
        look: dict[str, Any] = {"marker": marker, "color": colour, "s": 20 + 25 * number}
        axes.scatter(points.real, points.imag, label=name, alpha=0.8, **look)
    axes.set(xlabel="real part", ylabel="imaginary part")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def stability_regions(
    panels: Mapping[str, tuple[NDArray[np.complex128], Mapping[str, NDArray[np.complex128]]]],
) -> Figure:
    """Eigenvalues against the edge of a method in the complex plane, a panel for each method.

    Args:
        panels: by title, the (m,) points of the edge in order, and by name (n,) eigenvalues times
            the step sizes, three sets at most.

    >>> edge, found = np.array([0, 1 + 1j, 2]), {"end": np.array([1.9 + 0j])}
    >>> axes = stability_regions({"descent": (edge, found)}).axes[0]
    >>> axes.get_title(), axes.lines[0].get_xdata().tolist(), axes.lines[0].get_ydata().tolist()
    ('descent', [0.0, 1.0, 2.0], [0.0, 1.0, 0.0])
    """
    figure, row = plt.subplots(
        1, len(panels), figsize=(1.8 + 2.9 * len(panels), 3.2), squeeze=False
    )
    for axes, (title, (edge, sets)) in zip(row[0], panels.items(), strict=True):
        axes.plot(edge.real, edge.imag, color=INK, linewidth=1.5)
        axes.fill(edge.real, edge.imag, color=PALETTE[0], alpha=0.12, linewidth=0)
        for number, (name, points) in enumerate(sets.items()):
            marker, colour = (("o", PALETTE[0]), ("x", PALETTE[3]), ("D", PALETTE[1]))[number]
            look: dict[str, Any] = {"marker": marker, "color": colour, "s": 25}
            axes.scatter(points.real, points.imag, label=name, **look)
        axes.set(title=title, xlabel="real part", aspect="equal")
    row[0, 0].set_ylabel("imaginary part")
    row[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _draw_profiles(
    panels: Sequence[Axes], profiles: Mapping[str, PathProfile], top: float | None
) -> None:
    """Angle on the left axis up to top, norm on the right one divided by its largest."""
    for number, (axes, profile) in enumerate(zip(panels, profiles.values(), strict=True)):
        right = axes.twinx()
        angle, norm = profile.quartiles("angle"), profile.quartiles("norm")
        reach = 1.15 * np.nanmax(np.abs(angle)) if top is None else top
        for side, (low, middle, high), colour, line in (
            (axes, angle, PALETTE[0], "-"),
            (right, norm / norm[1].max(), PALETTE[2], "--"),
        ):
            side.fill_between(profile.alphas, low, high, color=colour, alpha=0.3, linewidth=0)
            side.plot(profile.alphas, middle, color=colour, linestyle=line)
        axes.set(xlabel="α", ylim=(-reach, reach))
        right.set(ylim=(0, 1.2))
        right.grid(visible=False)
        right.tick_params(colors=PALETTE[2], labelright=number == len(panels) - 1)
        axes.tick_params(axis="y", colors=PALETTE[0])
    right.set_ylabel("path-norm, scaled", color=PALETTE[2])
    panels[0].set_ylabel("path-angle", color=PALETTE[0])


def _stream(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], field: NDArray[np.float64]
) -> None:
    u, v = np.moveaxis(np.asarray(field), (2, 1, 0), (0, 1, 2))  # matplotlib's rows run along y
    axes.streamplot(x, y, u, v, color=PALETTE[4], density=0.9, linewidth=0.7, arrowsize=0.8)


def _orbit(axes: Axes, orbit: NDArray[np.float64]) -> None:
    axes.plot(*orbit.T, color=_ORBIT, linewidth=1.8)
    axes.plot(
        *orbit[0], "o", color=_ORBIT, markersize=6, markerfacecolor=PAPER, markeredgewidth=1.8
    )
    look = {"arrowstyle": "-|>", "color": _ORBIT, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 16}
    place = max(len(orbit) // 20, 1)
    axes.annotate("", orbit[place], orbit[place - 1], arrowprops=look)
