"""What was found of every case, as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.matrix.judge import COLUMNS, DEFAULTS, KINDS, RAISED, REFUSED, RIGHT, WRONG, Verdict

_SIGNS = {RIGHT: "+", REFUSED: "r", WRONG: "W", RAISED: "E"}
_WIDTH = 40


@dataclass
class Table:
    """Verdicts by case, column and kind."""

    verdicts: dict[str, dict[tuple[str, str], Verdict]] = field(default_factory=dict)

    def refused_by_default(self) -> list[str]:
        """Cases of which the default route does not give all products."""
        return [
            name
            for name, found in self.verdicts.items()
            if any(found[column, kind].word != RIGHT for column in DEFAULTS for kind in KINDS)
        ]

    def text(self) -> str:
        """A line per case, a sign per cell, and the counts."""
        head = "".join(column.ljust(12) for column in COLUMNS)
        lines = [
            "+ right, r refused by name, W wrong, E another error; of each route G's Hessian, D's, "
            "the Jacobian, its transpose;",
            "field: losses and field; kept: nothing of the caller's is changed; "
            "ensemble: members' Hessians of G, of D, - where none is made",
            f"{'':{_WIDTH}}field kept  {head}ensemble",
        ]
        for name, found in self.verdicts.items():
            row = "".join(self._signs(found, column, KINDS).ljust(12) for column in COLUMNS)
            game = "     ".join(self._signs(found, "game", (kind,)) for kind in ("field", "kept"))
            row = f"{name:{_WIDTH}}{game}     {row}{self._signs(found, 'ensemble', 'GD')}"
            lines.append(row.rstrip())
        words = Counter(v.word for found in self.verdicts.values() for v in found.values())
        default = Counter(
            v.word
            for found in self.verdicts.values()
            for (column, _), v in found.items()
            if column in DEFAULTS
        )
        lines += [
            f"{len(self.verdicts)} cases, {sum(words.values())} cells: {_counts(words)}",
            f"of these on the default route: {_counts(default)}",
            f"cases with a product refused there: {len(self.refused_by_default())}",
        ]
        return "\n".join(lines)

    def reasons(self) -> str:
        """What was said of cells that are not right, and which routes were fallen back to."""
        lines = []
        for name, found in self.verdicts.items():
            said: dict[str, list[str]] = {}
            for (column, kind), verdict in found.items():
                if verdict.word != RIGHT:
                    said.setdefault(f"{verdict.word}: {verdict.why}", []).append(f"{column} {kind}")
                elif verdict.took not in ("", "recomputed" if column == "auto" else "linearized"):
                    said.setdefault(f"takes {verdict.took}", []).append(f"{column} {kind}")
            lines += [f"{name}: {', '.join(cells)}: {why}" for why, cells in said.items()]
        return "\n".join(lines)

    @staticmethod
    def _signs(found: dict[tuple[str, str], Verdict], column: str, kinds: tuple | str) -> str:
        cells = (found.get((column, kind)) for kind in kinds)
        return "".join("-" if each is None else _SIGNS[each.word] for each in cells)


def _counts(words: Counter) -> str:
    return ", ".join(f"{words[word]} {word}" for word in (RIGHT, REFUSED, WRONG, RAISED))


TABLE = Table()
