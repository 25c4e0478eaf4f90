"""The mixture experiment: what its readings are, what a run gives, what claims are judged on."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from pandas import DataFrame
from pandas.testing import assert_frame_equal

from helpers.experiments import find, mixture
from helpers.experiments.mixture import (
    ARMS,
    QUANTITIES,
    READINGS,
    SIZES,
    WANTED,
    MixtureSize,
    measure,
    train,
)
from helpers.experiments.mixture_ends import fresh, late_norms
from helpers.experiments.protocol import setting_of
from helpers.ledger.claims import all_claims
from helpers.losses.penalty import GradientPenalty
from helpers.operators import jacobian
from helpers.training import Paused

SMALL = MixtureSize(
    members=2, iterations=20, points=40, ends=2, alphas=19, fresh=60, away=2, lacks="nearly all"
)
PRINTED = READINGS["as printed"].setting


def run(setting, size=SMALL, seed=3, **options):
    return measure(setting, size, seed=seed, device="cpu", **options)


@cache
def printed(arm):
    """A run of an arm as printed."""
    return run(setting_of(mixture, "as printed", arm))


def test_every_arm_of_every_reading():
    """All are valid, an arm's method, loss and penalty are its own, six readings at most."""
    assert find("mixture") is mixture and len(READINGS) <= 6
    for reading in READINGS:
        released = reading in ("as released", "released, latent 1")
        for arm in ARMS:
            setting = setting_of(mixture, reading, arm)
            assert ("descent" in arm) == (setting.method == "simultaneous")
            assert ("wgan-gp" in arm) == (setting.penalty is not None) == (setting.loss == "wgan")
            if arm in ("nsgan", "nsgan descent"):
                assert setting.loss == ("js-saturating" if released else "js")
    assert setting_of(mixture, "as printed", "wgan-gp").rates == (0.01, 0.1)
    assert setting_of(mixture, "as printed", "wgan-gp").penalty == GradientPenalty(1e-3, "data")
    assert READINGS["as released"].setting.latent == 100


def test_printed_variance():
    """N(2, 0.5) has a variance of 0.5: the setting says so, and the points have it."""
    assert PRINTED.sigmas[0] ** 2 == pytest.approx(0.5) and PRINTED.sigmas[1] == 1
    assert PRINTED.rates == (0.1, 0.1) and PRINTED.method == "extragradient"
    size = replace(SMALL, iterations=0, points=50_000, members=1)
    points = train(PRINTED, size, seed=0).reals[0, :, 0].double()
    # The outer half of each mode, where the other one has next to nothing.
    for centre, sign, variance in ((2, 1, 0.5), (-2, -1, 1.0)):
        outer = (points - centre)[sign * (points - centre) > 0]
        error = variance * (2 / len(outer)) ** 0.5
        assert float(outer.square().mean()) == pytest.approx(variance, abs=4 * error)


def test_wanted():
    """What is wanted exists; blocks below 100 screen; what decides claims comes first."""
    for each in WANTED:
        assert set(each.readings) <= set(READINGS) and set(each.arms) <= set(ARMS)
        assert each.size in SIZES and each.why and (each.blocks.start in (0, 100))
    first = WANTED[0]
    assert first.readings == ("as printed",) and first.size == "full"
    assert len(first.blocks) * SIZES["full"].members == 16
    released = next(each for each in WANTED if each.readings == ("as released",))
    assert len(released.blocks) * SIZES["full"].members == 8
    full = SIZES["full"]
    assert (full.iterations, full.points, full.lacks) == (30_000, 10_000, "nothing")


@pytest.mark.parametrize("arm", ["nsgan descent", pytest.param("wgan-gp", marks=pytest.mark.slow)])
def test_members(arm):
    """A row a member, and the numbers of its end point are those of the trained game."""
    members = printed(arm)["members"]
    assert members["member"].tolist() == [0, 1] and members["diverged"].tolist() == [0, 0]
    trained = train(setting_of(mixture, "as printed", arm), SMALL, seed=3)
    for member, row in members.iterrows():
        game, end = trained.game(member), trained.end(member, 20)
        assert row["norm"] == pytest.approx(float(game.vector_field(end).norm()))
        assert row["loss_d"] == pytest.approx(float(game.losses(end)[1]))
        J = jacobian(game, trained.point(member, 0)).dense()
        sharpest = float(torch.linalg.eigvalsh(J[301:, 301:])[-1])
        assert row["first_sharpness"] == pytest.approx(sharpest, rel=1e-2)
        late = trained.norm[trained.run.iterations > 16][:, member]
        assert row["late_norm"] == pytest.approx(np.median(late))
        assert row["late_spread"] == pytest.approx(late.std())


@pytest.mark.slow
def test_other_views():
    """A penalised field is looked at under the other script's penalty, and under other latents."""
    columns = ["norm_other_penalty", "norm_other_latents"]
    assert (printed("wgan-gp")["members"][columns] > 0).all(axis=None)


@pytest.mark.slow
def test_courses():
    """Courses have named columns, and no more members than say something new."""
    penalised = printed("wgan-gp")
    columns = {
        "norms": ["member", "iteration", "norm", "ahead"],
        "path": ["member", "alpha", "angle", "norm"],
        "density": ["member", "x", "density"],
        "spectrum": ["member", "real_before", "imaginary_before", "real_after", "imaginary_after"],
        "own": ["member", "share", "g", "d"],
    }
    assert {name: list(penalised[name]) for name in columns} == columns
    assert set(penalised["spectrum"]["member"]) == {0} and len(penalised["spectrum"]) == 100
    assert np.isclose(penalised["path"]["alpha"], 1.1).sum() == 2
    own = penalised["own"]["g"].to_numpy()
    assert np.allclose(own, -own[::-1], atol=1e-6)  # G's loss is linear in each of its layers


@pytest.mark.slow
def test_wide():
    """Latents of a hundred dimensions have leading eigenvalues, and no whole spectrum."""
    setting = READINGS["as released"].setting
    frames = run(setting, replace(SMALL, members=1))
    assert "own" not in frames and "lowest" not in frames["members"]
    assert len(frames["spectrum"]) == 100
    after = frames["spectrum"]["real_after"] + 1j * frames["spectrum"]["imaginary_after"]
    assert np.abs(after).max() == pytest.approx(frames["members"]["modulus"][0])


def test_descent_has_no_point_ahead():
    members = printed("nsgan descent")["members"]
    assert "ahead_norm" not in members and "norm_extragradient_from" not in members
    assert np.allclose(members["norm"], members["norm_iterate"])


def test_fresh_points():
    """They are none of the training's, of its law, and the same for every member's number."""
    trained = train(PRINTED, SMALL, seed=3)
    reals, latents = fresh(trained, 1, 30)
    assert reals.shape == (30, 1) and latents.shape == (30, 1)
    assert not np.isin(reals.numpy(), trained.reals.numpy()).any()
    assert torch.equal(fresh(trained, 1, 30)[0], reals)


class Asked:
    """True from a number of questions on."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.slow
def test_paused_run_goes_on(tmp_path):
    """Stopped in training and between members, and taken up, a run gives the same bits."""
    whole, pauses = run(PRINTED), []
    for calls in (7, 11, 0):  # 19 in training, and one between members
        try:
            parts = run(PRINTED, folder=tmp_path, until=Asked(calls))
        except Paused as pause:
            pauses.append(str(pause))
    assert len(pauses) == 2 and "8 of 20" in pauses[0] and "member 0" in pauses[1]
    assert whole.keys() == parts.keys()
    for name in whole:
        assert_frame_equal(whole[name], parts[name], check_exact=True)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_diverged_members():
    """They keep their row, with the iteration and no numbers of an end point."""
    wild = replace(setting_of(mixture, "as printed", "wgan-gp"), rates=(1e3, 1e3))
    members = run(wild, replace(SMALL, iterations=60))["members"]
    assert (members["diverged"] > 0).all() and members["late_norm"].isna().all()
    assert (members["finite_iterations"] == members["diverged"]).all()
    assert "norm" not in members


def test_late_norms_of_the_last_fifth():
    trained = train(PRINTED, SMALL, seed=0)
    found = late_norms(trained, 20)
    assert set(found) == {"late_norm", "late_spread", "ahead_norm", "ahead_spread"}
    records = trained.run.iterations > 16
    assert np.allclose(found["ahead_norm"], np.median(trained.norm_ahead[records], axis=0))


def rows(**columns):
    """Rows of three seeds, as evidence gives them."""
    return DataFrame({"block": [100, 100, 101], "member": [0, 1, 0]} | columns)


def test_quantities_are_those_of_claims():
    """Each is a quantity of its claim, that names this experiment."""
    claims = all_claims()
    for claim, quantities in QUANTITIES.items():
        known = {q["name"]: q for q in claims[claim]["quantities"]}
        ours = {name for name, q in known.items() if q.get("experiment") == "mixture"}
        assert set(quantities) == ours


def test_methods_are_compared():
    """B16 takes the point of extragradient that serves the paper best."""
    found = {
        "nsgan": rows(
            late_norm=[7.0, 7.1, 7.2],
            late_spread=[0.1] * 3,
            ahead_norm=[0.01, 0.03, 0.02],
            ahead_spread=[0.004, 0.005, 0.006],
        ),
        "nsgan descent": rows(late_norm=[0.2, 0.4, 0.3], late_spread=[0.05, 0.07, 0.06]),
    }
    values = {name: of(found) for name, of in QUANTITIES["B16"].items()}
    assert values["extragradient_final_norm"] == [0.01, 0.03, 0.02]
    assert values["late_norm"] == pytest.approx([20, 0.4 / 0.03, 15])
    assert values["late_norm_spread"] == pytest.approx([12.5, 14, 10])
    assert QUANTITIES["B35"]["mog_late_norm"](found) == values["late_norm"]
    found["nsgan"]["late_norm"] = 0.001
    assert QUANTITIES["B16"]["late_norm"](found) == pytest.approx([200, 400, 300])
    del found["nsgan descent"]
    with pytest.raises(KeyError):
        QUANTITIES["B16"]["late_norm"](found)


def test_finite_iterations_by_seed():
    """The fewer of both losses, seed by seed, in whatever order the rows are."""
    found = {
        "nsgan": rows(finite_iterations=[30_000, 30_000, 30_000]),
        "wgan-gp": rows(finite_iterations=[500, 30_000, 700]).iloc[::-1],
    }
    assert QUANTITIES["B30"]["finite_iterations"](found) == [500, 30_000, 700]


def test_end_points_are_compared():
    """The loss that serves the paper less decides; members that diverged have no say."""
    missing = float("nan")
    columns = {
        "relative_norm": ([0.1, 0.2, 0.3], [0.5, missing, 0.7]),
        "imaginary_share": ([0.3, 0.2, 0.1], [0.9, missing, 0.9]),
        "negative_curvature": ([-0.1, -0.2, -0.3], [-1.0, missing, -1.0]),
        "sharpness": ([10.0, 20.0, 30.0], [0.1, missing, 0.3]),
        "lean": ([0.9, 0.8, 0.7], [0.0, missing, 0.2]),
        "height": ([0.6, 0.6, 0.6], [0.1, missing, 0.1]),
        "level": ([0.1, 0.1, 0.1], [0.2, missing, 0.2]),
        "switches": ([1.0, 1.0, 2.0], [0.0, missing, 0.0]),
        "lowest": ([-0.1, -0.2, -0.3], [-0.4, missing, -0.5]),
        "lowest_leading": ([0.1, 0.2, 0.3], [-0.4, missing, -0.6]),
    }
    found = {
        arm: rows(**{name: values[place] for name, values in columns.items()})
        for place, arm in enumerate(("nsgan", "wgan-gp, sigma 1"))
    }
    found["wgan-gp, sigma 1"]["diverged"] = [0, 300, 0]
    found["wgan-gp"] = found["nsgan"].assign(diverged=[200, 300, 400])
    wanted = {
        "mog_relative_norm": [0.5, 0.7],
        "mog_imaginary_share": [0.3, 0.2, 0.1],
        "mog_negative_curvature": [-0.1, -0.2, -0.3],
        "mog_sharpness": [100.0, 100.0],
        "mog_lean": [-0.9, -0.5],
        "mog_bump": [0.5, 0.5],
        "mog_nsgan_sign_switches": [1.0, 1.0, 2.0],
        "mog_wgan_gp_sign_switches": [0.0, 0.0],
        "mog_nsgan_full_real_part": [-0.1, -0.2, -0.3],
        "mog_nsgan_top_real_part": [0.1, 0.2, 0.3],
        "mog_wgan_gp_top_real_part": [-0.4, -0.6],
    }
    for claim in ("B17", "B19", "B20", "B21", "B22", "B23", "B24"):
        for name, of in QUANTITIES[claim].items():
            assert of(found) == pytest.approx(wanted.pop(name))
    assert not wanted
    found["wgan-gp, sigma 1"] = found["wgan-gp, sigma 1"].iloc[[1]]
    with pytest.raises(KeyError, match="diverged"):
        QUANTITIES["B22"]["mog_lean"](found | {"wgan-gp": found["wgan-gp, sigma 1"]})
    whole = found["nsgan"].assign(diverged=0)  # the printed one is taken where it lasts
    assert QUANTITIES["B22"]["mog_lean"](found | {"wgan-gp": whole}) == [0, 0, 0]
    with pytest.raises(KeyError):
        QUANTITIES["B22"]["mog_lean"]({name: found[name] for name in ("nsgan", "wgan-gp")})
