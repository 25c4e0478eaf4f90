"""The book's one visual style. Draws; computes nothing.

Every function returns a matplotlib figure, which `show` turns into an SVG that follows the
reader's light or dark theme: ink and paper are two colours that a style sheet inside the picture
swaps, so text stays legible in the page, in Colab and on GitHub.
"""

from __future__ import annotations

import functools
import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ParamSpec

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, SVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

P = ParamSpec("P")

# Colour-blind safe and legible on white and on black. G and D own the first two everywhere.
PLAYERS = {"G": "#3a8fd1", "D": "#e06c2c"}
PALETTE = ("#8d6cc4", "#1f9d7a", "#c99a1e", "#c8558f", "#7d8790", "#5fb3b3")
GOOD, BAD = PALETTE[1], PALETTE[3]  # a state that recovers the data, one that is stuck
_INK, _PAPER, _GRID = "#1f2328", "#ffffff", "#d7dbe0"
_DARK = {_INK: "#e4e7ec", _PAPER: "#121212", _GRID: "#3b4047"}
_WHITE = "#fdfdfd"  # white that stays white in the dark: marks on a heat map
_STYLE = {
    "figure.facecolor": _PAPER,
    "axes.facecolor": _PAPER,
    "savefig.facecolor": _PAPER,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.labelcolor": _INK,
    "legend.frameon": False,
    "grid.color": _GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "lines.linewidth": 2,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "ganscapes",
}
_COLUMN = 3.4  # distance between the columns of a ladder, in the units of its boxes
_PLOTLY = "4.1.1"


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under the book's style, leaving matplotlib's settings alone."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return wrapped


def show(figure: Figure) -> SVG:
    """The figure as an SVG that follows the reader's theme; the same bytes at every run.

    >>> show(curves([0, 1], {"line": [0, 1]}, xlabel="x", ylabel="y")).data[:4]
    '<svg'
    """
    with mpl.rc_context(_STYLE), io.StringIO() as buffer:
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        picture = buffer.getvalue()
    plt.close(figure)
    swaps = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    )
    sheet = f"<style>@media (prefers-color-scheme: dark){{{swaps}}}</style>"
    picture = picture[picture.index("<svg") :]
    end = picture.index(">") + 1
    return SVG(picture[:end] + sheet + picture[end:])


@styled
def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    marker: str = "o",
) -> Figure:
    """Named curves over one axis, each with its own line style, and a legend beside them."""
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    styles = ("-", "--", ":", "-.")
    for number, (name, y) in enumerate(lines.items()):
        axes.plot(x, y, marker=marker, linestyle=styles[number % len(styles)], label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


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
        surfaces: (m, m) values by title, first axis y1.
        stars: global minima.
        crosses: bad local minima by title.
        outlines: (m, m) part of the grid to outline, by title: a basin.
        paths: (steps, 2) routes by title.
    """
    figure, panels = _planes(surfaces, height=4.3)
    low = min(values.min() for values in surfaces.values())
    levels = np.linspace(low, 0, 19)
    for axes, (title, values) in zip(panels, surfaces.items(), strict=True):
        filled = axes.contourf(grid, grid, values.T, levels=levels, cmap="viridis")
        if title in outlines and outlines[title].any():
            axes.contour(grid, grid, outlines[title].T, levels=[0.5], colors=[_WHITE], linewidths=2)
        for route in paths.get(title, ()):
            axes.plot(*route.T, color=_WHITE, linewidth=1.4, marker=".", markersize=5)
        axes.plot(*np.transpose(stars), "*", color=_WHITE, markersize=15, markeredgecolor="#000")
        if crosses.get(title):
            axes.plot(*np.transpose(crosses[title]), "X", color=BAD, markersize=12, mec=_WHITE)
    bar = figure.colorbar(filled, ax=panels, shrink=0.75, label="outer objective")
    bar.set_ticks(np.round(np.linspace(low, 0, 5), 2))
    return figure


@styled
def state_ladder(
    names: Sequence[str],
    columns: Sequence[int],
    values: Mapping[str, Sequence[float]],
    moves: Mapping[str, NDArray[np.intp]],
    stuck: Mapping[str, Sequence[bool]],
) -> Figure:
    """States as boxes: points placed to the right, value upwards, moves as arrows.

    Args:
        names: one a state.
        columns: number of generated points that sit on a real one, one a state.
        values, stuck: one entry a state, by title of the panel.
        moves: (E, 2) states between which the objective does not rise, by title.
    """
    size = (8.4, 3.9 * len(values))
    figure, panels = plt.subplots(len(values), 1, figsize=size, sharex=True, squeeze=False)
    columns = np.asarray(columns)
    x = _spread(columns)
    arrow = {"arrowstyle": "-|>", "color": PALETTE[4], "shrinkA": 15, "shrinkB": 15}
    low, high = (f(map(f, values.values())) for f in (min, max))
    for axes, (title, heights) in zip(panels[:, 0], values.items(), strict=True):
        for a, b in moves[title]:
            axes.annotate("", (x[b], heights[b]), (x[a], heights[a]), arrowprops=arrow)
        for place, height, name, bad in zip(x, heights, names, stuck[title], strict=True):
            box = {"boxstyle": "round,pad=0.25", "fc": _PAPER, "ec": BAD if bad else GOOD, "lw": 2}
            axes.text(place, height, name, ha="center", va="center", fontsize=9.5, bbox=box)
        axes.set(title=title, ylabel="outer objective", ylim=(1.1 * low, high - 0.1 * low))
        axes.set_xticks(_COLUMN * np.unique(columns), np.unique(columns))
        axes.set_xlim(x.min() - 0.8, x.max() + 0.7)
        axes.grid(visible=False, axis="x")
    axes.set_xlabel("points on a real one")
    return figure


@styled
def basin_maps(
    grid: NDArray[np.float64],
    maps: Mapping[str, NDArray[np.bool_]],
    *,
    stars: Sequence[tuple[float, float]],
) -> Figure:
    """Where descent ends, start by start: recovery in one colour, anything else in the other."""
    figure, panels = _planes(maps, height=3.2)
    both = mpl.colors.ListedColormap([BAD, GOOD])
    for axes, recovered in zip(panels, maps.values(), strict=True):
        axes.contourf(grid, grid, recovered.T.astype(float), levels=[-0.5, 0.5, 1.5], cmap=both)
        axes.plot(*np.transpose(stars), "*", color=_WHITE, markersize=13, markeredgecolor="#000")
    handles = [mpl.patches.Patch(color=c, label=t) for c, t in ((GOOD, "recovers"), (BAD, "stuck"))]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def turnable_surfaces(
    grid: NDArray[np.float64], surfaces: Mapping[str, NDArray[np.float64]]
) -> HTML:
    """Surfaces over (y1, y2) that the reader can turn, drawn by plotly.js when scrolled to.

    The script comes from the site's own files, or from plotly's server where there are none
    (Colab).
    """
    scenes, data = {}, []
    for number, values in enumerate(surfaces.values()):
        scene = "scene" + (str(number + 1) if number else "")
        left, width = number / len(surfaces), 1 / len(surfaces)
        axis = {"color": "#808890", "gridcolor": "#808890", "zerolinecolor": "#808890"}
        scenes[scene] = {
            "domain": {"x": [left, left + width - 0.02], "y": [0, 1]},
            "xaxis": {"title": {"text": "y₁"}, **axis},
            "yaxis": {"title": {"text": "y₂"}, **axis},
            "zaxis": {"title": {"text": "objective"}, **axis},
            "camera": {"eye": {"x": -1.5, "y": -1.5, "z": 1.1}},
        }
        # plotly's rows are its y axis
        heights = np.round(values.T, 4).tolist()
        x = np.round(grid, 4).tolist()
        surface = {"type": "surface", "x": x, "y": x, "z": heights, "scene": scene}
        data.append({**surface, "colorscale": "Viridis", "showscale": False})
    layout = {
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "#808890"},
        **scenes,
    }
    # Named after its content, so that the same picture is the same output at every run.
    figure = {"data": data, "layout": layout, "titles": list(surfaces)}
    content = json.dumps(figure, separators=(",", ":"))
    name = f"surface-{uuid.uuid5(uuid.NAMESPACE_OID, content).hex[:8]}"
    return HTML(_TURNABLE.format(name=name, content=content, version=_PLOTLY))


def _planes(titles: Iterable[str], *, height: float) -> tuple[Figure, NDArray]:
    """Empty panels over (y1, y2), side by side, one a title."""
    titles = list(titles)
    figure, panels = plt.subplots(1, len(titles), figsize=(8.4, height), sharey=True, squeeze=False)
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set(title=title, xlabel="$y_1$", aspect="equal")
        axes.grid(False)
    panels[0, 0].set_ylabel("$y_2$")
    return figure, panels[0]


def _spread(columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Horizontal places of states, side by side within a column."""
    x = _COLUMN * columns
    for column in np.unique(columns):
        same = np.flatnonzero(columns == column)
        x[same] += 0.85 * (np.arange(len(same)) - (len(same) - 1) / 2)
    return x


_TURNABLE = """<div id="{name}" class="turnable" style="width:100%;height:26rem"></div>
<script>
(function () {{
  const box = document.getElementById("{name}"), figure = {content};
  function draw() {{
    const scenes = Object.values(figure.layout).filter((part) => part.camera);
    if (box.clientWidth < 520) {{  // a phone: one above the other
      box.style.height = 20 * scenes.length + "rem";
      scenes.forEach((scene, i) => {{
        const top = 1 - i / scenes.length;
        scene.domain = {{x: [0, 1], y: [top - 1 / scenes.length, top]}};
      }});
    }}
    figure.layout.annotations = scenes.map(({{domain}}, i) => ({{
      text: figure.titles[i], x: (domain.x[0] + domain.x[1]) / 2, y: domain.y[1],
      xref: "paper", yref: "paper", yanchor: "top", showarrow: false, font: {{size: 15}},
    }}));
    Plotly.newPlot(box, figure.data, figure.layout, {{responsive: true, displayModeBar: false}});
  }}
  function load(sources) {{
    if (window.Plotly) return draw();
    // RequireJS, where a page has it, would swallow the library.
    const amd = window.define; window.define = undefined;
    const script = document.createElement("script");
    script.src = sources[0];
    script.onload = () => {{ window.define = amd; draw(); }};
    script.onerror = () => {{ window.define = amd; load(sources.slice(1)); }};
    document.head.appendChild(script);
  }}
  const remote = "https://cdn.plot.ly/plotly-{version}.min.js";
  const root = document.documentElement.dataset.content_root;
  const local = root === undefined ? [] : [root + "_static/plotly.min.js"];
  new IntersectionObserver((seen, watch) => {{
    if (!seen.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    load([...local, remote]);
  }}).observe(box);
}})();
</script>"""
