"""The landscape of two points as the landing page has it, to be played with.

All numbers are computed here, on a grid; the script of the page looks them up.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.outer import best_discriminator, find_basins, phi_lipschitz

REALS = (0.0, 4.0)
SLOPE = 1.0  # of the discriminator, at most
LOSSES = ("js", "rs")
START = (0.5, -0.5)  # of the two generated points: both near the same real one
# Both real points are nodes, and the surface bends along rows, columns and the diagonal alone.
GRID: NDArray[np.float64] = np.linspace(-2, 6, 97)
DATA = "playground_data.js"
_STEPS = {"values": 2.5e-5, "best": 2e-4}  # of which 16 bits hold whole multiples


def data() -> dict[str, Any]:
    """What the script looks up, by loss; arrays as text, 16 bits a number.

    "values" (m, m) is the objective over (y1, y2), "best" (m, m, 4) the best discriminator at both
    real and both generated points, "next" (m, m) the node to which the steepest descent goes.
    """
    points = np.stack(np.meshgrid(GRID, GRID, indexing="ij"), axis=-1)
    found: dict[str, Any] = {"grid": [GRID[0], GRID[-1], len(GRID)], "reals": REALS, "slope": SLOPE}
    found |= {"start": START, "steps": _STEPS}
    for loss in LOSSES:
        values = phi_lipschitz(REALS, points, loss, SLOPE)
        best = np.concatenate(best_discriminator(REALS, points, loss, SLOPE), axis=-1)
        basins = find_basins(values, tolerance=1e-6)
        arrays: dict[str, NDArray[Any]] = {"next": basins.next_node}
        arrays |= {"values": values / _STEPS["values"], "best": best / _STEPS["best"]}
        found[loss] = {name: _packed(array) for name, array in arrays.items()}
    return found


def write(folder: Path) -> None:
    """Write the numbers into a folder of static files, as a script that sets them."""
    text = json.dumps(data(), allow_nan=False)
    (folder / DATA).write_text(f"window.playgroundData = {text};\n", encoding="utf-8")


def html() -> str:
    """The part of a page that the script fills; what stands in its place without it."""
    return (Path(__file__).parent / "playground.html").read_text(encoding="utf-8")


def _packed(array: NDArray[Any]) -> str:
    whole = np.round(array)
    assert np.abs(whole).max() < 2**15, "16 bits are too few"
    return base64.b64encode(whole.astype("<i2").tobytes()).decode("ascii")
