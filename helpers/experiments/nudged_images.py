"""NSGAN and NuGAN (Durall et al. 2021) on the nets that `baselines` picks, on four sets of images.

The paper leaves open how often NuGAN's directions are found, and in what order projection and Adam
come. Those readings are screened on blocks 0 and 1, and judged on fresh blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pandas import DataFrame
from typing_extensions import Unpack

from helpers.experiments import baselines, image_epochs
from helpers.experiments.image_epochs import KINDS, PAPER_SETS
from helpers.experiments.image_epochs_course import densities_of, row_of
from helpers.experiments.image_epochs_training import Setting, Size, train
from helpers.experiments.image_quantities import QUANTITIES as QUANTITIES
from helpers.experiments.protocol import How, Measured, Reading, Wanted
from helpers.training.nudging import Nudging

VERSION = 1
_EPOCH = 937  # whole batches of 64 in 60,000 images


def _reading(source: str, **nudging: Any) -> Reading:
    setting = replace(baselines.READINGS["dense"].setting, nudging=Nudging(**nudging))
    return Reading(setting, source)


_EQUATION = "Section 4.3, eq. 12: the gradient is projected, and Adam gets what is left"
_ADAM = "Section 4.3: an optimiser based on Adam that ignores directions, so out of Adam's step"
_OFTEN = "; how often directions are found is ours"
READINGS = {
    "gradient, once an epoch": _reading(_EQUATION + _OFTEN, every=_EPOCH),
    "gradient, every 50 steps": _reading(_EQUATION + _OFTEN, every=50),
    "step, once an epoch": _reading(_ADAM + _OFTEN, project="step", every=_EPOCH),
    "step, every 50 steps": _reading(_ADAM + _OFTEN, project="step", every=50),
}

ARMS: dict[str, dict[str, Any]] = {
    f"{name} {kind}": {"data": name} | ({"nudging": None} if kind == "NSGAN" else {})
    for name in PAPER_SETS
    for kind in KINDS
}

SIZES: Mapping[str, Size] = {
    "quick": image_epochs.SIZES["quick"],
    "medium": baselines.SIZES["medium"],
    "full": replace(baselines.SIZES["full"], keep_every=20),
}
WANTED = [
    Wanted(
        tuple(READINGS),
        ["mnist NuGAN"],
        "medium",
        range(2),
        "which NuGAN it was, by `screened`: of each reading two seeds, 60 epochs; three quarters "
        "of an hour each on a core, two hours with directions every 50 steps",
    ),
    Wanted(
        tuple(READINGS)[:1],
        [f"mnist {kind}" for kind in KINDS],
        "full",
        range(100, 106),
        "A13 to A17, A18-MNIST, A21, and the most of A07 to A10: six seeds at the paper's length; "
        "two hours each on a core",
    ),
    Wanted(
        tuple(READINGS)[:1],
        [f"{name} {kind}" for name in PAPER_SETS[1:] for kind in KINDS],
        "full",
        range(100, 106),
        "A18 and A19 on the other sets, A08 and A24; two hours each on a core",
    ),
]


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Train the GAN of a block; see `helpers.experiments.image_epochs.measure`.

    Here "course" has every epoch, since what leads and what follows is read off it.

    Raises:
        FileNotFoundError: if images are missing.

    >>> tiny = replace(SIZES["quick"], images=50, epochs=1, stages=(1, 1, 1), judge_epochs=1)
    >>> measure(Setting(nets="dense"), tiny, seed=0)["course"]["epoch"].tolist()
    [1]
    """
    trained = train(setting, size, data=data, **how)
    course = trained.course()
    return {
        "members": DataFrame([row_of(trained)]),
        "course": course.assign(epochs=len(course)),
        "density": densities_of(trained),
    }


def screened(rows: DataFrame) -> DataFrame:
    """The readings by the mean score over the epochs, median over seeds, the best first.

    The paper's Table 1 gives this score for NuGAN, and by it NuGAN is said to be better. The rule
    was written before any run.

    Args:
        rows: of "members", with a column "reading".

    Returns:
        A row per reading, with the medians of "score_mean", "score_best", "modes_end" and
        "top_d_end", and "seeds".

    >>> row = {"score_best": 8.0, "modes_end": 10, "top_d_end": 90.0}
    >>> rows = [row | {"reading": name, "score_mean": mean} for name, mean in (("a", 5), ("b", 7))]
    >>> screened(DataFrame(rows)).index.tolist()
    ['b', 'a']
    """
    by_reading = rows.groupby("reading")
    shown = by_reading[["score_mean", "score_best", "modes_end", "top_d_end"]].median()
    return shown.assign(seeds=by_reading.size()).sort_values("score_mean", ascending=False)
