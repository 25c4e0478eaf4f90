"""Jacobians and Hessians as operators, against matrices by hand and differences of live modules."""

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.games.closed_form import dirac_gan, quadratic_game, rotating_saddle, unstable_nash
from helpers.games.game import Game, average
from helpers.games.networks import joint_point, network_game
from helpers.models import mlp
from helpers.operators import ROUTES, Block, Derivative, Matrix, Sum, hessian, jacobian
from tests.oracles.live import LOSS, NETWORKS, data, gan, live_jacobian, point

CLOSE = 1e-10
SINGLE = 1e-5
LIVE = 1e-7  # of central differences, relative to the norm
ROUNDED = 1e-5, 2e-2  # errors in bfloat16: visible, and small
# Tracing takes a second for every product's first time: there, each sort of network once.
TRACED = ("linearized", "bfloat16")


@pytest.fixture(autouse=True)
def bfloat16_pays(monkeypatch):
    """Whether it does on this machine is `test_bfloat16`'s matter."""
    monkeypatch.setattr("helpers.operators.tracing.is_faster", lambda *_: True)


@pytest.mark.slow
def test_a_preview_that_would_be_slower(monkeypatch):
    """It is not rounded, and the operator says so."""
    game, omega = network_game(*gan("layers"), *data("layers")), point("layers").float()
    u = torch.ones(game.sizes[1])
    rounded = hessian(game, "D", omega, route="bfloat16")
    plain = hessian(game, "D", omega, route="linearized")
    assert not torch.equal(rounded.matvec(u), plain.matvec(u))
    assert rounded.route == "bfloat16"
    monkeypatch.setattr("helpers.operators.tracing.is_faster", lambda *_: False)
    other = hessian(game, "D", omega, route="bfloat16")
    assert torch.equal(other.matvec(u), plain.matvec(u))
    assert other.route == "linearized"


CHEAP = [route for route in ROUTES if route not in TRACED]
CASES = [
    *((kind, route, part) for kind in NETWORKS for route in CHEAP for part in "JGD"),
    *(("convolutions", route, part) for route in TRACED for part in "JG"),
    *(("layers", route, "D") for route in TRACED),
]
routes = pytest.mark.parametrize("route", ROUTES)
networks = pytest.mark.parametrize("kind", NETWORKS)


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
        ([[1, 1, 0]], r"one point is expected, got a batch \(1, 3\)"),
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


def live_game(kind, size=None):
    """The game of the networks that `tests.oracles.live` differentiates."""
    return network_game(*gan(kind), *data(kind), loss=LOSS[kind], batch_size=size)


def vectors(n, *shape):
    return torch.from_numpy(np.random.default_rng(n).normal(size=(n, *shape)))


def error(found, wanted):
    """Relative, in the norm."""
    assert found.shape == wanted.shape
    assert not found.requires_grad
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.mark.slow
@pytest.mark.parametrize("kind, route, part", CASES)
def test_every_route_against_live_modules(kind, route, part):
    """Batch norm in training mode, spectral norm, convolutions: what differences of `backward` say.

    The gradient of a jvp, which torch gets wrong for batch norm, is off by a quarter here.
    """
    game, J = live_game(kind), live_jacobian(kind)
    p, n = game.sizes[0], len(J)
    if part == "J":
        operator, wanted = jacobian(game, point(kind), route=route), J
        assert error(J.T, J) > 0.1  # or J' could pass for J
    else:
        own = slice(0, p) if part == "G" else slice(p, n)
        operator, wanted = hessian(game, part, point(kind), route=route), J[own, own]
    low, high = ROUNDED if route == "bfloat16" else (0, LIVE)
    u, U = vectors(len(wanted)), vectors(len(wanted), 3)
    assert low <= error(operator.matvec(u), wanted @ u) <= high
    assert low <= error(operator.dense(), wanted) <= high
    assert error(operator.rmatvec(u), wanted.T @ u) <= high
    if part != "J" or route not in TRACED:
        assert low <= error(operator.matmat(U), wanted @ U) <= high
        assert torch.equal(operator.matmat(U), operator.matmat(U))


@networks
@pytest.mark.parametrize("route", CHEAP)
def test_batches_of_unequal_size(kind, route):
    """Weighted means over batches of five and three, each with its own statistics; always the same.

    Of one batch they are something else.
    """
    J = live_jacobian(kind, 5)
    assert error(J, live_jacobian(kind)) > 1e-2
    operator = jacobian(live_game(kind, 5), point(kind), route=route)
    u, U = vectors(len(J)), vectors(len(J), 3)
    first = operator.matvec(u), operator.rmatvec(u)
    assert error(first[0], J @ u) <= LIVE
    assert error(first[1], J.T @ u) <= LIVE
    assert torch.equal(first[0], operator.matvec(u))
    assert torch.equal(first[1], operator.rmatvec(u))
    assert error(operator.dense(), J) <= LIVE
    assert error(operator.matmat(U), J @ U) <= LIVE


@pytest.mark.slow
@pytest.mark.parametrize("route", TRACED)
def test_traces_of_batches(route):
    """One for each batch, and the same bits at every call."""
    game, J = live_game("layers", 5), live_jacobian("layers", 5)
    wanted = J[game.sizes[0] :, game.sizes[0] :]
    operator, u = hessian(game, "D", point("layers"), route=route), vectors(len(wanted))
    low, high = ROUNDED if route == "bfloat16" else (0, LIVE)
    assert low <= error(operator.matvec(u), wanted @ u) <= high
    assert torch.equal(operator.matvec(u), operator.rmatvec(u))


@networks
@pytest.mark.parametrize("size", [None, 5])
def test_hessians_over_batches(kind, size):
    """They stay the diagonal blocks of the Jacobian."""
    game, J = live_game(kind, size), live_jacobian(kind, size or 8)
    p = game.sizes[0]
    for player, wanted in (("G", J[:p, :p]), ("D", J[p:, p:])):
        operator = hessian(game, player, point(kind))
        assert operator.symmetric
        assert error(operator.dense(), wanted) <= LIVE
        assert (
            error(operator.matmat(vectors(len(wanted), 2)), wanted @ vectors(len(wanted), 2))
            <= LIVE
        )


def places(kind, *names):
    """Where the modules of these names have their weights, counted by the live modules."""
    held, start = [], 0
    for player, net in zip("GD", gan(kind), strict=True):
        for name, weight in net.named_parameters():
            if f"{player}.{name}".startswith(names):
                held += range(start, start + weight.numel())
            start += weight.numel()
    return torch.tensor(held)


@networks
@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.parametrize("names", [("G.1",), ("D.0",), ("D", "G.1"), ("D.0", "G", "G.1")])
def test_blocks_are_submatrices(kind, size, names):
    """Rows and the same columns of modules, in omega's order whatever the order of the names."""
    game, J = live_game(kind, size), live_jacobian(kind, size or 8)
    rows = places(kind, *(f"{name}." for name in names))
    operator, wanted = jacobian(game, point(kind), blocks=names), J[rows][:, rows]
    u, U = vectors(len(rows)), vectors(len(rows), 2)
    assert operator.shape == wanted.shape
    assert error(operator.dense(), wanted) <= LIVE
    assert error(operator.matvec(u), wanted @ u) <= LIVE
    assert error(operator.rmatvec(u), wanted.T @ u) <= LIVE
    assert error(operator.matmat(U), wanted @ U) <= LIVE


@networks
@pytest.mark.parametrize("names", [["G.1", "G.0"], ["G.2", "G.1.weight"], ["D.0"], ["D.3", "D.0"]])
def test_blocks_of_hessians(kind, names):
    """Counted from omega's beginning, though D's Hessian begins behind G's weights."""
    names = [name for name in names if len(places(kind, f"{name}"))]
    rows, game = places(kind, *names), live_game(kind)
    operator = hessian(game, names[0][0], point(kind), blocks=names)
    assert error(operator.dense(), live_jacobian(kind)[rows][:, rows]) <= LIVE


def test_block_names_end_at_dots():
    """G.1 is no part of G.10."""
    layers = {"G.10.weight": slice(0, 1), "G.1.weight": slice(1, 2), "D.1": slice(2, 3)}
    whole = rotating_saddle()
    game = Game(whole.generator_loss, whole.discriminator_loss, (2, 1), "a saddle", layers)
    close(jacobian(game, [1, 1, 0], blocks=["G.1"]).dense(), [[2]])
    close(jacobian(game, [1, 1, 0], blocks=["D", "G.10"]).dense(), [[-1, -1], [5, 0]])


@pytest.mark.parametrize("name", ["G.9", "G.", "", "weight", "E", "G.1.weigh"])
def test_unknown_blocks(name):
    """The message names the block and those there are."""
    game, at = live_game("layers"), point("layers")
    known = rf"no block {name!r}; its blocks: G.0.weight, G.0.bias, .*D.0.weight, .*D.3.bias"
    for make in (jacobian, lambda *a, **k: hessian(a[0], "G", a[1], **k)):
        with pytest.raises(ValueError, match=known):
            make(game, at, blocks=["G.0", name])


def test_no_blocks():
    """An empty list is no block, and a game by formula has none."""
    with pytest.raises(ValueError, match="at least one block, or is None"):
        jacobian(live_game("layers"), point("layers"), blocks=[])
    with pytest.raises(ValueError, match="the rotating saddle has no block 'G'; its blocks: none"):
        jacobian(rotating_saddle(), [1, 1, 0], blocks=["G"])


@pytest.mark.parametrize("player, names", [("G", ["D.0"]), ("D", ["G.0"]), ("G", ["G", "D.3"])])
def test_blocks_of_the_other_player(player, names):
    with pytest.raises(ValueError, match=rf"{player}'s Hessian has .* {player}'s blocks only, got"):
        hessian(live_game("layers"), player, point("layers"), blocks=names)


@routes
@pytest.mark.parametrize("used", [False, True])
def test_point_is_copied(route, used):
    """Who trains on in place changes neither an operator in use nor one yet to be used."""
    game, matrix = BY_HAND["cubic"]
    omega = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    J, u = matrix(*omega.tolist()), torch.tensor([1.0, -1.0], dtype=torch.float64)
    joint, own = jacobian(game, omega, route=route), hessian(game, "D", omega, route=route)
    other = hessian(game, "G", omega, route=route)
    if used:
        joint.rmatvec(omega.clone()), joint.matvec(omega.clone()), own.matvec(u), other.matvec(u)
    v = omega.clone()
    omega.mul_(-7)
    close(joint.matvec(v), J @ v.numpy())
    close(joint.rmatvec(v), J.T @ v.numpy())
    close(own.matvec(u), J[2:, 2:] @ u.numpy())
    close(other.matvec(u), J[:2, :2] @ u.numpy())
    close(other.dense(), J[:2, :2])


def test_auto_is_by_size():
    """It traces where that pays, and the products are the same."""
    for n, route in ((9_999, "recomputed"), (10_000, "linearized")):
        x = torch.linspace(-1, 1, n, dtype=torch.float64)
        cubes = Derivative(lambda x: x**3, x, symmetric=True)
        assert cubes.route == route
        close(cubes.matvec(x), 3 * x.numpy() ** 3)


def test_unknown_route():
    for make in (jacobian, lambda *a, **k: hessian(a[0], "D", a[1], **k)):
        with pytest.raises(ValueError, match="'recomputed', got 'fast'"):
            make(rotating_saddle(), [1, 1, 0], route="fast")


@pytest.mark.slow
@routes
def test_products_without_gradients(route):
    """Under no_grad and in inference mode they are what they are outside."""
    ones = torch.ones(3, dtype=torch.float64)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            J = jacobian(rotating_saddle(), [1, 1, 0], route=route)
            assert J.matvec(ones).tolist() == [-2, 0, 9]
            assert J.rmatvec(ones).tolist() == [4, 6, -3]
            assert J.matmat(torch.stack([ones, -ones], dim=1)).T.tolist() == [
                [-2, 0, 9],
                [2, 0, -9],
            ]
            assert (J.dense() @ ones).tolist() == [-2, 0, 9]
            H = hessian(rotating_saddle(), "G", [1, 1, 0], route=route)
            assert torch.equal(H.dense(), H.matmat(torch.eye(2, dtype=torch.float64)))
            assert H.dense().tolist() == [[-1, 0], [0, 2]]


def resident():
    """Bytes of memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def tensors():
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says what it holds")
@pytest.mark.parametrize("route", [route for route in ROUTES if route != "auto"])
def test_memory_stays(route):
    """A thousand products leave no tensor behind; a graph kept for each would be 100 MB and more.

    Tensors that only torch's graphs hold are unknown to Python: hence both counts.
    """
    nets = mlp([1, 1], seed=0), mlp([1, 200, 1], seed=1)
    x = torch.linspace(-1, 1, 128)[:, None]
    game, at = network_game(*nets, x, x), joint_point(*nets)
    operator = jacobian(game, at, route=route)
    for _ in range(20):
        operator.matvec(at), operator.rmatvec(at)
    held, there = tensors(), resident()
    for _ in range(500):
        operator.matvec(at), operator.rmatvec(at)
    assert tensors() <= held
    assert resident() - there < 2**25


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("route", ["retained", "recomputed"])
def test_products_come_in_single_precision_at_least(route, dtype):
    """A bfloat16 point is multiplied in bfloat16, and its products are kept in float32."""
    game, J = live_game("layers"), live_jacobian("layers")
    p, at = game.sizes[0], point("layers").to(dtype)
    operator, wanted = hessian(game, "D", at, route=route), J[p:, p:]
    u, kept = vectors(len(wanted)), torch.float64 if dtype == torch.float64 else torch.float32
    found = [operator.matvec(u), operator.dense() @ u.to(kept), jacobian(game, at).rmatvec(at)]
    assert operator.dtype == kept
    assert [each.dtype for each in found] == [kept] * 3
    if dtype == torch.bfloat16:
        assert 1e-3 < error(found[0].double(), wanted @ u) < 5e-2
        assert torch.equal(found[0], found[0].bfloat16().float())
    else:
        assert error(found[0].double(), wanted @ u) < SINGLE


ENTRIES = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]]


def test_matrix():
    """A copy of what was given, its products, and whether it is symmetric."""
    array = np.array(ENTRIES)
    A, u = Matrix(array), vectors(3)
    array[:] = 0
    wanted = np.array(ENTRIES)
    close(A.dense(), wanted)
    close(A.matvec(u), wanted @ u.numpy())
    close(A.rmatvec(u), wanted.T @ u.numpy())
    close(A.matmat(u[:, None]), wanted @ u.numpy()[:, None])
    assert A.shape == (3, 3)
    assert not A.symmetric
    assert Matrix(wanted + wanted.T).symmetric
    entries = torch.ones(2, 2)
    kept = Matrix(entries)
    entries.zero_()
    assert kept.dtype == torch.float32
    assert kept.dense().tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    "entries, message",
    [
        ([[1.0, 2.0]], r"\(n, n\) is expected, got \(1, 2\)"),
        ([1.0], r"got \(1,\)"),
        (np.zeros((0, 0)), r"got \(0, 0\)"),
        (np.zeros((2, 2, 2)), r"got \(2, 2, 2\)"),
        ([[np.nan]], "finite real numbers .*nan"),
        ([[np.inf]], "finite real numbers .*inf"),
        (torch.ones(1, 1, dtype=torch.int64), "real numbers .* got tensor"),
        (torch.ones(1, 1, dtype=torch.complex64), "real numbers .* got tensor"),
        ([[1 + 2j]], "the entries of a matrix are real numbers, got"),
    ],
)
def test_entries_that_make_no_matrix(entries, message):
    with pytest.raises(ValueError, match=message):
        Matrix(entries)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_complex_vectors(dtype):
    """Both parts are multiplied: eigenvectors of a matrix that rotates, from either side."""
    A = Matrix(torch.tensor([[1.0, -2.0], [2.0, 1.0]], dtype=dtype))
    v = torch.tensor([1, -1j])  # of the eigenvalue 1 + 2i
    found, kind = A.matvec(v), torch.promote_types(dtype, torch.complex64)
    assert found.dtype == kind and torch.equal(found, ((1 + 2j) * v).to(kind))
    assert torch.equal(A.rmatvec(v.conj()), ((1 + 2j) * v.conj()).to(kind))
    assert torch.equal(A.matmat(torch.stack([v, 1j * v], dim=1))[:, 1], 1j * found)


def test_sum():
    """Every product is the weighted sum; it is symmetric if all parts are."""
    A, B, u, U = np.array(ENTRIES), np.eye(3) + 1, vectors(3), vectors(3, 2)
    total, wanted = Sum([2, -0.5], [Matrix(A), Matrix(B)]), 2 * A - B / 2
    close(total.dense(), wanted)
    close(total.matvec(u), wanted @ u.numpy())
    close(total.rmatvec(u), wanted.T @ u.numpy())
    close(total.matmat(U), wanted @ U.numpy())
    assert not total.symmetric
    assert Sum([1, 1], [Matrix(B), Matrix(B)]).symmetric
    with pytest.raises(ValueError, match="shorter"):
        Sum([1, 1], [Matrix(B)])


def test_block():
    """Some rows and the same columns, for every product, as an operator of its own length."""
    part, wanted = Block(Matrix(ENTRIES), torch.tensor([0, 2])), np.array([[1.0, 3.0], [7.0, 10.0]])
    u, U = vectors(2), vectors(2, 3)
    assert part.shape == (2, 2)
    assert not part.symmetric
    assert Block(Matrix(np.eye(3)), torch.tensor([1])).symmetric
    close(part.dense(), wanted)
    close(part.matvec(u), wanted @ u.numpy())
    close(part.rmatvec(u), wanted.T @ u.numpy())
    close(part.matmat(U), wanted @ U.numpy())
    with pytest.raises(ValueError, match=r"multiplies tensors \(2,\), got \(3,\)"):
        part.matvec(vectors(3))
    assert torch.equal(Block(Matrix(ENTRIES), [0, -1]).dense(), part.dense())
    for twice in ([1, 1], [2, 0, -1]):
        with pytest.raises(ValueError, match="each of its rows once, got"):
            Block(Matrix(ENTRIES), torch.tensor(twice))


def test_more_columns_than_fit_at_once():
    """Dense matrices come in pieces; these are put together in order."""
    x = torch.linspace(1, 2, 150, dtype=torch.float64)
    close(Derivative(lambda x: x**2 + x.flip(0), x).dense(), np.diag(2 * x) + np.eye(150)[::-1])


def test_operators_of_averages():
    """The weighted sum of the parts', averages of averages included."""
    game, matrix = BY_HAND["cubic"]
    other, theirs = quadratic_game(S1, np.eye(2), np.eye(2), -np.eye(2)), np.zeros((4, 4))
    theirs[:2, :2], theirs[2:, 2:], theirs[2:, :2], theirs[:2, 2:] = (
        S1,
        *np.eye(2)[None].repeat(3, 0),
    )
    theirs[:2, 2:] *= -1
    nested = average([average([game, other], [1, 2]), other], [0.5, -3])
    omega = points(game)[0]
    wanted = 0.5 * matrix(*omega) - 2 * theirs
    close(jacobian(nested, omega).dense(), wanted)
    close(hessian(nested, "G", omega).dense(), wanted[:2, :2])
    close(hessian(nested, "D", omega).dense(), wanted[2:, 2:])


def close(found, wanted):
    """Assert that a tensor of float64 is a matrix to 1e-10."""
    wanted = np.asarray(wanted, dtype=np.float64)
    assert found.dtype == torch.float64
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=CLOSE, atol=CLOSE)
