"""Who steps, how often, and in which order; and what both players follow who step at once."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.inputs import one_of, real_number, whole_number


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


@dataclass(frozen=True)
class Consensus:
    """Both players step at once, each also towards where the field is small.

    They follow ``v + weight J' v`` on the batch at hand (Mescheder et al. 2017, *The numerics of
    GANs*, Algorithm 1). `helpers.games.consensus_game` has this field.

    Raises:
        ValueError: for a weight below 0.

    >>> Consensus(0.1).weight
    0.1
    """

    weight: float  # gamma of the paper

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", real_number("weight", self.weight, least=0))


@dataclass(frozen=True)
class Unrolled:
    """Both players step at once, G against D as it would be after some steps (Metz et al. 2017).

    G's gradient goes through these steps, which are plain descent of D's loss on the batch at hand
    (eqs. 4 to 7). D itself takes its ordinary step. `helpers.games.unrolled_game` has this field.

    Raises:
        ValueError: for no steps, and a rate that is not above 0.

    >>> Unrolled(5, rate=0.1).steps
    5
    """

    steps: int  # K of the paper
    rate: float  # of the steps ahead

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", whole_number("steps", self.steps, 1))
        object.__setattr__(self, "rate", real_number("rate", self.rate, above=0))
