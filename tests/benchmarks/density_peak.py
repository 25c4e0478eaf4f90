"""A density with or without a stored basis, and the memory of it.

`python -m tests.benchmarks.density_peak CHOICE WEIGHTS STEPS PROBES FILE` prints the number of
weights and two peaks above the networks and the data, in MB (2**20 bytes). The first
peak is of the operator's making, with the check of its products in float64, which networks of one
structure undergo once; the second of the density, with all that the operator holds. Nodes and
weights go to the file.
"""

from __future__ import annotations

import gc
import sys

import numpy as np

from helpers.operators import Operator, hessian
from helpers.spectra import SpectralDensity, slq_density
from tests.benchmarks.dense import dense_gan
from tests.benchmarks.peak import kilobytes, peak_above

_BATCH = 32


def main(choice: str, weights: int, steps: int, probes: int, file: str) -> None:
    workload = dense_gan(weights, _BATCH)
    operators, found = list[Operator](), list[SpectralDensity]()

    def make() -> None:
        H = hessian(workload.game, "D", workload.omega)
        H.matvec(H.like)  # traced here
        operators.append(H)

    def density() -> None:
        full = choice == "full"
        found.append(slq_density(operators[0], probes, steps, seed=0, reorthogonalise=full))

    gc.collect()
    before = kilobytes("VmRSS")
    check = peak_above(make)
    gc.collect()
    held = (kilobytes("VmRSS") - before) / 1024
    peak = held + peak_above(density)
    n = operators[0].shape[0]
    print(n, round(check), round(peak))
    np.savez(file, nodes=found[0].nodes, weights=found[0].weights)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5])
