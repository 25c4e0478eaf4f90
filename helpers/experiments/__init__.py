"""The papers' experiments, one a module; the book's chapters call them.

flatness      small classifiers whose steps leave the sharp directions out
image_epochs  Durall et al. 2021: NSGAN and NuGAN, epoch by epoch, at three scales
images        Berard et al. 2020: image GANs as games
mixture       Berard et al. 2020: the mixture of Gaussians
quadratic     nudged steps down a rotated quadratic
ring          a ring of eight Gaussians: mode collapse, many seeds at a time
setting       what the settings of all experiments have in common
two_clusters  Sun et al. 2020: two clusters, many seeds and settings
"""
