"""Optimisers for games: wrappers of any torch optimiser.

Each wrapper holds one player's optimiser, and is a torch optimiser itself. The caller decides who
moves when, so that both can extrapolate before either takes its gradient at the new point.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from helpers.inputs import real_number, shown, whole_number

Closure = Callable[[], Any]
# What `helpers.training.schedules` writes into groups, and what it does at each step.
_AT_EACH_STEP = {"averaging": "averages the weights", "falls": "lets the rates fall"}


def _passed_on(name: str) -> Callable[..., Any]:
    """A method that registers a hook with the optimiser inside."""

    def register(self: Wrapper, hook: Callable[..., Any], prepend: bool = False) -> Any:
        return getattr(self.optimizer, name)(hook, prepend=prepend)

    return register


class Wrapper(Optimizer):
    """Holds one player's optimiser and, from one step to the next, a tensor for each weight.

    Parameter groups, their settings and the state are those of the optimiser inside: a scheduler
    may be given either optimiser. Hooks on states are the inner optimiser's and see its state;
    hooks on steps see the wrapper's steps.

    Raises:
        ValueError: for anything but a torch optimiser, for a wrapper, for LBFGS, which takes more
            than one gradient per step, for complex weights, and for an optimiser that averages its
            weights or lets its rates fall, which whatever is around it has to do.
    """

    _kept: tuple[str, ...] = ("optimizer", "held")  # keys of a state
    optimizer: Optimizer
    _held: Sequence[Tensor | None] | None

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, Wrapper | LBFGS):
            raise ValueError(
                f"{type(self).__name__} wraps a torch optimiser that takes one gradient per step, "
                f"such as torch.optim.SGD(net.parameters(), lr=0.1), got {shown(optimizer)}"
            )
        if any(weight.is_complex() for weight in weights_of(optimizer)):
            raise ValueError(f"{type(self).__name__} moves real weights, got complex ones")
        settings = {name for group in optimizer.param_groups for name in group}
        for name in sorted(settings & _AT_EACH_STEP.keys()):
            # The steps inside are not the wrapper's: there may be two, and weights move after them.
            raise ValueError(
                f"{type(self).__name__} goes inside, as in averaging(falling({type(self).__name__}"
                f"(optimizer))): got an optimiser that {_AT_EACH_STEP[name]} at its own steps"
            )
        # As in unpickling: hooks and all, but no groups or state of its own.
        self.__setstate__({"optimizer": optimizer, "_held": None})

    # Attributes of torch's optimisers; here they lead to the inner one's, and cannot be replaced.
    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override] # read only, see above
        """The inner optimiser's own list of groups."""
        return self.optimizer.param_groups

    @property
    def state(self) -> defaultdict[Tensor, Any]:  # type: ignore[override] # read only, see above
        """The inner optimiser's state of each weight."""
        return self.optimizer.state

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override] # read only, see above
        """The inner optimiser's settings for new groups."""
        return self.optimizer.defaults

    def __str__(self) -> str:
        return type(self).__name__

    def __getstate__(self) -> dict[str, Any]:
        # A scheduler puts its own step on one instance; copies have the step of the class.
        return {name: value for name, value in vars(self).items() if name != "step"}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        self.optimizer.add_param_group(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "held": self._held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            ValueError: for the state of another kind of optimiser, or of other weights.
        """
        if not isinstance(state, dict) or set(state) != set(self._kept):
            got = sorted(map(str, state)) if isinstance(state, dict) else shown(state)
            raise ValueError(f"a state of {type(self).__name__} has {self._kept}, got {got}")
        held, weights = state["held"], weights_of(self.optimizer)
        if held is not None:
            pairs = list(zip(held, weights, strict=False))
            if len(held) > len(pairs) or any(
                h is not None and h.shape != w.shape for h, w in pairs
            ):
                shapes = [None if h is None else tuple(h.shape) for h in held]
                raise ValueError(
                    f"the state is of other weights: it holds {shapes}, "
                    f"and the weights are {[tuple(w.shape) for w in weights]}"
                )
            held = [h if h is None else h.to(w.device, copy=True) for h, w in pairs]
        self.optimizer.load_state_dict(state["optimizer"])
        self._held = held

    register_state_dict_pre_hook = _passed_on("register_state_dict_pre_hook")
    register_state_dict_post_hook = _passed_on("register_state_dict_post_hook")
    register_load_state_dict_pre_hook = _passed_on("register_load_state_dict_pre_hook")
    register_load_state_dict_post_hook = _passed_on("register_load_state_dict_post_hook")


class Extragradient(Wrapper):
    """A step from the past point along the gradient at an extrapolated one.

    With SGD this is Korpelevich's method, x <- x - lr g(x - lr g(x)); with Adam it is the ExtraAdam
    of Gidel et al. 2019, which Berard et al. 2020 train with: both half-steps go through Adam, and
    both enter its moments.

    A GradScaler is refused, since it could leave out one half of a step.

    >>> from functools import partial
    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = Extragradient(torch.optim.SGD([x], lr=0.5))
    >>> for move in (optimizer.extrapolate, optimizer.step):  # down x^2 / 2
    ...     x.grad = x.detach().clone()
    ...     move()
    >>> x.item()  # 1 - 0.5 (1 - 0.5)
    0.75
    """

    _held: Sequence[Tensor] | None

    @property
    def is_ahead(self) -> bool:
        """Whether the weights are at an extrapolated point, from which a step comes next."""
        return self._held is not None

    @property
    def _step_supports_amp_scaling(self) -> bool:
        # Read by GradScaler.step, if it is enabled, and by nothing else.
        raise RuntimeError(
            "GradScaler cannot step an Extragradient: it may skip one half of a step and not the "
            "other; unscale the gradients by hand, or train in bfloat16, which needs no scaling"
        )

    def extrapolate(self) -> None:
        """Move along the present gradients to the point where the next gradient is taken.

        Raises:
            RuntimeError: if the step after the last extrapolation has not been taken.
        """
        if self._held is not None:
            raise RuntimeError("extrapolate was called twice; a step must come in between")
        self._held = [weight.detach().clone() for weight in weights_of(self.optimizer)]
        self.optimizer.step()

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Step from the past point, by the gradients at the extrapolated one.

        Args:
            closure: clears the gradients, computes them at the current weights, and returns the
                loss. It is called at the extrapolated point. If `extrapolate` was not called, it is
                first called at the past point: the result is a whole step of one player, with the
                other held.

        Returns:
            What the closure returned first, if there is one.

        Raises:
            RuntimeError: if there was neither an extrapolation nor a closure.
        """
        found = []
        if closure is not None and self._held is None:
            found.append(evaluated(closure))
            self.extrapolate()
        if self._held is None:
            raise RuntimeError("step was called before extrapolate, and without a closure")
        if closure is not None:
            found.append(evaluated(closure))
        for weight, past in zip(weights_of(self.optimizer), self._held, strict=True):
            weight.copy_(past)
        self._held = None
        self.optimizer.step()
        return found[0] if found else None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add weights, which move from the next extrapolation on.

        Raises:
            RuntimeError: at an extrapolated point.
        """
        if self.is_ahead:
            raise RuntimeError("a group was added between extrapolate and step; add it before both")
        super().add_param_group(param_group)


class Optimistic(Wrapper):
    """A step along twice the gradient minus the one before; the first is a plain step.

    The method of Daskalakis et al. 2018, and the "extrapolation from the past" of Gidel et al. 2019
    seen from its half-points. It takes one gradient per step instead of two.

    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = Optimistic(torch.optim.SGD([x], lr=0.5))
    >>> for _ in range(2):  # down x^2 / 2
    ...     x.grad = x.detach().clone()
    ...     optimizer.step()
    >>> x.item()  # 0.5 - 0.5 (2 * 0.5 - 1)
    0.5
    """

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Step, and keep the gradients for the next one.

        Args:
            closure: clears the gradients, computes them at the current weights, and returns the
                loss, which `step` returns. It is called once.
        """
        loss = evaluated(closure)
        weights = weights_of(self.optimizer)
        slopes = [None if w.grad is None else w.grad.clone() for w in weights]
        held = self._held or slopes
        held = [*held, *[None] * (len(slopes) - len(held))]  # for groups added since
        for weight, before in zip(weights, held, strict=True):
            if weight.grad is not None and before is not None:
                weight.grad = 2 * weight.grad - before  # it may be another weight's gradient too
        self._held = slopes
        self.optimizer.step()
        return loss


class HeavyBall(Wrapper):
    """A step, and then a share of the last move: momentum of either sign, around any optimiser.

    With SGD this is ``x <- x - lr g(x) + momentum (x - x_before)``. Gidel et al. 2019, *Negative
    momentum for improved game dynamics*, let players who step in turn take a momentum below 0,
    which torch's own optimisers refuse.

    Args:
        optimizer: any torch optimiser of real weights; best one without a momentum of its own.
        momentum: in (-1, 1).

    Raises:
        ValueError: for a momentum out of range, and as `Wrapper`.

    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = HeavyBall(torch.optim.SGD([x], lr=0.5), momentum=-0.5)
    >>> for _ in range(2):  # down x^2 / 2
    ...     x.grad = x.detach().clone()
    ...     optimizer.step()
    >>> x.item()  # 0.5 - 0.25 - 0.5 (0.5 - 1)
    0.5
    """

    def __init__(self, optimizer: Optimizer, momentum: float) -> None:
        super().__init__(optimizer)
        self.momentum = real_number("momentum", momentum, above=-1)
        if not self.momentum < 1:
            raise ValueError(f"momentum is in (-1, 1), got {shown(momentum)}")

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Step, and keep the weights before it for the next one.

        Args:
            closure: clears the gradients, computes them at the current weights, and returns the
                loss, which `step` returns. It is called once.
        """
        loss = evaluated(closure)
        weights = weights_of(self.optimizer)
        now = [weight.clone() for weight in weights]
        self.optimizer.step()
        held = list(self._held or now)
        held += now[len(held) :]  # for groups added since
        for weight, here, before in zip(weights, now, held, strict=True):
            if weight.grad is not None and before is not None:
                weight.add_(here - before, alpha=self.momentum)
        self._held = now
        return loss


class Lookahead(Wrapper):
    """Every few iterations a step back, to a share of the way that was gone since the last one.

    The method of Zhang et al. 2019, as Chavdarova et al. 2021, *Taming GANs with Lookahead-Minmax*,
    use it in games (Algorithm 1): both players step back together, after an iteration of both. So
    `step` moves the fast weights alone, and whoever trains calls `look_back` at the end of each
    iteration, as the trainings of this package do.

    Args:
        optimizer: any torch optimiser of real weights.
        every: k of the paper, iterations between steps back.
        share: alpha of the paper, of the way that is kept; in (0, 1].

    Raises:
        ValueError: for numbers out of range, and as `Wrapper`.

    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = Lookahead(torch.optim.SGD([x], lr=0.5), every=2, share=0.5)
    >>> for _ in range(2):  # down x^2 / 2
    ...     x.grad = x.detach().clone()
    ...     optimizer.step()
    ...     optimizer.look_back()
    >>> x.item()  # half way between 1 and 0.25
    0.625
    """

    _kept = (*Wrapper._kept, "taken")

    def __init__(self, optimizer: Optimizer, every: int = 5, share: float = 0.5) -> None:
        super().__init__(optimizer)
        self.every = whole_number("every", every, 1)
        self.share = real_number("share", share, above=0)
        if self.share > 1:
            raise ValueError(f"share is in (0, 1], got {shown(share)}")
        self.taken = 0  # iterations so far

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Move the fast weights.

        Args:
            closure: clears the gradients, computes them at the current weights, and returns the
                loss, which `step` returns. It is called once.
        """
        loss = evaluated(closure)
        weights, held = weights_of(self.optimizer), self._held or []
        if len(held) < len(weights):  # at first, and for groups added since
            self._held = [*held, *(weight.clone() for weight in weights[len(held) :])]
        self.optimizer.step()
        return loss

    @torch.no_grad()
    def look_back(self, constrain: Callable[[], None] | None = None) -> None:
        """Count an iteration, and step back if that is due.

        Args:
            constrain: called after a step back, to put weights back to where they are allowed to
                be; the next step back goes to a point between there and the weights by then.

        Raises:
            RuntimeError: before the first step.
        """
        if self._held is None:
            raise RuntimeError("look_back was called before the first step")
        self.taken += 1
        if self.taken % self.every:
            return
        weights = weights_of(self.optimizer)
        for weight, slow in zip(weights, self._held, strict=False):
            assert slow is not None  # each weight has one
            weight.copy_(slow + self.share * (weight - slow))
        if constrain is not None:
            constrain()
        self._held = [weight.clone() for weight in weights]

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.taken = state["taken"]


def weights_of(optimizer: Optimizer) -> list[Tensor]:
    """All weights of an optimiser, group by group."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def evaluated(closure: Closure | None) -> Any:
    """What a closure returns, with gradients enabled; None without one."""
    with torch.enable_grad():
        return None if closure is None else closure()
