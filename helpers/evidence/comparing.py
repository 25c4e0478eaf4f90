"""Runs of a folder against the evidence that ships: has anything drifted?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from helpers import experiments
from helpers.evidence.frames import by_arm, fresh, runs
from helpers.inputs import one_of
from helpers.ledger import rules
from helpers.ledger.references import Value, listed


@dataclass(frozen=True)
class Compared:
    """One quantity of a claim, in a folder's runs and in the evidence."""

    claim: str
    quantity: str
    reading: str
    new: tuple[float, float] | None = None  # 95% interval of the median; None: not compared
    shipped: tuple[float, float] | None = None
    why_not: str = ""  # why it is not compared; empty where it is

    @property
    def drifted(self) -> bool:
        """Whether the two intervals lie apart."""
        if self.new is None or self.shipped is None:
            return False
        return self.new[0] > self.shipped[1] or self.shipped[0] > self.new[1]

    def __str__(self) -> str:
        label = f"{self.claim} {self.quantity} ({self.reading})"
        if self.new is None or self.shipped is None:
            return f"{label}: {self.why_not}"
        new, shipped = (f"{low:.5g} to {high:.5g}" for low, high in (self.new, self.shipped))
        return f"{label}: {new}, in the evidence {shipped}"


def compare(experiment: str, size: str, folder: Path | str) -> list[Compared]:
    """Each quantity of a folder's deciding runs, beside that of the evidence at the same size.

    Two medians are told apart where their 95% intervals do not overlap.

    Args:
        experiment: a name of `helpers.experiments.ORDER`.
        size: size of the runs.
        folder: folder of a store.

    Raises:
        ValueError: for an unknown experiment or size.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     compare("two_clusters", "quick", folder)
    []
    """
    module = experiments.find(experiment)
    one_of("size", size, module.SIZES)
    found = []
    for reading in module.READINGS:
        new, shipped = (_decided(experiment, reading, size, place) for place in (folder, None))
        for claim in module.QUANTITIES if new else ():
            there = quantities(experiment, claim, shipped)
            for name, value in quantities(experiment, claim, new).items():
                found.append(_compared(claim, name, reading, value, there.get(name)))
    return found


def quantities(experiment: str, claim: str, rows: Mapping[str, DataFrame]) -> dict[str, Value]:
    """A claim's quantities from some rows, except those whose arms are missing or give no number.

    Args:
        experiment: a name of `helpers.experiments.ORDER`.
        claim: id in data/claims.json.
        rows: members by arm.

    >>> quantities("two_clusters", "C01", {})
    {}
    """
    module = experiments.find(experiment)
    found = {}
    for name, quantity in module.QUANTITIES.get(claim, {}).items():
        try:
            value = quantity(rows)
        except KeyError:  # an arm is missing
            continue
        try:
            plain = rules.plain_numbers(value)
        except ValueError:  # for example, no member met the condition
            continue
        if listed(plain):
            found[name] = plain
    return found


def _decided(
    experiment: str, reading: str, size: str, folder: Path | str | None
) -> dict[str, DataFrame]:
    rows = fresh(runs(experiment, folder=folder), experiment)
    return by_arm(rows[(rows["reading"] == reading) & (rows["size"] == size)])


def _compared(claim: str, name: str, reading: str, new: Value, shipped: Value | None) -> Compared:
    if shipped is None:
        return Compared(claim, name, reading, why_not="the evidence has no such runs")
    both = [listed(value) for value in (new, shipped)]
    if min(map(len, both)) < rules.FEWEST:
        return Compared(claim, name, reading, why_not="fewer than six numbers")
    ours, theirs = map(rules.median_interval, both)
    return Compared(claim, name, reading, ours, theirs)
