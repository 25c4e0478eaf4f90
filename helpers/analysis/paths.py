"""Path-angle and path-norm: the field of a game along the straight line between two points.

Berard et al. 2020, section 4.2. The line leads from a point early in training to one late in
training, and beyond it. The paper's eq. 7 takes the cosine with ``end - start``; its released code
and its figures take it with ``start - end``, so that attraction reads +1 before the end point and
-1 beyond it. The code's sign is used here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from helpers.games.game import Game
from helpers.inputs import one_of, real_array

_LARGE = 10_000  # from this many weights on, points are looked at one by one
ROUNDING = 1e-9  # of positions: 1.1 - 1 is above 0.1 in floats


@dataclass(frozen=True, eq=False)
class PathProfile:
    """The field along straight paths, one for each of m end points."""

    alphas: NDArray[np.float64]  # (k,): 0 at the start, 1 at the end
    angle: NDArray[np.float64]  # (m, k) path-angle, a cosine; NaN where the field vanishes
    norm: NDArray[np.float64]  # (m, k) path-norm |v|

    def quartiles(self, what: str = "angle") -> NDArray[np.float64]:
        """(3, k): lower quartile, median and upper quartile over the end points.

        NaN where the field vanishes on one of the paths.

        Raises:
            ValueError: unless what is angle or norm.
        """
        one_of("what", what, ("angle", "norm"))
        return np.quantile(getattr(self, what), [0.25, 0.5, 0.75], axis=0)

    def level(self) -> NDArray[np.float64]:
        """(m,) size of the path-angle at the position nearest to the start."""
        return np.abs(self.angle[:, np.argmin(np.abs(self.alphas))])

    def height(self) -> NDArray[np.float64]:
        """(m,) largest size of the path-angle no further than 0.1 from the end point.

        Raises:
            ValueError: if no alpha lies that near to 1.
        """
        near = np.abs(self.alphas - 1) <= 0.1 + ROUNDING
        if not near.any():
            raise ValueError("no alpha within 0.1 of the end point at 1")
        return np.fmax.reduce(np.abs(self.angle[:, near]), axis=1)  # where there is one

    def sign_switches(self) -> NDArray[np.intp]:
        """(m,) how often the path-angle changes sign; zeros count as neither sign."""
        return np.array([sign_switches(row) for row in self.angle])


def sign_switches(values: NDArray[np.float64]) -> int:
    """How often a row of numbers changes sign; zeros and NaN count as neither sign.

    >>> sign_switches(np.array([1.0, 0.0, 2.0, -1.0]))
    1
    """
    values = real_array("values", values, finite=False)
    if values.ndim != 1:
        raise ValueError(f"values are a row of numbers, got shape {values.shape}")
    signs = np.sign(values[np.isfinite(values) & (values != 0)])
    return int(np.count_nonzero(np.diff(signs)))


def path_profile(
    game: Game, start: ArrayLike | Tensor, end: ArrayLike | Tensor, alphas: ArrayLike
) -> PathProfile:
    """Path-angle and path-norm on the lines (1 - alpha) start + alpha end.

    ``c(alpha) = <start - end, v> / (|start - end| |v|)``: Berard et al. 2020, eq. 7, with the
    released code's sign. As printed, the equation gives -c.

    Args:
        game: any game.
        start: (n,) one point.
        end: (n,) one point, or (m, n) several for the robustness that B's Appendix C.3 asks for.
        alphas: (k,) finite positions on the line.

    Raises:
        ValueError: for bad points, alphas that are not finite numbers in a row, and an end that
            is the start.
        FloatingPointError: for a field that leaves the range of floats; it names the place.

    >>> from helpers.games.closed_form import quadratic_game
    >>> pull = quadratic_game([[1.0]], [[1.0]], [[0.0]], [[0.0]])
    >>> path_profile(pull, [1.0, 1.0], [0.01, 0.01], [0.0, 2.0]).angle.round(6)
    array([[ 1., -1.]])
    """
    start, ends = game.point(start), game.point(end)
    alphas = real_array("alphas", alphas, finite=False)
    if start.ndim != 1 or ends.ndim > 2 or not len(ends):
        raise ValueError(
            "path_profile needs one start (n,) and ends (n,) or (m, n), "
            f"got {tuple(start.shape)} and {tuple(ends.shape)}"
        )
    if alphas.ndim != 1 or not len(alphas) or not np.isfinite(alphas).all():
        raise ValueError(f"alphas are finite numbers in a row, got {alphas}")
    where = torch.from_numpy(alphas).to(start)[:, None]
    rows = [_along(game, start, path_end, where) for path_end in torch.atleast_2d(ends)]
    return PathProfile(alphas, *np.stack(rows, axis=1))


def _along(game: Game, start: Tensor, end: Tensor, where: Tensor) -> NDArray[np.float64]:
    """(2, k): angle and norm on one path."""
    towards = start - end
    length = towards.norm()
    if not length.isfinite():
        raise FloatingPointError("the distance from start to end is beyond the range of floats")
    if not (towards != 0).any():
        raise ValueError("a path needs an end apart from its start")
    limits = torch.finfo(towards.dtype)
    underflow = (limits.tiny / limits.eps) ** 0.5  # of the squares of numbers below it
    if length < underflow:
        towards = towards / towards.abs().max()
        length = towards.norm()
    points = (1 - where) * start + where * end
    if game.dimension < _LARGE:
        field = game.vector_field(points)
    else:  # the samples of every point at once would not fit into memory
        field = torch.stack([game.vector_field(point) for point in points])
    largest = field.abs().amax(dim=1)
    unit = field / largest[:, None]  # also for a field so small that its square is zero
    angle = unit @ towards / (length * unit.norm(dim=1))
    norm = field.norm(dim=1)
    # Also where the squares are beyond the range of floats, or below it.
    small = (largest > 0) & (largest < underflow)
    norm = torch.where(norm.isfinite() & ~small, norm, largest * unit.norm(dim=1))
    if not norm.isfinite().all():  # a vanishing field has no angle, but it has a norm
        place = int((~norm.isfinite()).nonzero()[0])
        raise FloatingPointError(
            f"the field of {game.name} at alpha = {float(where[place]):g} is beyond the range of "
            f"floats of {field.dtype}"
        )
    return torch.stack([angle, norm]).double().cpu().numpy()
