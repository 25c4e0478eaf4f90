"""How a recorded number becomes a verdict: rules fixed in data/claims.json before a run.

A claim lists quantities; each has a rule that compares what a chapter measured with what the
paper says. The claim's verdict is the worst of its quantities' verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from statistics import median
from typing import Any

from scipy.stats import binomtest, quantile_test

from helpers.inputs import shown

FEWEST = 6  # values whose median has a 95% interval: 1 - 2 / 2^6 is more, 1 - 2 / 2^5 less

REPRODUCED = "reproduced"
CAVEAT = "reproduced, with a caveat"
NOT_REPRODUCED = "not reproduced"
HARMLESS_ERROR = "the paper is in error, without consequence"
ERROR = "the paper is in error, with consequence"
OPEN = "open"
UNMEASURABLE = "cannot be measured"
# From best to worst; the last two are no judgements.
VERDICTS = (REPRODUCED, CAVEAT, NOT_REPRODUCED, HARMLESS_ERROR, ERROR, OPEN, UNMEASURABLE)
HOLDING = (REPRODUCED, CAVEAT)
REFUTING = (NOT_REPRODUCED, HARMLESS_ERROR, ERROR)

Value = float | Sequence[float]


def _sign(value: float, paper: float, margin: float) -> bool:
    if paper == 0:
        return abs(value) <= margin
    return math.copysign(1.0, value) == paper and abs(value) > margin


def _is_within(value: float, paper: float, within: float) -> bool:
    # Not by the difference, which is rounded: 1.1 - 1 is more than 0.1.
    return paper - within <= value <= paper + within


# What each rule needs beside "paper", and how it decides about one number.
_RULES: dict[str, tuple[set[str], Any]] = {
    "equal": ({"within"}, lambda v, r: _is_within(v, r["paper"], r["within"])),
    "at_most": (set(), lambda v, r: v <= r["paper"]),
    "at_least": (set(), lambda v, r: v >= r["paper"]),
    "sign": ({"margin"}, lambda v, r: _sign(v, r["paper"], r["margin"])),
    "fraction": ({"each"}, lambda v, r: share(v, r["each"]) >= r["paper"]),
}


def holds(value: Value, rule: Mapping[str, Any]) -> bool:
    """Whether a measured value satisfies a rule.

    Args:
        value: a number, or a list with one number per seed. A list is judged by its median, except
            under "fraction", where each seed is judged by the nested rule.
        rule: a quantity of data/claims.json: "rule", "paper" and what else the rule needs
            ("within", "margin", "each").

    Raises:
        ValueError: for an unknown or incomplete rule, an empty list, NaN, and what is not a number.

    >>> holds(-0.47739, {"rule": "equal", "paper": -0.4774, "within": 5e-5})
    True
    >>> holds([0.1, 0.4, 0.9], {"rule": "at_most", "paper": 0.3})  # the median decides
    False
    >>> each = {"rule": "at_most", "paper": 0.5}
    >>> holds([0.1, 0.4, 0.9], {"rule": "fraction", "paper": 0.6, "each": each})
    True
    """
    check_rule(rule)
    return bool(_RULES[rule["rule"]][1](_judged(value, rule), rule))


def _judged(value: Value, rule: Mapping[str, Any]) -> Value:
    """What a rule judges: the seeds of a "fraction", else a number or the median of many."""
    plain = plain_numbers(value)
    numbers = plain if isinstance(plain, list) else [plain]
    if not numbers:
        raise ValueError(f"a rule needs numbers, none of them NaN; got {shown(value)}")
    return numbers if rule["rule"] == "fraction" else median(numbers)


def miss(value: Value, rule: Mapping[str, Any]) -> float:
    """How far a value is from what a rule asks, relative to what it asks; 0 where the rule holds.

    This tells which reading of a paper comes nearer to a claim. For a share it is how much of the
    share is missing; for a sign, the distance to the margin, over the margin if there is one.

    Args, Raises: as `holds`.

    >>> miss([8, 9, 10], {"rule": "at_most", "paper": 6})
    0.5
    >>> each = {"rule": "at_most", "paper": 8}
    >>> round(miss([8, 9, 10], {"rule": "fraction", "paper": 0.5, "each": each}), 3)
    0.167
    """
    if holds(value, rule):
        return 0.0
    paper, judged = rule["paper"], _judged(value, rule)
    if isinstance(judged, Sequence):
        return float(paper - share(judged, rule["each"]))
    if rule["rule"] == "sign":
        side = abs(judged) if paper == 0 else -paper * judged
        margin = rule["margin"] if paper == 0 else -rule["margin"]
        return float((side - margin) / (rule["margin"] or 1))
    within = rule["within"] if rule["rule"] == "equal" else 0
    gap = max(judged - (paper + within), paper - within - judged)
    return float(gap / (abs(paper) or 1))


def may_hold(seeds: Sequence[float], rule: Mapping[str, Any]) -> bool:
    """Whether the 95% interval of what a rule judges contains a value that satisfies the rule.

    Of six seeds or more; errors as `holds`.

    >>> may_hold([1, 2, 3, 4, 5, 6], {"rule": "at_most", "paper": 0.9})
    False
    >>> may_hold([1, 2, 3, 4, 5, 6], {"rule": "equal", "paper": 3, "within": 0.1})
    True
    """
    check_rule(rule)
    paper = rule["paper"]
    if rule["rule"] == "fraction":
        return share_interval(seeds, rule)[1] >= paper
    low, high = median_interval(seeds)
    if rule["rule"] == "equal":
        return low <= paper + rule["within"] and high >= paper - rule["within"]
    if rule["rule"] == "sign" and paper == 0:
        return low <= rule["margin"] and high >= -rule["margin"]
    return holds(low, rule) or holds(high, rule)


def is_narrow(value: Value, rule: Mapping[str, Any]) -> bool:
    """Whether a rule holds, but its 95% interval contains values for which it would not.

    Of fewer than six seeds nothing is said. A share of which all seeds are part is not narrow.

    Errors as `holds`.

    >>> is_narrow([0.4, 0.8, 1.1, 1.2, 1.3, 4.5], {"rule": "at_least", "paper": 1})
    True
    >>> is_narrow([1.1, 1.2, 1.2, 1.3, 1.4, 4.5], {"rule": "at_least", "paper": 1})
    False
    >>> each = {"rule": "at_least", "paper": 1}
    >>> is_narrow([0.4] + [1.2] * 20, {"rule": "fraction", "paper": 0.9, "each": each})
    True
    """
    if not isinstance(value, Sequence) or len(value) < FEWEST or not holds(value, rule):
        return False
    if rule["rule"] == "fraction":
        return share(value, rule["each"]) < 1 and share_interval(value, rule)[0] < rule["paper"]
    return not all(holds(end, rule) for end in median_interval(value))


def share(seeds: Sequence[float], each: Mapping[str, Any]) -> float:
    """The share of seeds in which a rule holds.

    >>> share([0.1, 0.4, 0.9, 0.5], {"rule": "at_most", "paper": 0.5})
    0.75
    """
    return sum(holds(seed, each) for seed in seeds) / len(seeds)


def median_interval(seeds: Sequence[float]) -> tuple[float, float]:
    """A 95% interval of the median, by order statistics: right whatever the distribution.

    Raises:
        ValueError: for fewer than six values, whose range does not reach 95%.

    >>> median_interval([5, 1, 4, 2, 6, 3])
    (1.0, 6.0)
    """
    if len(seeds) < FEWEST:
        raise ValueError(f"an interval of a median takes {FEWEST} values, got {shown(seeds)}")
    found = quantile_test(seeds, q=median(seeds), p=0.5).confidence_interval(0.95)
    return float(found.low), float(found.high)


def share_interval(seeds: Sequence[float], rule: Mapping[str, Any]) -> tuple[float, float]:
    """The 95% interval, Clopper and Pearson's, of the share of seeds in which `rule` holds.

    >>> each = {"rule": "at_most", "paper": 3}
    >>> low, high = share_interval(range(10), {"rule": "fraction", "paper": 1, "each": each})
    >>> round(low, 3), round(high, 3)
    (0.122, 0.738)
    """
    held = sum(holds(seed, rule["each"]) for seed in seeds)
    found = binomtest(held, len(seeds)).proportion_ci()
    return float(found.low), float(found.high)


def plain_numbers(value: Any) -> float | list[float]:
    """A number or a row of numbers as floats; numpy's and torch's too, and truth values as 0 and 1.

    A ValueError for text, anything else that is not a number, and NaN.

    >>> plain_numbers((1, True))
    [1.0, 1.0]
    """
    plain = value.tolist() if hasattr(value, "tolist") else value
    many = isinstance(plain, Sequence) and not isinstance(plain, str | bytes)
    parts = [v.item() if hasattr(v, "item") else v for v in (plain if many else [plain])]
    if not all(isinstance(part, Real) for part in parts):
        raise ValueError(f"a measured value is a number or a row of numbers, got {shown(value)}")
    try:
        floats = [float(part) for part in parts]
    except OverflowError:
        raise ValueError(f"a measured value is too large for a float, got {shown(value)}") from None
    if any(math.isnan(number) for number in floats):
        raise ValueError(f"a measured value must not be NaN, got {shown(value)}")
    return floats if many else floats[0]


def check_rule(rule: Mapping[str, Any]) -> None:
    """Raise a ValueError unless the rule is one that `holds` can apply, and some value satisfies.

    >>> check_rule({"rule": "about", "paper": 1})
    Traceback (most recent call last):
    ...
    ValueError: unknown rule 'about'; rules are equal, at_most, at_least, sign, fraction
    """
    if not isinstance(rule, Mapping):
        raise ValueError(f"a rule must be a mapping with keys rule and paper, got {shown(rule)}")
    name = rule.get("rule")
    if not isinstance(name, str) or name not in _RULES:
        raise ValueError(f"unknown rule {shown(name)}; rules are {', '.join(_RULES)}")
    missing = ({"paper"} | _RULES[name][0]) - set(rule)
    if missing:
        raise ValueError(f"rule {name!r} lacks {', '.join(sorted(missing))}: {dict(rule)}")
    for key in ({"paper"} | _RULES[name][0]) - {"each"}:
        if isinstance(plain_numbers(rule[key]), list):
            raise ValueError(f"{key} of a rule must be one number, got {shown(rule[key])}")
    if math.isinf(rule["paper"]):
        raise ValueError(f"paper of a rule must be finite, got {shown(rule['paper'])}")
    for key in _RULES[name][0] - {"each"}:
        if not 0 <= rule[key] < math.inf:
            raise ValueError(f"{key} of a rule is a finite number, 0 or more, got {rule[key]}")
    if name == "sign" and rule["paper"] not in (-1, 0, 1):
        raise ValueError(f"paper of a sign is -1, 0 or 1, got {rule['paper']}")
    if name == "fraction":
        if not 0 <= rule["paper"] <= 1:
            raise ValueError(f"paper of a fraction is in [0, 1], got {rule['paper']}")
        check_rule(rule["each"])
        if rule["each"]["rule"] == "fraction":
            raise ValueError("the rule for each seed must be one that judges a single number")


def worst(verdicts: Sequence[str]) -> str:
    """The worst of some verdicts, in the order of `VERDICTS`; a ValueError if there is none.

    >>> worst(["reproduced", "not reproduced", "reproduced"])
    'not reproduced'
    """
    many = isinstance(verdicts, Sequence) and len(verdicts)
    if not many or any(verdict not in VERDICTS for verdict in verdicts):
        raise ValueError(f"verdicts must be among {', '.join(VERDICTS)}, got {shown(verdicts)}")
    return max(verdicts, key=VERDICTS.index)


def describe(rule: Mapping[str, Any]) -> str:
    """What a rule asks for, as briefly as possible.

    >>> describe({"rule": "equal", "paper": -0.4774, "within": 5e-5})
    '-0.4774 ± 5e-05'
    """
    check_rule(rule)
    name, paper = rule["rule"], rule["paper"]
    if name == "equal":
        return f"{paper:g} ± {rule['within']:g}" if rule["within"] else f"{paper:g}"
    if name == "sign":
        return f"|value| ≤ {rule['margin']:g}" if paper == 0 else _one_sided(paper, rule["margin"])
    if name == "fraction":
        return f"{describe(rule['each'])}, in ≥ {100 * paper:g}% of seeds"
    return f"{'≤' if name == 'at_most' else '≥'} {paper:g}"


def _one_sided(sign: float, margin: float) -> str:
    return f"> {margin:g}" if sign > 0 else f"< {-margin:g}"
