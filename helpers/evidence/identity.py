"""What tells a run from others: a hash of its experiment, version, setting, size and block."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from helpers.inputs import shown


def canonical(value: Any) -> dict[str, Any]:
    """A frozen dataclass as plain JSON, equal for equal settings; a ValueError names a field amiss.

    Fields are cast to their declared types, so that 1 is 1.0 where a float is declared. Fields at
    their default are left out, so that a new field leaves existing settings as they were.

    >>> from helpers.losses import GradientPenalty
    >>> canonical(GradientPenalty(1, "data"))
    {'weight': 1.0, 'where': 'data'}
    """
    declared = _declared(type(value))
    found = {}
    for field in dataclasses.fields(value):
        if field.name == "lacks":  # a remark about a size
            continue
        own = _cast(field.name, getattr(value, field.name), declared[field.name])
        if not _is_default(field, declared[field.name], own):
            found[field.name] = own
    return found


def _declared(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields alone, since KW_ONLY is not a type to Python 3.10."""
    fields = {field.name for field in dataclasses.fields(kind)}
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        own = vars(base).get("__annotations__", {})
        of_fields = {name: text for name, text in own.items() if name in fields}
        holder = type("Holder", (), {"__annotations__": of_fields})
        found |= get_type_hints(holder, vars(sys.modules[base.__module__]))
    return found


def _is_default(field: dataclasses.Field[Any], declared: Any, own: Any) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(own == _cast(field.name, field.default, declared))
    if field.default_factory is not dataclasses.MISSING:
        return bool(own == _cast(field.name, field.default_factory(), declared))
    return False


def _cast(name: str, value: Any, declared: Any) -> Any:
    """A value as JSON of its declared type."""
    if isinstance(value, np.generic):
        value = value.item()
    origin, inner = get_origin(declared), get_args(declared)
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in inner if _fits(value, kind)]
        if kinds:
            return _cast(name, value, kinds[0])
    elif declared is type(None) and value is None:
        return None
    elif declared is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(f"{name} of a setting is a finite number, got {value}")
        return float(value) + 0.0  # -0.0 is 0.0
    elif declared in (int, str, bool) and type(value) is declared:
        return value
    elif origin is tuple and isinstance(value, tuple | list):
        kinds = [inner[0]] * len(value) if inner[1:] == (...,) else list(inner)
        if len(kinds) == len(value):
            return [_cast(name, part, kind) for part, kind in zip(value, kinds, strict=True)]
    elif (
        isinstance(declared, type)
        and dataclasses.is_dataclass(value)
        and isinstance(value, declared)
    ):
        return canonical(value)
    raise ValueError(f"{name} of a setting is declared as {declared}, got {shown(value)}")


def _fits(value: Any, kind: Any) -> bool:
    try:
        _cast("", value, kind)
    except ValueError:
        return isinstance(value, float) and kind is float  # refused later, with its own message
    return True


@dataclass(frozen=True)
class Run:
    """One run, by what tells it from others; the names are labels."""

    experiment: str
    version: int
    setting: Any
    size: Any
    block: int
    reading: str = ""
    arm: str = ""
    size_name: str = ""

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The parameters that the key is the hash of."""
        return {
            "experiment": self.experiment,
            "version": self.version,
            "setting": canonical(self.setting),
            "size": canonical(self.size),
            "block": self.block,
        }

    @cached_property
    def key(self) -> str:
        return key_of(self.parameters)

    def __str__(self) -> str:
        return f"{self.experiment}, {self.reading}, {self.arm}, {self.size_name}, {self.block}"


def key_of(parameters: Mapping[str, Any]) -> str:
    """The key of a run from its parameters as plain JSON.

    >>> key_of({"experiment": "mixture", "version": 1, "setting": {}, "size": {}, "block": 0})
    '9f35494f703164a6'
    """
    names = ("experiment", "version", "setting", "size", "block")
    text = json.dumps({n: parameters[n] for n in names}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
