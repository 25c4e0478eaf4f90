"""Networks of one shape side by side: every parameter with the network's number in front.

Many small networks cost little more than one when a single batched product serves all of them.
Each stays what it would be alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import leaky_relu_

from helpers.copying import copied

# An elementwise function in place, and the slope before it from the slope behind it and its output.
_aten = torch.ops.aten
_ACTIVATIONS: dict[type[nn.Module], Callable[[nn.Module], tuple[Callable, Callable]]] = {
    nn.ReLU: lambda _: (torch.relu_, lambda slope, y: _aten.threshold_backward(slope, y, 0)),
    nn.LeakyReLU: lambda layer: (
        lambda x: leaky_relu_(x, layer.negative_slope),
        lambda slope, y: _aten.leaky_relu_backward(slope, y, layer.negative_slope, True),
    ),
    nn.Tanh: lambda _: (torch.tanh_, _aten.tanh_backward),
    nn.Sigmoid: lambda _: (torch.sigmoid_, _aten.sigmoid_backward),
}


class Stacked:
    """S networks as one function of S batches.

    Layers of `nn.Linear` with ReLU, LeakyReLU, Tanh or Sigmoid behind them are batched matrix
    products with slopes written by hand, which can be differentiated once; any other network
    without buffers goes through torch.func.vmap.

    Args:
        nets: of one shape. They are copied and left alone.
        device: where the copies live.
        twice: take vmap for plain layers as well, since slopes are to be differentiated again.

    Raises:
        ValueError: for no networks, networks of several shapes, and buffers (batch norm, spectral
            norm), which would have to be kept apart.

    >>> from helpers.models import mlp
    >>> several = Stacked([mlp([1, 5, 1], seed=seed) for seed in range(3)])
    >>> several(torch.zeros(3, 8, 1)).shape
    torch.Size([3, 8, 1])
    """

    def __init__(
        self,
        nets: Sequence[nn.Module],
        device: torch.device | str = "cpu",
        *,
        twice: bool = False,
    ) -> None:
        if not nets:
            raise ValueError("at least one network is asked for, got none")
        self._net = copied(nets[0]).to(device).requires_grad_(False)
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
        self._layers = None if twice else _plain_layers(self._net)

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def __call__(self, inputs: Tensor) -> Tensor:
        """(S, n, ...) to (S, n, ...)."""
        if self._layers is None:
            return self.at(self.parameters, inputs)
        weights = [
            self.parameters.get(f"{name}.{part}")
            for name, _ in self._layers
            for part in ("weight", "bias")
        ]
        activations = [activation for _, activation in self._layers]
        return _Layers.apply(inputs, activations, *weights)

    def at(self, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """As a call, of other weights (S, ...), and with derivatives of every order."""
        return vmap(lambda own, x: functional_call(self._net, own, (x,)))(parameters, inputs)

    def member(self, number: int) -> nn.Module:
        """A copy of one of the networks."""
        net = copied(self._net)
        own = {name: weight[number].detach() for name, weight in self.parameters.items()}
        net.load_state_dict(own)
        return net.requires_grad_()


def _plain_layers(net: nn.Module) -> list[tuple[str, tuple[Callable, Callable] | None]] | None:
    """Linear layers by name, each with the activation behind it; None for any other network."""
    if type(net) is not nn.Sequential:
        return None
    found: list[tuple[str, tuple[Callable, Callable] | None]] = []
    for name, layer in net.named_children():
        if type(layer) is nn.Linear:
            found.append((name, None))
        elif type(layer) in _ACTIVATIONS and found and found[-1][1] is None:
            found[-1] = (found[-1][0], _ACTIVATIONS[type(layer)](layer))
        else:
            return None
    return found


class _Layers(torch.autograd.Function):
    """All layers at once, samples in the last dimension, where long rows make fast products.

    Autograd would keep and write more than twice as much.
    """

    @staticmethod
    def forward(ctx, inputs: Tensor, activations: list, *weights: Tensor | None) -> Tensor:
        outputs = [inputs.transpose(1, 2).contiguous()]
        for weight, bias, activation in zip(weights[::2], weights[1::2], activations, strict=True):
            if bias is None:
                here = torch.bmm(weight, outputs[-1])
            else:
                here = torch.baddbmm(bias[..., None], weight, outputs[-1])
            outputs.append(here if activation is None else activation[0](here))
        ctx.activations = activations
        ctx.save_for_backward(*outputs[:-1], *weights[::2])
        # The last output only where its own activation needs it.
        ctx.last = outputs[-1] if activations[-1] is not None else None
        return outputs[-1].transpose(1, 2)

    @staticmethod
    def backward(ctx, slope: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # as autograd has it for create_graph=True
            raise RuntimeError("stacked layers can be differentiated once only")
        count = len(ctx.activations)
        before, weights = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        behind = [*before[1:], ctx.last]
        needed = ctx.needs_input_grad
        slope = slope.transpose(1, 2)
        slopes: list[Tensor | None] = [None] * (2 + 2 * count)
        for layer in reversed(range(count)):
            if ctx.activations[layer] is not None:
                slope = ctx.activations[layer][1](slope.contiguous(), behind[layer])
            if needed[2 + 2 * layer]:
                slopes[2 + 2 * layer] = torch.bmm(slope, before[layer].transpose(1, 2))
            if needed[3 + 2 * layer]:
                slopes[3 + 2 * layer] = slope.sum(dim=2)
            if layer or needed[0]:
                slope = torch.bmm(weights[layer].transpose(1, 2), slope)
        if needed[0]:
            slopes[0] = slope.transpose(1, 2)
        return tuple(slopes)
