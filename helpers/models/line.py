"""Nets of one hidden ReLU layer on the line, evaluated piece by piece.

Such a net is linear between the places where its units switch. With those sorted, a sample costs
a search among them instead of a pass over all units. Every derivative follows, since almost
everywhere small moves of weights or samples leave each sample on its piece. The values are those
of the layers up to rounding, at a cost that grows with samples plus units, not with their product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from helpers.inputs import shown, whole_number
from helpers.models.small import mlp


class LineNet(nn.Module):
    """The net Linear(1, units), ReLU, Linear(units, 1), with the same weight names.

    Sorted samples are located several times faster than samples in a random order.

    Args:
        units: number of units in the hidden layer.
        seed: for torch's initialisation, as in `helpers.models.mlp`.

    Raises:
        ValueError: for no units, and when called with samples that are not (n, 1).

    >>> net, x = LineNet(100, seed=0), torch.linspace(-2, 2, 9)[:, None]
    >>> torch.allclose(net(x), mlp([1, 100, 1], seed=0)(x), atol=1e-6)
    True
    """

    is_samplewise = True  # no sample's output depends on another sample

    def __init__(self, units: int, *, seed: int) -> None:
        super().__init__()
        units = whole_number("units", units, 1)
        for name, layer in mlp([1, units, 1], seed=seed).named_children():
            if any(True for _ in layer.parameters()):
                self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1) to (n, 1)."""
        if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != 1:
            got = tuple(x.shape) if isinstance(x, Tensor) else shown(x)
            raise ValueError(f"samples on the line are (n, 1), got {got}")
        first: Any = self.get_submodule("0")
        last: Any = self.get_submodule("2")
        knots, slopes, heights = _pieces(first.weight[:, 0], first.bias, last.weight[0])
        # Under vmap the sum is a copy for each net, which searchsorted needs.
        where = torch.searchsorted(knots, x[:, 0].detach() + torch.zeros_like(knots[0]))
        y = slopes.gather(0, where) * x[:, 0] + (heights + last.bias).gather(0, where)
        return y[:, None]


def _pieces(weight: Tensor, bias: Tensor, out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where units switch (units,), sorted, and slopes and heights of the pieces (units + 1,)."""
    with torch.no_grad():
        still = weight == 0  # such a unit is on everywhere or nowhere
        knots, order = torch.where(still, 0.0, -bias / weight).sort()
        falls = weight < 0  # such a unit is on at the left, and switches off further right
        from_left = falls | (still & (bias > 0))
    # Choices, not products with 0 and 1: a product with a number that has no tangent goes through
    # Python in torch.
    parts = torch.stack([out * weight, out * bias])
    left = torch.where(from_left, parts, 0.0).sum(dim=1, keepdim=True)
    switch = torch.where(falls, -parts, parts.masked_fill(still, 0.0))
    slopes, heights = torch.cat(
        [left, left + switch.gather(1, order.expand(2, -1)).cumsum(dim=1)], dim=1
    )
    return knots, slopes, heights
