"""Games with known answers: those of Berard et al. 2020, the smallest GAN, and linear games."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from helpers.games.game import Game, first_bad
from helpers.inputs import real_array, whole_number
from helpers.losses.scalars import PAIRING, SEPARABLE, check_loss


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
    """A Nash equilibrium that repels, and a stable point that is not one (after B, Example 2).

    The losses printed in Berard et al. 2020, eq. 22, have no stationary point at (0, 1) or
    (0, -1). The losses here do, with the Jacobians of eq. 23:
    ``L_G = theta^2 / 2 + (phi^2 - 1) theta / 4`` and ``L_D = (2 theta - 1/4) phi + phi^3 / 12``.

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

    D maximises h1(f(x)) + h2(-f(y)), or h(f(x) - f(y)) if the loss pairs. G minimises the same
    if it is saturating; otherwise it takes the other label, -h1(f(y)) or -h(f(y) - f(x)). The game
    is that of Mescheder et al. 2018 (*Which training methods for GANs do actually converge?*).

    Args:
        loss: a name of `helpers.losses.scalars`: js, hinge, ls, rs, rp-hinge or rp-ls.
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
    arrays = {k: real_array(f"the entries of {k}", m, finite=False) for k, m in given.items()}
    with torch.inference_mode(False):  # the losses are differentiated
        blocks = {k: torch.from_numpy(m) for k, m in arrays.items()}
    p, q = (len(blocks[k]) if blocks[k].ndim else 0 for k in ("S1", "S2"))
    wanted = {"S1": (p, p), "S2": (q, q), "A": (q, p), "B": (p, q)}
    for k, block in blocks.items():
        if tuple(block.shape) != wanted[k] or 0 in block.shape:
            got = {n: tuple(b.shape) for n, b in blocks.items()}
            raise ValueError(f"S1 (p, p), S2 (q, q), A (q, p) and B (p, q) do not fit: {got}")
        if not block.isfinite().all():
            raise ValueError(f"{k} must be finite, got {first_bad(block)}")
    s1, s2, a, b = blocks.values()
    for k, s in (("S1", s1), ("S2", s2)):
        asymmetry = (s - s.T).abs().max()
        # Rounding in a computed matrix is allowed for: some units for each term of a sum.
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
    J, p = real_array("the entries of J", J, finite=False), whole_number("p", p, 0)
    if J.ndim != 2 or len(J) != J.shape[-1] or not 0 < p < len(J):
        raise ValueError(f"J is (n, n) and 0 < p < n, got {J.shape} and p = {p}")
    return quadratic_game(J[:p, :p], J[p:, p:], A=J[p:, :p], B=J[:p, p:])
