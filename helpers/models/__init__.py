"""The networks of the papers."""

from helpers.models.functional import PassSettings
from helpers.models.images import dcgan, dense_image_nets, lenet
from helpers.models.line import LineNet
from helpers.models.narrow import sn_cnn, sn_dcgan, sn_resnet
from helpers.models.players import Players
from helpers.models.residual import small_resnet
from helpers.models.sizes import ModelSize, model_sizes, relative_size
from helpers.models.small import gaussians_nets, mlp, two_cluster_nets
from helpers.models.stacked import Stacked

__all__ = [
    "LineNet",  # the net Linear(1, units), ReLU, Linear(units, 1), with the same weight names
    "ModelSize",  # the parameters of a narrow pair as a percentage of the regular pair's
    "PassSettings",  # how batch norm, spectral norm and noise are held in a game
    "Players",  # the two networks of a GAN: latents to samples, and samples to logits
    "Stacked",  # S networks as one function of S batches
    "dcgan",  # the DCGAN for 32 x 32 images
    "dense_image_nets",  # fully connected nets for 32 x 32 images
    "gaussians_nets",  # the nets that Sun et al. 2020 released for five Gaussians
    "lenet",  # a classifier in the style of LeNet-5
    "mlp",  # a multilayer perceptron
    "model_sizes",  # the sizes in Table 2 of Sun et al. 2020, counted and printed
    "relative_size",  # parameters of G and D together as a percentage of the regular pair's
    "small_resnet",  # a small residual net that tells classes of images apart (He et al. 2016)
    "sn_cnn",  # the narrow convolutional nets with spectral norm (Sun et al. 2020)
    "sn_dcgan",  # the convolutional nets with spectral norm for 256 x 256 images (Sun et al. 2020)
    "sn_resnet",  # the narrow residual nets with spectral norm (Sun et al. 2020)
    "two_cluster_nets",  # the nets for the two clusters (Sun et al. 2020)
]
