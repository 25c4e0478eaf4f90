"""How far products, Ritz values and densities move with the precision of the products.

The reference is double precision. What double precision itself is good for is the difference
between two ways to compute a product. Only CUDA devices have TF32: elsewhere its rows are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch

from helpers.games.game import Game
from helpers.operators import Operator, hessian, jacobian, tracing
from helpers.spectra import SpectralDensity, lanczos, slq_density
from tests.benchmarks.record import Rows

_LEADING = 5  # Ritz values by magnitude


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether float32 multiplies in TF32, in matrix products and in convolutions."""
    kinds = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [kind.allow_tf32 for kind in kinds]
    try:
        for kind in kinds:
            kind.allow_tf32 = allowed
        yield
    finally:
        for kind, was in zip(kinds, before, strict=True):
            kind.allow_tf32 = was


def errors(
    rows: Rows, game: Game, omega: torch.Tensor, player: str, *, steps: int, probes: int
) -> None:
    """Rows of one player ("J": products alone) at a point in single precision."""
    exact = _operator(game, omega.double(), player, "recomputed")
    draws = [torch.Generator().manual_seed(seed) for seed in range(3)]
    vectors = [torch.randn(exact.shape[0], generator=g).to(omega.device) for g in draws]
    wanted = [exact.matvec(v) for v in vectors]
    if player != "J":
        ritz, density = _ritz(exact, vectors[0], steps), slq_density(exact, probes, steps, seed=0)
        other = slq_density(exact, probes, steps, seed=1).smoothed(density.sigma, density.grid)
        away = _apart(density, other)
        rows.add("density", "float64, other probes", away, "L1 distance", player=player)
    for name, operator, allowed in _precisions(game, omega, player):
        with tf32(allowed):
            off = [
                float((operator.matvec(v).double() - w).norm() / w.norm())
                for v, w in zip(vectors, wanted, strict=True)
            ]
            rows.add("product", name, off, "relative error", player=player)
            if player == "J":
                continue
            moved = np.abs(_ritz(operator, vectors[0], steps) - ritz) / np.abs(ritz).max()
            unit = "error, of the largest modulus"
            rows.add("Ritz values", f"{name}, largest", moved[0], unit, player=player)
            worst = moved.max()
            rows.add("Ritz values", f"{name}, of {_LEADING}", worst, unit, player=player)
            found = slq_density(operator, probes, steps, seed=0)
            again = found.smoothed(density.sigma, density.grid)
            rows.add("density", name, _apart(density, again), "L1 distance", player=player)


def _precisions(
    game: Game, omega: torch.Tensor, player: str
) -> Iterator[tuple[str, Operator, bool]]:
    """Names, operators, and whether TF32 is on."""
    yield "float64", _operator(game, omega.double(), player, "retained"), False
    single = _operator(game, omega, player, "linearized")
    yield "float32", single, False
    if omega.device.type == "cuda":
        yield "TF32", single, True
    # Its errors do not depend on whether it is faster here, which the route otherwise asks first.
    with patch.object(tracing, "is_faster", lambda *_: True):
        rough = _operator(game, omega, player, "bfloat16")
        rough.matvec(rough.like)  # traced here
    if rough.route != "bfloat16":
        raise RuntimeError(f"bfloat16 was asked for, and the route is {rough.route}")
    yield "bfloat16", rough, False


def _operator(game: Game, omega: torch.Tensor, player: str, route: str) -> Operator:
    if player == "J":
        return jacobian(game, omega, route=route)
    return hessian(game, player, omega, route=route)


def _ritz(operator: Operator, start: torch.Tensor, steps: int) -> np.ndarray:
    """The leading Ritz values by magnitude, from the same start."""
    (run,) = lanczos(operator, start, steps)
    nodes = run.nodes_and_weights()[0]
    return nodes[np.argsort(-np.abs(nodes))][:_LEADING]


def _apart(one: SpectralDensity, other: SpectralDensity) -> float:
    return float(np.trapezoid(np.abs(one.density - other.density), one.grid))
