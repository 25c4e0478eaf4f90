"""The book's tool, on a small book of its own."""

import codecs
import json
import shutil
import subprocess
import sys

import nbformat
import pytest
from matplotlib.figure import Figure

from helpers import evidence, figures, ledger
from helpers.book import (
    execute,
    fixed,
    pairing,
    parameters,
    readme,
    regress,
    site,
    spread,
)
from helpers.book.__main__ import main
from helpers.book.layout import Layout, checkout
from helpers.ledger.references import Number, Reference

HEADER = "---\njupytext:\n  text_representation:\n    format_name: myst\n---\n\n"
CHAPTER = (
    HEADER
    + """# A chapter that {does}

```{{code-cell}} ipython3
:tags: [parameters]

profile = "quick"
seed = 0
runs = ""
check = False
scale = 1.0
```

```{{code-cell}} ipython3
from helpers.ledger import Standing, judge, show_box

{code}
made = judge("C14", 1e6 * scale, profile="quick")
show_box(Standing(made, ""), made)
```
"""
)
SOURCES = {".cff", ".ipynb", ".md", ".toml", ".yml"}
README = "".join(f"<!-- {n} -->\n<!-- /{n} -->\n" for n in ("install", "counts", "badges"))


def chapter(does="works", code="value = 1"):
    return CHAPTER.format(does=does, code=code)


@pytest.fixture
def book(tmp_path):
    """A checkout with one working chapter, not executed."""
    layout = Layout(tmp_path)
    layout.book.mkdir()
    config = "repository:\n  url: https://github.com/somebody/abook\n  branch: main\n"
    (tmp_path / "_config.yml").write_text(config)
    (tmp_path / "requirements.txt").write_text("a==1\n")
    (tmp_path / "README.md").write_text(README)
    write(layout, good=chapter())
    return layout


def write(layout, **chapters):
    for name, text in chapters.items():
        layout.source(name).write_text(text)
    names = sorted(path.stem for path in layout.book.glob("*.md"))
    entries = "".join(f"  - file: book/{name}.ipynb\n" for name in names)
    (layout.root / "_toc.yml").write_text(f"format: jb-book\nroot: book/x\nchapters:\n{entries}")


def pretend_executed(layout, *, outputs=(), count=1):
    """Give the chapter's notebook outputs without a kernel."""
    notebook = nbformat.read(layout.notebook("good"), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = count
    cell.outputs = [nbformat.from_dict(output) for output in outputs]
    layout.notebook("good").write_text(pairing.dump(notebook))


def test_notebook_follows_from_source(book):
    """Fixed kernel, positional ids, tags kept, and a Colab cell with the configured address."""
    assert pairing.sync(book) == ["good"]
    notebook = nbformat.read(book.notebook("good"), as_version=4)
    assert notebook.metadata == {"kernelspec": pairing._KERNEL}
    assert [cell.id for cell in notebook.cells] == [f"cell-{i:03d}" for i in range(4)]
    colab = notebook.cells[1]
    assert "git+https://github.com/somebody/abook" in colab.source
    assert "--" not in colab.source and colab.metadata.tags == ["remove-cell"]
    assert notebook.cells[2].metadata.tags == ["parameters"]
    assert pairing.sync(book) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("code", "cell 3 differs from the source"),
        ("text", "cell 0 differs from the source"),
        ("missing", "good.ipynb is missing"),
        ("unexecuted", "cell 2 is not executed"),
        ("error", "cell 3 holds the error ValueError"),
        ("warning", "cell 3 prints a warning"),
    ],
)
def test_check_catches(book, fault, words):
    """Drift in code or text, a missing notebook, cells not run, stored errors and warnings."""
    pairing.sync(book)
    pretend_executed(book)
    assert pairing.check(book) == []
    if fault == "code":
        write(book, good=chapter(code="value = 2"))
    elif fault == "text":
        write(book, good=chapter(does="drifts"))
    elif fault == "missing":
        book.notebook("good").unlink()
    elif fault == "unexecuted":
        pretend_executed(book, count=None)
    elif fault == "error":
        error = {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}
        pretend_executed(book, outputs=[error])
    else:
        pretend_executed(book, outputs=[{"output_type": "stream", "name": "stderr", "text": "!"}])
    assert any(words in line for line in pairing.check(book))
    assert main(["check"], book) == 1


def test_sync_keeps_outputs_up_to_the_change(book):
    """A new text keeps all outputs; new code drops its own and those after it."""
    pairing.sync(book)
    pretend_executed(book)
    write(book, good=chapter(does="reads better"))
    pairing.sync(book)
    assert pairing.check(book) == []
    write(book, good=chapter(code="value = 3"))
    pairing.sync(book)
    counts = [c.get("execution_count") for c in nbformat.read(book.notebook("good"), 4).cells]
    assert counts == [None, 1, 1, None]


@pytest.mark.slow
def test_run_reports_and_caches(book):
    """A chapter runs once; a change to source, parameters, pins or force makes it run again."""
    first = execute.run(book)[0]
    assert (first.error, first.claims, first.cached) == ("", 1, False)
    assert first.peak_mb > 50 and first.seconds > 0
    assert execute.run(book)[0].cached
    assert "unchanged" in execute.report(execute.run(book))
    executed = nbformat.read(book.executed / "good.ipynb", as_version=4)
    assert not any("papermill" in cell.metadata for cell in executed.cells)
    assert "papermill" not in executed.metadata
    (book.root / "requirements.txt").write_text("a==2\n")
    assert not execute.run(book)[0].cached


@pytest.mark.slow
def test_parameters_reach_the_chapter_and_not_the_site(book):
    """A run with a parameter goes to a folder of its own and records what it computed."""
    assert main(["run", "--chapter", "good", "--set", "scale=2", "--set", "seed=3"], book) == 0
    (made,) = (book.build / "runs").glob("*/good.ipynb")
    notebook = nbformat.read(made, as_version=4)
    stored = [o.metadata["ganscapes"] for c in notebook.cells for o in c.get("outputs", [])]
    assert stored[0]["values"] == {"supremum_to_1e6": 2e6}
    assert not (book.executed / "good.ipynb").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--chapter", "god"], ["unknown chapter 'god'", "good"]),
        (["--set", "sed=3"], ["unknown parameter 'sed'", "seed (int, 0)", "scale (float, 1.0)"]),
        (["--set", "seed=three"], ["'seed' takes int, got 'three'"]),
        (["--set", "seed=0.5"], ["'seed' takes int, got '0.5'"]),
        (["--set", "seed"], ["NAME=VALUE"]),
        (["--set", "profile=huge"], ["unknown profile 'huge'", "quick, medium, full"]),
        (["--set", "profile=full"], ["profile 'full' needs --set runs=FOLDER"]),
        (["--set", "profile=medium", "--set", "runs="], ["'medium' needs --set runs=FOLDER"]),
        (["--set", "check=1"], ["parameter 'check' takes bool, got '1'"]),
        (["--set", "checkpoints=x"], ["unknown parameter 'checkpoints'"]),
        (["--publish", "--set", "seed=3"], ["default parameters"]),
    ],
)
def test_refused_before_anything_runs(book, capsys, arguments, words):
    """Unknown names and wrong types are refused with the list of what there is."""
    assert main(["run", *arguments], book) == 1
    message = capsys.readouterr().err
    assert all(word in message for word in words), message
    assert not book.build.exists()


def test_chapters_by_name(book):
    """One or several, each once, in the order they are named in; all where none is."""
    write(book, better=chapter())
    assert book.select() == ["better", "good"]
    assert book.select(["good", "better", "good"]) == ["good", "better"]
    with pytest.raises(ValueError, match="unknown chapter 'worse'; there are: better, good"):
        book.select(["good", "worse"])


def test_a_chapter_without_a_reference_is_named(book):
    """A file that is gone would be taken for one without numbers."""
    (fault,) = regress.check(book)
    assert fault.startswith("good: no data/references/good.json; execute the chapter, then ")
    regress.save(book, "good", Reference((), ()))
    assert regress.check(book) == []


def test_every_profile_has_a_folder(book, tmp_path, monkeypatch):
    """Which means the same wherever the chapter runs."""
    notebook = pairing.to_notebook(book, "good")
    monkeypatch.chdir(tmp_path)
    chosen = execute.chosen_values(notebook, ["profile=medium", "runs=own", "check=True"])
    assert chosen == {"profile": "medium", "runs": str(tmp_path / "own"), "check": True}
    assert execute.chosen_values(notebook, ["runs=/a"]) == {"runs": "/a"}


def test_gather_is_evidences(book, capsys):
    """All its options are handed on; the list runs nothing."""
    assert main(["gather", "no_such_experiment", "--list"], book) == 2
    assert "experiment is one of" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["gather", "--help"], book)
    assert stopped.value.code == 0
    assert "--cluster ADDRESS" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"], book)
    assert "gather" in capsys.readouterr().out


def test_parameter_types():
    """Each value takes the type of the default; an int will do for a float, not a bool."""
    known = {"a": 1, "b": 1.0, "c": "x", "d": True}
    given = ["a=2", "b=3", "c=4", "d=False"]
    assert parameters.parse(given, known) == {"a": 2, "b": 3.0, "c": "4", "d": False}
    with pytest.raises(ValueError, match="'a' takes int"):
        parameters.parse(["a=True"], known)


@pytest.mark.slow
def test_failing_cell_is_reported_and_not_published(book, capsys):
    """The others run and are published; the report names chapter, cell, line and error."""
    write(book, bad=chapter("fails", "numbers = [1]\nnumbers[7]"))
    good_before = chapter()
    write(book, bad=chapter("works still"), good=good_before)
    assert main(["run", "--chapter", "bad"], book) == 0
    last_good = (book.executed / "bad.ipynb").read_text()
    write(book, bad=chapter("fails", "numbers = [1]\nnumbers[7]"))
    assert main(["run", "--publish"], book) == 1
    out = capsys.readouterr().out
    assert "bad, cell 3: " in out
    assert "line 4" in out and "> 4 numbers[7]" in out
    assert "IndexError: list index out of range" in out
    assert (book.executed / "good.ipynb").exists()
    assert (book.executed / "bad.ipynb").read_text() == last_good
    assert (book.failed / "bad.ipynb").exists()
    assert book.notebook("good").exists() and not book.notebook("bad").exists()


@pytest.mark.slow
def test_time_limit(book):
    """A chapter that hangs is stopped, and the report says so."""
    write(book, good=chapter(code="import time; time.sleep(60)"))
    (result,) = execute.run(book, time_limit=8)
    assert "time limit of 8 s" in result.error
    assert result.seconds < 30


def test_time_limit_is_the_profiles(book, monkeypatch):
    """And the run lands in a folder of its own."""
    limits = []

    def one(layout, chapter, source, values, target, limit):
        limits.append(limit)
        assert target.parent.name.startswith("profile=full,runs=")
        return execute.Result(chapter, 0.0, 0.0, 0, error="not run")

    monkeypatch.setattr(execute, "one", one)
    execute.run(book, settings=["profile=full", "runs=/a"])
    assert limits == [execute.TIME_LIMITS["full"]]


@pytest.mark.slow
def test_runs_its_own_interpreter(book, tmp_path, monkeypatch):
    """A `python3` of an environment that is gone, and IPython's start-up files, play no part."""
    kernel = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    gone = ["/nowhere/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": gone, "display_name": "gone", "language": "python"}))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "noise.py").write_text("value = 1\n")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    code = "import sys\nprint(sys.executable, 'value' in globals())"
    write(book, good=chapter(code=code))
    (result,) = execute.run(book)
    assert result.error == ""
    executed = nbformat.read(book.executed / "good.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == f"{sys.executable} False\n"
    assert executed.metadata.kernelspec == pairing._KERNEL


@pytest.mark.slow
def test_byte_order_marks(book):
    """In a source one changes nothing; in a notebook check names it, and sync takes it away."""

    def mark(path):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())

    pairing.sync(book)
    pretend_executed(book)
    readme.sync(book)
    plain = book.notebook("good").read_bytes()
    mark(book.source("good"))
    assert (pairing.check(book), pairing.sync(book)) == ([], [])
    mark(book.notebook("good"))
    assert pairing.check(book) == ["good: good.ipynb has a byte-order mark; run `make sync`"]
    assert readme.check(book) == []
    assert pairing.sync(book) == ["good"]
    assert book.notebook("good").read_bytes() == plain and pairing.check(book) == []


def test_cache_key_covers_what_a_chapter_depends_on(book):
    """The package, claims, evidence, timings and pins are in it; references and caches are not."""
    package, data = book.root / "helpers", book.root / "data"
    files = [package / "ledger.py", package / "drawn" / "lines.py", package / "some.csv"]
    files += [book.recorded / "some.json", data / "benchmarks" / "some.json"]
    files += [data / "claims.json", data / "evidence" / "some.jsonl"]

    def key(parameters=()):
        return execute.key_of(book, pairing.to_notebook(book, "good"), dict(parameters))

    keys = [key(), key({"seed": 3})]
    for file in [*files, *files]:  # made, then changed
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as stream:
            stream.write("\nchanged = 1")
        keys.append(key())
    (book.root / "requirements.txt").write_text("a==2\n")
    keys.append(key())
    write(book, good=chapter(code="value = 2"))
    keys.append(key())
    assert len(set(keys)) == len(keys)
    book.references.mkdir()
    (book.references / "good.json").write_text("{}")
    (book.cache / "runs").mkdir(parents=True)
    (book.cache / "runs" / "one.json").write_text("{}")
    assert key() == keys[-1]


def reference(book, name="good"):
    return json.loads((book.references / f"{name}.json").read_text())


@pytest.mark.slow
def test_regress_catches_a_changed_number(book, capsys):
    """Accepted numbers pass; a moved, a missing and a new one are drift, within its spread not."""
    assert main(["regress", "--accept"], book) == 0
    stored = reference(book)
    (number,) = stored["numbers"]
    assert number == {"claim": "C14", "quantity": number["quantity"], "value": 1e6}
    path = book.references / "good.json"

    def drifted(**change):
        path.write_text(json.dumps({**stored, "numbers": [{**number, **change}]}))
        return [c.drifted for c in regress.compare(book, "good")]

    assert drifted(value=1e6 * (1 + 1e-5)) == [True]
    assert drifted(value=1e6 * (1 + 1e-7)) == [False]
    assert drifted(value=1e6 + 10, spread=[1.1]) == [False]
    assert drifted(value=1e6 + 10, spread=[0.9]) == [True]
    assert drifted(value=[1e6, 1e6]) == [True]
    assert drifted(quantity="gone") == [True, True]
    assert main(["regress"], book) == 1
    assert "2 drifted" in capsys.readouterr().out


def test_each_entry_has_a_tolerance_of_its_own():
    """Ten times the spread of that entry; a millionth of it, or 1e-9, at the least."""
    number = Number("C14", "q", [1.0, 100.0, 0.0], (0.01, 0.0, 0.0))
    assert number.tolerances == pytest.approx([0.1, 1e-4, 1e-9])
    assert Number("C14", "q", 5.0).tolerances == pytest.approx([5e-6])


@pytest.mark.slow
def test_chaos_is_not_compared(book, capsys):
    """A number that moves by more than a twentieth; the file, the table and the count say so."""
    main(["regress", "--accept"], book)
    for moves, compared in ((4.9e4, True), (5.1e4, False), ("inf", False)):
        stored = reference(book)
        stored["numbers"][0] |= {"value": 1e6, "spread": [moves]}
        (book.references / "good.json").write_text(json.dumps(stored))
        loaded = regress.load(book, "good")
        assert (loaded.numbers[0].why_not == "") is compared
        regress.save(book, "good", loaded)
        assert ("not compared" in reference(book)["numbers"][0]) is not compared
        assert regress.load(book, "good") == loaded
    moved = reference(book)
    moved["numbers"][0]["value"] = 3e6
    (book.references / "good.json").write_text(json.dumps(moved))
    (found,) = regress.compare(book, "good")
    assert not found.drifted
    assert " any" in regress.table([found])
    assert main(["regress"], book) == 0
    assert "1 numbers, 0 compared" in capsys.readouterr().out


def test_rounding_of_nothing_is_compared():
    """A gap of 1e-14 may be twice as large elsewhere, and still is none."""
    number = Number("B04", "gap", 1e-14, (3e-14,))
    assert number.why_not == ""
    assert regress.Comparison("c", "B04", "gap", number, 1e-10).drifted is False
    assert regress.Comparison("c", "B04", "gap", number, 1e-8).drifted is True


@pytest.mark.slow
def test_regress_accept_keeps_the_spread(book):
    """Of numbers that stay; one that becomes a list, or is new, has none."""
    execute.run(book)
    regress.accept(book, "good")
    stored = reference(book)
    stored["over"] = ["here", "there"]
    stored["numbers"][0]["spread"] = [0.5]
    (book.references / "good.json").write_text(json.dumps(stored))
    regress.accept(book, "good")
    assert reference(book)["numbers"][0]["spread"] == [0.5]
    assert reference(book)["over"] == ["here", "there"]
    stored["numbers"][0]["spread"] = [0.5, 0.5]
    (book.references / "good.json").write_text(json.dumps(stored))
    regress.accept(book, "good")
    assert "spread" not in reference(book)["numbers"][0]


# ---- The spread where nothing but rounding differs. ----

WAVERING = """import os
scale = 1.0 + 1e-3 * (os.environ["OMP_NUM_THREADS"] == "2")"""


@pytest.mark.slow
def test_spread(book, capsys, monkeypatch):
    """Measured over variants once, and written beside the number."""
    write(book, good=chapter(code=WAVERING))
    variants = ["plain", "two threads"]
    assert main(["spread", "--write", "--variants", *variants], book) == 0
    stored = reference(book)
    assert [label.split(",")[0] for label in stored["over"]] == variants
    assert all("torch " in label for label in stored["over"])
    assert stored["numbers"][0]["value"] == 1e6  # the plain one's
    assert stored["numbers"][0]["spread"] == [1000]
    monkeypatch.setattr(execute, "one", lambda *_: pytest.fail("executed again"))
    assert main(["spread", "--variants", *variants], book) == 0
    write(book, good=chapter(code=WAVERING + "\nvalue = 2"))
    with pytest.raises(ValueError, match="good has not been executed in its present state"):
        spread.write(book, "good")
    steadier = WAVERING.replace("1e-3", "1e-4")
    write(book, good=chapter(code=steadier))
    monkeypatch.undo()
    assert main(["spread", "--write", "--variants", "two threads"], book) == 0
    assert reference(book)["numbers"][0]["spread"] == [1000]  # the record counts on
    assert reference(book)["over"] == stored["over"]
    capsys.readouterr()
    assert main(["spread", "--variants", "three threads"], book) == 1
    assert "unknown variant 'three threads'; there are: plain" in capsys.readouterr().err


@pytest.mark.slow
def test_spread_of_what_fails(book, capsys):
    """A variant that fails is named, and nothing is written."""
    write(book, good=chapter(code="1 / 0"))
    assert main(["spread", "--write", "--variants", "plain"], book) == 1
    assert "plain: good, cell" in capsys.readouterr().out
    assert not book.references.exists()


def test_spread_keeps_what_stands():
    """Entry by entry; executions that disagree on their number have no bound."""
    assert spread.spread_of([1.0, 1.5]) == (0.5,)
    assert spread.spread_of([[1.0, 2.0], [1.5, 2.0]]) == (0.5, 0.0)
    assert spread.spread_of([[1.0, 2.0], [1.0]]) == (float("inf"),) * 2


@pytest.mark.slow
def test_fixed_numbers():
    """From a process of their own: the same ones every time, and none of most chapters."""
    assert fixed.numbers("path_angle") == {}
    found = fixed.numbers("two_clusters")
    again = fixed.numbers("two_clusters", {"OMP_NUM_THREADS": "2"})
    assert len(found) == 2 and found.keys() == again.keys()
    for name, values in found.items():
        assert values == pytest.approx(again[name], rel=1e-5)
        assert len(values) == 4 and len(set(values)) == 4


def test_references_are_in_order():
    """A spread belongs to each entry and says over what; what is chaotic says so."""
    layout = checkout()
    names = [path.stem for path in layout.references.glob("*.json")]
    assert len(names) >= 9
    for name in names:
        found = regress.load(layout, name)
        for n in found.numbers:
            assert n.spread is None or len(n.spread) == len(n.tolerances)
            assert n.spread is None or found.over
        stored = json.loads((layout.references / f"{name}.json").read_text())["numbers"]
        assert [row.get("not compared", "") for row in stored] == [n.why_not for n in found.numbers]


def executed_cells(layout):
    """How many cells of the chapters' notebooks hold an execution."""
    notebooks = [pairing.read(layout.notebook(name)) for name in layout.chapters()]
    return sum(bool(cell.get("execution_count")) for each in notebooks for cell in each.cells)


@pytest.mark.slow
def test_one_line_is_the_address(tmp_path):
    """Changed in a copy of this book, and synchronised: no file holds the old one."""
    here, there = checkout(), Layout(tmp_path)
    for name in ("_config.yml", "_toc.yml", "README.md", "CITATION.cff", "pyproject.toml"):
        shutil.copy(here.root / name, tmp_path / name)
    shutil.copytree(here.book, there.book)
    config = tmp_path / "_config.yml"
    lines = config.read_text().splitlines(keepends=True)
    assert sum(here.repository() in line for line in lines) == 1
    old = here.repository().removeprefix("https://")
    assert main(["sync"], there) == 0
    before = executed_cells(there)
    config.write_text("".join(lines).replace(here.repository(), "https://github.com/me/my.gans"))
    assert main(["sync"], there) == 0
    held = {p: p.read_text() for p in tmp_path.rglob("*") if p.suffix in SOURCES}
    owner = old.split("/")[1]
    assert [p.name for p, text in held.items() if old in text or owner in text] == []
    assert executed_cells(there) == before > 0
    readme_now = held[tmp_path / "README.md"]
    assert "pip install git+https://github.com/me/my.gans\n" in readme_now
    chapters = there.chapters()
    assert readme_now.count("colab.research.google.com/github/me/my.gans/blob/main/book/") == len(
        chapters
    )
    for name in chapters:
        cell = next(c for c in pairing.read(there.notebook(name)).cells if c.cell_type == "code")
        assert cell.source.endswith("    %pip install -q git+https://github.com/me/my.gans")


def test_a_cell_without_an_address_says_so(book):
    """Where the package is missing, which line to change; where it is there, nothing."""
    config = "repository:\n  url: https://github.com/ORGANISATION/abook\n  branch: main\n"
    (book.root / "_config.yml").write_text(config)
    cell = next(c for c in pairing.to_notebook(book, "good").cells if c.cell_type == "code")
    assert "git" not in cell.source
    exec(cell.source)
    alone = [sys.executable, "-I", "-S", "-c", cell.source]
    done = subprocess.run(alone, capture_output=True, text=True, cwd=book.root, check=False)
    assert "RuntimeError: this copy of the book has no address" in done.stderr
    assert "`url` under `repository` in _config.yml" in done.stderr


@pytest.mark.parametrize("url", ["", "ganscapes", "https://gitlab.com/a/b", "https://github.com/a"])
def test_an_address_is_one_of_github(book, url):
    (book.root / "_config.yml").write_text(f"repository:\n  url: {url}\n  branch: main\n")
    with pytest.raises(ValueError, match=r"_config\.yml must be like https://github.com/OWNER"):
        pairing.sync(book)


@pytest.mark.slow
def test_readme_parts_follow_the_book(book):
    """Badges hold the configured address, counts the committed verdicts; drift is a fault."""
    pairing.sync(book)
    assert readme.check(book)
    assert readme.sync(book)
    text = (book.root / "README.md").read_text()
    assert "github/somebody/abook/blob/main/book/good.ipynb" in text
    papers = [name for name, each in ledger.all_claims().items() if each["paper"] != ledger.OWN]
    judged = filter(None, map(evidence.judged, papers))
    decided = sum(each.record.verdict != ledger.rules.OPEN for each in judged)
    unmeasurable = sum("untestable" in ledger.find(name) for name in papers)
    waiting = len(papers) - unmeasurable - decided
    assert f"{waiting} open" in text  # evidence alone decides in a book of one page
    assert readme.check(book) == []


@pytest.mark.slow
def test_readme_figure_is_that_of_the_tagged_cell(book):
    """The picture inside the captioned figure, and no other cell's."""
    pairing.sync(book)
    notebook = nbformat.read(book.notebook("good"), as_version=4)
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        figure = Figure()
        figure.text(0.5, 0.5, str(number))
        page = {"text/html": figures.captioned(figure, "c", "a").data}
        output = {"output_type": "display_data", "data": page, "metadata": {}}
        cell.outputs = [nbformat.from_dict(output)]
        if number == 1:
            cell.metadata["tags"] = [readme.FIGURE_TAG]
            wanted = figures.picture(page["text/html"])
    book.notebook("good").write_text(pairing.dump(notebook))
    (book.book / "_static").mkdir()
    assert readme.sync(book)
    assert (book.book / "_static" / "good.svg").read_text("utf-8") == wanted


def test_site_needs_executed_chapters(book):
    """The site is never built from notebooks that did not run."""
    with pytest.raises(FileNotFoundError, match="not executed yet: good"):
        site.build(book)


@pytest.mark.slow
def test_last_good_site_stays(book):
    """A build that warns is an error, and the site that was there is still there."""
    here = checkout()
    shutil.copytree(here.book / "_static", book.book / "_static")
    shutil.copy(here.book / "references.bib", book.book)
    (book.book / "x.md").write_text("# A page\n\n[nowhere](missing_page)\n")
    book.source("good").unlink()
    (book.book / "y.md").write_text("# Another\n")
    toc = "format: jb-book\nroot: book/x\nchapters:\n  - file: book/y\n"
    (book.root / "_toc.yml").write_text(toc)
    book.html.mkdir(parents=True)
    (book.html / "index.html").write_text("good")
    with pytest.raises(RuntimeError, match="missing_page"):
        site.build(book)
    assert (book.html / "index.html").read_text() == "good"
    (book.book / "x.md").write_text("# A page\n")
    site.build(book)
    assert "A page" in (book.html / "book" / "x.html").read_text()
