"""Small data with known modes.

The set-ups of Sun et al. 2020 (Section 5, and the released code where the text is silent) and of
Berard et al. 2020 (Appendix C.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CENTRES = torch.tensor([[0.0], [4.0]])  # of the two clusters
WIDTH = 0.3
RADIUS = 1.2 * WIDTH  # within it of its centre a point is at a cluster, as released


@dataclass(frozen=True, eq=False)
class Samples:
    """Fixed latents and real samples of S members."""

    latents: Tensor  # (S, n, latent)
    reals: Tensor  # (S, n, d)
    centres: Tensor  # (k, d) of the modes


def two_clusters(
    members: int, *, seed: int, n: int = 100, pattern: Sequence[int] = (0, 1)
) -> Samples:
    """n points c + U(0, 0.3) of c in {0, 4}, and n latents of U(-5, 5), for each member.

    Args:
        members: S; each draws from a stream of its own, so that more members keep the first ones.
        n: points and latents of a member.
        pattern: the cluster of the points in turn, repeated: (0, 0, 1) for an imbalance of 2:1.

    Raises:
        ValueError: for no members, and a cluster that would have no point.

    >>> two_clusters(3, seed=0).reals.shape
    torch.Size([3, 100, 1])
    """
    _check_members(members)
    which = torch.tensor([pattern[i % len(pattern)] for i in range(n)], dtype=torch.long)
    if set(which.tolist()) != {0, 1}:
        raise ValueError(f"each of the two clusters needs a point, got {which.tolist()}")
    latents, reals = [], []
    for rng in _streams(members, seed):
        latents.append(rng.uniform(-5, 5, (n, 1)))
        reals.append(CENTRES[which].numpy() + rng.uniform(0, WIDTH, (n, 1)))
    return Samples(_stack(latents), _stack(reals), CENTRES)


def circle_of_gaussians(members: int, *, seed: int, n: int = 10_000, modes: int = 5) -> Samples:
    """n points around modes on the unit circle, of covariance 0.002 I, and n latents of N(0, I).

    >>> circle_of_gaussians(2, seed=0, n=10).centres.shape
    torch.Size([5, 2])
    """
    _check_members(members)
    angles = 2 * np.pi * np.arange(modes) / modes
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    latents, reals = [], []
    for rng in _streams(members, seed):
        latents.append(rng.normal(size=(n, 2)))
        reals.append(centres[np.arange(n) % modes] + 0.002**0.5 * rng.normal(size=(n, 2)))
    return Samples(_stack(latents), _stack(reals), torch.from_numpy(centres).float())


def mixture_of_gaussians(
    members: int,
    *,
    seed: int,
    n: int = 10_000,
    sigmas: tuple[float, float] = (0.5, 1.0),
    latent: int = 1,
) -> Samples:
    """n points of N(2, s1^2) / 2 + N(-2, s2^2) / 2, and n latents of N(0, I).

    Berard et al. 2020, Appendix C.1; the script that they released has sigmas (1, 1) and 100
    latent dimensions. Latents of one dimension come in rising order, in which `LineNet` is quicker;
    the points do not, since losses that pair samples would see the order.

    Args:
        members: S; each draws from a stream of its own.
        seed: of the streams.
        n: points and latents of a member.
        sigmas: standard deviations of the modes at 2 and at -2.
        latent: dimensions of a latent.

    Raises:
        ValueError: for no members, no points and no latent dimension.

    >>> mixture_of_gaussians(3, seed=0, n=8).reals.shape
    torch.Size([3, 8, 1])
    """
    _check_members(members)
    if n < 1 or latent < 1:
        raise ValueError(f"n and latent are 1 or more, got {n} and {latent}")
    latents, reals = [], []
    for rng in _streams(members, seed):
        z = rng.normal(size=(n, latent))
        right = rng.random(n) < 0.5
        points = np.where(right, 2.0, -2.0) + np.where(right, *sigmas) * rng.normal(size=n)
        latents.append(np.sort(z, axis=0) if latent == 1 else z)
        reals.append(points[:, None])
    return Samples(_stack(latents), _stack(reals), torch.tensor([[2.0], [-2.0]]))


def _check_members(members: int) -> None:
    if members < 1:
        raise ValueError(f"at least one member is asked for, got {members}")


def _streams(members: int, seed: int) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, number]) for number in range(members)]


def _stack(each: list[NDArray]) -> Tensor:
    return torch.from_numpy(np.stack(each)).float()
