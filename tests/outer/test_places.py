"""States as points of the plane: the objective at the points is that of the state."""

from itertools import pairwise

import numpy as np
import pytest

from helpers.outer.exact import phi_js, phi_rs
from helpers.outer.places import Places
from helpers.outer.states import stuck_states


@pytest.mark.parametrize(("loss", "phi"), [("js", phi_js), ("rs", phi_rs)])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_values_are_those_of_the_states(n, loss, phi):
    places, graph = Places.on_circles(n), stuck_states(n, loss)
    values = [phi(places.real, points) for points in places.points(graph.states)]
    assert values == pytest.approx(graph.values, abs=1e-9)


def test_no_free_place_is_another_or_a_real_one():
    for n in range(1, 7):
        places = Places.on_circles(n)
        every = np.concatenate([places.real, places.free])
        assert len(np.unique(every.round(6), axis=0)) == 2 * n


def test_points_by_hand():
    """y_1 on x_2, y_2 free; and y_i free is at the i-th place, not at any."""
    places = Places(np.array([[0.0], [4.0]]), np.array([[7.0], [9.0]]))
    assert places.points([[1, 2], [2, 1], [2, 2]])[..., 0].tolist() == [[4, 9], [7, 4], [7, 9]]


def test_a_walk_is_straight_from_state_to_state():
    """It starts at its state, has so many steps between two states, and ends at a recovery."""
    places, graph = Places.on_circles(2), stuck_states(2, "rs")
    for start in range(len(graph.states)):
        stops = places.points(graph.states[graph.path(start)])
        walk = places.walk(graph, start, steps=5)
        assert (walk[::5] == stops).all()
        for number, (a, b) in enumerate(pairwise(stops)):
            for s in range(1, 5):
                assert walk[5 * number + s] == pytest.approx(a + s / 5 * (b - a))


@pytest.mark.parametrize("states", [[0], [0, 3], [0, -1], [0.5, 1], 0])
def test_refuses_what_are_no_states(states):
    with pytest.raises(ValueError, match="states "):
        Places.on_circles(2).points(states)


def test_refuses_a_stuck_state_and_no_steps():
    places = Places.on_circles(2)
    with pytest.raises(ValueError, match="stuck"):
        places.walk(stuck_states(2, "js"), 0, steps=3)
    with pytest.raises(ValueError, match="steps"):
        places.walk(stuck_states(2, "rs"), 0, steps=0)
