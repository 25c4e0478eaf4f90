"""A verdict as a page shows it, and as a terminal does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import floor, isfinite, log10
from statistics import median
from typing import Any

from helpers.ledger import rules
from helpers.ledger.claims import OWN, PAPERS, find
from helpers.ledger.history import changes
from helpers.ledger.verdicts import Record

# Mark and colour of each verdict; the mark carries the meaning where the colour is not seen.
MARKS = {
    rules.REPRODUCED: ("✓", "#1f8f4e"),
    rules.CAVEAT: ("≈", "#b58900"),
    rules.NOT_REPRODUCED: ("✗", "#d1492e"),
    rules.HARMLESS_ERROR: ("!", "#8b5fd0"),
    rules.ERROR: ("!!", "#b5349c"),
    rules.OPEN: ("…", "#4a8fc7"),
    rules.UNMEASURABLE: ("–", "#8a8f98"),
}
_MOST_DIGITS, _LARGE = 5, 1e5  # beyond them numbers are written with an exponent
_CELL = 'style="text-align:left;padding:.1rem .8rem .1rem 0;border:0;background:none"'


def show_value(value: float | Sequence[float], rule: Mapping[str, Any]) -> str:
    """A measured value as the verdict box prints it.

    Of six seeds or more it is the median with its 95% interval, by order statistics; of fewer, the
    median and the range. Where the rule asks for a share of the seeds, it is the share with
    its 95% interval (Clopper and Pearson's), and the median. An interval is printed to two digits
    of its width, and so is its median. "narrowly" is said where the rule holds, but not for all
    values in the interval.

    >>> show_value([2.41, 2.45, 2.5, 2.6, 2.7, 2.9], {"rule": "at_least", "paper": 2})
    '2.55 (2.41 to 2.90, 6 seeds)'
    >>> show_value([1.0, 2.0, 4.0], {"rule": "at_most", "paper": 1})
    '2 (from 1 to 4, 3 seeds)'
    >>> show_value([*range(1, 12)], {"rule": "at_most", "paper": 1})
    '6 (2 to 10, 11 seeds)'
    >>> show_value([*range(1, 12)], {"rule": "at_most", "paper": 7})
    '6 (2 to 10, 11 seeds; narrowly)'
    >>> each = {"rule": "at_most", "paper": 3}
    >>> show_value([*range(1, 12)], {"rule": "fraction", "paper": 1, "each": each})
    '27% of 11 seeds (6% to 61%), median 6'
    """
    if not isinstance(value, Sequence):
        return _short(value)
    count, middle = len(value), _short(median(value))
    narrowly = "; narrowly" if rules.is_narrow(value, rule) else ""
    if rule["rule"] == "fraction":
        share = 100 * rules.share(value, rule["each"])
        low, high = (100 * end for end in rules.share_interval(value, rule))
        seeds = "1 seed" if count == 1 else f"{count} seeds"
        return f"{share:.0f}% of {seeds} ({low:.0f}% to {high:.0f}%{narrowly}), median {middle}"
    if count == 1:
        return f"{middle} (1 seed)"
    if count < rules.FEWEST:
        return "{} (from {} to {}, {} seeds)".format(
            *_as_wide(median(value), min(value), max(value)), count
        )
    return "{} ({} to {}, {} seeds{})".format(
        *_as_wide(median(value), *rules.median_interval(value)), count, narrowly
    )


def _as_wide(middle: float, low: float, high: float) -> list[str]:
    """A number and the ends of its interval, with two digits of the width; counts stay as whole."""
    parts = (middle, low, high)
    counts = all(float(2 * part).is_integer() for part in parts)
    if all(map(isfinite, parts)) and low < high and not counts:
        digits = decimals(low, high)
        if digits <= _MOST_DIGITS and max(map(abs, parts)) < _LARGE:
            return [f"{part:.{max(digits, 0)}f}" for part in parts]
    return [_short(part) for part in parts]


def decimals(low: float, high: float) -> int:
    """Decimals that show two digits of an interval's width; below 0 for tens and more.

    >>> decimals(2.41, 2.9), decimals(100.0, 900.0)
    (2, -1)
    """
    return 1 - floor(log10(high - low))


def show_quantities(made: Record) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Each quantity that a record has, with what its rule demands and what we got, as printed.

    >>> from helpers.ledger import judge
    >>> [(asked, ours) for _, asked, ours in show_quantities(judge("C14", 2e6, profile="quick"))]
    [('≥ 1e+06', '2e+06')]
    """
    for quantity in find(made.claim)["quantities"]:
        if quantity["name"] in made.values:
            ours = show_value(made.values[quantity["name"]], quantity)
            yield quantity, rules.describe(quantity), ours


def as_html(made: Record, *, source: str = "", live: Record | None = None) -> str:
    """The verdict box: its styles are inline, its colours translucent, so it is legible anywhere.

    Args:
        made: what is judged.
        source: of the numbers, printed below them.
        live: what the page itself has measured, folded, beside them.

    >>> from helpers.ledger import judge
    >>> "<details>" in as_html(judge("C14", 2e6, profile="quick"))
    False
    """
    claim = find(made.claim)
    mark, colour = MARKS[made.verdict]
    return (
        f'<div class="verdict" id="claim-{made.claim}" style="border-left:.3rem solid {colour};'
        f'background:{colour}1c;border-radius:.25rem;padding:.6rem 1rem;margin:.5rem 0">'
        f"<strong>{mark} {made.claim}: {escape(made.said)}</strong><br>"
        f"{escape(claim['claim'])} <em>({PAPERS[claim['paper']]}, {escape(claim['place'])})</em>"
        + (
            f"<br><small>The paper: {escape(said)}.</small>"
            if (said := claim["paper_value"]) and claim["paper"] != OWN
            else ""
        )
        + (f"<br><small>Measured {escape(made.note)}.</small>" if made.note else "")
        + "".join(f"<br><small>{escape(line)}</small>" for line in changes(claim))
        + _table(made)
        + (f"<small>{escape(source)}</small>" if source else "")
        + (
            f"<details><summary>this page's live run</summary>{_table(live)}</details>"
            if live
            else ""
        )
        + "</div>"
    )


def as_text(made: Record, source: str = "") -> str:
    """The verdict and its numbers on one line.

    >>> from helpers.ledger import judge
    >>> as_text(judge("C14", 2e6, profile="quick"))
    'C14 reproduced: supremum_to_1e6 = 2e+06 [≥ 1e+06]'
    """
    shown = (f"{q['name']} = {ours} [{asked}]" for q, asked, ours in show_quantities(made))
    return f"{made.claim} {made.said}: " + "; ".join(shown) + (f" ({source})" if source else "")


def _table(made: Record) -> str:
    rows = [_row(made.verdicts[q["name"]], q, ours) for q, _, ours in show_quantities(made)]
    rows += [_row(rules.OPEN, quantity, "not run") for quantity in made.missing]
    return (
        '<div style="overflow-x:auto"><table style="margin:.4rem 0 0;border:0;font-size:.92em">'
        f"<tr><th {_CELL}>measured</th><th {_CELL}>asked</th><th {_CELL}>ours</th></tr>"
        f"{''.join(rows)}</table></div>"
    )


def _row(verdict: str, quantity: Mapping[str, Any], ours: str) -> str:
    texts = (f"{MARKS[verdict][0]} {quantity['what']}", rules.describe(quantity), ours)
    return f"<tr>{''.join(f'<td {_CELL}>{escape(text)}</td>' for text in texts)}</tr>"


def _short(value: float) -> str:
    # Differences of rounding size would print other digits on every machine.
    return "0" if abs(value) < 1e-12 else f"{value:.5g}"
