"""Scenes of LSUN: what is drawn from a database, and what is refused."""

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import LSUN
from torchvision.transforms.functional import center_crop, pil_to_tensor

from helpers.datasets import load, sources
from helpers.datasets.lsun import SCENES
from helpers.inputs import UnusableFile

SIZES = [(256, 256), (341, 256), (256, 300), (257, 256), (400, 256), (256, 263)]
LMDB = "the extra 'lsun' is not installed"


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(sources.VARIABLE, raising=False)


def write_lsun(root, folder="church_outdoor_train_lmdb", sizes=SIZES, form="WEBP"):
    """A database as LSUN's makers write it: pictures in files' formats, by hexadecimal keys."""
    lmdb = pytest.importorskip("lmdb", reason=LMDB)
    rng = np.random.default_rng(0)
    place = root / folder
    place.mkdir(parents=True)
    with lmdb.open(str(place), map_size=2**27) as database, database.begin(write=True) as view:
        for width, height in sizes:
            grey = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
            content = io.BytesIO()
            Image.fromarray(grey).resize((width, height)).save(content, form)
            view.put(rng.bytes(20).hex().encode(), content.getvalue())
    return place


def everything(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# torchvision leaves the file of its index open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_squares_of_torchvisions_pictures(tmp_path, monkeypatch):
    """All of them, cut where its `CenterCrop` cuts; no other file is written."""
    monkeypatch.chdir(tmp_path)  # where torchvision writes its index
    place = write_lsun(tmp_path / "given")
    before = everything(tmp_path)
    found = load("lsun-church", size=256, root=tmp_path / "given", most=100)
    assert everything(tmp_path) == before
    assert found.images.shape == (6, 3, 256, 256) and not found.labels.any()
    assert found.classes == ("church_outdoor",) and not found.official
    theirs = LSUN(str(place.parent), classes=["church_outdoor_train"])
    wanted = torch.stack([pil_to_tensor(center_crop(picture, 256)) for picture, _ in theirs])
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.images, wanted[order].float() / 127.5 - 1)


def test_a_draw(tmp_path):
    """The same pictures at every call; a larger draw begins with a smaller; smaller images."""
    write_lsun(tmp_path, "tower_train_lmdb", form="JPEG")
    few, more = (load("lsun-tower", size=256, root=tmp_path, most=most) for most in (2, 5))
    assert len(more) == 5 and torch.equal(few.images, more.images[:2])
    small = load("lsun-tower", size=32, root=tmp_path, most=2).images
    assert small.shape == (2, 3, 32, 32)
    assert small.mean() == pytest.approx(float(few.images.mean()), abs=1e-3)


def test_official_by_number(tmp_path, monkeypatch):
    """And the images for testing are those for validation."""
    write_lsun(tmp_path, "church_outdoor_val_lmdb", SIZES[:3], form="PNG")
    assert not load("lsun-church", "test", root=tmp_path, most=2).official
    monkeypatch.setitem(SCENES, "lsun-church", type(SCENES["lsun-church"])("church_outdoor", 9, 3))
    assert load("lsun-church", "test", root=tmp_path, most=2).official


def test_what_is_missing(tmp_path, monkeypatch):
    """A number, the set, and the package that reads it."""
    with pytest.raises(ValueError, match="lsun-church does not fit in memory: most says how many"):
        load("lsun-church", root=tmp_path)
    for folder in (tmp_path, None):
        monkeypatch.setattr(sources, "cache", lambda: tmp_path)
        with pytest.raises(FileNotFoundError, match=r"no .*tower_train_lmdb/data.mdb; LSUN is on"):
            load("lsun-tower", root=folder, most=5)
    (tmp_path / "tower_train_lmdb").mkdir()
    (tmp_path / "tower_train_lmdb" / "data.mdb").touch()
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(ImportError, match=r"^lsun-tower is an LMDB file: pip install 'ganscapes\["):
        load("lsun-tower", root=tmp_path, most=5)


def test_damaged_databases(tmp_path):
    """Other bytes, an end cut off, a picture of another size or none: one line, with the folder."""
    lmdb = pytest.importorskip("lmdb", reason=LMDB)
    place = write_lsun(tmp_path)
    whole = (place / "data.mdb").read_bytes()
    for content in (b"", b"no database" * 1000):
        (place / "data.mdb").write_bytes(content)
        with pytest.raises(ValueError, match=r"church_outdoor_train_lmdb: train files are damaged"):
            load("lsun-church", root=tmp_path, most=9)
    for length in (len(whole) // 2, len(whole) - 4096, 8192):
        (place / "data.mdb").write_bytes(whole[:length])
        with pytest.raises(
            UnusableFile, match=rf"_train_lmdb: data\.mdb has {length} of \d+ bytes"
        ):
            load("lsun-church", root=tmp_path, most=9)
    (place / "data.mdb").write_bytes(whole)
    with lmdb.open(str(place)) as database, database.begin(write=True) as view:
        view.put(b"0", b"no picture")
    with pytest.raises(ValueError, match=r"train files are damaged: UnidentifiedImageError"):
        load("lsun-church", root=tmp_path, most=9)
    write_lsun(tmp_path, "tower_train_lmdb", [(255, 300)])
    with pytest.raises(ValueError, match=r"shorter side has 256 pixels, found one of 255 x 300"):
        load("lsun-tower", root=tmp_path, most=9)
    write_lsun(tmp_path, "tower_val_lmdb", [])
    with pytest.raises(ValueError, match="tower_val_lmdb has no pictures"):
        load("lsun-tower", "test", root=tmp_path, most=9)
