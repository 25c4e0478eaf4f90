"""Nudged steps down a rotated quadratic, where one can see all that is removed and what comes back.

Durall et al. 2021, eq. 12: the gradient loses its part along the k sharpest directions, and Adam
takes a step along the rest, scaled weight by weight. Where the axes of the quadratic are not those
of the weights, that scaling turns the step back into what was removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from helpers.inputs import real_number, whole_number
from helpers.inputs import seed as whole_seed
from helpers.training.nudged import Nudged

# Torch's rules that take one dense gradient per step, at rates that lead down the quadratic.
OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], Optimizer]] = {
    "SGD": partial(torch.optim.SGD, lr=5e-3),
    "momentum": partial(torch.optim.SGD, lr=1e-3, momentum=0.9),
    "Nesterov": partial(torch.optim.SGD, lr=1e-3, momentum=0.9, nesterov=True),
    "averaged SGD": partial(torch.optim.ASGD, lr=5e-3),
    "Rprop": partial(torch.optim.Rprop, lr=0.01),
    "Adagrad": partial(torch.optim.Adagrad, lr=0.05),
    "Adadelta": partial(torch.optim.Adadelta, lr=1.0),
    "RMSprop": partial(torch.optim.RMSprop, lr=0.01),
    "Adam": partial(torch.optim.Adam, lr=0.01),
    "AdamW": partial(torch.optim.AdamW, lr=0.01),
    "Adamax": partial(torch.optim.Adamax, lr=0.01),
    "NAdam": partial(torch.optim.NAdam, lr=0.01),
    "RAdam": partial(torch.optim.RAdam, lr=0.01),
}


@dataclass(frozen=True, eq=False)
class NudgedDescent:
    """A descent, seen in the removed directions."""

    gradient_left: float  # the largest norm of the nudged gradient there, over the gradient's
    step_share: NDArray[np.float64]  # (steps,) share of the step's norm in the removed directions
    removed: NDArray[np.float64]  # (steps + 1, k) the point's coordinates along them
    gradient_share: float  # share of the first gradient's norm in them, before it is nudged


def nudged_descent(
    optimizer: Callable[[Iterable[Tensor]], Optimizer],
    project: str,
    *,
    seed: int,
    n: int = 50,
    k: int = 5,
    steps: int = 200,
    flat: float = 1.0,
) -> NudgedDescent:
    """Descend x' H x / 2 with the k sharpest directions left out.

    H has eigenvalues from 0.01 to 100, evenly in their logarithm, and random orthonormal axes.

    Args:
        optimizer: makes a torch optimiser from parameters.
        project: "gradient" or "step".
        seed: of the axes and of the start, normal along every axis.
        n: number of weights.
        k: directions left out, 1 to n - 1.
        steps: number of steps.
        flat: factor on the start's coordinates along the flatter half of the axes.

    Raises:
        ValueError: for an unknown `project`, and numbers out of range.
        FloatingPointError: for a descent that leaves the range of floats; it names the step.

    >>> from functools import partial
    >>> descent = nudged_descent(partial(torch.optim.Adam, lr=0.01), "step", seed=0)
    >>> bool(descent.step_share.max() < 1e-9)
    True
    """
    n, steps = whole_number("n", n, 2), whole_number("steps", steps, 1)
    k, flat = whole_number("k", k, 1, n - 1), real_number("flat", flat)
    axes, H, place = _quadratic(n, seed)
    place[n // 2 :] *= flat
    x, sharp = (axes @ place).requires_grad_(), axes[:, :k]
    nudged = Nudged(optimizer([x]), sharp, project)
    left, shares, removed = 0.0, [], [sharp.T @ x.detach()]
    slope = H @ x.detach()
    first = float((sharp.T @ slope).norm() / slope.norm())
    for count in range(steps):
        before, slope = x.detach().clone(), H @ x.detach()
        x.grad = slope.clone()
        nudged.step()
        if project == "gradient":
            left = max(left, float((sharp.T @ x.grad).norm() / slope.norm()))
        step = x.detach() - before
        if not step.norm().isfinite():
            raise FloatingPointError(f"step {count + 1} of the descent is beyond floats")
        shares.append(float((sharp.T @ step).norm() / step.norm()))
        removed.append(sharp.T @ x.detach())
    return NudgedDescent(left, np.array(shares), torch.stack(removed).numpy(), first)


def gap_to_formula(
    optimizer: Callable[[Iterable[Tensor]], Optimizer],
    *,
    seed: int,
    n: int = 50,
    k: int = 5,
    steps: int = 50,
) -> float:
    """How far a nudged optimiser ends from the same optimiser given the gradient of eq. 12.

    Both descend the quadratic of `nudged_descent`. The first is a `helpers.training.Nudged`, the
    second gets g - sum_i <g, v_i> v_i, added up as Durall et al. 2021 print it (eq. 12).

    Args:
        optimizer, seed, n, k, steps: as `nudged_descent`.

    Returns:
        The largest difference in a weight after any step.

    Raises:
        ValueError: for numbers out of range.
        FloatingPointError: for a descent that leaves the range of floats.

    >>> gap_to_formula(OPTIMIZERS["Adam"], seed=0, steps=3) < 1e-12
    True
    """
    n, steps = whole_number("n", n, 2), whole_number("steps", steps, 1)
    axes, H, place = _quadratic(n, seed)
    sharp = axes[:, : whole_number("k", k, 1, n - 1)]
    ours, theirs = ((axes @ place).requires_grad_() for _ in range(2))
    nudged, bare, gap = Nudged(optimizer([ours]), sharp, "gradient"), optimizer([theirs]), 0.0
    for _ in range(steps):
        ours.grad, slope = H @ ours.detach(), H @ theirs.detach()
        along = [torch.dot(slope, v) * v for v in sharp.T]
        theirs.grad = slope - torch.stack(along).sum(dim=0)
        nudged.step()
        bare.step()
        gap = max(gap, float((ours - theirs).detach().abs().max()))
    if not (ours.isfinite().all() and theirs.isfinite().all()):
        raise FloatingPointError("the descent is beyond floats")
    return gap


def _quadratic(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """(n, n) axes, sharpest first, (n, n) matrix, and (n,) coordinates of a start along them."""
    random = torch.Generator().manual_seed(whole_seed(seed))
    exact: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    axes = torch.linalg.qr(torch.randn(n, n, generator=random, **exact))[0]
    values = torch.logspace(2, -2, n, **exact)
    place = torch.randn(n, generator=random, **exact)
    return axes, axes @ torch.diag(values) @ axes.T, place
