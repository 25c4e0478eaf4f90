"""Scores of generated images: inception score, Fréchet distance, and counts of classes.

All of them read a classifier of `helpers.scores.classifiers`, and mean little without it. A Fréchet
distance in the features of a LeNet is not an FID, and can be compared only with others by the same
LeNet from as many samples. `score_range` gives the scores of real images and noise on the same
terms.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore

from helpers.inputs import real_array, whole_number
from helpers.inputs import seed as whole_seed
from helpers.scores.classifiers import Classifier

MODE_SHARE = 0.01  # least share of the samples for a class to count as a mode
_FAR = 100.0  # mean of the features over their spread from which they are taken from their middle


@dataclass(frozen=True)
class ScoreRange:
    """The scores of real images and of uniform noise, on as many images as a generator's."""

    real_score: float  # what a perfect generator would have
    noise_score: float
    real_distance: float  # of two disjoint sets of reals: what a perfect generator would have
    noise_distance: float


def inception_score(classifier: Classifier, images: Tensor) -> float:
    """``exp E_x KL(p(y|x) || p(y))`` of Salimans et al. 2016, with all images in one split.

    It goes from 1, where all images look alike to the classifier, to the number of classes. Berard
    et al. 2020 released code that takes 5,000 samples; Sun et al. 2020 take the mean of ten splits
    of 5,000. On average the score grows with the number of images.

    Args:
        classifier: gives p(y|x).
        images: (n, channels, height, width) in [-1, 1].

    Raises:
        ValueError: for images that the classifier refuses.
        FloatingPointError: for logits that are not finite; it names the image.

    >>> from helpers.models import lenet
    >>> blank = Classifier(lenet(seed=0), accuracy=0.1)
    >>> round(inception_score(blank, torch.ones(4, 1, 32, 32)), 6)
    1.0
    """
    return score_of_logits(classifier.logits(images))


def score_of_logits(logits: Tensor) -> float:
    """`inception_score` of images whose logits (n, classes) a classifier has given already."""
    logits = logits.cpu().double()
    # Torchmetrics warns about the memory it takes, and torch about the deviation of one split.
    # Torchmetrics draws from the CPU's global generator; torch.manual_seed would seed GPUs as well.
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.device("cpu"):
        warnings.simplefilter("ignore", UserWarning)
        torch.default_generator.manual_seed(0)
        metric = InceptionScore(nn.Identity(), splits=1)
        # There 0 log 0 is NaN, so no probability may be 0.
        metric.update(logits.log_softmax(dim=1).clamp(min=-700))
        return float(metric.compute()[0])


def frechet_distance(classifier: Classifier, reals: Tensor, fakes: Tensor) -> float:
    """Squared Fréchet distance of two Gaussians fitted to features (Heusel et al. 2017).

    ``|m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2))``, with means m and covariances C; rounding can
    leave it just below 0. For two sets of one law it is above 0, the more so the fewer the images.

    Args:
        classifier: whose features are taken.
        reals, fakes: (n, channels, height, width) in [-1, 1], at least two of either.

    Raises:
        ValueError: for images that the classifier refuses, and fewer than two.
        FloatingPointError: for features that are not finite, or whose squares are not.

    >>> from helpers.models import lenet
    >>> blank = Classifier(lenet(seed=0), accuracy=0.1)
    >>> images = torch.linspace(-1, 1, 4 * 32 * 32).reshape(4, 1, 32, 32)
    >>> abs(frechet_distance(blank, images, images.flip(0))) < 1e-6
    True
    """
    if len(reals) < 2 or len(fakes) < 2:
        raise ValueError(f"a covariance needs two images, got {len(reals)} and {len(fakes)}")
    return distance_of_features(classifier.features(reals), classifier.features(fakes))


def distance_of_features(reals: Tensor, fakes: Tensor) -> float:
    """`frechet_distance` of images whose features (n, d) a classifier has given already."""
    # Torchmetrics rounds what it finds to the precision of the features.
    features = _about_the_middle(*(each.cpu().double() for each in (reals, fakes)))
    read: Any = nn.Identity()
    read.num_features = features[0].shape[1]  # or it would try the module on an image of its own
    with torch.device("cpu"):
        metric = FrechetInceptionDistance(read)
        metric.update(features[0], real=True)
        metric.update(features[1], real=False)
        value = float(metric.compute())
    if not np.isfinite(value):
        largest = max(float(each.abs().max()) for each in features)
        raise FloatingPointError(
            f"the distance is {value}: features of up to {largest:g} leave the range of floats"
        )
    return value


def _about_the_middle(*sets: Tensor) -> list[Tensor]:
    """The sets less the mean of both, if it is so far from 0 that their moments cancel.

    Torchmetrics takes covariances from squares about 0, whose rounding errors grow with the square
    of the mean over the spread: 1e-12 of the variance where it is 100, all of it at 1e8.
    """
    middle = torch.stack([each.mean(dim=0) for each in sets]).mean(dim=0)
    spread = sum(float((each - middle).square().sum(dim=1).mean()) for each in sets) / len(sets)
    if float(middle.square().sum()) > _FAR**2 * spread:
        return [each - middle for each in sets]
    return list(sets)


def score_range(classifier: Classifier, reals: Tensor, *, n: int, seed: int = 0) -> ScoreRange:
    """The scores of n real images, and of n images with pixels uniform in [-1, 1].

    Distances are to n other reals.

    Args:
        classifier: the one that the scores read.
        reals: (2n or more, channels, height, width), best none that the classifier was trained on.
        n: images to score, as many as from a generator.
        seed: for the choice among the reals and for the noise.

    Raises:
        ValueError: for n below 2, fewer than 2n reals, and images that the scores refuse.

    >>> from helpers.datasets import load
    >>> from helpers.models import lenet
    >>> blank = Classifier(lenet(seed=0), accuracy=0.1)
    >>> found = score_range(blank, load("digits").images, n=100)
    >>> found.real_distance < found.noise_distance
    True
    """
    n, seed = whole_number("n", n, 0), whole_seed(seed)
    if n < 2 or len(reals) < 2 * n:
        raise ValueError(f"n is 2 or more and 2n real images are needed, got {n} and {len(reals)}")
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(reals), generator=random, device="cpu")[: 2 * n].to(reals.device)
    scored, others = reals[drawn].split(n)
    noise = torch.rand(scored.shape, generator=random, device="cpu", dtype=torch.float32)
    noise = (2 * noise - 1).to(reals)
    return ScoreRange(
        inception_score(classifier, scored),
        inception_score(classifier, noise),
        frechet_distance(classifier, others, scored),
        frechet_distance(classifier, others, noise),
    )


def class_counts(classifier: Classifier, images: Tensor) -> Tensor:
    """(classes,) whole numbers: how many images look most like each class.

    Raises:
        ValueError: for images that the classifier refuses.
        FloatingPointError: for logits that are not finite; it names the image.

    >>> from helpers.models import lenet
    >>> int(class_counts(Classifier(lenet(seed=0), 0.1), torch.ones(4, 1, 32, 32)).max())
    4
    """
    logits = classifier.logits(images)
    return logits.argmax(dim=1).bincount(minlength=logits.shape[1])


def class_entropy(counts: ArrayLike | Tensor) -> float:
    """Entropy of the shares of classes, in nats: 0 for one class, log k for k equally frequent.

    Raises:
        ValueError: for counts that are not one row of numbers of 0 or more, some above 0.

    >>> class_entropy(torch.tensor([5, 0, 5]))
    0.693...
    """
    return float(torch.special.entr(_shares(counts)).sum())


def modes(counts: ArrayLike | Tensor) -> int:
    """How many classes hold at least a hundredth of the images; raises as `class_entropy` does.

    >>> modes(torch.tensor([990, 9, 1]))
    1
    """
    return int((_shares(counts) >= MODE_SHARE).sum())


def _shares(counts: ArrayLike | Tensor) -> Tensor:
    found = torch.from_numpy(real_array("counts", counts, finite=False))
    # As written, NaN is refused too.
    fits = found.ndim == 1 and (found >= 0).all() and 0 < found.sum() < np.inf
    if not fits:
        raise ValueError(f"counts are one row of 0 or more, not all 0, got {found.tolist()}")
    return found / found.sum()
