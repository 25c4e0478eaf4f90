"""Steps that leave given directions out, as a wrapper of any torch optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from helpers.inputs import one_of, shown, whole_number
from helpers.training.optimizers import Closure, Wrapper, evaluated, weights_of

Find = Callable[[Any, Tensor | None], Tensor]
PROJECTIONS = ("gradient", "step")
_ORTHONORMAL = 1e-3  # how far products of two columns may be from 0 or 1


class Nudged(Wrapper):
    """A step that leaves given directions out: nudged-Adam, or NuGAN (Durall et al. 2021, eq. 12).

    The paper takes the leading eigenvectors of a player's own Hessian out of the gradient, and
    gives what is left to Adam. Adam scales each weight's part by its own history, and so leads back
    into what was removed; project="step" takes the directions out of the step instead.

    Args:
        optimizer: any torch optimiser of real weights.
        directions: (n, k) orthonormal columns over all of its weights in a row, k 0 or more; or
            (S, n, k) where every weight is that of S members, (S, ...). Or a function that finds
            them from the argument of `refresh` and the previous directions, None at first; its repr
            tells the checkpoint of one run from another's. In a training it finds them over the
            player's weights in their own order, in which the optimiser has to list them.
        project: "gradient" or "step".
        every: steps after which such a function is called again.

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

    _kept = (*Wrapper._kept, "directions", "taken", "left_out", "read")

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
        self.taken = 0  # steps so far
        # The sum of the steps' shares that were left out since `mean_left_out` was read.
        self.left_out: Tensor | None = None
        self.read = 0  # steps until then

    def refresh(self, where: Any) -> None:
        """Find the directions again if they are due; trainings call this before each step.

        Args:
            where: what the function that finds them needs: both players in their current state.

        Raises:
            ValueError: for directions that are not orthonormal. Columns may be zero or not finite,
                as those of members that have diverged.
        """
        if self.find is None or not self.is_due:
            return
        found = _orthonormal(self.find(where, self.directions), found=True)
        if self.directions is None:
            self.directions = found
        else:  # in place, since a captured step reads them there
            self.directions.copy_(found)

    @property
    def is_due(self) -> bool:
        """Whether directions have to be found before the next step."""
        return self.find is not None and self.taken % self.every == 0

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Take a step that leaves the directions out.

        Args:
            closure: clears the gradients, computes them at the current weights, and returns the
                loss, which `step` returns. It is called once; call `refresh` before it.

        Raises:
            RuntimeError: if directions have to be found and `refresh` was not called.
            ValueError: for directions that do not fit the weights, and for sparse gradients unless
                the step is projected.
        """
        if self.directions is None:
            raise RuntimeError("step was called before refresh had found directions")
        loss = evaluated(closure)
        weights = [w for w in weights_of(self.optimizer) if w.grad is not None]
        if self.project == "gradient":
            slopes = [w.grad for w in weights if w.grad is not None]
            if any(slope.layout != torch.strided for slope in slopes):
                raise ValueError(
                    "directions are taken out of dense gradients, got a sparse one: "
                    'project the step (project="step"), or make the embedding with sparse=False'
                )
            along, share = _along(self.directions, slopes)
            # Not in place: a gradient may be another weight's too.
            left = torch._foreach_sub(slopes, along)
            for weight, slope in zip(weights, left, strict=True):
                weight.grad = slope
            self.optimizer.step()
        else:
            before = [weight.clone() for weight in weights]
            self.optimizer.step()
            along, share = _along(self.directions, torch._foreach_sub(weights, before))
            torch._foreach_sub_(weights, along)
        if self.left_out is None:
            self.left_out = torch.zeros_like(share)
        self.left_out += share  # in place, as a captured step does it there
        self.taken += 1
        return loss

    @torch.no_grad()
    def mean_left_out(self) -> Tensor:
        """() or (S,): which part of the norm was left out, of the gradients or of the steps.

        It is the mean over the steps since the last call, NaN if there were none. With directions
        that are many steps old it may be next to 0, and then nothing is nudged.
        """
        steps, found = self.taken - self.read, self.left_out
        if found is None or not steps:
            return torch.tensor(torch.nan)
        mean = found / steps
        found.zero_()
        self.read = self.taken
        return mean

    def __str__(self) -> str:
        found: Any = self.find
        if found is None and self.directions is not None:
            found = self.directions.shape[-1]
        return f"Nudged({found}, {self.project}, every {self.every})"

    def state_dict(self) -> dict[str, Any]:
        own = {"directions": self.directions, "taken": self.taken}
        return super().state_dict() | own | {"left_out": self.left_out, "read": self.read}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        where = weights_of(self.optimizer)[0].device
        self.directions, self.left_out = (
            None if held is None else held.to(where, copy=True)
            for held in (state["directions"], state["left_out"])
        )
        self.taken, self.read = state["taken"], state["read"]


def check_order(player: str, optimizer: Any, weights: Sequence[Tensor]) -> None:
    """ValueError if directions that are found would be taken for those of other weights."""
    if not isinstance(optimizer, Nudged) or optimizer.find is None:
        return
    moved = weights_of(optimizer)
    if [*map(id, moved)] != [*map(id, weights)]:
        wanted, got = ([tuple(weight.shape) for weight in each] for each in (weights, moved))
        raise ValueError(
            f"directions are found over {player}'s weights in the order in which they are given, "
            f"{wanted}; keep it in the parameter groups of a Nudged optimiser, got another one, "
            f"{got}"
        )


def check_of(player: str, optimizer: Any, settings: Any) -> None:
    """ValueError if what finds directions says that they are of another training's loss."""
    if isinstance(optimizer, Nudged):
        check = getattr(optimizer.find, "check_training", None)
        if check is not None:
            check(player, settings)


def _along(span: Tensor, parts: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """The part of a vector in the directions, and its share of the norm; 0 of a zero vector.

    Both vectors are split as the weights are.
    """
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
    heights = span.mT @ rows[..., None]
    found = (span @ heights).split(sizes, dim=-2)
    whole = rows.norm(dim=-1)
    share = torch.where(whole == 0, 0.0, heights[..., 0].norm(dim=-1) / whole)
    return [own.reshape(part.shape) for part, own in zip(parts, found, strict=True)], share


def _orthonormal(directions: Tensor, *, found: bool = False) -> Tensor:
    """The directions if they are orthonormal, else a ValueError.

    Found ones may be those of networks that have diverged, which is for the training to say.
    """
    if not isinstance(directions, Tensor):
        raise ValueError(f"directions are a tensor (..., n, k), got {shown(directions)}")
    if directions.ndim < 2 or not directions.is_floating_point():
        raise ValueError(
            "directions are floats (..., n, k), "
            f"got {tuple(directions.shape)} of {directions.dtype}"
        )
    held = directions
    if found:
        held = torch.where(held.isfinite().all(dim=-2, keepdim=True), held, 0.0)
    gram = (held.mT @ held).double()
    one = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    if found:
        one = one * (held != 0).any(dim=-2)[..., None]
    off = (gram - one).abs().max() if gram.numel() else 0.0
    if not off <= _ORTHONORMAL:
        raise ValueError(f"directions are orthonormal columns, got products off by {off:g}")
    return directions
