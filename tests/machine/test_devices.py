"""The choice of a device."""

from functools import partial

import pytest
import torch

from helpers.datasets import load
from helpers.games.closed_form import rotating_saddle
from helpers.losses.table import LOSSES
from helpers.machine import devices
from helpers.machine.devices import pick_device
from helpers.models import Players, mlp
from helpers.operators import hessian
from helpers.outer.lipschitz import phi_lipschitz
from helpers.scores.classifiers import train_judge
from helpers.training.data import EpochBatches
from helpers.training.train import train


def test_auto_prefers_cuda(monkeypatch):
    """ "auto" means CUDA where there is one, and the CPU elsewhere."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device().type == "cpu"


def test_refuses_what_is_not_there(monkeypatch):
    """A misspelt device, and CUDA without CUDA, are refused by name."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="'cuda:0' was chosen, but torch sees no CUDA device"):
        pick_device("cuda:0")
    for wrong in ("gpu", None, 0, ["cpu"]):
        with pytest.raises(ValueError, match="unknown device"):
            pick_device(wrong)


def test_a_device_is_a_name(monkeypatch):
    """torch's own device is taken; one card too many is refused with how many there are."""
    assert pick_device(torch.device("cpu")).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert pick_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ValueError, match="'cuda:1' was chosen, but torch sees 1 CUDA devices"):
        pick_device("cuda:1")


def test_no_float64_is_said_at_the_door(monkeypatch):
    """Of "mps", by name; and a game's point that lies on such a device is refused in one line."""
    digits = load("digits", size=28).subset(100, seed=0)
    some = (digits.images, digits.labels)
    tests = {"test_images": some[0], "test_labels": some[1]}
    players = Players(mlp([1, 1], seed=0), mlp([1, 1], seed=1))
    options = {"loss": LOSSES["js"], "iterations": 1}
    batches = EpochBatches(torch.zeros(100, 1), latent=1)
    options["optimizer"] = partial(torch.optim.SGD, lr=0.1)
    for door in (
        lambda: pick_device("mps"),
        lambda: pick_device(torch.device("mps:0")),
        lambda: phi_lipschitz([0.0, 4.0], [[0.0, 4.0]], "js", L=1.0, device="mps"),
        lambda: train(players, batches, device="mps", **options),
        lambda: train_judge(*some, **tests, seed=0, epochs=1, device="mps"),
    ):
        with pytest.raises(ValueError, match=r"^device 'mps' has no float64, in which sums"):
            door()
    monkeypatch.setitem(devices._LACKING, "meta", "has no numbers")
    game = rotating_saddle()
    with pytest.raises(ValueError, match=r"^device 'meta' has no numbers"):
        hessian(game, "G", torch.zeros(3, device="meta"))
