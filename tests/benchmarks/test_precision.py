"""What precision does to products, Ritz values and densities: `make bench`."""

import pytest

from tests.benchmarks.precision import errors
from tests.benchmarks.workload import FEW, FULL, gan

STEPS, PROBES = (20, 2) if FULL else (10, 2)
SIZE = FEW if FULL else 8  # rounding shows on few images as well
# Allowed errors of a product, by precision.
ALLOWED = {"float64": 1e-8, "float32": 1e-3, "TF32": 2e-2, "bfloat16": 5e-2}


@pytest.mark.parametrize("player", ["G", "D", "J"])
def test_errors(precision_rows, player):
    """Errors fall with precision, and in single precision are less than those of the probes."""
    workload = gan(SIZE)
    before = len(precision_rows.rows)
    errors(precision_rows, workload.game, workload.omega, player, steps=STEPS, probes=PROBES)
    mine = precision_rows.rows[before:]
    found = {(row["work"], row["name"]): row["value"] for row in mine}
    off = {name: value for (work, name), value in found.items() if work == "product"}
    assert all(off[name] < ALLOWED[name] for name in off)
    assert off["float64"] < off["float32"] < off["bfloat16"]
    if player != "J":
        probes = found["density", "float64, other probes"]
        assert found["density", "float32"] < probes
