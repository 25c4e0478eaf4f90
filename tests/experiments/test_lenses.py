"""Nine GANs under every lens: which they are, what is measured, and the rows of before."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import evidence
from helpers.analysis import bump, end_point, path_profile
from helpers.experiments import lenses
from helpers.experiments.lenses import SIZES, late, measure, train
from helpers.experiments.protocol import setting_of
from helpers.losses import GradientPenalty
from helpers.training import Nudging
from helpers.training.recording import Paused

READING = "ring of eight"
TINY = replace(SIZES["quick"], members=2, iterations=40, samples=20, alphas=4)


def test_nine_arms():
    assert len(lenses.ARMS) == 9
    adam, extra, nudged = (
        setting_of(lenses, READING, f"wgan-gp {m}") for m in ("adam", "extra-adam", "nugan")
    )
    assert (adam.loss, adam.method, adam.penalty) == ("wgan", "adam", GradientPenalty(0.1))
    assert replace(adam, method="extra-adam") == extra
    assert replace(adam, nudging=Nudging()) == nudged
    assert setting_of(lenses, READING, "rs adam").penalty is None


def test_ends_of_paths():
    assert late(40) == [36, 37, 38, 39, 40]
    assert late(3000) == [2700, 2775, 2850, 2925, 3000]


@pytest.mark.slow
def test_members_have_the_numbers_of_the_analyses():
    """The second member's, written out once more; both are seen at the last iteration."""
    setting = setting_of(lenses, READING, "rs adam")
    rows = measure(setting, TINY, seed=2)["members"]
    ring = train(setting, TINY, seed=2)
    game = ring.game(1, 20)
    points = [ring.point(1, each) for each in (0, 36, 37, 38, 39, 40)]
    at = end_point(game, points[0], points[-1], top=20).summary()
    found = bump(path_profile(game, points[0], torch.stack(points[1:]), np.linspace(0.4, 1.1, 4)))
    assert rows.loc[1, "height"] == float(found.height)
    assert rows.loc[1, "level"] == float(found.level)
    for name in ("imaginary_share", "lowest", "sharpness", "negative_curvature", "relative_norm"):
        assert rows.loc[1, name] == at[name]
    assert ring.run.iterations.tolist() == [40]
    assert rows["modes"].tolist() == ring.run.records["modes"][0].tolist()
    assert not rows.loc[0].equals(rows.loc[1])


def test_interrupted_and_resumed(tmp_path):
    setting = setting_of(lenses, READING, "js extra-adam")
    tiny = replace(TINY, members=1)
    calls = iter([False] * 10 + [True] + [False] * 100)
    arguments = {"seed": 3, "folder": tmp_path, "until": lambda: next(calls)}
    with pytest.raises(Paused):
        measure(setting, tiny, **arguments)
    found = measure(setting, tiny, **arguments)
    whole = measure(setting, tiny, seed=3)
    pd.testing.assert_frame_equal(found["members"], whole["members"], check_exact=True)


def test_rows_of_before():
    rows = evidence.legacy_rows("lenses")
    assert set(rows["arm"]) == set(lenses.ARMS) and set(rows["size"]) == {"legacy"}
    assert (rows.groupby("arm").size() == 8).all()
    measured = set(measure(setting_of(lenses, READING, "js adam"), TINY, seed=0)["members"])
    assert measured <= set(rows)
