"""The book's figures. Each function draws what it is given."""

from helpers.figures.captions import as_table, captioned, picture
from helpers.figures.curvature import curvature_and_score, own_densities
from helpers.figures.densities import clouds, densities, staircases
from helpers.figures.endpoints import bands, histograms, own_spectra, related
from helpers.figures.epochs import lenses, loss_planes, told_and_true
from helpers.figures.fields import archetypes, path_profiles, spectra, stability_regions, streams
from helpers.figures.images import leading, pictures, scores
from helpers.figures.ladder import state_ladder
from helpers.figures.lines import curves, gaps, quantity_strip, shares
from helpers.figures.planes import basin_maps, landscapes, turning_contours
from helpers.figures.style import PALETTE, PLAYER_COLOURS, svg
from helpers.figures.surfaces import sliding_surface, turnable_surfaces, walking_spectra
from helpers.figures.trainings import courses, cumulative, ranges, reached, scattered

__all__ = [
    "PALETTE",  # colours that can be told apart
    "PLAYER_COLOURS",  # the colours of G and D
    "archetypes",  # fields with a path above, path-angle and path-norm below
    "as_table",  # a frame as a table with a caption, its headings tied to rows and columns
    "bands",  # median and quartiles over seeds along a training
    "basin_maps",  # where descent ends, start by start
    "captioned",  # a figure with its caption, and a text for those who cannot see it
    "clouds",  # densities in the complex plane, with the exact eigenvalues
    "courses",  # generated points and D's loss, a column per seed
    "cumulative",  # the share of seeds at or below a value
    "curvature_and_score",  # leading eigenvalues of both players, and a score
    "curves",  # named curves over one axis
    "densities",  # estimated densities over the exact one
    "gaps",  # bars that stand on zero, over the widths of nets
    "histograms",  # generated points over the true density
    "landscapes",  # heat maps of objectives over two points
    "leading",  # leading eigenvalues of games in the complex plane
    "lenses",  # a table with a colour: GANs in rows, measurements in columns
    "loss_planes",  # a loss over planes, with a training on each
    "own_densities",  # densities of the players' own spectra at some epochs
    "own_spectra",  # quantiles of the eigenvalues of the players' own Hessians
    "path_profiles",  # path-angle and path-norm side by side
    "picture",  # the picture in a captioned figure, as SVG
    "pictures",  # rows of images, each named on its left
    "quantity_strip",  # a quantity with its seeds and interval, and what its rule asks
    "ranges",  # median and quartiles over seeds, by setting
    "reached",  # how often training was at each pair of losses
    "related",  # a mark per seed in a plane, another mark for each group
    "scattered",  # a point per seed, coloured by a value
    "scores",  # a score along trainings, between real images and noise
    "shares",  # shares over a logarithmic axis, with their intervals
    "sliding_surface",  # a surface that changes as the reader moves a slider
    "spectra",  # eigenvalues in the complex plane, a marker for each named set
    "stability_regions",  # eigenvalues against the edge of a method, a panel per method
    "staircases",  # measures on the line as the mass up to each place
    "state_ladder",  # states as boxes, moves as arrows
    "streams",  # planes side by side: streamlines and orbits
    "svg",  # the figure as an SVG that follows the reader's theme, as text
    "told_and_true",  # what a plane says of a training's loss beside what it was
    "turnable_surfaces",  # surfaces that the reader can turn
    "turning_contours",  # a saddle over a plane in several states
    "walking_spectra",  # eigenvalues that walk to the edge of a method under a slider
]
