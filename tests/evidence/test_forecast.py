"""The time left that a gather tells."""

import heapq
import math
import re
import statistics

import pytest

from helpers import experiments
from helpers.evidence import committed, gathering, planning
from helpers.evidence.forecast import Forecast
from helpers.evidence.store import Store


def replayed(took, expected, width):
    """What would have been told when each run ended, and the time that the rest then took."""
    forecast = Forecast(expected)
    waiting, ends, begun = list(took), [], {}
    found, now = [], 0.0
    while waiting or ends:
        while waiting and len(ends) < width:
            run = waiting.pop(0)
            begun[run] = now
            heapq.heappush(ends, (now + took[run], run))
        running = {run: now - begun[run] for _, run in ends}
        found.append((now, forecast.seconds_left(running, waiting, width=width)))
        now, run = heapq.heappop(ends)
        forecast.note(run, took[run])
    return [(told, now - then) for then, told in found]


def recorded(name):
    """Seconds of recorded runs, and the median of the others of their kind, by key."""
    lines = [line for line in committed.read(name) if line["seconds"] and "failed" not in line]
    took = {line["key"]: line["seconds"] for line in lines}
    expected = {}
    for line in lines:
        of_size = [o for o in lines if o["size"] == line["size"] and o["key"] != line["key"]]
        own = [other for other in of_size if other["setting"] == line["setting"]] or of_size
        expected[line["key"]] = statistics.median(o["seconds"] for o in own) if own else math.nan
    return {key: s for key, s in took.items() if not math.isnan(expected[key])}, expected


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("slower", [0.5, 1.0, 3.0])
def test_kinds_of_other_length(width, slower):
    """Runs of three kinds, 1 to 100, on a machine of another speed: right after three of them."""
    expected = {f"{kind} {n}": kind for kind in (1.0, 10.0, 100.0) for n in range(6)}
    took = {run: slower * seconds for run, seconds in expected.items()}
    found = replayed(took, expected, width)
    for number, (told, true) in enumerate(found):
        if slower == 1.0:
            assert told == pytest.approx(true)
        elif number >= 3:
            # Of the last runs under way, what is left is the difference of two long times.
            assert told == pytest.approx(true, rel=1 / 3, abs=max(took.values()) / 3)


def test_the_mean_of_runs_would_not_do():
    """The same runs, with a bar that knows of their number alone."""
    took = {f"{kind} {n}": kind for kind in (1.0, 10.0, 100.0) for n in range(6)}
    blind = replayed(took, dict.fromkeys(took, math.nan), 1)
    worst = max(abs(told / true - 1) for told, true in blind[1:])
    assert worst > 1 / 3


def test_recorded_runs():
    """Recorded on machines whose load changed: most of what is told is right within a third.

    Many kinds were run once, and are expected to take as long as others of their size.
    """
    right, blind = [], []
    for name in experiments.ORDER:
        took, expected = recorded(name)
        if len(took) < 4:
            continue
        for shares, known in ((right, expected), (blind, dict.fromkeys(took, math.nan))):
            found = [(t, x) for t, x in replayed(took, known, 1) if not math.isnan(t)]
            shares.append(statistics.fmean(abs(t / x - 1) < 1 / 3 for t, x in found))
    assert len(right) > 5
    assert statistics.fmean(right) > max(0.5, statistics.fmean(blind))


def test_what_is_not_known():
    forecast = Forecast({"new": math.nan, "other": math.nan, "known": 10.0})
    assert math.isnan(forecast.seconds_left({}, ["new"], width=1))
    assert forecast.seconds_left({}, ["known"], width=1) == 10.0
    forecast.note("new", 7.0)  # says what another unknown one may take, and nothing of the known
    assert forecast.seconds_left({}, ["other", "known"], width=1) == 17.0


def test_a_run_that_takes_longer_than_expected_has_no_time_left():
    assert Forecast({"a": 10.0}).seconds_left({"a": 25.0}, [], width=1) == 0.0
    assert Forecast({}).seconds_left({}, [], width=3) == 0.0


def test_a_run_that_paused_takes_the_rest(tmp_path):
    store = Store(tmp_path)
    first, second = planning.wanted(
        ["two_clusters"], arms=["ls"], size="full", blocks=range(100, 102)
    )
    expected = planning.seconds_of([first, second], store)
    store.scratch(first).mkdir(parents=True)
    (store.scratch(first) / "seconds").write_text("60.00", encoding="utf-8")
    left = gathering._forecast([first, second], store).expected
    assert left[first.key] == pytest.approx(expected[first.key] - 60)
    assert left[second.key] == expected[second.key]


def test_seconds_are_those_that_the_list_has(tmp_path):
    runs, store = planning.wanted(["mixture"], arms=["nsgan"]), Store(tmp_path)
    found = planning.seconds_of(runs, store)
    for _, row in planning.listing(runs, store).iterrows():
        own = [run for run in runs if (run.reading, run.size_name) == (row["reading"], row["size"])]
        for run in own:
            assert found[run.key] == row["seconds"] or math.isnan(row["seconds"])


def test_the_bar_tells_it(tmp_path, monkeypatch):
    """One word of what `gather` shows, with runs of the evidence expected."""
    said = []
    kept = gathering._Gathering._told

    def told(self, running, waiting, width):
        said.append(kept(self, running, waiting, width))
        return said[-1]

    monkeypatch.setattr(gathering._Gathering, "_told", told)
    runs = planning.wanted(["two_clusters"], arms=["ls"], size="quick", blocks=range(100, 102))
    gathering.gather(runs, folder=tmp_path, anew=True, device="cpu", workers=1)
    assert said[0].startswith("1 under way, 1 waiting, ")
    assert re.fullmatch(r"1 under way, 0 waiting, [\d:]+ left", said[2])
    assert said[-1] == "0 under way, 0 waiting, 00:00 left"


def test_the_cost_in_a_sentence(tmp_path):
    runs = planning.wanted(["two_clusters"], arms=["ls"], size="full", blocks=range(100, 102))
    plan = planning.listing(runs, Store(tmp_path), anew=True).assign(cost=0.25)
    known = "2 of 2 runs are missing, 0.2 core-hours by what was run before on CPU (x86_64)"
    assert planning.cost_of(plan) == known
    assert planning.cost_of(plan.assign(past=0)) == (
        known + "; 1 kind was never run, and counts as others of the same size, if there are any"
    )
    assert planning.cost_of(plan.assign(past=0, cost=math.nan, device="")) == (
        "2 of 2 runs are missing; 1 kind was never run, and counts as others of the same size, "
        "if there are any"
    )
    assert planning.cost_of(plan.assign(there=2)) == "0 of 2 runs are missing"
