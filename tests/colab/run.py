"""`make colab`: every chapter in an environment with Colab's versions, from the wheel alone.

The environment is made once, in a folder of its own, which also holds the wheel. Each chapter runs
in an empty folder, with nothing of the checkout but its notebook.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from helpers.book import pairing  # noqa: E402
from helpers.book.layout import Layout  # noqa: E402
from tests.book import elsewhere  # noqa: E402

LIST = Path(__file__).with_name("constraints.txt")
# Colab builds its own pandas 2.2.2, for which no wheel of Python 3.13 was published.
NEAREST = {"pandas==2.2.2": "pandas==2.2.3"}


def main() -> int:
    """Build, install, execute; the exit code says whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=ROOT / ".venv-colab", help="the environment")
    parser.add_argument("--python", default="python3.13", help="Colab's Python, to make it with")
    parser.add_argument("--chapter", action="append", default=[], help="only this one")
    options = parser.parse_args()
    layout = Layout(ROOT)
    names = layout.select(options.chapter)
    wheel = _wheel(options.home / "dist")
    python = _environment(options.home, options.python)
    _install(python, wheel)
    failed = 0
    for name in names:
        seconds, error = elsewhere.execute(pairing.to_notebook(layout, name), str(python))
        print(elsewhere.line(name, seconds, error), flush=True)
        failed += bool(error)
    print(f"{len(names)} chapters, {failed} failed")
    return int(failed > 0)


def pins() -> list[str]:
    """The list's lines without its comments."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _wheel(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    _pip(sys.executable, "wheel", "--no-deps", "-w", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def _environment(home: Path, wanted: str) -> Path:
    """The interpreter of an environment with Colab's versions, made if it is not there."""
    python, stamp = home / "env" / "bin" / "python", home / "env" / "installed.txt"
    base = _working(wanted) or sys.executable
    version = subprocess.check_output([base, "-V"], text=True).strip()
    note = "" if version.startswith("Python 3.13") else f" (Colab's is 3.13; no {wanted} here)"
    exact = [NEAREST.get(pin, pin) if "3.13" in version else pin for pin in pins()]
    print(f"{version}{note}, {', '.join(exact)}", flush=True)
    if not stamp.exists() or stamp.read_text() != "\n".join([version, *exact]):
        subprocess.run([base, "-m", "venv", "--clear", home / "env"], check=True)
        _pip(str(python), "install", "--only-binary", ":all:", *exact)
        stamp.write_text("\n".join([version, *exact]))
    return python


def _working(command: str) -> str | None:
    """The command, if it runs: a version manager may leave a stub of an absent Python."""
    found = shutil.which(command)
    if not found:
        return None
    asked = [found, "-c", "import sys; print(sys.executable)"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _install(python: Path, wheel: Path) -> None:
    """Install the wheel as Colab's cell does, and see that nothing of Colab's moved."""
    _pip(str(python), "uninstall", "-y", "ganscapes")
    before = _versions(python)
    _pip(str(python), "install", str(wheel))
    after = _versions(python)
    moved = [f"{k} {v} to {after.get(k)}" for k, v in before.items() if after.get(k) != v]
    if moved:
        raise SystemExit(f"installing the package moved {', '.join(moved)}")
    new = ", ".join(f"{k} {v}" for k, v in after.items() if k not in before)
    print(f"pip brought {new}, and left all else as it was", flush=True)
    where = "import helpers; print(helpers.__file__)"
    asked = [str(python), "-I", "-c", where]
    found = subprocess.check_output(asked, text=True, cwd=wheel.parent).strip()
    if "site-packages" not in found:
        raise SystemExit(f"the package was imported from {found}, not from its wheel")


def _versions(python: Path) -> dict[str, str]:
    command = [str(python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.check_output(command, text=True))
    return {re.sub(r"[-_.]+", "-", e["name"]).lower(): e["version"] for e in listed}


def _pip(python: str, *arguments: str) -> None:
    command = [python, "-m", "pip", arguments[0], "-q", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments[1:]], check=True)


if __name__ == "__main__":
    sys.exit(main())
