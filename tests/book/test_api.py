"""The pages of the package: all that is public has its place, and what they show runs."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import yaml

import helpers
from helpers.book.layout import checkout

LAYOUT = checkout()
INDEX = (LAYOUT.book / "api" / "index.md").read_text("utf-8")
# What is checked at a door is said at the door; the book's tool is for those who build it.
INTERNAL = {"inputs", "book"}
PAGES = sorted(path.stem for path in (LAYOUT.book / "api").glob("*.md") if path.stem != "index")


def test_every_package_has_a_page():
    """In the folder, in the table of contents and in the index."""
    entries = {path.stem for path in Path(helpers.__file__).parent.glob("[a-z]*")}
    toc = yaml.safe_load((LAYOUT.root / "_toc.yml").read_text("utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    (index,) = [c for c in chapters if c["file"] == "book/api/index"]
    listed = [section["file"].removeprefix("book/api/") for section in index["sections"]]
    assert sorted(listed) == PAGES == sorted(entries - INTERNAL)
    assert re.findall(r"\[`helpers\.(\w+)`\]\(\1\.md\)", INDEX) == listed


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_of_its_package(page):
    """And of further modules of it, if any."""
    text = (LAYOUT.book / "api" / f"{page}.md").read_text("utf-8")
    modules = re.findall(r"automodule:: ([\w.]+)", text)
    assert text.startswith(f"# `helpers.{page}`") and modules[0] == f"helpers.{page}"
    assert all(importlib.import_module(name).__doc__ for name in modules)
    assert all(name.startswith(f"helpers.{page}") for name in modules)


@pytest.mark.parametrize("page", PAGES)
def test_public_functions_have_an_example(page):
    """A function or class on a package's list shows how it is called, and the tests run that."""
    module = importlib.import_module(f"helpers.{page}")
    named = [(name, getattr(module, name)) for name in getattr(module, "__all__", [])]
    functions = [n for n, v in named if inspect.isfunction(v) and ">>> " not in (v.__doc__ or "")]
    assert functions == []


@pytest.mark.slow
def test_the_first_program_runs(capsys):
    (program,) = re.findall(r"```python\n(.*?)```", INDEX, flags=re.DOTALL)
    exec(compile(program, "index.md", "exec"), {})
    assert capsys.readouterr().out == "(1000,) (1000,)\n"
