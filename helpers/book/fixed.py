"""Numbers for the regression check alone: at a fixed state, or a few iterations after it.

The end of a long training depends on the order of additions: another processor trains to another
end, and what a chapter records there says nothing about drift. What the same code gives at the
start, and four iterations later, does. Run as a module, it prints one chapter's numbers as JSON, in
a process of its own, so that the environment can choose kernels and threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from helpers.experiments import edges, find, stay_points, stays
from helpers.experiments.edge_training import train_edges
from helpers.experiments.image_training import SETTINGS, Setting, train_images
from helpers.experiments.mixture_training import train_mixture
from helpers.experiments.protocol import setting_of
from helpers.experiments.ring_training import Setting as RingSetting
from helpers.experiments.ring_training import train_ring
from helpers.experiments.two_cluster_training import Setting as ClusterSetting
from helpers.experiments.two_cluster_training import Size, draw, train
from helpers.operators import hessian, jacobian
from helpers.spectra import game_eigenvalues, top_eigenpairs
from helpers.training.nudging import Nudging

_ITERATIONS = 4
_PLAIN = Setting(method="adam", beta=0.5, normed=False)
_TOLERANCE = 1e-6  # of eigenvalues: so small that where a search stops does not matter
Numbers = dict[str, list[float]]


def numbers(chapter: str, environment: Mapping[str, str] | None = None) -> Numbers:
    """The fixed numbers of a chapter, from a process of their own; none for most chapters."""
    if chapter not in FIXED:
        return {}
    command = [sys.executable, "-m", "helpers.book.fixed", chapter]
    environment = {**os.environ, **(environment or {})}
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    if found.returncode:
        raise RuntimeError(f"{chapter}: {found.stderr.strip()[-1000:]}")
    return json.loads(found.stdout.splitlines()[-1])


def _two_clusters() -> Numbers:
    size = Size(members=4, iterations=_ITERATIONS, lacks="all but the start")
    found = {name: train(ClusterSetting(name), size, seed=0) for name in ("js", "rs")}
    return {f"{name}: D's loss": _plain(trained.loss[-1]) for name, trained in found.items()}


def _stays() -> Numbers:
    setting, every = ClusterSetting(), _ITERATIONS
    size = stays.Size(members=1, iterations=every, every=every, lacks="all but the start")
    point = stays.train(setting, size, seed=0).weights[_ITERATIONS][0].double()
    member = stay_points.member_of(setting, draw(setting, 1, seed=0)[1], 0)
    found = stay_points.curvature(member, point)[0] | stay_points.growth(setting, member, point)
    names = ("norm", "lowest", "top_g", "top_d", "grow_method", "grow_plain", "grow_single")
    return {f"js after four iterations: {name}": [found[name]] for name in names}


def _mixture() -> Numbers:
    found = {}
    for name in ("nsgan", "wgan-gp"):
        setting = setting_of(find("mixture"), "as printed", name)
        trained = train_mixture(setting, 2, _ITERATIONS, seed=0, n=500, every=1)
        game, start = trained.game(0), trained.point(0, 0)
        J = jacobian(game, start)
        found[f"{name}: norm of the field"] = _plain(trained.norm[-1])
        found[f"{name}: largest eigenvalue at the start"] = _plain(
            abs(game_eigenvalues(J, 1, tolerance=_TOLERANCE).values)
        )
        found[f"{name}: leftmost eigenvalue at the start"] = _plain(
            game_eigenvalues(J, 1, "SR", tolerance=_TOLERANCE).values.real
        )
    return found


def _images() -> Numbers:
    found: Numbers = {}
    for name in ("nsgan extra-adam", "nsgan adam", "wgan-gp adam"):
        found |= {f"{name}: {what}": v for what, v in _image_gan(SETTINGS[name]).items()}
    return found


def _ring() -> Numbers:
    ring = train_ring(RingSetting(nudging=Nudging(k=5)), 2, _ITERATIONS, seed=0, every=2)
    records = ring.run.records
    found = {f"ring: {name}": _plain(records[name][-1, :, 0]) for name in ("top_g", "top_d")}
    found["ring: norm of the weights"] = [_norm(w) for w in ring.run.snapshots[_ITERATIONS]]
    return found


def _edges() -> Numbers:
    found = {}
    for arm in (edges.FIRST, "nsgan, equal rates, 0.1"):
        setting = setting_of(find("edges"), "as released", arm)
        run = train_edges(setting, 2, _ITERATIONS, seed=0, points=50, every=_ITERATIONS).run
        for name in ("own_g", "own_d", "loss_d"):
            found[f"{arm}: {name} after four iterations"] = _plain(run.records[name][-1])
        found[f"{arm}: the game's leading eigenvalue"] = _plain(run.records["real"][-1, :, 0])
    return found


def _nudged_images() -> Numbers:
    nudged = replace(_PLAIN, nudging=Nudging(k=2, every=2))
    return {f"nugan: {what}": v for what, v in _image_gan(nudged).items()}


def _plain_gan() -> Numbers:
    return {f"nsgan: {what}": v for what, v in _image_gan(_PLAIN).items()}


def _image_gan(setting: Setting) -> Numbers:
    """Field and eigenvalues at the start, and losses after four iterations, on images of noise."""
    reals = 2 * torch.rand(64, 1, 32, 32, generator=torch.Generator().manual_seed(1)) - 1
    gan = train_images(
        setting, reals, _ITERATIONS, seed=0, width=4, latent=8, batch=16, hessian_images=32
    )
    game, start = gan.game(0, reals, seed=1), gan.point(0)
    field = game.vector_field(start)
    found = {"norms of the fields at the start": [_norm(v) for v in game.split(field)]}
    for player in "GD":
        H = hessian(game, player, start)
        top = top_eigenpairs(H, 1, tolerance=_TOLERANCE * 100).values
        found[f"top eigenvalue of {player} at the start"] = _plain(top)
    later = gan.game(_ITERATIONS, reals, seed=1)
    end = gan.point(_ITERATIONS)
    found["losses after four iterations"] = _plain(later.losses(end))
    return found


def _norm(v: Tensor) -> float:
    return float(v.double().norm())


def _plain(values: Iterable[Any]) -> list[float]:
    return [float(v) for v in values]


FIXED = {
    "two_clusters": _two_clusters,
    "traps": _stays,
    "edge_of_stability": _edges,
    "mixture_of_gaussians": _mixture,
    "mnist_game": _images,
    "nugan": _ring,
    "collapse_on_images": _nudged_images,
    "loss_surfaces": _plain_gan,
}


if __name__ == "__main__":
    print(json.dumps(FIXED[sys.argv[1]]()))
