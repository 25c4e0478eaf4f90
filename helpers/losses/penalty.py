"""Penalties on the discriminator's slope with respect to its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad

from helpers.inputs import real_number, seed, whole_number

PLACES = ("data", "interpolates")


@dataclass(frozen=True)
class GradientPenalty:
    """The penalty of WGAN-GP, ``weight E(|grad f(x)| - 1)^2`` (Gulrajani et al. 2017, eq. 3).

    In that equation x lies anywhere between a real and a generated sample. The script that Berard
    et al. 2020 released takes x from the data when it trains on the mixture of Gaussians, and from
    interpolates when it computes path-angles and eigenvalues.

    >>> penalty = GradientPenalty(10.0, "data")
    >>> x = torch.zeros(4, 1)
    >>> penalty(lambda samples: 3 * samples, x, x, penalty.shares(4))
    tensor(40.)
    """

    weight: float
    where: str = "interpolates"
    seed: int = 0  # for the places of the interpolates, which are drawn once

    def __post_init__(self) -> None:
        if self.where not in PLACES:
            raise ValueError(f"a penalty is taken at {' or '.join(PLACES)}, got {self.where!r}")
        weight = real_number("the weight of a penalty", self.weight, least=0)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "seed", seed(self.seed))

    def shares(self, n: int) -> Tensor:
        """(n,) share of the real sample in each interpolate, the same at every call."""
        n = whole_number("n", n, 1)
        drawn = torch.Generator().manual_seed(self.seed)
        # In float64, another default of torch's, other numbers would be drawn.
        return torch.rand(n, generator=drawn, device="cpu", dtype=torch.float32)

    def __call__(
        self, discriminate: Callable[[Tensor], Tensor], reals: Tensor, fakes: Tensor, shares: Tensor
    ) -> Tensor:
        """The penalty, for one net or several side by side.

        Args:
            discriminate: maps samples to logits.
            reals, fakes: (..., n, *sample) as discriminate takes them.
            shares: (..., n) of the real sample in each interpolate.

        Raises:
            ValueError: for shapes that do not fit, and unless there is one logit for each sample.
        """
        points, each = reals, reals.shape[: shares.ndim]
        if not shares.ndim < reals.ndim:
            raise ValueError(
                f"samples are (..., n, *sample) at shares (..., n), got reals {tuple(reals.shape)} "
                f"and shares {tuple(shares.shape)}"
            )
        if self.where == "interpolates":
            if fakes.shape != reals.shape or shares.shape != each:
                raise ValueError(
                    "interpolates need as many generated samples as reals, of one shape, and as "
                    f"many shares, got reals {tuple(reals.shape)}, fakes {tuple(fakes.shape)} "
                    f"and shares {tuple(shares.shape)}"
                )
            share = shares.to(reals)[(...,) + (None,) * (reals.ndim - shares.ndim)]
            points = share * reals + (1 - share) * fakes

        def total(samples: Tensor) -> Tensor:
            logits = discriminate(samples)
            if logits.numel() != each.numel():
                raise ValueError(
                    f"a discriminator gives one logit for each sample, got {tuple(logits.shape)} "
                    f"for samples {tuple(samples.shape)}"
                )
            return logits.sum()

        slope = _slope(total, points).flatten(start_dim=shares.ndim)
        # Torch's second derivatives of a norm are NaN at 0, where f is flat: there they are 0.
        steep = (slope != 0).any(dim=-1)
        length = torch.where(steep[..., None], slope, 1.0).norm(dim=-1)
        steepness = torch.where(steep, length, 0.0)
        return self.weight * (steepness - 1).square().mean()


def _slope(total: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """(..., n, *sample) the gradient of a sum of logits in the samples, differentiable again.

    It is taken by torch.autograd, under which networks may write their running statistics and call
    custom functions of any style; inside torch.func, it is taken by torch.func.
    """
    if torch._C._are_functorch_transforms_active():
        return grad(total)(points)
    with torch.inference_mode(False), torch.enable_grad():
        points = points.clone() if points.is_inference() else points
        at = points if points.requires_grad else points.detach().requires_grad_()
        return torch.autograd.grad(total(at), at, create_graph=True)[0]
