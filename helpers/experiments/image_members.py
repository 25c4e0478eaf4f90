"""One member of the image experiments: its setting, its training, and what is measured on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from typing_extensions import Unpack

from helpers.datasets import load
from helpers.experiments import image_training, judges
from helpers.experiments.ensembles import member_seed
from helpers.experiments.image_ends import (
    Found,
    Looking,
    along,
    best_of,
    densities_of,
    end_of,
    path_of,
    samples_of,
)
from helpers.experiments.image_training import TrainedGan, milestones, train_images
from helpers.experiments.parts import Context, in_folder, kept
from helpers.experiments.protocol import How, Size
from helpers.inputs import one_of
from helpers.scores import load_released_lenet
from helpers.training.train import Diverged

COUNTED = ("updates", "passes")


@dataclass(frozen=True, kw_only=True)
class Setting(image_training.Setting):
    """A training, what it learns from, and how the paper counts its length.

    Raises:
        ValueError: as in `TrainingSetting`, for an unknown `counted`, and for a released judge of
            other images than MNIST.

    >>> Setting(data="cifar10").method
    'extra-adam'
    """

    data: str = "mnist"  # a name in `helpers.datasets.NAMES`
    counted: str = "updates"  # or "passes", of which ExtraAdam makes two per update
    judge: str = ""  # first digits of the SHA-256 of released weights; "" for a LeNet of our own

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("counted", self.counted, COUNTED)
        if self.judge and self.data != "mnist":
            raise ValueError(f"the released judge is one of mnist, got images of {self.data!r}")

    @property
    def passes_each(self) -> int:
        """Passes of D in what is counted: two in an update of ExtraAdam.

        >>> Setting().passes_each
        2
        """
        return 2 if self.counted == "updates" and self.method == "extra-adam" else 1


@dataclass(frozen=True, kw_only=True)
class ImageSize(Size, Looking):
    """How much is trained, and how closely the GAN is looked at."""

    iterations: tuple[int, int]  # of D under NSGAN and under WGAN-GP; see `Setting.counted`
    kept: int = 40  # nets along the training, in equal steps, whose samples are scored
    width: int = 64
    latent: int = 100
    judge_epochs: int = 60
    stand_in: str = ""  # a set of images in place of the setting's
    faster: float = 1.0  # factor on the setting's rates
    least_score: float = 0.0  # score on MNIST below which a run's best net decides nothing


@dataclass(frozen=True)
class Schedule:
    """Iterations of the training, each a pass of G and some of D, after which nets are kept."""

    length: int
    stages: Sequence[int]  # iterations whose samples are scored
    first: int  # the end of the first epoch, rounded up to an even iteration


def schedule(setting: Setting, size: ImageSize, images: int) -> Schedule:
    """When nets are kept in a training on this number of images.

    >>> schedule(Setting(), ImageSize(iterations=(90, 200), lacks="most"), 60_000).length
    180
    """
    length = size.iterations["wgan" in setting.loss] // setting.critics
    length *= setting.passes_each
    epoch = images // size.batch // setting.critics
    stages = [stage for stage in milestones(length, size.kept) if stage] or [length]
    return Schedule(length, stages, min(epoch + epoch % 2, length))


def train(
    setting: Setting,
    size: ImageSize,
    *,
    member: int = 0,
    data: Path | str | None = None,
    **how: Unpack[How],
) -> TrainedGan:
    """Train one member of a block.

    Args:
        setting, size: what, and how much.
        member: the member's number.
        data: folder of data sets, as for `helpers.datasets.load`.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        Diverged, Paused: as in `train_images`.

    >>> tiny = ImageSize(iterations=(1, 1), width=2, batch=5, stand_in="digits", lacks="most")
    >>> sorted(train(Setting(), tiny, seed=0).run.snapshots)
    [0, 2]
    """
    given = Context(**how)
    images = load(size.stand_in or setting.data, root=data).images
    when = schedule(setting, size, len(images))
    return train_images(
        setting.hurried(size.faster),
        images,
        when.length,
        seed=member_seed(given.seed, member),
        width=size.width,
        latent=size.latent,
        batch=size.batch,
        recording=given.recording(
            snapshots={0, when.first, *when.stages},
        ),
        device=given.device,
    )


def is_sound(gan: TrainedGan, iteration: int) -> bool:
    """Whether the nets after an iteration were kept, with weights that are finite throughout."""
    states = gan.run.snapshots.get(iteration, [])
    values = [value for state in states for value in state.values()]
    return bool(values) and all(bool(value.isfinite().all()) for value in values)


def look(
    setting: Setting,
    size: ImageSize,
    *,
    member: int,
    data: Path | str | None = None,
    **how: Unpack[How],
) -> Found:
    """Numbers and courses of one member: what `image_ends` finds, and how long it lasted.

    The end point is the kept net whose samples score best, and paths lead to the best few, as in
    the paper (Section 5.1, Appendix C.3).

    Arguments and errors are those of `train`, but a member that diverges has numbers, too: those of
    the nets kept before, as the paper reads the best net, which need not be the last one; how long
    it lasted is all that there is of one that diverges before any was kept.

    >>> tiny = ImageSize(iterations=(1, 1), width=2, batch=5, stand_in="digits", lacks="most")
    >>> wild = Setting(rates=(1e30, 1e30))
    >>> look(wild, tiny, seed=0, member=0, device="cpu")["numbers"]["diverged"] > 0
    True
    """
    given = Context(**how)
    name = size.stand_in or setting.data
    reals, held = (load(name, split, root=data) for split in ("train", "test"))
    when, number = schedule(setting, size, len(reals)), member_seed(given.seed, member)
    numbers = {"images": float(len(reals)), "official": float(reals.official), "diverged": 0.0}
    numbers["passes"] = float(when.length * setting.critics)
    # Before the training, or missing weights would show only after it.
    released = load_released_lenet(sha=setting.judge) if setting.judge and name == "mnist" else None
    try:
        gan = train(setting, size, member=member, data=data, **how)
    except Diverged as end:
        numbers["diverged"] = float(end.iteration)
        numbers["passes"] = float(end.iteration * setting.critics)
        gan = TrainedGan(setting.hurried(size.faster), size.latent, end.run)
    # Of D, as they are counted.
    numbers["iterations"] = numbers["passes"] / setting.passes_each
    stages = [stage for stage in when.stages if is_sound(gan, stage)]
    if not stages:
        return {"numbers": numbers}
    judge = released or judges.judge_of(
        name,
        size.judge_epochs,
        device=given.device,
        folder=given.folder,
        data=data,
        until=given.until,
    )
    looked, on_path = (
        reals.subset(min(count, len(reals)), seed=number).images.to(given.device)
        for count in (size.looked, size.on_path)
    )
    run = {"setting": repr(setting), "size": repr(size), "seed": number}
    samples = partial(samples_of, gan, judge, held, stages, seed=number)
    found = kept(samples, in_folder(given.folder, "samples.pt"), run, given.until)
    numbers |= found["numbers"] | {"least": size.least_score if setting.data == "mnist" else 0.0}
    ends = best_of(stages, found["scores"]["score"], size.ends)
    looks: dict[str, Callable[[], Found]] = {
        "path": partial(path_of, gan, on_path, ends, when.first, size, seed=number),
        "end": partial(end_of, gan, ends[0], looked, size, seed=number),
        "along": partial(along, gan, stages, looked, size, seed=number),
        "densities": partial(densities_of, gan, ends[0], looked, size, seed=number),
    }
    for part, of in looks.items():
        found |= (here := kept(of, in_folder(given.folder, f"{part}.pt"), run, given.until))
        numbers |= here["numbers"]
    return found | {"numbers": numbers}
