"""Loss planes and projected trainings, against closed forms."""

import numpy as np
import pytest
import torch

from helpers.analysis import surfaces
from helpers.analysis.surfaces import LossPlane, eigen_plane, loss_plane, projected
from helpers.games.closed_form import quadratic_game
from helpers.games.game import Game
from helpers.games.networks import joint_point, network_game
from helpers.models import dcgan

S1 = np.diag([4.0, 1.0, -2.0])
S2 = np.diag([3.0, 0.5])
A = np.array([[0.3, -0.2, 0.5], [0.1, 0.0, 0.4]])
GAME = quadratic_game(S1, S2, A=A, B=-A.T)
POINT = torch.tensor([0.2, -0.1, 0.4, 0.3, -0.5], dtype=torch.float64)
X, Y = np.linspace(-1, 1, 5), np.array([-0.5, 0.0, 2.0])


def value(player, theta, phi):
    own, other, matrix = (theta, -A.T @ phi, S1) if player == "G" else (phi, A @ theta, S2)
    return own @ matrix @ own / 2 + own @ other


@pytest.mark.parametrize("player", ["G", "D"])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_plane_is_the_loss(player, batch_size, monkeypatch):
    monkeypatch.setattr(surfaces, "_AT_ONCE", batch_size)
    n = {"G": 3, "D": 2}[player]
    span = torch.linalg.qr(torch.randn(n, 2, generator=torch.Generator().manual_seed(0)).double())[
        0
    ]
    plane = loss_plane(GAME, POINT, span, player=player, x=X, y=Y)
    theta, phi = POINT[:3].numpy(), POINT[3:].numpy()
    for i, x in enumerate(X):
        for j, y in enumerate(Y):
            step = span.numpy() @ [x, y]
            moved = (theta + step, phi) if player == "G" else (theta, phi + step)
            np.testing.assert_allclose(plane.loss[i, j], value(player, *moved), atol=1e-12)


def test_what_each_plane_can_show():
    """Two leading eigenvectors see no saddle where there is one; the first and the last do."""
    top, ends = (eigen_plane(GAME, "G", POINT, which) for which in ("top", "ends"))
    np.testing.assert_allclose(top.values, [4, 1], atol=1e-6)
    np.testing.assert_allclose(ends.values, [4, -2], atol=1e-6)
    at_rest = np.zeros(5)
    planes = [
        loss_plane(GAME, at_rest, each.directions, player="G", x=X, y=X) for each in (top, ends)
    ]
    assert planes[0].loss.min() >= 0
    assert planes[1].loss.min() < -0.9
    assert planes[1].loss.max() > 0.9


@pytest.mark.parametrize("which", ["top", "ends"])
@pytest.mark.parametrize(
    "curvatures",
    [[1.0] * 3, [0.0] * 3, [-2.0] * 2, [1, 1 + 1e-6, 1 - 1e-6], [5.0, 5.02, 5.0], [1e-9] * 40],
)
def test_equal_curvatures_have_a_plane(curvatures, which):
    """One vector may be the first and the last at once; the plane has two directions anyway."""
    matrix = np.diag(curvatures)
    n = len(matrix)
    game = quadratic_game(matrix, np.eye(2), A=np.zeros((2, n)), B=np.zeros((n, 2)))
    for seed in range(3):
        found = eigen_plane(game, "G", np.zeros(n + 2), which, seed=seed)
        span = found.directions.numpy()
        np.testing.assert_allclose(span.T @ span, np.eye(2), atol=1e-12)
        along = np.einsum("ik,ij,jk->k", span, matrix, span)
        np.testing.assert_allclose(found.values, along, atol=1e-9)
        missed = np.linalg.norm(matrix @ span - span * along, axis=0)
        np.testing.assert_allclose(found.residuals, missed, atol=1e-9)
        assert (missed <= 1e-2 * np.abs(along)).all()


def test_projection_and_what_it_leaves_out():
    """A point off the plane: its share, and the three losses by hand."""
    span = torch.eye(3, dtype=torch.float64)[:, :2]
    points = torch.stack([POINT + torch.tensor([3.0, 0, 4.0, 1.0, 0]), POINT])
    path = projected(GAME, POINT, points, span, player="G")
    np.testing.assert_allclose(path.places, [[3, 0], [0, 0]])
    np.testing.assert_allclose(path.share[0], 0.6)
    assert np.isnan(path.share[1])
    theta, phi = POINT[:3].numpy(), POINT[3:].numpy()
    other = phi + np.array([1, 0])
    wanted = [
        value("G", theta + np.array([3, 0, 0]), phi),
        value("G", theta + np.array([3, 0, 4]), phi),
        value("G", theta + np.array([3, 0, 4]), other),
    ]
    found = [path.plane_loss[0], path.held_loss[0], path.true_loss[0]]
    np.testing.assert_allclose(found, wanted)
    assert path.plane_loss[1] == path.true_loss[1]
    np.testing.assert_allclose(path.true_loss[1], value("G", theta, phi))


@pytest.mark.slow
def test_networks(monkeypatch):
    """Planes of convolutional nets with batch norm, whatever the batch."""
    nets = dcgan(seed=0, width=2, latent=3, normed=False)
    z, x = torch.randn(6, 3), torch.rand(6, 1, 32, 32)
    game, point = network_game(*nets, z, x), joint_point(*nets)
    for player in "GD":
        plane = eigen_plane(game, player, point, "ends")
        options = {"player": player, "x": [-0.1, 0, 0.1], "y": [0, 0.2]}
        found = []
        for batch_size in (1, 4):
            monkeypatch.setattr(surfaces, "_AT_ONCE", batch_size)
            found.append(loss_plane(game, point, plane.directions, **options).loss)
        np.testing.assert_allclose(*found, rtol=1e-4)
        np.testing.assert_allclose(found[0][1, 0], float(game.loss(player, point)), rtol=1e-5)


def test_logarithm():
    plane = LossPlane(np.zeros(1), np.zeros(2), np.array([[10.0, 0.1]]))
    np.testing.assert_allclose(plane.logarithm, [[1, -1]])
    with pytest.raises(ValueError, match="logarithm"):
        _ = LossPlane(np.zeros(1), np.zeros(1), np.array([[0.0]])).logarithm


def test_refused():
    span = torch.eye(3, dtype=torch.float64)[:, :2]
    for bad, message in (
        ({"directions": 2 * span}, "orthonormal"),
        ({"directions": span[:2]}, "are"),
        ({"x": [np.nan]}, "finite"),
        ({"player": "E"}, "players"),
    ):
        given = {"directions": span, "x": X, "y": Y, "player": "G"} | bad
        with pytest.raises(ValueError, match=message):
            loss_plane(GAME, POINT, **given)
    with pytest.raises(ValueError, match="one of top, ends"):
        eigen_plane(GAME, "G", POINT, "bottom")
    alone = quadratic_game(np.eye(1), np.eye(2), np.zeros((2, 1)), np.zeros((1, 2)))
    for which in ("top", "ends"):
        with pytest.raises(ValueError, match="two weights or more, G has 1"):
            eigen_plane(alone, "G", np.zeros(3), which)
    with pytest.raises(ValueError, match="one point"):
        loss_plane(GAME, torch.stack([POINT, POINT]), span, player="G", x=X, y=Y)


def test_losses_beyond_floats_are_named():
    steep = Game(lambda t, p: t.exp().sum(), lambda t, p: (p**2).sum(), (2, 1))
    options = {"player": "G", "x": [0.0, 300.0], "y": [1.0, 500.0, 800.0]}
    with pytest.raises(FloatingPointError, match="loss of G is inf at x = 0, y = 800"):
        loss_plane(steep, [0.0, 0.0, 0.0], torch.eye(2), **options)
    with pytest.raises(FloatingPointError, match="loss of G on the plane is inf at point 1"):
        points = torch.tensor([[1.0, 1, 1], [900.0, 1, 1]]).double()
        diagonal = torch.tensor([[0.8, -0.6], [0.6, 0.8]]).double()[:, :2]
        projected(steep, [0.0, 0.0, 0.0], points, diagonal, player="G")
    with pytest.raises(FloatingPointError, match="gradient of G at the point is not finite"):
        eigen_plane(steep, "G", [800.0, 0.0, 0.0])
