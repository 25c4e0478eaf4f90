"""The papers' experiments, one per module; the book's chapters call them.

`ORDER` lists those with the shape that `protocol` defines; `helpers.evidence` runs them.

bad_starts            Sun et al. 2020: discriminators from which GANs on MNIST do badly
baselines             Durall et al. 2021: which NSGAN behaves as theirs does
bounded_slopes        starts that a discriminator of bounded slope leaves trapped, loss by loss
cure_rates            how fast cures converge on the smallest games, exactly
cure_training         cures: two clusters, ring and mixture, trained alike by all methods
cures                 a leaderboard of cures on three tasks
densities             Durall et al. 2021: spectral densities of GANs small enough for exact ones
edge_training         mixture and ring: trained on all points at once, by five methods
edge_watch            how far an ensemble is from the edge of stability, while it trains
edges                 where the edge of stability of a game is, and whose
ensembles             records of a whole training, and members arm by arm
five_gaussians        Sun et al. 2020, released code: five Gaussians on a circle
flatness              small classifiers whose steps leave out the sharp directions
image_edges           an image GAN on the way to the edge of stability, by plain descent
image_ends            images: what is measured on a trained GAN
image_epochs          Durall et al. 2021: NSGAN and NuGAN with a DCGAN, epoch by epoch
image_epochs_course   the same: what is read off a training
image_epochs_training the same: how one is trained and watched
image_members         images: how one is trained and examined, step by step
image_quantities      Durall et al. 2021: what claims about images are judged by
image_training        DCGANs on images, trained as Berard et al. 2020 do
images                Berard et al. 2020: image GANs as games
imbalance             Sun et al. 2020: two digits, one of them rare
judges                Berard et al. 2020: LeNets that score images
lenses                nine GANs on the ring, each examined in the ways of all three papers
lost_modes            a ring of eight Gaussians: what is where training has lost modes
lost_modes_training   the same: how a block is trained
mixture               Berard et al. 2020: the mixture of Gaussians
mixture_ends          the mixture: what is measured on a trained member
mixture_quantities    the mixture: what claims are judged by
mixture_training      the mixture: how a block is trained
narrow_ends           narrow nets: the spectra where a training ends
narrow_nets           Sun et al. 2020: narrow nets on images, paired and separable losses
narrow_quantities     narrow nets: what claims are judged by
narrow_setting        narrow nets: what they are trained with
narrow_training       narrow nets: how one is trained, as released
narrow_watch          narrow nets: how one is scored along its training, and by which judge
nudged_images         Durall et al. 2021: NSGAN and NuGAN on nets that behave as theirs do
parts                 parts of a run that are computed once
protocol              the shape of an experiment
pull                  the smallest game that rotates, and methods made for games on it
quadratic             nudged steps down a rotated quadratic
released_nets         Sun et al. 2020: their own generators, under the judge of this book
residual_judge        the judge of CIFAR-10: a small ResNet, whose weights the package ships
ring                  a ring of eight Gaussians: mode collapse, nudging and sharpness
ring_training         the ring: what is drawn, trained and recorded
setting               what the settings of all experiments have in common
stay_places           where training stays: which places are looked at
stay_points           where training stays: what is measured at a point
stays                 two clusters: stationary points, curvature and escape where training stays
surfaces              Durall et al. 2021: loss surfaces of an NSGAN, and its path on them
two_cluster_arms      two clusters: what is varied, by name
two_cluster_quantities two clusters: what claims are judged by
two_cluster_training  two clusters: what is drawn, trained and recorded
two_clusters          Sun et al. 2020: two clusters, many seeds and settings
"""

from importlib import import_module
from typing import cast

from helpers.experiments.protocol import Experiment
from helpers.inputs import one_of

# In the order in which they are run: what decides most claims first.
ORDER = (
    "two_clusters",
    "stays",
    "mixture",
    "five_gaussians",
    "bounded_slopes",
    "densities",
    "surfaces",
    "ring",
    "lost_modes",
    "edges",
    "cures",
    "flatness",
    "lenses",
    "baselines",
    "nudged_images",
    "image_epochs",
    "judges",
    "images",
    "image_edges",
    "narrow_nets",
    "released_nets",
    "imbalance",
    "bad_starts",
)


def find(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        ValueError: for a name that is not in `ORDER`.

    >>> find("mixture").VERSION
    1
    """
    one_of("experiment", name, ORDER)
    return cast(Experiment, import_module(f"helpers.experiments.{name}"))


__all__ = [
    "ORDER",  # the experiments that `helpers.evidence` runs, in this order
    "find",  # the experiment of this name
]
