"""Networks of one shape side by side: every parameter is indexed first by the network's number.

Many small networks cost little more than one when a single batched product serves all of them.
Each remains what it would be alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import leaky_relu_

from helpers.checkpoints.descriptions import architecture, difference
from helpers.models.copying import copied
from helpers.models.functional import HOOKS, in_precision, signature

# In place, since autograd needs their outputs and not their inputs.
_ACTIVATIONS: dict[type[nn.Module], Callable[[Any], Callable[[Tensor], Tensor]]] = {
    nn.ReLU: lambda _: torch.relu_,
    nn.LeakyReLU: lambda layer: partial(leaky_relu_, negative_slope=layer.negative_slope),
    nn.Tanh: lambda _: torch.tanh_,
    nn.Sigmoid: lambda _: torch.sigmoid_,
}


class Stacked:
    """S networks as one function of S batches.

    Layers of `nn.Linear` followed by ReLU, LeakyReLU, Tanh or Sigmoid are batched matrix products;
    any other network without buffers goes through torch.func.vmap. Weights that do not require grad
    are held: they are not in `parameters`, though members may differ in their values.

    Args:
        nets: alike in all but the values of their weights. They are copied and left alone.
        device: where the copies live.
        twice: use vmap for plain layers as well, so that slopes can be differentiated again.

    Raises:
        ValueError: for no networks; for networks that differ in anything else, naming it (shapes,
            types and settings of layers, attributes, hooks, dtypes, training mode, which weights
            require grad, which layers are used twice); for buffers (batch norm, spectral norm),
            which would have to be kept apart; and for weights that are also used from a list or
            another plain attribute, where vmap cannot reach them. When called, for networks that
            draw random numbers, and layers for which vmap has no rule.

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
            raise ValueError("at least one network is needed, got none")
        _check_alike(nets)
        # What is called with the members' weights; its attributes are those of all.
        self.net = copied(nets[0]).to(device).requires_grad_(False)
        named = [dict(net.named_parameters()) for net in nets]
        stacked = {
            name: torch.stack([each[name].detach() for each in named]).to(device)
            for name in named[0]
        }
        self.parameters: dict[str, Tensor] = {
            name: weight.requires_grad_()
            for name, weight in stacked.items()
            if named[0][name].requires_grad
        }
        self.held: dict[str, Tensor] = {
            name: weight for name, weight in stacked.items() if name not in self.parameters
        }
        self._count = len(nets)
        self.signature = signature(self.net)  # all but the numbers of the weights
        first = {id(weight): name for name, weight in self.net.named_parameters()}
        self._places = {  # every name of a weight, with the name that it has first
            f"{name}.{part}" if name else part: first[id(weight)]
            for name, module in self.net.named_modules()
            for part, weight in module._parameters.items()
            if weight is not None
        }
        layers = _plain_layers(self.net)
        self._layers = None if twice else layers
        # Whether a member's output for one sample depends on no other sample, as far as is known
        self.is_samplewise = layers is not None or bool(getattr(self.net, "is_samplewise", False))

    def __len__(self) -> int:
        return self._count

    def __call__(self, inputs: Tensor, parameters: dict[str, Tensor] | None = None) -> Tensor:
        """(S, n, ...) to (S, n, ...); with other weights of the same precision, if given."""
        parameters = self.parameters if parameters is None else parameters
        if self._layers is None:
            return self.at(parameters, inputs)
        own = self.held | parameters
        outputs = inputs.transpose(1, 2).contiguous()  # long rows make fast products
        for name, activation in self._layers:
            weight, bias = own[f"{name}.weight"], own.get(f"{name}.bias")
            if bias is None:
                outputs = torch.bmm(weight, outputs)
            else:
                outputs = torch.baddbmm(bias[..., None], weight, outputs)
            outputs = outputs if activation is None else activation(outputs)
        return outputs.transpose(1, 2)

    def at(self, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """A call with other weights (S, ...), in their precision, differentiable to any order."""
        dtype = next(iter(parameters.values())).dtype if parameters else inputs.dtype
        own = {name: weight.to(dtype) for name, weight in (self.held | parameters).items()}
        inputs = in_precision(inputs, dtype)

        def call(weights: dict[str, Tensor], x: Tensor) -> Tensor:
            everywhere = {place: weights[name] for place, name in self._places.items()}
            # Torch's handling of tied weights leaves its stand-ins in layers that are used twice.
            return functional_call(self.net, everywhere, (x,), tie_weights=False)

        try:
            return vmap(call)(own, inputs)
        except RuntimeError as error:
            if "Batching rule" in str(error):
                raise ValueError(
                    "torch.func.vmap cannot run a layer of these networks, so they cannot be "
                    f"stacked; train each alone ({error})"
                ) from error
            if "randomness" not in str(error):
                raise
            raise ValueError(
                "networks that draw random numbers (dropout, noise) cannot be stacked: a member's "
                "would depend on those of its neighbours; train each alone, or put them in "
                "evaluation mode"
            ) from error

    def member(self, number: int) -> nn.Module:
        """A copy of one of the networks."""
        net = copied(self.net)
        own = self.held | self.parameters
        with torch.no_grad():
            for name, weight in net.named_parameters():
                weight.copy_(own[name][number])
                weight.requires_grad_(name in self.parameters)
        return net


def _check_alike(nets: Sequence[nn.Module]) -> None:
    first = architecture(nets[0])
    for number, net in enumerate(nets[1:], start=1):
        found = difference(first, architecture(net))
        if found is not None:
            raise ValueError(
                "stacked networks differ in the values of their weights alone; "
                f"in members 0 and {number}, {found}"
            )
    for name, _ in nets[0].named_buffers():
        raise ValueError(f"networks with buffers cannot be stacked, and there is {name!r}")
    check_registered(nets[0], "stacking cannot put each member's own")


def check_registered(net: nn.Module, what: str) -> None:
    """Refuse a network that may use weights which no call with other weights would reach.

    Args:
        net: the network.
        what: what those calls are for, as it ends the sentence "holds weights where ...".

    Raises:
        ValueError: for weights in a list or another plain attribute, naming it.
    """
    for name, module in net.named_modules():
        for attribute, value in vars(module).items():
            by_torch = attribute == "_parameters" or isinstance(module, nn.RNNBase)
            if not by_torch and _holds_weight(value):
                place = f"{name}.{attribute}" if name else attribute
                raise ValueError(
                    f"{place} holds weights in a plain attribute, where {what}; use them by their "
                    "registered names"
                )


def _holds_weight(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.is_leaf and (value.requires_grad or isinstance(value, nn.Parameter))
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list | tuple) and any(map(_holds_weight, value))


def _plain_layers(net: nn.Module) -> list[tuple[str, Callable[[Tensor], Tensor] | None]] | None:
    """Linear layers by name, each with the activation after it; None for any other network."""
    if type(net) is not nn.Sequential or any(map(_is_altered, net.modules())):
        return None
    own = [part for part in net.children() if isinstance(part, nn.Linear)]
    weights = [weight for part in own for weight in part._parameters.values() if weight is not None]
    if len({id(weight) for weight in weights}) < len(weights) or len(own) < sum(
        isinstance(part, nn.Linear) for part in net._modules.values()
    ):
        return None  # used twice
    found: list[tuple[str, Callable[[Tensor], Tensor] | None]] = []
    for name, layer in net._modules.items():
        if type(layer) is nn.Linear:
            found.append((name, None))
        elif type(layer) in _ACTIVATIONS and found and found[-1][1] is None:
            found[-1] = (found[-1][0], _ACTIVATIONS[type(layer)](layer))
        else:
            return None
    return found


def _is_altered(module: nn.Module) -> bool:
    """Whether a hook or a method of its own changes what a module does."""
    return any(getattr(module, kind) for kind in HOOKS) or "forward" in vars(module)
