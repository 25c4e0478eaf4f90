"""What a chapter calls: its live run, the evidence, captions with a source, verdict boxes."""

import json
import os
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from pandas import DataFrame
from papermill import PapermillExecutionError, execute_notebook

from helpers import evidence, ledger
from helpers.book.layout import checkout
from helpers.chapter import Chapter
from helpers.figures import turnable_surfaces
from helpers.ledger import references
from tests import toy

READING = "as printed"
# A page's own run: one block of four members, of the seed 0.
LOW = toy.measure(toy.Setting(), toy.Sized(members=4, lacks=""), seed=0, device="cpu")["members"]


@pytest.fixture
def book(monkeypatch, tmp_path):
    """The toy book; its experiment's module."""
    return toy.install(monkeypatch, tmp_path / "evidence")


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, in order: figures and tables as objects, boxes as (data, metadata)."""
    published = []
    monkeypatch.setattr("helpers.chapter.display", published.append)
    monkeypatch.setattr(
        "helpers.ledger.notebooks.publish_display_data", lambda *given: published.append(given)
    )
    return published


def page(**parameters):
    return Chapter("two_clusters", **{"device": "cpu", **parameters})


def committed(tmp_path, **chosen):
    toy.make_evidence(tmp_path / "evidence", tmp_path / "made", **chosen)


# ---- Parameters. ----


@pytest.mark.parametrize(
    "given, words",
    [
        ({"name": "two_cluster"}, "'which_baseline', 'your_own_gan', got 'two_cluster'"),
        ({"profile": "huge"}, "profile is one of 'quick', 'medium', 'full', got 'huge'"),
        ({"seed": 0.5}, "seed is a whole number"),
        ({"seed": True}, "seed is a whole number"),
        ({"device": "gpu0"}, "unknown device 'gpu0'"),
        ({"profile": "full"}, "profile 'full' needs runs, a folder"),
        ({"check": "yes"}, "check is True or False, got 'yes'"),
        ({"check": 1}, "check is True or False, got 1"),
        ({"runs": None}, "runs is a folder, or '' for none, got None"),
        ({"runs": "/proc/nowhere"}, "runs is a folder that can be written"),
        ({"runs": __file__}, "runs is a folder that can be written"),
    ],
)
def test_refused_at_the_door(book, given, words):
    """In one line that says what would be right."""
    with pytest.raises(ValueError) as raised:
        Chapter(**{"name": "two_clusters", "device": "cpu", **given})
    assert words in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "cells, words",
    [
        (["x = 1", "# Parameters\nseed = 1\nprofle = 'full'\n"], "got 'profle'"),
        (["# Parameters\nseeds = 3\n"], "parameter is one of 'profile', 'seed', 'device', 'runs'"),
        (["# Parameters\nseed = 1\ncheck = True\n", "seeds = 3"], None),
        (["seeds = 3"], None),
    ],
)
def test_what_papermill_was_given(book, monkeypatch, cells, words):
    """A misspelt parameter is an error; names of the page's own are its own business."""
    shell = SimpleNamespace(user_ns={"In": ["", *cells]})
    monkeypatch.setattr("helpers.chapter.get_ipython", lambda: shell)
    if words is None:
        assert page().name == "two_clusters"
        return
    with pytest.raises(ValueError, match=words):
        page()


@pytest.mark.slow
def test_papermill_stops_at_a_misspelt_parameter(tmp_path):
    """As a user calls it: the error is the page's, and comes before any work."""
    cells = [
        nbformat.v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(
            "from helpers.chapter import Chapter\nChapter('two_clusters', device='cpu', seed=seed)"
        ),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(made, tmp_path / "page.ipynb")
    with pytest.raises(PapermillExecutionError, match="got 'sead'"):
        execute_notebook(
            tmp_path / "page.ipynb", tmp_path / "out.ipynb", {"sead": 1}, progress_bar=False
        )


def test_the_folder_is_made(book, tmp_path):
    page(profile="full", runs=tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


# ---- The live run. ----


def test_live_is_named(book):
    """Arms one below the other, with reading, arm and block; each table on its own."""
    found = page(seed=3).live("toy", ["low", "high"], reading=READING)
    members, course = found["members"], found["course"]
    assert list(members.columns) == ["reading", "arm", "block", "member", "diverged", "value"]
    assert members.groupby("arm").size().to_dict() == {"high": 4, "low": 4}
    assert set(members["reading"]) == {READING} and set(members["block"]) == {3}
    low = members[members["arm"] == "low"]["value"].to_numpy()
    assert np.array_equal(low, np.random.default_rng(3).normal(size=4))
    assert list(course.columns) == ["reading", "arm", "block", "member", "iteration", "loss"]


@pytest.mark.parametrize(
    "given, words",
    [
        (("toys", ["low"], READING), "experiment is one of 'toy'"),
        (("toy", ["lower"], READING), "arm is one of 'low', 'high', 'rare', got 'lower'"),
        (("toy", "low", READING), "arms are names"),
        (("toy", [], READING), "arms are names"),
        (("toy", ["low"], "as said"), "reading is one of"),
    ],
)
def test_live_refuses(book, given, words):
    experiment, arms, reading = given
    with pytest.raises(ValueError, match=words):
        page().live(experiment, arms, reading=reading)


def test_progress_leaves_nothing(book, monkeypatch, capsys):
    """In a notebook a bar says which arm it is, and is empty in the end; nothing is on stderr."""
    seen = []

    class Handle:
        def update(self, data, raw):
            seen.append(data)

    class Kernel:
        kernel, user_ns = True, {"In": []}

    def display(data, raw, display_id):
        seen.append(data)
        return Handle()

    monkeypatch.setattr("helpers.chapter.get_ipython", Kernel)
    monkeypatch.setattr("helpers.chapter.display", display)
    page().live("toy", ["low", "high"], reading=READING)
    assert [data["text/plain"] for data in seen] == ["toy: low, 1 of 2", "toy: high, 2 of 2", ""]
    assert 'max="2" value="1"' in seen[1]["text/html"] and seen[2]["text/html"] == ""
    assert capsys.readouterr() == ("", "")


# ---- Figures and tables. ----


def test_figure_says_what_it_is_of(book, shown, tmp_path):
    """Live with its seeds, or recorded with size, seeds, device and date; alt is in the page."""
    committed(tmp_path)
    chapter = page()
    chapter.figure(Figure(), "A line.", "Nothing <yet>")
    live = chapter.live("toy", ["low", "high"], reading=READING)
    chapter.figure(Figure(), "A line.", "A line that rises")
    chapter.figure(Figure(), "A line.", "low alone", rows=live["course"].query("arm == 'low'"))
    rows = chapter.runs("toy", reading=READING, arms=["low"])
    chapter.figure(Figure(), "A line.", "recorded", rows=rows)
    course = chapter.runs("toy", "course", reading=READING)
    chapter.figure(Figure(), "A line.", "recorded", rows=course)
    day, device = rows["date"][0], rows["device"][0]
    assert [repr(each) for each in shown] == [
        "Figure 1. A line. Live.",
        "Figure 2. A line. Live, 4 seeds of each.",
        "Figure 3. A line. Live, 1 seed.",
        f"Figure 4. A line. Recorded: full size, 32 seeds, {device}, {day}.",
        f"Figure 5. A line. Recorded: full size, 32 seeds of each, {device}, {day}.",
    ]
    assert 'alt="Nothing &lt;yet&gt;"' in shown[0].data
    assert shown[1].data.endswith("</strong> A line. Live, 4 seeds of each.</figcaption></figure>")
    chapter.figure(Figure(), "A line.", "low alone", rows=live["course"].query("arm == 'low'"))
    assert repr(shown[-1]) == repr(shown[2])  # the cell was run again


@pytest.mark.parametrize("threads, said", [(1, ", 1 thread"), (2, ", 2 threads"), (None, "")])
def test_figure_of_a_record_of_timings(book, shown, threads, said):
    """Where, when and at which commit they were taken."""
    record = {"device": "an EPYC", "date": "2026-11-28", "commit": "0123456789ab", "rows": []}
    record |= {} if threads is None else {"threads": threads}
    page().figure(Figure(), "A line.", "A line that rises", record)
    source = f"Timings on record: an EPYC{said}, 2026-11-28, commit 0123456."
    assert [repr(each) for each in shown] == [f"Figure 1. A line. {source}"]


def test_figure_that_turns(book, shown):
    """HTML stays as it is, in a group that is named for those who do not see it."""
    grid = np.linspace(0, 1, 3)
    surface = turnable_surfaces(grid, {"one": np.zeros((3, 3))})
    page().figure(surface, "A plane.", "A flat plane")
    (made,) = shown
    assert made.data.startswith('<figure id="figure-1" role="group" aria-label="A flat plane"')
    assert surface.data in made.data and "</strong> A plane. Live.</figcaption>" in made.data


@pytest.mark.parametrize(
    "caption, alt, rows, words",
    [
        ("", "a", None, "caption is a text, got ''"),
        ("A line.", " ", None, "alt is a text"),
        ("A line.", None, None, "alt is a text, got None"),
        ("A line.", "a", DataFrame({"size": []}), "rows are a frame with rows"),
        ("A line.", "a", [1], "rows are a frame with rows"),
        ("A line.", "a", {"device": "CPU"}, "rows are a frame with rows"),
    ],
)
def test_figure_refuses(book, shown, caption, alt, rows, words):
    with pytest.raises(ValueError, match=words):
        page().figure(Figure(), caption, alt, rows=rows)
    assert shown == []


def test_table_has_a_source(book, shown, tmp_path):
    committed(tmp_path)
    chapter = page()
    rows = chapter.runs("toy", reading=READING)
    chapter.table(rows.groupby("arm")[["value"]].median(), "Medians.", rows=rows)
    (made,) = shown
    assert "Table 1.</strong> Medians. Recorded: full size, 32 seeds of each," in made.data
    assert '<th scope="row"' in made.data and '<th scope="col"' in made.data


# ---- Verdict boxes. ----


def test_box_is_of_the_evidence(book, shown, tmp_path):
    """Verdict and numbers from the evidence, the live run folded inside and alone stored."""
    committed(tmp_path)
    chapter = page()
    chapter.live("toy", ["low", "high"], reading=READING)
    chapter.live("toy", ["low", "high"], reading="as released")  # is not what is judged
    chapter.record("Z1")
    ((data, metadata),) = shown
    judged = evidence.judged("Z1")
    assert judged.record.verdict == ledger.rules.REPRODUCED
    assert data["text/plain"] == ledger.as_text(judged.record, judged.source)
    html = data["text/html"]
    assert html.count('id="claim-Z1"') == 1 and "✓ Z1: reproduced" in html
    own, folded = html.split("<details>")
    assert "32 seeds)" in own and judged.source in own and "4 seeds)" in folded
    assert judged.source.endswith(", reading: as printed")
    stored = metadata["ganscapes"]
    assert stored["values"]["low_value"] == LOW["value"].tolist() and stored["profile"] == "quick"
    assert len(stored["values"]["high_value"]) == 4


def test_box_without_evidence(book, shown):
    """It says so, whatever the live run gave, and what there is of the live run is folded."""
    chapter = page()
    chapter.live("toy", ["low"], reading=READING)
    chapter.record("Z1")
    chapter.record("Z3")
    (first, metadata), (second, nothing) = shown
    assert "… Z1: open, for lack of runs" in first["text/html"]
    assert set(metadata["ganscapes"]["values"]) == {"low_value"}
    assert "<details>" in first["text/html"] and "<details>" not in second["text/html"]
    assert nothing["ganscapes"]["values"] == {}


def test_box_with_a_part(book, shown, tmp_path):
    """Of a claim that several experiments decide: what there is, and no verdict."""
    committed(tmp_path)
    page().record("Z2")
    ((data, _),) = shown
    html = data["text/html"]
    assert "… Z2: open, for lack of runs of the rest" in html and "32 seeds)" in html
    assert html.count("<td") == 6 and "full size, 32 seeds" in html


def test_box_that_the_page_computes(book, shown):
    """A claim that names no experiment is judged on the values that are given."""
    page().record("Z4", {"exact": 0.5})
    ((data, metadata),) = shown
    assert data["text/plain"] == "Z4 reproduced: exact = 0.5 [≤ 1]"
    assert metadata["ganscapes"]["values"] == {"exact": 0.5}
    for claim, values, words in (
        ("Z4", None, "Z4 has no experiment: values are recorded"),
        ("Z1", {"low_value": 0.5}, "Z1 is judged on evidence: no values are recorded"),
        ("Z9", None, "unknown claim 'Z9'"),
    ):
        with pytest.raises(ValueError, match=words):
            page().record(claim, values)


def test_box_of_a_legacy_run(book, shown, monkeypatch):
    """Where there is no evidence but a run of data/recorded has all quantities."""
    made = ledger.judge("Z1", {"low_value": [0.1] * 3, "high_value": [0.2] * 3}, profile="full")
    run = {"chapter": "two_clusters", "seeds": "0", "device": "CPU", "date": "2026-01-02"}
    monkeypatch.setattr(ledger, "legacy_runs", lambda: {"Z1": [(made, run)]})
    page().record("Z1")
    ((data, _),) = shown
    assert "✓ Z1: reproduced" in data["text/html"]
    assert "legacy: full profile, seeds 0, CPU, 2026-01-02" in data["text/html"]


def test_rows_of_one_size(book, tmp_path):
    """Of the largest at which all arms have rows; where there is none, of those arms that have."""
    committed(tmp_path, arms=["low"])
    committed(tmp_path, arms=["high", "low"], size="quick", blocks=range(100, 101))
    chapter = page()
    both = chapter.runs("toy", reading=READING, arms=["low", "high"])
    assert set(both["size"]) == {"quick"} and set(both["arm"]) == {"low", "high"}
    assert set(chapter.runs("toy", reading=READING, arms=["low"])["size"]) == {"full"}
    partly = chapter.runs("toy", reading=READING, arms=["low", "rare"])
    assert set(partly["size"]) == {"full"} and set(partly["arm"]) == {"low"}


def test_members_that_measure_nothing(book, shown):
    """A quantity that no member of the live run has is missing from it, and no error."""
    book.QUANTITIES["Z3"]["rare_value"] = lambda rows: rows["rare"].query("value > 99")["value"]
    chapter = page()
    chapter.live("toy", ["rare"], reading=READING)
    chapter.record("Z3")
    assert shown[0][1]["ganscapes"]["values"] == {}


# ---- A folder of the reader's own. ----


def test_runs_are_done_first(book, shown, tmp_path, capsys):
    """Those of the profile's size that are wanted, once; the cost is said before."""
    committed(tmp_path, arms=["low"])
    folder = tmp_path / "own"
    chapter = page(profile="full", runs=str(folder))
    rows = chapter.runs("toy", reading=READING)
    assert rows.groupby("arm").size().to_dict() == {"high": 32, "low": 32}
    assert set(rows["block"]) == {100, 101} and set(rows["size"]) == {"full"}
    assert len(list((folder / "toy").glob("*.json"))) == 4
    said = capsys.readouterr().out
    cost = "toy, full size: 4 of 4 runs are missing, 0.0 core-hours by what was run before on "
    assert said.startswith(cost)
    chapter.record("Z1")
    assert capsys.readouterr().out == ""
    assert "✓ Z1: reproduced" in shown[0][0]["text/html"]
    page(profile="full", runs=str(folder)).record("Z1")
    assert "toy, full size: 0 of 4 runs are missing\n" in capsys.readouterr().out


def test_only_the_folder_is_shown(book, shown, tmp_path):
    """Evidence that ships plays no part, and a run of the quick size decides nothing."""
    committed(tmp_path)
    chapter = page(runs=tmp_path / "own")
    rows = chapter.runs("toy", reading=READING)
    assert set(rows["size"]) == {"quick"} and set(rows["block"]) == {100}
    chapter.record("Z1")
    assert "… Z1: open, for lack of a run at full size" in shown[0][0]["text/html"]


def test_a_size_that_an_experiment_lacks(book, tmp_path, capsys):
    """The largest below is taken, not a longer one."""
    rows = page(profile="medium", runs=tmp_path / "own").runs("toy", reading=READING)
    assert set(rows["size"]) == {"quick"}
    assert capsys.readouterr().out.startswith("toy, quick size: ")


def test_runs_whose_images_are_missing(book, shown, tmp_path, monkeypatch, capsys):
    """They are named; claims that need them stay open, and the page goes on."""

    def lacks(*args, **kwargs):
        raise FileNotFoundError("no images")

    monkeypatch.setattr(book, "measure", lacks)
    page(profile="full", runs=tmp_path / "own").record("Z1")
    assert "toy: runs are passed over: no images\n" in capsys.readouterr().out
    assert "… Z1: open, for lack of runs" in shown[0][0]["text/html"]


def test_runs_that_fail(book, tmp_path, monkeypatch, capsys):
    """One line says how many, where, and which, however often the page is run."""

    def fails(*args, **kwargs):
        raise ArithmeticError("no luck")

    monkeypatch.setattr(book, "measure", fails)
    with pytest.raises(RuntimeError, match=r"runs of toy in .*own are not complete: 0 done, 4 fa"):
        page(profile="full", runs=tmp_path / "own").record("Z1")
    (one, *_), again = evidence.wanted([toy.NAME]), page(profile="full", runs=tmp_path / "own")
    monkeypatch.setattr(book, "measure", toy.measure)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"are not complete: 0 done.* drop KEY") as error:
            again.runs("toy", reading=READING)
        assert f"{one} ({one.key})" in str(error.value)
    assert "0 of 4 runs are missing; 4 failed, see drop" in capsys.readouterr().out


# ---- check. ----


@pytest.fixture
def reference(monkeypatch, tmp_path):
    """Write the reference of the chapter; a value of low's median run, unless given."""

    def write(value=None, **more):
        path = tmp_path / "references" / "two_clusters.json"
        path.parent.mkdir(exist_ok=True)
        values = LOW["value"].tolist() if value is None else value
        number = {"claim": "Z1", "quantity": "low_value", "value": values, **more}
        path.write_text(json.dumps({"over": [], "numbers": [number]}))
        monkeypatch.setattr(references, "data_file", lambda name: tmp_path / name)

    return write


def checked(**parameters):
    chapter = page(check=True, **parameters)
    chapter.live("toy", ["low", "high"], reading=READING)
    chapter.record("Z1")


def test_live_numbers_that_stand(book, shown, reference, capsys):
    """What has no counterpart is listed."""
    reference()
    checked()
    assert capsys.readouterr().out == "not compared: Z1 high_value: not in the reference\n"


def test_a_live_number_that_drifted(book, shown, reference):
    """Claim, quantity, both values and what it may move by; nothing is shown then."""
    moved = LOW["value"].tolist()
    moved[2] += 1e-3
    reference(moved)
    with pytest.raises(RuntimeError) as raised:
        checked()
    text = str(raised.value)
    assert text.startswith("drifted from data/references: Z1 low_value: 0.64042")
    assert f"in the reference {moved[2]:.7g}, may move by 6e-07" in text
    assert shown == []
    reference(moved, spread=[2e-4] * 4)
    checked()


def test_more_or_fewer_numbers_have_drifted(book, shown, reference):
    reference(LOW["value"].tolist()[:3])
    with pytest.raises(RuntimeError, match="Z1 low_value: 4 numbers, in the reference 3"):
        checked()


@pytest.mark.parametrize(
    "parameters, more, why",
    [
        ({"seed": 1}, {}, "the reference is of seed 0, on cpu"),
        ({}, {"spread": [9.0] * 4}, "moves by 9 where nothing but rounding differs"),
    ],
)
def test_what_cannot_be_compared(book, shown, reference, capsys, parameters, more, why):
    reference([7.0] * 4, **more)
    checked(**parameters)
    assert f"not compared: Z1 low_value: {why}\n" in capsys.readouterr().out


def test_new_runs_that_stand(book, shown, tmp_path, capsys):
    """The same numbers do, and other seeds of the same."""
    committed(tmp_path)
    page(profile="full", runs=tmp_path / "own", check=True).record("Z1")
    committed(tmp_path, blocks=range(105, 107))
    page(profile="full", runs=tmp_path / "again", check=True).record("Z1")
    assert "not compared: Z1" not in capsys.readouterr().out


def test_new_runs_that_drifted(book, shown, tmp_path, monkeypatch):
    """Both intervals are named."""
    committed(tmp_path)

    def measure(setting, *args, **more):
        return toy.measure(toy.Setting(setting.mean + 3, setting.width), *args, **more)

    monkeypatch.setattr(book, "measure", measure)
    with pytest.raises(RuntimeError) as raised:
        page(profile="full", runs=tmp_path / "own", check=True).record("Z1")
    text = str(raised.value)
    assert text.startswith("drifted from the evidence: Z1 low_value (as printed): 2.")
    assert ", in the evidence -" in text and "Z1 high_value" in text


def test_new_runs_that_nothing_is_compared_with(book, shown, tmp_path, capsys):
    """The evidence holds another size."""
    committed(tmp_path)
    with pytest.raises(RuntimeError, match=r"nothing of toy in .*own could be compared"):
        page(runs=tmp_path / "own", check=True).record("Z1")
    assert "Z1 low_value (as printed): the evidence has no such runs" in capsys.readouterr().out


@pytest.mark.parametrize("name", checkout().chapters())
def test_every_chapter_has_a_page(name):
    """Those that test no claim too."""
    assert Chapter(name, device="cpu").device == torch.device("cpu")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights(book, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="can be written"):
        page(runs=tmp_path)
