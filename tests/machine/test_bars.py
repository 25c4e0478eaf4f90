"""The time left that a bar tells."""

import io
import re
from unittest.mock import patch

import pytest

from helpers.machine import progress_bar


class Clock:
    """Time that passes when a step says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def seconds(text):
    total = 0
    for part in text.split(":"):
        total = 60 * total + int(part)
    return total


def told(cost, steps):
    """What the bar tells after each step, and how long the rest then takes, in seconds."""
    clock, shown, found = Clock(), io.StringIO(), []
    shown.isatty = lambda: True
    with patch("time.time", clock), patch("tqdm.std.time", clock):
        for step in progress_bar(range(steps), file=shown, mininterval=0, miniters=1):
            if step:
                left = re.findall(r"<([\d:]+),", shown.getvalue())[-1]
                found.append((seconds(left), sum(cost(each) for each in range(step, steps))))
            clock.now += cost(step)
    return found


def test_recording_steps_hardly_change_the_time_left():
    """Every fiftieth step takes thirty times as long as the others, as those that score do."""
    found = told(lambda step: 30.0 if step % 50 == 49 else 1.0, 1000)
    for left, true in found[100:-50]:
        assert left == pytest.approx(true, rel=1 / 3)


def test_a_bar_that_goes_on_counts_the_steps_of_this_time():
    clock, shown = Clock(), io.StringIO()
    shown.isatty = lambda: True
    with patch("tqdm.std.time", clock):
        bar = progress_bar(total=100, initial=90, file=shown, mininterval=0)
        clock.now = 50.0
        bar.update(5)
    assert "<00:50," in shown.getvalue()


def test_there_is_no_bar_where_nobody_watches():
    shown = io.StringIO()
    list(progress_bar(range(3), file=shown))
    assert not shown.getvalue()
