"""Small data with known modes.

The set-ups of Sun et al. 2020 (Section 5, and the released code where the text is silent).
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


def _check_members(members: int) -> None:
    if members < 1:
        raise ValueError(f"at least one member is asked for, got {members}")


def _streams(members: int, seed: int) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, number]) for number in range(members)]


def _stack(each: list[NDArray]) -> Tensor:
    return torch.from_numpy(np.stack(each)).float()
