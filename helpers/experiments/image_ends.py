"""What is measured on a trained image GAN: its samples, the path to its best net, and that net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from torch import Tensor

from helpers.analysis.endpoints import bump, searched
from helpers.datasets import ImageSet
from helpers.experiments.image_training import TrainedGan
from helpers.experiments.judges import scored
from helpers.games import spectral_norms
from helpers.games.game import PLAYERS
from helpers.operators import Operator, hessian, jacobian
from helpers.scores import (
    Classifier,
    class_counts,
    class_entropy,
    frechet_distance,
    inception_score,
    modes,
    score_range,
)
from helpers.scores.classifiers import accuracy
from helpers.spectra import game_eigenvalues, slq_density, top_eigenpairs

_DIGITS = 10  # decimals of a path's positions, so that equal ones are the same number
_DRAWN = 6144  # values kept of the pictures: six in grey, or two in colour
_LEVELS = 15  # levels of grey above black: one hexadecimal digit
_EVERY = 8  # one in so many of a density's 1,000 places is kept
_LOWEST = 1e-7  # part of a density's largest value; what is below is kept as zero
_TOLERANCE = 1e-2  # tolerance of residuals, relative to the eigenvalues
Found = dict[str, Any]  # "numbers" by name, and courses by name, as lists by column


@dataclass(frozen=True, kw_only=True)
class Looking:
    """How closely a GAN is looked at."""

    batch: int = 100  # images in a pass, and at once along a path
    looked: int = 1000  # images of the game at the end
    on_path: int = 5000  # images of the game along a path
    ends: int = 5  # end points of a path: the kept nets whose samples score best
    watched: int = 8  # nets along the training whose eigenvalues are computed
    alphas: int = 22  # positions on a path
    top: int = 20  # leading eigenvalues
    lanczos: tuple[int, int] = (60, 4)  # steps and probes of a density


def samples_of(
    gan: TrainedGan, judge: Classifier, held: ImageSet, stages: Sequence[int], *, seed: int
) -> Found:
    """Scores of samples along the training, and entropy, modes and distance of its best net.

    They come with the values of real images and of noise under the same judge.

    Args:
        gan: with nets kept after the stages.
        judge: of all samples.
        held: the test images.
        stages: iterations, the last of them the end.
        seed: of the latents.
    """
    count = scored(held)
    found = [inception_score(judge, gan.samples(stage, count, seed=seed)) for stage in stages]
    (best,) = best_of(stages, found, 1)
    made = gan.samples(best, count, seed=seed)
    counts, bounds = class_counts(judge, made), score_range(judge, held.images, n=count)
    numbers = {
        "judge_accuracy": accuracy(judge.net, held.images, held.labels),
        "real_score": bounds.real_score,
        "noise_score": bounds.noise_score,
        "score": max(found),
        "score_end": found[-1],
        "best_passes": float(best * gan.setting.critics),
        "entropy": class_entropy(counts),
        "modes": float(modes(counts)),
        "distance": frechet_distance(judge, held.subset(count, seed=0).images, made),
    }
    few = made[: _DRAWN // made[0].numel()]
    return {
        "numbers": numbers,
        "scores": {"passes": [stage * gan.setting.critics for stage in stages], "score": found},
        "pictures": {"picture": list(range(len(few))), "pixels": as_text(few)},
    }


def best_of(stages: Sequence[int], scores: Sequence[float], count: int) -> list[int]:
    """At most `count` stages with the best scores, best first; of equal ones the later.

    >>> best_of([10, 20, 30, 40], [1.0, 3.0, 2.0, 3.0], 3)
    [40, 20, 30]
    """
    order = sorted(zip(scores, stages, strict=True), reverse=True)
    return [stage for _, stage in order[:count]]


def as_text(images: Tensor) -> list[str]:
    """Images in [-1, 1] as text in sixteen levels, one hexadecimal digit per value.

    >>> import torch
    >>> as_text(torch.tensor([[[[-1.0, 1.0]]]]))
    ['0f']
    """
    levels = ((images + 1) * (_LEVELS / 2)).round().clamp(0, _LEVELS).flatten(1).int()
    return ["".join(f"{level:x}" for level in row) for row in levels.tolist()]


def from_text(texts: Sequence[str], side: int = 32) -> NDArray[np.float64]:
    """(n, C, side, side) in [-1, 1]: what `as_text` was given, in sixteen levels.

    >>> from_text(["0f" * 512]).shape
    (1, 1, 32, 32)
    """
    levels = np.array([[int(digit, 16) for digit in text] for text in texts])
    return levels.reshape(len(texts), -1, side, side) / (_LEVELS / 2) - 1


def path_of(
    gan: TrainedGan, reals: Tensor, best: Sequence[int], first: int, how: Looking, *, seed: int
) -> Found:
    """The bump of the path-angle on paths from the start and from the end of the first epoch.

    A path on which the field is not finite has none.

    Args:
        gan: with nets kept after these iterations.
        reals: the images of the game, where to compute.
        best: iterations of the end points.
        first: iteration after the first epoch, where the released script begins.
        how: how closely.
        seed: of the latents.
    """
    alphas = np.linspace(0.4, 1.1, how.alphas).round(_DIGITS)
    numbers: dict[str, float] = {}
    courses: Found = {}
    for prefix, begin in (("later_", first), ("", 0)):
        ends = [end for end in best if end > begin]
        if not ends:
            continue
        try:
            profile = gan.path(reals, begin, ends, alphas, seed=seed, batch_size=how.batch)
        except FloatingPointError:
            continue
        numbers |= {f"{prefix}{name}": float(value) for name, value in vars(bump(profile)).items()}
        if begin == 0:
            places = np.repeat(range(len(best)), len(alphas)), np.tile(alphas, len(best))
            path = {"end": places[0], "alpha": places[1]}
            path |= {"angle": profile.angle.ravel(), "norm": profile.norm.ravel()}
            courses["path"] = _course(path)
    return {"numbers": numbers} | courses


def end_of(gan: TrainedGan, end: int, reals: Tensor, how: Looking, *, seed: int) -> Found:
    """Numbers and leading eigenvalues of a kept net, with spectral norm held and settled.

    The leading eigenvalues are those of the game and of each player's own Hessian, by modulus. The
    numbers have the leftmost eigenvalue of the game and the one that turns fastest, too, which need
    not be among the leading ones. Each of these two is found to three hundredths of the largest
    modulus, by `helpers.spectra.game_eigenvalues`: where one eigenvalue is far larger than all
    others, a faster one may be among the leading ones. What a search that fails was to find is NaN.
    """
    at = gan.end_point(end, reals, top=how.top, seed=seed, lenient=True)
    numbers = at.summary()
    # Part of a spectrum cannot show that a point is stable, and "lowest" is the lowest leading one.
    del numbers["stable"], numbers["lowest"]
    # Each of these is a search of its own, of which one may have failed.
    (g_high, g_low), (d_high, d_low) = at.classification.spectrum_g, at.classification.spectrum_d
    numbers |= {
        "real": float(np.abs(at.leading.real).max()),
        "curvature_low": float(g_low),
        "curvature_high": float(g_high),
        "d_low": float(d_low),
        "sharpness": float(d_high),
        "residual": at.classification.stability_resolution,
        "own_residual": at.classification.nash_resolution,
    }
    game, point = gan.game(end, reals, seed=seed), gan.point(end).to(reals.device)
    operator = jacobian(game, point, route="retained")
    for name, which in (("leftmost", "SR"), ("turning", "LI")):
        numbers |= _first(operator, name, which, seed)
    own = {
        player: _own(hessian(game, player, point, route="retained"), how.top, "LM")
        for player in PLAYERS
    }
    settled = gan.game(end, reals, seed=seed, spectral_norm="exact")
    numbers["settled_norm"] = float(settled.vector_field(point).norm())
    operator = hessian(settled, "D", point, route="retained")
    for name, which in (("settled_sharpness", "LA"), ("settled_d_low", "SA")):
        numbers[name] = float(_own(operator, 1, which)[0])
    held, largest, second = spectral_norms(gan.run.players_at(end).discriminator).cpu().numpy().T
    return {
        "numbers": numbers,
        "leading": _course({"real": at.leading.real, "imaginary": at.leading.imag}),
        "own": _course(
            {
                "player": np.repeat(PLAYERS, how.top),
                "value": np.concatenate([own[player] for player in PLAYERS]),
            }
        ),
        "norms": _course(
            {"layer": np.arange(len(held)), "held": held / largest, "second": second / largest}
        ),
    }


def along(
    gan: TrainedGan, stages: Sequence[int], reals: Tensor, how: Looking, *, seed: int
) -> Found:
    """The game's leading and leftmost eigenvalues, and the field's norm, along the training.

    What a search that fails was to find is NaN.

    Args:
        gan: with nets kept after the stages.
        stages: iterations; `how` says how many are looked at, in equal steps up to the last.
        reals: the images of the game, where to compute.
        how: how closely.
        seed: of the latents.
    """
    step = -(-len(stages) // how.watched)
    rows = []
    for stage in stages[::-1][::step][::-1]:
        game, point = gan.game(stage, reals, seed=seed), gan.point(stage).to(reals.device)
        operator = jacobian(game, point, route="retained")
        norm = float(game.vector_field(point).norm())
        row: dict[str, float] = {"passes": stage * gan.setting.critics, "norm": norm}
        for name, which in (("leading", "LM"), ("leftmost", "SR")):
            row |= _first(operator, name, which, seed)
        rows.append(row)
    return {"numbers": {}, "along": DataFrame(rows, dtype=float).to_dict("list")}


def densities_of(gan: TrainedGan, end: int, reals: Tensor, how: Looking, *, seed: int) -> Found:
    """Densities of each player's own spectrum at a kept net, thinned to what a figure shows.

    A player whose products are not finite has none.
    """
    game, point = gan.game(end, reals, seed=seed), gan.point(end).to(reals.device)
    steps, probes = how.lanczos
    course: dict[str, list[Any]] = {"player": [], "x": [], "density": [], "error": []}
    for player in PLAYERS:
        operator = hessian(game, player, point, route="retained")
        try:
            found = slq_density(operator, steps=steps, probes=probes, seed=seed)
        except FloatingPointError:
            continue
        x, density, error = (
            values[::_EVERY] for values in (found.grid, found.density, found.standard_error)
        )
        seen = density > _LOWEST * density.max()
        course["x"] += x.tolist()
        course["density"] += np.where(seen, density, 0.0).tolist()
        course["error"] += np.where(seen, error, 0.0).tolist()
        course["player"] += [player] * len(x)
    return {"numbers": {}, "density": course}


def _first(operator: Operator, name: str, which: str, seed: int) -> dict[str, float]:
    """The first eigenvalue of a game's Jacobian in some order, and its residual."""
    find = partial(game_eigenvalues, operator, 1, which, seed=seed, tolerance=_TOLERANCE)
    (value,), (residual,) = searched(find, 1)
    return {
        f"{name}_real": float(value.real),
        f"{name}_imaginary": float(value.imag),
        f"{name}_residual": float(residual),
    }


def _own(operator: Operator, k: int, which: str) -> NDArray[np.float64]:
    """(k,) first eigenvalues of a Hessian in some order."""
    find = partial(top_eigenpairs, operator, k, which, tolerance=_TOLERANCE)
    return searched(find, k)[0].real


def _course(columns: dict[str, NDArray[Any]]) -> dict[str, list[Any]]:
    return {name: values.tolist() for name, values in columns.items()}
