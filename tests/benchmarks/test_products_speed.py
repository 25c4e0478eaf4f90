"""One product by each route beside one gradient: `make bench`."""

import pytest
import torch

from helpers.operators import hessian, jacobian
from tests.benchmarks.workload import FEW, FULL, gan

ROUTES = ("linearized", "retained", "recomputed", "bfloat16")
# Allowed error of a product in bfloat16. In single precision it is that of the plain double
# derivative: rounding, and a ReLU that it switches, which among 256 images happens.
ROUGH = 2e-2


def operator(workload, player, route, dtype=torch.float32):
    omega = workload.omega.to(dtype)
    if player == "J":
        return jacobian(workload.game, omega, route=route)
    return hessian(workload.game, player, omega, route=route)


@pytest.mark.parametrize("size", [FEW, 256] if FULL else [FEW])
@pytest.mark.parametrize("player", ["G", "D", "J"])
def test_product(in_turn, rows, player, size):
    """All routes give the same product; what each takes, in gradients."""
    workload = gan(size)
    exact = operator(workload, player, "recomputed", torch.float64)
    u = torch.randn(exact.shape[0], generator=torch.Generator().manual_seed(0))
    wanted = exact.matvec(u)
    gradient = workload.gradient(player)
    plain = operator(workload, player, "recomputed")
    by_torch = torch.func.linearize(plain.map, plain.like)[1]
    works = {"gradient": gradient, "torch.func.linearize": lambda: by_torch(u)}
    least = float((plain.matvec(u) - wanted).norm() / wanted.norm())
    assert least < 1e-3
    for route in ROUTES:
        found = operator(workload, player, route)
        error = float((found.matvec(u) - wanted).norm() / wanted.norm())
        assert error < (ROUGH if route == "bfloat16" else 1.5 * least), route
        rows.add("product", f"{route}, error", error, "relative", player=player, N=size)
        works[route] = lambda found=found: found.matvec(u)
        if player == "J":
            found.rmatvec(u)
            works[f"{route}, transposed"] = lambda found=found: found.rmatvec(u)
    times = in_turn(works, (9 if size == FEW else 5) if FULL else 3)
    rows.add("gradient", "eager", times["gradient"], "seconds", player=player, N=size)
    for name in list(works)[1:]:
        ratio = times[name] / times["gradient"]
        rows.add("product", name, ratio, "gradients", player=player, N=size)


@pytest.mark.parametrize("player", ["G", "D"])
def test_set_up(in_turn, rows, player):
    """What a traced operator takes before its first product."""
    workload = gan(FEW)
    n = operator(workload, player, "recomputed").shape[0]
    u = torch.ones(n)
    works = {
        "gradient": workload.gradient(player),
        "trace": lambda: operator(workload, player, "linearized").matvec(u),
    }
    times = in_turn(works, 3)
    ratio = times["trace"] / times["gradient"]
    rows.add("product", "trace and first product", ratio, "gradients", player=player, N=FEW)
