"""What a release consists of, and what it refuses."""

import hashlib
import json
import tarfile

import pytest

import helpers
from helpers.book import release
from helpers.book.layout import Layout, checkout

VERSION = helpers.__version__


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A checkout with a site of one page, in which building a wheel takes no time."""
    for part in release._EVIDENCE:
        path = tmp_path / part
        path.parent.mkdir(parents=True, exist_ok=True)
        if "." in path.name or path.name == "LICENSE":
            path.write_text(f"version: {VERSION}\n")
        else:
            path.mkdir()
            (path / "some.jsonl").write_text("{}\n")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changes\n\n## {VERSION}\n")
    found = Layout(tmp_path)
    found.html.mkdir(parents=True)
    (found.html / "index.html").write_text("<html></html>")

    def build(command, **_):
        assert command[1:4] == ["-m", "hatchling", "build"]
        (tmp_path / "dist" / f"ganscapes-{VERSION}-py3-none-any.whl").write_bytes(b"wheel")
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(release.subprocess, "run", build)
    return found


def test_files(layout):
    """A wheel, a site and the evidence, with checksums that are theirs."""
    *files, sums = release.pack(layout, f"v{VERSION}")
    assert [file.name.removeprefix(f"ganscapes-{VERSION}-") for file in files] == [
        "py3-none-any.whl", "site.tar.gz", "evidence.tar.gz",
    ]  # fmt: skip
    for line, file in zip(sums.read_text().splitlines(), files, strict=True):
        assert line == f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}"
    with tarfile.open(files[1]) as site:
        assert f"ganscapes-{VERSION}-site/index.html" in site.getnames()
    with tarfile.open(files[2]) as evidence:
        names = evidence.getnames()
    assert f"ganscapes-{VERSION}-evidence/data/evidence/some.jsonl" in names
    assert f"ganscapes-{VERSION}-evidence/data/claims.json" in names


def test_refused(layout):
    with pytest.raises(ValueError, match="the tag must be v"):
        release.pack(layout, "v99")
    (layout.root / "CHANGELOG.md").write_text("## Unreleased\n")
    with pytest.raises(ValueError, match=r"CHANGELOG\.md has no part"):
        release.pack(layout, f"v{VERSION}")
    assert release.pack(layout)  # a rehearsal
    (layout.root / "CITATION.cff").write_text("version: 99\n")
    with pytest.raises(ValueError, match=r"CITATION\.cff has version 99"):
        release.pack(layout)


def test_what_is_missing_is_named(layout, monkeypatch):
    def fails(command, **_):
        return type("Done", (), {"returncode": 1, "stdout": "no", "stderr": "hatch"})

    monkeypatch.setattr(release.subprocess, "run", fails)
    with pytest.raises(RuntimeError, match="the wheel was not built"):
        release.pack(layout)
    (layout.html / "index.html").unlink()
    layout.html.rmdir()
    with pytest.raises(FileNotFoundError, match="make book"):
        release.pack(layout)


def test_the_book_s_own_metadata():
    """Version and title are the same wherever they stand."""
    root = checkout().root
    cited = (root / "CITATION.cff").read_text(encoding="utf-8")
    about = json.loads((root / ".zenodo.json").read_text(encoding="utf-8"))
    assert f"version: {VERSION}\n" in cited and about["title"] in cited
