"""A plain `pip install` of the package beside what Colab has."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel
from packaging.requirements import Requirement

from helpers.book.layout import checkout

ROOT = checkout().root
PINS = [
    line.split("==")
    for line in (ROOT / "tests/colab/constraints.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
COLAB = {name: version for name, version in PINS}


def called(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package's wheel, as pip builds it."""
    folder = tmp_path_factory.mktemp("dist")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return folder / build_wheel(str(folder))
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """An environment that says it has Colab's packages."""
    home = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    for name, version in COLAB.items():
        info = packages / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(metadata(name, version))
        (info / "INSTALLER").write_text("pip\n")
        (info / "RECORD").touch()
    return home / "bin" / "python"


@pytest.fixture(scope="module")
def index(tmp_path_factory, wheel):
    """Wheels without content of all else that the package needs, as it is installed here."""
    folder = tmp_path_factory.mktemp("index")
    with zipfile.ZipFile(wheel) as archive:
        (file,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        text = archive.read(file).decode()
    waiting = re.findall(r"^Requires-Dist: (.*)$", text, flags=re.MULTILINE)
    known = {called(name) for name in COLAB}
    while waiting:
        wanted = Requirement(waiting.pop())
        apart = wanted.marker and not wanted.marker.evaluate({"extra": ""})
        if called(wanted.name) in known or apart:
            continue
        known.add(called(wanted.name))
        requires = importlib.metadata.requires(wanted.name) or []
        write_wheel(folder, wanted.name, importlib.metadata.version(wanted.name), requires)
        waiting += requires
    return folder


def metadata(name, version, requires=()):
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {each}" for each in requires)]) + "\n"


def write_wheel(folder, name, version, requires=()):
    own = f"{called(name).replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{own}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{own}.dist-info/METADATA", metadata(name, version, requires))
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{own}.dist-info/WHEEL", tag)
        archive.writestr(f"{own}.dist-info/RECORD", "")
    return folder / f"{own}-py3-none-any.whl"


def would_install(python, index, what):
    """What pip would install there, by name, without a network."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--dry-run", "-q"]
    command += ["--no-index", "--find-links", str(index), "--report", "-", str(what)]
    own = {k: v for k, v in os.environ.items() if not k.startswith("PIP_") and k != "PYTHONPATH"}
    environment = {**own, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = [entry["metadata"] for entry in json.loads(done.stdout)["install"]]
    return {called(entry["name"]): entry["version"] for entry in found}


def test_the_list_is_colabs():
    """Exact versions, and all of the packages that a second copy of would break a GPU's torch."""
    assert all(re.fullmatch(r"\d+(\.\d+)*", version) for version in COLAB.values())
    assert {"torch", "torchvision", "numpy", "scipy", "matplotlib"} < set(COLAB)


@pytest.mark.slow
def test_pip_leaves_colabs_packages_alone(wheel, colab, index):
    """What pip would install beside Colab's packages are the package and what Colab lacks."""
    found = would_install(colab, index, wheel)
    assert {"ganscapes", "torchmetrics"} < set(found)
    assert not set(found) & {called(name) for name in COLAB}


@pytest.mark.slow
def test_a_narrow_requirement_would_be_seen(colab, index, tmp_path):
    """The test above can fail: pip would move numpy for a package that wants a newer one."""
    write_wheel(index, "numpy", "99.0")
    try:
        narrow = write_wheel(tmp_path, "narrow", "1.0", ["numpy>=2.2"])
        assert would_install(colab, index, narrow)["numpy"] == "99.0"
    finally:
        (index / "numpy-99.0-py3-none-any.whl").unlink()


def test_the_wheel_holds_all_that_chapters_read(wheel):
    """Modules, weights, claims, evidence, references, timings and recorded runs; no tests."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    paths = [p for end in ("py", "html", "csv", "pt") for p in (ROOT / "helpers").rglob(f"*.{end}")]
    modules = {path.relative_to(ROOT).as_posix() for path in paths}
    data = {"helpers/claims.json"}
    # Beside the modules; those of the package `evidence` are in a folder of that name already.
    names = {name: name for name in ("benchmarks", "recorded", "references")}
    for folder, inside in (names | {"evidence": "evidence_data"}).items():
        files = {f"helpers/{inside}/{path.name}" for path in (ROOT / "data" / folder).iterdir()}
        assert files
        data |= files
    assert held == modules | data
