"""A density with or without a stored basis, and the memory of it.

`python -m tests.benchmarks.density_peak CHOICE WEIGHTS STEPS PROBES FILE` prints the number of
weights, the most memory that the process held above the networks and the data, in MB (2**20
bytes), and the seconds; nodes and weights go to the file.
"""

from __future__ import annotations

import sys
from time import perf_counter

import numpy as np

from helpers.operators import hessian
from helpers.spectra import SpectralDensity, slq_density
from tests.benchmarks.dense import dense_gan
from tests.benchmarks.peak import peak_above

_BATCH = 32


def main(choice: str, weights: int, steps: int, probes: int, file: str) -> None:
    workload, found = dense_gan(weights, _BATCH), list[SpectralDensity]()

    def work() -> None:
        # The operator, the check of its products and their program included.
        H = hessian(workload.game, "D", workload.omega)
        found.append(slq_density(H, probes, steps, seed=0, reorthogonalise=choice == "full"))

    n = sum(weight.numel() for weight in workload.nets[1].parameters())
    begin = perf_counter()
    peak = peak_above(work)
    print(n, round(peak), round(perf_counter() - begin, 2))
    np.savez(file, nodes=found[0].nodes, weights=found[0].weights)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5])
