"""Narrow nets on images (Sun et al. 2020, Section 6, Table 2): does pairing help them?

CNNs and ResNets of several widths learn CIFAR-10 and STL-10 under separable and under pairing
losses, with and without spectral norm, and DCGANs two scenes of LSUN. The paper's scores are
Inception's. On CIFAR-10 a small ResNet judges here, so only signs and relative gaps can be
compared. On STL-10 and LSUN Inception does, from half as many samples as in the paper: whoever has
their images can have its weights. It judges CIFAR-10, too, in arms named for it, which rules in its
points rest on. `narrow_training` trains one member and scores it along the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pandas import DataFrame, concat
from scipy.spatial.distance import pdist
from torch.nn.functional import adaptive_avg_pool2d
from typing_extensions import Unpack

from helpers.experiments.image_ends import as_text
from helpers.experiments.image_training import SAMPLES
from helpers.experiments.narrow_ends import end_of, kept_end
from helpers.experiments.narrow_quantities import BY_INCEPTION
from helpers.experiments.narrow_quantities import QUANTITIES as QUANTITIES
from helpers.experiments.narrow_setting import LAST, Setting, Size
from helpers.experiments.narrow_training import Trained, train
from helpers.experiments.narrow_watch import coloured, course_of, read
from helpers.experiments.parts import for_member
from helpers.experiments.protocol import How, Measured, Reading, Wanted
from helpers.losses.penalty import GradientPenalty
from helpers.models.copying import copied
from helpers.outer import trap_slope
from helpers.scores import inception
from helpers.scores.metrics import distance_of_features, score_of_logits
from helpers.scores.weights import shipped_sha
from helpers.training import Diverged

VERSION = 1
_PICTURES = 16  # samples that are kept of a net
_SIDE = 16  # pixels of their sides: in colour, 12 kB a run in all
_JUDGE: dict[str, Any] = {"judge": shipped_sha("cifar10")}
READINGS = {
    "as released": Reading(Setting(**_JUDGE), "scripts.txt and rsgan.py of the released code"),
    "G at half the rate": Reading(
        Setting(rates=(2.5e-4, 2e-4), **_JUDGE),
        "ours: Section 6 says that G's rate was tuned, and not over which",
        stated=False,
    ),
    "G at twice the rate": Reading(
        Setting(rates=(1e-3, 2e-4), **_JUDGE),
        "ours: Section 6 says that G's rate was tuned, and not over which",
        stated=False,
    ),
    "constant rates": Reading(
        Setting(falls=False, **_JUDGE), "ours: Section 6 lets no rate fall", stated=False
    ),
    "without noise": Reading(
        Setting(noise=0.0, **_JUDGE), "ours: Section 6 adds no noise to images", stated=False
    ),
    "torch's start": Reading(
        Setting(released_start=False, **_JUDGE),
        "ours: Section 6 does not say how weights start",
        stated=False,
    ),
}
_RESNET: dict[str, Any] = {
    "nets": "resnet",
    "rates": (1.5e-3, 2e-4),
    "beta": 0.0,
    "second_beta": 0.9,
    "critics": 5,
}
_PAIR = {"js": {"loss": "js"}, "rs": {"loss": "rs"}}
_OTHERS = {
    "hinge": {"loss": "hinge-linear"},
    "rp-hinge": {"loss": "rp-hinge"},
    "ls": {"loss": "ls"},
    "rp-ls": {"loss": "rp-ls"},
}


def _resnets(data: str, changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Arms of ResNets of each width, and with a bottleneck, on a set of images."""
    nets = {f"resnet/{narrow}": {"narrow": narrow} for narrow in (1, 2, 4)}
    nets |= {"resnet/2 bottleneck": {"narrow": 2, "bottleneck": True}}
    return {
        f"{data}{net} {name}": {**width, **changes, **loss}
        for net, width in nets.items()
        for name, loss in _PAIR.items()
    }


ARMS: dict[str, dict[str, Any]] = {
    f"cnn/{narrow} {name}": {"narrow": narrow, **loss}
    for narrow in (4, 8, 2, 1)
    for name, loss in _PAIR.items()
}
ARMS |= {
    f"cnn/{narrow} {name} without norm": {"narrow": narrow, "normed": False, **loss}
    for narrow in (8, 1)
    for name, loss in _PAIR.items()
}
ARMS["cnn/1 wgan-gp without norm"] = {
    "normed": False,
    "loss": "wgan",
    "penalty": GradientPenalty(10.0),
}
ARMS |= {f"cnn/4 {name}": {"narrow": 4, **loss} for name, loss in _OTHERS.items()}
ARMS |= _resnets("", _RESNET)
_CIFAR = tuple(ARMS)
_STL: dict[str, Any] = {"data": "stl10-unlabeled", "judge": inception.SHA}
_STL_RESNET: dict[str, Any] = {**_STL, "nets": "resnet", "rates": (1e-3, 2e-4), "critics": 5}
_LSUN: dict[str, Any] = {"judge": inception.SHA, "rates": (1e-3, 2e-4)}
ARMS |= {
    f"stl10 cnn/1 {name} without norm": {"normed": False, **_STL, **loss}
    for name, loss in _PAIR.items()
}
ARMS |= {
    f"stl10 cnn/{narrow} {name}": {"narrow": narrow, **_STL, **loss}
    for narrow in (1, 2, 4)
    for name, loss in _PAIR.items()
}
ARMS |= _resnets("stl10 ", _STL_RESNET)
ARMS |= {
    f"lsun {scene} {name}": {"data": f"lsun-{scene}", **_LSUN, **loss}
    for scene in ("church", "tower")
    for name, loss in _PAIR.items()
}
_BY_INCEPTION = tuple(
    arm for arm in _CIFAR if arm.startswith(("cnn/1", "cnn/2", "cnn/4 js", "cnn/4 rs", "resnet"))
)
ARMS |= {BY_INCEPTION + arm: {**ARMS[arm], "judge": inception.SHA} for arm in _BY_INCEPTION}
SIZES: Mapping[str, Size] = {
    "quick": Size(
        iterations=24, every=2, earlier=4, samples=100, batch=16, narrower=4, judge_epochs=4,
        stand_in="digits", faster=4.0,
        lacks="all but 24 of 100,000 iterations, three quarters of each width, and CIFAR-10: "
        "scikit-learn's digits stand in",
    ),
    "medium": Size(
        iterations=10_000, every=200, earlier=2_000, samples=5_000, top=2,
        lacks="90,000 of 100,000 iterations, and Inception: the judge is a ResNet trained here",
    ),
    "full": Size(
        iterations=100_000, every=1_000, earlier=10_000, samples=5_000, top=2,
        lacks="half of the samples to score, of each scene of LSUN all but 20,000 images, and on "
        "CIFAR-10 Inception, except in arms that are named for it",
    ),
}  # fmt: skip
_SIX = range(100, 106)
_FIRST = ("as released",)
WANTED = [
    Wanted(
        _FIRST,
        ["cnn/4 js", "cnn/4 rs"],
        "medium",
        _SIX,
        "C22-3's row, by another judge; some 50 minutes a run on one busy core",
    ),
    Wanted(
        _FIRST,
        ["cnn/8 js", "cnn/8 rs", "cnn/8 js without norm", "cnn/8 rs without norm"],
        "medium",
        _SIX,
        "narrower than Table 2 goes, with and without spectral norm; some 25 minutes a run",
    ),
    Wanted(
        tuple(READINGS)[:3],
        ["cnn/8 js", "cnn/8 rs"],
        "medium",
        range(3),
        "at which rate of G does each loss do best? Screened",
    ),
    Wanted(
        _FIRST,
        [f"cnn/4 {name}" for name in _OTHERS],
        "medium",
        range(100, 103),
        "C33, by another judge; some 50 minutes a run",
    ),
    Wanted(_FIRST, _CIFAR, "full", range(100, 103), "all of CIFAR-10 at length; for a GPU"),
    *(
        Wanted(_FIRST, [arm for arm in ARMS if arm.startswith(begin)], "full", _SIX, why)
        for begin, why in (
            (BY_INCEPTION, "C22-1 to C22-5, C32; for a GPU, with the weights of Inception"),
            ("stl10 cnn", "C22-6; for a GPU, with STL-10 and the weights of Inception"),
            ("stl10 resnet", "C22-7; for a GPU, with STL-10 and the weights of Inception"),
            ("lsun", "C29; for a GPU, with LSUN and the weights of Inception"),
        )
    ),
]


def measure(
    setting: Setting, size: Size, *, data: Path | str | None = None, **how: Unpack[How]
) -> Measured:
    """Train the members of a block, and look at their ends.

    "members" has means over the last ten scored nets, by the names of `narrow_watch.Watch`, and of
    the losses; "accuracy" of the judge, NaN for Inception; "official", 0 if the images are a
    stand-in; "real_frechet" and "real_score", of half of the images that samples are scored beside,
    next to the other half; "apart", as `pulled_apart`; and of the end point what
    `narrow_ends.end_of` finds, NaN if its spectra are left out. A member that diverged has its
    iteration in "diverged", and no other number. "course" has the scores along the training,
    "pictures" a few samples of each last net, as `pictures_of`.

    Raises:
        ValueError: for a setting whose judge is not the one that the package ships.
        FileNotFoundError: if images or the judge's weights are missing.

    >>> from dataclasses import replace
    >>> tiny = replace(SIZES["quick"], iterations=2, every=1, earlier=1, batch=5, judge_epochs=1)
    >>> found = measure(Setting(), replace(tiny, narrower=16), seed=0)
    >>> found["course"]["iteration"].tolist()
    [1, 2]
    """
    members, courses = [], []
    pictures: dict[str, list[Any]] = {"member": [], "picture": [], "pixels": []}
    for member in range(size.members):
        own = for_member(how, member)
        about: dict[str, Any] = {"member": member, "diverged": 0}
        try:
            trained = train(setting, size, member=member, data=data, **own)
        except Diverged as gone:
            members.append(about | {"diverged": gone.iteration})
            courses.append(DataFrame({"member": member, **course_of(gone.run, size)}))
            continue
        course = DataFrame({"member": member, **trained.course()})
        courses.append(course)
        last = course.drop(columns=["member", "iteration"]).tail(LAST).mean().to_dict()

        def find(trained: Trained = trained) -> dict[str, float]:
            return real(trained) | {"apart": pulled_apart(trained)} | end(trained)

        of_member: How = {**own, "seed": trained.seed}
        found = kept_end(find, setting, size, **of_member)
        members.append(about | last | found)
        drawn = pictures_of(trained)
        pictures["member"] += [member] * len(drawn)
        pictures["picture"] += range(len(drawn))
        pictures["pixels"] += drawn
    return {
        "members": DataFrame(members),
        "course": concat(courses, ignore_index=True),
        "pictures": DataFrame(pictures),
    }


def real(trained: Trained) -> dict[str, float]:
    """The judge's accuracy, and what half of the images held for scores score beside the others."""
    half = len(trained.held) // 2
    features, logits = read(trained.judge, coloured(trained.held.images))
    return {
        "accuracy": trained.judge.accuracy,
        "official": float(trained.held.official),
        "real_frechet": distance_of_features(features[:half], features[half:]),
        "real_score": score_of_logits(logits[:half]),
    }


def pictures_of(trained: Trained) -> list[str]:
    """The first 16 of the scored samples of the last G, shrunk to 16 x 16 pixels, as text.

    `helpers.experiments.image_ends.from_text` gives them back, in sixteen levels.
    """
    drawn = trained.drawn(min(trained.size.samples, SAMPLES))[:_PICTURES]
    return as_text(adaptive_avg_pool2d(drawn, _SIDE))


def pulled_apart(trained: Trained) -> float:
    """The share of pairs of images whose logits under the last D differ by more than log 6.

    The collapse of two points on one of them is a strict minimum of JS's exact landscape if and
    only if D may do that (`helpers.outer.trap_slope`). The images are some that it learnt from.
    """
    D = copied(trained.run.players.discriminator).eval()
    with torch.no_grad():
        logits = D(trained.looked.to(next(D.parameters()))).flatten()
    return float((pdist(logits[:, None].cpu().double().numpy()) > trap_slope("js")).mean())


def end(trained: Trained) -> dict[str, float]:
    """The spectra at the end of a training, as `narrow_ends.end_of` finds them."""
    return end_of(
        trained.run.players_at(0),
        trained.run.players_at(trained.size.iterations),
        trained.looked,
        loss=trained.setting.loss,
        penalty=trained.setting.penalty,
        seed=trained.seed,
        top=trained.size.top,
    )
