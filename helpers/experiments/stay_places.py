"""The places of trainings that stay with some of the modes: which are looked at, and what is kept.

Between experiments only what a stay is differs, and what is measured at one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, concat
from torch import Tensor
from typing_extensions import Unpack

from helpers.experiments.parts import in_folder, kept, of_member
from helpers.experiments.protocol import How

Numbers = dict[str, float]
_COLUMNS = ("member", "place", "number", "start", "end", "last", "iteration", "left", "radius")


def places(
    found: DataFrame,
    *,
    stable: NDArray[np.int64],
    is_full: NDArray[np.bool_],
    weights: Mapping[int, Tensor],
    end: int,
) -> DataFrame:
    """The places of a training that are looked at.

    A row per "stay"; one "between", half way in time between the stay's end and full coverage for
    good; and, for a member with a stay, one at "full" coverage, in the middle of the time from
    then on to the end. A stay after which not all modes are covered for good has only its own row.

    Args:
        found: the stays, as `helpers.analysis.coverage.collapses` gives them.
        stable: (S,) iterations from which on all modes are covered.
        is_full: (S,) whether they are so at the end.
        weights: (S, p + q) of all members, by the iteration after which they were kept.
        end: the last iteration.

    Returns:
        Columns "member"; "place"; "number" of the stay in its member, from 0; the iterations
        "start" and "end" of that time; whether the run ends with it ("last"); the "iteration" whose
        weights are taken, of those that were kept the nearest to its middle; "left", the iterations
        from there to its end; and "radius", the largest distance of the weights kept in that time
        from those.

    >>> import torch
    >>> stay = DataFrame({"member": [0], "start": [0], "end": [4], "last": [True]})
    >>> kept = {k: torch.full((1, 4), float(k)) for k in range(5)}
    >>> times = {"stable": np.array([4]), "is_full": np.array([False]), "end": 4}
    >>> places(stay, weights=kept, **times)[["iteration", "left", "radius"]].values.tolist()
    [[2.0, 2.0, 4.0]]
    """
    at = np.array(sorted(weights))
    rows: list[dict[str, Any]] = []

    def add(member: int, place: str, number: int, start: int, stop: int, last: bool) -> None:
        inside = at[(at >= start) & (at <= stop)]
        if not len(inside):  # shorter than the time between two that were kept
            return
        middle = int(inside[np.abs(inside - (start + stop) / 2).argmin()])
        here = weights[middle][member].double()
        away = [float((weights[k][member].double() - here).norm()) for k in inside.tolist()]
        row = {"member": member, "place": place, "number": number, "start": start, "end": stop}
        times = {"last": last, "iteration": middle, "left": stop - middle}
        rows.append(row | times | {"radius": max(away)})

    for who in found["member"].unique().tolist():
        stays, settled = found[found["member"] == who], int(stable[who])
        for number, (start, stop, last) in enumerate(
            zip(stays["start"], stays["end"], stays["last"], strict=True)
        ):
            add(who, "stay", number, int(start), int(stop), bool(last))
            if is_full[who]:
                add(who, "between", number, int(stop), settled, False)
        if is_full[who]:
            add(who, "full", len(stays), settled, end, True)
    return DataFrame(rows, columns=list(_COLUMNS))


def looked_at(
    at: DataFrame,
    look: Callable[[int, DataFrame], list[Numbers]],
    about: Mapping[str, Any],
    columns: Sequence[str],
    **how: Unpack[How],
) -> DataFrame:
    """Places with the numbers there, member by member; a member's are kept in the run's folder.

    Args:
        at: as `places` gives them.
        look: gives the numbers of a member's places, in their order.
        about: what tells the run from others.
        columns: the names of all numbers; NaN where a place has no such number.
        how: as `helpers.experiments.protocol.How` says.

    Raises:
        Paused: once `until` says so, after a member.
    """
    parts = []
    for who in at["member"].unique().tolist():
        own = at[at["member"] == who]
        path = in_folder(of_member(how.get("folder"), who), "points.pt")

        def find(who: int = who, own: DataFrame = own) -> dict[str, Any]:
            return {"rows": look(who, own)}

        found = kept(find, path, {**about, "member": who}, how.get("until"))
        parts.append(concat([own, DataFrame(found["rows"], index=own.index)], axis=1))
    points = concat(parts, ignore_index=True) if parts else at
    return points.reindex(columns=[*at.columns, *columns])


def longest_of(at: DataFrame) -> Any:
    """The index of a member's longest stay, the first of several."""
    stays = at[at["place"] == "stay"]
    return (stays["end"] - stays["start"]).idxmax()
