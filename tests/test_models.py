"""The papers' networks: their sizes, their norms, and that a seed says all."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from helpers.models import dcgan, gaussians_nets, mlp, two_cluster_nets

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def count(net):
    return sum(each.numel() for each in net.parameters())


def test_papers_sizes():
    """Berard et al. 2020, Appendix C: 301 for the mixture of Gaussians, a million for images."""
    assert count(mlp([1, 100, 1], seed=0)) == 301
    assert [count(net) for net in dcgan(seed=0)] == [1_066_880, 660_480]


@pytest.mark.parametrize("latent, width, channels", [(100, 2, 1), (3, 4, 3), (8, 2, 1)])
def test_dcgan_shapes(latent, width, channels):
    """Images of 32 x 32 within tanh's range, and a logit for each; 8 = 4 * 2 is nothing special."""
    G, D = dcgan(seed=0, latent=latent, width=width, channels=channels)
    images = G(torch.randn(5, latent))
    assert images.shape == (5, channels, 32, 32)
    assert images.abs().max() < 1
    assert D(images).shape == (5,)
    w, square = width, 16
    up = latent * 4 * w + 8 * w * w + 2 * w * w + w * channels
    assert count(G) == square * up + 2 * (4 * w + 2 * w + w)
    assert count(D) == square * (channels * w + 2 * w * w + 8 * w * w + 4 * w)


def test_mlp_shapes():
    """Linear layers with ReLU between them and none behind."""
    net = mlp([3, 5, 4, 2], seed=0)
    assert [type(each) for each in net] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert net(torch.randn(7, 3)).shape == (7, 2)
    assert count(net) == 20 + 24 + 10


def test_norms():
    """Batch norm behind all of G's convolutions but the last, spectral norm on all of D's so."""
    G, D = dcgan(seed=0, width=2)
    up = [k for k, each in enumerate(G) if isinstance(each, CONVOLUTIONS)]
    assert len(up) == 4
    assert [type(G[k + 1]) for k in up] == [*[nn.BatchNorm2d] * 3, nn.Tanh]
    assert not any(parametrize.is_parametrized(each) for each in G)
    down = [each for each in D if isinstance(each, CONVOLUTIONS)]
    assert [parametrize.is_parametrized(each, "weight") for each in down] == [True] * 3 + [False]
    assert not any(isinstance(each, nn.BatchNorm2d) for each in D)
    assert all(each.bias is None for each in [*down, *(G[k] for k in up)])


def test_spectral_norm_is_one():
    """After some passes in training mode, whatever the weights; the last one's is its own."""
    _, D = dcgan(seed=0, width=4)
    with torch.no_grad():
        for each in D.parameters():
            each.mul_(30)
        for _ in range(30):
            D.train()(torch.randn(2, 1, 32, 32))
    norms = [
        torch.linalg.matrix_norm(each.weight.detach().flatten(1), 2).item()
        for each in D
        if isinstance(each, CONVOLUTIONS)
    ]
    assert norms[:3] == pytest.approx([1, 1, 1], abs=0.02)
    assert norms[3] > 2


def test_initial_law():
    """Standard deviations of 0.02, as Radford et al. 2016 have it; scales are about 1, shifts 0."""
    G, D = dcgan(seed=0, width=16)
    for name, each in [*G.named_parameters(), *D.named_parameters()]:
        if each.ndim == 4:
            assert each.std().item() == pytest.approx(0.02, rel=0.15), name
            assert abs(each.mean().item()) < 0.003
        elif name.endswith("weight"):
            assert 0 < abs(each.mean().item() - 1) < 0.02
            assert each.std().item() == pytest.approx(0.02, rel=0.5)
        else:
            assert not each.any()


@pytest.mark.parametrize(
    "make",
    [lambda seed: [mlp([2, 3, 1], seed=seed)], lambda seed: dcgan(seed=seed, width=2)],
    ids=["mlp", "dcgan"],
)
def test_seeds(make):
    """The same bits for the same seed, others for another, and torch's own state stands."""
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = [each.state_dict() for each in make(0)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    again, other = ([each.state_dict() for each in make(seed)] for seed in (0, 1))
    for one, same, another in zip(first, again, other, strict=True):
        assert all(torch.equal(one[key], same[key]) for key in one)
        weights = [key for key in one if one[key].ndim > 1]
        assert weights
        assert not any(torch.equal(one[key], another[key]) for key in weights)


@pytest.mark.parametrize("sizes", [[], [1], [1, 0], [0, 3, 1], [2, -1, 1]], ids=repr)
def test_bad_sizes(sizes):
    with pytest.raises(ValueError, match=r"two or more positive integers, got \["):
        mlp(sizes, seed=0)


@pytest.mark.parametrize("name, value", [("latent", 0), ("width", -1), ("channels", 0)])
def test_bad_dcgan(name, value):
    with pytest.raises(ValueError, match=rf"channels are 1 or more, got .*{value}"):
        dcgan(seed=0, **{name: value})


def test_nets_of_the_clusters():
    """Sun et al.'s released sizes: D 1-10-10-1 with sigmoid, G 1-5-5-1 with tanh; logits out."""
    G, D = two_cluster_nets(seed=0)
    assert [type(each) for each in G] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert [type(each) for each in D] == [nn.Linear, nn.Sigmoid] * 2 + [nn.Linear]
    assert (count(G), count(D)) == (10 + 30 + 6, 20 + 110 + 11)
    wide = two_cluster_nets(seed=0, widths=(40, 20))
    assert (count(wide.generator), count(wide.discriminator)) == (40 + 420 + 21, 80 + 1640 + 41)
    assert not torch.equal(G[0].weight, two_cluster_nets(seed=1).generator[0].weight)


def test_nets_of_the_gaussians():
    """Three layers of 128; D's last has no bias, and leaks 0.2."""
    G, D = gaussians_nets(seed=0)
    assert count(G) == 3 * 128 + 129 * 128 + 129 * 2
    assert count(D) == 3 * 128 + 129 * 128 + 128
    assert D[1].negative_slope == 0.2
