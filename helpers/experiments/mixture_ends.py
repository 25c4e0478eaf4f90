"""What is measured on one trained member of the mixture: where it ended, and the way there.

All of it is computed on the CPU in double precision, on the member's own data. Where latents have
one dimension, that includes the whole spectrum; for larger nets, only leading eigenvalues, found by
products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance
from torch import Tensor

from helpers.analysis import EndPoint, bump, end_point, iterate, path_profile
from helpers.analysis.endpoints import leading_end_point
from helpers.datasets.synthetic import mixture_of_gaussians
from helpers.experiments.mixture_training import TrainedMixture
from helpers.games.game import Game
from helpers.losses.penalty import GradientPenalty
from helpers.operators import hessian, jacobian
from helpers.spectra import game_eigenvalues, top_eigenpairs

TOP = 100  # leading eigenvalues, as many as the paper takes on the mixture
EDGES = np.linspace(-6, 6, 61)  # of the bins of generated points
_FRESH = 2**41  # added to a seed: points and latents that no training has seen
_TINY = 1e-6  # part of the largest modulus below which an eigenvalue counts as zero
_DIGITS = 10  # decimals of a path's positions, so that equal ones are the same number
Course = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Looking:
    """How closely a member is looked at."""

    ends: Sequence[int]  # iterations whose points are ends of a path; the last one is the end
    alphas: int  # positions on a path
    fresh: int  # points for the distance to the data
    away: int  # steps from the end, to see whether a method stays there


def look(trained: TrainedMixture, member: int, how: Looking, *, draw: bool) -> dict[str, Any]:
    """Numbers of one finite member by name, and what can be drawn by the names of frames.

    The end point is what the released script stores: `TrainedMixture.end`. Its path begins, as
    there, after the first extrapolation.

    Args:
        trained: with points kept after `how.ends`.
        member: a finite one.
        how: how closely.
        draw: whether to find "spectrum" and "own", which take another spectrum.

    >>> from helpers.experiments.mixture_training import Setting, train_mixture
    >>> trained = train_mixture(Setting(), 1, 2, seed=0, n=20)
    >>> how = Looking(ends=[2], alphas=11, fresh=50, away=1)
    >>> sorted(look(trained, 0, how, draw=False))
    ['density', 'numbers', 'path']
    """
    game, start = trained.game(member), trained.point(member, 0)
    first, last = trained.end(member, 0), trained.end(member, how.ends[-1])
    at = _spectra(game, start, last, whole=trained.setting.latent == 1)
    numbers = at.summary()
    del numbers["stable"]  # "lowest" and "relative_norm" say so
    moduli = np.abs(at.classification.spectrum)
    if at.classification.is_complete:
        numbers["tiny"] = float((moduli < _TINY * moduli.max()).sum())
    else:
        del numbers["lowest"]  # only "lowest_leading" is known
    numbers["loss_d"] = float(game.losses(last)[1])
    numbers["first_sharpness"] = float(top_eigenpairs(hessian(game, "D", start), 1).values[0])
    points = torch.stack([trained.end(member, each) for each in how.ends])
    alphas = np.linspace(0.38, 1.1, how.alphas).round(_DIGITS)
    profile = path_profile(game, first, points, alphas)
    numbers |= {name: float(value) for name, value in vars(bump(profile)).items()}
    made, distance = _generated(trained, member, last, how.fresh)
    numbers["distance"] = distance
    numbers |= _resting(trained, member, how) | _views(trained, member, how)
    angle, norm = (profile.quartiles(what)[1] for what in ("angle", "norm"))
    found = {
        "numbers": numbers,
        "path": _course(alpha=alphas[::2], angle=angle[::2], norm=norm[::2]),
        "density": _course(
            x=(EDGES[1:] + EDGES[:-1]) / 2, density=np.histogram(made, EDGES, density=True)[0]
        ),
    }
    if draw:
        found |= _drawn(game, start, at)
    return found


def _spectra(game: Game, start: Tensor, end: Tensor, *, whole: bool) -> EndPoint:
    if whole:
        return end_point(game, start, end, top=TOP)
    norm = float(game.vector_field(start).norm())
    return leading_end_point(game, end, start_norm=norm, top=TOP)


def _drawn(game: Game, start: Tensor, at: EndPoint) -> dict[str, Course]:
    """Leading eigenvalues before and after training; quantiles of the players' own ones after."""
    after, found = at.leading, at.classification
    if found.is_complete:
        values = np.linalg.eigvals(jacobian(game, start).dense().numpy())
        before = values[np.argsort(-np.abs(values))][:TOP]
    else:
        before = game_eigenvalues(jacobian(game, start), TOP, tolerance=1e-2).values
    frames = {
        "spectrum": _course(
            real_before=before.real,
            imaginary_before=before.imag,
            real_after=after.real,
            imaginary_after=after.imag,
        )
    }
    if found.is_complete:
        shares = np.linspace(0, 1, 51)
        frames["own"] = _course(
            share=shares.round(_DIGITS),
            g=np.quantile(found.spectrum_g, shares, method="nearest"),
            d=np.quantile(found.spectrum_d, shares, method="nearest"),
        )
    return frames


def _generated(
    trained: TrainedMixture, member: int, point: Tensor, count: int
) -> tuple[NDArray[np.float64], float]:
    """Generated points, and the Wasserstein distance to as many fresh points of the data."""
    real, latents = fresh(trained, member, count)
    made = trained.samples(point, latents).numpy()
    return made, float(wasserstein_distance(real[:, 0].numpy(), made))


def fresh(trained: TrainedMixture, member: int, count: int) -> tuple[Tensor, Tensor]:
    """(n, 1) points and (n, latent) latents of a member's law that no training has seen."""
    setting = trained.setting
    found = mixture_of_gaussians(
        member + 1,
        seed=_FRESH + trained.seed,
        n=count,
        sigmas=setting.sigmas,
        latent=setting.latent,
    )
    return found.reals[member], found.latents[member]


def _resting(trained: TrainedMixture, member: int, how: Looking) -> dict[str, float]:
    """The field's norm at the last iterate, and after more steps from the end point.

    The steps are those of plain methods, which have one rate.
    """
    setting, last = trained.setting, how.ends[-1]
    game, end = trained.game(member), trained.end(member, last)
    numbers = {"norm_iterate": float(game.vector_field(trained.point(member, last)).norm())}
    if setting.method == "extragradient" and len(set(setting.rates)) == 1:
        methods = {"norm_extragradient_from": "extragradient", "norm_descent_from": "simultaneous"}
        for name, method in methods.items():
            size = setting.rates[0]
            point = iterate(game, end, method, size=size, steps=how.away, last_only=True)
            numbers[name] = float(game.vector_field(point).norm())
    return numbers


def _views(trained: TrainedMixture, member: int, how: Looking) -> dict[str, float]:
    """The end of a penalised training in the games that the released script looks at instead.

    The script trains with the penalty at the data, but analyses with it at interpolates, and with
    new latents.
    """
    penalty = trained.setting.penalty
    if penalty is None or penalty.where != "data" or trained.setting.latent > 1:
        return {}
    end = trained.end(member, how.ends[-1])
    latents = fresh(trained, member, len(trained.latents[member]))[1]
    games = {
        "other_penalty": trained.game(
            member, penalty=GradientPenalty(penalty.weight, "interpolates")
        ),
        "other_latents": trained.game(member, latents=latents),
    }
    numbers = {}
    for name, game in games.items():
        values = np.linalg.eigvals(jacobian(game, end).dense().numpy())
        numbers[f"norm_{name}"] = float(game.vector_field(end).norm())
        numbers[f"lowest_{name}"] = float(values.real.min() / np.abs(values).max())
    return numbers


def _course(**columns: NDArray[np.float64]) -> Course:
    return {name: [float(value) for value in values] for name, values in columns.items()}


def late_norms(trained: TrainedMixture, iterations: int) -> Mapping[str, NDArray[np.float64]]:
    """(S,) median and standard deviation of the field's norm in the last fifth of a training.

    Both of the iterate and of the point to which extragradient extrapolates; NaN for members that
    diverged.
    """
    courses = {"late": trained.norm}
    if trained.setting.method == "extragradient":
        courses["ahead"] = trained.norm_ahead
    late = trained.run.iterations > 0.8 * iterations
    found = {}
    for name, norm in courses.items():
        if late.any():
            found[f"{name}_norm"] = np.median(norm[late], axis=0)
            found[f"{name}_spread"] = norm[late].std(axis=0)
        else:  # every member had diverged before
            found[f"{name}_norm"] = found[f"{name}_spread"] = np.full(norm.shape[1], np.nan)
    return found
