"""Scores of samples against values by hand, and in cases whose answer is known."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from helpers.datasets import load
from helpers.models import lenet
from helpers.scores.classifiers import Classifier
from helpers.scores.metrics import frechet_distance, inception_score
from helpers.scores.samples import image_scores, kernel_distance, precision_and_recall


def points(n, d, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) + shift)


def kernel(x, y):
    return float((x @ y / len(x) + 1) ** 3)


def test_kernel_distance_by_hand():
    """Means over pairs of different points, as in Binkowski et al. 2018."""
    reals, fakes = points(5, 3, 0), points(5, 3, 1, 0.5)

    def within(x):
        return np.mean([kernel(a, b) for a, b in itertools.permutations(x, 2)])

    across = np.mean([kernel(a, b) for a in reals for b in fakes])
    found = kernel_distance(reals, fakes, subsets=1)
    assert found == pytest.approx(within(reals) + within(fakes) - 2 * across, rel=1e-12)


def test_kernel_distance_is_unbiased():
    """Of one law: zero on average, and below it about as often as above."""
    found = np.array([kernel_distance(points(40, 2, s), points(40, 2, 999 + s)) for s in range(60)])
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(60) and 15 < (found < 0).sum() < 50
    assert kernel_distance(points(40, 2, 0), points(40, 2, 1, 2.0)) > 10 * found.std()


def test_kernel_distance_draws_by_its_own_seed():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    reals, fakes = points(50, 2, 0), points(60, 2, 1)
    first = kernel_distance(reals, fakes, most=20)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert kernel_distance(reals, fakes, most=20) == first
    assert kernel_distance(reals, fakes, most=20, seed=1) != first


def share_inside(these, centres, k):
    """The share of points in some ball, each distance worked out alone."""
    inside = []
    for point in these:
        near = []
        for number, centre in enumerate(centres):
            others = [np.linalg.norm(centre - o) for j, o in enumerate(centres) if j != number]
            near.append(np.linalg.norm(point - centre) <= sorted(others)[k - 1])
        inside.append(any(near))
    return np.mean(inside)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_precision_and_recall_by_hand(k, shift):
    reals, fakes = points(20, 2, 0), points(13, 2, 1, shift)
    found = precision_and_recall(reals, fakes, neighbours=k)
    wanted = (
        share_inside(fakes.numpy(), reals.numpy(), k),
        share_inside(reals.numpy(), fakes.numpy(), k),
    )
    assert found == pytest.approx(wanted)
    assert 0 < min(wanted) < 1 or shift == 0.0


@pytest.mark.parametrize("n, d, k", [(60, 3, 3), (60, 20, 1), (60, 84, 3)])
@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_precision_and_recall_of_many_numbers_by_hand(n, d, k, offset):
    """Squared distances from a product of matrices would cancel far from 0."""
    reals, fakes = points(n, d, 0, offset), points(n - 20, d, 1, offset + 0.5 / d)
    wanted = (
        share_inside(fakes.numpy(), reals.numpy(), k),
        share_inside(reals.numpy(), fakes.numpy(), k),
    )
    assert precision_and_recall(reals, fakes, neighbours=k) == pytest.approx(wanted)
    assert 0 < min(wanted) < 1


@pytest.mark.parametrize("d", [2, 84])
@pytest.mark.parametrize("copies", [4, 6])
def test_copies_have_the_distance_0(d, copies):
    """Balls of radius 0, each with the copies of its centre in it, and nothing else."""
    some = points(20, d, 0, 5.0).repeat(copies, 1)
    assert precision_and_recall(some, some.clone()) == (1.0, 1.0)
    near = some + 1e-9
    assert precision_and_recall(some, near) == (0.0, 0.0)
    found = precision_and_recall(some, torch.cat([near, some[:20]]))
    assert found == pytest.approx((1 / (copies + 1), 1.0))


def test_two_far_clusters():
    """Within each of them, distances are those of the cluster alone."""
    reals, fakes = points(30, 20, 0), points(30, 20, 1, 0.3)
    alone = precision_and_recall(reals, fakes)
    far = 1e8 * torch.eye(20, dtype=torch.float64)[0]
    one, other = (torch.cat([these, these + far]) for these in (reals, fakes))
    # The far ones are rounded to eight digits after the point.
    assert precision_and_recall(one, other) == pytest.approx(alone, abs=0.02)
    assert 0 < min(alone) < 1


def test_half_of_the_modes():
    """Samples of one of two clusters: all could be real, half of the reals could be samples."""
    reals = torch.cat([points(30, 2, 0), points(30, 2, 1, 100.0)])
    precision, recall = precision_and_recall(reals, reals[:30])
    assert (precision, recall) == (1.0, 0.5)


def test_a_collapsed_generator():
    """One image, many times: no number is missing."""
    held = load("digits", "test")
    one = held.images[:1].expand(50, -1, -1, -1)
    found = image_scores(Classifier(lenet(seed=0), 0.1, "LeNet"), held, one)
    assert found.precision == 1.0 and found.recall <= 2 / 50
    assert found.score == pytest.approx(1.0)
    assert all(np.isfinite(value) for value in found.numbers().values())


def test_all_scores_are_those_of_their_functions():
    """And the label names the judge, the size, how many there are, and the split."""
    held = load("digits", "test").subset(60, seed=0)
    fakes = load("digits").subset(50, seed=0).images
    judge = Classifier(lenet(seed=0), 0.1, "LeNet")
    found = image_scores(judge, held, fakes)
    assert found.frechet == pytest.approx(frechet_distance(judge, held.images, fakes))
    assert found.score == pytest.approx(inception_score(judge, fakes))
    features = judge.features(held.images), judge.features(fakes)
    assert found.kernel == kernel_distance(*features)
    equal = precision_and_recall(features[0][:50], features[1])
    assert (found.precision, found.recall) == equal
    assert found.label == "LeNet; 32 x 32; 50 samples, 60 of digits, test"
    assert list(found.numbers()) == ["frechet", "kernel", "precision", "recall", "score"]
    assert "label" not in found.numbers()


def test_stand_ins_are_named():
    from dataclasses import replace

    held = replace(load("digits", "test").subset(9, seed=0), name="cifar10", official=False)
    judge = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(1024, 3)), 0.3)
    label = image_scores(judge, held, held.images).label
    assert label.endswith("9 of CIFAR-10 (stand-in), test") and "without a name" in label


def test_refusals():
    good = points(5, 2, 0)
    for bad in (good[:1], good[0], good.long(), None):
        with pytest.raises(ValueError, match="features of fakes are floats"):
            kernel_distance(good, bad)
    with pytest.raises(ValueError, match="features of reals are finite"):
        precision_and_recall(good * np.nan, good)
    with pytest.raises(ValueError, match="of one judge, got 2 and 3 numbers each"):
        precision_and_recall(good, points(5, 3, 0))
    with pytest.raises(ValueError, match="n at least 4"):
        precision_and_recall(good[:3], good)
