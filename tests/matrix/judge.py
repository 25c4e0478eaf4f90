"""Every cell of the matrix for one case: right, refused, or one of two failures."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import vmap

from helpers.games import Game
from helpers.networks import joint_point, network_game
from helpers.operators import ROUTES, MemberHessians, derivative, hessian, jacobian
from helpers.stacked import Stacked
from tests.matrix.cases import Case
from tests.matrix.oracle import LOSSES, Oracle

RIGHT, REFUSED, WRONG, RAISED = "right", "refused", "wrong", "raised"
# The default route takes another way from some size on: both are looked at.
AUTO_LARGE = "auto, large"
COLUMNS = ["auto", AUTO_LARGE, *(r for r in ROUTES if r not in ("auto", "preview"))]
KINDS = ("G", "D", "J", "J'")
SEEDS = (0, 1, 2)  # of an ensemble's members


@dataclass(frozen=True)
class Verdict:
    """What became of a cell, and how or why."""

    word: str
    why: str = ""

    @property
    def fails(self) -> bool:
        return self.word in (WRONG, RAISED)


class _Wrong(Exception):
    pass


@dataclass
class Judge:
    """One case, with the products that are right for it."""

    case: Case
    said: list[str] = field(default_factory=list)

    def verdicts(self) -> dict[tuple[str, str], Verdict]:
        """By column and kind: the game itself, each route, and the ensemble."""
        found = {("game", "field"): self._verdict(self.field)}
        for route in COLUMNS:
            for kind in KINDS:
                found[route, kind] = self._verdict(lambda: self.products(route, kind))  # noqa: B023
        found["game", "kept"] = self._verdict(self.kept)
        if not self.case.classes and "batch_size" not in self.case.asked:
            for player in (0, 1):
                found["ensemble", "GD"[player]] = self._verdict(lambda: self.members(player))  # noqa: B023
        if self.case.must == "refused":
            missed = [
                key for key, each in found.items() if key[0] in COLUMNS and each.word == RIGHT
            ]
            found |= {key: Verdict(WRONG, "an answer where none is right") for key in missed}
        if self.case.must == "said" and not any(re.search(self.case.words, w) for w in self.said):
            key = ("game", "field")
            if found[key].word == RIGHT:
                found[key] = Verdict(WRONG, f"no word of {self.case.words}")
        return found

    def _verdict(self, check: Callable[[], None]) -> Verdict:
        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                check()
            return Verdict(RIGHT)
        except _Wrong as wrong:
            return Verdict(WRONG, str(wrong))
        except ValueError as refusal:
            if type(refusal) is ValueError and self._names_a_reason(str(refusal)):
                return Verdict(REFUSED, str(refusal))
            return Verdict(RAISED, f"ValueError without a layer or a reason: {_line(refusal)}")
        except Exception as stranger:  # whatever torch raises is the finding
            return Verdict(RAISED, f"{type(stranger).__name__}: {_line(stranger)}")
        finally:
            self.said += [str(each.message) for each in heard]

    def _names_a_reason(self, text: str) -> bool:
        nets = self.case.built(0)
        named = {type(m).__name__ for net in nets for m in net.modules()} - {"Sequential"}
        named |= {name for net in nets for name, _ in net.named_modules() if name}
        words = [rf"(?<![\w.]){re.escape(name)}(?!\w)" for name in named]
        return (
            re.search("|".join([*words, self.case.words or "buffers", "buffers"]), text) is not None
        )

    # What is judged

    def field(self) -> None:
        """Losses and the field, at the nets' own weights and beside them, twice each."""
        game, oracle = self.game, self.oracle
        _same("the point", joint_point(*self.given), oracle.own, 1e-12)
        for omega in (oracle.own, self.point, oracle.own):
            losses = torch.tensor(oracle.losses(omega))
            _same("the losses", game.losses(omega), losses.to(omega), self.case.tolerance / 10)
            _same("the field", game.vector_field(omega), oracle.field(omega), self.case.tolerance)

    def products(self, route: str, kind: str) -> None:
        """Two directions, the first one once more, and both at once."""
        with _large(route == AUTO_LARGE):
            route = "auto" if route == AUTO_LARGE else route
            if kind in ("G", "D"):
                operator = hessian(self.game, kind, self.point, route=route)
            else:
                operator = jacobian(self.game, self.point, route=route)
            if kind == "J'":
                for number in (0, 1, 0):
                    self._transposed(operator.rmatvec(self.directions[number]), number)
                return
            pairs = [self._exact(kind, number) for number in (0, 1)]
            for time, number in enumerate((0, 1, 0)):
                u, exact, room = pairs[number]
                _near(f"product {time + 1}", operator.matvec(u), exact, room)
            if kind != "G" and route in ("auto", "linearized"):
                return  # a trace of its own, of the same kind as G's
            both = operator.matmat(torch.stack([u for u, _, _ in pairs], dim=1))
            for column, (_, exact, room) in zip(both.T, pairs, strict=True):
                _near("two at once", column, exact, room)

    def kept(self) -> None:
        """Nothing of the caller's has changed: weights, buffers, modes, data."""
        for net, before in zip(self.given, self._before, strict=True):
            for name, value in net.state_dict().items():
                if not torch.equal(value, before.state_dict()[name]):
                    raise _Wrong(f"{name} of the given net has changed")
            if [m.training for m in net.modules()] != [m.training for m in before.modules()]:
                raise _Wrong("the mode of the given net has changed")
            if [p.requires_grad for p in net.parameters()] != [
                p.requires_grad for p in before.parameters()
            ]:
                raise _Wrong("requires_grad of the given net has changed")
        for mine, fresh in zip(self.data, self.case.data(), strict=True):
            if mine is not None and not torch.equal(mine, fresh):
                raise _Wrong("the given data have changed")

    def members(self, player: int) -> None:
        """The Hessians of three nets side by side, twice along one direction."""
        pairs = [self.case.built(seed) for seed in SEEDS]
        stacks = [Stacked([pair[k] for pair in pairs], twice=True) for k in (0, 1)]
        total = self._total(stacks, player)
        hessians = MemberHessians(stacks[player].parameters, total)
        oracles = [Oracle(self.case, seed) for seed in SEEDS]
        size = oracles[0].sizes[player]
        if hessians.shape != (len(SEEDS), size):
            raise _Wrong(f"{hessians.shape[1]} weights, of which {size} train")
        random = torch.Generator().manual_seed(7)
        u, other = (
            torch.randn(*hessians.shape, generator=random, dtype=torch.float64) for _ in range(2)
        )
        found = [hessians.product(v) for v in (u, other, u)]
        for number, oracle in enumerate(oracles):
            exact, room = _exactly(oracle, oracle.own, player, u[number], self.case.tolerance)
            for time in (0, 2):
                _near(f"member {number}, product {time + 1}", found[time][number], exact, room)

    def _total(self, stacks: list[Stacked], player: int) -> Callable[[dict[str, Tensor]], Tensor]:
        asked = self.case.asked
        z, x = (part.expand(len(SEEDS), *part.shape) for part in self.case.data()[:2])
        logit = vmap(asked["logit"]) if "logit" in asked else lambda output: output

        def total(own: dict[str, Tensor]) -> Tensor:
            sets = [{k: w.detach() for k, w in each.parameters.items()} for each in stacks]
            sets[player] = own

            def judge(samples: Tensor) -> Tensor:
                return logit(stacks[1].at(sets[1], samples))

            fakes = stacks[0].at(sets[0], z)
            if asked.get("joint_batch"):
                real, fake = judge(torch.cat([x, fakes], dim=1)).split(z.shape[1], dim=1)
            else:
                real, fake = judge(x), judge(fakes)
            value = LOSSES[asked.get("loss", "js")][player](real, fake)
            penalty = asked.get("penalty")
            if player == 1 and penalty is not None:
                shares = penalty.shares(z.shape[1]).expand(len(SEEDS), -1)
                value = value + penalty(judge, x, fakes, shares)
            return len(SEEDS) * value

        return total

    # What it is compared with

    @cached_property
    def oracle(self) -> Oracle:
        return Oracle(self.case, 0)

    @cached_property
    def given(self) -> tuple[nn.Module, nn.Module]:
        self._before = self.case.built(0)
        return self.case.built(0)

    @cached_property
    def data(self) -> tuple[Tensor, Tensor, Tensor | None]:
        return self.case.data()

    @cached_property
    def game(self) -> Game:
        z, x, labels = self.data
        asked = self.case.asked if labels is None else {**self.case.asked, "labels": labels}
        return network_game(*self.given, z, x, **asked)

    @cached_property
    def point(self) -> Tensor:
        """A little beside the nets' own weights."""
        own = self.oracle.own
        random = torch.Generator().manual_seed(5)
        return own + 0.02 * torch.randn(len(own), generator=random, dtype=own.dtype)

    @cached_property
    def directions(self) -> list[Tensor]:
        random = torch.Generator().manual_seed(6)
        like = self.oracle.own
        return [torch.randn(len(like), generator=random, dtype=like.dtype) for _ in range(2)]

    @cached_property
    def _parts(self) -> list[tuple[Tensor, Tensor, float]]:
        """Both directions' halves, G's and D's, with J times each."""
        p = self.oracle.sizes[0]
        halves = []
        for u in self.directions:
            for own in (slice(0, p), slice(p, None)):
                half = torch.zeros_like(u)
                half[own] = u[own]
                halves.append((half, *self.oracle.along(self.point, half)))
        return halves

    def _exact(self, kind: str, number: int) -> tuple[Tensor, Tensor, float]:
        """A direction, the product along it, and how far off a right one may be."""
        own, other = self._parts[2 * number : 2 * number + 2]
        p = self.oracle.sizes[0]
        if kind == "J":
            exact = own[1] + other[1]
            return self.directions[number], exact, self._room(exact, own[2] + other[2])
        half, rows = (own, slice(0, p)) if kind == "G" else (other, slice(p, None))
        exact = half[1][rows]
        return half[0][rows], exact, self._room(exact, half[2])

    def _transposed(self, found: Tensor, number: int) -> None:
        """J' u by what it is along every half: (J' u) w is u (J w)."""
        u = self.directions[number]
        for w, along, error in self._parts:
            room = self._room(along, error) * u.norm().item()
            _near("along a direction", (found @ w)[None], (u @ along)[None], room)

    def _room(self, exact: Tensor, error: float) -> float:
        return _room(exact, error, self.case.tolerance)


def _exactly(
    oracle: Oracle, omega: Tensor, player: int, u: Tensor, tolerance: float
) -> tuple[Tensor, float]:
    rows = slice(0, oracle.sizes[0]) if player == 0 else slice(oracle.sizes[0], None)
    whole = torch.zeros_like(omega)
    whole[rows] = u
    along, error = oracle.along(omega, whole)
    return along[rows], _room(along[rows], error, tolerance)


def _room(exact: Tensor, error: float, tolerance: float) -> float:
    size = exact.norm().item()
    # Two step sizes agree, or a kink lies between: then another direction is to be taken.
    assert error <= tolerance * max(size, 1e-2), f"the judge is unsure: {error:.1e} of {size:.1e}"
    return tolerance * size + 10 * error + 1e-9


def _near(what: str, found: Tensor, exact: Tensor, room: float) -> None:
    if found.shape != exact.shape:
        raise _Wrong(f"{what}: {tuple(found.shape)} for {tuple(exact.shape)}")
    off = (found - exact).norm().item()
    if not off <= room:
        size = exact.norm().item()
        raise _Wrong(f"{what} off by {off / size:.1%}" if size else f"{what} is not 0")


def _same(what: str, found: Tensor, exact: Tensor, tolerance: float) -> None:
    _near(what, found.detach(), exact, tolerance * exact.norm().item() + 1e-12)


def _line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0][:160]


@contextmanager
def _large(wanted: bool) -> Iterator[None]:
    """The default route's choice for large networks."""
    before = derivative._LARGE
    derivative._LARGE = 1 if wanted else before
    try:
        yield
    finally:
        derivative._LARGE = before
