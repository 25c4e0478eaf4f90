"""The book's figures. Each function draws what it is given; `show` puts it on the page."""

from helpers.figures.densities import clouds, densities, staircases
from helpers.figures.endpoints import bands, histograms, own_spectra, related
from helpers.figures.epochs import curvature_and_score, lenses, loss_planes, told_and_true
from helpers.figures.fields import archetypes, path_profiles, spectra, streams
from helpers.figures.images import leading, pictures, scores
from helpers.figures.ladder import state_ladder
from helpers.figures.lines import curves, shares
from helpers.figures.planes import basin_maps, landscapes, turning_contours
from helpers.figures.style import PALETTE, PLAYERS, show
from helpers.figures.surfaces import sliding_surface, turnable_surfaces
from helpers.figures.trainings import Course, courses, cumulative, ranges, reached, scattered

__all__ = [
    "PALETTE",
    "PLAYERS",
    "Course",
    "archetypes",
    "bands",
    "basin_maps",
    "clouds",
    "courses",
    "cumulative",
    "curvature_and_score",
    "curves",
    "densities",
    "histograms",
    "landscapes",
    "leading",
    "lenses",
    "loss_planes",
    "own_spectra",
    "path_profiles",
    "pictures",
    "ranges",
    "reached",
    "related",
    "scattered",
    "scores",
    "shares",
    "show",
    "sliding_surface",
    "spectra",
    "staircases",
    "state_ladder",
    "streams",
    "told_and_true",
    "turnable_surfaces",
    "turning_contours",
]
