"""How players move: the gradient flow, and sequences of gradient steps.

The flow is ``d omega / dt = -v(omega)`` (Berard et al. 2020, eq. 9, with the sign of eq. 10). The
methods are those that the GAN literature compares: both players at once, one after the other,
and Korpelevich's extragradient; and any torch optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from torch import Tensor
from torch.optim import Optimizer

from helpers.games.game import PLAYERS, Game
from helpers.inputs import one_of, real_array, real_number, whole_number
from helpers.operators import jacobian
from helpers.spectra.basis import matrix_rounding
from helpers.training.nudged import Nudged
from helpers.training.optimizers import Extragradient, Lookahead


@dataclass(frozen=True, eq=False)
class Flow:
    """Solutions of the gradient flow from several starts, at common times."""

    times: NDArray[np.float64]  # (T,)
    points: NDArray[np.float64]  # (T, N, n)


def flow(
    game: Game,
    starts: ArrayLike | Tensor,
    times: ArrayLike,
    *,
    speed: float | None = None,
) -> Flow:
    """Follow d omega / dt = -v(omega) from many starts, by scipy's solve_ivp (DOP853).

    All starts are solved as one system: they share the step size that the hardest of them needs.
    The solver bounds the mean of their errors, so a single one may err more than it would alone.

    Args:
        game: any game.
        starts: (N, n) points.
        times: (T,) increasing; the first is the time of the starts.
        speed: follow the same orbits at another pace, ``-v / sqrt(1 + |v|^2 / speed^2)``: the same
            flow near a stationary point, and never faster than `speed`. Orbits that run away, for
            which a solver must take ever shorter steps, can then be followed too; times are no
            longer those of the flow.

    Raises:
        ValueError: for bad starts or times, or a speed that is not positive.
        RuntimeError: if the solver gives up or an orbit reaches infinity.

    >>> from helpers.games.closed_form import quadratic_game
    >>> pull = quadratic_game([[1.0]], [[1.0]], [[0.0]], [[0.0]])
    >>> flow(pull, [[1.0, 0.0]], [0.0, 1.0]).points[-1].round(6)
    array([[0.367879, 0.      ]])
    """
    points = game.point(starts).to(torch.float64)
    times = real_array("times", times, finite=False)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"starts are points (N, {game.dimension}), got {tuple(points.shape)}")
    finite = times.ndim == 1 and np.isfinite(times).all()
    if not finite or len(times) < 2 or not (np.diff(times) > 0).all():
        raise ValueError(f"times increase and are two or more, got {times}")
    if speed is not None:
        speed = real_number("speed", speed, above=0)

    def velocity(t: float, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        v = game.unchecked_field(torch.from_numpy(flat).view(points.shape))
        if not v.isfinite().all():  # which scipy would not notice
            raise RuntimeError(f"the flow of {game.name} ran to infinity at t = {t:g}")
        if speed is not None:
            # Scaled, since the square of v may be out of range.
            largest = v.abs().amax(dim=1, keepdim=True).clamp_min(1e-300)
            norm = largest * (v / largest).norm(dim=1, keepdim=True)
            v = v / torch.hypot(torch.ones_like(norm), norm / speed)
        return -v.numpy().ravel()

    found = solve_ivp(
        velocity,
        (times[0], times[-1]),
        points.numpy().ravel(),
        method="DOP853",
        t_eval=times,
        rtol=1e-8,
        atol=1e-10,
    )
    if not found.success:
        raise RuntimeError(f"the flow of {game.name} was not solved: {found.message}")
    return Flow(times, found.y.T.reshape(len(times), *points.shape))


class _Descent(Optimizer):
    """Plain steps, rounded as omega - size v(omega) is; SGD's fused steps round differently."""

    def __init__(self, weights: Iterable[Tensor], size: float) -> None:
        super().__init__(weights, {"size": size})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for weight in group["params"]:
                weight.copy_(weight - group["size"] * weight.grad)


# Both at once; G first, then D from where G has gone; Korpelevich 1976. The flag: in turn or not.
STEPS: dict[str, tuple[Callable[..., Optimizer], bool]] = {
    "simultaneous": (_Descent, False),
    "alternating": (_Descent, True),
    "extragradient": (lambda weights, size: Extragradient(_Descent(weights, size)), False),
}


def iterate(
    game: Game,
    start: ArrayLike | Tensor,
    method: str,
    *,
    size: float,
    steps: int,
    last_only: bool = False,
) -> Tensor:
    """Iterates of a plain method from one start or many: `play` with steps of one size.

    Args:
        game, start, steps, last_only: as in `play`.
        method: a name in `STEPS`.
        size: size of the step.

    Raises:
        ValueError: for an unknown method, a size that is not positive, and as `play`.

    >>> from helpers.games.closed_form import dirac_gan
    >>> iterate(dirac_gan("js"), [1.0, 0.0], "simultaneous", size=0.1, steps=1)[-1]
    tensor([ 1.0000, -0.0500], dtype=torch.float64)
    """
    optimizer, in_turn = STEPS[one_of("method", method, STEPS)]
    made = partial(optimizer, size=real_number("size", size, above=0))
    return play(game, start, made, steps=steps, in_turn=in_turn, last_only=last_only)


def play(
    game: Game,
    start: ArrayLike | Tensor,
    optimizer: Callable[[Iterable[Tensor]], Optimizer],
    *,
    steps: int,
    in_turn: bool = False,
    last_only: bool = False,
) -> Tensor:
    """The points of a game whose players each follow an optimiser: all of them, or the last.

    An orbit that would leave the range of floats stays at its last finite point.

    Args:
        game: any game.
        start: (..., n) points.
        optimizer: a function from parameters to an optimiser; one is made for each player. With
            many starts it must treat each number by itself (as SGD and Adam do).
        steps: 0 or more.
        in_turn: G steps first, and D then steps from where G has gone. By default both step from
            gradients at one point, and both extrapolate if their optimisers do.
        last_only: return the last points (..., n) instead of all (steps + 1, ..., n).

    A `Nudged` optimiser that finds its directions is given the point, (n,). `Lookahead` optimisers
    look back after each step of both players.

    Raises:
        ValueError: for a bad start, a negative number of steps, and extrapolation in turn.

    >>> from helpers.games.closed_form import dirac_gan
    >>> play(dirac_gan(), [1.0, 0.0], partial(torch.optim.SGD, lr=0.1), steps=1)[-1]
    tensor([ 1.0000, -0.0500], dtype=torch.float64)
    """
    now, steps = game.point(start), whole_number("steps", steps, 0)
    players = [part.clone().requires_grad_() for part in game.split(now)]
    optimizers = [optimizer([part]) for part in players]
    moves = ("extrapolate", "step") if isinstance(optimizers[0], Extragradient) else ("step",)
    if in_turn and len(moves) > 1:
        raise ValueError("players that take turns do not extrapolate")
    turns = ((0,), (1,)) if in_turn else ((0, 1),)
    path = [now]
    for _ in range(steps):
        for move, turn in product(moves, turns):
            here = torch.cat([part.detach() for part in players], dim=-1)
            for number in turn:
                players[number].grad = game.unchecked_gradient(PLAYERS[number], here)
            for number in turn:
                mover = optimizers[number]
                if isinstance(mover, Nudged):
                    mover.refresh(here)
            for number in turn:
                getattr(optimizers[number], move)()
        for mover in optimizers:
            if isinstance(mover, Lookahead):
                mover.look_back()
        after = torch.cat([part.detach() for part in players], dim=-1)
        is_finite = after.isfinite().all(-1, keepdim=True)
        if not is_finite.all():
            after = torch.where(is_finite, after, now)
            for part, back in zip(players, game.split(after), strict=True):
                part.data.copy_(back)
        now = after
        if not last_only:
            path.append(now)
    return now if last_only else torch.stack(path)


def largest_stable_step(game: Game, omega: ArrayLike | Tensor, method: str) -> float:
    """The step size below which a method is drawn to a stationary point, from the linearisation.

    With J the Jacobian there and lambda its eigenvalues, the linearised step of size s has the
    eigenvalues 1 - s lambda (simultaneous) or 1 - s lambda + (s lambda)^2 (extragradient); for
    alternating steps it is the matrix I - s J + s^2 K, where K holds what D sees of G's move. The
    result is the end of the interval of sizes, from 0 on, for which all eigenvalues lie within the
    unit circle; 0 if there is no such interval. For simultaneous steps it is the least
    ``2 Re(lambda) / |lambda|^2`` over lambda.

    Raises:
        ValueError: for an unknown method or a bad point. The caller has to make sure that the point
            is stationary.
        FloatingPointError: for a Jacobian that is not finite.

    >>> from helpers.games.closed_form import rotating_saddle
    >>> round(largest_stable_step(rotating_saddle(), [1.0, 1.0, 0.0], "simultaneous"), 4)
    0.0752
    """
    one_of("method", method, STEPS)
    operator = jacobian(game, omega)
    J = operator.dense().double().cpu().numpy()
    if not np.isfinite(J).all():
        raise FloatingPointError(f"the Jacobian of {game.name} is not finite at this point")
    values = np.linalg.eigvals(J)
    nothing = matrix_rounding(J, operator.like.dtype)  # what rounding leaves of a zero
    if (np.abs(values) <= nothing).any():
        return 0.0  # along its eigenvector no step gets nearer
    real = np.where(np.abs(values.real) <= nothing, 0.0, values.real)
    simultaneous = float(max(0.0, np.min(2 * real / np.abs(values) ** 2)))
    if method == "simultaneous" or (real < 0).any():
        return simultaneous
    if method == "extragradient":
        return min(_extragradient_limit(a, abs(v) ** 2) for a, v in zip(real, values, strict=True))
    return _alternating_limit(J, game.sizes[0], simultaneous, operator.like.dtype)


def _extragradient_limit(a: float, size: float) -> float:
    """Smallest s > 0 at which |1 - s lambda + (s lambda)^2| = 1, for Re(lambda) and |lambda|^2."""
    # |...|^2 - 1, divided by s
    roots = np.roots([size**2, -2 * size * a, 4 * a**2 - size, -2 * a])
    real = roots.real[(np.abs(roots.imag) < 1e-9 * np.abs(roots)) & (roots.real > 0)]
    return float(real.min())


def _alternating_limit(
    J: NDArray[np.float64], p: int, simultaneous: float, dtype: torch.dtype
) -> float:
    K = np.zeros_like(J)
    K[p:] = J[p:, :p] @ J[:p]

    def excess(s: float) -> float:
        return np.abs(np.linalg.eigvals(np.eye(len(J)) - s * J + s**2 * K)).max() - 1

    # To first order in s every method is the simultaneous one. With attraction in every direction
    # small steps are stable, even if rounding hides it; otherwise stability has to show.
    scale = 1 / np.linalg.norm(J, 2)
    rounding = matrix_rounding(np.eye(len(J)), dtype)  # of eigenvalues near the unit circle
    slack = rounding if simultaneous else -10 * rounding
    sizes = np.geomspace(min(simultaneous or scale, scale) / 100, 100 * scale, 600)
    stable = np.array([excess(s) < slack for s in sizes])
    if not stable[0]:
        return 0.0
    # A game far from normal has its limit far beyond 1 / |J|, but it has one: the determinant of a
    # step is det(1 - s J_GG) det(1 - s J_DD), which grows without end unless both blocks are
    # nilpotent; and then J's trace is 0, and not every direction attracts.
    while stable.all():
        sizes = np.geomspace(sizes[-1], 100 * sizes[-1], 300)
        stable = np.array([excess(s) < slack for s in sizes])
    last = int(np.argmin(stable)) - 1
    ends = (sizes[last], sizes[last + 1])
    return float(brentq(lambda s: excess(s) - slack, *ends, xtol=4 * np.finfo(float).eps * scale))
