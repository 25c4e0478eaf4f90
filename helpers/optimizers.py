"""Optimisers for games: wrappers of any torch optimiser.

Each wrapper holds one player's optimiser. Players take their turns outside, so that both can
extrapolate before either takes its gradient there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.optim import Optimizer

from helpers.games import PLAYERS, Game


class Wrapper:
    """What holds one player's optimiser, and a tensor a weight from one step to the next."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._held: list[Tensor | None] | None = None

    def __str__(self) -> str:
        return type(self).__name__

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "held": self._held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        held = state["held"]
        self._held = None if held is None else [h if h is None else h.clone() for h in held]


class Extragradient(Wrapper):
    """A step from the past point along the gradient at an extrapolated one.

    With SGD this is Korpelevich's method, x <- x - lr g(x - lr g(x)); with Adam it is the ExtraAdam
    of Gidel et al. 2019, which Berard et al. 2020 train with: both half-steps go through Adam, and
    both enter its moments.

    >>> from functools import partial
    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = Extragradient(torch.optim.SGD([x], lr=0.5))
    >>> for move in (optimizer.extrapolate, optimizer.step):  # down x^2 / 2
    ...     x.grad = x.detach().clone()
    ...     move()
    >>> x.item()  # 1 - 0.5 (1 - 0.5)
    0.75
    """

    @property
    def is_ahead(self) -> bool:
        """Whether the weights are at an extrapolated point, from which a step comes next."""
        return self._held is not None

    def extrapolate(self) -> None:
        """Move to where the next gradient is to be taken, by the gradients that there are.

        Raises:
            RuntimeError: if the step after the last extrapolation has not been taken.
        """
        if self._held is not None:
            raise RuntimeError("extrapolate was called twice; a step comes in between")
        self._held = [weight.detach().clone() for weight in _weights(self.optimizer)]
        self.optimizer.step()

    @torch.no_grad()
    def step(self) -> None:
        """Step from the past point, by the gradients at the extrapolated one.

        Raises:
            RuntimeError: if there was no extrapolation.
        """
        if self._held is None:
            raise RuntimeError("step was called before extrapolate")
        for weight, past in zip(_weights(self.optimizer), self._held, strict=True):
            weight.copy_(past)
        self._held = None
        self.optimizer.step()


class Optimistic(Wrapper):
    """A step along twice the gradient minus the one before; the first is a plain step.

    Daskalakis et al. 2018, and the "extrapolation from the past" of Gidel et al. 2019 seen from
    its half-points: one gradient a step instead of two.

    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = Optimistic(torch.optim.SGD([x], lr=0.5))
    >>> for _ in range(2):  # down x^2 / 2
    ...     x.grad = x.detach().clone()
    ...     optimizer.step()
    >>> x.item()  # 0.5 - 0.5 (2 * 0.5 - 1)
    0.5
    """

    @torch.no_grad()
    def step(self) -> None:
        weights = _weights(self.optimizer)
        slopes = [None if w.grad is None else w.grad.clone() for w in weights]
        for weight, before in zip(weights, self._held or slopes, strict=True):
            if weight.grad is not None and before is not None:
                weight.grad.mul_(2).sub_(before)
        self._held = slopes
        self.optimizer.step()


Find = Callable[[Any, Tensor | None], Tensor]
PROJECTIONS = ("gradient", "step")


class Nudged(Wrapper):
    """A step that leaves given directions out: nudged-Adam, or NuGAN (Durall et al. 2021, eq. 12).

    The paper takes the leading eigenvectors of a player's own Hessian out of the gradient, and
    gives what is left to Adam. Adam scales each weight's part by its own history, and by that
    leads back into what was removed; project="step" takes the directions out of what it does.

    Args:
        optimizer: any torch optimiser of real weights.
        directions: (n, k) orthonormal columns over all of its weights in a row, k 0 or more; or
            (S, n, k) where every weight is that of S members, (S, ...). Or a function that finds
            them, from what `look` is given and the directions before, None at first; its repr is
            what tells a checkpoint of one run from another's.
        project: "gradient" or "step".
        every: steps after which a function is asked again.

    Raises:
        ValueError: for another `project`, and `every` below 1.

    >>> x = torch.tensor([1.0, 1.0], requires_grad=True)
    >>> sharp = torch.tensor([[1.0], [0.0]])
    >>> optimizer = Nudged(torch.optim.SGD([x], lr=0.5), sharp)
    >>> x.grad = torch.tensor([2.0, 1.0])
    >>> optimizer.step()
    >>> x.detach()
    tensor([1.0000, 0.5000])
    """

    def __init__(
        self,
        optimizer: Optimizer,
        directions: Tensor | Find,
        project: str = "gradient",
        *,
        every: int = 50,
    ) -> None:
        super().__init__(optimizer)
        if project not in PROJECTIONS:
            raise ValueError(f"project is 'gradient' or 'step', got {project!r}")
        if type(every) is not int or every < 1:
            raise ValueError(f"every is 1 or more, got {every!r}")
        self.find = None if isinstance(directions, Tensor) else directions
        self.directions = directions if isinstance(directions, Tensor) else None
        self.project, self.every = project, every
        self.taken = 0  # steps

    def look(self, where: Any) -> None:
        """Find the directions anew if it is time; trainings call this ahead of each step.

        Args:
            where: what the function that finds them asks for: both players, as they are.
        """
        if not self.is_due:
            return
        found = self.find(where, self.directions)
        if self.directions is None:
            self.directions = found
        else:  # where they lay: a captured step reads them there
            self.directions.copy_(found)

    @property
    def is_due(self) -> bool:
        """Whether the next step asks for directions that are found anew."""
        return self.find is not None and self.taken % self.every == 0

    @torch.no_grad()
    def step(self) -> None:
        """Step along what is left.

        Raises:
            RuntimeError: if directions are to be found and `look` was not called.
            ValueError: for directions that do not fit the weights.
        """
        if self.directions is None:
            raise RuntimeError("step was called before look had found directions")
        weights = [w for w in _weights(self.optimizer) if w.grad is not None]
        if self.project == "gradient":
            slopes = [weight.grad for weight in weights]
            torch._foreach_sub_(slopes, self._along(slopes))
            self.optimizer.step()
        else:
            before = [weight.clone() for weight in weights]
            self.optimizer.step()
            torch._foreach_sub_(weights, self._along(torch._foreach_sub(weights, before)))
        self.taken += 1

    def _along(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """What of a vector lies in the directions, both in parts as the weights are."""
        span, members = self.directions, self.directions.shape[:-2]
        rows = [part.reshape(*members, -1) for part in parts]
        sizes = [row.shape[-1] for row in rows]
        if span.shape[-2] != sum(sizes):
            raise ValueError(
                f"directions (..., {sum(sizes)}, k) are asked for, got {tuple(span.shape)}"
            )
        along = span @ (span.mT @ torch.cat(rows, dim=-1)[..., None])
        found = along.split(sizes, dim=-2)
        return [own.reshape(part.shape) for part, own in zip(parts, found, strict=True)]

    def __str__(self) -> str:
        found = self.find or self.directions.shape[-1]
        return f"Nudged({found}, {self.project}, every {self.every})"

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"directions": self.directions, "taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        held = state["directions"]
        where = _weights(self.optimizer)[0].device
        self.directions = None if held is None else held.to(where)
        self.taken = state["taken"]


def play(
    game: Game,
    start: ArrayLike | Tensor,
    optimizer: Callable[[Iterable[Tensor]], Optimizer | Wrapper],
    *,
    steps: int,
    in_turn: bool = False,
) -> Tensor:
    """(steps + 1, n): the points of a game whose players each follow an optimiser.

    Args:
        game: any game.
        start: (n,) point.
        optimizer: from parameters to an optimiser; one is made for each player.
        steps: 0 or more.
        in_turn: G steps first, and D answers to where G has gone. By default both step from
            gradients at one point, and both extrapolate where their optimisers do.

    A `Nudged` optimiser that finds its directions is given the point, (n,).

    Raises:
        ValueError: for a bad start, a negative number of steps, and extrapolation in turn.

    >>> from functools import partial
    >>> from helpers.games import dirac_gan
    >>> play(dirac_gan(), [1.0, 0.0], partial(torch.optim.SGD, lr=0.1), steps=1)[-1]
    tensor([ 1.0000, -0.0500], dtype=torch.float64)
    """
    now = game.point(start)
    if now.ndim != 1 or steps < 0:
        raise ValueError(f"one point and 0 steps or more, got {tuple(now.shape)} and {steps}")
    players = [part.clone().requires_grad_() for part in game.split(now)]
    optimizers = [optimizer([part]) for part in players]
    moves = ("extrapolate", "step") if isinstance(optimizers[0], Extragradient) else ("step",)
    if in_turn and len(moves) > 1:
        raise ValueError("players that take turns do not extrapolate")
    path = [now]
    for _ in range(steps):
        for move in moves:
            groups = ((0,), (1,)) if in_turn else ((0, 1),)
            for group in groups:
                here = torch.cat([part.detach() for part in players])
                for number in group:
                    players[number].grad = game.gradients(PLAYERS[number], here)
                for number in group:
                    if isinstance(optimizers[number], Nudged):
                        optimizers[number].look(here)
                for number in group:
                    getattr(optimizers[number], move)()
        path.append(torch.cat([part.detach() for part in players]))
    return torch.stack(path)


def _weights(optimizer: Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]
