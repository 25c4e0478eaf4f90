"""Sets of images: what is read, what is refused, and what is written where."""

import io
import os
import pickle
import struct
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, STL10
from torchvision.datasets.utils import calculate_md5
from torchvision.transforms import InterpolationMode, v2

from helpers.datasets import NAMES, load, lsun, sources
from helpers.datasets.digits import read_digits
from helpers.datasets.images import Raw, as_tensor

REAL = os.environ.get(sources.VARIABLE)
CLASSES = sources.SOURCES["cifar10"].classes
FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}
# The first label in the file, and how many there are.
LABELS = {"emnist-letters": (1, 26), "emnist-balanced": (0, 47)}
IDX = [*FOLDERS, "emnist-digits", "emnist-letters", "emnist-balanced"]
OF_TORCHVISION = [name for name in NAMES[1:] if name not in lsun.SCENES]


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No network, no variable and an empty cache, which is returned."""

    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.delenv(sources.VARIABLE, raising=False)
    monkeypatch.setattr(sources, "cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def idx(array):
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def idx_files(name, split):
    """Paths of images and labels below a root."""
    if name in FOLDERS:
        own = f"{FOLDERS[name]}/raw/{'train' if split == 'train' else 't10k'}"
    else:
        own = f"EMNIST/raw/{name}-{split}"
    return f"{own}-images-idx3-ubyte", f"{own}-labels-idx1-ubyte"


def write_idx(root, name, split="train", n=60):
    """n random images, and the labels in turn; gives them as in the files.

    The other split, without which torchvision takes none of a set, gets one image.
    """
    first, many = LABELS.get(name, (0, 10))
    images = np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    images[0, 0, :2] = 0, 255
    labels = first + np.arange(n) % many
    for part, few in ((split, n), ("test" if split == "train" else "train", 1)):
        for file, array in zip(idx_files(name, part), (images[:few], labels[:few]), strict=True):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            if part == split or not (root / file).exists():
                (root / file).write_bytes(idx(array))
    return images, labels


def everything(folder):
    return {p: p.stat().st_mtime_ns for p in [folder, *folder.rglob("*")]}


def test_digits():
    """All of scikit-learn's, a fifth of each class for testing, no image in both splits."""
    train, test = load("digits", size=8), load("digits", "test", size=8)
    assert (len(train), len(test), train.official) == (1442, 355, True)
    share = torch.bincount(test.labels) / (
        torch.bincount(test.labels) + torch.bincount(train.labels)
    )
    assert share.numpy() == pytest.approx(0.2, abs=0.01)
    whole = torch.cat([train.images, test.images])
    assert (whole.min(), whole.max()) == (-1, 1)
    bunch = read_digits("train").images, read_digits("test").images
    assert sorted(map(bytes, np.concatenate(bunch))) == sorted(
        map(bytes, ((whole + 1) * 8).double().numpy())
    )
    assert torch.equal(load("digits", size=8).images, train.images)
    assert train.classes == tuple("0123456789")


@pytest.mark.parametrize("name", IDX)
@pytest.mark.parametrize("split", ["train", "test"])
def test_idx(name, split, tmp_path):
    """Pixels and labels as written; EMNIST transposed; too few images to be official."""
    images, labels = write_idx(tmp_path, name, split)
    found = load(name, split, size=28, root=tmp_path)
    if name.startswith("emnist"):
        images = images.transpose(0, 2, 1)
    want = torch.from_numpy(images.astype(np.float32))[:, None] / 127.5 - 1
    assert torch.equal(found.images, want) and found.images.is_contiguous()
    assert (found.images.min(), found.images.max()) == (-1, 1)
    first, many = LABELS.get(name, (0, 10))
    assert found.labels.tolist() == (labels - first).tolist() and found.labels.dtype == torch.int64
    assert len(found.classes) == len(set(found.classes)) == many
    assert (found.name, found.split, found.official, len(found)) == (name, split, False, 60)


def test_letters_are_named(tmp_path):
    write_idx(tmp_path, "emnist-letters")
    found = load("emnist-letters", root=tmp_path)
    assert [found.classes[label] for label in found.labels[[0, 1, 25]]] == ["A", "B", "Z"]


def test_emnist_is_upright(tmp_path):
    """An L, stored on its side, has its foot at the bottom right."""
    letter = np.zeros((28, 28), dtype=np.uint8)
    letter[4:24, 6] = letter[23, 6:16] = 255
    write_idx(tmp_path, "emnist-digits", n=1)
    (tmp_path / idx_files("emnist-digits", "train")[0]).write_bytes(idx(letter.T[None]))
    found = load("emnist", size=28, root=tmp_path)
    assert found.name == "emnist-digits"
    assert torch.equal(found.images[0, 0] > 0, torch.from_numpy(letter > 0))


def test_as_many_images_as_the_official_set(tmp_path, monkeypatch):
    write_idx(tmp_path, "mnist", n=12)
    for count, official in [(12, True), (13, False)]:
        source = replace(sources.SOURCES["mnist"], train=count)
        monkeypatch.setitem(sources.SOURCES, "mnist", source)
        assert load("mnist", root=tmp_path).official is official


IMAGES, LABEL = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
CONTENT = np.zeros((60, 28, 28))


@pytest.mark.parametrize(
    "file, damage, message",
    [
        (IMAGES, lambda b: b"\x1f\x8b" + b[2:], ""),
        (LABEL, lambda _: idx(CONTENT), "1 dimension"),
        (IMAGES, lambda b: b[:-1], "invalid for input of size 47039"),
        (IMAGES, lambda b: b + b"\0", "invalid for input of size 47041"),
        (IMAGES, lambda b: b[:10], ""),
        (IMAGES, lambda _: b"", ""),
        (IMAGES, lambda _: idx(CONTENT[:, :14]), r"\(1, 28, 28\), found .*\(60, 1, 14, 28\)"),
        (IMAGES, lambda _: idx(CONTENT[:0]), ""),
        (LABEL, lambda b: b[:-1], "invalid for input of size 59"),
        (LABEL, lambda _: idx(CONTENT[:59, 0, 0]), "expected 60 labels, one per image, found 59"),
        (LABEL, lambda b: b[:-1] + b"\n", "expected 10 classes, found labels beyond them"),
    ],
)
def test_damaged_idx_files(file, damage, message, tmp_path):
    """Each error is one line that names the folder, the split and what torchvision found."""
    write_idx(tmp_path, "mnist")
    path = tmp_path / "MNIST/raw" / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        ValueError, match=f"{tmp_path / 'MNIST'}: train .*damaged: \\w+.*{message}"
    ) as e:
        load("mnist", root=tmp_path)
    assert "\n" not in str(e.value)


def test_first_letter_is_labelled_1(tmp_path):
    write_idx(tmp_path, "emnist-letters")
    file = tmp_path / idx_files("emnist-letters", "train")[1]
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(ValueError, match="expected 26 classes, found labels beyond them"):
        load("emnist-letters", root=tmp_path)


@pytest.mark.parametrize("which", [0, 1])
def test_missing_files(which, tmp_path):
    write_idx(tmp_path, "emnist-letters")
    (tmp_path / idx_files("emnist-letters", "train")[which]).unlink()
    with pytest.raises(FileNotFoundError, match=r"EMNIST: train files are missing .*not found"):
        load("emnist-letters", root=tmp_path)


def test_names():
    """They are listed apart from the sources, which take seconds to import."""
    assert ("digits", "emnist", *sources.SOURCES, *lsun.SCENES) == NAMES


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_missing_sets(name, tmp_path, monkeypatch):
    """The error says which folder was looked for, and how to get the set."""
    advice = f"load.'{'emnist-digits' if name == 'emnist' else name}'"
    with pytest.raises(FileNotFoundError, match=f"no folder {tmp_path}/.*; {advice}.*downloads"):
        load(name, root=tmp_path)
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=r"no folder .*none/.*GANSCAPES_DATA unset"):
        load(name)


def test_which_folder(tmp_path, monkeypatch, alone):
    """The one given, then the variable's, then the cache; an empty variable names none."""
    for n, folder in enumerate((tmp_path / "given", tmp_path / "named", alone), start=1):
        write_idx(folder, "mnist", n=n)
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path / "named"))
    assert len(load("mnist", root=str(tmp_path / "given"))) == 1
    assert len(load("mnist")) == 2
    monkeypatch.setenv(sources.VARIABLE, "")
    assert len(load("mnist")) == 3


def test_cache_of_an_installed_package(tmp_path, monkeypatch):
    """Not beside site-packages, nor wherever the program was started."""
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sources.cache() == Path(__file__).parents[2] / "data" / "cache"
    monkeypatch.setattr(sources, "__file__", str(tmp_path / "lib/helpers/datasets/sources.py"))
    assert sources.cache() == tmp_path / ".cache" / "ganscapes"


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_nothing_is_written_where_files_are_given(name, tmp_path, alone):
    """Neither if the set is there nor if it is missing."""
    root = tmp_path / "given"
    if name in IDX:
        write_idx(root, name)
    else:
        write_pictures(root)
    before = everything(root)
    for split in ("train", "test"):
        try:
            load(name, split, root=root)
        except FileNotFoundError:
            continue
    assert everything(root) == before and not alone.exists()


# Downloads


def test_no_network(alone):
    """An error in one line that says so, and nothing in the cache that is taken for a set."""
    for name in ("mnist", "emnist-letters", "cifar10"):
        with pytest.raises(
            FileNotFoundError, match=f"{name} is incomplete in {alone}.*downloaded: .*no network"
        ) as e:
            load(name)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, URLError("cut"), OSError(28, "disk full")])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_interrupted_downloads(after, failure, alone, monkeypatch):
    """The next try gets what is missing; the one after downloads nothing."""
    calls = []

    def get(url, download_root, filename, md5):
        calls.append(url)
        if fails and len(calls) > after:
            raise failure
        file = filename.removesuffix(".gz")
        write_idx(alone / "other", "mnist", "train" if filename.startswith("train") else "test")
        Path(download_root, file).write_bytes((alone / "other/MNIST/raw" / file).read_bytes())

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", get)
    fails = True
    expected = KeyboardInterrupt if failure is KeyboardInterrupt else FileNotFoundError
    with pytest.raises(expected):
        load("mnist")
    fails = False
    calls.clear()
    assert len(load("mnist")) == 60 and len(calls) == 4
    assert len(load("mnist", "test")) == 60 and len(calls) == 4


def test_downloads_at_once(tmp_path, alone, monkeypatch):
    """One gets the files; the others wait, and read none that is half written."""
    for split in ("train", "test"):
        write_idx(tmp_path, "mnist", split)
    calls = []

    def get(url, download_root, filename, md5):
        calls.append(url)
        file = filename.removesuffix(".gz")
        content = (tmp_path / "MNIST/raw" / file).read_bytes()
        with Path(download_root, file).open("wb") as part:
            part.write(content[: len(content) // 2])
            part.flush()
            time.sleep(0.05)
            part.write(content[len(content) // 2 :])

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", get)
    with ThreadPoolExecutor(4) as pool:
        late = pool.map(lambda wait: (time.sleep(wait), load("mnist"))[1], (0, 0, 0.08, 0.18))
        assert [len(found) for found in late] == [60] * 4
    assert len(calls) == 4


def test_a_whole_cache_is_not_written_to(alone):
    """Not even with a lock, as it may be read-only."""
    write_idx(alone, "mnist")
    before = everything(alone)
    assert len(load("mnist")) == 60 and everything(alone) == before


def test_a_damaged_cache_is_named(alone):
    """It is neither read nor replaced."""
    write_idx(alone, "mnist")
    write_idx(alone, "mnist", "test")
    images = alone / "MNIST/raw" / IMAGES
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(FileNotFoundError, match=f"mnist is incomplete in {alone}.*of size 47039"):
        load("mnist")
    assert images.exists()


# CIFAR-10


class Trap:
    """Makes a folder when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def write_cifar10(root, monkeypatch, n=3):
    """Six batches of n images, whose MD5 sums torchvision then takes for right."""
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for lists in ("train_list", "test_list"):
        sums = []
        for name, _ in getattr(CIFAR10, lists):
            data = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
            (folder / name).write_bytes(pickle.dumps({"data": data, "labels": [0, 9, 4]}))
            sums.append([name, calculate_md5(folder / name)])
        monkeypatch.setattr(CIFAR10, lists, sums)
    meta = folder / CIFAR10.meta["filename"]
    meta.write_bytes(pickle.dumps({"label_names": list(CLASSES)}))
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": calculate_md5(meta)})
    return folder, data


def test_cifar10(tmp_path, monkeypatch):
    """Rows of red, green and blue, 1,024 each."""
    _, data = write_cifar10(tmp_path, monkeypatch)
    train, test = (load("cifar10", split, root=tmp_path) for split in ("train", "test"))
    assert (len(train), len(test), test.official) == (15, 3, True)
    want = torch.from_numpy(data.reshape(3, 3, 32, 32).astype(np.float32)) / 127.5 - 1
    assert torch.equal(test.images, want) and test.images.is_contiguous()
    assert test.labels.tolist() == [0, 9, 4] and test.classes == CLASSES


@pytest.mark.parametrize("which", ["data_batch_2", "test_batch", "batches.meta"])
def test_foreign_batches_are_not_unpickled(which, tmp_path, monkeypatch):
    """Torchvision checks all sums first."""
    folder, _ = write_cifar10(tmp_path, monkeypatch)
    trap = tmp_path / "trap"
    (folder / which).write_bytes(pickle.dumps(Trap(trap)))
    for split in ("train", "test"):
        with pytest.raises(FileNotFoundError, match=f"{folder}: {split} .*not found or corrupted"):
            load("cifar10", split, root=tmp_path)
    assert not trap.exists()
    (folder / which).unlink()
    with pytest.raises(FileNotFoundError, match="not found or corrupted"):
        load("cifar10", root=tmp_path)


def write_pictures(root, split="train", size=(32, 32), kinds=CLASSES):
    """Two flat PNGs a class, with its label as red and the picture's number as green."""
    for label, kind in enumerate(kinds):
        folder = root / "CIFAR10" / split / kind
        folder.mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", size, (label, number, 255)).save(folder / f"{number}.png")
        (folder / "notes.txt").write_text("no picture")
    return root / "CIFAR10" / split


def packed(folder):
    """The zip of a split's folder, members in no order, in the folder's place."""
    file = folder.parent / f"cifar10-{folder.name}-images.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.glob("*/*"), reverse=True):
            archive.write(path, path.relative_to(folder.parent).as_posix())
            path.unlink()
    for path in [*folder.iterdir(), folder]:
        path.rmdir()
    return file


@pytest.mark.parametrize("split", ["train", "test"])
def test_pictures_stand_in(split, tmp_path):
    """Class by class from a folder as from a zip, beside which nothing is unpacked."""
    folder = write_pictures(tmp_path, split)
    first = load("cifar10", split, root=tmp_path)
    before = everything(packed(folder))
    second = load("cifar10", split, root=tmp_path)
    assert torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)
    assert everything(tmp_path / "CIFAR10").keys() - before.keys() == {tmp_path / "CIFAR10"}
    assert not first.official and not second.official
    assert second.labels.tolist() == [label for label in range(10) for _ in range(2)]
    levels = ((second.images[:, :, 5, 7] + 1) * 127.5).round()
    assert levels[:, 0].tolist() == second.labels.tolist()
    assert levels[:, 1].tolist() == [0, 1] * 10 and (levels[:, 2] == 255).all()


HIDDEN = ["airplane/._0.png", "airplane/.0-checkpoint.png", "._airplane/0.png"]
HIDDEN += [".ipynb_checkpoints/0-checkpoint.png", "__MACOSX/0.png", "airplane/__MACOSX/0.png"]
HIDDEN += [".DS_Store", "airplane/.DS_Store", "airplane/Thumbs.db", "airplane/desktop.ini"]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("in_zip", [False, True])
def test_hidden_files_are_no_pictures(in_zip, hidden, tmp_path):
    """What macOS, Jupyter and Windows leave beside pictures changes nothing."""
    folder = write_pictures(tmp_path)
    if not in_zip:
        (folder / "ship" / "2.png").mkdir()  # nor is a folder with a picture's ending one
    want = load("cifar10", root=tmp_path)
    extra = folder / hidden
    if in_zip:
        with zipfile.ZipFile(packed(folder), "a") as archive:
            archive.writestr(f"train/{hidden}", b"no picture")
            archive.writestr(f"__MACOSX/train/{hidden}", b"no picture")
    else:
        extra.parent.mkdir(exist_ok=True)
        extra.write_bytes(b"no picture")
    found = load("cifar10", root=tmp_path)
    assert torch.equal(found.images, want.images) and torch.equal(found.labels, want.labels)


def test_official_files_come_first(tmp_path, monkeypatch):
    write_pictures(tmp_path)
    write_cifar10(tmp_path, monkeypatch)
    assert load("cifar10", root=tmp_path).official


def test_grey_pictures_become_colour(tmp_path):
    Image.new("L", (32, 32), 100).save(write_pictures(tmp_path) / "airplane" / "0.png")
    assert (load("cifar10", root=tmp_path).images[0] == torch.tensor(100 / 127.5) - 1).all()


def test_damaged_zips(tmp_path):
    """Cut anywhere, or with a byte of a picture, a name or the end changed: the named error."""
    file = packed(write_pictures(tmp_path))
    whole = file.read_bytes()
    damaged = [whole[:cut] for cut in range(0, len(whole), len(whole) // 20)]
    for at in (whole.index(b"IHDR"), whole.rindex(b"bird/1.png"), len(whole) - 6):
        damaged.append(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"CIFAR10: train files are missing or damaged: \w+ "):
            load("cifar10", root=tmp_path)


def test_damaged_pictures(tmp_path):
    picture = write_pictures(tmp_path) / "bird" / "1.png"
    whole = picture.read_bytes()
    for content in (b"", b"no picture", whole[:-30], whole[:40]):
        picture.write_bytes(content)
        with pytest.raises(ValueError, match=r"CIFAR10: train files are missing or damaged: \w+ "):
            load("cifar10", root=tmp_path)
    Image.new("RGB", (32, 31)).save(picture)
    with pytest.raises(ValueError, match=r"CIFAR10: train .*same shape"):
        load("cifar10", root=tmp_path)


def test_other_classes(tmp_path):
    write_pictures(tmp_path, "train", kinds=("airplane", "zebra"))
    with pytest.raises(ValueError, match=r"expected airplane, .* as folders, found zebra"):
        load("cifar10", root=tmp_path)
    write_pictures(tmp_path, "test", kinds=CLASSES[:-1])
    with pytest.raises(FileNotFoundError, match=r"CIFAR10: test .*truck"):
        load("cifar10", "test", root=tmp_path)


# Images as tensors


@pytest.mark.parametrize("side, size", [(28, 32), (28, 14), (28, 9), (28, 64), (96, 32), (32, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_is_that_of_pil(side, size, channels):
    """Up to the rounding that PIL does after each of its two passes."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, channels, side, side), dtype=np.uint8)
    raw = Raw(pixels, np.zeros(4, dtype=np.int64), ("a",), official=False)
    resize = v2.Resize((size, size), InterpolationMode.BILINEAR)
    want = np.stack(
        [np.asarray(resize(Image.fromarray(each.transpose(1, 2, 0).squeeze()))) for each in pixels]
    )
    want = want.reshape(4, size, size, channels).transpose(0, 3, 1, 2)
    levels = (as_tensor(raw, size).numpy() + 1) * 127.5
    assert np.abs(levels - want).max() <= 1.01


def test_extremes_stay_in_range():
    """White, resized, rounds to no more than 1; many chunks are all filled."""
    pixels = np.full((1201, 3, 5, 5), 255, dtype=np.uint8)
    pixels[::2] = 0
    raw = Raw(pixels, np.zeros(1201, dtype=np.int64), ("a",), official=False)
    for size in (3, 5, 7):
        found = as_tensor(raw, size)
        assert found.dtype == torch.float32 and found.min() == -1 and found.max() <= 1
        assert found[1::2].min() > 1 - 1e-6 and (found[::2] == -1).all()


# STL-10


def write_stl10(root, monkeypatch, n=3):
    """n images per file, as the makers describe it: each colour by columns, labels from 1."""
    folder = root / STL10.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    images = {}
    for lists in ("train_list", "test_list"):
        sums = []
        for name, _ in getattr(STL10, lists):
            part = name.partition("_")[0]
            if name.endswith("_X.bin"):
                images[part] = rng.integers(0, 256, (n, 3, 96, 96), dtype=np.uint8)
                data = images[part].transpose(0, 1, 3, 2).tobytes()
            else:
                data = bytes(([1, 10, 5] * n)[:n])
            (folder / name).write_bytes(data)
            sums.append([name, calculate_md5(folder / name)])
        monkeypatch.setattr(STL10, lists, sums)
    return folder, images


def test_stl10(tmp_path, monkeypatch):
    """Upright, labels from 0; images without labels beside the labelled test images."""
    _, images = write_stl10(tmp_path, monkeypatch)
    for name, split, part, labels in [
        ("stl10", "train", "train", [0, 9, 4]),
        ("stl10", "test", "test", [0, 9, 4]),
        ("stl10-unlabeled", "train", "unlabeled", [-1, -1, -1]),
        ("stl10-unlabeled", "test", "test", [0, 9, 4]),
    ]:
        found = load(name, split, size=96, root=tmp_path)
        want = torch.from_numpy(images[part].astype(np.float32)) / 127.5 - 1
        assert torch.equal(found.images, want) and found.official
        assert found.labels.tolist() == labels and found.classes[9] == "truck"
    assert load("stl10", size=48, root=tmp_path).images.shape == (3, 3, 48, 48)


def test_damaged_stl10(tmp_path, monkeypatch):
    """Torchvision compares sums; what it lets through is counted."""
    folder, _ = write_stl10(tmp_path, monkeypatch)
    labels = folder / "train_y.bin"
    labels.write_bytes(bytes([1, 11, 5]))
    with pytest.raises(FileNotFoundError, match=r"stl10_binary: train .*not found or corrupted"):
        load("stl10", root=tmp_path)
    monkeypatch.setattr(STL10, "_check_integrity", lambda _: True)
    with pytest.raises(ValueError, match="expected 10 classes, found labels beyond them"):
        load("stl10", root=tmp_path)
    labels.write_bytes(bytes([1, 5]))
    with pytest.raises(ValueError, match="expected 3 labels, one per image, found 2"):
        load("stl10", root=tmp_path)
    (folder / "unlabeled_X.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected images of shape \(3, 96, 96\), found"):
        load("stl10-unlabeled", root=tmp_path)


def test_a_part_of_a_set():
    """The same images at every call, those with which a larger part begins; of a few, all."""
    whole = load("digits", size=8)
    few, more = (load("digits", size=8, most=most) for most in (30, 60))
    assert torch.equal(few.images, more.images[:30]) and torch.equal(few.labels, more.labels[:30])
    assert torch.equal(few.images, whole.subset(30, seed=0).images)
    assert torch.equal(load("digits", size=8, most=5000).images, whole.images)
    for most in (0, 2.5, "30"):
        with pytest.raises(ValueError, match=f"most is a whole number, 1 or more, got {most!r}"):
            load("digits", most=most)


def test_subset():
    """No image twice, the same for one seed whatever torch's own state, and nested."""
    whole = load("digits", size=8)
    state = torch.random.get_rng_state()
    few, many = whole.subset(30, seed=1), whole.subset(60, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(few.images, many.images[:30]) and torch.equal(few.labels, many.labels[:30])
    assert not torch.equal(few.images, whole.subset(30, seed=2).images)
    every = whole.subset(len(whole), seed=0)
    assert torch.bincount(every.labels).tolist() == torch.bincount(whole.labels).tolist()
    assert every.images.double().sum() == pytest.approx(whole.images.double().sum())
    assert (few.name, few.classes, few.official) == (whole.name, whole.classes, whole.official)
    assert torch.equal(whole.subset(np.int64(30), seed=np.int64(1)).images, few.images)
    for n in (0, 1443, 2.0, "30", None):
        with pytest.raises(ValueError, match=f"n is a whole number, from 1 to 1442, got {n!r}"):
            whole.subset(n, seed=0)
    with pytest.raises(ValueError, match="seed is a whole number"):
        whole.subset(3, seed=None)


def test_refusals(tmp_path):
    """Before any file is looked for."""
    for wrong, message in [
        ({"name": "imagenet"}, "data set is one of 'digits', 'emnist', 'mnist', .*'imagenet'"),
        ({"name": None}, "data set is one of .*, got None"),
        ({"split": "valid"}, "split is one of 'train', 'test', got 'valid'"),
        ({"split": ["train"]}, "split is one of 'train', 'test', got"),
        ({"size": 0}, "size is a whole number, 1 or more, got 0"),
        ({"size": 7.5}, "size is a whole number, 1 or more, got 7.5"),
        ({"size": True}, "size is a whole number, 1 or more, got True"),
        ({"root": 3}, "root is a path or None, got 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            load(**{"name": "mnist", "root": tmp_path, **wrong})


def test_numbers_of_numpy():
    """A size from an array is a size."""
    found = load("digits", size=np.int64(8)).images
    assert torch.equal(found, load("digits", size=8).images)


def test_default_device_is_none_of_ours():
    """Sets lie on the CPU whatever torch.set_default_device says."""
    want = load("digits", size=9).subset(5, seed=0).images
    with torch.device("meta"):
        found = load("digits", size=9).subset(5, seed=0).images
    assert found.device.type == "cpu" and torch.equal(found, want)


def test_images_are_not_printed():
    shown = io.StringIO()
    print(load("digits"), file=shown)
    assert "tensor" not in shown.getvalue() and "official=True" in shown.getvalue()


# The real files, where there are any

OFFICIAL = {"mnist": 10_000, "fashion-mnist": 10_000, "kmnist": 10_000, "emnist-digits": 40_000}
OFFICIAL |= {"emnist-letters": 20_800, "emnist-balanced": 18_800, "cifar10": 10_000}


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="GANSCAPES_DATA names no folder of data sets")
@pytest.mark.parametrize("name", OFFICIAL)
def test_real_files(name):
    """The test split: its size, its range, and each class where the set is official."""
    try:
        found = load(name, "test", root=REAL)
    except FileNotFoundError as error:
        pytest.skip(f"{name}: {error}")
    assert len(found) == OFFICIAL[name] or not found.official
    assert found.images.shape[2:] == (32, 32)
    assert (found.images.min(), found.images.max()) == (-1, 1)
    counts = torch.bincount(found.labels, minlength=len(found.classes))
    if found.official:
        assert counts.min() > 0


@pytest.mark.skipif(not REAL, reason="GANSCAPES_DATA names no folder of data sets")
def test_real_emnist_is_upright():
    """Each mean digit is nearer to MNIST's than its mirror image across the diagonal is."""
    means = []
    for name in ("mnist", "emnist"):
        try:
            found = load(name, "test", root=REAL)
        except FileNotFoundError as error:
            pytest.skip(f"{name}: {error}")
        means.append(
            torch.stack([found.images[found.labels == k, 0].mean(dim=0) for k in range(10)])
        )
    mnist, emnist = means
    away, mirrored = ((mnist - each).norm(dim=(1, 2)) for each in (emnist, emnist.mT))
    assert (away < mirrored).all()
