"""Densities of eigenvalues, on the line and in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helpers.figures.style import INK, WHITE, panel_rows, styled
from helpers.spectra import RitzCloud, SpectralDensity

_POINTS = 400  # points of a curve: enough for a screen, few enough for small pages


@styled
def densities(
    found: Mapping[str, Mapping[str, SpectralDensity]],
    exact: Mapping[str, NDArray[np.float64] | None],
    *,
    lowest: float | None = 1e-3,
) -> Figure:
    """Panels of estimated densities over the exact one, which is the shaded area.

    Args:
        found: by title of the panel and name of the curve; a band of two standard errors is drawn
            around each.
        exact: (g,) on the first curve's grid, by title, or None where it is unknown.
        lowest: bottom of a logarithmic axis, as a part of the panel's largest density, or None for
            a linear axis.

    >>> from helpers.operators import Matrix
    >>> from helpers.spectra import slq_density
    >>> found = slq_density(Matrix(np.diag([1.0, 2.0])), probes=2, steps=2, seed=0)
    >>> axes = densities({"H": {"SLQ": found}}, {"H": found.density}).axes[0]
    >>> axes.get_title(), axes.get_yscale(), [text.get_text() for text in axes.get_legend().texts]
    ('H', 'log', ['exact', 'SLQ'])
    """
    figure, panels = panel_rows(len(found), 2, width=4.2)
    for axes, (title, curves) in zip(panels.flat, found.items(), strict=False):
        first = next(iter(curves.values()))
        known = exact[title]
        few = slice(None, None, -(-len(first.grid) // _POINTS))
        if known is not None:
            axes.fill_between(
                first.grid[few], known[few], color=INK, alpha=0.22, linewidth=0, label="exact"
            )
        for number, (name, curve) in enumerate(curves.items()):
            place, line, band = (
                each[few] for each in (curve.grid, curve.density, 2 * curve.standard_error)
            )
            look = {"color": f"C{number}", "linestyle": ("-", "--", ":")[number % 3]}
            axes.plot(place, line, label=name, linewidth=1.6, **look)
            axes.fill_between(
                place, line - band, line + band, color=f"C{number}", alpha=0.3, linewidth=0
            )
        if lowest is not None:
            most = max(curve.density.max() for curve in curves.values())
            axes.set(yscale="log", ylim=(lowest * most, 2 * most))
        axes.set(title=title, xlabel="eigenvalue")
        axes.legend(fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylabel("density")
    return figure


@styled
def staircases(
    steps: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    exact: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Figure:
    """Measures on the line as the mass up to each place; the exact one is the broad grey line.

    Args:
        steps: nodes (m,), ascending, and their weights (m,), by name.
        exact: the same for the exact measure.

    >>> rule, exact = ([0.0, 1.0], [0.5, 0.5]), ([0.0, 0.5, 1.0], [0.25, 0.5, 0.25])
    >>> axes = staircases({"two": tuple(map(np.array, rule))}, tuple(map(np.array, exact))).axes[0]
    >>> [(line.get_label(), line.get_ydata().tolist()) for line in axes.lines]
    [('exact', [0.0, 0.25, 0.75, 1.0, 1.0]), ('two', [0.0, 0.5, 1.0, 1.0])]
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    low, high = exact[0][0], exact[0][-1]
    reach = 0.05 * (high - low)

    def draw(nodes: NDArray[np.float64], weights: NDArray[np.float64], **look: Any) -> None:
        place = np.concatenate([[low - reach], nodes, [high + reach]])
        mass = np.concatenate([[0.0], np.cumsum(weights), [weights.sum()]])
        axes.step(place, mass, where="post", **look)

    draw(*exact, color=INK, alpha=0.3, linewidth=6, label="exact")
    for number, (name, each) in enumerate(steps.items()):
        draw(*each, label=name, linestyle=("-", "--", ":")[number % 3], linewidth=1.6)
    axes.set(xlabel="eigenvalue", ylabel="mass up to here")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def clouds(
    found: Mapping[str, RitzCloud],
    exact: Mapping[str, NDArray[np.complex128]],
) -> Figure:
    """Densities in the complex plane as heat, with the exact eigenvalues as points.

    Args:
        found: clouds by title.
        exact: (n,) eigenvalues by title.

    >>> from helpers.operators import Matrix
    >>> from helpers.spectra import ritz_cloud
    >>> turn = ritz_cloud(Matrix([[0.0, 1.0], [-1.0, 0.0]]), probes=1, steps=2, seed=0)
    >>> axes = clouds({"turn": turn}, {"turn": np.array([1j, -1j])}).axes[0]
    >>> axes.get_title(), axes.get_xlabel(), axes.lines[0].get_ydata().tolist()
    ('turn', 'real part', [1.0, -1.0])
    """
    figure, panels = panel_rows(len(found), 3, width=2.9)
    for axes, (title, cloud) in zip(panels.flat, found.items(), strict=False):
        top = cloud.density.max()
        heat = np.clip(cloud.density.T, 1e-3 * top, None)
        axes.pcolormesh(
            cloud.real,
            cloud.imaginary,
            heat,
            cmap="viridis",
            norm=LogNorm(1e-3 * top, 3 * top),
            rasterized=True,
        )
        values = exact[title]
        axes.plot(
            values.real, values.imag, ".", color=WHITE, markersize=2, alpha=0.7, rasterized=True
        )
        axes.set(title=title, xlabel="real part")
        axes.grid(visible=False)
    for axes in panels[:, 0]:
        axes.set_ylabel("imaginary part")
    return figure
