"""Random linear games that are stable at 0."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from helpers.inputs import one_of, real_number, whole_number
from helpers.inputs import seed as whole_seed

KINDS = ("zero-sum", "free")
_LEAST = 0.1  # least real part of the eigenvalues of a free game


def stable_jacobian(kind: str, n: int, coupling: float, *, seed: int) -> NDArray[np.float64]:
    """The Jacobian [[S1, B], [A, S2]] of a random linear game that is stable at 0.

    A and B are Gaussian, with a norm that does not depend on n, times the coupling. In a zero-sum
    game S1 and S2 are positive definite and A = -B'. In a free game S1 and S2 are symmetric and
    otherwise as random; then the least multiple of the identity that lifts every real part to 0.1
    or more is added.

    Args:
        kind: "zero-sum" or "free".
        n: number of parameters, half of them for each player.
        coupling: how strongly each player enters the other's gradient.
        seed: of the game.

    Raises:
        ValueError: for an unknown kind, an odd n, and a negative coupling.

    >>> J = stable_jacobian("zero-sum", 4, 3.0, seed=0)
    >>> bool((J[:2, 2:] == -J[2:, :2].T).all())
    True
    """
    one_of("kind", kind, KINDS)
    h = whole_number("n", n, 2) // 2
    if n % 2:
        raise ValueError(f"n must be even, half of it for each player, got {n}")
    coupling = real_number("coupling", coupling, least=0)
    rng, zero_sum = np.random.default_rng(whole_seed(seed)), kind == "zero-sum"
    A, B = coupling * rng.normal(size=(2, h, h)) / np.sqrt(h)
    S1, S2 = (_symmetric(rng.normal(size=(h, 2 * h)) / np.sqrt(2 * h), zero_sum) for _ in range(2))
    J = np.block([[S1, B], [-B.T if zero_sum else A, S2]])
    if zero_sum:  # its symmetric part is positive definite
        return J
    lowest = torch.linalg.eigvals(torch.from_numpy(J)).real.min()
    return J + max(0.0, _LEAST - float(lowest)) * np.eye(n)


def _symmetric(g: NDArray[np.float64], positive: bool) -> NDArray[np.float64]:
    """(h, h) of random numbers (h, 2 h), definite or not."""
    return g @ g.T if positive else g[:, : len(g)] + g[:, : len(g)].T
