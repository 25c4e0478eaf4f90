"""NSGAN and NuGAN (Durall et al. 2021) on the nets that `baselines` picks, on four sets of images.

The paper leaves open how often NuGAN's directions are found, and whom it nudges. `screened`
compares two answers to the first on blocks 0 and 1; then the better one is to be tried on G alone
and on D alone, which makes four readings. `confirmed` says which of them are judged on fresh
blocks. Both rules were written before any run. That Adam's step is projected in place of the
gradient is no reading but a variant of ours, since Section 4.3 has Adam use what is left of the
gradient; it was listed as a reading until one run was there. The claims are judged on the first
reading, so the one that is confirmed has to come first in `READINGS`, from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
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
_EPOCH = 937  # whole batches of 64 in 60,000 images, of which every official set has as many
# Which part of the norm has to be left out, on average over epochs and players, to be a nudge.
DOSE = 0.05


_SOURCES = {
    "gradient": "Section 4.3, eq. 12: the gradient is projected, and Adam gets what is left; nets, "
    "k and how often directions are found are ours",
    "step": "ours: Adam's step is projected, where Section 4.3 projects the gradient",
}


def _reading(project: str, every: int) -> Reading:
    setting = replace(
        baselines.READINGS["dense"].setting, nudging=Nudging(project=project, every=every)
    )
    meant = project == "gradient"
    return Reading(setting, _SOURCES[project], stated=meant, plausible=meant)


READINGS = {
    "gradient, once an epoch": _reading("gradient", _EPOCH),
    "gradient, every 50 steps": _reading("gradient", 50),
    "step, once an epoch": _reading("step", _EPOCH),
    "step, every 50 steps": _reading("step", 50),
}

ARMS: dict[str, dict[str, Any]] = {
    f"{name} {kind}": {"data": name} | ({"nudging": None} if kind == "NSGAN" else {})
    for name in PAPER_SETS
    for kind in KINDS
}
# An ablation of ours: the nudge takes most of D's gradient away, and slows D down by it.
SLOW = "mnist NSGAN, slow D"
ARMS[SLOW] = ARMS["mnist NSGAN"] | {"rates": (2e-4, 5e-5)}

SIZES: Mapping[str, Size] = {
    "quick": image_epochs.SIZES["quick"],
    "medium": baselines.SIZES["medium"],
    "full": baselines.SIZES["full"],
}
_FIRST = tuple(READINGS)[:1]
WANTED = [
    Wanted(
        [name for name, reading in READINGS.items() if reading.plausible],
        ["mnist NuGAN"],
        "medium",
        range(2),
        "which NuGAN it was, by `screened`: of each reading two seeds, 60 epochs; an hour or more "
        "each on a core, nearly two with directions every 50 steps",
    ),
    Wanted(
        _FIRST,
        ["mnist NSGAN"],
        "medium",
        range(2),
        "what the readings are nearer to than NSGAN, should the first one fail; an hour each",
    ),
    Wanted(
        _FIRST,
        [SLOW],
        "medium",
        range(2),
        "whether it takes a nudge: it does not, if NSGAN with a quarter of D's rate has as good a "
        "mean score as the NuGAN that is picked; an hour each",
    ),
    Wanted(
        [name for name, reading in READINGS.items() if not reading.plausible],
        ["mnist NuGAN"],
        "medium",
        range(2),
        "the variant of ours that projects steps, beside the readings; one to two hours each",
    ),
    Wanted(
        _FIRST,
        ["mnist NSGAN"],
        "full",
        range(100, 106),
        "A09, A10 and NSGAN's part of A13 to A21; three hours each on a core",
    ),
    Wanted(
        _FIRST,
        ["mnist NuGAN"],
        "full",
        range(100, 106),
        "A13 to A17, A18-MNIST, A21, once the screening has said which reading comes first: six "
        "seeds at the paper's length; three to five hours each on a core",
    ),
    Wanted(
        _FIRST,
        [f"{name} {kind}" for name in PAPER_SETS[1:] for kind in KINDS],
        "full",
        range(100, 106),
        "A18 and A19 on the other sets, A07, A08 and A24; three to five hours each on a core",
    ),
]


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Train the GAN of a block; see `helpers.experiments.image_epochs.measure`.

    Here "course" has every epoch, since what leads and what follows is read off it, and "members"
    also "left_out_g" and "left_out_d", the means over the epochs of those in "course": 0 of a
    player that is not nudged.

    Raises:
        FileNotFoundError: if images are missing.

    >>> tiny = replace(SIZES["quick"], images=50, epochs=1, stages=(1, 1, 1), judge_epochs=1)
    >>> measure(Setting(nets="dense"), tiny, seed=0)["course"]["epoch"].tolist()
    [1]
    """
    trained = train(setting, size, data=data, **how)
    course = trained.course()
    row = row_of(trained)
    for player in "gd":
        name = f"left_out_{player}"
        row[name] = float(course[name].mean()) if name in course else 0.0
    return {
        "members": DataFrame([row]),
        "course": course.assign(epochs=len(course)),
        "density": densities_of(trained),
    }


def screened(rows: DataFrame) -> DataFrame:
    """The readings by the mean score over the epochs, median over seeds, the best first.

    The paper's Table 1 gives this score for NuGAN, and by it NuGAN is said to be better. Only what
    screens is taken: NuGANs on MNIST, at medium size, of blocks below 100.

    Args:
        rows: of "members", with columns "reading", "arm", "size" and "block".

    Returns:
        A row per reading, with the medians of "score_mean", "score_best", "modes_end" and
        "top_d_end"; "dose", that of the part of the norm that is left out, over the epochs and the
        nudged players; and "seeds".

    >>> row = {"score_best": 8.0, "modes_end": 10, "top_d_end": 90.0, "left_out_g": 0.0}
    >>> row |= {"left_out_d": 0.1, "arm": "mnist NuGAN", "size": "medium", "block": 0}
    >>> rows = [row | {"reading": name, "score_mean": mean} for name, mean in (("a", 5), ("b", 7))]
    >>> screened(DataFrame(rows))["dose"].to_dict()
    {'b': 0.1, 'a': 0.1}
    """
    own = rows[(rows["arm"] == "mnist NuGAN") & (rows["size"] == "medium") & (rows["block"] < 100)]
    # A player that is not nudged has nothing left out.
    own = own.assign(dose=own[["left_out_g", "left_out_d"]].replace(0.0, np.nan).mean(axis=1))
    by_reading = own.groupby("reading")
    names = ["score_mean", "score_best", "modes_end", "top_d_end", "dose"]
    shown = by_reading[names].median().assign(seeds=by_reading.size())
    return shown.sort_values("score_mean", ascending=False)


def confirmed(rows: DataFrame) -> list[str]:
    """The readings that are judged on fresh blocks: the first by `screened`, ours left out.

    If that one leaves out less than a twentieth of the norm (`DOSE`), it is next to no nudging, and
    its runs would compare NSGAN with itself. Then the best of those with a larger dose is judged as
    well, and the claims are judged on it.

    Args:
        rows: as for `screened`.

    >>> row = {"score_best": 8.0, "modes_end": 10, "top_d_end": 90.0, "left_out_g": 0.0}
    >>> row |= {"arm": "mnist NuGAN", "size": "medium", "block": 0}
    >>> faint = row | {"reading": "a", "score_mean": 7, "left_out_d": 0.01}
    >>> strong = row | {"reading": "b", "score_mean": 5, "left_out_d": 0.2}
    >>> confirmed(DataFrame([faint, strong]))
    ['b', 'a']
    """
    found = screened(rows)
    ours = [name for name in found.index if name in READINGS and not READINGS[name].plausible]
    found = found.drop(index=ours)
    best, strong = found.index[:1], found.index[found["dose"] >= DOSE][:1]
    return [*dict.fromkeys([*strong, *best])]
