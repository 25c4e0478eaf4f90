"""What both players minimise on one batch of data, whoever plays.

These are the losses of a game, of the networks as they are, and of the check that compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from helpers.games.judging import Judging
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import GanLoss
from helpers.models.functional import in_precision

_LOGISTIC = ("js", "js-saturating", "rs")  # losses that make no sense for probabilities
# Steps that leave numbers as they are; a slice is the samples' part of one batch with the reals.
_RESHAPING = (
    "View", "Reshape", "Squeeze", "Unsqueeze", "Select", "Slice", "Split", "Transpose", "Permute",
    "Alias",
)  # fmt: skip
Generate = Callable[..., Tensor]  # latents, and labels if there are any, to samples
# Passes of D by what it sees ("reals", "fakes", "joint", "penalty"), in the order of the calls.
Discriminate = Callable[..., Callable[..., Any]]


@dataclass(frozen=True, eq=False)
class Objective:
    """Both losses as functions of what generates and what judges."""

    loss: GanLoss
    judging: Judging
    latents: Tensor  # (n, ...)
    reals: Tensor  # (n, ...)
    labels: Tensor | None = None  # (n, ...) of the reals, which the samples share
    penalty: GradientPenalty | None = None  # on D's slope
    shares: Tensor | None = None  # (n,) the places of the penalty

    def of_generator(self, generate: Generate, at: Discriminate) -> Tensor:
        """G's loss, a scalar."""
        samples = self.samples(generate)
        if self.loss.pairs:
            return self.loss.generator(*self.logits(at, samples))
        return self.loss.of_fakes(self.judging.alone(at("fakes"), samples, self.labels))

    def of_discriminator(self, generate: Generate, at: Discriminate) -> Tensor:
        """D's loss, a scalar, with the penalty."""
        samples = self.samples(generate)
        value = self.loss.discriminator(*self.logits(at, samples))
        if self.penalty is None:
            return value
        assert self.shares is not None  # they come with a penalty
        slope_of = at("penalty")
        return value + self.penalty(
            lambda points: self.judging.alone(slope_of, points, self.labels),
            self.reals.to(samples),
            samples,
            self.shares,
        )

    def samples(self, generate: Generate) -> Tensor:
        """(n, ...) the samples generated from the latents."""
        samples = generate(self.latents, *self._own_labels())
        if not isinstance(samples, Tensor):
            raise ValueError(
                "a generator gives a tensor of samples, got "
                f"{type(samples).__name__}; wrap it in a module that gives the samples alone"
            )
        if samples.ndim == 0 or len(samples) != len(self.latents):
            got = f"{tuple(samples.shape)} for {len(self.latents)} latents"
            raise ValueError(f"a generator gives one sample per latent, got {got}")
        return samples

    def logits(self, at: Discriminate, samples: Tensor) -> tuple[Tensor, Tensor]:
        """D's logits of reals and of samples."""
        sites = ("joint",) if self.judging.joint_batch else ("reals", "fakes")
        return self.judging.both(at(*sites), self.reals, samples, self.labels)

    def batches(self, size: int) -> list[Objective]:
        """The same for batches of this size, in order."""
        ends = range(size, len(self.latents) + size, size)
        return [self._cut(slice(end - size, end)) for end in ends]

    def few(self, count: int, dtype: torch.dtype) -> Objective:
        """The same for the first samples, in another precision."""

        part = self._cut(slice(count))
        labels = None if part.labels is None else in_precision(part.labels, dtype)
        latents, reals = in_precision(part.latents, dtype), in_precision(part.reals, dtype)
        return replace(part, latents=latents, reals=reals, labels=labels)

    def _cut(self, rows: slice) -> Objective:
        names = ("latents", "reals", "labels", "shares")
        held: dict[str, Any] = {name: getattr(self, name) for name in names}
        cut: dict[str, Any] = {k: None if v is None else v[rows] for k, v in held.items()}
        return replace(self, **cut)

    def _own_labels(self) -> tuple[Tensor, ...]:
        return () if self.labels is None else (self.labels,)


def plain_field(objective: Objective, copy_of: Sequence[Callable[[], nn.Module]]) -> Tensor:
    """(p + q,) both players' gradients by plain autograd, for networks as they are.

    Each pass uses a new copy, so that what a network writes in one does not reach the next.
    `copy_of` makes copies of G and of D, with gradients for the weights that are in the game.
    """
    found = []
    for number, loss in enumerate((objective.of_generator, objective.of_discriminator)):
        made: tuple[list[nn.Module], list[nn.Module]] = ([], [])

        def called(player: int, made: tuple[Any, ...] = made) -> Callable[..., Any]:
            made[player].append(copy_of[player]())
            return made[player][-1]

        def at(*sites: str, called: Callable[..., Any] = called) -> Callable[..., Any]:
            passes = iter([called(1) for _ in sites])
            if len(sites) == 1:
                return next(passes)
            return lambda *inputs: next(passes)(*inputs)

        with torch.inference_mode(False), torch.enable_grad():
            value = loss(called(0), at)
            weights = [[w for w in net.parameters() if w.requires_grad] for net in made[number]]
            flat = [weight for each in weights for weight in each]
            slopes: Sequence[Tensor] = [torch.zeros_like(weight) for weight in flat]
            if value.requires_grad:
                slopes = torch.autograd.grad(value, flat, materialize_grads=True)
        one = len(weights[0])
        total = [cast(Tensor, sum(slopes[k::one])) for k in range(one)]
        found += [each.detach().reshape(-1) for each in total]
    return torch.cat(found)


def check_logits(loss: GanLoss, logits: Tensor, *, is_judged: bool = True) -> None:
    """ValueError if what a loss takes for logits, which carry a graph, are probabilities.

    Unless `is_judged`, there is no `Judging` that could make logits of them.
    """
    if loss.name.split("*")[0] in _LOGISTIC and ends_in_sigmoid(logits):
        other = ", or pass judging=Judging(logit=torch.logit)" if is_judged else ""
        raise ValueError(
            f"D ends in a sigmoid, but the loss {loss.name!r} takes logits; leave the "
            f"sigmoid out{other}"
        )


def ends_in_sigmoid(logits: Tensor) -> bool:
    """Whether the last step on logits, which carry a graph, made probabilities of them."""
    step = logits.grad_fn
    while step is not None:
        name = step.name()
        if name.startswith("Sigmoid"):
            return True
        if not name.startswith(_RESHAPING):
            return False
        step = step.next_functions[0][0]
    return False
