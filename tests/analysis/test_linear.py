"""Linear games: the parts of their flow, against the matrix exponential, and two numbers."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from helpers.analysis.linear import decoupled, evenness, linear_orbit, rotation, turns

PULL, TURN = np.eye(2), np.array([[0.0, 2.0], [-2.0, 0.0]])
BOTH = PULL + TURN


def random_matrix(seed, n=6):
    return np.random.default_rng(seed).normal(size=(n, n))


@pytest.mark.parametrize("J", [PULL, TURN, BOTH, *(random_matrix(seed) for seed in range(8))])
def test_proposition_1(J):
    """In the basis exp(-tJ) has the stated blocks, and J is what they are the flow of."""
    parts = decoupled(J)
    P = parts.basis
    assert P.shape == J.shape
    scale = np.linalg.cond(P) * np.linalg.norm(J)
    assert np.abs(J @ P - P @ parts.blocks).max() < 1e-13 * scale
    for t in (0.0, 0.3, 1.0):
        exact = expm(-t * J)
        assert np.abs(exact @ P - P @ parts.flow(t)).max() < 1e-12 * scale * np.linalg.norm(exact)


def test_blocks_by_hand():
    """A decay of 1 with a rotation by 2t, and the eigenvalue in the upper half plane."""
    parts = decoupled(BOTH)
    assert parts.values == pytest.approx([1 + 2j])
    c, s = np.cos(0.5), np.sin(0.5)
    assert parts.flow(0.25) == pytest.approx(np.exp(-0.25) * np.array([[c, s], [-s, c]]))


def test_orbits_are_those_of_the_exponential():
    J, start, times = random_matrix(3), np.arange(6.0), np.array([0.0, 0.2, 1.0])
    orbit = linear_orbit(J, start, times)
    assert orbit[0] == pytest.approx(start)
    for t, point in zip(times, orbit, strict=True):
        assert point == pytest.approx(expm(-t * J) @ start, rel=1e-9, abs=1e-9)


def defective(size, seed):
    """A Jordan block of the eigenvalue 1 in another basis."""
    basis = random_matrix(seed, n=size)
    return basis @ (np.eye(size) + np.eye(size, k=1)) @ np.linalg.inv(basis)


@pytest.mark.parametrize(
    "J",
    [
        [[1.0, 1.0], [0.0, 1.0]],
        [[0.0, 1.0], [0.0, 0.0]],
        [[1.0, 1.0], [1e-30, 1.0]],
        [[1.0, 1.0], [-1.0, 3.0]],  # rounding hides that 2 is an eigenvalue twice
        [[1.0, 1e9], [0.0, 1 + 1e-9]],
        *(defective(size, seed) for size, seed in ((3, 0), (4, 0), (6, 1))),
    ],
)
def test_orbits_where_eigenvectors_do_not_span_the_space(J):
    J, times = np.array(J), [0.0, 0.5, 5.0]
    start = np.arange(1.0, len(J) + 1)
    for t, point in zip(times, linear_orbit(J, start, times), strict=True):
        assert point == pytest.approx(expm(-t * J) @ start, rel=1e-9)
    by_hand = linear_orbit([[1.0, 1.0], [0.0, 1.0]], [0.0, 1.0], [2.0])[0]
    assert by_hand == pytest.approx(np.exp(-2) * np.array([-2.0, 1.0]))
    assert linear_orbit(J, start, []).shape == (0, len(J))


def test_rotation_and_evenness():
    """Of matrices whose parts are known, of a scale that is in neither."""
    for a, b in ((1.0, 0.0), (2.0, 3.0), (0.1, 50.0)):
        J = a * PULL + b * TURN / 2
        assert rotation(J) == pytest.approx(b / a)
        assert evenness(J) == pytest.approx(1.0)
        assert rotation(7 * J) == pytest.approx(b / a)
    assert evenness(np.diag([1.0, 0.0, 0.0, 0.0])) == pytest.approx(0.5)
    assert rotation(TURN) == np.inf and np.isnan(evenness(TURN))
    for scale in (1e200, 1e-200, 5e-324):
        assert rotation(scale * np.array([[1.0, -3.0], [3.0, 1.0]])) == pytest.approx(3)
        assert evenness(scale * np.eye(3)) == pytest.approx(1)
    nothing = np.zeros((2, 2))  # it neither turns nor pulls
    assert np.isnan(rotation(nothing)) and np.isnan(evenness(nothing))


@pytest.mark.parametrize("function", [decoupled, rotation, evenness])
@pytest.mark.parametrize("J", [np.ones((2, 3)), np.ones(4), np.zeros((0, 0)), [[np.nan]]])
def test_refuses_what_is_no_square_matrix(function, J):
    with pytest.raises(ValueError, match="J "):
        function(J)


@pytest.mark.parametrize(
    ("start", "times"), [(np.ones(3), [0.0]), (np.ones(2), 0.0), ([1.0, np.inf], [0.0])]
)
def test_refuses_an_orbit_that_does_not_fit(start, times):
    with pytest.raises(ValueError, match=r"start|times"):
        linear_orbit(PULL, start, times)


def test_refuses_a_time_that_is_none():
    with pytest.raises(ValueError, match="t "):
        decoupled(PULL).flow(np.nan)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("steps", [(1, 1), (3, 2), (10, 10)])
def test_turns_are_those_of_torch(momentum, steps):
    """Two iterations of torch's own SGD on a linear game, D's steps first."""
    p, J = 2, torch.from_numpy(random_matrix(5, n=5))
    theta, phi = (torch.linspace(-1, 2, k).double().requires_grad_() for k in (2, 3))
    start = torch.cat([theta, phi]).detach().numpy().copy()
    players = ((phi, slice(p, 5)), (theta, slice(0, p)))
    movers = [torch.optim.SGD([own], lr=0.05, momentum=momentum) for own, _ in players]
    for _ in range(2):
        for (own, rows), mover, count in zip(players, movers, steps, strict=True):
            for _ in range(count):
                own.grad = (J @ torch.cat([theta, phi]).detach())[rows]
                mover.step()
    one = turns(J.numpy(), p, rate=0.05, momentum=momentum, steps=steps)
    there = one @ one @ np.concatenate([start, np.zeros(5)])
    assert there[:5] == pytest.approx(torch.cat([theta, phi]).detach().numpy(), rel=1e-10)


def test_small_turns_are_the_flow():
    """At a small rate the slowest growth is that of the flow, momentum or not."""
    J = np.array([[0.3, 1.0, 0.0], [-1.0, -0.2, 0.0], [0.0, 0.0, 2.0]])
    flow = -np.linalg.eigvals(J).real.min()
    for momentum in (0.0, 0.9):
        rate = 1e-6
        values = np.linalg.eigvals(turns(J, 1, rate=rate, momentum=momentum))
        growth = np.log(np.abs(values).max()) * (1 - momentum) / rate
        assert growth == pytest.approx(flow, abs=1e-4)


def test_turns_refused():
    for p in (0, 2, 1.0):
        with pytest.raises(ValueError, match="p is a whole number, from 1 to 1"):
            turns(PULL, p, rate=0.1)
    with pytest.raises(ValueError, match="rate is a finite number, above 0"):
        turns(PULL, 1, rate=0)
    with pytest.raises(ValueError, match=r"a momentum is in \(-1, 1\), got 1"):
        turns(PULL, 1, rate=0.1, momentum=1)
    with pytest.raises(ValueError, match="steps are D's and G's, got 3"):
        turns(PULL, 1, rate=0.1, steps=3)
    with pytest.raises(ValueError, match="J is square"):
        turns([[1.0, 2.0]], 1, rate=0.1)
