"""Small trainings one alone, as processes side by side, and as one batched ensemble.

A job is a training from its start, set-up included, of a kind below. Every way to do eight of them
does the same jobs, and a job's weights afterwards are compared with those of the job alone.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter, time

import torch
from torch import Tensor

from helpers.experiments.two_cluster_training import Setting, Size
from helpers.experiments.two_cluster_training import train as train_two_clusters
from helpers.losses.table import LOSSES
from helpers.models import Players, dcgan, dense_image_nets, sn_cnn
from helpers.training.data import EpochBatches, Members
from helpers.training.train import train, train_ensemble
from tests.benchmarks.record import wait
from tests.benchmarks.workload import images

ADAM = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
BATCH, POINTS = 64, 1000
_PATIENCE = 120  # seconds for all processes to be ready


@dataclass(frozen=True)
class Kind:
    """A kind of training: networks by seed, and the dimension of their latents."""

    make: Callable[[int], Players]
    latent: int
    channels: int = 1


def kinds(toy: bool) -> dict[str, Kind]:
    """The narrow CNN of Sun et al. (C), and the networks of Durall et al. (A)."""
    width = 2 if toy else 64
    return {
        "C's CNN/4": Kind(_cnn if not toy else _tiny_cnn, 128, 3),
        "A's DCGAN": Kind(partial(_dcgan, width), 100),
        "A's dense nets": Kind(partial(_dense, 2 if toy else 128), 100),
    }


def alone(kind: Kind, iterations: int, device: str, seed: int) -> Tensor:
    """One job: G's first weights afterwards, on the CPU."""
    reals = images()[1][:POINTS].expand(-1, kind.channels, -1, -1)
    run = train(
        kind.make(seed), EpochBatches(reals, latent=kind.latent, size=BATCH, seed=seed),
        loss=LOSSES["js"], optimizer=ADAM, iterations=iterations, device=device,
    )  # fmt: skip
    wait()
    return next(run.players.generator.parameters()).detach().cpu()


def ensemble(kind: Kind, iterations: int, device: str, members: int) -> Tensor:
    """So many jobs as one batched training: the first member's weights. Not for nets with buffers.

    It draws batches in another way than `train`: what is to be compared is an ensemble of one.
    """
    reals = images()[1][:POINTS].expand(members, -1, kind.channels, -1, -1)
    drawn = torch.randn(1, POINTS, kind.latent, generator=torch.Generator().manual_seed(0))
    run = train_ensemble(
        Members(
            [kind.make(seed) for seed in range(members)], drawn.expand(members, -1, -1), reals,
            batch_with_replacement=BATCH,
        ),
        loss=LOSSES["js"], optimizer=ADAM, iterations=iterations, device=device,
    )  # fmt: skip
    wait()
    return next(iter(run.generators.parameters.values()))[0].detach().cpu()


def two_clusters(members: int, iterations: int, device: str, seed: int) -> Tensor:
    """A block of two-cluster GANs: their losses at the end."""
    size = Size(members=members, iterations=iterations, lacks="all but the start")
    found = train_two_clusters(Setting("js"), size, seed=seed, device=device)
    return torch.from_numpy(found.loss[-1])


Job = Callable[[int, str, int], Tensor]  # iterations, device, seed


@dataclass(frozen=True)
class Timed:
    """Jobs that were done, by seed, and the seconds of all of them together."""

    seconds: float
    results: dict[int, Tensor]


def one_alone(job: Job, iterations: int, device: str) -> Timed:
    """A job in this process, after a short one that loads what it needs."""
    job(2, device, 0)
    begin = perf_counter()
    found = job(iterations, device, 0)
    return Timed(perf_counter() - begin, {0: found})


def as_processes(job: Job, iterations: int, device: str, count: int) -> Timed:
    """The job with so many seeds, each in a process of its own, all begun at once.

    The seconds are those from the first beginning to the last end; processes start, and do a short
    job, before.
    """
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    processes = [
        context.Process(target=_child, args=(job, iterations, device, seed, barrier, results))
        for seed in range(count)
    ]
    for each in processes:
        each.start()
    try:
        found = [results.get(timeout=_PATIENCE) for _ in range(count)]
        failed = [said for *_, said in found if isinstance(said, str)]
        if failed:
            raise RuntimeError(f"a training side by side failed: {failed[0]}")
    finally:
        for each in processes:
            each.join(10)
            if each.is_alive():
                each.terminate()
    seconds = max(end for _, _, end, _ in found) - min(begin for _, begin, _, _ in found)
    return Timed(seconds, {seed: torch.tensor(result) for seed, _, _, result in found})


def _child(job, iterations, device, seed, barrier, results) -> None:
    try:
        torch.set_num_threads(1)
        job(2, device, seed)
        barrier.wait(_PATIENCE)
        begin = time()
        found = job(iterations, device, seed)
        results.put((seed, begin, time(), found.tolist()))
    except Exception as error:
        results.put((seed, 0.0, 0.0, f"{type(error).__name__}: {error}"))
        barrier.abort()


def job_of(kind: Kind) -> Job:
    """A kind's trainings as jobs."""
    return partial(alone, kind)


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest number of the other."""
    return float((one - other).abs().max() / other.abs().max())


def block_of(members: int) -> Job:
    """Blocks of two-cluster GANs as jobs."""
    return partial(two_clusters, members)


def seconds_an_iteration(job: Callable[[int], object], few: int, many: int) -> float:
    """Without what comes before the first and after the last."""
    times = []
    for iterations in (few, few, many):  # the first loads what it needs
        begin = perf_counter()
        job(iterations)
        times.append(perf_counter() - begin)
    return (times[2] - times[1]) / (many - few)


def _cnn(seed: int) -> Players:
    return sn_cnn(seed=seed, narrow=4)


def _tiny_cnn(seed: int) -> Players:
    return sn_cnn(seed=seed, narrow=32)


def _dcgan(width: int, seed: int) -> Players:
    return dcgan(seed=seed, width=width, normed=False)


def _dense(width: int, seed: int) -> Players:
    return dense_image_nets(seed=seed, width=width)
