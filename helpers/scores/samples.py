"""How a set of samples compares with a set of real images, by several scores under one judge.

Beside the Fréchet distance and the inception score of `helpers.scores.metrics`: the kernel distance
of Binkowski et al. 2018 (KID), which is unbiased, and the precision and recall of Kynkäänniemi et
al. 2019, which tell poor samples from missing ones. A label says under which net, at which size and
from how many samples they were taken; scores with other labels cannot be compared.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance

from helpers.datasets import TITLES, ImageSet
from helpers.inputs import seed as whole_seed
from helpers.inputs import shown, whole_number
from helpers.scores.classifiers import Classifier
from helpers.scores.metrics import distance_of_features, score_of_logits

_ROWS = 1000  # points whose distances to all others are held at once
_TERM_BY_TERM = "donot_use_mm_for_euclid_dist"  # ten times the time of a product of matrices
_SUBSETS = 10
_NEIGHBOURS = 3


@dataclass(frozen=True)
class ImageScores:
    """The scores of a set of samples, and what they were taken with."""

    frechet: float  # `helpers.scores.frechet_distance`
    kernel: float  # `kernel_distance`
    precision: float  # share of the samples that could be real
    recall: float  # share of the reals that could be samples
    score: float  # `helpers.scores.inception_score`
    label: str

    def numbers(self) -> dict[str, float]:
        """The scores by name, without the label."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name != "label"
        }


def image_scores(judge: Classifier, reals: ImageSet | Tensor, fakes: Tensor) -> ImageScores:
    """All scores of samples beside real images.

    Args:
        judge: whose features and logits are read.
        reals: a set, or its images (n, channels, height, width), which the judge has not learnt,
            in an order that tells nothing.
        fakes: (m, channels, height, width) in [-1, 1].

    Raises:
        ValueError: for images that the judge refuses, and fewer than four.
        FloatingPointError: for features that are not finite.

    >>> from helpers.datasets import load
    >>> from helpers.models import lenet
    >>> held = load("digits", "test")
    >>> found = image_scores(Classifier(lenet(seed=0), 0.1, "LeNet"), held, held.images)
    >>> found.precision, found.label
    (1.0, 'LeNet; 32 x 32; 355 samples, 355 of digits, test')
    """
    images = reals.images if isinstance(reals, ImageSet) else reals
    features, logits = judge.both(fakes)
    label = label_of(judge, reals, fakes)
    return scores_of_features(judge.features(images), features, logits, label=label)


def scores_of_features(
    reals: Tensor, features: Tensor, logits: Tensor, *, label: str
) -> ImageScores:
    """`image_scores` of images whose features and logits a judge has given already.

    Precision and recall are those of the first images, as many of either kind.
    """
    few = min(len(reals), len(features))
    precision, recall = precision_and_recall(reals[:few], features[:few])
    return ImageScores(
        distance_of_features(reals, features),
        kernel_distance(reals, features),
        precision,
        recall,
        score_of_logits(logits),
        label,
    )


def label_of(judge: Classifier, reals: ImageSet | Tensor, fakes: Tensor) -> str:
    """What scores were taken with: the judge, the size of the images, the samples, the split."""
    images = reals.images if isinstance(reals, ImageSet) else reals
    whose = f"{len(images):,} reals"
    if isinstance(reals, ImageSet):
        stand_in = "" if reals.official else " (stand-in)"
        whose = f"{len(images):,} of {TITLES.get(reals.name, reals.name)}{stand_in}, {reals.split}"
    height, width = fakes.shape[2:]
    name = judge.name or "a judge without a name"
    return f"{name}; {height} x {width}; {len(fakes):,} samples, {whose}"


def kernel_distance(
    reals: Tensor, fakes: Tensor, *, subsets: int = _SUBSETS, most: int = 1000, seed: int = 0
) -> float:
    """The kernel distance (KID) of Binkowski et al. 2018, Section 4, from features.

    The squared maximum mean discrepancy under the kernel ``(x . y / d + 1)^3``, estimated without
    bias, so it can be below 0; the mean over subsets drawn at random.

    Args:
        reals, fakes: (n, d) and (m, d) features.
        subsets: how many are drawn.
        most: points in a subset of each; all of them, if there are fewer.
        seed: of the draws.

    Raises:
        ValueError: for features of other shapes, not finite, or fewer than two, and counts out of
            range.

    >>> one, other = torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [1.0]])
    >>> kernel_distance(one, other, subsets=1)  # 1 + 8 - 2
    7.0
    """
    features = _features(reals, fakes, 2)
    subsets, most = whole_number("subsets", subsets, 1), whole_number("most", most, 2)
    size = min(most, *map(len, features))
    # Torchmetrics warns of the memory that it takes, and draws from the CPU's global generator.
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.device("cpu"):
        warnings.simplefilter("ignore", UserWarning)
        torch.default_generator.manual_seed(whole_seed(seed))
        metric = KernelInceptionDistance(nn.Identity(), subsets=subsets, subset_size=size)
        for each, real in zip(features, (True, False), strict=True):
            metric.update(each, real=real)
        return float(metric.compute()[0])


def precision_and_recall(
    reals: Tensor, fakes: Tensor, *, neighbours: int = _NEIGHBOURS
) -> tuple[float, float]:
    """Precision and recall of Kynkäänniemi et al. 2019, equations 1 and 2, from features.

    Around each real is a ball that reaches its third nearest other real. Precision is the share of
    the samples inside some ball; recall is the same with the roles exchanged.

    Args:
        reals, fakes: (n, d) and (m, d) features.
        neighbours: 3 in the paper.

    Raises:
        ValueError: for features of other shapes, not finite, or not more than `neighbours`.

    >>> reals, fakes = torch.arange(4.0)[:, None], torch.tensor([[0.5], [9.0], [9.1]])
    >>> precision_and_recall(reals, fakes, neighbours=1)
    (0.333..., 1.0)
    """
    neighbours = whole_number("neighbours", neighbours, 1)
    real, fake = _features(reals, fakes, neighbours + 1)
    return _covered(fake, real, neighbours), _covered(real, fake, neighbours)


def _covered(points: Tensor, centres: Tensor, neighbours: int) -> float:
    """The share of points within some centre's distance to its nearest other centres."""
    radii, inside = _radii(centres, neighbours), []
    for part in points.split(_ROWS):
        squares, error = _rough_squares(part, centres)
        beyond = squares.sub_(radii**2).amin(dim=1)
        covered, unsure = beyond < 0, beyond.abs() <= error
        covered[unsure] = (_distances(part[unsure], centres) <= radii).any(dim=1)
        inside.append(covered)
    return float(torch.cat(inside).double().mean())


def _radii(centres: Tensor, neighbours: int) -> Tensor:
    """(n,) how far the nearest others are, the last of so many."""
    found = []
    for rows in torch.arange(len(centres), device="cpu").split(_ROWS):
        part = centres[rows]
        squares, error = _rough_squares(part, centres)
        squares[range(len(rows)), rows] = torch.inf  # a centre is no neighbour of its own
        near, which = squares.topk(neighbours + 1, dim=1, largest=False)
        radii = _distances(part[:, None], centres[which[:, :-1]]).amax(dim=(1, 2))
        # Another one may be nearer, unless copies leave nothing to be nearer than.
        unsure = (near[:, -1] - near[:, -2] <= 2 * error) & (radii > 0)
        apart = _distances(part[unsure], centres)
        apart[range(len(apart)), rows[unsure]] = torch.inf
        radii[unsure] = apart.kthvalue(neighbours, dim=1).values
        found.append(radii)
    return torch.cat(found)


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    return torch.cdist(points, centres, compute_mode=_TERM_BY_TERM)


def _rough_squares(points: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """(n, m) squared distances by a product of matrices, and (n,) how far off they may be.

    As far as the squared lengths are: copies need not have the distance 0.
    """
    middle = centres.mean(dim=0)
    points, centres = points - middle, centres - middle
    lengths = points.square().sum(dim=1) + centres.square().sum(dim=1).max()
    rounding = (points.shape[1] + 8) * torch.finfo(points.dtype).eps
    return torch.cdist(points, centres).square_(), rounding * lengths


def _features(reals: Tensor, fakes: Tensor, least: int) -> list[Tensor]:
    """Both in float64 on the CPU, checked."""
    for name, each in (("reals", reals), ("fakes", fakes)):
        fits = isinstance(each, Tensor) and each.ndim == 2 and len(each) >= least
        if not fits or not each.is_floating_point():
            got = f"{tuple(each.shape)}" if isinstance(each, Tensor) else shown(each)
            raise ValueError(f"features of {name} are floats (n, d), n at least {least}, got {got}")
        if not each.isfinite().all():
            raise ValueError(f"features of {name} are finite, got NaN or infinity")
    if reals.shape[1] != fakes.shape[1]:
        sizes = f"{reals.shape[1]} and {fakes.shape[1]}"
        raise ValueError(f"features of reals and fakes are of one judge, got {sizes} numbers each")
    return [each.detach().cpu().double() for each in (reals, fakes)]
