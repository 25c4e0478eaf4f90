"""How long a gather will still take."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from math import exp, isnan, log, nan


class Forecast:
    """The time until all runs are done, by what runs of each kind took before.

    A run of one arm may take a hundred times as long as one of another, so that the mean over the
    runs that are done says little about those that are left. What is known of each is therefore
    taken from past runs, and scaled by the ratios of what runs take now to what they took: by their
    geometric mean, with one ratio of 1 added, as single runs scatter two-fold on a machine that is
    also busy otherwise.

    Args:
        expected: seconds by run, NaN for a kind that was never run.

    >>> forecast = Forecast({"short": 10.0, "long": 100.0, "next": 100.0})
    >>> forecast.seconds_left({}, ["short", "long", "next"], width=2)
    110.0
    >>> forecast.note("short", 40.0)  # four times as long, so that twice is expected from now on
    >>> forecast.seconds_left({"long": 30.0}, ["next"], width=2)
    200.0
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        self.expected = dict(expected)
        self.took: dict[str, float] = {}

    def note(self, run: str, seconds: float) -> None:
        """What a run took that is done now."""
        self.took[run] = seconds

    def seconds_left(
        self, running: Mapping[str, float], waiting: Sequence[str], *, width: int
    ) -> float:
        """Seconds until the last run ends; NaN while nothing is known of one of them.

        Args:
            running: seconds since each run under way began, or was taken up again.
            waiting: runs that have not begun, in the order in which they will.
            width: how many are done side by side.
        """
        known = [run for run in self.took if self.expected[run] > 0 < self.took[run]]
        ratios = [log(self.took[run] / self.expected[run]) for run in known]
        scale = exp(sum(ratios) / (len(ratios) + 1))
        new = [seconds for run, seconds in self.took.items() if isnan(self.expected[run])]
        typical = sum(new) / len(new) if new else nan

        def whole(run: str) -> float:
            expected = self.expected[run]
            return typical if isnan(expected) else scale * expected

        ends = [max(0.0, whole(run) - since) for run, since in running.items()]
        waits = [whole(run) for run in waiting]
        if any(isnan(each) for each in (*ends, *waits)):
            return nan
        # Each run that waits begins where a worker is free first.
        free = sorted(ends) + [0.0] * max(0, width - len(ends))
        heapq.heapify(free)
        for each in waits:
            heapq.heappush(free, heapq.heappop(free) + each)
        return max(free, default=0.0)
