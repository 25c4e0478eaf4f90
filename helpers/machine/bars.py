"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress_bar(steps: Iterable[Any] | None = None, **options: Any) -> tqdm[Any]:
    """tqdm's bar, which is shown in a terminal alone and tells the time left by all steps so far.

    By default tqdm weighs the latest steps most. A step that also records or scores then changes
    the time left several-fold, and the next changes it back.

    Args:
        steps: what to iterate over; None for a bar that is moved by its `update`.
        options: tqdm's own, such as `total`, `initial` and `desc`.

    >>> list(progress_bar(range(3), desc="steps"))
    [0, 1, 2]
    """
    return tqdm(steps, disable=None, smoothing=0, **options)
