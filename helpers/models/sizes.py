"""Counts of parameters, as Sun et al. 2020 compare them in Table 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from helpers.models.narrow import sn_cnn, sn_resnet
from helpers.models.players import Players

# What the paper prints. It has one bottleneck, which can be read in two ways.
_TABLE: dict[str, tuple[Callable[..., Players], dict[str, float]]] = {
    "CIFAR-10 CNN": (partial(sn_cnn, size=32), {"channel/2": 29.0, "channel/4": 9.2}),
    "STL-10 CNN": (partial(sn_cnn, size=48), {"channel/2": 32.9, "channel/4": 11.9}),
    "CIFAR-10 ResNet": (
        partial(sn_resnet, size=32),
        {"channel/2": 27.5, "channel/4": 10.4, "bottleneck": 16.8, "bottleneck, channel/2": 16.8},
    ),
    "STL-10 ResNet": (
        partial(sn_resnet, size=48),
        {"channel/2": 29.0, "channel/4": 9.2, "bottleneck": 19.2, "bottleneck, channel/2": 19.2},
    ),
}
_VERSIONS: dict[str, dict[str, int]] = {
    "channel/2": {"narrow": 2},
    "channel/4": {"narrow": 4},
    "bottleneck": {"bottleneck": True},
    "bottleneck, channel/2": {"bottleneck": True, "narrow": 2},
}


@dataclass(frozen=True)
class ModelSize:
    """The parameters of a narrow pair as a percentage of the regular pair's."""

    counted: float
    printed: float

    @property
    def deviation(self) -> float:
        """Percentage points between the two, to one decimal."""
        return round(abs(round(self.counted, 1) - self.printed), 1)


def relative_size(players: Players, regular: Players) -> float:
    """The parameters of G and D together as a percentage of the regular pair's.

    This is the "model size" of Sun et al. 2020, Table 2.

    >>> from helpers.models import two_cluster_nets
    >>> regular = two_cluster_nets(seed=0, widths=(20, 10))
    >>> round(relative_size(two_cluster_nets(seed=0), regular), 1)
    30.1
    """
    count, of = (
        sum(each.numel() for net in pair for each in net.parameters())
        for pair in (players, regular)
    )
    return 100 * count / of


def model_sizes() -> dict[tuple[str, str], ModelSize]:
    """Every size in Table 2 of Sun et al. 2020, counted and printed, by net and version.

    The bottlenecks come in two readings, with the regular numbers of channels outside the blocks
    and with half of them; the paper prints one number. All pairs are built, which takes seconds.

    >>> model_sizes()["CIFAR-10 ResNet", "bottleneck, channel/2"]
    ModelSize(counted=16.8..., printed=16.8)
    """
    sizes = {}
    for net, (make, versions) in _TABLE.items():
        regular = make(seed=0)
        for version, printed in versions.items():
            counted = relative_size(make(seed=0, **_VERSIONS[version]), regular)
            sizes[net, version] = ModelSize(counted, printed)
    return sizes
