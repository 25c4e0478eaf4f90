"""How D is asked: what it sees at once, and what counts as its logit."""

import pytest
import torch

from helpers.games.judging import Judging

X, Y = torch.ones(3, 2), torch.zeros(3, 2)


def seen(judging, **options):
    """The batches that D is shown, and the logits."""
    shown = []

    def discriminate(samples, *labels):
        shown.append([len(samples), *(each.tolist() for each in labels)])
        return samples.sum(1)

    return shown, judging.both(discriminate, X, Y, **options)


def test_two_batches():
    """Reals first."""
    shown, (real, fake) = seen(Judging())
    assert shown == [[3], [3]]
    assert real.tolist() == [2, 2, 2]
    assert fake.tolist() == [0, 0, 0]


def test_one_batch():
    """Both at once, and the same logits."""
    shown, (real, fake) = seen(Judging(joint_batch=True))
    assert shown == [[6]]
    assert real.tolist() == [2, 2, 2]
    assert fake.tolist() == [0, 0, 0]


@pytest.mark.parametrize("joint", [False, True])
def test_labels_are_shared(joint):
    """Reals and samples of one place bear one label."""
    shown, _ = seen(Judging(joint), labels=torch.tensor([0, 1, 2]))
    assert shown == ([[6, [0, 1, 2, 0, 1, 2]]] if joint else [[3, [0, 1, 2]]] * 2)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (lambda x: (x,), "a tensor of logits, got tuple.*logit=lambda"),
        (lambda x: None, "a tensor of logits, got NoneType"),
        (lambda x: x, r"one logit per sample, got \(3, 2\) for 3 samples.*logit=lambda"),
        (lambda x: x.sum(), r"one logit per sample, got \(\) for 3"),
        (lambda x: x.sum(1).int(), "logits are real numbers, got torch.int32"),
    ],
)
def test_outputs_that_are_no_logits(output, says):
    with pytest.raises(ValueError, match=says):
        Judging().alone(output, X)


def test_logits_across_the_batch():
    """One batch of both cannot be taken apart where samples are not in the first dimension."""
    with pytest.raises(ValueError, match=r"first dimension, got \(1, 6\)"):
        Judging(joint_batch=True).both(lambda x: x.sum(1)[None], X, Y)


def test_shapes_of_one_batch():
    """Two batches may differ in shape, one may not."""
    wide = torch.ones(3, 1, 2)
    Judging().both(lambda x: x.flatten(1).sum(1), X, wide)
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(1, 2\)"):
        Judging(joint_batch=True).both(lambda x: x.sum(1), X, wide)


def test_logits_of_two_shapes():
    """Their difference would be that of every real and every sample."""
    with pytest.raises(ValueError, match=r"one shape, got \(3, 1\) for .* and \(3,\) for"):
        Judging().both(lambda x: 2 * x, X[:, :1], Y[:, 0])
    Judging().both(lambda x: x.sum(1)[None], X, Y[:2])  # numbers may differ
