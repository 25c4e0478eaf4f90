"""Findings and errata: filled from the board, and refused where it does not bear them out."""

import re

import pytest

from helpers import ledger
from helpers.book import board, errata, findings, sentences
from helpers.book.layout import checkout


@pytest.fixture(scope="module")
def rows():
    return board.rows(checkout(), committed=True)


URL = "https://github.com/OWNER/NAME"


def test_the_board_bears_them_out(rows):
    assert findings.faults(rows) == [] and errata.faults(rows) == []


def test_every_finding_is_whole(rows):
    """Numbers in place of their names, a link to a box for each claim, a citation, a figure."""
    html = findings.html(rows, URL)
    assert not re.search(r"\{[\w.-]+\}", re.sub(r"<pre>.*?</pre>", "", html, flags=re.DOTALL))
    for finding in findings.listed():
        own = html.partition(f'id="{finding["id"]}"')[2].partition("</section>")[0]
        assert f"@misc{{ganscapes-{finding['id']}," in own
        assert f"_static/findings/{finding['id']}.svg" in own
        for claim in finding["claims"]:
            assert f'html#claim-{claim}"' in own and f"scoreboard.html#{claim}" in own


def test_numbers_are_those_of_the_claim(rows):
    by_id = {row.claim["id"]: row for row in rows}
    assert sentences.filled("{C09.n2}, {C09.n3}", by_id) == "<b>2</b>, <b>21</b>"
    value = by_id["C20"].standing.record.values["first_cover_at_equal_rates"]
    said = sentences.filled("{C20.first_cover_at_equal_rates}", by_id)
    middle = sorted(value)[len(value) // 2 - 1 : len(value) // 2 + 1]
    assert said.startswith(f"<b>{sum(middle) / 2:.2f} (95% interval ") and "64 seeds" in said


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"claims": {"C09": "open"}}, "rests on C09 as 'open', which is 'reproduced'"),
        ({"claims": {"X1": "open"}}, "rests on X1 as 'open', which is 'no claim'"),
        ({"text": "{C09.n9}"}, "has a number C09.n9, which nothing measures"),
        ({"shown": ["C09", "n9"]}, "has a number C09.n9, which nothing measures"),
        ({"text": "{B07.smallest_real_part}"}, "has a number of B07, and not its verdict"),
    ],
)
def test_refused_finding(rows, monkeypatch, changed, message):
    one = {
        "id": "F99", "title": "t", "caption": "c", "text": "{C09.n2}",
        "claims": {"C09": "reproduced"}, "shown": ["C09", "n2"],
    }  # fmt: skip
    monkeypatch.setattr(sentences, "read", lambda name: [one])
    assert findings.faults(rows) == []
    monkeypatch.setattr(sentences, "read", lambda name: [one | changed])
    assert any(message in fault for fault in findings.faults(rows))
    with pytest.raises(ValueError, match="F99"):
        findings.html(rows, URL)


def test_figures(rows, tmp_path):
    findings.draw(rows, tmp_path)
    drawn = sorted(path.stem for path in (tmp_path / findings.FOLDER).glob("*.svg"))
    assert drawn == sorted(finding["id"] for finding in findings.listed())


def test_errata_are_the_errors(rows):
    """Each error once, under its paper, those with a consequence first."""
    html = errata.html(rows)
    wrong = {row.claim["id"] for row in rows if row.verdict in errata.IN_ERROR}
    listed = re.findall(r'<tr id="([\w-]+)"', html)
    assert set(listed) == wrong and len(listed) == len(wrong)
    verdicts = {row.claim["id"]: row.verdict for row in rows}
    of_b = [verdicts[claim] == ledger.rules.ERROR for claim in listed if claim.startswith("B")]
    assert of_b == sorted(of_b, reverse=True) and any(of_b)


def test_refused_errata(rows, monkeypatch):
    right = sentences.read("errata.json")
    some = {claim: entry for claim, entry in right.items() if claim != "C10"}
    some |= {"C09": {"printed": "p", "right": "{C09.n9}"}}
    monkeypatch.setattr(sentences, "read", lambda name: some)
    assert errata.faults(rows) == [
        "C10 is in error, and data/errata.json has no erratum",
        "erratum of C09, which is no error",
        "erratum of C09 has a number C09.n9, not measured",
    ]


def test_changes_of_rules_are_told(rows):
    html = errata.html(rows)
    seen = {row.claim["id"] for row in rows if any(c["seen"] for c in row.claim["history"])}
    assert f"Rules of {len(seen)} claims were changed" in html
