"""Hessians of an ensemble's members: right by differences of their own slopes, or refused."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call, hessian
from torch.nn.functional import scaled_dot_product_attention

from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES
from helpers.models import mlp
from helpers.models.stacked import Stacked
from helpers.operators import MemberHessians
from helpers.training.nudging import MemberDirections, Nudging

DOUBLE = partial(torch.randn, dtype=torch.float64)


def stacked(kind=nn.Tanh, *, units=4, members=3, dtype=torch.float64):
    nets = [mlp([2, units, 1], seed=seed, activation=kind).to(dtype) for seed in range(members)]
    return nets, Stacked(nets, twice=True)


def squares(together, x, own):
    """The sum of the members' mean squares."""
    return together.at(own, x).square().mean(dim=(1, 2)).sum()


class Counted:
    """A function, and how often it was called."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, own):
        self.calls += 1
        return self.function(own)


class Crooked(torch.autograd.Function):
    """The sine, whose second derivative is said to be half of what it is."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return slope * (x.cos() + x.detach().cos()) / 2


class Once(torch.autograd.Function):
    """The sine, differentiable once."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @once_differentiable
    def backward(ctx, slope):
        return slope * ctx.saved_tensors[0].cos()


def of_function(function):
    return lambda own: own["a.weight"].square().sum() + function.apply(own["b.weight"]).sum()


def weights(dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    return {name: DOUBLE(3, 5, generator=random).to(dtype) for name in ("a.weight", "b.weight")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_member_against_its_whole_hessian(dtype):
    """Products twice, of every member, against torch's dense Hessian of that net alone."""
    nets, together = stacked(dtype=dtype)
    random = torch.Generator().manual_seed(1)
    x = torch.randn(3, 6, 2, generator=random, dtype=dtype)
    hessians = MemberHessians(together.parameters, partial(squares, together, x))
    u = torch.randn(*hessians.shape, generator=random, dtype=dtype)
    for found in (hessians.product(u), hessians.product(u)):
        assert found.dtype == dtype
        for member, net in enumerate(nets):
            own = {name: w.detach() for name, w in net.named_parameters()}

            def loss(flat, own=own, net=net, inputs=x[member]):
                parts = flat.split([w.numel() for w in own.values()])
                put = {k: p.view_as(own[k]) for k, p in zip(own, parts, strict=True)}
                return functional_call(net, put, (inputs,)).square().mean()

            whole = hessian(loss)(torch.cat([w.flatten() for w in own.values()]))
            room = 1e-5 if dtype == torch.float32 else 1e-12
            torch.testing.assert_close(found[member], whole @ u[member], rtol=room, atol=room)


def test_wrong_second_derivatives_are_refused_by_the_weight_that_has_them():
    with pytest.raises(ValueError, match=r"most in 'b\.weight'"):
        MemberHessians(weights(), of_function(Crooked))
    with pytest.raises(ValueError, match=r"most in 'b\.weight'"):
        MemberHessians(weights(torch.float32), of_function(Crooked))
    taken = MemberHessians(weights(), of_function(Crooked), check=False)
    assert taken.product(torch.ones(taken.shape, dtype=torch.float64)).isfinite().all()


def attention(own):
    tokens = own["b.weight"].reshape(3, 1, 5, 1)
    return scaled_dot_product_attention(tokens, tokens, tokens).square().sum()


def test_missing_second_derivatives_are_refused():
    """Torch says so, or, of functions that are marked so, says 0."""
    with pytest.raises(ValueError, match=r"cannot be differentiated twice: .*attention"):
        MemberHessians(weights(), attention)
    with pytest.raises(ValueError, match=r"most in 'b\.weight'"):
        MemberHessians(weights(), of_function(Once))


def test_losses_that_fail_inside_torch_say_so():
    with pytest.raises(ValueError, match=r"cannot be differentiated once: .*mat1 and mat2"):
        MemberHessians(weights(), lambda own: (own["a.weight"] @ own["b.weight"]).sum())


def test_losses_that_draw_are_refused():
    random = torch.Generator().manual_seed(0)

    def total(own):
        return (own["a.weight"] * DOUBLE(3, 5, generator=random)).pow(2).sum()

    with pytest.raises(ValueError, match="not functions of the weights"):
        MemberHessians(weights(), total)


def test_checked_once_for_one_structure():
    """The second time, slopes are taken once; other shapes and other structures are checked."""
    total = Counted(lambda own: sum(w.pow(3).sum() for w in own.values()))
    calls = []
    for structure, own in [
        ("one", weights()),
        ("one", weights()),
        ("two", weights()),
        ("one", {"a.weight": torch.ones(2, 7)}),
        (None, weights()),
        (None, weights()),
    ]:
        before = total.calls
        MemberHessians(own, total, structure=("test", structure))
        calls.append(total.calls - before)
    first, again, *others = calls
    assert again == 1 < first
    assert others[:2] == [first, first]
    before = total.calls
    MemberHessians(weights(), total)
    MemberHessians(weights(), total)
    assert total.calls - before == 2 * first


def test_refused_every_time():
    """What was refused once is not taken for known."""
    for _ in range(2):
        with pytest.raises(ValueError, match="most in"):
            MemberHessians(weights(), of_function(Crooked), structure="crooked")


def test_units_that_switch_are_no_fault():
    """Many ReLUs: a difference crosses some kinks, a smaller one does not."""
    _, together = stacked(nn.ReLU, units=200, members=8, dtype=torch.float32)
    x = torch.randn(8, 400, 2, generator=torch.Generator().manual_seed(2))
    hessians = MemberHessians(together.parameters, partial(squares, together, x))
    assert hessians.shape == (8, 801)


def test_a_member_that_diverged_hides_nothing():
    """Its products are NaN, and those of the others are checked still."""
    own = weights()
    own["a.weight"][1] = torch.inf
    hessians = MemberHessians(own, lambda at: sum(w.pow(3).sum() for w in at.values()))
    found = hessians.product(torch.ones(hessians.shape, dtype=torch.float64))
    assert found[[0, 2]].isfinite().all()
    assert not found[1].isfinite().all()
    with pytest.raises(ValueError, match="member 0"):
        MemberHessians(own, of_function(Crooked))


@pytest.mark.parametrize("value", [torch.nan, 0.0])
def test_where_nothing_could_be_told_nothing_is_remembered(value):
    """Members that have all diverged, or whose losses have no slope, do not vouch for others."""

    def total(own):
        return own["a.weight"].square().sum() + Crooked.apply(own["b.weight"]).square().sum()

    structure = ("nothing told", value)
    MemberHessians({name: w * value for name, w in weights().items()}, total, structure=structure)
    with pytest.raises(ValueError, match="most in"):
        MemberHessians(weights(), total, structure=structure)


@pytest.mark.parametrize("penalty", [None, GradientPenalty(1.0), GradientPenalty(1.0, "data")])
@pytest.mark.parametrize("player", ["G", "D"])
def test_directions_of_float32_ensembles_are_checked_in_float64(player, penalty):
    """Weights, data and the other player follow the precision of the check."""
    pairs = [(mlp([1, 3, 2], seed=2 * k), mlp([2, 3, 1], seed=2 * k + 1)) for k in range(2)]
    players = tuple(Stacked([pair[k] for pair in pairs], twice=True) for k in (0, 1))
    random = torch.Generator().manual_seed(3)
    z, x = torch.randn(2, 5, 1, generator=random), torch.randn(2, 5, 2, generator=random)
    find = MemberDirections(player, Nudging(k=1), z, x, [(LOSSES["js"], 2)], penalty)
    slopes = find._total(
        players, {k: w.double() for k, w in players["GD".index(player)].parameters.items()}
    )
    assert slopes.dtype == torch.float64
    found = find.pairs(players)
    assert found.values.dtype == torch.float32
    assert found.values.isfinite().all()
