"""Many seeds at once beside one seed alone: `make bench`."""

import pytest

from helpers.experiments.two_cluster_training import Setting, Size, draw, train
from tests.benchmarks.workload import FULL
from tests.oracles.released import released_loop

PAPER = 5000  # iterations of the released script


def script(name, iterations):
    """The released script without its pictures."""
    (players,), samples = draw(Setting(name, script_seed=0), 1, seed=0)
    released_loop(name, *players, samples.latents[0], samples.reals[0], iterations)


@pytest.mark.parametrize("name", ["js", "rs"])
def test_ensemble(in_turn, ensemble_rows, name):
    """Ten steps of D and ten of G an iteration, 100 points: seconds for 5,000 iterations."""
    sizes, count = ((1, 8, 64, 512), 40) if FULL else ((1, 8, 64), 10)
    works = {"script": lambda: script(name, count)}
    for size in sizes:
        much = Size(members=size, iterations=count, lacks="all but the start")
        works[size] = lambda much=much: train(Setting(name), much, seed=0)
    for work in works.values():
        work()
    times = in_turn(works, 5 if FULL else 3)
    alone = times[1]
    for what, seconds in times.items():
        each = seconds / (1 if what == "script" else what)
        label = {"script": "released loop", 1: "1 seed alone"}.get(what, f"{what} seeds at once")
        where = {"player": name}
        ensemble_rows.add("ensemble", label, each * PAPER / count, "seconds a seed", **where)
        if what not in ("script", 1):
            ensemble_rows.add("ensemble", label, alone / each, "times one seed alone", **where)
    assert (alone / (times[64] / 64)).max() > 1
