"""What every figure of the book must have."""

import json
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from pandas import DataFrame, concat

from helpers import figures
from helpers.analysis.paths import path_profile
from helpers.figures import style
from helpers.games.closed_form import rotating_saddle
from helpers.operators import Matrix
from helpers.spectra import blurred, ritz_cloud, slq_density


def draw():
    return figures.curves([0, 1], {"one": [0, 1], "two": [1, 0]}, xlabel="x", ylabel="y")


def test_same_bytes_at_every_run():
    """Dates and random ids would make every notebook differ from the last one."""
    assert figures.svg(draw()) == figures.svg(draw())


def test_follows_the_theme():
    """Ink and paper are swapped by a style sheet inside the picture, and both are used."""
    picture = figures.svg(draw())
    assert "@media (prefers-color-scheme: dark)" in picture
    for colour in (style.INK, style.PAPER):
        assert picture.count(f"fill: {colour}") > 1  # in the sheet, and in the drawing


def test_leaves_matplotlib_alone():
    """The style ends with the figure, and no figure stays open."""
    before = dict(mpl.rcParams)
    figures.svg(draw())
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_players_are_told_apart():
    """G and D have colours of their own that no other line uses."""
    own = set(figures.PLAYER_COLOURS.values())
    assert len(own) == 2
    assert not own & set(figures.PALETTE)


def test_colours_read_on_light_and_dark():
    """Every colour of the palette has contrast 2.3 at least on both papers (graphics, not text)."""
    papers = [style.PAPER, style.DARK[style.PAPER]]
    for colour in (*figures.PALETTE, *figures.PLAYER_COLOURS.values()):
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


def slider(lift=0.0):
    grid = np.linspace(0, 1, 3)
    heights = np.arange(36.0).reshape(4, 3, 3) + lift
    ball = np.column_stack([np.linspace(0, 1, 4), np.zeros(4), np.arange(4.0)])
    captions = [f"frame {n}" for n in range(4)]
    return figures.sliding_surface(
        grid, heights, ball, captions, names=("a", "b", "c"), slider="time"
    )


def test_slider_holds_every_frame():
    """One surface, one caption and one place of the ball a frame, and a slider that reaches all."""
    page = slider().data
    content = json.loads(re.search(r"figure = (.*);\n", page)[1])
    assert len(content["heights"]) == len(content["captions"]) == len(content["ball"]["x"]) == 4
    assert content["heights"][1][2][0] == 11.0  # rows of plotly are its y axis
    assert 'max="3"' in page
    assert 'aria-label="time"' in page


def test_slider_is_named_by_content():
    assert slider().data == slider().data
    assert slider().data.splitlines()[0] != slider(lift=1.0).data.splitlines()[0]


def test_slider_shows_the_ball_above_the_surface():
    """The ball is lifted by a little of the range, or the surface would cover it."""
    content = json.loads(re.search(r"figure = (.*);\n", slider().data)[1])
    assert all(0 < z - n < 1 for n, z in enumerate(content["ball"]["z"]))


GRID = np.linspace(-1, 1, 9)
PLANE = np.stack(np.meshgrid(GRID, GRID, indexing="ij"), axis=-1)
PROFILE = path_profile(
    rotating_saddle(), [0.0, 0.0, 1.0], [[1.0, 1.0, 0.1], [1.1, 1.0, 0.0]], np.linspace(0, 2, 11)
)


def epochs_of(panels):
    """Three epochs of a training per panel."""
    columns = {"epoch": [1, 2, 3], "score": [1.0, 1.5, 2.0], "ceiling": 2.5}
    columns |= {"top_g 0": [1.0, 3.0, 2.0], "top_d 0": [4.0, 5.0, 9.0], "top_d 1": [1.0, 0.1, 4.0]}
    return concat([DataFrame(columns).assign(panel=panel) for panel in panels])


VALUES = np.linspace(-1, 1, 9)
DENSITY = slq_density(Matrix(np.diag(VALUES)), 2, 9, seed=0)
EXACT = blurred(VALUES, DENSITY.grid, DENSITY.sigma)
ON_PLANE = {"player": "G", "plane": "top", "first": VALUES, "second": VALUES}
LOSSES = dict.fromkeys(("plane_loss", "held_loss", "true_loss"), abs(VALUES) + 1)
PATH = DataFrame(ON_PLANE | LOSSES | {"epoch": range(9), "share": abs(VALUES)})
PATH.loc[8, "share"] = np.nan  # the end is not displaced
SURFACE = DataFrame(
    {"player": "G", "plane": "top", "x": VALUES, "reach": 1.0}
    | {f"at {k}": VALUES * VALUES[k] for k in range(5)}
)
SEEDS = DataFrame({"block": 0, "member": 0, "x": VALUES, "density": abs(VALUES)}).assign(
    share=abs(VALUES), g=VALUES, d=VALUES
)
QUARTILES = DataFrame(
    {"iteration": [1, 2], "low": [0.1, 1.0], "middle": [0.2, 2.0], "high": [0.3, 3.0]}
)
TURNING = np.array([[0.0, 1.0], [-1.0, 0.0]])
COURSES = DataFrame(
    [
        {"arm": arm, "seed": seed, "iteration": k, "loss": 0.6, "point 0": v, "point 1": 1 - v}
        for arm in ("JS", "RS")
        for seed in ("best", "worst")
        for k, v in enumerate(VALUES)
    ]
)
REACHED = DataFrame(
    [
        {"arm": arm, "least": 0.4 * v, "loss": 0.8 * v, "records": 1 + k}
        for arm in ("JS", "RS")
        for k, v in enumerate(abs(VALUES))
    ]
)
DRAWN = {
    "courses": lambda: figures.courses(COURSES, bands=[(0, 0.3)], levels={"JS": 0.48, "RS": 0.35}),
    "cumulative": lambda: figures.cumulative(
        {"a": {"JS": VALUES, "RS": VALUES + 1}, "b": {"JS": VALUES}}, marks={"JS": 0.5}
    ),
    "reached": lambda: figures.reached(REACHED, marks={"JS": 0.48, "RS": 0.35}),
    "scattered": lambda: figures.scattered(
        VALUES, VALUES, VALUES, star=(1 / 3, 1), xlabel="x", ylabel="y", label="z"
    ),
    "ranges": lambda: figures.ranges(
        {"a": {"one": {"JS": VALUES, "RS": VALUES}, "two": {"RS": VALUES}}}
    ),
    "densities": lambda: figures.densities(
        {"a": {"one": DENSITY, "two": DENSITY}, "b": {"one": DENSITY}, "c": {"one": DENSITY}},
        {"a": EXACT, "b": None, "c": EXACT},
    ),
    "staircases": lambda: figures.staircases(
        {"few": (VALUES[::4], np.full(3, 1 / 3))}, (VALUES, np.full(9, 1 / 9))
    ),
    "clouds": lambda: figures.clouds(
        {"a": ritz_cloud(Matrix(TURNING), 2, 2, seed=0)}, {"a": np.array([1j, -1j])}
    ),
    "streams": lambda: figures.streams(
        GRID,
        GRID,
        {"one": -PLANE, "two": None},
        {"one": [PLANE[0]], "two": []},
        star=(0, 0),
        xlabel="x",
        ylabel="y",
    ),
    "archetypes": lambda: figures.archetypes(
        GRID,
        {"a": -PLANE, "b": PLANE},
        PLANE[0],
        {"a": PLANE[1], "b": 0 * PLANE[1]},
        {"a": PROFILE, "b": PROFILE},
    ),
    "bands": lambda: figures.bands(
        {"a": {"one": QUARTILES, "two": QUARTILES}},
        x="iteration",
        ylabel="y",
    ),
    "related": lambda: figures.related(
        {"a": (abs(VALUES), abs(VALUES)), "b": (abs(VALUES), abs(VALUES))}, xlabel="x", ylabel="y"
    ),
    "histograms": lambda: figures.histograms({"a": SEEDS, "b": SEEDS.iloc[:0]}, SEEDS),
    "own_spectra": lambda: figures.own_spectra({"a": SEEDS}),
    "path_profiles": lambda: figures.path_profiles({"a": PROFILE, "b": PROFILE}),
    "pictures": lambda: figures.pictures({"a": np.zeros((2, 1, 4, 4)), "b": np.ones((2, 1, 4, 4))}),
    "colour pictures": lambda: figures.pictures({"a": np.zeros((2, 3, 4, 4))}),
    "scores": lambda: figures.scores(
        {"a": (np.arange(9), [abs(VALUES), abs(VALUES)]), "b": (np.arange(9), [abs(VALUES)])},
        ceiling=2.0,
        floor=1.0,
        xlabel="x",
        ylabel="y",
    ),
    "leading": lambda: figures.leading(
        {"a": {"one": VALUES + 1j, "two": VALUES * 1j}, "b": {"one": VALUES + 0j}}
    ),
    "spectra": lambda: figures.spectra({"all": np.array([1 + 1j, -1.0]), "top": np.array([1j])}),
    "stability_regions": lambda: figures.stability_regions(
        {"a": (VALUES + 1j, {"one": VALUES * 1j}), "b": (VALUES - 1j, {"one": VALUES + 0j})}
    ),
    "loss_planes": lambda: figures.loss_planes(
        SURFACE, PATH, PATH.head(1), titles={"top": "two largest"}
    ),
    "told_and_true": lambda: figures.told_and_true(PATH, titles={"top": "two largest"}),
    "curvature_and_score": lambda: figures.curvature_and_score(epochs_of("ab")),
    "own_densities": lambda: figures.own_densities(
        DataFrame(
            [(*of, x, 1 + x) for of in [("a", 1, "G"), ("a", 1, "D")] for x in (0.0, 1.0)],
            columns=["panel", "epoch", "player", "eigenvalue", "density"],
        )
    ),
    "lenses": lambda: figures.lenses(
        DataFrame({"one, two": [1.0, np.nan], "three": [3.0, 2.0]}, index=["a", "b"]),
        shown={"one, two": ".1f", "three": ".0f"},
    ),
    "shares": lambda: figures.shares(
        [0.1, 1.0], {"a": np.array([[0.5, 0.4, 0.6], [0, 0, 0.1]])}, xlabel="x", ylabel="y"
    ),
    "turning_contours": lambda: figures.turning_contours(
        GRID,
        {"a": PLANE[..., 0]},
        {"a": (0, 0.5)},
        {"a": (1, 1)},
        star=(0, 0),
        xlabel="x",
        ylabel="y",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_shown(name):
    """It draws without a warning, twice the same, and with text in the reader's ink."""
    picture = figures.svg(DRAWN[name]())
    assert picture == figures.svg(DRAWN[name]())
    assert f"fill: {style.INK}" in picture


MATPLOTLIBRC = """
figure.dpi: 72
figure.figsize: 3, 9
figure.titlesize: 30
font.family: monospace
axes.spines.left: False
axes.titlelocation: left
axes.formatter.useoffset: False
lines.linewidth: 7
lines.marker: x
legend.loc: lower left
image.cmap: jet
image.origin: lower
grid.linestyle: --
hist.bins: 3
savefig.bbox: tight
path.sketch: 1, 100, 2
xtick.direction: in
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_a_readers_matplotlibrc_changes_nothing(name, tmp_path):
    rc = tmp_path / "matplotlibrc"
    rc.write_text(MATPLOTLIBRC)
    picture = figures.svg(DRAWN[name]())
    with mpl.rc_context(fname=rc):
        assert figures.svg(DRAWN[name]()) == picture


def test_streams_run_along_the_field():
    """The first axis of a field is the horizontal one: a field to the right flows to the right."""
    right = np.zeros((9, 9, 2))
    right[..., 0] = 1
    drawn = figures.streams(
        GRID, GRID, {"a": right}, {"a": []}, star=(0, 0), xlabel="x", ylabel="y"
    )
    lines = drawn.axes[0].collections[0].get_segments()
    assert all(abs(end[1] - start[1]) < 1e-9 for start, end in (line[[0, -1]] for line in lines))
    plt.close(drawn)


def test_path_profiles_show_median_and_quartiles():
    drawn = figures.path_profiles({"a": PROFILE})
    angle, norm = drawn.axes[0], drawn.axes[1]
    np.testing.assert_allclose(angle.lines[0].get_ydata(), PROFILE.quartiles()[1])
    assert norm.lines[0].get_ydata().max() == 1  # in parts of its largest
    plt.close(drawn)


def test_densities_show_two_standard_errors():
    drawn = figures.densities({"a": {"one": DENSITY}}, {"a": EXACT})
    exact, band = drawn.axes[0].collections
    assert exact.get_paths()[0].vertices[:, 1].max() == pytest.approx(
        EXACT.max(), rel=1e-3
    )  # of fewer points
    top = (DENSITY.density + 2 * DENSITY.standard_error).max()
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(top, rel=1e-3)
    plt.close(drawn)


def test_staircases_end_at_the_whole_mass():
    drawn = figures.staircases(
        {"half": (VALUES[:2], np.full(2, 0.25))}, (VALUES, np.full(9, 1 / 9))
    )
    exact, half = drawn.axes[0].lines
    assert exact.get_ydata()[-1] == pytest.approx(1)
    assert half.get_ydata()[-1] == pytest.approx(0.5)
    plt.close(drawn)


def test_cumulative_is_the_share_at_or_below():
    drawn = figures.cumulative({"a": {"JS": [1.0, 2.0, 3.0, 4.0]}}, marks={"JS": 2.5})
    curve, mark = drawn.axes[0].lines
    x, y = curve.get_data()
    assert y[np.searchsorted(x, 2.0)] == 0.5 and y[-1] == 1
    assert mark.get_xdata()[0] == 2.5
    plt.close(drawn)


@pytest.mark.parametrize("never", [np.nan, np.inf])
def test_cumulative_is_of_all_seeds(never):
    """Those that never get there are not left out of the share; nor is a group of them alone."""
    found = {"JS": [2.0, never, 1.0, never], "RS": [never] * 2, "ties": [1.0, 1.0, 3.0, never]}
    drawn = figures.cumulative({"a": found})
    lines = {line.get_label(): line.get_data() for line in drawn.axes[0].lines}
    assert [each.tolist() for each in lines["JS"]] == [[-np.inf, 1.0, 2.0], [0.0, 0.25, 0.5]]
    assert list(lines["RS"][1]) == [0, 0]
    assert lines["ties"][1].tolist() == [0.0, 0.25, 0.5, 0.75]
    assert {text.get_text() for text in drawn.axes[0].get_legend().get_texts()} == set(found)
    plt.close(drawn)


@pytest.mark.parametrize("value", [1.2, -0.1, np.nan, np.inf])
@pytest.mark.parametrize("name", ["loss", "least"])
def test_reached_draws_every_record_or_none(name, value):
    found = DataFrame({"arm": "JS", "least": [0.2, 0.2], "loss": [0.85, 0.0], "records": [3, 7]})
    drawn = figures.reached(found, marks={"JS": 0.48})
    assert drawn.axes[0].collections[0].get_array().sum() == 10
    plt.close(drawn)
    found.loc[1, name] = value
    with pytest.raises(ValueError, match=f"got {value:g} in '{name}': 7 of 10 records lie outside"):
        figures.reached(found, marks={"JS": 0.48})


def test_ranges_show_median_and_quartiles():
    """Each group's marks are at its own settings."""
    drawn = figures.ranges({"a": {"one": {"JS": [1, 2, 3, 4, 5]}, "two": {"RS": [7, 8, 9]}}})
    js, rs = drawn.axes[0].containers
    assert js.lines[0].get_xdata().tolist() == [3] and rs.lines[0].get_xdata().tolist() == [8]
    (bars,) = js.lines[2]
    assert bars.get_segments()[0][:, 0].tolist() == [2, 4]
    assert abs(js.lines[0].get_ydata()[0]) < 0.5 < rs.lines[0].get_ydata()[0]
    plt.close(drawn)


def test_clouds_put_the_real_part_across():
    """A cloud around 2 + i is bright at the right, and its points are where its values are."""
    cloud = ritz_cloud(Matrix([[2.0, 1.0], [-1.0, 2.0]]), 2, 2, seed=0)
    drawn = figures.clouds({"a": cloud}, {"a": np.array([2 + 1j, 2 - 1j])})
    axes = drawn.axes[0]
    heat = axes.collections[0].get_array()
    assert heat.shape == (len(cloud.imaginary), len(cloud.real))
    np.testing.assert_allclose(axes.lines[0].get_xdata(), 2)
    np.testing.assert_allclose(np.abs(axes.lines[0].get_ydata()), 1)
    plt.close(drawn)


def test_pictures_keep_their_order():
    """From left to right, grey from black at -1 to white at 1; channels go last."""
    images = np.stack([np.full((1, 2, 3), level) for level in (-1.0, 0.0, 1.0)])
    (axes,) = figures.pictures({"a": images}).axes
    shown = axes.images[0].get_array()
    assert shown.shape == (2, 9)
    assert np.array_equal(np.unique(shown, axis=1)[0], [0, 0.5, 1]) and shown[0, 0] == 0
    (axes,) = figures.pictures({"a": np.zeros((2, 3, 4, 5))}).axes
    assert axes.images[0].get_array().shape == (4, 10, 3)


def test_lenses_rank_each_column_apart():
    """Colours go from the lowest to the highest number of a column, and text says them."""
    figure = figures.lenses(DataFrame({"x": [3.0, 1.0, 2.0]}, index=[*"abc"]), shown={"x": ".0f"})
    ranks = figure.axes[0].images[0].get_array()
    assert ranks[:, 0].tolist() == [1.0, 0.0, 0.5]
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "1", "2"]
    plt.close(figure)


def test_no_curve_below_zero():
    """A negative eigenvalue has no place on a logarithmic axis, and leaves a gap."""
    figure = figures.curvature_and_score(epochs_of("a").assign(**{"top_g 0": [1.0, -1.0, 2.0]}))
    assert np.isnan(figure.axes[0].lines[0].get_ydata()).tolist() == [False, True, False]
    plt.close(figure)
