"""Bars that stand on zero, so that the sign of each is seen."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from pandas import DataFrame

from helpers.figures.style import INK, styled


@styled
def gaps(found: DataFrame, *, heights: Mapping[str, str]) -> Figure:
    """Bars over the widths of nets: a row of panels per height, and a column per data set.

    Args:
        found: rows with "data_set", "width", "net" (a colour each) and the columns of `heights`,
            one row for each bar; all are drawn in the order in which they come.
        heights: label of the vertical axis by column of `found`.

    >>> found = DataFrame({"data_set": "STL-10", "width": ["regular", "half"], "net": "CNN"})
    >>> axes = gaps(found.assign(gap=[-2, 5]), heights={"gap": "FID gap"}).axes[0]
    >>> axes.get_title(), axes.get_ylabel(), [float(bar.get_height()) for bar in axes.containers[0]]
    ('STL-10', 'FID gap', [-2.0, 5.0])
    """
    sets, widths, nets = (list(dict.fromkeys(found[name])) for name in ("data_set", "width", "net"))
    figure, panels = plt.subplots(
        len(heights),
        len(sets),
        figsize=(3.8 * len(sets), 2.6 * len(heights)),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    thick = 0.8 / len(nets)
    for across, (height, ylabel) in zip(panels, heights.items(), strict=True):
        for axes, data_set in zip(across, sets, strict=True):
            for number, net in enumerate(nets):
                own = found[(found["data_set"] == data_set) & (found["net"] == net)]
                middle = own["width"].map(widths.index) + (number - (len(nets) - 1) / 2) * thick
                axes.bar(middle, own[height], 0.9 * thick, color=f"C{number}", label=net)
            axes.axhline(0, color=INK, linewidth=1)
        across[0].set_ylabel(ylabel)
    for axes, data_set in zip(panels[0], sets, strict=True):
        axes.set_title(data_set)
    for axes in panels[-1]:
        axes.set_xlabel("width of the nets")
        axes.set_xticks(range(len(widths)), widths)
    panels[0, -1].legend(loc="upper right", fontsize=9)
    return figure
