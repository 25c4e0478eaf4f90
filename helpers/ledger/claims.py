"""The claims of data/claims.json, and where the book's data are."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from helpers.ledger.rules import check_rule

OWN = "R"  # the letter of what this book claims itself
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
    """All claims by id, their rules checked.

    >>> all_claims()["C03"]["paper"]
    'C'
    """
    stored = json.loads(data_file("claims.json").read_text(encoding="utf-8"))
    for claim in stored:
        for quantity in claim["quantities"]:
            check_rule(quantity)
    return {claim["id"]: claim for claim in stored}


def find(claim_id: str) -> dict[str, Any]:
    """The claim with this id, or a ValueError.

    >>> find("C03")["place"]
    'Claim 3.1'
    """
    claims = all_claims()
    if not isinstance(claim_id, str) or claim_id not in claims:
        raise ValueError(f"unknown claim {claim_id!r}: data/claims.json holds {len(claims)}")
    return claims[claim_id]
