"""Curvature of both players along trainings, and whole spectra at some epochs."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from helpers.figures.style import INK, PLAYER_COLOURS, panel_rows, right_axis, styled

_LINES = {"G": "-", "D": "--"}
_FAINTEST = 1e-8  # least density that is drawn, as a part of the maximum


@styled
def curvature_and_score(found: DataFrame) -> Figure:
    """Leading eigenvalues of both players (logarithmic, left) and a score (right), per training.

    Args:
        found: rows with "panel" (the title; panels are in the order of rows), "epoch", "score", its
            "ceiling", and eigenvalues "top_g 0", "top_d 0" and so on, the largest first.

    >>> run = {"panel": "JS", "epoch": [1, 2], "score": [1.0, 2.0], "ceiling": 2.5}
    >>> found = DataFrame({**run, "top_g 0": [3.0, 4.0], "top_d 0": [5.0, -1.0]})
    >>> left, right = curvature_and_score(found).axes
    >>> right.get_ylabel(), [line.get_ydata().tolist() for line in left.lines]
    ('score', [[3.0, 4.0], [5.0, nan]])
    """
    panels = list(dict.fromkeys(found["panel"]))
    figure, axes_rows = panel_rows(len(panels), 2, width=4.4)
    last = [*axes_rows[:, -1], axes_rows.flat[len(panels) - 1]]  # the last panel of each row
    for axes, title in zip(axes_rows.flat, panels, strict=False):
        own = found[found["panel"] == title]
        for player, line in _LINES.items():
            tops = own.filter(like=f"top_{player.lower()} ")
            for rank, column in enumerate(tops):
                look = {"color": PLAYER_COLOURS[player], "linewidth": 0.9 if rank else 2}
                values = tops[column].where(tops[column] > 0)
                axes.plot(own["epoch"], values, line, alpha=0.5 if rank else 1, **look)
        right, ceiling = right_axis(axes), own["ceiling"].iloc[0]
        right.plot(own["epoch"], own["score"], ":", color=INK, linewidth=1.6)
        right.set(ylim=(1, 1.05 * ceiling))
        right.axhline(ceiling, color=INK, linewidth=0.6)
        axes.set(title=title, xlabel="epoch", yscale="log")
        if axes in last:
            right.set_ylabel("score")
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
def own_densities(found: DataFrame) -> Figure:
    """Densities of both players' own spectra: a row of panels per training, a pair per epoch.

    Args:
        found: rows with "panel" (the training), "epoch", "player", "eigenvalue" and "density".

    >>> ends = {"player": [*"GGDD"], "eigenvalue": [0, 1, 0, 1], "density": [1, 2, 3, 4]}
    >>> figure = own_densities(DataFrame({"panel": "JS", "epoch": 5, **ends}))
    >>> [(axes.get_title(), axes.lines[0].get_ydata().tolist()) for axes in figure.axes]
    [('JS, G, epoch 5', [1, 2]), ('JS, D, epoch 5', [3, 4])]
    """
    trainings, epochs = (list(dict.fromkeys(found[name])) for name in ("panel", "epoch"))
    figure, axes_rows = plt.subplots(
        2 * len(trainings),
        len(epochs),
        figsize=(3 * len(epochs), 3.6 * len(trainings)),
        squeeze=False,
    )
    rows = [(training, player) for training in trainings for player in _LINES]
    for axes_row, (training, player) in zip(axes_rows, rows, strict=True):
        for axes, epoch in zip(axes_row, epochs, strict=True):
            of = {"panel": training, "player": player, "epoch": epoch}
            own = found[(found[list(of)] == list(of.values())).all(axis=1)]
            axes.plot(own["eigenvalue"], own["density"], _LINES[player], c=PLAYER_COLOURS[player])
            most = own["density"].max()
            axes.axvline(0, color=INK, linewidth=0.6)
            axes.set(yscale="log", ylim=(_FAINTEST * most, 3 * most))
            axes.set_title(f"{training}, {player}, epoch {epoch:g}", fontsize=10)
            axes.tick_params(labelsize=9)
            axes.xaxis.set_major_locator(MaxNLocator(3))  # of long numbers, too
        axes_row[0].set_ylabel("density")
    for axes in axes_rows[-1]:
        axes.set_xlabel("eigenvalue")
    return figure
