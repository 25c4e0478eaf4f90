"""What is read off an image GAN's training, epoch by epoch: numbers, curves and spectra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pandas import DataFrame, concat
from scipy.ndimage import binary_dilation

from helpers.analysis.curves import (
    correlations,
    rank_correlation,
    rank_correlation_of_changes,
    rising_together,
    turning,
)
from helpers.experiments.image_epochs_training import TOP, Trained
from helpers.operators import hessian
from helpers.spectra import slq_density

_EPOCHS = 60  # epochs of a course, at most
_SPARSE = 10  # one in so many points of a density's grid is kept
_FAINT = 1e-9  # part of a density's maximum; only points above, and those beside them, are kept
LEAST = 1e-12  # smaller eigenvalues are raised to this before the logarithm
_PAPER = 180  # epochs of the paper's training, of which its windows are parts


def summary(course: DataFrame, stages: Sequence[int]) -> dict[str, float]:
    """The numbers of one training, by name; NaN for the correlation of a constant curve.

    score: "_mean", "_best" and "_end" over the epochs, "best_epoch", "_late" at the late stage,
        "_spread" the deviation from the middle stage on, "_away" the mean over those epochs whose
        G has an eigenvalue below -1% of its largest, 0 if there are none.
    modes: classes that hold a hundredth of the samples, at stages and at the end, "_least" over all
        epochs from the middle stage on, "_gained" from there to the end; "entropy_late" of classes.
    top, "_g" and "_d": the largest eigenvalue at stages and at the end. second: G's second largest
        over its largest, at the end.
    lowest: the lowest eigenvalue over the largest; "_highest" is the highest of the three stages,
        "_at_best" at the best score.
    slope: the norm of G's gradient over that at the early stage.
    levels, logs, ranks, changes: correlations of the players' largest eigenvalues, "_of_five" of
        the sums of five, by `helpers.analysis.correlations`; rising: of `rising_together`.
    against: rank correlation of the score with the largest eigenvalue, "_late" in the last 81 of
        180 epochs, "_changes" of the changes within ten of 180.
    turning_epoch, peak_epoch: of G's largest eigenvalue and of the score, by `turning`.
    sharpening_d: rank correlation of the epoch and D's largest eigenvalue from the early stage on.
    widening_g: the width of G's spectrum, largest minus lowest, late over midway;
        width_against_modes: its rank correlation with the classes.

    Args:
        course: as `helpers.experiments.image_epochs_training.Trained.course`.
        stages: the early, the middle and the late epoch.
    """
    t = {name: course[name].to_numpy(dtype=float) for name in course}
    early, middle, late = (epoch - 1 for epoch in stages)
    epochs, score, modes = len(course), t["score"], t["modes"]
    window, second = max(1, 10 * epochs // _PAPER), max(100 * epochs // _PAPER - 1, 0)
    top = {p: t[f"top_{p} 0"] for p in "gd"}
    lowest = {p: t[f"low_{p}"] / top[p] for p in "gd"}
    width, best, away = top["g"] - t["low_g"], int(score.argmax()), lowest["g"] < -0.01
    found: dict[str, float] = {"epochs": epochs, "best_epoch": best + 1}
    found |= {"score_mean": score.mean(), "score_best": score[best], "score_late": score[late]}
    found |= {"score_end": score[-1], "score_spread": score[middle:].std()}
    found["score_away"] = score[away].mean() if away.any() else 0.0
    for stage, at in (("middle", middle), ("late", late), ("end", -1)):
        found[f"modes_{stage}"] = modes[at]
        found |= {f"top_{p}_{stage}": top[p][at] for p in "gd"}
    found |= {"modes_least": modes[middle:].min(), "modes_gained": modes[-1] - modes[middle]}
    found["entropy_late"] = t["entropy"][late]
    for stage, at in (("late", late), ("end", -1), ("at_best", best)):
        found |= {f"lowest_{p}_{stage}": lowest[p][at] for p in "gd"}
    found["second_g_end"] = t["top_g 1"][-1] / top["g"][-1]
    found["lowest_g_highest"] = lowest["g"][[early, middle, late]].max()
    slope = t["slope_g"] / t["slope_g"][early]
    found |= {"slope_late": slope[late], "slope_end": slope[-1]}
    found |= _together(t)
    found["rising"] = rising_together(top["g"], top["d"], window)
    found |= {f"against_{p}": rank_correlation(score, top[p]) for p in "gd"}
    found["against_late"] = rank_correlation(score[second:], top["g"][second:])
    logs = np.log(np.maximum(top["g"], LEAST))
    found["against_changes"] = rank_correlation_of_changes(score, logs, window)
    found |= {"turning_epoch": turning(top["g"]) + 1, "peak_epoch": turning(-score) + 1}
    found["sharpening_d"] = rank_correlation(t["epoch"][early:], top["d"][early:])
    found["widening_g"] = width[late] / width[middle]
    found["width_against_modes"] = rank_correlation(width, modes)
    return {name: float(value) for name, value in found.items()}


def row_of(trained: Trained) -> dict[str, float]:
    """The row of "members": `summary`, and what the judge makes of real images and of noise."""
    about = {"member": 0, "accuracy": trained.judge.accuracy}
    about |= {"real": trained.range.real_score, "noise": trained.range.noise_score}
    return about | summary(trained.course(), trained.size.stages)


def _together(t: dict[str, np.ndarray]) -> dict[str, float]:
    """How the two players' eigenvalues correlate: the largest ones, and the sums of five."""
    first, sums = (
        [np.maximum(sum(t[f"top_{p} {rank}"] for rank in range(count)), LEAST) for p in "gd"]
        for count in (1, TOP)
    )
    of_five = correlations(*sums)
    return correlations(*first) | {f"{name}_of_five": value for name, value in of_five.items()}


def thinned(course: DataFrame) -> DataFrame:
    """At most sixty evenly spaced epochs of a course, with its length in "epochs"."""
    few = course.iloc[:: -(-len(course) // _EPOCHS)]
    return few.assign(epochs=len(course)).reset_index(drop=True)


def densities_of(trained: Trained) -> DataFrame:
    """Spectra of both players' own Hessians at the size's stages, by "eigenvalue" and "density".

    The other columns are "player", "epoch", and "epochs", the length of the training.
    """
    size, parts = trained.size, []
    for epoch in dict.fromkeys(size.stages):
        game, point = trained.game(epoch), trained.point(epoch)
        for player in "GD":
            operator = hessian(game, player, point, route="retained")
            found = slq_density(operator, size.probes, size.steps, seed=trained.seed)
            columns = {"player": player, "epoch": epoch, "epochs": size.epochs}
            drawn = {"eigenvalue": found.grid[::_SPARSE], "density": found.density[::_SPARSE]}
            parts.append(visible(DataFrame(columns | drawn)))
    return concat(parts, ignore_index=True)


def visible(density: DataFrame) -> DataFrame:
    """The rows of one density that a logarithmic axis would show, and their neighbours.

    >>> visible(DataFrame({"density": [0.0, 0.0, 1.0, 0.0, 0.0]})).index.tolist()
    [1, 2, 3]
    """
    seen = density["density"] > _FAINT * density["density"].max()
    return density[binary_dilation(seen)]
