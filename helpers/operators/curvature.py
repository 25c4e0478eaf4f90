"""Second derivatives of a game at a point: the Jacobian of its field, and the players' Hessians."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from helpers.games.game import Game, check_player
from helpers.operators.base import Block, Operator, Sum
from helpers.operators.derivative import check_route
from helpers.operators.trust import field_derivative, own_derivative, trusted


def jacobian(
    game: Game,
    omega: ArrayLike | Tensor,
    *,
    blocks: Sequence[str] | None = None,
    route: str = "auto",
) -> Operator:
    """The Jacobian of the vector field at a point, (p + q, p + q) (Berard et al. 2020, eq. 5).

    Args:
        game: any game.
        omega: (p + q,) the point.
        blocks: names in `game.blocks`, or of modules that hold some ("G", "D.0"), to restrict
            the operator to; rows and columns keep their order in omega.
        route: one of `ROUTES`; the module `helpers.operators.derivative` says what each costs.
            "auto" takes the first that is right for a game of networks, and ``operator.route``
            says which.

    Raises:
        ValueError: if omega is not one finite point of the game, for an unknown route, for names
            that no block has, and for networks for which the route gives no right products, naming
            the layer.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> jacobian(rotating_saddle(), [1.0, 1.0, 0.0]).dense()
    tensor([[-1.,  0., -1.],
            [ 0.,  2., -2.],
            [ 5.,  4.,  0.]], dtype=torch.float64)
    """
    point = game.one_point(omega)
    check_route(route)
    whole = _summed(game, lambda each: field_derivative(each, point, trusted(each, "J", route)))
    return whole if blocks is None else Block(whole, _rows(game, blocks))


def hessian(
    game: Game,
    player: str,
    omega: ArrayLike | Tensor,
    *,
    blocks: Sequence[str] | None = None,
    route: str = "auto",
) -> Operator:
    """A player's own Hessian, (p, p) for "G" or (q, q) for "D", the other player held.

    Args:
        game: any game.
        player: "G" or "D".
        omega: (p + q,) the point.
        blocks: as for `jacobian`, among this player's blocks.
        route: one of `ROUTES`.

    Raises:
        ValueError: for an unknown player, and where `jacobian` raises.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> hessian(rotating_saddle(), "G", [1.0, 1.0, 0.0]).dense()
    tensor([[-1.,  0.],
            [ 0.,  2.]], dtype=torch.float64)
    """
    check_player(player)
    check_route(route)
    point = game.one_point(omega)
    whole = _summed(
        game, lambda each: own_derivative(each, player, point, trusted(each, player, route))
    )
    if blocks is None:
        return whole
    rows = _rows(game, blocks) - (0 if player == "G" else game.sizes[0])
    if rows.min() < 0 or rows.max() >= len(whole.like):
        raise ValueError(f"{player}'s Hessian has rows of {player}'s blocks only, got {blocks}")
    return Block(whole, rows)


def _summed(game: Game, of: Callable[[Game], Operator]) -> Operator:
    if not game.terms:
        return of(game)
    return Sum([w for w, _ in game.terms], [_summed(each, of) for _, each in game.terms])


def _rows(game: Game, names: Sequence[str]) -> Tensor:
    places = torch.arange(game.dimension, device="cpu")
    chosen = []
    for name in names:
        held = [s for key, s in game.blocks.items() if f"{key}.".startswith(f"{name}.")]
        if not held:
            known = ", ".join(game.blocks) or "none"
            raise ValueError(f"{game.name} has no block {name!r}; its blocks: {known}")
        chosen += [places[s] for s in held]
    if not chosen:
        raise ValueError("blocks names at least one block, or is None for all of them")
    return torch.cat(chosen).unique()
