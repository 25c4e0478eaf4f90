"""The scalar functions h from which GAN losses are built.

Sun et al. 2020 write a separable loss as ``h1(f(x)) + h2(-f(y))`` (eq. 2) and a relativistic
pairing loss as ``h(f(x) - f(y))`` (eq. 3). Everything the book says about a loss in function
space follows from its h, so each h is written down once, here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from helpers.inputs import real_number, shown


@dataclass(frozen=True)
class ScalarFunction:
    """A concave function h of one real variable, with a smooth stand-in where h has a kink.

    Calling it evaluates h elementwise on a tensor. ``softened(t, width)`` is what an
    interior-point method maximises in its place: twice differentiable, and tending to h as
    width -> 0.

    >>> LOGISTIC(torch.tensor(0.0))
    tensor(-0.6931)
    """

    name: str
    value: Callable[[Tensor], Tensor]
    smooth_value: Callable[[Tensor, float], Tensor] | None = None

    def __call__(self, t: Tensor) -> Tensor:
        if not isinstance(t, Tensor) or t.is_complex():
            raise ValueError(f"{self.name} is a function of a real tensor, got {shown(t)}")
        return self.value(t)

    def softened(self, t: Tensor, width: float) -> Tensor:
        return self.value(t) if self.smooth_value is None else self.smooth_value(t, width)


# Not torch's logsigmoid, which starts threads even for a handful of numbers: on a busy machine
# that costs a hundred times the work. Beyond the threshold softplus(t) is t to rounding.
LOGISTIC = ScalarFunction("logistic", lambda t: -softplus(-t, threshold=50.0))
IDENTITY = ScalarFunction("identity", lambda t: t)


def hinge(a: float = 1.0) -> ScalarFunction:
    """h(t) = -max(0, a - t) (Sun et al. 2020, remarks on Theorems 1 and 2).

    >>> hinge()(torch.tensor([-1.0, 1.0, 3.0])) + 0.0
    tensor([-2.,  0.,  0.])
    """
    a = real_number("a", a)
    return ScalarFunction(
        f"hinge({a:g})",
        lambda t: -torch.relu(a - t),
        lambda t, width: _hinge_barrier(t - a, width),
    )


def _hinge_barrier(u: Tensor, width: float) -> Tensor:
    """max over s < min(0, u) of s + width (log(-s / width) + log((u - s) / width)).

    The barrier of the hypograph of min(0, u), with its slack s solved for. Unlike a softplus it is
    self-concordant, so Newton's method copes with the kink.
    """
    # -s and u - s from the roots of s^2 - (u - 2 width) s - width u, without cancellation, and
    # without an abs(), whose derivative at 0 would be that of neither side.
    size = torch.where(u > 0, u, -u)
    total = size + torch.hypot(size, torch.full_like(u, 2 * width))
    large, small = width + total / 2, width + 2 * width**2 / total
    below_0, below_u = torch.where(u > 0, small, large), torch.where(u > 0, large, small)
    return width * (torch.log(below_0 / width) + torch.log(below_u / width)) - below_0


def least_squares(a: float = 1.0) -> ScalarFunction:
    """h(t) = -(a - t)^2 (Sun et al. 2020, remarks on Theorems 1 and 2).

    >>> least_squares()(torch.tensor([0.0, 1.0])) + 0.0
    tensor([-1.,  0.])
    """
    a = real_number("a", a)
    return ScalarFunction(f"least-squares({a:g})", lambda t: -((a - t) ** 2))


# (h1, h2) of the separable losses and h of the pairing losses, as the paper defines them.
SEPARABLE: dict[str, tuple[ScalarFunction, ScalarFunction]] = {
    "js": (LOGISTIC, LOGISTIC),
    "hinge": (hinge(1.0), hinge(1.0)),
    "ls": (least_squares(1.0), least_squares(0.0)),
}
PAIRING: dict[str, ScalarFunction] = {
    "rs": LOGISTIC,
    "rp-hinge": hinge(1.0),
    "rp-ls": least_squares(1.0),
}
# h of the pairing losses whose supremum is infinite unless the slope of f is bounded.
BOUNDED: dict[str, ScalarFunction] = {"wgan": IDENTITY}


def check_loss(name: str, *, bounded: bool = False) -> str:
    """Return a loss's name, or raise a ValueError that lists the known names.

    Args:
        name: of the loss.
        bounded: whether the slope of f is bounded, without which W-GAN has no landscape.

    >>> check_loss("rs"), check_loss("wgan", bounded=True)
    ('rs', 'wgan')
    """
    known = [*SEPARABLE, *PAIRING, *(BOUNDED if bounded else ())]
    if isinstance(name, str) and name in known:
        return name
    why = ""
    if isinstance(name, str) and name in BOUNDED:
        why = " where the slope of f is not bounded, as its supremum is infinite"
    raise ValueError(
        f"unknown loss {name!r}{why}; the losses with an exact landscape are {', '.join(known)}"
    )
