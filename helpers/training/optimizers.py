"""Optimisers for games: wrappers of any torch optimiser.

Each wrapper holds one player's optimiser, and is a torch optimiser itself. Players take their turns
outside, so that both can extrapolate before either takes its gradient there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from helpers.inputs import one_of, shown, whole_number

Closure = Callable[[], Any]


def _passed_on(name: str) -> Callable[..., Any]:
    """A method that registers a hook with the optimiser inside."""

    def register(self: Wrapper, hook: Callable[..., Any], prepend: bool = False) -> Any:
        return getattr(self.optimizer, name)(hook, prepend=prepend)

    return register


class Wrapper(Optimizer):
    """What holds one player's optimiser, and a tensor for each weight from one step to the next.

    Parameter groups, their settings and the state are those of the optimiser inside: a scheduler
    may be given either of the two. Hooks on states are the inner optimiser's and see its state;
    hooks on steps see the wrapper's steps.

    Raises:
        ValueError: for what is no torch optimiser, a wrapper, LBFGS, which takes more than one
            gradient in a step, and complex weights.
    """

    _kept: tuple[str, ...] = ("optimizer", "held")  # keys of a state
    optimizer: Optimizer
    _held: Sequence[Tensor | None] | None

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, Wrapper | LBFGS):
            raise ValueError(
                f"{type(self).__name__} wraps a torch optimiser that takes one gradient in a step, "
                f"such as torch.optim.SGD(net.parameters(), lr=0.1), got {shown(optimizer)}"
            )
        if any(weight.is_complex() for weight in _weights(optimizer)):
            raise ValueError(f"{type(self).__name__} moves real weights, got complex ones")
        # As when one is unpickled: hooks and all, but no groups or state of its own.
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
        # A scheduler puts a step of its own on one instance; copies have that of the class.
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
        held, weights = state["held"], _weights(self.optimizer)
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
        """Move to where the next gradient is to be taken, by the gradients that there are.

        Raises:
            RuntimeError: if the step after the last extrapolation has not been taken.
        """
        if self._held is not None:
            raise RuntimeError("extrapolate was called twice; a step comes in between")
        self._held = [weight.detach().clone() for weight in _weights(self.optimizer)]
        self.optimizer.step()

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Step from the past point, by the gradients at the extrapolated one.

        Args:
            closure: clears the gradients, takes them where the weights are, and gives the loss. It
                is called at the extrapolated point, and before it at the past one if `extrapolate`
                was not called: then it is a whole step of one player, the other one held.

        Returns:
            What the closure gave first, if there is one.

        Raises:
            RuntimeError: if there was neither an extrapolation nor a closure.
        """
        found = []
        if closure is not None and self._held is None:
            found.append(_evaluated(closure))
            self.extrapolate()
        if self._held is None:
            raise RuntimeError("step was called before extrapolate, and without a closure")
        if closure is not None:
            found.append(_evaluated(closure))
        for weight, past in zip(_weights(self.optimizer), self._held, strict=True):
            weight.copy_(past)
        self._held = None
        self.optimizer.step()
        return found[0] if found else None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Let other weights move too, from the next extrapolation on.

        Raises:
            RuntimeError: at an extrapolated point.
        """
        if self.is_ahead:
            raise RuntimeError("a group was added between extrapolate and step; add it before both")
        super().add_param_group(param_group)


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
    def step(self, closure: Closure | None = None) -> Any:
        """Step, and keep the gradients for the next one.

        Args:
            closure: clears the gradients, takes them where the weights are, and gives the loss,
                which is returned. It is called once.
        """
        loss = None if closure is None else _evaluated(closure)
        weights = _weights(self.optimizer)
        slopes = [None if w.grad is None else w.grad.clone() for w in weights]
        held = self._held or slopes
        held = [*held, *[None] * (len(slopes) - len(held))]  # of groups that were added since
        for weight, before in zip(weights, held, strict=True):
            if weight.grad is not None and before is not None:
                weight.grad.mul_(2).sub_(before)
        self._held = slopes
        self.optimizer.step()
        return loss


Find = Callable[[Any, Tensor | None], Tensor]
PROJECTIONS = ("gradient", "step")
_ORTHONORMAL = 1e-3  # what products of two columns may differ by from 0 and 1


class Nudged(Wrapper):
    """A step that leaves given directions out: nudged-Adam, or NuGAN (Durall et al. 2021, eq. 12).

    The paper takes the leading eigenvectors of a player's own Hessian out of the gradient, and
    gives what is left to Adam. Adam scales each weight's part by its own history, and by that
    leads back into what was removed; project="step" takes the directions out of what it does.

    Args:
        optimizer: any torch optimiser of real weights.
        directions: (n, k) orthonormal columns over all of its weights in a row, k 0 or more; or
            (S, n, k) where every weight is that of S members, (S, ...). Or a function that finds
            them, from what `refresh` is given and the directions before, None at first; its repr is
            what tells a checkpoint of one run from another's.
        project: "gradient" or "step".
        every: steps after which a function is asked again.

    Raises:
        ValueError: for another `project`, `every` below 1, and directions that are not orthonormal.

    >>> x = torch.tensor([1.0, 1.0], requires_grad=True)
    >>> sharp = torch.tensor([[1.0], [0.0]])
    >>> optimizer = Nudged(torch.optim.SGD([x], lr=0.5), sharp)
    >>> x.grad = torch.tensor([2.0, 1.0])
    >>> optimizer.step()
    >>> x.detach()
    tensor([1.0000, 0.5000])
    """

    _kept = (*Wrapper._kept, "directions", "taken")

    def __init__(
        self,
        optimizer: Optimizer,
        directions: Tensor | Find,
        project: str = "gradient",
        *,
        every: int = 50,
    ) -> None:
        super().__init__(optimizer)
        self.project = one_of("project", project, PROJECTIONS)
        self.every = whole_number("every", every, 1)
        self.find: Find | None = None
        self.directions: Tensor | None = None
        if isinstance(directions, Tensor):
            self.directions = _orthonormal(directions)
        elif callable(directions):
            self.find = directions
        else:
            raise ValueError(
                "directions are a tensor (n, k), or a function that finds one, "
                f"got {shown(directions)}"
            )
        self.taken = 0  # steps

    def refresh(self, where: Any) -> None:
        """Find the directions again if it is time; trainings call this ahead of each step.

        Args:
            where: what the function that finds them needs: both players, as they are.
        """
        if self.find is None or not self.is_due:
            return
        found = self.find(where, self.directions)
        if self.directions is None:
            self.directions = found
        else:  # where they lay: a captured step reads them there
            self.directions.copy_(found)

    @property
    def is_due(self) -> bool:
        """Whether directions have to be found before the next step."""
        return self.find is not None and self.taken % self.every == 0

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Step along what is left.

        Args:
            closure: clears the gradients, takes them where the weights are, and gives the loss,
                which is returned. It is called once; `refresh` comes before it.

        Raises:
            RuntimeError: if directions have to be found and `refresh` was not called.
            ValueError: for directions that do not fit the weights, and for sparse gradients unless
                the step is projected.
        """
        if self.directions is None:
            raise RuntimeError("step was called before refresh had found directions")
        loss = None if closure is None else _evaluated(closure)
        weights = [w for w in _weights(self.optimizer) if w.grad is not None]
        if self.project == "gradient":
            slopes = [w.grad for w in weights if w.grad is not None]
            if any(slope.layout != torch.strided for slope in slopes):
                raise ValueError(
                    "directions are taken out of dense gradients, got a sparse one: "
                    'project the step (project="step"), or make the embedding with sparse=False'
                )
            torch._foreach_sub_(slopes, _along(self.directions, slopes))
            self.optimizer.step()
        else:
            before = [weight.clone() for weight in weights]
            self.optimizer.step()
            taken = torch._foreach_sub(weights, before)
            torch._foreach_sub_(weights, _along(self.directions, taken))
        self.taken += 1
        return loss

    def __str__(self) -> str:
        found: Any = self.find
        if found is None and self.directions is not None:
            found = self.directions.shape[-1]
        return f"Nudged({found}, {self.project}, every {self.every})"

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"directions": self.directions, "taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        held = state["directions"]
        where = _weights(self.optimizer)[0].device
        self.directions = None if held is None else held.to(where)
        self.taken = state["taken"]


def _weights(optimizer: Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _evaluated(closure: Closure) -> Any:
    with torch.enable_grad():
        return closure()


def _along(span: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    """What of a vector lies in the directions, both in parts as the weights are."""
    members = span.shape[:-2]
    if any(part.shape[: len(members)] != members for part in parts):
        raise ValueError(
            f"directions {tuple(span.shape)} are of {list(members)} members, "
            f"got weights {[tuple(part.shape) for part in parts]}"
        )
    sizes = [part.numel() // members.numel() for part in parts]
    if span.ndim < 2 or span.shape[-2] != sum(sizes):
        raise ValueError(
            f"directions of weights with gradients are (..., {sum(sizes)}, k), "
            f"got {tuple(span.shape)}"
        )
    rows = torch.cat([part.reshape(*members, -1) for part in parts], dim=-1)
    span = span.to(rows)
    along = span @ (span.mT @ rows[..., None])
    found = along.split(sizes, dim=-2)
    return [own.reshape(part.shape) for part, own in zip(parts, found, strict=True)]


def _orthonormal(directions: Tensor) -> Tensor:
    if directions.ndim < 2 or not directions.is_floating_point():
        raise ValueError(
            "directions are floats (..., n, k), "
            f"got {tuple(directions.shape)} of {directions.dtype}"
        )
    gram = (directions.mT @ directions).double()
    one = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    off = (gram - one).abs().max() if gram.numel() else 0.0
    if not off <= _ORTHONORMAL:
        raise ValueError(f"directions are orthonormal columns, got products off by {off:g}")
    return directions
