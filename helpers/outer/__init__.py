"""The generator's outer problem (Sun et al. 2020), solved exactly."""

from helpers.outer.basins import Basins, find_basins
from helpers.outer.escape import barrier, barriers, escape_times
from helpers.outer.exact import phi_js, phi_pairing, phi_rs, phi_separable, xi
from helpers.outer.lipschitz import best_discriminator, phi_lipschitz
from helpers.outer.places import Places
from helpers.outer.states import StateGraph, stuck_states
from helpers.outer.transport import matching, wasserstein
from helpers.outer.traps import trap_slope
from helpers.outer.wide_generator import WideGenerator

__all__ = [
    "Basins",  # local minima of a grid of values, and which of them each node descends to
    "Places",  # a place for each state of points, and walks between states
    "StateGraph",  # states of points on modes, and where each can go without rising
    "WideGenerator",  # g_w(z) = [tanh(z A + b), 1] w, with the last layer w free
    "barrier",  # the least rise of any path out of a basin
    "barriers",  # the same for every node of a grid of any dimension
    "best_discriminator",  # values of the best discriminator of limited slope
    "escape_times",  # mean times of Langevin diffusion from each node of a grid to some goals
    "find_basins",  # where steepest descent on a grid ends, node by node
    "matching",  # which real point each generated one is nearest to, all in all
    "phi_js",  # outer value of the JS-GAN loss (Sun et al. 2020, eq. 1), between -log 2 and 0
    "phi_lipschitz",  # outer objective over discriminators with Lipschitz constant at most L
    "phi_pairing",  # outer value of a relativistic pairing loss (Sun et al. 2020, eq. 6)
    "phi_rs",  # outer value of the RS-GAN loss (Sun et al. 2020, eq. 4), between -log 2 and 0
    "phi_separable",  # the outer value of a loss that judges each sample alone
    "stuck_states",  # strict minima and stuck states, by a search of the graph
    "trap_slope",  # the slope above which a collapse on two places is a strict minimum
    "wasserstein",  # the Wasserstein distance of equally many points: W-GAN's outer objective
    "xi",  # supremum over t of ``a h1(t) + b h2(-t)``; the paper's xi(m) is a = 1, b = m (Sec. 4.1)
]
