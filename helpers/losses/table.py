"""GAN losses as a table: what each player minimises, given D's logits.

The losses are built from the h functions of `helpers.losses.scalars`. A separable loss judges real
and generated samples separately (Sun et al. 2020, eq. 2); a pairing loss judges the difference of a
pair (eq. 3). The values are those of Goodfellow et al. 2014, eq. 1, a sum of two means. Sun et al.
halve D's part of a separable loss, and with it every eigenvalue: ``LOSSES["js"].weighted(0.5)``.

Where released code differs from the papers, the paper's form has the plain name: "hinge" gives G
the hinge too, by eq. 2 and h; "hinge-linear" gives it the mean logit, as most code does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, NoReturn
from weakref import WeakSet

import torch
from torch import Tensor

from helpers.inputs import real_number, shown
from helpers.losses.scalars import IDENTITY, PAIRING, SEPARABLE

# Losses that are means. An attribute of theirs would pass to whatever functools.wraps around them.
_MEANS: WeakSet[FunctionType] = WeakSet()


class _Looked(Exception):
    """A loss used logits that it was not to look at."""


class _Unseen(Tensor):
    """Logits that fail on any use."""

    @classmethod
    def __torch_function__(cls, *_: Any) -> NoReturn:
        raise _Looked


_UNSEEN = torch.empty(0, device="cpu").as_subclass(_Unseen)


@dataclass(frozen=True)
class GanLoss:
    """The two players' losses, each a function of the logits of real and of generated samples.

    >>> import torch
    >>> LOSSES["js"].generator(torch.zeros(2), torch.zeros(2))
    tensor(0.6931)
    """

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    pairs: bool = False  # whether G's loss looks at the real samples too

    def of_fakes(self, fake: Tensor) -> Tensor:
        """G's loss where it looks at the logits of generated samples alone.

        Raises:
            ValueError: if it looks at those of reals, but does not say so by `pairs`.

        >>> import torch
        >>> LOSSES["js"].of_fakes(torch.zeros(2))
        tensor(0.6931)
        """
        try:
            return self.generator(_UNSEEN, fake)
        except _Looked as error:
            raise ValueError(
                f"G's loss of {self.name!r} looks at the logits of reals, which it is given only "
                "if the loss says so, got pairs=False; make it a GanLoss(..., pairs=True)"
            ) from error

    def weighted(self, factor: float) -> GanLoss:
        """With D's loss times a factor: a half gives the mean over real and generated of eq. 2.

        Under SGD this multiplies D's learning rate; under Adam it changes next to nothing.

        Raises:
            ValueError: for a factor that is no finite number, 0 or more.

        >>> import torch
        >>> LOSSES["js"].weighted(0.5).discriminator(torch.zeros(2), torch.zeros(2))
        tensor(0.6931)
        """
        factor = real_number("the factor of a loss", factor, least=0)
        return replace(
            self,
            name=f"{self.name}*{factor:g}",
            discriminator=_marked(
                lambda real, fake: factor * self.discriminator(real, fake),
                is_mean(self.discriminator),
            ),
        )


def is_mean(loss: Any) -> bool:
    """Whether a player's loss is known to be a mean over samples, or over pairs of samples.

    The mean over samples of several nets is then the mean of their losses. The losses of this table
    are means, weighted or not; a loss of one's own may couple samples, as may one wrapped around a
    loss of the table.

    >>> is_mean(LOSSES["rs"].weighted(0.5).discriminator), is_mean(lambda real, fake: fake.mean())
    (True, False)
    """
    return isinstance(loss, FunctionType) and loss in _MEANS


def _marked(loss: Any, mean: bool = True) -> Any:
    if mean:
        _MEANS.add(loss)
    return loss


def _some(*logits: Tensor) -> None:
    """ValueError for no logits, whose mean is NaN. Only shapes are looked at: values are traced."""
    if any(each.numel() == 0 for each in logits):
        raise ValueError(
            f"a loss is a mean over logits, of which there must be some, got {_shapes(logits)}"
        )


def _paired(real: Tensor, fake: Tensor) -> None:
    """ValueError unless logits come in pairs: of other shapes, each would meet each."""
    _some(real, fake)
    if real.shape != fake.shape:
        raise ValueError(
            "a pairing loss takes logits of reals and of generated samples of one shape, got "
            f"{_shapes((real, fake))}"
        )


def _shapes(logits: tuple[Tensor, ...]) -> str:
    return " and ".join(str(tuple(each.shape)) for each in logits)


# The Wasserstein loss has no exact landscape in function space: its supremum is infinite.
_TERMS = SEPARABLE | {"wgan": (IDENTITY, IDENTITY)}


def _separable(name: str) -> GanLoss:
    h1, h2 = _TERMS[name]

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        _some(real, fake)
        return -h1(real).mean() - h2(-fake).mean()

    def generator(_: Tensor, fake: Tensor) -> Tensor:
        _some(fake)
        return -h1(fake).mean()

    return GanLoss(name, _marked(discriminator), _marked(generator))


def _saturating(name: str) -> GanLoss:
    _, h2 = SEPARABLE[name]

    def generator(_: Tensor, fake: Tensor) -> Tensor:
        _some(fake)
        return h2(-fake).mean()

    return GanLoss(f"{name}-saturating", _separable(name).discriminator, _marked(generator))


# D's hinge loss with G's part of the Wasserstein loss, as in most code.
_HINGE_LINEAR = replace(
    _separable("hinge"), name="hinge-linear", generator=_separable("wgan").generator
)


def _pairing(name: str) -> GanLoss:
    h = PAIRING[name]

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        _paired(real, fake)
        return -h(real - fake).mean()

    def generator(real: Tensor, fake: Tensor) -> Tensor:
        _paired(real, fake)
        return -h(fake - real).mean()

    return GanLoss(name, _marked(discriminator), _marked(generator), pairs=True)


# "js" is the non-saturating GAN (NSGAN); "js-saturating" the minimax game of Goodfellow et al.
LOSSES: dict[str, GanLoss] = {
    loss.name: loss
    for loss in (
        *map(_separable, _TERMS),
        *map(_saturating, SEPARABLE),
        *map(_pairing, PAIRING),
        _HINGE_LINEAR,
    )
}


def find_loss(name: str) -> GanLoss:
    """The loss with this name, or a ValueError.

    >>> find_loss("rs").pairs
    True
    """
    if not isinstance(name, str) or name not in LOSSES:
        raise ValueError(f"unknown loss {shown(name)}; there are {', '.join(LOSSES)}")
    return LOSSES[name]
