"""Judges of images, and what their judgements are worth."""

from helpers.scores.classifiers import Classifier, train_judge
from helpers.scores.inception import load_inception
from helpers.scores.metrics import (
    ScoreRange,
    class_counts,
    class_entropy,
    frechet_distance,
    inception_score,
    modes,
    score_range,
)
from helpers.scores.one_cycle import OneCycle, train_one_cycle
from helpers.scores.printed import printed_pairs, printed_scores
from helpers.scores.released import load_released_lenet
from helpers.scores.samples import (
    ImageScores,
    image_scores,
    kernel_distance,
    precision_and_recall,
)
from helpers.scores.weights import read_judge, shipped_judge, shipped_sha, write_judge

__all__ = [
    "Classifier",  # a trained net, from images (n, channels, height, width) to logits (n, classes)
    "ImageScores",  # all scores of a set of samples, with what they were taken with
    "OneCycle",  # how long and how fast a classifier learns
    "ScoreRange",  # the scores of real images and of noise
    "class_counts",  # whole numbers: how many images look most like each class
    "class_entropy",  # entropy of the classes that samples are judged to be
    "frechet_distance",  # the Frechet distance between features of two sets
    "image_scores",  # all scores of samples beside real images
    "inception_score",  # the Inception score, under any judge
    "kernel_distance",  # the kernel distance (KID), from features
    "load_inception",  # the judge of published scores, from its file of weights
    "load_released_lenet",  # the judge of Berard et al. 2020, from its file of weights
    "modes",  # how many classes have their share of the samples
    "precision_and_recall",  # of samples, by nearest neighbours among features
    "printed_pairs",  # the pairs of JS and RS in Table 2 of Sun et al. 2020, with their gaps
    "printed_scores",  # inception scores and FIDs as papers print them
    "read_judge",  # a judge from its file
    "score_range",  # the scores of n real images, and of n images with pixels uniform in [-1, 1]
    "shipped_judge",  # the judge that the package ships for a set of images
    "shipped_sha",  # its SHA-256
    "train_judge",  # a LeNet that learns the classes of real images
    "train_one_cycle",  # a net after training with flips, shifts and one cycle of the rate
    "write_judge",  # a small ResNet's weights to a file, in float16
]
