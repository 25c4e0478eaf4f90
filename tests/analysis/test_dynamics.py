"""Flows and steps on games whose orbits and iteration matrices are known."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from helpers import games
from helpers.analysis.dynamics import STEPS, flow, iterate, largest_stable_step
from helpers.games.closed_form import dirac_gan, quadratic_game, rotating_saddle, unstable_nash
from helpers.games.game import Game

CLOSE = 1e-10
FLOW = 1e-6  # what rtol = 1e-8 a step leaves over the times below
methods = pytest.mark.parametrize("method", STEPS)


def linear_game(seed, p, q, pull=0.0):
    """A random quadratic game and its J, pull times the identity added."""
    rng = np.random.default_rng(seed)
    J = rng.normal(size=(p + q, p + q))
    J[:p, :p] = (J[:p, :p] + J[:p, :p].T) / 2 + pull * np.eye(p)
    J[p:, p:] = (J[p:, p:] + J[p:, p:].T) / 2 + pull * np.eye(q)
    return of_matrix(J, p), J


def of_matrix(J, p=1):
    """The quadratic game whose field is J times the point."""
    return games.linear_game(J, p)


def turning(a, b):
    """Attraction a and rotation b of the plane, the eigenvalues a + ib and a - ib."""
    return of_matrix([[a, b], [-b, a]])


def escaping(power):
    """G runs off to infinity, d theta / dt = theta^power, while D decays."""
    return Game(
        lambda t, p: -(t[0] ** (power + 1)) / (power + 1), lambda t, p: p[0] ** 2 / 2, (1, 1)
    )


# ---- The flow. ----


@pytest.mark.parametrize("seed, p, q", [(0, 1, 1), (1, 2, 1), (2, 1, 3)])
def test_flow_of_linear_games(seed, p, q):
    """omega(t) = exp(-J (t - t0)) omega(t0), eq. 10, from several starts and another t0 than 0."""
    game, J = linear_game(seed, p, q)
    starts = np.random.default_rng(seed + 10).normal(size=(4, p + q))
    times = np.array([-1.0, -0.9, 0.0, 0.7, 1.0])
    found = flow(game, starts, times)
    wanted = np.stack([starts @ expm(-J * (t - times[0])).T for t in times])
    assert (found.times == times).all()
    assert found.points.shape == (5, 4, p + q)
    assert (found.points[0] == starts).all()
    assert np.abs(found.points - wanted).max() <= FLOW * np.abs(wanted).max()


def test_flow_that_is_not_linear():
    """d theta / dt = -theta^3 has the solution 1 / sqrt(1 / theta(0)^2 + 2 t)."""
    game = Game(lambda t, p: t[0] ** 4 / 4, lambda t, p: p[0] ** 2 / 2, (1, 1))
    times = np.linspace(0, 3, 7)
    points = flow(game, [[2.0, 1.0], [-0.5, 3.0]], times).points
    for k, (theta, phi) in enumerate([(2.0, 1.0), (-0.5, 3.0)]):
        closed = np.sign(theta) / np.sqrt(1 / theta**2 + 2 * times)
        assert np.abs(points[:, k, 0] - closed).max() <= FLOW
        assert np.abs(points[:, k, 1] - phi * np.exp(-times)).max() <= FLOW


@pytest.mark.slow
def test_many_starts_are_each_alone():
    starts = np.random.default_rng(0).normal(size=(3, 3)) / 3 + [1, 1, 0]
    times = [0.0, 0.1, 0.3]
    for speed in (None, 0.4):
        together = flow(rotating_saddle(), starts, times, speed=speed).points
        for k, start in enumerate(starts):
            alone = flow(rotating_saddle(), [start], times, speed=speed).points[:, 0]
            assert np.abs(together[:, k] - alone).max() <= FLOW


def test_stationary_points_stay():
    points = flow(unstable_nash(), [[0, 1], [0, -1]], [0, 1, 2]).points
    assert np.abs(points - [[0, 1], [0, -1]]).max() == 0


# ---- The flow at another pace. ----

PACED = {
    "spiral": (turning(0.3, 2.0), np.array([[0.3, 2.0], [-2.0, 0.3]])),
    "5d": linear_game(5, 2, 3, pull=2.0),
}
paced = pytest.mark.parametrize("game, J", PACED.values(), ids=PACED.keys())


@paced
def test_speed_keeps_the_orbit(game, J):
    """Every point lies on the orbit, in order, and behind the flow."""
    fine = 1e-4
    start = 3 * np.random.default_rng(1).normal(size=len(J))
    orbit, turn = [start], expm(-fine * J)
    for _ in range(20000):
        orbit.append(turn @ orbit[-1])
    orbit = np.array(orbit)
    times = np.linspace(0, 2, 21)
    points = flow(game, [start], times, speed=1.0).points[:, 0]
    nearest = np.array([np.argmin(((orbit - point) ** 2).sum(1)) for point in points])
    assert (np.diff(nearest) > 0).all()
    assert (nearest[1:] * fine < 0.99 * times[1:]).all()
    for point, k in zip(points[1:-1], nearest[1:-1], strict=True):
        chords = [
            distance_to_segment(point, *orbit[k - 1 : k + 1]),
            distance_to_segment(point, *orbit[k : k + 2]),
        ]
        assert min(chords) < FLOW


@paced
@pytest.mark.parametrize("speed", [0.1, 1.0, 30.0])
def test_speed_is_kept(game, J, speed):
    """The pace is |v| / sqrt(1 + |v|^2 / speed^2), for every start by its own |v|."""
    starts = np.random.default_rng(1).normal(size=(3, len(J))) * [[0.1], [1], [10]]
    brief = 1e-3
    times = np.arange(0, 21) * brief
    points = flow(game, starts, times, speed=speed).points
    moved = (points[2:] - points[:-2]) / (2 * brief)
    v = points[1:-1] @ J.T
    wanted = -v / np.sqrt(1 + (v**2).sum(-1, keepdims=True) / speed**2)
    assert np.linalg.norm(np.diff(points, axis=0), axis=-1).max() <= speed * brief * (1 + 1e-9)
    assert np.abs(moved - wanted).max() <= 1e-3 * np.abs(wanted).max()


@paced
def test_speed_that_is_never_reached(game, J):
    """Far below it, the flow is as it was."""
    start = [np.ones(len(J))]
    plain = flow(game, start, [0, 1]).points
    assert np.abs(flow(game, start, [0, 1], speed=1e6).points - plain).max() <= FLOW
    assert np.abs(flow(game, start, [0, 1], speed=1.0).points - plain).max() > 0.1


@pytest.mark.slow
def test_infinity_in_finite_time():
    """It is said that there is no getting there, and numpy says nothing on the way."""
    with pytest.raises(RuntimeError, match=r"the flow of game (was not solved|ran to infinity)"):
        flow(escaping(5), [[1.0, 1.0]], [0, 5])


@pytest.mark.parametrize("power", [2, 3])
def test_speed_reaches_infinity(power):
    """With a speed such orbits can be followed, far out at all of it, and the others too."""
    points = flow(escaping(power), [[1.0, 1.0], [0.0, 1.0]], [0, 40, 50], speed=2.0).points
    assert np.isfinite(points).all()
    assert points[2, 0, 0] - points[1, 0, 0] == pytest.approx(20, rel=1e-6)
    assert points[2, 0, 0] == pytest.approx(100, rel=0.02)
    # The other orbit has a pace of its own, and decays.
    assert points[1:, 1, 0].tolist() == [0, 0]
    assert np.abs(points[1:, 1, 1]).max() < 1e-8


def test_fields_beyond_the_root_of_the_range():
    """A field whose square is not finite is still followed at full speed."""
    game = Game(lambda t, p: -t[0].exp(), lambda t, p: p[0] ** 2 / 2, (1, 1))
    points = flow(game, [[0.0, 0.0]], [0, 50, 60], speed=10.0).points[:, 0, 0]
    assert points[2] - points[1] == pytest.approx(100, rel=1e-6)  # where the field is e^500


# ---- Steps. ----


def step_matrix(method, J, p, size):
    """The matrix of one step of the linear game."""
    unit = np.eye(len(J))
    if method == "simultaneous":
        return unit - size * J
    if method == "extragradient":
        return unit - size * J + size**2 * J @ J
    S1, B, A, S2 = J[:p, :p], J[:p, p:], J[p:, :p], J[p:, p:]
    own = np.eye(p) - size * S1
    return np.block(
        [[own, -size * B], [-size * A @ own, unit[p:, p:] - size * S2 + size**2 * A @ B]]
    )


@methods
@pytest.mark.parametrize("p, q", [(1, 1), (2, 3), (3, 1)])
def test_steps_of_linear_games(method, p, q):
    """Step for step what the matrix of a step gives."""
    game, J = linear_game(p + 10 * q, p, q)
    size, omega = 0.3, np.random.default_rng(0).normal(size=p + q)
    for found in iterate(game, omega, method, size=size, steps=6).numpy():
        assert np.allclose(found, omega, rtol=CLOSE, atol=CLOSE)
        omega = step_matrix(method, J, p, size) @ omega


def saddle_field(omega):
    """Eq. 15."""
    t1, t2, p = omega
    return np.array(
        [
            (2 * p**2 - 1) * t1 - 3 * p * t2 + 2 * p + 1,
            (2 - p**2) * t2 - 3 * p * t1 - 2 + p,
            5 * t1 + 4 * t2 - 9,
        ]
    )


@methods
def test_steps_of_the_rotating_saddle(method):
    """Three steps of a game that is not linear, by hand."""
    size, omega = 0.05, np.array([1.3, 0.4, -0.6])
    for found in iterate(rotating_saddle(), omega, method, size=size, steps=3).numpy():
        assert np.allclose(found, omega, rtol=CLOSE, atol=CLOSE)
        if method == "extragradient":
            omega = omega - size * saddle_field(omega - size * saddle_field(omega))
            continue
        after = omega - size * saddle_field(omega)
        if method == "alternating":
            moved = np.array([*after[:2], omega[2]])
            after[2] = omega[2] - size * saddle_field(moved)[2]
        omega = after


@methods
@pytest.mark.parametrize("lead", [(), (1,), (4,), (2, 3)])
def test_shapes(method, lead):
    """Any leading dimensions behind that of the steps, and in them what each start gives alone."""
    starts = np.random.default_rng(0).normal(size=(*lead, 3))
    path = iterate(rotating_saddle(), starts, method, size=0.01, steps=5)
    assert path.shape == (6, *lead, 3)
    assert path.dtype == torch.float64
    assert (path[0].numpy() == starts).all()
    for index in np.ndindex(lead):
        alone = iterate(rotating_saddle(), starts[index], method, size=0.01, steps=5)
        assert np.allclose(path[(slice(None), *index)], alone, rtol=CLOSE, atol=CLOSE)


@methods
def test_no_steps(method):
    """The path of no steps is the start."""
    assert iterate(rotating_saddle(), [1, 2, 3], method, size=1, steps=0).tolist() == [[1, 2, 3]]
    many = iterate(rotating_saddle(), [[1, 2, 3], [4, 5, 6]], method, size=1, steps=0)
    assert many.tolist() == [[[1, 2, 3], [4, 5, 6]]]


@methods
def test_float32(method):
    """Iterates keep the type of a tensor of floats."""
    path = iterate(rotating_saddle(), torch.ones(2, 3), method, size=0.01, steps=2)
    assert path.dtype == torch.float32


@methods
@pytest.mark.parametrize("many", [False, True])
def test_divergence_ends_at_the_last_finite_point(method, many):
    """A start that overflows stays where it last was; others go on."""
    game, size, steps = escaping(3), 0.5, 40
    starts = [[2.0, 1.0], [0.0, 1.0]] if many else [2.0, 1.0]
    path = iterate(game, starts, method, size=size, steps=steps)
    assert path.isfinite().all()
    lost = path[:, 0] if many else path
    end = int((lost == lost[-1]).all(1).nonzero()[0])
    assert 0 < end < 15
    assert (lost[end:] == lost[-1]).all()
    assert (lost[1 : end + 1, 0] > lost[:end, 0]).all()
    # One more step would leave the range of floats.
    theta = float(lost[-1, 0])
    with np.errstate(over="ignore"):
        for _ in range(2 if method == "extragradient" else 1):
            theta = float(lost[-1, 0]) + size * np.float64(theta) ** 3
    assert theta == np.inf
    if many:
        kept = {"extragradient": 1 - size + size**2}.get(method, 1 - size)
        assert path[:, 1, 1].numpy() == pytest.approx(kept ** np.arange(steps + 1.0), rel=CLOSE)


# ---- The largest stable step. ----

STABLE = [linear_game(seed, p, q, pull=3.0) for seed, p, q in [(0, 1, 1), (1, 2, 1), (2, 2, 3)]]
STABLE += [(turning(0.1, 3.0), np.array([[0.1, 3.0], [-3.0, 0.1]]))]
STABLE += [(of_matrix(np.diag([1.0, 0.2, 3.0]), p=2), np.diag([1.0, 0.2, 3.0]))]


def one_step(game, method, size):
    """The matrix of a step, column by column from the unit vectors."""
    unit = np.eye(game.dimension)
    return iterate(game, unit, method, size=size, steps=1)[1].numpy().T


def radius(game, method, size):
    return np.abs(np.linalg.eigvals(one_step(game, method, size))).max()


@methods
@pytest.mark.parametrize("game, J", STABLE, ids=range(len(STABLE)))
def test_limit_is_the_end_of_the_stable_sizes(game, J, method):
    """Iterations shrink at every size below the limit, and grow beyond it."""
    assert np.linalg.eigvals(J).real.min() > 0
    limit = largest_stable_step(game, np.zeros(len(J)), method)
    assert limit > 0
    for part in (0.01, 0.3, 0.6, 0.9, 0.99):
        assert radius(game, method, part * limit) < 1
    assert radius(game, method, limit) == pytest.approx(1, abs=1e-9)
    assert radius(game, method, 1.01 * limit) > 1


@pytest.mark.slow
@methods
def test_limit_shows_in_iterations(method):
    """Many steps shrink on one side of the limit, and grow on the other."""
    game, J = STABLE[2]
    start = np.random.default_rng(0).normal(size=len(J))
    limit = largest_stable_step(game, np.zeros(len(J)), method)
    for part, shrinks in ((0.97, True), (1.03, False)):
        length = iterate(game, start, method, size=part * limit, steps=200).norm(dim=1)
        assert (length[-1] < 0.1) if shrinks else (length[-1] > 10)


@pytest.mark.slow
def test_limit_of_the_rotating_saddle():
    """0.0752 for simultaneous steps: 2 Re(lambda) / |lambda|^2 with lambda from eq. 18."""
    roots = np.roots([1, -1, 11, -2])
    wanted = np.min(2 * roots.real / np.abs(roots) ** 2)
    limit = largest_stable_step(rotating_saddle(), [1, 1, 0], "simultaneous")
    assert limit == pytest.approx(0.0752, abs=5e-5)
    assert limit == pytest.approx(wanted, rel=CLOSE)
    near = [1.0001, 0.9999, 0.0001]
    for part, nears in ((0.5, True), (1.5, False)):
        path = iterate(rotating_saddle(), near, "simultaneous", size=part * limit, steps=500)
        away = float((path[-1] - path.new_tensor([1, 1, 0])).norm())
        assert (away < 1e-5) if nears else (away > 1e-2)


@pytest.mark.parametrize("a, b", [(1.0, 0.0), (0.5, 3.0), (2.0, -1.0), (1e-3, 1.0), (40.0, 7.0)])
def test_limits_in_the_plane(a, b):
    """Attraction a and rotation b in closed form, for all three methods."""
    game = turning(a, b)
    limits = {method: largest_stable_step(game, [0, 0], method) for method in STEPS}
    assert limits["simultaneous"] == pytest.approx(2 * a / (a**2 + b**2), rel=CLOSE)
    # Of the conditions of Schur and Cohn it is 2 - s a > s |b| that fails first.
    assert limits["alternating"] == pytest.approx(2 / (a + abs(b)), rel=1e-8)
    z = limits["extragradient"] * complex(a, b)
    assert abs(1 - z + z**2) == pytest.approx(1, abs=CLOSE)
    if b == 0:
        assert limits["extragradient"] == pytest.approx(1 / a, rel=CLOSE)


def test_limit_is_the_first_end():
    """Alternating steps may turn stable once more: here below 2/3, and from 1 to 5/4."""
    game = of_matrix([[1, 2], [1, 4]])
    assert largest_stable_step(game, [0, 0], "alternating") == pytest.approx(2 / 3, rel=1e-8)
    assert radius(game, "alternating", 0.8) > 1
    assert radius(game, "alternating", 1.1) < 1


@methods
@pytest.mark.parametrize("coupling", [30.0, 60.0, 1e4, 1e9])
def test_limits_where_one_player_alone_feels_the_other(method, coupling):
    """Far from normal: the eigenvalues are 1 and 1, however large the coupling is beside them."""
    game = quadratic_game([[1.0]], [[1.0]], [[coupling]], [[0.0]])
    wanted = 1.0 if method == "extragradient" else 2.0
    # The roots of a cubic that has a nearly double one, for extragradient.
    assert largest_stable_step(game, [0, 0], method) == pytest.approx(wanted, rel=1e-7)


def test_a_limit_beyond_the_first_sizes():
    """A thousand times 1 / |J|, with a little coupling back."""
    game = quadratic_game([[1.0]], [[1.0]], [[1000.0]], [[-1e-5]])
    limit = largest_stable_step(game, [0, 0], "alternating")
    assert 1.8 < limit < 1.83
    assert (
        radius(game, "alternating", 0.999 * limit) < 1 < radius(game, "alternating", 1.01 * limit)
    )


@pytest.mark.parametrize("b", [0.5, 3.0, -200.0])
def test_limits_of_a_rotation(b):
    """Extragradient tames it below 1 / |b|; the others never do, however small the steps."""
    game = turning(0.0, b)
    assert largest_stable_step(game, [0, 0], "extragradient") == pytest.approx(1 / abs(b), rel=1e-9)
    for method in ("simultaneous", "alternating"):
        assert largest_stable_step(game, [0, 0], method) == pytest.approx(0, abs=1e-12)


ROTATIONS = {
    "4d": [[1, 2], [3, 4]],
    **{str(seed): np.random.default_rng(seed).normal(size=(3, 3)) for seed in (0, 1, 29)},
}


@pytest.mark.parametrize("B", ROTATIONS.values(), ids=ROTATIONS.keys())
def test_limits_of_many_rotations(B):
    """In more dimensions it is the fastest that decides, whatever rounding does to the others."""
    n = len(B)
    game = quadratic_game(np.zeros((n, n)), np.zeros((n, n)), -np.transpose(B), B)
    limits = {method: largest_stable_step(game, np.zeros(2 * n), method) for method in STEPS}
    assert limits["extragradient"] == pytest.approx(1 / np.linalg.norm(B, 2), rel=1e-6)
    assert limits["simultaneous"] == pytest.approx(0, abs=1e-12)
    assert limits["alternating"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("saturating", [False, True])
@pytest.mark.parametrize("loss, slope", [("js", 0.5), ("rs", 0.5), ("hinge", 1.0), ("rp-ls", 2.0)])
def test_limits_of_the_dirac_gan(loss, slope, saturating):
    """A rotation at its equilibrium, and h' at 0 is how fast."""
    game = dirac_gan(loss, saturating=saturating)
    assert largest_stable_step(game, [0, 0], "simultaneous") == 0
    limit = largest_stable_step(game, [0, 0], "extragradient")
    assert limit == pytest.approx(1 / slope, rel=1e-9)


@methods
@pytest.mark.parametrize("J", [[[-1, 0], [0, 2]], [[-0.1, 3], [-3, 0.05]], [[1, 3], [3, 1]]])
def test_no_limit_where_unstable(method, J):
    """An eigenvalue with a negative real part: no step is small enough."""
    assert largest_stable_step(of_matrix(J), [0, 0], method) == 0
    assert largest_stable_step(unstable_nash(), [0, 1], method) == 0


@methods
@pytest.mark.parametrize("J", [[[0, 0], [0, 0]], [[1, 0], [0, 0]], [[1, 2], [2, 4]]], ids=str)
def test_no_limit_where_singular(method, J):
    """An eigenvalue 0: no step moves a point along it."""
    limit = largest_stable_step(of_matrix(J), [0, 0], method)
    assert limit == pytest.approx(0, abs=1e-12)


@methods
@pytest.mark.parametrize("seed", range(4))
def test_no_limit_where_singular_in_any_basis(method, seed):
    """An eigenvalue 0 is one on whichever side rounding puts it."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(2, 2)))[0]
    J = np.eye(3)
    J[:2, :2] = turn @ np.diag([0, 1]) @ turn.T
    J[1, 0] = J[0, 1]
    assert largest_stable_step(of_matrix(J, p=2), np.zeros(3), method) == pytest.approx(0, abs=1e-9)


@methods
def test_tiny_limits(method):
    """Attraction by 1e-6 and rotation by 2: a limit may lie a million times below 1 / |J|."""
    J = np.array([[0.0, 0, 2], [0, -3, -2], [2, 3, -2]])
    J += (1e-6 - np.linalg.eigvals(J).real.min()) * np.eye(3)
    game = of_matrix(J, p=2)
    limit = largest_stable_step(game, np.zeros(3), method)
    assert limit > 0
    assert radius(game, method, 0.9 * limit) < 1 < radius(game, method, 1.1 * limit)


@methods
@pytest.mark.parametrize("least", [1e-6, 1e-12])
def test_limits_of_ill_conditioned_games(method, least):
    """The limit is that of the largest eigenvalue, however slow the others are."""
    game = of_matrix(np.diag([1.0, least, 1.0]), p=2)
    wanted = 1.0 if method == "extragradient" else 2.0
    assert largest_stable_step(game, np.zeros(3), method) == pytest.approx(wanted, rel=1e-8)


@methods
def test_limit_scales_inversely(method):
    """A field c times as strong wants steps a c-th as long."""
    limits = [
        largest_stable_step(of_matrix(c * STABLE[2][1], p=2), np.zeros(5), method)
        for c in (1e-4, 1.0, 1e4)
    ]
    assert np.array(limits) * [1e-4, 1, 1e4] == pytest.approx([limits[1]] * 3, rel=1e-8)


# ---- What callers pass. ----


@methods
def test_callers_tensor_is_left_alone(method):
    """A parameter may be a start, and keeps its values and its .grad."""
    leaf = torch.tensor([[1.0, 1.1, 0.2]], dtype=torch.float64, requires_grad=True)
    leaf.grad = torch.full_like(leaf, 5)
    game = rotating_saddle()
    assert not iterate(game, leaf, method, size=0.01, steps=2).requires_grad
    assert largest_stable_step(game, leaf[0], method) >= 0
    plain = flow(game, leaf.detach(), [0, 1]).points
    assert (flow(game, leaf, [0, 1]).points == plain).all()
    assert leaf.tolist() == [[1.0, 1.1, 0.2]]
    assert leaf.grad.tolist() == [[5, 5, 5]]


def test_callers_arrays_are_left_alone():
    starts, times = np.ones((2, 3)), np.array([0.0, 1.0])
    found = flow(rotating_saddle(), starts, times)
    found.points[:] = 7
    iterate(rotating_saddle(), starts, "alternating", size=0.1, steps=2)[:] = 7
    assert (starts == 1).all()
    assert times.tolist() == [0, 1]


def test_flow_is_float64():
    """Also from starts of single precision."""
    found = flow(rotating_saddle(), torch.ones(1, 3), torch.tensor([0.0, 1.0]))
    assert found.points.dtype == np.float64
    assert found.times.dtype == np.float64


@methods
def test_gradients_switched_off(method):
    """Under no_grad everything moves as ever."""
    with torch.no_grad():
        path = iterate(turning(1.0, 0.0), [1.0, 2.0], method, size=0.5, steps=1)
        points = flow(turning(1.0, 0.0), [[1.0, 2.0]], [0, 1]).points
    kept = {"extragradient": 0.75}.get(method, 0.5)
    assert path[1].tolist() == pytest.approx([kept, 2 * kept])
    assert points[1, 0] == pytest.approx(np.exp(-1) * np.array([1, 2]))


# ---- Bad input. ----

SADDLE = rotating_saddle()
ORIGIN = [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    "starts, message",
    [
        ([0.0, 0.0, 0.0], r"starts are points \(N, 3\), got \(3,\)"),
        ([ORIGIN], r"starts are points \(N, 3\), got \(1, 1, 3\)"),
        (np.zeros((0, 3)), r"starts are points \(N, 3\), got \(0, 3\)"),
        ([[0.0, 0.0]], r"got \(1, 2\)"),
        ([[0.0, np.nan, 0.0]], "must be finite, got nan"),
        ([[0.0, np.inf, 0.0]], "must be finite, got inf"),
    ],
)
def test_bad_starts_of_a_flow(starts, message):
    with pytest.raises(ValueError, match=message):
        flow(SADDLE, starts, [0, 1])


@pytest.mark.parametrize(
    "times",
    [
        0.0,
        [],
        [0.0],
        [1.0, 0.0],
        [0.0, 0.0],
        [0.0, 2.0, 1.0],
        [[0.0, 1.0]],
        [0, np.nan],
        [0, np.inf],
    ],
    ids=str,
)
def test_bad_times(times):
    with pytest.raises(ValueError, match="times increase and are two or more, got"):
        flow(SADDLE, ORIGIN, times)


@pytest.mark.parametrize("speed", [0, -1.0, np.nan])
def test_bad_speeds(speed):
    with pytest.raises(ValueError, match=f"speed is a finite number, above 0, got {speed}"):
        flow(SADDLE, ORIGIN, [0, 1], speed=speed)


@pytest.mark.parametrize("size", [0, -0.1, np.nan, np.inf])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match=f"size is a finite number, above 0, got {size}"):
        iterate(SADDLE, [0, 0, 0], "simultaneous", size=size, steps=3)


def test_negative_steps():
    with pytest.raises(ValueError, match="steps is a whole number, 0 or more, got -1"):
        iterate(SADDLE, [0, 0, 0], "simultaneous", size=0.1, steps=-1)


@pytest.mark.parametrize("method", ["", "Simultaneous", "adam", None])
def test_unknown_methods(method):
    message = f"method is one of 'simultaneous', 'alternating', 'extragradient', got {method!r}"
    with pytest.raises(ValueError, match=message):
        iterate(SADDLE, [0, 0, 0], method, size=0.1, steps=1)
    with pytest.raises(ValueError, match=message):
        largest_stable_step(SADDLE, [0, 0, 0], method)


@methods
@pytest.mark.parametrize(
    "omega, message",
    [
        ([0.0, 0.0], r"got \(2,\)"),
        ([0.0, 0.0, np.nan], "must be finite, got nan"),
        ([0.0, 0.0, np.inf], "must be finite, got inf"),
    ],
)
def test_bad_points(method, omega, message):
    with pytest.raises(ValueError, match=message):
        iterate(SADDLE, omega, method, size=0.1, steps=1)
    with pytest.raises(ValueError, match=message):
        largest_stable_step(SADDLE, omega, method)


@methods
def test_one_point_is_wanted(method):
    with pytest.raises(ValueError, match=r"one point is expected, got a batch \(1, 3\)"):
        largest_stable_step(SADDLE, ORIGIN, method)


def distance_to_segment(point, start, end):
    part = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
    return np.linalg.norm(start + part * (end - start) - point)


@methods
def test_last_only_is_the_last(method):
    """The last iterates alone are those that end the path, of one start and of many."""
    game = rotating_saddle()
    for start in ([1.1, 1.0, 0.1], np.full((2, 3, 3), 0.9)):
        path = iterate(game, start, method, size=0.05, steps=7)
        last = iterate(game, start, method, size=0.05, steps=7, last_only=True)
        assert torch.equal(last, path[-1])


@methods
def test_no_step_is_stable_along_a_zero_eigenvalue(method):
    """What does not move does not get nearer, and nothing is divided by zero."""
    assert largest_stable_step(of_matrix(np.diag([1.0, 0.0])), [0.0, 0.0], method) == 0


def test_alternating_steps_circle_in_a_rotation():
    """Neutral is not stable: no size draws a purely rotating game in."""
    assert largest_stable_step(turning(0, 1), [0.0, 0.0], "alternating") == 0
