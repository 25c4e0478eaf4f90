"""The image experiments of Berard et al. 2020 (Sections 5.1 and 5.2, Appendices C.2 and C.5).

DCGANs on MNIST and CIFAR-10 by four kinds of training, scored and looked at as games.
`image_members` trains one and looks at it, and `image_ends` has what is measured. On MNIST the
paper's own LeNet judges, which is released; elsewhere one that `judges` trains for a data set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pandas import DataFrame, concat
from typing_extensions import Unpack

from helpers.experiments.image_members import ImageSize, Setting, look
from helpers.experiments.image_members import train as train
from helpers.experiments.image_training import KINDS
from helpers.experiments.parts import for_member
from helpers.experiments.protocol import How, Measured, Quantity, Reading, Rows, Wanted
from helpers.scores.released import SHA

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
    f"{data} {kind}": {"data": data, "judge": judge, **fields}
    for data, judge in (("mnist", SHA), ("cifar10", ""))
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
    """Columns of an arm's members that have them: a GAN that diverged at once has none.

    All numbers but scores are about GANs that have learnt: a member whose best net scores below
    the "least" of its size says nothing about them. Its score still counts, for runs picked by
    their scores would have the scores by which they were picked.
    """
    found = rows[arm]
    if "score" not in columns and "least" in found:
        found = found[~(found["score"] < found["least"])]
    found = found[list(columns)].dropna().astype(float)
    if not len(found):
        raise KeyError(f"every member of {arm} has diverged, has not learnt, or was not measured")
    return found


def _pairs(rows: Rows, arms: Sequence[str], *columns: str) -> list[DataFrame]:
    """The same of two arms, for the seeds that both have, by block and member."""
    one, other = (
        _whole(rows, arm, "block", "member", *columns).set_index(["block", "member"])
        for arm in arms
    )
    shared = one.index.intersection(other.index)
    if not len(shared):
        raise KeyError(f"no seed has both {' and '.join(arms)}")
    return [one.loc[shared], other.loc[shared]]


def _seeds(rows: Rows, arm: str, column: str) -> list[float]:
    return _whole(rows, arm, column)[column].tolist()


def _of(arm: str, column: str) -> Quantity:
    """A column of an arm, seed by seed."""
    return lambda rows: _seeds(rows, arm, column)


def _extra(data: str) -> list[str]:
    """NSGAN and WGAN-GP with ExtraAdam."""
    return [f"{data} {loss} extra-adam" for loss in ("nsgan", "wgan-gp")]


def _least(rows: Rows, data: str, column: str) -> list[float]:
    """A column, seed by seed, of the loss of which its median is smaller, with ExtraAdam."""
    return min((_seeds(rows, arm, column) for arm in _extra(data)), key=median)


def _most(rows: Rows, data: str, column: str) -> list[float]:
    """The same of the loss of which it is larger."""
    return max((_seeds(rows, arm, column) for arm in _extra(data)), key=median)


def _bump(rows: Rows, arms: Sequence[str]) -> list[float]:
    """Height of the path-angle over its level, seed by seed, for the arm where it is smallest."""
    parts = [_whole(rows, arm, "height", "level") for arm in arms]
    return min(((own["height"] / own["level"]).tolist() for own in parts), key=median)


def _more(rows: Rows, one: str, other: str, column: str) -> list[float]:
    """A column of one arm minus that of another, for the seeds that both have."""
    ours, theirs = _pairs(rows, (one, other), column)
    return (ours[column] - theirs[column]).tolist()


def _by_loss(rows: Rows, data: str, column: str) -> list[float]:
    """WGAN-GP minus NSGAN, with ExtraAdam."""
    nsgan, wgan = _extra(data)
    return _more(rows, wgan, nsgan, column)


def _by_method(rows: Rows, data: str, loss: str, column: str) -> list[float]:
    """ExtraAdam minus Adam."""
    return _more(rows, f"{data} {loss} extra-adam", f"{data} {loss} adam", column)


def _gap(
    rows: Rows, column: str, data: str, losses: Sequence[str] = ("nsgan", "wgan-gp")
) -> list[float]:
    """ExtraAdam minus Adam, seed by seed, for the loss of which the median is larger in size."""
    found = (_by_method(rows, data, loss, column) for loss in losses)
    return max(found, key=lambda own: abs(median(own)))


def _gain(data: str, loss: str) -> Quantity:
    """Score with ExtraAdam minus that with Adam."""
    return lambda rows: _by_method(rows, data, loss, "score")


def _share(rows: Rows, arm: str, *columns: str) -> list[float]:
    """The first of some columns over the largest modulus of all, seed by seed."""
    found = _whole(rows, arm, *columns)
    return (found[columns[0]] / found.abs().max(axis=1)).tolist()


def _leftmost(rows: Rows, data: str) -> list[float]:
    """The leftmost real part over the modulus, for the loss of which its median is smaller."""
    shares = (_share(rows, arm, "leftmost_real", "modulus") for arm in _extra(data))
    return min(shares, key=median)


def _over(rows: Rows, one: str, other: str, *columns: str) -> list[float]:
    """One arm over another with the same seeds: a column, or the quotient of two columns."""
    ours, theirs = (
        own[columns[0]] / own[columns[1]] if columns[1:] else own[columns[0]]
        for own in _pairs(rows, (one, other), *columns)
    )
    return (ours / theirs).tolist()


def _sharper(rows: Rows, data: str) -> list[float]:
    """The leading eigenvalue of D's Hessian, NSGAN over WGAN-GP."""
    return _over(rows, *_extra(data), "sharpness")


def _lasted(rows: Rows, loss: str) -> list[float]:
    """Iterations that each seed lasted, for both methods."""
    arms = (f"mnist {loss} {method}" for method in ("extra-adam", "adam"))
    return [lasted for arm in arms for lasted in rows[arm]["iterations"].tolist()]


def _read_off(name: str, of: Callable[[Rows, str], Any]) -> dict[str, Quantity]:
    """What Berard et al. read off their figures for both losses with ExtraAdam, by set."""

    def on(data: str) -> Quantity:
        return lambda rows: of(rows, data)

    return {f"mnist_{name}": on("mnist"), f"cifar_{name}": on("cifar10")}


_COLOUR = "cifar10 nsgan extra-adam"
QUANTITIES: dict[str, dict[str, Quantity]] = {
    "B17": _read_off("bump", lambda rows, data: _bump(rows, _extra(data)))
    | _read_off("sign_switches", lambda rows, data: _least(rows, data, "switches")),
    "B18": {
        "mnist_nsgan_score": _of("mnist nsgan extra-adam", "score"),
        "mnist_wgan_gp_score": _of("mnist wgan-gp extra-adam", "score"),
        "cifar_nsgan_score": _of("cifar10 nsgan extra-adam", "score"),
        "cifar_wgan_gp_score": _of("cifar10 wgan-gp extra-adam", "score"),
    }
    | _read_off("gain", lambda rows, data: _by_loss(rows, data, "score")),
    "B19": _read_off("relative_norm", lambda rows, data: _most(rows, data, "relative_norm")),
    "B20": _read_off("imaginary_share", lambda rows, data: _least(rows, data, "imaginary_share")),
    "B21": _read_off("top_real_part", lambda rows, data: _least(rows, data, "lowest_leading"))
    | _read_off("leftmost_real_part", _leftmost),
    "B22": _read_off("lean", lambda rows, data: _by_loss(rows, data, "lean")),
    "B23": _read_off(
        "negative_curvature", lambda rows, data: _most(rows, data, "negative_curvature")
    ),
    # Where the axes of the paper's Figure 4 end: the paper against itself.
    "B24": _read_off("sharpness", _sharper)
    | {"printed_cifar_axes": lambda rows: 700.0 / 500_000.0},
    "B25": {
        "generator_negative_curvature": _of(_COLOUR, "negative_curvature"),
        "discriminator_negative_curvature": lambda rows: _share(
            rows, _COLOUR, "d_low", "sharpness"
        ),
        "discriminator_largest": lambda rows: _share(rows, _COLOUR, "sharpness", "d_low"),
        "relative_norm": _of(_COLOUR, "relative_norm"),
    },
    "B28": {
        "adam_nsgan_score": _of("mnist nsgan adam", "score"),
        "adam_wgan_gp_score": _of("mnist wgan-gp adam", "score"),
        "adam_bump": lambda rows: _bump(rows, ["mnist nsgan adam", "mnist wgan-gp adam"]),
    },
    "B29": {
        "leftmost_real_part": lambda rows: _share(
            rows, "cifar10 nsgan adam", "leftmost_real", "modulus"
        ),
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
        "top_real_part": lambda rows: _least(rows, "mnist", "lowest_leading"),
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
