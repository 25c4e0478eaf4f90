"""Every cell of the matrix for one case: right, refused, or one of two failures."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from torch import Tensor, nn
from torch.func import vmap

from helpers.games.game import Game
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.models.functional import PassSettings
from helpers.models.stacked import Stacked
from helpers.operators import ROUTES, MemberHessians, Operator, derivative, hessian, jacobian
from tests.matrix.cases import Case
from tests.matrix.oracle import LOSSES, Oracle

RIGHT, REFUSED, WRONG, RAISED = "right", "refused", "wrong", "raised"
# The default route takes another way from some size on: both are looked at.
DEFAULTS = ("auto", "auto, large")
ROUTES_TAKEN = tuple(route for route in ROUTES if route not in ("auto", "bfloat16"))
COLUMNS = DEFAULTS + ROUTES_TAKEN
KINDS = ("G", "D", "J", "J'")
SEEDS = (0, 1, 2)  # of an ensemble's members


@dataclass(frozen=True)
class Verdict:
    """What became of a cell, and how or why."""

    word: str
    why: str = ""
    took: str = ""  # the route that the default one chose

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
        for route in ROUTES_TAKEN:
            for kind in KINDS:
                found[route, kind] = self._verdict(partial(self.products, route, kind))
        for route in DEFAULTS:
            for kind in KINDS:
                took: list[str] = []
                if route == "auto" or kind == "J" or found["linearized", kind].word != RIGHT:
                    found[route, kind] = self._verdict(partial(self.default, route, kind, took))
                else:  # a check is a trace more, and most of the time: the Jacobian's is enough
                    took = [
                        found[route, "J"].took or "linearized" if kind == "J'" else "linearized"
                    ]
                if took:  # what that route's products are has been seen
                    found[route, kind] = replace(found[took[0], kind], took=took[0])
        found["game", "kept"] = self._verdict(self.kept)
        if not self.case.classes and "batch_size" not in self.case.asked:
            for player in (0, 1):
                found["ensemble", "GD"[player]] = self._verdict(partial(self.members, player))
        return {key: self._due(key, verdict) for key, verdict in found.items()}

    def _due(self, key: tuple[str, str], verdict: Verdict) -> Verdict:
        """A right answer is wrong where none can be given, or where a word is missing."""
        must = self.case.must
        if verdict.word != RIGHT or key[0] == "ensemble" or key == ("game", "kept"):
            return verdict
        if must == "refused":
            return Verdict(WRONG, "an answer where none is right")
        if must == "said" and not any(re.search(self.case.words, each) for each in self.said):
            return Verdict(WRONG, f"no word of {self.case.words}")
        return verdict

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
        words += ["buffers", *filter(None, [self.case.words])]
        return re.search("|".join(words), text, re.IGNORECASE) is not None

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
        game = self.game
        if route == "linearized":
            try:  # what is right unchecked is right
                self._products(self.unchecked, route, kind)
                return
            except (_Wrong, RuntimeError):
                pass
        self._products(game, route, kind)

    def _products(self, game: Game, route: str, kind: str) -> None:
        operator = self._operator(game, route, kind)
        if kind == "J'":
            for number in (0, 1, 0):
                self._transposed(operator.rmatvec(self.directions[number]), number)
            return
        pairs = [self._exact(kind, number) for number in (0, 1)]
        for time, number in enumerate((0, 1, 0)):
            u, exact, room = pairs[number]
            _near(f"product {time + 1}", operator.matvec(u), exact, room)
        if route == "linearized":
            return  # it would be a trace of its own
        both = operator.matmat(torch.stack([u for u, _, _ in pairs], dim=1))
        for column, (_, exact, room) in zip(both.T, pairs, strict=True):
            _near("two at once", column, exact, room)

    def default(self, route: str, kind: str, took: list[str]) -> None:
        """What the default route takes, for nets of this size or as for large ones."""
        before = derivative._LARGE
        derivative._LARGE = before if route == "auto" else 1
        try:
            took.append(self._operator(self.game, "auto", kind).route)
        finally:
            derivative._LARGE = before

    def _operator(self, game: Game, route: str, kind: str) -> Operator:
        if kind in ("G", "D"):
            return hessian(game, kind, self.point, route=route)
        return jacobian(game, self.point, route=route)

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
        seen = 0
        for number, oracle in enumerate(oracles):
            exact = _exactly(oracle, player, u[number], self.case.tolerance)
            if exact is not None:
                seen += 1
                for time in (0, 2):
                    _near(f"member {number}, product {time + 1}", found[time][number], *exact)
        assert seen, "the judge is unsure of all members"

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
        return self._made()

    @cached_property
    def unchecked(self) -> Game:
        """The same game, whose operators are not held against differences of its own."""
        return self._made(check=False)

    def _made(self, check: bool = True) -> Game:
        z, x, labels = self.data
        asked = dict(self.case.asked)
        judging = Judging(**{k: asked.pop(k) for k in ("joint_batch", "logit") if k in asked})
        held = {k: asked.pop(k) for k in ("batch_norm", "spectral_norm") if k in asked}
        passes = PassSettings(check=check, **held)
        return network_game(
            *self.given, z, x, labels=labels, judging=judging, passes=passes, **asked
        )

    @cached_property
    def point(self) -> Tensor:
        """A little beside the nets' own weights."""
        own = self.oracle.own
        random = torch.Generator().manual_seed(5)
        return own + 0.02 * torch.randn(len(own), generator=random, dtype=own.dtype)

    @property
    def directions(self) -> list[Tensor]:
        return self._drawn[0]

    @cached_property
    def _drawn(self) -> tuple[list[Tensor], list[tuple[Tensor, Tensor, float]]]:
        """Two directions, and of both their halves, G's and D's, with J times each.

        Where two step sizes differ, a unit switches in between: other directions are taken.
        """
        p, like = self.oracle.sizes[0], self.oracle.own
        random = torch.Generator().manual_seed(6)
        directions, parts = [], []
        for _ in range(10):
            u = torch.randn(len(like), generator=random, dtype=like.dtype)
            found = []
            for own in (slice(0, p), slice(p, None)):
                half = torch.zeros_like(u)
                half[own] = u[own]
                found.append((half, *self.oracle.along(self.point, half)))
            if all(_sure(exact, error) for _, exact, error in found):
                directions.append(u)
                parts += found
            if len(directions) == 2:
                return directions, parts
        raise AssertionError("the judge is unsure in all directions")

    def _exact(self, kind: str, number: int) -> tuple[Tensor, Tensor, float]:
        """A direction, the product along it, and how far off a right one may be."""
        own, other = self._drawn[1][2 * number : 2 * number + 2]
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
        for w, along, error in self._drawn[1]:
            room = self._room(along, error) * u.norm().item()
            _near("along a direction", (found @ w)[None], (u @ along)[None], room)

    def _room(self, exact: Tensor, error: float) -> float:
        return _room(exact, error, self.case.tolerance)


def _exactly(
    oracle: Oracle, player: int, u: Tensor, tolerance: float
) -> tuple[Tensor, float] | None:
    """A member's product and the room around it, or None where the judge is unsure."""
    rows = slice(0, oracle.sizes[0]) if player == 0 else slice(oracle.sizes[0], None)
    whole = torch.zeros_like(oracle.own)
    whole[rows] = u
    along, error = oracle.along(oracle.own, whole)
    return (along[rows], _room(along[rows], error, tolerance)) if _sure(along, error) else None


def _sure(exact: Tensor, error: float) -> bool:
    return error <= 1e-6 * max(exact.norm().item(), 1e-2)


def _room(exact: Tensor, error: float, tolerance: float) -> float:
    return tolerance * exact.norm().item() + 10 * error + 1e-9


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
