"""The scoreboard as data."""

import json
import re

import pandas as pd
import pytest
import yaml

from helpers import ledger
from helpers.book import board, table
from helpers.book.layout import checkout
from helpers.ledger import judge, show_value


@pytest.fixture(scope="module")
def rows():
    return board.rows(checkout(), committed=True)


def test_all_claims_with_what_decides_them(rows):
    """Verdict, numbers and history are the board's, and all of it is JSON without NaN."""
    found = table.claims(rows)
    assert [each["claim"] for each in found] == list(ledger.all_claims())
    assert [each["verdict"] for each in found] == [row.verdict for row in rows]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for each, row in zip(found, rows, strict=True):
        assert each["history"] == row.claim["history"]
        verdicts = [quantity["quantity_verdict"] for quantity in each["quantities"]]
        if each["verdict"] in ("not reproduced", "the paper is in error"):
            assert each["verdict"] in verdicts, each["claim"]


def test_frame_survives_a_file(rows, tmp_path):
    """A row a quantity, and one for a claim without; the file holds the same."""
    frame = table.frame(table.claims(rows))
    assert set(frame["claim"]) == set(ledger.all_claims())
    assert not frame.duplicated(["claim", "quantity"]).any()
    frame.to_csv(tmp_path / "claims.csv", index=False)
    again = pd.read_csv(tmp_path / "claims.csv")
    assert list(again.columns) == list(frame.columns) and len(again) == len(frame)
    changed = again.dropna(subset="history").groupby("claim")["history"].first()
    assert {"A02", "A21", "B15", "B26", "C30"} <= set(changed.index) and "C14" not in changed


def test_interval_and_median():
    """Of seeds the median and its interval, of few the median alone, of a pair neither."""
    claim = next(c for c in ledger.all_claims().values() if c["id"] == "B26")
    values = {q["name"]: [9.0, 9.1, 9.2, 9.3, 9.4, 9.6, 9.9] for q in claim["quantities"]}
    for count, low, high in ((7, 9.0, 9.9), (5, None, None)):
        few = {name: value[:count] for name, value in values.items()}
        made = judge("B26", few, profile="full")
        row = ledger.Row(claim, ledger.Standing(made, ""), ("judge_and_scores",), made)
        (first, *_) = table.claims([row])[0]["quantities"]
        assert (first["low"], first["high"], first["seeds"]) == (low, high, count)
        assert first["value"] == sorted(few["score_5000"])[count // 2]
        assert first["ours"] == show_value(few["score_10000"], claim["quantities"][0])


def test_form_and_links(rows):
    """The form asks for what the links fill in, and each row has a place to link to and a form."""
    form = yaml.safe_load(
        (checkout().root / ".github/ISSUE_TEMPLATE/dispute.yml").read_text("utf-8")
    )
    asked = [each["id"] for each in form["body"]]
    assert asked == ["claim", "reading", "evidence", "command"]
    assert all(each["validations"]["required"] for each in form["body"])
    html = board.table(rows, "https://github.com/OWNER/NAME")
    for claim in ledger.all_claims():
        assert f'<tr id="{claim}"' in html and f'href="#{claim}"' in html
        assert f"template=dispute.yml&amp;title={claim}&amp;claim={claim}" in html
    assert re.findall(r'href="../_static/(\S+)" download', html) == ["claims.csv", "claims.json"]
