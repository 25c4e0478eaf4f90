"""The scoreboard and the verdict boxes of the chapters: two views of one thing."""

import re

import nbformat
import pytest
from markupsafe import escape

from helpers import evidence, experiments, ledger
from helpers.book import board, pairing, table
from helpers.book.__main__ import main
from helpers.book.layout import Layout, checkout
from helpers.chapter import Chapter
from helpers.experiments.protocol import Wanted
from tests import toy

URL = "https://github.com/OWNER/NAME"


@pytest.fixture
def layout(monkeypatch, tmp_path):
    """A book of two chapters, of which one is the home of the toy's claims."""
    toy.install(monkeypatch, tmp_path / "evidence")
    found = Layout(tmp_path)
    entries = "".join(f"  - file: book/{name}.ipynb\n" for name in ("first", "two_clusters"))
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\nroot: book/x\nchapters:\n{entries}")
    found.book.mkdir()
    return found


def write(layout, monkeypatch, *claims, chapter="two_clusters", arms=("low", "high")):
    """A committed notebook with the boxes of some claims, made by a chapter."""
    published = []
    with monkeypatch.context() as patched:
        patched.setattr(
            "helpers.ledger.notebooks.publish_display_data", lambda *given: published.append(given)
        )
        page = Chapter("two_clusters", device="cpu")
        page.live("toy", arms, reading="as printed")
        for claim in claims:
            page.record(claim, {"exact": 0.5} if claim == "Z4" else None)
    outputs = [
        nbformat.v4.new_output("display_data", data=data, metadata=metadata)
        for data, metadata in published
    ]
    tagged = nbformat.v4.new_code_cell('runs = ""', metadata={"tags": ["parameters"]})
    cells = [tagged, nbformat.v4.new_code_cell("record", outputs=outputs)]
    pairing.write(nbformat.v4.new_notebook(cells=cells), layout.notebook(chapter))


def rows(layout):
    return {row.claim["id"]: row for row in board.rows(layout, committed=True)}


def test_board_and_boxes_agree(layout, monkeypatch, tmp_path):
    """With evidence, with a part of it, with none, and where the page computes the value."""
    toy.make_evidence(tmp_path / "evidence", tmp_path / "runs")
    write(layout, monkeypatch, "Z1", "Z2", "Z3", "Z4")
    found = rows(layout)
    boxes = dict(ledger.boxes_of(pairing.read(layout.notebook("two_clusters"))))
    assert {claim: row.verdict for claim, row in found.items()} == {
        "Z1": "reproduced",
        "Z2": "open",
        "Z3": "open",
        "Z4": "reproduced",
    }
    for claim, row in found.items():
        assert boxes[claim].startswith(f"{claim} {row.said}: ")
    assert found["Z2"].judged.record.values.keys() == {"low_value"}
    html = board.table(list(found.values()), URL)
    assert "full size, 32 seeds of each" in html and "open, for lack of runs of the rest" in html
    assert html.count("<summary>live run</summary>") == 3


def test_a_claim_that_waits_for_data(layout, monkeypatch, tmp_path):
    """It says for which, and with what command they decide it; once they have, nothing of that."""
    command = "python -m helpers.evidence gather toy --arm 'l*'"
    needs = {"what": "the data: <some>", "command": command}
    monkeypatch.setitem(toy.CLAIMS[0], "needs", needs)
    row = rows(layout)["Z1"]
    assert row.said == "open, for lack of the data: <some>" and board.tier_of(row) == "no run yet"
    (found,) = table.claims([row])
    assert (found["command"], found["rests_on"], found["size"]) == (command, None, None)
    html = board.table([row], URL)
    assert (
        f"<code>{escape(command)}</code>" in html and "for lack of the data: &lt;some&gt;" in html
    )
    toy.make_evidence(tmp_path / "evidence", tmp_path / "runs")
    row = rows(layout)["Z1"]
    assert row.verdict == "reproduced" and board.tier_of(row) == "full size"
    assert "for lack of" not in board.table([row], URL)


def test_what_comes_next_for_open_claims(layout, tmp_path):
    """The command and its cost, while runs are missing that are wanted; nothing afterwards."""
    found = rows(layout)
    command = "python -m helpers.evidence gather toy"
    ahead = table.next_runs(list(found.values()))
    assert ahead["Z1"] == ahead["Z3"] and "Z4" not in ahead
    assert ahead["Z1"]["command"] == command
    assert ahead["Z1"]["cost"].startswith("4 of 4 runs are missing")
    assert f"<code>{command}</code>" in board.table([found["Z1"]], URL)
    (as_data,) = table.claims([found["Z1"]])
    assert (as_data["command"], as_data["cost"]) == (command, ahead["Z1"]["cost"])
    toy.make_evidence(tmp_path / "evidence", tmp_path / "runs")
    found = rows(layout)
    assert found["Z3"].verdict == "open" and "Z3" not in table.next_runs(list(found.values()))
    (as_data,) = table.claims([found["Z3"]])
    assert (as_data["command"], as_data["cost"]) == (None, None)


def test_evidence_goes_before_a_recorded_run(layout, monkeypatch, tmp_path):
    """Of which there is nothing on the board then; without evidence it decides, as legacy."""
    made = ledger.judge("Z1", {"low_value": [9.0] * 6, "high_value": [9.0] * 6}, profile="full")
    run = {"chapter": "two_clusters", "records": [made.as_json()]}
    run |= {"device": "CPU", "date": "2026-01-02", "commit": "abc", "seeds": "0"}
    rows = {}
    for there in (False, True):
        if there:
            toy.make_evidence(tmp_path / "evidence", tmp_path / "runs")
        judged = {"Z1": evidence.judged("Z1")}
        rows[there] = {r.claim["id"]: r for r in ledger.scoreboard({}, [run], judged)}["Z1"]
    assert rows[False].verdict == "not reproduced" and rows[False].judged is None
    assert "legacy: full profile (CPU" in board.table([rows[False]], URL)
    assert rows[True].verdict == "reproduced" and rows[True].full == ()
    assert "legacy" not in board.table([rows[True]], URL)


def test_the_link_leads_home(layout, monkeypatch):
    """A claim that two chapters show is linked once, to its home; one without a home to both."""
    monkeypatch.delitem(toy.CLAIMS[0], "home")
    # Each chapter measures what the other does not.
    write(layout, monkeypatch, "Z1", "Z3", chapter="first", arms=["low"])
    write(layout, monkeypatch, "Z1", "Z3", arms=["high"])
    links = re.findall(r'href="(\w+.html[^"]*)"', board.table(list(rows(layout).values()), URL))
    assert [link.removesuffix(".html#claim-Z1") for link in links[:2]] == layout.chapters()
    assert links[2:] == ["two_clusters.html#claim-Z3"]


def test_lagging_boxes_are_named(layout, monkeypatch, tmp_path, capsys):
    """With the command that refreshes them, and without failing the check."""
    write(layout, monkeypatch, "Z1", "Z2", "Z4")
    write(layout, monkeypatch, "Z1", chapter="first")  # not its home
    assert board.lagging(board.boxes(layout)) == {}
    toy.make_evidence(tmp_path / "evidence", tmp_path / "runs")
    assert board.lagging(board.boxes(layout)) == {"two_clusters": ["Z1", "Z2"]}
    monkeypatch.setattr(board, "faults", lambda boxes: [])
    for part in ("pairing", "habits", "pictures", "readme", "regress"):
        monkeypatch.setattr(f"helpers.book.__main__.{part}.check", lambda layout: [])
    monkeypatch.setattr("helpers.book.__main__.habits.pages", lambda layout: [])
    assert main(["check"], layout) == 0
    said = capsys.readouterr().out
    assert "two_clusters: the evidence says more than the stored boxes of Z1, Z2" in said
    assert "`make notebooks`" in said
    write(layout, monkeypatch, "Z1", "Z2", "Z4")
    assert board.lagging(board.boxes(layout)) == {}


ELSEWHERE = "Z2, elsewhere: no experiment 'images'"  # of which the toy book has none


def test_a_verdict_that_nothing_supports_is_refused(layout, monkeypatch, tmp_path):
    """A box that the evidence contradicts; one that is merely older, and open, is no fault."""
    write(layout, monkeypatch, "Z1", "Z2")  # both open
    toy.make_evidence(tmp_path / "evidence", tmp_path / "runs")
    assert board.faults(board.boxes(layout)) == [ELSEWHERE]
    write(layout, monkeypatch, "Z1", "Z2")
    assert board.faults(board.boxes(layout)) == [ELSEWHERE]
    path = layout.notebook("two_clusters")
    text = path.read_text()
    path.write_text(text.replace("Z1 reproduced: ", "Z1 reproduced, with a caveat (in a dream): "))
    _, fault = board.faults(board.boxes(layout))
    assert "two_clusters: the box of Z1 says 'reproduced, with a caveat (in a dream)'" in fault
    assert fault.endswith("and the evidence 'reproduced'; run `make notebooks`")


def test_what_judges_claims_has_to_be_there(layout, monkeypatch, tmp_path):
    """Quantities, and the readings and arms of wanted and of committed runs."""
    toy.make_evidence(tmp_path / "evidence", tmp_path / "runs")
    module = experiments.find(toy.NAME)
    assert evidence.astray(toy.NAME) == []
    low = module.QUANTITIES["Z1"].pop("low_value")
    assert board.faults(board.boxes(layout)) == [
        "Z1, low_value: toy does not measure it",
        ELSEWHERE,
    ]
    module.QUANTITIES["Z1"]["low_value"] = low
    module.WANTED = [Wanted(["as guessed"], ["low", "deep"], "full", range(1), "Z1")]
    _, reading, arm = board.faults(board.boxes(layout))
    assert reading == "toy: runs are wanted of 'as guessed', which there is not"
    assert arm == "toy: runs are wanted of 'deep', which there is not"
    module.WANTED = []
    module.ARMS = {name: module.ARMS[name] for name in ("low", "rare")}
    _, *astray = board.faults(board.boxes(layout))
    assert len(astray) == 2 and all(line.endswith(" is of no reading") for line in astray)


@pytest.fixture(scope="module")
def present():
    """The board's rows of the executed chapters, by claim."""
    return {row.claim["id"]: row for row in board.rows(checkout(), committed=False)}


@pytest.mark.parametrize("chapter", checkout().chapters())
def test_executed_boxes_say_what_the_board_says(chapter, present):
    """For each claim with evidence, at its home."""
    path = checkout().executed / f"{chapter}.ipynb"
    if not path.exists():
        pytest.skip("not executed; run `make book`")
    for claim, text in ledger.boxes_of(pairing.read(path)):
        if present[claim].claim.get("home") == chapter:
            assert text.startswith(f"{claim} {present[claim].said}: ")
