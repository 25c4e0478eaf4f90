"""A trial build with Jupyter Book 2: would the book move, and what would it have to change?

Not a test of the suite. It takes the staged site of the last `make book`, lets version 2 convert
the configuration, reads every page, builds the site, and counts what version 2 does not know.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE, TRIAL = ROOT / "_build" / "stage", ROOT / "_build" / "next"
WANTED = "jupyter-book>=2,<3"


def main() -> int:
    """Install, convert, read, build; 1 where the site is not built."""
    if not STAGE.is_dir():
        print("there is no staged site: make book first")
        return 1
    if shutil.which("node") is None:
        print("Jupyter Book 2 needs Node.js 18 or newer")
        return 1
    shutil.rmtree(TRIAL, ignore_errors=True)
    site = TRIAL / "site"
    shutil.copytree(STAGE, site, ignore=shutil.ignore_patterns("_build"))
    venv.create(TRIAL / "venv", with_pip=True)
    book = TRIAL / "venv" / "bin" / "jupyter-book"
    pip = [str(book.with_name("python")), "-m", "pip", "install", "-q", WANTED]
    subprocess.run(pip, check=True)
    # It asks before it converts _config.yml and _toc.yml, and would then serve the site.
    _log([str(book), "init"], site)
    if not (site / "myst.yml").exists():
        print("the configuration was not converted")
        return 1
    # An export of one page reads them all, and needs no theme from the network.
    _, read = _log([str(book), "build", "--jats", "--force", "--ci", "book/intro.md"], site)
    for message, count in complaints(read).most_common():
        print(f"{count:6d}  {message}")
    code, built = _log([str(book), "build", "--html", "--ci"], site)
    print("the site is built" if code == 0 else f"the site is not built:\n{built[-1000:]}")
    return code


def _log(command: list[str], folder: Path) -> tuple[int, str]:
    """Exit code, and all that was said."""
    ways = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=folder, input="y\n", check=False, **ways)
    return done.returncode, done.stdout


def complaints(log: str) -> Counter[str]:
    """Warnings and errors by kind, whatever page and line they name."""
    found = [line[1:] for line in log.splitlines() if line.startswith(("⚠", "⛔"))]
    kinds = [re.sub(r"[\w./-]+\.(md|ipynb|yml|xml)(:\d+)*", "PAGE", line) for line in found]
    return Counter(re.sub(r"\d+", "N", kind).lstrip("\ufe0f ") for kind in kinds)


if __name__ == "__main__":
    sys.exit(main())
