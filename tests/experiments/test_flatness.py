"""Classifiers side by side, and what nudging does to their sharpness."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from helpers.experiments.flatness import ClassifierRun, train_classifiers
from helpers.models import mlp
from helpers.training.nudging import Nudging

SGD = partial(torch.optim.SGD, lr=0.2)


def blobs():
    random = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 3
    return torch.randn(300, 5, generator=random) + 2 * torch.eye(5)[y], y


def test_sharpness_is_that_of_the_hessian():
    """After one step of no size, the largest eigenvalue of each net's dense Hessian."""
    x, y = blobs()
    still = partial(torch.optim.SGD, lr=0.0)
    found = train_classifiers(
        (x, y), (x, y), still, members=2, iterations=1, seed=3, units=4, every=1
    )
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
            found.sharpness[0, member], float(torch.linalg.eigvalsh(dense)[-1]), rtol=1e-3
        )
        np.testing.assert_allclose(found.loss[0, member], float(loss(weights)), rtol=1e-5)


def test_sharpness_at_a_loss():
    """Linear in the loss between records, the first fall where a loss goes up again."""
    sharpness, loss = (
        np.array([[1.0, 1], [2, 5], [9, 7], [4, 9]]),
        np.array([[4.0, 4], [2, 3], [3, 2], [1, 1]]),
    )
    run = ClassifierRun(np.arange(4), sharpness, loss, np.ones(2))
    np.testing.assert_allclose(run.at_loss([1.5, 3.5]), [3, 3])
    assert np.isnan(run.at_loss([0.5, 5])).all()


@pytest.mark.parametrize("project", ["gradient", "step"])
def test_nudging_slows_and_sharpens(project):
    """Same nets, same batches: without the sharp directions the loss falls more slowly."""
    x, y = blobs()
    options = {"members": 4, "iterations": 200, "seed": 0, "every": 100, "units": 8}
    plain = train_classifiers((x, y), (x, y), SGD, **options)
    nudging = Nudging(k=5, every=20, project=project)
    nudged = train_classifiers((x, y), (x, y), SGD, nudging=nudging, **options)
    assert plain.iterations.tolist() == [100, 200]
    assert (nudged.loss[-1] > plain.loss[-1]).all()
    assert (plain.accuracy > 0.8).all()


def test_sgd_does_not_tell_gradient_from_step():
    """Without Adam's scaling both projections are the same."""
    x, y = blobs()
    options = {"members": 2, "iterations": 20, "seed": 0, "every": 20, "units": 4}
    found = [
        train_classifiers(
            (x, y), (x, y), SGD, nudging=Nudging(k=2, every=5, project=project), **options
        ).sharpness
        for project in ("gradient", "step")
    ]
    np.testing.assert_allclose(*found, rtol=1e-3)
