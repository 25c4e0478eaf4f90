"""Several networks as one function, against each of them."""

import pytest
import torch
from torch import nn

from helpers.models import mlp
from helpers.models.stacked import Stacked


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
def test_slopes(kind, last):
    """In weights, biases and inputs, of first and second order, by finite differences."""
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

    weights = tuple(together.parameters.values())
    assert torch.autograd.gradcheck(output, (x, *weights))
    assert torch.autograd.gradgradcheck(output, (x, *weights))


def test_twice():
    """On request slopes can be differentiated again, with the same values as before."""
    nets = [mlp([1, 4, 1], seed=seed) for seed in range(2)]
    x = torch.linspace(-1, 1, 5)[None, :, None].repeat(2, 1, 1).requires_grad_()
    once, twice = Stacked(nets), Stacked(nets, twice=True)
    assert torch.allclose(once(x), twice(x), atol=1e-6)
    slope = torch.autograd.grad(twice(x).sum(), x, create_graph=True)[0]
    again = torch.autograd.grad(slope.square().sum(), list(twice.parameters.values())[:1])[0]
    assert again.abs().max() > 0


def layered(change=None, seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(0.2), nn.Linear(3, 3), nn.Linear(3, 1))
    if change is not None:
        change(net)
    return net


def _shared(net):
    net[2] = nn.Linear(3, 3)
    net.insert(3, net[2])


class _Leaky(nn.Module):
    """A layer of one's own, with a slope among its attributes."""

    def __init__(self, slope):
        super().__init__()
        self.slope, self.layer = slope, nn.Linear(2, 1)

    def forward(self, x):
        return torch.nn.functional.leaky_relu(self.layer(x), self.slope)


DIFFERENT = {
    "slopes": (lambda: layered(lambda n: setattr(n[1], "negative_slope", 0.01)), "negative_slope"),
    "kinds": (lambda: layered(lambda n: n.__setitem__(1, nn.Tanh())), "1"),
    "twice": (lambda: layered(lambda n: n.__setitem__(2, nn.Linear(3, 3))), None),
    "shared": (lambda: layered(_shared), ""),
    "tied": (lambda: layered(lambda n: setattr(n[3], "bias", nn.Parameter(n[0].bias[:1]))), None),
    "frozen": (lambda: layered(lambda n: n[0].weight.requires_grad_(False)), "requires_grad"),
    "mode": (lambda: layered(lambda n: n[1].eval()), "1.training is"),
    "dtype": (lambda: layered(lambda n: n.double()), "dtype"),
    "hook": (lambda: layered(lambda n: n[1].register_forward_hook(lambda *_: None)), "hooks"),
    "scale": (lambda: layered(lambda n: setattr(n[0], "scale", 2.0)), "0.scale is"),
    "forward": (lambda: layered(lambda n: setattr(n[1], "forward", torch.tanh)), "1.forward"),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_members_that_differ(kind):
    """In anything but the values of weights: refused, and the difference said."""
    make, said = DIFFERENT[kind]
    if said is None:
        assert len(Stacked([layered(), make()])) == 2
        return
    for nets in ([layered(), layered(seed=1), make()], [make(), layered(), layered(seed=1)]):
        with pytest.raises(ValueError, match=rf"weights alone; in members 0 and \d, .*{said}"):
            Stacked(nets)


def test_attributes_that_differ():
    with pytest.raises(ValueError, match=r"members 0 and 1, slope is 0\.2 and 0\.01"):
        Stacked([_Leaky(0.2), _Leaky(0.01)])
    assert len(Stacked([_Leaky(0.2), _Leaky(0.2)])) == 2


SPECIAL = {
    "one layer twice": lambda net: _shared(net),
    "tied weights": lambda net: setattr(net[2], "bias", net[0].bias),
    "a hook": lambda net: net[0].register_forward_hook(lambda layer, given, y: y * 2),
    "a hook before": lambda net: net[0].register_forward_pre_hook(lambda layer, x: (x[0] * 2,)),
    "another forward": lambda net: setattr(net[1], "forward", torch.sin),
    "frozen": lambda net: net[2].requires_grad_(False),
    "no bias": lambda net: net[2].register_parameter("bias", None),
}


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("kind", SPECIAL)
def test_unusual_networks(kind, twice):
    """Alike in what is unusual about them: values and gradients are those of each alone."""
    single = [layered(SPECIAL[kind], seed).double() for seed in range(3)]
    x = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = Stacked(single, twice=twice)
    output = together(x)
    slopes = torch.autograd.grad(output.square().sum(), list(together.parameters.values()))
    for number, net in enumerate(single):
        torch.testing.assert_close(output[number], net(x[number]), rtol=1e-12, atol=1e-12)
        moving = {name: w for name, w in net.named_parameters() if w.requires_grad}
        assert list(moving) == list(together.parameters)
        own = torch.autograd.grad(net(x[number]).square().sum(), list(moving.values()))
        for slope, wanted in zip(slopes, own, strict=True):
            torch.testing.assert_close(slope[number], wanted, rtol=1e-10, atol=1e-12)
        again = together.member(number)
        torch.testing.assert_close(again(x[number]), net(x[number]), rtol=0, atol=0)
        assert {name for name, w in again.named_parameters() if w.requires_grad} == moving.keys()


class _Listed(nn.Module):
    """Uses its weight from a list, as some transformers use their position embeddings."""

    def __init__(self):
        super().__init__()
        self.e = nn.Parameter(torch.ones(2))
        self.es = [self.e]

    def forward(self, x):
        return x * self.es[0]


def test_what_cannot_be_stacked():
    with pytest.raises(ValueError, match="es holds weights in a plain attribute"):
        Stacked([_Listed(), _Listed()])
    noisy = Stacked([nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)) for _ in range(2)])
    with pytest.raises(ValueError, match="draw random numbers"):
        noisy(torch.ones(2, 3, 2))
    with pytest.raises(ValueError, match=r"buffers cannot .* there is '1\.running_mean'"):
        Stacked([nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2))])


def test_layers_that_torch_has_no_rule_for():
    """Torch's own recurrent nets: a ValueError that says so, instead of one from inside."""
    together = Stacked([_Last(2), _Last(2)])
    with pytest.raises(ValueError, match=r"vmap cannot run .* train each alone .*rnn_tanh"):
        together(torch.ones(2, 3, 5, 2))


class _Last(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.cell = nn.RNN(size, 3, batch_first=True)

    def forward(self, x):
        return self.cell(x)[0][:, -1]
