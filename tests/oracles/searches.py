"""Many searches at once on diagonal matrices, to count how often a leading eigenvalue is missed.

By rotation invariance a random start on a diagonal matrix stands for one on any matrix of that
spectrum. `simulate` does what `top_eigenpairs` does for the largest eigenvalues, with the vectors
that its seeds draw, for all trials in step and for several k and tolerances from one Lanczos run;
`tests/spectra/test_unseen.py` holds the two together. Searches that find something amiss are handed
to `top_eigenpairs` itself. `python -m tests.oracles.searches` writes
`data/benchmarks/searches.json`.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.linalg.lapack import dsterf

from helpers.games.game import Game
from helpers.games.networks import joint_point, network_game
from helpers.losses.table import LOSSES
from helpers.models import dcgan
from helpers.operators import Operator, hessian
from helpers.spectra import top_eigenpairs
from helpers.spectra.unseen import _STREAM, CHANCE, LOW, needed
from tests.benchmarks.workload import images

KS, TOLERANCES = (1, 5, 20), (1e-3, 1e-2, 0.05, 0.1)
_EPS = np.finfo(float).eps


class Diagonal(Operator):
    """A diagonal matrix."""

    symmetric = True

    def __init__(self, values: NDArray) -> None:
        self.like = torch.as_tensor(values)

    def _times(self, u: torch.Tensor) -> torch.Tensor:
        return self.like * u

    _transposed_times = _times

    def _times_many(self, U: torch.Tensor) -> torch.Tensor:
        return self.like[:, None] * U


def spectra() -> dict[str, NDArray]:
    """Those that are tried, each (n,), the largest first."""
    rng = np.random.default_rng(0)
    ritz = json.loads((Path(__file__).parent / "ritz.json").read_text(encoding="utf-8"))

    def goe(n: int) -> NDArray:
        A = rng.normal(size=(n, n))
        return np.linalg.eigvalsh(A + A.T) / np.sqrt(8 * n)

    levels = np.repeat(np.linspace(1, 0.1, 10), 3)
    found = {
        "random 50": goe(50),
        "random 200": goe(200),
        "clustered": np.r_[levels + 1e-4 * rng.normal(size=30), rng.uniform(-0.3, 0.1, 90)],
        "spiked": np.r_[1, 0.9, 0.5, 0.3, 0.29, 0.2, -0.4, 0.1 * goe(113)],
        "dcgan G": np.array(ritz["G"]),
        "dcgan D": np.array(ritz["D"]),
    }
    return {name: np.sort(values)[::-1].copy() for name, values in found.items()}


@dataclass
class Cell:
    """What became of the trials with one k and one tolerance."""

    values: NDArray  # (trials, k); NaN where a trial was not carried to its end
    products: NDArray  # (trials,)
    handed: NDArray = field(default=None)  # (trials,) whether `top_eigenpairs` did it


def _drawn(seeds: NDArray, n: int) -> NDArray:
    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(int(seed))
        row = torch.randn(n, generator=generator, dtype=torch.float64).numpy()
        rows.append(row / np.linalg.norm(row))
    return np.array(rows)


def _chain(values: NDArray, starts: NDArray, steps: int, held: NDArray | None = None):
    """Lanczos in full orthogonality: a (B, steps), b (B, steps), vectors (B, steps, n), in turn."""
    B, n = starts.shape
    V, a, b = np.zeros((B, steps, n)), np.zeros((B, steps)), np.zeros((B, steps))
    newest = starts
    for j in range(steps):
        V[:, j] = newest
        image = _less(values * newest, held)
        a[:, j] = (newest * image).sum(axis=1)
        rest = _less(image, V[:, : j + 1])
        b[:, j] = np.linalg.norm(rest, axis=1)
        newest = rest / np.maximum(b[:, j, None], 1e-300)
        yield j + 1, a, b, V


def _less(vectors: NDArray, held: NDArray | None) -> NDArray:
    if held is None:
        return vectors
    for _ in range(2):
        along = np.matmul(held, vectors[..., None])
        vectors = vectors - np.matmul(held.transpose(0, 2, 1), along)[..., 0]
    return vectors


def _residuals(ritz: NDArray, before: NDArray, below: NDArray, k: int) -> NDArray:
    """(B, k) of the largest Ritz values (B, m), ascending, from those of a step before."""
    m = ritz.shape[1]
    found = np.zeros((len(ritz), k))
    for place in range(k):
        i = m - 1 - place
        theta = ritz[:, i, None]
        others = np.delete(ritz, i, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.abs((theta - before) / (theta - others)).prod(axis=1)
        found[:, place] = below * np.sqrt(np.nan_to_num(share, nan=0.0, posinf=0.0))
    return found


def _polynomial(a: NDArray, b: NDArray, points: NDArray) -> NDArray:
    """p_m at a point of each chain (B,), by the three terms."""
    last, now = np.zeros(len(points)), np.ones(len(points))
    for j in range(a.shape[1]):
        beside = b[:, j - 1] if j else 0.0
        last, now = now, ((points - a[:, j]) * now - beside * last) / b[:, j]
    return now


def simulate(  # noqa: PLR0915  one loop for all cells: what they share is what costs
    values: NDArray,
    seeds: NDArray,
    *,
    ks: tuple[int, ...] = KS,
    tolerances: tuple[float, ...] = TOLERANCES,
    chance: float | None = CHANCE,
    hand: int | None = None,
) -> dict[tuple[int, float], Cell]:
    """The searches of these seeds for the k largest eigenvalues of a diagonal matrix.

    Args:
        values: (n,) the diagonal, the entries all different.
        seeds: (B,), one a trial.
        ks, tolerances: what is searched for.
        chance: as `top_eigenpairs` has it.
        hand: trials of a cell that are handed to `top_eigenpairs` at the most; all by default.
    """
    n, B = len(values), len(seeds)
    cells = {
        (k, t): Cell(np.full((B, k), np.nan), np.zeros(B, dtype=int), np.zeros(B, dtype=bool))
        for k in ks
        for t in tolerances
    }
    going = {key: np.ones(B, dtype=bool) for key in cells}
    looks: dict[tuple, list] = {key: [] for key in cells}
    before = None
    scale = np.zeros(B)
    for m, a, b, V in _chain(values, _drawn(seeds, n), n):
        length = np.linalg.norm(values * V[:, m - 1], axis=1)
        scale = np.maximum(scale, length)
        ritz = np.array(
            [dsterf(a[i, :m], b[i, : m - 1])[0] if m > 1 else a[i, :1] for i in range(B)]
        )
        top = min(max(ks), m)
        left = _residuals(ritz, before, b[:, m - 1], top) if m > 1 else b[:, :1].copy()
        before = ritz
        for (k, t), cell in cells.items():
            live = going[k, t]
            if m < k or not live.any():
                continue
            wanted, room = ritz[:, ::-1][:, :k], min(n, 6 * k + 40)
            if m == n:
                _stop(cell, going[k, t], live.copy(), wanted, m)
                continue
            floor = 10 * _EPS * scale
            low = LOW * np.maximum(t * np.abs(ritz).max(axis=1), floor)
            limit = np.maximum(t * np.abs(wanted), floor[:, None])
            fine = live & (left[:, :k] <= limit).all(axis=1)
            fine &= np.linalg.norm(left[:, :k], axis=1) <= low / 2
            if chance is None:
                _stop(cell, live, fine, wanted, m)
            elif fine.any():
                edge = wanted[:, -1] + low
                own = fine & (wanted[:, 0] <= edge) & (m + 1 < room)
                if own.any():
                    last = np.zeros(B)
                    last[own] = _polynomial(a[own, :m], b[own, :m], edge[own])
                    _stop(cell, live, own & (last >= needed(n, chance / 2)), wanted, m)
                look = fine & ~own & (room < n or 2 * m < n)
                if look.any():
                    part = np.linalg.norm(left[:, :k], axis=1) ** 2 / low
                    for i in np.flatnonzero(look):
                        T = eigh_tridiagonal(a[i, :m], b[i, : m - 1])[1][:, ::-1][:, :k]
                        X = T.T @ V[i, :m]
                        looks[k, t].append((i, X, edge[i] - part[i], wanted[i].copy(), m))
                    live &= ~look
            restart = live & ~fine & (m + 1 == room < n)
            cell.handed |= restart
            live &= ~restart
        if not any(each.any() for each in going.values()):
            break
    for (k, t), cell in cells.items():
        if looks[k, t]:
            _look(values, seeds, looks[k, t], cell, chance)
        for i in np.flatnonzero(cell.handed)[:hand]:
            options = {"seed": int(seeds[i]), "tolerance": t, "chance": chance}
            found = top_eigenpairs(Diagonal(values), k, **options)
            cell.values[i], cell.products[i] = found.values, found.products
    return cells


def _stop(cell: Cell, live: NDArray, which: NDArray, wanted: NDArray, m: int) -> None:
    cell.values[which], cell.products[which] = wanted[which], m
    live &= ~which


def _look(values: NDArray, seeds: NDArray, looks: list, cell: Cell, chance: float) -> None:
    """Chains from fresh vectors in the complement of what each search found."""
    places = np.array([each[0] for each in looks])
    held, edges = np.array([each[1] for each in looks]), np.array([each[2] for each in looks])
    n, k = len(values), held.shape[1]
    fresh = _less(_drawn(_STREAM + 1 + seeds[places], n), held)
    fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    last, now = np.zeros(len(looks)), np.ones(len(looks))
    going = np.ones(len(looks), dtype=bool)
    enough = needed(n, chance / 4)
    for j, a, b, _ in _chain(values, fresh, n - k, held):
        beside = b[:, j - 2] if j > 1 else 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            following = ((edges - a[:, j - 1]) * now - beside * last) / b[:, j - 1]
        last, now = np.where(going, now, 1.0), np.where(going, following, 1.0)
        amiss = going & (now <= 0)  # a Ritz value beyond the edge
        cell.handed[places[amiss]] = True
        done = going & ~amiss & ((now >= enough) | (j == n - k))
        for at in np.flatnonzero(done):
            cell.values[places[at]] = looks[at][3]
            cell.products[places[at]] = looks[at][4] + j
        going &= ~amiss & ~done
        if not going.any():
            break


def real_searches() -> list[dict]:
    """Twenty searches on the own Hessians of a small DCGAN as it trains, against a tight one."""
    game_of, found = _trained(), []
    for iteration, (game, point) in game_of.items():
        for player in "GD":
            H = hessian(game, player, point, route="retained")
            tight = top_eigenpairs(H, 5, tolerance=1e-5, seed=99).values
            size = max(abs(top_eigenpairs(H, 1, "LM", tolerance=1e-3, seed=98).values[0]), tight[0])
            for k, tolerance in ((1, 1e-2), (5, 0.05)):
                row = {"iteration": iteration, "player": player, "k": k, "tolerance": tolerance}
                for name, chance in (("before", None), ("after", CHANCE)):
                    one = top_eigenpairs(H, k, tolerance=tolerance, chance=chance)
                    lack = float((tight[:k] - one.values).max() / size)
                    row[f"products_{name}"] = one.products
                    row[f"lack_{name}"] = float(f"{max(lack, 0):.2g}")
                    row[f"missed_{name}"] = lack > LOW * tolerance
                found.append(row)
                print(row, flush=True)
    return found


def _trained(width: int = 4, size: int = 16) -> dict[int, tuple[Game, torch.Tensor]]:
    """Games of a DCGAN on images, and their points, by the iteration of Adam."""
    reals, random = images()[1], torch.Generator().manual_seed(0)
    nets, loss = dcgan(seed=0, width=width), LOSSES["js"]
    adams = [torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999)) for net in nets]
    latents, found = torch.randn(size, 100, generator=random), {}
    for step in range(201):
        if step in (0, 20, 50, 100, 200):
            now = copy.deepcopy(nets)
            found[step] = network_game(*now, latents, reals[:size]), joint_point(*now)
        drawn = torch.randint(len(reals), (size,), generator=random)
        fakes = nets[0](torch.randn(size, 100, generator=random))
        adams[1].zero_grad()
        loss.discriminator(nets[1](reals[drawn]), nets[1](fakes.detach())).backward()
        adams[1].step()
        adams[0].zero_grad()
        loss.generator(None, nets[1](fakes)).backward()
        adams[0].step()
    return found


def missed(values: NDArray, found: NDArray, tolerance: float) -> NDArray[np.bool_]:
    """(B,) whether one of (B, k) is low by more than three tolerances of the largest modulus."""
    lack = values[: found.shape[1]] - found
    return (lack > LOW * tolerance * np.abs(values).max()).any(axis=1)


def main() -> None:
    """Count, and write the record."""
    ask = argparse.ArgumentParser()
    ask.add_argument("--trials", type=int, default=30_000)
    ask.add_argument("--before", type=int, default=3_000)
    ask.add_argument("--hand", type=int, default=None, help="most a batch and cell handed on")
    ask.add_argument("--spectra", nargs="*", default=list(spectra()))
    ask.add_argument("--ks", nargs="*", type=int, default=list(KS))
    ask.add_argument("--batch", type=int, default=500)
    ask.add_argument("--out", default="data/benchmarks/searches.json")
    given = ask.parse_args()
    rows, real = [], real_searches()
    for name in given.spectra:
        values = spectra()[name]
        totals: dict[tuple, NDArray] = {}
        for chance, trials in ((None, given.before), (CHANCE, given.trials)):
            for first in range(0, trials, given.batch):
                seeds = np.arange(first, min(first + given.batch, trials))
                hand = given.hand if chance else None
                for key, cell in simulate(
                    values, seeds, ks=tuple(given.ks), chance=chance, hand=hand
                ).items():
                    over = np.isfinite(cell.values[:, 0])
                    low = missed(values, cell.values[over], key[1])
                    new = np.array([over.sum(), low.sum(), cell.products[over].sum()])
                    totals[key, chance] = totals.get((key, chance), 0) + new
                if not (first // given.batch) % 10:
                    print(name, chance, first + len(seeds), flush=True)
        for k in given.ks:
            for t in TOLERANCES:
                (n0, miss0, p0), (n1, miss1, p1) = (totals[(k, t), c] for c in (None, CHANCE))
                row = {
                    "spectrum": name, "n": len(values), "k": k, "tolerance": t,
                    "trials_before": int(n0), "missed_before": int(miss0),
                    "trials": int(n1), "missed": int(miss1),
                    "products_before": round(p0 / n0, 2), "products": round(p1 / n1, 2),
                    "ratio": round((p1 / n1) / (p0 / n0), 3),
                }  # fmt: skip
                rows.append(row)
                print(row, flush=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    head = {
        "date": datetime.now(timezone.utc).date().isoformat(), "commit": commit,
        "seeds": "from 0, one a trial",
        "chance": CHANCE, "missed means": "low by more than 3 tolerances times the largest modulus",
    }  # fmt: skip
    lines, real = (",\n  ".join(json.dumps(row) for row in each) for each in (rows, real))
    text = (
        json.dumps(head, indent=1)[:-2]
        + f',\n "real": [\n  {real}\n ],\n "rows": [\n  {lines}\n ]\n}}\n'
    )
    Path(given.out).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
