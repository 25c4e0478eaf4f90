"""Eigenvalues of operators that are known by their products only."""

from helpers.spectra.arnoldi import GameEigenvalues, game_eigenvalues
from helpers.spectra.cloud import RitzCloud, ritz_cloud
from helpers.spectra.density import SpectralDensity, blurred, slq_density
from helpers.spectra.lanczos import Tridiagonal, lanczos
from helpers.spectra.members import MemberPairs, member_eigenpairs
from helpers.spectra.pairs import EigenPairs, NotConverged, top_eigenpairs
from helpers.spectra.unseen import CHANCE

__all__ = [
    "CHANCE",
    "EigenPairs",
    "GameEigenvalues",
    "MemberPairs",
    "NotConverged",
    "RitzCloud",
    "SpectralDensity",
    "Tridiagonal",
    "blurred",
    "game_eigenvalues",
    "lanczos",
    "member_eigenpairs",
    "ritz_cloud",
    "slq_density",
    "top_eigenpairs",
]
