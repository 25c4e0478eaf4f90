"""Trainings on a GPU: a DCGAN beside a plain loop, narrow GANs and blocks of seeds side by side."""

from __future__ import annotations

from functools import partial
from time import perf_counter

import torch

from helpers.losses.table import LOSSES
from helpers.models import dcgan
from helpers.training.data import EpochBatches
from helpers.training.train import train
from tests.benchmarks import side_by_side as side
from tests.benchmarks.gpu_bench import LATENT, Bench, repeated_calls
from tests.benchmarks.peak import peak_above
from tests.benchmarks.precision import tf32
from tests.benchmarks.record import in_turn, wait
from tests.benchmarks.test_training_speed import BATCH, plain
from tests.benchmarks.workload import images


def training(bench: Bench) -> None:
    """A DCGAN of batch 100 under TF32 and in float32, beside a plain eager loop."""
    scale, rows = bench.scale, bench.rows
    data = images()[1][:1000]
    few, many = scale.rate

    def ours(iterations: int) -> None:
        train(
            dcgan(seed=0, width=scale.width, latent=LATENT),
            EpochBatches(data, latent=LATENT, size=BATCH), loss=LOSSES["js"], optimizer=side.ADAM,
            iterations=iterations, device=bench.device,
        )  # fmt: skip
        wait()

    nets = tuple(net.to(bench.device) for net in dcgan(seed=0, width=scale.width, latent=LATENT))
    epoch = partial(plain, nets, data, torch.device(bench.device))  # ten iterations
    epochs = 1 if bench.toy else 10
    for name, allowed in (("TF32", True), ("float32", False)):
        if not bench.has_time(f"training, {name}", 30):
            return
        with tf32(allowed):
            rate = 1 / side.seconds_an_iteration(ours, few, many)
            rows.add("DCGAN training", name, rate, "iterations a second")
            epoch()
            seconds = in_turn({"plain": partial(repeated_calls, epoch, epochs)}, 2)["plain"]
            rows.add(
                "DCGAN training",
                f"plain loop, {name}",
                10 * epochs / seconds,
                "iterations a second",
            )
            rows.add("DCGAN training", name, rate * seconds / (10 * epochs), "times the plain loop")
            rows.add("DCGAN training", name, peak_above(partial(ours, few), bench.device), "MB")


def small(bench: Bench) -> None:
    """Eight narrow GANs: one after another, as processes, and as one ensemble where that can be."""
    scale, rows = bench.scale, bench.rows
    for name, kind in side.kinds(bench.toy).items():
        if not bench.has_time(name, 45):
            return
        work, job = f"{name}, {scale.jobs} jobs", side.job_of(kind)
        alone = side.one_alone(job, scale.iterations, bench.device)
        rows.add(work, "one after another", scale.iterations / alone.seconds, "iterations a second")
        together = side.as_processes(job, scale.iterations, bench.device, scale.jobs)
        gains = {"processes": scale.jobs * alone.seconds / together.seconds}
        apart = side.difference(together.results[0], alone.results[0])
        rows.add(work, "processes", apart, "difference from alone")
        try:
            side.ensemble(kind, 2, bench.device, scale.jobs)
            begin = perf_counter()
            first = side.ensemble(kind, scale.iterations, bench.device, scale.jobs)
            seconds = perf_counter() - begin
            gains["ensemble"] = scale.jobs * alone.seconds / seconds
            one = side.ensemble(kind, scale.iterations, bench.device, 1)
            rows.add(work, "ensemble", side.difference(first, one), "difference from alone")
        except ValueError as refused:
            bench.skipped.append(f"{work}, ensemble: {str(refused).partition(';')[0][:120]}")
        for way, gain in gains.items():
            rows.add(work, way, gain, "times one after another")
        rows.add(work, "best", max(gains.values()), "times one after another")


def seeds(bench: Bench) -> None:
    """Two-cluster GANs: blocks side by side as processes, all as one ensemble, and one alone."""
    scale, rows, work = bench.scale, bench.rows, "two-cluster seeds"
    if not bench.has_time(work, 60):
        return
    count, total = scale.jobs, scale.jobs * scale.block
    one = side.one_alone(side.block_of(1), scale.block_iterations, bench.device)
    rows.add(work, "one alone", one.seconds / scale.block_iterations, "seconds an iteration")
    block = side.one_alone(side.block_of(scale.block), scale.block_iterations, bench.device)
    several = side.as_processes(
        side.block_of(scale.block), scale.block_iterations, bench.device, count
    )
    whole = side.one_alone(side.block_of(total), scale.block_iterations, bench.device)
    for name, seeds, seconds in (
        ("one block", scale.block, block.seconds),
        (f"{count} blocks, processes", total, several.seconds),
        ("one ensemble of all", total, whole.seconds),
    ):
        rows.add(work, name, seeds * one.seconds / seconds, "times one seed alone")
    apart = side.difference(several.results[0], block.results[0])
    rows.add(work, f"{count} blocks, processes", apart, "difference from alone")
