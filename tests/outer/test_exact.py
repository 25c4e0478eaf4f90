"""Exact outer values: closed forms, the paper's values, and a numerical supremum over f."""

import time
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy
from torch.nn.functional import softplus

from helpers.losses.scalars import IDENTITY, LOGISTIC, PAIRING, SEPARABLE, hinge, least_squares
from helpers.outer.exact import (
    check_points,
    on_cycle,
    phi_js,
    phi_pairing,
    phi_rs,
    phi_separable,
    xi,
)
from tests.common import LOSSES, SETTINGS, point_sets
from tests.oracles.suprema import exact, supremum

A, B = np.meshgrid(np.arange(21.0), np.arange(21.0))
TOTAL = np.where(A + B > 0, A + B, 1)
CLOSED = {
    "js": xlogy(A, A / TOTAL) + xlogy(B, B / TOTAL),
    "ls": -A * B / TOTAL,
    "hinge": -2 * np.minimum(A, B),
}
# Two real points 0 and 4 (Sun et al. 2020, Claims 3.1 and 3.2), generated ones elsewhere or there.
RECOVERY, COLLAPSE, ONE, NONE = [4.0, 0.0], [0.0, 0.0], [0.0, 9.0], [8.0, 9.0]


@pytest.mark.parametrize("loss", CLOSED)
def test_closed_forms(loss):
    """xi of a real and b generated points, up to 20 each, is its closed form to rounding."""
    np.testing.assert_allclose(xi(A, B, *SEPARABLE[loss]), CLOSED[loss], rtol=0, atol=1e-12)


def test_xi_with_lopsided_counts():
    """The search finds maxima far from 0 too: one real point among many generated ones."""
    many = 10.0 ** np.arange(2, 7)
    closed = np.log(1 / (1 + many)) - many * np.log1p(1 / many)
    np.testing.assert_allclose(xi(1, many, LOGISTIC, LOGISTIC), closed, rtol=1e-12)
    np.testing.assert_allclose(xi(many, 1, *SEPARABLE["ls"]), -many / (1 + many), rtol=1e-12)


def test_xi_broadcasts():
    """Shapes broadcast, also to a scalar, and no points add nothing."""
    assert xi([[1], [2]], [0, 1, 2], LOGISTIC, LOGISTIC).shape == (2, 3)
    assert xi(1, 1, LOGISTIC, LOGISTIC).shape == ()
    assert xi(0, 0, IDENTITY, IDENTITY) == 0


@pytest.mark.parametrize("a, b", [(1, 0), (0, 2), (1, 2), (3, 1)])
def test_xi_infinite(a, b):
    """A supremum that is infinite is refused, not cut off."""
    with pytest.raises(ValueError, match="infinite"):
        xi(a, b, IDENTITY, IDENTITY)


@pytest.mark.parametrize("a", [1e-300, 1e-12, 1.0, 1e300])
@pytest.mark.parametrize(
    "h",
    [
        IDENTITY,
        lambda t: softplus(t).log(),
        lambda t: (1 + softplus(t).log1p()).log(),
        lambda t: 1e-9 * softplus(t).sqrt(),
        lambda t: softplus(t) ** 0.01,
    ],
    ids=["t", "log t", "log log t", "root of t", "t^0.01"],
)
def test_xi_infinite_at_any_pace(a, h):
    """However slowly h rises, and however few points there are; from either side."""
    for counts, functions in (((a, 0), (h, LOGISTIC)), ((0, a), (LOGISTIC, h))):
        with pytest.raises(ValueError, match="infinite"):
            xi(*counts, *functions)


@pytest.mark.parametrize("a", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize(
    "h",
    [
        lambda t: 1 - 1 / (1 + softplus(t)),
        lambda t: 1 - 1 / (1 + softplus(t)) ** 0.5,
        lambda t: 1e7 * torch.tanh(softplus(t)),
        lambda t: 1e7 + hinge()(t),
    ],
    ids=["1/t", "root of 1/t", "exponential", "kinked"],
)
def test_xi_finite_at_any_size(a, h):
    """A supremum that is neared slowly, or is large, is no infinite one."""
    top = float(h(torch.tensor(1e30, dtype=torch.float64)))
    assert xi(a, 0, h, LOGISTIC) == pytest.approx(a * top, rel=1e-8, abs=0)


@pytest.mark.parametrize("count", [-1, float("nan"), float("inf")])
def test_xi_bad_counts(count):
    """Counts that count nothing are refused."""
    with pytest.raises(ValueError, match="non-negative"):
        xi(count, 1, LOGISTIC, LOGISTIC)


@pytest.mark.parametrize(
    "y, js, rs",
    [
        (RECOVERY, -log(2), -log(2)),
        (RECOVERY[::-1], -log(2), -log(2)),
        (COLLAPSE, (2 * log(2) - 3 * log(3)) / 4, -log(2) / 2),
        (ONE, -log(2) / 2, -log(2) / 2),
        (ONE[::-1], -log(2) / 2, 0.0),  # the mis-pairing that Claim 3.2 leaves out
        (NONE, 0.0, 0.0),
    ],
)
def test_two_points(y, js, rs):
    """The values of Claims 3.1 and 3.2 at two real points."""
    assert phi_js([0.0, 4.0], y) == pytest.approx(js, abs=1e-14)
    assert phi_rs([0.0, 4.0], y) == pytest.approx(rs, abs=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
@settings(SETTINGS, max_examples=50)
@given(data=st.data())
def test_against_numerical_supremum(loss, data):
    """The closed values are the suprema that convex optimisation over the values of f finds.

    No f may exceed the exact value. The logistic's supremum is approached at infinity, where
    L-BFGS stops once the gradient, and with it what is left to gain, falls to about 1e-12.
    """
    x, y = data.draw(point_sets(distinct=loss in PAIRING))
    found, value = supremum(x, y, loss), exact(x, y, loss)
    assert found <= value + 1e-13
    assert found >= value - (1e-10 if loss in ("js", "rs") else 1e-13)


@pytest.mark.parametrize("a", [0.5, 2.0])
def test_other_margins(a):
    """Pairing losses scale with h(0), a 3-cycle and a mis-paired match among five points."""
    x, y = np.arange(5.0), [1.0, 2.0, 0.0, 9.0, 3.0]
    assert phi_pairing(x, y, hinge(a)) == pytest.approx(-a * 3 / 5, rel=1e-15)
    assert phi_pairing(x, y, least_squares(a)) == pytest.approx(-(a**2) * 3 / 5, rel=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
@settings(SETTINGS, max_examples=25)
@given(data=st.data())
def test_permutations(loss, data):
    """Pairs may be reordered under any loss, points in each set under a separable one."""
    x, y = data.draw(point_sets(distinct=loss in PAIRING))
    order = data.draw(st.permutations(range(len(x))))
    value = exact(x, y, loss)
    assert exact(x[order], y[order], loss) == value
    if loss in SEPARABLE:
        assert exact(x[order], y, loss) == exact(x, y[order], loss) == value


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("d", [1, 2])
def test_negative_zero(loss, d):
    """-0.0 is the location 0.0."""
    zero, minus = np.zeros((1, d)), -np.zeros((1, d))
    assert exact(zero, minus, loss) == exact(zero, zero, loss) != 0


@pytest.mark.parametrize("loss", ["js", "rs"])
def test_locations_are_whole_points(loss):
    """Points that share some coordinates, or lie one rounding apart, do not coincide."""
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    y = np.array([[1.0, 4.0], [np.nextafter(3.0, 4.0), 4.0]])
    assert exact(x, y, loss) == pytest.approx(0, abs=1e-16)


@pytest.mark.parametrize("loss", ["js", "rs"])
@pytest.mark.parametrize("d", [1, 3])
def test_large(loss, d):
    """100,000 points take under 2 s, and half of them recovered give half the value."""
    n = 100_000
    x = np.random.default_rng(0).permutation(n * d).reshape(n, d) / 8
    y = np.where(np.arange(n)[:, None] < n // 2, x, -1 - x)
    start = time.process_time()
    value = exact(x, y, loss)
    assert time.process_time() - start < 2
    assert value == pytest.approx(-log(2) / 2, rel=1e-12)


def test_long_chain_and_cycle():
    """The cycle count looks past any fixed number of steps: one cycle of 1,000, one chain."""
    x = np.arange(1000.0)
    assert phi_rs(x, np.roll(x, 1)) == pytest.approx(-log(2), rel=1e-15)
    assert phi_rs(x, x + 1) == 0


@SETTINGS
@given(data=st.data())
def test_on_cycle(data):
    """Cycle nodes are those that a walk of some length returns to, the sink apart."""
    m = data.draw(st.integers(1, 6))
    graph = st.lists(st.integers(0, m - 1), min_size=m, max_size=m)
    graphs = np.array(data.draw(st.lists(graph, min_size=1, max_size=3)))
    expected = np.zeros((len(graphs), m - 1), dtype=bool)
    for row, graph in enumerate(graphs.tolist()):
        for node in range(m - 1):
            here = node
            for _ in range(m):
                here = m - 1 if here == m - 1 else graph[here]
                expected[row, node] |= here == node
    np.testing.assert_array_equal(on_cycle(graphs), expected)


@pytest.mark.parametrize("phi", [phi_js, phi_rs])
@pytest.mark.parametrize(
    "x, y, message",
    [
        ([0.0, np.nan], [0.0, 1.0], "x holds NaN"),
        ([0.0, 1.0], [0.0, np.inf], "y holds NaN or infinite"),
        ([], [], "empty"),
        (np.zeros((2, 0)), np.zeros((2, 0)), "empty"),
        ([0.0, 1.0], [0.0], "shapes"),
        ([[0.0, 1.0]], [[0.0, 1.0, 2.0]], "shapes"),
        ([0.0, 1.0], [[0.0], [1.0]], "shapes"),
        (0.0, 0.0, "shapes"),
        (np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), "shapes"),
    ],
)
def test_bad_points(phi, x, y, message):
    """Point sets that no value belongs to are refused."""
    with pytest.raises(ValueError, match=message):
        phi(x, y)


def test_check_points_shape():
    """Numbers on a line become points of one coordinate."""
    x, y = check_points([1, 2], [3, 4])
    assert x.tolist() == [[1.0], [2.0]]
    assert y.dtype == np.float64


@pytest.mark.parametrize("x", [[1.0, 1.0], [0.0, -0.0], [[1.0, 2.0], [1.0, 2.0]]])
def test_repeated_reals(x):
    """The cycle count rests on distinct real points; a separable loss takes repeats."""
    with pytest.raises(ValueError, match="distinct"):
        phi_rs(x, x)
    assert phi_js(x, x) == pytest.approx(-log(2), rel=1e-14)


def test_supremum_must_vanish():
    """The Wasserstein loss h(t) = t and a shifted h are none of Theorem 2's."""
    for h in (IDENTITY, lambda t: hinge()(t) + 1, lambda t: LOGISTIC(t) - 0.5):
        with pytest.raises(ValueError, match="sup h = 0"):
            phi_pairing([0.0, 1.0], [1.0, 0.0], h)
    with pytest.raises(ValueError, match="infinite"):
        phi_separable([0.0, 1.0], [1.0, 2.0], IDENTITY, IDENTITY)
    assert phi_pairing([0.0], [0.0], PAIRING["rp-ls"]) == -1


def test_counts_beyond_floats():
    """Huge counts are weighed, and a supremum that no float holds is named."""
    assert xi(1e300, 1e300, LOGISTIC, LOGISTIC) == pytest.approx(-2e300 * np.log(2))
    with pytest.raises(
        FloatingPointError, match=r"for 1.7e\+308 real and 1.7e\+308 generated points"
    ):
        xi([1.0, 1.7e308], [1.0, 1.7e308], LOGISTIC, LOGISTIC)
    with pytest.raises(ValueError, match="non-negative and finite, got inf"):
        xi(1e300, np.inf, LOGISTIC, LOGISTIC)


def test_wrong_kinds():
    with pytest.raises(ValueError, match=r"broadcast, got shapes \(2,\) and \(3,\)"):
        xi([1, 2], [1, 2, 3], LOGISTIC, LOGISTIC)
    for wrong in ("12", None, {1}, [1j]):
        with pytest.raises(ValueError, match="counts of points are real numbers, got"):
            xi(wrong, 1, LOGISTIC, LOGISTIC)
        with pytest.raises(ValueError, match="x are real numbers, got"):
            phi_separable(wrong, [0.0, 1.0], LOGISTIC, LOGISTIC)
    with pytest.raises(ValueError, match="h is a function of a tensor, got 'js'"):
        xi(1, 1, "js", LOGISTIC)
    for wrong in ([-1, 0], [0, 2], [0.0, 1.0], [], "01"):
        with pytest.raises(ValueError, match=r"nodes .* point to nodes from 0 to m - 1, got"):
            on_cycle(wrong)
