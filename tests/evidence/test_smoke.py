"""A forgotten VERSION is caught."""

import copy
import json

import pytest

from tests.evidence import smoke

pytestmark = pytest.mark.slow  # whole runs

STORED = json.loads(smoke.FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", smoke.ours())
def test_a_smoke_run_gives_its_stored_numbers(name):
    assert not smoke.moved(name, smoke.numbers(name), STORED[name])


def test_what_moves_is_named():
    name = "two_clusters"
    stored = STORED[name]
    now = copy.deepcopy(stored["numbers"])
    assert not smoke.moved(name, now, stored)
    key = "as released | js | min_loss"
    now[key][1] *= 1 + 1e-2
    (line,) = smoke.moved(name, now, stored)
    assert key in line
    del now[key]
    assert smoke.moved(name, now, stored) == [f"{name}: {key} is new or gone"]
    (line,) = smoke.moved(name, now, stored | {"version": 0})
    assert "write it anew" in line


def test_a_changed_experiment_is_caught(monkeypatch):
    """As if somebody had changed what D's loss is, and had left the version as it was."""
    from helpers.experiments import two_clusters

    monkeypatch.setitem(two_clusters.ARMS, "js", {"loss": "js", "d_weight": 1.01})
    monkeypatch.setattr(smoke, "pairs", lambda name: [("as released", "js")])
    now = smoke.numbers("two_clusters")
    kept = {key: value for key, value in STORED["two_clusters"]["numbers"].items() if key in now}
    assert smoke.moved("two_clusters", now, STORED["two_clusters"] | {"numbers": kept})
