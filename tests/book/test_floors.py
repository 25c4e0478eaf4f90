"""import-linter's contract: it holds, and an arrow that it forbids breaks it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.book.layout import checkout

ROOT = checkout().root


def lint(root):
    """What lint-imports says of a package in a folder, and whether it is content."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config"]
    environment = {**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"}
    found = subprocess.run(
        [*command, ROOT / "pyproject.toml"],
        capture_output=True,
        text=True,
        cwd=root,
        env=environment,
        check=False,
    )
    return found.returncode, found.stdout + found.stderr


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the package's modules, to be spoilt."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        ROOT / "helpers", root / "helpers", ignore=shutil.ignore_patterns("__pycache__")
    )
    return root


def test_floors_hold(package):
    code, said = lint(package)
    assert code == 0, said


@pytest.mark.parametrize(
    "module, imported, contract",
    [
        ("operators/base.py", "helpers.training.train", "know nothing of training"),
        ("losses/table.py", "helpers.models.players", "floors below its own"),
        ("figures/style.py", "helpers.experiments.ring", "Figures draw"),
        ("experiments/ring.py", "helpers.book.layout", "Nothing imports the book's tool"),
    ],
)
def test_a_forbidden_arrow_is_found(package, module, imported, contract):
    path = package / "helpers" / module
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\nimport {imported}\n", encoding="utf-8")
    try:
        code, said = lint(package)
    finally:
        path.write_text(text, encoding="utf-8")
    assert code == 1
    assert any(contract in line and "BROKEN" in line for line in said.splitlines()), said
    assert f"{imported}" in said
