"""Products and spectra of a DCGAN on a GPU: eager, captured and compiled, beside other packages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from helpers.operators import Operator
from helpers.spectra import game_eigenvalues, slq_density, top_eigenpairs
from tests.benchmarks import peers
from tests.benchmarks.captured import Captured, replayed
from tests.benchmarks.gpu_bench import Bench, attempt, image_gan, operator_of, repeated_calls
from tests.benchmarks.peak import peak_above
from tests.benchmarks.precision import errors
from tests.benchmarks.record import in_turn, wait
from tests.benchmarks.workload import Gan

TOP = 5  # leading pairs
# A captured or compiled product may differ from the eager one by so much, relative to its length.
SAME = 1e-4


def products(bench: Bench) -> None:
    """Products of the DCGAN's players and of its game: eager, captured, compiled, and peers'."""
    scale, rows, workload = bench.scale, bench.rows, image_gan(bench)
    for player in ("D", "G", "J"):
        work = f"product, {player}"
        operator = operator_of(workload, player)
        u = torch.randn(operator.shape[0], generator=torch.Generator().manual_seed(0))
        u = u.to(bench.device)
        wanted = operator.matvec(u)
        ways: dict[str, Callable[[], object]] = {
            "gradient, eager": workload.gradient(player),
            "gradient, captured": _captured_gradient(workload, player, bench),
            "eager": partial(operator.matvec, u),
        }
        made = {"captured": attempt(bench, f"{work}, captured", lambda op=operator: Captured(op))}
        if scale.compiled and bench.has_time(f"{work}, compiled", 60):
            made["compiled"] = attempt(
                bench, f"{work}, compiled", lambda op=operator, x=u: _compiled(op, x)
            )
        if player == "D" and find_spec("curvlinops"):
            net, closure = workload.nets[1], workload.closure("D")
            made["curvlinops"] = peers.curvlinopsoperator_of(net, closure)
        for name, each in made.items():
            if each is None:
                continue
            product = each.matvec if hasattr(each, "matvec") else partial(_of_peer, each)
            off = float((product(u) - wanted).norm() / wanted.norm())
            rows.add(work, name, off, "difference from eager")
            if off < SAME or name == "curvlinops":
                ways[name] = partial(product, u)
            else:
                bench.skipped.append(f"{work}, {name}: off by {off:.1e}")
        for way in ways.values():
            way()
        times = in_turn(ways, scale.repeats)
        rows.add(work, "gradient, eager", times["gradient, eager"], "seconds")
        for name in ways:
            rows.add(work, name, times[name] / times["gradient, eager"], "eager gradients")
            own = "gradient, captured" if name in ("captured", "compiled") else "gradient, eager"
            if name not in ("gradient, eager", "gradient, captured"):
                rows.add(work, name, times[name] / times[own], "gradients")
            rows.add(work, name, peak_above(ways[name], bench.device), "MB")


def spectra(bench: Bench) -> None:
    """SLQ and leading pairs, eager and captured, with one probe a product and with all; peers'."""
    scale, rows, workload = bench.scale, bench.rows, image_gan(bench)
    for player in ("D", "G"):
        if not bench.has_time(f"spectra, {player}", 40):
            return
        work, eager = f"SLQ, {player}", operator_of(workload, player)
        captured = attempt(bench, f"{work}, captured", lambda op=eager: Captured(op))
        several = attempt(
            bench, f"{work}, captured, all", lambda op=eager: Captured(op, scale.probes)
        )
        net, closure = workload.nets["GD".index(player)], workload.closure(player)
        u = eager.like.new_ones(eager.shape[0])
        count = scale.probes * scale.steps
        ways: dict[str, Callable[[], object]] = {}
        bare: dict[str, Callable[[], object]] = {}
        for name, operator, size in (
            ("eager", eager, 1),
            ("captured", captured, 1),
            ("captured, all", several, scale.probes),
        ):
            if operator is None:
                continue
            ways[name] = partial(
                slq_density, operator, scale.probes, scale.steps, seed=0, batch_size=size
            )
            bare[name] = partial(repeated_calls, partial(operator.matvec, u), count)
            if size > 1:
                U = u.new_ones(len(u), size)
                bare[name] = partial(repeated_calls, partial(operator.matmat, U), scale.steps)
        for name, module, peer in (
            ("PyHessian", "pyhessian", peers.pyhessian_slq),
            ("hessian-eigenthings", "hessian_eigenthings", peers.eigenthings_slq),
            ("curvlinops", "curvlinops", peers.curvlinops_slq),
        ):
            if find_spec(module) and (player == "D" or name != "curvlinops"):
                ways[name] = partial(
                    peer, net, closure, probes=scale.probes, steps=scale.steps, seed=0
                )
        repeats = 2 if bench.toy else 3
        times = in_turn({**{f"bare {k}": v for k, v in bare.items()}, **ways}, repeats)
        for name in ways:
            rows.add(work, name, times[name], "seconds")
            own = times.get(f"bare {name}", times["bare eager"])
            rows.add(
                work, name, times[name] / own, "of its products" if name in bare else "of ours"
            )
            rows.add(work, name, peak_above(ways[name], bench.device), "MB")
        if captured is not None:
            found = [top_eigenpairs(each, TOP, seed=0) for each in (eager, captured)]
            apart = float(np.abs(found[0].values - found[1].values).max())
            rows.add(f"pairs, {player}", "captured", apart / abs(found[0].values[0]), "difference")
            searches = {"eager": eager, "captured": captured}
            runs = {k: partial(top_eigenpairs, op, TOP, seed=0) for k, op in searches.items()}
            for (name, seconds), pairs in zip(in_turn(runs, 2).items(), found, strict=True):
                rows.add(f"pairs, {player}", name, seconds / pairs.products, "seconds a product")
                rows.add(f"pairs, {player}", name, pairs.products, "products")
    if bench.has_time("pairs, J", 20):
        J = operator_of(workload, "J")
        begin = perf_counter()
        found_j = game_eigenvalues(J, TOP, seed=0)
        wait()
        rows.add(
            "pairs, J", "eager", (perf_counter() - begin) / found_j.products, "seconds a product"
        )


def precision(bench: Bench) -> None:
    """Errors of products, Ritz values and densities in float64, float32, TF32 and bfloat16."""
    workload = image_gan(bench)
    for player in ("D", "G", "J"):
        if bench.has_time(f"precision, {player}", 30):
            steps, probes = min(20, bench.scale.steps), 2
            errors(bench.rows, workload.game, workload.omega, player, steps=steps, probes=probes)


def _captured_gradient(workload: Gan, player: str, bench: Bench) -> Callable[[], object]:
    """The gradient as a replayed graph: what a captured product is to be compared with."""
    gradient = workload.gradient(player)

    def work(_: Tensor) -> Tensor:
        found = gradient()
        first = found[0]
        return first[0] if isinstance(first, tuple) else first

    again = attempt(bench, f"gradient of {player}, captured",
                 lambda: replayed(work, torch.zeros(1, device=bench.device)))  # fmt: skip
    unused = torch.zeros(1, device=bench.device)
    return gradient if again is None else partial(again, unused)


def _compiled(operator: Operator, u: Tensor) -> Callable[[Tensor], Tensor]:
    program = getattr(operator, "_program", lambda _: operator.matvec)  # of the linearized route
    product = torch.compile(program(u), mode="reduce-overhead")
    for _ in range(3):
        product(u)
    return lambda v: product(v).clone()


def _of_peer(peer: Any, u: Tensor) -> Tensor:
    return peer(u) if callable(peer) else peer @ u
