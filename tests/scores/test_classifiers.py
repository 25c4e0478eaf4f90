"""Training the judge of images: how well, how alike, and what of a checkpoint is refused."""

import math

import pytest
import torch
from torch import nn

from helpers.datasets import load
from helpers.models import lenet
from helpers.scores import classifiers
from helpers.scores.classifiers import Classifier, train_judge
from helpers.training import Paused

TRAIN, TEST = load("digits"), load("digits", "test")
FEW = TRAIN.subset(300, seed=0)


def trained(data=FEW, **changes):
    options = {"test_images": TEST.images, "test_labels": TEST.labels, "seed": 0, "epochs": 1}
    return train_judge(data.images, data.labels, **{**options, **changes})


def same(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.net.parameters(), other.net.parameters(), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_accuracy_on_digits(seed):
    """Nine in ten right, and the share stated is the share of the right ones."""
    found = trained(TRAIN, seed=seed, epochs=5, batch=32)
    assert found.accuracy > 0.9
    right = [
        int(found.net(image[None]).argmax()) == int(label)
        for image, label in zip(TEST.images, TEST.labels, strict=True)
    ]
    assert found.accuracy == pytest.approx(sum(right) / len(right))


def test_one_seed_gives_one_net():
    """Whatever the global random state is, which stays as it was."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = trained()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert same(first, trained())
    assert not same(first, trained(seed=1))


def test_a_checkpoint_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """After one epoch of three, and after all three, when nothing is left to train."""
    path = tmp_path / "classifier.pt"
    straight = trained(epochs=3)
    trained(checkpoint=path)
    resumed = trained(epochs=3, checkpoint=path)
    assert same(resumed, straight) and resumed.accuracy == straight.accuracy
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    monkeypatch.setattr(classifiers, "cross_entropy", None)
    assert same(trained(epochs=3, checkpoint=str(path)), straight)


def test_a_training_that_is_asked_to_stop(tmp_path):
    """After each epoch but the last one, which ends it; and not without a checkpoint."""
    path, pauses = tmp_path / "classifier.pt", []
    for _ in range(2):
        with pytest.raises(Paused) as pause:
            trained(epochs=3, checkpoint=path, until=lambda: True)
        pauses.append(str(pause.value))
    assert ["1 of 3" in pauses[0], "2 of 3" in pauses[1]] == [True, True]
    assert same(trained(epochs=3, checkpoint=path, until=lambda: True), trained(epochs=3))
    with pytest.raises(ValueError, match="until needs a checkpoint"):
        trained(until=lambda: True)


def test_checkpoints_of_other_trainings(tmp_path):
    path = tmp_path / "classifier.pt"
    trained(epochs=2, checkpoint=path)
    shuffled = FEW.subset(300, seed=1)
    for other in ({"seed": 1}, {"batch": 64}, {"data": shuffled}):
        with pytest.raises(ValueError, match=r"classifier.pt is of another run"):
            trained(**{"epochs": 2, **other}, checkpoint=path)
    with pytest.raises(ValueError, match=r"classifier.pt has 6 iterations, more than 3"):
        trained(checkpoint=path)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_checkpoint(tmp_path, share):
    path = tmp_path / "classifier.pt"
    trained(checkpoint=path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"classifier.pt is no whole checkpoint"):
        trained(checkpoint=path)


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(lenet(seed=0).state_dict(), path)
    with pytest.raises(ValueError, match=r"weights.pt is no whole checkpoint"):
        trained(checkpoint=path)


def test_readings():
    """Logits come from features by the last layer, in batches or not, without a graph."""
    net = lenet(seed=0, channels=3, classes=26)
    judge = Classifier(net, accuracy=1 / 26)
    images = torch.rand(205, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    logits, features = judge.logits(images), judge.features(images)
    assert features.shape == (205, 84) and not logits.requires_grad
    torch.testing.assert_close(logits, net(images).detach())
    torch.testing.assert_close(net[-1](features).detach(), logits)
    assert judge.logits(images.double()).dtype == torch.float32


def test_a_classifier_keeps_a_copy():
    """In evaluation mode, whatever becomes of the net that it was made from."""
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    judge, images = Classifier(net, accuracy=0.5), torch.ones(3, 1, 2, 2)
    before = judge.logits(images)
    nn.init.zeros_(net[-1].weight)
    assert net.training and not judge.net.training
    assert torch.equal(judge.logits(images), before) and before.abs().max() > 0


def test_refusals():
    images, labels = FEW.images, FEW.labels
    judge = Classifier(lenet(seed=0), accuracy=0.1)
    for bad in (images[:0], images[0], images.long()):
        with pytest.raises(ValueError, match="images are floats"):
            judge.logits(bad)
    with pytest.raises(ValueError, match="finite pixels"):
        judge.features(images * math.nan)
    small, coloured = images[..., :28, :28], images.expand(-1, 3, -1, -1)
    for bad, shape in ((small, "1, 28, 28"), (coloured, "3, 32, 32")):
        with pytest.raises(ValueError, match=rf"does not take images of shape \({shape}\)"):
            judge.logits(bad)
        with pytest.raises(ValueError, match=rf"does not take images of shape \({shape}\)"):
            trained(test_images=bad, test_labels=labels)
    with pytest.raises(ValueError, match="epochs is a whole number, 1 or more, got 0"):
        trained(epochs=0)
    with pytest.raises(ValueError, match="batch is a whole number, 1 or more, got 0"):
        trained(batch=0)
    test = {"test_images": images, "test_labels": labels, "seed": 0, "epochs": 1}
    for bad in (labels[1:], labels.float()):
        with pytest.raises(ValueError, match="as many whole numbers as labels, got"):
            train_judge(images, bad, **test)
    for bad in (labels + 1, 2 * labels, 0 * labels):
        with pytest.raises(ValueError, match="without a gap"):
            train_judge(images, bad, **test)
    with pytest.raises(ValueError, match="test labels lie in 0 to 9, got"):
        trained(test_labels=TEST.labels + 1)
