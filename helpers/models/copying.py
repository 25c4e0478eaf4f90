"""Copies of networks that `copy.deepcopy` refuses.

Torch deep-copies no tensor that carries a graph. The older `torch.nn.utils.spectral_norm` and
`weight_norm`, hooks that equalise learning rates, and buffers written in the forward pass leave
such tensors in a module as soon as it has been called with gradients.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Net = TypeVar("Net", bound=nn.Module)


def copied(net: Net) -> Net:
    """A deep copy, in which tensors that carry a graph are plain values.

    They may lie anywhere: among attributes and buffers, in lists, in objects behind hooks. The
    network itself is not changed, and its parameters are parameters of the copy too, with the
    attributes that were set on them.
    """
    known: dict[int, Any] = {}
    with _Detaching():
        own = copy.deepcopy(net, known)
        for name, weight in net.named_parameters():
            if vars(weight):  # torch's copy of a parameter leaves them out
                vars(own.get_parameter(name)).update(copy.deepcopy(vars(weight), known))
        return own


class _Detaching(TorchFunctionMode):
    """Stands in for deepcopy on tensors that it would refuse."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = tensor.detach().clone(memory_format=torch.preserve_format)
            return memo[id(tensor)]
        return func(*args, **(kwargs or {}))
