"""The ring of eight Gaussians: scores, records, and nudged trainings of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.datasets.synthetic import circle_of_gaussians
from helpers.experiments.ring_training import (
    MODES,
    SIGMA,
    TOP,
    Setting,
    posterior_score,
    ring_ceiling,
    train_ring,
)
from helpers.losses.penalty import GradientPenalty
from helpers.operators import hessian
from helpers.scores.classifiers import Classifier
from helpers.scores.metrics import inception_score
from helpers.spectra import top_eigenpairs
from helpers.training.nudging import Nudging

SMALL = {"units": 6}


def test_score_is_the_inception_score():
    """The same number as torchmetrics gives for a net whose logits are those of the mixture."""
    data = circle_of_gaussians(1, seed=0, n=400, modes=MODES)
    points = data.reals[:, :] + 0.3 * torch.randn(data.reals.shape)

    class Posterior(torch.nn.Module):
        def forward(self, images):
            away = (images.flatten(1)[:, None] - data.centres).square().sum(dim=2)
            return -away / (2 * SIGMA**2)

    judge = Classifier(torch.nn.Sequential(Posterior()), 1.0)
    wanted = inception_score(judge, points[0][:, None, None])
    np.testing.assert_allclose(float(posterior_score(points, data.centres)[0]), wanted, rtol=1e-4)


def test_score_counts_modes():
    data = circle_of_gaussians(1, seed=0, n=800, modes=MODES)
    few = data.reals[:, torch.arange(800) % MODES < 3]
    assert 2.9 < float(posterior_score(few, data.centres)) <= 3.001
    assert 7.9 < ring_ceiling(n=800, seed=0) <= 8


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["js", "rs"])
def test_records_are_what_they_say(loss):
    """Eigenvalues of the records against those of the game at the kept point."""
    found = train_ring(Setting(loss), 3, 30, seed=0, every=30, **SMALL)
    records = found.run.records
    for member in range(3):
        game, point = found.game(member, 128), found.point(member, 30)
        for player in "GD":
            operator = hessian(game, player, point)
            wanted = top_eigenpairs(operator, TOP, tolerance=1e-3).values
            size = wanted[0]
            got = records[f"top_{player.lower()}"][-1, member]
            np.testing.assert_allclose(got, wanted, atol=0.05 * size)
            low = np.linalg.eigvalsh(operator.dense().double().numpy())[0]
            assert records[f"low_{player.lower()}"][-1, member] >= low - 1e-4
    assert found.finite == [0, 1, 2]


@pytest.mark.parametrize("project", ["gradient", "step"])
def test_nudging_changes_its_player_only(project):
    """With D nudged, G's first step is the plain one, D's is not, and has no part left."""
    plain = Setting()
    nudging = Nudging(k=3, project=project, players="D")
    runs = [
        train_ring(setting, 2, 1, seed=0, every=1, **SMALL)
        for setting in (plain, replace(plain, nudging=nudging))
    ]
    p = runs[0].game(0).sizes[0]
    moved = [run.run.snapshots[1] - run.run.snapshots[0] for run in runs]
    assert not torch.equal(moved[0][:, p:], moved[1][:, p:])
    # G answers to another D, so only the sizes of its first Adam step are the same.
    np.testing.assert_allclose(moved[0][:, :p].abs().max(), 1e-3, rtol=1e-2)


def test_extragradient_and_penalty():
    found = train_ring(
        Setting("wgan", method="extra-adam", penalty=GradientPenalty(1.0), rates=(1e-4, 1e-4)),
        2,
        4,
        seed=0,
        every=2,
        **SMALL,
    )
    assert np.isfinite(found.run.records["top_d"]).all()
    nudged = Setting("wgan", penalty=GradientPenalty(1.0), critics=2, nudging=Nudging(k=2, every=2))
    assert np.isfinite(
        train_ring(nudged, 2, 4, seed=0, every=2, **SMALL).run.records["top_d"]
    ).all()


def test_every_member_diverges():
    """What there was until then is given back."""
    wild = Setting("wgan", rates=(1e18, 1e18))
    found = train_ring(wild, 2, 60, seed=0, every=20, **SMALL)
    assert found.finite == [] and 0 < max(found.run.diverged.values()) <= 60


def test_refused():
    with pytest.raises(ValueError, match="only around adam"):
        train_ring(Setting(method="extra-adam", nudging=Nudging()), 1, 1, seed=0)
    with pytest.raises(ValueError, match="method is one of"):
        train_ring(Setting(method="sgd"), 1, 1, seed=0)
