"""Weights of judges in files, told apart by their SHA-256; and the judge that the package ships.

A score means little without its judge, so a run's setting names the judge by the hash of its file,
and a file with another hash is refused.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from helpers.inputs import UnusableFile, one_of
from helpers.models import small_resnet
from helpers.scores.classifiers import Classifier

JUDGES = {"cifar10": Path(__file__).with_name("resnet_cifar10.pt")}  # files by data set
_PARTS = ("net", "weights", "accuracy", "about")
_MADE = "python -m helpers.experiments.residual_judge"


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file, as ``sha256sum`` prints it; a FileNotFoundError if there is none."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file of weights {path}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def put_weights(net: nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Put weights and buffers, converted to the net's dtypes, into a net of the same shapes.

    Batch norm's counts of batches may be missing. A ValueError names `path` and the first that does
    not fit; the net is then as it was.
    """
    own = {
        name: part
        for name, part in net.state_dict().items()
        if not name.endswith("num_batches_tracked") or name in weights
    }
    for name in (*own, *weights):
        sizes = [
            str(tuple(parts[name].shape)) if name in parts else "missing"
            for parts in (own, weights)
        ]
        if sizes[0] != sizes[1]:
            raise UnusableFile(
                f"{path} has weights of another net: {name} is {sizes[0]} in this one and "
                f"{sizes[1]} in the file"
            )
    with torch.no_grad():
        for name, part in own.items():
            part.copy_(weights[name])


def read_weights(path: str | Path) -> Any:
    """What a file of weights holds, by torch's reader that runs no code.

    A FileNotFoundError if there is no such file, a ValueError if it is damaged or something else.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no file of weights {path}")
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch, zipfile and pickle raise a dozen kinds
        said = str(error).partition("\n")[0][:200]
        raise UnusableFile(f"{path} is no whole file of weights ({said})") from error


@dataclass(frozen=True)
class WeightsFile:
    """Weights that the package does not have, and whoever has them gives by path or variable."""

    of: str  # whose they are, in words
    file: str
    variable: str  # of the environment, with the path

    def put_into(self, net: nn.Module, path: str | Path | None, sha: str) -> str:
        """Put them into a net of the same shapes; print the file's SHA-256 and return it.

        Args:
            net: the net.
            path: of the file; by default the one that the variable names.
            sha: the first digits that the file's SHA-256 must have.

        Raises:
            FileNotFoundError: without a path, and without a file.
            ValueError: for a damaged file, weights of another net, and another SHA-256; as an
                `UnusableFile`, after which `gather` passes its run over.

        >>> WeightsFile("A", "a.pt", "NO_SUCH").put_into(nn.Linear(1, 1), None, "00")
        Traceback (most recent call last):
        ...
        FileNotFoundError: no weights of A: give the path of a.pt, or set NO_SUCH to it
        """
        given = path or os.environ.get(self.variable)
        if not given:
            raise FileNotFoundError(
                f"no weights of {self.of}: give the path of {self.file}, or set {self.variable} "
                "to it"
            )
        found = sha256_of(given)
        print(f"{given}: SHA-256 {found}")
        weights = read_weights(given)
        if not isinstance(weights, dict):
            raise UnusableFile(f"{given} has no weights by name")
        put_weights(net, weights, given)
        if not found.startswith(sha):
            raise UnusableFile(
                f"{given} has the SHA-256 {found}, and that of {self.file} begins with {sha}"
            )
        return found


def write_judge(
    net: nn.Sequential, sizes: Mapping[str, int], accuracy: float, about: str, path: str | Path
) -> str:
    """Write a `helpers.models.small_resnet` in float16, for `read_judge`; its SHA-256.

    Args:
        net: the trained net.
        sizes: the arguments that it was made with, without the seed.
        accuracy: of the net with its rounded weights, on images that it was not trained on.
        about: the data and the training, in words.
        path: of the file.

    Raises:
        FloatingPointError: for weights beyond the range of float16.

    >>> from tempfile import TemporaryDirectory
    >>> from helpers.models import small_resnet
    >>> sizes = {"width": 2, "blocks": 1}
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "judge.pt")
    ...     sha = write_judge(small_resnet(seed=0, **sizes), sizes, 0.1, "untrained", path)
    >>> len(sha)
    64
    """
    weights = {
        name: part.half().contiguous()
        for name, part in net.cpu().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    beyond = [name for name, part in weights.items() if not part.isfinite().all()]
    if beyond:
        raise FloatingPointError(f"{beyond[0]} has weights beyond the range of float16")
    parts = (dict(sizes), weights, float(accuracy), about)
    content = io.BytesIO()  # torch would write the file's own name into it, and so into the hash
    torch.save(dict(zip(_PARTS, parts, strict=True)), content)
    Path(path).write_bytes(content.getvalue())
    return sha256_of(path)


def read_judge(path: str | Path, *, sha: str = "") -> Classifier:
    """A judge that `write_judge` has written; its name has the first digits of its SHA-256.

    Args:
        path: of the file.
        sha: the SHA-256 that the file must have; "" for any.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for another SHA-256, a damaged file, and weights of another net.

    >>> from tempfile import TemporaryDirectory
    >>> from helpers.models import small_resnet
    >>> sizes = {"width": 2, "blocks": 1}
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "judge.pt")
    ...     sha = write_judge(small_resnet(seed=0, **sizes), sizes, 0.1, "untrained", path)
    ...     judge = read_judge(path, sha=sha)
    >>> judge.accuracy
    0.1
    """
    found = sha256_of(path)
    if sha and found != sha:
        raise ValueError(f"{path} has the SHA-256 {found}, and the judge wanted has {sha}")
    read = read_weights(path)
    if not isinstance(read, dict) or set(read) != set(_PARTS):
        raise ValueError(f"{path} has no judge: its parts would be {', '.join(_PARTS)}")
    net = small_resnet(seed=0, **read["net"])
    put_weights(net, read["weights"], path)
    return Classifier(net, read["accuracy"], name=f"{read['about']}, SHA-256 {found[:8]}")


def shipped_sha(data: str) -> str:
    """The SHA-256 of the judge that the package ships for a set of images, "" if there is none.

    Raises:
        ValueError: for a set for which none is foreseen.

    >>> len(shipped_sha("cifar10")) in (0, 64)
    True
    """
    path = JUDGES[one_of("data set", data, JUDGES)]
    return sha256_of(path) if path.exists() else ""


def shipped_judge(data: str, sha: str) -> Classifier:
    """The judge that the package ships for a set of images, if it has this SHA-256.

    Raises:
        ValueError: for a set for which none is foreseen, and a judge with another SHA-256.
        FileNotFoundError: if the package has none; it says what trains it.

    >>> shipped_judge("mnist", "")
    Traceback (most recent call last):
    ...
    ValueError: data set is one of 'cifar10', got 'mnist'
    """
    path = JUDGES[one_of("data set", data, JUDGES)]
    if not path.exists():
        raise FileNotFoundError(f"no judge of {data} at {path}; {_MADE!r} trains it")
    return read_judge(path, sha=sha)
