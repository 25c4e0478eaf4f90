"""Small data with known modes, and what a generator's points have found of them.

The set-ups of Sun et al. 2020 (Section 5, and the released code where the text is silent).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
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


@dataclass(frozen=True, eq=False)
class Coverage:
    """When S members had found the modes. Iterations; the length of the run means never."""

    first: NDArray[np.int64]  # (S,) all modes covered for the first time
    stable: NDArray[np.int64]  # (S,) from which on all stay covered
    collapsed: NDArray[np.int64]  # (S,) iterations with exactly one mode covered
    longest: NDArray[np.int64]  # (S,) longest run of them
    at_end: NDArray[np.int64]  # (S,) modes covered at the end


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


def shares_near(points: Tensor, centres: Tensor, radius: float) -> Tensor:
    """(S, k) share of each member's points (S, n, d) that lie within a radius of each centre.

    >>> shares_near(torch.tensor([[[0.1], [3.9], [2.0], [0.0]]]), CENTRES, RADIUS)
    tensor([[0.5000, 0.2500]])
    """
    away = (points[:, :, None] - centres.to(points)).norm(dim=-1)
    return (away < radius).to(points.dtype).mean(dim=1)


def coverage(shares: ArrayLike, iterations: ArrayLike, *, least: float = 0.1) -> Coverage:
    """When all modes were covered, from the shares of points near each over a training.

    Args:
        shares: (t, S, k) as `shares_near` gives them at each record.
        iterations: (t,) of the records, ascending; between two of them nothing is known, and a
            record stands for the iterations since the one before.
        least: share of the points that covers a mode, of what it would be if all had the same.

    Raises:
        ValueError: for shapes that do not fit, no records, and a least that is not in (0, 1].

    >>> found = coverage([[[1.0, 0.0]], [[0.5, 0.5]], [[0.0, 1.0]], [[0.6, 0.4]]], [1, 2, 3, 4])
    >>> found.first, found.stable, found.collapsed, found.longest
    (array([2]), array([4]), array([2]), array([1]))
    """
    shares, when = np.asarray(shares, dtype=np.float64), np.asarray(iterations)
    if shares.ndim != 3 or when.shape != shares.shape[:1] or not len(when):
        raise ValueError(f"shares (t, S, k) at t times, got {shares.shape} at {when.shape}")
    if not 0 < least <= 1:
        raise ValueError(f"least is above 0 and at most 1, got {least}")
    modes = shares.shape[2]
    found = (shares >= least / modes).sum(axis=2)  # (t, S)
    full, single = found == modes, found == 1
    never = when[-1]
    first = np.where(full.any(axis=0), when[full.argmax(axis=0)], never)
    lasting = np.logical_and.accumulate(full[::-1], axis=0)[::-1]
    stable = np.where(lasting.any(axis=0), when[lasting.argmax(axis=0)], never)
    spans = np.diff(when, prepend=0)[:, None] * single
    longest, run = np.zeros_like(first), np.zeros_like(first)
    for span, alone in zip(spans, single, strict=True):
        run = np.where(alone, run + span, 0)
        longest = np.maximum(longest, run)
    return Coverage(first, stable, spans.sum(axis=0), longest, found[-1])


def _check_members(members: int) -> None:
    if members < 1:
        raise ValueError(f"at least one member is asked for, got {members}")


def _streams(members: int, seed: int) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, number]) for number in range(members)]


def _stack(each: list[NDArray]) -> Tensor:
    return torch.from_numpy(np.stack(each)).float()
