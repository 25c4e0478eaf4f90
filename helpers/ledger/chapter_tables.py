"""The tables that a chapter's figures and text are made of: this run's, or the recorded run's.

A quick run shows what a longer run has left in data/recorded, where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from helpers import ledger
from helpers.ledger.columns import Table


class Tables:
    """Tables of numbers by label, each read by the names of its columns.

    Args:
        chapter: whose recorded run is shown.
        profile: of this run; any but "quick" shows itself, and leaves its tables in the notebook.

    >>> tables = Tables("a chapter without a recorded run", "quick")
    >>> tables.store("times", {"first": [3.0, 4.0]})
    >>> tables.shown("times")["first"], tables.shown_profile
    (array([3., 4.]), 'quick')
    >>> "times" in tables, "losses" in tables
    (True, False)
    """

    def __init__(self, chapter: str, profile: str) -> None:
        self.profile = profile
        self.live: dict[str, Table] = {}
        self._recorded = ledger.recorded(chapter) if profile == "quick" else None

    @property
    def shown_profile(self) -> str:
        """The profile of the run that is shown."""
        return self.profile if self._recorded is None else self._recorded["parameters"]["profile"]

    def store(self, label: str, table: Mapping[str, ArrayLike]) -> None:
        """Hold a table of this run."""
        self.live[label] = Table(table)
        if self.profile != "quick":
            ledger.store_table(label, table)

    def shown(self, label: str) -> Table:
        """A table of the run that is shown.

        Raises:
            KeyError: if it has none of this label.
        """
        return self._shown()[label]

    def __contains__(self, label: object) -> bool:
        """Whether the run that is shown has a table of this label."""
        return label in self._shown()

    def _shown(self) -> Mapping[str, Table]:
        return self.live if self._recorded is None else self._recorded["tables"]
