"""Descriptions of things in plain data, for telling runs, networks and losses apart.

Two descriptions are equal if what they describe computes the same, apart from the weights' values.
They are made of dictionaries, lists, strings and numbers, and are the same in every process.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.optim import Optimizer

from helpers.checkpoints.parts import (
    BUILT_IN,
    code_of,
    content,
    content_of,
    global_names,
    has_own_reduction,
    in_class,
    is_named,
    may_matter,
    name_of,
    receiver,
    reduced,
    slots_of,
)
from helpers.inputs import shown

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
    names, code, defaults, and what they close over and read, dataclasses by the fields that
    compare, random generators by their state, and other objects by all attributes, or as pickle
    takes them apart.

    Args:
        value: anything.
        closures: whether to include what functions close over, data, functions and classes that
            they read from their module, and what is in objects that are not dataclasses.

    Raises:
        ValueError: for objects that cannot be looked into, such as generators and sockets.

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
    kind = {"type": name_of(type(optimizer))} | _code_of_class(type(optimizer))
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
        plain = value.item()
        return repr(plain) if isinstance(plain, np.generic) else inside(plain)
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else repr(float(value))
    if isinstance(value, Tensor):
        kind = {"tensor": list(value.shape), "dtype": str(value.dtype)}
        is_plain = value.is_leaf and not is_functorch_wrapped_tensor(value)
        return kind | ({"digest": digest(value)} if is_plain else {"derived": True})
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return [inside(each) for each in value.ravel()]
        values = hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()[:32]
        return {"array": list(value.shape), "dtype": str(value.dtype), "digest": values}
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
        return {"type": name_of(value)} | _code_of_class(value)
    if isinstance(value, BUILT_IN):
        bound = receiver(value)
        return {"function": name_of(value)} | ({} if bound is None else {"of": inside(bound)})
    if isinstance(value, types.ModuleType):
        return {"module": value.__name__}
    if isinstance(value, types.CodeType):
        return {"code": code_of(value)}
    if isinstance(value, types.CellType):
        return inside(content(value))
    kind = {"type": name_of(type(value))} | _code_of_class(type(value))
    if dataclasses.is_dataclass(value):
        fields = [each.name for each in dataclasses.fields(value) if each.compare]
        return kind | {name: inside(getattr(value, name)) for name in fields}
    if isinstance(value, np.ufunc):
        return {"function": name_of(value), "parts": inside(reduced(value))}
    if hasattr(value, "__qualname__") and hasattr(value, "__dict__"):
        # So have functions of other languages; generators have no attributes.
        found = {"function": name_of(value), "of": inside(getattr(value, "__wrapped__", None))}
        if closures and not is_named(type(value).__module__):
            found |= {name: inside(each) for name, each in vars(value).items()}
        return found
    if isinstance(value, torch.jit.ScriptFunction):
        return kind | {"code": value.code}
    return kind | (_content_of_object(value, inside) if closures else {})


def _content_of_object(value: Any, inside: Callable[[Any], Any]) -> dict[str, Any]:
    attributes = slots_of(value) | getattr(value, "__dict__", {})
    found = {_key(name): inside(each) for name, each in attributes.items()}
    held = content_of(value)
    if held is not None:
        return found | {"content": inside(held)}
    if not hasattr(value, "__dict__") and not attributes:
        return {"parts": inside(reduced(value))}
    if has_own_reduction(value):
        made, arguments, _, *items = (*reduced(value), None, None)
        found |= {"parts": inside([made, arguments, *items])}
    return found


def _described_function(
    value: types.FunctionType, closures: bool, inside: Callable[[Any], Any]
) -> dict[str, Any]:
    found = {"function": name_of(value)}
    if not is_named(value.__module__) or value.__name__ == "<lambda>":  # such a name says nothing
        found["code"] = code_of(value.__code__)
    if value.__defaults__ or value.__kwdefaults__:
        found["defaults"] = inside([value.__defaults__, value.__kwdefaults__])
    if not closures:
        return found
    cells = [content(cell) for cell in value.__closure__ or ()]
    held = dict(zip(value.__code__.co_freevars, map(inside, cells), strict=True))
    wrapped = getattr(value, "__wrapped__", None)
    if wrapped is not None and not any(wrapped is each for each in cells):
        held["__wrapped__"] = inside(wrapped)
    # A wrapper has the module of what it wraps, and its globals are those of its own.
    if not any(map(is_named, (value.__module__, value.__globals__.get("__name__")))):
        for name in sorted(global_names(value.__code__) & value.__globals__.keys()):
            one = value.__globals__[name]
            if may_matter(one):
                held[name] = _of_module(one, value.__module__, inside)
    return found | ({"reads": held} if held else {})


def _of_module(one: Any, module: str, inside: Callable[[Any], Any]) -> Any:
    """What is read in a module; of functions and classes of others no more than name and code.

    They may reach all of a library.
    """
    if getattr(one, "__module__", module) != module:
        if isinstance(one, types.FunctionType):
            return _described_function(one, False, inside)
        if isinstance(one, type):
            return {"type": name_of(one)}
    return inside(one)


def _code_of_class(kind: type) -> dict[str, Any]:
    """A hash of what a class's methods do and its attributes are, unless its name says it."""
    own = [each for each in kind.__mro__ if not is_named(each.__module__)]
    if not own or kind in _under_way:
        return {}
    _under_way.append(kind)
    try:
        inside = functools.partial(_describe, closures=True, above=(id(kind),))
        parts = []
        everything = [(each, *item) for each in own for item in sorted(vars(each).items())]
        for source, name, part in everything:
            part = in_class(part)
            if isinstance(part, types.FunctionType):
                parts.append((name, _described_function(part, True, inside)))
            elif name[:2] != "__" and (may_matter(part) or isinstance(part, nn.Module)):
                parts.append((name, _of_module(part, source.__module__, inside)))
    finally:
        _under_way.remove(kind)
    return {"code": hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}


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
        value = value() if isinstance(value, weakref.ref) else value  # as an LSTM's to its weights
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
    scripted = isinstance(module, torch.jit.ScriptModule)
    hidden = {*_OF_EVERY_MODULE, *(("_c", "_concrete_type") if scripted else ())}
    parts = {
        "type": name_of(type(module)),
        "training": module.training,
        "parameters": parameters,
        "buffers": buffers,
        "settings": {k: attribute(v) for k, v in vars(module).items() if k not in hidden},
        "hooks": [attribute(list(getattr(module, kind).values())) for kind in _HOOKS],
    }
    if scripted and hasattr(module, "forward"):
        parts["script"] = module.code
    return parts | _code_of_class(type(module))
