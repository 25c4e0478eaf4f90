"""Figures and tables as a page shows them: with a caption, and readable without seeing them.

They are HTML, so that what is said of a figure is beside it in every reader of notebooks.
"""

from __future__ import annotations

import numbers
import re
from html import escape
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from IPython.display import HTML
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame, MultiIndex, RangeIndex

from helpers.figures.style import svg
from helpers.inputs import shown

_ADDRESS = "data:image/svg+xml;charset=utf-8,"
_PLAIN = " '/:;,()!*?@$+|="  # what a quoted address may hold as it is
# Themes of pages make captions grey, and centre them.
_CAPTION = "text-align:left;color:inherit;font-weight:normal"
_CELL = "text-align:left;padding:.15rem .9rem .15rem 0"


class Captioned(HTML):
    """HTML for pages, and its caption for terminals."""

    def __init__(self, page: str, text: str) -> None:
        super().__init__(page)
        self.text = text

    def __repr__(self) -> str:
        return self.text


def captioned(figure: Figure | HTML, caption: str, alt: str, *, label: str = "") -> Captioned:
    """A figure with its caption below it.

    Args:
        figure: of matplotlib, shown as a picture that follows the reader's theme; or one that is
            HTML already, such as `turnable_surfaces`.
        caption: what it shows.
        alt: the same for those who do not see it.
        label: its number on a page, such as "Figure 3", by which links find it.

    Raises:
        ValueError: for what is no figure.

    >>> captioned(Figure(), "A line. Live.", "A rising line.", label="Figure 3")
    Figure 3. A line. Live.
    """
    if isinstance(figure, Figure):
        address = f"{_ADDRESS}{quote(svg(figure), safe=_PLAIN)}"
        inside = f'<img src="{address}" alt="{escape(alt)}" style="max-width:100%">'
        page = f'<figure{_anchor(label)} style="margin:0">{inside}'
    elif isinstance(figure, HTML):
        told = f'role="group" aria-label="{escape(alt)}"'
        page = f'<figure{_anchor(label)} {told} style="margin:0">{figure.data}'
    else:
        raise ValueError(f"a figure is one of matplotlib's, or HTML, got {shown(figure)}")
    text = f'<figcaption style="{_CAPTION}">{_labelled(caption, label)}</figcaption>'
    return Captioned(f"{page}{text}</figure>", _plain(caption, label))


def picture(page: str) -> str | None:
    """The picture in the HTML of `captioned`, as SVG; None where there is none.

    >>> picture(captioned(Figure(), "A line. Live.", "A rising line.").data)[:4]
    '<svg'
    >>> picture("<p>") is None
    True
    """
    found = re.search(f'src="{re.escape(_ADDRESS)}([^"]*)"', page)
    return unquote(found[1]) if found else None


def as_table(
    frame: DataFrame, caption: str, bold: DataFrame | None = None, *, label: str = ""
) -> Captioned:
    """A frame as a table whose headings are tied to their rows and columns.

    The index is printed where it says something: where it has a name or is not a count from 0.

    Args:
        frame: what is shown.
        caption: what it shows.
        bold: True where a cell is printed bold, with the frame's own rows and columns.
        label: its number on a page, such as "Table 2", by which links find it.

    Raises:
        ValueError: for what is no frame, for columns with several levels, and for `bold` with other
            rows or columns.

    >>> as_table(DataFrame({"loss": [0.25]}, index=["js"]), "Losses. Live.").text
    'Losses. Live.\\n    loss\\njs  0.25'
    """
    if not isinstance(frame, DataFrame) or isinstance(frame.columns, MultiIndex):
        raise ValueError(f"a table is a frame with columns of one level, got {shown(frame)}")
    if bold is not None and not (
        isinstance(bold, DataFrame)
        and bold.index.equals(frame.index)
        and bold.columns.equals(frame.columns)
    ):
        raise ValueError(f"bold has the rows and columns of the table, got {shown(bold)}")
    heavy = np.zeros(frame.shape, dtype=bool) if bold is None else bold.to_numpy(dtype=bool)
    if isinstance(frame.index, MultiIndex):
        heavy = np.pad(heavy, [(0, 0), (frame.index.nlevels, 0)])
        frame = frame.reset_index()
    plain = isinstance(frame.index, RangeIndex) and frame.index.name is None
    names = [] if plain else [frame.index.name or ""]
    head = "".join(
        f'<th scope="col" style="{_CELL}">{escape(str(name))}</th>'
        for name in [*names, *frame.columns]
    )
    body = "".join(
        f"<tr>{_row(row, cells, heading=not plain)}</tr>"
        for row, cells in zip(frame.itertuples(not plain), heavy, strict=True)
    )
    page = (
        f'<div{_anchor(label)} style="overflow-x:auto"><table class="measured">'
        f'<caption style="caption-side:bottom;{_CAPTION}">{_labelled(caption, label)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return Captioned(page, f"{_plain(caption, label)}\n{frame.to_string(index=not plain)}")


def _anchor(label: str) -> str:
    return f' id="{label.lower().replace(" ", "-")}"' if label else ""


def _labelled(caption: str, label: str) -> str:
    return f"<strong>{label}.</strong> {escape(caption)}" if label else escape(caption)


def _plain(caption: str, label: str) -> str:
    return f"{label}. {caption}" if label else caption


def _row(cells: tuple[Any, ...], heavy: NDArray[np.bool_], *, heading: bool) -> str:
    first = f'<th scope="row" style="{_CELL}">{_shown(cells[0])}</th>' if heading else ""
    rest = cells[1:] if heading else cells
    texts = [
        f"<strong>{_shown(cell)}</strong>" if bold else _shown(cell)
        for cell, bold in zip(rest, heavy, strict=True)
    ]
    return first + "".join(f'<td style="{_CELL}">{text}</td>' for text in texts)


def _shown(value: Any) -> str:
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral | bool):
        return f"{value:.4g}"
    return escape(str(value))
