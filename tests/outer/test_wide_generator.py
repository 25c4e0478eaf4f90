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


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "hidden, latents, path, rank",
    [
        (RNG.normal(size=(2, 1)), RNG.normal(size=(3, 2)), [0.0, 4.0, 1.0], 2),
        (RNG.normal(size=(2, 8)), np.zeros((2, 2)), [0.0, 4.0], 1),  # equal latents
        (RNG.normal(size=(2, 8)), np.zeros((2, 2)), [1e-7, 4e-7], 1),
        (1000 * np.ones((2, 8)), np.array([[1.0, 1.0], [1.1, 1.1]]), [0.0, 4.0], 1),  # all tanh 1
    ],
)
def test_refuses_a_path_that_it_cannot_follow(hidden, latents, path, rank):
    """The pseudo-inverse alone would give the nearest outputs, another path."""
    width, n = hidden.shape[1], len(latents)
    generator = WideGenerator(hidden, np.zeros(width), latents)
    wide = f"features of {n} points at width {width} have rank {rank}, and need {n}"
    steps = [[[0.0]] * n, [[value] for value in path]]
    with pytest.raises(ValueError, match=wide):
        generator.follow(np.zeros((width + 1, 1)), steps)
    steps.append([[1e9]] * n)  # a long step of all points excuses no other
    with pytest.raises(ValueError, match=wide):
        generator.follow(np.zeros((width + 1, 1)), steps)
    together = [[[3.0]] * n, [[-1.0]] * n]  # which the bias alone can do
    found = generator.outputs(generator.follow(np.zeros((width + 1, 1)), together))
    np.testing.assert_allclose(found, together, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-10, 1.0, 1e9, 1e200])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_objectives_at_any_scale(scale, offset):
    """Recovery and collapse stay what they are in other units, and from another origin."""
    G, real = WideGenerator.random(2, 8, seed=0), scale * (np.array([[0.0], [4.0]]) + offset)
    path = [real, real[[0, 0]], real[::-1], real + scale * np.array([[0.0], [1e-3]])]
    ws = G.follow(np.zeros((9, 1)), path)
    wanted = [phi_js(real, points) for points in path]
    assert G.objectives(phi_js, real, ws) == pytest.approx(wanted, abs=1e-12)
    assert wanted[0] < wanted[1] - 0.1 and wanted[0] < wanted[3] - 0.1


def test_real_points_that_rounding_would_merge():
    G = WideGenerator.random(3, 8, seed=0)
    ws = np.zeros((1, 9, 1))
    with pytest.raises(ValueError, match=r"distances above 2e-09 .* got 1e-12"):
        G.objectives(phi_js, [[0.0], [1e-12], [1.0]], ws)
    repeated = [[0.0], [0.0], [1.0]]  # which are one point on purpose
    assert G.objectives(phi_js, repeated, ws) == pytest.approx([phi_js(repeated, [[0.0]] * 3)])
    for real in ([0.0, 1.0, 2.0], [[0.0], [1.0]], [[0.0, 1.0]] * 3):
        with pytest.raises(ValueError, match=r"real points are \(3, 1\) as G's, got"):
            G.objectives(phi_js, real, ws)


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
    with pytest.raises(ValueError, match=r"n at least 1, got .* and \(0, 2\)"):
        WideGenerator(np.zeros((2, 4)), np.zeros(4), np.zeros((0, 2)))
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
