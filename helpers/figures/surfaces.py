"""Surfaces that the reader can turn, and films under a slider, drawn by plotly.js.

The script comes from the site's own files, or from plotly's server where there are none (Colab),
and is loaded when the figure is scrolled to.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import HTML
from numpy.typing import NDArray

_PLOTLY = "4.1.1"
_GREY = "#808890"  # legible on light and on dark
_LAYOUT = {
    "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": _GREY},
}


def turnable_surfaces(
    grid: NDArray[np.float64], surfaces: Mapping[str, NDArray[np.float64]]
) -> HTML:
    """Surfaces over (y1, y2), side by side, that the reader can turn.

    Args:
        grid: (m,) values of y1 and of y2.
        surfaces: (m, m) heights by title, first axis y1.

    >>> page = turnable_surfaces(np.arange(2.0), {"JS": np.array([[0.0, 1.0], [2.0, 3.0]])}).data
    >>> '"titles":["JS"]' in page, '"z":[[0.0,2.0],[1.0,3.0]]' in page  # plotly's rows are along y
    (True, True)
    """
    scenes, data = {}, []
    for number, values in enumerate(surfaces.values()):
        scene = "scene" + (str(number + 1) if number else "")
        left, width = number / len(surfaces), 1 / len(surfaces)
        camera = {"eye": {"x": -1.5, "y": -1.5, "z": 1.1}}
        domain = {"x": [left, left + width - 0.02], "y": [0, 1]}
        scenes[scene] = {"domain": domain, "camera": camera, **_axes("y₁", "y₂", "objective")}
        data.append({**_surface(grid, values, digits=4), "scene": scene})
    layout = {**_LAYOUT, **scenes}
    return _embed({"data": data, "layout": layout, "titles": list(surfaces)}, _SIDE_BY_SIDE)


def sliding_surface(
    grid: NDArray[np.float64],
    surfaces: NDArray[np.float64],
    ball: NDArray[np.float64],
    captions: Sequence[str],
    *,
    names: tuple[str, str, str],
    slider: str,
) -> HTML:
    """A surface that changes as the reader moves a slider, with a ball that lies on it.

    Args:
        grid: (m,) values of both coordinates.
        surfaces: (frames, m, m) heights, first axis the first coordinate.
        ball: (frames, 3) where the ball is: both coordinates and the height.
        captions: what to print beside the slider, one per frame.
        names: of the two coordinates and the height.
        slider: what the slider changes, for those who cannot see it.

    >>> heights, ball = np.arange(8.0).reshape(2, 2, 2), np.zeros((2, 3))
    >>> said = {"captions": ["early", "late"], "names": ("x", "y", "loss"), "slider": "time"}
    >>> page = sliding_surface(np.arange(2.0), heights, ball, **said).data
    >>> '"captions":["early","late"]' in page, 'max="1" value="0" aria-label="time"' in page
    (True, True)
    """
    low, high = (float(end) for end in np.percentile(surfaces, [1, 99]))
    lift = 0.02 * (high - low)  # otherwise the surface would cover ball and trail
    lifted = np.column_stack([ball[:, :2], ball[:, 2] + lift])
    path = dict(zip("xyz", np.round(lifted, 3).T.tolist(), strict=True))
    shown = {axis: values[:1] for axis, values in path.items()}
    marker = {"type": "scatter3d", "mode": "markers", "marker": {"size": 9, "color": "#c8558f"}}
    trail = {"type": "scatter3d", "mode": "lines", "line": {"width": 5, "color": "#c8558f"}}
    scene = {**_axes(*names), "camera": {"eye": {"x": 1.1, "y": -1.8, "z": 1.1}}}
    scene["zaxis"]["range"] = [low, high]
    figure = {
        "data": [
            {**_surface(grid, surfaces[0], digits=3), "cmin": low, "cmax": high, "opacity": 0.95},
            {**marker, **shown},
            {**trail, **shown},
        ],
        "layout": {**_LAYOUT, "scene": scene, "showlegend": False},
        "heights": [np.round(values.T, 3).tolist() for values in surfaces],
        "ball": path,
        "captions": list(captions),
    }
    return _embed(figure, _SLIDE + _PLAY, _SLIDER.format(last=len(surfaces) - 1, slider=slider))


def walking_spectra(
    panels: Mapping[str, tuple[NDArray[np.complex128], Sequence[NDArray[np.complex128]]]],
    captions: Sequence[str],
    *,
    slider: str,
) -> HTML:
    """Eigenvalues that walk to the edge of a method as the reader moves a slider, panel by panel.

    Args:
        panels: by title, the (m,) points of the edge in order, and in each frame (n,) eigenvalues
            times the step sizes; with equally many frames.
        captions: what to print beside the slider, one per frame.
        slider: what the slider changes, for those who cannot see it.

    >>> edge, frames = np.array([0, 1 + 1j, 2]), [np.array([0.5 + 0j]), np.array([1.5 + 0j])]
    >>> said = {"captions": ["early", "late"], "slider": "time"}
    >>> page = walking_spectra({"descent": (edge, frames)}, **said).data
    >>> '"frames":[[[[0.5],[0.0]],[[1.5],[0.0]]]]' in page, '"titles":["descent"]' in page
    (True, True)
    """
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {**_LAYOUT, "showlegend": False}
    for number, (edge, frames) in enumerate(panels.values()):
        suffix = str(number + 1) if number else ""
        along = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "hoverinfo": "skip"}
        line = {"mode": "lines", "fill": "toself", "fillcolor": "rgba(128,136,144,0.2)"}
        marks = {"mode": "markers", "marker": {"size": 8, "color": "#c8558f"}}
        data.append({**along, **line, "line": {"color": _GREY}, **_plane(edge)})
        data.append({**along, **marks, **_plane(frames[0])})
        # All frames and the edge have their place, so that the axes stand still.
        every = np.concatenate([edge, *frames])
        for axis, name, values in (("x", "real part", every.real), ("y", "imaginary", every.imag)):
            pad = 0.08 * max(float(np.ptp(values)), 0.1)
            ends = [float(values.min()) - pad, float(values.max()) + pad]
            look = {"color": _GREY, "gridcolor": "rgba(128,136,144,0.3)", "zerolinecolor": _GREY}
            layout[f"{axis}axis{suffix}"] = {"range": ends, "title": {"text": name}, **look}
        layout[f"yaxis{suffix}"] |= {"anchor": f"x{suffix}"}
        layout[f"xaxis{suffix}"] |= {"anchor": f"y{suffix}"}
    figure = {
        "data": data,
        "layout": layout,
        "frames": [
            [list(_plane(found).values()) for found in frames] for _, frames in panels.values()
        ],
        "titles": list(panels),
        "captions": list(captions),
    }
    controls = _SLIDER.format(last=len(captions) - 1, slider=slider)
    return _embed(figure, _WALK + _PLAY, controls)


def _plane(values: NDArray[np.complex128]) -> dict[str, list[float]]:
    return {"x": np.round(values.real, 4).tolist(), "y": np.round(values.imag, 4).tolist()}


def _axes(*names: str) -> dict[str, Any]:
    look = {"color": _GREY, "gridcolor": _GREY, "zerolinecolor": _GREY}
    titles = zip(("xaxis", "yaxis", "zaxis"), names, strict=True)
    return {axis: {"title": {"text": name}, **look} for axis, name in titles}


def _surface(
    grid: NDArray[np.float64], values: NDArray[np.float64], *, digits: int
) -> dict[str, Any]:
    x = np.round(grid, 4).tolist()
    # plotly's rows are its y axis
    heights = np.round(values.T, digits).tolist()
    surface = {"type": "surface", "x": x, "y": x, "z": heights}
    return {**surface, "colorscale": "Viridis", "showscale": False}


def _embed(figure: Mapping[str, Any], draw: str, controls: str = "") -> HTML:
    """A box with the figure's data, named after them: the same picture gives the same output."""
    content = json.dumps(figure, separators=(",", ":"))
    name = f"surface-{uuid.uuid5(uuid.NAMESPACE_OID, content).hex[:8]}"
    page = _PAGE.replace("DRAW", draw).replace("VERSION", _PLOTLY).replace("NAME", name)
    return HTML(page.replace("CONTROLS", controls).replace("FIGURE", content))


_PAGE = """<div id="NAME" class="turnable" style="width:100%;height:26rem"></div>CONTROLS
<script>
(function () {
  const box = document.getElementById("NAME"), figure = FIGURE;
  // Under a finger it sleeps, or a page could not be scrolled past it: a tap wakes it.
  if (matchMedia("(pointer: coarse)").matches) {
    const wake = document.createElement("button");
    wake.type = "button"; wake.className = "wake"; wake.textContent = "tap to turn";
    wake.style = "display:block;margin:0 auto;padding:.3rem .9rem";
    const sleep = (asleep) => {
      box.style.pointerEvents = asleep ? "none" : "";
      wake.style.visibility = asleep ? "" : "hidden";
    };
    box.before(wake); sleep(true);
    wake.onclick = () => sleep(false);
    // Of a scroll no pointer comes up again; a tap elsewhere lets it sleep.
    document.addEventListener("pointerup", ({clientX: x, clientY: y, target}) => {
      const {left, right, top, bottom} = box.getBoundingClientRect();
      if (target !== wake) sleep(!(left < x && x < right && top < y && y < bottom));
    });
  }
  function draw() {
DRAW
  }
  function load(sources) {
    if (window.Plotly) return draw();
    // RequireJS, where a page has it, would swallow the library.
    const amd = window.define; window.define = undefined;
    const script = document.createElement("script");
    script.src = sources[0];
    script.onload = () => { window.define = amd; draw(); };
    script.onerror = () => { window.define = amd; load(sources.slice(1)); };
    document.head.appendChild(script);
  }
  const remote = "https://cdn.plot.ly/plotly-VERSION.min.js";
  const root = document.documentElement.dataset.content_root;
  const local = root === undefined ? [] : [root + "_static/plotly.min.js"];
  new IntersectionObserver((seen, watch) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    load([...local, remote]);
  }).observe(box);
})();
</script>"""

_SIDE_BY_SIDE = """    const scenes = Object.values(figure.layout).filter((part) => part.camera);
    if (box.clientWidth < 520) {  // a phone: one above the other
      box.style.height = 20 * scenes.length + "rem";
      scenes.forEach((scene, i) => {
        const top = 1 - i / scenes.length;
        scene.domain = {x: [0, 1], y: [top - 1 / scenes.length, top]};
      });
    }
    figure.layout.annotations = scenes.map(({domain}, i) => ({
      text: figure.titles[i], x: (domain.x[0] + domain.x[1]) / 2, y: domain.y[1],
      xref: "paper", yref: "paper", yanchor: "top", showarrow: false, font: {size: 15},
    }));
    Plotly.newPlot(box, figure.data, figure.layout, {responsive: true, displayModeBar: false});"""

_SLIDER = """
<div class="slider" style="display:flex;gap:1rem;align-items:center;flex-wrap:wrap">
<button type="button" style="min-width:4rem">play</button>
<input type="range" min="0" max="{last}" value="0" aria-label="{slider}" style="flex:1 1 12rem">
<output style="min-width:13rem"></output></div>"""

_SLIDE = """    const [button, range, text] = box.nextElementSibling.children;
    const {heights, ball, captions} = figure;
    function show() {
      const now = +range.value, upTo = (axis) => ball[axis].slice(0, now + 1);
      text.value = captions[now];
      Plotly.restyle(box, {z: [heights[now]]}, [0]);
      Plotly.restyle(box, {x: [[ball.x[now]]], y: [[ball.y[now]]], z: [[ball.z[now]]]}, [1]);
      Plotly.restyle(box, {x: [upTo("x")], y: [upTo("y")], z: [upTo("z")]}, [2]);
    }
"""

_WALK = """    const [button, range, text] = box.nextElementSibling.children;
    const {frames, captions, titles, layout} = figure, count = titles.length;
    const stacked = box.clientWidth < 520;  // a phone: one above the other
    if (stacked) box.style.height = 17 * count + "rem";
    layout.margin = {l: 50, r: 10, t: 25, b: 45};
    layout.annotations = titles.map((title, i) => {
      const gap = stacked ? 0.3 / count : 0.22 / count, size = (1 - gap * (count - 1)) / count;
      const low = i * (size + gap), name = i ? i + 1 : "";
      const part = stacked ? [1 - low - size, 1 - low] : [low, low + size];
      layout["xaxis" + name].domain = stacked ? [0, 1] : part;
      layout["yaxis" + name].domain = stacked ? part : [0, 1];
      if (!stacked && i) layout["yaxis" + name].title.text = "";  // it is that of the first
      return {
        text: title, xref: "paper", yref: "paper", showarrow: false, font: {size: 15},
        x: stacked ? 0.5 : (part[0] + part[1]) / 2, xanchor: "center",
        y: stacked ? part[1] : 1, yanchor: "bottom",
      };
    });
    function show() {
      const now = +range.value;
      text.value = captions[now];
      frames.forEach((own, i) => {
        const [x, y] = own[now];
        Plotly.restyle(box, {x: [x], y: [y]}, [2 * i + 1]);
      });
    }
"""

_PLAY = """    let timer = null;
    function stop() {
      clearInterval(timer); timer = null; button.textContent = "play";
    }
    range.oninput = () => { stop(); show(); };
    button.onclick = () => {
      if (timer) return stop();
      if (range.value === range.max) range.value = 0;
      button.textContent = "pause";
      timer = setInterval(() => {
        range.value = +range.value + 1; show();
        if (range.value === range.max) stop();
      }, 120);
    };
    Plotly.newPlot(box, figure.data, figure.layout, {responsive: true, displayModeBar: false})
      .then(show);"""
