"""A player's loss on a plane of its weights, and a training projected on that plane.

Durall et al. 2021, Figure 2, show the plane through the last point of a training along two
eigenvectors of a player's own Hessian, the other player held, and the training's points on it. Such
a picture leaves out most of what happened. Here it comes with the share of each point's
displacement that lies in the plane, and with the true loss beside the loss that the picture shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from helpers.games.game import PLAYERS, Game, check_player
from helpers.inputs import real_array, shown
from helpers.machine import progress_bar
from helpers.operators import hessian
from helpers.spectra import top_eigenpairs

_LARGE = 10_000  # from this many weights on, losses are taken point by point
_AT_ONCE = 64  # points per batch in smaller games
PLANES = ("top", "ends")


@dataclass(frozen=True, eq=False)
class LossPlane:
    """A player's loss over two directions; (0, 0) is the point in the middle."""

    x: NDArray[np.float64]  # (a,) along the first direction, in units of the weights
    y: NDArray[np.float64]  # (b,) along the second
    loss: NDArray[np.float64]  # (a, b)

    @property
    def logarithm(self) -> NDArray[np.float64]:
        """(a, b) log10 of the loss, as the paper draws it.

        Raises:
            ValueError: where the loss is not positive, as that of a Wasserstein GAN need not be.
        """
        if not (self.loss > 0).all():
            raise ValueError(f"a loss of {self.loss.min():g} has no logarithm")
        return np.log10(self.loss)


@dataclass(frozen=True, eq=False)
class ProjectedPath:
    """A training on a plane, and what the plane does not show."""

    places: NDArray[np.float64]  # (m, 2) on the plane
    share: NDArray[np.float64]  # (m,) of each displacement's length; NaN where that is 0
    plane_loss: NDArray[np.float64]  # (m,) at the places, which the picture shows
    held_loss: NDArray[np.float64]  # (m,) with the own weights as they were, the other player held
    true_loss: NDArray[np.float64]  # (m,) with both players as they were


@dataclass(frozen=True, eq=False)
class EigenPlane:
    """Two orthonormal directions, and the curvature along each."""

    directions: Tensor  # (n, 2) in the player's own weights
    values: NDArray[np.float64]  # (2,) eigenvalues
    residuals: NDArray[np.float64]  # (2,)


def eigen_plane(
    game: Game,
    player: str,
    omega: ArrayLike | Tensor,
    which: str = "top",
    *,
    seed: int = 0,
) -> EigenPlane:
    """The plane of a player's two leading eigenvectors, or of the first and the last one.

    Where the two leading eigenvalues are positive, the loss on their plane curves up. A saddle
    shows only on a plane that contains the last eigenvector. Where all curvatures are equal up to
    the search's tolerance, the second direction is some other one.

    Args:
        game: any game.
        player: "G" or "D".
        omega: (p + q,) the point.
        which: "top" for the two largest eigenvalues, "ends" for the largest and the smallest.
        seed: seed of the search.

    Raises:
        ValueError: for an unknown plane, a player with one weight, and as `hessian` and
            `top_eigenpairs`.
        FloatingPointError: for a gradient or a curvature that is not finite.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> eigen_plane(rotating_saddle(), "G", [1.0, 1.0, 0.0], "ends").values.round(6)
    array([ 2., -1.])
    """
    if which not in PLANES:
        raise ValueError(f"a plane is one of {', '.join(PLANES)}, got {which!r}")
    check_player(player)
    if (n := game.sizes[PLAYERS.index(player)]) < 2:
        raise ValueError(f"a plane needs a player with two weights or more, {player} has {n}")
    if not game.gradient(player, game.one_point(omega)).isfinite().all():
        raise FloatingPointError(f"the gradient of {player} at the point is not finite")
    operator = hessian(game, player, omega, route="retained")
    options: dict[str, Any] = {"seed": seed, "tolerance": 1e-2}
    if which == "top":
        found = top_eigenpairs(operator, 2, **options)
        return EigenPlane(found.vectors, found.values, found.residuals)
    ends = [top_eigenpairs(operator, 1, end, **options) for end in ("LA", "SA")]
    first, last = (each.vectors[:, 0] for each in ends)
    last = last - first * (first @ last)  # they are orthogonal up to their residuals
    values, residuals = (
        np.concatenate([getattr(each, name) for each in ends]) for name in ("values", "residuals")
    )
    if last.norm() < 0.5:  # one vector, which passes for both
        pair = top_eigenpairs(operator, 2, "SA", **options).vectors
        last = pair[:, (first @ pair).abs().argmin()]
        last = last - first * (first @ last)
        last = last / last.norm()
        image = operator.matvec(last)
        values[1] = float(last @ image)
        residuals[1] = float((image - last * (last @ image)).norm())
    return EigenPlane(torch.stack([first, last / last.norm()], dim=1), values, residuals)


def loss_plane(
    game: Game,
    omega: ArrayLike | Tensor,
    directions: Tensor,
    *,
    player: str,
    x: ArrayLike,
    y: ArrayLike,
) -> LossPlane:
    """A player's loss at omega + x d1 + y d2, the other player held.

    Args:
        game: any game.
        omega: (p + q,) the point in the middle.
        directions: (n, 2) orthonormal, in the player's own weights.
        player: "G" or "D".
        x, y: (a,) and (b,) places along the directions, evenly spaced or not.

    Raises:
        ValueError: for directions that are not orthonormal or do not fit, and places that are not
            finite.
        FloatingPointError: for a loss that is not finite; it names the place on the plane.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> plane = loss_plane(
    ...     rotating_saddle(), [1.0, 1.0, 0.0], torch.eye(2), player="G", x=[-1, 0, 1], y=[0, 1])
    >>> plane.loss.round(6) + 0.0
    array([[-0.5,  0.5],
           [ 0. ,  1. ],
           [-0.5,  0.5]])
    """
    point = game.one_point(omega)
    span = _checked(game, player, directions, point)
    x, y = _places(x), _places(y)
    rows: list[list[float]] = []
    steps = torch.from_numpy(y).to(point)
    for place in progress_bar(x, desc="rows"):
        steps_here = torch.stack([torch.full_like(steps, float(place)), steps], dim=1)
        points = _moved(game, player, point, steps_here @ span.T)
        parts = points.split(1 if game.dimension >= _LARGE else _AT_ONCE)
        losses = torch.cat([game.loss(player, part) for part in parts])
        rows.append(losses.double().tolist())
        for value, other in zip(rows[-1], y, strict=True):
            if not np.isfinite(value):
                raise FloatingPointError(
                    f"the loss of {player} is {value} at x = {place:g}, y = {other:g}"
                )
    return LossPlane(x, y, np.array(rows))


def projected(
    game: Game, omega: ArrayLike | Tensor, points: Tensor, directions: Tensor, *, player: str
) -> ProjectedPath:
    """Points of a training on the plane through omega, and what the projection leaves out.

    Args:
        game: any game.
        omega: (p + q,) the point in the middle, as a rule the training's last.
        points: (m, p + q) of the training.
        directions: (n, 2) orthonormal, in the player's own weights.
        player: "G" or "D".

    Raises:
        ValueError: as `loss_plane`.
        FloatingPointError: for a loss that is not finite; it names the point.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> path = projected(
    ...     rotating_saddle(), [1.0, 1.0, 0.0], torch.tensor([[1.0, 3.0, 2.0]]), torch.eye(2),
    ...     player="G")
    >>> path.places, path.share, path.held_loss, path.true_loss
    (array([[0., 2.]]), array([1.]), array([4.]), array([-18.]))
    """
    point = game.one_point(omega)
    span = _checked(game, player, directions, point)
    points = torch.atleast_2d(game.point(points)).to(point)
    own = PLAYERS.index(player)
    away = game.split(points - point)[own]
    places = away @ span
    within = (places @ span.T).norm(dim=1)
    length = away.norm(dim=1)
    share = torch.where(length > 0, within / length, torch.nan)
    shown = _moved(game, player, point, places @ span.T)
    held = _moved(game, player, point, away)
    losses = [
        torch.stack([game.loss(player, each) for each in rows]) for rows in (shown, held, points)
    ]
    for name, found in zip(("on the plane", "held", "of both players"), losses, strict=True):
        if not found.isfinite().all():
            number = int((~found.isfinite()).nonzero()[0])
            raise FloatingPointError(
                f"the loss of {player} {name} is {float(found[number])} at point {number}"
            )
    return ProjectedPath(*(each.double().cpu().numpy() for each in (places, share, *losses)))


def _moved(game: Game, player: str, point: Tensor, steps: Tensor) -> Tensor:
    """(m, p + q): a point with steps (m, n) of one player."""
    parts = [part.expand(len(steps), -1) for part in game.split(point)]
    own = PLAYERS.index(player)
    parts[own] = parts[own] + steps
    return torch.cat(parts, dim=1)


def _checked(game: Game, player: str, directions: Tensor, point: Tensor) -> Tensor:
    check_player(player)
    n = game.sizes[PLAYERS.index(player)]
    if not isinstance(directions, Tensor) or directions.is_complex():
        raise ValueError(f"directions are a real tensor ({n}, 2), got {shown(directions)}")
    span = directions.detach().to(point)
    if span.shape != (n, 2):
        raise ValueError(f"directions of {player} are ({n}, 2), got {tuple(span.shape)}")
    gram = (span.T @ span).double().cpu()
    if not torch.allclose(gram, torch.eye(2, dtype=gram.dtype, device="cpu"), atol=1e-3):
        raise ValueError("directions must be orthonormal columns")
    return span


def _places(values: ArrayLike) -> NDArray[np.float64]:
    places = real_array("places", values, finite=False)
    if places.ndim != 1 or not len(places) or not np.isfinite(places).all():
        raise ValueError(f"places are finite numbers in a row, got shape {places.shape}")
    return places
