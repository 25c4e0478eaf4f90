"""What the parts of `make bench-gpu` share: how much is done, what came out, and the DCGAN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from helpers.models import dcgan
from helpers.operators import Operator, hessian, jacobian
from tests.benchmarks.record import Rows
from tests.benchmarks.workload import Gan, held, images

LATENT = 100  # of the DCGAN


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    iterations: int = 300  # of a job
    jobs: int = 8
    width: int = 64  # of the DCGAN
    rate: tuple[int, int] = (100, 1100)  # iterations between which a training's rate is taken
    block: int = 64  # two-cluster GANs
    block_iterations: int = 200
    images: int = 64  # of products
    repeats: int = 20
    steps: int = 40
    probes: int = 8
    compiled: bool = True


TOY = Scale(
    iterations=4, jobs=2, width=2, rate=(2, 5), block=2, block_iterations=4, images=8, repeats=2,
    steps=4, probes=2, compiled=False,
)  # fmt: skip


@dataclass
class Bench:
    """What all parts share."""

    device: str
    toy: bool
    scale: Scale
    end: float  # of the time, by `perf_counter`
    rows: Rows
    skipped: list[str]

    def has_time(self, what: str, seconds: float) -> bool:
        """Whether so much of the time is left; else this is noted."""
        if self.toy or perf_counter() + seconds < self.end:
            return True
        self.skipped.append(f"{what}: out of time")
        return False


def image_gan(bench: Bench) -> Gan:
    """The DCGAN on fixed data, with norms as products want them."""
    nets = held(dcgan(seed=0, width=bench.scale.width, latent=LATENT))
    random = torch.Generator().manual_seed(1)
    latents = torch.randn(bench.scale.images, LATENT, generator=random).to(bench.device)
    on = tuple(net.to(bench.device) for net in nets)
    return Gan((on[0], on[1]), latents, images()[1][: bench.scale.images].to(bench.device))


def operator_of(workload: Gan, player: str) -> Operator:
    if player == "J":
        return jacobian(workload.game, workload.omega)
    return hessian(workload.game, player, workload.omega)


def attempt(bench: Bench, what: str, make: Callable[[], Any]) -> Any:
    """What is made, or None, noted, where the device or torch cannot."""
    try:
        return make()
    except RuntimeError as error:
        bench.skipped.append(f"{what}: {' '.join(str(error).split())[:200]}")
        return None


def repeated_calls(work: Callable[[], object], count: int) -> None:
    for _ in range(count):
        work()
