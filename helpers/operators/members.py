"""The Hessians of many small networks at once: one batched product for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class MemberHessians:
    """The Hessian of each of S networks side by side, in its own weights.

    Durall et al. 2021, section 4.2, for an ensemble: the graph of the gradients is kept, and a
    product of all members goes back through it once.

    Args:
        parameters: (S, ...) of the networks by name, as `helpers.stacked.Stacked` has them.
        total: from such parameters to the sum of the members' losses, each a function of its own
            weights alone, and differentiable twice.

    >>> hessians = MemberHessians({"w": torch.ones(2, 3)}, lambda own: own["w"].pow(3).sum())
    >>> hessians.product(torch.ones(2, 3))
    tensor([[6., 6., 6.],
            [6., 6., 6.]])
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], total: Callable[[dict[str, Tensor]], Tensor]
    ) -> None:
        with torch.inference_mode(False), torch.enable_grad():
            own = {name: w.detach().clone().requires_grad_() for name, w in parameters.items()}
            self._own = list(own.values())
            self._slopes = torch.autograd.grad(
                total(own), self._own, create_graph=True, materialize_grads=True
            )
        self._shapes = [weight.shape for weight in self._own]
        self._lengths = [weight[0].numel() for weight in self._own]
        self.shape = (len(self._own[0]), sum(self._lengths))  # S members, n weights each

    def product(self, vectors: Tensor) -> Tensor:
        """(S, n) to (S, n): each member's Hessian times its own row."""
        parts = vectors.split(self._lengths, dim=1)
        along = [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
        # In a weight that the loss is linear in, the slope has nothing left to differentiate.
        curved = [k for k, slope in enumerate(self._slopes) if slope.requires_grad]
        if not curved:
            return torch.zeros_like(vectors)
        found = torch.autograd.grad(
            [self._slopes[k] for k in curved],
            self._own,
            [along[k] for k in curved],
            retain_graph=True,
            materialize_grads=True,
        )
        return torch.cat([each.flatten(start_dim=1) for each in found], dim=1)
