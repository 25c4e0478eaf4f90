"""What experiments with ensembles share: records of a whole training, and members arm by arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame, Series, concat
from torch import Tensor

from helpers.experiments.protocol import Rows
from helpers.training.train import Diverged, EnsembleResult


def member_seed(seed: int, member: int) -> int:
    """The seed of a member of a block, from that of the block.

    >>> member_seed(2, 3)
    200003
    """
    return 100_000 * seed + member


def records_of(
    train: Callable[..., EnsembleResult],
    iterations: int,
    every: int,
    shapes: Mapping[str, tuple[int, ...]],
) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]], dict[int, int], dict[int, Tensor]]:
    """A training's records over all iterations, NaN once a member has diverged.

    Args:
        train: gives the result for `iterations`, which is passed by name.
        iterations, every: the training's length, and the iterations between records.
        shapes: the shape of each record at one time, by name.

    Returns:
        The iterations (t,), the records (t, ...) by name, the iterations in which members diverged,
        by member, and the weights (S, p + q) that were kept, by iteration.
    """
    try:
        run = train(iterations=iterations)
    except Diverged as every_member:
        run = every_member.run
    times, done = np.arange(every, iterations + 1, every), len(run.iterations)
    records = {}
    for name, shape in shapes.items():
        kept = run.records[name] if done else np.zeros((0, *shape), dtype=np.float32)
        records[name] = np.full((len(times), *shape), np.nan, dtype=kept.dtype)
        records[name][:done] = kept
    return times, records, run.diverged, run.snapshots


def quartiles(values: ArrayLike, iterations: ArrayLike) -> DataFrame:
    """A row per iteration: quartiles "low", "median" and "high" of values (t, S) over members.

    Members without a number are left out.

    >>> quartiles([[0.0, 4.0, np.nan]], [20]).values.tolist()
    [[20.0, 1.0, 2.0, 3.0]]
    """
    found = DataFrame(np.asarray(values)).quantile([0.25, 0.5, 0.75], axis=1).to_numpy()
    columns = dict(zip(("low", "median", "high"), found, strict=True))
    return DataFrame({"iteration": np.asarray(iterations)} | columns)


def paired(rows: Rows, one: str, other: str, column: str, column_of_other: str = "") -> DataFrame:
    """Values of two arms for the members that both have, in columns "one" and "other".

    Both are from the same column, unless the other's is named.

    Raises:
        KeyError: if an arm is missing.

    >>> js = DataFrame({"block": [0, 0], "member": [0, 1], "first": [7, 8]})
    >>> paired({"js": js, "rs": js.tail(1)}, "js", "rs", "first").values.tolist()
    [[8, 8]]
    """
    named = (("one", one, column), ("other", other, column_of_other or column))
    parts = [rows[a].set_index(["block", "member"])[c].rename(name) for name, a, c in named]
    return concat(parts, axis=1, join="inner").sort_index()


def difference(rows: Rows, one: str, other: str, column: str) -> list[float]:
    """One arm's values minus another's, a number per member that both have.

    >>> js = DataFrame({"block": [0], "member": [0], "first": [8]})
    >>> difference({"js": js, "rs": js.assign(first=5)}, "js", "rs", "first")
    [3]
    """
    both = paired(rows, one, other, column)
    return (both["one"] - both["other"]).tolist()


def ratio(rows: Rows, one: str, other: str, column: str) -> Series:
    """One arm's values over another's, for each member that both have.

    >>> js = DataFrame({"block": [0], "member": [0], "first": [8]})
    >>> ratio({"js": js, "rs": js.assign(first=4)}, "js", "rs", "first").tolist()
    [2.0]
    """
    both = paired(rows, one, other, column)
    return both["one"] / both["other"]


def log_ratio(rows: Rows, one: str, other: str, column: str) -> Series:
    """The logarithm of one arm's value over the other's, for each member that both have.

    >>> js = DataFrame({"block": [0], "member": [0], "first": [8]})
    >>> float(log_ratio({"js": js, "rs": js.assign(first=4)}, "js", "rs", "first").iloc[0])
    0.6931471805599453
    """
    return np.log(ratio(rows, one, other, column))
