"""Top eigenvalues of the networks, in products: `make bench`."""

import numpy as np
import pytest
import torch

from helpers.operators import hessian, jacobian
from helpers.spectra import game_eigenvalues, top_eigenpairs
from tests.benchmarks import peers
from tests.benchmarks.workload import FEW, FULL, gan
from tests.common import as_scipy

LATER = ("1 step later", "50 slow steps later", "50 steps later")
K = 20 if FULL else 5
SEEDS = range(2 if FULL else 1)
TOP = f"top {K}"


def worst(operator, values, vectors):
    """Largest true residual, relative to its eigenvalue."""
    found = []
    for value, v in zip(values, torch.as_tensor(vectors).cfloat().T, strict=True):
        product = torch.complex(*[operator.matvec(part.contiguous()) for part in (v.real, v.imag)])
        found.append(float((product - complex(value) * v).norm() / v.norm() / abs(value)))
    return max(found)


CASES = [("D", "LM"), ("G", "LM"), *([("D", "LA")] if FULL else [])]


@pytest.mark.parametrize("player, which", CASES)
def test_top(rows, player, which):
    """Ours from nothing, and ARPACK's."""
    workload = gan(FEW)
    H = hessian(workload.game, player, workload.omega)

    def run():
        ours = [top_eigenpairs(H, K, which, seed=seed) for seed in SEEDS]
        scipy = {tol: peers.scipy_top(as_scipy(H), k=K, tol=tol, which=which) for tol in (1e-3, 0)}
        return ours, scipy

    ours, scipy = run()
    where = {"player": player, "N": FEW, "which": which}
    for found in ours:
        assert worst(H, found.values, found.vectors) < 1.2e-3
        np.testing.assert_allclose(np.sort(found.values), np.sort(scipy[0][0]), rtol=2e-3)
    rows.add(TOP, "helpers", [found.products for found in ours], "products", **where)
    for tol, (values, vectors, products) in scipy.items():
        rows.add(TOP, f"eigsh, tolerance {tol:g}", products, "products", **where)
        residual = worst(H, values, vectors.T)
        rows.add(TOP, f"eigsh, tolerance {tol:g}", residual, "worst residual", **where)


def test_power_iteration(rows):
    """PyHessian's top eigenvalues of D."""
    workload = gan(FEW)
    H = hessian(workload.game, "D", workload.omega)
    values, vectors, products = peers.pyhessian_top(
        workload.nets[1], workload.closure("D"), k=K, tol=1e-3, max_iter=100 if FULL else 30
    )
    where = {"player": "D", "N": FEW, "which": "LM"}
    rows.add(TOP, "PyHessian", products, "products", **where)
    rows.add(TOP, "PyHessian", worst(H, values, vectors.T), "worst residual", **where)


@pytest.mark.parametrize("later", [*LATER[: 3 if FULL else 1], "0.001 of a step"])
def test_warm(rows, later):
    """D's top eigenvalues from those of an earlier point."""
    before, first = gan(FEW), gan(FEW, LATER[0])
    after = before if later.startswith("0") else gan(FEW, later)
    omega = after.omega
    if later.startswith("0"):
        omega = omega + 0.001 * (first.omega - omega)
    H = hessian(after.game, "D", omega)
    old = top_eigenpairs(hessian(before.game, "D", before.omega), K)
    cold, warm = (top_eigenpairs(H, K, start=s) for s in (None, old.vectors))
    assert worst(H, warm.values, warm.vectors) < 1.2e-3
    np.testing.assert_allclose(warm.values, cold.values, rtol=2e-3)
    for name, found in (("cold", cold), ("warm", warm)):
        rows.add(f"{TOP}, {later}", name, found.products, "products", player="D", N=FEW)
    kept = np.abs((old.vectors.T @ cold.vectors).numpy()).max(axis=0)
    rows.add(f"{TOP}, {later}", "kept directions", kept, "cosine", player="D", N=FEW)


def test_game(in_turn, rows):
    """The top eigenvalues of the game's Jacobian, and the route of Berard et al."""
    workload = gan(FEW)
    J = jacobian(workload.game, workload.omega)
    theirs = peers.berard_game_products(*workload.nets, *workload.game_closures())
    u = torch.randn(J.shape[0], generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(theirs.matvec(u.numpy()), J.rmatvec(u), rtol=1e-2, atol=1e-2)
    works = {
        "gradient": workload.gradient("J"),
        "apart": workload.gradients_apart(),
        "helpers": lambda: J.matvec(u),
        "Berard et al.": lambda: theirs.matvec(u.numpy()),
    }
    J.matvec(u)
    times = in_turn(works, 9 if FULL else 3)
    where = {"player": "J", "N": FEW}
    for name in ("helpers", "Berard et al."):
        for unit, base in (("field gradients", "gradient"), ("gradients of each loss", "apart")):
            rows.add("game product", name, times[name] / times[base], unit, **where)
    ours = [game_eigenvalues(J, K, seed=seed) for seed in SEEDS]
    values, _, products = peers.scipy_top(theirs, k=K, tol=1e-3, symmetric=False)
    for found in ours:
        assert worst(J, found.values, found.vectors) < 1.2e-3
        np.testing.assert_allclose(
            np.sort(np.abs(found.values))[:-1], np.sort(np.abs(values))[:-1], rtol=1e-2
        )
    counts = [found.products for found in ours]
    rows.add(f"{TOP} of the game", "helpers", counts, "products", **where)
    rows.add(f"{TOP} of the game", "Berard et al.", products, "products", **where)
