"""An experiment that takes no time, claims that it decides, and evidence of its own.

`install` puts them in place of the book's; what is there is gone with the test's monkeypatch.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from pandas import DataFrame

from helpers import evidence, experiments, ledger
from helpers.evidence import committed
from helpers.experiments.protocol import Reading, Size, Wanted

NAME = "toy"


@dataclass(frozen=True)
class Setting:
    mean: float = 0.0
    width: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Sized(Size):
    scale: float = 1.0


def measure(setting, size, *, seed, device, folder=None, data=None, until=None):
    rng = np.random.default_rng(seed)
    value = size.scale * (setting.mean + setting.width * rng.normal(size=size.members))
    members = DataFrame({"member": range(size.members), "diverged": 0, "value": value})
    course = DataFrame({"member": 0, "iteration": [0, 1], "loss": [1.0, value[0]]})
    return {"members": members, "course": course}


def quantity(arm, column="value"):
    return lambda rows: rows[arm][column].tolist()


def claim(name, *quantities, home="two_clusters", **more):
    made = {
        "id": name,
        "paper": "C",
        "place": "Fig. 1",
        "kind": "figure",
        "claim": "values are small",
        "paper_value": "",
        "chapters": ["two_clusters"],
        "lowest": "full",
        "home": home,
        "quantities": list(quantities),
        **more,
    }
    written = {"date": "2026-11-27", "what": "written", "why": "tests", "seen": False}
    return made | {"history": [written | {"rule": ledger.history.rule_hash(made)}]}


def at_most(name, paper, experiment=NAME):
    rule = {"name": name, "what": name, "rule": "at_most", "paper": paper}
    return rule | ({"experiment": experiment} if experiment else {})


CLAIMS = [
    claim("Z1", at_most("low_value", 1.0), at_most("high_value", 20.0)),
    claim("Z2", at_most("low_value", 1.0), at_most("elsewhere", 1.0, "images")),
    claim("Z3", at_most("rare_value", 1.0)),
    claim("Z4", at_most("exact", 1.0, None), lowest="quick"),
]


def module():
    found = ModuleType(f"helpers.experiments.{NAME}")
    found.VERSION = 1
    found.READINGS = {
        "as printed": Reading(Setting(), "Fig. 1"),
        "as released": Reading(Setting(width=2.0), "its code"),
    }
    found.ARMS = {"low": {}, "high": {"mean": 10.0}, "rare": {"mean": 5.0}}
    found.SIZES = {
        "quick": Sized(members=4, lacks="seeds"),
        "full": Sized(members=16, lacks="nothing"),
    }
    found.WANTED = [Wanted(["as printed"], ["low", "high"], "full", range(100, 102), "Z1")]
    found.QUANTITIES = {
        "Z1": {"low_value": quantity("low"), "high_value": quantity("high")},
        "Z2": {"low_value": quantity("low")},
        "Z3": {"rare_value": quantity("rare")},
    }
    found.measure = measure
    return found


def install(monkeypatch, place, claims=CLAIMS):
    """The experiment, in a book with these claims whose evidence is at a place; the module."""
    made, by_id = module(), {each["id"]: each for each in claims}
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(experiments, "ORDER", (NAME,))
    for owner in (ledger, ledger.claims):
        monkeypatch.setattr(owner, "all_claims", lambda: by_id)
    monkeypatch.setattr(committed, "folder", lambda: place)
    monkeypatch.setattr(ledger, "legacy_runs", lambda: {})
    return made


def make_evidence(place, runs, **chosen):
    """Do the runs that are wanted, or those chosen, and commit them."""
    evidence.gather(evidence.wanted([NAME], **chosen), folder=runs, device="cpu")
    lines, damaged = committed.runs_of_store(evidence.Store(runs))
    assert not damaged
    committed.merge(lines, place)
