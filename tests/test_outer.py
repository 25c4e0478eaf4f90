"""The door to the outer problem."""

import helpers.outer
from helpers import lipschitz, states, values


def test_one_door():
    """What the chapters import from helpers.outer is what its three modules define."""
    homes = [vars(module) for module in (values, states, lipschitz)]
    for name in helpers.outer.__all__:
        assert any(home.get(name) is getattr(helpers.outer, name) for home in homes), name
