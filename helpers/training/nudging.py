"""The sharp directions that NuGAN leaves out, found while a GAN trains (Durall et al. 2021).

The paper does not say how many there are, how often they are searched for, on which data, or
whether G, D or both are nudged. A `Nudging` holds the answers; its defaults are ours.

The search does not make sure that no direction is missed, which would take about 1.6 times the
products. Directions are up to `every` steps old when they are used, and accurate to a tenth of
their eigenvalues. A missed one is left in for that many steps; the next search, with a random
vector in its start, finds it. For recorded eigenvalues the search does make sure.

In an ensemble a search starts with the previous directions, too; for one GAN it does not, since
that takes as many products (five directions of the fully connected nets on MNIST: 17 to 23 with
them, 17 to 24 without).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from helpers.checkpoints.descriptions import described
from helpers.games.game import PLAYERS
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.inputs import one_of, real_number, shown, whole_number
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import GanLoss, find_loss
from helpers.models import Players
from helpers.models.stacked import Stacked
from helpers.operators import MemberHessians, hessian
from helpers.spectra import CHANCE, MemberPairs, member_eigenpairs, top_eigenpairs
from helpers.training.ensemble import EnsembleSettings, MemberLosses
from helpers.training.nudged import PROJECTIONS


@dataclass(frozen=True)
class Nudging:
    """Which directions are left out of which player's steps.

    A search that does not converge ends a training, of one GAN or of an ensemble, with
    `helpers.training.Diverged`. So do products that are not finite in a training of one GAN. In an
    ensemble they leave that member's directions at zero, and the other members go on.

    >>> Nudging(k=20, players="D").k
    20
    """

    k: int = 5  # leading eigenvectors of a player's own Hessian
    every: int = 50  # steps of the player between two searches
    project: str = "gradient"  # as in eq. 12; or "step"
    players: str = "GD"  # who is nudged: "G", "D" or "GD"
    tolerance: float = 0.1  # of residuals, relative to each eigenvalue

    def __post_init__(self) -> None:
        for name in ("k", "every"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 1))
        one_of("players", self.players, ("G", "D", "GD"))
        one_of("project", self.project, PROJECTIONS)
        object.__setattr__(self, "tolerance", real_number("tolerance", self.tolerance, above=0))


@dataclass
class SharpDirections:
    """Finds the leading eigenvectors of a player's own Hessian at the current state of a training.

    Args:
        player: "G" or "D".
        nudging: how many to find, and how accurately.
        latents, reals: the fixed subset on which the loss is taken, on the training's device.
        loss: a name of `helpers.losses.LOSSES`, or one of your own.
        penalty: on D's slope.
        joint_batch, logit: of the training's `Judging`.
        labels: labels of the subset, if the training has labels.

    A training refuses directions of another loss than its own, and says what differs.

    >>> from helpers.models import mlp
    >>> nets = Players(mlp([1, 5, 1], seed=0), mlp([1, 5, 1], seed=1))
    >>> find = SharpDirections("D", Nudging(k=2), torch.zeros(8, 1), torch.ones(8, 1))
    >>> find(nets, None).shape
    torch.Size([16, 2])
    """

    player: str
    nudging: Nudging
    latents: Tensor = field(repr=False)
    reals: Tensor = field(repr=False)
    loss: str | GanLoss = "js"
    penalty: GradientPenalty | None = None
    joint_batch: bool = False
    logit: Callable[[Any], Tensor] | None = None
    labels: Tensor | None = field(default=None, repr=False)
    # Counts do not tell one run from another, and are not compared.
    products: int = field(default=0, repr=False, compare=False)  # taken so far
    seconds: float = field(default=0.0, repr=False, compare=False)

    def __call__(self, players: Players, before: Tensor | None) -> Tensor:
        """(n, k) orthonormal columns; the previous ones are no help, see above."""
        started = time.perf_counter()
        game = network_game(
            *players,
            self.latents,
            self.reals,
            loss=self.loss,
            penalty=self.penalty,
            judging=Judging(self.joint_batch, self.logit),
            labels=self.labels,
        )
        operator = hessian(game, self.player, joint_point(*players), route="retained")
        nudging = self.nudging
        found = top_eigenpairs(operator, nudging.k, tolerance=nudging.tolerance, chance=None)
        self.products += found.products
        self.seconds += time.perf_counter() - started
        return found.vectors

    def check_training(self, player: str, settings: Any) -> None:
        """See that these are directions of the loss that a player descends in a training.

        Raises:
            ValueError: for another player, loss, penalty, joint_batch or logit than the training's,
                and in the training of an ensemble.
        """
        if isinstance(settings, EnsembleSettings):
            raise ValueError("an ensemble takes MemberDirections, got a SharpDirections")
        own = find_loss(self.loss) if isinstance(self.loss, str) else self.loss
        pairs = [("loss", own, settings.loss), ("logit", self.logit, settings.logit)]
        _check_same(self, player, settings, pairs)


@dataclass
class MemberDirections:
    """`SharpDirections` of all members of an ensemble at once.

    Arguments that are not explained here are those of `SharpDirections`, and a training refuses
    directions of other losses than its own in the same way.

    Args:
        latents, reals: (S, m, ...) and (S, n, ...), the fixed subsets of the members.
        groups: losses, and how many consecutive members have each.
        seed: seed of the random vectors that searches start with.
    """

    player: str
    nudging: Nudging
    latents: Tensor = field(repr=False)
    reals: Tensor = field(repr=False)
    groups: Sequence[tuple[GanLoss, int]] = field(repr=False)
    penalty: GradientPenalty | None = None
    seed: int = 0
    joint_batch: bool = False
    products: int = field(default=0, repr=False, compare=False)  # batched, taken so far
    seconds: float = field(default=0.0, repr=False, compare=False)

    def __call__(self, players: tuple[Stacked, Stacked], before: Tensor | None) -> Tensor:
        """(S, n, k) orthonormal columns of each member."""
        started = time.perf_counter()
        found = self._pairs(players, before, None)
        self.products += found.products
        self.seconds += time.perf_counter() - started
        return found.vectors

    def pairs(self, players: tuple[Stacked, Stacked], before: Tensor | None = None) -> MemberPairs:
        """The eigenpairs: the leading ones, but for a chance of 1 in 10,000."""
        return self._pairs(players, before, CHANCE)

    def check_training(self, player: str, settings: Any) -> None:
        """See that these are directions of the losses that a player descends in a training.

        Raises:
            ValueError: for another player, number of members, loss of a member, penalty or
                joint_batch than the training's, and in the training of one GAN.
        """
        if not isinstance(settings, EnsembleSettings):
            raise ValueError("one GAN takes SharpDirections, got a MemberDirections")
        own, wanted = (
            [loss for loss, count in groups for _ in range(count)]
            for groups in (self.groups, settings.losses)
        )
        pairs: list[tuple[str, Any, Any]] = [("number of members", len(own), len(wanted))]
        for number, each in enumerate(zip(own, wanted, strict=False)):
            pairs.append((f"loss of member {number}", *each))
        _check_same(self, player, settings, pairs)

    def _pairs(
        self, players: tuple[Stacked, Stacked], before: Tensor | None, chance: float | None
    ) -> MemberPairs:
        own = players[PLAYERS.index(self.player)].parameters
        total = partial(self._total, players)
        shapes = [(tuple(part.shape), part.dtype) for part in (self.latents, self.reals)]
        structure = (
            *(each.signature for each in players), self.player, *shapes, *map(tuple, self.groups),
            self.penalty, self.joint_batch,
        )  # fmt: skip
        how = (self.nudging, self.seed, chance)
        return leading_pairs(own, total, before, *how, structure=structure)

    def _total(self, players: tuple[Stacked, Stacked], own: dict[str, Tensor]) -> Tensor:
        """The sum of the members' losses, as a function of the weights of one player."""
        like = next(iter(own.values()))
        sets = [{name: w.detach().to(like) for name, w in e.parameters.items()} for e in players]
        sets[PLAYERS.index(self.player)] = own
        reals = self.reals.to(like.dtype)
        fakes = _called(players[0], sets[0], self.latents)
        judge = partial(_called, players[1], sets[1])
        members = MemberLosses(self.groups, self.joint_batch, judge, players[1].is_samplewise)
        pairs = any(loss.pairs for loss, _ in self.groups)
        alone = self.player == "G" and not pairs  # the loss looks at generated samples alone
        logits = (judge(fakes),) * 2 if alone else members.both(reals, fakes)
        members.check(logits[1])
        if self.player == "G" and pairs:
            logits = members.for_generators(fakes, *logits)
        total = members.total(self.player, *logits)
        if self.penalty is not None and self.player == "D":
            shares = self.penalty.shares(fakes.shape[1]).expand(len(reals), -1)
            total = total + len(reals) * self.penalty(judge, reals, fakes, shares)
        return total


def _check_same(
    find: SharpDirections | MemberDirections,
    player: str,
    settings: Any,
    pairs: Sequence[tuple[str, Any, Any]],
) -> None:
    """A ValueError unless directions are those of a training's loss.

    Args:
        find: what finds them.
        player: whose steps they are left out of.
        settings: of the training.
        pairs: what else is compared: its name, what `find` has, and what the training has.
    """
    pairs = [("player", find.player, player), *pairs]
    if player == "D":  # G's loss has no penalty
        pairs.append(("penalty", find.penalty, settings.penalty))
    pairs.append(("joint_batch", find.joint_batch, settings.joint_batch))
    for name, found, wanted in pairs:
        # Two functions may be one: a loss that was weighted twice by the same factor.
        if found != wanted and described(found) != described(wanted):
            one, other = (getattr(each, "name", each) for each in (found, wanted))
            one, other = (found, wanted) if one == other else (one, other)
            raise ValueError(
                f"directions of {player} are those of the training's {name}, {shown(other)}, "
                f"got a {type(find).__name__} with {name}={shown(one)}"
            )


def _called(nets: Stacked, own: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """Networks at these weights, with inputs of their own if they may write to them."""
    return nets.at(own, inputs if nets.is_samplewise else inputs.clone())


def leading_pairs(
    own: dict[str, Tensor],
    total: Callable[[dict[str, Tensor]], Tensor],
    before: Tensor | None,
    nudging: Nudging,
    seed: int,
    chance: float | None = CHANCE,
    *,
    structure: Hashable = None,
) -> MemberPairs:
    """The k leading eigenpairs of every member's Hessian.

    Args:
        own, total, structure: as for `helpers.operators.MemberHessians`.
        before: (S, n, k) vectors to start with, or None.
        nudging: how many to find, and how accurately.
        seed: seed of the random vector that the search starts with.
        chance: chance of a miss, as in `member_eigenpairs`.
    """
    hessians = MemberHessians(own, total, structure=structure)
    random = torch.Generator().manual_seed(seed)
    start = torch.randn(hessians.shape[1], generator=random, device="cpu", dtype=torch.float32)
    start = (start / start.norm()).expand(hessians.shape)  # one for all members
    if before is not None:
        start = start.to(before) + before.sum(dim=-1)
    start = start.to(next(iter(own.values())))
    return member_eigenpairs(
        hessians.product, start, nudging.k, tolerance=nudging.tolerance, chance=chance
    )
