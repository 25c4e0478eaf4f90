"""The book's one visual style: colours, and figures that follow the reader's theme.

`svg` turns a matplotlib figure into an SVG in which ink and paper are two colours that a style
sheet inside the picture swaps, so text stays legible in the page, in Colab and on GitHub.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

P = ParamSpec("P")

# Colour-blind safe and legible on white and on black. G and D own the first two everywhere.
PLAYER_COLOURS = {"G": "#3a8fd1", "D": "#e06c2c"}
PALETTE = ("#8d6cc4", "#1f9d7a", "#c99a1e", "#c8558f", "#7d8790", "#5fb3b3")
GOOD, BAD = PALETTE[1], PALETTE[3]  # a state that recovers the data, one that is stuck
INK, PAPER, GRID = "#1f2328", "#ffffff", "#d7dbe0"
DARK = {INK: "#e4e7ec", PAPER: "#121212", GRID: "#3b4047"}
WHITE = "#fdfdfd"  # white that stays white in the dark: marks on a heat map
_OURS: dict[str, Any] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.labelcolor": INK,
    "legend.frameon": False,
    "grid.color": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.rcsetup.cycler(color=PALETTE),
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "lines.linewidth": 2,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "ganscapes",
}
# The reader's matplotlibrc is ignored.
_STYLE: list[str | dict[str, Any]] = ["default", _OURS]


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under the book's style, leaving matplotlib's settings alone."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.style.context(_STYLE):
            return draw(*args, **kwargs)

    return wrapped


def svg(figure: Figure) -> str:
    """The figure as an SVG that follows the reader's theme; the same bytes at every run.

    >>> svg(Figure())[-6:]
    '</svg>'
    """
    with mpl.style.context(_STYLE), io.StringIO() as buffer:
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        picture = buffer.getvalue()
    plt.close(figure)
    swaps = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    sheet = f"<style>@media (prefers-color-scheme: dark){{{swaps}}}</style>"
    picture = picture[picture.index("<svg") :].strip()
    end = picture.index(">") + 1
    return picture[:end] + sheet + picture[end:]


def panel_rows(count: int, columns: int, *, width: float) -> tuple[Figure, NDArray[Any]]:
    """`count` panels in rows; the places left over in the last row stay empty."""
    rows = -(-count // columns)
    size = (width * columns, 3 * rows)
    figure, panels = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axes in panels.flat[count:]:
        axes.remove()
    return figure, panels


def panel_row(count: int, size: tuple[float, float]) -> tuple[Figure, NDArray[Any]]:
    """`count` panels side by side, which share the vertical axis."""
    figure, panels = plt.subplots(1, count, figsize=size, sharey=True, squeeze=False)
    return figure, panels[0]


def right_axis(axes: Axes) -> Axes:
    """A second vertical axis, on the right, without a grid of its own."""
    right = axes.twinx()
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    return right
