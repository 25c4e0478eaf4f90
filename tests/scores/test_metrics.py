"""Scores of images against values by hand, on classifiers that read their logits off the pixels."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from helpers.scores.classifiers import Classifier
from helpers.scores.metrics import (
    class_counts,
    class_entropy,
    frechet_distance,
    inception_score,
    modes,
    score_range,
)
from tests.common import default_dtype

READS = Classifier(nn.Sequential(nn.Flatten(), nn.Identity()), accuracy=1.0)


def images(rows):
    """Images whose pixels are these logits and features."""
    return torch.as_tensor(rows)[:, None, None, :]


def score(probabilities):
    return inception_score(READS, images(np.log(probabilities)))


def whitened(n, d, seed):
    """n points of mean 0 and covariance I, not only in expectation."""
    points = np.random.default_rng(seed).normal(size=(n, d))
    points -= points.mean(axis=0)
    return points @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(points.T)))).T


def test_score_of_uniform_predictions_is_one():
    assert score(np.full((12, 5), 0.2)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 10, 26])
@pytest.mark.parametrize("sure", [30.0, 200.0, 1e4])
def test_score_of_sure_and_balanced_predictions_is_the_number_of_classes(classes, sure):
    """Also where a probability is so small that float32, or float64, has only 0 for it."""
    found = inception_score(READS, images(sure * torch.eye(classes).repeat(4, 1)))
    assert found == pytest.approx(classes, rel=1e-9)


def test_score_of_one_class_is_one():
    """No sample in the other classes, at a probability of 0 in floats."""
    assert inception_score(READS, images(1e4 * torch.eye(3)[[1, 1, 1]])) == pytest.approx(1)


def test_score_by_hand():
    """p(y) = (0.55, 0.45), and twice the sum of p log(p / p(y))."""
    given = np.array([[0.9, 0.1], [0.2, 0.8]])
    first = 0.9 * math.log(0.9 / 0.55) + 0.1 * math.log(0.1 / 0.45)
    second = 0.2 * math.log(0.2 / 0.55) + 0.8 * math.log(0.8 / 0.45)
    found = score(given)
    assert found == pytest.approx(math.exp((first + second) / 2), rel=1e-12)


@pytest.mark.parametrize("d", [1, 3, 6])
def test_frechet_distance_of_gaussians(d):
    """The closed form from scipy's root of the product of two covariances."""
    rng = np.random.default_rng(d)
    mean, other = rng.normal(size=(2, d))
    root, root_of_other = rng.normal(size=(2, d, d))
    reals = mean + whitened(40, d, 0) @ root.T
    fakes = other + whitened(70, d, 1) @ root_of_other.T
    cov, cov_of_other = root @ root.T, root_of_other @ root_of_other.T
    middle = np.real(sqrtm(cov @ cov_of_other))
    expected = np.sum((mean - other) ** 2) + np.trace(cov + cov_of_other - 2 * middle)
    found = frechet_distance(READS, images(reals), images(fakes))
    assert found == pytest.approx(expected, rel=1e-7)
    back = frechet_distance(READS, images(fakes), images(reals))
    assert back == pytest.approx(found, rel=1e-7)


def test_frechet_distance_of_a_shift_is_its_square():
    points = whitened(50, 3, 0)
    found = frechet_distance(READS, images(points), images(points + np.array([1, 2, 0])))
    assert found == pytest.approx(5, rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e-7])
@pytest.mark.parametrize("offset", [0.0, 30.0, 1e4, 1e6, 1e8])
def test_frechet_distance_does_not_depend_on_where_both_sets_are(offset, scale):
    """Second moments about 0 would lose the spread of features whose mean is large beside it."""
    reals, fakes = whitened(50, 3, 0), 1.5 * whitened(40, 3, 1) + 0.3
    expected = 3 * (0.3**2 + 0.5**2)
    moved = [images(scale * (points + offset)) for points in (reals, fakes)]
    found = frechet_distance(READS, *moved)
    # The offset rounds the numbers themselves.
    assert found == pytest.approx(scale**2 * expected, rel=1e-10 + 1e-15 * offset, abs=0)


def test_frechet_distance_of_ordinary_features_is_left_alone(monkeypatch):
    """Means of some hundred times the spread are needed for another way to be taken."""
    reals, fakes = images(whitened(50, 3, 0) + 10), images(whitened(40, 3, 1) + 9)
    found = frechet_distance(READS, reals, fakes)
    monkeypatch.setattr("helpers.scores.metrics._FAR", np.inf)
    assert frechet_distance(READS, reals, fakes) == found


@pytest.mark.parametrize("n", [4, 50])
def test_frechet_distance_of_a_set_to_itself(n):
    """Also with fewer images than features, where covariances are singular."""
    points = images(np.random.default_rng(0).normal(size=(n, 20)))
    assert frechet_distance(READS, points, points.flip(0)) == pytest.approx(0, abs=1e-5)


def test_counts_entropy_and_modes():
    counts = class_counts(READS, images(torch.eye(5)[[0, 0, 3, 4, 4, 4]]))
    assert counts.tolist() == [2, 0, 0, 1, 3]
    for k in (1, 2, 10):
        balanced = torch.cat([torch.full((k,), 7), torch.zeros(3, dtype=torch.long)])
        assert class_entropy(balanced) == pytest.approx(math.log(k), abs=1e-12)
        assert modes(balanced) == k
    assert modes(torch.tensor([980, 10, 9, 1])) == 2


def test_score_range():
    """A perfect generator's terms: the score of one half, and the distance between halves."""
    rng = np.random.default_rng(0)
    reals = images(np.clip(rng.normal(0.5, 0.1, size=(400, 4)), -1, 1))
    found = score_range(READS, reals, n=200, seed=3)
    assert 0 < found.real_distance < 0.01
    # Of a shift by 0.5, and of standard deviations 0.1 and 1 / sqrt(3).
    law = 4 * (0.5**2 + (0.1 - 3**-0.5) ** 2)
    assert found.noise_distance == pytest.approx(law, rel=0.1)
    assert score_range(READS, reals, n=200, seed=3) == found
    assert score_range(READS, reals, n=200, seed=4) != found
    with default_dtype(torch.float64):
        assert score_range(READS, reals, n=200, seed=3) == found


def test_the_caller_keeps_net_and_random_state():
    """Training mode, weights, their type and gradients; dropout would show another mode."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 3)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    classifier = Classifier(net, accuracy=1 / 3)
    some = images(torch.randn(40, 6, generator=torch.Generator().manual_seed(0)))
    state = torch.get_rng_state()
    inception_score(classifier, some)
    frechet_distance(classifier, some[:20], some[20:])
    class_counts(classifier, some)
    found = score_range(classifier, some, n=20)
    assert torch.equal(torch.get_rng_state(), state)
    assert found.real_score == score_range(classifier, some, n=20).real_score
    assert all(module.training for module in net.modules())
    for name, value in net.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, before[name])
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())


def test_refusals():
    some = images(torch.eye(6))
    with pytest.raises(ValueError, match="a covariance needs two images, got 6 and 1"):
        frechet_distance(READS, some, some[:1])
    for n in (1, 4):
        with pytest.raises(ValueError, match=f"2n real images are needed, got {n} and 6"):
            score_range(READS, some, n=n)
    with pytest.raises(ValueError, match="finite pixels"):
        inception_score(READS, some / 0)
    for score_it in (inception_score, class_counts):
        with pytest.raises(ValueError, match="at least one"):
            score_it(READS, some[:0])
    for counts in (torch.zeros(3), torch.tensor([1, -1]), torch.ones(2, 2), torch.tensor([np.nan])):
        for measure in (class_entropy, modes):
            with pytest.raises(ValueError, match="one row of 0 or more"):
                measure(counts)


def test_judges_without_an_answer():
    """NaN or infinite logits and features are no classes and no distances."""
    broken = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Identity()), accuracy=1.0)
    broken.net[1].weight.data.fill_(torch.nan)
    some = images(torch.randn(50, 4))
    for measure in (class_counts, inception_score):
        with pytest.raises(FloatingPointError, match="NaN or infinity for image 0"):
            measure(broken, some)
    with pytest.raises(FloatingPointError, match="NaN or infinity for image 0"):
        frechet_distance(broken, some, some)
    huge = some.double() * 1e200
    with pytest.raises(FloatingPointError, match=r"features of up to .* leave the range"):
        frechet_distance(READS, huge, huge.flip(0))


def test_wrong_kinds():
    some = images(torch.eye(6))
    for seed in (None, "0", 0.5):
        with pytest.raises(ValueError, match="seed is a whole number"):
            score_range(READS, some, n=2, seed=seed)
    for counts in ("12", None, [1j], torch.tensor([1.0, torch.inf])):
        with pytest.raises(ValueError, match="counts are"):
            modes(counts)
    assert modes([990, 9, 1]) == modes(np.array([990, 9, 1])) == 1
