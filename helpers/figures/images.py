"""Trainings on images: pictures, scores on the way, and the leading eigenvalues at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helpers.figures.style import INK, PALETTE, panel_rows, styled


@styled
def pictures(rows: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Rows of images, each named on its left.

    Args:
        rows: (n, C, H, W) in [-1, 1] by name, equally many in each; C is 1 or 3.

    >>> figure = pictures({"real": np.ones((3, 1, 2, 2)), "fake": np.zeros((3, 1, 2, 2))})
    >>> [(axes.get_yticklabels()[0].get_text(), axes.images[0].get_size()) for axes in figure.axes]
    [('real', (2, 6)), ('fake', (2, 6))]
    """
    count = len(next(iter(rows.values())))
    figure, panels = plt.subplots(
        len(rows), 1, figsize=(0.55 * count + 2.2, 0.62 * len(rows)), squeeze=False
    )
    for axes, (name, images) in zip(panels[:, 0], rows.items(), strict=True):
        strip = np.concatenate([np.moveaxis(each, 0, -1) for each in images], axis=1)
        strip = np.clip((strip + 1) / 2, 0, 1)
        axes.imshow(strip.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_anchor("E")  # what the aspect leaves over is for the names
        axes.set(xticks=[])
        axes.set_yticks([strip.shape[0] / 2], [name])
        axes.tick_params(length=0)
        axes.grid(visible=False)
    return figure


@styled
def scores(
    found: Mapping[str, tuple[NDArray[np.int64], Sequence[NDArray[np.float64]]]],
    *,
    ceiling: float,
    floor: float,
    xlabel: str,
    ylabel: str,
) -> Figure:
    """A score along trainings, a line per seed, between those of real images and noise (dashed).

    Args:
        found: positions (t,) and values (t,) of each seed, by name of the setting.
        ceiling, floor: the score of real images, and that of noise.
        xlabel, ylabel: names of the axes.

    >>> found = {"JS": (np.array([0, 5]), [np.array([1.0, 2.0]), np.array([1.0, 3.0])])}
    >>> axes = scores(found, ceiling=4, floor=1, xlabel="epoch", ylabel="score").axes[0]
    >>> axes.get_ylabel(), [float(line.get_ydata()[-1]) for line in axes.lines]
    ('score', [4.0, 1.0, 2.0, 3.0])
    """
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    for level, name in ((ceiling, "real images"), (floor, "noise")):
        axes.axhline(level, color=INK, linestyle="--", linewidth=1)
        axes.annotate(
            name,
            (1, level),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
        )
    for number, (name, (place, seeds)) in enumerate(found.items()):
        colour = PALETTE[number % len(PALETTE)]
        look: dict[str, Any] = {"color": colour, "marker": "os^D"[number % 4]}
        line = ("-", "--", "-.", ":")[number % 4]
        for k, values in enumerate(seeds):
            axes.plot(place, values, line, ms=4, label=name if not k else None, **look)
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(min(0.9, 0.95 * floor), 1.12 * ceiling))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def leading(panels: Mapping[str, Mapping[str, NDArray[np.complex128]]]) -> Figure:
    """Leading eigenvalues of games in the complex plane: a panel per game, a mark per set.

    Args:
        panels: (n,) eigenvalues by title and name of the set; not every panel need have every set.

    >>> figure = leading({"JS": {"GD": np.array([1 + 2j])}, "RS": {"GD": np.array([3 + 0j])}})
    >>> [(axes.get_title(), axes.collections[0].get_offsets().tolist()) for axes in figure.axes]
    [('JS', [[1.0, 2.0]]), ('RS', [[3.0, 0.0]])]
    """
    figure, axes_rows = panel_rows(len(panels), 2, width=4.2)
    names = list(dict.fromkeys(name for sets in panels.values() for name in sets))
    legend = {}
    for axes, (title, sets) in zip(axes_rows.flat, panels.items(), strict=False):
        axes.axvline(0, color=INK, linewidth=1)
        for name, values in sets.items():
            number = names.index(name) % 4
            look = {"marker": "ox^s"[number], "color": PALETTE[(0, 3, 1, 2)[number]]}
            legend[name] = axes.scatter(
                values.real, values.imag, s=30, alpha=0.8, label=name, **look
            )
        axes.set(title=title, xlabel="real part")
        # Where all are real, rounding would be drawn as if it mattered.
        high = max(np.abs(np.concatenate(list(sets.values())).imag).max(), 1e-3)
        axes.set_ylim(-1.15 * high, 1.15 * high)
    for axes in axes_rows[:, 0]:
        axes.set_ylabel("imaginary part")
    figure.legend(handles=[legend[name] for name in names], loc="outside right upper")
    return figure
