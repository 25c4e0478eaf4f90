"""Evidence: runs of experiments, from how they are made to the claims that rest on them.

- `identity`: what tells a run from others; `Run`.
- `lines`: a run as a line of JSON.
- `store`: runs in a folder while they go on; `Store`.
- `work`, `gathering`: one run, and all that are missing; `gather`.
- `planning`: which runs are wanted, there or missing; `listing`.
- `forecast`: how long a gather will still take.
- `committed`: data/evidence; `merge`, `drop`.
- `frames`, `judging`: evidence as tidy frames, and the claims judged on it; `runs`, `judged`.
- `comparing`: runs of a folder against the evidence; `compare`.

`python -m helpers.evidence` is the command.
"""

from helpers.evidence.committed import drop, merge
from helpers.evidence.comparing import Compared, compare, quantities
from helpers.evidence.frames import DECIDING, LEGACY, astray, deciding, legacy_rows, runs
from helpers.evidence.gathering import Gathered, gather
from helpers.evidence.identity import Run
from helpers.evidence.judging import judged, source_of
from helpers.evidence.planning import cost_of, failed, listing, wanted
from helpers.evidence.store import Store, Unwritable

__all__ = [
    "DECIDING",  # blocks from this number on decide
    "LEGACY",  # the size of rows that were recorded before there was evidence
    "Compared",  # a quantity in a folder's runs and in the evidence
    "Gathered",  # what a gather did
    "Run",  # one run, by what tells it from others
    "Store",  # runs in a folder while they go on
    "Unwritable",  # a store cannot be written
    "astray",  # shipped runs that belong to no reading
    "compare",  # a folder's runs against the evidence, quantity by quantity
    "cost_of",  # what is missing of a listing and what it costs, in a sentence
    "deciding",  # the rows that decide
    "drop",  # take a run out of the evidence, on record
    "failed",  # those of some runs that are on record as failed
    "gather",  # do the runs that are missing
    "judged",  # a claim judged on the evidence
    "legacy_rows",  # rows that were recorded before there was evidence
    "listing",  # which of some runs there are, and what the others cost
    "merge",  # bring in runs that were made elsewhere
    "quantities",  # a claim's quantities from some rows
    "runs",  # all rows of an experiment
    "source_of",  # size, seeds, device and date of some rows, as text
    "wanted",  # the runs that are wanted
]
