"""A nudged step beside plain Adam's, for one GAN and for an ensemble, and what the search takes."""

from functools import partial

import numpy as np
import pytest
import torch

from helpers.datasets import load
from helpers.datasets.synthetic import circle_of_gaussians
from helpers.experiments.image_training import standard_normal
from helpers.losses.table import LOSSES
from helpers.models import Players, dcgan, mlp
from helpers.training.ensemble import EnsembleSettings, EnsembleTraining
from helpers.training.nudged import Nudged
from helpers.training.nudging import MemberDirections, Nudging, SharpDirections
from helpers.training.single import SingleSettings, SingleTraining
from helpers.training.train import Recording
from tests.benchmarks.workload import FULL

EVERY = 50
ROUNDS = 9 if FULL else 3
NO_RECORDS = Recording(every=10**6)
ADAM = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))


def makers(finds, nudging):
    """Plain Adam for both players, or nudged."""
    if finds is None:
        return (ADAM, ADAM)

    def make(weights, find):
        return Nudged(ADAM(weights), find, every=nudging.every)

    return tuple(partial(make, find=find) for find in finds)


def shared(finds, nudging):
    """What both forms of a training are told."""
    none = {"penalty": None, "joint_batch": False, "seed": 0}
    return {"optimizers": makers(finds, nudging), "steps": (1, 1), **none}


def one_gan(finds, nudging):
    """The quick profile's DCGAN of width 4 on digits."""
    data = load("digits").images
    settings = SingleSettings(
        **shared(finds, nudging), batch=50, latent=(16,), loss=LOSSES["js"], logit=None
    )
    nets = dcgan(seed=0, width=4, latent=16, normed=False)
    return SingleTraining(nets, data, None, settings, NO_RECORDS, torch.device("cpu"))


def many_gans(finds, nudging):
    """Thirty-two rings of eight Gaussians, nets of 32 units."""
    leaky = partial(torch.nn.LeakyReLU, 0.2)
    pairs = [
        Players(
            mlp([2, 32, 32, 2], seed=2 * k), mlp([2, 32, 32, 1], seed=2 * k + 1, activation=leaky)
        )
        for k in range(32)
    ]
    data = circle_of_gaussians(32, seed=0, n=4096, modes=8)
    settings = EnsembleSettings(
        **shared(finds, nudging), batch=64, losses=[(LOSSES["js"], 32)], constrain=None
    )
    of = data.latents, data.reals
    return EnsembleTraining(pairs, *of, settings, NO_RECORDS, torch.device("cpu"))


def finds_for(work, nudging):
    if work == "dcgan":
        few = load("digits").images[:50]
        z = standard_normal(50, 16, seed=0)
        return [SharpDirections(p, nudging, z, few) for p in "GD"]
    data = circle_of_gaussians(32, seed=0, n=128, modes=8)
    few = (data.latents, data.reals, [(LOSSES["js"], 32)])
    return [MemberDirections(p, nudging, *few) for p in "GD"]


@pytest.mark.parametrize("k", [1, 5, 20] if FULL else [5])
@pytest.mark.parametrize("work", ["dcgan", "ring of 32"])
def test_step(in_turn, nudging_rows, work, k):
    """Fifty iterations, in which both players' directions are found once, from the last ones."""
    torch.set_num_threads(1)
    nudging = Nudging(k=k, every=EVERY)
    finds = finds_for(work, nudging)
    of = one_gan if work == "dcgan" else many_gans
    runs = {"plain Adam": of(None, nudging), "nudged": of(finds, nudging)}

    def fifty(run):
        for _ in range(EVERY):
            run.iterate()

    for run in runs.values():
        fifty(run)  # the first search has nothing to start from
    before = sum(find.seconds for find in finds), sum(find.products for find in finds)
    times = in_turn({name: partial(fifty, run) for name, run in runs.items()}, ROUNDS)
    spent, products = (
        sum(getattr(find, what) for find in finds) - was
        for what, was in zip(("seconds", "products"), before, strict=True)
    )
    name = f"{work}, k {k}, every {EVERY}"
    for which, seconds in times.items():
        nudging_rows.add(name, which, seconds / EVERY, "seconds a step")
    ratio = times["nudged"] / times["plain Adam"]
    nudging_rows.add(name, "nudged", ratio, "times plain Adam")
    share = spent / times["nudged"].sum()
    nudging_rows.add(name, "nudged", share, "share of the time on products")
    nudging_rows.add(name, "nudged", products / ROUNDS, "products in fifty steps")
    if k == 5 and work == "dcgan":
        assert np.median(ratio) < 2
