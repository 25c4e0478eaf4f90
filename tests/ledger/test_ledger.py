"""The ledger: verdicts from numbers, what a notebook keeps of them, and the table of claims."""

import copy
import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from IPython.core import formatters

from helpers import ledger
from helpers.book.layout import checkout
from helpers.ledger import (
    claims,
    collect,
    count,
    glue,
    judge,
    rules,
    scoreboard,
    show_value,
)


def record(claim, values, *, judged=None, **options):
    """What a chapter does with values that it has computed."""
    made = judge(claim, values, **{"profile": "quick"} | options)
    found = ledger.Standing(judged.record, judged.source) if judged else ledger.Standing(made, "")
    ledger.show_box(found, made)


KEYS = {"id", "paper", "place", "kind", "claim", "paper_value", "chapters", "lowest", "quantities"}
KEYS |= {"history"}
QUANTITIES = [
    (claim["id"], q) for claim in ledger.all_claims().values() for q in claim["quantities"]
]
# The values of Claim 3.1, the last one the number of states to which two cases apply.
C03 = {
    "s2": -math.log(2),
    "s1b": -math.log(2) / 2,
    "s1a": -0.477386,
    "s0": 0,
    "doubly_matched_states": 1,
}
MADE_UP = {
    "id": "Z1",
    "paper": "A",
    "place": "Fig. <1>",
    "kind": "figure",
    "claim": "a < b & <script>alert('b')</script>",
    "paper_value": "",
    "chapters": [],
    "lowest": "quick",
    "quantities": [
        {"name": "one", "what": "<b>one</b>", "rule": "at_most", "paper": 1.0},
        {
            "name": "two",
            "what": "two",
            "rule": "at_least",
            "paper": 1.0,
            "if_holds": rules.CAVEAT,
            "if_fails": rules.ERROR,
        },
        {"name": "three", "what": "a to b", "rule": "at_least", "paper": 2.0},
    ],
}


@pytest.fixture
def shown(monkeypatch):
    """What is published instead of displayed: a list of (data, metadata)."""
    published = []
    monkeypatch.setattr(
        "helpers.ledger.notebooks.publish_display_data", lambda *args: published.append(args)
    )
    return published


@pytest.fixture
def made_up(monkeypatch):
    """A table that holds one made-up claim."""
    claim = json.loads(json.dumps(MADE_UP))
    monkeypatch.setattr("helpers.ledger.claims.all_claims", lambda: {claim["id"]: claim})
    return claim


def notebook(published):
    """A notebook with a cell for each output, as it comes back from its file."""
    cells = [
        {"outputs": [{"output_type": "display_data", "data": data, "metadata": metadata}]}
        for data, metadata in published
    ]
    prose = {"cell_type": "markdown", "source": ""}
    stream = {"outputs": [{"output_type": "stream", "text": "1"}]}
    return json.loads(json.dumps({"cells": [prose, stream, *cells]}))


def test_claims_have_what_they_need():
    """Claims of all papers, unique ids, all keys, and quantities or a reason for having none."""
    path = checkout().root / "data/claims.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    assert len(table) == len({claim["id"] for claim in table}) == len(ledger.all_claims())
    assert {claim["paper"] for claim in table} == set(ledger.PAPERS)
    for claim in table:
        assert set(claim) - {"untestable", "home", "needs", "readings"} == KEYS, claim["id"]
        assert claim.get("home", "two_clusters") in checkout().chapters(), claim["id"]
        assert claim["id"][0] == claim["paper"] and claim["paper"] in ledger.PAPERS
        assert claim["lowest"] in ledger.PROFILES, claim["id"]
        names = [quantity["name"] for quantity in claim["quantities"]]
        assert len(names) == len(set(names)), claim["id"]
        assert bool(names) != bool(claim.get("untestable")), claim["id"]
        assert claim.get("home") in (None, *claim["chapters"]), claim["id"]
        needs = claim.get("needs", dict.fromkeys(("what", "command"), "-"))
        assert set(needs) == {"what", "command"} and all(needs.values()), claim["id"]
        assert claim["claim"] and claim["place"] and type(claim["chapters"]) is list, claim["id"]
        # Evidence judges a claim as a whole.
        assert len({"experiment" in q for q in claim["quantities"]}) <= 1, claim["id"]


C03_RULE = next(q for q in ledger.find("C03")["quantities"] if q["name"] == "s2")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"id": "C03"}, "two claims have the id C03"),
        ({"place": " "}, "Z9 has no source: place says where"),
        ({"place": None}, "Z9 has no source"),
        ({"quantities": [C03_RULE, C03_RULE]}, "Z9 has two quantities named 's2'"),
        ({"quantities": [C03_RULE | {"what": ""}]}, "Z9, s2: 'what' must say what is measured"),
        ({"quantities": [C03_RULE | {"rule": "about"}]}, "unknown rule 'about'"),
    ],
)
def test_claims_that_are_refused(change, message):
    """By whatever reads data/claims.json, `make check` among it."""
    other = ledger.find("C03")
    assert list(claims.by_id([other, other | {"id": "Z9"}])) == ["C03", "Z9"]
    with pytest.raises(ValueError, match=re.escape(message)):
        claims.by_id([other, other | {"id": "Z9"} | change])


def test_changed_rules_say_so():
    """When, what and why, in the box and on the scoreboard; the other claims say nothing of it."""
    values = {q["name"]: q["paper"] for q in ledger.find("A02")["quantities"]}
    box = ledger.as_html(ledger.judge("A02", values, profile="quick"))
    assert "Rule changed on 2026-11-27, after a run had been seen: operations of the dense" in box
    assert "Rule changed" not in ledger.as_html(ledger.judge("C14", 1e6, profile="quick"))


def test_every_rule_is_on_record():
    """Each of the book's rules is the last one of its history."""
    assert ledger.history.faults(ledger.all_claims().values()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"lowest": "full"},
        {"quantities": [{"name": "supremum", "what": "else", "rule": "at_least", "paper": 1.0}]},
        {"quantities": []},
    ],
)
def test_a_rule_changed_in_silence_is_refused(change):
    claim = ledger.find("C14") | change
    (fault,) = ledger.history.faults([claim])
    now, last = ledger.history.rule_hash(claim), claim["history"][-1]["rule"]
    assert fault.startswith(f"C14: its rule is {now} and the last one on record {last}")
    later = dict(date="2026-12-01", what="it", why="so", seen=True, rule=now)
    said = claim | {"history": [*claim["history"], later]}
    assert ledger.history.faults([said]) == []
    assert ledger.changes(said) == [
        "Rule changed on 2026-12-01, after a run had been seen: it, because so."
    ]
    unseen = said | {"history": [*claim["history"], later | {"seen": False}]}
    assert ledger.changes(unseen) == [
        "Rule changed on 2026-12-01, before a run had been seen: it, because so."
    ]
    early = [later, *claim["history"]]
    assert "not in the order of dates" in ledger.history.faults([claim | {"history": early}])[0]


@pytest.mark.parametrize("name", ["paper", "within", "if_fails", "what", "name", "rule"])
def test_each_part_of_a_rule_counts(name):
    """Another value of any of them is another rule; where a quantity is measured is none of it."""
    claim = copy.deepcopy(ledger.find("C14"))
    claim["quantities"][0] |= {"experiment": "toy"}
    assert ledger.history.rule_hash(claim) == ledger.history.rule_hash(ledger.find("C14"))
    claim["quantities"][0] |= {name: "other"}
    assert ledger.history.rule_hash(claim) != ledger.history.rule_hash(ledger.find("C14"))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        [{"date": "2026-11-22"}],
        [{"date": "yesterday", "what": "a", "why": "b", "seen": True, "rule": "c"}],
        [{"date": "2026-11-22", "what": "", "why": "b", "seen": True, "rule": "c"}],
        [{"date": "2026-11-22", "what": "a", "why": "b", "seen": "no", "rule": "c"}],
        [{"date": None, "what": "a", "why": "b", "seen": True, "rule": "c"}],
    ],
)
def test_a_history_that_is_none_is_refused(wrong):
    (fault,) = ledger.history.faults([ledger.find("C14") | {"history": wrong}])
    assert fault.startswith("C14: an entry of its history has a date, what, why, seen")
    assert fault.endswith(f", got {wrong[0] if wrong else 'no entry'}")


def test_no_clock_decides():
    """No quantity of a claim is a time on a clock, which differs from one hour to the next."""
    clocks = {"seconds", "clock", "runtime", "milliseconds", "speed", "faster"}
    for claim in ledger.all_claims().values():
        for quantity in claim["quantities"]:
            words = f"{quantity['name']} {quantity['what']}".replace("_", " ").lower()
            assert not clocks & set(words.split()) and "solver time" not in words, words


def test_data_file(tmp_path, monkeypatch):
    """Beside the module where it is installed, in data/ of a checkout; else both are named."""
    monkeypatch.setattr(claims, "__file__", str(tmp_path / "helpers" / "ledger" / "claims.py"))
    with pytest.raises(FileNotFoundError, match=r"no a\.json in .*helpers nor in .*data"):
        ledger.data_file("a.json")
    for folder in ("data", "helpers"):  # what is installed goes first
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.json").touch()
        assert ledger.data_file("a.json").parent.name == folder


@pytest.mark.parametrize("claim_id, quantity", QUANTITIES)
def test_quantities(claim_id, quantity):
    """Rules are complete and satisfiable, verdicts are judgements, nothing is misspelt."""
    rules.check_rule(quantity)
    needs = {"equal": {"within"}, "sign": {"margin"}, "fraction": {"each"}}
    allowed = {"name", "what", "rule", "paper", "if_holds", "if_fails", "lowest", "experiment"}
    allowed.add("premise")
    assert set(quantity) <= allowed | needs.get(quantity["rule"], set())
    assert quantity.get("lowest", "quick") == "quick"
    assert {quantity.get("if_holds", rules.REPRODUCED)} <= set(rules.VERDICTS[:5])
    assert {quantity.get("if_fails", rules.NOT_REPRODUCED)} <= set(rules.VERDICTS[:5])
    assert quantity["name"].isidentifier() and quantity["what"] and math.isfinite(quantity["paper"])
    for rule in (quantity, quantity.get("each", {})):
        assert rule.get("rule") != "sign" or rule["paper"] in (-1, 0, 1)
        assert rule.get("within", 0) >= 0 and rule.get("margin", 0) >= 0
    assert quantity["rule"] != "fraction" or 0 < quantity["paper"] <= 1


def test_verdict_texts_have_marks():
    """Every verdict has its own mark, which carries the meaning where colour is not seen."""
    assert list(ledger.MARKS) == list(rules.VERDICTS)
    assert len({mark for mark, _ in ledger.MARKS.values()}) == len(rules.VERDICTS)


def test_judge():
    """Claim 3.1: the worst quantity decides, and if_fails says what a failure means."""
    made = judge("C03", C03, profile="quick")
    good = dict.fromkeys(["s2", "s1a", "s0"], rules.REPRODUCED)
    slips = dict.fromkeys(["s1b", "doubly_matched_states"], rules.HARMLESS_ERROR)
    assert made.verdicts == good | slips  # -0.3466 is not the -0.3467 printed
    assert made.verdict == rules.HARMLESS_ERROR
    fixed = C03 | {"s1b": -0.3467, "doubly_matched_states": 0}
    assert judge("C03", fixed | {"s0": 0.1}, profile="full").verdict == rules.NOT_REPRODUCED
    assert judge("C03", fixed, profile="quick").verdict == rules.REPRODUCED


def test_judge_with_own_verdicts(made_up):
    """if_holds and if_fails replace the usual verdicts, and only for their quantity."""
    values = {"one": 1.0, "two": 1.0, "three": 2.0}
    assert judge("Z1", values, profile="quick").verdict == rules.CAVEAT
    assert judge("Z1", values | {"two": 0.5}, profile="quick").verdict == rules.ERROR
    assert judge("Z1", values | {"three": 1.0}, profile="quick").verdict == rules.NOT_REPRODUCED


@pytest.mark.parametrize("one, verdict", [(1.0, rules.NOT_REPRODUCED), (2.0, rules.OPEN)])
def test_a_premise_that_does_not_hold_leaves_a_claim_open(made_up, one, verdict):
    """Whatever the other quantities say: they are not about such runs."""
    made_up["quantities"][0]["premise"] = "runs that collapse"
    values = {"one": one, "two": 1.0, "three": 1.0}
    made = judge("Z1", values, profile="quick")
    assert made.verdict == verdict
    assert made.said == (verdict if one == 1 else "open, for lack of runs that collapse")


def test_how_far_a_record_is_from_its_claim(made_up):
    """The worst of the quantities; without bound where one is missing."""
    values = {"one": 1.5, "two": 1.0, "three": 0.5}
    made_up["quantities"][2]["rule"] = "at_most"
    made_up["quantities"][2]["paper"] = 0.25
    assert judge("Z1", values, profile="quick").miss == 1.0
    assert judge("Z1", values | {"three": 0.25}, profile="quick").miss == 0.5


def test_a_record_that_lacks_a_quantity_is_without_bound_from_its_claim():
    assert judge("B24", {"mog_sharpness": [20.0]}, profile="full").miss == math.inf


def test_what_is_wrong_at_any_scale():
    """A mean above its maximum needs no long run to be refuted; numbers of a small run still do.

    Experiments decide this claim, so that of the others a record that lacks one says no more.
    """
    ours = {f"{kind}_{of}_is": [1.0] for kind in ("nsgan", "nugan") for of in ("mean", "max")}
    printed = {"printed_mean_minus_maximum": 8.53 - 7.67}
    for profile in ("quick", "medium"):
        made = ledger.judge("A18-EMNIST", ours | printed, profile=profile)
        assert made.verdict == rules.HARMLESS_ERROR and not made.lacks
        assert ledger.judge("A18-EMNIST", printed, profile=profile).verdict == made.verdict
    fine = ours | {"printed_mean_minus_maximum": -0.5}
    small = ledger.judge("A18-EMNIST", fine, profile="quick")
    assert small.said == "open, for lack of a run at full size"
    part = ledger.judge("A18-EMNIST", ours, profile="medium")
    assert part.said == "open, for lack of runs of the rest"


def test_data_that_runs_need_are_what_is_lacking():
    """Of a claim for which nothing was run; the text is that of data/claims.json."""
    needs = ledger.find("C22-6")["needs"]["what"]
    assert ledger.judge("C22-6", {}, profile="quick").said == f"open, for lack of {needs}"
    part = ledger.judge("C22-6", {"fid_gap_stl_sn": [1.0] * 3}, profile="full")
    assert part.said == "open, for lack of runs of the rest"
    (row,) = (row for row in scoreboard({}) if row.claim["id"] == "C22-6")
    assert row.said == f"open, for lack of {needs}"
    assert ledger.judge("C17", {}, profile="full").said == "open, for lack of runs"


SEEDS = {"rule": "at_most", "paper": 1.0}
EACH = {"rule": "fraction", "paper": 0.5, "each": SEEDS}


@pytest.mark.parametrize(
    "rule, values, verdict",
    [
        (SEEDS, [0.5] * 2, rules.OPEN),  # holds, on too few
        (SEEDS, [0.5] * 3, rules.REPRODUCED),
        (SEEDS, [2.0] * 5, rules.OPEN),  # fails, on too few
        (SEEDS, [2.0] * 6, rules.NOT_REPRODUCED),
        (SEEDS, [0.5, *[2.0] * 5], rules.OPEN),  # the interval of the median has 0.5
        (SEEDS, [0.5, *[2.0] * 30], rules.NOT_REPRODUCED),
        (SEEDS, [0.5, 0.6, 2.0], rules.REPRODUCED),  # the median holds
        (SEEDS | {"rule": "at_least"}, [0.5] * 6, rules.NOT_REPRODUCED),
        (SEEDS | {"rule": "at_least"}, [*[0.5] * 5, 1.5], rules.OPEN),
        (SEEDS | {"rule": "equal", "within": 0.1}, [2.0] * 6, rules.NOT_REPRODUCED),
        (SEEDS | {"rule": "equal", "within": 0.1}, [0.5] * 6, rules.NOT_REPRODUCED),
        (SEEDS | {"rule": "equal", "within": 0.1}, [0.5, *[2.0] * 5], rules.OPEN),
        (SEEDS | {"rule": "sign", "margin": 0.1}, [-1.0] * 6, rules.NOT_REPRODUCED),
        (SEEDS | {"rule": "sign", "margin": 0.1}, [*[-1.0] * 5, 0.5], rules.OPEN),
        ({"rule": "sign", "paper": -1, "margin": 0.1}, [*[1.0] * 5, -0.5], rules.OPEN),
        ({"rule": "sign", "paper": 0, "margin": 0.1}, [1.0] * 6, rules.NOT_REPRODUCED),
        ({"rule": "sign", "paper": 0, "margin": 0.1}, [-0.5, *[1.0] * 5], rules.OPEN),
        (EACH, [0.5, 0.5, 2.0], rules.REPRODUCED),
        (EACH, [2.0] * 5, rules.OPEN),
        (EACH, [2.0] * 6, rules.NOT_REPRODUCED),  # at most 46% of the seeds, by the interval
        (EACH, [0.5, *[2.0] * 5], rules.OPEN),  # up to 64%
        (SEEDS | {"if_fails": rules.CAVEAT}, [2.0] * 3, rules.CAVEAT),
        (SEEDS | {"if_fails": rules.ERROR}, [2.0] * 3, rules.OPEN),
        (SEEDS | {"if_fails": rules.ERROR}, [2.0] * 6, rules.ERROR),
        (SEEDS, 2.0, rules.NOT_REPRODUCED),  # a number that is computed, of no seed
    ],
)
def test_how_many_seeds(made_up, rule, values, verdict):
    """Three hold; six fail, if their interval has nothing of what was asked."""
    made_up["quantities"] = [{"name": "one", "what": "one", **rule}]
    made = judge("Z1", values, profile="full")
    assert made.verdict == verdict
    assert made.said == ("open, for lack of seeds" if verdict == rules.OPEN else verdict)


def test_refuted_beside_open(made_up):
    """What is refuted stays so whatever else is open; what holds does not close the rest."""
    made_up["quantities"] = [{"name": name, "what": name, **SEEDS} for name in ("one", "two")]
    for one, two, verdict in (
        ([2.0] * 6, [2.0], rules.NOT_REPRODUCED),
        ([0.5] * 6, [2.0], rules.OPEN),
        ([0.5] * 6, [0.5] * 6, rules.REPRODUCED),
    ):
        assert judge("Z1", {"one": one, "two": two}, profile="full").verdict == verdict


def test_judge_one_quantity():
    """A claim with a single quantity takes its bare number, or one number a seed."""
    bare = judge("C14", 1e6, profile="quick")
    assert bare == judge("C14", {"supremum_to_1e6": 1e6}, profile="quick")
    assert bare.verdict == rules.REPRODUCED
    assert judge("C14", [0, 2e6, 3e6], profile="quick").values == {
        "supremum_to_1e6": [0.0, 2e6, 3e6]
    }
    assert judge("C14", 1e5, profile="quick").verdict == rules.NOT_REPRODUCED


def test_a_smaller_run_may_lack_quantities(made_up, shown):
    """Where the full profile is needed anyhow, and even all of them; a note says on what it ran."""
    made_up["lowest"] = "full"
    for values in ({"one": 1}, {}):
        for profile in ("quick", "medium"):
            made = judge("Z1", values, profile=profile, note="on <digits>")
            assert made.said == "open, for lack of a run at full size"
            assert "Measured on &lt;digits&gt;." in ledger.as_html(made)
            assert len(made.missing) == 3 - len(values)
        with pytest.raises(ValueError, match="Z1 needs one, two, three"):
            judge("Z1", values, profile="full")
    record("Z1", {"one": 1}, note="on digits")
    ((_, metadata),) = shown
    assert metadata["ganscapes"]["note"] == "on digits"


@pytest.mark.parametrize("lowest", ["quick", "full"])
def test_lowest(made_up, lowest):
    """A claim that only a run at full size decides is open after a quick one, good or bad."""
    made_up["lowest"] = lowest
    for three, full in ((2, rules.CAVEAT), (1, rules.NOT_REPRODUCED)):
        values = {"one": 1, "two": 1, "three": three}
        quick = judge("Z1", values, profile="quick")
        assert quick.verdict == (rules.OPEN if lowest == "full" else full)
        assert rules.worst(list(quick.verdicts.values())) == full
        assert judge("Z1", values, profile="full").verdict == full


@pytest.mark.parametrize(
    "claim_id, values, message",
    [
        ("C99", 1.0, "unknown claim 'C99'"),
        ("c14", 1.0, "unknown claim"),
        ("C03", 1.0, "C03 has 5 quantities"),
        ("C03", [1.0] * 5, "C03 has 5 quantities"),
        ("C03", {k: v for k, v in C03.items() if k != "s0"}, "C03 needs s2, .*; got"),
        ("C03", C03 | {"s3": 0.0}, f"C03 needs {', '.join(C03)}; got {', '.join(C03)}, s3"),
        ("C14", {}, "C14 needs"),
        ("C14", math.nan, "NaN"),
        ("C14", [1.0, math.nan], "NaN"),
        ("C14", [], "needs numbers"),
        ("C03", C03 | {"s0": math.nan}, "NaN"),
    ],
)
def test_judge_errors(shown, claim_id, values, message):
    """Wrong claims, quantities and NaN are refused, and then nothing is shown or stored."""
    for refuse in (judge, record):
        with pytest.raises(ValueError, match=message):
            refuse(claim_id, values, profile="quick")
    assert shown == []


@pytest.mark.parametrize("profile", ["huge", "", None, ["quick"]])
def test_a_profile_that_is_none(profile):
    with pytest.raises(ValueError, match=r"unknown profile .*; there are quick, medium, full"):
        judge("C14", 1e6, profile=profile)


@pytest.mark.parametrize("container", [np.array, torch.tensor, tuple, list])
def test_plain_numbers(container):
    """Arrays and tensors are stored as plain numbers, which JSON can hold."""
    made = judge("C14", container([1e6, 2e6]), profile="quick")
    assert json.loads(json.dumps(made.as_json()))["values"] == {"supremum_to_1e6": [1e6, 2e6]}
    for number in (np.float64(1e6), np.array(1e6), torch.tensor(1e6), 1_000_000):
        assert type(judge("C14", number, profile="quick").values["supremum_to_1e6"]) is float
    made = judge("C14", container([torch.tensor(1e6), torch.tensor(2e6)]), profile="quick")
    assert made.as_json()["values"] == {"supremum_to_1e6": [1e6, 2e6]}


def test_record_is_collected(shown):
    """What `record` leaves in a notebook reads back as the same records, in order."""
    values = C03 | {"s0": 0.1 + 0.2 - 0.3}  # digits that rounding would lose
    record("C03", values)
    glue("between", 1)
    record("C14", np.array([1e6, 3e6]), profile="full")
    expected = [judge("C03", values, profile="quick"), judge("C14", [1e6, 3e6], profile="full")]
    assert list(collect(notebook(shown))) == expected


def test_a_record_without_a_note():
    made = ledger.Record("C14", {}, {}, rules.REPRODUCED, "quick")
    assert (made.note, made.lacks, made.said) == ("", "", "reproduced")


def test_a_stored_record_keeps_its_note():
    made = judge("C14", 2e6, profile="full", note="on digits")
    assert ledger.Record.from_json(made.as_json()) == made
    assert ledger.Record.from_json(judge("C14", 2e6, profile="full").as_json()).note == ""


def test_record_is_shown(shown):
    """The output has a box for pages and a line for terminals, both with verdict and value."""
    record("C14", 2e6)
    ((data, metadata),) = shown
    assert set(data) == {"text/plain", "text/html"}
    assert data["text/plain"] == "C14 reproduced: supremum_to_1e6 = 2e+06 [≥ 1e+06]"
    assert metadata == {
        "ganscapes": {"claim": "C14", "values": {"supremum_to_1e6": 2e6}, "profile": "quick"}
    }
    for part in ('id="claim-C14"', "✓ C14: reproduced", "Sun et al. 2020", "2e+06", "≥ 1e+06"):
        assert part in data["text/html"]


def test_record_beside_evidence(shown):
    """The box is of the evidence, here of a part; what is stored are the page's own numbers."""
    part = SimpleNamespace(
        record=judge("B24", MIXTURE, profile="full"), source="full size, 8 seeds"
    )
    record("B24", IMAGES, judged=part)
    ((data, metadata),) = shown
    assert data["text/plain"] == (
        "B24 open, for lack of runs of the rest: mog_sharpness = 20 (from 20 to 20, 3 seeds) "
        "[≥ 10] (full size, 8 seeds)"
    )
    own, folded = data["text/html"].split("<details>")
    assert own.count(">not run</td>") == 3 and "30 (from 30" in folded and "30 (from 30" not in own
    assert set(metadata["ganscapes"]["values"]) == set(IMAGES)


def test_html_is_escaped(made_up):
    """Claims, places and quantities may hold < and &: they print, and are no markup."""
    values = {"one": 1, "two": 1, "three": 2}
    html = ledger.as_html(judge("Z1", values, profile="quick"))
    assert "<script>" not in html and "<b>" not in html and "<1>" not in html
    assert "a &lt; b &amp; &lt;script&gt;" in html
    assert "Fig. &lt;1&gt;" in html and "&lt;b&gt;one&lt;/b&gt;" in html


def test_collect_judges_by_todays_rules(made_up):
    """A stored verdict does not outlive its rule."""
    stored = {"claim": "Z1", "values": {"one": 1, "two": 1, "three": 2}, "profile": "quick"}
    book = {"cells": [{"outputs": [{"metadata": {"ganscapes": stored}}]}]}
    assert [made.verdict for made in collect(book)] == [rules.CAVEAT]
    made_up["quantities"][0]["paper"] = 0.5
    assert [made.verdict for made in collect(book)] == [rules.NOT_REPRODUCED]


@pytest.mark.parametrize("value", [42, -0.25, 1 / 3, "two words", 1e-20])
def test_glue_is_myst_nbs(shown, monkeypatch, value):
    """`glue` publishes what MyST-NB's own publishes, floats to ten digits."""
    theirs = pytest.importorskip("myst_nb.ext.glue")
    published = []
    monkeypatch.setattr(
        theirs, "ipy_display", lambda data, raw, metadata: published.append((data, metadata))
    )
    monkeypatch.setattr(formatters, "format_display_data", formatters.DisplayFormatter().format)
    rounded = float(f"{value:.10g}") if isinstance(value, float) else value
    theirs.glue("name", rounded, display=False)
    glue("name", value)
    assert shown == published


def test_glue_format(shown):
    """The format as such, where MyST-NB is not installed, and numbers that are no Python ones."""
    glue("third", np.float64(1) / 3)
    glue("tensor", torch.tensor(0.25))
    key = "application/papermill.record/text/plain"
    assert [data for data, _ in shown] == [{key: "0.3333333333"}, {key: "0.25"}]
    book = {"name": "third", "mime_prefix": "application/papermill.record/"}
    assert shown[0][1] == {"scrapbook": book}


def test_scoreboard(shown):
    """All claims in order; a full run overrides the quick one, and the rest wait for a run."""
    record("C14", 1e5)
    record("C03", C03)
    book = notebook(shown)
    stored = judge("C14", 1e6, profile="full").as_json()
    run = {"chapter": "two_points", "records": [stored]}
    rows = {r.claim["id"]: r for r in scoreboard({"two_points": book}, [run])}
    assert list(rows) == list(ledger.all_claims())
    assert rows["C14"].verdict == rows["C14"].full[0][0].verdict == rules.REPRODUCED
    assert rows["C14"].quick.verdict == rules.NOT_REPRODUCED
    assert rows["C14"].chapters == rows["C03"].chapters == ("two_points",)
    assert rows["C03"].verdict == rules.HARMLESS_ERROR and rows["C03"].full == ()
    counts = count(list(rows.values()))
    assert list(counts) == list(rules.VERDICTS)
    once = (rules.REPRODUCED, rules.HARMLESS_ERROR, rules.UNMEASURABLE)
    assert [counts[verdict] for verdict in once] == [1, 1, 1]
    assert counts[rules.OPEN] == len(rows) - 3
    assert rows["A20"].said == rules.UNMEASURABLE and rows["C01"].said == "open, for lack of runs"


def test_claim_recorded_twice(shown):
    """A quantity has one chapter, and is recorded there once."""
    record("C14", 1e6)
    book = notebook(shown)
    for executed in ({"one": book, "two": book}, {"one": notebook(shown * 2)}):
        with pytest.raises(ValueError, match=r"C14 is recorded .*by one and"):
            scoreboard(executed)


# Of B24, which two chapters share.
MIXTURE, IMAGES = (
    {"mog_sharpness": [20.0, 20.0, 20.0]},
    {name: [30.0] * 3 for name in ("mnist_sharpness", "cifar_sharpness")}
    | {"printed_cifar_axes": 1 / 9},
)


@pytest.mark.parametrize(
    "parts, profile, verdict",
    [
        ([MIXTURE], "full", rules.OPEN),
        ([{"mog_sharpness": [2.0, 1.0, 1.0]}], "full", rules.OPEN),  # a part refutes nothing
        ([{"mog_sharpness": [2.0, 1.0, 1.0]}], "quick", rules.OPEN),
        ([MIXTURE, IMAGES], "full", rules.CAVEAT),
        ([IMAGES, {"mog_sharpness": [2.0, 1.0, 1.0]}], "full", rules.OPEN),  # of too few seeds
    ],
)
def test_claim_of_two_chapters(parts, profile, verdict):
    """Each chapter brings its quantities; the board joins them and says who did."""
    chapters = ["mixture_of_gaussians", "mnist_game"][: len(parts)]
    made = [judge("B24", part, profile=profile) for part in parts]
    runs = [
        {"chapter": name, "records": [each.as_json()]}
        for name, each in zip(chapters, made, strict=True)
    ]
    row = {r.claim["id"]: r for r in scoreboard({}, runs)}["B24"]
    assert row.verdict == verdict
    assert [run["chapter"] for _, run in row.full] == chapters


@pytest.mark.parametrize("chapter", ["mixture_of_gaussians", "mnist_game"])
def test_a_medium_part_does_not_decide(chapter):
    """Bad numbers of a medium run beside good ones of a full run refute nothing, and are shown."""
    parts = [("full", "mixture_of_gaussians", MIXTURE)]
    parts.append(("medium", "mnist_game", {"mnist_sharpness": [1.0, 1.0, 1.0]}))
    runs = [
        {"chapter": name, "records": [judge("B24", values, profile=profile).as_json()]}
        for profile, name, values in (parts if chapter == parts[0][1] else parts[::-1])
    ]
    row = {r.claim["id"]: r for r in scoreboard({}, runs)}["B24"]
    assert row.verdict == rules.OPEN
    assert {made.profile for made, _ in row.full} == {"full", "medium"}


def test_missing_quantities():
    """The box of a part says what is missing; only a claim that experiments decide has parts."""
    part = judge("B24", MIXTURE, profile="full")
    assert [q["name"] for q in part.missing] == list(IMAGES)
    assert ledger.as_html(part).count(">not run</td>") == 3
    assert judge("B24", {}, profile="full").verdict == rules.OPEN
    for claim, values in (("B24", {"sharpness": 1.0}), ("C03", {"s0": 1.0}), ("C14", {})):
        with pytest.raises(ValueError, match=f"{claim} needs"):
            judge(claim, values, profile="full")


@pytest.mark.parametrize(
    "value, rule, expected",
    [
        (0.1 + 0.2 - 0.3, "equal", "0"),
        (-0.693147, "equal", "-0.69315"),
        (math.inf, "at_least", "inf"),
        ([0.5], "at_most", "0.5 (1 seed)"),
        ([4.0, 1.0, 2.0], "at_most", "2 (from 1 to 4, 3 seeds)"),
        ([1.0, 2.0, 3.0, 4.0, 6.0], "at_most", "3 (from 1 to 6, 5 seeds)"),
        ([1.0, 2.0, 3.0, 4.0, 6.0, 7.0], "at_most", "3.5 (1 to 7, 6 seeds)"),
        (list(range(20)), "at_most", "9.5 (5 to 14, 20 seeds)"),
        ([0.5], "fraction", "100% of 1 seed (3% to 100%), median 0.5"),
        ([0.5, 2.0, 2.0, 0.5], "fraction", "50% of 4 seeds (7% to 93%), median 1.25"),
    ],
)
def test_show_value(value, rule, expected):
    """Five digits, rounding noise as 0; of seeds the median with an interval, or a share."""
    each = {"rule": "at_most", "paper": 1.0}
    assert show_value(value, {"rule": rule, "paper": 0.5, "each": each}) == expected


def test_median_interval_covers():
    """Of 1,000 samples of 15 numbers, at least 95% of the intervals hold the median."""
    samples = np.random.default_rng(0).standard_exponential((1000, 15))
    ends = np.array([rules.median_interval(sample) for sample in samples])
    inside = (ends[:, 0] <= math.log(2)) & (math.log(2) <= ends[:, 1])
    assert 0.95 <= inside.mean() < 0.98  # 0.965 by the binomial law
    with pytest.raises(ValueError, match="an interval of a median takes 6 values"):
        rules.median_interval([1.0] * 5)
