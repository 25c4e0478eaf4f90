"""The networks of the papers."""

from helpers.models.images import dcgan, lenet
from helpers.models.narrow import sn_cnn, sn_resnet
from helpers.models.players import Players
from helpers.models.sizes import ModelSize, model_sizes, relative_size
from helpers.models.small import gaussians_nets, mlp, two_cluster_nets

__all__ = [
    "ModelSize",
    "Players",
    "dcgan",
    "gaussians_nets",
    "lenet",
    "mlp",
    "model_sizes",
    "relative_size",
    "sn_cnn",
    "sn_resnet",
    "two_cluster_nets",
]
