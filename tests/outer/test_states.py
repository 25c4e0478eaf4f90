"""The state graph, against a brute force in which any set of points moves at once."""

import time
from functools import cache
from itertools import product

import numpy as np
import pytest

from helpers.losses.scalars import PAIRING, SEPARABLE
from helpers.outer.states import StateGraph, stuck_states
from tests.common import LOSSES
from tests.oracles.suprema import exact

# A value is a multiple of log 2 / (2 n) and the like: far coarser than this.
TIE = 1e-9
CASES = list(product((1, 2, 3), LOSSES, (False, True)))


@cache
def graph_of(n: int, loss: str, on_line: bool) -> StateGraph:
    return stuck_states(n, loss, on_line=on_line)


@cache
def value_of(state: tuple[int, ...], loss: str) -> float:
    """Outer value of a state by helpers.outer; a point that sits nowhere is far from all others."""
    n = len(state)
    y = [j if j < n else 100 + i for i, j in enumerate(state)]
    return exact(np.arange(n), np.array(y), loss)


def brute_force(graph: StateGraph) -> tuple[np.ndarray, np.ndarray]:
    """Which states are stuck and which are strict minima, if any set of points may move at once.

    When a path meets or leaves coincidences, some points arrive, or some points leave, at the
    same moment; what the others do in the meantime changes no state.
    """
    n = graph.n

    def near(place: int) -> tuple[list[int], list[int]]:
        """Real points a gap borders on, gaps a real point borders on."""
        if graph.on_line:
            around = [p for p in (place - 1, place + 1) if 0 <= p <= 2 * n]
            return (around, []) if place % 2 == 0 else ([], around)
        return (list(range(n)), []) if place == n else ([], [n])

    position = [tuple(p) for p in graph.positions.tolist()]
    number = {p: s for s, p in enumerate(position)}
    values = np.array([value_of(tuple(s), graph.loss) for s in graph.states.tolist()])
    moves = [
        {number[to] for way in (0, 1) for to in product(*([p, *near(p)[way]] for p in places))}
        - {number[places]}
        for places in position
    ]
    good = values <= values.min() + TIE
    strict = np.array(
        [
            max(state) < n and not good[s] and all(values[to] > values[s] + TIE for to in moves[s])
            for s, state in enumerate(graph.states.tolist())
        ]
    )
    grown = True
    while grown:
        grown = False
        for s, targets in enumerate(moves):
            if not good[s] and any(good[to] and values[to] <= values[s] + TIE for to in targets):
                good[s] = grown = True
    return ~good, strict


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("on_line", [False, True])
def test_counts(loss, on_line):
    """Theorem 1's n^n - n! strict minima under JS and LS, none under hinge or a pairing loss."""
    counts = [int(graph_of(n, loss, on_line).is_strict_minimum.sum()) for n in (1, 2, 3, 4)]
    assert counts == ([0, 2, 21, 232] if loss in ("js", "ls") else [0, 0, 0, 0])


@pytest.mark.parametrize("loss", [*PAIRING, "hinge"])
@pytest.mark.parametrize("on_line", [False, True])
def test_nothing_stuck(loss, on_line):
    """Theorem 2: every state recovers under a pairing loss; the hinge loss lets it too."""
    assert not any(graph_of(n, loss, on_line).is_stuck.any() for n in (1, 2, 3, 4))


@pytest.mark.parametrize("loss", ["js", "ls"])
def test_stuck_states(loss):
    """Beside the strict minima others are stuck too: a pair on one point and the third free."""
    stuck = [int(graph_of(n, loss, False).is_stuck.sum()) for n in (2, 3, 4)]
    assert stuck == [2, 30, 416]
    graph = graph_of(2, loss, True)
    # On one real point, or both on the outer side of one, where neither can let the other pass.
    expected = [[0, 0], [0, 1], [1, 0], [1, 1], [3, 3], [3, 4], [4, 3], [4, 4]]
    assert graph.positions[graph.is_stuck].tolist() == expected


@pytest.mark.parametrize("n, loss, on_line", CASES)
def test_values(n, loss, on_line):
    """The table of values is helpers.outer's, on every state."""
    graph = graph_of(n, loss, on_line)
    assert len(graph.states) == (2 * n + 1 if on_line else n + 1) ** n
    expected = [value_of(tuple(s), loss) for s in graph.states.tolist()]
    np.testing.assert_allclose(graph.values, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n, loss, on_line", CASES)
def test_against_brute_force(n, loss, on_line):
    """Moving one point at a time loses neither a path nor a way out of a minimum."""
    graph = graph_of(n, loss, on_line)
    stuck, strict = brute_force(graph)
    np.testing.assert_array_equal(graph.is_stuck, stuck)
    np.testing.assert_array_equal(graph.is_strict_minimum, strict)


@pytest.mark.parametrize("n, loss, on_line", CASES)
def test_paths(n, loss, on_line):
    """Paths never rise, move one point one step, visit no state twice and end at the minimum."""
    graph = graph_of(n, loss, on_line)
    for start in np.flatnonzero(~graph.is_stuck):
        path = graph.path(int(start))
        assert path[0] == start and len(set(path)) == len(path)
        walk = graph.values[path]
        assert (np.diff(walk) <= TIE).all()
        assert walk[-1] == pytest.approx(graph.values.min(), abs=1e-14)
        for before, after in zip(
            graph.positions[path[:-1]], graph.positions[path[1:]], strict=True
        ):
            (i,) = np.flatnonzero(before != after)
            step = {int(before[i]), int(after[i])}
            assert max(step) - min(step) == 1 if on_line else max(step) == n


def test_shortest_path():
    """A path takes no detour: as many steps as there are points to place or to move away."""
    graph = graph_of(2, "rs", False)
    lengths = {tuple(s): len(graph.path(k)) - 1 for k, s in enumerate(graph.states.tolist())}
    assert lengths[0, 1] == lengths[1, 0] == 0
    assert lengths[0, 2] == lengths[2, 1] == 1
    assert lengths[0, 0] == lengths[2, 2] == 2


@pytest.mark.parametrize("loss", LOSSES)
def test_minimum(loss):
    """Permutations of the real points, and they alone, are global minima."""
    graph = graph_of(3, loss, False)
    lowest = np.flatnonzero(graph.values <= graph.values.min() + TIE)
    assert [graph.path(int(s)) for s in lowest] == [[s] for s in lowest]
    assert all(sorted(s) == [0, 1, 2] for s in graph.states[lowest].tolist())
    assert len(lowest) == 6


@pytest.mark.parametrize("loss", ["js", "rs"])
def test_on_line(loss):
    """Positions alternate between gaps and real points; `states` forgets which gap."""
    graph = graph_of(2, loss, True)
    occupant = {0: 2, 1: 0, 2: 2, 3: 1, 4: 2}
    assert graph.states.tolist() == [[occupant[p] for p in s] for s in graph.positions.tolist()]
    plane = graph_of(2, loss, False)
    assert plane.states.tolist() == plane.positions.tolist()
    # What no path of the plane leads out of, none of the line does.
    stuck = {tuple(s) for s in plane.states[plane.is_stuck].tolist()}
    assert stuck <= {tuple(s) for s in graph.states[graph.is_stuck].tolist()}


def test_is_full():
    """Full states are those with every generated point on a real one: n^n of them."""
    for n, on_line in product((1, 2, 3), (False, True)):
        assert graph_of(n, "js", on_line).is_full.sum() == n**n
    assert graph_of(2, "js", False).is_full.tolist() == [1, 1, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("loss", ["js", "rs"])
def test_four_points_in_time(loss):
    """n = 4 takes under 10 s, on the line as well."""
    start = time.process_time()
    stuck_states(4, loss)
    stuck_states(4, loss, on_line=True)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("loss", SEPARABLE)
def test_path_of_a_stuck_state(loss):
    """There is no path from a stuck state, and asking for one says so."""
    graph = graph_of(2, loss, False)
    collapse = graph.states.tolist().index([1, 1])
    if loss == "hinge":
        assert graph.values[graph.path(collapse)[-1]] == graph.values.min()
    else:
        with pytest.raises(ValueError, match=rf"\[1, 1\] is stuck under {loss}"):
            graph.path(collapse)


@pytest.mark.parametrize(
    "n, loss, on_line, message",
    [
        (0, "js", False, "n is a whole number, 1 or more, got 0"),
        (-1, "rs", True, "n is a whole number, 1 or more, got -1"),
        (8, "js", False, "at most 1000000"),
        (6, "js", True, "at most 1000000"),
        (10_000_000, "js", False, "at most 1000000 states .* got n = 10000000"),
        (10**30, "rs", True, "at most 1000000 states"),
        (2, "wgan", False, "unknown loss"),
    ],
)
def test_errors(n, loss, on_line, message):
    """Too few points, too many states and unknown losses are refused at once."""
    with pytest.raises(ValueError, match=message):
        stuck_states(n, loss, on_line=on_line)
