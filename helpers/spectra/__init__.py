"""Eigenvalues of operators that are known only by their products."""

from helpers.spectra.arnoldi import game_eigenvalues
from helpers.spectra.cloud import RitzCloud, ritz_cloud
from helpers.spectra.density import SpectralDensity, blurred, slq_density
from helpers.spectra.lanczos import Tridiagonal, lanczos
from helpers.spectra.members import MemberPairs, member_eigenpairs, member_eigenvalues
from helpers.spectra.pairs import top_eigenpairs
from helpers.spectra.search import EigenPairs
from helpers.spectra.unseen import CHANCE, NotConverged

__all__ = [
    "CHANCE",  # how often a leading eigenvalue may be missed
    "EigenPairs",  # eigenvalues, eigenvectors, and how well they fit
    "MemberPairs",  # eigenvalues and eigenvectors of S operators, and how well they fit
    "NotConverged",  # a search that did not find all that it was to find
    "RitzCloud",  # Ritz values with their weights, and a density in the plane
    "SpectralDensity",  # nodes and weights of each probe, and the density they give on a grid
    "Tridiagonal",  # T of a Lanczos run, and what belongs to it
    "blurred",  # the exact density under Gaussians, (g,): what `slq_density` estimates (A, eq. 7)
    "game_eigenvalues",  # leading eigenvalues of a game's Jacobian, by Arnoldi
    "lanczos",  # run Lanczos' method from one vector or several at once
    "member_eigenpairs",  # leading pairs of each member of an ensemble
    "member_eigenvalues",  # leading eigenvalues of each member, where they may be complex
    "ritz_cloud",  # estimate where the eigenvalues of a game's Jacobian lie in the complex plane
    "slq_density",  # estimate the eigenvalue density of a symmetric operator
    "top_eigenpairs",  # the first k eigenpairs of a symmetric operator in a chosen order
]
