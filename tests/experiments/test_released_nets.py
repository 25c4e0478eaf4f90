"""Generators that others released: whose weights they are, and how they are scored."""

import pytest
import torch
from pandas import DataFrame

from helpers.experiments import released_nets
from helpers.experiments.image_training import standard_normal
from helpers.experiments.released_nets import (
    ARMS,
    QUANTITIES,
    SIZES,
    VARIABLE,
    Setting,
    measure,
    released_generator,
    renamed,
)
from helpers.scores.weights import put_weights, sha256_of


def as_released(net):
    """An untrained generator of ours under the names of the released ones."""
    places = released_nets._CNN if net == "cnn/4" else released_nets._RESNET
    theirs = {ours: name for name, ours in places.items()}
    generator = released_nets._NETS[net].players(seed=3).generator
    parts = [(*name.rpartition("."), part) for name, part in generator.state_dict().items()]
    return generator, {f"{theirs[place]}.{last}": part for place, _, last, part in parts}


@pytest.fixture(params=ARMS)
def written(request, tmp_path, monkeypatch):
    """A net's name, its generator, and a folder with its weights, which pass for released."""
    generator, weights = as_released(request.param)
    file, _ = released_nets._FILES[request.param]
    torch.save(weights, tmp_path / file)
    found = sha256_of(tmp_path / file)
    monkeypatch.setitem(released_nets._FILES, request.param, (file, found[:8]))
    return request.param, generator, tmp_path


def test_weights_come_to_their_places(written, monkeypatch):
    """By name, so that two layers of one shape are not exchanged."""
    net, generator, folder = written
    monkeypatch.setenv(VARIABLE, str(folder))
    latents = standard_normal(3, 128, seed=0)
    assert torch.equal(released_generator(net)(latents), generator(latents))


def test_names_of_the_released_nets():
    """As its networks.py has them; the two kinds of net share none but the first layer's."""
    _, cnn = as_released("cnn/4")
    _, resnet = as_released("resnet/4")
    assert {name.split(".")[0] for name in cnn} == {
        *("l1", "deconv1", "deconv1_bn", "deconv2", "deconv2_bn", "deconv3", "deconv3_bn", "conv4")
    }
    assert {name.rpartition(".")[0] for name in resnet if name.startswith("block2")} == {
        f"block2.{part}" for part in ("c1", "c2", "b1", "b2", "c_sc")
    }
    with pytest.raises(ValueError, match=r"another net: other\.weight is missing in this one"):
        generator = released_nets._NETS["cnn/4"].players(seed=0).generator
        put_weights(generator, renamed(cnn | {"other.weight": torch.zeros(1)}), "a file")


def test_other_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match=f"cifar.pth, or set {VARIABLE}"):
        released_generator("cnn/4")
    _, weights = as_released("cnn/4")
    torch.save(weights, tmp_path / "RSGAN-CNN-quater-cifar.pth")
    with pytest.raises(ValueError, match="that of the released one begins with 01776d6a"):
        released_generator("cnn/4", tmp_path)
    with pytest.raises(ValueError, match="net is one of"):
        Setting("cnn/2")


def test_samples_are_scored_seed_by_seed(written, monkeypatch):
    """Two members have two draws of latents, and one net's weights."""
    net, _, folder = written
    monkeypatch.setenv(VARIABLE, str(folder))
    beside = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(released_nets, "_beside", lambda *which: beside)
    size = SIZES["quick"].__class__(samples=8, members=2, lacks="nearly all")
    members = measure(Setting(net), size, seed=5)["members"]
    assert members["frechet"].nunique() == 2 and members["weights"].nunique() == 1
    again = measure(Setting(net), size, seed=5)["members"]
    assert members.equals(again)


def test_the_claim_is_of_pairs_of_draws():
    rows = {
        net: DataFrame({"block": [100, 101], "member": 0, "frechet": values})
        for net, values in zip(ARMS, ([3.0, 2.0], [1.0, 1.5], [0.5, 2.0]), strict=True)
    }
    found = {name: of(rows) for name, of in QUANTITIES["R30"].items()}
    assert found == {"cnn_over_resnet": [2.0, 0.5], "resnet_over_bottleneck": [0.5, -0.5]}
