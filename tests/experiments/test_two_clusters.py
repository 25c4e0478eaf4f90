"""The two-cluster experiment against the released script, and what is made of its records."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.analysis.coverage import shares_near
from helpers.datasets.synthetic import CENTRES, RADIUS
from helpers.experiments.two_clusters import Outcome, group, released, train_groups
from tests.oracles.released import released_loop


def script(name, seed, iterations):
    """The released loop, with its own draws: D's losses of every second iteration's last step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        z = 10 * (torch.rand(100, 1) - 0.5)
        random = np.random.RandomState(seed)
        points = [[0, 4][i % 2] + 0.3 * random.rand(1) for i in range(100)]
        data = torch.from_numpy(np.array(points, dtype="float32"))
        torch.manual_seed(seed)
        D = nn.Sequential(
            nn.Linear(1, 10), nn.Sigmoid(), nn.Linear(10, 10), nn.Sigmoid(), nn.Linear(10, 1)
        )
        G = nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1))
    losses = released_loop(name, G, D, z, data, iterations)
    return losses[1::2], G(z).detach()


@pytest.mark.parametrize("seed", [0, 3])
def test_released_script(seed):
    """Two losses side by side, a hundred iterations: the script's run, to rounding."""
    groups = {name: released(name, seed=seed) for name in ("js", "rs")}
    found = train_groups(groups, 100)
    for name, outcome in found.items():
        losses, points = script(name, seed, 100)
        np.testing.assert_array_equal(outcome.iterations, np.arange(2, 101, 2))
        np.testing.assert_allclose(outcome.loss[:, 0], losses, rtol=1e-4)
        np.testing.assert_allclose(
            outcome.points[-1, 0], points[::5, 0].half(), rtol=2e-3, atol=2e-3
        )
        shares = shares_near(points[None], CENTRES, RADIUS)
        np.testing.assert_allclose(outcome.shares[-1], shares, atol=0.02)


def test_losses_share_networks_and_data():
    """The same seed: the same start for each loss. Another: another."""
    js, rs, other = group("js", 2, seed=0), group("rs", 2, seed=0), group("js", 2, seed=1)
    weights = [each.players[1].discriminator[0].weight for each in (js, rs, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(js.samples.reals, rs.samples.reals)
    assert not torch.equal(js.samples.latents, other.samples.latents)


def test_weight_of_d():
    """Twice the loss at the same start, and other points soon after."""
    groups = {f"{n} {w}": group(n, 2, seed=0, d_weight=w) for n in ("js", "rs") for w in (1, 2)}
    for lr, apart in ((1e-9, False), (1e-2, True)):
        found = train_groups(groups, 20, lr=lr)
        for name in ("js", "rs"):
            one, two = found[f"{name} 1"], found[f"{name} 2"]
            assert np.allclose(two.loss, 2 * one.loss, rtol=1e-5) is not apart
            assert np.allclose(two.points, one.points, atol=1e-3) is not apart


def test_settings_of_a_group():
    """Twice the weights, other widths, five times as many points at 0."""
    plain, changed = group("js", 1, seed=0), group("js", 1, seed=0, scale=2.0, imbalance=5)
    for net, twice in zip(plain.players[0], changed.players[0], strict=True):
        for weight, other in zip(net.parameters(), twice.parameters(), strict=True):
            assert torch.equal(2 * weight, other)
    assert (changed.samples.reals > 2).sum() == 16
    wide = group("js", 1, seed=0, widths=(40, 20)).players[0]
    assert (wide.discriminator[0].out_features, wide.generator[0].out_features) == (40, 20)


def outcome(shares, loss, **change):
    """One member with the reals alternating, and its points without regard to their partners."""
    shares = np.array(shares)[:, None, None, :]
    parts = {
        "loss_name": "js",
        "iterations": np.arange(1, len(shares) + 1),
        "loss": np.array(loss)[:, None],
        "pairs": np.concatenate([shares, shares], axis=2) / 2,
        "logits": np.zeros((len(shares), 1, 2)),
        "points": np.zeros((len(shares), 1, 1)),
        "real": np.array([0.5, 0.5]),
    }
    return Outcome(**(parts | change))


def test_table_by_hand():
    """Collapsed, covered, lost again and covered once more."""
    one, both = [1.0, 0.0], [0.5, 0.5]
    table = outcome([one, both, one, both], [0.6, 0.7, 0.48, 0.69]).table(early=3)
    wanted = {
        "first": 2,
        "stable": 4,
        "collapsed": 2,
        "longest": 1,
        "covered": 2,
        "early": 1,
        "min_loss": 0.48,
        "at_zero": 0.5,
        "at_four": 0.5,
    }
    assert {column: value.item() for column, value in table.items()} == wanted


def test_least_loss_of_states():
    """Claim 3.1 and 3.2 at collapse and at the data: log 2 there."""
    states = [[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]]
    js = outcome(states, [0, 0, 0]).least()[:, 0]
    assert js == pytest.approx([0.477386, np.log(2), 0], abs=1e-6)
    rs = outcome(states, [0, 0, 0], loss_name="rs").least()[:, 0]
    assert rs == pytest.approx([np.log(2) / 2, np.log(2), 0], abs=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"loss": "jsd"}, "unknown loss 'jsd'; there are js, hinge"),
        ({"members": 0}, "members is a whole number, 1 or more, got 0"),
        ({"imbalance": 100}, "each of the two clusters needs a point"),
    ],
)
def test_groups_refused(change, message):
    with pytest.raises(ValueError, match=message):
        group(**({"loss": "js", "members": 2, "seed": 0} | change))


@pytest.mark.parametrize("groups, iterations", [(0, 4), (1, 1), (1, -1), (1, None)])
def test_runs_refused(groups, iterations):
    made = {str(k): group("js", 1, seed=0) for k in range(groups)}
    with pytest.raises(ValueError, match=r"at least one group|iterations is a whole number, 2"):
        train_groups(made, iterations)
