"""What a chapter's code keeps to."""

import pytest

from helpers.book import habits
from helpers.book.layout import Layout

HEADER = "---\njupytext:\n  text_representation:\n    format_name: myst\n---\n\n# A page\n\n"


@pytest.fixture
def page(tmp_path):
    """From code cells, each with its tags, to the faults of the chapter that they make."""

    def check(*cells, prose="", of=habits.check, after=""):
        layout = Layout(tmp_path)
        layout.book.mkdir(exist_ok=True)
        (tmp_path / "_config.yml").write_text(
            "repository:\n  url: https://github.com/somebody/abook\n  branch: main\n"
        )
        toc = "root: book/x\nchapters:\n  - file: book/a.ipynb\n"
        if after:
            toc += f"  - file: book/{after}.ipynb\n"
            solved = "```{code-cell} ipython3\n:tags: [solution]\n\nx = 1\n```\n"
            layout.source(after).write_text(HEADER + WHOLE + solved)
        (tmp_path / "_toc.yml").write_text(toc)
        text = HEADER + prose
        for tags, source in cells:
            text += f"```{{code-cell}} ipython3\n:tags: [{tags}]\n\n{source}\n```\n\n"
        layout.source("a").write_text(text)
        return of(layout)

    return check


def lines(count):
    return "\n".join(f"x{n} = {n}" for n in range(count))


def test_cells_and_chapters_are_short(page):
    """Blank lines do not count, nor do parameters and solutions."""
    assert page(("a", lines(12) + "\n\n\n"), ("parameters", lines(13))) == []
    assert page(("a", lines(13))) == ["a: cell 2 has 13 lines, more than 12"]
    assert page(("solution", lines(40)), *[("a", lines(10))] * 25) == []
    assert page(*[("a", lines(10))] * 25, ("a", "x = 1")) == ["a: 251 lines of code, more than 250"]


@pytest.mark.parametrize(
    "code",
    [
        'n = 3 if profile == "quick" else 5',
        'if profile in ("medium", "full"):\n    n = 5',
        'n = {"quick": 3, "full": 5}[profile]',
        'match profile:\n    case "quick":\n        n = 3',
    ],
)
def test_no_cell_asks_for_the_profile(page, code):
    assert page(("a", code)) == ["a: cell 2 asks for the profile"]
    assert page(("a", 'chapter = Chapter("a", profile=profile, seed=seed)')) == []


def test_no_cell_reads_a_file(page):
    assert page(("a", 'text = open("a.json").read()')) == ["a: cell 2 reads a file: open('a.json')"]
    assert page(("a", "%matplotlib inline\n!ls\nx = 1")) == []


WHOLE = (
    "**The question.** Is it?\n\n**What we found.** It is.\n\n**Claims tested.** A01.\n\n"
    "**What you need.** Nothing.\n\n## Exercises\n\n"
    "**What is next.** [More](b) of it, in\n[this](other).\n\n"
)
SOLVED = ("solution", "x = 1")


def test_a_whole_page(page):
    assert page(SOLVED, prose=WHOLE, of=habits.pages) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("**What we found.** It is.", ""), "a: does not open with 'What we found.'"),
        (("**Claims tested.**", "Claims tested."), "a: does not open with 'Claims tested.'"),
        (("## Exercises", "Exercises"), "a: has no part 'Exercises' or"),
        (("**The question.** Is it?\n\n", ""), "a: does not open with 'The question.'"),
        (("**What is next.**", "Next:"), "a: does not end with '**What is next.**'"),
        (("(other).", "(other).\n\nBut first this."), "a: does not end with '**What is next.**'"),
        (("[More](b) of it, in\n[this](other).", "More."), "a: has no link after"),
    ],
)
def test_what_a_page_lacks_is_named(page, changed, message):
    (fault,) = page(SOLVED, prose=WHOLE.replace(*changed), of=habits.pages)
    assert fault.startswith(message)


def test_what_is_next_is_what_follows(page):
    """In the order of _toc.yml; the last chapter may lead anywhere."""
    assert page(SOLVED, prose=WHOLE, of=habits.pages, after="b") == []
    assert page(SOLVED, prose=WHOLE, of=habits.pages, after="c") == [
        "a: leads to 'b', and 'c' is next"
    ]


def test_order_and_solutions(page):
    """The question comes first; an exercise has a solution that is run."""
    question, rest = WHOLE.split("\n\n", 1)
    turned = rest.replace("## Exercises", f"{question}\n\n## Exercises")
    assert page(SOLVED, prose=turned, of=habits.pages) == [
        "a: opens in another order than The question., What we found., Claims tested., "
        "What you need."
    ]
    assert page(("a", "x = 1"), prose=WHOLE, of=habits.pages) == [
        "a: has no solution, a cell tagged 'solution'"
    ]
