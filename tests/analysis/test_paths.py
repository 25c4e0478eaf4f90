"""Path-angle and path-norm in closed form, and the paper's formula written out."""

import numpy as np
import pytest
import torch

from helpers.analysis.paths import PathProfile, path_profile
from helpers.games.closed_form import linear_game, quadratic_game, rotating_saddle, unstable_nash
from helpers.games.game import Game

CLOSE = 1e-10
ALPHAS = np.linspace(0, 1.5, 16)


def turning(a, b):
    """Attraction a and rotation b of the plane: v = a omega + b R omega, R = [[0, 1], [-1, 0]]."""
    return quadratic_game([[a]], [[a]], [[-b]], [[b]])


def uneven(seed=0):
    """A random linear game of (2, 3) parameters, and its matrix."""
    J = np.random.default_rng(seed).normal(size=(5, 5))
    J[:2, :2] += J[:2, :2].T
    J[2:, 2:] += J[2:, 2:].T
    return linear_game(J, 2), J


def saddle_field(omega):
    """Eq. 15, (k, 3)."""
    t1, t2, p = np.transpose(omega)
    return np.stack(
        [
            (2 * p**2 - 1) * t1 - 3 * p * t2 + 2 * p + 1,
            (2 - p**2) * t2 - 3 * p * t1 - 2 + p,
            5 * t1 + 4 * t2 - 9,
        ],
        axis=-1,
    )


def eq_7(start, end, field, alphas):
    """The path-angle as the paper prints it."""
    places = np.outer(alphas, end) + np.outer(1 - alphas, start)
    v = field(places)
    length = np.linalg.norm(end - start)
    return v @ (end - start) / (length * np.linalg.norm(v, axis=1))


def line(tilt, offset, near, far):
    """Start and end in the plane, on a line past the origin at a distance, far to near."""
    u = np.array([np.cos(tilt), np.sin(tilt)])
    side = offset * np.array([-u[1], u[0]])
    return far * u + side, near * u + side


# ---- The angle. ----


@pytest.mark.parametrize("p, q, pull", [(1, 1, 1.0), (2, 3, 0.01), (4, 1, 300.0)])
def test_attraction(p, q, pull):
    """+1 up to the stationary point, which lies just beyond the end of the path, and -1 after."""
    game = quadratic_game(pull * np.eye(p), pull * np.eye(q), np.zeros((q, p)), np.zeros((p, q)))
    start = np.random.default_rng(p).normal(size=p + q)
    # At alpha the point is (1 - alpha 0.99) start: the optimum is at 1.0101.
    alphas = [-1.0, 0.0, 0.5, 0.99, 1.0, 1.01, 1.0102, 1.5, 10.0]
    found = path_profile(game, start, 0.01 * start, alphas)
    assert found.angle.shape == (1, 9)
    assert found.angle[0] == pytest.approx([1] * 6 + [-1] * 3, abs=CLOSE)
    assert found.sign_switches().tolist() == [1]
    repelled = path_profile(scaled(game, -1), start, 0.01 * start, alphas)
    assert repelled.angle[0] == pytest.approx([-1] * 6 + [1] * 3, abs=CLOSE)


@pytest.mark.parametrize("offset", [0.3, -0.3, 1e-3])
@pytest.mark.parametrize("b", [1.0, -2.5])
def test_rotation(b, offset):
    """c = +-offset / sqrt(offset^2 + s^2): a bump of one sign where the line passes the centre."""
    start, end = line(0.7, offset, near=0.0, far=2.0)
    s = 2 * (1 - ALPHAS)
    wanted = np.sign(b) * offset / np.hypot(offset, s)
    found = path_profile(turning(0.0, b), start, end, ALPHAS)
    assert found.angle[0] == pytest.approx(wanted, abs=CLOSE)
    assert found.angle[0, 10] == pytest.approx(np.sign(b * offset), abs=CLOSE)  # alpha = 1
    assert found.norm[0] == pytest.approx(abs(b) * np.hypot(offset, s), abs=CLOSE)
    assert found.sign_switches().tolist() == [0]


@pytest.mark.parametrize("tilt", [0.0, 0.4, 2.0, -2.5])
@pytest.mark.parametrize("a, b", [(1.0, 0.5), (0.2, -3.0), (-1.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("offset", [0.0, 0.1, -0.7])
def test_attraction_and_rotation(a, b, offset, tilt):
    """c = (a s + b offset) / (|a + ib| |s + i offset|), s the way left to the centre."""
    start, end = line(tilt, offset, near=0.05, far=1.7)
    s = 1.7 + ALPHAS * (0.05 - 1.7)
    found = path_profile(turning(a, b), start, end, ALPHAS)
    wanted = (a * s + b * offset) / (np.hypot(a, b) * np.hypot(s, offset))
    assert found.angle[0] == pytest.approx(wanted, abs=CLOSE)
    assert found.norm[0] == pytest.approx(np.hypot(a, b) * np.hypot(s, offset), abs=CLOSE)


def test_sign_of_eq_7():
    """As printed eq. 7 has the other sign, on every game: attraction would read -1."""
    rng = np.random.default_rng(2)
    start, end = rng.normal(size=(2, 3))
    printed = eq_7(start, end, saddle_field, ALPHAS)
    assert np.abs(printed).max() > 0.1
    found = path_profile(rotating_saddle(), start, end, ALPHAS)
    assert found.angle[0] == pytest.approx(-printed, abs=CLOSE)
    game, J = uneven()
    start, end = rng.normal(size=(2, 5))
    found = path_profile(game, start, end, ALPHAS)
    assert found.angle[0] == pytest.approx(-eq_7(start, end, lambda w: w @ J.T, ALPHAS), abs=CLOSE)
    unit = np.ones(2)
    assert eq_7(unit, 0.01 * unit, lambda w: w, np.zeros(1)) == pytest.approx(-1)
    assert path_profile(turning(1, 0), unit, 0.01 * unit, [0]).angle[0, 0] == pytest.approx(1)


def test_nan_exactly_where_the_field_vanishes():
    """At an end that is stationary, and nowhere else; the norm is 0 there."""
    found = path_profile(rotating_saddle(), [2, 0, 1], [1, 1, 0], [0.0, 0.5, 1.0, 2.0])
    assert np.isnan(found.angle).tolist() == [[False, False, True, False]]
    assert (found.norm == 0).tolist() == [[False, False, True, False]]
    assert np.isfinite(found.norm).all()
    both = path_profile(unstable_nash(), [0, -1], [[0, 1], [1, 1]], [0.0, 0.25, 0.5, 1.0])
    assert np.isnan(both.angle).tolist() == [[True, False, False, True], [True] + [False] * 3]


# ---- The norms. ----


def test_norm():
    """Against numpy, where G and D have different numbers of parameters."""
    game, J = uneven()
    start, end = np.random.default_rng(3).normal(size=(2, 5))
    v = (np.outer(1 - ALPHAS, start) + np.outer(ALPHAS, end)) @ J.T
    found = path_profile(game, start, end, ALPHAS)
    assert found.norm[0] == pytest.approx(np.linalg.norm(v, axis=1), abs=CLOSE)


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_scale(factor):
    """Losses in other units: the same angles, and norms in those units."""
    start, end = np.random.default_rng(4).normal(size=(2, 3))
    plain = path_profile(rotating_saddle(), start, end, ALPHAS)
    found = path_profile(scaled(rotating_saddle(), factor), start, end, ALPHAS)
    assert found.angle == pytest.approx(plain.angle, abs=CLOSE)
    assert found.norm == pytest.approx(factor * plain.norm, rel=CLOSE)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scale_of_the_path(factor):
    """On a linear game a path twice as long from the centre reads the same."""
    game, _ = uneven()
    start, end = np.random.default_rng(5).normal(size=(2, 5))
    plain = path_profile(game, start, end, ALPHAS)
    found = path_profile(game, factor * start, factor * end, ALPHAS)
    assert found.angle == pytest.approx(plain.angle, abs=CLOSE)
    assert found.norm == pytest.approx(factor * plain.norm, rel=CLOSE)


# ---- Many paths. ----


def test_many_ends_are_each_alone():
    rng = np.random.default_rng(6)
    start, ends = rng.normal(size=3), rng.normal(size=(4, 3))
    together = path_profile(rotating_saddle(), start, ends, ALPHAS)
    assert (together.alphas == ALPHAS).all()
    for name in ("angle", "norm"):
        assert getattr(together, name).shape == (4, len(ALPHAS))
        for k, end in enumerate(ends):
            alone = getattr(path_profile(rotating_saddle(), start, end, ALPHAS), name)
            assert getattr(together, name)[k] == pytest.approx(alone[0], abs=CLOSE)


@pytest.mark.parametrize("what", ["angle", "norm"])
def test_quartiles(what):
    """Over the end points, against numpy."""
    rng = np.random.default_rng(7)
    found = path_profile(rotating_saddle(), rng.normal(size=3), rng.normal(size=(6, 3)), ALPHAS)
    wanted = np.percentile(getattr(found, what), [25, 50, 75], axis=0)
    assert found.quartiles(what).shape == (3, len(ALPHAS))
    assert found.quartiles(what) == pytest.approx(wanted, abs=CLOSE)
    assert (found.quartiles() == found.quartiles("angle")).all()


def profile(angle):
    """A profile made by hand, of which only the angle matters."""
    angle = np.array(angle, dtype=np.float64)
    rest = np.ones_like(angle)
    return PathProfile(np.arange(angle.shape[1], dtype=np.float64), angle, rest)


@pytest.mark.parametrize(
    "row, switches",
    [
        ([1, 0.5, -0.1, -1], 1),
        ([-1, 1, -1, 1], 3),
        ([1, 1, 1, 1], 0),
        ([1, 0, -1, -1], 1),
        ([1, 0, 1, 1], 0),
        ([0, 0, 1, 0], 0),
        ([0, 0, 0, 0], 0),
        ([1, np.nan, -1, 1], 2),
        ([1, np.nan, np.nan, 1], 0),
        ([np.nan, 1, 0, np.nan], 0),
        ([np.nan] * 4, 0),
        ([-1, 0, np.nan, 1], 1),
        ([1e-300, -1e-300, 0, 1e-300], 2),
    ],
)
def test_sign_switches(row, switches):
    """Zeros and NaN are of neither sign; the rows beside it do not matter."""
    assert profile([row]).sign_switches().tolist() == [switches]
    assert profile([[1, -1, 1, 1], row, [-1] * 4]).sign_switches().tolist() == [2, switches, 0]


# ---- What callers pass. ----


def test_float32():
    """Points of single precision, also mixed, and results that numpy can work with."""
    start, end = torch.tensor([2.0, 0.0, 1.0]), torch.tensor([[0.5, 1.0, 0.3]])
    exact = path_profile(rotating_saddle(), start.double(), end.double(), ALPHAS)
    for pair in ((start, end), (start, end.double()), (start.double(), end)):
        found = path_profile(rotating_saddle(), *pair, ALPHAS)
        assert found.angle.dtype == found.norm.dtype == np.float64
        assert found.angle == pytest.approx(exact.angle, abs=1e-4)
        assert found.norm == pytest.approx(exact.norm, rel=1e-4)


def test_callers_tensors_are_left_alone():
    """Parameters may be the ends of a path, and keep their values and their .grad."""
    start, end = (
        torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in ([2.0, 0, 1], [1.0, 1, 1])
    )
    start.grad, end.grad = torch.full_like(start, 5), torch.full_like(end, 5)
    alphas = ALPHAS.copy()
    found = path_profile(rotating_saddle(), start, end, alphas)
    plain = path_profile(rotating_saddle(), start.detach(), end.detach(), alphas)
    assert (found.angle == plain.angle).all()
    assert (start.tolist(), end.tolist()) == ([2, 0, 1], [1, 1, 1])
    assert (start.grad == 5).all() and (end.grad == 5).all()
    assert (alphas == ALPHAS).all()


# ---- Bad input. ----

START, END = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
PAIR = r"one start \(n,\) and ends \(n,\) or \(m, n\), got "


@pytest.mark.parametrize(
    "start, end, message",
    [
        ([START], END, PAIR + r"\(1, 3\) and \(3,\)"),
        (START, [[END]], PAIR + r"\(3,\) and \(1, 1, 3\)"),
        (START, np.zeros((0, 3)), PAIR + r"\(3,\) and \(0, 3\)"),
        ([0.0, 0.0], END, r"got \(2,\)"),
        (START, [1.0, 1.0], r"got \(2,\)"),
        ([np.nan, 0.0, 0.0], END, "must be finite, got nan"),
        (START, [np.inf, 0.0, 0.0], "must be finite, got inf"),
        (START, [END, [0.0, np.nan, 0.0]], "must be finite, got nan"),
        (START, START, "an end apart from its start"),
        (START, [END, START], "an end apart from its start"),
    ],
)
def test_bad_points(start, end, message):
    with pytest.raises(ValueError, match=message):
        path_profile(rotating_saddle(), start, end, [0.0, 1.0])


@pytest.mark.parametrize("alphas", [0.5, [], [[0.0, 1.0]], [0.0, np.nan], [0.0, np.inf]], ids=str)
def test_bad_alphas(alphas):
    with pytest.raises(ValueError, match="alphas are finite numbers in a row, got"):
        path_profile(rotating_saddle(), START, END, alphas)


@pytest.mark.parametrize("what", ["alphas", "angles", "quartiles", ""])
def test_bad_quartiles(what):
    with pytest.raises(ValueError, match=f"what is one of 'angle', 'norm', got {what!r}"):
        profile([[1, -1]]).quartiles(what)


def scaled(game, factor):
    """The same game with both losses multiplied."""
    return Game(
        lambda t, p: factor * game.generator_loss(t, p),
        lambda t, p: factor * game.discriminator_loss(t, p),
        game.sizes,
    )


def test_level_and_height():
    """The level is read at the nearest alpha, the height is the largest size near the end."""
    alphas = np.array([0.0, 0.5, 0.95, 1.0, 1.2])
    angle = np.array([[-0.5, 0.1, -0.7, np.nan, 0.9], [0.2, -0.3, 0.1, 0.4, -1.0]])
    seen = PathProfile(alphas, angle, np.ones_like(angle))
    assert seen.level().tolist() == [0.5, 0.2]
    assert seen.height().tolist() == [0.7, 0.4]
    no_angle = PathProfile(np.array([1.0]), np.full((1, 1), np.nan), np.ones((1, 1)))
    assert np.isnan(no_angle.height()[0])


@pytest.mark.parametrize("alpha", [0.9, 1.1, 1.0999999999999999, 1 + 0.1, 1 - 0.1])
def test_height_has_both_edges(alpha):
    """1.1 - 1 is above 0.1 in floats."""
    seen = PathProfile(np.array([0.0, alpha, 1.0]), np.array([[0.0, -0.9, 0.1]]), np.ones((1, 3)))
    assert seen.height().tolist() == [0.9]


def test_height_needs_a_position_near_the_end():
    seen = PathProfile(np.array([0.0, 0.5]), *[np.ones((1, 2))] * 2)
    with pytest.raises(ValueError, match=r"no alpha within 0.1"):
        seen.height()


def test_tiny_fields_have_an_angle():
    """Of a field whose square underflows, the angle is that of any multiple of it."""
    tiny, plain = (quadratic_game([[s]], [[s]], [[s]], [[-s]]) for s in (1e-200, 1.0))
    found, wanted = (path_profile(g, [1, 1], [0.1, 0], ALPHAS).angle for g in (tiny, plain))
    np.testing.assert_allclose(found, wanted, rtol=CLOSE)


@pytest.mark.parametrize(
    "dtype, scales",
    [("float32", (1e-37, 3e-23, 1e-16, 1e12)), ("float64", (1e-300, 1e-160, 1e120))],
)
def test_short_and_long_paths(dtype, scales):
    """In other units angles are the same and norms scale, also where squares under- or overflow."""
    game, places = turning(1.0, 0.0), [0.0, 0.25, 0.8, 1.0]
    start, end = (torch.tensor(w, dtype=getattr(torch, dtype)) for w in ([1.0, 0.2], [0.0, 0.5]))
    plain = path_profile(game, start, end, places)
    close = 20 * float(torch.finfo(start.dtype).eps)
    for scale in scales:
        found = path_profile(game, scale * start, scale * end, places)
        np.testing.assert_allclose(found.angle, plain.angle, rtol=close, atol=close)
        np.testing.assert_allclose(found.norm / scale, plain.norm, rtol=close)


def test_a_vanishing_field_has_a_norm():
    found = path_profile(turning(1.0, 0.0), [1.0, 1.0], [0.0, 0.0], [0.5, 1.0])
    assert np.isnan(found.angle[0, 1]) and found.norm[0, 1] == 0


def test_points_of_nets_one_by_one(monkeypatch):
    """Large games are looked at point by point, with the same result."""
    game, _ = uneven()
    begin, ends = np.ones(5), [[0.1] * 5, [0.2, 0, 0, 0, 0.1]]
    at_once = path_profile(game, begin, ends, ALPHAS)
    monkeypatch.setattr("helpers.analysis.paths._LARGE", 5)
    one_by_one = path_profile(game, begin, ends, ALPHAS)
    for what in ("angle", "norm"):
        assert np.allclose(getattr(at_once, what), getattr(one_by_one, what), rtol=1e-12)


def overflowing(factor=1.0):
    """A field of exp(theta): finite at 0, beyond floats from 710 on."""
    return Game(lambda t, p: (factor * t).exp().sum(), lambda t, p: (p**2).sum(), (1, 1))


def test_a_field_beyond_floats_is_named():
    with pytest.raises(FloatingPointError, match=r"at alpha = 0.8 is beyond the range of floats"):
        path_profile(overflowing(), [0.0, 1.0], [1000.0, 0.0], [0.0, 0.5, 0.8, 1.0])
    # Where only its square is beyond them it has a norm.
    found = path_profile(overflowing(), [0.0, 1.0], [1000.0, 0.0], [0.5])
    np.testing.assert_allclose(found.norm, np.exp(500), rtol=1e-12)
    with pytest.raises(FloatingPointError, match="distance from start to end"):
        path_profile(overflowing(0.0), [0.0, 1.0], [1e200, 0.0], [0.5])


def test_wrong_kinds():
    for alphas in ("01", None, [1j], {0.5}, [[0.5]]):
        with pytest.raises(ValueError, match=r"alphas are .* got"):
            path_profile(overflowing(), [0.0, 1.0], [1.0, 0.0], alphas)
