"""The record of each claim's rule: when it was written, and when, how and why it was changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

_NOT_RULE = ("experiment",)  # keys of a quantity that decide nothing: where it is measured
_KEYS = {"date", "what", "why", "seen", "rule"}


def rule_hash(claim: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that any change of a claim's rule changes.

    They cover `lowest`, the "readings" that its words allow, if it names any, and, of each quantity
    in order, its name, what is measured and how it is judged.

    >>> from helpers.ledger import find
    >>> claim = find("C14")
    >>> rule_hash(claim) == rule_hash(claim | {"home": "elsewhere"})
    True
    >>> rule_hash(claim) == rule_hash(claim | {"lowest": "full"})
    False
    >>> rule_hash(claim) == rule_hash(claim | {"readings": ["as printed"]})
    False
    """
    quantities = [
        {key: value for key, value in quantity.items() if key not in _NOT_RULE}
        for quantity in claim["quantities"]
    ]
    rule = {"lowest": claim["lowest"], "quantities": quantities}
    rule |= {"readings": claim["readings"]} if "readings" in claim else {}
    text = json.dumps(rule, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def changes(claim: Mapping[str, Any]) -> list[str]:
    """What was changed in a claim's rule since it was written, one sentence per change.

    That it was written after a run had been seen is the first one.

    >>> from helpers.ledger import find
    >>> changes(find("C14"))
    []
    >>> changes(find("A02"))
    ['Rule changed on 2026-11-27, after a run had been seen: ...']
    >>> changes(find("B37"))
    ['Rule written on 2026-11-28, after a run had been seen: the paper says it and ...']
    """
    late = [
        f"Rule written on {first['date']}, after a run had been seen: {first['why']}."
        for first in claim.get("history", [])[:1]
        if first["seen"]
    ]
    return late + [
        f"Rule changed on {change['date']}, {'after' if change['seen'] else 'before'} a run had "
        f"been seen: {change['what']}, because {change['why']}."
        for change in claim.get("history", [])[1:]
    ]


def faults(claims: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the record of some claims' rules, one line per fault.

    >>> from helpers.ledger import find
    >>> faults([find("C14") | {"lowest": "full"}])
    ['C14: its rule is ... and the last one on record ...; say in its history ...']
    """
    found = []
    for claim in claims:
        past = claim.get("history") or []
        wrong = [entry for entry in past if set(entry) != _KEYS or not _is_sound(entry)]
        dates = [str(entry.get("date")) for entry in past]
        if not past or wrong:
            found.append(
                f"{claim['id']}: an entry of its history has a date, what, why, seen (true or "
                f"false) and rule, got {wrong[0] if wrong else 'no entry'}"
            )
        elif dates != sorted(dates):
            found.append(f"{claim['id']}: its history is not in the order of dates: {dates}")
        elif (now := rule_hash(claim)) != (last := past[-1]["rule"]):
            found.append(
                f"{claim['id']}: its rule is {now} and the last one on record {last}; say in its "
                f"history what was changed, and why, and whether a run had been seen"
            )
    return found


def _is_sound(entry: Mapping[str, Any]) -> bool:
    try:
        date.fromisoformat(entry["date"])
    except (TypeError, ValueError):
        return False
    texts = (entry[name] for name in ("what", "why", "rule"))
    return isinstance(entry["seen"], bool) and all(isinstance(t, str) and t for t in texts)
