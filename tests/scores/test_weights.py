"""Files of weights: the same numbers back, and none of another net."""

import hashlib

import pytest
import torch
from torch import nn

from helpers.models import small_resnet
from helpers.scores import weights
from helpers.scores.weights import (
    put_weights,
    read_judge,
    read_weights,
    sha256_of,
    shipped_judge,
    shipped_sha,
    write_judge,
)

SIZES = {"width": 2, "blocks": 1, "channels": 3}
IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def net():
    """With statistics of batches, so that they are seen to be kept."""
    found = small_resnet(seed=3, **SIZES)
    found(IMAGES)
    return found.eval()


def written(path):
    return write_judge(net(), SIZES, 0.75, "a small net", path)


def test_a_judge_comes_back(tmp_path):
    """Its logits up to the rounding of float16, and its name says which it is."""
    sha = written(tmp_path / "a.pt")
    assert sha == hashlib.sha256((tmp_path / "a.pt").read_bytes()).hexdigest()
    found = read_judge(tmp_path / "a.pt", sha=sha)
    torch.testing.assert_close(found.logits(IMAGES), net()(IMAGES).detach(), rtol=0.02, atol=0.02)
    assert found.accuracy == 0.75 and found.name == f"a small net, SHA-256 {sha[:8]}"
    halves = read_weights(tmp_path / "a.pt")["weights"].values()
    assert all(part.dtype == torch.float16 for part in halves)


def test_the_hash_is_of_the_weights_not_of_the_name(tmp_path):
    assert written(tmp_path / "a.pt") == written(tmp_path / "b.pt")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        read_judge(path)
    sha = written(path)
    with pytest.raises(ValueError, match=f"has the SHA-256 {sha}, and the judge wanted has 00"):
        read_judge(path, sha="00")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is no whole file of weights"):
        read_judge(path)
    torch.save(net().state_dict(), path)
    with pytest.raises(ValueError, match="has no judge: its parts would be net, weights"):
        read_judge(path)


@pytest.mark.parametrize(
    "other, where",
    [
        (small_resnet(seed=0, width=4, blocks=1), r"0\.weight is \(2, 3, 3, 3\) in this one and"),
        (
            small_resnet(seed=0, width=2, blocks=2),
            r"4\.first\.weight is \(4, 2, 3, 3\) in this one and \(2, 2, 3, 3\)",
        ),
        (nn.Sequential(nn.Linear(2, 2)), r"0\.weight is \(2, 3, 3, 3\) in this one and \(2, 2\)"),
    ],
    ids=["wider", "deeper", "another"],
)
def test_weights_of_another_net(tmp_path, other, where):
    """Refused by the name of the first that does not fit; and the net is as it was."""
    target = net()
    with pytest.raises(ValueError, match=f"a.pt has weights of another net: .*{where}"):
        put_weights(target, other.state_dict(), "a.pt")
    assert all(
        torch.equal(a, b)
        for a, b in zip(target.state_dict().values(), net().state_dict().values(), strict=True)
    )


def test_beyond_float16(tmp_path):
    wild = net()
    nn.init.constant_(wild[-1].bias, 1e6)
    with pytest.raises(FloatingPointError, match="bias has weights beyond the range of float16"):
        write_judge(wild, SIZES, 0.1, "", tmp_path / "a.pt")


def test_the_shipped_judge(tmp_path, monkeypatch):
    """None is no error until it is needed; then the command that trains it is named."""
    path = tmp_path / "a.pt"
    monkeypatch.setitem(weights.JUDGES, "cifar10", path)
    assert shipped_sha("cifar10") == ""
    with pytest.raises(FileNotFoundError, match=r"helpers\.experiments\.residual_judge' trains it"):
        shipped_judge("cifar10", "00")
    sha = written(path)
    assert shipped_sha("cifar10") == sha == sha256_of(path)
    assert shipped_judge("cifar10", sha).accuracy == 0.75
    with pytest.raises(ValueError, match="the judge wanted has 00"):
        shipped_judge("cifar10", "00")
    with pytest.raises(ValueError, match="data set is one of 'cifar10', got 'mnist'"):
        shipped_sha("mnist")
