"""How a discriminator is asked for its logits: one convention for training and for analysis.

A network that uses batch statistics gives different logits when it sees reals and samples as one
batch than when it sees them as two. Most published code shows it two, and so does this package
unless told otherwise; what matters is that a game is analysed as it was trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from helpers.inputs import shown

Discriminate = Callable[..., Any]  # samples, or samples and labels, to what D gives


@dataclass(frozen=True)
class Judging:
    """What D sees at once, and which part of its output is the logit.

    Args:
        joint_batch: whether a loss that looks at reals and samples shows D both as one batch. A
            loss that looks at samples alone shows it samples alone in either case.
        logit: maps D's output to one logit per sample, where D gives something else: a tuple, a
            map of patches, probabilities.

    Raises:
        ValueError: for a `joint_batch` that is no truth value, and a `logit` that cannot be called.

    >>> judging = Judging(logit=lambda output: output["logit"])
    >>> judging.alone(lambda x: {"logit": x.sum(1)}, torch.ones(2, 3))
    tensor([3., 3.])
    """

    joint_batch: bool = False
    logit: Callable[[Any], Tensor] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.joint_batch, bool | np.bool_):
            raise ValueError(f"joint_batch is True or False, got {shown(self.joint_batch)}")
        object.__setattr__(self, "joint_batch", bool(self.joint_batch))
        if self.logit is not None and not callable(self.logit):
            raise ValueError(f"logit is a function or None, got {shown(self.logit)}")

    def alone(
        self, discriminate: Discriminate, samples: Tensor, labels: Tensor | None = None
    ) -> Tensor:
        """The n logits of n samples, with their labels if there are any."""
        output = discriminate(samples) if labels is None else discriminate(samples, labels)
        return self._checked(output, len(samples))

    def both(
        self,
        discriminate: Discriminate,
        reals: Tensor,
        fakes: Tensor,
        labels: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The logits of reals and of generated samples, which share their labels."""
        if not self.joint_batch:
            real = self.alone(discriminate, reals, labels)
            fake = self.alone(discriminate, fakes, labels)
            if len(reals) == len(fakes) and real.shape[1:] != fake.shape[1:]:
                raise ValueError(  # their difference would hold every pair
                    "logits of reals and of generated samples have one shape, got "
                    f"{tuple(real.shape)} for reals {tuple(reals.shape)} and {tuple(fake.shape)} "
                    f"for samples {tuple(fakes.shape)}"
                )
            return real, fake
        if reals.shape[1:] != fakes.shape[1:]:
            raise ValueError(
                "reals and generated samples in one batch must have one shape, got "
                f"{tuple(reals.shape[1:])} and {tuple(fakes.shape[1:])}"
            )
        twice = None if labels is None else torch.cat([labels, labels])
        logits = self.alone(discriminate, torch.cat([reals, fakes]), twice)
        if logits.ndim == 0 or len(logits) != len(reals) + len(fakes):
            got = tuple(logits.shape)
            raise ValueError(f"logits have the samples in their first dimension, got {got}")
        return logits[: len(reals)], logits[len(reals) :]

    def _checked(self, output: Any, n: int) -> Tensor:
        if self.logit is not None:
            output = self.logit(output)
        if not isinstance(output, Tensor):
            raise ValueError(
                f"a discriminator gives a tensor of logits, got {type(output).__name__}; say which "
                "part of it is the logit, for instance by Judging(logit=lambda output: output[0])"
            )
        if output.numel() != n:
            raise ValueError(
                f"a discriminator gives one logit per sample, got {tuple(output.shape)} for {n} "
                "samples; say how to reduce it to one each, for instance by "
                "Judging(logit=lambda output: output.flatten(1).mean(1))"
            )
        if not output.is_floating_point():
            raise ValueError(f"logits are real numbers, got {output.dtype}")
        return output
