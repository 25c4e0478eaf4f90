"""A claim's rules, applied to numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from helpers.inputs import shown
from helpers.ledger import rules
from helpers.ledger.claims import find

PROFILES = ("quick", "medium", "full")
_REFUTING = (rules.NOT_REPRODUCED, rules.PAPER_IN_ERROR)


@dataclass(frozen=True)
class Record:
    """Numbers measured for one claim, and what the claim's rules make of them."""

    claim: str
    values: Mapping[str, float | list[float]]  # by quantity; lists hold one number per seed
    verdicts: Mapping[str, str]  # by quantity
    verdict: str  # the worst of them, "needs the full profile" or "no run yet"
    profile: str
    note: str = ""  # what the numbers were measured on, where that is not what the claim names

    @property
    def missing(self) -> list[dict[str, Any]]:
        """Quantities of the claim that are not among the values: other chapters measure them."""
        return [q for q in find(self.claim)["quantities"] if q["name"] not in self.values]

    def as_json(self) -> dict[str, Any]:
        stored = {"claim": self.claim, "values": dict(self.values), "profile": self.profile}
        return stored | ({"note": self.note} if self.note else {})

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Record:
        """What `as_json` gave, judged by the rules of today."""
        note = stored.get("note", "")
        return judge(stored["claim"], stored["values"], profile=stored["profile"], note=note)


class Judgement(Protocol):
    """What evidence makes of a claim; `helpers.evidence.judged` gives it."""

    @property
    def record(self) -> Record: ...

    @property
    def source(self) -> str: ...  # size, seeds, device, date, as a page prints them


def judge(
    claim_id: str,
    values: float | Sequence[float] | Mapping[str, Any],
    *,
    profile: str,
    note: str = "",
) -> Record:
    """Apply a claim's rules to measured numbers, without showing or storing anything.

    Args:
        claim_id: id in data/claims.json.
        values: by quantity of the claim; a bare number or list where it has just one. A list holds
            one number per seed (or the pair of a ratio). Of a claim that experiments decide, some
            may be missing: it then has "no run yet", whatever the others say.
        profile: "quick", "medium" or "full". A claim that needs the full profile gets no other
            verdict from another run, unless a quantity that needs "quick" refutes it; such a run
            may also lack quantities.
        note: what the numbers were measured on, where that is not what the claim names.

    Raises:
        ValueError: for an unknown claim, quantities missing or not known, NaN.

    >>> judge("C14", 1e6, profile="quick").verdict
    'reproduced'
    """
    claim = find(claim_id)
    known = {quantity["name"]: quantity for quantity in claim["quantities"]}
    if not known:
        raise ValueError(f"{claim_id} cannot be measured: {claim['untestable']}")
    if not isinstance(profile, str) or profile not in PROFILES:
        raise ValueError(f"unknown profile {shown(profile)}; there are {', '.join(PROFILES)}")
    if not isinstance(note, str):
        raise ValueError(f"a note is text, got {shown(note)}")
    if not isinstance(values, Mapping):
        if len(known) != 1:
            raise ValueError(f"{claim_id} has {len(known)} quantities: {', '.join(known)}")
        values = {next(iter(known)): values}
    undecided = claim["needs"] == "full" and profile != "full"
    may_lack = undecided or of_evidence(claim)
    if set(values) - set(known) or (len(values) < len(known) and not may_lack):
        got = ", ".join(map(str, values))
        raise ValueError(f"{claim_id} wants {', '.join(known)}; got {got}")
    plain = {name: rules.plain_numbers(values[name]) for name in known if name in values}
    verdicts = {name: _verdict(plain[name], known[name]) for name in plain}
    verdict = rules.worst(list(verdicts.values())) if verdicts else rules.NEEDS_FULL
    # What is wrong at any scale, printed numbers that contradict each other, is wrong at this one.
    at_any_scale = [v for name, v in verdicts.items() if known[name].get("needs") == "quick"]
    if of_evidence(claim) and len(plain) < len(known):
        verdict = rules.NO_RUN
    elif undecided and at_any_scale and rules.worst(at_any_scale) in _REFUTING:
        verdict = rules.worst(at_any_scale)
    elif undecided:
        verdict = rules.NEEDS_FULL
    return Record(claim_id, plain, verdicts, verdict, profile, note)


def of_evidence(claim: Mapping[str, Any]) -> bool:
    """Whether experiments decide a claim, so that its verdict comes from evidence alone.

    >>> of_evidence(find("C14"))
    False
    """
    return any("experiment" in quantity for quantity in claim["quantities"])


def _verdict(value: rules.Value, quantity: Mapping[str, Any]) -> str:
    if rules.holds(value, quantity):
        return quantity.get("if_holds", rules.REPRODUCED)
    return quantity.get("if_fails", rules.NOT_REPRODUCED)
