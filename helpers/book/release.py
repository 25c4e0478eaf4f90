"""What a release consists of: the wheel, the site, and the evidence, each as one file.

The files go into `dist`, with their checksums. Nothing is published here; a workflow does that for
a tag that names the version.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import helpers
from helpers.book.layout import Layout

FOLDER, SUMS = "dist", "SHA256SUMS"
_EVIDENCE = ("data/claims.json", "data/findings.json", "data/errata.json", "data/evidence",
             "data/recorded", "data/references", "CITATION.cff", "LICENSE")  # fmt: skip


def pack(layout: Layout, tag: str = "") -> list[Path]:
    """Make the files of a release, and say which; `tag` is "v" and the version, or "" without one.

    An error if tag, citation or changelog are of another version, or site or wheel are not built.
    """
    version = helpers.__version__
    if tag and tag != f"v{version}":
        raise ValueError(
            f"the tag must be v{version}, the version in helpers/__init__.py, got {tag}"
        )
    cited = re.search(r"^version: (\S+)$", _text(layout, "CITATION.cff"), flags=re.MULTILINE)
    if cited is None or cited[1] != version:
        raise ValueError(f"CITATION.cff has version {cited and cited[1]}, the package {version}")
    if tag and f"## {version}" not in _text(layout, "CHANGELOG.md"):
        raise ValueError(f"CHANGELOG.md has no part {version}: name what is unreleased")
    if not layout.html.exists():
        raise FileNotFoundError("no site built; run `make book`")
    folder = layout.root / FOLDER
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=layout.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the wheel was not built:\n{done.stdout}\n{done.stderr}")
    name = f"ganscapes-{version}"
    site, evidence = folder / f"{name}-site.tar.gz", folder / f"{name}-evidence.tar.gz"
    _archive(site, {f"{name}-site": layout.html})
    _archive(evidence, {f"{name}-evidence/{part}": layout.root / part for part in _EVIDENCE})
    files = [*folder.glob(f"{name}-*.whl"), site, evidence]
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / SUMS).write_text("".join(sums), encoding="utf-8")
    return [*files, folder / SUMS]


def _text(layout: Layout, name: str) -> str:
    return (layout.root / name).read_text(encoding="utf-8")


def _archive(target: Path, parts: dict[str, Path]) -> None:
    with tarfile.open(target, "w:gz") as archive:
        for name, path in parts.items():
            archive.add(path, arcname=name)
