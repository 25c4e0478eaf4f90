"""Arguments of public functions: numbers, seeds and names, all checked in one way.

Numbers of Python and numpy, and arrays or tensors without dimensions, are accepted; True, "3",
None, a set and a complex number are not. Each error is a ValueError that says what is expected and
what was given.
"""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral, Real
from reprlib import Repr
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

_Kind = TypeVar("_Kind")
_SEEDS = 2**63  # torch and numpy both take seeds below this
_brief = Repr()
_brief.maxother = _brief.maxstring = 80


class UnusableFile(ValueError):
    """A file of images or weights is damaged, or is not the one that is needed."""


def shown(value: Any) -> str:
    """A value as error messages show it: its repr, shortened and on one line.

    >>> shown("3"), shown(list(range(1000)))
    ("'3'", '[0, 1, 2, 3, 4, 5, ...]')
    """
    return " ".join(_brief.repr(value).split())


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """The value as an int, if it is a whole number (not 3.0, not True) from `least` to `most`.

    >>> whole_number("steps", "4", 0)
    Traceback (most recent call last):
    ...
    ValueError: steps is a whole number, 0 or more, got '4'
    """
    plain = _scalar(value)
    fits = isinstance(plain, Integral) and not isinstance(plain, bool)
    if not fits or plain < least or (most is not None and plain > most):
        within = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is a whole number, {within}, got {shown(value)}")
    return int(plain)


def seed(value: Any, name: str = "seed") -> int:
    """The value as an int, if torch and numpy both take it as a seed: from 0 to 2^63 - 1."""
    return whole_number(name, value, 0, _SEEDS - 1)


def real_number(
    name: str, value: Any, *, least: float | None = None, above: float | None = None
) -> float:
    """The value as a float, if it is finite and, where given, at least `least` and above `above`.

    >>> real_number("weight", float("nan"), least=0)
    Traceback (most recent call last):
    ...
    ValueError: weight is a finite number, 0 or more, got nan
    """
    plain = _scalar(value)
    fits = isinstance(plain, Real) and not isinstance(plain, bool)
    try:
        number = float(plain) if fits else np.nan
    except OverflowError:  # a whole number beyond all floats
        number = np.inf
    fits = np.isfinite(number) and (least is None or number >= least)
    if not fits or (above is not None and not number > above):
        within = "" if least is None else f", {least:g} or more"
        within += "" if above is None else f", above {above:g}"
        raise ValueError(f"{name} is a finite number{within}, got {shown(value)}")
    return number


def instance_of(name: str, value: Any, kind: type[_Kind]) -> _Kind:
    """The value, if it is of this class.

    >>> instance_of("size", 3, float)
    Traceback (most recent call last):
    ValueError: size must be of the class float, got 3
    """
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be of the class {kind.__name__}, got {shown(value)}")
    return value


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """The value, if it is one of the choices.

    >>> one_of("player", "E", ("G", "D"))
    Traceback (most recent call last):
    ...
    ValueError: player is one of 'G', 'D', got 'E'
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, got {shown(value)}")
    return value


def real_array(name: str, value: ArrayLike | Tensor, *, finite: bool = True) -> NDArray[np.float64]:
    """The value as a float64 array of any shape, with every number finite if `finite`.

    Text, complex numbers, sets and ragged rows are refused.

    >>> real_array("places", ["1", "2"])
    Traceback (most recent call last):
    ...
    ValueError: places are real numbers, got ['1', '2']
    """
    plain: Any = value
    if isinstance(value, Tensor):
        plain = value.detach().cpu()
        plain = (plain.double() if plain.is_floating_point() else plain).numpy()
    try:
        array = np.asarray(plain)
        right = array.dtype.kind in "iuf"
    except (TypeError, ValueError, RuntimeError):  # ragged rows, or what only looks like an array
        right = False
    if not right:
        raise ValueError(f"{name} are real numbers, got {shown(value)}")
    array = array.astype(np.float64)
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name} are finite numbers, got {_odd(array)}")
    return array


def whole_numbers(name: str, values: Any, least: int) -> frozenset[int]:
    """A collection of whole numbers, each of `least` or more, as a set of ints."""
    try:
        found = None if isinstance(values, str | bytes) else list(values)
    except TypeError:
        found = None
    if found is None:
        raise ValueError(f"{name} is a collection of whole numbers, got {shown(values)}")
    return frozenset(whole_number(f"each number in {name}", each, least) for each in found)


def float_tensor(name: str, data: ArrayLike | Tensor, dtype: torch.dtype) -> Tensor:
    """Floating-point numbers as a tensor of the networks' dtype, in which they are finite too.

    Whole numbers are refused: images in bytes mean nothing before they are scaled.
    """
    if not isinstance(data, Tensor):
        try:
            data = torch.as_tensor(np.array(data), device="cpu")
        except (TypeError, ValueError, RuntimeError) as error:  # text, sets, ragged rows
            raise ValueError(f"{name} are floating-point numbers, got {shown(data)}") from error
    if not data.is_floating_point():
        raise ValueError(
            f"{name} are floating-point numbers, got {data.dtype}; scale images in bytes to the "
            f"range of G's samples, for instance by {name}.float() / 127.5 - 1"
        )
    data = data.detach().to(dtype)
    if not data.isfinite().all():
        raise ValueError(f"{name} must be finite, in {dtype} too")
    return data


def _scalar(value: Any) -> Any:
    """The number in an array, tensor or numpy number without dimensions; else the value itself."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _odd(array: NDArray[np.float64]) -> str:
    """The first number that is not finite, and its place."""
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    return f"{array[place]} at {list(place)}" if place else f"{array[()]}"
