"""Who steps, how often, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.inputs import one_of, whole_number


@dataclass(frozen=True)
class Turns:
    """An iteration in which the players step in turn, each against the other as it is by then.

    Args:
        d, g: steps of D and of G per iteration. With extragradient, each player's moves alternate
            between an extrapolation and a step, as in the code that Berard et al. 2020 released.
        first: "D", or "G" to let G take its steps before D, each of them on a batch of its own, as
            in the image code that Sun et al. 2020 released. By default G's first step takes the
            batch and the samples of D's last.

    Raises:
        ValueError: for counts below 1, and an unknown player.

    >>> Turns(d=5).g
    1
    """

    d: int = 1
    g: int = 1
    first: str = "D"

    def __post_init__(self) -> None:
        object.__setattr__(self, "d", whole_number("D's steps", self.d, 1))
        object.__setattr__(self, "g", whole_number("G's steps", self.g, 1))
        one_of("first", self.first, ("D", "G"))
