"""Which way to differentiate is right for a game of networks: found out by differences.

Two ways that agree prove little: torch's own derivatives of a layer may be wrong in all of them
(double backward through native norms, where a penalty makes it a third derivative), and a layer
may be differentiable in one and not in another. So the first product of a route, for networks of
one structure, is held against a central difference of the field in float64, on few samples.
"""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

from helpers.games.game import PLAYERS, Game, Probe
from helpers.operators.derivative import Derivative, routes_for

# Steps of a difference, as shares of the weights' size. Units that switch within a step spoil one
# difference and not the next, smaller one along another direction; a wrong product fails them all.
_STEPS = (1e-6, 1e-7, 1e-8, 1e-6)
_ROUGH = (1e-2, 3e-3, 1e-3, 1e-2)  # where losses are of float32's accuracy
_MOST = 1024
_FOUND: dict[Hashable, str] = {}  # by structure, operator and route: what is wrong, or nothing


def trusted(game: Game, kind: str, route: str) -> str:
    """The route to take for an operator of a game.

    Args:
        game: without `Game.probe` all routes are trusted.
        kind: "G" or "D" for a player's Hessian, "J" for the game's Jacobian.
        route: one of `ROUTES`; "auto" may be any that is right.

    Raises:
        ValueError: if the route is not right for these networks, or if none is.

    >>> from helpers.games.closed_form import dirac_gan
    >>> trusted(dirac_gan(), "J", "auto")
    'recomputed'
    """
    n = game.dimension if kind == "J" else game.sizes[PLAYERS.index(kind)]
    routes = routes_for(n) if route == "auto" else (route,)
    if game.probe is None:
        return routes[0]
    faults = {}
    for each in routes:
        # Rounding to bfloat16 is not what is in question.
        fault = _fault(game.probe, kind, "linearized" if each == "bfloat16" else each)
        if not fault:
            return each
        faults[each] = fault
    of = "the game's Jacobian" if kind == "J" else f"{kind}'s Hessian"
    said = "; ".join(f"{each}: {fault}" for each, fault in faults.items())
    raise ValueError(f"no right products of {of} of these networks. {said}")


def own_derivative(game: Game, player: str, omega: Tensor, route: str) -> Derivative:
    """A player's Hessian at a point, by one route.

    >>> from helpers.games.closed_form import dirac_gan
    >>> own_derivative(dirac_gan(), "D", torch.tensor([1.0, 0.0]), "recomputed").dense()
    tensor([[0.2500]])
    """
    # The other player's weights stay apart: joined with these, they would have products, of zeros.
    theta, phi = game.split(omega.clone())  # the caller may train on

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
    """The Jacobian of the field at a point, by one route.

    >>> from helpers.games.closed_form import dirac_gan
    >>> field_derivative(dirac_gan(), torch.tensor([1.0, 0.0]), "recomputed").shape
    (2, 2)
    """

    def graph(joint: Tensor) -> Tensor:
        return torch.cat(
            [game.gradient_with_graph(player, *game.split(joint)) for player in PLAYERS]
        )

    return Derivative(game.traceable_field, omega, route=route, graph=graph)


def _fault(probe: Probe, kind: str, route: str) -> str:
    """What is wrong with a route, or nothing; found out once for games of one structure."""
    key = (probe.key, kind, route)
    if key not in _FOUND:
        while len(_FOUND) >= _MOST:
            del _FOUND[next(iter(_FOUND))]
        _FOUND[key] = _tried(probe, kind, route)
    return _FOUND[key]


def _tried(probe: Probe, kind: str, route: str) -> str:
    game, omega = probe.make()
    try:
        if kind == "J":
            operator = field_derivative(game, omega, route)
        else:
            operator = own_derivative(game, kind, omega, route)
        return _compared(game, kind, omega, operator, probe.rough)
    except (RuntimeError, NotImplementedError) as error:  # of torch, from inside
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"


def _compared(game: Game, kind: str, omega: Tensor, operator: Derivative, rough: bool) -> str:
    """Products against central differences of the field, from directions of our own."""
    random = torch.Generator().manual_seed(0)
    own = slice(None)
    if kind != "J":
        own = slice(game.sizes[0]) if kind == "G" else slice(game.sizes[0], None)

    def draw(like: Tensor) -> Tensor:
        drawn = torch.randn(len(like), generator=random, dtype=torch.float64, device="cpu").to(like)
        return drawn * like.norm() / len(like) ** 0.5

    def field(at: Tensor) -> Tensor:
        return game.vector_field(at) if kind == "J" else game.gradient(kind, at)

    size = float(field(omega).norm())
    allowed = 5e-2 if rough else 1e-4
    first = draw(omega[own])
    operator.matvec(first)  # a fault may show from the second product on
    worst, best = "", float("inf")
    forward = backward = False
    for step in _ROUGH if rough else _STEPS:
        u = draw(omega[own])
        ahead, behind = omega.clone(), omega.clone()
        ahead[own] += step * u
        behind[own] -= step * u
        wanted = (field(ahead) - field(behind)) / (2 * step)
        apart = (operator.matvec(u) - wanted).abs()
        scale = max(float(wanted.norm()), 1e-3 * size, 1e-30)
        off = float(apart.norm()) / scale
        if off < best:
            best, worst = off, _worst(game, kind, apart)
        forward = forward or off <= allowed
        if not operator.symmetric:
            w = draw(wanted)
            pulled = operator.rmatvec(w)
            # Of a random direction this is what one number can tell of a vector's error.
            unit = float(pulled.norm() * u.norm()) / len(u) ** 0.5
            tolerance = max(allowed * max(unit, scale), 1e-12)
            backward = backward or abs(float(w @ wanted - pulled @ u)) <= 10 * tolerance
        if forward and (backward or operator.symmetric):
            return ""
    if forward:
        return "transposed products are not the transpose of the products"
    return f"off by {best:.1e} of a difference of the field, most in {worst}"


def _worst(game: Game, kind: str, apart: Tensor) -> str:
    start = game.sizes[0] if kind == "D" else 0
    errors = {
        name: float(apart[max(s.start - start, 0) : s.stop - start].norm())
        for name, s in game.blocks.items()
        if kind == "J" or name.startswith(f"{kind}.")
    }
    return max(errors, key=errors.__getitem__) if errors else "the whole"
