"""What decides a claim: evidence, a run of data/recorded, or a page's own."""

from types import SimpleNamespace

import pytest

from helpers.ledger import Standing, judge, legacy_runs, rules, standing
from helpers.ledger.standing import joined

# C17 names an experiment for each of its quantities, C14 none.
WHOLE = {
    "js_min_d_loss_share": [0.0, 0.01, 0.02],
    "js_longest_collapse": [900.0, 800.0, 850.0],
}
PART = {"js_min_d_loss_share": [0.0, 0.01, 0.02]}


def judged(values):
    return SimpleNamespace(record=judge("C17", values, profile="full"), source="full size, 3 seeds")


def legacy(claim, values, profile="full", chapter="two_clusters"):
    run = {"chapter": chapter, "seeds": "0", "device": "CPU", "date": "2026-01-02"}
    return judge(claim, values, profile=profile), run


@pytest.mark.parametrize(
    "evidence, before, verdict, source",
    [
        (WHOLE, WHOLE, rules.REPRODUCED, "full size, 3 seeds"),
        (PART, WHOLE, rules.REPRODUCED, "legacy: full profile, seeds 0, CPU, 2026-01-02"),
        (PART, PART, rules.OPEN, "full size, 3 seeds"),
        ({}, WHOLE, rules.REPRODUCED, "legacy: full profile, seeds 0, CPU, 2026-01-02"),
        ({}, PART, rules.OPEN, "full size, 3 seeds"),
        ({}, None, rules.OPEN, "full size, 3 seeds"),
    ],
)
def test_a_claim_of_experiments(evidence, before, verdict, source):
    """Whole evidence goes first, then a whole legacy run; a page's own run decides nothing."""
    runs = [] if before is None else [legacy("C17", before)]
    live = judge("C17", WHOLE, profile="full")
    found = standing("C17", judged=judged(evidence), legacy=runs, live=live)
    assert (found.record.verdict, found.source) == (verdict, source)
    assert found.legacy == source.startswith("legacy")


def test_a_claim_that_pages_compute():
    """A recorded run decides, of the largest profile there is; else the page; else nothing."""
    live = judge("C14", 2e6, profile="quick")
    assert standing("C14") is None
    assert standing("C14", live=live) == Standing(live, "")
    runs = [legacy("C14", 1.0, "medium", "a"), legacy("C14", 3e6, "full", "b")]
    found = standing("C14", legacy=runs, live=live)
    assert found.record.values == {"supremum_to_1e6": 3e6} and found.legacy


def test_a_part_of_a_legacy_run_decides_nothing():
    """Without evidence, the page's own run does, though it holds less."""
    live = judge("C17", {}, profile="quick")
    assert standing("C17", legacy=[legacy("C17", PART)], live=live) == Standing(live, "")
    assert standing("C17", legacy=[legacy("C17", PART)]) is None


def test_what_a_legacy_run_rests_on():
    """Each run once, and a question mark for what it does not say."""
    values = [{name: value} for name, value in WHOLE.items()]
    runs = [legacy("C17", each) for each in values]
    said = "legacy: full profile, seeds 0, CPU, 2026-01-02"
    assert standing("C17", legacy=runs).source == said
    runs[1][1].update(device="GPU", seeds="1")
    assert standing("C17", legacy=runs).source == f"{said}; seeds 1, GPU, 2026-01-02"
    runs[1] = (runs[1][0], {"chapter": "ring"})
    assert standing("C17", legacy=runs).source == f"{said}; seeds ?, ?, ?"


def test_joined_notes():
    """What several chapters measured on, each once, in their order."""
    parts = [
        (judge("B24", {name: [20.0, 1.0]}, profile="full", note=note), name)
        for name, note in (
            ("mog_sharpness", "on a mixture"),
            ("mnist_sharpness", "on digits"),
            ("cifar_sharpness", "on digits"),
            ("printed_cifar_axes", ""),
        )
    ]
    assert joined(parts).note == "on a mixture; on digits"


def test_recorded_twice():
    """Two runs of one profile with the same quantity do not both decide."""
    with pytest.raises(ValueError, match="C14 is recorded twice, by a and b"):
        standing("C14", legacy=[legacy("C14", 1.0, chapter=name) for name in "ab"])


def test_an_unknown_claim():
    with pytest.raises(ValueError, match="unknown claim"):
        standing("C99")


def test_legacy_runs_are_those_of_the_package():
    """By claim, each with the run that made it; exact claims have none."""
    found = legacy_runs()
    assert found and "C01" not in found
    assert all(made.claim == claim for claim, runs in found.items() for made, _ in runs)


@pytest.mark.parametrize("few, verdict", [(2, rules.OPEN), (6, rules.NOT_REPRODUCED)])
def test_a_legacy_run_of_few_seeds_refutes_nothing(few, verdict):
    few *= 1 if few < 6 else 20  # of 120 seeds none: less than 5% for sure
    bad = {name: [9.0 if "loss" in name else 0.0] * few for name in WHOLE}
    assert standing("C17", legacy=[legacy("C17", bad)]).record.verdict == verdict


def test_a_legacy_median_refutes_nothing():
    """It does not say of how many seeds it is."""
    run = legacy("B22", dict.fromkeys(("mog_lean", "mnist_lean", "cifar_lean"), -0.5))
    assert run[0].verdict == rules.NOT_REPRODUCED
    assert standing("B22", legacy=[run]).record.said == "open, for lack of seeds"
