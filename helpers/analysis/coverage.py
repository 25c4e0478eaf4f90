"""Which modes a generator's points have found, and what the best discriminator makes of it.

Sun et al. 2020, Section 3, reason about two points. Here a cluster, or a mode, is treated as one
place, and a state of training is known only by how many points are at each place.

A share counts as at a threshold if it falls short of it by no more than rounding in the dtype in
which shares are given: one point of a hundred is 0.01, in single precision too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame, concat
from torch import Tensor
from torch.nn.functional import one_hot

from helpers.inputs import real_array, real_number, shown, whole_number
from helpers.losses.scalars import PAIRING, SEPARABLE, ScalarFunction, check_loss
from helpers.outer.exact import xi

_ROUNDING = 4  # units by which a sum of a few shares may fall short of a threshold


@dataclass(frozen=True, eq=False)
class Coverage:
    """When S members found the modes, in iterations; the length of the run means never."""

    first: NDArray[np.int64]  # (S,) all modes covered for the first time
    stable: NDArray[np.int64]  # (S,) from here on all modes stay covered
    collapsed: NDArray[np.int64]  # (S,) iterations with exactly one mode covered
    longest: NDArray[np.int64]  # (S,) longest run of such iterations
    at_end: NDArray[np.int64]  # (S,) modes covered at the end
    covered: NDArray[np.int64]  # (t, S) modes covered at each record


@dataclass(frozen=True, eq=False)
class Stays:
    """The longest time that each of S members stayed at one mode."""

    length: NDArray[np.int64]  # (S,) iterations, 0 for none
    start: NDArray[np.int64]  # (S,) its first record
    end: NDArray[np.int64]  # (S,) the record after its last
    mode: NDArray[np.int64]  # (S,)


def shares_near(points: Tensor, centres: Tensor, radius: float) -> Tensor:
    """(S, k) share of each member's points (S, n, d) that lie within a radius of each centre.

    Raises:
        ValueError: for shapes that do not fit, and a radius that is not above 0.

    >>> from helpers.datasets.synthetic import CENTRES, RADIUS
    >>> shares_near(torch.tensor([[[0.1], [3.9], [2.0], [0.0]]]), CENTRES, RADIUS)
    tensor([[0.5000, 0.2500]])
    """
    radius = real_number("radius", radius, above=0)
    return (_away(points, centres) < radius).to(points.dtype).mean(dim=1)


def pair_shares(points: Tensor, reals: Tensor, centres: Tensor, radius: float) -> Tensor:
    """(S, k, k) share of the pairs, by the mode of the real (row) and that near the point (column).

    A real belongs to its nearest centre. Points far from every centre count in no column.

    Raises:
        ValueError: as `shares_near`, and for reals that do not match the points in shape.

    >>> from helpers.datasets.synthetic import CENTRES, RADIUS
    >>> pair_shares(torch.tensor([[[0.1], [2.0]]]), torch.tensor([[[4.1], [0.2]]]), CENTRES, RADIUS)
    tensor([[[0.0000, 0.0000],
             [0.5000, 0.0000]]])
    """
    radius = real_number("radius", radius, above=0)
    if getattr(reals, "shape", None) != getattr(points, "shape", None):
        got = [getattr(given, "shape", shown(given)) for given in (points, reals)]
        raise ValueError(f"points and reals are pairs (S, n, d), got {got[0]} and {got[1]}")
    rows = one_hot(_away(reals, centres).argmin(dim=-1), len(centres)).to(points.dtype)
    columns = (_away(points, centres) < radius).to(points.dtype)
    return rows.transpose(1, 2) @ columns / points.shape[1]


def _away(points: Tensor, centres: Tensor) -> Tensor:
    """(S, n, k) distances."""
    fits = all(isinstance(given, Tensor) for given in (points, centres))
    if not fits or points.ndim != 3 or centres.ndim != 2 or points.shape[2] != centres.shape[1]:
        got = [getattr(given, "shape", shown(given)) for given in (points, centres)]
        raise ValueError(
            f"points (S, n, d) and centres (k, d) are tensors, got {got[0]} and {got[1]}"
        )
    return (points[:, :, None] - centres.to(points)).norm(dim=-1)


def least_loss(pairs: ArrayLike, real: ArrayLike, loss: str) -> NDArray[np.float64]:
    """D's least loss if each of two clusters is one place, and each point astray has its own.

    This is the outer objective of Sun et al. 2020 with its sign reversed (Claims 3.1 and 3.2), for
    any number of pairs.

    Args:
        pairs: (..., 2, 2) as `pair_shares` gives them.
        real: (2,) or (..., 2) share of the reals in each cluster.
        loss: a name of `helpers.losses.SEPARABLE` (its D loss halved) or `PAIRING`.

    Raises:
        ValueError: for an unknown loss, pairs of other than two clusters, and a `real` of another
            shape.

    >>> collapsed = [[0.5, 0.0], [0.5, 0.0]]  # all points at the first cluster
    >>> [least_loss(collapsed, [0.5, 0.5], name).round(4).item() for name in ("js", "rs")]
    [0.4774, 0.3466]
    """
    check_loss(loss)
    pairs, real = real_array("pairs", pairs), real_array("real", real)
    if pairs.ndim < 2 or pairs.shape[-2:] != (2, 2):
        raise ValueError(f"pairs are (..., 2, 2), got {pairs.shape}")
    if real.shape not in ((2,), pairs.shape[:-1]):
        raise ValueError(f"real is (2,) or {pairs.shape[:-1]}, as pairs are, got {real.shape}")
    if loss in SEPARABLE:
        real, fake = np.broadcast_arrays(real, pairs.sum(axis=-2))
        return -_xi_of_each(real, fake, *SEPARABLE[loss]).sum(axis=-1) / 2
    h = PAIRING[loss]
    at_home = (pairs[..., 0, 0] + pairs[..., 1, 1]) * float(
        h(torch.zeros((), dtype=torch.float64, device="cpu"))
    )
    return -at_home - _xi_of_each(pairs[..., 0, 1], pairs[..., 1, 0], h, h)


def _xi_of_each(
    a: NDArray[np.float64], b: NDArray[np.float64], h1: ScalarFunction, h2: ScalarFunction
) -> NDArray[np.float64]:
    """`xi`, once for each distinct pair of numbers: n points have few."""
    both, where = np.unique(np.stack([a.ravel(), b.ravel()]).round(9), axis=1, return_inverse=True)
    return xi(both[0], both[1], h1, h2)[where.ravel()].reshape(a.shape)


def coverage(shares: ArrayLike, iterations: ArrayLike, *, least: float = 0.1) -> Coverage:
    """When all modes were covered, from the shares of points near each over a training.

    Args:
        shares: (t, S, k) as `shares_near` gives them at each record.
        iterations: (t,) of the records, ascending; between two records nothing is known, and a
            record stands for the iterations since the previous one.
        least: share of the points that covers a mode, as a fraction of an equal share.

    Raises:
        ValueError: for shapes that do not fit, no records, and a least that is not in (0, 1].

    >>> when = coverage([[[1.0, 0.0]], [[0.5, 0.5]], [[0.0, 1.0]], [[0.6, 0.4]]], [1, 2, 3, 4])
    >>> when.first, when.stable, when.collapsed, when.longest
    (array([2]), array([4]), array([2]), array([1]))
    """
    shares, when, slack = _records(shares, iterations)
    covered = _is_covered(shares, least, slack).sum(axis=2)
    full, single = covered == shares.shape[2], covered == 1
    first, stable = arrivals(full, when, int(when[-1]))
    collapsed = (np.diff(when, prepend=0)[:, None] * single).sum(axis=0)
    longest = _longest_runs(np.where(single, 0, -1), when).length
    return Coverage(first, stable, collapsed, longest, covered[-1], covered)


def arrivals(
    there: NDArray[np.bool_], when: NDArray[np.int64], never: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(S,) when something is there first, and from when on it is there for good; or `never`.

    Args:
        there: (t, S) whether it is there at each record.
        when: (t,) iterations of the records.
        never: what stands for never.

    >>> arrivals(np.array([[False], [True], [False], [True]]), np.arange(1, 5), 9)
    (array([2]), array([4]))
    """
    lasting = np.logical_and.accumulate(there[::-1], axis=0)[::-1]
    first, stable = (
        np.where(seen.any(axis=0), when[seen.argmax(axis=0)], never) for seen in (there, lasting)
    )
    return first, stable


def longest_stays(shares: ArrayLike, iterations: ArrayLike) -> Stays:
    """Each member's longest run of records with nine tenths of its points at the same mode.

    Args:
        shares, iterations: as for `coverage`.

    Raises:
        ValueError: for shapes that do not fit, and no records.

    >>> stays = longest_stays([[[1.0, 0.0]], [[0.0, 1.0]], [[0.1, 0.9]]], [10, 20, 30])
    >>> stays.length, stays.start, stays.end, stays.mode
    (array([20]), array([1]), array([3]), array([1]))
    """
    shares, when, slack = _records(shares, iterations)
    stays = _reaches(shares.max(axis=2), 0.9, slack)
    return _longest_runs(np.where(stays, shares.argmax(axis=2), -1), when)


def collapses(
    shares: ArrayLike, iterations: ArrayLike, *, shortest: int, least: float = 0.1
) -> DataFrame:
    """Every unbroken run of records with exactly one mode covered, if it is long enough.

    Args:
        shares, iterations, least: as for `coverage`, whose `longest` is the longest of them.
        shortest: iterations that a run lasts at least.

    Returns:
        A row per run: its "member"; the iterations "start", of the last record before it or 0, and
        "end", of its last record; its "length" in iterations; and whether it is "last", with no
        record after it.

    Raises:
        ValueError: as `coverage`, and for a shortest below 1.

    >>> shares = [[[1.0, 0.0]], [[1.0, 0.0]], [[0.5, 0.5]], [[0.0, 1.0]]]
    >>> collapses(shares, [10, 20, 30, 40], shortest=20)
       member  start  end  length   last
    0       0      0   20      20  False
    """
    shares, when, slack = _records(shares, iterations)
    single = _is_covered(shares, least, slack).sum(axis=2) == 1
    return _unbroken(np.where(single, 0, -1), when, shortest)


def steady(
    shares: ArrayLike, iterations: ArrayLike, *, shortest: int, least: float = 0.1
) -> DataFrame:
    """Every unbroken run of records with the same modes covered, some but not all of them.

    With two modes such a run is one of `collapses`, and ends where the other mode takes over, too.

    Args:
        shares, iterations, shortest, least: as for `collapses`.

    Returns:
        As `collapses`.

    Raises:
        ValueError: as `collapses`.

    >>> shares = [[[0.5, 0.5, 0.0]], [[0.5, 0.5, 0.0]], [[0.0, 0.5, 0.5]], [[0.4, 0.3, 0.3]]]
    >>> steady(shares, [10, 20, 30, 40], shortest=10)
       member  start  end  length   last
    0       0      0   20      20  False
    1       0     20   30      10  False
    """
    shares, when, slack = _records(shares, iterations)
    covered = _is_covered(shares, least, slack)
    _, which = np.unique(covered.reshape(-1, shares.shape[2]), axis=0, return_inverse=True)
    some = covered.any(axis=2) & ~covered.all(axis=2)
    return _unbroken(np.where(some, which.reshape(some.shape), -1), when, shortest)


def absences(
    shares: ArrayLike, iterations: ArrayLike, *, shortest: int, least: float = 0.1
) -> DataFrame:
    """Every unbroken run of records without a mode, mode by mode.

    Args:
        shares, iterations, shortest, least: as for `collapses`.

    Returns:
        As `collapses`, and the "mode". A run that starts at 0 is of a mode not yet found.

    Raises:
        ValueError: as `collapses`.

    >>> absences([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]], [10, 20, 30], shortest=10)
       member  start  end  length   last  mode
    0       0      0   10      10  False     1
    1       0     10   30      20   True     0
    """
    shares, when, slack = _records(shares, iterations)
    gone = np.where(_is_covered(shares, least, slack), -1, 0)
    parts = [
        _unbroken(gone[..., mode], when, shortest).assign(mode=mode)
        for mode in range(shares.shape[2])
    ]
    return concat(parts).sort_values(["member", "start", "mode"], ignore_index=True)


def _unbroken(states: NDArray[np.int64], when: NDArray[np.int64], shortest: int) -> DataFrame:
    """Runs of the same state in (t, S) records, as `collapses` returns them; -1 means none."""
    shortest, none = whole_number("shortest", shortest, 1), np.full((1, states.shape[1]), -1)
    before, after = np.concatenate([none, states]).T, np.concatenate([states, none]).T
    changed = before != after
    # (member, record) of first records, and of those after the last one: sorted, they match.
    (member, first), (_, end) = (
        np.nonzero(changed & (after >= 0)),
        np.nonzero(changed & (before >= 0)),
    )
    times = np.concatenate([[0], when])
    runs = {"member": member, "start": times[first], "end": times[end]}
    found = DataFrame(runs | {"length": runs["end"] - runs["start"], "last": end == len(when)})
    return found[found["length"] >= shortest].reset_index(drop=True)


def _is_covered(shares: NDArray[np.float64], least: float, slack: float) -> NDArray[np.bool_]:
    """(t, S, k) whether each mode has its share of the points."""
    if not 0 < real_number("least", least) <= 1:
        raise ValueError(f"least is above 0 and at most 1, got {least}")
    return _reaches(shares, float(least) / shares.shape[2], slack)


def _reaches(shares: NDArray[np.float64], threshold: float, slack: float) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = shares >= threshold * (1 - slack)
    return found


def _longest_runs(modes: NDArray[np.int64], when: NDArray[np.int64]) -> Stays:
    """The longest run of the same mode in (t, S) records; -1 means no mode."""
    members = modes.shape[1]
    length, start, end, mode = np.zeros((4, members), dtype=np.int64)
    run, since = np.zeros((2, members), dtype=np.int64)
    last = np.full(members, -1)
    for record, (here, span) in enumerate(zip(modes, np.diff(when, prepend=0), strict=True)):
        same = here == last
        since = np.where(same, since, record)
        run = np.where(here < 0, 0, np.where(same, run + span, span))
        longer = run > length
        for kept, now in ((length, run), (start, since), (mode, here)):
            kept[longer] = now[longer]
        end[longer] = record + 1
        last = here
    return Stays(length, start, end, mode)


def _records(
    shares: ArrayLike, iterations: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
    """Shares and iterations, checked, and the part of a threshold that rounding may take away."""
    given = shares
    # The shares of a diverged member are NaN: it covers no mode.
    shares, when = real_array("shares", shares, finite=False), real_array("iterations", iterations)
    if shares.ndim != 3 or when.shape != shares.shape[:1] or 0 in shares.shape:
        raise ValueError(f"shares are (t, S, k) at t times, got {shares.shape} at {when.shape}")
    whole = when.astype(np.int64)
    if (whole != when).any() or (np.diff(whole, prepend=0) <= 0).any():
        raise ValueError(
            f"iterations are whole numbers from 1 on, ascending, got {shown(iterations)}"
        )
    return shares, whole, _ROUNDING * _unit(given)


def _unit(shares: ArrayLike) -> float:
    """The unit of rounding of shares as they were given; 0 of whole numbers."""
    if isinstance(shares, Tensor):
        return float(torch.finfo(shares.dtype).eps) if shares.is_floating_point() else 0.0
    dtype = np.asarray(shares).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
