"""The scales that chapters share."""

from dataclasses import replace

import torch

from helpers.experiments.image_epochs import (
    OPTIMIZERS,
    PAPER_SETS,
    SCALES,
    images_of,
    judge_of,
    trained,
)


def test_scales_are_whole():
    """Stages are kept epochs, in order and within the training; the full one is the paper's."""
    for scale in SCALES.values():
        early, middle, late = scale.stages
        assert early < middle < late <= scale.epochs
        assert {*scale.stages, scale.epochs} <= set(scale.snapshots)
        assert scale.hessian_images <= scale.images
    full = SCALES["full"]
    assert (full.epochs, full.stages, full.sets) == (180, (2, 25, 160), PAPER_SETS)
    assert list(OPTIMIZERS)[:2] == ["NSGAN", "NuGAN"]


def test_trained(tmp_path):
    """One small run of digits: records an epoch, kept nets, and a checkpoint that is taken up."""
    scale = replace(
        SCALES["quick"], images=100, epochs=2, width=2, latent=4, hessian_images=20,
        score_samples=20, judge_epochs=1, stages=(1, 1, 2), snapshot_epochs=1,
    )  # fmt: skip
    one = trained(scale, "digits", "NuGAN", 0, str(tmp_path))
    assert one.setting.rates == (2e-3, 2e-3)
    assert one.run.iterations.tolist() == [2, 4]
    assert sorted(one.run.snapshots) == [0, 2, 4]
    again = trained(scale, "digits", "NuGAN", 0, str(tmp_path))
    assert torch.equal(again.point(4), one.point(4))
    assert images_of("digits", 100).shape == (100, 1, 32, 32)
    assert judge_of("digits", 0, 1, str(tmp_path)).accuracy > 0.3
