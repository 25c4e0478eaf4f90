"""The papers' networks: their sizes, their norms, and that a seed says all."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu
from torch.nn.utils import parametrize

from helpers.models import (
    dcgan,
    gaussians_nets,
    lenet,
    mlp,
    model_sizes,
    relative_size,
    small_resnet,
    sn_cnn,
    sn_dcgan,
    sn_resnet,
    two_cluster_nets,
)

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
    [
        lambda seed: [mlp([2, 3, 1], seed=seed)],
        lambda seed: [lenet(seed=seed)],
        lambda seed: dcgan(seed=seed, width=2),
        lambda seed: sn_cnn(seed=seed, narrow=16),
        lambda seed: sn_resnet(seed=seed, size=48, narrow=16, bottleneck=True),
        lambda seed: [small_resnet(seed=seed, width=2)],
    ],
    ids=["mlp", "lenet", "dcgan", "sn_cnn", "sn_resnet", "small_resnet"],
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


@pytest.mark.parametrize("width, blocks", [(2, 1), (4, 2), (16, 3)])
def test_small_resnet(width, blocks):
    """6 blocks + 2 layers with weights beside the shortcuts; three stages, each half the side."""
    net = small_resnet(seed=0, width=width, blocks=blocks, channels=3, classes=7)
    weights = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == 6 * blocks + 2 + 2
    w, shapes, x = width, [], torch.rand(2, 3, 32, 32)
    for layer in net:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    ends = [shapes[2 + blocks * stage] for stage in (1, 2, 3)]
    assert ends == [(w, 32, 32), (2 * w, 16, 16), (4 * w, 8, 8)] and shapes[-1] == (7,)
    square = 9 * w**2 * (2 * blocks + (4 + 16) * (2 * blocks - 1) + 2 + 8)
    shortcuts, norms = 2 * w**2 + 8 * w**2, 2 * w * (1 + 14 * blocks + 6)
    assert count(net) == 27 * w + square + shortcuts + norms + 7 * 4 * w + 7
    block = net[3]
    y = torch.rand(2, w, 8, 8)
    inner = block.first_norm(block.first(y)).clamp(min=0)
    wanted = (block.second_norm(block.second(inner)) + y).clamp(min=0)
    torch.testing.assert_close(block(y), wanted)


@pytest.mark.parametrize("sizes", [[], [1], [1, 0], [0, 3, 1], [2, -1, 1]], ids=repr)
def test_bad_sizes(sizes):
    with pytest.raises(ValueError, match=r"sizes (are two or more|is a whole number, 1 or more)"):
        mlp(sizes, seed=0)


@pytest.mark.parametrize("name, value", [("latent", 0), ("width", -1), ("channels", 0)])
def test_bad_dcgan(name, value):
    with pytest.raises(ValueError, match=f"{name} is a whole number, 1 or more, got {value}"):
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


def test_lenet():
    """LeNet-5's count with all maps connected, and features before the last layer."""
    net = lenet(seed=0)
    assert count(net) == 156 + 2_416 + 48_120 + 10_164 + 850 == 61_706
    images = torch.randn(3, 1, 32, 32)
    assert net(images).shape == (3, 10)
    assert net[:-1](images).shape == (3, 84)
    assert net[:-1](images).min() == 0  # behind a ReLU
    assert lenet(seed=0, channels=3, classes=7)(torch.randn(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("name, value", [("channels", 0), ("classes", 1)])
def test_bad_lenet(name, value):
    with pytest.raises(ValueError, match=f"{name} is a whole number, . or more, got {value}"):
        lenet(seed=0, **{name: value})


def filters(before, after, side):
    return before * after * side**2 + after


@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize("narrow", [4, 16])
def test_cnn_size(size, narrow):
    G, D = sn_cnn(seed=0, size=size, narrow=narrow)
    w, corner = 64 // narrow, (size // 8) ** 2
    up = filters(8 * w, 4 * w, 4) + filters(4 * w, 2 * w, 4) + filters(2 * w, w, 4)
    assert count(G) == 129 * 8 * w * corner + up + 2 * 7 * w + filters(w, 3, 3)
    keep = filters(3, w, 3) + filters(w, 2 * w, 3) + filters(2 * w, 4 * w, 3)
    halve = filters(w, w, 4) + filters(2 * w, 2 * w, 4) + filters(4 * w, 4 * w, 4)
    assert count(D) == keep + halve + filters(4 * w, 8 * w, 3) + 8 * w * corner


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("narrow", [4, 16])
@pytest.mark.parametrize(
    "size, up, down",
    [
        (32, [256, 256, 256, 256], [128, 128, 128, 128]),
        (48, [512, 256, 128, 64], [64, 128, 256, 512, 1024]),
    ],
)
def test_resnet_size(size, up, down, narrow, bottleneck):
    """A block's inner channels are its last ones in G, its first ones in D, or half of them."""
    G, D = sn_resnet(seed=0, size=size, narrow=narrow, bottleneck=bottleneck)
    up, down = [each // narrow for each in up], [each // narrow for each in down]

    def block(a, inner, b):
        inner = inner // 2 if bottleneck else inner
        return filters(a, inner, 3) + filters(inner, b, 3) + filters(a, b, 1)

    in_g = 129 * up[0] * (size // 8) ** 2 + 2 * up[-1] + filters(up[-1], 3, 1)
    for a, b in pairwise(up):
        in_g += block(a, b, b) + 2 * a + 2 * (b // 2 if bottleneck else b)
    assert count(G) == in_g
    in_d = block(3, down[0], down[0]) + down[-1]
    assert count(D) == in_d + sum(block(a, a, b) for a, b in pairwise(down))


def test_regular_sizes():
    """5.4 million parameters in the ResNet for CIFAR-10, and 6.7 in the CNN."""
    assert [count(net) for net in sn_cnn(seed=0)] == [3_812_355, 2_935_872]
    assert [count(net) for net in sn_resnet(seed=0)] == [4_270_595, 1_086_848]


@pytest.mark.slow
def test_sizes_of_table_2():
    """Sun et al. 2020: seven of the ten printed sizes are those of the released nets.

    The bottlenecks fit if half the channels are meant besides; 10.4, 32.9 and 11.9 do not fit.
    """
    sizes = model_sizes()
    assert len(sizes) == 12
    apart = {key: round(each.counted, 1) for key, each in sizes.items() if each.deviation > 0}
    assert apart == {
        ("STL-10 CNN", "channel/2"): 32.4,
        ("STL-10 CNN", "channel/4"): 11.8,
        ("CIFAR-10 ResNet", "channel/4"): 8.1,
        ("CIFAR-10 ResNet", "bottleneck"): 57.3,
        ("STL-10 ResNet", "bottleneck"): 60.8,
    }
    same = {key: each.printed for key, each in sizes.items() if each.deviation == 0}
    assert same == {
        ("CIFAR-10 CNN", "channel/2"): 29.0,
        ("CIFAR-10 CNN", "channel/4"): 9.2,
        ("CIFAR-10 ResNet", "channel/2"): 27.5,
        ("CIFAR-10 ResNet", "bottleneck, channel/2"): 16.8,
        ("STL-10 ResNet", "channel/2"): 29.0,
        ("STL-10 ResNet", "channel/4"): 9.2,
        ("STL-10 ResNet", "bottleneck, channel/2"): 19.2,
    }
    assert sizes["CIFAR-10 ResNet", "channel/4"].deviation == 2.3
    assert sizes["STL-10 CNN", "channel/2"].deviation == 0.5


def test_relative_size():
    regular = two_cluster_nets(seed=0, widths=(4, 3))
    slim = two_cluster_nets(seed=0, widths=(2, 1))
    assert relative_size(slim, regular) == pytest.approx(100 * (6 + 13) / (22 + 33))


SN_NETS = [
    pytest.param(partial(make, seed=0, size=size, narrow=16, **others), size, id=f"{name} {size}")
    for size in (32, 48)
    for name, make, others in [
        ("cnn", sn_cnn, {}),
        ("resnet", sn_resnet, {}),
        ("bottleneck", sn_resnet, {"bottleneck": True}),
    ]
]
LAYERS = (*CONVOLUTIONS, nn.Linear)


def layers(net):
    return [each for each in net.modules() if isinstance(each, LAYERS)]


def of_cnn(generator):
    return any(isinstance(each, nn.ConvTranspose2d) for each in generator)


@pytest.mark.parametrize("make, size", SN_NETS)
def test_sn_shapes(make, size):
    """Latents of 128 to images within tanh's range, and a logit for each."""
    G, D = make()
    images = G(torch.randn(5, 128))
    assert images.shape == (5, 3, size, size)
    assert images.abs().max() < 1
    logits = D(images)
    assert logits.shape == (5,)
    logits.sum().backward()
    assert all(each.grad.any() for each in D.parameters())
    assert G[0].weight.grad.any()


@pytest.mark.parametrize("make, size", SN_NETS)
def test_sn_norms(make, size):
    """Spectral norm on all of D's layers, 1 whatever the weights; G has batch norm in its place."""
    G, D = make()
    assert all(parametrize.is_parametrized(each, "weight") for each in layers(D))
    assert not any(parametrize.is_parametrized(each) for each in G.modules())
    assert not any(isinstance(each, nn.BatchNorm2d) for each in D.modules())
    batch_norms = 3 if of_cnn(G) else 2 * 3 + 1
    assert sum(isinstance(each, nn.BatchNorm2d) for each in G.modules()) == batch_norms
    with torch.no_grad():
        for each in layers(D):
            weight = each.parametrizations.weight.original
            weight.copy_(3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        for _ in range(60):
            D.train()(torch.randn(1, 3, size, size))
        norms = [torch.linalg.matrix_norm(each.weight.flatten(1), 2).item() for each in layers(D)]
    assert norms == pytest.approx([1] * len(norms), abs=0.02)


@pytest.mark.parametrize("make, size", SN_NETS)
def test_sn_initial_law(make, size):
    """D's weights start orthogonal, the first and last of the CNN's G from Glorot's uniform law."""
    G, D = make()
    for each in layers(D):
        weight = each.parametrizations.weight.original.detach().flatten(1)
        assert torch.linalg.svdvals(weight) == pytest.approx(1, abs=1e-5)
    first, *_, last = layers(G)
    if of_cnn(G):
        for each in (first, last):
            area = each.weight[0, 0].numel()
            bound = math.sqrt(6 / (area * sum(each.weight.shape[:2])))
            assert 0.95 * bound < each.weight.abs().max() <= bound


def test_resnet_discriminator():
    """As released: no activation on the image, slopes of 0.1, a sum over the last pixels."""
    _, D = sn_resnet(seed=0, narrow=16)
    images = torch.randn(3, 3, 32, 32)
    shortcut, one, two, *others, judge = layers(D.eval())
    act = partial(leaky_relu, negative_slope=0.1)
    h = shortcut(avg_pool2d(images, 2)) + avg_pool2d(two(act(one(images))), 2)
    for k in range(3):
        shortcut, one, two = others[3 * k : 3 * k + 3]
        h = avg_pool2d(shortcut(h) + two(act(one(act(h)))), 2)
    logits = judge(act(h).sum((2, 3)))[:, 0]
    torch.testing.assert_close(D(images), logits)


def test_cnn_discriminator():
    """Seven convolutions with slopes of 0.1 behind them, and a linear layer."""
    _, D = sn_cnn(seed=0, size=48, narrow=16)
    images = torch.randn(3, 3, 48, 48)
    *convolutions, judge = layers(D.eval())
    h = images
    for each in convolutions:
        h = leaky_relu(each(h), 0.1)
    assert len(convolutions) == 7
    torch.testing.assert_close(D(images), judge(h.flatten(1))[:, 0])


def test_resnet_generator():
    """Both ways of a block enlarge before they convolve."""
    G, _ = sn_resnet(seed=0, size=48, narrow=16)
    latents = torch.randn(2, 128)
    first, *blocks, last = layers(G.eval())  # where batch norms that saw nothing scale by about 1
    grow = partial(interpolate, scale_factor=2, mode="bilinear")
    h = first(latents).view(2, 32, 6, 6)
    for k in range(3):
        shortcut, one, two = blocks[3 * k : 3 * k + 3]
        h = shortcut(grow(h)) + two(one(grow(h.relu())).relu())
    torch.testing.assert_close(G(latents), last(h.relu()).tanh(), rtol=1e-3, atol=1e-4)


def test_dcgan_of_256_pixels():
    """As released: no biases, slopes of 0.1, a linear layer on 4 x 4 pixels; G as by torch."""
    assert [count(net) for net in sn_dcgan(seed=0)] == [13_276_608, 11_191_808]
    G, D = sn_dcgan(seed=0, narrow=16)
    images = G(torch.randn(3, 128, generator=torch.Generator().manual_seed(0)))
    assert images.shape == (3, 3, 256, 256) and images.abs().max() < 1
    *convolutions, judge = layers(D.eval())
    h = images
    for each in convolutions:
        h = leaky_relu(each(h), 0.1)
    assert len(convolutions) == 6 and h.shape[1:] == (64, 4, 4)
    torch.testing.assert_close(D(images), judge(h.flatten(1))[:, 0])
    for each in layers(D):
        weight = each.parametrizations.weight.original.detach().flatten(1)
        assert torch.linalg.svdvals(weight) == pytest.approx(1, abs=1e-5)
    norms = [each for each in G if isinstance(each, nn.BatchNorm2d)]
    assert [each.num_features for each in norms] == [64, 32, 16, 8, 4, 2]
    for each in layers(G):  # a transposed convolution counts its outputs as what comes in
        bound = each.weight[0].numel() ** -0.5
        assert 0.8 * bound < each.weight.abs().max() <= bound
    plain = sn_dcgan(seed=0, narrow=32, normed=False, released=False).discriminator
    assert not any(parametrize.is_parametrized(each) for each in plain.modules())


@pytest.mark.parametrize("make", [sn_cnn, sn_resnet])
def test_bad_sn(make):
    with pytest.raises(ValueError, match="size of 32 or 48, got 64"):
        make(seed=0, size=64)
    for narrow in (0, 3, 64, -2):
        with pytest.raises(ValueError, match=rf"narrow is .*, got {narrow}"):
            make(seed=0, narrow=narrow)
        with pytest.raises(ValueError, match=rf"narrow is .*, got {narrow}"):
            sn_dcgan(seed=0, narrow=narrow)
