"""The Hessians of many small networks at once: one batched product for all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from helpers.games.differences import compared

Total = Callable[[dict[str, Tensor]], Tensor]
_MOST = 256  # structures that are remembered
_RIGHT: dict[Hashable, None] = {}


class MemberHessians:
    """The Hessian of each of S networks side by side, in its own weights.

    This is Durall et al. 2021, section 4.2, for an ensemble: the graph of the gradients is kept,
    and a product of all members goes back through it once. Torch's second derivatives of some
    layers are missing or wrong, so products are first checked against differences of the gradients
    in float64.

    Args:
        parameters: (S, ...) of the networks by name, as in `helpers.models.Stacked`.
        total: maps such parameters, in any precision, to the sum of the members' losses, each a
            function of its own weights alone, and differentiable twice.
        structure: what distinguishes `total` and the networks from others, besides the names and
            shapes of the weights. Hessians of one structure are checked once; without a structure
            they are checked every time.
        check: False to take the products as they are.

    Raises:
        ValueError: for losses that torch cannot differentiate, with torch's own message, and for
            products that are not those of the members' Hessians, naming the weight in which they
            differ most. When multiplied, for losses that cannot be differentiated twice.

    >>> hessians = MemberHessians({"w": torch.ones(2, 3)}, lambda own: own["w"].pow(3).sum())
    >>> hessians.product(torch.ones(2, 3))
    tensor([[6., 6., 6.],
            [6., 6., 6.]])
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        total: Total,
        *,
        structure: Hashable = None,
        check: bool = True,
    ) -> None:
        if check:
            of = tuple((name, w.shape, w.dtype, w.device) for name, w in parameters.items())
            key = (structure, of)
            known = structure is not None and key in _RIGHT
            if not known and _check(parameters, total):
                while len(_RIGHT) >= _MOST:
                    del _RIGHT[next(iter(_RIGHT))]
                _RIGHT[key] = None
        self._own, self._slopes = _slopes(parameters, total, create_graph=True)
        self._shapes = [weight.shape for weight in self._own]
        self._lengths = [weight[0].numel() for weight in self._own]
        self.shape = (len(self._own[0]), sum(self._lengths))  # S members, n weights each

    def product(self, vectors: Tensor) -> Tensor:
        """(S, n) to (S, n): each member's Hessian times its own row."""
        parts = vectors.split(self._lengths, dim=1)
        along = [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
        # Where the loss is linear in a weight, its slope has nothing left to differentiate.
        curved = [k for k, slope in enumerate(self._slopes) if slope.requires_grad]
        if not curved:
            return torch.zeros_like(vectors)
        with _of_torch("twice"):
            found = torch.autograd.grad(
                [self._slopes[k] for k in curved],
                self._own,
                [along[k] for k in curved],
                retain_graph=True,
                materialize_grads=True,
            )
        return _rows(found)


def _slopes(
    parameters: Mapping[str, Tensor], total: Total, *, create_graph: bool = False
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Copies of the weights, and the slopes of the sum of the losses in them."""
    with torch.inference_mode(False), torch.enable_grad(), _of_torch("once"):
        own = {name: w.detach().clone().requires_grad_() for name, w in parameters.items()}
        found = torch.autograd.grad(
            total(own), list(own.values()), create_graph=create_graph, materialize_grads=True
        )
    return list(own.values()), found


def _check(parameters: Mapping[str, Tensor], total: Total) -> bool:
    """Check products against differences of the slopes, in float64; a ValueError if they differ.

    False where nothing can be said: each member's slopes are not finite, or zero, as those of a
    hinge that is satisfied.
    """
    at = {name: w.detach().double() for name, w in parameters.items()}
    lengths = [w[0].numel() for w in at.values()]

    def slopes(weights: Tensor) -> Tensor:
        parts = zip(at.items(), weights.split(lengths, dim=1), strict=True)
        return _rows(_slopes({k: part.reshape(w.shape) for (k, w), part in parts}, total)[1])

    hessians = MemberHessians(at, total, check=False)
    found = compared(slopes, _rows(list(at.values())), hessians.product)
    wrong = torch.nonzero(~found.is_right & found.is_finite)  # others have diverged
    if not len(wrong):
        return bool((found.is_finite & (_rows(hessians._slopes) != 0).any(dim=1)).any())
    first = int(wrong[0])
    names = [name for name, length in zip(at, lengths, strict=True) for _ in range(length)]
    raise ValueError(
        f"products of the members' Hessians are off by {float(found.off[first]):.1e} of a "
        f"difference of the slopes, most in {names[int(found.errors[first].argmax())]!r} (member "
        f"{first}): torch differentiates the layer wrongly, or the losses are not functions of the "
        "weights"
    )


@contextmanager
def _of_torch(times: str) -> Iterator[None]:
    """Say what torch's own errors are about."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"the members' losses cannot be differentiated {times}: {said}") from error


def _rows(parts: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """(S, n) from (S, ...) of each weight."""
    return torch.cat([each.flatten(start_dim=1) for each in parts], dim=1)
