"""What the package costs as work grows: `make bench-curves`, for the page "What it costs".

Each part times its works in turn, so that a slow minute is slow for all of them, and reports ratios
to the bare operation: a gradient, a product, one seed alone, a run without `gather`. A part that is
done is written at once. `--only` does some parts and leaves the others in the file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch

from helpers.evidence import gather, planning
from helpers.experiments import two_cluster_training, two_clusters
from helpers.experiments.protocol import Wanted
from helpers.models import dcgan
from helpers.operators import hessian
from helpers.spectra import slq_density, top_eigenpairs
from tests.benchmarks import peers
from tests.benchmarks.dense import dense_gan
from tests.benchmarks.peak import GIVE_BACK
from tests.benchmarks.record import ROOT, Rows, head, in_turn, versions, write
from tests.benchmarks.report import table
from tests.benchmarks.workload import Gan, held, images
from tests.oracles.released import released_loop

FILE = ROOT / "data" / "benchmarks" / "curves.json"
PEERS = {
    "PyHessian": ("pyhessian", peers.pyhessian_slq),
    "hessian-eigenthings": ("hessian_eigenthings", peers.eigenthings_slq),
    "curvlinops": ("curvlinops", peers.curvlinops_slq),
}
TOP = 5  # leading pairs


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    weights: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    batch: int = 64  # against weights
    steps: int = 20  # of SLQ
    batches: Sequence[int] = (16, 32, 64, 128, 256)
    width: int = 32  # of the DCGAN, against batches
    probes: Sequence[int] = (1, 2, 4, 8, 16)
    size: int = 100_000  # weights, against probes
    seeds: Sequence[int] = (1, 2, 8, 32, 128, 512)
    iterations: int = 20  # of two-cluster trainings
    runs: tuple[int, int] = (2, 8)  # of gather
    run_iterations: int = 150
    workers: Sequence[str] = ("1", "2", "local:1", "local:2")
    repeats: int = 5


TOY = Scale(
    weights=(600, 2_000), batch=8, steps=4, batches=(4, 8), width=2, probes=(1, 2), size=600,
    seeds=(1, 2), iterations=2, runs=(1, 2), run_iterations=4, workers=("1",), repeats=2,
)  # fmt: skip


def weights(rows: Rows, scale: Scale) -> None:
    """A product, SLQ and leading pairs of D, and the peers' SLQ, against its number of weights."""
    for wanted in scale.weights:
        workload = dense_gan(wanted, scale.batch)
        H = hessian(workload.game, "D", workload.omega)
        n, v = H.shape[0], torch.ones(H.shape[0])
        net, closure = workload.nets[1], workload.closure("D")
        found = top_eigenpairs(H, TOP)
        many = _many(H.matvec, v)
        works: dict[str, Callable[[], object]] = {
            "gradient": _repeated(workload.gradient("D"), many),
            "product": _repeated(partial(H.matvec, v), many),
            "SLQ, basis": partial(_density, H, scale.steps, True),
            "SLQ, no basis": partial(_density, H, scale.steps, False),
            "pairs": partial(top_eigenpairs, H, TOP),
        }
        works |= {
            name: partial(work, net, closure, probes=1, steps=scale.steps, seed=0)
            for name, work in there().items()
        }
        repeats = scale.repeats if n < 1e6 else max(2, scale.repeats // 2)
        times = in_turn(works, repeats)
        product = times["product"] / many
        where = {"weights": n}
        rows.add("gradient", "gradient", times["gradient"] / many, "seconds", **where)
        rows.add("product", "product", many * product / times["gradient"], "gradients", **where)
        rows.add("pairs", "pairs", found.products, "products", **where)
        rows.add("pairs", "pairs", times["pairs"] / (found.products * product), "ratio", **where)
        for name in ("SLQ, basis", "SLQ, no basis", *there()):
            rows.add("SLQ", name, times[name] / (scale.steps * product), "ratio", **where)
        del H, workload, works, found
        for name, megabytes in _peaks(wanted, scale).items():
            rows.add("memory", name, megabytes, "MB", **where)


def batches(rows: Rows, scale: Scale) -> None:
    """A product of each player of a DCGAN against the batch."""
    nets = held(dcgan(seed=0, width=scale.width, latent=20))
    for batch in scale.batches:
        latents = torch.randn(batch, 20, generator=torch.Generator().manual_seed(1))
        workload = Gan(nets, latents, images()[1][:batch])
        for player in ("G", "D"):
            H = hessian(workload.game, player, workload.omega)
            v = torch.ones(H.shape[0])
            gradient = workload.gradient(player)
            works = {"gradient": gradient, "product": partial(H.matvec, v)}
            for work in works.values():
                work()
            times = in_turn(works, scale.repeats)
            where = {"batch": batch, "player": player}
            ratio = times["product"] / times["gradient"]
            rows.add("product of a DCGAN", "product", ratio, "gradients", **where)
            rows.add("gradient of a DCGAN", "gradient", times["gradient"], "seconds", **where)


def probes(rows: Rows, scale: Scale) -> None:
    """SLQ with probes one after another, and with all of them in each product."""
    workload = dense_gan(scale.size, scale.batch)
    # One for each: a program for one vector and a program for many take each other's place.
    H, together = (hessian(workload.game, "D", workload.omega) for _ in range(2))
    v = torch.ones(H.shape[0])
    many = _many(H.matvec, v)
    for count in scale.probes:
        together.matmat(torch.ones(len(v), count))
        works: dict[str, Callable[[], object]] = {
            "product": _repeated(partial(H.matvec, v), many),
            "one by one": partial(slq_density, H, count, scale.steps, seed=0, batch_size=1),
            "all at once": partial(
                slq_density, together, count, scale.steps, seed=0, batch_size=count
            ),
        }
        works |= {
            name: partial(
                work, workload.nets[1], workload.closure("D"), probes=count, steps=scale.steps,
                seed=0,
            )
            for name, work in there().items()
        }  # fmt: skip
        times = in_turn(works, scale.repeats)
        bare = times["product"] / many * count * scale.steps
        for name in list(works)[1:]:
            rows.add("SLQ by probes", name, times[name] / bare, "ratio", probes=count)


def seeds(rows: Rows, scale: Scale) -> None:
    """Two-cluster GANs side by side, beside one alone and beside the released loop."""
    setting = two_cluster_training.Setting("js")

    def together(count: int) -> None:
        size = two_cluster_training.Size(
            members=count, iterations=scale.iterations, lacks="all but the start"
        )
        two_cluster_training.train(setting, size, seed=0)

    def released() -> None:
        one = replace(setting, script_seed=0)
        (players,), samples = two_cluster_training.draw(one, 1, seed=0)
        released_loop("js", *players, samples.latents[0], samples.reals[0], scale.iterations)

    works: dict[str, Callable[[], object]] = {str(count): partial(together, count)
                                              for count in scale.seeds}  # fmt: skip
    works["released loop"] = released
    for work in works.values():
        work()
    times = in_turn(works, scale.repeats)
    alone = times[str(scale.seeds[0])] / scale.seeds[0]
    rows.add("seeds", "one alone", alone / scale.iterations, "seconds an iteration", seeds=1)
    for count in scale.seeds:
        faster = alone / (times[str(count)] / count)
        rows.add("seeds", "helpers", faster, "times one alone", seeds=count)
    rows.add("seeds", "released loop", alone / times["released loop"], "times one alone", seeds=1)


def workers(rows: Rows, scale: Scale) -> None:
    """`gather` with one process, several, and dask's: runs that are all alike.

    From a few and from many runs follow the time for each further run and that until the first
    begins.
    """
    reading = next(iter(two_clusters.READINGS))
    size = replace(two_clusters.SIZES["quick"], members=2, iterations=scale.run_iterations)
    wanted = [Wanted((reading,), ("js",), "curve", range(100, 100 + scale.runs[1]), "to time it")]
    with (
        patch.object(two_clusters, "SIZES", dict(two_clusters.SIZES) | {"curve": size}),
        patch.object(two_clusters, "WANTED", wanted),
    ):
        works: dict[str, Callable[[], object]] = {"bare": _bare}
        chosen = [each for each in scale.workers if ":" not in each or find_spec("distributed")]
        for each in chosen:
            for count in scale.runs:
                works[f"{each} {count}"] = partial(_gathered, each, count)
        _bare()
        times = in_turn(works, scale.repeats)
    bare, (few, many) = times["bare"], scale.runs
    rows.add("gather", "bare", bare, "seconds a run", runs=1)
    for each in chosen:
        further = (times[f"{each} {many}"] - times[f"{each} {few}"]) / (many - few)
        where = {"workers": each}
        rows.add("gather", each, bare / further, "times bare runs in turn", **where)
        cost = further * int(each.rpartition(":")[2]) - bare
        rows.add("gather", each, cost, "seconds beyond a bare run, of a worker", **where)
        start = times[f"{each} {few}"] - few * further
        rows.add("gather", each, start, "seconds to start and end", **where)


PARTS = {part.__name__: part for part in (weights, batches, probes, seeds, workers)}


def there() -> dict[str, Callable[..., peers.Quadrature]]:
    """The peers that are installed, and now loaded."""
    found = {name: work for name, (module, work) in PEERS.items() if find_spec(module)}
    for name in found:
        import_module(PEERS[name][0])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table and write the file."""
    parser = argparse.ArgumentParser(prog="make bench-curves", description=__doc__)
    parser.add_argument("--toy", action="store_true", help="seconds of work, to try the command")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, help=f"a file; by default {FILE.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    if options.toy and options.out is None:
        parser.error("--toy needs --out: its numbers are not for the book")
    path, scale = options.out or FILE, TOY if options.toy else Scale()
    record = head(versions=versions(), scale=asdict(scale))
    done = _done(path, record)
    for name in options.only:
        begin, found = perf_counter(), Rows()
        print(f"{name} ...", end=" ", flush=True)
        PARTS[name](found, scale)
        seconds = perf_counter() - begin
        print(f"{seconds:.0f} s", flush=True)
        made = {key: record[key] for key in ("date", "commit")} | {"seconds": round(seconds, 1)}
        done[name] = made, [{"part": name, **row} for row in found.rows]
        parts = {each: made for each, (made, _) in done.items()}
        write(path, {**record, "parts": parts}, [r for _, rows in done.values() for r in rows])
    print(table([row for name in options.only for row in done[name][1]]))
    return 0


def _done(path: Path, record: dict[str, object]) -> dict[str, tuple[dict, list[dict]]]:
    """Parts of an earlier record on the same device, with the same versions and scale."""
    if not path.exists():
        return {}
    earlier = json.loads(path.read_text(encoding="utf-8"))
    same = json.loads(json.dumps(record))
    if any(earlier.get(k) != same[k] for k in ("device", "threads", "torch", "versions", "scale")):
        return {}
    return {
        name: (made, [row for row in earlier["rows"] if row["part"] == name])
        for name, made in earlier["parts"].items()
    }


def _density(H, steps: int, reorthogonalise: bool) -> object:
    return slq_density(H, 1, steps, seed=0, reorthogonalise=reorthogonalise)


def _many(product: Callable[[torch.Tensor], object], v: torch.Tensor) -> int:
    """How often a product is to be done so that its time can be told from the clock's ticks."""
    product(v)
    begin = perf_counter()
    product(v)
    return int(np.clip(0.02 / (perf_counter() - begin), 1, 100))


def _repeated(work: Callable[[], object], times: int) -> Callable[[], object]:
    def all_of_it() -> None:
        for _ in range(times):
            work()

    return all_of_it


def _peaks(count: int, scale: Scale) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.curve_peaks"]
    command += [str(count), str(scale.batch), str(scale.steps)]
    found = subprocess.run(
        command, env=os.environ | GIVE_BACK, cwd=ROOT, capture_output=True, text=True, check=True,
        timeout=3000,
    )  # fmt: skip
    return json.loads(found.stdout)


def _bare() -> None:
    """One of the runs, without `gather`."""
    run, threads = planning.wanted(["two_clusters"], size="curve")[0], torch.get_num_threads()
    torch.set_num_threads(1)  # as in `gather`
    try:
        two_clusters.measure(run.setting, run.size, seed=run.block, device="cpu")
    finally:
        torch.set_num_threads(threads)


def _gathered(how: str, count: int) -> None:
    options = {"cluster": how} if ":" in how else {"workers": int(how)}
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        found = gather(
            planning.wanted(["two_clusters"], size="curve", blocks=range(100, 100 + count)),
            device="cpu", folder=folder, anew=True, **options,
        )  # fmt: skip
    if len(found.done) != count:
        raise RuntimeError(f"of {count} runs by {how}: {found}")


if __name__ == "__main__":
    sys.exit(main())
