"""Figures and tables as pages show them."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.display import HTML
from matplotlib.figure import Figure
from pandas import DataFrame, MultiIndex

from helpers import figures
from helpers.figures.style import svg


class Page(HTMLParser):
    """Tags in order, with their attributes, and the text in each."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.texts.append("")

    def handle_data(self, data):
        if self.texts:
            self.texts[-1] += data

    def all(self, wanted):
        both = zip(self.tags, self.texts, strict=True)
        return [(attributes, text) for (tag, attributes), text in both if tag == wanted]


def drawn():
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], label="φ & <θ> 100%")
    axes.legend()
    return figure


def test_the_picture_is_the_one_that_show_gives():
    """Whatever its signs, the address holds the same drawing, in both themes."""
    page = Page(figures.captioned(drawn(), "c", "a").data)
    ((attributes, _),) = page.all("img")
    kind, picture = attributes["src"].split(",", 1)
    assert kind == "data:image/svg+xml;charset=utf-8"
    assert unquote(picture) == svg(drawn()) and "prefers-color-scheme: dark" in unquote(picture)
    assert not set(picture) & set('<>"#\n')
    assert figures.picture(figures.captioned(drawn(), "c", "a").data) == svg(drawn())


def test_texts_are_no_markup():
    """Caption and alt may hold any sign."""
    caption, alt = "a < b & c", 'said "<script>"'
    for figure in (Figure(), HTML("<p>turns</p>")):
        page = Page(figures.captioned(figure, caption, alt).data)
        assert not page.all("script")
        assert page.all("figcaption")[0][1] == caption
        labels = {
            attributes.get("alt") or attributes.get("aria-label") for _, attributes in page.tags
        }
        assert alt in labels


def test_what_is_no_figure():
    with pytest.raises(ValueError, match="a figure is one of matplotlib's, or HTML, got 'line'"):
        figures.captioned("line", "c", "a")


def test_table_headings():
    """Of columns and rows, each with its scope; numbers in four digits, whole ones in full."""
    frame = DataFrame({"loss": [0.123456, 1e-9], "seeds": [12345, 2]}, index=["js", "<rs>"])
    page = Page(figures.as_table(frame, "Losses.").data)
    scopes = [(attributes["scope"], text) for attributes, text in page.all("th")]
    assert scopes == [
        ("col", ""),
        ("col", "loss"),
        ("col", "seeds"),
        ("row", "js"),
        ("row", "<rs>"),
    ]
    assert [text for _, text in page.all("td")] == ["0.1235", "12345", "1e-09", "2"]
    assert page.all("caption")[0][1] == "Losses."


def test_table_without_an_index():
    """A count from 0 is not printed; levels of an index become columns."""
    frame = DataFrame({"arm": ["js"], "shown": [True]})
    made = figures.as_table(frame, "c")
    assert [a["scope"] for a, _ in Page(made.data).all("th")] == ["col", "col"]
    assert [text for _, text in Page(made.data).all("td")] == ["js", "True"]
    levels = MultiIndex.from_tuples([("js", 100)], names=["arm", "block"])
    page = Page(figures.as_table(DataFrame({"loss": [0.5]}, index=levels), "c").data)
    assert [text for _, text in page.all("th")] == ["arm", "block", "loss"]


@pytest.mark.parametrize("wrong", [{"a": [1]}, DataFrame([[1]], columns=[["a"], ["b"]])])
def test_what_is_no_table(wrong):
    with pytest.raises(ValueError, match="a table is a frame with columns of one level"):
        figures.as_table(wrong, "c")


def test_a_terminal_reads_the_caption():
    made = figures.as_table(DataFrame({"loss": np.array([0.5])}), "Losses.")
    assert re.fullmatch(r"Losses\.\n +loss\n +0\.5", repr(made))
    assert repr(figures.captioned(Figure(), "A line.", "a")) == "A line."
    numbered = figures.as_table(DataFrame({"loss": [0.5]}), "Losses.", label="Table 2")
    assert repr(numbered).startswith("Table 2. Losses.\n")


def test_a_number_is_an_address():
    """It is read before the caption, and links find it."""
    for made in (
        figures.captioned(Figure(), "A line.", "a", label="Figure 12"),
        figures.captioned(HTML("<p>turns</p>"), "A line.", "a", label="Figure 12"),
    ):
        assert Page(made.data).all("figure")[0][0]["id"] == "figure-12"
        assert "<strong>Figure 12.</strong> A line.</figcaption>" in made.data
    made = figures.as_table(DataFrame({"loss": [0.5]}), "Losses.", label="Table 2").data
    assert made.startswith('<div id="table-2"')
    assert "<strong>Table 2.</strong> Losses.</caption>" in made


LEVELS = MultiIndex.from_tuples([("a", 1), ("b", 2)])


@pytest.mark.parametrize("index", [None, ["js", "rs"], LEVELS])
def test_bold_cells(index):
    """Those that are named, wherever the row headings are."""
    frame = DataFrame({"loss": [0.5, 0.25], "gap": ["2.16", "0.18"]}, index=index)
    bold = DataFrame({"loss": [False, False], "gap": [True, False]}, index=index)
    page = figures.as_table(frame, "c", bold)
    assert re.findall("<strong>(.*?)</strong>", page.data) == ["2.16"]
    assert page.text == figures.as_table(frame, "c").text
    with pytest.raises(ValueError, match="bold has the rows and columns of the table"):
        figures.as_table(frame, "c", bold[["gap"]])
