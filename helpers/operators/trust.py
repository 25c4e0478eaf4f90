"""Which way to differentiate is right for a game of networks, as found by differences.

Agreement of two ways proves little: torch's own derivatives of a layer may be wrong in all of them
(for instance double backward through native norms, where a penalty makes it a third derivative),
and a layer may be differentiable in one way and not in another. So the first product of a route,
for networks of one structure, is checked against central differences of the field in float64, on
few samples.
"""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

from helpers.games.differences import compared, steady
from helpers.games.game import PLAYERS, Game, Probe
from helpers.operators.derivative import Derivative, routes_for

_MOST = 1024
_FOUND: dict[Hashable, str] = {}  # by structure, operator and route: what is wrong, or nothing


def trusted(game: Game, kind: str, route: str) -> str:
    """The route to take for a player's Hessian ("G", "D") or the game's Jacobian ("J").

    A ValueError if the route is not right for these networks, or, for "auto", if none is. For games
    without a probe all routes are trusted.
    """
    n = game.dimension if kind == "J" else game.sizes[PLAYERS.index(kind)]
    routes = routes_for(n) if route == "auto" else (route,)
    if game.probe is None:
        return routes[0]
    faults = {}
    for each in routes:
        # Rounding to bfloat16 is not in question.
        fault = _fault(game.probe, kind, "linearized" if each == "bfloat16" else each)
        if not fault:
            return each
        faults[each] = fault
    of = "the game's Jacobian" if kind == "J" else f"{kind}'s Hessian"
    said = "; ".join(f"{each}: {fault}" for each, fault in faults.items())
    raise ValueError(f"no right products of {of} of these networks. {said}")


def own_derivative(game: Game, player: str, omega: Tensor, route: str) -> Derivative:
    """A player's Hessian at a point, by one route."""
    # The other player's weights stay apart: joined with these, they would add products with zeros.
    with torch.inference_mode(False):
        theta, phi = game.split(omega.clone())  # the caller may go on training

    def both(own: Tensor) -> tuple[Tensor, Tensor]:
        return (own, phi) if player == "G" else (theta, own)

    return Derivative(
        lambda own: game.traceable_gradient(player, *both(own)),
        theta if player == "G" else phi,
        symmetric=True,
        route=route,
        graph=lambda own: game.gradient_with_graph(player, *both(own)),
    )


def field_derivative(game: Game, omega: Tensor, route: str) -> Derivative:
    """The Jacobian of the field at a point, by one route."""

    def graph(joint: Tensor) -> Tensor:
        return torch.cat(
            [game.gradient_with_graph(player, *game.split(joint)) for player in PLAYERS]
        )

    return Derivative(game.traceable_field, omega, route=route, graph=graph)


def _fault(probe: Probe, kind: str, route: str) -> str:
    """What is wrong with a route, or nothing; determined once for games of one structure."""
    key = (probe.key, kind, route)
    if key not in _FOUND:
        while len(_FOUND) >= _MOST:
            del _FOUND[next(iter(_FOUND))]
        with torch.inference_mode(False):  # tensors made in that mode have no derivatives
            fault, is_telling = _tried(probe, kind, route)
        if not is_telling:
            return fault
        _FOUND[key] = fault
    return _FOUND[key]


def _tried(probe: Probe, kind: str, route: str) -> tuple[str, bool]:
    """What is wrong with a route at the networks' own weights, and whether to remember that.

    Where a player is saturated, its slopes are so small that rounding is all that differences show,
    and they tell right products from wrong ones no more than they agree with each other. Then the
    same networks are looked at with weights half as large, at which they are not saturated.
    """
    game, omega = probe.make()
    fault, is_telling = _tried_at(game, omega, probe.rough, kind, route)
    if fault and not is_telling:
        return _tried_at(game, omega / 2, probe.rough, kind, route)
    return fault, is_telling


def _tried_at(game: Game, omega: Tensor, rough: bool, kind: str, route: str) -> tuple[str, bool]:
    """What is wrong at a point, or nothing; and whether differences there tell anything."""
    p, q = game.sizes
    start, n = {"G": (0, p), "D": (p, q), "J": (0, p + q)}[kind]

    def field(rows: Tensor) -> Tensor:
        moved = omega.clone()
        moved[start : start + n] = rows[0]
        return (game.vector_field(moved) if kind == "J" else game.gradient(kind, moved))[None]

    here = omega[None, start : start + n]
    try:
        if kind == "J":
            operator = field_derivative(game, omega, route)
        else:
            operator = own_derivative(game, kind, omega, route)
        found = compared(
            field,
            here,
            lambda rows: operator.matvec(rows[0])[None],
            None if operator.symmetric else lambda rows: operator.rmatvec(rows[0])[None],
            rough=rough,
        )
    except (RuntimeError, NotImplementedError) as error:  # of torch, from inside
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}", True
    if found.is_right and found.is_transpose:  # products of 0 agree with any differences of 0
        image = operator.matvec(here[0])
        parts = game.split(image) if kind == "J" else (image,)
        return "", all(bool(part.any()) for part in parts)
    if found.is_right:
        return "transposed products are not the transpose of the products", True
    inside = {k: s for k, s in game.blocks.items() if start <= s.start < start + n}
    errors = {k: found.errors[0, s.start - start : s.stop - start] for k, s in inside.items()}
    worst = max(errors, key=lambda name: float(errors[name].norm()), default="the whole")
    told = f"off by {float(found.off):.1e} of a difference of the field, most in {worst}"
    return told, bool(steady(field, here, rough=rough))
