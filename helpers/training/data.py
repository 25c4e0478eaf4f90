"""What a training draws from: the data of one GAN, or S GANs with the data of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from helpers import inputs
from helpers.inputs import float_tensor, real_number, shown, whole_number
from helpers.models import Players
from helpers.models.functional import in_precision
from helpers.models.players import check_weights


@dataclass(frozen=True, eq=False)
class EpochBatches:
    """What each step of `helpers.training.train` takes: some reals, and as many latents.

    Every epoch takes the reals in a new order, each of them once; what is left over at its end is
    dropped.

    Args:
        reals: (n, ...) samples of the data, floating-point numbers, n at least the batch size. They
            are converted to the dtype of the networks.
        latent: dimension or shape of a latent; each is standard normal, drawn again in every step.
        size: number of reals and of latents per step.
        labels: (n, ...) labels of the reals. The networks are then called as G(z, y) and D(x, y);
            a latent takes the label of the real at the same place in its batch.
        noise: width of the uniform noise from 0 that is added to the reals at each draw, as for
            images with whole numbers for grey levels.
        seed: of all that is drawn in a training: the order of the reals, the latents, the noise,
            the places of a penalty, and what the networks themselves draw.

    Raises:
        ValueError: for a size, a latent, a noise or a seed out of range; `train` checks the rest.

    >>> EpochBatches(torch.ones(8, 1), latent=3, size=4).latent_shape
    (3,)
    """

    reals: Tensor | ArrayLike = field(repr=False)
    _: KW_ONLY
    latent: int | tuple[int, ...]
    size: int = 100
    labels: Tensor | ArrayLike | None = field(default=None, repr=False)
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        checked = {
            "size": whole_number("size", self.size, 1),
            "noise": real_number("noise", self.noise, least=0),
            "seed": inputs.seed(self.seed),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        _ = self.latent_shape  # which checks it

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one latent."""
        sizes = tuple(self.latent) if isinstance(self.latent, tuple | list) else (self.latent,)
        if not sizes:
            raise ValueError(f"a latent has one dimension or more, got {self.latent!r}")
        return tuple(whole_number("a latent has sizes, each of which", size, 1) for size in sizes)

    def tensors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """The reals in this dtype, and the labels, in this dtype too unless they are whole numbers.

        Raises:
            ValueError: for reals that are fewer than a batch, not finite, or whole numbers (bytes
                of images), and labels that are not finite numbers, one for each real.
        """
        reals = float_tensor("reals", self.reals, dtype)
        if reals.ndim < 2 or len(reals) < self.size:
            raise ValueError(
                f"reals are (n, ...), n at least {self.size}, got {tuple(reals.shape)}"
            )
        return reals, None if self.labels is None else _labels(self.labels, reals)


@dataclass(frozen=True, eq=False)
class Members:
    """S GANs of one shape and the data of each, for `helpers.training.train_ensemble`.

    Args:
        players: S pairs of networks without buffers, alike in all but the values of their weights.
        latents: (S, m, ...) latents of each member.
        reals: (S, n, ...) reals of each member. Latents and reals are floating-point numbers, and
            are converted to the dtype of the networks.
        batch_with_replacement: number of latents and of reals per step, drawn with replacement for
            each member from a stream of its own; all of them by default.
        seed: of those streams; a member's stream follows from it and the member's number.

    Raises:
        ValueError: for no members, a batch or a seed out of range, data that are not (S, ...), not
            finite, or whole numbers, and weights that G and D share or that have hooks.

    >>> from helpers.models import mlp
    >>> pairs = [Players(mlp([1, 5, 1], seed=s), mlp([1, 5, 1], seed=9 + s)) for s in range(3)]
    >>> len(Members(pairs, torch.zeros(3, 8, 1), torch.ones(3, 8, 1)).players)
    3
    """

    players: Sequence[Players] = field(repr=False)
    latents: Tensor = field(repr=False)
    reals: Tensor = field(repr=False)
    _: KW_ONLY
    batch_with_replacement: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        try:
            pairs = [checked_players(pair) for pair in self.players]
        except TypeError as error:
            raise ValueError(f"players are pairs of networks, got {shown(self.players)}") from error
        if not pairs:
            raise ValueError("at least one pair of players is needed, got none")
        checked: dict[str, Any] = {"players": pairs, "seed": inputs.seed(self.seed)}
        if self.batch_with_replacement is not None:
            checked["batch_with_replacement"] = whole_number(
                "batch_with_replacement", self.batch_with_replacement, 1
            )
        for name in ("latents", "reals"):
            data = float_tensor(name, getattr(self, name), dtype_of(pairs[0]))
            if data.ndim < 2 or len(data) != len(pairs) or not data.shape[1]:
                wanted = f"({len(pairs)}, n, ...), n at least 1"
                raise ValueError(f"{name} are {wanted}, got {tuple(data.shape)}")
            checked[name] = data
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def checked_players(players: Any) -> Players:
    """Two networks that can be copied and trained apart, or a ValueError."""
    if (
        not isinstance(players, tuple | list)
        or len(players) != 2
        or not all(isinstance(net, nn.Module) for net in players)
    ):
        raise ValueError(f"players are two networks, G and D, got {shown(players)}")
    check_weights(*players)
    return Players(*players)


def dtype_of(players: Players) -> torch.dtype:
    """The dtype in which both networks compute, judged by their first weights."""
    of_g, of_d = (
        next((w.dtype for w in net.parameters() if w.is_floating_point()), None) for net in players
    )
    if of_g is None or of_g != of_d:
        raise ValueError(f"G and D have real weights of one dtype, got {of_g} and {of_d}")
    return of_g


def _labels(labels: Any, reals: Tensor) -> Tensor:
    count = len(reals)
    if not isinstance(labels, Tensor):
        try:
            labels = torch.as_tensor(np.array(labels), device="cpu")
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"labels are numbers (n, ...), got {shown(labels)}") from error
    if not labels.ndim or len(labels) != count or labels.is_complex():
        got = f"{tuple(labels.shape)} of {labels.dtype}"
        raise ValueError(f"labels are ({count}, ...), one for each real, got {got}")
    labels = in_precision(labels, reals.dtype)
    if not labels.isfinite().all():
        raise ValueError(f"labels must be finite, in {labels.dtype} too")
    return labels.detach()
