"""The judge of CIFAR-10: its command, from a break to a file of weights."""

from dataclasses import replace

import pytest
import torch

from helpers.datasets import load
from helpers.experiments import residual_judge
from helpers.experiments.residual_judge import Setting, main, train
from helpers.scores import OneCycle, read_judge
from helpers.scores.classifiers import accuracy
from helpers.scores.weights import JUDGES

TINY = Setting(data="digits", width=2, blocks=1, plan=OneCycle(epochs=1, batch=256))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(residual_judge, "Setting", lambda: TINY)
    return monkeypatch


@pytest.mark.slow
def test_the_command(tiny, tmp_path, capsys):
    """Paused and called again, it writes the net that a training without a break gives."""
    asked = ["--folder", str(tmp_path), "--to", str(tmp_path / "a.pt")]
    assert main([*asked, "--minutes", "0"]) == 3 and not (tmp_path / "a.pt").exists()
    assert "the same command goes on" in capsys.readouterr().out
    assert main(asked) == 0
    found, straight = read_judge(tmp_path / "a.pt"), train(TINY)
    for one, other in zip(found.net.parameters(), straight.net.parameters(), strict=True):
        assert torch.equal(one, other)
    held = load("digits", "test")
    assert found.accuracy == straight.accuracy == accuracy(found.net, held.images, held.labels)
    said = capsys.readouterr().out
    assert f"{found.accuracy:.4f} of the test images" in said and found.name[-8:] in said


def test_stand_ins_are_named(monkeypatch):
    def stand_in(name, split="train", *, root=None):
        return replace(load(name, split, size=8), name="cifar10", official=False)

    monkeypatch.setattr(residual_judge, "load", stand_in)
    assert train(TINY).name == "ResNet-8 of width 2 on CIFAR-10 (stand-in)"


def test_the_setting():
    """ResNet-14 in float16 takes less than a megabyte."""
    from helpers.models import small_resnet

    setting = Setting()
    net = small_resnet(seed=0, width=setting.width, blocks=setting.blocks)
    assert 2 * sum(part.numel() for part in net.state_dict().values()) < 1_000_000
    assert setting.data == "cifar10" and setting.plan.epochs == 30


@pytest.mark.skipif(not JUDGES["cifar10"].exists(), reason="its weights are still to be trained")
def test_the_shipped_judge():
    """It says how often it is right, and that is often enough."""
    judge = read_judge(JUDGES["cifar10"])
    assert judge.accuracy >= 0.85 and JUDGES["cifar10"].stat().st_size < 1_000_000
