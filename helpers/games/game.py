"""Two-player games: two losses of one joint point.

In Berard et al. 2020, eqs. 1 and 3, the players G and D choose theta and phi, each minimises its
own loss, and gradient methods follow the field of the two gradients. Every analysis in this
book takes a `Game` and a point, and never asks what is behind the losses.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.func import grad, vmap

from helpers.inputs import real_array
from helpers.machine.devices import usable

PLAYERS = ("G", "D")
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Probe:
    """How ways to differentiate a game are tried out: on a small game of the same structure."""

    key: Hashable  # identifies the structure; what is true of one game is true of all with its key
    make: Callable[[], tuple[Game, Tensor]]  # the small game, and a point of it
    rough: bool = False  # whether its losses are less accurate than float64


@dataclass(frozen=True)
class Game:
    """Two losses of one point ``omega = (theta, phi)``, both minimised.

    Each loss takes theta (p,) and phi (q,) and returns a scalar, in operations that torch.func
    can differentiate and vmap. The dynamics of the game are ``d omega / dt = -v(omega)`` with
    the vector field ``v = (grad_theta L_G, grad_phi L_D)`` (Berard et al. 2020, eq. 3).

    >>> game = Game(lambda t, p: (t * p).sum(), lambda t, p: -(t * p).sum(), (1, 1))
    >>> game.vector_field([2.0, 3.0])
    tensor([ 3., -2.], dtype=torch.float64)
    """

    generator_loss: Loss
    discriminator_loss: Loss
    sizes: tuple[int, int]  # p and q
    name: str = "game"
    # Named groups of parameters, as places in omega: the layers of networks, for instance.
    blocks: Mapping[str, slice] = field(default_factory=dict)
    # Weights and games of which this game is the sum; gradients then take one game at a time.
    terms: Sequence[tuple[float, Game]] = ()
    # For networks: how operators check their products.
    probe: Probe | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = self.sizes if isinstance(self.sizes, tuple | list) else ()
        if len(sizes) != 2 or not all(type(n) is int and n > 0 for n in sizes):
            raise ValueError(f"sizes are two positive integers, got {self.sizes!r}")

    @property
    def dimension(self) -> int:
        """Length p + q of a point."""
        return sum(self.sizes)

    def point(self, omega: ArrayLike | Tensor) -> Tensor:
        """omega as a checked tensor (..., p + q): float64, unless it is a tensor of floats.

        Raises:
            ValueError: for a wrong last dimension, for entries that are not finite real numbers,
                and on a device that lacks float64 ("mps").
        """
        if not isinstance(omega, Tensor):
            omega = real_array(f"the coordinates of {self.name}", omega, finite=False)
            omega = torch.from_numpy(omega)
        usable(omega.device)
        if omega.is_complex():
            raise ValueError(f"a point of {self.name} is real, got {omega.dtype}")
        if not omega.is_floating_point():
            omega = omega.to(torch.float64)
        if omega.ndim == 0 or omega.shape[-1] != self.dimension:
            p, q = self.sizes
            wanted = f"(..., {p} + {q})"
            raise ValueError(f"a point of {self.name} is {wanted}, got {tuple(omega.shape)}")
        if not omega.isfinite().all():
            raise ValueError(f"a point of {self.name} must be finite, got {first_bad(omega)}")
        with torch.inference_mode(False):  # tensors made in that mode have no derivatives
            return omega.clone() if omega.is_inference() else omega.detach()

    def one_point(self, omega: ArrayLike | Tensor) -> Tensor:
        """As `point`, but a ValueError for a batch."""
        point = self.point(omega)
        if point.ndim != 1:
            raise ValueError(f"one point is expected, got a batch {tuple(point.shape)}")
        return point

    def split(self, omega: Tensor) -> tuple[Tensor, Tensor]:
        """theta (..., p) and phi (..., q), as views."""
        return omega[..., : self.sizes[0]], omega[..., self.sizes[0] :]

    def losses(self, omega: ArrayLike | Tensor) -> Tensor:
        """(..., 2): L_G and L_D at one point or many."""
        return torch.stack([self.loss(player, omega) for player in PLAYERS], -1)

    def loss(self, player: str, omega: ArrayLike | Tensor) -> Tensor:
        """(...): one player's loss at one point or many."""
        check_player(player)
        with torch.inference_mode(False):  # a penalty in the loss takes derivatives
            return self._many(player, *self.split(self.point(omega))).detach()

    def gradient(self, player: str, omega: ArrayLike | Tensor) -> Tensor:
        """(..., p) or (..., q): the gradient of one player's loss in its own parameters."""
        check_player(player)
        return self.unchecked_gradient(player, self.point(omega))

    def vector_field(self, omega: ArrayLike | Tensor) -> Tensor:
        """(..., p + q): the field v at one point or many."""
        return self.unchecked_field(self.point(omega))

    def unchecked_gradient(self, player: str, omega: Tensor) -> Tensor:
        """As `gradient`, for a tensor that is taken as it is: steps may run to infinity."""
        if self.terms:  # one batch of data in memory at a time
            own_parts = (w * each.unchecked_gradient(player, omega) for w, each in self.terms)
            return cast(Tensor, sum(own_parts))
        with torch.inference_mode(False), torch.enable_grad():
            parts = [part.detach().clone() for part in self.split(omega)]
            own = parts[PLAYERS.index(player)].requires_grad_()
            # A point's loss depends on no other point: the sum's gradient contains all of theirs.
            total = self._many(player, *parts).sum()
            if not total.requires_grad:  # a loss in which the player has no say
                return torch.zeros_like(own)
            return torch.autograd.grad(total, own, materialize_grads=True)[0]

    def unchecked_field(self, omega: Tensor) -> Tensor:
        """As `vector_field`, for a tensor that is taken as it is."""
        return torch.cat([self.unchecked_gradient(player, omega) for player in PLAYERS], dim=-1)

    def _many(self, player: str, theta: Tensor, phi: Tensor) -> Tensor:
        """(...): one player's loss at every point of a batch."""
        if theta.ndim == 1:
            return self._scalar(player, theta, phi)
        if 0 in theta.shape:  # vmap takes no empty batch
            return theta.new_zeros(theta.shape[:-1])
        rows = [part.reshape(-1, part.shape[-1]) for part in (theta, phi)]
        # What is drawn in a loss is the same at every point.
        values = vmap(lambda t, f: self._scalar(player, t, f), randomness="same")(*rows)
        return values.unflatten(0, theta.shape[:-1])

    def _scalar(self, player: str, theta: Tensor, phi: Tensor) -> Tensor:
        loss = self.generator_loss if player == "G" else self.discriminator_loss
        value = loss(theta, phi)
        if not isinstance(value, Tensor) or value.ndim:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"{player}'s loss of {self.name} must be a scalar tensor, got {got}")
        return value

    # One point, inside torch.func, which may be tracing: values cannot be looked at.
    def traceable_gradient(self, player: str, theta: Tensor, phi: Tensor) -> Tensor:
        """One player's own gradient at theta (p,) and phi (q,), for torch.func to differentiate."""
        if player == "G":
            return grad(lambda own: self._scalar("G", own, phi))(theta)
        return grad(lambda own: self._scalar("D", theta, own))(phi)

    def gradient_with_graph(self, player: str, theta: Tensor, phi: Tensor) -> Tensor:
        """As `traceable_gradient`, by torch.autograd, with a graph for further derivatives."""
        own = theta if player == "G" else phi
        value = self._scalar(player, theta, phi)
        if not value.requires_grad:
            return torch.zeros_like(own)
        return torch.autograd.grad(value, own, create_graph=True, materialize_grads=True)[0]

    def traceable_field(self, omega: Tensor) -> Tensor:
        """The field at one point (p + q,), for torch.func to differentiate."""
        return torch.cat(
            [self.traceable_gradient(player, *self.split(omega)) for player in PLAYERS]
        )


def check_player(player: str) -> None:
    """Raise a ValueError unless the name is that of a player.

    >>> check_player("G")
    """
    if player not in PLAYERS:
        raise ValueError(f"the players are 'G' and 'D', got {player!r}")


def average(games: Sequence[Game], weights: Sequence[float]) -> Game:
    """The game whose losses are weighted sums of other games' losses, for instance over batches.

    Args:
        games: all of the same sizes.
        weights: finite numbers, one per game; for batches, their shares of the data.

    Raises:
        ValueError: for no games, games of different sizes, and weights that do not fit.

    >>> from helpers.games.closed_form import dirac_gan

    >>> game = dirac_gan()
    >>> average([game, game], [0.25, 0.75]).losses([1.0, 2.0]) == game.losses([1.0, 2.0])
    tensor([True, True])
    """
    if not games or len({each.sizes for each in games}) != 1:
        raise ValueError(f"averaged games must have one size, got {[each.sizes for each in games]}")
    if len(weights) != len(games) or not all(isfinite(weight) for weight in weights):
        raise ValueError(f"{len(games)} games need as many finite weights, got {list(weights)}")
    terms = tuple(zip((float(weight) for weight in weights), games, strict=True))
    return Game(
        lambda t, p: cast(Tensor, sum(w * each.generator_loss(t, p) for w, each in terms)),
        lambda t, p: cast(Tensor, sum(w * each.discriminator_loss(t, p) for w, each in terms)),
        games[0].sizes,
        games[0].name,
        games[0].blocks,
        terms,
    )


def first_bad(values: Tensor) -> float:
    """The first entry that is not finite."""
    return values[~values.isfinite()][0].item()
