"""Cures that are games: their fields against products with the Jacobian and against differences."""

import numpy as np
import pytest
import torch

from helpers.games import Game, consensus_game, linear_game, network_game, unrolled_game
from helpers.games.networks import joint_point
from helpers.models import mlp
from helpers.operators import jacobian


def toy():
    return Game(
        lambda t, p: torch.sin(t[0] * p[1]) + torch.exp(t[1] / 2) * p.square().sum(),
        lambda t, p: torch.tanh(p @ p + t[0] * p[2]) - torch.log1p(t @ t) * p[0],
        (2, 3),
    )


def random_jacobian(seed, p=2, q=3):
    J = np.random.default_rng(seed).normal(size=(p + q, p + q))
    for own in (slice(p), slice(p, None)):
        J[own, own] += J[own, own].T
    return J


def small_gan():
    nets = mlp([1, 3, 1], seed=0).double(), mlp([1, 3, 1], seed=1).double()
    z = torch.linspace(-1, 1, 6)[:, None].double()
    return network_game(*nets, z, 2 * z + 1), joint_point(*nets)


def games():
    draws = np.random.default_rng(0)
    return [(toy(), torch.from_numpy(draws.uniform(-1, 1, 5))), small_gan()]


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_consensus_adds_a_product_with_the_transposed_jacobian(weight):
    for game, point in games():
        v = game.vector_field(point)
        wanted = v + weight * jacobian(game, point).dense().T @ v
        found = consensus_game(game, weight).vector_field(point)
        assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_consensus_of_a_linear_game():
    """J + weight J' J, whose pull along a rotation is the square of its speed."""
    J = random_jacobian(1)
    found = jacobian(consensus_game(linear_game(J, 2), 0.7), np.ones(5)).dense().numpy()
    assert found == pytest.approx(J + 0.7 * J.T @ J, abs=1e-10)


def ahead(game, point, steps, rate):
    """D's weights after some steps of its own, by its gradient alone."""
    theta, phi = game.split(point)
    for _ in range(steps):
        phi = phi - rate * game.gradient("D", torch.cat([theta, phi]))
    return torch.cat([theta, phi])


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_unrolled_losses_and_slopes(steps):
    """G's loss is that against D as it will be, and its slope is what differences say."""
    for game, point in games():
        other = unrolled_game(game, steps, 0.2)
        assert other.loss("G", point) == pytest.approx(
            float(game.loss("G", ahead(game, point, steps, 0.2)))
        )
        assert torch.equal(other.gradient("D", point), game.gradient("D", point))
        slopes = []
        for k in range(game.sizes[0]):
            move = torch.zeros_like(point)
            move[k] = 1e-6
            ends = [
                float(game.loss("G", ahead(game, point + sign * move, steps, 0.2)))
                for sign in (1, -1)
            ]
            slopes.append((ends[0] - ends[1]) / 2e-6)
        assert other.gradient("G", point).tolist() == pytest.approx(slopes, abs=1e-7)


def test_unrolled_linear_game_by_hand():
    """With D's step matrix M = I - rate S2: J = [[S1 - B N A - (B N A)', B M^K], [A, S2]]."""
    J, p, K, rate = random_jacobian(2), 2, 3, 0.1
    S1, B, A, S2 = J[:p, :p], J[:p, p:], J[p:, :p], J[p:, p:]
    M = np.eye(3) - rate * S2
    N = rate * sum(np.linalg.matrix_power(M, j) for j in range(K))
    cross = B @ N @ A
    wanted = np.block([[S1 - cross - cross.T, B @ np.linalg.matrix_power(M, K)], [A, S2]])
    # What G's gradient has of phi is that of phi_K, through the same derivative.
    found = jacobian(unrolled_game(linear_game(J, p), K, rate), np.ones(5)).dense().numpy()
    assert found == pytest.approx(wanted, abs=1e-10)


def test_refusals():
    with pytest.raises(ValueError, match="game must be of the class Game, got 3"):
        consensus_game(3, 0.1)
    with pytest.raises(ValueError, match="weight is a finite number, 0 or more, got -1"):
        consensus_game(toy(), -1)
    with pytest.raises(ValueError, match="steps"):
        unrolled_game(toy(), -1, 0.1)
    with pytest.raises(ValueError, match="rate is a finite number, above 0, got 0"):
        unrolled_game(toy(), 1, 0)
