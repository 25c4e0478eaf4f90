"""How steep a discriminator must be before a collapse is a trap.

Let 2 w real points lie at two places a apart, w at each, and all 2 w generated points at the first.
The best f is f0 there and f1 = f0 + L a at the other place, as long as the slope L binds, with

    w h1'(f0) + w h1'(f1) = 2 w h2'(-f0).

A generated point that leaves by e towards the other place gains L e h2'(-f0) for the discriminator,
which lowers f there by L e; but then f1 must fall by 2 L e, at a loss of 2 w L e h1'(f1). So the
collapse is a strict local minimum where h2'(-f0) > 2 w h1'(f1), and none where it is smaller.
"""

from __future__ import annotations

import math

from helpers.inputs import whole_number
from helpers.losses.scalars import check_loss


def trap_slope(loss: str, w: int = 1) -> float:
    """Slope times distance above which the collapse of two places on one is a strict local minimum.

    Below it a generated point that leaves towards the other place lowers the outer objective of
    `phi_lipschitz`, in any dimension. The result is this book's own; Sun et al. 2020 (Corollary
    3.1, Theorem 1) have the case of unbounded slope.

    Args:
        loss: a name of `scalars.SEPARABLE`, `scalars.PAIRING` or `scalars.BOUNDED`.
        w: number of real points at each of the two places; 1 for a pairing loss, whose real points
            are distinct.

    Returns:
        The product L a; infinity where no slope makes it a strict minimum.

    Raises:
        ValueError: for an unknown loss, w below 1, and w above 1 for a pairing loss.

    >>> trap_slope("js"), trap_slope("ls"), trap_slope("rs")
    (1.791759469228055, 0.4, inf)
    """
    check_loss(loss, bounded=True)
    w = whole_number("w", w, 1)
    if loss == "js":  # h2'(-f0) = 2w / (6w - 1) and h1'(f1) = 1 / (6w - 1), of the logistic h
        return math.log((3 * w - 1) * (4 * w - 1) / w)
    if loss == "ls":  # f0 = (2 - L a) / 4 > 2 w (1 - f1)
        return (4 * w - 2) / (6 * w - 1)
    if loss != "hinge" and w > 1:
        raise ValueError(f"w is 1 for the pairing loss {loss}, whose real points differ; got {w}")
    return math.inf
