"""A run as a line: nothing is lost, and what is no run is told apart."""

import json
import math

import pandas as pd
import pytest

from helpers.evidence.identity import key_of
from helpers.evidence.lines import decoded, encoded, parsed, rounded, same_numbers, text_of


def line(block=0, loss=(0.5, 1 / 3), experiment="two_clusters", version=1):
    found = {
        "experiment": experiment,
        "version": version,
        "setting": {},
        "size": {},
        "block": block,
        "device": "CPU",
        "torch": "2.6",
        "commit": "abc",
        "date": "2026-11-27",
        "seconds": 1.23,
        "tables": {"members": {"member": list(range(len(loss))), "loss": list(loss)}},
    }
    return found | {"key": key_of(found)}


def test_frames_come_back():
    frame = pd.DataFrame(
        {
            "member": [0, 1, 2],
            "loss": [0.1 + 0.2, math.nan, math.inf],
            "low": [-math.inf, 1.0, 2.0],
            "covered": [True, False, True],
            "where": ["left", "right", "left"],
            "none": [math.nan] * 3,
        }
    )
    back = decoded(json.loads(json.dumps(encoded({"members": frame}), allow_nan=False))["members"])
    pd.testing.assert_frame_equal(back, frame)


def test_text_of_infinity_in_words_stays_text():
    frame = pd.DataFrame({"word": ["inf", "a"]})
    assert decoded(encoded({"t": frame})["t"])["word"].tolist() == ["inf", "a"]


def test_lines_come_back():
    assert parsed(text_of(line())) == line()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "null",
        lambda text: "[]",
        lambda text: text.replace('"block":0', '"block":1'),
        lambda text: text.replace('"seconds"', '"second"'),
        lambda text: text.replace("[0,1]", "[0]"),
        lambda text: "\0" * len(text),
    ],
)
def test_what_is_no_run_is_refused(damage):
    with pytest.raises(ValueError, match=r".+"):
        parsed(damage(text_of(line())))


def test_six_digits_decide_whether_numbers_are_the_same():
    assert same_numbers(line(loss=(1 / 3,)), line(loss=(1 / 3 + 1e-8,)))
    assert not same_numbers(line(loss=(1 / 3,)), line(loss=(1 / 3 + 1e-5,)))
    assert rounded(line())["tables"]["members"]["loss"] == [0.5, 0.333333]
