"""The edge of stability of an image GAN: the steps, what is looked at, and what is judged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.experiments import image_edges
from helpers.experiments.image_edges import SIZES, Setting, course, game_of, measure, member_of
from helpers.operators import jacobian
from helpers.training.recording import Paused

TINY = replace(SIZES["quick"], images=10, width=1, latent=3, iterations=6, every=2)


def test_numbers_are_those_of_dense_matrices():
    """After six steps of plain descent by both players at once, on all images."""
    setting = Setting(rate=0.2)
    found, diverged = course(setting, TINY, seed=3)
    assert found["iteration"].tolist() == [0, 2, 4, 6] and diverged == 0
    game, point = game_of(setting, TINY, seed=3)
    for _ in range(6):
        point = point - 0.2 * game.vector_field(point)
    last = found.iloc[-1]
    J, p = jacobian(game, point.double()).dense().numpy(), game.sizes[0]
    assert last["value_d"] == pytest.approx(np.linalg.eigvalsh(J[p:, p:])[-1], rel=0.02)
    assert last["d"] == pytest.approx(0.1 * last["value_d"])
    assert last["g"] == pytest.approx(0.1 * np.linalg.eigvalsh(J[:p, :p])[-1], rel=0.05, abs=1e-3)
    values = np.linalg.eigvals(J)
    leading = values[np.abs(values).argmax()]
    if leading.real > 0:
        ratio = 0.2 * np.abs(leading) ** 2 / (2 * leading.real)
        assert last["game"] == pytest.approx(ratio, rel=0.05)
    assert last[["loss_g", "loss_d"]].tolist() == pytest.approx(game.losses(point).tolist())
    early = found.iloc[:-1]
    assert early[["g", "game", "turning"]].isna().all(axis=None) and early["d"].notna().all()


def test_batch_norm_makes_a_step_of_all_images():
    """The field is that of one batch: other images change it."""
    game, point = game_of(Setting(), TINY, seed=0)
    other, _ = game_of(Setting(), replace(TINY, images=12), seed=0)
    assert not torch.allclose(game.vector_field(point), other.vector_field(point))


def test_interrupted_and_resumed(tmp_path):
    """Stopped after every part: the frames of a run that was not, to the bit."""
    pauses = 0
    while True:
        try:
            found = measure(Setting(), TINY, seed=1, folder=tmp_path, until=lambda: True)
            break
        except Paused:
            pauses += 1
    assert pauses == 4
    for name, frame in measure(Setting(), TINY, seed=1).items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True)


def test_a_run_that_diverges_is_kept():
    """Its row says when; the course ends there, and it counts for how far it came."""
    found, diverged = course(Setting(rate=1e20), TINY, seed=0)
    assert 0 < diverged <= 6
    row = member_of(found, diverged).iloc[0]
    assert row["diverged"] == diverged and np.isnan(row["d"]) and row["highest"] > 1


def test_members_by_hand():
    """Medians over the last quarter; what comes before counts for the highest ratio alone."""
    found = pd.DataFrame(
        {
            "iteration": range(0, 90, 10),
            "d": [0.1, 0.96, 1.2, 0.5, 0.5, 0.5, 0.5, 0.4, 0.6],
            **dict.fromkeys(("g", "game", "turning", "value_d", "loss_g", "loss_d"), 1.0),
        }
    )
    row = member_of(found, 0).iloc[0]
    assert row["d"] == pytest.approx(0.5) and row["g"] == 1
    assert row["highest"] == 1.2 and row["reached"] == 10
    assert np.isnan(member_of(found.assign(d=0.5), 0)["reached"][0])


def test_an_eigenvalue_without_an_edge_is_missing():
    """A negative real part is unstable at any step."""
    assert np.isnan(image_edges._ratio(-1 + 1j))
    assert image_edges._ratio(2.0) == pytest.approx(1)


def test_what_is_wanted():
    """Three rates over a decade, three seeds each, on 1,000 images by a DCGAN of width 8."""
    assert max(image_edges.RATES) == pytest.approx(10 * min(image_edges.RATES))
    (wanted,) = image_edges.WANTED
    assert set(wanted.arms) == set(image_edges.ARMS) and len(wanted.blocks) == 3
    full = SIZES["full"]
    assert (full.data, full.images, full.width) == ("mnist", 1000, 8)
    rows = {arm: pd.DataFrame({"highest": [k, 2.0 * k]}) for k, arm in enumerate(image_edges.ARMS)}
    of = image_edges.QUANTITIES["R29"]
    assert of["slow_highest"](rows) == [0, 0] and of["fast_highest"](rows) == [2, 4]


def test_refused():
    """By the setting, before any image is read."""
    with pytest.raises(ValueError, match="rate"):
        Setting(rate=0.0)
    with pytest.raises(ValueError, match="loss"):
        Setting(loss="no such loss")
