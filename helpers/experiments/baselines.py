"""Which NSGAN behaves as the one in Durall et al. 2021, before NuGAN enters.

The paper says "the original non-saturating GAN" and leaves nets and batches open. The nets that it
may have meant are trained on MNIST, and `fit` compares them with what it prints about its own. The
rule was written before the runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pandas import DataFrame
from typing_extensions import Unpack

from helpers.experiments.image_epochs_course import row_of, thinned
from helpers.experiments.image_epochs_training import Setting, Size, train
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Wanted

VERSION = 1
READINGS = {
    name: Reading(setting, f"ours: {why}", stated=False)
    for name, setting, why in (
        (
            "dense",
            Setting(nets="dense"),
            "fully connected, as many simple GANs are",
        ),
        (
            "dense, batch norm",
            Setting(nets="dense", batch_norm="G"),
            "the same with batch norm in G, as such nets often have it",
        ),
        ("dcgan", Setting(), "a DCGAN without norm in D"),
        (
            "dcgan, batch norm",
            Setting(batch_norm="D"),
            "a DCGAN with batch norm in D, as Radford et al. have it",
        ),
    )
}
ARMS: dict[str, dict[str, Any]] = {"mnist": {}}
_FULL = Size(
    images=60_000, epochs=180, width=16, batch=64, hessian_images=200, score_samples=2000,
    judge_epochs=20, stages=(2, 25, 160), keep_every=180, lacks="nothing",
)  # fmt: skip
SIZES = {
    "quick": replace(
        _FULL, images=500, epochs=3, width=3, latent=16, batch=50, hessian_images=8,
        score_samples=300, judge_epochs=4, stages=(1, 2, 3), rate_factor=10.0, stand_in="digits",
        lacks="177 of 180 epochs, and MNIST: scikit-learn's digits stand in",
    ),
    "medium": replace(_FULL, epochs=60, stages=(2, 25, 60), lacks="120 of 180 epochs"),
    "full": _FULL,
}  # fmt: skip
QUANTITIES: dict[str, dict[str, Quantity]] = {}
WANTED = [
    Wanted(
        tuple(READINGS),
        ["mnist"],
        "medium",
        range(1),
        "the baseline of A: all readings once, 60 epochs; half an hour to two hours each on a core",
    ),
    Wanted(
        ("dense", "dense, batch norm"),
        ["mnist"],
        "medium",
        range(1, 3),
        "two more seeds of the two that came nearest; three quarters of an hour each on a core",
    ),
]
# By column of `measure`: the interval in which the paper's NSGAN on MNIST lies, read off its
# Table 1 (scores), Section 5.2 (epoch 25, classes lost) and the axes of Figures 3 and 5 (1 to 400).
FIT: Mapping[str, tuple[float, float]] = {
    "score_mean": (3.3, 5.3),
    "score_best": (6.0, 8.0),
    "peak_epoch": (15, 35),
    "score_fall": (1.0, 9.0),
    "modes_end": (0, 9),
    "turning_epoch": (15, 35),
    "top_g_end": (1, 400),
    "top_d_end": (1, 400),
}


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Train the GAN of a block, and read off the numbers that are compared with the paper's.

    "members" has the row of `image_epochs_course.row_of`, and "score_fall", from the best score to
    the last; "course" is the training, epoch by epoch.

    Raises:
        FileNotFoundError: if images are missing.

    >>> tiny = replace(SIZES["quick"], images=50, epochs=1, stages=(1, 1, 1), judge_epochs=1)
    >>> measure(Setting(), tiny, seed=0)["members"]["epochs"].tolist()
    [1.0]
    """
    trained = train(setting, size, data=data, **how)
    row = row_of(trained)
    row["score_fall"] = row["score_best"] - row["score_end"]
    return {"members": DataFrame([row]), "course": thinned(trained.course())}


def fit(rows: DataFrame) -> DataFrame:
    """How far each reading is from what the paper shows, the nearest first.

    Each number of `FIT` gives a distance: that of the median over seeds from the interval, over the
    interval's length, 1 at most, and 0 inside. "fit" is the mean of the distances.

    Args:
        rows: of "members", with a column "reading".

    Returns:
        A row per reading, with the distances, "fit" and "seeds".

    >>> one = {"reading": "dense", "score_mean": 4.3, "score_best": 7.0, "peak_epoch": 25}
    >>> one |= {"score_fall": 0.0, "modes_end": 10, "turning_epoch": 25}
    >>> one |= {"top_g_end": 2.0, "top_d_end": 799.0}
    >>> float(fit(DataFrame([one]))["fit"]["dense"].round(3))
    0.155
    """
    by_reading = rows.groupby("reading")
    found = {}
    for name, (low, high) in FIT.items():
        middle = by_reading[name].median()
        beyond = (low - middle).clip(lower=0) + (middle - high).clip(lower=0)
        found[name] = (beyond / (high - low)).clip(upper=1)
    table = DataFrame(found)
    return table.assign(fit=table.mean(axis=1), seeds=by_reading.size()).sort_values("fit")
