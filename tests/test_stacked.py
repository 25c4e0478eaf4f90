"""Several networks as one function, against each of them."""

import pytest
import torch
from torch import nn

from helpers.models import mlp
from helpers.stacked import Stacked


def nets(kind):
    found = []
    for seed in range(3):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found.append(
                {
                    "layers": lambda: nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)),
                    "no bias": lambda: nn.Sequential(nn.Linear(2, 5, bias=False), nn.Softplus()),
                    "norm": lambda: nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4)),
                }[kind]().double()
            )
    return found


@pytest.mark.parametrize("kind", ["layers", "no bias", "norm"])
def test_each_is_what_it_is_alone(kind):
    """Values and gradients of every member, by batched products or by vmap."""
    single = nets(kind)
    x = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = Stacked(single)
    output = together(x)
    assert len(together) == 3
    slopes = torch.autograd.grad(output.square().sum(), list(together.parameters.values()))
    for number, net in enumerate(single):
        torch.testing.assert_close(output[number], net(x[number]), rtol=1e-12, atol=1e-12)
        own = torch.autograd.grad(net(x[number]).square().sum(), [*net.parameters()])
        for slope, wanted in zip(slopes, own, strict=True):
            torch.testing.assert_close(slope[number], wanted, rtol=1e-10, atol=1e-12)
        copied = together.member(number)
        torch.testing.assert_close(copied(x[number]), net(x[number]), rtol=0, atol=0)
        assert all(weight.requires_grad for weight in copied.parameters())


def test_the_originals_are_left_alone():
    single = [mlp([1, 3, 1], seed=seed) for seed in range(2)]
    before = [weight.clone() for net in single for weight in net.parameters()]
    together = Stacked(single)
    with torch.no_grad():
        for weight in together.parameters.values():
            weight.zero_()
    after = [weight for net in single for weight in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(weight.requires_grad for weight in after)


def test_refusals():
    with pytest.raises(ValueError, match="at least one network"):
        Stacked([])
    with pytest.raises(ValueError, match=r"members 0 and 1, 0.weight.shape.0 is 3 and 4"):
        Stacked([mlp([1, 3, 1], seed=0), mlp([1, 4, 1], seed=0)])
    with pytest.raises(ValueError, match="buffers"):
        Stacked([nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2))])


ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.3),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_slopes_written_by_hand(kind, last):
    """In weights, biases and inputs, by finite differences; also behind the last layer."""
    single = []
    for seed in range(2):
        net = mlp([2, 4, 3, 1], seed=seed, activation=ACTIVATIONS[kind]).double()
        net[2].bias = None
        single.append(nn.Sequential(*net, *([ACTIVATIONS[kind]()] if last else [])))
    together = Stacked(single)
    x = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.requires_grad_()
    names = list(together.parameters)

    def output(x, *weights):
        together.parameters = dict(zip(names, weights, strict=True))
        return together(x)

    assert torch.autograd.gradcheck(output, (x, *together.parameters.values()))


def test_second_slopes_are_refused():
    """They are not written, and must not be silently wrong."""
    together = Stacked([mlp([1, 3, 1], seed=0)])
    x = torch.randn(1, 4, 1, requires_grad=True)
    with pytest.raises(RuntimeError, match="differentiated once only"):
        torch.autograd.grad(together(x).sum(), x, create_graph=True)


def test_twice():
    """On request slopes can be differentiated again, with the same values as before."""
    nets = [mlp([1, 4, 1], seed=seed) for seed in range(2)]
    x = torch.linspace(-1, 1, 5)[None, :, None].repeat(2, 1, 1).requires_grad_()
    once, twice = Stacked(nets), Stacked(nets, twice=True)
    assert torch.allclose(once(x), twice(x), atol=1e-6)
    slope = torch.autograd.grad(twice(x).sum(), x, create_graph=True)[0]
    again = torch.autograd.grad(slope.square().sum(), list(twice.parameters.values())[:1])[0]
    assert again.abs().max() > 0
