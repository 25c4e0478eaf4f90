"""The evidence shipped with the book: data/evidence, one run per line, sorted, without doubles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from helpers import experiments
from helpers.evidence.lines import parsed, rounded, same_numbers, text_of
from helpers.evidence.store import Store, alone, write_text
from helpers.inputs import shown
from helpers.machine import provenance

_FILE, _ALL = 2_000_000, 10_000_000  # bytes
_DROPPED = "dropped.jsonl"


def folder() -> Path:
    """Where evidence is kept: in the package if installed, under data/ in a checkout."""
    package = Path(__file__).parents[1]
    return next(
        (place for place in (package / "evidence_data", package.parent / "data" / "evidence")
         if place.exists()),
        package.parent / "data" / "evidence",
    )  # fmt: skip


def read(experiment: str, place: Path | None = None) -> list[dict[str, Any]]:
    """The runs of an experiment, including replicates (their "replicate" is true).

    A ValueError names file and line of what is no run, or of a version newer than this package, and
    a key that has several runs with different numbers.
    """
    rows = _with_doubles(experiment, place or folder())
    return _without_doubles(rows, (place or folder()) / f"{experiment}.jsonl")


def _with_doubles(experiment: str, place: Path) -> list[dict[str, Any]]:
    path = place / f"{experiment}.jsonl"
    return checked(path, experiment) if path.exists() else []


def _without_doubles(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Each run once, where a file that was united from two branches has it twice."""
    kept, by_key = set[int](), dict[str, list[dict[str, Any]]]()
    for row in sorted(rows, key=_is_replicate):
        twins = by_key.setdefault(row["key"], [])
        if any(same_numbers(row, twin) for twin in twins):
            continue
        if twins and not _is_replicate(row):
            raise ValueError(
                f"{path} has two runs of the key {row['key']} with different numbers; "
                f"python -m helpers.evidence merge {path} makes one of them a replicate"
            )
        twins.append(row)
        kept.add(id(row))
    return [row for row in rows if id(row) in kept]


def _is_replicate(row: Mapping[str, Any]) -> bool:
    return bool(row.get("replicate"))


def checked(path: Path, experiment: str | None = None) -> list[dict[str, Any]]:
    """The lines of a file of evidence, doubles among them."""
    found = []
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = parsed(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}, is no run: {error}") from error
        if experiment is not None and line["experiment"] != experiment:
            raise ValueError(f"{path}, line {number}, is of {line['experiment']!r}")
        known = experiments.find(line["experiment"]).VERSION
        if line["version"] > known:
            raise ValueError(
                f"{path}, line {number}, is of version {line['version']} of {line['experiment']}, "
                f"and this package knows version {known}; nothing was changed"
            )
        found.append(line)
    return found


def merge(lines: Iterable[Mapping[str, Any]], place: Path | None = None) -> dict[str, int]:
    """Bring runs in; return how many were new, the same, and replicates (same key, other numbers).

    If a key is there already with other numbers, that run stays and the new one is kept beside it.
    A replicate becomes the run where its first run is neither there nor among the lines. If another
    process is changing the same evidence, this waits until that is done.

    Raises:
        ValueError: if a file would be larger than 2 MB, or all of them together larger than 10 MB;
            then nothing is written.
        Unwritable: if the folder cannot be written, or the other process takes over a minute.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     counts = merge(read("mixture"), Path(place))
    ...     counts["new"] > 0, merge(read("mixture"), Path(place))["new"]
    (True, 0)
    """
    place = place or folder()
    # Replicates last: otherwise one whose first run follows in its file would take its place.
    given = sorted(lines, key=_is_replicate)
    with alone(place):  # what another process adds between reading and writing would be lost
        return _merge_into(place, given)


def _merge_into(place: Path, lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counts = dict.fromkeys(("new", "the same", "replicates", "dropped before"), 0)
    by_experiment: dict[str, list[dict[str, Any]]] = {}
    gone = dropped(place)
    for given in lines:
        line = rounded(given)
        name = line["experiment"]
        if name not in by_experiment:
            rows = by_experiment[name] = []
            for row in sorted(_with_doubles(name, place), key=_is_replicate):
                _bring_in(row, rows)
        rows = by_experiment[name]
        is_known = any(row["key"] == line["key"] and same_numbers(row, line) for row in rows)
        is_gone = any(row["key"] == line["key"] and same_numbers(row, line) for row in gone)
        if is_gone and not is_known:
            counts["dropped before"] += 1
        else:
            counts[_bring_in(line, rows)] += 1
    texts = {
        place / f"{name}.jsonl": "".join(sorted(text_of(row) + "\n" for row in rows))
        for name, rows in by_experiment.items()
        if rows
    }
    _check_sizes(place, texts)
    for path, text in texts.items():
        write_text(path, text)
    return counts


def _bring_in(line: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Add a run to others, beside which it may be the same or a replicate; return which it is."""
    twins = [row for row in rows if row["key"] == line["key"]]
    if any(same_numbers(row, line) for row in twins):
        return "the same"
    is_twin = not all(map(_is_replicate, twins))
    kept = {name: part for name, part in line.items() if name != "replicate"}
    rows.append(kept | ({"replicate": True} if is_twin else {}))
    return "replicates" if is_twin else "new"


def drop(key: str, why: str, place: Path | None = None, store: Store | None = None) -> int:
    """Take a run out, on record; return how many lines of evidence and files of the store are gone.

    Raises:
        ValueError: for a key that is nowhere, and if no reason is given.
        Unwritable: as `merge`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     counts = merge(read("mixture"), Path(place))
    ...     key = read("mixture", Path(place))[0]["key"]
    ...     drop(key, "the disk was full", Path(place))
    1
    """
    place = place or folder()
    if not isinstance(why, str) or not why.strip():
        raise ValueError(f"a run is taken out for a reason, got {shown(why)}")
    count = 0
    for name in experiments.ORDER:
        # Evidence that does not have the run is not locked: its folder may be read-only.
        if any(row["key"] == key for row in read(name, place)):
            with alone(place):
                count += _take_out(key, why, name, place)
        if store is not None:
            path = store.folder / name / f"{key}.json"
            if path.exists():
                path.replace(path.with_suffix(".json.dropped"))
                count += 1
    if not count:
        raise ValueError(f"there is no run {shown(key)}")
    return count


def _take_out(key: str, why: str, name: str, place: Path) -> int:
    """Move a run's lines from an experiment's file to the record; return how many."""
    rows, record = read(name, place), place / _DROPPED
    gone = [row for row in rows if row["key"] == key]
    today = provenance()["date"]
    before = record.read_text(encoding="utf-8") if record.exists() else ""
    new = "".join(text_of({**row, "why": why, "dropped": today}) + "\n" for row in gone)
    write_text(record, before + new)
    kept = [row for row in rows if row["key"] != key]
    write_text(place / f"{name}.jsonl", "".join(text_of(row) + "\n" for row in kept))
    return len(gone)


def dropped(place: Path | None = None) -> list[dict[str, Any]]:
    """What was taken out, with the reason."""
    path = (place or folder()) / _DROPPED
    return checked(path) if path.exists() else []


def runs_of_store(store: Store) -> tuple[list[dict[str, Any]], list[str]]:
    """What a store has to export, and which files are damaged."""
    found, damaged = [], []
    for name in experiments.ORDER:
        for path, line in store.lines(name):
            if isinstance(line, str):
                damaged.append(f"{path}: {line}")
            elif "failed" not in line:
                found.append(line)
    return found, damaged


def _check_sizes(place: Path, texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        if len(text.encode()) > _FILE:
            raise ValueError(
                f"{path.name} would have {len(text.encode()):,} bytes, more than {_FILE:,}; "
                "let the experiment measure less, or in wider steps"
            )
    others = sum(p.stat().st_size for p in place.glob("*.jsonl") if p not in texts)
    total = others + sum(len(text.encode()) for text in texts.values())
    if total > _ALL:
        raise ValueError(f"all evidence would have {total:,} bytes, more than {_ALL:,}")
