"""The generator's outer problem (Sun et al. 2020): exact values, stuck states, and surfaces.

One door to three modules: `helpers.values` has the objective in function space,
`helpers.states` the graph of its states, `helpers.lipschitz` the objective when the
discriminator's slope is limited.
"""

from helpers.lipschitz import phi_lipschitz
from helpers.states import StateGraph, stuck_states
from helpers.values import phi_js, phi_pairing, phi_rs, phi_separable, xi

__all__ = [
    "StateGraph",
    "phi_js",
    "phi_lipschitz",
    "phi_pairing",
    "phi_rs",
    "phi_separable",
    "stuck_states",
    "xi",
]
