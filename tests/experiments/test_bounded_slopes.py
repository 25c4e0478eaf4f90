"""Starts that a bounded discriminator leaves trapped: grids, shares, and the claim's quantities."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import pdist

from helpers.experiments import bounded_slopes
from helpers.experiments.bounded_slopes import Setting, Size, grid_lines, real_points, trapped
from helpers.experiments.protocol import setting_of
from helpers.ledger import claims
from helpers.outer import barriers, phi_lipschitz
from helpers.training.recording import Paused

TINY = Size(members=2, nodes=49, lacks="most")


def test_arms():
    """Five losses, two and three points, a line and a plane, and the sizes that the issue asks."""
    settings = [setting_of(bounded_slopes, "random real points", a) for a in bounded_slopes.ARMS]
    assert {(s.loss, s.n, s.d) for s in settings} == {
        (loss, n, d)
        for loss in ("js", "hinge", "ls", "rs", "rp-hinge")
        for n in (2, 3)
        for d in (1, 2)
    }
    assert {s.slopes for s in settings} == {(0.125, 0.5, 2.0, 8.0)}
    full = bounded_slopes.SIZES["full"]
    assert (full.members, full.nodes) == (3, 4096)
    wanted = [arm for each in bounded_slopes.WANTED for arm in each.arms]
    assert sorted(wanted) == sorted(bounded_slopes.ARMS)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"loss": "jsd"}, "unknown loss"),
        ({"n": 1}, "n"),
        ({"d": 0}, "d"),
        ({"slopes": (1.0, 0.0)}, "slopes"),
    ],
)
def test_settings_that_are_none(wrong, message):
    with pytest.raises(ValueError, match=message):
        Setting(**wrong)


@pytest.mark.parametrize("n, d", [(2, 1), (2, 2), (3, 1), (3, 2)])
def test_real_points_and_lines(n, d):
    """Furthest apart at distance 1, within the window, each on a line of every axis."""
    for seed in range(5):
        x = real_points(n, d, seed=seed)
        assert x.shape == (n, d) and pdist(x).max() == pytest.approx(1, abs=1e-12)
        assert np.abs(x).max() < 1
        lines = grid_lines(x, 15_625)
        assert len(lines) == d and np.prod([len(line) for line in lines]) ** n <= 15_625
        assert all(len(line) == n + 2 for line in grid_lines(x, 1))
        for line, column in zip(lines, x.T, strict=True):
            assert np.isin(column, line).all() and line[0] == -1 and line[-1] == 1
            assert len(line) <= 20
    assert not np.allclose(real_points(n, d, seed=0), real_points(n, d, seed=1))


@pytest.mark.parametrize("loss", ["js", "rs"])
def test_trapped_by_hand(loss):
    """Share and depth of a grid that is put together by hand, point by point."""
    x, slope = np.array([[-0.4], [0.6]]), 6.0
    (line,) = grid_lines(x, 64)
    Y = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)[..., None]
    values = phi_lipschitz(x, Y, loss, slope)
    one, two = np.searchsorted(line, x[:, 0])
    rise = barriers(values, [(one, two), (two, one)])
    ends = np.concatenate([line[:1], (line[1:] + line[:-1]) / 2, line[-1:]])
    area = np.multiply.outer(np.diff(ends), np.diff(ends)) / 4
    found = trapped(loss, x, slope, 64)
    assert found["share"] == pytest.approx(area[rise > 1e-6].sum(), abs=1e-12)
    assert found["depth"] == pytest.approx(rise.max(), abs=1e-6)
    assert (found["share"] > 0) == (loss == "js")
    assert found["share"] < 1


@pytest.mark.parametrize("n, d, nodes", [(2, 1, 100), (2, 2, 256), (3, 1, 216)])
def test_wgan_traps_nothing(n, d, nodes):
    """The control: the proof holds on any grid that has the real points' own lines."""
    for seed in range(2):
        assert trapped("wgan", real_points(n, d, seed=seed), 1.0, nodes)["share"] == 0


def test_interrupted_and_resumed(tmp_path):
    """Stopped after each part: the frame of a run that was not, to the bit."""
    setting = Setting("js", slopes=(0.5, 8.0))
    arguments = {"seed": 3, "folder": tmp_path}
    for _ in range(4):
        with pytest.raises(Paused):
            bounded_slopes.measure(setting, TINY, until=lambda: True, **arguments)
    found = bounded_slopes.measure(setting, TINY, until=lambda: True, **arguments)
    whole = bounded_slopes.measure(setting, TINY, seed=3)
    pd.testing.assert_frame_equal(found["members"], whole["members"], check_exact=True)
    expected = ["member", "trapped at 0.5", "depth at 0.5", "trapped at 8", "depth at 8"]
    assert found["members"].columns.tolist() == expected
    assert found["members"]["trapped at 8"].min() > 0


def test_quantities_by_hand():
    """Each names its losses and slopes; the largest counts, set by set, space by space."""
    columns = [f"trapped at {slope}" for slope in ("0.125", "0.5", "2", "8")]
    arms, number = {}, 0
    for arm in bounded_slopes.ARMS:
        values = np.arange(number, number + 8).reshape(2, 4) / 1000
        arms[arm] = pd.DataFrame(values, columns=columns).assign(block=100, member=range(2))
        number += 8
    # Arms come space by space, in each js, ls, hinge, rs, rp-hinge; members differ by 4.
    starts = np.array([0, 40, 80])[:, None] + [0, 4]
    own = bounded_slopes.QUANTITIES["R07"] | bounded_slopes.QUANTITIES["R08"]
    expected = {
        "js_at_half": starts + 1,
        "js_at_8": starts + 3,
        "ls_at_eighth": starts + 8,
        "ls_at_8": starts + 11,
        "hinge_at_any": starts + 19,
        "pairing_at_any": starts + 35,
    }
    for name, of in own.items():
        assert of(arms) == pytest.approx((expected[name] / 1000).ravel().tolist()), name
        with pytest.raises(KeyError):
            of({})
    for claim, functions in bounded_slopes.QUANTITIES.items():
        assert [q["name"] for q in claims.find(claim)["quantities"]] == list(functions)


def test_device_is_taken():
    assert trapped("js", real_points(2, 1, seed=0), 0.5, 25, torch.device("cpu"))["share"] == 0
