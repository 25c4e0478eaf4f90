"""The LeNet of Berard et al., read from a file of its shapes; its outputs are by hand."""

import torch
from torch.nn.functional import linear, max_pool2d, relu

from helpers.scores.released import VARIABLE, load_released_lenet, released_lenet
from helpers.scores.weights import sha256_of


def test_a_file_of_its_shapes_is_taken(tmp_path, monkeypatch, capsys):
    """By path or by the variable; layers have the names of the released code, and no dropout."""
    path, net = tmp_path / "weights.pt", released_lenet()
    torch.save(net.state_dict(), path)
    own = {name: part.detach() for name, part in net.state_dict().items()}
    assert list(own)[::2] == [f"{n}.weight" for n in ("conv1", "conv2", "fc1", "fc2", "fc3")]
    judge = load_released_lenet(path, sha=sha256_of(path))
    assert capsys.readouterr().out == f"{path}: SHA-256 {sha256_of(path)}\n"
    monkeypatch.setenv(VARIABLE, str(path))
    assert load_released_lenet(sha="").name == judge.name
    x = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    found = x
    for layer in ("conv1", "conv2"):
        found = torch.conv2d(found, own[f"{layer}.weight"], own[f"{layer}.bias"])
        found = max_pool2d(relu(found), 2)
    found = found.flatten(start_dim=1)
    for layer in ("fc1", "fc2"):
        found = relu(linear(found, own[f"{layer}.weight"], own[f"{layer}.bias"]))
    torch.testing.assert_close(judge.features(x), found)
    torch.testing.assert_close(judge.logits(x), linear(found, own["fc3.weight"], own["fc3.bias"]))
