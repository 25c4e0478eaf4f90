"""How far the members of an ensemble are from the edge of stability, seen while they train.

The weights of G and D, one after the other, are a member's point, and J is its game's Jacobian
there. The products are those of the transposed Jacobian, which has the same eigenvalues: they go
back once through the graph of the gradients. The own Hessians are its diagonal blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import GanLoss
from helpers.models.stacked import Stacked
from helpers.spectra import member_eigenpairs, member_eigenvalues
from helpers.training.ensemble import MemberLosses

LEADING = 4  # eigenvalues of the game that are recorded
_TOLERANCE = 1e-3  # of residuals, relative to each eigenvalue


@dataclass(eq=False)
class Kept:
    """Makes a player's optimiser, and keeps it for whoever looks at its state."""

    make: Callable[[Iterable[Tensor]], Optimizer]
    made: Any = None

    def __call__(self, weights: Iterable[Tensor]) -> Optimizer:
        """The optimiser of these weights."""
        self.made = self.make(weights)
        return self.made

    def sizes(self) -> Tensor:
        """(S, n) the step size of each weight: what its gradient is multiplied by.

        For Adam that is its rate over the root of the second moment, both corrected for their
        start: the preconditioner of Cohen et al. 2022.
        """
        groups = getattr(self.made, "optimizer", self.made).param_groups
        parts = []
        for group in groups:
            for weight in group["params"]:
                held = self.made.state[weight] if "betas" in group else {}
                size = torch.full_like(weight, group["lr"])
                if held:
                    first, second = (1 - beta ** float(held["step"]) for beta in group["betas"])
                    root = (held["exp_avg_sq"] / second).sqrt()
                    size = size / first / (root + group["eps"])
                parts.append(size.detach().flatten(start_dim=1))
        return torch.cat(parts, dim=1)


class MemberFields:
    """The gradients of all members at their present weights, ready to be differentiated.

    Args:
        players: stacked, whose parameters require grad.
        latents, reals: (S, n, ...), what the losses are taken on.
        loss: of all members.
        penalty: on D's slope.
    """

    def __init__(
        self,
        players: tuple[Stacked, Stacked],
        latents: Tensor,
        reals: Tensor,
        loss: GanLoss,
        penalty: GradientPenalty | None = None,
    ) -> None:
        self._weights = [list(each.parameters.values()) for each in players]
        members = MemberLosses([(loss, len(reals))], False, players[1], players[1].is_samplewise)
        with torch.enable_grad():
            fakes = players[0](latents)
            logits = members.both(reals, fakes)
            totals = [members.total(player, *logits) for player in "GD"]
            if penalty is not None:
                shares = penalty.shares(reals.shape[1]).to(reals).expand(len(reals), -1)
                totals[1] = totals[1] + len(reals) * penalty(players[1], reals, fakes, shares)
            self._slopes = [
                torch.autograd.grad(total, own, create_graph=True, materialize_grads=True)
                for total, own in zip(totals, self._weights, strict=True)
            ]
        self.sizes = [sum(weight[0].numel() for weight in own) for own in self._weights]

    def transposed(self, rows: Tensor) -> Tensor:
        """(S, n) to (S, n): each member's J' times its own row."""
        slopes = [slope for own in self._slopes for slope in own]
        weights = [weight for own in self._weights for weight in own]
        return _back(slopes, weights, rows)

    def norm(self) -> Tensor:
        """(S,) norm of each member's field."""
        parts = [slope.detach().flatten(start_dim=1) for own in self._slopes for slope in own]
        return torch.cat(parts, dim=1).norm(dim=1)

    def own(self, player: int, rows: Tensor) -> Tensor:
        """(S, p) or (S, q): the Hessian of player 0 (G) or 1 (D), times rows."""
        return _back(self._slopes[player], self._weights[player], rows)


def _back(slopes: Sequence[Tensor], weights: Sequence[Tensor], rows: Tensor) -> Tensor:
    parts = rows.split([weight[0].numel() for weight in weights], dim=1)
    along = [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]
    pairs = [(slope, one) for slope, one in zip(slopes, along, strict=True) if slope.requires_grad]
    found = torch.autograd.grad(
        [slope for slope, _ in pairs],
        weights,
        [one for _, one in pairs],
        retain_graph=True,
        materialize_grads=True,
    )
    return torch.cat([each.flatten(start_dim=1) for each in found], dim=1)


def _scaled(fields: MemberFields, player: int, root: Tensor, rows: Tensor) -> Tensor:
    """A player's own Hessian between the roots of its step sizes: a symmetric operator."""
    return root * fields.own(player, root * rows)


@dataclass(eq=False)
class Watch:
    """Records, each (S,) or (S, 4), of members that have not diverged; NaN of others.

    "own_g", "own_d": largest eigenvalue of a player's Hessian times its step sizes. "real", "imag":
    the game's leading eigenvalues of J times the step sizes, by modulus; under alternating steps
    those of I - U instead, where U is the matrix of a step (D's, then G's). "residual": the largest
    of theirs, relative to the first one's modulus.
    """

    optimizers: tuple[Kept, Kept] = field(repr=False)
    loss: GanLoss
    in_turn: bool
    seed: int

    def __call__(
        self, generators: Stacked, discriminators: Stacked, latents: Tensor, reals: Tensor
    ) -> dict[str, Tensor]:
        """What is recorded."""
        fields = MemberFields((generators, discriminators), latents, reals, self.loss)
        sizes = [kept.sizes() for kept in self.optimizers]
        both = torch.cat(sizes, dim=1)
        draws = torch.Generator().manual_seed(self.seed)
        begin = torch.randn(both.shape[1], generator=draws, device="cpu").to(both).expand_as(both)
        found = {}
        for number, (name, own) in enumerate(zip("gd", sizes, strict=True)):
            found[f"own_{name}"] = member_eigenpairs(
                partial(_scaled, fields, number, own.sqrt()),
                begin[:, : own.shape[1]],
                1,
                tolerance=_TOLERANCE,
            ).values[:, 0]
        p = fields.sizes[0]

        def product(rows: Tensor) -> Tensor:
            if not self.in_turn:
                return fields.transposed(both * rows)
            # U' = (I - J' P_D) (I - J' P_G), so that G's part is applied first.
            of_g, of_d = both.clone(), both.clone()
            of_g[:, p:] = 0
            of_d[:, :p] = 0
            after = rows - fields.transposed(of_g * rows)
            return rows - after + fields.transposed(of_d * after)

        values, residuals = member_eigenvalues(product, begin, LEADING, tolerance=_TOLERANCE)
        found |= {"real": values.real.float(), "imag": values.imag.float()}
        largest = values.abs().amax(dim=1).clamp(min=1e-30)
        found["residual"] = (residuals.amax(dim=1) / largest).float()
        return found
