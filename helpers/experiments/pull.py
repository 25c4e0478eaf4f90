"""The smallest game that rotates, and what methods made for games do on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from types import MappingProxyType

import torch
from torch import Tensor
from torch.optim import Optimizer

from helpers.analysis import play
from helpers.games import Game, quadratic_game
from helpers.training import Extragradient, Optimistic

_SGD = partial(torch.optim.SGD, lr=0.2)
_METHODS: dict[str, Callable[[Iterable[Tensor]], Optimizer]] = {
    "descent": _SGD,
    "extragradient": lambda weights: Extragradient(_SGD(weights)),
    "optimism": lambda weights: Optimistic(_SGD(weights)),
}


def pull(coupling: float, penalty: float = 0.0) -> Game:
    """Two players of one weight each that pull at each other or, uncoupled, seek their own zero.

    Args:
        coupling: the strength of the pull; 0 gives each player a curvature of 1 instead.
        penalty: curvature of the second player, as a gradient penalty gives it to D.

    >>> import torch
    >>> pull(1.0).vector_field(torch.tensor([1.0, 0.0])).tolist()
    [0.0, -1.0]
    """
    own = 0.0 if coupling else 1.0
    return quadratic_game([[own]], [[own + penalty]], [[-coupling]], [[coupling]])


@cache
def remedies(steps: int = 300) -> Mapping[str, float]:
    """How far from the equilibrium each method ends, log10 of the distance over that at the start.

    Berard et al. 2020, Section 6, name extragradient, averaging, optimism and gradient penalties.
    All take steps of size 0.2 from (1, 1). "descent alone", "extragradient alone" and "optimism
    alone" are 50 steps without the coupling, where nothing rotates.

    >>> found = remedies()
    >>> found["descent"] > 0 > found["extragradient"] > found["optimism"]
    True
    """
    start = [1.0, 1.0]
    ends = {name: play(pull(1.0), start, o, steps=steps)[-1] for name, o in _METHODS.items()}
    ends["gradient penalty"] = play(pull(1.0, penalty=0.5), start, _SGD, steps=steps)[-1]
    for how, in_turn in (("in turn", True), ("at once", False)):
        path = play(pull(1.0), start, _SGD, steps=steps, in_turn=in_turn)
        ends[f"averaging, {how}"] = path.mean(dim=0)
    for name, optimizer in _METHODS.items():
        ends[f"{name} alone"] = play(pull(0.0), start, optimizer, steps=50)[-1]
    return MappingProxyType(
        {name: float(torch.log10(end.norm() / 2**0.5)) for name, end in ends.items()}
    )
