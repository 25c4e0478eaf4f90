"""What every figure of the book must have."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from helpers import figures
from helpers.figures import style


def draw():
    return figures.curves([0, 1], {"one": [0, 1], "two": [1, 0]}, xlabel="x", ylabel="y")


def test_same_bytes_at_every_run():
    """Dates and random ids would make every notebook differ from the last one."""
    assert figures.show(draw()).data == figures.show(draw()).data


def test_follows_the_theme():
    """Ink and paper are swapped by a style sheet inside the picture, and both are used."""
    picture = figures.show(draw()).data
    assert "@media (prefers-color-scheme: dark)" in picture
    for colour in (style.INK, style.PAPER):
        assert picture.count(f"fill: {colour}") > 1  # in the sheet, and in the drawing


def test_leaves_matplotlib_alone():
    """The style ends with the figure, and no figure stays open."""
    before = dict(mpl.rcParams)
    figures.show(draw())
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_players_are_told_apart():
    """G and D have colours of their own that no other line uses."""
    own = set(figures.PLAYERS.values())
    assert len(own) == 2
    assert not own & set(figures.PALETTE)


def test_colours_read_on_light_and_dark():
    """Every colour of the palette has contrast 2.3 at least on both papers (graphics, not text)."""
    papers = [style.PAPER, style.DARK[style.PAPER]]
    for colour in (*figures.PALETTE, *figures.PLAYERS.values()):
        assert min(contrast(colour, paper) for paper in papers) > 2.3, colour
    for ink, paper in ((style.INK, papers[0]), (style.DARK[style.INK], papers[1])):
        assert contrast(ink, paper) > 7  # text


def contrast(one, other):
    """Contrast ratio as WCAG 2 defines it."""
    bright = []
    for colour in (one, other):
        rgb = np.array(mpl.colors.to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        bright.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return max(bright) / min(bright)


def test_turnable_surface_is_named_by_content():
    """Equal surfaces give equal outputs, different ones do not share an element."""
    grid, heights = np.arange(3.0), np.arange(9.0).reshape(3, 3)
    one = figures.turnable_surfaces(grid, {"a": heights}).data
    assert one == figures.turnable_surfaces(grid, {"a": heights}).data
    other = figures.turnable_surfaces(grid, {"a": heights + 1}).data
    assert one.splitlines()[0] != other.splitlines()[0]
