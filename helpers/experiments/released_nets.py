"""The generators that Sun et al. 2020 released, under the judge of this book.

Their code comes with RS-GANs that are trained to the end, 100,000 iterations. Three of them learnt
CIFAR-10 and are small enough to be stored with the code itself: the CNN and the ResNet with a
quarter of the channels, and the ResNet with bottlenecks. Table 2 has their distances under
Inception, so that it can be seen whether another judge ranks them alike. Whoever has the files says
where they are; the package has none of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from pandas import DataFrame
from torch import Tensor, nn
from typing_extensions import Unpack

from helpers.datasets import load
from helpers.experiments import protocol
from helpers.experiments.ensembles import member_seed
from helpers.experiments.image_training import samples, standard_normal
from helpers.experiments.narrow_setting import Setting as Nets
from helpers.experiments.narrow_watch import LATENT, coloured, read
from helpers.experiments.parts import Context
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.inputs import UnusableFile, one_of
from helpers.scores.samples import scores_of_features
from helpers.scores.weights import put_weights, read_weights, sha256_of, shipped_judge, shipped_sha

VERSION = 1
VARIABLE = "GANSCAPES_RSGAN"  # of the environment: the folder with the files
_DRAW = 0  # the seed of the test images that samples are scored beside
_FILES = {  # names as released, and the first digits of their SHA-256
    "cnn/4": ("RSGAN-CNN-quater-cifar.pth", "01776d6a"),
    "resnet/4": ("RSGAN-ResNet-quater-cifar.pth", "5fcdb2f4"),
    "resnet/2 bottleneck": ("RSGAN-ResNet-bottleneck-cifar.pth", "0a39c4f8"),
}
_NETS = {
    "cnn/4": Nets(narrow=4),
    "resnet/4": Nets(nets="resnet", narrow=4),
    "resnet/2 bottleneck": Nets(nets="resnet", narrow=2, bottleneck=True),
}
# Places in the generators of `helpers.models` by names in the released ones.
_CNN = {
    **{"l1": "0", "deconv1": "2", "deconv1_bn": "3", "deconv2": "5", "deconv2_bn": "6"},
    **{"deconv3": "8", "deconv3_bn": "9", "conv4": "11"},
}
_BLOCK = {"c_sc": "shortcut.1", "b1": "layers.0", "c1": "layers.3", "b2": "layers.4"}
_BLOCK |= {"c2": "layers.6"}
_RESNET = {"l1": "0", "b5": "5", "conv5": "7"} | {
    f"block{number}.{theirs}": f"{number}.{ours}"
    for number in (2, 3, 4)
    for theirs, ours in _BLOCK.items()
}


@dataclass(frozen=True)
class Setting:
    """Whose samples are scored.

    Raises:
        ValueError: for a net of which no file was released with the code.

    >>> Setting("resnet/4").judge == shipped_sha("cifar10")
    True
    """

    net: str = "cnn/4"
    judge: str = shipped_sha("cifar10")  # SHA-256 of its weights

    def __post_init__(self) -> None:
        one_of("net", self.net, _FILES)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How closely samples are looked at."""

    samples: int = 5000


READINGS = {
    "as released": Reading(
        Setting(), "pretrained-model of the released code; batches of 500 as in its eval.py"
    )
}
ARMS = {net: {"net": net} for net in _FILES}
SIZES = {
    "quick": Size(samples=100, lacks="4,900 of 5,000 samples"),
    "full": Size(lacks="Inception, and half of the samples"),
}
WANTED = [
    Wanted(
        ("as released",),
        tuple(ARMS),
        "full",
        range(100, 106),
        "R30; needs the released nets; two minutes a run",
    )
]


def released_generator(net: str, folder: str | Path | None = None) -> nn.Module:
    """A generator of Sun et al. 2020 with its released weights; it prints the file's SHA-256.

    Args:
        net: "cnn/4", "resnet/4" or "resnet/2 bottleneck".
        folder: with the released files; by default the one that GANSCAPES_RSGAN names.

    Raises:
        FileNotFoundError: without a folder, and without the file.
        ValueError: for another net; for a damaged file and one with another SHA-256, as an
            `UnusableFile`, after which `gather` passes its run over.

    >>> released_generator("cnn/4", "nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no file of weights nowhere/RSGAN-CNN-quater-cifar.pth
    """
    one_of("net", net, _FILES)
    file, sha = _FILES[net]
    given = folder or os.environ.get(VARIABLE)
    if not given:
        raise FileNotFoundError(
            f"no released nets of Sun et al.: give the folder with {file}, or set {VARIABLE} to it"
        )
    path = Path(given).expanduser() / file
    found = sha256_of(path)
    print(f"{path}: SHA-256 {found}")
    if not found.startswith(sha):
        raise UnusableFile(
            f"{path} has the SHA-256 {found}, and that of the released one begins with {sha}"
        )
    generator = _NETS[net].players(seed=0).generator
    put_weights(generator, renamed(read_weights(path)), path)
    return generator


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Released weights by the names that they have in the generators of `helpers.models`.

    >>> list(renamed({"deconv1_bn.bias": torch.zeros(1), "conv4.bias": torch.zeros(1)}))
    ['3.bias', '11.bias']
    """
    places = _RESNET if any(name.startswith("block") for name in weights) else _CNN
    parts = [(*name.rpartition("."), weight) for name, weight in weights.items()]
    return {f"{places.get(layer, layer)}.{last}": weight for layer, _, last, weight in parts}


@cache
def _beside(judge_sha: str, count: int, data: Path | str | None) -> Tensor:
    """(count, d) features of test images: the same for all nets, so they are read once."""
    held = load("cifar10", "test", root=data)
    held = held.subset(min(count, len(held)), seed=_DRAW)
    return read(shipped_judge("cifar10", judge_sha), coloured(held.images))[0]


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Score samples of a released generator; the seed is that of their latents.

    "members" has its number of "weights", and `helpers.experiments.narrow_watch.SCORES` beside
    twice as many test images as there are samples.

    Raises:
        FileNotFoundError: if images or the released nets are missing.
        ValueError: for files that are not the released ones, and a judge that the package does not
            ship.

    >>> measure(Setting(judge="00"), SIZES["quick"], seed=0)
    Traceback (most recent call last):
    ...
    ValueError: ... the judge wanted has 00
    """
    given = Context(**how)
    judge = shipped_judge("cifar10", setting.judge)
    generator = released_generator(setting.net).to(given.device)
    reals = _beside(setting.judge, 2 * size.samples, data)
    members = []
    for member in range(size.members):
        latents = standard_normal(size.samples, LATENT, seed=member_seed(given.seed, member))
        with torch.no_grad():
            features, logits = read(judge, samples(generator, latents))
        scores = scores_of_features(reals, features, logits, label="").numbers()
        weights = sum(part.numel() for part in generator.parameters())
        members.append({"member": member, "weights": weights, **scores})
    return {"members": DataFrame(members)}


def _further(one: str, other: str) -> Quantity:
    """The distance of one net's samples minus that of another's, seed by seed of the latents."""

    def differences(rows: Rows) -> list[float]:
        ours, theirs = (rows[net].set_index(["block", "member"])["frechet"] for net in (one, other))
        return (ours - theirs).dropna().tolist()

    return differences


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "R30": {
        "cnn_over_resnet": _further("cnn/4", "resnet/4"),
        "resnet_over_bottleneck": _further("resnet/4", "resnet/2 bottleneck"),
    }
}
