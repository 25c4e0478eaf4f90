"""Loss surfaces of an image GAN: what is kept of them, and how its claim is judged."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse.linalg import eigsh

from helpers import evidence
from helpers.evidence.lines import encoded, rounded
from helpers.experiments import surfaces
from helpers.experiments.surfaces import SIZES, Setting, measure, train
from helpers.ledger import claims, legacy_runs
from helpers.operators import hessian
from helpers.training.recording import Paused
from tests.common import as_scipy

TINY = replace(SIZES["quick"], images=100, epochs=2, width=2, kept=2, places=5)


@pytest.fixture(scope="module")
def trained():
    return train(Setting(), TINY, seed=0)


@pytest.fixture(scope="module")
def measured():
    return measure(Setting(), TINY, seed=0)


def test_what_is_kept_of_a_training(trained):
    assert (trained.epochs, trained.passes) == ([0, 1, 2], 2)
    assert trained.reals.shape == (16, 1, 32, 32) and trained.latents.shape == (16, 16)
    begin, end = trained.point(0), trained.point(2)
    assert begin.shape == end.shape and not torch.equal(begin, end)
    # A short training hurries, by the factor that its size says.
    slow = train(Setting(), replace(TINY, rate_factor=1.0), seed=0)
    assert torch.equal(slow.point(0), begin)
    assert (slow.point(2) - begin).norm() < 0.5 * (end - begin).norm()


def test_ends_are_those_of_the_hessians(trained, measured):
    ends = surfaces.ends_of(trained)
    assert ends["epoch"].tolist() == [1, 2]
    for player in "GD":
        H = as_scipy(hessian(trained.game(2), player, trained.point(2), route="retained"))
        (lowest,), (second, largest) = (eigsh(H, k, which=w)[0] for k, w in ((1, "SA"), (2, "LA")))
        for name, exact in (("top", largest), ("low", lowest)):
            column = f"{name}_{player.lower()}"
            assert ends[column].iloc[-1] == pytest.approx(exact, rel=0.05)
            assert measured["members"][column][0] == ends[column].iloc[-1]
        own = measured["planes"][measured["planes"]["player"] == player].set_index("plane")
        top, low = own.loc["top"], own.loc["ends"]
        assert top["first"] == pytest.approx(largest, rel=0.01)
        assert top["second"] == pytest.approx(second, rel=0.01)
        assert low["second"] == pytest.approx(lowest, rel=0.01)
        found = measured["members"][f"second_over_first_{player.lower()}"][0]
        assert found == top["second"] / top["first"]
    slope = ends["slope_g"]
    assert measured["members"]["slope_growth"][0] == slope.iloc[-1] / slope.iloc[1]


def test_surface_and_path(trained, measured):
    """In the middle the loss is that of the end, where the path ends as well."""
    surface, path = measured["surface"], measured["path"]
    assert len(surface) == 4 * TINY.places and len(path) == 4 * 3
    for player in "GD":
        for plane in ("top", "ends"):
            own = surface[(surface["player"] == player) & (surface["plane"] == plane)].reset_index()
            way = path[(path["player"] == player) & (path["plane"] == plane)]
            loss = float(trained.game(2).loss(player, trained.point(2)))
            assert own.loc[2, "x"] == pytest.approx(0, abs=1e-12)
            assert own.loc[2, "at 02"] == pytest.approx(np.log10(loss), abs=1e-4)
            assert way["epoch"].tolist() == [0, 1, 2]
            assert way["plane_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)
            assert way["true_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)
            assert way["share"].iloc[:2].between(0, 1).all() and np.isnan(way["share"].iloc[2])
            for axis, reach in (("first", own["x"].max()), ("second", own["reach"][0])):
                assert way[axis].abs().max() <= reach * (1 + 1e-6)


def test_a_course_is_thinned_and_keeps_its_end():
    rows = pd.DataFrame({"epoch": range(1, 181)})
    few = surfaces._few(rows)["epoch"].tolist()
    assert len(few) == 45 and few[-1] == 180 and set(np.diff(few)) == {4}
    assert surfaces._few(rows.head(3))["epoch"].tolist() == [1, 2, 3]


@pytest.mark.slow
def test_a_run_at_full_size_fits_into_the_evidence():
    """By the places, points and records of the full size, at a training's cost of none."""
    full = SIZES["full"]
    size = replace(TINY, kept=full.kept, places=full.places, epochs=full.kept)
    found = measure(Setting(), size, seed=0)
    found["ends"] = pd.concat([found["ends"]] * 5)  # 45 records
    tables = rounded({"seconds": 0.0, "tables": encoded(found)})["tables"]
    assert len(json.dumps(tables)) <= 21_000


@pytest.mark.slow
def test_interrupted_and_resumed(tmp_path, measured):
    calls = iter([False] * 2 + [True] + [False] * 50)
    arguments = {"seed": 0, "folder": tmp_path, "until": lambda: next(calls)}
    with pytest.raises(Paused):
        measure(Setting(), TINY, **arguments)
    found = measure(Setting(), TINY, **arguments)
    assert found.keys() == measured.keys()
    for name, frame in measured.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def test_quantities_by_hand():
    rows = pd.DataFrame({"top_g": [2.0, 4.0], "low_g": [-1.0, -1.0], "top_d": [5.0, 5.0]})
    rows = rows.assign(low_d=[-0.05, -0.5], second_over_first_g=[0.5, np.nan])
    rows = rows.assign(slope_growth=[0.05, 2.0])
    own = surfaces.QUANTITIES["A06"]
    assert {name: of({"nsgan": rows}) for name, of in own.items()} == {
        "d_min_over_max_eigenvalue": [-0.01, -0.1],
        "g_min_over_max_eigenvalue": [-0.5, -0.25],
        "g_smaller_curvature_in_plane": [0.5],
        "g_gradient_growth": [0.05, 2.0],
    }
    assert [q["name"] for q in claims.find("A06")["quantities"]] == list(own)
    for of in own.values():
        with pytest.raises(KeyError):
            of({})


def test_rows_of_before():
    """What was recorded gives the very values of the verdict."""
    rows = evidence.legacy_rows("surfaces")
    assert len(rows) == 2 and set(rows["size"]) == {"legacy"}
    (recorded,) = [r for r, _ in legacy_runs()["A06"]]
    assert len(recorded.values) == 3  # the gradient was not asked for by then
    for name, value in recorded.values.items():
        found = surfaces.QUANTITIES["A06"][name]({"nsgan": rows})
        np.testing.assert_allclose(found, value, rtol=1e-4)
    heights = evidence.legacy_rows("surfaces", None, "surface")
    path = evidence.legacy_rows("surfaces", None, "path")
    assert len(heights) == 4 * 31 and len(path) == 4 * 12
