"""What narrow nets on images are trained with (Sun et al. 2020, Section 6), and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from helpers.datasets import NAMES
from helpers.experiments import protocol
from helpers.experiments.setting import TrainingSetting
from helpers.inputs import one_of
from helpers.models import Players, sn_cnn, sn_dcgan, sn_resnet
from helpers.models.narrow import NARROW

LAST = 10  # scored nets over which a run's numbers are averaged: one net's distance moves too much
_SIDES = {"stl10": 48, "stl10-unlabeled": 48, "lsun-church": 256, "lsun-tower": 256}
_DRAWN = 20_000  # images of a scene of LSUN; as float32 they are 16 GB


@dataclass(frozen=True, kw_only=True)
class Setting(TrainingSetting):
    """One of the trainings, apart from its length.

    Raises:
        ValueError: as in `TrainingSetting`; for unknown nets and data, a width that leaves no whole
            channels, a bottleneck in the CNN, and a ResNet without spectral norm or for LSUN.

    >>> Setting(narrow=4).players(seed=0).generator[0].out_features
    2048
    """

    METHODS = ("adam",)
    NUDGED = ()
    NETS: ClassVar[tuple[str, ...]] = ("cnn", "resnet")

    data: str = "cifar10"  # a name in `helpers.datasets.NAMES`
    nets: str = "cnn"  # or "resnet"
    narrow: int = 1  # divides all numbers of channels
    bottleneck: bool = False  # of the ResNet's blocks
    normed: bool = True  # spectral norm in D
    released_start: bool = True  # first weights as released; otherwise torch's own
    rates: tuple[float, float] = (5e-4, 2e-4)
    beta: float = 0.5
    critics: int = 1  # steps of D for one of G
    noise: float = 1 / 128  # width of the uniform noise on real images
    falls: bool = True  # whether rates fall linearly to zero over the second half
    judge: str = ""  # SHA-256 of the weights of the net that scores samples

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("nets", self.nets, self.NETS)
        one_of("data", self.data, NAMES)
        if self.narrow not in NARROW:
            wanted = f"narrow is one of {NARROW}, which leave whole channels"
            raise ValueError(f"{wanted}, got {self.narrow}")
        if self.nets != "resnet" and self.bottleneck:
            raise ValueError(
                f"bottleneck is of the ResNet's blocks, got nets={self.nets!r} with one"
            )
        if self.nets == "resnet" and not self.normed:
            raise ValueError("the ResNet has spectral norm in D, got normed=False")
        if self.nets == "resnet" and self.side == 256:
            raise ValueError(f"the ResNet makes images of 32 or 48 pixels, and {self.data} has 256")

    @property
    def side(self) -> int:
        """Height and width of the images in pixels: 48 of STL-10, 256 of LSUN, otherwise 32.

        >>> Setting(data="stl10").side
        48
        """
        return _SIDES.get(self.data, 32)

    @property
    def most(self) -> int | None:
        """How many images are drawn to learn from, where all do not fit in memory.

        >>> Setting(data="lsun-tower").most
        20000
        """
        return _DRAWN if self.side == 256 else None

    def players(self, *, seed: int) -> Players:
        """Both nets before training, for images of the set's size in three colours."""
        options: dict[str, Any] = {
            "seed": seed,
            "narrow": self.narrow,
            "released": self.released_start,
        }
        if self.side == 256:
            return sn_dcgan(normed=self.normed, **options)
        options["size"] = self.side
        if self.nets == "cnn":
            return sn_cnn(normed=self.normed, **options)
        return sn_resnet(bottleneck=self.bottleneck, **options)


@dataclass(frozen=True, kw_only=True)
class Size(protocol.Size):
    """How long a training is, and how closely its samples are looked at."""

    iterations: int
    every: int  # iterations between the scored nets at the end
    earlier: int  # and before them, a multiple of `every`
    samples: int  # of a net, to score
    batch: int = 64
    looked: int = 100  # images on which the end point is analysed
    top: int = 0  # leading eigenvalues there; 0 leaves its spectra out
    narrower: int = 1  # divides the setting's channels once more
    judge_epochs: int = 20  # of the LeNet that judges a stand-in
    stand_in: str = ""  # a set of images in place of the setting's, with a judge of its own
    faster: float = 1.0  # factor on the setting's rates

    @property
    def decay(self) -> float:
        """Of the running average of G's weights: the release's 0.9999 at 100,000 iterations."""
        return 1 - 10 / max(self.iterations, 11)

    @property
    def scored(self) -> list[int]:
        """(k,) iterations after which nets are scored; over the last ten a run is averaged.

        >>> Size(iterations=100, every=5, earlier=20, samples=9, lacks="most").scored[:3]
        [20, 40, 55]
        """
        last = {self.iterations - self.every * back for back in range(LAST)}
        return sorted(
            {i for i in last if i > 0} | set(range(self.earlier, min(last), self.earlier))
        )
