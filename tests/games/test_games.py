"""Games: their losses and fields against formulas worked out by hand, and finite differences."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
import torch

from helpers.games.closed_form import (
    dirac_gan,
    linear_game,
    quadratic_game,
    rotating_saddle,
    unstable_nash,
)
from helpers.games.game import Game, average
from tests.common import LOSSES

CLOSE = 1e-10
STEP = 1e-5  # of central differences: the error of the losses below is about its square
SIZES = [(1, 1), (1, 3), (2, 1), (3, 3), (5, 2)]
losses = pytest.mark.parametrize("loss", LOSSES)
kinds = pytest.mark.parametrize("saturating", [False, True])


def random_blocks(rng, p, q):
    """S1, S2, A and B of a quadratic game, of no structure but the symmetry of S1 and S2."""
    S1, S2 = rng.normal(size=(p, p)), rng.normal(size=(q, q))
    return S1 + S1.T, S2 + S2.T, rng.normal(size=(q, p)), rng.normal(size=(p, q))


def toy_game():
    """A game of (2, 3) parameters with no structure at all, in functions vmap has to batch."""
    return Game(
        lambda t, p: torch.sin(t[0] * p[1]) + torch.exp(t[1] / 2) * p.square().sum(),
        lambda t, p: torch.tanh(p @ p + t[0] * p[2]) - torch.log1p(t @ t) * p[0],
        (2, 3),
        "a toy",
    )


GAMES = {
    "saddle": rotating_saddle(),
    "nash": unstable_nash(),
    "toy": toy_game(),
    "quadratic": quadratic_game(*random_blocks(np.random.default_rng(1), 2, 3)),
    **{f"dirac {loss}": dirac_gan(loss) for loss in LOSSES},
    **{f"saturating {loss}": dirac_gan(loss, saturating=True) for loss in LOSSES},
}
games = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES.keys())


def points(game, count, seed=0):
    """Within the unit cube: there the hinge losses of the Dirac GAN are away from their kinks."""
    return np.random.default_rng(seed).uniform(-0.99, 0.99, size=(count, game.dimension))


def test_rotating_saddle():
    """Losses of Example 1 and the field of eq. 15, at random points and where it vanishes."""
    omega = np.random.default_rng(0).normal(scale=3, size=(50, 3))
    t1, t2, p = omega.T
    own = (t2 - p * t1 - 1) ** 2 - (t1 + p * t2 - 1) ** 2 / 2
    other = p * (5 * t1 + 4 * t2 - 9)
    field = [
        (2 * p**2 - 1) * t1 - 3 * p * t2 + 2 * p + 1,
        (2 - p**2) * t2 - 3 * p * t1 - 2 + p,
        5 * t1 + 4 * t2 - 9,
    ]
    game = rotating_saddle()
    close(game.losses(omega), np.stack([own, other], axis=-1))
    close(game.vector_field(omega), np.stack(field, axis=-1))
    close(game.vector_field([1, 1, 0]), [0, 0, 0])


def test_unstable_nash():
    """Its field by hand, and the two stationary points that the paper names."""
    omega = np.random.default_rng(0).normal(scale=3, size=(50, 2))
    theta, phi = omega.T
    own = theta**2 / 2 + (phi**2 - 1) * theta / 4
    other = 2 * theta * phi - phi / 4 + phi**3 / 12
    field = [theta + phi**2 / 4 - 1 / 4, 2 * theta + phi**2 / 4 - 1 / 4]
    game = unstable_nash()
    close(game.losses(omega), np.stack([own, other], axis=-1))
    close(game.vector_field(omega), np.stack(field, axis=-1))
    close(game.vector_field([[0, 1], [0, -1]]), np.zeros((2, 2)))


def softplus(u):
    return np.logaddexp(0, u)


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


# D's loss and its slope in u = theta phi, then G's when it does not saturate.
DIRAC = {
    "js": (
        lambda u: np.log(2) + softplus(u),
        sigmoid,
        lambda u: softplus(-u),
        lambda u: -sigmoid(-u),
    ),
    "hinge": (
        lambda u: 1 + np.maximum(0, 1 + u),
        lambda u: (u > -1) * 1.0,
        lambda u: np.maximum(0, 1 - u),
        lambda u: (u < 1) * -1.0,
    ),
    "ls": (lambda u: 1 + u**2, lambda u: 2 * u, lambda u: (1 - u) ** 2, lambda u: -2 * (1 - u)),
    "rs": (softplus, sigmoid, lambda u: softplus(-u), lambda u: -sigmoid(-u)),
    "rp-hinge": (
        lambda u: np.maximum(0, 1 + u),
        lambda u: (u > -1) * 1.0,
        lambda u: np.maximum(0, 1 - u),
        lambda u: (u < 1) * -1.0,
    ),
    "rp-ls": (
        lambda u: (1 + u) ** 2,
        lambda u: 2 * (1 + u),
        lambda u: (1 - u) ** 2,
        lambda u: -2 * (1 - u),
    ),
}


@losses
@kinds
def test_dirac_gan(loss, saturating):
    """Both losses and the field, on both sides of the kinks, f(x) = 0 and f(y) = theta phi."""
    omega = np.random.default_rng(0).normal(scale=2, size=(60, 2))
    theta, phi = omega.T
    u = theta * phi
    assert u.min() < -1.5 and u.max() > 1.5  # beyond the kinks
    value_d, slope_d, value_g, slope_g = (function(u) for function in DIRAC[loss])
    if saturating:
        value_g, slope_g = -value_d, -slope_d
    game = dirac_gan(loss, saturating=saturating)
    close(game.losses(omega), np.stack([value_g, value_d], axis=-1))
    close(game.vector_field(omega), np.stack([slope_g * phi, slope_d * theta], axis=-1))


@losses
def test_saturating_is_zero_sum(loss):
    game = dirac_gan(loss, saturating=True)
    close(game.losses(points(game, 20)).sum(-1), np.zeros(20))


@pytest.mark.parametrize("p, q", SIZES)
def test_quadratic_game(p, q):
    """Losses by hand, and a field that is J times the point."""
    rng = np.random.default_rng(p + 10 * q)
    S1, S2, A, B = random_blocks(rng, p, q)
    omega = rng.normal(size=(20, p + q))
    theta, phi = omega[:, :p], omega[:, p:]
    own = [t @ S1 @ t / 2 + t @ B @ f for t, f in zip(theta, phi, strict=True)]
    other = [f @ S2 @ f / 2 + f @ A @ t for t, f in zip(theta, phi, strict=True)]
    game = quadratic_game(S1, S2, A, B)
    assert game.sizes == (p, q)
    assert game.dimension == p + q
    close(game.losses(omega), np.stack([own, other], axis=-1))
    close(game.vector_field(omega), omega @ np.block([[S1, B], [A, S2]]).T)


def test_quadratic_game_keeps_its_blocks():
    """The caller may go on using the arrays that were passed."""
    S1 = np.eye(1)
    game = quadratic_game(S1, [[1.0]], [[0.0]], [[0.0]])
    S1[:] = 7
    close(game.vector_field([1.0, 0.0]), [1.0, 0.0])


@games
@pytest.mark.parametrize("player", ["G", "D"])
def test_gradient_against_differences(game, player):
    """Each player's gradient is that of its own loss in its own parameters."""
    p, which = game.sizes[0], "GD".index(player)
    own = range(p) if player == "G" else range(p, game.dimension)
    for omega in points(game, 3):
        away = STEP * np.eye(game.dimension)[own]
        rise = game.losses(omega + away)[:, which] - game.losses(omega - away)[:, which]
        assert np.allclose(game.gradient(player, omega), rise / (2 * STEP), rtol=0, atol=1e-8)


@games
def test_field_is_both_gradients(game):
    omega = points(game, 4)
    both = [game.gradient(player, omega) for player in "GD"]
    assert [part.shape[-1] for part in both] == list(game.sizes)
    assert torch.equal(game.vector_field(omega), torch.cat(both, dim=-1))
    # The same in the terms of torch.func, one point at a time.
    first = torch.from_numpy(omega[0])
    close(game.traceable_field(first), game.vector_field(omega)[0])
    for player, part in zip("GD", both, strict=True):
        close(game.traceable_gradient(player, *game.split(first)), part[0])


@games
@pytest.mark.parametrize("lead", [(), (1,), (7,), (2, 1, 3)])
def test_leading_dimensions(game, lead):
    """Any leading dimensions, and in them what every point gives on its own."""
    omega = points(game, int(np.prod(lead))).reshape(*lead, -1)
    values, gradient, field = (
        game.losses(omega),
        game.gradient("D", omega),
        game.vector_field(omega),
    )
    assert values.shape == (*lead, 2)
    assert gradient.shape == (*lead, game.sizes[1])
    assert field.shape == omega.shape
    for index in np.ndindex(lead):
        close(values[index], game.losses(omega[index]))
        close(gradient[index], game.gradient("D", omega[index]))
        close(field[index], game.vector_field(omega[index]))


def test_empty_batch():
    """No points have no losses and no field."""
    game = rotating_saddle()
    assert game.losses(np.zeros((0, 3))).shape == (0, 2)
    assert game.vector_field(np.zeros((0, 3))).shape == (0, 3)


def test_grid():
    """A grid of 40000 points comes at once, and is what its nodes give one by one."""
    rng, game = np.random.default_rng(0), rotating_saddle()
    grid = rng.normal(size=(200, 200, 3))
    game.vector_field(grid[:2])  # the first call compiles nothing, but loads
    began = perf_counter()
    field = game.vector_field(grid)
    assert perf_counter() - began < 1
    assert field.shape == grid.shape
    for i, j in rng.integers(200, size=(20, 2)):
        close(field[i, j], game.vector_field(grid[i, j]))


@games
@pytest.mark.parametrize("batched", [False, True])
def test_float32_is_kept(game, batched):
    """A tensor of floats keeps its type all the way, and its values to its precision."""
    omega = torch.from_numpy(points(game, 3)).to(torch.float32)
    omega = omega if batched else omega[0]
    for function in (game.losses, game.vector_field, lambda w: game.gradient("G", w)):
        value = function(omega)
        assert value.dtype == torch.float32
        assert torch.allclose(value.double(), function(omega.double()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "omega",
    [
        [1, 2, 3],
        (1.0, 2.0, 3.0),
        np.array([1, 2, 3]),
        np.array([1, 2, 3], dtype=np.float32),
        torch.tensor([1, 2, 3]),
        torch.tensor([1, 2, 3], dtype=torch.int32),
    ],
    ids=repr,
)
def test_everything_else_is_float64(omega):
    """Lists, arrays and whole numbers become float64."""
    game = rotating_saddle()
    assert game.point(omega).tolist() == [1.0, 2.0, 3.0]
    assert game.point(omega).dtype == torch.float64
    assert game.vector_field(omega).dtype == torch.float64


def test_split():
    """theta and phi are views of the last dimension."""
    omega = torch.arange(12.0).reshape(4, 3)
    theta, phi = rotating_saddle().split(omega)
    assert theta.tolist() == omega[:, :2].tolist()
    assert phi.tolist() == omega[:, 2:].tolist()
    assert theta.data_ptr() == omega.data_ptr()


@games
def test_callers_tensor_is_left_alone(game):
    """Neither its values nor its .grad change, nor does an array's; the random state stands."""
    array = points(game, 3)
    leaf = torch.tensor(array, requires_grad=True)
    leaf.grad = torch.full_like(leaf, 5)
    before, state = array.copy(), torch.get_rng_state()
    for omega in (array, leaf):
        for found in (game.losses(omega), game.gradient("G", omega), game.vector_field(omega)):
            assert not found.requires_grad
    assert (array == before).all()
    assert (leaf.detach().numpy() == before).all()
    assert (leaf.grad == 5).all()
    assert leaf.requires_grad
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_switched_off():
    """Under no_grad there is the same field to be had."""
    omega = points(rotating_saddle(), 3)
    wanted = rotating_saddle().vector_field(omega)
    with torch.no_grad():
        close(rotating_saddle().vector_field(omega), wanted)
        close(rotating_saddle().vector_field(omega[0]), wanted[0])
        close(rotating_saddle().gradient("G", omega), wanted[:, :2])


def test_array_is_copied():
    """A point is no view of a caller's array."""
    array = np.ones(3)
    rotating_saddle().point(array)[0] = 7
    assert (array == 1).all()


def test_constant_loss():
    """A loss that its player cannot change has no gradient, and the other has its own."""
    game = Game(lambda t, p: torch.zeros(()), lambda t, p: p.square().sum(), (2, 1))
    close(game.vector_field([3.0, 4.0, 5.0]), [0, 0, 10])


@pytest.mark.parametrize(
    "omega, message",
    [
        ([1.0, 2.0], r"rotating saddle is \(\.\.\., 2 \+ 1\), got \(2,\)"),
        (np.zeros((3, 4)), r"got \(3, 4\)"),
        (torch.zeros(3, 1), r"got \(3, 1\)"),
        (1.0, r"got \(\)"),
        (torch.tensor(1.0), r"got \(\)"),
        ([], r"got \(0,\)"),
        ([1.0, np.nan, 0.0], "must be finite, got nan"),
        ([[0.0, 0.0, 0.0], [0.0, 0.0, np.inf]], "must be finite, got inf"),
        (torch.tensor([0.0, -np.inf, 0.0]), "must be finite, got -inf"),
    ],
)
def test_bad_points(omega, message):
    """Points of another length and points that are not finite are refused by every method."""
    game = rotating_saddle()
    for function in (
        game.point,
        game.losses,
        game.vector_field,
        lambda w: game.gradient("D", w),
    ):
        with pytest.raises(ValueError, match=message):
            function(omega)


@pytest.mark.parametrize(
    "sizes", [(0, 1), (1, -1), (1.0, 1), ("a", 1), (1,), (1, 1, 1), (), 5], ids=repr
)
def test_bad_sizes(sizes):
    with pytest.raises(ValueError, match="two positive integers, got"):
        Game(lambda t, p: t.sum(), lambda t, p: p.sum(), sizes)


@pytest.mark.parametrize("player", ["G", "D"])
@pytest.mark.parametrize(
    "loss, got",
    [
        (lambda t, p: t + p, r"\(1,\)"),
        (lambda t, p: torch.outer(t, p), r"\(1, 1\)"),
        (lambda t, p: 1.0, "float"),
        (lambda t, p: None, "NoneType"),
    ],
)
def test_losses_that_are_no_scalars(player, loss, got):
    """The message names the player, the game and what its loss returned."""
    good = lambda t, p: (t * p).sum()  # noqa: E731
    pair = (loss, good) if player == "G" else (good, loss)
    game = Game(*pair, (1, 1), "a bad game")
    for function in (game.losses, game.vector_field):
        for omega in ([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]]):
            with pytest.raises(ValueError, match=f"{player}'s loss of a bad game .* got {got}"):
                function(omega)


@pytest.mark.parametrize("player", ["g", "theta", "", 0, None])
def test_unknown_player(player):
    with pytest.raises(ValueError, match=f"'G' and 'D', got {player!r}"):
        rotating_saddle().gradient(player, [1.0, 1.0, 0.0])


@kinds
def test_unknown_loss(saturating):
    with pytest.raises(ValueError, match="unknown loss 'wgan'"):
        dirac_gan("wgan", saturating=saturating)


ONE = [[1.0]]


@pytest.mark.parametrize(
    "blocks, message",
    [
        ((np.eye(2), ONE, [[1.0, 2.0]], [[1.0, 2.0]]), r"do not fit: .*'B': \(1, 2\)"),
        ((np.eye(2), ONE, [[1.0], [2.0]], [[1.0], [2.0]]), r"do not fit: .*'A': \(2, 1\)"),
        ((np.ones((1, 2)), ONE, ONE, ONE), r"do not fit: {'S1': \(1, 2\)"),
        ((ONE, np.ones((2, 1)), np.ones((2, 1)), np.ones((1, 2))), r"'S2': \(2, 1\)"),
        ((1.0, 1.0, 1.0, 1.0), r"do not fit: {'S1': \(\), 'S2': \(\)"),
        (([1.0], ONE, ONE, ONE), r"do not fit: {'S1': \(1,\)"),
        ((np.zeros((0, 0)), ONE, np.zeros((1, 0)), np.zeros((0, 1))), r"'S1': \(0, 0\)"),
        ((ONE, np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0))), r"'S2': \(0, 0\)"),
        (([[np.nan]], ONE, ONE, ONE), "S1 must be finite, got nan"),
        ((ONE, [[np.inf]], ONE, ONE), "S2 must be finite, got inf"),
        ((ONE, ONE, [[-np.inf]], ONE), "A must be finite, got -inf"),
        ((ONE, ONE, ONE, [[np.nan]]), "B must be finite, got nan"),
        (([[1.0, 2.0], [4.5, 1.0]], ONE, np.ones((1, 2)), np.ones((2, 1))), "S1 .* by 2.5"),
        ((ONE, [[0.0, 1.0], [-1.0, 0.0]], np.ones((2, 1)), np.ones((1, 2))), "S2 .* by 2"),
    ],
)
def test_bad_blocks(blocks, message):
    """Shapes that do not fit, entries that are not finite, and Hessians no loss can have."""
    with pytest.raises(ValueError, match=message):
        quadratic_game(*blocks)


def test_symmetric_to_rounding_is_symmetric():
    """A Hessian such as numpy computes it need not be symmetric to the last bit."""
    S1 = np.array([[1.0, 3.0], [3.0 + 1e-14, 2.0]])
    close(quadratic_game(S1, ONE, [[0.0, 0.0]], [[0.0], [0.0]]).vector_field([1, 0, 0]), [1, 3, 0])


def close(found, wanted):
    """Assert that two arrays of float64 agree to 1e-10."""
    found, wanted = np.asarray(found), np.asarray(wanted, dtype=np.float64)
    assert found.dtype == np.float64
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize(("p", "q"), SIZES)
def test_linear_game_has_its_matrix(p, q):
    """The field is J times the point, whoever owns which of its coordinates."""
    rng = np.random.default_rng(4)
    S1, S2, A, B = random_blocks(rng, p, q)
    J, omega = np.block([[S1, B], [A, S2]]), rng.normal(size=(3, p + q))
    game = linear_game(J, p)
    assert game.sizes == (p, q)
    close(game.vector_field(omega), omega @ J.T)


@pytest.mark.parametrize(
    ("J", "p"), [(np.eye(3), 0), (np.eye(3), 3), (np.ones((2, 3)), 1), (np.ones(4), 1)]
)
def test_linear_game_refuses(J, p):
    with pytest.raises(ValueError, match="J is"):
        linear_game(J, p)
    with pytest.raises(ValueError, match="p is a whole number"):
        linear_game(J, 1.0)


def test_linear_game_refuses_a_block_that_no_loss_has():
    with pytest.raises(ValueError, match="S2 must be symmetric"):
        linear_game([[1, 0, 0], [0, 1, 2], [0, 0, 1]], 1)


def test_inference_mode():
    """Gradients are those outside it, for points made inside and out."""
    outside = torch.tensor([2.0, 3, 4], dtype=torch.float64)
    wanted = rotating_saddle().vector_field(outside)
    with torch.inference_mode():
        for omega in (outside, outside + 0):
            assert torch.equal(rotating_saddle().vector_field(omega), wanted)
        made = outside + 0
        inside = linear_game([[1.0, 2.0], [-2.0, 0.0]], 1)
        assert inside.vector_field([1.0, 1.0]).tolist() == [3, -2]
    assert made.is_inference() and not rotating_saddle().point(made).is_inference()


def test_complex_points_are_refused():
    with pytest.raises(ValueError, match=r"is real, got torch\.complex64"):
        rotating_saddle().vector_field(torch.ones(3, dtype=torch.complex64))


def test_complex_arrays_are_refused():
    """As tensors are; numpy alone would drop the imaginary part."""
    with pytest.raises(ValueError, match="coordinates of the rotating saddle are real numbers"):
        rotating_saddle().vector_field(np.ones(3) + 1j)
    with pytest.raises(ValueError, match="entries of A are real numbers"):
        quadratic_game(ONE, ONE, [[1j]], ONE)
    with pytest.raises(ValueError, match="entries of J are real numbers"):
        linear_game(np.eye(2) * 1j, 1)


def test_true_is_no_size():
    with pytest.raises(ValueError, match="two positive integers"):
        Game(lambda t, p: t.sum(), lambda t, p: p.sum(), (True, 1))


@pytest.mark.parametrize("weights", [[0.25, 0.75], [2, -3.5], [0, 1]])
@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_average(weights, lead):
    """Losses, gradients and fields are the weighted sums, at one point or many."""
    pair = [toy_game(), GAMES["quadratic"]]
    game, omega = average(pair, weights), points(pair[0], 6)[: int(np.prod(lead))].reshape(*lead, 5)

    def both(function):
        return sum(w * function(each).numpy() for w, each in zip(weights, pair, strict=True))

    assert game.sizes == (2, 3)
    close(game.losses(omega), both(lambda each: each.losses(omega)))
    close(game.vector_field(omega), both(lambda each: each.vector_field(omega)))
    for player in "GD":
        close(game.gradient(player, omega), both(lambda each: each.gradient(player, omega)))  # noqa: B023


def test_average_of_averages():
    """Weights multiply, and the terms tell of what the losses say."""
    pair = [toy_game(), GAMES["quadratic"]]
    nested, omega = average([average(pair, [1, 2]), pair[1]], [0.5, -3]), points(pair[0], 4)
    wanted = 0.5 * pair[0].vector_field(omega) - 2 * pair[1].vector_field(omega)
    close(nested.vector_field(omega), wanted)
    close(replace(nested, terms=()).vector_field(omega), wanted)
    first = torch.from_numpy(omega[0])
    close(nested.traceable_field(first), wanted[0])


def test_average_keeps_name_and_blocks():
    blocks = {"G.0": slice(0, 2), "D.0": slice(2, 3)}
    each = replace(rotating_saddle(), blocks=blocks)
    game = average([each, each, each], [1, 1, 2])
    assert (game.name, game.blocks) == ("the rotating saddle", blocks)
    assert [weight for weight, _ in game.terms] == [1.0, 1.0, 2.0]
    assert [term for _, term in game.terms] == [each] * 3


def test_terms_are_differentiated_one_at_a_time():
    """The graph of one batch is gone before the next one's is made: so large data fit."""
    alive, most = [0], [0]

    class Watch(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            return x.clone()

        @staticmethod
        def backward(ctx, slope):
            alive[0] -= 1
            return slope

    each = Game(lambda t, p: Watch.apply(t).sum(), lambda t, p: Watch.apply(p).sum(), (1, 1))
    average([each] * 4, [1, 2, 3, 4]).vector_field([0.0, 0.0])
    assert (alive, most) == ([0], [1])


@pytest.mark.parametrize(
    "games, weights, message",
    [
        ([], [], r"averaged games must have one size, got \[\]"),
        ([toy_game(), rotating_saddle()], [1, 1], r"got \[\(2, 3\), \(2, 1\)\]"),
        ([toy_game()], [], r"1 games need as many finite weights, got \[\]"),
        ([toy_game()], [1, 2], r"got \[1, 2\]"),
        ([toy_game()] * 2, [1, np.nan], r"2 games need .* nan"),
        ([toy_game()] * 2, [np.inf, 1], r"2 games need .* got \[inf"),
    ],
)
def test_bad_averages(games, weights, message):
    with pytest.raises(ValueError, match=message):
        average(games, weights)
