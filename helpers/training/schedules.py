"""What an optimiser does beside its steps: rates that fall, and a running average of the weights.

Both are hooks that run after each step; of an extragradient method, after each whole step. Their
settings are in the optimiser's parameter groups and the average in its state, so a checkpoint of
the optimiser keeps all of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from helpers.inputs import real_number, shown, whole_number
from helpers.models.copying import copied
from helpers.training.optimizers import weights_of

_AVERAGE = "average"  # key of an optimiser's state
_STEPS = "steps_taken"  # of a parameter group


def falling(optimizer: Optimizer, begin: int, end: int) -> Optimizer:
    """Let all learning rates fall linearly to zero, as in the released code of Sun et al. 2020.

    Step number t, counted from 0, has the rate of the start times (end - t) / (end - begin), where
    t is at least `begin`; up to there it is the rate of the start, and from `end` on zero.

    Args:
        optimizer: of torch, without steps so far; it is changed, and returned.
        begin: the last step at the full rate.
        end: the first step at a rate of zero.

    Raises:
        ValueError: for what is no torch optimiser, for one whose rates fall already, and for an end
            that is not behind the beginning.

    >>> weight = torch.zeros(1, requires_grad=True)
    >>> weight.grad = torch.ones(1)
    >>> adam = falling(torch.optim.Adam([weight], lr=1.0), begin=1, end=3)
    >>> for _ in range(3):
    ...     print(adam.param_groups[0]["lr"], end=" ")
    ...     adam.step()
    1.0 1.0 0.5
    """
    _check(optimizer)
    begin = whole_number("begin", begin, 0)
    end = whole_number("end", end, begin + 1)
    for group in optimizer.param_groups:
        if "falls" in group:
            raise ValueError(f"the rates fall already, over steps {group['falls']}")
        group |= {"falls": [begin, end], "first_rate": group["lr"], _STEPS: 0}
    optimizer.register_step_post_hook(_fall)
    return optimizer


def averaging(optimizer: Optimizer, decay: float) -> Optimizer:
    """Keep a running average of the weights (exponential moving average, EMA).

    After each step it is decay times the average before, plus (1 - decay) times the weights; it
    starts at the weights after the first step. `averaged` puts it into a network.

    Args:
        optimizer: of torch; it is changed, and returned.
        decay: from 0, for the weights themselves, to below 1.

    Raises:
        ValueError: for what is no torch optimiser, for one that averages already, and for a decay
            out of range.

    >>> net = nn.Linear(1, 1)
    >>> sgd = averaging(torch.optim.SGD(net.parameters(), lr=1.0), decay=0.5)
    >>> for value in (0.0, 1.0):
    ...     _ = nn.init.constant_(net.weight, value)
    ...     net.weight.grad, net.bias.grad = torch.zeros(1, 1), torch.zeros(1)
    ...     sgd.step()
    >>> averaged(net, sgd).weight.item(), net.weight.item()
    (0.5, 1.0)
    """
    _check(optimizer)
    decay = real_number("decay", decay, least=0)
    if not decay < 1:
        raise ValueError(f"decay is below 1, got {decay}")
    for group in optimizer.param_groups:
        if "averaging" in group:
            raise ValueError(f"the weights are averaged already, with decay {group['averaging']}")
        group["averaging"] = decay
    optimizer.register_step_post_hook(_average)
    return optimizer


def averaged(net: nn.Module, optimizer: Optimizer) -> nn.Module:
    """A copy of a network with the averages of its weights.

    Buffers, and weights that do not require grad, are the network's own: Sun et al. 2020 average
    weights alone.

    Args:
        net: the network whose weights the optimiser moves, in any order; or a copy of it as it is
            now, of an optimiser that has them in the network's order.
        optimizer: of `averaging`.

    Raises:
        ValueError: for an optimiser that keeps no average, or has taken no step, for a network with
            other weights, and for a copy whose weights have other values than the optimiser's.

    >>> net = nn.Linear(1, 1)
    >>> sgd = averaging(torch.optim.SGD(net.parameters(), lr=1.0), decay=0.5)
    >>> net.weight.grad, net.bias.grad = torch.ones(1, 1), torch.ones(1)
    >>> sgd.step()
    >>> torch.equal(averaged(net, sgd).weight, net.weight)  # after one step
    True
    """
    _check(optimizer)
    moved, copy = weights_of(optimizer), copied(net)
    given, own = ([w for w in each.parameters() if w.requires_grad] for each in (net, copy))
    shapes = [[tuple(weight.shape) for weight in weights] for weights in (own, moved)]
    if {*map(id, given)} == {*map(id, moved)}:
        moved = [*given]
    elif shapes[0] != shapes[1]:
        raise ValueError(f"the net has weights {shapes[0]}, and the optimiser moves {shapes[1]}")
    elif not all(map(_is_copy, given, moved)):
        raise ValueError(
            "the net's weights are no copies of those that the optimiser moves, one by one; give "
            "the net whose weights it moves, or a copy of that as it is now"
        )
    if not all(_AVERAGE in optimizer.state[weight] for weight in moved):
        raise ValueError("the optimiser has no average of all weights that it moves")
    with torch.no_grad():
        for weight, before in zip(own, moved, strict=True):
            weight.copy_(optimizer.state[before][_AVERAGE])
    return copy


def _is_copy(weight: Tensor, moved: Tensor) -> bool:
    return torch.equal(weight.nan_to_num(), moved.to(weight).nan_to_num())


def _check(optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"an optimiser is one of torch's, got {shown(optimizer)}")


def _fall(optimizer: Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        group[_STEPS] += 1
        begin, end = group["falls"]
        share = (end - max(group[_STEPS], begin)) / (end - begin)
        group["lr"] = group["first_rate"] * max(share, 0.0)


@torch.no_grad()
def _average(optimizer: Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        moved = [weight for weight in group["params"] if weight.grad is not None]
        known = [weight for weight in moved if _AVERAGE in optimizer.state[weight]]
        averages = [optimizer.state[weight][_AVERAGE] for weight in known]
        if known:
            get_ema_multi_avg_fn(group["averaging"])(averages, known, 0)
        for weight in moved:
            if _AVERAGE not in optimizer.state[weight]:
                optimizer.state[weight][_AVERAGE] = weight.detach().clone()
