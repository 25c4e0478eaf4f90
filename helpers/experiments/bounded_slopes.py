"""How many starts a bounded discriminator leaves trapped, loss by loss.

Sun et al. 2020 (Section 6, on spectral normalisation) suspect that a bounded slope
smooths the landscape; they do not say how far it must be bounded. Here the generator is its n
points, the discriminator any function of slope at most L, and a start is *trapped* if each of its
paths to a global minimum rises (their Definition 4.1), on a grid of all n points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pandas import DataFrame
from scipy.spatial.distance import pdist
from typing_extensions import Unpack

from helpers.experiments import protocol
from helpers.experiments.ensembles import member_seed
from helpers.experiments.parts import Context, in_folder, kept
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.inputs import real_number, whole_number
from helpers.inputs import seed as whole_seed
from helpers.losses.scalars import SEPARABLE, check_loss
from helpers.outer import barriers, phi_lipschitz

VERSION = 1
_LINES = 20  # at most along an axis: a finer grid shows nothing new, and takes longer
_RISE = 1e-6  # that counts: ten times what the values are exact to


@dataclass(frozen=True)
class Setting:
    """A landscape; slopes are L times the largest distance between two real points.

    Raises:
        ValueError: for an unknown loss, n below 2, d below 1, and slopes that are not positive.

    >>> Setting("rs", n=3).slopes
    (0.125, 0.5, 2.0, 8.0)
    """

    loss: str = "js"  # of `helpers.outer.phi_lipschitz`
    n: int = 2  # real points, and generated ones
    d: int = 1  # dimensions of the space they lie in
    slopes: tuple[float, ...] = (0.125, 0.5, 2.0, 8.0)

    def __post_init__(self) -> None:
        check_loss(self.loss, bounded=True)
        whole_number("n", self.n, 2)
        whole_number("d", self.d, 1)
        for slope in self.slopes:
            real_number("slopes", slope, above=0)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How fine the grid is; a member is a set of real points."""

    members: int = 3
    nodes: int = 4096  # of the grid, at most, where that leaves two even lines an axis


READINGS = {
    "random real points": Reading(
        Setting(), "ours: the paper draws no landscape at a bounded slope", stated=False
    )
}
_LOSSES = ("js", "ls", "hinge", "rs", "rp-hinge")
_SPACES = {
    f"n {n}, {space}": {"n": n, "d": d} for n in (2, 3) for space, d in (("line", 1), ("plane", 2))
}
ARMS: dict[str, dict[str, Any]] = {
    f"{loss}, {where}": {"loss": loss} | space
    for where, space in _SPACES.items()
    for loss in _LOSSES
}
SIZES = {
    "quick": Size(members=1, lacks="two of three sets of real points"),
    "full": Size(lacks="nothing: no paper has it"),
}
_COARSE = tuple(arm for arm in ARMS if arm.endswith("n 3, plane"))  # 15,625 nodes, and five lines
_JUDGED = tuple(arm for arm in ARMS if arm not in _COARSE)
WANTED = [
    Wanted(tuple(READINGS), _JUDGED, "full", range(100, 101), "R07, R08; 6 minutes"),
    Wanted(tuple(READINGS), _COARSE, "full", range(100, 101), "six dimensions; 8 minutes"),
]


def real_points(n: int, d: int, *, seed: int) -> NDArray[np.float64]:
    """(n, d) random real points, the two that lie furthest apart at distance 1.

    Their bounding box has its centre within a quarter of the origin, along each axis.

    >>> round(float(np.ptp(real_points(2, 1, seed=0))), 12)
    1.0
    """
    rng = np.random.default_rng(whole_seed(seed))
    x = rng.normal(size=(n, d))
    x /= pdist(x).max()
    middle = (x.min(axis=0) + x.max(axis=0)) / 2
    return np.asarray(x - middle + rng.uniform(-0.25, 0.25, d))


def grid_lines(x: NDArray[np.float64], nodes: int) -> list[NDArray[np.float64]]:
    """(k,) places along each of the d axes: those of the real points, and evenly spaced ones.

    The even ones reach from -1 to 1; there are two, or as many more as make a grid of at most
    `nodes` nodes for n points of d coordinates, and 20 lines an axis in all.

    >>> grid_lines(np.array([[-0.5], [0.5]]), 16)
    [array([-1. , -0.5,  0.5,  1. ])]
    """
    n, d = x.shape
    most = min(_LINES, int(nodes ** (1 / (n * d)) + 1e-9))
    even = np.linspace(-1, 1, max(2, most - n))
    return [np.union1d(even, column) for column in x.T]


def trapped(
    loss: str, x: NDArray[np.float64], slope: float, nodes: int, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """How many starts are trapped: their "share" of the window, and the largest rise, "depth".

    A node stands for what is nearer to it than to its neighbours along each axis.

    Args:
        loss: of `helpers.outer.phi_lipschitz`.
        x: (n, d) real points within the window from -1 to 1.
        slope: L times the largest distance between two real points.
        nodes: of the grid, at most.
        device: where the values are found.

    Raises:
        ValueError: as `phi_lipschitz`.

    >>> trapped("js", np.array([[-0.5], [0.5]]), 0.5, 100)
    {'share': 0.0, 'depth': 0.0}
    """
    lines, (n, d) = grid_lines(x, nodes), x.shape
    axes = lines * n  # y_1's coordinates, then y_2's, ...
    places = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, d)
    states = np.indices((len(places),) * n).reshape(n, -1).T  # the place of each point
    # A separable loss does not ask which point is where.
    alike = np.sort(states, axis=1) if loss in SEPARABLE else states
    different, back = np.unique(alike, axis=0, return_inverse=True)
    L = slope / pdist(x).max()
    values = phi_lipschitz(x, places[different], loss, L, device=str(device))
    heights = values[back.reshape(-1)].reshape([len(line) for line in axes])
    at = np.stack([np.searchsorted(line, x[:, axis]) for axis, line in enumerate(lines)], axis=1)
    goals = [at[list(order)].ravel() for order in permutations(range(n))]
    rise = barriers(heights, goals)
    rise[rise <= _RISE] = 0
    share = np.ones(())  # of each node
    for line in axes:
        middles = np.concatenate([line[:1], (line[1:] + line[:-1]) / 2, line[-1:]])
        share = np.multiply.outer(share, np.diff(middles) / (line[-1] - line[0]))
    return {"share": float(share[rise > 0].sum()), "depth": float(rise.max())}


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """What the evidence keeps: "members", a row per set of real points.

    At each slope, "trapped at ..." is the share of the window whose starts are trapped, and "depth
    at ..." how far the deepest of them must climb.

    >>> tiny = Size(members=1, nodes=25, lacks="most")
    >>> measure(Setting(slopes=(0.5,)), tiny, seed=0)["members"]["trapped at 0.5"].tolist()
    [0.0]
    """
    given = Context(**how)
    rows = []
    for member in range(size.members):
        x = real_points(setting.n, setting.d, seed=member_seed(given.seed, member))
        row: dict[str, Any] = {"member": member}
        for slope in setting.slopes:
            found = kept(
                partial(trapped, setting.loss, x, slope, size.nodes, given.device),
                in_folder(given.folder, f"member-{member}-slope-{slope:g}.pt"),
                {"member": member, "slope": slope, "nodes": size.nodes},
                given.until,
            )
            row |= {f"trapped at {slope:g}": found["share"], f"depth at {slope:g}": found["depth"]}
        rows.append(row)
    return {"members": DataFrame(rows)}


def _each(losses: tuple[str, ...], slopes: tuple[str, ...]) -> Quantity:
    """The largest share that these losses trap at these slopes, a number per space and member."""

    def found(rows: Rows) -> list[float]:
        columns = [f"trapped at {slope}" for slope in slopes]
        largest = [
            np.max([rows[f"{loss}, {where}"][columns].max(axis=1) for loss in losses], axis=0)
            for where in _SPACES
            if where != "n 3, plane"
        ]
        return np.concatenate(largest).tolist()

    return found


_ALL = ("0.125", "0.5", "2", "8")
QUANTITIES: dict[str, dict[str, Quantity]] = {
    "R07": {
        "js_at_half": _each(("js",), ("0.5",)),
        "js_at_8": _each(("js",), ("8",)),
        "ls_at_eighth": _each(("ls",), ("0.125",)),
        "ls_at_8": _each(("ls",), ("8",)),
    },
    "R08": {
        "hinge_at_any": _each(("hinge",), _ALL),
        "pairing_at_any": _each(("rs", "rp-hinge"), _ALL),
    },
}
