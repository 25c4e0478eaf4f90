"""Two digits, one of them rare (Sun et al. 2020, Section 6): is the rare one learnt, and kept?

The released code takes all sevens of MNIST and a fifth of its fives. Nets and length for them were
not released: here the nets are those of its other experiments, narrow enough for many seeds. The
rest is as in `narrow_training`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pandas import DataFrame, concat
from torch import Tensor
from typing_extensions import Unpack

from helpers.analysis.coverage import arrivals
from helpers.datasets import ImageSet
from helpers.experiments import judges, narrow_setting, protocol
from helpers.experiments.ensembles import difference, log_ratio, member_seed, paired
from helpers.experiments.image_training import samples, standard_normal
from helpers.experiments.narrow_ends import end_of, kept_end
from helpers.experiments.narrow_setting import LAST
from helpers.experiments.narrow_training import loaded, schedules
from helpers.experiments.narrow_watch import LATENT, coloured
from helpers.experiments.parts import Context, for_member
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.inputs import real_number, whole_number
from helpers.losses.table import find_loss
from helpers.models import Players, dcgan, dense_image_nets, sn_cnn
from helpers.scores.classifiers import Classifier
from helpers.scores.metrics import MODE_SHARE, class_counts
from helpers.training import Diverged
from helpers.training.data import EpochBatches
from helpers.training.single import TrainingResult
from helpers.training.train import train as train_players
from helpers.training.turns import Turns

VERSION = 1
_DRAW = 0  # the seed of the few images that are kept: all members learn the same ones


@dataclass(frozen=True, kw_only=True)
class Setting(narrow_setting.Setting):
    """One of the trainings, apart from its length.

    Raises:
        ValueError: as in `narrow_setting.Setting`; for digits that are the same or none, and a
            share of the rare one's images outside (0, 1].

    >>> Setting(nets="dense").players(seed=0).generator[0].in_features
    128
    """

    NETS = ("cnn", "dcgan", "dense")

    data: str = "mnist"
    narrow: int = 8
    common: int = 7  # the digit of which all images are learnt
    rare: int = 5
    share: float = 0.2  # of the rare one's images that are learnt

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("common", "rare"):
            whole_number(name, getattr(self, name), 0, 9)
        if self.common == self.rare:
            raise ValueError(f"two digits are learnt, got {self.common} twice")
        if real_number("share", self.share, above=0) > 1:
            raise ValueError(f"share is at most 1, got {self.share}")

    @property
    def channels(self) -> int:
        """Of the images: the released CNN is for three colours."""
        return 3 if self.nets == "cnn" else 1

    def players(self, *, seed: int) -> Players:
        """Both nets before training, for images of 32 x 32 pixels."""
        width = 64 // self.narrow
        if self.nets == "cnn":
            return sn_cnn(
                seed=seed, narrow=self.narrow, normed=self.normed, released=self.released_start
            )
        if self.nets == "dcgan":
            return dcgan(seed=seed, latent=LATENT, width=width, normed=self.normed)
        return dense_image_nets(seed=seed, latent=LATENT, width=8 * width)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How long a training is, and how often its samples are counted."""

    iterations: int
    every: int  # iterations between counts
    samples: int  # that are counted
    batch: int = 64
    judge_epochs: int = 20
    stand_in: str = ""  # a set of images in place of the setting's
    faster: float = 1.0  # factor on the setting's rates
    looked: int = 100  # images on which the end point is analysed
    # Leading eigenvalues there; 0 leaves its spectra out. The default is not 0, so that a medium
    # run has the key that it had before there were any: older ones lack these columns.
    top: int = 2


READINGS = {
    name: Reading(setting, f"ours: nets for MNIST were not released; {what}", stated=False)
    for name, setting, what in (
        ("cnn", Setting(), "the CNN of other experiments, an eighth as wide"),
        ("dcgan", Setting(nets="dcgan", narrow=4), "a DCGAN with spectral norm"),
        ("dense", Setting(nets="dense", narrow=4), "fully connected, as many simple GANs are"),
    )
}
ARMS: dict[str, dict[str, Any]] = {
    f"{loss} {few}:1": {"loss": loss, "share": 1 / few}
    for few in (5, 10, 20)
    for loss in ("js", "rs")
}
SIZES: Mapping[str, Size] = {
    "quick": Size(
        iterations=40, every=4, samples=100, batch=16, judge_epochs=4, stand_in="digits",
        faster=4.0, top=0,
        lacks="nearly all iterations, and MNIST: scikit-learn's digits stand in",
    ),
    "medium": Size(
        iterations=5_000, every=100, samples=1_000, lacks="how long the paper trains is unknown"
    ),
}  # fmt: skip
WANTED = [
    Wanted(
        ("cnn",),
        ["js 5:1", "rs 5:1"],
        "medium",
        range(100, 110),
        "C30's MNIST half, at the released imbalance",
    ),
    Wanted(("dcgan", "dense"), ["js 5:1", "rs 5:1"], "medium", range(3), "other nets, screened"),
    Wanted(
        ("cnn",),
        ["js 10:1", "rs 10:1", "js 20:1", "rs 20:1"],
        "medium",
        range(100, 103),
        "does the gap grow with the imbalance? Beyond what was released",
    ),
]
_PAIR = ("js 5:1", "rs 5:1")  # at the released imbalance
_RIGHT = 0.05  # a share this near the true one is right


def _errors(rows: Rows) -> DataFrame:
    """How far either's share is from the true one; 1, the farthest, where there is no share.

    JS is "one", RS the "other".
    """
    return paired(rows, *_PAIR, "excess").abs().fillna(1.0)


def _other_is_right(rows: Rows) -> list[int]:
    lost = paired(rows, *_PAIR, "lost")["one"] > 0
    right = _errors(rows)["other"] <= _RIGHT
    # The claim is that JS loses it: where no pair shows that, each one speaks against the claim.
    return (right[lost] if lost.any() else right & False).astype(int).tolist()


def _nearer(rows: Rows) -> list[float]:
    errors = _errors(rows)
    return (errors["one"] - errors["other"]).tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "C30-2": {
        "js_loses_five_alone": lambda rows: difference(rows, *_PAIR, "lost"),
        "js_loses_rs_is_right_mnist": _other_is_right,
        "rs_error_mnist": lambda rows: _errors(rows)["other"].tolist(),
    },
    "R21": {
        "pairing_is_nearer": _nearer,
        "pairing_is_sooner": lambda rows: log_ratio(rows, *_PAIR, "lasting").tolist(),
    },
}


@dataclass(frozen=True)
class Counts:
    """What is recorded: the shares of samples that a judge takes for either digit.

    Args:
        judge: a classifier of digits.
        setting: which digits.
        samples: how many are counted.
        seed: of the latents.
    """

    judge: Classifier
    setting: Setting
    samples: int
    seed: int = 0

    def __call__(self, players: Players) -> dict[str, float]:
        latents = standard_normal(self.samples, LATENT, seed=self.seed)
        drawn = samples(players.generator, latents).mean(dim=1, keepdim=True)
        counts = class_counts(self.judge, drawn).double() / self.samples
        names = {"rare": self.setting.rare, "common": self.setting.common}
        return {name: float(counts[digit]) for name, digit in names.items()}


def uneven(found: ImageSet, setting: Setting) -> tuple[Tensor, float]:
    """Images of all of the common digit and some of the rare one, and the rare one's share.

    >>> from helpers.datasets import load
    >>> images, share = uneven(load("digits"), Setting(share=0.2))
    >>> len(images), round(share, 3)
    (173, 0.168)
    """
    common = found.images[found.labels == setting.common]
    rare = found.images[found.labels == setting.rare]
    stream = torch.Generator().manual_seed(_DRAW)
    few = torch.randperm(len(rare), generator=stream, device="cpu")
    few = few[: max(round(setting.share * len(rare)), 1)]
    images = torch.cat([common, rare[few]])
    return images, len(few) / len(images)


def train(
    setting: Setting,
    size: Size,
    *,
    member: int = 0,
    data: Path | str | None = None,
    **how: Unpack[How],
) -> tuple[TrainingResult, float]:
    """Train one member of a block, counting its samples; and the true share of the rare digit.

    Arguments and errors are those of `narrow_training.train`.

    >>> tiny = Size(iterations=2, every=1, samples=9, batch=5, judge_epochs=1, lacks="most",
    ...     stand_in="digits", top=0)
    >>> run, true = train(Setting(), tiny, seed=0)
    >>> run.records["rare"].shape
    (2,)
    """
    given = Context(**how)
    number = member_seed(given.seed, member)
    name = size.stand_in or setting.data
    judge = judges.judge_of(
        name, size.judge_epochs, device=given.device, folder=given.folder, data=data
    )
    images, true = uneven(loaded(name, "train", data), setting)
    run = train_players(
        setting.players(seed=number),
        EpochBatches(
            coloured(images) if setting.channels == 3 else images,
            latent=LATENT,
            size=size.batch,
            noise=setting.noise,
            seed=number,
        ),
        loss=find_loss(setting.loss),
        optimizer=schedules(setting.hurried(size.faster), size.iterations),
        iterations=size.iterations,
        turns=Turns(first="G"),
        recording=given.recording(
            every=size.every,
            observe=Counts(judge, setting, size.samples, number),
        ),
        device=given.device,
    )
    return run, true


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Train the members of a block, and follow the rare digit.

    "members" has the columns of `row_of`, and of the end point what `narrow_ends.end_of` finds, NaN
    if its spectra are left out; the first runs on record lack these. A member that diverged has its
    iteration in "diverged", counts as one that has "lost" the digit, which is there for good at the
    end only, and has no other number. "course" has the shares along the training.

    Raises:
        FileNotFoundError: if images are missing.

    >>> tiny = Size(iterations=2, every=1, samples=9, batch=5, judge_epochs=1, lacks="most",
    ...     stand_in="digits", top=0)
    >>> measure(Setting(), tiny, seed=0)["course"]["iteration"].tolist()
    [1, 2]
    """
    members, courses = [], []
    for member in range(size.members):
        about: dict[str, float] = {"member": member, "diverged": 0}
        own = for_member(how, member)
        try:
            run, true = train(setting, size, member=member, data=data, **own)
        except Diverged as stop:
            run = stop.run
            gone = {"diverged": stop.iteration, "lost": 1.0, "lasting": float(size.iterations)}
            members.append(about | gone)
        else:
            row = row_of(run.iterations, run.records, true, size.iterations)
            of_member: How = {**own, "seed": member_seed(own["seed"], member)}
            find = partial(
                end, setting, size, run.players, looked(setting, size, data), of_member["seed"]
            )
            members.append(about | row | kept_end(find, setting, size, **of_member))
        courses.append(DataFrame({"member": member, "iteration": run.iterations, **run.records}))
    return {"members": DataFrame(members), "course": concat(courses, ignore_index=True)}


def looked(setting: Setting, size: Size, data: Path | str | None = None) -> Tensor:
    """A few of the images that are learnt, drawn once and for all, as the nets take them.

    Raises:
        FileNotFoundError: if images are missing.

    >>> looked(Setting(), SIZES["quick"]).shape
    torch.Size([100, 3, 32, 32])
    """
    images, _ = uneven(loaded(size.stand_in or setting.data, "train", data), setting)
    stream = torch.Generator().manual_seed(_DRAW)
    few = images[torch.randperm(len(images), generator=stream, device="cpu")[: size.looked]]
    return coloured(few) if setting.channels == 3 else few


def end(
    setting: Setting, size: Size, players: Players, reals: Tensor, seed: int
) -> dict[str, float]:
    """The spectra at the end of a member's training, whose seed is given, on a few images.

    >>> spectra = end(Setting(), SIZES["quick"], Setting().players(seed=0), torch.zeros(2), 0)
    >>> "leftmost" in spectra
    True
    """
    before = setting.players(seed=seed)
    return end_of(before, players, reals, loss=setting.loss, seed=seed, top=size.top)


def row_of(
    iterations: np.ndarray, records: Mapping[str, np.ndarray], true: float, end: int
) -> dict[str, float]:
    """What became of the rare digit.

    "rare" and "common" are mean shares of samples over the last ten counts, "proportion" is the
    rare one's part of both, "true" its share of the images, "excess" the proportion minus that. A
    judge takes every sample for some digit, so that blur may count as either, or as another one.

    The digit is there where it has a hundredth of the samples: "first" is the first such iteration,
    "lasting" the one from which it is there for good (the end, if there is none), "kept" the share
    of counts from the first on in which it was there, "there" the same for the last ten, and it is
    "lost" (1, else 0) if its mean share over those is no more. The losses are means over them, too.

    >>> counts = {"rare": np.array([0.0, 0.2, 0.0, 0.2]), "common": np.full(4, 0.9)}
    >>> found = row_of(np.arange(1, 5), counts, 0.1, 4)
    >>> found["first"], found["lasting"], round(found["kept"], 3), round(found["excess"], 3)
    (2.0, 4.0, 0.667, 0.0)
    """
    rare, common = records["rare"], records["common"]
    parts = float(rare[-LAST:].mean()), float(common[-LAST:].mean())
    proportion = parts[0] / sum(parts) if sum(parts) else float("nan")
    losses = {name: each for name, each in records.items() if name.startswith("loss")}
    there = rare >= MODE_SHARE
    (first,), (lasting,) = arrivals(there[:, None], iterations, end)
    return {
        **{name: float(each[-LAST:].mean()) for name, each in losses.items()},
        "rare": parts[0],
        "common": parts[1],
        "proportion": proportion,
        "true": true,
        "excess": proportion - true,
        "first": float(first),
        "lasting": float(lasting),
        "lost": float(parts[0] <= MODE_SHARE),
        "kept": float(there[iterations >= first].mean()) if there.any() else 0.0,
        "there": float(there[-LAST:].mean()),
    }
