"""Inception's blocks pool as TensorFlow's, and only its own weights are taken."""

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from helpers.scores.inception import VARIABLE, as_judge, inception, load_inception
from helpers.scores.weights import sha256_of


@pytest.mark.parametrize(
    "name, channels, branches",
    [
        ("5b", 192, ("1x1", "5x5", "3x3dbl")),
        ("6c", 768, ("1x1", "7x7", "7x7dbl")),
        ("7b", 1280, ()),
        ("7c", 2048, ()),
    ],
)
def test_blocks_pool_as_tensorflows(name, channels, branches):
    """The last channels are those of the pool's branch; all others stay as they are."""
    net = inception().eval()
    block = getattr(net, f"Mixed_{name}")
    x = torch.rand(1, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    before = block(x)
    pooled = (
        max_pool2d(x, 3, 1, 1) if name == "7c" else avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    )
    wanted = block.branch_pool(pooled)
    as_judge(net)
    found = getattr(net, f"Mixed_{name}")(x)
    own = wanted.shape[1]
    torch.testing.assert_close(found[:, -own:], wanted)
    torch.testing.assert_close(found[:, :-own], before[:, :-own])
    assert not torch.allclose(before[:, -own:], wanted, atol=1e-6)


@pytest.mark.slow
def test_a_file_of_its_shapes_is_taken(tmp_path, monkeypatch, capsys):
    """By path or by the variable; its SHA-256 is printed; logits are without the bias."""
    path, net = tmp_path / "weights.pth", inception()
    nn.init.constant_(net.fc.bias, 100.0)
    torch.save(net.state_dict(), path)
    sha = sha256_of(path)
    with pytest.raises(ValueError, match=f"has the SHA-256 {sha}, and that of pt_inception"):
        load_inception(path)
    judge = load_inception(path, sha=sha[:8])
    assert capsys.readouterr().out.splitlines()[-1] == f"{path}: SHA-256 {sha}"
    assert sha[:8] in judge.name and "299 x 299" in judge.name
    monkeypatch.setenv(VARIABLE, str(path))
    assert load_inception(sha=sha).name == judge.name
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    features, logits = judge.both(x)
    assert features.shape == (2, 2048) and logits.shape == (2, 1008)
    torch.testing.assert_close(logits, features @ net.fc.weight.T.detach())
    large = interpolate(x, (299, 299), mode="bilinear", align_corners=False)
    torch.testing.assert_close(judge.features(large), features)


def test_refusals(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match=f"no weights of Inception: .* set {VARIABLE}"):
        load_inception()
    path = tmp_path / "a.pth"
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(ValueError, match=r"another net: Conv2d_1a_3x3\.conv\.weight is .*missing"):
        load_inception(path)
    torch.save(inception().state_dict() | {"fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(ValueError, match=r"fc\.weight is \(1008, 2048\) in this one and \(1000"):
        load_inception(path)
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="is no whole file of weights"):
        load_inception(path)
