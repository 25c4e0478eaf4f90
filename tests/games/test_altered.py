"""Cures that are games: their fields against products with the Jacobian and against differences."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.games import Game, average, consensus_game, linear_game, network_game, unrolled_game
from helpers.games.networks import joint_point
from helpers.models import mlp
from helpers.models.functional import PassSettings
from helpers.operators import hessian, jacobian


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


class Direct(nn.Module):
    """A layer norm by the function of torch that stands behind `nn.LayerNorm`."""

    def forward(self, x):
        return torch.layer_norm(x, (6,))


NORMS = {
    "batch": lambda: nn.BatchNorm1d(6),
    "instance": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.InstanceNorm1d(2, affine=True), nn.Flatten()
    ),
    "layer": lambda: nn.LayerNorm(6),
    "group": lambda: nn.GroupNorm(2, 6),
    "direct": Direct,
}
CHANGES = {
    "consensus": lambda game: consensus_game(game, 0.3),
    "unrolled": lambda game: unrolled_game(game, 2, 0.1),
    "both": lambda game: unrolled_game(consensus_game(game, 0.1), 1, 0.1),
}


def normed(norm, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        D = nn.Sequential(nn.Linear(2, 6), NORMS[norm](), nn.Tanh(), nn.Linear(6, 1)).double()
        z, x = torch.randn(2, 8, 2).double()
    G = mlp([2, 3, 2], seed=0, activation=nn.Tanh).double()
    return network_game(G, D, z, x + 2, **options), joint_point(G, D)


def differences(game, omega, u):
    ahead, behind = (game.vector_field(omega + step * u) for step in (1e-6, -1e-6))
    return (ahead - behind) / 2e-6


@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("norm", sorted(set(NORMS) - {"direct"}))
def test_norms_are_right_in_a_changed_game(norm, change, size):
    """Its products are third derivatives, and beyond, which torch's own norms get wrong."""
    game, omega = normed(norm, batch_size=size)
    changed, p = CHANGES[change](game), game.sizes[0]
    u = torch.from_numpy(np.random.default_rng(1).normal(size=len(omega)))
    found = jacobian(changed, omega).matvec(u)
    wanted = differences(changed, omega, u)
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()
    own = torch.cat([u[:p], torch.zeros_like(u[p:])])
    wanted = differences(changed, omega, own)[:p]
    found = hessian(changed, "G", omega).matvec(u[:p])
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()


@pytest.mark.parametrize("change", CHANGES)
def test_what_stays_wrong_is_refused(change):
    """Products of the game itself are right; those of a changed game are checked anew."""
    game, omega = normed("direct")
    jacobian(game, omega)
    for each in (game, average([toy_of(game), game], [0.5, 0.5])):
        with pytest.raises(ValueError, match="no right products of the game's Jacobian"):
            jacobian(CHANGES[change](each), omega)
    jacobian(CHANGES[change](normed("direct", passes=PassSettings(check=False))[0]), omega)
    jacobian(CHANGES[change](toy_of(game)), omega)


def toy_of(game):
    """A game of the same sizes, not of networks."""
    return Game(lambda t, p: t.sum() * p.sum(), lambda t, p: -t.sum() * p.sum(), game.sizes)


def test_refusals():
    with pytest.raises(ValueError, match="game must be of the class Game, got 3"):
        consensus_game(3, 0.1)
    with pytest.raises(ValueError, match="weight is a finite number, 0 or more, got -1"):
        consensus_game(toy(), -1)
    with pytest.raises(ValueError, match="steps"):
        unrolled_game(toy(), -1, 0.1)
    with pytest.raises(ValueError, match="rate is a finite number, above 0, got 0"):
        unrolled_game(toy(), 1, 0)
