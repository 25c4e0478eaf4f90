"""Starts from which GANs do badly: how they are prepared, and what is read off the trainings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pandas import DataFrame
from pandas.testing import assert_frame_equal

from helpers.datasets import load
from helpers.experiments import bad_starts
from helpers.experiments.bad_starts import (
    ARMS,
    RATES,
    READINGS,
    SIZES,
    STARTS,
    WANTED,
    Setting,
    measure,
    prepared,
    separation,
    train,
)
from helpers.experiments.image_training import samples, standard_normal
from helpers.experiments.narrow_ends import END
from helpers.experiments.narrow_watch import LATENT
from helpers.experiments.protocol import setting_of
from helpers.games.networks import joint_point, network_game
from helpers.models import Players, small_resnet
from helpers.scores import Classifier, inception
from helpers.training import Paused

TINY = replace(
    SIZES["quick"], iterations=3, every=1, earlier=1, samples=20, batch=8, judge_epochs=1, before=2
)


def images(digit=1):
    found = load("digits")
    return found.images[:64], found.images[found.labels == digit][:32]


def start_of(setting, size=TINY, **options):
    return prepared(setting, size, *images(setting.digit), seed=0, **options)


def moved(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return any(not torch.equal(a, b) for a, b in pairs)


def test_the_papers_rates():
    """Six rates, the same for both players, each loss from a bad start and from a random one."""
    assert sorted(RATES) == [5e-7, 1e-6, 5e-6, 1e-5, 5e-5, 1e-4]
    for name, arm in ARMS.items():
        setting = setting_of(bad_starts, "collapsed G", name)
        assert setting.rates[0] == setting.rates[1] in RATES
        assert setting.start == ("random" if name.endswith("random start") else "collapsed")
        assert setting.loss == arm["loss"]
    assert len(ARMS) == 6 * 2 * 2 * 2
    assert {setting_of(bad_starts, "collapsed G", name).judge for name in ARMS} == {
        "",
        inception.SHA,
    }
    assert {reading.setting.start for reading in READINGS.values()} == set(STARTS) - {"random"}


def test_inception_judges_where_a_setting_names_it(monkeypatch):
    blank = Classifier(small_resnet(seed=0, width=2, blocks=1), float("nan"), "Inception")
    monkeypatch.setattr(inception, "load_inception", lambda: blank)
    size = replace(TINY, stand_in="")
    by_inception, by_lenet = (
        train(Setting(data="digits", judge=judge), size, seed=0).run.records
        for judge in (inception.SHA, "")
    )
    assert np.array_equal(by_inception["loss_d"], by_lenet["loss_d"])
    assert not np.array_equal(by_inception["frechet"], by_lenet["frechet"])


def test_what_c31_is_judged_by():
    """Of each seed over the six rates: the least gap, RS's worst distance, the middle excess.

    A run that diverged has an infinite distance: JS is infinitely far behind there, or RS.
    """
    rows = {}
    for place, rate in enumerate(RATES):
        for beside, gap in (("", 30.0 + place), (", random start", 5.0)):
            for loss, value in (("rs", 20.0 + place), ("js", 20.0 + place + gap)):
                frechet = [value, np.nan if (loss, place) == ("js", 2) else value]
                table = {"block": [100, 101], "member": 0, "frechet": frechet}
                rows[f"inception {loss} {rate:g}{beside}"] = DataFrame(table)
    quantities = bad_starts.QUANTITIES["C31"]
    assert quantities["smallest_gap"](rows) == [30.0, 30.0]
    assert quantities["worst_rs_fid"](rows) == [25.0, 25.0]
    assert quantities["gap_over_random_start"](rows) == [27.5, 27.0]
    wild = rows["inception rs 1e-05"].assign(frechet=[np.nan, 22.0])
    rows["inception rs 1e-05"] = wild
    assert quantities["smallest_gap"](rows) == [-np.inf, 30.0]
    assert quantities["worst_rs_fid"](rows) == [np.inf, 25.0]
    with pytest.raises(KeyError):
        quantities["smallest_gap"]({name: rows[name] for name in list(rows)[1:]})


@pytest.mark.parametrize("start", STARTS)
def test_a_start_depends_on_neither_loss_nor_rates(start):
    one = start_of(Setting(start=start))
    other = start_of(Setting(start=start, loss="rs", rates=(1e-5, 1e-5)))
    for net, same in zip(one, other, strict=True):
        assert not moved(net, same)


@pytest.mark.parametrize("start", STARTS)
def test_who_has_learnt(start):
    """Of a random start nobody; G has not where D was trained alone."""
    found, fresh = start_of(Setting(start=start)), Setting().players(seed=0)
    assert moved(found.generator, fresh.generator) == (start in ("collapsed", "failed"))
    assert moved(found.discriminator, fresh.discriminator) == (start != "random")


def test_a_collapsed_start_has_learnt_its_digit_alone():
    """Its samples are nearer to that digit than to the others, and D tells them from images."""
    size = replace(SIZES["quick"], before=60, batch=16)
    setting = Setting(start="collapsed", digit=0)
    found = start_of(setting, size)
    drawn = samples(found.generator, standard_normal(50, LATENT, seed=3)).mean(dim=(0, 1))
    everything = load("digits")
    means = torch.stack(
        [everything.images[everything.labels == digit].mean(dim=(0, 1)) for digit in range(10)]
    )
    assert int((means - drawn).pow(2).sum(dim=(1, 2)).argmin()) == 0
    assert separation(found, images(0)[0].expand(-1, 3, -1, -1), seed=1)["sureness"] > 0.9


def test_separation_by_hand():
    """Images of logits 1 and 3, samples of logit 2: a margin of 0, half of the pairs in order."""

    class Ones(torch.nn.Module):
        def forward(self, z):
            return 2 * torch.ones(len(z), 1, 1, 1)

    class First(torch.nn.Module):
        def forward(self, x):
            return x[:, 0, 0, 0]

    reals = torch.tensor([1.0, 3.0])[:, None, None, None]
    found = separation(Players(Ones(), First()), reals, seed=0)
    assert found == {"margin": 0.0, "sureness": 0.5}


def test_images_go_to_where_d_is():
    """D's precision stands for its device here: images of another one are taken."""
    found = Setting(narrow=32).players(seed=0)
    there = Players(found.generator, found.discriminator.double())
    few = images()[0][:4].expand(-1, 3, -1, -1)
    told = separation(there, few, seed=0)
    assert np.isfinite(told["margin"]) and 0 <= told["sureness"] <= 1
    assert told == separation(there, few, seed=0)  # which leaves D as it was


def test_pairs_have_one_start_and_one_draw():
    """Both losses of a seed start at the same margin; scores are read at the same iterations."""
    setting = Setting(start="separated")
    js, rs = (train(replace(setting, loss=loss), TINY, seed=0) for loss in ("js", "rs"))
    of_js, of_rs = (separation(each.before, each.looked, seed=each.seed) for each in (js, rs))
    assert of_js == of_rs
    np.testing.assert_array_equal(js.run.iterations, rs.run.iterations)
    assert np.isfinite(js.run.records["frechet"]).all()


@pytest.mark.slow
def test_a_break_anywhere(tmp_path):
    size, pauses, setting = replace(TINY, members=2), 0, Setting(start="collapsed")
    while True:
        try:
            found = measure(setting, size, seed=0, folder=tmp_path, until=lambda: True)
            break
        except Paused:
            pauses += 1
    assert pauses >= 8
    for name, frame in measure(setting, size, seed=0).items():
        assert_frame_equal(found[name], frame, check_exact=True)


@pytest.mark.slow
def test_the_end_is_looked_at():
    """From a start that is not random: the field's norm is relative to the one there."""
    size, setting = replace(TINY, top=1, looked=8), Setting(start="failed", narrow=32)
    (row,) = measure(setting, size, seed=0)["members"].to_dict("records")
    assert np.isfinite([row[name] for name in END]).all()
    trained = train(setting, size, seed=0)
    assert moved(trained.before.generator, setting.players(seed=0).generator)
    latents = standard_normal(8, LATENT, seed=0)
    norms = [
        network_game(*nets, latents, trained.looked).vector_field(joint_point(*nets)).norm()
        for nets in (trained.before, trained.run.players)
    ]
    assert row["relative_norm"] == pytest.approx(float(norms[1] / norms[0]), rel=1e-3)
    assert all(SIZES[wanted.size].top for wanted in WANTED) and not SIZES["quick"].top


def test_a_run_that_diverges_is_kept():
    wild = Setting(loss="ls", normed=False, rates=(5e-4, 1e12))
    (row,) = measure(wild, replace(TINY, iterations=30), seed=0)["members"].to_dict("records")
    assert 0 < row["diverged"] <= 30 and "frechet" not in row


def test_refusals(tmp_path):
    said = "start is one of 'collapsed', 'failed', 'separated', 'random', got 'good'"
    with pytest.raises(ValueError, match=said):
        Setting(start="good")
    with pytest.raises(ValueError, match="digit is a whole number, from 0 to 9, got 10"):
        Setting(digit=10)
    with pytest.raises(ValueError, match="nets is one of 'cnn', got 'dense'"):
        Setting(nets="dense")
    with pytest.raises(FileNotFoundError, match="no folder"):
        train(Setting(), replace(TINY, stand_in="kmnist"), seed=0, data=tmp_path)
