"""Peak memory of each route: `make bench`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.workload import FULL

ROUTES = ("linearized", "bfloat16", "retained", "recomputed")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's count of memory")
@pytest.mark.parametrize("player", ["G", "D", "J"] if FULL else ["D"])
def test_peak(rows, player):
    """Above the networks and one gradient, with 64 images."""

    def run():
        found = {route: peak(route, player) for route in ROUTES}
        if player != "J":
            found["GradVis' algorithm"] = peak("GradVis", player)
            found["recomputed, 4 at once"] = peak("recomputed", player, 4)
        return found

    for name, megabytes in run().items():
        rows.add("peak memory", name, megabytes, "MB", player=player, N=64)


def peak(route, player, vectors=1):
    # Blocks of any size are given back at once: what is free but held would count.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, "-m", "tests.benchmarks.peak", route, player, str(vectors)]
    found = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    return int(found.stdout)
