"""`make device`: every chapter on a GPU, and one under torch.set_default_device.

Not part of the tests: it needs a CUDA device, and says so where there is none. `--device cpu` tries
the script itself.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from helpers.book import pairing  # noqa: E402
from helpers.book.layout import Layout  # noqa: E402
from tests.book import elsewhere  # noqa: E402

DEFAULT = "one_game_every_lens"  # the chapter that uses most of the package


def main() -> int:
    """Execute, print a line for each chapter; the exit code says whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--chapter", action="append", default=[], help="only this one")
    options = parser.parse_args()
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        print(f"skipped: torch {torch.__version__} sees no CUDA device on this machine")
        return 0
    layout, parameters = Layout(ROOT), {"device": options.device}
    default = f"import torch\n\ntorch.set_default_device({options.device!r})"
    plans = [(n, "") for n in layout.select(options.chapter)]
    plans.append((DEFAULT, default))
    failed = 0
    for name, before in plans:
        seconds, error = elsewhere.execute(
            pairing.to_notebook(layout, name), sys.executable, parameters=parameters, before=before
        )
        print(elsewhere.line(name + (" (default)" if before else ""), seconds, error), flush=True)
        failed += bool(error)
    print(f"{len(plans)} runs on {options.device}, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
