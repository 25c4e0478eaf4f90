"""Public calls on CPU data under another default device: "meta", on which any stray tensor shows.

Inputs are made first, on the CPU. Adam's own counter is on the default device, by torch, and cannot
be read on "meta": trainings go by SGD.
"""

from functools import partial
from types import MappingProxyType

import numpy as np
import pytest
import torch

from helpers import analysis
from helpers.analysis.dynamics import flow, iterate, largest_stable_step, play
from helpers.analysis.paths import path_profile
from helpers.analysis.rest import find_rest
from helpers.analysis.stability import classify
from helpers.analysis.surfaces import eigen_plane, loss_plane, projected
from helpers.datasets import load, synthetic
from helpers.experiments.quadratic import gap_to_formula, nudged_descent
from helpers.games.closed_form import dirac_gan, linear_game, quadratic_game, rotating_saddle
from helpers.games.networks import joint_point, network_game, spectral_norms
from helpers.losses.penalty import GradientPenalty
from helpers.losses.scalars import LOGISTIC
from helpers.losses.table import LOSSES
from helpers.models import (
    Players,
    dcgan,
    gaussians_nets,
    lenet,
    mlp,
    small_resnet,
    sn_cnn,
    sn_dcgan,
    two_cluster_nets,
)
from helpers.models.line import LineNet
from helpers.operators import hessian, jacobian
from helpers.outer.basins import find_basins
from helpers.outer.exact import phi_js, phi_rs, xi
from helpers.outer.lipschitz import phi_lipschitz
from helpers.outer.states import stuck_states
from helpers.scores.classifiers import Classifier, train_judge
from helpers.scores.metrics import (
    class_counts,
    class_entropy,
    frechet_distance,
    inception_score,
    score_range,
)
from helpers.scores.one_cycle import OneCycle, train_one_cycle
from helpers.scores.samples import kernel_distance, precision_and_recall
from helpers.spectra import top_eigenpairs
from helpers.training.data import EpochBatches, Members
from helpers.training.nudged import Nudged
from helpers.training.optimizers import Extragradient, HeavyBall, Lookahead, Optimistic
from helpers.training.train import Recording, train, train_ensemble
from helpers.training.turns import Consensus, Unrolled

SGD = partial(torch.optim.SGD, lr=0.1)
PULL = quadratic_game([[1.0]], [[1.0]], [[0.0]], [[0.0]])
NETS = Players(mlp([1, 4, 1], seed=0), mlp([1, 4, 1], seed=1))
POINT, X, Z = joint_point(*NETS), torch.ones(8, 1), torch.linspace(-1, 1, 8)[:, None]
GAME = network_game(*NETS, Z, X, penalty=GradientPenalty(1.0))
IMAGES, DIGITS = (
    torch.linspace(-1, 1, 4 * 1024).reshape(4, 1, 32, 32),
    load("digits").subset(60, seed=0),
)
BLANK = Classifier(lenet(seed=0), accuracy=0.1)
EYE, START = torch.eye(2), torch.tensor([[1.0, 3.0, 2.0]])


def ensemble(of_members=MappingProxyType({}), **options):
    many = {"loss": LOSSES["js"], "iterations": 2, "optimizer": SGD} | options
    many["recording"] = Recording(every=1)
    members = Members([NETS, NETS], Z.expand(2, 8, 1), X.expand(2, 8, 1), **of_members)
    return train_ensemble(members, **many)


def single(**options):
    one = {
        "loss": LOSSES["js"],
        "optimizer": SGD,
        "iterations": 2,
        "recording": Recording(every=1),
    }
    return train(NETS, EpochBatches(X, latent=1, size=4), **one | options)


def classifier():
    test = {"test_images": DIGITS.images, "test_labels": DIGITS.labels}
    with torch.device("cpu"):  # for torch's own counter of Adam
        return train_judge(DIGITS.images, DIGITS.labels, **test, seed=0, epochs=1)


def by_one_cycle():
    net = small_resnet(seed=0, width=2, blocks=1, channels=1)
    return train_one_cycle(net, DIGITS.images, DIGITS.labels, OneCycle(epochs=1, batch=30), seed=0)


CALLS = {
    "xi": lambda: xi(1, [0, 1, 2], LOGISTIC, LOGISTIC),
    "exact values": lambda: (phi_js([0.0, 4.0], [0.0, 0.0]), phi_rs([0.0, 4.0], [0.0, 0.0])),
    "states": lambda: stuck_states(3, "rs").values,
    "lipschitz": lambda: phi_lipschitz([0.0, 1, 2], [[2.0, 2, 2]], "hinge", 1000, device="cpu"),
    "basins": lambda: find_basins([[3.0, 1.0, 2.0, 0.0]]).values,
    "games": lambda: dirac_gan().vector_field([1.0, 0.5]),
    "linear game": lambda: linear_game([[1.0, 2.0], [-2.0, 0.0]], 1).losses([1.0, 1.0]),
    "quadratic game": lambda: quadratic_game([[1.0]], [[0.0]], [[2.0]], [[2.0]]).losses([1.0, 1.0]),
    "flow": lambda: flow(PULL, [[1.0, 0.0]], [0.0, 1.0], speed=1.0).points,
    "iterate": lambda: iterate(PULL, [1.0, 0.0], "extragradient", size=0.1, steps=3),
    "stable step": lambda: largest_stable_step(rotating_saddle(), [1.0, 1.0, 0.0], "alternating"),
    "classify": lambda: classify(rotating_saddle(), [1.0, 1.0, 0.0]).spectrum_g,
    "rest": lambda: find_rest(rotating_saddle(), [0.9, 1.1, 0.1]).point,
    "path": lambda: path_profile(PULL, [1.0, 1.0], [0.01, 0.01], [0.0, 2.0]).angle,
    "plane": lambda: eigen_plane(rotating_saddle(), "G", [1.0, 1.0, 0.0], "ends").values,
    "loss plane": lambda: (
        loss_plane(rotating_saddle(), [1.0, 1.0, 0.0], EYE, player="G", x=[0, 1], y=[0, 1]).loss
    ),
    "projected": lambda: (
        projected(rotating_saddle(), [1.0, 1.0, 0.0], START, EYE, player="G").true_loss
    ),
    "play": lambda: play(PULL, [1.0, 0.5], lambda w: Extragradient(SGD(w)), steps=3),
    "optimism": lambda: play(PULL, [1.0, 0.5], lambda w: Optimistic(SGD(w)), steps=3),
    "gap to the formula": lambda: gap_to_formula(SGD, seed=0, n=5, k=1, steps=1),
    "nudged descent": lambda: nudged_descent(SGD, "step", seed=0, n=5, k=1, steps=1).removed,
    "nets": lambda: [
        weight
        for pair in (
            dcgan(seed=0, width=2),
            gaussians_nets(seed=0),
            two_cluster_nets(seed=0),
            sn_cnn(seed=0, narrow=32),
            sn_dcgan(seed=0, narrow=32),
            [lenet(seed=0), LineNet(4, seed=0)],
        )
        for net in pair
        for weight in net.parameters()
    ],
    "spectral norms": lambda: spectral_norms(dcgan(seed=0, width=2).discriminator),
    "network game": lambda: network_game(*NETS, Z, X, penalty=GradientPenalty(1.0)).losses(POINT),
    "eigenpairs": lambda: top_eigenpairs(hessian(GAME, "D", POINT), 2).values,
    "dense": lambda: jacobian(rotating_saddle(), [1.0, 1.0, 0.0]).dense(),
    "scores": lambda: inception_score(BLANK, IMAGES),
    "distance": lambda: frechet_distance(BLANK, IMAGES, IMAGES.flip(0)),
    "range": lambda: score_range(BLANK, DIGITS.images, n=20).noise_score,
    "counts": lambda: (class_counts(BLANK, IMAGES), class_entropy([1, 2])),
    "classifier": lambda: list(classifier().net.parameters()),
    "one cycle": lambda: list(by_one_cycle().parameters()),
    "kernel distance": lambda: kernel_distance(X, Z, subsets=2, most=3),
    "precision": lambda: list(precision_and_recall(X, Z)),
    "images": lambda: load("digits", size=16).subset(5, seed=0).images,
    "two clusters": lambda: synthetic.two_clusters(2, seed=0, n=4).reals,
    "circle": lambda: synthetic.circle_of_gaussians(2, seed=0, n=4).latents,
    "mixture": lambda: synthetic.mixture_of_gaussians(2, seed=0, n=4).reals,
    "occupancy": lambda: analysis.shares_near(Z[None], synthetic.CENTRES, synthetic.RADIUS),
    "least loss": lambda: analysis.least_loss([[0.5, 0.0], [0.5, 0.0]], [0.5, 0.5], "rs"),
    "train": lambda: single().records["loss_d"],
    "train extragradient": lambda: single(
        optimizer=lambda w: Extragradient(SGD(w)), turns=None, penalty=GradientPenalty(1.0)
    ).records["loss_d"],
    "train nudged": lambda: single(
        optimizer=lambda w: Nudged(SGD(w), torch.zeros(13, 0, device="cpu"))
    ).records["loss_d"],
    "train consensus": lambda: single(turns=Consensus(0.1)).records["loss_d"],
    "train unrolled": lambda: single(turns=Unrolled(2, rate=0.1)).records["loss_d"],
    "train lookahead": lambda: single(optimizer=lambda w: Lookahead(SGD(w), 1)).records["loss_d"],
    "train heavy ball": lambda: single(optimizer=lambda w: HeavyBall(SGD(w), -0.5)).records[
        "loss_d"
    ],
    "ensemble": lambda: ensemble({"batch_with_replacement": 4}).records["loss_g"],
    "ensemble penalty": lambda: ensemble(penalty=GradientPenalty(1.0)).records["loss_d"],
    "ensemble consensus": lambda: ensemble(turns=Consensus(0.1)).records["loss_g"],
    "ensemble unrolled": lambda: ensemble(turns=Unrolled(2, rate=0.1)).records["loss_g"],
}


def arrays(found):
    parts = found if isinstance(found, list | tuple) else [found]
    return [
        p.detach() if isinstance(p, torch.Tensor) else torch.from_numpy(np.array(p)) for p in parts
    ]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_another_default_device(call):
    """The same numbers, on the CPU."""
    usual = call()
    with torch.device("meta"):
        found = call()
    for one, other in zip(arrays(usual), arrays(found), strict=True):
        assert other.device.type == "cpu"
        assert torch.equal(one.nan_to_num(7.0), other.nan_to_num(7.0))


def test_the_default_device_as_users_set_it():
    """By torch.set_default_device, and random numbers go on as if nothing had been drawn."""
    state = torch.get_rng_state()
    try:
        torch.set_default_device("meta")
        net = mlp([1, 3, 1], seed=0)
        assert torch.zeros(1).device.type == "meta"
    finally:
        torch.set_default_device(None)
    assert all(weight.device.type == "cpu" for weight in net.parameters())
    assert torch.equal(state, torch.get_rng_state())
