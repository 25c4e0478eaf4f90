"""Products are checked where differences tell anything, and refused where they are wrong."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from helpers.games.networks import joint_point, network_game
from helpers.models import mlp
from helpers.operators import hessian, trust
from tests.models.test_functional import Doing, Wrong


def game_of(*last):
    """A game whose G is all but at the ends of its tanh: its slopes are about 1e-10."""
    generator = nn.Sequential(mlp([2, 8, 2], seed=0), *last, nn.Tanh())
    with torch.no_grad():
        generator[0][-1].weight.mul_(0.1)
        generator[0][-1].bias.fill_(12.0 if not last else 12.0 ** (1 / 3))
    nets = generator, mlp([2, 8, 1], seed=1)
    z, x = torch.randn(2, 20, 2, generator=torch.Generator().manual_seed(0))
    return network_game(*nets, z, x), joint_point(*nets)


def test_slopes_that_are_rounding_do_not_refuse_right_products():
    """Differences do not agree with each other there, so they say nothing of the products."""
    game, point = game_of()
    small, omega = game.probe.make()
    assert small.gradient("G", omega).norm() < 1e-8
    fault, is_telling = trust._tried_at(small, omega, False, "G", "retained")
    assert fault.startswith("off by") and not is_telling
    product = hessian(game, "G", point, route="retained").matvec(torch.ones(game.sizes[0]))
    assert product.isfinite().all()


def test_wrong_products_are_refused_there_too():
    game, point = game_of(Doing(Wrong.apply))
    small, omega = game.probe.make()
    assert small.gradient("G", omega).norm() < 1e-8
    with pytest.raises(ValueError, match="no right products of G's Hessian"):
        hessian(game, "G", point, route="retained")


class OwnNorm(nn.Module):
    """A layer with the spectral norm of the code of BigGAN: one step of the power iteration."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.register_buffer("u", normalize(torch.randn(outputs), dim=0))

    def forward(self, x):
        with torch.no_grad():
            v = normalize(self.weight.T @ self.u, dim=0)
            u = normalize(self.weight @ v, dim=0)
        return x @ (self.weight / (u @ self.weight @ v)).T


def test_what_was_checked_where_nothing_can_be_told_is_not_remembered():
    """A hinge D that has won has no slope, and zeros agree with anything."""
    generator, random = mlp([2, 5, 2], seed=0).double(), torch.Generator().manual_seed(1)
    z = torch.randn(8, 2, generator=random, dtype=torch.float64)
    x = 3 + torch.randn(8, 2, generator=random, dtype=torch.float64) / 5

    def norm(last):
        torch.manual_seed(0)
        layers = OwnNorm(2, 6), nn.Tanh(), OwnNorm(6, 6), nn.Tanh(), nn.Linear(6, 1)
        net = nn.Sequential(*layers).double()
        with torch.no_grad():
            side = (net(x) - net(generator(z))).mean().sign()
            middle = (net(x).mean() + net(generator(z)).mean()) / 2
            net[4].bias.copy_(last * side * (net[4].bias - middle))
            net[4].weight.mul_(last * side)
        point = joint_point(generator, net)
        game = network_game(generator, net, z, x, loss="hinge")
        dense = hessian(game, "D", point).dense()
        assert torch.allclose(dense, dense.T, atol=1e-12)
        return float(dense.norm())

    assert norm(1000.0) == 0
    assert norm(1.0) > 1


def test_a_route_that_was_tried_in_inference_mode():
    """Torch keeps no graph there; a check of that time says nothing of later."""
    nets = mlp([1, 5, 1], seed=2), mlp([1, 5, 1], seed=3)
    z = torch.linspace(-1, 1, 8)[:, None]
    game, point = network_game(*nets, z, 2 * z + 1), joint_point(*nets)
    ones = torch.ones(game.sizes[1])
    with torch.inference_mode():
        network_game(*nets, z, 2 * z + 1)
        hessian(game, "D", point, route="retained")
    found = hessian(game, "D", point, route="retained").matvec(ones)
    right = hessian(game, "D", point, route="recomputed").matvec(ones)
    assert torch.allclose(found, right, atol=1e-6)
