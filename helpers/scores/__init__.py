"""Judges of images, and what their judgements are worth."""

from helpers.scores.classifiers import Classifier, train_judge
from helpers.scores.metrics import (
    ScoreRange,
    class_counts,
    class_entropy,
    frechet_distance,
    inception_score,
    modes,
    score_range,
)
from helpers.scores.printed import printed_pairs, printed_scores

__all__ = [
    "Classifier",  # a trained net, from images (n, channels, height, width) to logits (n, classes)
    "ScoreRange",  # the scores of real images and of noise
    "class_counts",  # whole numbers: how many images look most like each class
    "class_entropy",  # entropy of the classes that samples are judged to be
    "frechet_distance",  # the Frechet distance between features of two sets
    "inception_score",  # the Inception score, under any judge
    "modes",  # how many classes have their share of the samples
    "printed_pairs",  # the pairs of JS and RS in Table 2 of Sun et al. 2020, with their gaps
    "printed_scores",  # inception scores and FIDs as papers print them
    "score_range",  # the scores of n real images, and of n images with pixels uniform in [-1, 1]
    "train_judge",  # a LeNet that learns the classes of real images
]
