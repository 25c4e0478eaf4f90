"""The judge of CIFAR-10: a small ResNet, trained once; the package ships its weights.

Sun et al. 2020 score images by Inception (Section 6), whose weights are a download of 90 MB. This
net stands in for it wherever they are missing. Its scores are not the paper's: they compare
generators with each other, and nothing else.

`python -m helpers.experiments.residual_judge` trains it in data/cache, goes on where it was
stopped, and writes the weights into the package. On one core an epoch takes some two minutes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from helpers.datasets import TITLES, ImageSet, load
from helpers.datasets.sources import cache
from helpers.experiments.parts import in_folder
from helpers.experiments.protocol import Until
from helpers.models import small_resnet
from helpers.scores.classifiers import Classifier, accuracy
from helpers.scores.one_cycle import OneCycle, train_one_cycle
from helpers.scores.weights import JUDGES, write_judge
from helpers.training import Paused

_PLAN = OneCycle(epochs=30)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the judge is, and what it learns."""

    data: str = "cifar10"  # a name in `helpers.datasets.NAMES`
    width: int = 16  # of `helpers.models.small_resnet`
    blocks: int = 2
    plan: OneCycle = _PLAN
    seed: int = 0


def train(
    setting: Setting,
    *,
    folder: Path | None = None,
    data: Path | str | None = None,
    until: Until | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """A judge with weights rounded to float16, and its accuracy with them on the test images.

    Args:
        setting: what to train.
        folder: for its checkpoint; without it none is written.
        data: folder of data sets, as for `helpers.datasets.load`.
        until: as for `helpers.scores.train_one_cycle`.
        device: where to train.

    Raises:
        ValueError, Paused: as `helpers.scores.train_one_cycle`.
        FileNotFoundError: if images are missing.

    >>> tiny = Setting(data="digits", width=2, blocks=1, plan=OneCycle(epochs=1))
    >>> train(tiny).name
    'ResNet-8 of width 2 on digits'
    """
    images = load(setting.data, root=data)
    net = small_resnet(
        seed=setting.seed,
        width=setting.width,
        blocks=setting.blocks,
        channels=images.images.shape[1],
        classes=len(images.classes),
    )
    net = train_one_cycle(
        net,
        images.images,
        images.labels,
        setting.plan,
        seed=setting.seed,
        checkpoint=in_folder(folder, "judge.pt"),
        until=until,
        device=device,
    )
    rounded(net)
    layers = 6 * setting.blocks + 2
    name = f"ResNet-{layers} of width {setting.width} on {title(images)}"
    held = load(setting.data, "test", root=data)
    return Classifier(net, accuracy(net, held.images, held.labels), name)


def title(images: ImageSet) -> str:
    """A set's name, and whether it is a stand-in.

    >>> title(load("digits"))
    'digits'
    """
    name = TITLES.get(images.name, images.name)
    return name if images.official else f"{name} (stand-in)"


@torch.no_grad()
def rounded(net: nn.Module) -> None:
    """Round a net's weights and buffers to float16, in place."""
    for part in net.state_dict().values():
        if part.is_floating_point():
            part.copy_(part.half())


def main(arguments: list[str] | None = None) -> int:
    """Train the judge, or go on with it, and write its weights."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--folder", type=Path, default=cache() / "judge", help="for its checkpoint")
    ask.add_argument("--data", type=Path, help="folder of data sets")
    ask.add_argument("--to", type=Path, default=JUDGES["cifar10"], help="file for its weights")
    ask.add_argument(
        "--minutes",
        type=float,
        default=float("inf"),
        help="pause after these; the next call goes on",
    )
    ask.add_argument("--device", default="cpu")
    given = ask.parse_args(arguments)
    torch.set_num_threads(1)
    setting, end = Setting(), time.monotonic() + 60 * given.minutes
    options: dict[str, Any] = {"folder": given.folder, "data": given.data, "device": given.device}
    try:
        judge = train(setting, **options, until=lambda: time.monotonic() > end)
    except Paused as paused:
        print(f"{paused}; the same command goes on")
        return 3
    first, last = cast(nn.Conv2d, judge.net[0]), cast(nn.Linear, judge.net[-1])
    sizes = {"width": setting.width, "blocks": setting.blocks}
    sizes |= {"channels": first.in_channels, "classes": last.out_features}
    sha = write_judge(judge.net, sizes, judge.accuracy, judge.name, given.to)
    print(f"{judge.name}: {judge.accuracy:.4f} of the test images are right")
    print(f"{given.to}: {given.to.stat().st_size:,} bytes, SHA-256 {sha}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
