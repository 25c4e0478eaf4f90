"""Extragradient and optimistic steps, against their closed forms on games."""

import copy
from functools import partial

import numpy as np
import pytest
import torch

from helpers.analysis import turns
from helpers.analysis.dynamics import iterate, play
from helpers.games.closed_form import linear_game, quadratic_game
from helpers.training.nudged import Nudged
from helpers.training.optimizers import Extragradient, HeavyBall, Lookahead, Optimistic

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
    """`helpers.analysis.dynamics` has the same method for closed-form games."""
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


@pytest.mark.parametrize(
    "wrapper", [Extragradient, Optimistic, partial(HeavyBall, momentum=-0.5), Lookahead]
)
@pytest.mark.parametrize("optimizer", [partial(SGD, momentum=0.9), ADAM])
@pytest.mark.parametrize("amid", [False, True])
def test_state_round_trip(wrapper, optimizer, amid):
    """Saved and loaded, also between extrapolation and step: the same from there on."""

    def advance(points, wrapped):
        if hasattr(wrapped[0], "extrapolate"):
            take(points, [w.extrapolate for w in wrapped], 0.2)
        take(points, [w.step for w in wrapped], 0.2)
        for w in wrapped:
            if isinstance(w, Lookahead):
                w.look_back()

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


@pytest.mark.parametrize("momentum", [-0.7, -0.5, 0.0, 0.9])
@pytest.mark.parametrize("in_turn", [False, True])
def test_heavy_ball(momentum, in_turn):
    """x <- x - lr g + momentum (x - before), by hand; above 0 it is that of torch's SGD."""
    game = quadratic_game([[0.3]], [[0.1]], [[-1.0]], [[1.0]])
    found = play(game, [1.0, 0.5], lambda w: HeavyBall(SGD(w), momentum), steps=9, in_turn=in_turn)
    (x, y), moved = (1.0, 0.5), (0.0, 0.0)
    for point in found[1:]:
        of_x = -0.1 * (0.3 * x + y) + momentum * moved[0]
        of_y = -0.1 * (0.1 * y - (x + of_x if in_turn else x)) + momentum * moved[1]
        (x, y), moved = (x + of_x, y + of_y), (of_x, of_y)
        assert point.tolist() == pytest.approx([x, y], rel=1e-12)
    if momentum >= 0:
        of_torch = partial(SGD, momentum=momentum)
        assert torch.allclose(play(game, [1.0, 0.5], of_torch, steps=9, in_turn=in_turn), found)


def test_negative_momentum_on_bilinear_games():
    """Gidel et al. 2019, Theorems 5 and 6: in turn it converges at their rate, at once it does not.

    The squared distance shrinks at least by max(1/2, 1 - rate^2 s^2 / 16) per iteration, s being
    the least singular value. Without momentum it stays. The multipliers are the roots of
    (m - 1)^2 (m + 1/2)^2 + rate^2 s^2 m^3, so that at 1 over the largest s one of them is -1.
    """
    A = np.diag([1.0, 0.6])
    J = np.block([[0 * A, A], [-A.T, 0 * A]])
    assert np.abs(np.linalg.eigvals(turns(J, 2, rate=1.0, momentum=-0.5)) + 1).min() < 1e-9
    for rate in (0.1, 0.5):
        values = np.linalg.eigvals(turns(J, 2, rate=rate, momentum=-0.5))
        assert np.abs(values).max() ** 2 <= max(0.5, 1 - rate**2 * 0.36 / 16)
        plain = np.linalg.eigvals(turns(J, 2, rate=rate))
        assert np.abs(plain).max() == pytest.approx(1)
    game, start = linear_game(J, 2), [1.0, -0.5, 0.3, 2.0]
    fast = partial(SGD, lr=0.5)
    ends = [
        play(game, start, lambda w: HeavyBall(fast(w), -0.5), steps=400, in_turn=turn)[-1].norm()
        for turn in (True, False)
    ]
    assert ends[0] < 0.1 < 10 < ends[1]


@pytest.mark.parametrize("in_turn", [False, True])
def test_lookahead(in_turn):
    """Every k iterations, both to a share of what those have done: (1 - a) I + a U^k."""
    A = np.array([[0.3, 1.0], [-0.4, 0.2]])
    game = quadratic_game(np.eye(2) * 0.2, np.eye(2) * 0.1, A, -A.T)
    start = np.array([1.0, -0.5, 0.3, 2.0])
    found = play(
        game, start, lambda w: Lookahead(SGD(w), every=3, share=0.4), steps=7, in_turn=in_turn
    )
    columns = [play(game, row, SGD, steps=1, in_turn=in_turn)[-1].numpy() for row in np.eye(4)]
    U = np.stack(columns, axis=1)
    slow = 0.6 * np.eye(4) + 0.4 * np.linalg.matrix_power(U, 3)
    wanted = [start, U @ start, U @ U @ start, slow @ start, U @ slow @ start]
    wanted += [U @ U @ slow @ start, slow @ slow @ start, U @ slow @ slow @ start]
    np.testing.assert_allclose(found.numpy(), np.stack(wanted), rtol=1e-12)


def test_lookahead_on_a_bilinear_game():
    """Descent of both at once multiplies by 1 + i r; with steps back by 1 - a + a (1 + i r)^k."""
    game = quadratic_game([[0.0]], [[0.0]], [[-1.0]], [[1.0]])
    path = play(game, [1.0, 0.0], lambda w: Lookahead(SGD(w), 5, 0.5), steps=50)
    found = path[::5].norm(dim=-1).numpy()
    factor = abs(0.5 + 0.5 * (1 + 0.1j) ** 5)
    np.testing.assert_allclose(found, factor ** np.arange(11), rtol=1e-12)
    assert factor < 1 < abs(1 + 0.1j)


def test_lookahead_counts_iterations():
    """Steps within an iteration do not count; a share of 1 changes nothing."""
    (x, _), (made, _) = players(lambda p: Lookahead(SGD(p), every=1, share=0.5))
    with pytest.raises(RuntimeError, match="before the first step"):
        made.look_back()
    for _ in range(2):
        x.grad = torch.ones(2, dtype=torch.float64)
        made.step()
    made.look_back()
    assert x.tolist() == pytest.approx([0.9, -0.6])  # half of the way back from 0.8 and -0.7
    game = quadratic_game([[0.3]], [[0.1]], [[-1.0]], [[1.0]])
    whole = play(game, [1.0, 0.5], lambda w: Lookahead(SGD(w), 2, 1.0), steps=6)
    assert torch.allclose(whole, play(game, [1.0, 0.5], SGD, steps=6), rtol=1e-14)


def test_numbers_of_the_cures():
    inner = SGD([torch.zeros(1)])
    for momentum in (1.0, -1.0, np.nan, "x"):
        with pytest.raises(ValueError, match="momentum is"):
            HeavyBall(inner, momentum)
    with pytest.raises(ValueError, match=r"share is in \(0, 1\], got 1\.5"):
        Lookahead(inner, 5, 1.5)
    with pytest.raises(ValueError, match="every is a whole number, 1 or more, got 0"):
        Lookahead(inner, 0)


def test_out_of_order():
    _, (wrapped, _) = players(lambda p: Extragradient(SGD(p)))
    with pytest.raises(RuntimeError, match="before extrapolate"):
        wrapped.step()
    wrapped.extrapolate()
    with pytest.raises(RuntimeError, match="twice"):
        wrapped.extrapolate()


@pytest.mark.parametrize("in_turn", [False, True])
def test_play_is_iterate(in_turn):
    """With SGD the points are those of the plain methods of `helpers.analysis.dynamics`."""
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
    for steps in (-1, "3", 2.0, True, None):
        with pytest.raises(ValueError, match="steps is a whole number, 0 or more, got"):
            play(game, [1.0, 0.5], SGD, steps=steps)


def test_play_stops_at_infinity():
    """On x^2 / 2 and a rate of 1e150 the third step is beyond floats: there it rests at the second.

    Another start beside it goes on.
    """
    game = quadratic_game([[1.0]], [[1.0]], [[0.0]], [[0.0]])
    fast = partial(torch.optim.SGD, lr=1e150)
    assert play(game, [1.0, 0.5], fast, steps=2).isfinite().all()
    path = play(game, [[1.0, 0.5], [0.0, 0.0]], fast, steps=5)
    assert torch.equal(path[2:, 0], path[2, 0].expand(4, 2)) and path[2, 0].abs().min() > 1e299
    assert not path[:, 1].any()


def test_play_from_many_starts():
    """Each start goes as it would alone, by optimisers that treat each number by itself."""
    game = quadratic_game([[0.3]], [[0.1]], [[-1.0]], [[1.0]])
    starts = torch.tensor([[1.0, 0.5], [-2.0, 0.1]], dtype=torch.float64)
    for make in (SGD, ADAM, lambda w: Optimistic(SGD(w)), lambda w: Extragradient(ADAM(w))):
        path = play(game, starts, make, steps=6)
        for number, start in enumerate(starts):
            assert torch.allclose(path[:, number], play(game, start, make, steps=6), rtol=1e-12)
        assert torch.equal(play(game, starts, make, steps=6, last_only=True), path[-1])


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


@pytest.mark.parametrize("project", ["gradient", "step"])
def test_what_is_left_out(project):
    """3 of 5 along the first axis, then nothing of a zero slope; what is read does not count again.

    A copy of the state goes on where it was.
    """
    axis = torch.eye(12)[:, :1]
    weights, made = in_two(lambda w: Nudged(SGD(w), axis, project), torch.zeros(12))
    assert made.mean_left_out().isnan()
    slope = torch.zeros(12)
    slope[0], slope[7] = 3.0, 4.0

    def step(slope):
        weights[0].grad, weights[1].grad = slope[:4].reshape(2, 2).clone(), slope[4:].clone()
        made.step()

    for each in (slope, 0 * slope):
        step(each)
    held = copy.deepcopy(made.state_dict())
    assert made.mean_left_out() == pytest.approx(0.3)
    step(slope)
    assert made.mean_left_out() == pytest.approx(0.6) and made.mean_left_out().isnan()
    made.load_state_dict(held)
    assert made.mean_left_out() == pytest.approx(0.3)


def test_members_leave_out_their_own():
    """Of three members, one has all of its slope along its direction, one half, one none."""
    weight = torch.zeros(3, 2, requires_grad=True)
    angles = torch.tensor([0.0, torch.pi / 3, torch.pi / 2])
    span = torch.stack([angles.cos(), angles.sin()], dim=1)[:, :, None]
    made = Nudged(SGD([weight]), span)
    weight.grad = torch.tensor([[2.0, 0.0]] * 3)
    made.step()
    assert torch.allclose(made.mean_left_out(), torch.tensor([1.0, 0.5, 0.0]), atol=1e-6)


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
    with pytest.raises(RuntimeError, match="refresh"):
        made.step()
    for step in range(7):
        weights[0].grad, weights[1].grad = torch.ones(2, 2), torch.ones(8)
        made.refresh(step)
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
    weights, made = in_two(lambda w: Nudged(SGD(w), orthonormal(1, n=5)), vector(0))
    weights[0].grad, weights[1].grad = torch.ones(2, 2), torch.ones(8)
    with pytest.raises(ValueError, match="12, k"):
        made.step()
    weights, made = in_two(lambda w: Nudged(SGD(w), orthonormal(1, n=6).repeat(2, 1, 1)), vector(0))
    weights[0].grad, weights[1].grad = torch.ones(2, 2), torch.ones(8)
    with pytest.raises(ValueError, match=r"of \[2\] members, got weights \[\(2, 2\), \(8,\)\]"):
        made.step()
    for wrong in (torch.ones(12, 1), 2 * orthonormal(2), orthonormal(2) * torch.nan):
        with pytest.raises(ValueError, match="orthonormal columns, got products off by"):
            Nudged(SGD([torch.zeros(12)]), wrong)
    for wrong in (torch.ones(12), torch.ones(12, 1, dtype=torch.long)):
        with pytest.raises(ValueError, match="directions are floats"):
            Nudged(SGD([torch.zeros(12)]), wrong)
    for wrong in (None, [[1.0]], "directions"):
        with pytest.raises(ValueError, match=r"directions are a tensor .* or a function .* got"):
            Nudged(SGD([torch.zeros(12)]), wrong)


def test_directions_that_were_found_are_checked():
    """Orthonormal, but for columns of members that have diverged: zeros, or what is not finite."""
    for wrong in (torch.ones(12, 1), 2 * orthonormal(2)):
        _, made = in_two(lambda w, found=wrong: Nudged(SGD(w), lambda *_: found), vector(0))
        with pytest.raises(ValueError, match="orthonormal columns, got products off by"):
            made.refresh(None)
    for other in (None, [[1.0]]):
        _, made = in_two(lambda w, found=other: Nudged(SGD(w), lambda *_: found), vector(0))
        with pytest.raises(ValueError, match=r"directions are a tensor \(\.\.\., n, k\), got"):
            made.refresh(None)
    for scale in (0.0, torch.nan, torch.inf):
        right = torch.stack([orthonormal(2), orthonormal(2) * torch.tensor([1.0, scale])])
        _, made = in_two(lambda w, found=right: Nudged(SGD(w), lambda *_: found), vector(0))
        made.refresh(None)
        assert made.directions is right


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
            made.refresh(flat)
            made.step()
        assert len(asked) == 2
        return torch.cat([w.detach().reshape(-1) for w in weights])

    whole = run(None)
    for cut in (2, 4, 7):
        assert torch.equal(run(cut), whole)


def test_a_state_that_was_read_is_ones_own():
    """The other optimiser's next search leaves it as it was."""
    searches = iter(torch.eye(12)[:, k : k + 1] for k in range(2))
    _, one = in_two(lambda w: Nudged(SGD(w), lambda *_: next(searches), every=1), vector(0))
    one.refresh(None)
    _, other = in_two(lambda w: Nudged(SGD(w), lambda *_: None), vector(0))
    other.load_state_dict(one.state_dict())
    one.refresh(None)
    assert one.directions[1, 0] == 1 and other.directions[0, 0] == 1


# What torch's own tools do to an optimiser, done to the wrappers.

WRAPPERS = {
    "extragradient": Extragradient,
    "optimistic": Optimistic,
    "heavy ball": lambda inner: HeavyBall(inner, -0.5),
    "lookahead": lambda inner: Lookahead(inner, 2),
    "nudged gradient": lambda inner: Nudged(inner, orthonormal(2)),
    "nudged step": lambda inner: Nudged(inner, orthonormal(2), "step"),
}
EVERY = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


def slope_at(weights, seed):
    """A gradient that depends on the weights, put where optimisers look for it."""
    flat = torch.cat([w.detach().reshape(-1) for w in weights])
    slope = (flat + vector(seed, len(flat))).split([w.numel() for w in weights])
    for weight, part in zip(weights, slope, strict=True):
        weight.grad = part.reshape(weight.shape).clone()


def moved(made, weights, seed):
    """One whole step: with extragradient an extrapolation first."""
    slope_at(weights, seed)
    if isinstance(made, Extragradient):
        made.extrapolate()
        slope_at(weights, seed)
    made.step()
    if isinstance(made, Lookahead):
        made.look_back()


def values(weights):
    return torch.cat([w.detach().reshape(-1) for w in weights])


SCHEDULES = {
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + k)),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=5),
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=8),
    "plateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.3, patience=0),
}


@EVERY
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("inner", [partial(SGD, momentum=0.9), ADAM])
def test_schedules(wrap, schedule, inner):
    """Given the wrapper, a schedule does what it does given the optimiser inside, bit for bit."""

    def end(of):
        weights, made = in_two(lambda w: wrap(inner(w)), vector(0))
        plan = schedule(of(made))
        rates = []
        for step in range(6):
            moved(made, weights, step)
            on_plateau = isinstance(plan, torch.optim.lr_scheduler.ReduceLROnPlateau)
            plan.step(1.0) if on_plateau else plan.step()
            rates.append(made.optimizer.param_groups[0]["lr"])
            assert made.param_groups is made.optimizer.param_groups
        return values(weights), rates

    outside, inside = end(lambda made: made), end(lambda made: made.optimizer)
    assert torch.equal(outside[0], inside[0]) and outside[1] == inside[1]
    assert len(set(outside[1])) > 2


@EVERY
def test_rates_of_groups(wrap):
    """Two groups step at rates of their own, which may be edited on the way."""
    weights, _ = in_two(SGD, vector(0))
    made = wrap(
        torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.0}], lr=0.4)
    )
    start = values(weights)
    moved(made, weights, 0)
    if made.__class__ is not Nudged or made.project == "gradient":
        assert torch.equal(values(weights)[4:], start[4:])
    assert not torch.equal(values(weights)[:4], start[:4])
    made.param_groups[0]["lr"] = 0.0
    amid = values(weights)
    moved(made, weights, 1)
    if not isinstance(made, HeavyBall | Lookahead):  # these move on by what they keep
        assert torch.equal(values(weights), amid)
    made.param_groups[1]["lr"] = 0.5
    moved(made, weights, 2)
    assert not torch.equal(values(weights)[4:], amid[4:])


def test_a_group_that_is_added():
    """It moves as if it had been there, without a gradient, from the start."""
    for wrapper in (Extragradient, Optimistic):
        weights, made = in_two(lambda w, wrapper=wrapper: wrapper(SGD(w)), vector(0))
        moved(made, weights, 0)
        late = torch.ones(3, requires_grad=True)
        made.add_param_group({"params": [late], "lr": 0.5})
        assert made.optimizer.param_groups[1]["lr"] == 0.5
        weights = [*weights, late]
        late.grad = torch.ones(3)
        before = values(weights)
        moved(made, weights, 1)
        if wrapper is Optimistic:  # its first step is a plain one
            expected = 1 - 0.5 * (torch.ones(3) + vector(1, 15)[12:])
            torch.testing.assert_close(late.detach(), expected)
        assert not torch.equal(values(weights)[:12], before[:12])
    slope_at(weights, 2)
    made = Extragradient(SGD(weights))
    made.extrapolate()
    with pytest.raises(RuntimeError, match="added between extrapolate and step"):
        made.add_param_group({"params": [torch.zeros(1)]})


@EVERY
def test_closures(wrap):
    """A step by a closure is the step by hand, and gives the first loss."""

    def loss(weights):
        return sum((w - 1).pow(4).sum() for w in weights)

    ends = []
    for by_closure in (False, True):
        weights, made = in_two(lambda w: wrap(ADAM(w)), vector(0))
        found = []

        def closure(weights=weights, made=made, found=found):
            made.zero_grad()
            here = loss(weights)
            here.backward()
            found.append(float(here.detach()))
            return here

        for _ in range(4):
            start = float(loss(weights).detach())
            if by_closure:
                assert float(made.step(closure).detach()) == start
            else:
                closure()
                if isinstance(made, Extragradient):
                    made.extrapolate()
                    closure()
                assert made.step() is None
        assert len(found) == (8 if isinstance(made, Extragradient) else 4)
        ends.append(values(weights))
    assert torch.equal(*ends)


def test_a_closure_at_an_extrapolated_point():
    """After `extrapolate` the closure is asked there alone."""
    x = torch.tensor([1.0], requires_grad=True)
    made = Extragradient(torch.optim.SGD([x], lr=0.5))

    def closure():
        made.zero_grad()
        loss = x.square().sum() / 2
        loss.backward()
        return loss

    closure()
    made.extrapolate()
    assert float(made.step(closure).detach()) == 0.5**3  # at x = 1/2
    assert x.item() == 0.75


@EVERY
@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_are_cleared(wrap, set_to_none):
    weights, made = in_two(lambda w: wrap(SGD(w)), vector(0))
    slope_at(weights, 0)
    made.zero_grad(set_to_none=set_to_none)
    for weight in weights:
        assert weight.grad is None if set_to_none else not weight.grad.any()


@EVERY
def test_grad_scaler(wrap):
    """Scaled gradients lead where unscaled ones do; steps with an overflow are left out."""
    weights, made = in_two(lambda w: wrap(SGD(w)), vector(0))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)

    def backward(scale):
        scale(sum((w * (1 + w)).sum() for w in weights)).backward()

    if isinstance(made, Extragradient):
        backward(scaler.scale)
        with pytest.raises(RuntimeError, match="GradScaler cannot step an Extragradient"):
            scaler.step(made)
        disabled = torch.amp.GradScaler("cpu", enabled=False)
        made.extrapolate()
        disabled.step(made)  # which is made.step()
        return
    for _ in range(3):
        made.zero_grad()
        backward(scaler.scale)
        scaler.step(made)
        scaler.update()
    plain, other = in_two(lambda w: wrap(SGD(w)), vector(0))
    for _ in range(3):
        other.zero_grad()
        sum((w * (1 + w)).sum() for w in plain).backward()
        other.step()
    assert torch.equal(values(weights), values(plain))
    weights[0].grad.fill_(torch.inf)
    scaler.step(made)
    scaler.update()
    assert torch.equal(values(weights), values(plain)) and scaler.get_scale() == 2.0**3


@pytest.mark.parametrize("wrap", [Extragradient, Optimistic, WRAPPERS["nudged step"]])
def test_sparse_gradients(wrap):
    """An embedding with sparse gradients ends where it does with dense ones."""
    ends = []
    for sparse in (True, False):
        torch.manual_seed(0)
        table = torch.nn.Embedding(6, 2, sparse=sparse)
        made = wrap(SGD(table.parameters()))
        for rows in ([0, 3, 3], [3, 5], [1], [0, 1]):
            for _ in range(1 + isinstance(made, Extragradient)):
                made.zero_grad()
                table(torch.tensor(rows)).pow(3).sum().backward()
                assert table.weight.grad.is_sparse == sparse
                ahead = isinstance(made, Extragradient) and not made.is_ahead
                (made.extrapolate if ahead else made.step)()
        again = wrap(SGD(table.parameters()))
        again.load_state_dict(copy.deepcopy(made.state_dict()))
        ends.append(table.weight.detach().clone())
    torch.testing.assert_close(*ends)


def test_sparse_gradients_are_not_projected():
    table = torch.nn.Embedding(6, 2, sparse=True)
    table(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(ValueError, match=r'got a sparse one: project the step \(project="step"\)'):
        Nudged(SGD(table.parameters()), orthonormal(2)).step()


@EVERY
def test_one_gradient_of_two_weights(wrap):
    """A tensor that is the gradient of two weights is left as it is, and each moves by it."""
    ends = []
    for is_shared in (False, True):
        weights = [torch.zeros(6, requires_grad=True) for _ in range(2)]
        made = wrap(SGD(weights))
        for step in range(4):
            slope = vector(step, 6)
            for weight in weights:
                weight.grad = slope if is_shared else slope.clone()
            if isinstance(made, Extragradient) and not made.is_ahead:
                made.extrapolate()
            else:
                made.step()
            assert torch.equal(slope, vector(step, 6))
        ends.append(values(weights))
    assert torch.equal(*ends)


@EVERY
def test_hooks(wrap):
    weights, made = in_two(lambda w: wrap(ADAM(w)), vector(0))
    seen = []
    made.register_step_pre_hook(lambda o, args, kwargs: seen.append(("before", o)))
    made.register_step_post_hook(lambda o, args, kwargs: seen.append(("after", o)))
    made.register_state_dict_pre_hook(lambda o: seen.append(("saving", o)))
    made.register_state_dict_post_hook(lambda o, state: seen.append(("saved", o)))
    made.register_load_state_dict_pre_hook(lambda o, state: seen.append(("loading", o)))
    handle = made.register_load_state_dict_post_hook(lambda o: seen.append(("loaded", o)))
    moved(made, weights, 0)
    made.load_state_dict(made.state_dict())
    names = ["before", "after", "saving", "saved", "loading", "loaded"]
    assert [name for name, _ in seen] == names
    assert all(o is made for _, o in seen[:2]) and all(o is made.optimizer for _, o in seen[2:])
    handle.remove()


@EVERY
def test_copies(wrap):
    """A deep copy has weights, state and steps of its own, under a schedule too."""
    weights, made = in_two(lambda w: wrap(ADAM(w)), vector(0))
    torch.optim.lr_scheduler.LambdaLR(made, lambda k: 1.0)
    moved(made, weights, 0)
    twin = copy.deepcopy(made)
    others = twin.param_groups[0]["params"]
    here = values(weights)
    assert torch.equal(values(others), here)
    moved(twin, others, 1)
    assert torch.equal(values(weights), here) and not torch.equal(values(others), here)
    moved(made, weights, 1)
    assert torch.equal(values(weights), values(others))
    assert isinstance(made, torch.optim.Optimizer) and "lr: 0.05" in repr(made)
    assert made.state is made.optimizer.state and made.defaults is made.optimizer.defaults


@pytest.mark.parametrize("wrapper", [Extragradient, Optimistic, WRAPPERS["nudged step"]])
def test_states_that_do_not_fit(wrapper):
    weights, made = in_two(lambda w: wrapper(SGD(w)), vector(0))
    for state in (SGD(weights).state_dict(), None, [], {"optimizer": None}):
        with pytest.raises(ValueError, match=r"a state of .* has .* got"):
            made.load_state_dict(state)
    slope_at(weights, 0)
    made.extrapolate() if wrapper is Extragradient else made.step()
    others = [torch.zeros(3, requires_grad=True), torch.zeros(8, requires_grad=True)]
    if wrapper in (Extragradient, Optimistic):
        with pytest.raises(ValueError, match=r"other weights: it holds \[\(2, 2\), \(8,\)\]"):
            wrapper(SGD(others)).load_state_dict(made.state_dict())


def test_what_can_be_wrapped():
    x = [torch.zeros(2, requires_grad=True)]
    for wrapper in (Extragradient, Optimistic):
        for wrong in (x, torch.optim.SGD, None, Optimistic(SGD(x)), torch.optim.LBFGS(x)):
            with pytest.raises(
                ValueError, match=f"{wrapper.__name__} wraps a torch optimiser .* got"
            ):
                wrapper(wrong)
        with pytest.raises(ValueError, match="real weights, got complex ones"):
            wrapper(SGD([torch.zeros(2, dtype=torch.complex64)]))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_factor_on_a_loss(factor):
    """For SGD with momentum it is a factor on the rate; for Adam it is none at all."""

    def trained(optimizer, scale):
        x = torch.tensor([1.0, -0.5], dtype=torch.float64, requires_grad=True)
        steps = optimizer([x])
        for _ in range(30):
            x.grad = scale * (x.detach() + x.detach().sin())
            steps.step()
        return x.detach()

    sgd = partial(torch.optim.SGD, momentum=0.9)
    slow, fast = partial(sgd, lr=0.01), partial(sgd, lr=factor * 0.01)
    assert torch.allclose(trained(slow, factor), trained(fast, 1.0), rtol=1e-12)
    assert not torch.allclose(trained(slow, factor), trained(slow, 1.0), rtol=1e-2)
    assert torch.allclose(trained(ADAM, factor), trained(ADAM, 1.0), rtol=1e-5)
