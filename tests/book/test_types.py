"""mypy's configuration: a mistake of each kind that `make lint` is to find is found by it."""

import subprocess
import sys

import pytest

from helpers.book.layout import checkout

RIGHT = '''
def doubled(value: float) -> float:
    """Twice the value."""
    return 2 * value
'''
WRONG = {
    "arg-type": "doubled('two')",
    "no-untyped-def": "def half(value):\n    return value / 2",
    "assignment": "def half(value: float = None) -> float:\n    return value / 2",
    "unused-ignore": "value = doubled(2)  # type: ignore[arg-type]",
    "import-not-found": "import unheard_of_module",
}


@pytest.mark.slow
def test_mistakes_are_found(tmp_path):
    """One module for each, and one that is right: of that nothing is said."""
    texts = {kind.replace("-", "_"): f"{RIGHT}\n\n{text}\n" for kind, text in WRONG.items()}
    for name, text in {**texts, "right": RIGHT}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    settings = checkout().root / "pyproject.toml"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", settings, "--cache-dir", "cache", "."],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    for kind in WRONG:
        name = f"{kind.replace('-', '_')}.py:"
        assert any(line.startswith(name) and f"[{kind}]" in line for line in lines), done.stdout
    assert not any(line.startswith("right.py") for line in lines), done.stdout
