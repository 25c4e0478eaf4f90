"""Networks of one shape side by side: every parameter with the network's number in front.

Many small networks cost little more than one when a single batched product serves all of them.
Each stays what it would be alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

# Applied to each number by itself, so that they do not mind a dimension in front.
_ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)


class Stacked:
    """S networks as one function of S batches.

    Layers of `nn.Linear` and elementwise functions are batched matrix products; any other network
    without buffers goes through torch.func.vmap.

    Args:
        nets: of one shape. They are copied and left alone.
        device: where the copies live.

    Raises:
        ValueError: for no networks, networks of several shapes, and buffers (batch norm, spectral
            norm), which would have to be kept apart.

    >>> from helpers.models import mlp
    >>> several = Stacked([mlp([1, 5, 1], seed=seed) for seed in range(3)])
    >>> several(torch.zeros(3, 8, 1)).shape
    torch.Size([3, 8, 1])
    """

    def __init__(self, nets: Sequence[nn.Module], device: torch.device | str = "cpu") -> None:
        if not nets:
            raise ValueError("at least one network is asked for, got none")
        self._net = copy.deepcopy(nets[0]).to(device).requires_grad_(False)
        if any(True for _ in self._net.buffers()):
            raise ValueError("networks with buffers cannot be stacked")
        named = [dict(net.named_parameters()) for net in nets]
        shapes = [{name: weight.shape for name, weight in each.items()} for each in named]
        if any(each != shapes[0] for each in shapes):
            raise ValueError("networks of one shape are asked for, got several shapes")
        self.parameters: dict[str, Tensor] = {
            name: torch.stack([each[name].detach() for each in named]).to(device).requires_grad_()
            for name in named[0]
        }
        self._layers = _plain_layers(self._net)

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def __call__(self, inputs: Tensor) -> Tensor:
        """(S, n, ...) to (S, n, ...)."""
        if self._layers is None:
            return vmap(lambda own, x: functional_call(self._net, own, (x,)))(
                self.parameters, inputs
            )
        for name, layer in self._layers:
            if isinstance(layer, nn.Linear):
                bias = self.parameters[f"{name}.bias"][:, None]
                weight = self.parameters[f"{name}.weight"].transpose(1, 2)
                inputs = torch.baddbmm(bias, inputs, weight)
            else:
                inputs = layer(inputs)
        return inputs

    def member(self, number: int) -> nn.Module:
        """A copy of one of the networks."""
        net = copy.deepcopy(self._net)
        own = {name: weight[number].detach() for name, weight in self.parameters.items()}
        net.load_state_dict(own)
        return net.requires_grad_()


def _plain_layers(net: nn.Module) -> list[tuple[str, nn.Module]] | None:
    """The layers of a sequence that batched products can do, or None."""
    if type(net) is not nn.Sequential:
        return None
    layers = list(net.named_children())
    for _, layer in layers:
        plain = isinstance(layer, nn.Linear) and layer.bias is not None
        if not plain and not isinstance(layer, _ELEMENTWISE):
            return None
    return layers
