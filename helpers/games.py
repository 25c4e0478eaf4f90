"""Two-player games: two losses of one joint point, and games whose answers are known.

Berard et al. 2020, eq. 1 and 3: the players G and D choose theta and phi, each minimises a loss
of its own, and gradient methods follow the field of the two gradients. Every analysis of this
book takes a `Game` and a point, and never asks what is behind the losses.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.func import grad, vmap

from helpers.devices import usable
from helpers.scalars import PAIRING, SEPARABLE, check_loss

PLAYERS = ("G", "D")
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Probe:
    """How ways to differentiate a game are tried: on a small game of the same structure."""

    key: Hashable  # of that structure; what holds for one game holds for all of its key
    make: Callable[[], tuple[Game, Tensor]]  # the small game, and a point of it
    rough: bool = False  # whether its losses are of lower accuracy than float64


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
    # Weights and games whose sum this one is; gradients are then taken one game at a time.
    terms: Sequence[tuple[float, Game]] = ()
    # Of networks: how operators make sure of their products.
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
            ValueError: for a wrong last dimension, for entries that are not finite, and on a
                device that lacks float64 ("mps").
        """
        if not isinstance(omega, Tensor):
            omega = torch.from_numpy(np.array(omega, dtype=np.float64))
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
            raise ValueError(f"a point of {self.name} must be finite, got {_first_bad(omega)}")
        return omega.detach()

    def one_point(self, omega: ArrayLike | Tensor) -> Tensor:
        """As `point`, and a ValueError for a batch."""
        point = self.point(omega)
        if point.ndim != 1:
            raise ValueError(f"one point is asked for, got a batch {tuple(point.shape)}")
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
        return self._many(player, *self.split(self.point(omega))).detach()

    def gradient(self, player: str, omega: ArrayLike | Tensor) -> Tensor:
        """(..., p) or (..., q): the gradient of one player's loss in its own parameters."""
        check_player(player)
        return self.gradients(player, self.point(omega))

    def vector_field(self, omega: ArrayLike | Tensor) -> Tensor:
        """(..., p + q): the field v at one point or many."""
        return self.fields(self.point(omega))

    def gradients(self, player: str, omega: Tensor) -> Tensor:
        """As `gradient`, of a tensor that is taken as it is: steps may run to infinity."""
        if self.terms:  # one batch of data in memory at a time
            return sum(weight * each.gradients(player, omega) for weight, each in self.terms)
        with torch.inference_mode(False), torch.enable_grad():
            parts = [part.detach().clone() for part in self.split(omega)]
            own = parts[PLAYERS.index(player)].requires_grad_()
            # A point's loss depends on no other point: the sum's gradient holds all of theirs.
            total = self._many(player, *parts).sum()
            if not total.requires_grad:  # a loss in which the player has no say
                return torch.zeros_like(own)
            return torch.autograd.grad(total, own, materialize_grads=True)[0]

    def fields(self, omega: Tensor) -> Tensor:
        """As `vector_field`, of a tensor that is taken as it is."""
        return torch.cat([self.gradients(player, omega) for player in PLAYERS], dim=-1)

    def _many(self, player: str, theta: Tensor, phi: Tensor) -> Tensor:
        """(...): one player's loss at every point of a batch."""
        if theta.ndim == 1:
            return self._scalar(player, theta, phi)
        if 0 in theta.shape:  # vmap knows no empty batch
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

    # One point, in the terms of torch.func, which may be tracing: values cannot be looked at.
    def gradient_at(self, player: str, theta: Tensor, phi: Tensor) -> Tensor:
        """One player's own gradient at theta (p,) and phi (q,), for torch.func to differentiate."""
        if player == "G":
            return grad(lambda own: self._scalar("G", own, phi))(theta)
        return grad(lambda own: self._scalar("D", theta, own))(phi)

    def graph_at(self, player: str, theta: Tensor, phi: Tensor) -> Tensor:
        """As `gradient_at`, by torch.autograd, which keeps the graph for further derivatives."""
        own = theta if player == "G" else phi
        value = self._scalar(player, theta, phi)
        if not value.requires_grad:
            return torch.zeros_like(own)
        return torch.autograd.grad(value, own, create_graph=True, materialize_grads=True)[0]

    def field_at(self, omega: Tensor) -> Tensor:
        """The field at one point (p + q,), for torch.func to differentiate."""
        return torch.cat([self.gradient_at(player, *self.split(omega)) for player in PLAYERS])


def check_player(player: str) -> None:
    """Raise a ValueError unless the name is that of a player.

    >>> check_player("G")
    """
    if player not in PLAYERS:
        raise ValueError(f"the players are 'G' and 'D', got {player!r}")


def average(games: Sequence[Game], weights: Sequence[float]) -> Game:
    """The game whose losses are weighted sums of those of others, batches of data for instance.

    Args:
        games: of the same sizes.
        weights: finite numbers, one a game; for batches their shares of the data.

    Raises:
        ValueError: for no games, games of different sizes, and weights that do not fit.

    >>> game = dirac_gan()
    >>> average([game, game], [0.25, 0.75]).losses([1.0, 2.0]) == game.losses([1.0, 2.0])
    tensor([True, True])
    """
    if not games or len({each.sizes for each in games}) != 1:
        raise ValueError(f"games of one size are averaged, got {[each.sizes for each in games]}")
    if len(weights) != len(games) or not all(isfinite(weight) for weight in weights):
        raise ValueError(f"{len(games)} games need as many finite weights, got {list(weights)}")
    terms = tuple(zip((float(weight) for weight in weights), games, strict=True))
    return Game(
        lambda theta, phi: sum(w * each.generator_loss(theta, phi) for w, each in terms),
        lambda theta, phi: sum(w * each.discriminator_loss(theta, phi) for w, each in terms),
        games[0].sizes,
        games[0].name,
        games[0].blocks,
        terms,
    )


def rotating_saddle() -> Game:
    """A saddle that D turns while G slides down it (Berard et al. 2020, Example 1).

    theta has two coordinates, phi has one. (1, 1, 0) is stable under the joint dynamics, though
    G sits on a saddle of its own loss there.

    >>> rotating_saddle().vector_field([1.0, 1.0, 0.0])
    tensor([0., 0., 0.], dtype=torch.float64)
    """

    def generator(theta: Tensor, phi: Tensor) -> Tensor:
        rise = theta[1] - phi[0] * theta[0] - 1
        fall = theta[0] + phi[0] * theta[1] - 1
        return rise**2 - fall**2 / 2

    def discriminator(theta: Tensor, phi: Tensor) -> Tensor:
        return phi[0] * (5 * theta[0] + 4 * theta[1] - 9)

    return Game(generator, discriminator, (2, 1), "the rotating saddle")


def unstable_nash() -> Game:
    """A Nash equilibrium that repels, and a stable point that is none (after B, Example 2).

    The losses printed in Berard et al. 2020, eq. 22, have no stationary point at (0, 1) or
    (0, -1). These do, with the Jacobians of eq. 23: ``L_G = theta^2 / 2 + (phi^2 - 1) theta / 4``
    and ``L_D = (2 theta - 1/4) phi + phi^3 / 12``.

    >>> unstable_nash().vector_field([[0.0, 1.0], [0.0, -1.0]])
    tensor([[0., 0.],
            [0., 0.]], dtype=torch.float64)
    """

    def generator(theta: Tensor, phi: Tensor) -> Tensor:
        return theta[0] ** 2 / 2 + (phi[0] ** 2 - 1) * theta[0] / 4

    def discriminator(theta: Tensor, phi: Tensor) -> Tensor:
        return (2 * theta[0] - 0.25) * phi[0] + phi[0] ** 3 / 12

    return Game(generator, discriminator, (1, 1), "the unstable Nash game")


def dirac_gan(loss: str = "js", *, saturating: bool = False) -> Game:
    """The smallest GAN: one real point at 0, one generated at theta, f(x) = phi x.

    D maximises h1(f(x)) + h2(-f(y)), or h(f(x) - f(y)) if the loss pairs; G minimises the same
    if it is saturating, and else takes the other label, -h1(f(y)) or -h(f(y) - f(x)). The game is
    that of Mescheder et al. 2018 (*Which training methods for GANs do actually converge?*).

    Args:
        loss: a name of `helpers.scalars`: js, hinge, ls, rs, rp-hinge or rp-ls.
        saturating: whether G's loss is minus D's, which makes the game zero-sum.

    Raises:
        ValueError: for an unknown loss.

    >>> dirac_gan("js").vector_field([1.0, 0.0]) + 0.0
    tensor([0.0000, 0.5000], dtype=torch.float64)
    """
    check_loss(loss)
    h1, h2 = SEPARABLE[loss] if loss in SEPARABLE else (PAIRING[loss], None)

    def discriminator(theta: Tensor, phi: Tensor) -> Tensor:
        fake = theta[0] * phi[0]
        return -h1(-fake) if h2 is None else -h1(torch.zeros_like(fake)) - h2(-fake)

    def generator(theta: Tensor, phi: Tensor) -> Tensor:
        return -discriminator(theta, phi) if saturating else -h1(theta[0] * phi[0])

    return Game(generator, discriminator, (1, 1), f"the Dirac GAN ({loss})")


def quadratic_game(S1: ArrayLike, S2: ArrayLike, A: ArrayLike, B: ArrayLike) -> Game:
    """The game whose field is linear, v = J omega with J = [[S1, B], [A, S2]] (B, eq. 8).

    ``L_G = theta' S1 theta / 2 + theta' B phi`` and ``L_D = phi' S2 phi / 2 + phi' A theta``.
    It is zero-sum, up to the players' own terms, where B = -A'.

    Args:
        S1: (p, p) symmetric, G's own Hessian.
        S2: (q, q) symmetric, D's own Hessian.
        A: (q, p), how theta enters D's gradient.
        B: (p, q), how phi enters G's gradient.

    Raises:
        ValueError: for shapes that do not fit, entries that are not finite, and an S1 or S2 that
            is not symmetric: no loss has such a Hessian.

    >>> quadratic_game([[1.0]], [[0.0]], [[-2.0]], [[2.0]]).vector_field([1.0, 1.0])
    tensor([ 3., -2.], dtype=torch.float64)
    """
    given = {"S1": S1, "S2": S2, "A": A, "B": B}
    blocks = {k: torch.from_numpy(np.array(m, dtype=np.float64)) for k, m in given.items()}
    p, q = (len(blocks[k]) if blocks[k].ndim else 0 for k in ("S1", "S2"))
    wanted = {"S1": (p, p), "S2": (q, q), "A": (q, p), "B": (p, q)}
    for k, block in blocks.items():
        if tuple(block.shape) != wanted[k] or 0 in block.shape:
            got = {n: tuple(b.shape) for n, b in blocks.items()}
            raise ValueError(f"S1 (p, p), S2 (q, q), A (q, p) and B (p, q) do not fit: {got}")
        if not block.isfinite().all():
            raise ValueError(f"{k} must be finite, got {_first_bad(block)}")
    s1, s2, a, b = blocks.values()
    for k, s in (("S1", s1), ("S2", s2)):
        asymmetry = (s - s.T).abs().max()
        # What rounding leaves of a matrix that was computed: some units for each term of a sum.
        if asymmetry > 10 * torch.finfo(s.dtype).eps * len(s) * s.abs().max():
            raise ValueError(f"{k} must be symmetric; two of its entries differ by {asymmetry:g}")
    return Game(
        lambda theta, phi: theta @ (s1.to(theta) @ theta / 2 + b.to(theta) @ phi),
        lambda theta, phi: phi @ (s2.to(phi) @ phi / 2 + a.to(phi) @ theta),
        (p, q),
        "a quadratic game",
    )


def linear_game(J: ArrayLike, p: int) -> Game:
    """The quadratic game whose Jacobian is J everywhere, the first p parameters being G's.

    Args:
        J: (n, n), with symmetric diagonal blocks.
        p: number of G's parameters, 0 < p < n.

    Raises:
        ValueError: for a J that is not square, a p that leaves a player nothing, and where
            `quadratic_game` raises.

    >>> linear_game([[1.0, 2.0], [-2.0, 0.0]], 1).vector_field([1.0, 1.0])
    tensor([ 3., -2.], dtype=torch.float64)
    """
    J = np.array(J, dtype=np.float64)
    if J.ndim != 2 or len(J) != J.shape[-1] or not 0 < p < len(J):
        raise ValueError(f"J is (n, n) and 0 < p < n, got {J.shape} and p = {p}")
    return quadratic_game(J[:p, :p], J[p:, p:], A=J[p:, :p], B=J[:p, p:])


def _first_bad(values: Tensor) -> float:
    return values[~values.isfinite()][0].item()
