"""A table of numbers that is read by the names of its columns, and in no other way.

Notebooks and records are stored with their names sorted, so where a column stands says nothing
about what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Table:
    """Columns of numbers by name; there is no first column, and no order to walk through them.

    Args:
        columns: by name; they may have different lengths.

    Raises:
        ValueError: for a name that is not a string.

    >>> table = Table({"loss": [0.5, 0.25], "seed 10": [3], "seed 2": [4]})
    >>> table["loss"], "gain" in table
    (array([0.5 , 0.25]), False)
    >>> table.numbered("seed").tolist()
    [[4], [3]]
    """

    __iter__ = None  # else Python would try table[0], table[1], ...

    def __init__(self, columns: Mapping[str, ArrayLike]) -> None:
        for name in columns:
            if not isinstance(name, str):
                raise ValueError(f"columns have names, got {name!r}")
        self._columns = {name: np.array(values) for name, values in columns.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names in alphabetical order, whatever the order in which the columns were given."""
        return tuple(sorted(self._columns))

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A copy of one column.

        Raises:
            TypeError: for a position.
            KeyError: if there is no column of this name.
        """
        if not isinstance(name, str):
            raise TypeError(f"a table is read by {', '.join(self.names)}; got {name!r}")
        if name not in self._columns:
            raise KeyError(f"no column {name!r}; there are {', '.join(self.names)}")
        return self._columns[name].copy()

    def numbered(self, word: str) -> NDArray[Any]:
        """The columns "word 0", "word 1" and so on, one a row, in the order of their numbers.

        Raises:
            KeyError: if there are none.
        """
        found = {int(n[len(word) :]): n for n in self.names if re.fullmatch(rf"{word} \d+", n)}
        if not found:
            raise KeyError(f"no columns {word!r} with a number; there are {', '.join(self.names)}")
        return np.stack([self._columns[found[number]] for number in sorted(found)])
