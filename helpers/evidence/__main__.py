"""Runs of experiments as evidence: gather what is missing, export, merge and drop.

python -m helpers.evidence gather --list
python -m helpers.evidence gather mixture --minutes 60 --workers 2
python -m helpers.evidence export
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from helpers.evidence import committed, planning
from helpers.evidence.gathering import gather
from helpers.evidence.store import DEFAULT, Store, Unwritable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if all is done, 1 if a run fails or lacks data, 2 if refused."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (ValueError, Unwritable) as error:
        print(error, file=sys.stderr)
        return 2


def _gather(options: argparse.Namespace) -> int:
    runs = planning.wanted(
        options.experiments,
        size=options.size,
        reading=options.reading,
        arms=options.arm,
        blocks=options.blocks,
    )
    store = Store(options.runs)
    listing = planning.listing(runs, store, anew=options.anew)
    shown = listing.drop(columns=["past", "device"])  # for the sentence below
    print(shown.to_string(index=False, float_format="{:.3g}".format))
    print(planning.cost_of(listing))
    for run in planning.failed(runs, store):
        print(f"failed before: {run} ({run.key})", file=sys.stderr)
    for damaged in committed.runs_of_store(store)[1]:
        print(f"damaged, left alone and done again: {damaged}", file=sys.stderr)
    if options.list or (listing["wanted"] == listing["there"]).all():
        return 0
    result = gather(
        runs,
        minutes=options.minutes,
        device=options.device,
        folder=options.runs,
        data=options.data,
        workers=options.workers,
        cluster=options.cluster,
        anew=options.anew,
    )
    print(result)
    for run, said in result.failed.items():
        print(f"failed three times: {run} ({run.key}): {said}", file=sys.stderr)
    for said, count in Counter(result.lacking.values()).items():
        print(f"{count} run{'s' if count > 1 else ''} not done: {said}", file=sys.stderr)
    return int(bool(result.failed or result.lacking))


def _export(options: argparse.Namespace) -> int:
    found, damaged = committed.runs_of_store(Store(options.runs))
    print(_counts(committed.merge(found, options.to)))
    for each in damaged:
        print(f"damaged, left alone: {each}", file=sys.stderr)
    return 0


def _merge(options: argparse.Namespace) -> int:
    lines = [line for path in options.files for line in committed.checked(path)]
    print(_counts(committed.merge(lines, options.to)))
    return 0


def _drop(options: argparse.Namespace) -> int:
    count = committed.drop(options.key, options.why, options.to, Store(options.runs))
    print(f"{count} taken out")
    return 0


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _blocks(text: str) -> range:
    """FIRST:END as in Python, or one number."""
    first, colon, end = text.partition(":")
    try:
        return range(int(first), int(end) if colon else int(first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"blocks are FIRST:END, such as 100:106, got {text!r}"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("gather", help="do the runs that are missing")
    one.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="all by default")
    one.add_argument("--size", help="quick, medium or full")
    one.add_argument("--reading", help="one reading of the paper")
    one.add_argument(
        "--arm",
        action="append",
        default=[],
        help="one arm, or those that a pattern such as 'cnn*' matches; can be repeated",
    )
    one.add_argument("--blocks", type=_blocks, metavar="FIRST:END")
    one.add_argument("--minutes", type=float, help="stop after this time; rerun to go on")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")
    one.add_argument("--runs", type=Path, default=DEFAULT, metavar="FOLDER")
    one.add_argument("--data", type=Path, metavar="FOLDER", help="folder of data sets")
    side = one.add_mutually_exclusive_group()
    side.add_argument(
        "--workers", type=int, metavar="N",
        help="processes side by side; by default 1, and on a CUDA device as many as 8",
    )  # fmt: skip
    side.add_argument("--cluster", metavar="ADDRESS", help="a dask scheduler, or local:N")
    one.add_argument("--anew", action="store_true", help="also do what the evidence has")
    one.add_argument("--list", action="store_true", help="list the runs, and run nothing")
    one.set_defaults(command=_gather)
    two = commands.add_parser("export", help="write the runs of a folder to the evidence")
    two.add_argument("--runs", type=Path, default=DEFAULT, metavar="FOLDER")
    two.set_defaults(command=_export)
    three = commands.add_parser("merge", help="bring in evidence that was exported elsewhere")
    three.add_argument("files", nargs="+", type=Path, metavar="FILE")
    three.set_defaults(command=_merge)
    four = commands.add_parser("drop", help="take a run out of the evidence, on record")
    four.add_argument("key")
    four.add_argument("--why", required=True)
    four.add_argument("--runs", type=Path, default=DEFAULT, metavar="FOLDER")
    four.set_defaults(command=_drop)
    for each in (two, three, four):
        each.add_argument("--to", type=Path, metavar="FOLDER", help="folder of the evidence")
    return parser


if __name__ == "__main__":
    sys.exit(main())
