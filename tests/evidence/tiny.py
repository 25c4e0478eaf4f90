"""The command with sizes that take seconds: `python -m tests.evidence.tiny gather ...`."""

import sys
from dataclasses import replace

from helpers.evidence.__main__ import main
from helpers.evidence.identity import Run
from helpers.experiments import two_clusters
from helpers.experiments.protocol import Wanted, setting_of

READING = next(iter(two_clusters.READINGS))
SIZES = {
    "tiny": replace(two_clusters.SIZES["quick"], members=2, iterations=60),
    "long": replace(two_clusters.SIZES["quick"], members=2, iterations=400),
}
ARMS = ("js", "rs")


WANTED = [Wanted((READING,), ARMS, size, range(100, 102), "to try it") for size in SIZES]


def runs(size="tiny", blocks=range(100, 102)):
    """Runs of a tiny size, in the order in which gather does them."""
    setting = {arm: setting_of(two_clusters, READING, arm) for arm in ARMS}
    return [
        Run("two_clusters", two_clusters.VERSION, setting[arm], SIZES[size], block,
            READING, arm, size)
        for block in blocks
        for arm in ARMS
    ]  # fmt: skip


def command(arguments=None):
    """The command with these sizes, and nothing else wanted."""
    two_clusters.SIZES |= SIZES
    two_clusters.WANTED = WANTED
    return main(arguments)


if __name__ == "__main__":
    sys.exit(command())
