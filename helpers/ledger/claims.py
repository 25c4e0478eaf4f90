"""The claims of data/claims.json, and where the book's data are."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from helpers.ledger.rules import check_rule

OWN = "R"  # the letter of this book's own claims
PAPERS = {
    "A": "Durall et al. 2021",
    "B": "Berard et al. 2020",
    "C": "Sun et al. 2020",
    OWN: "this book",
}


def data_file(name: str) -> Path:
    """A file of the book's data: in the package if installed, under data/ in a checkout.

    Raises:
        FileNotFoundError: if it is in neither place.

    >>> data_file("claims.json").name
    'claims.json'
    """
    package = Path(__file__).parents[1]
    places = [package / name, package.parent / "data" / name]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"no {name} in {package} nor in {places[1].parent}")


@functools.cache
def all_claims() -> dict[str, dict[str, Any]]:
    """All claims by id, checked as `by_id` does.

    >>> all_claims()["C03"]["paper"]
    'C'
    """
    return by_id(json.loads(data_file("claims.json").read_text(encoding="utf-8")))


def by_id(stored: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Claims by id; a ValueError names one with a double id, no source, or a quantity amiss.

    >>> claim = {"id": "C99", "claim": "A sentence.", "place": "", "quantities": []}
    >>> by_id([claim])
    Traceback (most recent call last):
    ...
    ValueError: C99 has no source: place says where the paper says it, got ''
    """
    found: dict[str, dict[str, Any]] = {}
    for claim in stored:
        name = claim["id"]
        if name in found:
            raise ValueError(f"two claims have the id {name}")
        if not str(claim.get("place") or "").strip():
            raise ValueError(
                f"{name} has no source: place says where the paper says it, "
                f"got {claim.get('place')!r}"
            )
        names = [quantity.get("name") for quantity in claim["quantities"]]
        for quantity in claim["quantities"]:
            if names.count(quantity.get("name")) > 1:
                raise ValueError(f"{name} has two quantities named {quantity.get('name')!r}")
            if not quantity.get("what"):
                raise ValueError(
                    f"{name}, {quantity.get('name')}: 'what' must say what is measured"
                )
            check_rule(quantity)
        found[name] = dict(claim)
    return found


def lacking(claim: Mapping[str, Any]) -> str:
    """What a claim lacks of which nothing was run: the data that its runs need, or just runs.

    >>> lacking(find("C03"))
    'runs'
    >>> lacking(find("C22-6")).partition(":")[0]
    'the data'
    """
    return str(claim["needs"]["what"]) if "needs" in claim else "runs"


def find(claim_id: str) -> dict[str, Any]:
    """The claim with this id, or a ValueError.

    >>> find("C03")["place"]
    'Claim 3.1'
    """
    claims = all_claims()
    if not isinstance(claim_id, str) or claim_id not in claims:
        raise ValueError(f"unknown claim {claim_id!r}: data/claims.json holds {len(claims)}")
    return claims[claim_id]
