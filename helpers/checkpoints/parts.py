"""What objects consist of, for `helpers.checkpoints.descriptions`: nothing here looks further in.

What differs from process to process is left out: places in memory, and orders of sets.
"""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import hashlib
import random
import sys
import types
import warnings
import weakref
from collections import deque
from threading import Lock, RLock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from helpers.inputs import shown

# What is imported from these is known by its name; the code of anything else is looked at.
_NAMED = {"helpers", "numpy", "torch", "torchvision", *sys.stdlib_module_names} - {"__main__"}
BUILT_IN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)
_BLANK = (type(Lock()), type(RLock()))  # nothing that is computed depends on them
_PLAIN = (bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, deque, range)
# What a function or a method may read without being given it, and computes something else by.
_READ = (*_PLAIN, slice, np.generic, np.ndarray, Tensor, functools.partial, *BUILT_IN)


def is_named(module: str | None) -> bool:
    """Whether what is imported from this module is known by its name."""
    return (module or "").partition(".")[0] in _NAMED


def name_of(value: Any) -> str:
    """Module and name of a function or class."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    return f"{getattr(value, '__module__', '')}.{name}"


def receiver(value: Any) -> Any:
    """What a built-in function is bound to, or None; a module's function is bound to nothing."""
    found = getattr(value, "__self__", getattr(value, "__objclass__", None))
    is_internal = isinstance(found, types.ModuleType) or (
        type(found).__name__ == "PyCapsule" or type(found).__module__.startswith("pybind11")
    )
    return None if is_internal else found


def content(cell: types.CellType) -> Any:
    """What a cell of a closure holds; None if it is not yet filled."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def global_names(code: types.CodeType) -> set[str]:
    """Names of globals that a function, and those within it, may read."""
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*map(global_names, inner))


def code_of(code: types.CodeType) -> str:
    """A hash of what a function does, not of where it stands."""
    parts = [code.co_code, code.co_names, code.co_varnames, code.co_freevars]
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            each = code_of(each)
        if isinstance(each, frozenset):  # ordered differently in each process
            each = sorted(each, key=repr)
        parts.append(each)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def in_class(part: Any) -> Any:
    """The function behind a method, property or cached property; else the attribute itself."""
    if isinstance(part, functools.cached_property):
        return part.func
    return getattr(part, "__func__", getattr(part, "fget", part))


def may_matter(one: Any) -> bool:
    """Whether what is read by name may be other than the name says."""
    return (
        isinstance(one, (*_READ, types.FunctionType, type, np.random.Generator, torch.Generator))
        or dataclasses.is_dataclass(one)
        or hasattr(one, "__wrapped__")
    )


def slots_of(value: Any) -> dict[str, Any]:
    """The attributes of an object that have slots, of all its classes; unset ones are left out."""
    found: dict[str, Any] = {}
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            own = slot[:2] == "__" and slot[-2:] != "__"
            name = f"_{kind.__name__.lstrip('_')}{slot}" if own else slot
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found.setdefault(name, getattr(value, name))
    return found


def content_of(value: Any) -> Any:
    """What is within an object of some kinds, none of which shows it in attributes; else None.

    A random generator consists of its state, which changes with every draw.
    """
    if isinstance(value, deque):
        return [list(value), value.maxlen]
    if isinstance(value, range | slice):
        return [value.start, value.stop, value.step]
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.BitGenerator):
        return value.state
    if isinstance(value, np.random.RandomState):
        return value.get_state(legacy=False)
    if type(value).__module__ == "random" and isinstance(value, random.SystemRandom):
        return None  # it has no state
    if isinstance(value, random.Random):
        return list(value.getstate())
    if isinstance(value, weakref.ref):
        return value()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    return None


def reduced(value: Any) -> list[Any]:
    """What an object without attributes is made of, as pickle takes it apart.

    Raises:
        ValueError: for what cannot be taken apart, of which no two could be told apart.
    """
    if isinstance(value, _BLANK):
        return []
    try:
        if "(vectorized)" in getattr(value, "__name__", ""):
            raise TypeError("its name says nothing of the function that it applies")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of iterators
            take = copyreg.dispatch_table.get(type(value))
            found: Any = take(value) if take else value.__reduce_ex__(4)
            if isinstance(found, str):  # a name in its module
                return [found]
            return [list(p) if hasattr(p, "__next__") else p for p in found[:5]]
    except Exception as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise ValueError(
            f"what is within an object of type {kind} cannot be seen ({error}), so that it could "
            "not be told from others: keep what it is made of in plain attributes, got "
            f"{shown(value)}"
        ) from error


def has_own_reduction(value: Any) -> bool:
    """Whether an object is of a built-in type with more in it than attributes (a Decimal)."""
    return any(
        isinstance(getattr(type(value), name), types.MethodDescriptorType)
        and getattr(type(value), name) is not getattr(object, name)
        for name in ("__reduce__", "__reduce_ex__")
    )
