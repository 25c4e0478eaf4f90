"""Derivatives of a game at a point as operators: products first, matrices where they are small.

Berard et al. 2020, eq. 5: the Jacobian of the field has the players' own Hessians on its diagonal
and their interaction off it. It is not symmetric, so its products come in two kinds, ``J u`` and
``J' u``; Appendix B of the paper calls the second one the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator
from torch import Tensor
from torch.func import jvp, vjp, vmap

from helpers.games import Game, check_player


@dataclass(frozen=True, eq=False)
class Operator:
    """The derivative of a map R^n -> R^n at a point, known by its products.

    >>> Operator(lambda x: x**2, torch.tensor([1.0, 3.0])).dense()
    tensor([[2., 0.],
            [0., 6.]])
    """

    map: Callable[[Tensor], Tensor]
    at: Tensor  # (n,)

    @property
    def shape(self) -> tuple[int, int]:
        return (len(self.at), len(self.at))

    def matvec(self, u: Tensor) -> Tensor:
        """J u, (n,): how the map changes along u, by forward over reverse differentiation."""
        self._check(u, 1)
        return self._forward(u)

    def rmatvec(self, u: Tensor) -> Tensor:
        """J' u, (n,): the gradient of the scalar <map, u> with u held."""
        self._check(u, 1)
        return vjp(self.map, self.at)[1](u)[0].to(self.at)

    def matmat(self, U: Tensor) -> Tensor:
        """J U, (n, k), for k vectors at once."""
        self._check(U, 2)
        return vmap(self._forward, in_dims=1, out_dims=1)(U)

    def dense(self) -> Tensor:
        """J, (n, n)."""
        return self.matmat(torch.eye(len(self.at), dtype=self.at.dtype, device=self.at.device))

    def as_scipy(self) -> LinearOperator:
        """The same products on numpy vectors, for scipy's sparse eigensolvers."""

        def on_numpy(product: Callable[[Tensor], Tensor]) -> Callable:
            return lambda u: product(torch.as_tensor(u.ravel()).to(self.at)).cpu().numpy()

        return LinearOperator(
            self.shape,
            matvec=on_numpy(self.matvec),
            rmatvec=on_numpy(self.rmatvec),
            dtype=torch.empty(0, dtype=self.at.dtype).numpy().dtype,
        )

    def _forward(self, u: Tensor) -> Tensor:
        # A Python number times a float32 scalar has a float64 tangent in torch.
        return jvp(self.map, (self.at,), (u,))[1].to(self.at)

    def _check(self, u: Tensor, ndim: int) -> None:
        if u.ndim != ndim or len(u) != len(self.at):
            wanted = f"({len(self.at)}{', k' if ndim == 2 else ','})"
            raise ValueError(f"this operator multiplies tensors {wanted}, got {tuple(u.shape)}")


def jacobian(game: Game, omega: ArrayLike | Tensor) -> Operator:
    """The Jacobian of the vector field at a point, (p + q, p + q) (Berard et al. 2020, eq. 5).

    Raises:
        ValueError: if omega is not one finite point of the game.

    >>> from helpers.games import rotating_saddle
    >>> jacobian(rotating_saddle(), [1.0, 1.0, 0.0]).dense()
    tensor([[-1.,  0., -1.],
            [ 0.,  2., -2.],
            [ 5.,  4.,  0.]], dtype=torch.float64)
    """
    return Operator(game.field_at, _one(game, omega))


def hessian(game: Game, player: str, omega: ArrayLike | Tensor) -> Operator:
    """A player's own Hessian, (p, p) for "G" or (q, q) for "D", the other player held.

    Raises:
        ValueError: for an unknown player, or if omega is not one finite point of the game.

    >>> from helpers.games import rotating_saddle
    >>> hessian(rotating_saddle(), "G", [1.0, 1.0, 0.0]).dense()
    tensor([[-1.,  0.],
            [ 0.,  2.]], dtype=torch.float64)
    """
    check_player(player)
    theta, phi = game.split(_one(game, omega))
    if player == "G":
        return Operator(lambda own: game.gradient_at("G", torch.cat([own, phi])), theta)
    return Operator(lambda own: game.gradient_at("D", torch.cat([theta, own])), phi)


def _one(game: Game, omega: ArrayLike | Tensor) -> Tensor:
    point = game.point(omega)
    if point.ndim != 1:
        raise ValueError(f"one point is asked for, got a batch {tuple(point.shape)}")
    return point
