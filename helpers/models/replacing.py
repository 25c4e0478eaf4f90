"""What torch differentiates wrongly, or not often enough, in steps that it differentiates rightly.

Native norms lack correct third derivatives, and `torch._weight_norm` lacks second ones. A spectral
norm that keeps its singular vectors lacks those of the division itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.overrides import TorchFunctionMode


def settle(module: nn.Module) -> None:
    """Make torch's spectral norms, old and new, divide by the largest singular value itself."""
    if isinstance(module, ParametrizationList):
        for number, part in enumerate(module):
            if isinstance(part, _SpectralNorm):
                module[number] = Settled(part._reshape_weight_to_matrix)
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, SpectralNorm):
            module._forward_pre_hooks[key] = _SettledHook(hook)


class Settled(nn.Module):
    """Division by the largest singular value, a function of the weight alone."""

    def __init__(self, as_matrix: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.as_matrix = as_matrix

    def forward(self, weight: Tensor) -> Tensor:
        matrix = self.as_matrix(weight)
        # By the Gram matrix: torch's second derivatives of singular values are not finite here.
        gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
        return weight / torch.linalg.eigvalsh(gram)[-1].sqrt()


class _SettledHook:
    """The hook of torch's older spectral norm, settled."""

    def __init__(self, hook: SpectralNorm) -> None:
        self.name, self.settled = hook.name, Settled(hook.reshape_weight_to_matrix)

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        setattr(module, self.name, self.settled(getattr(module, self.name + "_orig")))


def _standard(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """x, centred and scaled to standard deviation 1 over some dimensions, in elementary steps."""
    apart = x - x.mean(dims, keepdim=True)
    return apart * (apart.square().mean(dims, keepdim=True) + eps).rsqrt()


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """x times a weight plus a bias, one of each per channel."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    x = x if weight is None else x * weight.view(shape)
    return x if bias is None else x + bias.view(shape)


def _batch_norm(
    thrice: bool, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Batch norm that writes no running statistics."""
    if not training and running_mean is not None:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, 0.0, eps)
    if not thrice:
        return F.batch_norm(input, None, None, weight, bias, True, 0.0, eps)
    return _scaled(_standard(input, (0, *range(2, input.ndim)), eps), weight, bias)


def _instance_norm(
    thrice: bool, input: Tensor, running_mean: Tensor | None = None,
    running_var: Tensor | None = None, weight: Tensor | None = None, bias: Tensor | None = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Instance norm that writes no running statistics."""
    if not use_input_stats:
        return F.instance_norm(
            input, running_mean, running_var, weight, bias, use_input_stats, 0.0, eps
        )
    if not thrice:
        return F.instance_norm(input, None, None, weight, bias, True, 0.0, eps)
    return _scaled(_standard(input, tuple(range(2, input.ndim)), eps), weight, bias)


def _layer_norm(
    thrice: bool, input: Tensor, normalized_shape: list[int],
    weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    if not thrice:
        return F.layer_norm(input, normalized_shape, weight, bias, eps)
    found = _standard(input, tuple(range(-len(normalized_shape), 0)), eps)
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


def _weight_norm(thrice: bool, v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """Weight norm in elementary steps: torch's own lacks second derivatives."""
    dims = tuple(each for each in range(v.ndim) if each != dim % v.ndim) if dim != -1 else None
    return v * (g / torch.linalg.vector_norm(v, dim=dims, keepdim=dims is not None))


REPLACED: dict[Any, Callable[..., Tensor]] = {
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.layer_norm: _layer_norm,
    torch._weight_norm: _weight_norm,
}
_COUNTING = {F.batch_norm, F.instance_norm}  # those that may keep running statistics


def in_steps(needed: bool = True) -> AbstractContextManager[Any]:
    """Whatever is computed in here can be differentiated three times, if that is needed.

    Norms still move their running statistics as they would.
    """
    return _InSteps() if needed else nullcontext()


class _InSteps(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in REPLACED:
            return func(*args, **kwargs)
        if func in _COUNTING:
            with torch.no_grad():
                func(*args, **kwargs)
        return REPLACED[func](True, *args, **kwargs)
