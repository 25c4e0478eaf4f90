"""Peak memory of products by one route: `python -m tests.benchmarks.peak ROUTE PLAYER VECTORS`.

Prints the most that the process held above what it held after one gradient, in MB (2**20 bytes),
from the kernel's own count, which is of a whole process: hence one for each route.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from helpers.models import dcgan
from helpers.operators import hessian, jacobian
from tests.benchmarks.peers import double_backward
from tests.benchmarks.workload import Gan, held

# Blocks of any size are given back at once: what is free but held would count.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
_STATUS = Path("/proc/self/status")


def main(route: str, player: str, vectors: int) -> None:
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(64, 100, generator=random)
    workload = Gan(held(dcgan(seed=0)), latents, torch.rand(64, 1, 32, 32, generator=random))
    workload.gradient(player)()
    gc.collect()
    before = kilobytes("VmRSS")
    work(workload, route, player, vectors)
    print(round((kilobytes("VmHWM") - before) / 1024))


def work(workload: Gan, route: str, player: str, vectors: int) -> None:
    """Three products, of so many vectors at once."""
    if route == "GradVis":
        closure, net = workload.closure(player), workload.nets["GD".index(player)]
        n = sum(weight.numel() for weight in net.parameters())
        for _ in range(3):
            double_backward(closure, [*net.parameters()], torch.ones(n).numpy())
        return
    game, omega = workload.game, workload.omega
    own = (game, omega) if player == "J" else (game, player, omega)
    operator = (jacobian if player == "J" else hessian)(*own, route=route)
    U = torch.ones(operator.shape[0], vectors)
    for _ in range(3):
        operator.matmat(U) if vectors > 1 else operator.matvec(U[:, 0])


def peak_above(work: Callable[[], object], device: torch.device | str = "cpu") -> float:
    """The most that some work holds above what there was before, in MB (2**20 bytes).

    On a CUDA device torch's own count; else the kernel's of this process, whose mark is reset. A
    process whose free memory is to be given back at once starts with `GIVE_BACK` in its
    environment.
    """
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = kilobytes("VmRSS")
    work()
    return (kilobytes("VmHWM") - before) / 1024


def kilobytes(name: str) -> int:
    """A count of the kernel's about this process, such as VmRSS."""
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise RuntimeError(f"the kernel does not count {name}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
