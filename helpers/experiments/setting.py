"""What every experiment on GANs says of a training, and what all members trained by it share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from pandas import DataFrame
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from helpers.games.game import PLAYERS
from helpers.inputs import one_of
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import find_loss
from helpers.training.nudged import Nudged
from helpers.training.nudging import MemberDirections, Nudging
from helpers.training.optimizers import Extragradient, Optimistic
from helpers.training.train import EnsembleResult

_Own = TypeVar("_Own", bound="TrainingSetting")


@dataclass(frozen=True)
class TrainingSetting:
    """How a GAN is trained; each experiment adds its own fields, and defaults of these.

    Raises:
        ValueError: for an unknown loss or method, and nudging where it would have no effect.

    >>> TrainingSetting("rs", nudging=Nudging(k=5)).method
    'adam'
    """

    METHODS: ClassVar[Collection[str]] = ("adam", "extra-adam")
    NUDGED: ClassVar[Collection[str]] = ("adam",)  # methods whose steps the experiment can nudge

    loss: str = "js"  # a name in `helpers.losses.LOSSES`
    _: KW_ONLY
    method: str = "adam"  # or "extra-adam"; without Adam others, such as "optimistic"
    rates: tuple[float, float] = (2e-4, 2e-4)  # learning rates of G and of D
    beta: float = 0.5  # decay of Adam's first moment; plain descent has none
    second_beta: float = 0.999  # decay of its second moment
    penalty: GradientPenalty | None = None  # on D's slope
    nudging: Nudging | None = None  # as in Durall et al. 2021

    def __post_init__(self) -> None:
        find_loss(self.loss)
        one_of("method", self.method, self.METHODS)
        if self.nudging is not None and self.method not in self.NUDGED:
            around = f"only around {' and '.join(self.NUDGED)}" if self.NUDGED else "not here"
            raise ValueError(f"nudging works {around}, got it around {self.method}")

    def hurried(self: _Own, factor: float) -> _Own:
        """The setting with both rates times a factor: a short training has to hurry.

        >>> TrainingSetting(rates=(0.25, 0.5)).hurried(2).rates
        (0.5, 1.0)
        """
        rate_g, rate_d = self.rates
        return replace(self, rates=(factor * rate_g, factor * rate_d))


def optimizers_for(
    setting: TrainingSetting, directions: Mapping[str, Callable[..., Tensor]] | None = None
) -> tuple[partial[Optimizer], partial[Optimizer]]:
    """G's and D's optimisers, each to be made from the parameters that it moves.

    Args:
        setting: its method, rates, beta and nudging.
        directions: by player, what finds the directions that its steps leave out.

    >>> import torch
    >>> make_g, make_d = optimizers_for(TrainingSetting(rates=(0.1, 0.2)))
    >>> make_d([torch.zeros(1)]).param_groups[0]["lr"]
    0.2
    """
    directions = directions or {}
    of_g, of_d = (
        partial(_optimizer, setting, rate, directions.get(player))
        for player, rate in zip(PLAYERS, setting.rates, strict=True)
    )
    return of_g, of_d


def directions_for(
    setting: TrainingSetting, latents: Tensor, reals: Tensor, *, seed: int
) -> dict[str, MemberDirections]:
    """What finds the directions that are left out of the steps of S members, by nudged player.

    Args:
        setting: its loss, penalty and nudging; nobody is nudged without the last.
        latents, reals: (S, n, ...) on which the directions are found.
        seed: of the random vectors that searches start with.

    >>> import torch
    >>> directions_for(TrainingSetting(), torch.zeros(2, 3, 1), torch.zeros(2, 3, 1), seed=0)
    {}
    """
    nudging = setting.nudging
    if nudging is None:
        return {}
    groups = [(find_loss(setting.loss), len(reals))]
    how: dict[str, Any] = {"penalty": setting.penalty, "seed": seed}
    return {
        player: MemberDirections(player, nudging, latents, reals, groups, **how)
        for player in nudging.players
    }


def around(optimizer: Optimizer, method: str) -> Optimizer:
    """The optimiser itself, or in the wrapper that a method takes its gradients by.

    >>> import torch
    >>> str(around(SGD([torch.zeros(1)], lr=0.1), "extragradient"))
    'Extragradient'
    """
    if method.startswith("extra"):
        return Extragradient(optimizer)
    return Optimistic(optimizer) if method == "optimistic" else optimizer


def _optimizer(
    setting: TrainingSetting, rate: float, directions: Callable[..., Tensor] | None, weights: Any
) -> Optimizer:
    optimizer: Optimizer
    if "adam" in setting.method:
        optimizer = Adam(weights, lr=rate, betas=(setting.beta, setting.second_beta))
    else:
        optimizer = SGD(weights, lr=rate)
    moved = around(optimizer, setting.method)
    if directions is None or moved is not optimizer:
        return moved
    if setting.nudging is None:
        raise ValueError("directions need a setting with nudging, got one without")
    return Nudged(optimizer, directions, setting.nudging.project, every=setting.nudging.every)


@dataclass(frozen=True, eq=False)
class TrainedMembers:
    """S members of one setting after training, with the data of their games."""

    setting: TrainingSetting
    latents: Tensor  # (S, n, latent)
    reals: Tensor  # (S, n, d)
    run: EnsembleResult

    @property
    def finite(self) -> list[int]:
        """Members that have not diverged."""
        return [m for m in range(len(self.latents)) if m not in self.run.diverged]

    def rows(self, look: Callable[[int], dict[str, float]]) -> DataFrame:
        """A row per member: its number, when it "diverged" (0: not), and what a look at it finds.

        A member that diverged is not looked at.
        """
        found = []
        for member in range(len(self.latents)):
            row: dict[str, float] = {
                "member": member,
                "diverged": self.run.diverged.get(member, 0),
            }
            found.append(row | (look(member) if member in self.finite else {}))
        return DataFrame(found)

    def point(self, member: int, iteration: int) -> Tensor:
        """(p + q,) weights of one member after a kept iteration, on the device of its data."""
        return self.run.snapshots[iteration][member].to(self.latents.device)


def late_iterations(iterations: int, count: int, *, odd_steps: bool = False) -> list[int]:
    """Iterations of the last tenth in equal steps, the last one included: ends of one path.

    They are even, so that Adam's extragradient in turn rests on a step. Odd steps back from
    the last iteration show both states of what swings between two.

    >>> late_iterations(1000, 5)
    [920, 940, 960, 980, 1000]
    >>> late_iterations(30_000, 20, odd_steps=True)[-2:]
    [29849, 30000]
    """
    step = iterations // (10 * count)
    step = max(step, 1) | 1 if odd_steps else max(step // 2, 1) * 2
    last = iterations if odd_steps else iterations - iterations % 2
    first = 1 if odd_steps else min(last, 2)
    return sorted({max(last - step * back, first) for back in range(count)})
