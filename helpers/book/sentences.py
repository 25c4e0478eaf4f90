"""Sentences with places for numbers, which the board fills."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from statistics import median
from typing import Any

from helpers import ledger
from helpers.ledger import Row, rules
from helpers.ledger.boxes import decimals

_PLACE = re.compile(r"\{(\w+(?:-\w+)?)\.(\w+)\}")
_PAPER = re.compile(r"\{([ABC])\}")
_TINY, _LARGE = 1e-3, 1e4  # medians below, and numbers above, are printed another way
_ROUNDING = 1e-12


def read(name: str) -> Any:
    """A file of sentences in data/."""
    return json.loads(ledger.data_file(name).read_text(encoding="utf-8"))


def filled(text: str, rows: Mapping[str, Row]) -> str:
    """A text as HTML: "{C09.n2}" is a quantity of a claim, "{C}" a paper.

    >>> filled("{B} and 1 < 2", {})
    'Berard et al. (2020) and 1 &lt; 2'
    """

    def measured(match: re.Match[str]) -> str:
        row, name = rows[match[1]], match[2]
        return f"<b>{escape(number(value_of(row, name), rule_of(row, name)))}</b>"

    def paper(match: re.Match[str]) -> str:
        return re.sub(r"(\d+)$", r"(\1)", ledger.PAPERS[match[1]])

    return _PAPER.sub(paper, _PLACE.sub(measured, escape(text)))


def missing(text: str, rows: Mapping[str, Row]) -> Iterator[str]:
    """The places of a text for which nothing is measured."""
    for claim, quantity in _PLACE.findall(text):
        if not has(rows, claim, quantity):
            yield f"{claim}.{quantity}"


def named(text: str) -> set[str]:
    """The claims whose numbers a text contains."""
    return {claim for claim, _ in _PLACE.findall(text)}


def has(rows: Mapping[str, Row], claim: str, quantity: str) -> bool:
    """Whether a quantity of a claim is measured."""
    found = rows[claim].standing if claim in rows else None
    return found is not None and quantity in found.record.values


def value_of(row: Row, quantity: str) -> Any:
    """What was measured for a quantity of which `has` is true."""
    assert row.standing is not None
    return row.standing.record.values[quantity]


def rule_of(row: Row, quantity: str) -> dict[str, Any]:
    """The rule of a quantity."""
    (found,) = [each for each in row.claim["quantities"] if each["name"] == quantity]
    return dict(found)


def number(value: float | Sequence[float], rule: Mapping[str, Any]) -> str:
    """A quantity within a sentence, with as many digits as its interval allows.

    >>> [number(value, {"rule": "equal"}) for value in (21.0, 0.0166667, 1.001, -4e-16)]
    ['21', '0.0167', '1.00', '0']
    >>> number([2.41, 2.45, 2.5, 2.6, 2.7, 2.9], {"rule": "at_least"})
    '2.55 (95% interval 2.41 to 2.90, 6 seeds)'
    >>> each = {"rule": "at_most", "paper": 2.55}
    >>> number([2.41, 2.45, 2.5, 2.6, 2.7, 2.9], {"rule": "fraction", "paper": 0.5, "each": each})
    '50% of 6 seeds (95% interval 12% to 88%)'
    """
    if not isinstance(value, Sequence):
        return _single(value)
    if rule["rule"] == "fraction":
        low, high = rules.share_interval(value, rule)
        share = rules.share(value, rule["each"])
        return f"{share:.0%} of {len(value)} seeds (95% interval {low:.0%} to {high:.0%})"
    if len(value) < rules.FEWEST:
        return ledger.show_value(value, rule)
    low, high = rules.median_interval(value)
    middle = median(value)
    digits = max(0, decimals(low, high)) if high > low else 3
    form = f".{digits}f" if abs(middle) > _TINY else ".1e"
    ends = f"{low:{form}} to {high:{form}}"
    return f"{middle:{form}} (95% interval {ends}, {len(value)} seeds)"


def _single(value: float) -> str:
    """Three digits; zero for what is zero but for rounding."""
    if abs(value) < _ROUNDING or float(value).is_integer() or abs(value) >= _LARGE:
        return f"{value:,.0f}".replace("-0", "0")
    text = f"{value:.3g}"
    return f"{value:.2f}" if text.lstrip("-").isdigit() and abs(value) < 100 else text
