"""What is measured at a point of a training that stays: is it at rest, is it an equilibrium?

All of it is computed on the CPU in double precision, on the member's own data, and rests on exact
Jacobians: GANs on two clusters have 187 weights, and those on a ring at most 2,403.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from helpers.analysis import Classification, classify, find_rest, flow, turns
from helpers.analysis.coverage import shares_near
from helpers.datasets.synthetic import CENTRES, RADIUS, Samples
from helpers.experiments.stay_places import Numbers
from helpers.experiments.two_cluster_training import Setting, draw, loss_of
from helpers.games.game import Game
from helpers.games.networks import network_game
from helpers.models import two_cluster_nets
from helpers.operators import jacobian

LEAST = 0.1  # of its fair share of the points: then a mode is covered
TOLERANCE = 1e-10  # largest norm of the field at a stationary point
_POINTS, _FAR = 100, 10.0  # of a search: points that it tries, and radii that it goes, at most
_TYPICAL = 1.2  # radii of stays: the median of 144 recorded ones of JS is 1.01
_WINDOW, _LOOKS = 20.0, 11  # the flow is solved so far at a time, and looked at so often


@dataclass(frozen=True, eq=False)
class Member:
    """The game of one trained member, in double precision."""

    game: Game
    generator: nn.Module
    latents: Tensor  # (n, d)
    centres: Tensor = CENTRES  # (k, d) of the modes
    radius: float = RADIUS  # a point this near to a centre is at that mode
    share: float = LEAST / 2  # of the points: then a mode is covered

    def covers(self, point: Tensor) -> tuple[bool, ...]:
        """Whether each mode is covered by what G makes at a point (p + q,)."""
        vector_to_parameters(self.game.split(point)[0].clone(), self.generator.parameters())
        with torch.no_grad():
            made = self.generator(self.latents)[None]
            shares = shares_near(made, self.centres, self.radius)[0]
        return tuple((shares >= self.share).tolist())


def member_of(setting: Setting, samples: Samples, member: int) -> Member:
    """The game that a member was trained on, with two clusters.

    >>> from helpers.experiments.two_cluster_training import draw
    >>> setting = Setting("js")
    >>> member_of(setting, draw(setting, 1, seed=0)[1], 0).game.sizes
    (46, 141)
    """
    G, D = (net.double() for net in two_cluster_nets(seed=0, widths=setting.widths))
    z, x = (data[member].double().cpu() for data in (samples.latents, samples.reals))
    return Member(network_game(G, D, z, x, loss=loss_of(setting)), G, z)


def time_of(setting: Setting) -> float:
    """The flow's time that an iteration takes: steps times the rate, over 1 minus the momentum.

    Raises:
        ValueError: where the players take different numbers of steps, and have no common time.

    >>> round(time_of(Setting("js")), 9)
    1.0
    """
    of_d, of_g = setting.steps
    if of_d != of_g:
        raise ValueError(f"one time for both players takes equal steps, got {setting.steps}")
    return of_d * setting.lr / (1 - setting.momentum)


def curvature(member: Member, point: Tensor) -> tuple[Numbers, Classification]:
    """Norm of the field, and the spectrum's numbers at a point.

    lowest, turning: the smallest real part of the Jacobian's eigenvalues, and the imaginary part
        that goes with it; resolution: the error to be expected of the former.
    low_g, low_d, top_g, top_d: the smallest and the largest own curvature of each player.
    """
    found = classify(member.game, point, tolerance=TOLERANCE)
    lowest = found.spectrum[found.spectrum.real.argmin()]
    numbers = {
        "norm": found.gradient_norm,
        "lowest": float(lowest.real),
        "turning": float(abs(lowest.imag)),
        "resolution": found.stability_resolution,
    }
    for player, own in (("g", found.spectrum_g), ("d", found.spectrum_d)):
        numbers |= {f"low_{player}": float(own.min()), f"top_{player}": float(own.max())}
    return numbers, found


def refined(member: Member, point: Tensor, radius: float, most: int = _POINTS) -> Numbers:
    """What a search for a stationary point from here finds, which tries so many points at most.

    residual: the norm of the field where it ended; moved: its distance from here, in units of the
        radius; same: whether the same clusters are covered there.
    away: whether it walked away, ten radii or more; stuck: whether it ended where no step makes
        the field shorter.
    found: whether there is a stationary point here: one with the same modes covered, no farther
        than the radius. stable, nash: whether it is stable, and a differential Nash equilibrium;
        weak: whether it has no negative own curvature, as a local Nash equilibrium must. False
        without such a point.
    rest_lowest, rest_own: at a stationary point, here or elsewhere, the smallest real part and the
        smallest own curvature; rest_resolution, rest_own_resolution: the errors to be expected.
    """
    far = _FAR * radius if radius else None
    rest = find_rest(member.game, point, tolerance=TOLERANCE, within=far, most=most)
    same = member.covers(rest.point) == member.covers(point)
    here = rest.is_stationary and same and rest.distance <= radius
    numbers = {
        "residual": rest.residual,
        "moved": rest.distance / radius if radius else np.inf,
        "same": float(same),
        "away": float(rest.ending == "away"),
        "stuck": float(rest.ending == "stuck"),
        "found": float(here),
    }
    numbers |= dict.fromkeys(("stable", "nash", "weak"), 0.0)
    names = ("rest_lowest", "rest_resolution", "rest_own", "rest_own_resolution")
    numbers |= dict.fromkeys(names, np.nan)
    if rest.is_stationary:
        at = classify(member.game, rest.point, tolerance=TOLERANCE)
        margins = (at.stability_margin, at.stability_resolution, at.nash_margin, at.nash_resolution)
        numbers |= dict(zip(names, margins, strict=True))
        if here:
            numbers |= {"stable": float(bool(at.is_lssp)), "nash": float(bool(at.is_dne))}
            numbers["weak"] = float(at.nash_margin >= -at.nash_resolution)
    return numbers


def growth(setting: Setting, member: Member, point: Tensor) -> Numbers:
    """How fast a small displacement grows, per unit of the flow's time, by different dynamics.

    grow_flow: of the gradient flow, the smallest real part with its sign reversed.
    grow_method: of the optimiser as trained; grow_plain: of the same turns without momentum, at a
        rate that covers the same time; grow_single: with momentum and one step of each player.
    """
    game = member.game
    J = jacobian(game, point).dense().numpy()
    n, p = len(J), game.sizes[0]
    time, beta, rate = time_of(setting), setting.momentum, setting.lr
    plain = turns(J, p, rate=rate / (1 - beta), steps=setting.steps)[:n, :n]
    ways = {
        "grow_method": (turns(J, p, rate=rate, momentum=beta, steps=setting.steps), time),
        "grow_plain": (plain, time),
        "grow_single": (turns(J, p, rate=rate, momentum=beta), rate / (1 - beta)),
    }
    found = {"grow_flow": float(-np.linalg.eigvals(J).real.min())}
    return found | {name: _rate(matrix, span) for name, (matrix, span) in ways.items()}


def _rate(matrix: NDArray[np.float64], time: float) -> float:
    return float(np.log(np.abs(np.linalg.eigvals(matrix)).max()) / time)


def flow_stays(member: Member, point: Tensor, longest: float) -> float:
    """The flow's time from a point until exactly one cluster is covered no more; at most `longest`.

    A field that jumps, as the hinge's does, would take the solver no end of steps.
    """
    now, done = point[None], 0.0
    while done < longest:
        times = np.linspace(0, min(_WINDOW, longest - done), _LOOKS)
        found = flow(member.game, now, times)
        for time, there in zip(times[1:], found.points[1:, 0], strict=True):
            if sum(member.covers(torch.from_numpy(there))) != 1:
                return float(done + time)
        now, done = torch.from_numpy(found.points[-1]), done + float(times[-1])
    return float(longest)


def beside_rest(loss: str, *, members: int) -> dict[str, Any]:
    """Does the search of `refined` find a point at rest that is known, from beside it?

    Where all weights of D are zero the field is zero, whatever G is: D is blind. The search begins
    at such points with the G's of untrained members, moved in a random direction by the radius of a
    typical stay.

    Returns the "loss"; of how many "searches" it ended "at rest", and in how many it "walked away";
    the longest "norm of the field" that was left, and the largest "distance" gone, in radii.

    >>> beside_rest("js", members=1)["at rest"]
    1
    """
    setting = Setting(loss)
    players, samples = draw(setting, members, seed=0)
    ends = []
    for number in range(members):
        member = member_of(setting, samples, number)
        p, q = member.game.sizes
        G = parameters_to_vector(players[number].generator.parameters()).detach().double().cpu()
        drawn = torch.randn(p + q, generator=torch.Generator().manual_seed(number)).double()
        start = torch.cat([G, torch.zeros(q).double()]) + _TYPICAL * drawn / drawn.norm()
        far = _FAR * _TYPICAL
        ends.append(find_rest(member.game, start, tolerance=TOLERANCE, within=far, most=_POINTS))
    return {
        "loss": loss,
        "searches": members,
        "at rest": sum(end.is_stationary for end in ends),
        "walked away": sum(end.ending == "away" for end in ends),
        "norm of the field": max(end.residual for end in ends),
        "distance": max(end.distance for end in ends) / _TYPICAL,
    }
