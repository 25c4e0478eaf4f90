"""Figures that can be read: what is wrong with one is named."""

import matplotlib.pyplot as plt
import nbformat
import pytest
from IPython.display import HTML
from matplotlib.figure import Figure

from helpers import figures
from helpers.book import pictures
from helpers.book.layout import Layout

CAPTION = "The loss of both players falls to one. Live."
ALT = "Two falling lines, one for each player."


@pytest.fixture
def page(tmp_path):
    """From figures, as a page shows them, to the faults that they make."""

    def check(*shown):
        layout = Layout(tmp_path)
        layout.book.mkdir(exist_ok=True)
        (tmp_path / "_toc.yml").write_text("root: book/x\nchapters:\n  - file: book/a.ipynb\n")
        outputs = [
            nbformat.v4.new_output("display_data", {"text/html": each.data}) for each in shown
        ]
        cell = nbformat.v4.new_code_cell("show()", outputs=outputs)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), layout.notebook("a"))
        return pictures.check(layout)

    return check


def made(figure=None, caption=CAPTION, alt=ALT, label="Figure 1"):
    return figures.captioned(figure or drawn(), caption, alt, label=label)


def drawn(width=6.0, fontsize=11):
    figure, axes = plt.subplots(figsize=(width, 3))
    axes.tick_params(labelsize=fontsize)
    axes.set_xlabel("loss", fontsize=fontsize)
    return figure


def test_a_figure_that_can_be_read(page):
    assert page(made(), made(HTML("<p>turns</p>"), label="Figure 2")) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"caption": "The losses. Live."},
            "a: Figure 1: the caption is no sentence: 'The losses.'",
        ),
        (
            {"caption": "The loss of both players falls to one Live, 3 seeds."},
            "a: Figure 1: the caption is no sentence",
        ),
        ({"alt": "Losses."}, "a: Figure 1: the alt text does not describe it: 'Losses.'"),
        (
            {"alt": "a file in a folder, build/figure_1.svg"},
            "a: Figure 1: the alt text does not describe it",
        ),
        ({"alt": CAPTION.removesuffix(" Live.")}, "a: Figure 1: the alt text does not describe it"),
        ({"label": ""}, "a: a figure without a number: 'The loss of both players"),
    ],
)
def test_what_is_wrong_is_named(page, changes, message):
    (fault,) = page(made(**changes))
    assert fault.startswith(message)


def test_text_has_ten_pixels_where_the_page_is_750_wide(page):
    """A point is 4/3 px, and less where the figure is shrunk to the page."""
    width = 750 / 72  # as many points as the page has px: text of 11 points gets 11 px
    assert pictures.text_size(figures.picture(made(drawn(width)).data)) == pytest.approx(11)
    assert page(made(drawn(width))) == []
    assert page(made(drawn(width, fontsize=9))) == [
        "a: Figure 1: its smallest text has 9.0 px, less than 10"
    ]
    assert page(made(drawn(width=6, fontsize=8))) == []  # not shrunk: 10.7 px
    assert pictures.text_size(figures.picture(made(Figure()).data)) is None


def test_two_of_one_number(page):
    assert page(made(), made()) == ["a: two have the number figure-1"]


def test_a_chapter_that_was_not_executed_is_no_fault_of_its_figures(tmp_path):
    layout = Layout(tmp_path)
    (tmp_path / "_toc.yml").write_text("root: book/x\nchapters:\n  - file: book/a.ipynb\n")
    assert pictures.check(layout) == []
