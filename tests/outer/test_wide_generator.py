"""The wide generator of helpers.outer.wide_generator."""

import numpy as np
import pytest

from helpers.outer.exact import phi_js
from helpers.outer.wide_generator import WideGenerator


@pytest.mark.parametrize(("n", "width"), [(1, 1), (3, 3), (4, 64)])
def test_follows_any_path(n, width):
    """Assumption 4.6: every path of outputs is put out, to rounding, by some parameters."""
    rng = np.random.default_rng(n)
    generator = WideGenerator.random(n, width, seed=n)
    path = rng.normal(size=(7, n, 2)).cumsum(axis=0)
    w = generator.follow(rng.normal(size=(width + 1, 2)), path)
    assert np.abs(generator.outputs(w) - path).max() < 1e-9


def test_changes_as_little_as_possible():
    """Starting where the path starts moves nothing, and no other solution is nearer."""
    rng = np.random.default_rng(0)
    generator = WideGenerator.random(3, 16, seed=0)
    w = rng.normal(size=(17, 2))
    assert np.abs(generator.follow(w, generator.outputs(w)[None])[0] - w).max() < 1e-12
    change = generator.follow(w, rng.normal(size=(1, 3, 2)))[0] - w
    _, _, v = np.linalg.svd(generator.features)
    assert np.abs(v[3:] @ change).max() < 1e-12  # nothing along directions without effect


def test_is_continuous_in_the_path():
    """A small step of the outputs is a small step of the parameters (Lipschitz, by the pinv)."""
    generator = WideGenerator.random(4, 32, seed=1)
    path = np.linspace(0, 1, 50)[:, None, None] * np.ones((4, 2))
    steps = np.diff(generator.follow(np.zeros((33, 2)), path), axis=0)
    bound = np.linalg.norm(np.linalg.pinv(generator.features), 2) * np.linalg.norm(path[1])
    assert np.linalg.norm(steps, axis=(1, 2)).max() <= bound * (1 + 1e-9)


def test_refuses_a_narrow_net():
    """Fewer units than outputs could not move the outputs freely."""
    with pytest.raises(ValueError, match="width >= n, got n = 4, width = 3"):
        WideGenerator.random(4, 3, seed=0)


def test_shapes_are_not_broadcast():
    G = WideGenerator.random(3, 4, seed=0)
    w = np.zeros((5, 2))
    for wrong in (np.zeros(5), np.zeros((4, 2)), np.zeros((1, 2))):
        with pytest.raises(ValueError, match=r"last layers are \(\.\.\., 5, d\), got"):
            G.outputs(wrong)
    for path in (np.zeros((3, 2)), np.zeros((7, 3, 1)), np.zeros((7, 1, 2)), np.zeros((7, 2, 2))):
        with pytest.raises(ValueError, match=r"a path is \(steps, 3, 2\) from one w, got"):
            G.follow(w, path)
    with pytest.raises(ValueError, match=r"hidden \(d_z, width\), bias \(width,\) .* got"):
        WideGenerator(np.zeros((2, 4)), np.zeros((4, 1)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="path are finite numbers, got nan"):
        G.follow(w, np.full((1, 3, 2), np.nan))


def test_objectives_see_points_that_meet_up_to_rounding():
    """Outputs miss the real points by rounding errors, which an exact value would not forgive."""
    G, real = WideGenerator.random(3, 16, seed=0), np.random.default_rng(0).normal(size=(3, 2))
    path = [real, np.stack([real[0], real[0], real[2]]), real + 5]
    ws = G.follow(np.ones((17, 2)), path)
    wanted = [phi_js(real, points) for points in path]
    assert G.objectives(phi_js, real, ws) == pytest.approx(wanted, abs=1e-12)
    with pytest.raises(ValueError, match="last layers are"):
        G.objectives(phi_js, real, ws[0])
