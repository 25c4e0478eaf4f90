"""The landscape of two points to play with on the landing page.

All numbers are computed here, on a grid; the script of the page looks them up.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from helpers import figures
from helpers.outer import best_discriminator, find_basins, phi_lipschitz

REALS = (0.0, 4.0)
SLOPE = 1.0  # largest slope of the discriminator
LOSSES = ("js", "rs")
START = (0.5, -0.5)  # of the two generated points: both near the same real one
# Both real points are nodes, and the surface bends along rows, columns and the diagonal alone.
GRID: NDArray[np.float64] = np.linspace(-2, 6, 97)
DATA, PICTURE = "playground_data.js", "preview.png"
_STEPS = {"values": 2.5e-5, "best": 2e-4}  # 16 bits hold whole multiples of these


def surfaces() -> dict[str, NDArray[np.float64]]:
    """(m, m) the objective over (y1, y2), by loss."""
    return {loss: phi_lipschitz(REALS, _points(), loss, SLOPE) for loss in LOSSES}


def data(heights: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """What the script looks up, by loss; arrays as text, 16 bits per number.

    "values" (m, m) is the objective over (y1, y2), "best" (m, m, 4) the best discriminator at both
    real and both generated points, "next" (m, m) the node to which the steepest descent goes.
    """
    points = _points()
    found: dict[str, Any] = {"grid": [GRID[0], GRID[-1], len(GRID)], "reals": REALS, "slope": SLOPE}
    found |= {"start": START, "steps": _STEPS}
    for loss, values in heights.items():
        best = np.concatenate(best_discriminator(REALS, points, loss, SLOPE), axis=-1)
        basins = find_basins(values, tolerance=1e-6)
        arrays: dict[str, NDArray[Any]] = {"next": basins.next_node}
        arrays |= {"values": values / _STEPS["values"], "best": best / _STEPS["best"]}
        found[loss] = {name: _packed(array) for name, array in arrays.items()}
    return found


def write(folder: Path) -> None:
    """Write the numbers into a folder of static files, as a script that sets them; and a picture.

    The picture, of both surfaces, is what a shared link to a page shows.
    """
    heights = surfaces()
    text = json.dumps(data(heights), allow_nan=False)
    (folder / DATA).write_text(f"window.playgroundData = {text};\n", encoding="utf-8")
    named = {f"{loss.upper()}-GAN": values for loss, values in heights.items()}
    crosses = {"JS-GAN": [(x, x) for x in REALS]}
    both: list[tuple[float, float]] = [REALS, (REALS[1], REALS[0])]
    figure = figures.landscapes(GRID, named, stars=both, crosses=crosses, outlines={}, paths={})
    figure.savefig(folder / PICTURE, dpi=120)
    plt.close(figure)


def html() -> str:
    """The part of a page that the script fills, and what stands there without the script."""
    return (Path(__file__).parent / "playground.html").read_text(encoding="utf-8")


def _points() -> NDArray[np.float64]:
    return np.stack(np.meshgrid(GRID, GRID, indexing="ij"), axis=-1)


def _packed(array: NDArray[Any]) -> str:
    whole = np.round(array)
    assert np.abs(whole).max() < 2**15, "16 bits are too few"
    return base64.b64encode(whole.astype("<i2").tobytes()).decode("ascii")
