"""The Lipschitz objective, against cutting planes, its limits and what must hold for any L."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.losses.scalars import PAIRING, SEPARABLE, check_loss
from helpers.outer.lipschitz import best_discriminator, phi_lipschitz
from helpers.outer.transport import wasserstein
from tests.common import LOSSES, SETTINGS, point_sets
from tests.oracles.suprema import exact, lipschitz_bracket

GAP = 1e-7  # that phi_lipschitz promises
ROUNDING = 1e-12
# Points within 0.1 gap / L are taken as one: f may jump by 0.1 gap there, h's slope is at most 2.
MEETING = 0.2 * GAP
X, Y = np.array([0.0, 4.0]), np.array([-1.0, 0.0, 0.5, 4.0])
GRID = np.stack(np.meshgrid(Y, Y, indexing="ij"), axis=-1)  # (4, 4, 2): both generated points
losses = pytest.mark.parametrize("loss", LOSSES)


@losses
@settings(SETTINGS, max_examples=6)
@given(points=point_sets(most=3, dimensions=2), L=st.floats(0.05, 20))
def test_against_cutting_planes(loss, points, L):
    """Within the gap below the supremum that another method brackets, and not above it."""
    low, high = lipschitz_bracket(*points, loss, L)
    assert high - low < 1e-8  # else it is the bracket that failed
    assert low - GAP <= phi_lipschitz(*points, loss, L) <= high + MEETING


@losses
@settings(SETTINGS, max_examples=5)
@given(
    points=point_sets(most=3, dimensions=2),
    exponent=st.floats(-9, -3),
    side=st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3),
)
def test_points_that_nearly_coincide(loss, points, exponent, side):
    """Distances from 1e-9 to 1e-3, on either side of where points count as one."""
    x, y = points
    y = y + 10**exponent * np.array(side)[: len(x), None]
    low, high = lipschitz_bracket(x, y, loss, 5.0)
    value = phi_lipschitz(x, y, loss, 5.0)
    assert low - GAP <= value <= high + MEETING
    assert value <= exact(x, y, loss) + ROUNDING


@losses
def test_nearly_coinciding_reals(loss):
    """Two real points next to one another weigh like one place that holds both."""
    x, y = np.array([0.0, 1e-6, 2.0]), np.array([1e-6, 2.0, 2.0])
    low, high = lipschitz_bracket(x, y, loss, 1.0)
    assert low - GAP <= phi_lipschitz(x, y, loss, 1.0) <= high + MEETING


@losses
@settings(SETTINGS, max_examples=4)
@given(points=point_sets(most=4), exponents=st.lists(st.floats(-3, 4), min_size=3, max_size=3))
def test_below_exact_and_monotone(loss, points, exponents):
    """More freedom for f never lowers the value, and none lifts it over function space's."""
    values = [float(phi_lipschitz(*points, loss, 10**e)) for e in sorted(exponents)]
    for less, more in zip(values, [*values[1:], exact(*points, loss)], strict=True):
        assert less <= more + GAP + MEETING
    assert max(values) <= exact(*points, loss) + ROUNDING


@losses
@pytest.mark.parametrize("L", [1e3, 1e5, 1e6])
def test_tends_to_exact(loss, L):
    """Where distinct points lie 0.5 apart the exact value is reached to the gap from L = 1e3."""
    expected = np.array([[exact(X, y, loss) for y in row] for row in GRID])
    values = phi_lipschitz(X, GRID, loss, L)
    assert (values <= expected + ROUNDING).all()
    assert (values >= expected - GAP).all()


@losses
@pytest.mark.parametrize("L", [1e2, 1e3, 1e6, 1e12])
def test_steep_and_degenerate(loss, L):
    """All on one place, at a real point or apart, in a cycle: exact values, however large L."""
    x = np.array([0.0, 1.0, 2.0])
    sets = np.array([[2.0, 2, 2], [5, 5, 5], [0.5, 0.5, 1.5], [1, 2, 0], [0, 0, 1]])
    expected = np.array([exact(x, y, loss) for y in sets])
    # Where 40 units of f fit between points, f is as free as in function space.
    slack = GAP if L > 100 else 1e-6
    values = phi_lipschitz(x, sets, loss, L)
    assert (values <= expected + ROUNDING).all() and (values >= expected - slack).all()


def test_collapse_under_hinge():
    """The value that a linear program finds: -1/3, where Newton's system was singular."""
    x, y = np.array([0.0, 1.0, 2.0]), np.array([2.0, 2.0, 2.0])
    low, high = lipschitz_bracket(x, y, "hinge", 1000.0)
    assert high - low < 1e-8
    assert low - GAP <= phi_lipschitz([0, 1, 2], [[2, 2, 2]], "hinge", 1000)[0] <= high + MEETING


@losses
def test_hardly_any_freedom(loss):
    """As L vanishes f is a constant, and every Y as good as recovery."""
    values = phi_lipschitz(X, GRID, loss, 1e-8)
    recovery = exact(X, X, loss)
    assert (values >= recovery - GAP).all()
    # h is 2-Lipschitz where it matters, f ranges over at most 5 L.
    assert (values <= recovery + 1e-7).all()


@losses
def test_one_pair_in_closed_form(loss):
    """For n = 1 the only freedom is the step s = f(x) - f(y), at most L times the distance."""
    distance, L = np.array([0.0, 0.3, 0.5, 2.0]), 0.8
    s = L * distance
    closed = {
        # With f(x) = s / 2, f(y) = -s / 2 both terms are equal; LS is 1/2 with the step taken off.
        "js": -np.log1p(np.exp(-s / 2)),
        "hinge": -np.maximum(0, 1 - s / 2),
        "ls": -(np.maximum(0, 1 - s) ** 2) / 4,
        "rs": -np.log1p(np.exp(-s)),
        "rp-hinge": -np.maximum(0, 1 - s),
        "rp-ls": -(np.maximum(0, 1 - s) ** 2),
    }[loss]
    values = phi_lipschitz([1.0], 1.0 + distance[:, None], loss, L)
    assert (values <= closed + ROUNDING).all()
    assert (values >= closed - GAP).all()


@losses
def test_batch(loss):
    """A batch of any shape holds what its entries give one by one, to the gap."""
    values = phi_lipschitz(X, GRID, loss, 0.7)
    assert values.shape == (4, 4)
    for i, j in [(1, 1), (3, 1), (0, 2)]:
        single = phi_lipschitz(X, GRID[i, j], loss, 0.7)
        assert single.shape == ()
        assert values[i, j] == pytest.approx(float(single), abs=GAP)


@losses
def test_invariances(loss):
    """Turning and shifting all points, or trading L for distance, changes nothing."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 3, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    value = float(phi_lipschitz(x, y, loss, 1.5))
    assert float(phi_lipschitz(x @ turn + 3, y @ turn + 3, loss, 1.5)) == pytest.approx(
        value, abs=GAP
    )
    assert float(phi_lipschitz(10 * x, 10 * y, loss, 0.15)) == pytest.approx(value, abs=GAP)
    # The line is a line in space too.
    flat = [np.stack([p, np.zeros(2)], axis=-1) for p in (X, np.array([1.0, 3.5]))]
    on_line = float(phi_lipschitz(X, [1.0, 3.5], loss, 1.5))
    assert float(phi_lipschitz(*flat, loss, 1.5)) == pytest.approx(on_line, abs=GAP)


@pytest.mark.parametrize("loss", ["js", "rs"])
@pytest.mark.parametrize(
    "x, y, L, message",
    [
        (X, X, 0.0, "L is a finite number, above 0, got"),
        (X, X, -1.0, "L is a finite number, above 0, got"),
        (X, X, np.nan, "L is a finite number, above 0, got"),
        (X, X, np.inf, "L is a finite number, above 0, got"),
        (X, [0.0, np.nan], 1.0, "y holds NaN"),
        (X, [[0.0, 1.0], [np.inf, 1.0]], 1.0, "y holds NaN or infinite"),
        ([0.0, np.nan], X, 1.0, "x holds NaN"),
        (X, [0.0], 1.0, "y must be"),
        (X, [[0.0], [4.0]], 1.0, "y must be"),
        (X[:, None], X, 1.0, "y must be"),
        (X[:, None], np.zeros((2, 2)), 1.0, "y must be"),
        (X, np.zeros((0, 2)), 1.0, "y must be"),
        ([], [], 1.0, "y must be"),
        (0.0, 0.0, 1.0, "shapes"),
    ],
)
def test_errors(loss, x, y, L, message):
    """Bad constants, bad shapes and points that are none are refused."""
    with pytest.raises(ValueError, match=message):
        phi_lipschitz(x, y, loss, L)


def test_other_errors():
    """A loss that does not exist, and repeated real points where they must not be."""
    with pytest.raises(ValueError, match="unknown loss"):
        phi_lipschitz(X, X, "wgan-gp", 1.0)
    for loss in PAIRING:
        for x in ([1.0, 1.0], [0.0, -0.0], [[1.0, 2.0], [1.0, 2.0]]):
            with pytest.raises(ValueError, match="distinct"):
                phi_lipschitz(x, x, loss, 1.0)


@pytest.mark.parametrize("loss", ["js", "hinge", "ls"])
def test_repeated_reals(loss):
    """A separable loss takes repeated real points."""
    x, y = np.array([1.0, 1.0, 3.0]), np.array([3.0, 1.0, 2.0])
    low, high = lipschitz_bracket(x, y, loss, 0.8)
    assert low - GAP <= phi_lipschitz(x, y, loss, 0.8) <= high + MEETING
    assert phi_lipschitz(x, y, loss, 1e4) == pytest.approx(exact(x, y, loss), abs=GAP)


@pytest.mark.parametrize("loss", ["js", "hinge", "rs", "rp-hinge"])
def test_best_discriminator_has_the_value(loss):
    """The objective at the values that it gives, by hand, is the supremum; none is too steep."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=3), rng.normal(size=(5, 3))
    at_x, at_y = (torch.from_numpy(each) for each in best_discriminator(x, y, loss, 1.5))
    if loss in PAIRING:
        value = PAIRING[loss](at_x - at_y).mean(dim=1)
        assert torch.cat([at_x, at_y], dim=1).mean(dim=1).abs().max() < 1e-12
    else:
        h1, h2 = SEPARABLE[loss]
        value = (h1(at_x) + h2(-at_y)).mean(dim=1) / 2
    np.testing.assert_allclose(value, phi_lipschitz(x, y, loss, 1.5), atol=1e-12)
    points = np.concatenate([np.broadcast_to(x, y.shape), y], axis=1)
    f = torch.cat([at_x, at_y], dim=1).numpy()
    steep = np.abs(f[:, :, None] - f[:, None]) - 1.5 * np.abs(points[:, :, None] - points[:, None])
    assert steep.max() <= 1e-9


@pytest.mark.parametrize("n, d", [(1, 1), (2, 1), (3, 2), (6, 3), (8, 10)])
@pytest.mark.parametrize("scale, L", [(1.0, 1.0), (1e6, 3.0), (1e-6, 1e-9)])
def test_wgan_is_the_wasserstein_distance(n, d, scale, L):
    """L times the cost of the optimal matching, from below, however large or small both are."""
    rng = np.random.default_rng(n)
    x, Y = scale * rng.normal(size=(n, d)), scale * rng.normal(size=(5, n, d))
    Y[0], Y[1, :] = x[::-1], x[0]  # recovery in another order, and collapse
    values = phi_lipschitz(x, Y, "wgan", L)
    for y, value in zip(Y, values, strict=True):
        cost = L * wasserstein(x, y)
        far = L * np.linalg.norm(np.concatenate([x, y])[:, None] - np.concatenate([x, y]), axis=2)
        assert -GAP * far.max() <= value - cost <= 2 * n * 0.1 * GAP * far.max()


def test_wgan_on_one_place():
    assert phi_lipschitz([1.0, 1.0], [[1.0, 1.0]], "wgan", 2.0).tolist() == [0.0]
    at_x, at_y = best_discriminator([0.0, 4.0], [1.0, 3.0], "wgan", 2.0)
    assert (at_x - at_y) == pytest.approx([2, 2], abs=1e-6)  # 2 over a distance of 1, for each
    assert np.concatenate([at_x, at_y]).mean() == pytest.approx(0, abs=1e-12)


def test_wgan_beyond_floats():
    with pytest.raises(FloatingPointError, match="beyond floats"):
        phi_lipschitz([0.0], [1e300], "wgan", 1e300)


def test_wgan_needs_a_bound():
    """Without one its supremum is infinite, which is said."""
    with pytest.raises(ValueError, match="'wgan' where the slope of f is not bounded"):
        check_loss("wgan")


@pytest.mark.parametrize("loss, reach, weight", [("hinge", 2.0, 0.5), ("rp-hinge", 1.0, 1.0)])
def test_hinge_is_wgan_while_it_does_not_saturate(loss, reach, weight):
    """Where f can stay within the hinge's linear part its landscape is W-GAN's, moved by -1."""
    rng = np.random.default_rng(4)
    x, Y = rng.uniform(size=(3, 2)), rng.uniform(size=(20, 3, 2))
    L = reach / np.sqrt(2)  # times the unit square's diagonal: the reach
    found = phi_lipschitz(x, Y, loss, L) + 1 - weight * phi_lipschitz(x, Y, "wgan", L)
    assert np.abs(found).max() < 3 * GAP


def test_inference_mode():
    wanted = phi_lipschitz([0.0, 4.0], [0.0, 1.0], "js", 2.0)
    with torch.inference_mode():
        assert phi_lipschitz([0.0, 4.0], [0.0, 1.0], "js", 2.0) == wanted
        best_discriminator([0.0, 4.0], [0.0, 1.0], "rs", 2.0)
