"""The image experiments of Berard et al. 2020 (Sections 5.1 and 5.2, Appendices C.2 and C.5).

DCGANs on MNIST and CIFAR-10 by four kinds of training, scored and looked at as games.
`image_members` trains one and looks at it, `image_ends` has what is measured, and `judges` trains
the LeNet under which all GANs of a data set are scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame, Series, concat
from typing_extensions import Unpack

from helpers.experiments.image_members import ImageSize, Setting, look
from helpers.experiments.image_members import train as train
from helpers.experiments.image_training import KINDS
from helpers.experiments.parts import for_member
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted

VERSION = 2
_COURSES = ("scores", "pictures", "path", "leading", "own", "norms", "along", "density")
READINGS = {
    "as printed": Reading(
        Setting(),
        "Appendix C.2, an iteration one update of D; of WGAN-GP's rate our copy has 8.6 x 10 "
        "without an exponent, and 8.6e-5 is taken",
    ),
    "passes counted": Reading(
        Setting(counted="passes"),
        "the released script, where ExtraAdam counts two iterations for an update",
    ),
}
ARMS: dict[str, dict[str, Any]] = {
    f"{data} {kind}": {"data": data, **fields}
    for data in ("mnist", "cifar10")
    for kind, fields in KINDS.items()
}
_MNIST, _CIFAR = ([arm for arm in ARMS if arm.startswith(data)] for data in ("mnist", "cifar10"))
_EXTRA = [arm for arm in ARMS if arm.endswith("extra-adam")]

SIZES = {
    "quick": ImageSize(
        iterations=(30, 30),
        kept=4,
        watched=2,
        width=4,
        latent=16,
        batch=50,
        judge_epochs=4,
        stand_in="digits",
        faster=10.0,
        looked=8,
        on_path=8,
        ends=2,
        alphas=6,
        top=5,
        lanczos=(15, 1),
        lacks="all but 30 iterations; the data (digits of scikit-learn), nine tenths of the width, "
        "and rates are ten times the paper's",
    ),
    "medium": ImageSize(
        iterations=(40_000, 50_000),
        width=16,
        looked=200,
        on_path=200,
        alphas=15,
        lanczos=(40, 2),
        least_score=8.5,
        lacks="60,000 of 100,000 (NSGAN) and 150,000 of 200,000 (WGAN-GP) iterations, and three "
        "quarters of the width; 200 images for eigenvalues (the paper's code has 1,000) and on the "
        "path (5,000); on CIFAR-10 the ResNet, which was not released",
    ),
    "full": ImageSize(
        iterations=(100_000, 200_000),
        least_score=8.5,
        lacks="nothing on MNIST; on CIFAR-10 the ResNet, which was not released",
    ),
}
WANTED = [
    Wanted(
        ("as printed",),
        _MNIST[:3],
        "medium",
        range(100, 103),
        "B17 to B24, B33, B34 on MNIST, at a quarter of the width; an hour or two each on a core",
    ),
    Wanted(("as printed",), _MNIST[3:], "medium", range(100, 103), "B28 on MNIST, likewise"),
    Wanted(
        ("as printed",),
        ["cifar10 nsgan adam"],
        "medium",
        range(100, 106),
        "B29: in which share of six is the end point unstable?",
    ),
    Wanted(
        ("as printed",),
        _MNIST,
        "full",
        range(100, 103),
        "B28, B31, B34 and the parts on MNIST of B17 to B24, B33 and B38; on a GPU",
    ),
    Wanted(
        ("as printed",),
        _CIFAR,
        "full",
        range(100, 103),
        "B25, B29 and the parts on CIFAR-10 of B17 to B24, B33 and B38; on a GPU",
    ),
    Wanted(
        ("passes counted",),
        [arm for arm in _EXTRA if arm in _MNIST],
        "full",
        range(1),
        "whether ExtraAdam is behind Adam where it is given half the updates; one block",
    ),
]


def measure(
    setting: Setting, size: ImageSize, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Train the members of a block one after another, and look at each.

    The frame "members" has what `image_ends` finds: scores under the judge, the bump of the
    path-angle, numbers of the end point, which is the kept net whose samples score best; NaN where
    a member diverged before any net was kept, and for a search that failed. Courses are "scores"
    along the training, "pictures" of the best net, the "path" to it, "leading" eigenvalues of the
    Jacobian and of each player's "own" Hessian there, "norms" of D's layers, and the "density" of
    each player's own spectrum; "along" has the Jacobian's leading and leftmost eigenvalues during
    training.

    `until` is asked in trainings, and between the parts of what follows; `data` is the folder of
    data sets, as for `helpers.datasets.load`.

    >>> from dataclasses import replace
    >>> tiny = replace(SIZES["quick"], iterations=(1, 1), width=2, batch=5, looked=4, on_path=4)
    >>> tiny = replace(tiny, top=1)
    >>> float(measure(Setting(), tiny, seed=0, device="cpu")["members"]["passes"][0])
    2.0
    """
    found = [
        look(setting, size, member=member, data=data, **for_member(how, member))
        for member in range(size.members)
    ]
    numbers = [{"member": member, **each["numbers"]} for member, each in enumerate(found)]
    frames = {"members": DataFrame(numbers)}
    for name in _COURSES:
        drawn = [(member, each[name]) for member, each in enumerate(found) if name in each]
        parts = [DataFrame({"member": member} | course) for member, course in drawn]
        frames |= {name: concat(parts, ignore_index=True)} if parts else {}
    return frames


def _whole(rows: Rows, arm: str, *columns: str) -> DataFrame:
    """Columns of an arm's members that did not diverge.

    All numbers but scores are about GANs that have learnt: a member whose best net scores below
    the "least" of its size says nothing about them. Its score still counts.
    """
    found = rows[arm]
    if "score" not in columns and "least" in found:
        found = found[~(found["score"] < found["least"])]
    found = found[list(columns)].dropna().astype(float)
    if not len(found):
        raise KeyError(f"every member of {arm} has diverged, or has not learnt")
    return found


def _by_seed(rows: Rows, arm: str, *columns: str) -> DataFrame:
    """The same, by block and member."""
    return _whole(rows, arm, "block", "member", *columns).set_index(["block", "member"])


def _median(rows: Rows, arm: str, column: str) -> float:
    return float(_whole(rows, arm, column)[column].median())


def _scores(arm: str) -> Quantity:
    """Inception scores at the end, seed by seed."""
    return lambda rows: _whole(rows, arm, "score")["score"].tolist()


def _both(rows: Rows, data: str, column: str) -> list[float]:
    """Medians over seeds of NSGAN and of WGAN-GP, with ExtraAdam."""
    return [_median(rows, f"{data} {loss} extra-adam", column) for loss in ("nsgan", "wgan-gp")]


def _bump(rows: Rows, arms: Sequence[str]) -> list[float]:
    """Height of the path-angle over its level, seed by seed, for the arm where it is smallest."""
    parts = [_whole(rows, arm, "height", "level") for arm in arms]
    found = [own["height"] / own["level"] for own in parts]
    return min(found, key=lambda own: float(own.median())).tolist()


def _lean(rows: Rows, data: str) -> float:
    """WGAN-GP's lean minus NSGAN's."""
    nsgan, wgan = _both(rows, data, "lean")
    return wgan - nsgan


def _gains(rows: Rows) -> float:
    """The smaller gain in score of WGAN-GP over NSGAN."""
    pairs = [_both(rows, data, "score") for data in ("mnist", "cifar10")]
    return min(wgan - nsgan for nsgan, wgan in pairs)


def _gap(rows: Rows, column: str, data: str, losses: Sequence[str] = ("nsgan", "wgan-gp")) -> float:
    """The larger difference between Adam and ExtraAdam over the losses."""
    return max(
        abs(
            _median(rows, f"{data} {loss} adam", column)
            - _median(rows, f"{data} {loss} extra-adam", column)
        )
        for loss in losses
    )


def _gain(data: str, loss: str) -> Quantity:
    """Score with ExtraAdam minus that with Adam, for the seeds that both have."""

    def gain(rows: Rows) -> list[float]:
        extra, adam = (
            _by_seed(rows, f"{data} {loss} {method}", "score")["score"]
            for method in ("extra-adam", "adam")
        )
        return (extra - adam).dropna().tolist()

    return gain


def _own(rows: Rows, column: str) -> float:
    """An end of D's own spectrum over its largest modulus, for NSGAN on CIFAR-10."""
    ends = _whole(rows, "cifar10 nsgan extra-adam", "d_low", "sharpness")
    return float((ends[column] / ends.abs().max(axis=1)).median())


def _over(rows: Rows, one: str, other: str, *columns: str) -> list[float]:
    """One arm over another with the same seeds: a column, or the quotient of two columns."""

    def values(arm: str) -> Series:
        own = _by_seed(rows, arm, *columns)
        return own[columns[0]] / own[columns[1]] if columns[1:] else own[columns[0]]

    return (values(one) / values(other)).dropna().tolist()


def _sharper(rows: Rows, data: str) -> list[float]:
    """The leading eigenvalue of D's Hessian, NSGAN over WGAN-GP."""
    return _over(rows, f"{data} nsgan extra-adam", f"{data} wgan-gp extra-adam", "sharpness")


def _lasted(rows: Rows, loss: str) -> list[float]:
    """Passes that each seed lasted, for both methods."""
    arms = (f"mnist {loss} {method}" for method in ("extra-adam", "adam"))
    return [passes for arm in arms for passes in rows[arm]["passes"].tolist()]


QUANTITIES: dict[str, dict[str, Quantity]] = {
    "B17": {
        "image_bump": lambda rows: _bump(rows, _EXTRA),
        "image_sign_switches": lambda rows: min(_median(rows, arm, "switches") for arm in _EXTRA),
    },
    "B18": {
        "mnist_nsgan_score": _scores("mnist nsgan extra-adam"),
        "mnist_wgan_gp_score": _scores("mnist wgan-gp extra-adam"),
        "cifar_nsgan_score": _scores("cifar10 nsgan extra-adam"),
        "cifar_wgan_gp_score": _scores("cifar10 wgan-gp extra-adam"),
        "smallest_gain": _gains,
    },
    "B25": {
        "generator_negative_curvature": lambda rows: _median(
            rows, "cifar10 nsgan extra-adam", "negative_curvature"
        ),
        "discriminator_negative_curvature": lambda rows: _own(rows, "d_low"),
        "discriminator_largest": lambda rows: _own(rows, "sharpness"),
    },
    "B28": {
        "adam_nsgan_score": _scores("mnist nsgan adam"),
        "adam_wgan_gp_score": _scores("mnist wgan-gp adam"),
        "adam_bump": lambda rows: _bump(rows, ["mnist nsgan adam", "mnist wgan-gp adam"]),
    },
    "B29": {
        "smallest_real_part": lambda rows: _median(rows, "cifar10 nsgan adam", "lowest_leading"),
    },
    "B31": {
        "finite_nsgan_iterations": lambda rows: _lasted(rows, "nsgan"),
        "finite_wgan_gp_iterations": lambda rows: _lasted(rows, "wgan-gp"),
        "training_images": lambda rows: float(rows["mnist nsgan extra-adam"]["images"].iloc[0]),
    },
    "B33": {
        "mnist_score_gap": lambda rows: _gap(rows, "score", "mnist"),
        "mnist_lean_gap": lambda rows: _gap(rows, "lean", "mnist"),
        "cifar_lean_gap": lambda rows: _gap(rows, "lean", "cifar10", ["nsgan"]),
    },
    "B34": {
        "top_real_part": lambda rows: min(_both(rows, "mnist", "lowest_leading")),
        "imaginary_over_real": lambda rows: _over(
            rows, "mnist wgan-gp extra-adam", "mnist nsgan extra-adam", "imaginary", "real"
        ),
    },
    "B38": {
        "mnist_nsgan_gain": _gain("mnist", "nsgan"),
        "mnist_wgan_gp_gain": _gain("mnist", "wgan-gp"),
        "cifar_nsgan_gain": _gain("cifar10", "nsgan"),
        "cifar_wgan_gp_gain": _gain("cifar10", "wgan-gp"),
    },
}


def _read_off(name: str, of: Callable[[Rows, str], Any]) -> dict[str, Quantity]:
    """What Berard et al. read off their Figures 3 to 6 for both losses with ExtraAdam, by set."""

    def on(data: str) -> Quantity:
        return lambda rows: of(rows, data)

    return {f"mnist_{name}": on("mnist"), f"cifar_{name}": on("cifar10")}


QUANTITIES |= {
    "B19": _read_off("relative_norm", lambda rows, data: max(_both(rows, data, "relative_norm"))),
    "B20": _read_off(
        "imaginary_share", lambda rows, data: min(_both(rows, data, "imaginary_share"))
    ),
    "B21": _read_off("top_real_part", lambda rows, data: min(_both(rows, data, "lowest_leading"))),
    "B22": _read_off("lean", _lean),
    "B23": _read_off(
        "negative_curvature", lambda rows, data: max(_both(rows, data, "negative_curvature"))
    ),
    # Where the axes of the paper's Figure 4 end: the paper against itself.
    "B24": _read_off("sharpness", _sharper)
    | {"printed_cifar_axes": lambda rows: 700.0 / 500_000.0},
}
