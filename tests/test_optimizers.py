"""Extragradient and optimistic steps, against their closed forms on games."""

import copy
from functools import partial

import numpy as np
import pytest
import torch

from helpers.dynamics import iterate
from helpers.games import quadratic_game
from helpers.optimizers import Extragradient, Nudged, Optimistic, play

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


def vector(seed, n=12):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


def in_two(optimizer, start):
    """Weights in two shapes that hold a vector, and an optimiser of them."""
    parts = [start[:4].reshape(2, 2).clone(), start[4:].clone()]
    weights = [part.requires_grad_() for part in parts]
    return weights, optimizer(weights)


def steps_of(optimizer, count=6):
    weights, made = in_two(optimizer, vector(0))
    for step in range(count):
        slope = vector(1 + step) + 3 * torch.cat([w.detach().reshape(-1) for w in weights])
        weights[0].grad, weights[1].grad = slope[:4].reshape(2, 2).clone(), slope[4:].clone()
        made.step()
    return torch.cat([w.detach().reshape(-1) for w in weights]), weights


def orthonormal(k, n=12):
    return torch.linalg.qr(torch.randn(n, k, generator=torch.Generator().manual_seed(9)))[0]


@pytest.mark.parametrize("project", ["gradient", "step"])
def test_nudged_by_nothing(project):
    """Without directions it is the optimiser inside, bit for bit."""
    nothing = torch.zeros(12, 0)
    plain = steps_of(ADAM)[0]
    assert torch.equal(steps_of(lambda w: Nudged(ADAM(w), nothing, project))[0], plain)


@pytest.mark.parametrize("k", [1, 5, 11])
def test_passed_on_is_orthogonal(k):
    """The gradient that the inner optimiser sees has nothing along the directions, all the rest."""
    span = orthonormal(k)
    seen = []

    class Spy(torch.optim.SGD):
        def step(self):
            seen.append(
                torch.cat([w.grad.reshape(-1).clone() for w in self.param_groups[0]["params"]])
            )

    weights, made = in_two(lambda w: Nudged(Spy(w, lr=0.1), span), vector(0))
    slope = vector(3)
    weights[0].grad, weights[1].grad = slope[:4].reshape(2, 2).clone(), slope[4:].clone()
    made.step()
    assert float((span.T @ seen[0]).norm()) < 1e-5 * float(slope.norm())
    torch.testing.assert_close(seen[0], slope - span @ (span.T @ slope))
    made.step()  # once more of the same gradient: nothing is left to remove
    torch.testing.assert_close(seen[1], seen[0])


@pytest.mark.parametrize("optimizer", [ADAM, SGD, lambda w: torch.optim.RMSprop(w, lr=0.05)])
def test_projected_steps_keep_coordinates(optimizer):
    span = orthonormal(4)
    end = steps_of(lambda w: Nudged(optimizer(w), span, "step"))[0]
    torch.testing.assert_close(span.T @ end, span.T @ vector(0), atol=1e-5, rtol=0)
    assert float((end - vector(0)).norm()) > 0.1


def test_equal_eigenvalues_may_turn():
    """Any basis of the removed span does the same."""
    span = orthonormal(3)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2)))[0]
    ends = [steps_of(lambda w, s=s: Nudged(SGD(w), s))[0] for s in (span, span @ turn)]
    torch.testing.assert_close(*ends)


def test_directions_are_found_when_due():
    asked = []

    def find(where, before):
        asked.append((where, before))
        return orthonormal(2)

    weights, made = in_two(lambda w: Nudged(SGD(w), find, every=3), vector(0))
    with pytest.raises(RuntimeError, match="look"):
        made.step()
    for step in range(7):
        weights[0].grad, weights[1].grad = torch.ones(2, 2), torch.ones(8)
        made.look(step)
        made.step()
    assert [where for where, _ in asked] == [0, 3, 6]
    assert asked[0][1] is None
    assert asked[1][1] is not None


def test_nudged_in_a_game():
    """`play` shows the search the whole point; along what it found nobody moves."""
    seen = []

    def find(point, before):
        seen.append(point.clone())
        return torch.ones(1, 1, dtype=torch.float64)

    game = quadratic_game([[0.3]], [[0.1]], [[-1.0]], [[1.0]])
    made = play(game, [1.0, 0.5], lambda w: Nudged(SGD(w), find, every=2), steps=3)
    assert torch.equal(made, made[:1].expand(4, 2))
    assert len(seen) == 4 and seen[0].tolist() == [1.0, 0.5]


def test_nudged_refuses():
    with pytest.raises(ValueError, match="project"):
        Nudged(SGD([torch.zeros(1)]), torch.zeros(1, 1), "both")
    with pytest.raises(ValueError, match="every"):
        Nudged(SGD([torch.zeros(1)]), torch.zeros(1, 1), every=0)
    weights, made = in_two(lambda w: Nudged(SGD(w), torch.zeros(5, 1)), vector(0))
    weights[0].grad, weights[1].grad = torch.ones(2, 2), torch.ones(8)
    with pytest.raises(ValueError, match="12, k"):
        made.step()


def test_nudged_state(tmp_path):
    """Cut off between two searches, it goes on with the directions and the count that it had."""

    def run(cut):
        asked = []

        def find(where, before):
            asked.append(where)
            return torch.linalg.qr(where[:, None])[0]

        weights, made = in_two(lambda w: Nudged(ADAM(w), find, "step", every=4), vector(0))
        for step in range(8):
            if step == cut:
                torch.save(made.state_dict(), tmp_path / "a.pt")
                held = [w.detach().clone() for w in weights]
                weights = [w.requires_grad_() for w in held]
                made = Nudged(ADAM(weights), find, "step", every=4)
                made.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))
            flat = torch.cat([w.detach().reshape(-1) for w in weights])
            slope = flat + vector(step)
            weights[0].grad, weights[1].grad = slope[:4].reshape(2, 2), slope[4:]
            made.look(flat)
            made.step()
        assert len(asked) == 2
        return torch.cat([w.detach().reshape(-1) for w in weights])

    whole = run(None)
    for cut in (2, 4, 7):
        assert torch.equal(run(cut), whole)
