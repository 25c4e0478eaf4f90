"""Plain attributes of networks that change while they train, as a checkpoint keeps them.

A counter, or a running mean in a tensor that is no buffer, is part of no `state_dict`; a training
that goes on without it is another training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.utils._pytree import tree_map_only

from helpers.checkpoints.descriptions import architecture
from helpers.inputs import shown


def changed_attributes(net: nn.Module, start: dict[str, Any]) -> dict[str, Any]:
    """The plain attributes that are not what they were, by the names of modules and attributes.

    Args:
        net: a network.
        start: its `architecture` before.

    Raises:
        ValueError: for a changed one that no file can keep: anything but numbers, text, tensors,
            and lists, tuples and dictionaries of those.

    >>> net = nn.Sequential(nn.LeakyReLU(0.2))
    >>> before = architecture(net)
    >>> net[0].negative_slope = 0.1
    >>> changed_attributes(net, before)
    {'0.negative_slope': 0.1}
    """
    now, found = architecture(net)["modules"], {}
    for name, module in net.named_modules():
        if type(module).__module__.startswith("torch._dynamo"):
            continue  # torch.compile's shell around a network holds what was compiled so far
        settings = now[name]["settings"]
        before = start["modules"].get(name, now[name])["settings"]
        for attribute, description in settings.items():
            if attribute not in before or before[attribute] != description:
                place = f"{name}.{attribute}" if name else attribute
                found[place] = _kept(place, getattr(module, attribute))
    return found


def put_attributes(net: nn.Module, kept: dict[str, Any]) -> None:
    """Give a network the attributes that `changed_attributes` found, on the device of its weights.

    >>> net = nn.Sequential(nn.LeakyReLU(0.2))
    >>> put_attributes(net, {"0.negative_slope": 0.1})
    >>> net[0].negative_slope
    0.1
    """
    device = next((weight.device for weight in net.parameters()), "cpu")
    for place, value in kept.items():
        name, _, attribute = place.rpartition(".")
        value = tree_map_only(Tensor, lambda part: part.to(device), value)
        setattr(net.get_submodule(name), attribute, value)


def _kept(place: str, value: Any) -> Any:
    if isinstance(value, Tensor) and not is_functorch_wrapped_tensor(value):
        return value.detach()
    if value is None or isinstance(value, bool | int | float | str | np.number | np.bool_):
        return value
    if type(value) in (list, tuple):
        return type(value)(_kept(place, each) for each in value)
    if type(value) is dict and all(isinstance(key, str | int) for key in value):
        return {key: _kept(place, each) for key, each in value.items()}
    raise ValueError(
        f"{place} changes while the network trains, and a checkpoint cannot keep it: make it a "
        f"buffer, or an attribute of numbers, text and tensors, got {_kind(value)}"
    )


def _kind(value: Any) -> str:
    return "a tensor from within torch.func.vmap" if isinstance(value, Tensor) else shown(value)
