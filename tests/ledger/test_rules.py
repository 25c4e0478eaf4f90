"""Rules at their boundaries; numbers are dyadic, so that the boundary is where it is printed."""

import math
from itertools import pairwise

import pytest

from helpers.ledger import rules
from helpers.ledger.rules import check_rule, describe, holds, may_hold, worst

EQUAL = {"rule": "equal", "paper": 1.5, "within": 0.25}
AT_MOST = {"rule": "at_most", "paper": 0.5}
AT_LEAST = {"rule": "at_least", "paper": 0.5}
POSITIVE = {"rule": "sign", "paper": 1, "margin": 0.25}
NEGATIVE = {"rule": "sign", "paper": -1, "margin": 0.25}
ZERO = {"rule": "sign", "paper": 0, "margin": 0.25}
FRACTION = {"rule": "fraction", "paper": 0.6, "each": AT_MOST}
NAMES = ["equal", "at most", "at least", "positive", "negative", "zero", "fraction"]
ALL = [EQUAL, AT_MOST, AT_LEAST, POSITIVE, NEGATIVE, ZERO, FRACTION]
UP, DOWN = math.nextafter(0.25, 1), math.nextafter(0.25, 0)


@pytest.mark.parametrize(
    "value, rule, expected",
    [
        (1.25, EQUAL, True),
        (1.75, EQUAL, True),
        (math.nextafter(1.25, 0), EQUAL, False),
        (math.nextafter(1.75, 2), EQUAL, False),
        (21, {"rule": "equal", "paper": 21, "within": 0}, True),
        (22, {"rule": "equal", "paper": 21, "within": 0}, False),
        (math.inf, EQUAL, False),
        (0.5, AT_MOST, True),
        (math.nextafter(0.5, 1), AT_MOST, False),
        (-math.inf, AT_MOST, True),
        (0.5, AT_LEAST, True),
        (math.nextafter(0.5, 0), AT_LEAST, False),
        (math.inf, AT_LEAST, True),
        (UP, POSITIVE, True),
        (0.25, POSITIVE, False),
        (-UP, POSITIVE, False),
        (-UP, NEGATIVE, True),
        (-0.25, NEGATIVE, False),
        (UP, NEGATIVE, False),
        (0.25, ZERO, True),
        (-0.25, ZERO, True),
        (UP, ZERO, False),
        (-UP, ZERO, False),
        (-0.0, {"rule": "sign", "paper": -1, "margin": 0.0}, False),
    ],
)
def test_boundaries(value, rule, expected):
    """Each rule holds up to its boundary and not a rounding further."""
    assert holds(value, rule) is expected


@pytest.mark.parametrize("paper, within", [(1, 0.1), (2, 0.1), (0.5, 0.05), (0.3, 0.1), (3, 0.3)])
def test_ends_in_decimals(paper, within):
    """What is written as an end is within, however it is rounded, for a number and an interval."""
    rule = {"rule": "equal", "paper": paper, "within": within}
    for end, outward in ((paper + within, math.inf), (paper - within, -math.inf)):
        beyond = math.nextafter(end, outward)
        assert holds(end, rule) and may_hold([end] * 6, rule)
        assert not holds(beyond, rule) and not may_hold([beyond] * 6, rule)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0.0, 0.5, 9.0], True),
        ([0.0, 0.75, 9.0], False),
        ([0.25, 0.75], True),
        ([0.25, 1.0], False),
    ],
)
def test_median_of_seeds(values, expected):
    """Many seeds are judged by their median, in any order, an even number by the middle two."""
    assert holds(values, AT_MOST) is expected
    assert holds(values[::-1], AT_MOST) is expected
    assert holds(tuple(values), AT_MOST) is expected


@pytest.mark.parametrize("seeds", [5, 10, 15, 35])
def test_fraction(seeds):
    """The share of seeds may equal the one asked for; one seed fewer is too few."""
    enough = round(0.6 * seeds)
    good, bad = [0.5] * seeds, [1.0] * seeds
    assert holds(good[:enough] + bad[enough:], FRACTION)
    assert not holds(good[: enough - 1] + bad[enough - 1 :], FRACTION)
    assert holds(0.5, FRACTION) and not holds(1.0, FRACTION)


@pytest.mark.parametrize(
    "low, high, rule, expected",
    [
        (1.75, 9.0, EQUAL, True),
        (math.nextafter(1.75, 2), 9.0, EQUAL, False),
        (-9.0, 1.25, EQUAL, True),
        (-9.0, math.nextafter(1.25, 0), EQUAL, False),
        (-9.0, 9.0, EQUAL, True),
        (0.25, 9.0, ZERO, True),
        (UP, 9.0, ZERO, False),
        (-9.0, -0.25, ZERO, True),
        (-9.0, -UP, ZERO, False),
        (-9.0, 9.0, ZERO, True),
        (UP, 9.0, POSITIVE, True),
        (-9.0, 0.25, POSITIVE, False),
        (-9.0, 9.0, NEGATIVE, True),
        (0.5, 9.0, AT_MOST, True),
        (math.nextafter(0.5, 1), 9.0, AT_MOST, False),
        (-9.0, 0.5, AT_LEAST, True),
        (-9.0, math.nextafter(0.5, 0), AT_LEAST, False),
        (-1.0, 0.0, {"rule": "at_most", "paper": 0}, True),
        (1.0, 2.0, {"rule": "at_most", "paper": 0}, False),
    ],
)
def test_what_an_interval_has(low, high, rule, expected):
    """Of six seeds it is the range; it has what satisfies a rule up to the boundary."""
    assert may_hold([low, *[(low + high) / 2] * 4, high], rule) is expected


def test_what_a_share_may_be():
    """Its interval decides, not the median's, and its end may equal the share asked for."""
    all_of_them = FRACTION | {"paper": 1.0}
    assert may_hold([0.5] * 6, all_of_them)
    assert not may_hold([0.5] * 5 + [1.0], all_of_them)
    assert not may_hold([0.5] * 10 + [1.0] * 10, FRACTION | {"paper": 0.9})  # up to 73%


@pytest.mark.parametrize("rule", ALL, ids=NAMES)
@pytest.mark.parametrize("value", [math.nan, [math.nan, 1.0], [0.0, math.nan], []])
def test_nan_and_nothing(rule, value):
    """NaN and an empty list are never judged, not even as a failure."""
    with pytest.raises(ValueError, match="NaN"):
        holds(value, rule)


@pytest.mark.parametrize(
    "rule, message",
    [
        ({"rule": "about", "paper": 1}, "unknown rule 'about'"),
        ({"paper": 1}, "unknown rule None"),
        ({"rule": "equal", "paper": 1}, "lacks within"),
        ({"rule": "equal"}, "lacks paper, within"),
        ({"rule": "sign", "paper": 1}, "lacks margin"),
        ({"rule": "at_most"}, "lacks paper"),
        ({"rule": "fraction", "paper": 0.5}, "lacks each"),
        ({"rule": "fraction", "paper": 0.5, "each": {"rule": "equal", "paper": 1}}, "lacks within"),
        ({"rule": "fraction", "paper": 0.5, "each": FRACTION}, "single number"),
        (FRACTION | {"paper": 80}, r"fraction is in \[0, 1\], got 80"),
        (FRACTION | {"paper": -0.1}, r"fraction is in \[0, 1\], got -0.1"),
        (FRACTION | {"each": POSITIVE | {"margin": -1}}, "margin .* 0 or more, got -1"),
        (POSITIVE | {"paper": 0.5}, "sign is -1, 0 or 1, got 0.5"),
        (POSITIVE | {"paper": 2}, "sign is -1, 0 or 1, got 2"),
        (POSITIVE | {"margin": -1}, "margin of a rule is a finite number, 0 or more, got -1"),
        (POSITIVE | {"margin": math.inf}, "margin of a rule is a finite number"),
        (EQUAL | {"within": -1e-9}, "within of a rule is a finite number, 0 or more, got -1e-09"),
        (EQUAL | {"within": math.inf}, "within of a rule is a finite number"),
        (AT_MOST | {"paper": math.inf}, "paper of a rule must be finite, got inf"),
        (AT_LEAST | {"paper": -math.inf}, "paper of a rule must be finite, got -inf"),
    ],
)
def test_bad_rules(rule, message):
    """Unknown and incomplete rules are refused, by `holds` as well, nested ones too."""
    for refuse in (check_rule, lambda r: holds(1.0, r)):
        with pytest.raises(ValueError, match=message):
            refuse(rule)


@pytest.mark.parametrize("rule", ALL, ids=NAMES)
def test_good_rules(rule):
    """Complete rules pass, and what they do not know is left alone (name, what, if_fails)."""
    check_rule(rule | {"name": "n", "what": "w", "if_fails": rules.CAVEAT})


@pytest.mark.parametrize(
    "value, rule, expected",
    [
        (1.75, EQUAL, 0.0),
        (3.25, EQUAL, 1.0),
        (-0.25, EQUAL, 1.0),
        ([9.0, 1.0, 0.0], AT_MOST, 1.0),
        (0.25, AT_LEAST, 0.5),
        (2.0, {"rule": "at_most", "paper": 0.0}, 2.0),
        (-1.0, {"rule": "at_most", "paper": -2.0}, 0.5),
        (0.25, POSITIVE, 0.0),
        (-0.25, POSITIVE, 2.0),
        (0.5, NEGATIVE, 3.0),
        (-0.5, ZERO, 1.0),
        (-0.5, {"rule": "sign", "paper": 1, "margin": 0.0}, 0.5),
        ([0.5, 1.0, 1.0, 1.0], FRACTION, 0.35),
        (math.inf, AT_MOST, math.inf),
    ],
)
def test_miss(value, rule, expected):
    """How far outside, over what is asked: by hand."""
    assert rules.miss(value, rule) == pytest.approx(expected)


@pytest.mark.parametrize(
    "rule, good, outward",
    [
        (EQUAL, 1.5, 1),
        (AT_MOST, 0.0, 1),
        (AT_LEAST, 1.0, -1),
        (POSITIVE, 1.0, -1),
        (NEGATIVE, -1.0, 1),
        (ZERO, 0.0, -1),
        (FRACTION, 0.0, 1),
    ],
)
def test_miss_is_nothing_where_a_rule_holds_and_grows_with_the_distance(rule, good, outward):
    assert holds(good, rule) and rules.miss(good, rule) == 0
    near, far = (rules.miss([outward * by] * 3, rule) for by in (10.0, 20.0))
    assert 0 < near <= far and (near < far or rule is FRACTION)
    with pytest.raises(ValueError, match="NaN"):
        rules.miss(math.nan, rule)


def test_names_of_verdicts():
    """As data/claims.json has them, and pages that link to them; from best to worst."""
    assert rules.VERDICTS == (
        "reproduced",
        "reproduced, with a caveat",
        "not reproduced",
        "the paper is in error, without consequence",
        "the paper is in error, with consequence",
        "open",
        "cannot be measured",
    )


def test_worst():
    """The worst verdict wins whatever the order; no verdicts and unknown ones are errors."""
    for better, worse in pairwise(rules.VERDICTS):
        assert worst([better, worse]) == worst([worse, better, better]) == worse
        assert worst([better]) == better
    for bad in ([], ["reproduced", "fine"]):
        with pytest.raises(ValueError):
            worst(bad)


@pytest.mark.parametrize(
    "rule, expected",
    [
        (EQUAL, "1.5 ± 0.25"),
        ({"rule": "equal", "paper": 21, "within": 0}, "21"),
        (AT_MOST, "≤ 0.5"),
        (AT_LEAST, "≥ 0.5"),
        (POSITIVE, "> 0.25"),
        (NEGATIVE, "< -0.25"),
        (ZERO, "|value| ≤ 0.25"),
        (FRACTION, "≤ 0.5, in ≥ 60% of seeds"),
    ],
)
def test_describe(rule, expected):
    """A rule is printed as the condition that `holds` checks."""
    assert describe(rule) == expected


@pytest.mark.parametrize("value", ["123", ["1", "2"], None, {1.0}, 1j, b"1", [[1.0]], 10**400])
def test_what_is_no_number(value):
    rule = {"rule": "at_most", "paper": 3}
    with pytest.raises(ValueError, match="a measured value is"):
        holds(value, rule)
    with pytest.raises(ValueError, match="a measured value is"):
        holds(1.0, rule | {"paper": value})


def test_rules_that_are_none():
    for rule in (None, "at_most", ["at_most"], {"rule": ["at_most"]}, {"rule": None, "paper": 1}):
        with pytest.raises(ValueError, match=r"(a rule must be a mapping|unknown rule)"):
            check_rule(rule)
    for verdicts in ([], ["good"], [None]):
        with pytest.raises(ValueError, match="verdicts must be among"):
            worst(verdicts)
