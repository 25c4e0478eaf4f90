"""What the landing page's script looks up: the same numbers, to 16 bits."""

import base64
import json

import numpy as np
import pytest

from helpers.book import playground
from helpers.outer import best_discriminator, phi_lipschitz


@pytest.fixture(scope="module")
def found():
    patch = pytest.MonkeyPatch()
    patch.setattr(playground, "GRID", np.linspace(-2, 6, 9))
    yield playground.data(playground.surfaces())
    patch.undo()


def unpacked(text, *shape):
    return np.frombuffer(base64.b64decode(text), dtype="<i2").reshape(shape)


@pytest.mark.parametrize("loss", playground.LOSSES)
def test_arrays(found, loss):
    grid = np.linspace(*found["grid"])
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    values = unpacked(found[loss]["values"], 9, 9) * found["steps"]["values"]
    np.testing.assert_allclose(values, phi_lipschitz([0, 4], points, loss, 1.0), atol=2e-5)
    best = unpacked(found[loss]["best"], 9, 9, 4) * found["steps"]["best"]
    exact = np.concatenate(best_discriminator([0, 4], points, loss, 1.0), axis=-1)
    np.testing.assert_allclose(best, exact, atol=2e-4)
    after = unpacked(found[loss]["next"], 9, 9)
    assert (values.ravel()[after] <= values + 2e-5).all()


def test_nodes_are_where_the_surface_bends():
    """Real points are nodes; JS starts in a trap from which RS gets out."""
    assert set(playground.REALS) <= set(playground.GRID.tolist())
    assert len(playground.GRID) ** 2 < 2**15


def test_written(found, monkeypatch, tmp_path):
    monkeypatch.setattr(playground, "GRID", np.linspace(-2, 6, 9))
    playground.write(tmp_path)
    text = (tmp_path / playground.DATA).read_text()
    assert json.loads(text.removeprefix("window.playgroundData = ").removesuffix(";\n"))
    assert (tmp_path / playground.PICTURE).read_bytes().startswith(b"\x89PNG")
