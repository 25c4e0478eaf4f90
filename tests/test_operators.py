"""Jacobians and Hessians as operators, against matrices written out by hand."""

import numpy as np
import pytest
import torch

from helpers.games import Game, dirac_gan, quadratic_game, rotating_saddle, unstable_nash
from helpers.operators import Derivative, hessian, jacobian

CLOSE = 1e-10
SINGLE = 1e-5


def saddle_jacobian(t1, t2, p):
    """Eq. 16, with its third column worked out anew from eq. 15."""
    return np.array(
        [
            [2 * p**2 - 1, -3 * p, 4 * p * t1 - 3 * t2 + 2],
            [-3 * p, 2 - p**2, -2 * p * t2 - 3 * t1 + 1],
            [5, 4, 0],
        ]
    )


def nash_jacobian(theta, phi):
    """Of the field theta + (phi^2 - 1) / 4, 2 theta + (phi^2 - 1) / 4."""
    return np.array([[1, phi / 2], [2, phi / 2]])


# A game with its Jacobian by hand; none of the matrices is symmetric.
S1, S2 = np.array([[2.0, 0.5], [0.5, -1.0]]), np.array([[1.0, 3.0, 0], [3, 0, 0], [0, 0, -2.0]])
A, B = np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(2, 3) ** 2 - 3
BY_HAND = {
    "saddle": (rotating_saddle(), saddle_jacobian),
    "nash": (unstable_nash(), nash_jacobian),
    "quadratic": (quadratic_game(S1, S2, A, B), lambda *_: np.block([[S1, B], [A, S2]])),
    "cubic": (  # its own Hessians depend on both players
        Game(
            lambda t, p: t[0] ** 2 * t[1] * p[0], lambda t, p: t[0] * p[0] ** 2 * p[1] ** 2, (2, 2)
        ),
        lambda a, b, c, d: np.array(
            [
                [2 * b * c, 2 * a * c, 2 * a * b, 0],
                [2 * a * c, 0, a**2, 0],
                [2 * c * d**2, 0, 2 * a * d**2, 4 * a * c * d],
                [2 * c**2 * d, 0, 4 * a * c * d, 2 * a * c**2],
            ]
        ),
    ),
}
by_hand = pytest.mark.parametrize("game, matrix", BY_HAND.values(), ids=BY_HAND.keys())


def points(game):
    return np.random.default_rng(3).normal(size=(4, game.dimension))


@by_hand
def test_products(game, matrix):
    """J u, J' u, J U and J itself, at random points."""
    rng = np.random.default_rng(0)
    for omega in points(game):
        J, operator = matrix(*omega), jacobian(game, omega)
        assert not np.allclose(J, J.T)
        u, U = rng.normal(size=len(J)), rng.normal(size=(len(J), 5))
        assert operator.shape == J.shape
        close(operator.matvec(torch.from_numpy(u)), J @ u)
        close(operator.rmatvec(torch.from_numpy(u)), J.T @ u)
        close(operator.matmat(torch.from_numpy(U)), J @ U)
        close(operator.dense(), J)


@by_hand
def test_hessians(game, matrix):
    """The blocks on the diagonal of the Jacobian, the other player held."""
    p = game.sizes[0]
    for omega in points(game):
        J = matrix(*omega)
        for player, block in (("G", J[:p, :p]), ("D", J[p:, p:])):
            H = hessian(game, player, omega)
            u = np.arange(1.0, len(block) + 1)
            assert H.shape == block.shape
            close(H.dense(), block)
            close(H.matvec(torch.from_numpy(u)), block @ u)
            close(H.rmatvec(torch.from_numpy(u)), block @ u)


def test_eq_17():
    """The rotating saddle at its stationary point: the paper's numbers."""
    J = jacobian(rotating_saddle(), [1, 1, 0])
    close(J.dense(), [[-1, 0, -1], [0, 2, -2], [5, 4, 0]])
    ones = torch.ones(3, dtype=torch.float64)
    assert J.matvec(ones).tolist() == [-2, 0, 9]
    assert J.rmatvec(ones).tolist() == [4, 6, -3]


@pytest.mark.parametrize("phi, wanted", [(1, [[1, 0.5], [2, 0.5]]), (-1, [[1, -0.5], [2, -0.5]])])
def test_eq_23(phi, wanted):
    """The unstable Nash game at its stationary points: the paper's numbers."""
    close(jacobian(unstable_nash(), [0, phi]).dense(), wanted)


@pytest.mark.parametrize("saturating", [False, True])
@pytest.mark.parametrize("loss, slope", [("js", 0.5), ("hinge", 1), ("rs", 0.5), ("rp-ls", 2)])
def test_dirac_gan(loss, slope, saturating):
    """At the equilibrium players only turn around one another; h' at 0 is how fast."""
    J = jacobian(dirac_gan(loss, saturating=saturating), [0, 0]).dense()
    close(J, [[0, -slope], [slope, 0]])


@by_hand
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_as_scipy(game, matrix, dtype):
    """The same products on numpy vectors, flat or as columns, in the type of the point."""
    omega = torch.from_numpy(points(game)[0]).to(dtype)
    J, operator = matrix(*omega.tolist()), jacobian(game, omega).as_scipy()
    u = np.random.default_rng(0).normal(size=len(J)).astype(operator.dtype)
    within = CLOSE if dtype == torch.float64 else SINGLE * np.abs(J).sum()
    assert operator.shape == J.shape
    assert operator.dtype == np.dtype(str(dtype).removeprefix("torch."))
    for product, wanted in [
        (operator.matvec(u), J @ u),
        (operator.matvec(u[:, None]), (J @ u)[:, None]),
        (operator.rmatvec(u), J.T @ u),
        (operator @ np.eye(len(J), dtype=u.dtype), J),
        (operator.T @ np.eye(len(J), dtype=u.dtype), J.T),
    ]:
        assert product.dtype == operator.dtype
        assert product.shape == wanted.shape
        assert np.abs(product - wanted).max() <= within


@by_hand
def test_float32(game, matrix):
    """A point of float32 has products of float32."""
    omega = torch.from_numpy(points(game)[0]).to(torch.float32)
    J, u = jacobian(game, omega), torch.ones(game.dimension)
    for product in (J.matvec(u), J.rmatvec(u), J.matmat(u[:, None]), J.dense()):
        assert product.dtype == torch.float32
    wanted = matrix(*omega.tolist())
    assert np.abs(J.dense().numpy() - wanted).max() <= SINGLE * np.abs(wanted).max()
    for player in "GD":
        assert hessian(game, player, omega).dense().dtype == torch.float32


def test_any_map():
    """An operator is made from any map, not only from a game's field."""
    turn = torch.tensor([[0.0, 2.0], [-3.0, 0.0]])
    operator = Derivative(lambda x: turn @ x + x.sum() ** 2, torch.tensor([1.0, 2.0]))
    assert operator.dense().tolist() == [[6.0, 8.0], [3.0, 6.0]]
    assert operator.rmatvec(torch.tensor([1.0, 0.0])).tolist() == [6.0, 8.0]


def test_callers_tensor_is_left_alone():
    """A leaf keeps its values and its .grad, and products bear no history of it."""
    leaf = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    leaf.grad = torch.full_like(leaf, 5)
    u = torch.ones(3, dtype=torch.float64)
    J = jacobian(rotating_saddle(), leaf)
    close(J.dense(), saddle_jacobian(1.0, 2.0, 3.0))
    for product in (
        J.matvec(u),
        J.rmatvec(u),
        J.dense(),
        hessian(rotating_saddle(), "G", leaf).dense(),
    ):
        assert not product.requires_grad
    assert leaf.tolist() == [1, 2, 3]
    assert leaf.grad.tolist() == [5, 5, 5]
    assert u.tolist() == [1, 1, 1]


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), (1, 3), (), (0,)])
def test_bad_vectors(shape):
    """The message says what an operator multiplies and what it was given."""
    J, u = jacobian(rotating_saddle(), [1, 1, 0]), torch.ones(shape, dtype=torch.float64)
    got = rf"multiplies tensors \(3,\), got {shape}".replace(f"{shape}", rf"\({str(shape)[1:-1]}\)")
    for product in (J.matvec, J.rmatvec):
        with pytest.raises(ValueError, match=got):
            product(u)


@pytest.mark.parametrize("shape, got", [((3,), r"\(3,\)"), ((2, 3), r"\(2, 3\)"), ((), r"\(\)")])
def test_bad_matrices(shape, got):
    with pytest.raises(ValueError, match=rf"multiplies tensors \(3, k\), got {got}"):
        jacobian(rotating_saddle(), [1, 1, 0]).matmat(torch.ones(shape, dtype=torch.float64))


@pytest.mark.parametrize(
    "omega, message",
    [
        ([[1, 1, 0]], r"one point is asked for, got a batch \(1, 3\)"),
        (np.zeros((2, 2, 3)), r"got a batch \(2, 2, 3\)"),
        ([1, 1], r"got \(2,\)"),
        ([1, np.nan, 0], "must be finite, got nan"),
        ([1, 1, np.inf], "must be finite, got inf"),
    ],
)
def test_bad_points(omega, message):
    """One finite point is wanted."""
    with pytest.raises(ValueError, match=message):
        jacobian(rotating_saddle(), omega)
    for player in "GD":
        with pytest.raises(ValueError, match=message):
            hessian(rotating_saddle(), player, omega)


def test_unknown_player():
    with pytest.raises(ValueError, match="'G' and 'D', got 'E'"):
        hessian(rotating_saddle(), "E", [1, 1, 0])


def close(found, wanted):
    """Assert that a tensor of float64 is a matrix to 1e-10."""
    wanted = np.asarray(wanted, dtype=np.float64)
    assert found.dtype == torch.float64
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=CLOSE, atol=CLOSE)
