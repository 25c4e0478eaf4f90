"""A claim that fails in the first reading of the paper: what the other readings make of it."""

from dataclasses import replace

import pytest

from helpers import evidence, experiments, ledger
from helpers.experiments.protocol import Reading
from tests import toy

FIRST, OTHER, THIRD = "as printed", "as released", "as we guess"


@pytest.fixture
def readings(monkeypatch, tmp_path):
    """Makes evidence of some readings, each with a mean; Z1 asks for low values of at most 1."""
    module = toy.install(monkeypatch, tmp_path / "evidence")

    def with_means(means, *, run, plausible=True, stated=True, folder=None):
        module.READINGS = {
            name: Reading(
                toy.Setting(mean=mean, width=0.1),
                name,
                stated=stated or name == FIRST,
                plausible=plausible or name == FIRST,
            )
            for name, mean in means.items()
        }
        module.ARMS = {"low": {}, "high": {"width": 0.2}}
        for name in run:
            chosen = dict(reading=name, arms=["low", "high"], size="full", blocks=range(100, 101))
            if folder:
                runs = evidence.wanted([toy.NAME], **chosen)
                evidence.gather(runs, folder=folder, device="cpu")
            else:
                toy.make_evidence(tmp_path / "evidence", tmp_path / "runs", **chosen)
        return evidence.judged("Z1", folder=folder).record

    return with_means


def test_the_first_reading_holds(readings):
    """No other one is asked, whether it holds or not."""
    for mean in (0.0, 50.0):
        record = readings({FIRST: 0.0, OTHER: mean}, run=[FIRST, OTHER])
        assert record.said == "reproduced"


def test_one_was_never_run(readings):
    record = readings({FIRST: 50.0, OTHER: 60.0, THIRD: 70.0}, run=[FIRST, OTHER])
    assert record.said == f"open, for lack of the reading {THIRD!r}"
    assert record.values["low_value"][0] == pytest.approx(50, abs=1)  # those of the first one


def test_two_were_never_run(readings):
    record = readings({FIRST: 50.0, OTHER: 60.0, THIRD: 70.0}, run=[FIRST])
    assert record.said == f"open, for lack of the readings {OTHER!r}, {THIRD!r}"


@pytest.mark.parametrize("stated, verdict", [(True, ""), (False, ", with a caveat")])
def test_another_one_holds(readings, stated, verdict):
    """That is a caveat if the paper does not state it; it does not matter what was never run."""
    record = readings({FIRST: 50.0, OTHER: 0.0, THIRD: 70.0}, run=[FIRST, OTHER], stated=stated)
    assert record.said == f"reproduced{verdict} (in the reading {OTHER!r})"
    assert record.values["low_value"][0] == pytest.approx(0, abs=1)


def test_none_holds(readings):
    record = readings({FIRST: 50.0, OTHER: 60.0}, run=[FIRST, OTHER])
    assert record.said == "not reproduced"
    assert record.values["low_value"][0] == pytest.approx(50, abs=1)


def screened(tmp_path, reading):
    """Evidence of a reading that has one block, which screens."""
    toy.make_evidence(
        tmp_path / "evidence", tmp_path / "runs", reading=reading, arms=["low", "high"],
        size="full", blocks=range(1),
    )  # fmt: skip


@pytest.mark.parametrize("near, far", [(OTHER, THIRD), (THIRD, OTHER)])
def test_a_nearer_reading_without_deciding_blocks_leaves_the_claim_open(
    readings, tmp_path, near, far
):
    """It fails where it was screened, too, but by less."""
    readings({FIRST: 50.0, near: 20.0, far: 70.0}, run=[FIRST])
    for name in (near, far):
        screened(tmp_path, name)
    made = evidence.judged("Z1").record
    assert made.said == f"open, for lack of seeds of the reading {near!r}, which comes nearer"
    assert made.values["low_value"][0] == pytest.approx(50, abs=1)


def test_a_farther_reading_needs_no_more_than_its_screen(readings, tmp_path):
    readings({FIRST: 50.0, OTHER: 60.0}, run=[FIRST])
    screened(tmp_path, OTHER)
    made = evidence.judged("Z1").record
    assert made.said == "not reproduced" and made.values["low_value"][0] == pytest.approx(50, abs=1)


def test_the_nearest_reading_that_fails_on_its_own_blocks_is_the_one_refuted(readings):
    made = readings({FIRST: 50.0, OTHER: 20.0}, run=[FIRST, OTHER])
    assert made.said == "not reproduced" and made.values["low_value"][0] == pytest.approx(20, abs=1)


def test_of_equally_near_readings_the_first_is_judged(readings):
    readings({FIRST: 50.0, OTHER: 50.0}, run=[FIRST])
    made = evidence.judged("Z1")
    assert made.record.said == "not reproduced" and made.source.endswith(f"reading: {FIRST}")


@pytest.mark.parametrize(
    "mean, said", [(0.0, f"reproduced (in the reading {OTHER!r})"), (60.0, "not reproduced")]
)
def test_runs_that_are_not_committed(readings, tmp_path, mean, said):
    """Those of a folder are judged in place of the evidence, of which there is none here."""
    record = readings({FIRST: 50.0, OTHER: mean}, run=[FIRST, OTHER], folder=tmp_path / "store")
    assert record.said == said
    assert evidence.judged("Z1").record.said == "open, for lack of runs"


def test_what_the_paper_cannot_have_meant(readings):
    """A reading that is there for comparison is no chance: it is not asked, and saves nothing."""
    record = readings({FIRST: 50.0, OTHER: 0.0}, run=[FIRST], plausible=False)
    assert record.said == "not reproduced"
    record = readings({FIRST: 50.0, OTHER: 0.0}, run=[FIRST, OTHER], plausible=False)
    assert record.said == "not reproduced"


def test_an_arm_too_few(readings, monkeypatch, tmp_path):
    """A reading of which only one of the two arms was run was not screened."""
    record = readings({FIRST: 50.0, OTHER: 60.0}, run=[FIRST])
    toy.make_evidence(
        tmp_path / "evidence", tmp_path / "runs", reading=OTHER, arms=["low"], size="full",
        blocks=range(100, 101),
    )  # fmt: skip
    assert record.said == evidence.judged("Z1").record.said
    assert record == replace(record, lacks=f"the reading {OTHER!r}")


def of_claim(monkeypatch, **changes):
    """Z1 with other entries."""
    made = ledger.find("Z1") | changes
    monkeypatch.setattr(ledger.claims, "all_claims", lambda: {"Z1": made})


def test_a_claim_about_some_readings_has_its_chance_in_these(readings, monkeypatch):
    """Another one in which it holds, or that was never run, is not asked."""
    readings({FIRST: 50.0, OTHER: 0.0, THIRD: 70.0}, run=[FIRST, OTHER])
    of_claim(monkeypatch, readings=[FIRST, THIRD])
    assert evidence.judged("Z1").record.said == f"open, for lack of the reading {THIRD!r}"
    of_claim(monkeypatch, readings=[FIRST])
    assert evidence.judged("Z1").record.said == "not reproduced"


def test_a_claim_of_this_book_has_no_other_reading(readings, monkeypatch):
    readings({FIRST: 50.0, OTHER: 0.0}, run=[FIRST, OTHER])
    of_claim(monkeypatch, paper=ledger.OWN)
    assert evidence.judged("Z1").record.said == "not reproduced"


def test_readings_of_claims_are_those_of_their_experiment():
    """And the first one, on which the claim is judged, is among them."""
    about = {n: c for n, c in ledger.all_claims().items() if "readings" in c}
    assert "B30" in about
    for claim in about.values():
        (experiment,) = {quantity["experiment"] for quantity in claim["quantities"]}
        known = list(experiments.find(experiment).READINGS)
        assert set(claim["readings"]) <= set(known) and claim["readings"][0] == known[0]
