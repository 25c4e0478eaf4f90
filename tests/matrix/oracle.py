"""Products by central differences, of gradients that plain autograd takes of the nets as they are.

Nothing here is taken from `helpers.games.networks`: the nets are built once more, their weights are
moved in place, and a loss is written down and differentiated backwards. They train, with dropout
modules off; each pass begins with the buffers that were given, and sees data of its own. What a
layer computes without gradients stays what it is at the nets' own weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from tests.matrix.cases import Case
from tests.matrix.layers import Constants

STEPS = (1e-5, 5e-6)

LOSSES: dict[str, tuple[Callable, Callable]] = {  # of G and of D, by (real, fake)
    "js": (
        lambda real, fake: softplus(-fake).mean(),
        lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
    ),
    "wgan": (lambda real, fake: -fake.mean(), lambda real, fake: fake.mean() - real.mean()),
    "rs": (
        lambda real, fake: softplus(real - fake).mean(),
        lambda real, fake: softplus(fake - real).mean(),
    ),
}


class Oracle:
    """The game of a case, at its nets' own weights or at others.

    Args:
        case: whose nets are built.
        seed: that they are built from.
    """

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.nets = case.built(seed, reference=True)
        given = case.built(seed)
        self.z, self.x, self.labels = case.data()
        self.weights = [[p for p in net.parameters() if p.requires_grad] for net in self.nets]
        own = [[p for p in net.parameters() if p.requires_grad] for net in given]
        with torch.no_grad():
            for mine, theirs in zip(self.weights, own, strict=True):
                for weight, other in zip(mine, theirs, strict=True):
                    weight.copy_(other)
        self.sizes = [sum(p.numel() for p in each) for each in self.weights]
        self._prepare()
        self.stored = [_state(net) for net in self.nets]
        self.own = torch.cat([p.detach().flatten() for each in self.weights for p in each])
        self._hold()

    def _prepare(self) -> None:
        for net in self.nets:
            net.train(not self.case.running)
            for module in net.modules():
                norms = [
                    h for h in module._forward_pre_hooks.values() if isinstance(h, SpectralNorm)
                ]
                if isinstance(module, _DropoutNd | _SpectralNorm) or norms:
                    module.eval()

    def _hold(self) -> None:
        layers = [m for net in self.nets for m in net.modules() if isinstance(m, Constants)]
        for layer in layers:
            layer.hold = True
        self.losses(self.own)

    def losses(self, omega: Tensor) -> list[float]:
        self._put(omega)
        return [self._loss(player).item() for player in (0, 1)]

    def field(self, omega: Tensor) -> Tensor:
        self._put(omega)
        slopes = []
        for player, own in enumerate(self.weights):
            for weight in [w for each in self.weights for w in each]:
                weight.grad = None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._loss(player).backward()
            slopes += [torch.zeros_like(w) if w.grad is None else w.grad for w in own]
        return torch.cat([slope.flatten() for slope in slopes]).detach()

    def along(self, omega: Tensor, u: Tensor) -> tuple[Tensor, float]:
        """J u, and how far two step sizes are apart."""
        one, other = (self._difference(omega, u, h / u.norm().item()) for h in STEPS)
        return other, (one - other).norm().item()

    def _difference(self, omega: Tensor, u: Tensor, h: float) -> Tensor:
        near = self.field(omega + h * u) - self.field(omega - h * u)
        far = self.field(omega + 2 * h * u) - self.field(omega - 2 * h * u)
        return (8 * near - far) / (12 * h)

    def _put(self, omega: Tensor) -> None:
        pieces = omega.split([w.numel() for each in self.weights for w in each])
        with torch.no_grad():
            for weight, piece in zip([w for e in self.weights for w in e], pieces, strict=True):
                weight.data.copy_(piece.view(weight.shape))

    def _pass(self, player: int, inputs: Tensor, labels: Tensor | None) -> Any:
        _restore(self.nets[player], self.stored[player])
        inputs = inputs.clone()  # it may be written to
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.nets[player](*([inputs] if labels is None else [inputs, labels]))

    def _logits(self, samples: Tensor, labels: Tensor | None) -> Tensor:
        output = self._pass(1, samples, labels)
        logit = self.case.asked.get("logit")
        return output if logit is None else logit(output)

    def _loss(self, player: int) -> Tensor:
        size = self.case.asked.get("batch_size") or len(self.z)
        total = 0.0
        for start in range(0, len(self.z), size):
            rows = slice(start, start + size)
            total = total + len(self.z[rows]) / len(self.z) * self._batch_loss(player, rows)
        return total

    def _batch_loss(self, player: int, rows: slice) -> Tensor:
        asked = self.case.asked
        name = asked.get("loss", "js")
        x, y = self.x[rows], None if self.labels is None else self.labels[rows]
        fakes = self._pass(0, self.z[rows], y)
        if player == 0 and name != "rs":
            return LOSSES[name][0](None, self._logits(fakes, y))
        if asked.get("joint_batch"):
            twice = None if y is None else torch.cat([y, y])
            real, fake = self._logits(torch.cat([x, fakes]), twice).split(len(x))
        else:
            real, fake = self._logits(x, y), self._logits(fakes, y)
        value = LOSSES[name][player](real, fake)
        penalty = asked.get("penalty")
        if player == 1 and penalty is not None:
            points = x.clone()
            if penalty.where == "interpolates":
                share = penalty.shares(len(self.z)).to(x)[rows].view(-1, *[1] * (x.ndim - 1))
                points = share * x + (1 - share) * fakes
            if not points.requires_grad:
                points.requires_grad_()
            found = self._logits(points, y).sum()
            slope = torch.autograd.grad(found, points, create_graph=True)[0]
            value = value + penalty.weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return value


def _state(net: nn.Module) -> list[tuple[dict, str, Tensor]]:
    """Buffers, and weights that do not train: where they are, and what they were given as."""
    found = []
    for module in net.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None:
                found.append((module._buffers, name, buffer.detach().clone()))
        for name, weight in module._parameters.items():
            if weight is not None and not weight.requires_grad:
                found.append((module._parameters, name, weight.detach().clone()))
    return found


def _restore(net: nn.Module, stored: list[tuple[dict, str, Tensor]]) -> None:
    for where, name, value in stored:
        fresh = value.clone()  # what a graph has kept is not written to
        if isinstance(where[name], nn.Parameter):
            where[name].data = fresh
        else:
            where[name] = fresh
