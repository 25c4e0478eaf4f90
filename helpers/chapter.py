"""What a chapter calls: its live run, the evidence, figures and tables with a source, verdicts.

A page always computes its live part, at the quick size. What it shows beside that is the evidence
that ships with the package; or, where it is given a folder, the runs there, which are done first.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from IPython import get_ipython
from IPython.display import HTML, display
from matplotlib.figure import Figure
from pandas import DataFrame

from helpers import evidence, experiments, figures, ledger
from helpers.experiments.protocol import Measured, setting_of
from helpers.inputs import one_of, shown
from helpers.inputs import seed as checked_seed
from helpers.ledger import references
from helpers.machine import pick_device, progress_bar

_LIVE = "quick"  # the size of a page's own run
_PARAMETERS = ("profile", "seed", "device", "runs", "check")  # of every chapter
_INJECTED = "# Parameters"  # how papermill begins the cell with those that it was given


class Chapter:
    """A chapter's page.

    Args:
        name: of the chapter.
        profile: the size of the runs that are done in `runs`; "quick" needs no folder.
        seed: of the live run.
        device: where to compute, as `helpers.machine.pick_device`.
        runs: a folder in which the runs of the profile's size are done where they are missing, and
            whose runs alone are then shown; "" for the evidence that ships, read-only.
        check: whether numbers that have drifted raise an error: live ones from data/references,
            and runs of the folder from the evidence.

    Raises:
        ValueError: for an unknown chapter, profile or device, a seed that is no whole number, a
            folder that cannot be written, a profile other than quick without one, and a parameter
            that papermill was given and no chapter takes: papermill itself says so in a log only.

    >>> chapter = Chapter("two_clusters", profile="quick", seed=0, device="cpu")
    >>> chapter.device
    device(type='cpu')
    >>> Chapter("two_clusters", profile="full")
    Traceback (most recent call last):
    ...
    ValueError: profile 'full' needs runs, a folder in which its runs are done
    """

    def __init__(
        self,
        name: str,
        *,
        profile: str = "quick",
        seed: int = 0,
        device: str | torch.device = "auto",
        runs: str | Path = "",
        check: bool = False,
    ) -> None:
        _refuse_unknown_parameters()
        known = {path.stem for path in ledger.data_file("references").glob("*.json")}
        known |= {
            chapter for claim in ledger.all_claims().values() for chapter in claim["chapters"]
        }
        self.name = one_of("chapter", name, sorted(known))
        self.profile = one_of("profile", profile, ledger.PROFILES)
        self.seed = checked_seed(seed)
        self.device = pick_device(device)
        if not isinstance(check, bool):
            raise ValueError(f"check is True or False, got {shown(check)}")
        self.check = check
        self.folder = _writable(runs)
        if self.folder is None and profile != _LIVE:
            raise ValueError(f"profile {profile!r} needs runs, a folder in which its runs are done")
        # Members by arm, by experiment and reading.
        self._live: dict[tuple[str, str], dict[str, DataFrame]] = {}
        self._gathered: set[str] = set()
        self._shown: dict[str, list[str]] = {"Figure": [], "Table": []}

    def live(self, experiment: str, arms: Sequence[str], *, reading: str) -> Measured:
        """Run arms of an experiment here and now, at the quick size.

        Args:
            experiment: a name of `helpers.experiments.ORDER`.
            arms: which of its arms.
            reading: of the paper.

        Returns:
            frames by name, "members" and courses, with columns "reading", "arm" and "block", which
            is the page's seed.

        Raises:
            ValueError: for an unknown experiment, reading or arm.
        """
        module = experiments.find(experiment)
        one_of("reading", reading, module.READINGS)
        if isinstance(arms, str) or not arms:
            raise ValueError(f"arms are names, one at least, got {shown(arms)}")
        for arm in arms:
            one_of("arm", arm, module.ARMS)
        frames: dict[str, list[DataFrame]] = {}
        for arm in _progress(experiment, list(dict.fromkeys(arms))):
            setting = setting_of(module, reading, arm)
            measured = module.measure(
                setting, module.SIZES[_LIVE], seed=self.seed, device=self.device
            )
            for table, frame in measured.items():
                about = {"reading": reading, "arm": arm, "block": self.seed}
                labelled = frame.assign(**about)[[*about, *frame.columns]]
                frames.setdefault(table, []).append(labelled)
            rows = self._live.setdefault((experiment, reading), {})
            rows[arm] = frames["members"][-1]
        return {table: pd.concat(parts, ignore_index=True) for table, parts in frames.items()}

    def runs(
        self,
        experiment: str,
        table: str = "members",
        *,
        reading: str,
        arms: Sequence[str] | None = None,
    ) -> DataFrame:
        """The rows that decide: of the evidence, or of the page's folder.

        They are of the largest size at which all arms have some, or else at which any arm has.
        Rows of arms that the evidence has none of are those of data/recorded, if there are any;
        their "size" is "legacy". Arguments and errors as `helpers.evidence.deciding`.
        """
        self._gather(experiment)
        # Where no runs are wanted any more, a folder has none, and the shipped ones are shown.
        folder = self.folder if experiments.find(experiment).WANTED else None
        rows = evidence.deciding(experiment, table, reading=reading, arms=arms, folder=folder)
        if not len(rows):  # not all arms have rows of one size: those that have, of the largest
            rows = evidence.deciding(experiment, table, reading=reading, folder=folder)
        is_first = reading == next(iter(experiments.find(experiment).READINGS))
        if folder is None and is_first:
            wanted = experiments.find(experiment).ARMS if arms is None else arms
            lacking = [arm for arm in wanted if arm not in set(rows["arm"])]
            older = evidence.legacy_rows(experiment, lacking, table)
            rows = pd.concat([rows, older], ignore_index=True) if len(older) else rows
        return rows if arms is None else rows[rows["arm"].isin(list(arms))].reset_index(drop=True)

    def figure(
        self,
        figure: Figure | HTML,
        caption: str,
        alt: str,
        rows: DataFrame | Mapping[str, Any] | None = None,
    ) -> None:
        """Show a figure with its number and caption, which ends with what the figure is of.

        Args:
            figure: of matplotlib, or HTML such as `helpers.figures.turnable_surfaces`.
            caption: what it shows.
            alt: the same for those who do not see it.
            rows: what it is of: rows of `runs`, or of `live`; a record of `helpers.ledger.timings`;
                None for the whole live run.

        Raises:
            ValueError: without a caption or alt, and for rows that are not there.
        """
        whole = f"{_text('caption', caption)} {self._source(rows)}"
        label = self._label("Figure", f"{whole} {_text('alt', alt)}")
        display(figures.captioned(figure, whole, alt, label=label))

    def table(
        self,
        frame: DataFrame,
        caption: str,
        rows: DataFrame | Mapping[str, Any] | None = None,
        *,
        bold: DataFrame | None = None,
    ) -> None:
        """Show a frame as a table with its number and caption, which ends with its source.

        Arguments and errors as `figure`; `bold` as `helpers.figures.as_table`.
        """
        whole = f"{_text('caption', caption)} {self._source(rows)}"
        display(figures.as_table(frame, whole, bold, label=self._label("Table", whole)))

    def record(self, claim_id: str, values: Any = None) -> None:
        """Show a claim's verdict box, with the live run folded inside, and store the live run.

        Args:
            claim_id: id in data/claims.json.
            values: what the page has computed for a claim that no experiment decides, as
                `helpers.ledger.judge`; else the live run's numbers come from the experiments.

        Raises:
            ValueError: for an unknown claim, and values missing or not wanted.
            RuntimeError: with `check`, for a number that has drifted.
        """
        claim = ledger.find(claim_id)
        if ledger.of_evidence(claim) != (values is None):
            how = (
                "has no experiment: values"
                if values is None
                else "is judged on evidence: no values"
            )
            raise ValueError(f"{claim_id} {how} are recorded")
        judged = None
        if ledger.of_evidence(claim):
            names = {q.get("experiment") for q in claim["quantities"]}
            for experiment in experiments.ORDER:
                if experiment in names:
                    self._gather(experiment)
            judged = evidence.judged(claim_id, folder=self.folder)
            values = self._measured(claim_id)
        live = ledger.judge(claim_id, values, profile=_LIVE)
        if self.check:
            drifted, others = references.compare(
                self.name, live, seed=self.seed, device=self.device.type
            )
            _fail("data/references", drifted)
            _list_not_compared(others)
        legacy = ledger.legacy_runs().get(claim_id, []) if self.folder is None else []
        found = ledger.standing(claim_id, judged=judged, legacy=legacy, live=live)
        assert found is not None  # the live run at least
        ledger.show_box(found, live)

    def _label(self, kind: str, told: str) -> str:
        """The next number; a cell that is run again, and tells the same, keeps its own."""
        known = self._shown[kind]
        if told not in known:
            known.append(told)
        return f"{kind} {known.index(told) + 1}"

    def _source(self, rows: DataFrame | Mapping[str, Any] | None) -> str:
        if rows is None:
            frames = [frame for arms in self._live.values() for frame in arms.values()]
            return f"Live, {_seeds(pd.concat(frames))}." if frames else "Live."
        if isinstance(rows, Mapping) and {"device", "date", "commit"} <= rows.keys():
            threads = f", {n} thread{'s' if n > 1 else ''}" if (n := rows.get("threads")) else ""
            place = f"{rows['device']}{threads}, {rows['date']}, commit {rows['commit'][:7]}"
            return f"Timings on record: {place}."
        if not isinstance(rows, DataFrame) or not len(rows):
            raise ValueError(f"rows are a frame with rows, got {shown(rows)}")
        if "size" not in rows:
            return f"Live, {_seeds(rows)}."
        sources = []
        older = rows[rows["size"] == evidence.LEGACY]
        for experiment, own in rows.drop(older.index).groupby("experiment"):
            members = evidence.runs(str(experiment), folder=self.folder)
            same = [members[name].isin(own[name]) for name in ("key", "reading", "arm")]
            sources.append(evidence.source_of(members[same[0] & same[1] & same[2]]))
        sources += [evidence.source_of(older)] if len(older) else []
        return f"Recorded: {'; '.join(sources)}."

    def _measured(self, claim_id: str) -> dict[str, Any]:
        """A claim's quantities in the live run, of the reading that the evidence is judged on."""
        values: dict[str, Any] = {}
        for (experiment, reading), rows in self._live.items():
            if reading == next(iter(experiments.find(experiment).READINGS)):
                values |= evidence.quantities(experiment, claim_id, rows)
        return values

    def _gather(self, experiment: str) -> None:
        """Say what the runs cost that the page's folder lacks, and do them, once."""
        if self.folder is None or experiment in self._gathered:
            return
        module = experiments.find(experiment)
        if not module.WANTED:
            print(f"{experiment}: no runs are wanted any more, those of the evidence are shown")
            self._gathered.add(experiment)
            return
        # Not every experiment has all sizes: then the largest one below.
        below = ledger.PROFILES[: ledger.PROFILES.index(self.profile) + 1]
        size = [name for name in below if name in module.SIZES][-1]
        wanted = any(each.size == size for each in module.WANTED)
        # Nothing may be wanted at the quick size; what one block of each gives is then shown.
        blocks = None if wanted else range(evidence.DECIDING, evidence.DECIDING + 1)
        runs = evidence.wanted([experiment], size=size, blocks=blocks)
        store = evidence.Store(self.folder)
        plan = evidence.listing(runs, store, anew=True)
        print(f"{experiment}, {size} size: {evidence.cost_of(plan)}")
        done = evidence.gather(
            runs,
            device=str(self.device),
            folder=self.folder,
            anew=True,
        )
        for why in dict.fromkeys(done.lacking.values()):  # claims that need them stay open
            print(f"{experiment}: runs are passed over: {why}")
        # Those that failed in an earlier call, too: the runs that are left are a selection.
        failed = [f"{run} ({run.key})" for run in evidence.failed(runs, store)]
        if failed or done.paused or done.busy or done.left:
            told = f"runs of {experiment} in {self.folder} are not complete: {done}"
            if failed:
                told += f"; failed: {'; '.join(failed)}; to have one done again, python -m "
                told += f"helpers.evidence drop KEY --why REASON --runs {self.folder}"
            raise RuntimeError(told)
        self._gathered.add(experiment)
        if not self.check:
            return
        found = evidence.compare(experiment, size, self.folder)
        _fail("the evidence", [str(c) for c in found if c.drifted])
        _list_not_compared([str(c) for c in found if c.why_not])
        if all(c.why_not for c in found):
            raise RuntimeError(
                f"nothing of {experiment} in {self.folder} could be compared with the evidence"
            )


def _refuse_unknown_parameters() -> None:
    """In a notebook that papermill executes, look at the cell that it put in."""
    shell = get_ipython()
    for source in shell.user_ns.get("In", []) if shell is not None else []:
        if source.startswith(_INJECTED):
            nodes = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
            for target in (target for node in nodes for target in node.targets):
                one_of("parameter", ast.unparse(target), _PARAMETERS)


def _writable(runs: str | Path) -> Path | None:
    """The folder, made if it is not there; None for none."""
    if not isinstance(runs, str | Path):
        raise ValueError(f"runs is a folder, or '' for none, got {shown(runs)}")
    if not str(runs):
        return None
    try:
        return evidence.Store(runs).folder
    except evidence.Unwritable as error:
        raise ValueError(f"runs is a folder that can be written: {error}") from None


def _text(name: str, value: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is a text, got {shown(value)}")
    return value.strip()


def _seeds(rows: DataFrame) -> str:
    """How many seeds of each arm there are in some rows of a live run."""
    columns = [c for c in ("reading", "arm", "block", "member") if c in rows]
    counts = rows.drop_duplicates(columns).groupby(["reading", "arm"]).size()
    low, high = counts.min(), counts.max()
    each = " of each" if len(counts) > 1 and low == high else ""
    return f"{low if low == high else f'{low} to {high}'} seed{'s' if high > 1 else ''}{each}"


def _fail(what: str, drifted: list[str]) -> None:
    if drifted:
        raise RuntimeError(f"drifted from {what}: {'; '.join(drifted)}")


def _list_not_compared(lines: list[str]) -> None:
    for line in lines:
        print(f"not compared: {line}")


def _progress(experiment: str, arms: Sequence[str]) -> Iterator[str]:
    """The arms one after another, under a bar that is gone when they are done.

    In a terminal it is tqdm's. In a notebook a bar on stderr would be kept as a warning.
    """
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        with progress_bar(arms, unit="arm", leave=False) as bar:
            for arm in bar:
                bar.set_postfix_str(arm)
                yield arm
        return
    handle: Any = None
    for done, arm in enumerate(arms):
        text = f"{experiment}: {arm}, {done + 1} of {len(arms)}"
        bar = f'<progress max="{len(arms)}" value="{done}"></progress> {escape(text)}'
        page = {"text/plain": text, "text/html": bar}
        if handle is None:
            handle = display(page, raw=True, display_id=True)
        else:
            handle.update(page, raw=True)
        yield arm
    handle.update({"text/plain": "", "text/html": ""}, raw=True)
