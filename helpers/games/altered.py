"""Cures that are games themselves: both players' losses, changed so that following them helps.

These losses have gradients inside, so that products of such a game are third derivatives of the
networks. Norms of torch, which are wrong there, are taken in elementary steps, and operators check
products of a changed game as they do those of the game itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import cast

from torch import Tensor

from helpers.games.game import PLAYERS, Game, Probe, average
from helpers.inputs import instance_of, real_number, whole_number
from helpers.models.replacing import in_steps


def consensus_game(game: Game, weight: float) -> Game:
    """The game in which each player also wants the field to be small.

    Each loss has ``weight / 2 |v|^2`` added, so that the field is ``v + weight J' v`` (Mescheder et
    al. 2017, *The numerics of GANs*, eq. 9, with the sign of a field that is descended).

    Args:
        game: any game.
        weight: gamma of the paper, 0 or more.

    Raises:
        ValueError: for what is no game, and a weight out of range.

    >>> from helpers.games.closed_form import linear_game
    >>> pull = linear_game([[0.0, 1.0], [-1.0, 0.0]], 1)
    >>> consensus_game(pull, 0.5).vector_field([1.0, 0.0])  # drawn to 0, and not only around it
    tensor([ 0.5000, -1.0000], dtype=torch.float64)
    """
    game = instance_of("game", game, Game)
    weight = real_number("weight", weight, least=0)

    def energy(theta: Tensor, phi: Tensor) -> Tensor:
        with in_steps():
            slopes = [game.traceable_gradient(player, theta, phi) for player in PLAYERS]
        return weight / 2 * cast(Tensor, sum(slope.square().sum() for slope in slopes))

    return Game(
        lambda theta, phi: game.generator_loss(theta, phi) + energy(theta, phi),
        lambda theta, phi: game.discriminator_loss(theta, phi) + energy(theta, phi),
        game.sizes,
        f"{game.name}, with consensus",
        game.blocks,
        probe=_changed_probe(
            game, lambda each: consensus_game(each, weight), ("consensus", weight)
        ),
    )


def unrolled_game(game: Game, steps: int, rate: float) -> Game:
    """The game in which G meets D as it would be after some steps of its own descent.

    G's loss is ``L_G(theta, phi_K)`` with ``phi_{k+1} = phi_k - rate grad_phi L_D(theta, phi_k)``
    from ``phi_0 = phi`` (Metz et al. 2017, eqs. 4 to 7). Its gradient goes through all K steps: G
    sees how D will answer. D's loss is unchanged.

    Args:
        game: any game.
        steps: K, 0 or more.
        rate: of the steps that D takes ahead.

    Raises:
        ValueError: for what is no game, and numbers out of range.

    >>> from helpers.games.closed_form import linear_game
    >>> pull = linear_game([[0.0, 1.0], [-1.0, 0.0]], 1)
    >>> unrolled_game(pull, 2, 0.25).vector_field([1.0, 0.0])  # 2 * 2 * 0.25 towards 0
    tensor([ 1., -1.], dtype=torch.float64)
    """
    game = instance_of("game", game, Game)
    steps, rate = whole_number("steps", steps, 0), real_number("rate", rate, above=0)

    def generator(theta: Tensor, phi: Tensor) -> Tensor:
        for _ in range(steps):
            with in_steps():
                slope = game.traceable_gradient("D", theta, phi)
            phi = phi - rate * slope
        return game.generator_loss(theta, phi)

    return Game(
        generator,
        game.discriminator_loss,
        game.sizes,
        f"{game.name}, {steps} steps unrolled",
        game.blocks,
        probe=_changed_probe(
            game, lambda each: unrolled_game(each, steps, rate), ("unrolled", steps, rate)
        ),
    )


def _changed_probe(game: Game, change: Callable[[Game], Game], how: Hashable) -> Probe | None:
    """What products of a changed game are checked on: a small game changed in the same way."""
    probe = _probe(game)
    if probe is None:
        return None

    def make() -> tuple[Game, Tensor]:
        small, point = probe.make()
        return change(small), point

    return Probe((probe.key, how), make, probe.rough)


def _probe(game: Game) -> Probe | None:
    """The probe of a game, or of the parts that it is a sum of, each structure once."""
    if game.probe is not None or not game.terms:
        return game.probe
    found = [probe for _, term in game.terms if (probe := _probe(term)) is not None]
    parts = {probe.key: probe for probe in found}
    if not parts:
        return None

    def make() -> tuple[Game, Tensor]:
        games, points = zip(*(probe.make() for probe in parts.values()), strict=True)
        return average(games, [1 / len(games)] * len(games)), points[0]

    return Probe(tuple(parts), make, any(probe.rough for probe in found))
