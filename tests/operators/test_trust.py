"""Products are checked where differences tell anything, and refused where they are wrong."""

import pytest
import torch
from torch import nn

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
