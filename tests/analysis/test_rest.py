"""The search for a stationary point: found, found far away, and not there."""

import numpy as np
import pytest
import torch

from helpers.analysis.rest import find_rest
from helpers.games.closed_form import dirac_gan, linear_game, quadratic_game, rotating_saddle
from helpers.games.game import Game
from helpers.games.networks import joint_point, network_game
from helpers.models import mlp


@pytest.mark.parametrize("start", [[0.5, 1.2, 0.3], [1.0, 1.0, 0.0]])
def test_a_known_point(start):
    """That of Example 1, from nearby and from itself."""
    found = find_rest(rotating_saddle(), start)
    assert found.is_stationary and found.residual <= 1e-10
    assert found.point.numpy() == pytest.approx([1, 1, 0], abs=1e-9)
    assert found.distance == pytest.approx(np.linalg.norm([1, 1, 0] - np.array(start)), abs=1e-9)


def test_on_a_flat_direction_the_shortest_way_is_taken():
    """Every point of a line is at rest: the nearest one is found."""
    game = quadratic_game(np.diag([2.0, 0.0]), [[1.0]], [[0.0, 0.0]], [[0.0], [0.0]])
    found = find_rest(game, [3.0, 5.0, -1.0])
    assert found.is_stationary
    assert found.point.numpy() == pytest.approx([0, 5, 0], abs=1e-9)


def test_no_point_there():
    """v = (x^2 + 1, y) has none: the search gets stuck where the field is shortest."""
    game = Game(lambda t, p: (t**3 / 3 + t).sum(), lambda t, p: (p**2 / 2).sum(), (1, 1))
    found = find_rest(game, [0.5, 0.7])
    assert not found.is_stationary and found.ending == "stuck"
    assert found.residual == pytest.approx(1) and found.point.numpy() == pytest.approx(
        [0, 0], abs=1e-3
    )


def test_no_point_in_reach():
    """v = (exp(-x), y) is at rest only at infinity: the search walks away, or is cut off."""
    game = Game(lambda t, p: -torch.exp(-t).sum(), lambda t, p: (p**2 / 2).sum(), (1, 1))
    found = find_rest(game, [0.0, 0.5], most=5)
    assert not found.is_stationary and found.ending == "cut off"
    x, y = found.point.tolist()
    assert found.residual == pytest.approx(np.hypot(np.exp(-x), y))
    left = find_rest(game, [0.0, 0.5], within=3.0)
    assert left.ending == "away" and 3 < left.distance < 10


@pytest.mark.parametrize(
    ("start", "within", "most"),
    [([3.0, 0.0], 2.5, 200), ([0.1, 0.0], 0.095, 200), ([3.0, 0.0], 0.2, 2)],
)
def test_a_point_outside_of_the_ball(start, within, most):
    """A last step may lead out of the ball, to rest or to where the search is cut off."""
    found = find_rest(linear_game(np.eye(2), 1), start, within=within, most=most)
    assert found.ending == "away" and not found.is_stationary and found.distance > within


def test_a_game_of_networks():
    """Where the search says at rest, the game's own field says so too."""
    nets = [net.double() for net in (mlp([1, 2, 1], seed=0, activation=torch.nn.Tanh),)]
    nets.append(mlp([1, 2, 1], seed=1, activation=torch.nn.Sigmoid).double())
    z, x = torch.linspace(-1, 1, 8).double()[:, None], torch.linspace(0, 1, 8).double()[:, None]
    game = network_game(*nets, z, x)
    found = find_rest(game, joint_point(*nets), most=400)
    norm = float(game.vector_field(found.point).norm())
    assert found.residual == pytest.approx(norm, rel=1e-6, abs=1e-14)
    assert found.residual < float(game.vector_field(joint_point(*nets)).norm())


def test_refusals():
    game = dirac_gan()
    with pytest.raises(ValueError, match="one point is expected"):
        find_rest(game, [[0.1, 0.1]])
    with pytest.raises(ValueError, match="tolerance is a finite number, above 0"):
        find_rest(game, [0.1, 0.1], tolerance=0)
    with pytest.raises(ValueError, match="most is a whole number, 1 or more"):
        find_rest(game, [0.1, 0.1], most=0)
    with pytest.raises(ValueError, match="within is a finite number, above 0"):
        find_rest(game, [0.1, 0.1], within=0)
    wild = Game(lambda t, p: torch.log(t).sum(), lambda t, p: (p**2).sum(), (1, 1))
    with pytest.raises(FloatingPointError, match="not finite at the start"):
        find_rest(wild, [0.0, 1.0])
