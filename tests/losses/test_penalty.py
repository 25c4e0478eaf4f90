"""Gradient penalties: by hand on linear and quadratic discriminators, and where they look."""

import pytest
import torch

from helpers.losses.penalty import GradientPenalty
from helpers.models import mlp
from tests.common import default_dtype


def test_by_hand():
    """f(x) = x'x / 2 has slope x: at (3, 4) it is 5 long, 4 too much."""
    x = torch.tensor([[3.0, 4.0], [0.6, 0.8]])
    penalty = GradientPenalty(2.0, "data")
    found = penalty(lambda s: s.square().sum(dim=1) / 2, x, -x, penalty.shares(2))
    assert torch.isclose(found, torch.tensor(2 * 16 / 2))


def test_where():
    """At the data the generated samples do not matter; at interpolates they do, by their share."""
    real, fake = torch.ones(4, 1), torch.zeros(4, 1)
    square = GradientPenalty(1.0, "interpolates", seed=3)
    shares = square.shares(4)
    found = square(lambda s: s.square().sum(dim=1) / 2, real, fake, shares)
    assert torch.isclose(found, (shares - 1).square().mean())
    at_data = GradientPenalty(1.0, "data")
    assert at_data(lambda s: s.square().sum(dim=1) / 2, real, fake, shares) == 0


def test_images_and_members():
    """One norm a sample whatever its shape, and members side by side as alone."""
    penalty = GradientPenalty(1.0, "interpolates")
    real, fake = torch.randn(2, 3, 5, 1, 4, 4).unbind()
    shares = penalty.shares(5)

    def judge(s):
        return s.pow(3).flatten(-3).sum(dim=-1)

    alone = [penalty(judge, x, y, shares) for x, y in zip(real, fake, strict=True)]
    assert torch.isclose(penalty(judge, real, fake, shares.expand(3, -1)), sum(alone) / 3)


def test_differentiable_in_the_weights():
    """The gradient in D's weights, against differences."""
    net = mlp([1, 4, 1], seed=0, activation=torch.nn.Tanh).double()
    penalty = GradientPenalty(1.0, "data")
    x = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None]

    def value():
        return penalty(net, x, x, penalty.shares(6))

    slope = torch.autograd.grad(value(), net[0].weight)[0]
    with torch.no_grad():
        before = net[0].weight[1, 0].item()
        ends = []
        for step in (1e-5, -1e-5):
            net[0].weight[1, 0] = before + step
            ends.append(value().item())
    assert slope[1, 0].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


def test_same_shares_at_every_call():
    penalty = GradientPenalty(1.0)
    state = torch.get_rng_state()
    assert torch.equal(penalty.shares(9), penalty.shares(9))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(penalty.shares(9), GradientPenalty(1.0, seed=1).shares(9))


@pytest.mark.parametrize(
    "where, weight", [("everywhere", 1.0), ("data", -1.0), ("data", float("nan"))]
)
def test_refused(where, weight):
    with pytest.raises(ValueError, match="penalty"):
        GradientPenalty(weight, where)


REAL, SHARE = torch.zeros(7, 1), torch.zeros(7)


@pytest.mark.parametrize(
    "reals, fakes, shares",
    [
        (REAL, torch.zeros(7), SHARE),  # would be (7, 7) points
        (REAL, torch.zeros(1, 1), SHARE),
        (REAL, torch.zeros(7, 2), SHARE),
        (torch.zeros(7, 2), torch.zeros(7, 1), SHARE),
        (REAL, REAL, torch.zeros(1)),
        (REAL, REAL, torch.zeros(8)),
        (REAL, torch.zeros(3, 7, 1), SHARE),
        (torch.zeros(3, 7, 1), torch.zeros(3, 7, 1), torch.zeros(1, 7)),
        (torch.zeros(7), torch.zeros(7), SHARE),
    ],
)
def test_shapes_are_not_broadcast(reals, fakes, shares):
    with pytest.raises(ValueError, match=r"(interpolates need as many|samples are) .* got reals"):
        GradientPenalty(1.0)(lambda s: s.sum(dim=-1), reals, fakes, shares)


@pytest.mark.parametrize("where", ["data", "interpolates"])
def test_one_logit(where):
    net = mlp([1, 3, 2], seed=0)
    with pytest.raises(ValueError, match=r"one logit for each sample, got \(7, 2\)"):
        GradientPenalty(1.0, where)(net, REAL, REAL, SHARE)


@pytest.mark.parametrize("where", ["data", "interpolates"])
def test_one_number_for_all(where):
    """The slope of a mean is a sample's slope divided by their number."""
    with pytest.raises(
        ValueError, match=r"one logit for each sample, got \(\) for samples \(7, 1\)"
    ):
        GradientPenalty(1.0, where)(lambda s: s.mean(), REAL, REAL, SHARE)
    alone = GradientPenalty(1.0, where)(lambda s: 3 * s.sum(), REAL[:1], REAL[:1], SHARE[:1])
    assert alone == 4


def test_wrong_kinds():
    for weight in (None, "10", -1, torch.nan, torch.inf, True, 1j):
        with pytest.raises(
            ValueError, match="weight of a penalty is a finite number, 0 or more, got"
        ):
            GradientPenalty(weight)
    for seed in (None, "1", 1.5, -1):
        with pytest.raises(ValueError, match="seed is a whole number"):
            GradientPenalty(1.0, seed=seed)
    with pytest.raises(ValueError, match="n is a whole number, 1 or more, got 0"):
        GradientPenalty(1.0).shares(0)


def test_second_derivatives_where_it_is_flat():
    """All ReLUs are off at one sample, where torch's second derivatives of a norm are NaN."""
    net = torch.nn.Sequential(torch.nn.Linear(1, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.tensor([0.0, -0.5, -1.0]))
    penalty, x = GradientPenalty(1.0, "data"), torch.tensor([[-3.0], [2.0]])
    value = penalty(net, x, x, penalty.shares(2))
    weights = [part for name, part in net.named_parameters() if "weight" in name]
    first = torch.autograd.grad(value, weights, create_graph=True)
    second = torch.autograd.grad(sum(part.square().sum() for part in first), weights)
    steep = penalty(net, x[1:], x[1:], penalty.shares(1))
    wanted = torch.autograd.grad(steep / 2, weights)
    for found, right in zip(first, wanted, strict=True):
        assert torch.allclose(found, right)
    assert value == (1 + steep) / 2 and all(part.isfinite().all() for part in second)


def test_the_same_shares_whatever_the_default_dtype():
    penalty = GradientPenalty(1.0, seed=3)
    wanted = penalty.shares(5)
    with default_dtype(torch.float64):
        assert torch.equal(penalty.shares(5), wanted)


@pytest.mark.parametrize("where", ["data", "interpolates"])
def test_inference_mode(where):
    """The slope that it is outside, for samples made inside."""
    penalty, D = GradientPenalty(2.0, where), mlp([1, 3, 1], seed=0)
    x, y = torch.linspace(0, 1, 4, device="cpu")[:, None], torch.ones(4, 1)
    wanted = penalty(D, x, y, penalty.shares(4))
    with torch.inference_mode():
        assert torch.equal(penalty(D, x + 0, y + 0, penalty.shares(4)), wanted)
