"""Numbers and curves that are read off a game or a run."""

from helpers.analysis.coverage import (
    Coverage,
    Stays,
    collapses,
    coverage,
    least_loss,
    longest_stays,
    pair_shares,
    shares_near,
)
from helpers.analysis.curves import (
    correlations,
    lagged_correlations,
    rank_correlation,
    rank_correlation_of_changes,
    rising_together,
    turning,
)
from helpers.analysis.dynamics import STEPS, Flow, flow, iterate, largest_stable_step, play
from helpers.analysis.edges import EDGE_METHODS, edge_ratio, multipliers, update_matrix
from helpers.analysis.endpoints import Bump, EndPoint, bump, end_point, leading_end_point
from helpers.analysis.linear import (
    Decoupled,
    decoupled,
    evenness,
    linear_orbit,
    rotation,
    turns,
)
from helpers.analysis.paths import PathProfile, path_profile, sign_switches
from helpers.analysis.rest import Rest, find_rest
from helpers.analysis.stability import Classification, classify
from helpers.analysis.surfaces import (
    EigenPlane,
    LossPlane,
    ProjectedPath,
    eigen_plane,
    loss_plane,
    projected,
)

__all__ = [
    "EDGE_METHODS",  # methods whose edge of stability is known
    "STEPS",  # the steps by name
    "Bump",  # what the path-angle does near the end point, seen in the median over the end points
    "Classification",  # a point of a game and the numbers that say what it is
    "Coverage",  # when the members of an ensemble found the modes
    "Decoupled",  # the parts into which a linear game decouples
    "EigenPlane",  # two orthonormal directions, and the curvature along each
    "EndPoint",  # a point of a game after training, and the field's norm at the start
    "Flow",  # solutions of the gradient flow from several starts, at common times
    "LossPlane",  # a player's loss over a plane through a point
    "PathProfile",  # the field along straight paths, one for each of m end points
    "ProjectedPath",  # a training projected on a plane, and what the plane does not show
    "Rest",  # where a search for a stationary point ended
    "Stays",  # the longest time that each of S members stayed at one mode
    "bump",  # the bump of a path profile (Berard et al. 2020, Fig. 3)
    "classify",  # say whether a point is stationary, an LSSP, a DNE, and by what margins
    "collapses",  # every run of records with one mode covered, if it is long enough
    "correlations",  # how two curves go together, in the readings a paper may have meant
    "coverage",  # when all modes were covered, from the shares of points near each over a training
    "decoupled",  # eigenvalues of a linear game, and the real basis in which it decouples
    "edge_ratio",  # how much of the largest stable step a method takes
    "eigen_plane",  # the plane of two leading eigenvectors
    "end_point",  # analyse the end of a training by the full spectra there
    "evenness",  # how evenly a linear game attracts, 1 if alike in all directions
    "find_rest",  # search for a stationary point from a start
    "flow",  # follow d omega / dt = -v(omega) from many starts, by scipy's solve_ivp (DOP853)
    "iterate",  # iterates of a plain method from one start or many: `play` with steps of one size
    "lagged_correlations",  # of the changes of one curve with later ones of another, by lag
    "largest_stable_step",  # the size below which a method is drawn to a point
    "leading_end_point",  # `end_point` for nets too large for a matrix
    "least_loss",  # D's least loss for points at two clusters or astray
    "linear_orbit",  # points of the flow of a linear game
    "longest_stays",  # how long nearly all points stayed at one mode
    "loss_plane",  # a player's loss at omega + x d1 + y d2, the other player held
    "multipliers",  # what a method's step multiplies a small displacement by
    "pair_shares",  # share of the pairs by the modes of the real and of the point
    "path_profile",  # path-angle and path-norm on the lines (1 - alpha) start + alpha end
    "play",  # the points of a game whose players each follow an optimiser: all of them, or the last
    "projected",  # project a training on a plane, with what the plane leaves out
    "rank_correlation",  # Spearman's correlation of two curves, NaN where one does not change
    "rank_correlation_of_changes",  # the same for changes over a number of records
    "rising_together",  # of the windows in which one curve rises, the share in which both do
    "rotation",  # norm of the antisymmetric part of J over that of the symmetric one
    "shares_near",  # share of each member's points near each mode
    "sign_switches",  # how often a row of numbers changes sign; zeros and NaN count as neither sign
    "turning",  # place of the minimum of a curve's running mean over five records
    "turns",  # what an iteration of descent with momentum does to a small displacement
    "update_matrix",  # what a method's step does to a small displacement and to its memory
]
