"""A claim's rules, applied to numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.inputs import shown
from helpers.ledger import rules
from helpers.ledger.claims import find, lacking

PROFILES = ("quick", "medium", "full")
_HOLDING = 3  # fewest seeds with which a quantity can hold


@dataclass(frozen=True)
class Record:
    """Numbers measured for one claim, and what the claim's rules make of them."""

    claim: str
    values: Mapping[str, float | list[float]]  # by quantity; lists hold one number per seed
    verdicts: Mapping[str, str]  # by quantity
    verdict: str  # one of `rules.VERDICTS`
    profile: str
    note: str = ""  # what the numbers were measured on, where that is not what the claim names
    lacks: str = ""  # of an open claim: what is missing; of a caveat: the reading that it takes

    @property
    def said(self) -> str:
        """The verdict with what it lacks, as a page says it."""
        if self.verdict == rules.OPEN:
            return f"{rules.OPEN}, for lack of {self.lacks}"
        return f"{self.verdict} ({self.lacks})" if self.lacks else self.verdict

    @property
    def miss(self) -> float:
        """How far the worst of its quantities is from what is asked, by `rules.miss`.

        Infinite where one is missing.
        """
        if self.missing:
            return math.inf
        asked = {quantity["name"]: quantity for quantity in find(self.claim)["quantities"]}
        return max(rules.miss(value, asked[name]) for name, value in self.values.items())

    @property
    def missing(self) -> list[dict[str, Any]]:
        """Quantities of the claim that are not among the values: other chapters measure them."""
        return [q for q in find(self.claim)["quantities"] if q["name"] not in self.values]

    def as_json(self) -> dict[str, Any]:
        stored = {"claim": self.claim, "values": dict(self.values), "profile": self.profile}
        return stored | ({"note": self.note} if self.note else {})

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Record:
        """What `as_json` gave, judged by today's rules, which may ask for less."""
        asked = {quantity["name"] for quantity in find(stored["claim"])["quantities"]}
        values = {name: value for name, value in stored["values"].items() if name in asked}
        note = stored.get("note", "")
        return judge(stored["claim"], values, profile=stored["profile"], note=note)


@dataclass(frozen=True)
class Judgement:
    """What evidence makes of a claim; `helpers.evidence.judged` gives it."""

    record: Record
    source: str  # size, seeds, device, date and reading, as a page prints them
    size: str = ""  # the smallest of its experiments' sizes


def judge(
    claim_id: str,
    values: float | Sequence[float] | Mapping[str, Any],
    *,
    profile: str,
    note: str = "",
) -> Record:
    """Apply a claim's rules to measured numbers, without showing or storing anything.

    A claim is refuted if one of its quantities is, and open while one of them is open or, where
    experiments decide it, missing. A run smaller than the claim's `lowest` leaves it open, unless
    a quantity whose own `lowest` is "quick" refutes it. A quantity of seeds needs at least three
    of them to hold; where six or more hold narrowly (`rules.is_narrow`), that is a caveat. To fail
    it needs at least six, whose 95% interval contains nothing that was asked; otherwise it is open.
    A claim about what happens under a condition is open where the
    condition is not met: the quantity that shows this has a "premise", which says what runs are
    lacking.

    Args:
        claim_id: id in data/claims.json.
        values: by quantity of the claim; a bare number or list where it has just one. A list has
            one number per seed. Some may be missing for a claim that experiments decide, and for a
            run that is too small.
        profile: "quick", "medium" or "full".
        note: what the numbers were measured on, where that is not what the claim names.

    Raises:
        ValueError: for an unknown claim, missing or unknown quantities, and NaN.

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
        raise ValueError(f"a note must be text, got {shown(note)}")
    if not isinstance(values, Mapping):
        if len(known) != 1:
            raise ValueError(f"{claim_id} has {len(known)} quantities: {', '.join(known)}")
        values = {next(iter(known)): values}
    small = PROFILES.index(profile) < PROFILES.index(claim["lowest"])
    if set(values) - set(known) or (len(values) < len(known) and not (small or of_evidence(claim))):
        got = ", ".join(map(str, values))
        raise ValueError(f"{claim_id} needs {', '.join(known)}; got {got}")
    plain = {name: rules.plain_numbers(values[name]) for name in known if name in values}
    verdicts = {name: _verdict(plain[name], known[name]) for name in plain}
    refuted = [verdict for verdict in verdicts.values() if verdict in rules.REFUTING]
    unmet = [
        known[n]["premise"]
        for n in plain
        if "premise" in known[n] and verdicts[n] not in rules.HOLDING
    ]
    # No run can mend what is wrong at any scale: printed numbers that contradict each other.
    at_any = [
        verdicts[n] for n in plain if known[n].get("lowest") and verdicts[n] in rules.REFUTING
    ]
    if at_any:
        verdict, lacks = rules.worst(at_any), ""
    elif of_evidence(claim) and len(plain) < len(known):
        verdict, lacks = rules.OPEN, "runs of the rest" if plain else lacking(claim)
    elif unmet:
        verdict, lacks = rules.OPEN, unmet[0]
    elif small:
        verdict, lacks = rules.OPEN, f"a run at {claim['lowest']} size"
    elif refuted:
        verdict, lacks = rules.worst(refuted), ""
    else:
        verdict = rules.worst(list(verdicts.values()))
        lacks = "seeds" if verdict == rules.OPEN else ""
    return Record(claim_id, plain, verdicts, verdict, profile, note, lacks)


def of_evidence(claim: Mapping[str, Any]) -> bool:
    """Whether experiments decide a claim, so that its verdict comes from evidence alone.

    >>> of_evidence(find("C14"))
    False
    """
    return any("experiment" in quantity for quantity in claim["quantities"])


def _verdict(value: rules.Value, quantity: Mapping[str, Any]) -> str:
    holds = rules.holds(value, quantity)
    met = quantity.get("if_holds", rules.REPRODUCED)
    missed = quantity.get("if_fails", rules.NOT_REPRODUCED)
    if not isinstance(value, Sequence):
        return met if holds else missed
    if holds and len(value) < _HOLDING:
        return rules.OPEN
    if holds:
        narrow = met == rules.REPRODUCED and rules.is_narrow(value, quantity)
        return rules.CAVEAT if narrow else met
    if missed not in rules.REFUTING:
        return missed
    # With fewer seeds there is no interval that could exclude what was asked.
    refuted = len(value) >= rules.FEWEST and not rules.may_hold(value, quantity)
    return missed if refuted else rules.OPEN
