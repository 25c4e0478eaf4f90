"""A chapter's parameters: what its `parameters` cell declares, and what a user may set."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from nbformat import NotebookNode

Value = bool | int | float | str


def declared(notebook: NotebookNode) -> dict[str, Value]:
    """Names and default values of the cell tagged "parameters"."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"a chapter has one cell tagged 'parameters'; this one has {len(cells)}")
    defaults = {}
    for node in ast.parse(cells[0].source).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            raise ValueError("the parameters cell holds plain assignments only")
        defaults[node.targets[0].id] = ast.literal_eval(node.value)
    return defaults


def parse(settings: Iterable[str], known: dict[str, Value]) -> dict[str, Value]:
    """NAME=VALUE strings as values of the types of the defaults."""
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set needs NAME=VALUE, got {setting!r}")
        if name not in known:
            raise ValueError(f"unknown parameter {name!r}; there are: {_listed(known)}")
        values[name] = _convert(name, text, known)
    return values


def _convert(name: str, text: str, known: dict[str, Value]) -> Value:
    wanted = type(known[name])
    if wanted is str:
        return text
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise ValueError(
            f"parameter {name!r} takes {wanted.__name__}, got {text!r}; there are: {_listed(known)}"
        )
    return value


def _listed(known: dict[str, Value]) -> str:
    return ", ".join(f"{name} ({type(v).__name__}, {v!r})" for name, v in known.items())
