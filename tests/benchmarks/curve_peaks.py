"""Peak memory against weights: `python -m tests.benchmarks.curve_peaks WEIGHTS BATCH STEPS`.

Prints a line of JSON: MB (2**20 bytes) above the networks, by what was done. A process of its own,
as free memory must be given back at once, which would slow down what is timed.
"""

from __future__ import annotations

import json
import sys

import torch

from helpers.operators import hessian
from helpers.spectra import slq_density, top_eigenpairs
from tests.benchmarks.dense import dense_gan
from tests.benchmarks.peak import peak_above


def main(weights: int, batch: int, steps: int) -> None:
    workload = dense_gan(weights, batch)
    game, omega, gradient = workload.game, workload.omega, workload.gradient("D")
    gradient()
    hessian(game, "D", omega)  # checks the products of these networks, once

    def product() -> None:
        H = hessian(game, "D", omega)
        H.matvec(torch.ones(H.shape[0]))

    def density(reorthogonalise: bool) -> None:
        H = hessian(game, "D", omega)
        slq_density(H, 1, steps, seed=0, reorthogonalise=reorthogonalise)

    works = {
        "gradient": gradient,
        "product": product,
        "SLQ, basis": lambda: density(True),
        "SLQ, no basis": lambda: density(False),
        "pairs": lambda: top_eigenpairs(hessian(game, "D", omega), 5),
    }
    print(json.dumps({name: round(peak_above(work), 1) for name, work in works.items()}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
