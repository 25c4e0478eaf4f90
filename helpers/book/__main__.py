"""Command line of the book: ``python -m helpers.book COMMAND``.

COMMAND is sync, run, check, regress, spread, site or gather.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import torch

from helpers import ledger
from helpers.book import board, execute, pairing, parameters, readme, regress, site, spread
from helpers.book.layout import Layout, checkout
from helpers.evidence.__main__ import main as evidence


def main(arguments: list[str] | None = None, layout: Layout | None = None) -> int:
    """Run one command; the exit code says whether all went well."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["gather"]:  # whose options are its own
        return evidence(arguments)
    options = _parser().parse_args(arguments)
    try:
        return options.command(layout or checkout(), options)
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _sync(layout: Layout, options: argparse.Namespace) -> int:
    for chapter in pairing.sync(layout):
        print(f"wrote {layout.notebook(chapter).name}")
    if readme.sync(layout):
        print("wrote README.md or its figure")
    return 0


def _run(layout: Layout, options: argparse.Namespace) -> int:
    options.profile, options.set = execute.profile_of(options.profile, options.set)
    if options.publish and (options.profile or options.set):
        raise ValueError("--publish is for runs with default parameters only")
    if options.record and options.profile not in ("medium", "full"):
        raise ValueError("--record is for runs with --profile full or medium")
    if options.record:
        for chapter in [options.chapter] if options.chapter else layout.chapters():
            if "runs" in parameters.declared(pairing.to_notebook(layout, chapter)):
                raise ValueError(
                    f"{chapter} rests on evidence, which `python -m helpers.evidence export` writes"
                )
            _target(layout, chapter, options.profile)  # or hours would be lost
    results = execute.run(
        layout,
        chapter=options.chapter,
        profile=options.profile,
        settings=options.set,
        force=options.force,
    )
    print(execute.report(results))
    failed = any(result.error for result in results)
    if options.publish and not failed:
        for result in results:
            pairing.publish(layout, result.chapter)
    if options.record and not failed:
        for result in results:
            _record(layout, result, options)
    return int(failed)


def _check(layout: Layout, options: argparse.Namespace) -> int:
    faults = pairing.check(layout) + readme.check(layout)
    print("\n".join(faults) or "pairs and README are in order")
    for chapter, claims in board.lagging(layout).items():
        print(
            f"warning: {chapter}: the evidence says more than the stored boxes of "
            f"{', '.join(claims)}; run `make notebooks`"
        )
    return int(bool(faults))


def _regress(layout: Layout, options: argparse.Namespace) -> int:
    results = execute.run(layout, chapter=options.chapter, force=True)
    print(execute.report(results))
    if any(result.error for result in results):
        return 1
    if options.accept:
        for result in results:
            regress.accept(layout, result.chapter)
    comparisons = [c for r in results for c in regress.compare(layout, r.chapter)]
    print("\n" + regress.table(comparisons))
    drifted = sum(c.drifted for c in comparisons)
    compared = sum(not (c.reference and c.reference.why_not) for c in comparisons)
    print(f"\n{len(comparisons)} numbers, {compared} compared, {drifted} drifted")
    return int(drifted > 0)


def _spread(layout: Layout, options: argparse.Namespace) -> int:
    chapters = layout.select(options.chapter)
    failed = spread.measure(layout, chapters, options.variants or spread.VARIANTS)
    print("\n".join(failed))
    if options.write and not failed:
        for chapter in chapters:
            reference = spread.write(layout, chapter)
            print(f"{chapter}: over {', '.join(reference.over)}")
            for n in reference.numbers:
                if n.why_not:
                    print(f"  not compared: {n.claim} {n.quantity} {n.why_not}")
    return int(bool(failed))


def _site(layout: Layout, options: argparse.Namespace) -> int:
    print(f"open {site.build(layout) / 'index.html'}")
    return 0


def _target(layout: Layout, chapter: str, profile: str) -> Path:
    """Where a run is recorded; a full one beside a medium one, which may hold what it lacks."""
    target = layout.recorded / f"{chapter}.json"
    if target.exists():
        before = json.loads(target.read_text(encoding="utf-8"))["parameters"]["profile"]
        if (before, profile) == ("full", "medium"):
            raise ValueError(f"{target} holds a full run, which a medium one does not replace")
        if (before, profile) == ("medium", "full"):
            target = target.with_suffix(".full.json")
    return target


def _record(layout: Layout, result: execute.Result, options: argparse.Namespace) -> None:
    """Write a run's numbers to data/recorded, with where and when they were measured."""
    source = pairing.to_notebook(layout, result.chapter)
    values = execute.chosen_values(source, options.profile, options.set)
    path = execute.output_path(layout, result.chapter, values)
    executed = nbformat.read(path, as_version=4)
    records = [r.as_json() for r in ledger.collect(executed)]
    cuda = torch.cuda.is_available()
    git = ["git", "-C", str(layout.root), "describe", "--always", "--dirty"]
    run = {
        "chapter": result.chapter,
        "device": torch.cuda.get_device_name() if cuda else f"CPU ({platform.machine()})",
        "date": datetime.date.today().isoformat(),
        "commit": subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip(),
        "seeds": str({**parameters.declared(source), **values}.get("seed")),
        "torch": torch.__version__,
        "seconds": round(result.seconds, 1),
        # Where a long run kept its state is no part of what it computed.
        "parameters": {k: v for k, v in values.items() if k != "checkpoints"},
        **({"note": options.note} if options.note else {}),
        "records": records,
        "tables": ledger.tables(executed),
    }
    layout.recorded.mkdir(parents=True, exist_ok=True)
    target = _target(layout, result.chapter, options.profile)
    # A list of numbers on one line: they are many.
    text = re.sub(
        r"\[[-+\s\d.,e]+\]", lambda found: " ".join(found[0].split()), json.dumps(run, indent=1)
    )
    target.write_text(text + "\n", encoding="utf-8")
    print(f"recorded {len(records)} claims in {target.relative_to(layout.root)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers.book", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def add(name: str, command: Callable[..., Any], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    add("sync", _sync, "write the notebooks and the README's parts from their sources")
    run = add("run", _run, "execute chapters by papermill; unchanged ones come from a cache")
    run.add_argument("--chapter", help="only this one")
    run.add_argument(
        "--profile",
        help="quick (a minute a chapter), medium (two cores, an hour) or full (the paper's scale)",
    )
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter")
    run.add_argument("--force", action="store_true", help="run unchanged chapters too")
    # Neither makes sense with other parameters than the ones it is about.
    keep = run.add_mutually_exclusive_group()
    keep.add_argument("--publish", action="store_true", help="copy the outputs to book/")
    keep.add_argument("--record", action="store_true", help="write data/recorded (not quick)")
    run.add_argument("--note", help="said beside a recorded run: where its checkpoints came from")
    add("check", _check, "fail on drift between source and notebook, or on missing outputs")
    again = add("regress", _regress, "execute anew and compare with data/references")
    again.add_argument("--chapter", help="only this one")
    again.add_argument("--accept", action="store_true", help="make the new numbers the reference")
    far = add("spread", _spread, "execute under other kernels and threads; how far numbers move")
    far.add_argument("--chapter", help="only this one")
    far.add_argument(
        "--variants", nargs="+", metavar="NAME", help=f"of: {', '.join(spread.VARIANTS)}"
    )
    far.add_argument("--write", action="store_true", help="put the spread into data/references")
    add("site", _site, "build the site from the last execution")
    # Handed on before its options are read.
    commands.add_parser("gather", help="do the runs of experiments that are lacking")
    return parser


if __name__ == "__main__":
    sys.exit(main())
