"""What an axis of a figure shows is what its label says.

Each drawing function gets values of which no two are alike, and what lies on an axis is looked up
by the axis's label, the panel's title and the name in the legend, as a reader does.
"""

import json
import re
from itertools import count

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame, concat

from helpers import figures
from helpers.analysis.paths import PathProfile
from helpers.figures.style import BAD, GOOD, INK, PLAYER_COLOURS
from helpers.spectra import RitzCloud, SpectralDensity

CHECKS = {}


def checks(name):
    """Say that a test reads the axes of a figure."""

    def kept(test):
        CHECKS[name] = test
        return test

    return kept


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def some():
    """Arrays of a given shape in which no value comes twice."""
    ticket = count(1)

    def some(*shape):
        size = int(np.prod(shape))
        return np.array([next(ticket) for _ in range(size)], dtype=float).reshape(shape) / 7

    return some


def panel(figure, title):
    """The axes with a title."""
    (found,) = (axes for axes in figure.axes if axes.get_title() == title)
    return found


def twin(figure, axes, ylabel=None):
    """The other axes at the same place, with a label if one is given."""
    (found,) = (
        each for each in figure.axes if each is not axes and each.bbox.bounds == axes.bbox.bounds
    )
    assert ylabel is None or found.get_ylabel() == ylabel
    return found


def line(axes, name):
    """(x, y) of the line with a name in the legend."""
    (found,) = (each for each in axes.lines if each.get_label() == name)
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def marks(axes, name):
    """(n, 2) of the marks with a name in the legend."""
    (found,) = (each for each in axes.collections if each.get_label() == name)
    return np.asarray(found.get_offsets())


def edges(collection, x):
    """Where a filled band begins and ends at a place of its horizontal axis."""
    vertices = collection.get_paths()[0].vertices
    there = vertices[np.isclose(vertices[:, 0], x), 1]
    return there.min(), there.max()


def ticks(axis):
    """Places of an axis by what is written there."""
    return {
        label.get_text(): place
        for label, place in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)
    }


@checks("quantity_strip")
@pytest.mark.parametrize(
    ("rule", "shaded"),
    [
        ({"rule": "at_most", "paper": 3}, (0.12, 3)),
        ({"rule": "at_least", "paper": 3}, (3, 11.88)),
        ({"rule": "equal", "paper": 3, "within": 1}, (2, 4)),
        ({"rule": "sign", "paper": 1, "margin": 2}, (2, 11.88)),
        ({"rule": "sign", "paper": -1, "margin": -5}, (0.12, 5)),
        ({"rule": "fraction", "paper": 0.5, "each": {"rule": "at_most", "paper": 3}}, (0.12, 3)),
    ],
)
def test_quantity_strip(rule, shaded):
    """Seeds are ticks, the dot is their median, the bar their interval; green is what is asked."""
    (axes,) = figures.quantity_strip([1.0, 11.0, 2.0, 9.0], rule, (1.5, 9.5)).axes
    seeds, bar, dot = axes.lines
    assert seeds.get_xdata().tolist() == [1, 2, 9, 11] and seeds.get_marker() == "|"
    assert list(bar.get_xdata()) == [1.5, 9.5] and dot.get_xdata().tolist() == [5.5]
    (region,) = axes.patches
    left, right = region.get_x(), region.get_x() + region.get_width()
    assert (left, right) == pytest.approx(shaded, abs=0.1)


def test_quantity_strip_of_one_number():
    """No ticks and no bar; a region too narrow to be seen is a line."""
    (axes,) = figures.quantity_strip(4.0, {"rule": "equal", "paper": 9, "within": 0}).axes
    asked, dot = axes.lines
    assert list(asked.get_xdata()) == [9, 9] and dot.get_xdata().tolist() == [4]
    assert not axes.patches


def test_every_figure_is_checked():
    """A new drawing function needs a check of its axes."""
    # These draw nothing.
    shown = {"PALETTE", "PLAYER_COLOURS", "as_table", "captioned", "picture", "show", "svg"}
    drawing = set(figures.__all__) - shown
    assert set(CHECKS) == drawing


BANDS = {"iteration": [1.0, 2.0, 3.0], "low": [10.0, 11.0, 12.0]}
BANDS |= {"middle": [20.0, 21.0, 22.0], "high": [30.0, 31.0, 32.0]}
ORDERS = [
    ("iteration", "low", "middle", "high"),
    ("high", "iteration", "low", "middle"),  # as a notebook stores them
    ("middle", "high", "low", "iteration"),
]


@checks("bands")
@pytest.mark.parametrize("order", ORDERS)
def test_bands(order):
    table = DataFrame({name: BANDS[name] for name in order})
    figure = figures.bands({"a": {"one": table}}, x="iteration", ylabel="norm")
    axes = panel(figure, "a")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("iteration", "norm")
    x, y = line(axes, "one")
    assert x.tolist() == BANDS["iteration"] and y.tolist() == BANDS["middle"]
    assert edges(axes.collections[0], 2) == (11, 31)


def test_bands_want_the_columns_by_name():
    table = DataFrame({name: BANDS[name] for name in ORDERS[0][:3]})
    with pytest.raises(KeyError, match="high"):
        figures.bands({"a": {"one": table}}, x="iteration", ylabel="norm")


@checks("own_spectra")
@pytest.mark.parametrize("order", [("share", "g", "d"), ("d", "share", "g")])
def test_own_spectra(order):
    values = {"share": [0.0, 0.5, 1.0], "g": [-2.0, 1.0, 3.0], "d": [-5.0, 40.0, 60.0]}
    frame = DataFrame({"block": 0, "member": 0} | {name: values[name] for name in order})
    axes = panel(figures.own_spectra({"a": concat([frame, frame.assign(block=1)])}), "a")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("share below", "eigenvalue")
    for player in "GD":
        x, y = line(axes, player)
        assert x.tolist() == values["share"] and y.tolist() == values[player.lower()]
        drawn = [each for each in axes.lines if each.get_color() == PLAYER_COLOURS[player]]
        assert len(drawn) == 2


@checks("courses")
@pytest.mark.parametrize("order", [1, -1])
def test_courses(some, order):
    """Columns in any order."""
    parts = []
    for arm in ("JS", "RS"):
        for k, seed in enumerate(("best", "worst")):
            columns = {"arm": arm, "seed": seed, "iteration": np.arange(3) + 10 * (k + 1)}
            columns |= {"loss": some(3), "point 0": some(3), "point 1": some(3)}
            parts.append(DataFrame(columns)[list(columns)[::order]])
    found = concat(parts)
    figure = figures.courses(found, bands=[(0, 1)], levels={"JS": 0.4, "RS": 0.3})
    for row, arm in enumerate(("JS", "RS")):
        for column, seed in enumerate(("best", "worst")):
            above, below = panel(figure, f"{arm}, {seed}"), figure.axes[4 * row + 2 + column]
            own = found[(found["arm"] == arm) & (found["seed"] == seed)]
            drawn = {tuple(each.get_ydata()) for each in above.lines}
            assert drawn == {tuple(own["point 0"]), tuple(own["point 1"])}
            assert below.lines[0].get_xdata().tolist() == own["iteration"].tolist()
            assert below.lines[0].get_ydata().tolist() == own["loss"].tolist()
            assert below.lines[1].get_ydata()[0] == {"JS": 0.4, "RS": 0.3}[arm]
            if not column:
                assert (above.get_ylabel(), below.get_ylabel()) == ("points", "D's loss")
    assert figure.axes[-1].get_xlabel() == "iteration"


@checks("cumulative")
def test_cumulative(some):
    found = {q: {"JS": some(4), "RS": some(4)} for q in ("loss", "first")}
    figure = figures.cumulative(found, marks={"RS": 0.25})
    legend = figure.axes[0].get_legend()
    colours = {
        text.get_text(): handle.get_color()
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    for axes in figure.axes:
        for name, values in found[axes.get_xlabel()].items():
            x, y = line(axes, name)
            assert x[1:].tolist() == sorted(values) and y[1:].tolist() == [0.25, 0.5, 0.75, 1]
            (drawn,) = (each for each in axes.lines if each.get_label() == name)
            assert drawn.get_color() == colours[name]
    (mark,) = (each for each in figure.axes[0].lines if each.get_xdata()[0] == 0.25)
    assert mark.get_color() == colours["RS"]
    assert figure.axes[0].get_ylabel() == "share of seeds"


@checks("reached")
def test_reached():
    """A cell's records are those of all its rows; two blocks may have the same cell."""
    places = {"JS": (0.1, 0.6), "RS": (0.2, 1 / 3)}
    found = DataFrame(
        [
            {"records": records, "loss": loss, "least": least, "arm": arm}
            for arm, (least, loss) in places.items()
            for records in (3, 4)
        ]
    )
    marks = {"JS": 0.48, "RS": 0.35}
    figure = figures.reached(found, marks=marks)
    for name, (least, loss) in places.items():
        axes = panel(figure, name)
        assert axes.get_xlabel() == "least loss on the landscape"
        mesh = axes.collections[0]
        counts = np.ma.filled(mesh.get_array(), 0).reshape(40, 40)
        y, x = np.unravel_index(counts.argmax(), counts.shape)
        corners = mesh.get_coordinates()
        assert corners[y, x, 0] <= least <= corners[y, x + 1, 0]
        assert corners[y, x, 1] <= loss <= corners[y + 1, x, 1]
        assert counts.sum() == counts.max() == 7
        assert [each.get_xydata().tolist() for each in axes.lines][1] == [[marks[name]] * 2]
    assert figure.axes[0].get_ylabel() == "D's loss"
    assert figure.axes[-1].get_ylabel() == "records"


@checks("scattered")
def test_scattered(some):
    x, y, value = some(3), some(3), some(3)
    figure = figures.scattered(
        x, y, value, star=(0.3, 1), xlabel="one", ylabel="two", label="three"
    )
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("one", "two", "three")
    assert axes.collections[0].get_offsets().tolist() == np.stack([x, y], axis=1).tolist()
    assert axes.collections[0].get_array().tolist() == value.tolist()
    assert axes.lines[0].get_xydata().tolist() == [[0.3, 1]]


@checks("ranges")
def test_ranges(some):
    found = {
        q: {"slow": {"JS": some(3), "RS": some(3)}, "fast": {"RS": some(3)}}
        for q in ("first", "last")
    }
    figure = figures.ranges(found)
    rows = ticks(figure.axes[0].yaxis)
    assert list(rows) == ["slow", "fast"]
    for axes in figure.axes:
        for drawn in axes.containers:
            x, y = drawn.lines[0].get_data()
            own = {s: g for s, g in found[axes.get_xlabel()].items() if drawn.get_label() in g}
            assert len(x) == len(own)
            for setting, groups in own.items():
                (nearest,) = np.flatnonzero(np.abs(y - rows[setting]) < 0.5)
                values = groups[drawn.get_label()]
                assert x[nearest] == np.median(values)
                bar = drawn.lines[2][0].get_segments()[nearest][:, 0]
                np.testing.assert_allclose(bar, np.percentile(values, [25, 75]))


@checks("densities")
def test_densities(some):
    def density():
        none = np.zeros((0, 0))
        return SpectralDensity(none, none, some(9), 1.0, some(9), some(9) / 100)

    found = {title: {name: density() for name in ("one", "two")} for title in "ab"}
    exact = {"a": some(9), "b": None}
    figure = figures.densities(found, exact)
    for title, curves in found.items():
        axes = panel(figure, title)
        assert axes.get_xlabel() == "eigenvalue"
        bands = [each for each in axes.collections if each.get_label() != "exact"]
        for (name, curve), band in zip(curves.items(), bands, strict=True):
            x, y = line(axes, name)
            assert x.tolist() == curve.grid.tolist() and y.tolist() == curve.density.tolist()
            wide = curve.density[3] + 2 * curve.standard_error[3] * np.array([-1, 1])
            np.testing.assert_allclose(edges(band, curve.grid[3]), wide)
            assert axes.get_ylim()[1] > y.max()  # no curve leaves at the top
    known = panel(figure, "a").collections[0]
    assert known.get_label() == "exact"
    assert edges(known, found["a"]["one"].grid[4]) == (0, exact["a"][4])
    assert figure.axes[0].get_ylabel() == "density"


@checks("staircases")
def test_staircases():
    steps = {name: (np.array([1.0, 2 + k]), np.array([0.5, 0.25])) for k, name in enumerate("abcd")}
    figure = figures.staircases(steps, (np.array([0.0, 10.0]), np.array([0.5, 0.5])))
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("eigenvalue", "mass up to here")
    for name, (nodes, _) in steps.items():
        x, y = line(axes, name)
        assert x[1:3].tolist() == nodes.tolist() and y[1:3].tolist() == [0.5, 0.75]


@checks("clouds")
def test_clouds():
    heat = np.full((4, 3), 1e-4)
    heat[3, 0] = 1.0  # the real part goes first
    cloud = RitzCloud(
        **{
            field: None
            for field in RitzCloud.__dataclass_fields__
            if field not in ("real", "imaginary", "density")
        },
        real=np.array([10.0, 20.0, 30.0, 40.0]),
        imaginary=np.array([-1.0, 0.0, 1.0]),
        density=heat,
    )
    figure = figures.clouds({"a": cloud}, {"a": np.array([12 - 0.5j])})
    axes = panel(figure, "a")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("real part", "imaginary part")
    mesh = axes.collections[0]
    row, column = np.unravel_index(mesh.get_array().argmax(), mesh.get_array().shape)
    corners = mesh.get_coordinates()[row : row + 2, column : column + 2].reshape(-1, 2)
    assert corners.min(axis=0).tolist() == [35, -1.5] and corners.max(axis=0).tolist() == [45, -0.5]
    assert axes.lines[0].get_xydata().tolist() == [[12, -0.5]]


GRID = np.linspace(-1, 1, 5)


@checks("streams")
def test_streams():
    turning = np.zeros((5, 5, 2))
    turning[..., 1] = GRID[:, None]  # up on the right, down on the left
    figure = figures.streams(
        GRID, GRID, {"a": turning}, {"a": [np.array([[0.1, 0.2], [0.3, 0.7]])]}, star=(0.4, -0.3),
        xlabel="first", ylabel="second",
    )  # fmt: skip
    axes = panel(figure, "a")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("first", "second")
    ends = np.array([part[[0, -1]] for part in axes.collections[0].get_segments()])
    np.testing.assert_allclose(ends[:, 0, 0], ends[:, 1, 0], atol=1e-9)
    assert (np.sign(ends[:, 1, 1] - ends[:, 0, 1]) == np.sign(ends[:, 0, 0])).all()
    assert axes.lines[0].get_xydata().tolist() == [[0.1, 0.2], [0.3, 0.7]]
    assert axes.lines[-1].get_xydata().tolist() == [[0.4, -0.3]]


def profile(some):
    """A path profile of three end points at four places."""
    angle, norm = some(3, 4) / 100, some(3, 4)
    return PathProfile(np.array([0.0, 0.5, 1.0, 1.5]), angle, norm)


def check_profile(figure, axes, found, last):
    """The angle on the left axis, the norm on the right one."""
    right = twin(figure, axes)
    assert axes.get_xlabel() == "α"
    assert axes.lines[0].get_xdata().tolist() == found.alphas.tolist()
    assert axes.lines[0].get_ydata().tolist() == np.median(found.angle, axis=0).tolist()
    norm = np.median(found.norm, axis=0)
    np.testing.assert_allclose(right.lines[0].get_ydata(), norm / norm.max())
    low, high = np.percentile(found.angle[:, 2], [25, 75])
    np.testing.assert_allclose(edges(axes.collections[0], 1.0), (low, high))
    assert not last or right.get_ylabel() == "path-norm, scaled"
    assert axes.lines[0].get_color() != right.lines[0].get_color()


@checks("path_profiles")
def test_path_profiles(some):
    found = {title: profile(some) for title in "ab"}
    figure = figures.path_profiles(found)
    assert panel(figure, "a").get_ylabel() == "path-angle"
    for title, each in found.items():
        check_profile(figure, panel(figure, title), each, title == "b")


@checks("archetypes")
def test_archetypes(some):
    right = np.zeros((5, 5, 2))
    right[..., 0] = 1
    path, found = np.array([[0.9, 0.1], [0.5, 0.2]]), {title: profile(some) for title in "ab"}
    arrows = {"a": np.array([[0.0, 2.0], [2.0, 0.0]]), "b": np.array([[3.0, 0.0], [0.0, 0.0]])}
    figure = figures.archetypes(GRID, {"a": right, "b": right}, path, arrows, found)
    assert figure.axes[2].get_ylabel() == "path-angle"
    for number, title in enumerate("ab"):
        axes = panel(figure, title)
        ends = np.array([part[[0, -1]] for part in axes.collections[0].get_segments()])
        np.testing.assert_allclose(ends[:, 0, 1], ends[:, 1, 1], atol=1e-9)
        assert axes.lines[0].get_xydata().tolist() == path.tolist()
        assert axes.lines[1].get_xydata().tolist() == [[0.9, 0.1]]  # where it starts
        quiver = axes.collections[-1]
        drawn = np.stack([quiver.U, quiver.V], axis=1)
        assert drawn.tolist() == {"a": [[0, 1], [1, 0]], "b": [[1, 0], [0, 0]]}[title]
        check_profile(figure, figure.axes[2 + number], found[title], title == "b")


@checks("related")
def test_related(some):
    found = {name: (some(3), some(3)) for name in "abcdefg"}
    figure = figures.related(found, xlabel="norm", ylabel="lowest", log=("y",))
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("norm", "lowest")
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    for name, (x, y) in found.items():
        assert marks(axes, name).tolist() == np.stack([x, y], axis=1).tolist()


@checks("gaps")
def test_gaps(some):
    widths, nets = ["regular", "half"], ["CNN", "ResNet"]
    sets = [(s, w, n) for s in ("a", "b") for w in widths for n in nets][:-1]  # one is missing
    found = DataFrame(sets, columns=["data_set", "width", "net"])
    heights = {"fid": "FID gap", "score": "score gap"}
    found["fid"], found["score"] = some(len(sets)), -some(len(sets))
    figure = figures.gaps(found, heights=heights)
    places = ticks(figure.axes[2].xaxis)
    assert list(places) == widths and figure.axes[2].get_xlabel() == "width of the nets"
    for row, (column, label) in enumerate(heights.items()):
        assert figure.axes[2 * row].get_ylabel() == label
        for number, data_set in enumerate("ab"):
            axes = figure.axes[2 * row + number]
            assert figure.axes[number].get_title() == data_set
            drawn = {
                (width, bars.get_label(), bar.get_height())
                for bars in axes.containers
                for bar in bars
                for width, place in places.items()
                if abs(bar.get_x() + bar.get_width() / 2 - place) < 0.5
            }
            own = found[found["data_set"] == data_set]
            assert drawn == set(zip(own["width"], own["net"], own[column], strict=True))
    named = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert named == nets


@checks("histograms")
def test_histograms(some):
    truth = DataFrame({"x": some(4), "density": some(4)})
    found = {
        title: DataFrame(
            {"block": 0, "member": np.repeat(np.arange(seeds), 4), "density": some(4 * seeds)}
        ).assign(x=np.tile(truth["x"], seeds))
        for title, seeds in (("a", 3), ("b", 1))
    }
    figure = figures.histograms(found, truth)
    assert figure.axes[0].get_ylabel() == "density"
    for title, frame in found.items():
        axes = panel(figure, title)
        assert axes.get_xlabel() == "x"
        drawn = [each.get_ydata().tolist() for each in axes.lines]
        assert drawn == [seed["density"].tolist() for _, seed in frame.groupby("member")]
        assert all(each.get_xdata().tolist() == truth["x"].tolist() for each in axes.lines)
        assert edges(axes.collections[0], truth["x"][2]) == (0, truth["density"][2])


@checks("pictures")
def test_pictures():
    rows = {"dark": np.full((2, 1, 3, 4), -1.0), "light": np.full((2, 1, 3, 4), 1.0)}
    figure = figures.pictures(rows)
    for axes in figure.axes:
        (name,) = ticks(axes.yaxis)
        assert np.unique(axes.images[0].get_array()).tolist() == [{"dark": 0, "light": 1}[name]]


@checks("scores")
def test_scores(some):
    found = {name: (some(3), some(2, 3)) for name in "abcde"}
    figure = figures.scores(found, ceiling=9.5, floor=2.5, xlabel="passes", ylabel="score")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("passes", "score")
    drawn = [each for each in axes.lines if len(each.get_xdata()) == 3]
    for number, (name, (place, seeds)) in enumerate(found.items()):
        first, second = drawn[2 * number : 2 * number + 2]
        assert first.get_label() == name and first.get_color() == second.get_color()
        for each, values in zip((first, second), seeds, strict=True):
            assert each.get_xdata().tolist() == place.tolist()
            assert each.get_ydata().tolist() == values.tolist()
    named = {text.get_text(): text.xy[1] for text in axes.texts}
    assert named == {"real images": 9.5, "noise": 2.5}
    assert {each.get_ydata()[0] for each in axes.lines if each not in drawn} == {9.5, 2.5}


@checks("leading")
def test_leading(some):
    """A set has the same mark in every panel, and the legend has every set of any panel."""
    found = {
        "a": {"held": some(2) + 1j * some(2), "settled": some(2) - 1j * some(2)},
        "b": {"settled": some(2) + 1j * some(2)},
        "c": {"held": some(2) + 1j * some(2)},
    }
    figure = figures.leading(found)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["held", "settled"]
    shown = dict(zip(("held", "settled"), legend.legend_handles, strict=True))
    for title, sets in found.items():
        axes = panel(figure, title)
        assert axes.get_xlabel() == "real part"
        for name, values in sets.items():
            assert marks(axes, name).tolist() == np.stack([values.real, values.imag], 1).tolist()
            (drawn,) = (each for each in axes.collections if each.get_label() == name)
            assert np.array_equal(drawn.get_facecolor(), shown[name].get_facecolor())
            same = (each.get_paths()[0].vertices for each in (drawn, shown[name]))
            assert np.array_equal(*same)
    assert figure.axes[0].get_ylabel() == "imaginary part"


@checks("spectra")
def test_spectra(some):
    found = {name: some(3) + 1j * some(3) for name in ("before", "after")}
    (axes,) = figures.spectra(found).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("real part", "imaginary part")
    for name, values in found.items():
        assert marks(axes, name).tolist() == np.stack([values.real, values.imag], 1).tolist()


@checks("stability_regions")
def test_stability_regions(some):
    """The edge is a closed area and its outline; the sets have the same names in all panels."""
    found = {
        title: (
            some(5) + 1j * some(5),
            {name: some(3) + 1j * some(3) for name in ("start", "end")},
        )
        for title in ("one", "two")
    }
    figure = figures.stability_regions(found)
    for title, (edge, sets) in found.items():
        axes = panel(figure, title)
        assert axes.get_xlabel() == "real part"
        outline = np.stack([edge.real, edge.imag], 1).tolist()
        assert axes.lines[0].get_xydata().tolist() == outline
        assert axes.patches[0].get_xy()[:5].tolist() == outline
        for name, values in sets.items():
            assert marks(axes, name).tolist() == np.stack([values.real, values.imag], 1).tolist()
    assert figure.axes[0].get_ylabel() == "imaginary part"


TITLES = {"top": "two largest", "ends": "largest and smallest"}
PLANES = pd.DataFrame({"player": "G", "plane": ["top"], "first": 2.5, "second": -0.125})


def surface_of(x, reach, heights):
    """Heights (a, b) on G's plane of the two largest."""
    columns = {f"at {k:02d}": column for k, column in enumerate(heights.T)}
    return pd.DataFrame({"player": "G", "plane": "top", "x": x, "reach": reach} | columns)


def projected(some, steps=3):
    names = ("first", "second", "plane_loss", "held_loss", "true_loss")
    columns = {"epoch": some(steps), "share": some(steps) / 100} | {n: some(steps) for n in names}
    return pd.DataFrame({"player": "G", "plane": "top"} | columns)


@checks("loss_planes")
def test_loss_planes(some):
    x, path = np.array([-2.0, 0.0, 2.0, 4.0]), projected(some)
    heights = np.zeros((4, 3))
    heights[3, 0] = 1.0  # at (4, -10): the first axis is x
    figure = figures.loss_planes(surface_of(x, 10.0, heights), path, PLANES, titles=TITLES)
    axes = panel(figure, "G: two largest")
    wanted = ("along eigenvalue 2.5", "along eigenvalue -0.125")
    assert (axes.get_xlabel(), axes.get_ylabel()) == wanted
    top = axes.collections[0].get_paths()[-1].vertices
    assert (np.abs(top - [4, -10]) < [1, 5]).all()
    assert axes.lines[0].get_xydata().tolist() == path[["first", "second"]].to_numpy().tolist()
    assert axes.lines[1].get_xydata().tolist() == [[0, 0]]
    assert figure.axes[-1].get_ylabel() == "log10 of the loss"


def test_planes_are_told_apart(some):
    """Each panel has its own surface, path and curvatures, and no column of another's places."""
    both = [surface_of(np.arange(3.0), 1.0, np.outer(np.arange(3.0), np.ones(n))) for n in (3, 5)]
    other = {"player": "D", "plane": "ends"}
    surface = pd.concat([both[0], both[1].assign(**other)], ignore_index=True)
    path = pd.concat([projected(some), projected(some).assign(**other)], ignore_index=True)
    planes = pd.concat([PLANES, PLANES.assign(**other, first=7.0)], ignore_index=True)
    figure = figures.loss_planes(surface, path, planes, titles=TITLES)
    axes = panel(figure, "D: largest and smallest")
    assert axes.get_xlabel() == "along eigenvalue 7"
    drawn = axes.lines[0].get_xydata().tolist()
    assert drawn == path[["first", "second"]].tail(3).to_numpy().tolist()


def test_ticks_of_a_bar_differ(some):
    """Losses that hardly differ: no two ticks say the same."""
    heights = -0.12 + 1e-3 * np.outer(np.arange(4.0), np.ones(3))
    surface = surface_of(np.arange(4.0), 1.0, heights)
    figure = figures.loss_planes(surface, projected(some), PLANES, titles=TITLES)
    figure.canvas.draw()
    labels = [text.get_text().replace("−", "-") for text in figure.axes[-1].get_yticklabels()]
    assert len(set(labels)) == len(labels) > 3
    np.testing.assert_allclose([*map(float, labels)], figure.axes[-1].get_yticks(), atol=2e-5)


def test_the_highest_place_is_coloured(some):
    """Rounding may put the last level below the largest height, which then is a white hole."""
    heights = np.full((4, 3), -0.1186)
    heights[2:, :2] = -0.1142
    surface = surface_of(np.arange(4.0), 1.0, heights)
    figure = figures.loss_planes(surface, projected(some), PLANES, titles=TITLES)
    filled = panel(figure, "G: two largest").collections[0]
    assert filled.levels[0] <= heights.min() and filled.levels[-1] >= heights.max()


@checks("told_and_true")
def test_told_and_true(some):
    path = projected(some)
    figure = figures.told_and_true(path, titles=TITLES)
    axes = panel(figure, "G: two largest")
    right = twin(figure, axes, "share of the displacement")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")
    told = {
        "on the plane": "plane_loss",
        "own weights as they were": "held_loss",
        "both as they were": "true_loss",
    }
    for name, column in told.items():
        x, y = line(axes, name)
        assert x.tolist() == path["epoch"].tolist() and y.tolist() == path[column].tolist()
    assert line(right, "share held (right)")[1].tolist() == path["share"].tolist()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*told, "share held (right)"]


def test_small_shares_are_seen(some):
    """A plane may hold a thousandth of a displacement: that is no line on the frame."""
    path = projected(some).assign(share=[2e-4, 4e-3, np.nan])
    figure = figures.told_and_true(path, titles=TITLES)
    right = twin(figure, panel(figure, "G: two largest"), "share of the displacement")
    drawn = right.transData.transform([[0, share] for share in (*path["share"][:2], 1.0)])
    heights = right.transAxes.inverted().transform(drawn)[:, 1]
    assert heights[0] > 0.01 and heights[1] - heights[0] > 0.1
    assert np.isclose(heights[2], 1)


@checks("curvature_and_score")
def test_curvature_and_score(some):
    columns = ["epoch", "score", "top_g 0", "top_g 1", "top_d 0", "top_d 1"]
    parts = [
        DataFrame(some(4, 6), columns=columns).assign(panel=title, ceiling=ceiling)
        for title, ceiling in (("a", 90.0), ("b", 80.0), ("c", 70.0))
    ]
    figure = figures.curvature_and_score(concat(parts))
    assert panel(figure, "a").get_ylabel() == "eigenvalues"
    for own in parts:
        title = own["panel"][0]
        axes = panel(figure, title)
        right = twin(figure, axes, "score" if title != "a" else "")  # at the end of a row
        assert axes.get_xlabel() == "epoch"
        for player in "GD":
            lines = [each for each in axes.lines if each.get_color() == PLAYER_COLOURS[player]]
            drawn = [each.get_ydata().tolist() for each in lines]
            assert drawn == [own[f"top_{player.lower()} {rank}"].tolist() for rank in (0, 1)]
            assert lines[0].get_xdata().tolist() == own["epoch"].tolist()
            assert lines[0].get_linewidth() > lines[1].get_linewidth()  # the largest
        assert right.lines[0].get_ydata().tolist() == own["score"].tolist()
        assert right.lines[1].get_ydata()[0] == own["ceiling"][0]
    legend = {
        text.get_text(): handle.get_color()
        for text, handle in zip(
            figure.legends[0].get_texts(), figure.legends[0].legend_handles, strict=True
        )
    }
    assert legend == {
        "G's Hessian": PLAYER_COLOURS["G"],
        "D's Hessian": PLAYER_COLOURS["D"],
        "score (right)": INK,
    }


@checks("own_densities")
def test_own_densities(some):
    places = [(t, e, p) for t in ("one", "other") for e in (2, 25) for p in "GD"]
    parts = {
        (t, e, p): DataFrame(some(3, 2), columns=["eigenvalue", "density"]).assign(
            panel=t, epoch=e, player=p
        )
        for t, e, p in places
    }
    figure = figures.own_densities(concat(parts.values()))
    for (training, epoch, player), own in parts.items():
        axes = panel(figure, f"{training}, {player}, epoch {epoch}")
        assert axes.lines[0].get_color() == PLAYER_COLOURS[player]
        assert axes.lines[0].get_xdata().tolist() == own["eigenvalue"].tolist()
        assert axes.lines[0].get_ydata().tolist() == own["density"].tolist()
        assert axes.get_ylabel() == ("density" if epoch == 2 else "")
        is_last = (training, player) == ("other", "D")
        assert axes.get_xlabel() == ("eigenvalue" if is_last else "")


@checks("lenses")
def test_lenses():
    found = pd.DataFrame({"one": [1.0, 3.0, 2.0], "two": [5.0, 4.0, 4.0]}, index=[*"abc"])
    figure = figures.lenses(found, shown={"one": ".1f", "two": ".2f"})
    (axes,) = figure.axes
    columns, rows = ticks(axes.xaxis), ticks(axes.yaxis)
    said = {text.get_position(): text.get_text() for text in axes.texts}
    assert [said[columns["one"], rows[name]] for name in "abc"] == ["1.0", "3.0", "2.0"]
    assert [said[columns["two"], rows[name]] for name in "abc"] == ["5.00", "4.00", "4.00"]
    assert axes.images[0].get_array()[:, 1].tolist() == [1, 0, 0]  # equal numbers, equal colours
    small = figures.lenses(pd.DataFrame({"one": [-0.0004, -1234.0]}), shown={"one": ",.3f"})
    assert [text.get_text() for text in small.axes[0].texts] == ["0.000", "-1,234.000"]


@checks("shares")
def test_shares():
    found = {
        name: np.array([[0.5, 0.4, 0.7], [0.1, 0.05, 0.3]]) + k / 50 for k, name in enumerate("ab")
    }
    (axes,) = figures.shares([0.1, 3.0], found, xlabel="distance", ylabel="share").axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("distance", "share")
    assert ticks(axes.xaxis) == {"0.1": 0.1, "3": 3.0}
    for drawn in axes.containers:
        values = found[drawn.get_label()]
        assert drawn.lines[0].get_ydata().tolist() == values[:, 0].tolist()
        for place, bar, row in zip(
            (0.1, 3.0), drawn.lines[2][0].get_segments(), values, strict=True
        ):
            np.testing.assert_allclose(bar, [[place, row[1]], [place, row[2]]])


@checks("curves")
def test_curves(some):
    x, found = np.array([0.005, 0.03, 1000.0]), {name: some(3) for name in "abcde"}
    (axes,) = figures.curves(x, found, xlabel="rate", ylabel="norm", log=("x",)).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rate", "norm")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert ticks(axes.xaxis) == {"0.005": 0.005, "0.03": 0.03, "1,000": 1000}
    for name, values in found.items():
        got = line(axes, name)
        assert got[0].tolist() == x.tolist() and got[1].tolist() == values.tolist()


@checks("landscapes")
def test_landscapes():
    values = {"a": np.full((5, 5), -1.0), "b": np.full((5, 5), -1.0)}
    values["a"][4, 0] = values["b"][0, 4] = 0.0  # at (1, -1) and at (-1, 1)
    outline = np.zeros((5, 5), dtype=bool)
    outline[4, 1:4] = True
    figure = figures.landscapes(
        GRID, values, stars=[(0.5, -0.5)], crosses={"b": [(0.1, 0.2)]},
        outlines={"a": outline}, paths={"a": [np.array([[0.0, 0.3], [0.2, 0.9]])]},
    )  # fmt: skip
    for title, corner in (("a", [1, -1]), ("b", [-1, 1])):
        axes = panel(figure, title)
        assert axes.get_xlabel() == "$y_1$"
        top = axes.collections[0].get_paths()[-1].vertices
        assert (np.abs(top - corner) < 0.5).all()
    first, second = panel(figure, "a"), panel(figure, "b")
    assert first.get_ylabel() == "$y_2$" and figure.axes[-1].get_ylabel() == "outer objective"
    edge = first.collections[1].get_paths()[0].vertices
    assert edge[:, 0].min() > 0.5 and np.abs(edge[:, 1]).max() < 1
    route, star = first.lines
    assert route.get_xydata().tolist() == [[0, 0.3], [0.2, 0.9]]
    assert star.get_xydata().tolist() == [[0.5, -0.5]]
    assert second.lines[-1].get_xydata().tolist() == [[0.1, 0.2]]


@checks("basin_maps")
def test_basin_maps():
    recovered = np.zeros((5, 5), dtype=bool)
    recovered[:, 3:] = True  # where y2 is large
    figure = figures.basin_maps(GRID, {"a": recovered}, stars=[(0.2, -0.4)])
    axes = panel(figure, "a")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$y_1$", "$y_2$")
    stuck, recovers = (path.vertices[:, 1] for path in axes.collections[0].get_paths())
    assert stuck.max() < 0.5 and recovers.min() > 0
    colours = [*map(tuple, axes.collections[0].get_facecolor()[:, :3])]
    legend = {
        text.get_text(): handle.get_facecolor()[:3]
        for text, handle in zip(
            figure.legends[0].get_texts(), figure.legends[0].get_patches(), strict=True
        )
    }
    np.testing.assert_allclose(colours, [legend["stuck"], legend["recovers"]])
    assert BAD != GOOD
    assert axes.lines[0].get_xydata().tolist() == [[0.2, -0.4]]


@checks("turning_contours")
def test_turning_contours():
    values = np.full((5, 5), -0.1)
    values[0, 4] = 5.0  # at (-1, 1)
    figure = figures.turning_contours(
        GRID, {"a": values}, {"a": (0.25, -0.5)}, {"a": (0.0, 2.0)}, star=(-0.5, 0.1),
        xlabel="first", ylabel="second",
    )  # fmt: skip
    axes = panel(figure, "a")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("first", "second")
    top = axes.collections[0].get_paths()[-1].vertices
    assert (top[:, 0].min(), top[:, 1].max()) == (-1, 1) and top[:, 0].max() < -0.4
    arrows = [(each.U[0], each.V[0], *each.XY[0]) for each in axes.collections[1:]]
    assert arrows == [(0, 1, 0.25, -0.5), (0, -1, 0.25, -0.5)]
    centre, star = (each.get_xydata().tolist() for each in axes.lines)
    assert (centre, star) == ([[0.25, -0.5]], [[-0.5, 0.1]])


def embedded(page):
    return json.loads(re.search(r"figure = (.*);\n", page.data)[1])


@checks("turnable_surfaces")
def test_turnable_surfaces(some):
    grid, found = np.arange(3.0), {"a": some(3, 3), "b": some(3, 3)}
    content = embedded(figures.turnable_surfaces(grid, found))
    assert content["titles"] == ["a", "b"]
    for values, drawn in zip(found.values(), content["data"], strict=True):
        scene = content["layout"][drawn["scene"]]
        named = [scene[f"{axis}axis"]["title"]["text"] for axis in "xyz"]
        assert named == ["y₁", "y₂", "objective"]
        # plotly's z[i][j] is over y[i] and x[j]
        assert drawn["z"][2][1] == pytest.approx(values[1, 2], abs=1e-4)
    places = [content["layout"][drawn["scene"]]["domain"]["x"][0] for drawn in content["data"]]
    assert places == sorted(places)  # from left to right as the titles


@checks("sliding_surface")
def test_sliding_surface(some):
    grid, heights, ball = np.arange(3.0), some(2, 3, 3), some(2, 3)
    page = figures.sliding_surface(
        grid, heights, ball, ["early", "late"], names=("one", "two", "three"), slider="time"
    )
    content = embedded(page)
    scene = content["layout"]["scene"]
    assert [scene[f"{axis}axis"]["title"]["text"] for axis in "xyz"] == ["one", "two", "three"]
    for frame in range(2):
        assert content["heights"][frame][2][1] == pytest.approx(heights[frame, 1, 2], abs=1e-3)
        where = [content["ball"][axis][frame] for axis in "xy"]
        np.testing.assert_allclose(where, ball[frame, :2], atol=1e-3)
        assert 0 < content["ball"]["z"][frame] - ball[frame, 2] < 0.1
    assert content["captions"] == ["early", "late"]


@checks("walking_spectra")
def test_walking_spectra():
    edge = np.array([0, 1 + 1j, 2, 1 - 1j])
    panels = {
        "one": (edge, [np.array([0.5 + 0j, 0.1]), np.array([1.5 - 0.25j])]),
        "other": (edge / 2, [np.array([0.2j]), np.array([3.0 + 0j])]),
    }
    content = embedded(figures.walking_spectra(panels, ["early", "late"], slider="time"))
    assert content["titles"] == ["one", "other"] and content["captions"] == ["early", "late"]
    assert content["frames"][0] == [[[0.5, 0.1], [0.0, 0.0]], [[1.5], [-0.25]]]
    for number, (suffix, (edge, frames)) in enumerate(zip(("", "2"), panels.values(), strict=True)):
        region, marks = content["data"][2 * number : 2 * number + 2]
        assert region["x"] == edge.real.tolist() and region["y"] == edge.imag.tolist()
        assert marks["x"] == frames[0].real.tolist()  # the first frame, until a slider moves
        assert region["xaxis"] == marks["xaxis"] == f"x{suffix}"
        assert content["layout"][f"xaxis{suffix}"]["title"]["text"] == "real part"
        # No frame leaves the axes.
        for axis, part in (("x", "real"), ("y", "imag")):
            low, high = content["layout"][f"{axis}axis{suffix}"]["range"]
            every = getattr(np.concatenate([edge, *frames]), part)
            assert low < every.min() and every.max() < high


@checks("state_ladder")
def test_state_ladder():
    figure = figures.state_ladder(
        ["none", "one", "both"], [0, 1, 2], {"JS": [-0.1, -0.3, -0.7]},
        {"JS": np.array([[0, 1]])}, {"JS": [False, True, False]},
    )  # fmt: skip
    axes = panel(figure, "JS")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("points on a real one", "outer objective")
    columns = ticks(axes.xaxis)
    boxes = {text.get_text(): text for text in axes.texts if text.get_text()}
    for name, column, height in (("none", 0, -0.1), ("one", 1, -0.3), ("both", 2, -0.7)):
        assert boxes[name].get_position() == (columns[str(column)], height)
    edge = {
        name: plt.matplotlib.colors.to_hex(t.get_bbox_patch().get_edgecolor())
        for name, t in boxes.items()
    }
    assert edge == {"none": GOOD, "one": BAD, "both": GOOD}
    (arrow,) = (text for text in axes.texts if not text.get_text())
    assert tuple(arrow.xyann) == boxes["none"].get_position()
    assert tuple(arrow.xy) == boxes["one"].get_position()
