"""Extragradient and optimistic steps, against their closed forms on games."""

import copy
from functools import partial

import numpy as np
import pytest
import torch

from helpers.dynamics import iterate
from helpers.games import quadratic_game
from helpers.optimizers import Extragradient, Optimistic, play

SGD = partial(torch.optim.SGD, lr=0.1)
ADAM = partial(torch.optim.Adam, lr=0.05, betas=(0.5, 0.9))


def field(x, y, curvature):
    """Gradients of min_x max_y x'y, each player with a curvature of its own."""
    return curvature * x + y, curvature * y - x


def players(optimizer):
    x = torch.tensor([1.0, -0.5], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.3, 2.0], dtype=torch.float64, requires_grad=True)
    return [x, y], [optimizer([x]), optimizer([y])]


def take(points, moves, curvature):
    slopes = field(*(p.detach() for p in points), curvature)
    for point, slope in zip(points, slopes, strict=True):
        point.grad = slope.clone()
    for move in moves:
        move()


@pytest.mark.parametrize("curvature", [0.0, 0.7, -0.2])
def test_korpelevich(curvature):
    """Step for step x <- x - lr v(x - lr v(x)), on bilinear and quadratic games."""
    points, wrapped = players(lambda p: Extragradient(SGD(p)))
    identity = np.eye(2)
    J = np.block([[curvature * identity, identity], [-identity, curvature * identity]])
    wanted = np.concatenate([p.detach().numpy() for p in points])
    for _ in range(20):
        take(points, [w.extrapolate for w in wrapped], curvature)
        take(points, [w.step for w in wrapped], curvature)
        wanted = wanted - 0.1 * J @ (wanted - 0.1 * J @ wanted)
        found = np.concatenate([p.detach().numpy() for p in points])
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("curvature", [0.0, 0.7])
def test_optimistic(curvature):
    """x <- x - lr (2 v(x) - v(before)), the first step a plain one."""
    points, wrapped = players(lambda p: Optimistic(SGD(p)))
    identity = np.eye(2)
    J = np.block([[curvature * identity, identity], [-identity, curvature * identity]])
    wanted = np.concatenate([p.detach().numpy() for p in points])
    before = J @ wanted
    for _ in range(20):
        take(points, [w.step for w in wrapped], curvature)
        slope = J @ wanted
        wanted, before = wanted - 0.1 * (2 * slope - before), slope
        found = np.concatenate([p.detach().numpy() for p in points])
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_same_as_dynamics():
    """`helpers.dynamics` has the same method for closed-form games."""
    A = np.array([[0.3, 1.0], [-0.4, 0.2]])
    game = quadratic_game(np.eye(2) * 0.2, np.eye(2) * 0.1, A, -A.T)
    start = np.array([1.0, -0.5, 0.3, 2.0])
    end = iterate(game, start, "extragradient", size=0.1, steps=10, last_only=True)
    omega = torch.from_numpy(start).requires_grad_()
    optimizer = Extragradient(SGD([omega]))
    for _ in range(10):
        for move in (optimizer.extrapolate, optimizer.step):
            omega.grad = game.vector_field(omega.detach()).clone()
            move()
    np.testing.assert_allclose(omega.detach().numpy(), end.numpy(), rtol=1e-10)


@pytest.mark.parametrize("wrapper", [Extragradient, Optimistic])
def test_bilinear_games(wrapper):
    """They approach the solution, where the plain gradient runs away."""
    ends = []
    for make in (SGD, lambda p: wrapper(SGD(p))):
        points, wrapped = players(make)
        for _ in range(300):
            if hasattr(wrapped[0], "extrapolate"):
                take(points, [w.extrapolate for w in wrapped], 0.0)
            take(points, [w.step for w in wrapped], 0.0)
        ends.append(sum(p.detach().square().sum().item() for p in points))
    start = 1 + 0.25 + 0.09 + 4
    assert ends[0] > 2 * start and ends[1] < 0.5 * start


def test_extra_adam():
    """Both half-steps enter Adam's moments: two plain steps of Adam, the first taken back."""
    points, wrapped = players(lambda p: Extragradient(ADAM(p)))
    plain, adams = players(ADAM)
    for _ in range(5):
        start = [p.detach().clone() for p in plain]
        take(points, [w.extrapolate for w in wrapped], 0.3)
        take(points, [w.step for w in wrapped], 0.3)
        take(plain, [a.step for a in adams], 0.3)
        half = [p.detach().clone() for p in plain]
        take(plain, [], 0.3)
        with torch.no_grad():
            for point, past in zip(plain, start, strict=True):
                point.copy_(past)
        for adam in adams:
            adam.step()
        assert all(torch.equal(a, b) for a, b in zip(points, plain, strict=True))
        assert not any(torch.equal(a, b) for a, b in zip(half, plain, strict=True))


@pytest.mark.parametrize("wrapper", [Extragradient, Optimistic])
@pytest.mark.parametrize("optimizer", [partial(SGD, momentum=0.9), ADAM])
@pytest.mark.parametrize("amid", [False, True])
def test_state_round_trip(wrapper, optimizer, amid):
    """Saved and loaded, also between extrapolation and step: the same from there on."""

    def advance(points, wrapped):
        if hasattr(wrapped[0], "extrapolate"):
            take(points, [w.extrapolate for w in wrapped], 0.2)
        take(points, [w.step for w in wrapped], 0.2)

    points, wrapped = players(lambda p: wrapper(optimizer(p)))
    for _ in range(3):
        advance(points, wrapped)
    extra = amid and wrapper is Extragradient
    if extra:
        take(points, [w.extrapolate for w in wrapped], 0.2)
    others, loaded = players(lambda p: wrapper(optimizer(p)))
    with torch.no_grad():
        for other, point in zip(others, points, strict=True):
            other.copy_(point)
    for one, other in zip(wrapped, loaded, strict=True):
        other.load_state_dict(copy.deepcopy(one.state_dict()))
    for each in ((points, wrapped), (others, loaded)):
        if extra:
            take(each[0], [w.step for w in each[1]], 0.2)
        for _ in range(3):
            advance(*each)
    assert all(torch.equal(a, b) for a, b in zip(points, others, strict=True))


def test_out_of_order():
    _, (wrapped, _) = players(lambda p: Extragradient(SGD(p)))
    with pytest.raises(RuntimeError, match="before extrapolate"):
        wrapped.step()
    wrapped.extrapolate()
    with pytest.raises(RuntimeError, match="twice"):
        wrapped.extrapolate()


@pytest.mark.parametrize("in_turn", [False, True])
def test_play_is_iterate(in_turn):
    """With SGD the points are those of the plain methods of `helpers.dynamics`."""
    game = quadratic_game([[0.3]], [[0.1]], [[-1.0]], [[1.0]])
    method = "alternating" if in_turn else "simultaneous"
    wanted = iterate(game, [1.0, 0.5], method, size=0.1, steps=7)
    assert torch.allclose(play(game, [1.0, 0.5], SGD, steps=7, in_turn=in_turn), wanted)


def test_play_extrapolates():
    game = quadratic_game([[0.3]], [[0.1]], [[-1.0]], [[1.0]])
    wanted = iterate(game, [1.0, 0.5], "extragradient", size=0.1, steps=7)
    found = play(game, [1.0, 0.5], lambda w: Extragradient(SGD(w)), steps=7)
    assert torch.allclose(found, wanted)


def test_play_refuses():
    game = quadratic_game([[0.3]], [[0.1]], [[-1.0]], [[1.0]])
    with pytest.raises(ValueError, match="take turns"):
        play(game, [1.0, 0.5], lambda w: Extragradient(SGD(w)), steps=1, in_turn=True)
    for start, steps in (([[1.0, 0.5]], 1), ([1.0, 0.5], -1)):
        with pytest.raises(ValueError, match="one point and 0 steps"):
            play(game, start, SGD, steps=steps)
