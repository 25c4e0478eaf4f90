"""Nets on the line piece by piece, against the layers that they stand for."""

import pytest
import torch
from torch.func import functional_call, vmap

from helpers.games.networks import joint_point, network_game
from helpers.losses.penalty import GradientPenalty
from helpers.models import mlp
from helpers.models.line import LineNet
from helpers.operators import jacobian

CLOSE = 1e-12


def twins(units=20, seed=0):
    """A net on the line, and the layers with the same weights."""
    return LineNet(units, seed=seed).double(), mlp([1, units, 1], seed=seed).double()


def samples(n=50, seed=0):
    random = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, 1, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("units", [1, 2, 20, 300])
def test_values_and_slopes(units):
    """Values, slopes in the samples and slopes in the weights are those of the layers."""
    x = samples()
    found = []
    for net in twins(units):
        here = x.clone().requires_grad_()
        value = net(here)
        weighted = (value * torch.arange(50.0)[:, None]).sum()
        found.append([value, *torch.autograd.grad(weighted, [here, *net.parameters()])])
    for ours, layers in zip(*found, strict=True):
        assert torch.allclose(
            ours, layers, rtol=CLOSE, atol=CLOSE * float(layers.detach().abs().max())
        )


@pytest.mark.parametrize(
    "weight, bias",
    [
        ([0.0, 0.0, 1.0], [1.0, -1.0, 0.5]),  # units on everywhere and nowhere
        ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]),  # all at one place
        ([1.0, -1.0, -1.0], [2.0, -2.0, 2.0]),
        ([1e-30, -1e-30, 1.0], [1.0, 1.0, 0.0]),  # switching out of sight
    ],
)
def test_units_in_odd_places(weight, bias):
    """Units that never switch, or all at once, are no special case to the caller."""
    ours, layers = twins(3)
    for net in (ours, layers):
        with torch.no_grad():
            net.get_submodule("0").weight.copy_(torch.tensor(weight)[:, None])
            net.get_submodule("0").bias.copy_(torch.tensor(bias))
    assert torch.allclose(ours(samples()), layers(samples()), rtol=CLOSE, atol=CLOSE)


def test_samples_at_a_switch():
    """Where two pieces meet both have the same value."""
    ours, layers = twins()
    first = layers[0]
    places = (-first.bias / first.weight[:, 0]).detach()[:, None]
    assert torch.allclose(ours(places), layers(places), rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("loss", ["js", "wgan", "rs"])
@pytest.mark.parametrize("where", [None, "data", "interpolates"])
def test_games(loss, where):
    """Field and Jacobian of a whole GAN, with a penalty on D's slope or without."""
    penalty = None if where is None else GradientPenalty(0.7, where)
    pieces, layers = zip(twins(seed=1), twins(seed=2), strict=True)
    z, x = samples(seed=1), samples(seed=2)
    games = [network_game(*nets, z, x, loss=loss, penalty=penalty) for nets in (pieces, layers)]
    omega = joint_point(*layers)
    fields = [game.vector_field(omega) for game in games]
    assert torch.allclose(*fields, rtol=1e-10, atol=CLOSE)
    J = [jacobian(game, omega).dense() for game in games]
    assert torch.allclose(*J, rtol=1e-10, atol=1e-10)


def test_many_at_once():
    """Under vmap each net sees its own samples, without a word about memory."""
    nets = [LineNet(5, seed=seed) for seed in range(3)]
    weights = {
        name: torch.stack([dict(net.named_parameters())[name] for net in nets])
        for name, _ in nets[0].named_parameters()
    }
    x = samples(7).float().expand(3, -1, -1)
    found = vmap(lambda own, each: functional_call(nets[0], own, (each,)))(weights, x)
    for net, each in zip(nets, found, strict=True):
        assert torch.allclose(net(x[0]), each, atol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (5, 2), (2, 5, 1)])
def test_bad_samples(shape):
    with pytest.raises(ValueError, match=r"samples on the line are \(n, 1\)"):
        LineNet(3, seed=0)(torch.zeros(shape))


def test_no_units():
    with pytest.raises(ValueError, match="units is a whole number, 1 or more, got 0"):
        LineNet(0, seed=0)
