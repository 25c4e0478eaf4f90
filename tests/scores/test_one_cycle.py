"""One cycle of the rate: against a loop by hand, and the same net after any break."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from helpers.datasets import load
from helpers.models import small_resnet
from helpers.scores.one_cycle import OneCycle, changed, train_one_cycle
from helpers.training import Paused

FEW = load("digits", size=8).subset(60, seed=0)
PLAN = OneCycle(epochs=3, batch=16)


def net(seed=0):
    return small_resnet(seed=seed, width=2, blocks=1, channels=1)


def trained(plan=PLAN, data=FEW, **options):
    return train_one_cycle(net(), data.images, data.labels, plan, **{"seed": 0, **options})


def same(one, other):
    parts = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in parts)


def test_the_loop_by_hand():
    """Nesterov's momentum and decay written out, at rates along two halves of a cosine."""
    plan, hand = replace(PLAN, shift=0), net().train()
    velocities = [torch.zeros_like(w) for w in hand.parameters()]
    steps = 3 * (60 // 16)
    for step in range(steps):
        epoch, place = divmod(step, 3)
        order = np.random.default_rng([0, 0, epoch]).permutation(60)
        rows = torch.from_numpy(order[16 * place : 16 * place + 16])
        flipped = np.random.default_rng([0, 1, step])
        flipped.integers(1, size=(16, 1)), flipped.integers(1, size=(16, 1))
        flips = torch.from_numpy(flipped.random((16, 1)) < 0.5)[..., None, None]
        x = torch.where(flips, FEW.images[rows].flip(3), FEW.images[rows])
        loss = cross_entropy(hand(x), FEW.labels[rows])
        slopes = torch.autograd.grad(loss, list(hand.parameters()))
        top = 0.25 * steps - 1
        start, end, share = (
            (0.2 / 25, 0.2, step / top)
            if step <= top
            else (0.2, 0.2 / 25e4, (step - top) / (steps - 1 - top))
        )
        rate = end + (start - end) * (1 + math.cos(math.pi * share)) / 2
        with torch.no_grad():
            for w, v, slope in zip(hand.parameters(), velocities, slopes, strict=True):
                slope = slope + plan.decay * w
                v.mul_(0.9).add_(slope)
                w.sub_(rate * (slope + 0.9 * v))
    found = trained(plan)
    for one, other in zip(found.state_dict().values(), hand.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert not found.training


def test_a_break_at_every_step(tmp_path):
    """To the bit, whether asked to pause or going on from what was written before."""
    straight, pauses = trained(), 0
    while True:
        try:
            found = trained(checkpoint=tmp_path / "net.pt", until=lambda: True)
            break
        except Paused:
            pauses += 1
    assert pauses == 8 and same(found, straight)
    assert not same(trained(seed=1), straight)


def test_a_killed_training_goes_on_from_its_last_writing(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.scores.one_cycle._SAVE", 4)
    asked = iter([False] * 5)

    def until():
        return next(asked)  # raises in the sixth step

    with pytest.raises(StopIteration):
        trained(checkpoint=tmp_path / "net.pt", until=until)
    assert same(trained(checkpoint=tmp_path / "net.pt"), trained())


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_changes_are_shifts_and_flips(shift):
    """Each image is one of those that its row of shifts and flips can give, and all occur."""
    image = torch.arange(36.0).reshape(1, 1, 6, 6)
    padded = torch.nn.functional.pad(image, (shift,) * 4, mode="reflect")[0, 0]
    views = [
        view
        for down in range(2 * shift + 1)
        for right in range(2 * shift + 1)
        for cut in [padded[down : down + 6, right : right + 6]]
        for view in (cut, cut.flip(1))
    ]
    found = changed(image.expand(800, -1, -1, -1), shift, np.random.default_rng(0))[:, 0]
    hits = [sum(torch.equal(each, view) for each in found) for view in views]
    assert sum(hits) == 800 and min(hits) > 0


def test_it_learns():
    """Of digits that it has not seen, more than half, though it saw them flipped and shifted."""
    data = load("digits", size=8)
    plan = OneCycle(epochs=3, batch=32)
    learner = small_resnet(seed=0, width=8, blocks=1, channels=1)
    found = train_one_cycle(learner, data.images, data.labels, plan, seed=0)
    held = load("digits", "test", size=8)
    assert (found(held.images).argmax(dim=1) == held.labels).double().mean() > 0.5


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="epochs is a whole number, 1 or more, got 0"):
        OneCycle(epochs=0)
    with pytest.raises(ValueError, match="rate is a finite number, above 0, got 0"):
        OneCycle(epochs=1, rate=0)
    with pytest.raises(ValueError, match="100 images or more are needed for a batch, got 60"):
        trained(replace(PLAN, batch=100))
    with pytest.raises(ValueError, match="until needs a checkpoint"):
        trained(until=lambda: True)
    wide = small_resnet(seed=0, width=2, blocks=1, channels=3)
    with pytest.raises(ValueError, match=r"does not take images of shape \(1, 8, 8\)"):
        train_one_cycle(wide, FEW.images, FEW.labels, PLAN, seed=0)
    few = small_resnet(seed=0, width=2, blocks=1, channels=1, classes=7)
    with pytest.raises(ValueError, match=r"logits \(2, 10\), got \(2, 7\)"):
        train_one_cycle(few, FEW.images, FEW.labels, PLAN, seed=0)
    trained(checkpoint=tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"net.pt is of another run: .*seed"):
        trained(seed=1, checkpoint=tmp_path / "net.pt")
    broken = nn.Sequential(*net())
    nn.init.constant_(broken[-1].weight, math.nan)
    with pytest.raises(FloatingPointError, match="the loss is nan in step 1 of 9"):
        train_one_cycle(broken, FEW.images, FEW.labels, PLAN, seed=0)
