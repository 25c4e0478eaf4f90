"""Nets on the line piece by piece beside their layers: `make bench`."""

from functools import partial

import numpy as np
import pytest
import torch

from helpers.datasets.synthetic import mixture_of_gaussians
from helpers.experiments.mixture_training import Setting, train_mixture
from helpers.games.networks import joint_point, network_game
from helpers.losses.table import LOSSES
from helpers.models import Players, mlp
from helpers.models.line import LineNet
from helpers.operators import jacobian
from helpers.training.data import Members
from helpers.training.train import train_ensemble
from tests.benchmarks.workload import FULL

NETS = {
    "layers": lambda seed: mlp([1, 100, 1], seed=seed),
    "pieces": partial(lambda seed: LineNet(100, seed=seed)),
}


def report(rows, work, times):
    for name, seconds in times.items():
        rows.add(work, name, seconds, "seconds")
    ratio = times["layers"] / times["pieces"]
    rows.add(work, "pieces", ratio, "times layers")
    assert np.median(ratio) > 1


@pytest.mark.parametrize("seeds", [1, 8])
def test_step(in_turn, mixture_rows, seeds):
    """A step of gradient descent of GANs side by side on 10,000 points each."""
    torch.set_num_threads(1)
    found = mixture_of_gaussians(seeds, seed=0)
    reals = found.reals.sort(dim=1).values

    def train(make, steps=3):
        pairs = [Players(make(2 * s), make(2 * s + 1)) for s in range(seeds)]
        sgd = partial(torch.optim.SGD, lr=1e-2)
        options = {"loss": LOSSES["js"], "optimizer": sgd, "iterations": steps, "turns": None}
        train_ensemble(Members(pairs, found.latents, reals), **options)

    works = {name: partial(train, make) for name, make in NETS.items()}
    works["pieces"]()
    report(mixture_rows, f"step, {seeds} seeds", in_turn(works, 7 if FULL else 3))


def test_jacobian(in_turn, mixture_rows):
    """The Jacobian of one GAN on its points as a matrix, in single precision."""
    torch.set_num_threads(1)
    trained = train_mixture(Setting(), 1, 1, seed=0)
    n = 10_000 if FULL else 1_000
    data = trained.latents[0, :n], trained.reals[0, :n].sort(dim=0).values
    works = {}
    for name, make in NETS.items():
        nets = make(0), make(1)
        game, omega = network_game(*nets, *data), joint_point(*nets)
        works[name] = lambda game=game, omega=omega: jacobian(game, omega).dense()
    works["pieces"]()
    report(mixture_rows, f"Jacobian, {n} points", in_turn(works, 1))
