"""Spectral densities of small GANs: against a density that is written down, and by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.experiments import densities
from helpers.experiments.densities import Setting, Size, distance, exact_hessian, train
from helpers.games import quadratic_game
from helpers.ledger import claims
from helpers.spectra import SpectralDensity
from helpers.training.recording import Paused

SMALL = Size(members=2, iterations=6, points=20, probes=2, steps=20, lacks="most")


def test_sizes():
    full = densities.SIZES["full"]
    assert (full.members, full.iterations, full.probes, full.steps) == (20, 1000, 10, 80)
    with pytest.raises(ValueError, match="method"):
        Setting(method="extra-adam")


def test_training_is_adam_on_both_losses_at_once():
    """The members' own loops: gradients at one point, both players' steps from there."""
    trained = train(Setting(), SMALL, seed=1)
    assert not torch.equal(trained.reals[0], trained.reals[1])
    begun = train(Setting(), replace(SMALL, iterations=0), seed=1)
    for member in range(2):
        game, omega = trained.game(member), begun.end(member).clone()
        adam = torch.optim.Adam([omega], lr=3e-3, betas=(0.5, 0.999))
        for _ in range(SMALL.iterations):
            omega.grad = game.vector_field(omega)
            adam.step()
        torch.testing.assert_close(trained.end(member), omega, rtol=1e-4, atol=1e-5)


def test_exact_hessian():
    game = quadratic_game([[2.0, 1.0], [1.0, -3.0]], [[5.0]], [[0.5, 0.5]], [[1.0], [2.0]])
    found = exact_hessian(game, "G", torch.zeros(3))
    np.testing.assert_allclose(found, [[2.0, 1.0], [1.0, -3.0]])


def test_distance_of_two_gaussians():
    """Far apart the area between two densities is 2, over one another 0."""
    grid = np.linspace(-1, 11, 4001)
    bell = np.exp(-(grid**2) / 0.02) / np.sqrt(0.02 * np.pi)
    found = SpectralDensity(np.zeros((1, 1)), np.ones((1, 1)), grid, 0.1, bell, bell)
    assert distance(found, np.array([10.0])) == pytest.approx(2, abs=1e-6)
    assert distance(found, np.array([0.0])) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_with_a_step_for_each_weight_only_chance_is_left(monkeypatch):
    """As many steps as weights: with more probes the estimate comes near."""
    monkeypatch.setattr(densities, "_LAYERS", [1, 8, 1])
    size = replace(SMALL, members=1, steps=25, iterations=30)
    few, many = (
        densities.measure(Setting(), replace(size, probes=probes), seed=0)["members"]
        for probes in (1, 50)
    )
    for player in "gd":
        assert (many[f"l1_{player}"] < few[f"l1_{player}"]).all()
        assert (many[f"l1_{player}"] < 0.4).all()
        assert (many[f"ends_{player}"] < 1e-3).all()
        assert (many[f"weights_{player}"] < 1e-9).all()
        assert (many[f"low_{player}"] < many[f"high_{player}"]).all()


@pytest.mark.slow
def test_interrupted_and_resumed(tmp_path):
    calls = iter([False] * 3 + [True] + [False] * 50)
    arguments = {"seed": 3, "folder": tmp_path, "until": lambda: next(calls)}
    with pytest.raises(Paused):
        densities.measure(Setting(), SMALL, **arguments)
    found = densities.measure(Setting(), SMALL, **arguments)
    whole = densities.measure(Setting(), SMALL, seed=3)
    pd.testing.assert_frame_equal(found["members"], whole["members"], check_exact=True)


def test_quantities_by_hand():
    rows = pd.DataFrame({"block": 100, "member": [0, 1, 2], "l1_g": [0.1, 0.2, np.nan]})
    rows = rows.assign(l1_d=[0.3, 0.4, np.nan])
    for name in ("ends", "weights"):
        rows[f"{name}_g"], rows[f"{name}_d"] = rows["l1_g"] / 2, rows["l1_d"] / 2
    own = densities.QUANTITIES["A01"]
    assert own["density_l1_distance"]({"nsgan": rows}) == [0.3, 0.4]
    assert own["extreme_eigenvalue_error"]({"nsgan": rows}) == [0.15, 0.2]
    assert own["weight_sum_error"]({"nsgan": rows}) == [0.15, 0.2]
    assert [q["name"] for q in claims.find("A01")["quantities"]] == list(own)
    for of in own.values():
        with pytest.raises(KeyError):
            of({})
