"""Command line of the book: ``python -m helpers.book COMMAND``.

COMMAND is sync, run, check, regress, spread, site, pdf, release or gather.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from helpers import ledger
from helpers.book import (
    board,
    errata,
    execute,
    findings,
    habits,
    pairing,
    pdf,
    pictures,
    readme,
    regress,
    release,
    site,
    spread,
)
from helpers.book.layout import Layout, checkout
from helpers.evidence.__main__ import main as evidence


def main(arguments: list[str] | None = None, layout: Layout | None = None) -> int:
    """Run one command; the exit code says whether all went well."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["gather"]:  # it has options of its own
        return evidence(arguments)
    options = _parser().parse_args(arguments)
    try:
        return options.command(layout or checkout(), options) or 0
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _sync(layout: Layout, options: argparse.Namespace) -> None:
    for chapter in pairing.sync(layout):
        print(f"wrote {layout.notebook(chapter).name}")
    if readme.sync(layout):
        print("wrote README.md or its figure")


def _run(layout: Layout, options: argparse.Namespace) -> int:
    if options.publish and options.set:
        raise ValueError("--publish is for runs with default parameters only")
    results = execute.run(
        layout,
        chapters=options.chapter,
        settings=options.set,
        force=options.force,
    )
    print(execute.report(results))
    if options.publish:
        for result in results:
            if not result.error:
                pairing.publish(layout, result.chapter)
    return int(any(result.error for result in results))


def _check(layout: Layout, options: argparse.Namespace) -> int:
    faults = pairing.check(layout) + habits.check(layout) + readme.check(layout)
    faults += habits.pages(layout) + pictures.check(layout) + regress.check(layout)
    faults += ledger.history.faults(ledger.all_claims().values())
    boxes = board.boxes(layout)
    faults += board.faults(boxes)
    pages = {"findings": findings.faults, "errata": errata.faults}
    if there := [of for page, of in pages.items() if (layout.book / f"{page}.md").exists()]:
        rows = board.rows(layout, committed=True)
        faults += [fault for of in there for fault in of(rows)]
    print("\n".join(faults) or "pairs, habits, README, claims and their evidence are in order")
    for chapter, claims in board.lagging(boxes).items():
        print(
            f"warning: {chapter}: the evidence says more than the stored boxes of "
            f"{', '.join(claims)}; run `make notebooks`"
        )
    return int(bool(faults))


def _regress(layout: Layout, options: argparse.Namespace) -> int:
    results = execute.run(layout, chapters=options.chapter, force=True)
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


def _add_chapters(parser: argparse.ArgumentParser) -> None:
    only = "only this one; can be repeated"
    parser.add_argument("--chapter", action="append", default=[], metavar="NAME", help=only)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers.book", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def add(name: str, command: Callable[..., Any], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    add("sync", _sync, "write the notebooks and the README's parts from their sources")
    run = add("run", _run, "execute chapters by papermill; unchanged ones come from a cache")
    _add_chapters(run)
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter")
    run.add_argument("--force", action="store_true", help="run unchanged chapters too")
    run.add_argument("--publish", action="store_true", help="copy the outputs to book/")
    add(
        "check",
        _check,
        "fail on drift between source and notebook, missing outputs, and silently changed rules",
    )
    again = add("regress", _regress, "execute again and compare with data/references")
    _add_chapters(again)
    again.add_argument("--accept", action="store_true", help="make the new numbers the reference")
    far = add("spread", _spread, "execute under other kernels and threads: how far numbers move")
    _add_chapters(far)
    far.add_argument(
        "--variants", nargs="+", metavar="NAME", help=f"of: {', '.join(spread.VARIANTS)}"
    )
    far.add_argument("--write", action="store_true", help="put the spread into data/references")
    add(
        "site",
        lambda layout, _: print(f"open {site.build(layout) / 'index.html'}"),
        "build the site from the last execution",
    )
    add("pdf", lambda layout, _: print(f"wrote {pdf.write(layout)}"), "print the site as one file")
    packing = add(
        "release",
        lambda layout, options: print(*release.pack(layout, options.tag), sep="\n"),
        "make the files of a release in dist/",
    )
    packing.add_argument("--tag", default="", help="tag of the release: v and the version")
    # Handed on before its options are read.
    commands.add_parser("gather", help="do the runs that experiments still lack")
    return parser


if __name__ == "__main__":
    sys.exit(main())
