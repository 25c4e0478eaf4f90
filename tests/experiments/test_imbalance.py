"""Two digits, one rare: what is learnt, and what is read off the counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal

from helpers.datasets import load
from helpers.evidence import committed
from helpers.evidence.identity import canonical
from helpers.evidence.planning import run_of
from helpers.experiments import imbalance
from helpers.experiments.image_training import standard_normal
from helpers.experiments.imbalance import (
    ARMS,
    READINGS,
    SIZES,
    Counts,
    Setting,
    looked,
    measure,
    row_of,
    train,
    uneven,
)
from helpers.experiments.narrow_ends import END
from helpers.experiments.narrow_watch import LATENT
from helpers.experiments.protocol import setting_of
from helpers.games.networks import joint_point, network_game
from helpers.scores import Classifier
from helpers.training import Paused

TINY = replace(SIZES["quick"], iterations=4, every=1, samples=20, batch=8, judge_epochs=1)


def test_the_releases_imbalance():
    """All sevens, a fifth of the fives; then a tenth and a twentieth, under either loss."""
    images, true = uneven(load("digits"), setting_of(imbalance, "cnn", "js 5:1"))
    labels = load("digits").labels
    sevens, fives = int((labels == 7).sum()), int((labels == 5).sum())
    assert len(images) == sevens + round(fives / 5)
    assert true == pytest.approx(round(fives / 5) / len(images))
    assert torch.equal(images[:sevens], load("digits").images[labels == 7])
    own = {image.numpy().tobytes() for image in load("digits").images[labels == 5]}
    few = [image.numpy().tobytes() for image in images[sevens:]]
    assert set(few) <= own and len(set(few)) == len(few)
    assert {(a["loss"], round(1 / a["share"])) for a in ARMS.values()} == {
        (loss, few) for loss in ("js", "rs") for few in (5, 10, 20)
    }


@pytest.mark.parametrize("reading", READINGS)
def test_every_net_trains(reading):
    """Its samples are of the images' shape, and both players move."""
    setting = READINGS[reading].setting
    run, true = train(setting, TINY, seed=0)
    assert 0 < true < 0.5 and run.records["rare"].shape == (4,)
    for net, start in zip(run.players, setting.players(seed=0), strict=True):
        pairs = zip(net.parameters(), start.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs)


class Told(torch.nn.Module):
    """Logits that are highest for the class that a pixel names."""

    def forward(self, x):
        return torch.nn.functional.one_hot(x[:, 0, 0, 0].round().long(), 10).float()


def test_counts_are_shares_of_samples():
    """Six fives, three sevens and a nine among ten samples."""

    class Fixed(torch.nn.Module):
        def forward(self, z):
            digits = torch.tensor([5.0] * 6 + [7.0] * 3 + [9.0])
            return digits[:, None, None, None].expand(-1, 3, 32, 32)

    judge = Classifier(torch.nn.Sequential(Told(), torch.nn.Identity()), 1.0)
    players = (Fixed(), None)
    watch = Counts(judge, Setting(), 10)
    named = type("Players", (), {"generator": players[0]})
    assert watch(named) == pytest.approx({"rare": 0.6, "common": 0.3})


def test_rows_by_hand():
    """Never there; there from the second count on; there, lost, and there again."""
    ones, at = np.ones(4), np.array([10, 20, 30, 40])
    never = row_of(at, {"rare": 0 * ones, "common": ones}, 0.2, 40)
    assert (never["first"], never["lasting"], never["kept"], never["there"]) == (40, 40, 0, 0)
    assert (never["lost"], never["proportion"]) == (1, 0)
    assert never["excess"] == pytest.approx(-0.2)
    stays = row_of(at, {"rare": np.array([0, 0.01, 0.3, 0.2]), "common": ones}, 0.2, 40)
    assert (stays["lost"], stays["first"], stays["lasting"], stays["kept"]) == (0, 20, 20, 1)
    lost = row_of(at, {"rare": np.array([0.3, 0.009, 0, 0.2]), "common": ones}, 0.2, 40)
    assert (lost["first"], lost["lasting"], lost["kept"]) == (10, 40, 0.5)
    many = {"rare": np.r_[np.zeros(5), np.full(10, 0.3)], "common": np.full(15, 0.6)}
    found = row_of(np.arange(15), many, 0.2, 15)
    assert found["rare"] == pytest.approx(0.3) and found["there"] == 1
    assert found["excess"] == pytest.approx(1 / 3 - 0.2)
    neither = row_of(at, {"rare": 0 * ones, "common": 0 * ones}, 0.2, 40)
    assert np.isnan(neither["excess"]) and neither["lost"] == 1


@pytest.mark.slow
def test_a_break_anywhere(tmp_path):
    size, pauses = replace(TINY, members=2), 0
    while True:
        try:
            found = measure(Setting(), size, seed=0, folder=tmp_path, until=lambda: True)
            break
        except Paused:
            pauses += 1
    assert pauses >= 6
    for name, frame in measure(Setting(), size, seed=0).items():
        assert_frame_equal(found[name], frame, check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("reading", READINGS)
def test_the_end_is_looked_at(reading):
    """Of every net, on a few of the images that it learns, grey where it takes grey ones."""
    setting = replace(READINGS[reading].setting, narrow=32)
    size = replace(TINY, top=1, looked=8)
    (row,) = measure(setting, size, seed=0)["members"].to_dict("records")
    assert np.isfinite([row[name] for name in END]).all()
    few, (images, _) = looked(setting, size), uneven(load("digits"), setting)
    assert few.shape == (8, setting.channels, 32, 32)
    known = {image.numpy().tobytes() for image in images}
    assert all(image[:1].numpy().tobytes() in known for image in few)
    nets = setting.players(seed=0), train(setting, size, seed=0)[0].players
    latents = standard_normal(8, LATENT, seed=0)
    norms = [
        network_game(*each, latents, few, loss=setting.loss).vector_field(joint_point(*each)).norm()
        for each in nets
    ]
    assert row["relative_norm"] == pytest.approx(float(norms[1] / norms[0]), rel=1e-3)


def test_every_imbalance_is_wanted():
    """The released one first, and of the others three seeds each."""
    asked = [(each.readings, list(each.arms), list(each.blocks)) for each in imbalance.WANTED]
    assert asked[0] == (("cnn",), ["js 5:1", "rs 5:1"], list(range(100, 110)))
    assert asked[-1] == (("cnn",), list(ARMS)[2:], [100, 101, 102])


def test_runs_on_record_are_found():
    """The ends came later than the first runs, whose keys they leave as they were."""
    assert SIZES["medium"].top == 2 and SIZES["quick"].top == 0
    assert canonical(SIZES["medium"]) == {"iterations": 5000, "every": 100, "samples": 1000}
    recorded = {row["key"] for row in committed.read("imbalance")}
    for arm in ("js 5:1", "rs 5:1"):
        for block in range(100, 104):
            assert run_of("imbalance", "cnn", arm, "medium", block).key in recorded


def test_a_run_that_diverges_is_kept():
    wild = replace(Setting(), loss="ls", normed=False, rates=(5e-4, 1e12))
    (row,) = measure(wild, replace(TINY, iterations=30), seed=0)["members"].to_dict("records")
    assert 0 < row["diverged"] <= 30 and "rare" not in row
    assert (row["lost"], row["lasting"]) == (1, 30)


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="two digits are learnt, got 5 twice"):
        Setting(common=5)
    with pytest.raises(ValueError, match="rare is a whole number, from 0 to 9, got 10"):
        Setting(rare=10)
    for share, said in ((0.0, "above 0, got 0"), (1.5, "at most 1, got 1.5")):
        with pytest.raises(ValueError, match=said):
            Setting(share=share)
    with pytest.raises(ValueError, match="nets is one of 'cnn', 'dcgan', 'dense', got 'resnet'"):
        Setting(nets="resnet")
    with pytest.raises(FileNotFoundError, match="no folder"):
        train(Setting(), replace(TINY, stand_in="kmnist"), seed=0, data=tmp_path)
