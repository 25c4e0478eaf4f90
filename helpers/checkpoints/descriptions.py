"""Descriptions of things in plain data, for telling runs, networks and losses apart.

Two descriptions are equal if what they describe computes the same, apart from the weights' values.
They are made of dictionaries, lists, strings and numbers, and are the same in every process.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.optim import Optimizer

from helpers.inputs import shown

# What is imported from these is known by its name; the code of anything else is looked at.
_NAMED = {"helpers", "numpy", "torch", "torchvision", *sys.stdlib_module_names} - {"__main__"}
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
# Once a scheduler is attached, "step" is an attribute too.
_OF_EVERY_OPTIMIZER = ("optimizer", "param_groups", "state", "defaults", "step")
_under_way: list[type] = []  # classes whose methods are being looked at
_OF_THE_DEVICE = ("params", "capturable")  # of a parameter group: not compared


def described(value: Any, *, closures: bool = True) -> Any:
    """A value as plain data.

    Numbers, text and containers stand for themselves, tensors and arrays for a hash of their bytes,
    networks for their `architecture` with a hash of the weights. Functions are described by their
    names, code, defaults and what they close over, dataclasses by the fields that compare, and
    other objects by all attributes.

    Args:
        value: anything.
        closures: whether to include what functions close over, plain global values that they read,
            and the attributes of objects that are not dataclasses.

    >>> described(functools.partial(torch.optim.SGD, lr=0.1))["keywords"]
    {'lr': 0.1}
    >>> described(lambda x: 2 * x) == described(lambda x: 3 * x)
    False
    """
    return _describe(value, closures, ())


def architecture(net: nn.Module) -> dict[str, Any]:
    """All of a network but the values of its weights and buffers, by the names of its modules.

    This covers types, settings and other attributes, training mode and hooks; shapes and dtypes of
    weights and buffers; which weights require grad; and what is used twice.

    >>> one, other = nn.Sequential(nn.LeakyReLU(0.2)), nn.Sequential(nn.LeakyReLU(0.01))
    >>> difference(architecture(one), architecture(other))
    '0.negative_slope is 0.2 and 0.01'
    """
    return _architecture(net, ())


def described_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """Kind and settings of an optimiser: options and shapes of weights of each parameter group.

    What runs at its steps is included if there is anything; see `described_hooks`.

    >>> described_optimizer(torch.optim.SGD([torch.zeros(1)], lr=0.1))["groups"][0]["lr"]
    0.1
    """
    hooks = described_hooks(optimizer)
    return _optimizer(optimizer) | ({"hooks": hooks} if hooks else {})


def described_hooks(optimizer: Optimizer) -> dict[str, Any]:
    """What runs before and after the steps of an optimiser, and of one inside: hooks of a user's.

    Those of this package have their settings in the parameter groups. The optimiser's own weights,
    groups and state are left out, as they change in every step.

    >>> described_hooks(torch.optim.SGD([torch.zeros(1)], lr=0.1))
    {}
    """
    levels: list[Any] = [optimizer]
    while getattr(levels[-1], "optimizer", None) is not None:
        levels.append(levels[-1].optimizer)
    known = [*levels, optimizer.state, optimizer.param_groups, *optimizer.param_groups]
    known += [
        part for group in optimizer.param_groups for part in (group["params"], *group["params"])
    ]
    found: dict[str, Any] = {}
    for when in ("pre", "post"):
        hooks = [
            hook
            for each in levels
            for hook in getattr(each, f"_optimizer_step_{when}_hooks", {}).values()
            if (getattr(hook, "__module__", None) or "").partition(".")[0] != "helpers"
        ]
        if hooks:
            found[when] = [_describe(hook, True, (*map(id, known),)) for hook in hooks]
    return found


def _optimizer(optimizer: Optimizer) -> dict[str, Any]:
    kind = {"type": _name(type(optimizer))} | _code_of_class(type(optimizer))
    own = [name for name in vars(optimizer) if name[0] != "_" and name not in _OF_EVERY_OPTIMIZER]
    kind |= {name: described(getattr(optimizer, name)) for name in own}
    inner = getattr(optimizer, "optimizer", None)
    if inner is not None:
        return kind | {"of": _optimizer(inner)}
    groups = [
        {name: described(value) for name, value in group.items() if name not in _OF_THE_DEVICE}
        | {"weights": [list(weight.shape) for weight in group["params"]]}
        for group in optimizer.param_groups
    ]
    return kind | {"groups": groups}


def digest(*tensors: Tensor) -> str:
    """A hash of the bytes of tensors, their shapes and dtypes, whatever the device and layout.

    >>> digest(torch.zeros(3)) == digest(torch.zeros(2))
    False
    """
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tuple(tensor.shape)} {tensor.dtype};".encode())
        plain = tensor.detach().resolve_conj().resolve_neg().cpu().to_dense().contiguous()
        found.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:32]


def digest_of_state(net: nn.Module) -> str:
    """A hash of all weights and buffers of a network."""
    return digest(*net.parameters(), *net.buffers())


def difference(one: Any, other: Any) -> str | None:
    """Where two descriptions first differ, and how; None if they do not.

    >>> difference({"a": [1, 2]}, {"a": [1, 3]})
    'a.1 is 2 and 3'
    """
    found = next(_differences(one, other, ()), None)
    if found is None:
        return None
    where, a, b = found
    hidden = ("modules", "settings", "parameters", "buffers", "keywords")
    place = ".".join(part for part in where if part and part not in hidden)
    return f"{place or 'it'} is {shown(a)} and {shown(b)}"


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


def _differences(one: Any, other: Any, where: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(one, dict) and isinstance(other, dict):
        # A name that only one of the two has says more than what follows from it.
        for key in sorted({**one, **other}, key=lambda name: name in one and name in other):
            a, b = (each.get(key, _Nothing()) for each in (one, other))
            yield from _differences(a, b, (*where, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from _differences(a, b, (*where, str(number)))
    elif type(one) is not type(other) or one != other:
        yield where, one, other


def _describe(value: Any, closures: bool, above: tuple[int, ...]) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if id(value) in above:  # it is part of itself
        return f"level {above.index(id(value))}"
    inside = functools.partial(_describe, closures=closures, above=(*above, id(value)))
    if isinstance(value, np.generic):
        return inside(value.item())
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else repr(float(value))
    if isinstance(value, Tensor):
        kind = {"tensor": list(value.shape), "dtype": str(value.dtype)}
        is_plain = value.is_leaf and not is_functorch_wrapped_tensor(value)
        return kind | ({"digest": digest(value)} if is_plain else {"derived": True})
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return [inside(each) for each in value.ravel()]
        content = hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()[:32]
        return {"array": list(value.shape), "dtype": str(value.dtype), "digest": content}
    if isinstance(value, nn.Module):
        return _architecture(value, (*above, id(value))) | {"digest": digest_of_state(value)}
    if isinstance(value, Mapping):
        return {_key(key): inside(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [inside(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted((inside(each) for each in value), key=repr)
    if isinstance(value, torch.device):
        return "device"  # a run may go on elsewhere
    if isinstance(value, Enum | PurePath | torch.dtype | torch.layout | complex | bytes):
        return repr(value)
    return _described_object(value, closures, inside)


def _described_object(value: Any, closures: bool, inside: Callable[[Any], Any]) -> Any:
    """Functions, classes, and objects of all other kinds."""
    if isinstance(value, functools.partial):
        parts = {"args": inside(value.args), "keywords": inside(value.keywords)}
        return {"partial": inside(value.func), **parts}
    if isinstance(value, types.MethodType):
        return {"method": inside(value.__func__), "of": inside(value.__self__)}
    if isinstance(value, types.FunctionType):
        return _described_function(value, closures, inside)
    if isinstance(value, type):
        return {"type": _name(value)} | _code_of_class(value)
    if not hasattr(value, "__dict__"):
        return {"type": _name(type(value))}
    kind = {"type": _name(type(value))} | _code_of_class(type(value))
    if dataclasses.is_dataclass(value):
        fields = [each.name for each in dataclasses.fields(value) if each.compare]
        return kind | {name: inside(getattr(value, name)) for name in fields}
    if hasattr(value, "__qualname__"):  # as functions of other languages have
        return {"function": _name(value)}
    return kind | ({k: inside(v) for k, v in vars(value).items()} if closures else {})


def _described_function(
    value: types.FunctionType, closures: bool, inside: Callable[[Any], Any]
) -> dict[str, Any]:
    found = {"function": _name(value)}
    if not _is_named(value.__module__) or value.__name__ == "<lambda>":  # such a name says nothing
        found["code"] = _code(value.__code__)
    if value.__defaults__ or value.__kwdefaults__:
        found["defaults"] = inside([value.__defaults__, value.__kwdefaults__])
    if not closures:
        return found
    cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
    held = {name: inside(_content(cell)) for name, cell in cells}
    if not _is_named(value.__module__):
        for name in sorted(_global_names(value.__code__)):
            one = value.__globals__.get(name, ...)
            own = isinstance(one, types.FunctionType) and one.__module__ == value.__module__
            if own or isinstance(one, bool | int | float | str | np.generic):
                held[name] = inside(one)
    return found | ({"reads": held} if held else {})


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


def _global_names(code: types.CodeType) -> set[str]:
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*map(_global_names, inner))


def _code(code: types.CodeType) -> str:
    """A hash of what a function does, not of where it stands."""
    parts = [code.co_code, code.co_names, code.co_varnames, code.co_freevars]
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            each = _code(each)
        if isinstance(each, frozenset):  # ordered differently in each process
            each = sorted(each, key=repr)
        parts.append(each)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _code_of_class(kind: type) -> dict[str, Any]:
    """A hash of what a class's methods do, unless the class is known by its name."""
    own = [each for each in kind.__mro__ if not _is_named(each.__module__)]
    if not own or kind in _under_way:
        return {}
    _under_way.append(kind)
    try:
        inside = functools.partial(_describe, closures=True, above=(id(kind),))
        parts = []
        for name, part in (item for each in own for item in sorted(vars(each).items())):
            part = getattr(part, "__func__", getattr(part, "fget", part))
            if isinstance(part, types.FunctionType):
                parts.append((name, _described_function(part, True, inside)))
            elif name[:2] != "__" and isinstance(part, bool | int | float | str | tuple):
                parts.append((name, inside(part)))
    finally:
        _under_way.remove(kind)
    return {"code": hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}


def _is_named(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _NAMED


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    return f"{getattr(value, '__module__', '')}.{name}"


def _key(key: Any) -> str:
    return key if isinstance(key, str) else repr(key)


def _architecture(net: nn.Module, above: tuple[int, ...]) -> dict[str, Any]:
    weights = {id(weight): name for name, weight in net.named_parameters()}
    seen: dict[int, str] = {}
    found: dict[str, Any] = {}
    for name, module in net.named_modules(remove_duplicate=False):
        first = seen.setdefault(id(module), name)
        found[name] = {"same as": first} if first != name else _module(module, name, weights, above)
    return {"modules": found}


def _module(
    module: nn.Module, name: str, weights: dict[int, str], above: tuple[int, ...]
) -> dict[str, Any]:
    prefix = f"{name}." if name else ""

    def attribute(value: Any) -> Any:
        if isinstance(value, Tensor) and id(value) in weights:
            return {"weight": weights[id(value)]}
        if isinstance(value, list | tuple):
            return [attribute(each) for each in value]
        if isinstance(value, dict):
            return {_key(key): attribute(each) for key, each in value.items()}
        return _describe(value, True, (*above, id(module)))

    parameters: dict[str, Any] = {}
    for part, weight in module._parameters.items():
        if weight is None:
            parameters[part] = None
        elif weights.get(id(weight), prefix + part) != prefix + part:
            parameters[part] = {"same as": weights[id(weight)]}
        else:
            kind = {"shape": list(weight.shape), "dtype": str(weight.dtype)}
            parameters[part] = kind | {"requires_grad": weight.requires_grad}
    buffers = {
        part: None
        if each is None
        else {
            "shape": list(each.shape),
            "dtype": str(each.dtype),
            "persistent": part not in module._non_persistent_buffers_set,
        }
        for part, each in module._buffers.items()
    }
    parts = {
        "type": _name(type(module)),
        "training": module.training,
        "parameters": parameters,
        "buffers": buffers,
        "settings": {k: attribute(v) for k, v in vars(module).items() if k not in _OF_EVERY_MODULE},
        "hooks": [attribute(list(getattr(module, kind).values())) for kind in _HOOKS],
    }
    return parts | _code_of_class(type(module))
