"""Losses of one logit and of both players, and penalties on the discriminator's slope."""

from helpers.losses.penalty import PLACES, GradientPenalty
from helpers.losses.scalars import (
    IDENTITY,
    LOGISTIC,
    PAIRING,
    SEPARABLE,
    ScalarFunction,
    check_loss,
    hinge,
    least_squares,
)
from helpers.losses.table import LOSSES, GanLoss, find_loss

__all__ = [
    "IDENTITY",  # h of the Wasserstein loss
    "LOGISTIC",  # h of JS-GAN and RS-GAN
    "LOSSES",  # the losses by name
    "PAIRING",  # losses that judge pairs, by name
    "PLACES",  # where a penalty is taken
    "SEPARABLE",  # losses that judge each sample alone, by name
    "GanLoss",  # the two players' losses, functions of logits
    "GradientPenalty",  # the penalty of WGAN-GP (Gulrajani et al. 2017)
    "ScalarFunction",  # a concave function h of one real variable
    "check_loss",  # return a loss's name, or raise a ValueError that lists the known names
    "find_loss",  # the loss with this name, or a ValueError
    "hinge",  # h(t) = -max(0, a - t) (Sun et al. 2020, remarks on Theorems 1 and 2)
    "least_squares",  # h(t) = -(a - t)^2 (Sun et al. 2020, remarks on Theorems 1 and 2)
]
