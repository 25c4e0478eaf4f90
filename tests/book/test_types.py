"""mypy's configuration: what `make lint` asks of the package, it finds in a module that lacks it."""

import subprocess
import sys

import pytest

from helpers.book.layout import checkout

ROOT = checkout().root
RIGHT = '''
def doubled(value: float) -> float:
    """Twice the value."""
    return 2 * value
'''


def checked(folder, text):
    """What mypy says of a module of this text."""
    module = folder / "module.py"
    module.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml"]
    found = subprocess.run(
        [*command, "--cache-dir", folder, module],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    return found.returncode, found.stdout + found.stderr


def test_a_right_module_passes(tmp_path):
    code, said = checked(tmp_path, RIGHT)
    assert code == 0, said


@pytest.mark.parametrize(
    "wrong, kind",
    [
        ("doubled('two')", "arg-type"),
        ("def half(value):\n    return value / 2", "no-untyped-def"),
        ("def half(value: float = None) -> float:\n    return value / 2", "assignment"),
        ("value = doubled(2)  # type: ignore[arg-type]", "unused-ignore"),
        ("import unheard_of_module", "import-not-found"),
    ],
)
def test_a_mistake_is_found(tmp_path, wrong, kind):
    code, said = checked(tmp_path, f"{RIGHT}\n\n{wrong}\n")
    assert code == 1
    assert f"[{kind}]" in said
