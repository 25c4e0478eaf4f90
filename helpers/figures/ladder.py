"""States of the outer problem as boxes on a ladder, with the moves between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helpers.figures.style import BAD, GOOD, PALETTE, PAPER, styled

_COLUMN = 3.4  # distance between the columns of a ladder, in the units of its boxes


@styled
def state_ladder(
    names: Sequence[str],
    columns: Sequence[int],
    values: Mapping[str, Sequence[float]],
    moves: Mapping[str, NDArray[np.intp]],
    stuck: Mapping[str, Sequence[bool]],
) -> Figure:
    """States as boxes: more points placed to the right, higher values up, moves as arrows.

    Args:
        names: what to print in the boxes, one per state.
        columns: number of generated points that sit on a real one, one per state.
        values: the objective, one entry per state, by title of the panel.
        moves: (E, 2) numbers of the states between which the objective does not rise, from and to,
            by title.
        stuck: whether no path of moves leads to a global minimum, one entry per state, by title.

    >>> values, moves, stuck = {"JS": [0, -0.7]}, {"JS": np.array([[0, 1]])}, {"JS": [False, False]}
    >>> axes = state_ladder(["apart", "met"], [0, 2], values, moves, stuck).axes[0]
    >>> [(text.get_text(), text.get_position()[1]) for text in axes.texts if text.get_text()]
    [('apart', 0), ('met', -0.7)]
    """
    size = (8.4, 3.9 * len(values))
    figure, panels = plt.subplots(len(values), 1, figsize=size, sharex=True, squeeze=False)
    occupied = np.asarray(columns, dtype=np.intp)
    x = _spread(occupied)
    arrow = {"arrowstyle": "-|>", "color": PALETTE[4], "shrinkA": 15, "shrinkB": 15}
    low, high = (f(map(f, values.values())) for f in (min, max))
    for axes, (title, heights) in zip(panels[:, 0], values.items(), strict=True):
        for a, b in moves[title]:
            axes.annotate("", (x[b], heights[b]), (x[a], heights[a]), arrowprops=arrow)
        for place, height, name, bad in zip(x, heights, names, stuck[title], strict=True):
            box = {"boxstyle": "round,pad=0.25", "fc": PAPER, "ec": BAD if bad else GOOD, "lw": 2}
            axes.text(place, height, name, ha="center", va="center", fontsize=9.5, bbox=box)
        axes.set(title=title, ylabel="outer objective", ylim=(1.1 * low, high - 0.1 * low))
        axes.set_xticks(_COLUMN * np.unique(occupied), list(map(str, np.unique(occupied))))
        axes.set_xlim(x.min() - 0.8, x.max() + 0.7)
        axes.grid(visible=False, axis="x")
    axes.set_xlabel("points on a real one")
    return figure


def _spread(columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Horizontal places of states, side by side within a column."""
    x = np.asarray(_COLUMN * columns, dtype=np.float64)
    for column in np.unique(columns):
        same = np.flatnonzero(columns == column)
        x[same] += 0.85 * (np.arange(len(same)) - (len(same) - 1) / 2)
    return x
