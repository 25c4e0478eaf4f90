"""Bad starts on MNIST (Sun et al. 2020, Section 6): does JS-GAN recover from them as RS-GAN does?

The paper has found a discriminator, not a random one, from which JS-GAN ends at least 30 points of
FID behind RS-GAN at each of six rates, G's and D's alike. Neither how it was found nor the nets are
in the main text: three protocols are readings here, with the narrow CNN of the other experiments.
What prepares a start is the same for both losses, as is all that is drawn after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import torch
from pandas import DataFrame, concat
from torch import Tensor
from torch.optim import SGD
from typing_extensions import Unpack

from helpers.experiments import judges, narrow_setting
from helpers.experiments.ensembles import member_seed
from helpers.experiments.image_training import samples, standard_normal
from helpers.experiments.narrow_ends import end_of, kept_end
from helpers.experiments.narrow_quantities import BY_INCEPTION, gap_by_seed
from helpers.experiments.narrow_setting import LAST
from helpers.experiments.narrow_training import loaded, schedules
from helpers.experiments.narrow_watch import (
    LATENT,
    Player,
    Watch,
    coloured,
    course_of,
    judge_for,
    read,
)
from helpers.experiments.parts import Context, for_member, in_folder
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.experiments.setting import optimizers_for
from helpers.inputs import one_of, whole_number
from helpers.losses.table import find_loss
from helpers.models import Players, sn_cnn
from helpers.models.copying import copied
from helpers.scores import inception
from helpers.training import Diverged, EpochBatches, Recording, TrainingResult, Turns
from helpers.training.train import train as train_players

VERSION = 1
_DRAW = 0  # the seed of the images that are scored
_RELEASED = (5e-4, 2e-4)  # G's and D's rates in the released code, for what prepares a start
_FAILING = (1e-5, 2e-3)  # D ten times as fast, G fifty times as slow
STARTS = ("collapsed", "failed", "separated", "random")


@dataclass(frozen=True, kw_only=True)
class Setting(narrow_setting.Setting):
    """One of the trainings, apart from its length.

    Raises:
        ValueError: as in `narrow_setting.Setting`; for an unknown start and a digit that is none.

    >>> Setting(start="separated").rates
    (0.0001, 0.0001)
    """

    NETS = ("cnn",)

    data: str = "mnist"
    narrow: int = 8
    rates: tuple[float, float] = (1e-4, 1e-4)
    start: str = "random"  # one of `STARTS`
    digit: int = 1  # that a collapsed G draws

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("start", self.start, STARTS)
        whole_number("digit", self.digit, 0, 9)

    def players(self, *, seed: int) -> Players:
        """Both nets before anything is learnt, for images of 32 x 32 pixels in three colours."""
        return sn_cnn(
            seed=seed, narrow=self.narrow, normed=self.normed, released=self.released_start
        )


@dataclass(frozen=True, kw_only=True)
class Size(narrow_setting.Size):
    """How long a training is, how long what comes before it, and how its samples are scored."""

    before: int  # iterations of each training that prepares a start


READINGS = {
    "collapsed G": Reading(
        Setting(start="collapsed"),
        "ours: Section 6 does not say how the discriminator was found; G has learnt a single digit "
        "and D, afterwards, to tell its samples from all digits; both start from there",
        stated=False,
    ),
    "failed run": Reading(
        Setting(start="failed"),
        "ours: as above; both come from a JS-GAN that failed, its D ten times as fast and its G "
        "fifty times as slow as released",
        stated=False,
    ),
    "large margin": Reading(
        Setting(start="separated"),
        "ours: as above; D has learnt to tell the samples of an untrained G, which starts, from "
        "images",
        stated=False,
    ),
}
RATES = (1e-4, 5e-5, 1e-5, 5e-6, 1e-6, 5e-7)  # of the paper's table
_BESIDE = {"": {}, ", random start": {"start": "random"}}
ARMS: dict[str, dict[str, Any]] = {
    f"{loss} {rate:g}{beside}": {"loss": loss, "rates": (rate, rate), **start}
    for rate in RATES
    for beside, start in _BESIDE.items()
    for loss in ("js", "rs")
}
_FAST = [name for name, arm in ARMS.items() if arm["rates"][0] >= 1e-5]
_SLOW = [name for name in ARMS if name not in _FAST]
ARMS |= {BY_INCEPTION + name: {**arm, "judge": inception.SHA} for name, arm in ARMS.items()}
SIZES: Mapping[str, Size] = {
    "quick": Size(
        iterations=12, every=1, earlier=4, samples=100, batch=16, judge_epochs=4, before=8,
        stand_in="digits", faster=4.0,
        lacks="nearly all iterations, and MNIST: scikit-learn's digits stand in",
    ),
    "medium": Size(
        iterations=5_000, every=200, earlier=1_000, samples=5_000, before=1_000, top=2,
        lacks="how long the paper trains is unknown",
    ),
}  # fmt: skip
WANTED = [
    Wanted(("collapsed G",), _FAST, "medium", range(100, 103), "C31 at its three largest rates"),
    Wanted(("failed run", "large margin"), _FAST, "medium", range(3), "other bad starts, screened"),
    Wanted(
        ("collapsed G",),
        _SLOW,
        "medium",
        range(100, 103),
        "C31 at its three smallest rates, which move little in so few iterations",
    ),
    Wanted(
        tuple(READINGS),
        [BY_INCEPTION + name for name in (*_FAST, *_SLOW)],
        "medium",
        range(100, 106),
        "C31 in points of Inception, whose weights it needs; for a GPU",
    ),
]


def _gaps(rows: Rows, beside: str = "") -> DataFrame:
    """JS's Fréchet distance minus RS's, by Inception: a row per seed, a column per rate."""
    found = {}
    for rate in RATES:
        js, rs = (f"{BY_INCEPTION}{loss} {rate:g}{beside}" for loss in ("js", "rs"))
        found[rate] = gap_by_seed(rows, js, rs)
    return concat(found, axis=1, join="inner").fillna(0.0)


def _worst_rs(rows: Rows) -> list[float]:
    own = [rows[f"{BY_INCEPTION}rs {rate:g}"].set_index(["block", "member"]) for rate in RATES]
    both = concat([each["frechet"] for each in own], axis=1, join="inner")
    return both.fillna(inf).max(axis=1).tolist()


def _over_random(rows: Rows) -> list[float]:
    bad, random = _gaps(rows).align(_gaps(rows, ", random start"), join="inner", axis=0)
    return (bad - random).fillna(0.0).median(axis=1).tolist()


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "C31": {
        "smallest_gap": lambda rows: _gaps(rows).min(axis=1).tolist(),
        "worst_rs_fid": _worst_rs,
        "gap_over_random_start": _over_random,
    }
}


@dataclass(frozen=True, eq=False)
class Trained:
    """A GAN after training, and what its start and its end are looked at with."""

    run: TrainingResult
    before: Players  # both nets at the start
    looked: Tensor  # (n, 3, 32, 32) images, of those that it learnt from
    seed: int


def train(
    setting: Setting,
    size: Size,
    *,
    member: int = 0,
    data: Path | str | None = None,
    **how: Unpack[How],
) -> Trained:
    """Train one member of a block from its start, and score its samples along the way.

    Arguments and errors are those of `narrow_training.train`.

    >>> tiny = replace(SIZES["quick"], iterations=2, before=1, batch=5, samples=9, judge_epochs=1)
    >>> train(Setting(start="separated"), tiny, seed=0).run.iterations.tolist()
    [1, 2]
    """
    given = Context(**how)
    number = member_seed(given.seed, member)
    name = size.stand_in or setting.data
    place: dict[str, Any] = {"device": given.device, "folder": given.folder, "data": data}
    if setting.judge:
        judge = judge_for(setting, size, **place)
    else:
        judge = judges.judge_of(name, size.judge_epochs, **place)
    images, held = (loaded(name, split, data) for split in ("train", "test"))
    held = held.subset(min(2 * size.samples, len(held)), seed=_DRAW)
    features, _ = read(judge, coloured(held.images).to(given.device))
    only = images.images[images.labels == setting.digit]
    of_member: How = {**how, "seed": number}
    players = prepared(setting, size, images.images, only, **of_member)
    make_g, make_d = schedules(setting.hurried(size.faster), size.iterations)
    player = Player(make_g, size.decay)
    run = train_players(
        players,
        EpochBatches(
            coloured(images.images),
            latent=LATENT,
            size=size.batch,
            noise=setting.noise,
            seed=number,
        ),
        loss=find_loss(setting.loss),
        optimizer=(player, make_d),
        iterations=size.iterations,
        turns=Turns(first="G"),
        recording=given.recording(
            every=size.every, observe=Watch(judge, features, size, player, number)
        ),
        device=given.device,
    )
    few = images.subset(min(size.looked, len(images)), seed=_DRAW).images
    return Trained(run, players, coloured(few), number)


def prepared(
    setting: Setting,
    size: Size,
    images: Tensor,
    only: Tensor,
    **how: Unpack[How],
) -> Players:
    """Both nets at the start, which depends on the seed and the setting, not on its loss or rates.

    Args:
        setting, size: the start, and how long its trainings are.
        images: (n, 1, 32, 32), to learn from.
        only: (m, 1, 32, 32) images of the digit that a collapsed G draws.
        how: as `helpers.experiments.protocol.How` says, the seed being the member's.

    >>> tiny = replace(SIZES["quick"], before=1, batch=2)
    >>> few, none = torch.zeros(4, 1, 32, 32), torch.ones(2, 1, 32, 32)
    >>> found = prepared(Setting(start="failed"), tiny, few, none, seed=0)
    >>> found.generator[0].in_features
    128
    """
    given = Context(**how)
    G, D = setting.players(seed=given.seed)
    if setting.start == "random":
        return Players(G, D)

    def gan(players: Players, reals: Tensor, rates: tuple[float, float], name: str) -> Players:
        """Both nets after a training under the JS loss; G stays as it is at a rate of zero."""
        told = replace(setting, loss="js", rates=rates).hurried(size.faster)
        make_g, make_d = optimizers_for(told)
        run = train_players(
            players,
            EpochBatches(
                coloured(reals), latent=LATENT, size=min(size.batch, len(reals)), seed=given.seed
            ),
            loss=find_loss("js"),
            optimizer=(make_g if rates[0] else partial(SGD, lr=0.0), make_d),
            iterations=size.before,
            recording=Recording(
                every=size.before,
                checkpoint=in_folder(given.folder, f"{name}.pt"),
                until=given.until,
            ),
            device=given.device,
        )
        return run.players

    if setting.start == "failed":
        return gan(Players(G, D), images, _FAILING, "failed")
    if setting.start == "collapsed":
        G = gan(Players(G, D), only, _RELEASED, "collapsed").generator
    return gan(Players(G, D), images, (0.0, _RELEASED[1]), "alone")


def separation(players: Players, reals: Tensor, *, seed: int) -> dict[str, float]:
    """How well D tells images from as many samples.

    "margin" is D's mean logit of images minus that of samples, "sureness" the share of pairs of an
    image and a sample in which the image has the larger logit.

    >>> found = separation(Setting().players(seed=0), torch.zeros(2, 3, 32, 32), seed=0)
    >>> 0 <= found["sureness"] <= 1
    True
    """
    latents = standard_normal(len(reals), LATENT, seed=seed)
    # Nets that nothing has prepared are on the CPU still, wherever the training was.
    reals = reals.to(next(players.discriminator.parameters(), reals))
    # A copy: each pass through D moves the vectors of its spectral norm.
    D = copied(players.discriminator)
    with torch.no_grad():
        of_samples = D(samples(players.generator, latents).to(reals))
        of_reals = D(reals)
    wins = (of_reals[:, None] > of_samples[None, :]).double()
    return {
        "margin": float(of_reals.mean() - of_samples.mean()),
        "sureness": float(wins.mean()),
    }


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Train the members of a block from their starts, and score their samples.

    "members" has means over the last ten scored nets, by the names of `narrow_watch.Watch`, and of
    the losses, what `separation` says of the start, and of the end point what `narrow_ends.end_of`
    finds, NaN if its spectra are left out; a member that diverged has its iteration in "diverged",
    and no other number. "course" has the scores along the training.

    Raises:
        FileNotFoundError: if images are missing.

    >>> tiny = replace(SIZES["quick"], iterations=2, before=1, batch=5, samples=9, judge_epochs=1)
    >>> measure(Setting(start="collapsed"), tiny, seed=0)["course"]["iteration"].tolist()
    [1, 2]
    """
    members, courses = [], []
    for member in range(size.members):
        about: dict[str, float] = {"member": member, "diverged": 0}
        own = for_member(how, member)
        try:
            trained = train(setting, size, member=member, data=data, **own)
        except Diverged as stop:
            run = stop.run
            members.append(about | {"diverged": stop.iteration})
        else:
            run = trained.run
            last = DataFrame(course_of(run, size)).drop(columns="iteration").tail(LAST).mean()
            start = separation(trained.before, trained.looked, seed=trained.seed)
            of_member: How = {**own, "seed": trained.seed}
            found = kept_end(partial(end, setting, size, trained), setting, size, **of_member)
            members.append(about | last.to_dict() | start | found)
        courses.append(DataFrame({"member": member, **course_of(run, size)}))
    return {"members": DataFrame(members), "course": concat(courses, ignore_index=True)}


def end(setting: Setting, size: Size, trained: Trained) -> dict[str, float]:
    """The spectra at the end of a training, beside the field's norm at the start."""
    return end_of(
        trained.before,
        trained.run.players,
        trained.looked,
        loss=setting.loss,
        seed=trained.seed,
        top=size.top,
    )
