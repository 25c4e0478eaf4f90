"""Exact rates of cures on the smallest games: against formulas, and against real optimisers."""

from functools import partial

import numpy as np
import pytest
import torch

from helpers.analysis import play
from helpers.experiments import cure_rates
from helpers.experiments.cure_rates import (
    LINEAR,
    SMALLEST,
    exact_rates,
    iteration_matrix,
    pull,
    radius,
)
from helpers.experiments.cure_training import LOOK_BACK, MOMENTUM, UNROLLED, Setting, turns_of
from helpers.games import consensus_game, linear_game, unrolled_game
from helpers.training import Extragradient, HeavyBall, Lookahead, Optimistic

PULL = pull(1.0)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_on_the_bilinear_game(rate):
    """Known factors for eigenvalues i and -i."""
    assert radius(PULL, "at once", rate) ** 2 == pytest.approx(1 + rate**2)
    assert radius(PULL, "in turn", rate) == pytest.approx(1)
    z = rate * 1j
    assert radius(PULL, "extragradient", rate) == pytest.approx(abs(1 - z + z**2))
    # Mescheder et al. 2017: the weight adds a real part, its product with the squared speed.
    assert radius(PULL, "consensus", rate) == pytest.approx(abs(1 - rate * (0.1 + 1j)))
    # Unrolled: x pulls at itself by twice the steps times their rate.
    pull = 2 * UNROLLED * rate
    values = np.roots([1, -pull, 1])
    assert radius(PULL, "unrolled", rate) == pytest.approx(np.abs(1 - rate * values).max())
    # Gidel et al. 2019, for players in turn: (m - 1)^2 (m - beta)^2 + rate^2 m^3 = 0.
    found = np.poly([1, 1, MOMENTUM, MOMENTUM]) + np.array([0, rate**2, 0, 0, 0])
    assert radius(PULL, "negative momentum", rate) == pytest.approx(np.abs(np.roots(found)).max())
    # Optimistic: m^2 - (1 - 2 z) m - z = 0.
    assert radius(PULL, "optimistic", rate) == pytest.approx(
        np.abs(np.roots([1, -(1 - 2 * z), -z])).max()
    )


def test_consensus_may_be_extragradient():
    """Where the game is a mere rotation, and the weight is the rate."""
    game = consensus_game(linear_game(PULL, 1), 0.1)
    at_once = partial(torch.optim.SGD, lr=0.1)
    found = play(game, [1.0, 0.0], at_once, steps=5)
    wanted = play(linear_game(PULL, 1), [1.0, 0.0], lambda w: Extragradient(at_once(w)), steps=5)
    assert torch.allclose(found, wanted, rtol=1e-12)


def played(J, method, rate, start, steps):
    """The same by optimisers that move weights. The order of turns: D first, as in trainings."""
    sgd = partial(torch.optim.SGD, lr=rate)
    optimizer = {
        "extragradient": lambda w: Extragradient(sgd(w)),
        "optimistic": lambda w: Optimistic(sgd(w)),
        "negative momentum": lambda w: HeavyBall(sgd(w), MOMENTUM),
        "lookahead": lambda w: Lookahead(sgd(w), *LOOK_BACK),
    }.get(method, sgd)
    in_turn = method in ("in turn", "negative momentum", "lookahead")
    if in_turn:  # `play` has the first player first
        J, start = J[::-1, ::-1], start[::-1]
    game = linear_game(J, 1)
    if method == "consensus":
        game = consensus_game(game, turns_of(Setting(method=method), rate).weight)
    if method == "unrolled":
        ahead = turns_of(Setting(method=method), rate)
        game = unrolled_game(game, ahead.steps, ahead.rate)
    path = play(game, start, optimizer, steps=steps, in_turn=in_turn).numpy()
    return path[:, ::-1] if in_turn else path


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("game", SMALLEST)
def test_iterations_of_real_optimisers(method, game):
    """After many steps the distance shrinks, or grows, by the radius."""
    J, rate, start = SMALLEST[game][0], 0.3, np.array([1.0, 0.7])
    whole = iteration_matrix(J, method, rate)
    every = LOOK_BACK[0] if method == "lookahead" else 1
    path = played(J, method, rate, start, 40 * every)[::every]
    state = np.zeros(len(whole))
    state[:2] = start
    if method == "optimistic":  # the first step is a plain one
        state[2:] = rate * J @ start
    for point in path:
        assert state[:2] == pytest.approx(point, rel=1e-9, abs=1e-12)
        state = whole @ state
    size = np.linalg.norm(state) ** (1 / (41 * every))
    assert size == pytest.approx(radius(J, method, rate), abs=0.03)


def test_table():
    found = exact_rates()
    assert list(found["game"].unique()) == ["bilinear", "damped"] and len(found) == 16
    own = found[found["game"] == "bilinear"].set_index("method")
    assert np.isinf(own.loc["at once", "halving"]) and np.isinf(own.loc["in turn", "halving"])
    assert (own["halving"].drop(["at once", "in turn"]) > 0).all()
    row = own.loc["extragradient"]
    assert row["per_gradient"] ** 4 == pytest.approx(row["radius"])
    assert row["per_gradient"] ** row["halving"] == pytest.approx(0.5)
    # |1 - z + z^2|^2 = 1 - r^2 + r^4 is equal at speeds 1 and 1/4 where r^2 = 16 / 17.
    best = (16 / 17) ** 0.5
    assert row["rate"] == pytest.approx(best, rel=0.03)
    assert row["radius"] ** 2 == pytest.approx(1 - best**2 / 16 + best**4 / 256, rel=5e-3)
    damped = found[found["game"] == "damped"].set_index("method")
    assert (damped["radius"] < 1).all()


def test_refusals():
    with pytest.raises(ValueError, match="method is one of"):
        iteration_matrix(PULL, "nudged", 0.1)
    with pytest.raises(ValueError, match=r"J is \(2, 2\), got \(3, 3\)"):
        iteration_matrix(np.eye(3), "in turn", 0.1)
    with pytest.raises(ValueError, match="rate is a finite number, above 0, got 0"):
        cure_rates.radius(PULL, "in turn", 0)
