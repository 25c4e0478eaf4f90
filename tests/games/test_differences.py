"""Products held against differences: right ones pass wherever units switch, wrong ones never."""

import pytest
import torch
from torch import nn

from helpers.games.differences import compared, steady
from helpers.games.networks import joint_point, network_game
from helpers.operators import hessian, jacobian


def test_rows_are_judged_by_themselves():
    at = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, torch.nan]], dtype=torch.float64)
    factor = torch.tensor([[2.0], [2.001], [2.0]], dtype=torch.float64)
    found = compared(lambda x: x**2, at, lambda u: factor * at * u)
    assert found.is_right.tolist() == [True, False, False]
    assert found.is_finite.tolist() == [True, True, False]
    assert 1e-4 < found.off[1] < 1e-2


@pytest.mark.parametrize("scale", [1e-10, 1e-18])  # at the second they show nothing at all
def test_differences_that_show_rounding_are_no_evidence(scale):
    """A wrong product where they agree is wrong; where they do not, nothing can be said."""
    at = torch.ones(1, 3, dtype=torch.float64)
    assert not compared(lambda x: x**2, at, lambda u: 2.1 * u).is_right.item()
    assert steady(lambda x: x**2, at).item()

    def flat(x):
        return (1 + scale * x) - 1

    assert not steady(flat, at).item()


@pytest.mark.parametrize("part, right", [(1.0, True), (0.9, False)])
def test_transposes(part, right):
    A = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
    at = torch.ones(1, 3, dtype=torch.float64)
    found = compared(lambda x: x @ A.T, at, lambda u: u @ A.T, lambda u: part * u @ A)
    assert found.is_right.all() and found.is_transpose.item() is right


@pytest.mark.parametrize("distance", [1e-10, -1e-10])
@pytest.mark.parametrize("factor, right", [(1.0, True), (1.001, False)])
def test_a_unit_that_switches_at_the_point(distance, factor, right):
    """Every difference across the point is wrong there, those to one side are not."""

    def slope(x):
        return x + torch.where(x > 1 + distance, x, 0.2 * x)

    at = torch.ones(1, 1, dtype=torch.float64)
    own = 2.0 if distance < 0 else 1.2
    found = compared(slope, at, lambda u: factor * own * u)
    assert found.is_right.item() is right


def test_networks_with_a_unit_that_switches_at_their_point():
    """Every central difference of theirs is spoiled, and they are right."""
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Linear(2, 6), nn.LeakyReLU(0.2), nn.Linear(6, n)) for n in (2, 1)]
    G, D = (net.double() for net in nets)
    z, x = torch.randn(2, 8, 2, dtype=torch.float64)
    with torch.no_grad():
        G[0].bias[2] -= G[0](z)[3, 2] - 1e-10
    game, point = network_game(G, D, z, x), joint_point(G, D)
    for operator in (hessian(game, "G", point), jacobian(game, point)):
        assert operator.matvec(torch.ones_like(operator.like)).isfinite().all()
