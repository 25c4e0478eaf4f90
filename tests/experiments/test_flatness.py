"""Classifiers side by side, and what nudging does to their sharpness."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from helpers.experiments import flatness
from helpers.experiments.flatness import Setting, Size, at_equal_loss, train_classifiers
from helpers.experiments.protocol import setting_of
from helpers.ledger import claims
from helpers.models import mlp
from helpers.training.nudging import Nudging

PLAIN = Setting(rate=0.2, units=8)


def size(members, iterations, every):
    return Size(members=members, iterations=iterations, every=every, lacks="most")


def blobs():
    random = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 3
    return torch.randn(300, 5, generator=random) + 2 * torch.eye(5)[y], y


def test_sharpness_is_that_of_the_hessian():
    """After one step of no size, the largest eigenvalue of each net's dense Hessian."""
    x, y = blobs()
    still = Setting(rate=0.0, units=4)
    found = train_classifiers(still, size(2, 1, 1), (x, y), (x, y), seed=3)
    course = found["course"]
    for member in range(2):
        net = mlp([5, 4, 3], seed=3000 + member, activation=torch.nn.Tanh)
        weights = torch.nn.utils.parameters_to_vector(net.parameters()).detach()
        names, shapes = zip(*[(n, p.shape) for n, p in net.named_parameters()], strict=True)
        lengths = [int(np.prod(shape)) for shape in shapes]

        def loss(flat, net=net, names=names, shapes=shapes, lengths=lengths):
            parts = zip(names, flat.split(lengths), shapes, strict=True)
            own = {name: part.view(shape) for name, part, shape in parts}
            return cross_entropy(torch.func.functional_call(net, own, (x[:256],)), y[:256])

        dense = torch.autograd.functional.hessian(loss, weights)
        np.testing.assert_allclose(
            course["top"][member], float(torch.linalg.eigvalsh(dense)[-1]), rtol=1e-3
        )
        np.testing.assert_allclose(course["loss"][member], float(loss(weights)), rtol=1e-5)
        right = (net(x).argmax(dim=1) == y).double().mean()
        assert found["members"]["accuracy"][member] == pytest.approx(float(right))
    assert course.drop(columns="iteration").equals(found["members"][["member", "top", "loss"]])


def test_at_equal_loss_by_hand():
    """Linear in the loss between records, the first fall where a loss goes up again."""
    course = pd.DataFrame(
        {
            "block": 100,
            "member": [0, 1] * 4,
            "iteration": np.repeat([1, 2, 3, 4], 2),
            "top": [1.0, 1, 2, 5, 9, 7, 4, 9],
            "loss": [4.0, 4, 2, 3, 3, 2, 1, 1],
        }
    )
    ends = pd.DataFrame({"block": 100, "member": [0, 1], "top": 20.0, "loss": [1.5, 3.5]})
    found = at_equal_loss(ends, course.sample(frac=1, random_state=0))
    assert found["plain"].tolist() == [3, 3] and found["nudged"].tolist() == [20, 20]
    assert at_equal_loss(ends.assign(loss=[0.5, 5]), course)["plain"].isna().all()
    assert at_equal_loss(ends.assign(block=101), course)["plain"].isna().all()


@pytest.mark.parametrize("project", ["gradient", "step"])
def test_nudging_slows_and_sharpens(project):
    """Same nets, same batches: without the sharp directions the loss falls more slowly."""
    data = blobs()
    nudging = Nudging(k=5, every=20, project=project)
    plain, nudged = (
        train_classifiers(setting, size(4, 200, 100), data, data, seed=0)
        for setting in (PLAIN, replace(PLAIN, nudging=nudging))
    )
    assert plain["course"]["iteration"].unique().tolist() == [100, 200]
    assert (nudged["members"]["loss"] > plain["members"]["loss"]).all()
    assert (plain["members"]["accuracy"] > 0.8).all()


def test_sgd_does_not_tell_gradient_from_step():
    """Without Adam's scaling both projections are the same."""
    data = blobs()
    found = [
        train_classifiers(
            Setting(rate=0.2, units=4, nudging=Nudging(k=2, every=5, project=project)),
            size(2, 20, 20),
            data,
            data,
            seed=0,
        )["members"]["top"]
        for project in ("gradient", "step")
    ]
    np.testing.assert_allclose(*found, rtol=1e-3)


def test_arms_and_digits():
    """What is wanted are settings of their own; a run has its rows and repeats itself."""
    settings = {arm: setting_of(flatness, "ours", arm) for arm in flatness.ARMS}
    assert len(set(settings.values())) == len(settings) == 6
    assert settings["sgd plain"] == Setting()
    assert settings["adam step"] == Setting("adam", 1e-3, Nudging(project="step"))
    assert {arm for wanted in flatness.WANTED for arm in wanted.arms} == settings.keys()
    one, other = (
        flatness.measure(settings["adam gradient"], size(2, 4, 2), seed=1) for _ in range(2)
    )
    assert list(one["members"]) == ["member", "accuracy", "top", "loss"]
    assert list(one["course"]) == ["member", "iteration", "top", "loss"] and len(one["course"]) == 4
    for name, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[name], check_exact=True)
    with pytest.raises(ValueError, match="optimizer is one of"):
        Setting("lbfgs")
    with pytest.raises(ValueError, match="iterations"):
        flatness.measure(Setting(), size(2, 4, 5), seed=0)


def test_quantity_by_hand():
    rows = {
        arm: pd.DataFrame({"block": 100, "member": [0, 1], "top": top})
        for arm, top in {"sgd plain": [1.0, 2.0], "sgd gradient": [10.0, 0.2]}.items()
    }
    (of,) = flatness.QUANTITIES["A12"].values()
    assert of(rows) == pytest.approx([1, -1])
    names = {q["name"] for q in claims.find("A12")["quantities"]}
    assert set(flatness.QUANTITIES["A12"]) < names
    with pytest.raises(KeyError):
        of({"sgd plain": rows["sgd plain"]})
