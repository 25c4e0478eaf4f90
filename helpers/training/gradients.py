"""Gradients of players' losses, and the other fields that a training may follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from helpers.training.turns import Unrolled


def gradient(
    loss: Tensor,
    weights: Sequence[Tensor],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """The gradient of a loss in weights; zero in those that do not enter the loss."""
    if not loss.requires_grad:  # no weight enters it
        return tuple(torch.zeros_like(weight) for weight in weights)
    return torch.autograd.grad(
        loss,
        weights,
        retain_graph=retain_graph or create_graph,
        create_graph=create_graph,
        allow_unused=True,
        materialize_grads=True,
    )


def steps_ahead(
    ahead: Unrolled, weights: Mapping[str, Tensor], loss_at: Callable[[dict[str, Tensor]], Tensor]
) -> dict[str, Tensor]:
    """D's weights by name after some steps of plain descent, with the graph of all of them."""
    own = dict(weights)
    for _ in range(ahead.steps):
        slopes = gradient(loss_at(own), list(own.values()), create_graph=True)
        own = {
            name: weight - ahead.rate * slope
            for (name, weight), slope in zip(own.items(), slopes, strict=True)
        }
    return own


def towards_rest(
    gradients: tuple[tuple[Tensor, ...], tuple[Tensor, ...]],
    weights: Sequence[Sequence[Tensor]],
    weight: float,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Gradients of both players, with a graph, plus a weight times that of half their square."""
    energy = torch.stack([part.square().sum() for own in gradients for part in own]).sum() / 2
    pulls = iter(gradient(energy, [*weights[0], *weights[1]]))
    of_g, of_d = (tuple(part.detach() + weight * next(pulls) for part in own) for own in gradients)
    return of_g, of_d


def apart(gradients: Sequence[Tensor]) -> list[Tensor]:
    """The gradients, each in memory of its own.

    Weights that enter a loss as a sum alone share one tensor, and so would be moved twice by
    whatever writes into gradients: a hook that clips them, for instance.
    """
    seen: set[int] = set()
    found = []
    for part in gradients:
        place = part.data_ptr() if part.layout == torch.strided else id(part)
        found.append(part.clone() if place in seen else part)
        seen.add(place)
    return found
