"""Peak memory of each route, and of densities without a stored basis: `make bench`."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.spectra import SpectralDensity
from tests.benchmarks.peak import GIVE_BACK
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


WEIGHTS, STEPS, PROBES = (10_000_000, 80, 2) if FULL else (100_000, 80, 2)
LIMIT = 1e9 / 2**20  # MB: what is promised for ten million weights


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's count of memory")
def test_density_without_basis(memory_rows, tmp_path):
    """Peak above the networks, and how far the density is from that with the basis."""
    found, densities = {}, {}
    for choice in ("full", "none"):
        file = str(tmp_path / f"{choice}.npz")
        said = _run("density_peak", choice, WEIGHTS, STEPS, PROBES, file, timeout=3000)
        found[choice] = dict(zip(("n", "check", "MB"), map(float, said.split()), strict=True))
        with np.load(file) as kept:
            # Of a template only nodes and weights are used.
            none = np.zeros(1)
            template = SpectralDensity(kept["nodes"], kept["weights"], none, 1.0, none, none)
        sigma = 0.01 * np.ptp(template.nodes) if choice == "full" else densities["full"].sigma
        grid = None if choice == "full" else densities["full"].grid
        densities[choice] = template.smoothed(sigma, grid)
        where = {"N": int(found[choice]["n"]), "which": f"{STEPS} steps"}
        memory_rows.add("density", choice, found[choice]["MB"], "MB above the model", **where)
        unit = "MB above the model, to check the products"
        memory_rows.add("density", choice, found[choice]["check"], unit, **where)
    full, none = densities["full"], densities["none"]
    apart = np.trapezoid(np.abs(full.density - none.density), full.grid)
    error = np.trapezoid(full.standard_error, full.grid)
    memory_rows.add("density", "none", apart, "L1 distance from full", **where)
    memory_rows.add("density", "probes", error, "L1 of the standard error", **where)
    tops = none.nodes.max(axis=1) / full.nodes.max(axis=1) - 1
    memory_rows.add("density", "none", np.abs(tops), "change of the largest node", **where)
    copies = [(np.abs(row - row.max()) < 1e-3 * row.max()).sum() for row in none.nodes]
    memory_rows.add("density", "none", copies, "nodes at the largest", **where)
    assert apart < error
    assert found["none"]["MB"] < found["full"]["MB"]
    assert not FULL or found["none"]["MB"] < LIMIT


def peak(route, player, vectors=1):
    return int(_run("peak", route, player, vectors))


def _run(module, *arguments, timeout=300):
    environment = os.environ | GIVE_BACK
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    found = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=timeout
    )
    return found.stdout
