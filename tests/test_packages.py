"""The package's map and its doors say what is there."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import helpers

HOME = Path(helpers.__file__).parent
ROOT = Path(__file__).parents[1]
ENTRIES = {p.stem for p in HOME.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
PACKAGES = sorted(p.parent.name for p in HOME.glob("*/__init__.py"))
DOORS = [
    name for name in PACKAGES if hasattr(importlib.import_module(f"helpers.{name}"), "__all__")
]


def floors():
    """The contract's floors from the bottom up, each with its packages."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = re.search(r"^layers = \[\n(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL)[1]
    return [re.findall(r"\w+", line) for line in reversed(layers.splitlines())]


def test_map():
    """Each entry once, with its floor and a line; the floors are those that `make lint` holds."""
    rows = re.findall(r"^ ?(\d+) (\w+) +(\S.*)$", helpers.__doc__, flags=re.MULTILINE)
    wanted = [(str(n), name) for n, floor in enumerate(floors(), 1) for name in floor]
    assert [row[:2] for row in rows] == wanted
    assert {name for _, name, _ in rows} == ENTRIES - {"__init__"}


def test_there_are_doors():
    assert {"losses", "games", "operators", "spectra", "training", "analysis"} < set(DOORS)


@pytest.mark.parametrize("name", DOORS)
def test_door(name):
    """A line for each public name, which is a function, a class or a value of that package."""
    package = importlib.import_module(f"helpers.{name}")
    lines = Path(package.__file__).read_text(encoding="utf-8").splitlines()
    for public in package.__all__:
        listed = [line for line in lines if line.lstrip().startswith(f'"{public}",')]
        assert len(listed) == 1 and re.search(r",  # .*\w", listed[0]), public
        value = getattr(package, public)
        # A module hides a function of its name if it is imported later.
        assert inspect.ismodule(value) == ("(a module)" in listed[0]), public
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__module__.startswith(f"helpers.{name}"), public


def test_list_of_experiments():
    """Each module of `helpers.experiments` has its line in the docstring."""
    experiments = importlib.import_module("helpers.experiments")
    rows = re.findall(r"^(\w+) +\S.*$", experiments.__doc__.partition("\n")[2], flags=re.MULTILINE)
    there = {p.stem for p in (HOME / "experiments").glob("*.py")} - {"__init__"}
    assert sorted(there) == rows


@pytest.mark.parametrize("name", PACKAGES)
def test_no_module_goes_through_its_own_door(name):
    """It may be half open: a module names the module beside it."""
    for path in (HOME / name).glob("*.py"):
        if path.name != "__init__.py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == f"helpers.{name}":
                    inside = {p.stem for p in (HOME / name).glob("*.py")}
                    assert {alias.name for alias in node.names} <= inside, path
