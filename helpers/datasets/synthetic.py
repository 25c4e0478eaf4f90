"""Small data with known modes.

The set-ups of Sun et al. 2020 (Section 5, and the released code where the paper is silent) and of
Berard et al. 2020 (Appendix C.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helpers.inputs import real_array, shown, whole_number
from helpers.inputs import seed as whole_seed

CENTRES = torch.tensor([[0.0], [4.0]], device="cpu")  # of the two clusters
WIDTH = 0.3
RADIUS = 1.2 * WIDTH  # a point this near to a centre is at that cluster, as released


@dataclass(frozen=True, eq=False)
class Samples:
    """Fixed latents and real samples of S members."""

    latents: Tensor  # (S, n, latent)
    reals: Tensor  # (S, n, d)
    centres: Tensor  # (k, d) of the modes


def two_clusters(
    members: int, *, seed: int, n: int = 100, pattern: Sequence[int] = (0, 1)
) -> Samples:
    """n points c + U(0, 0.3) with c in {0, 4}, and n latents from U(-5, 5), for each member.

    Args:
        members: S; each draws from its own stream, so that adding members keeps the first ones.
        n: points and latents per member.
        pattern: the clusters of successive points, repeated: (0, 0, 1) for an imbalance of 2:1.

    Raises:
        ValueError: for no members, and a cluster without a point.

    >>> two_clusters(3, seed=0).reals.shape
    torch.Size([3, 100, 1])
    """
    n = whole_number("n", n, 1)
    if not isinstance(pattern, Sequence) or isinstance(pattern, str) or not len(pattern):
        raise ValueError(f"a pattern is a sequence of clusters, 0 or 1, got {shown(pattern)}")
    turns = [whole_number("a cluster of the pattern", each, 0, 1) for each in pattern]
    which = torch.tensor([turns[i % len(turns)] for i in range(n)], dtype=torch.long, device="cpu")
    if set(which.tolist()) != {0, 1}:
        raise ValueError(f"each of the two clusters needs a point, got {shown(which.tolist())}")
    latents, reals = [], []
    for rng in _streams(members, seed):
        latents.append(rng.uniform(-5, 5, (n, 1)))
        reals.append(CENTRES[which].numpy() + rng.uniform(0, WIDTH, (n, 1)))
    return Samples(_stack(latents), _stack(reals), CENTRES)


def circle_of_gaussians(members: int, *, seed: int, n: int = 10_000, modes: int = 5) -> Samples:
    """n points around modes on the unit circle, of covariance 0.002 I, and n latents from N(0, I).

    >>> circle_of_gaussians(2, seed=0, n=10).centres.shape
    torch.Size([5, 2])
    """
    n, modes = whole_number("n", n, 1), whole_number("modes", modes, 1)
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
    sigmas: tuple[float, float] = (0.5**0.5, 1.0),
    latent: int = 1,
) -> Samples:
    """n points from N(2, s1^2) / 2 + N(-2, s2^2) / 2, and n latents from N(0, I).

    Berard et al. 2020, Appendix C.1, print N(2, 0.5) and N(-2, 1), whose second arguments are
    variances; the script that they released has sigmas (1, 1) and 100 latent dimensions. Latents
    of one dimension come in rising order, which makes `LineNet` quicker; the points do not, since
    losses that pair samples would see the order.

    Args:
        members: S; each draws from its own stream.
        seed: for the streams.
        n: points and latents per member.
        sigmas: standard deviations of the modes at 2 and at -2.
        latent: dimensions of a latent.

    Raises:
        ValueError: for no members, no points or no latent dimension.

    >>> mixture_of_gaussians(3, seed=0, n=8).reals.shape
    torch.Size([3, 8, 1])
    """
    n, latent = whole_number("n", n, 1), whole_number("latent", latent, 1)
    spread = real_array("sigmas", sigmas)
    if spread.shape != (2,) or not (spread > 0).all():
        raise ValueError(f"sigmas are two numbers above 0, got {shown(sigmas)}")
    latents, reals = [], []
    for rng in _streams(members, seed):
        z = rng.normal(size=(n, latent))
        right = rng.random(n) < 0.5
        points = np.where(right, 2.0, -2.0) + np.where(right, *sigmas) * rng.normal(size=n)
        latents.append(np.sort(z, axis=0) if latent == 1 else z)
        reals.append(points[:, None])
    return Samples(_stack(latents), _stack(reals), torch.tensor([[2.0], [-2.0]], device="cpu"))


def _streams(members: int, seed: int) -> list[np.random.Generator]:
    members, seed = whole_number("members", members, 1), whole_seed(seed)
    return [np.random.default_rng([seed, number]) for number in range(members)]


def _stack(each: list[NDArray[np.float64]]) -> Tensor:
    return torch.from_numpy(np.stack(each)).float()
