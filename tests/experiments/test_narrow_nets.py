"""Narrow nets: the releases' settings, an iteration of each loss by hand, and what is measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import relu

from helpers.datasets import load
from helpers.experiments import narrow_nets
from helpers.experiments.narrow_nets import ARMS, READINGS, SIZES, WANTED, Setting, measure
from helpers.experiments.narrow_training import coloured, schedules, train
from helpers.experiments.narrow_watch import judge_for
from helpers.experiments.protocol import setting_of
from helpers.games.networks import joint_point
from helpers.models import sn_cnn, sn_resnet
from helpers.training import Paused

TINY = replace(
    SIZES["quick"], iterations=4, every=1, earlier=1, samples=20, batch=5, judge_epochs=1,
    narrower=1, faster=1.0,
)  # fmt: skip
NARROW = Setting(narrow=32)
FULL = SIZES["full"]


def first(arm):
    return setting_of(narrow_nets, "as released", arm)


def test_settings_are_the_releases():
    """The rates, betas and steps of scripts.txt; decay, schedule, batch and noise of rsgan.py."""
    for arm in ARMS:
        setting = first(arm)
        resnet = arm.startswith("resnet")
        assert setting.rates == ((1.5e-3 if resnet else 5e-4), 2e-4), arm
        assert (setting.beta, setting.second_beta) == ((0.0, 0.9) if resnet else (0.5, 0.999))
        assert setting.critics == (5 if resnet else 1) and setting.noise == 1 / 128
        assert setting.normed == ("without norm" not in arm) and setting.method == "adam"
        assert setting.data == "cifar10" and setting.falls and setting.released_start
    assert (FULL.iterations, FULL.batch, FULL.decay) == (100_000, 64, pytest.approx(0.9999))
    assert (
        first("resnet/2 bottleneck rs").bottleneck and first("resnet/2 bottleneck rs").narrow == 2
    )
    assert first("cnn/1 wgan-gp without norm").penalty.weight == 10


def test_rates_along_the_training():
    """In full until iteration 50,000 has begun, then down by a fiftieth of a thousandth a step."""
    make_g, make_d = schedules(Setting(), 100)
    for make, rate in ((make_g, 5e-4), (make_d, 2e-4)):
        weight = torch.zeros(1, requires_grad=True)
        weight.grad = torch.ones(1)
        adam, rates = make([weight]), []
        assert adam.param_groups[0]["betas"] == (0.5, 0.999)
        for _ in range(100):
            rates.append(adam.param_groups[0]["lr"])
            adam.step()
        released = [rate * (1 - max(0, t - 48) / 50) for t in range(100)]
        assert rates == pytest.approx(np.maximum(released, 0.0), rel=1e-6, abs=1e-12)
        assert released[-1] < 0 == rates[-1] and rates[48] == rate > rates[49]
    (constant, _) = schedules(Setting(falls=False), 100)
    assert "falls" not in constant([torch.zeros(1, requires_grad=True)]).param_groups[0]


def test_starts():
    """D's weights are orthogonal as released; otherwise all lie within torch's bounds."""
    for make in (sn_cnn, sn_resnet):
        for released in (True, False):
            D = make(seed=0, narrow=16, released=released).discriminator
            layers = [layer for layer in D.modules() if hasattr(layer, "parametrizations")]
            assert len(layers) > 7
            for layer in layers:
                W = layer.parametrizations.weight.original.detach().flatten(start_dim=1)
                W = W if W.shape[0] <= W.shape[1] else W.T
                orthogonal = torch.allclose(W @ W.T, torch.eye(len(W)), atol=1e-4)
                assert orthogonal is released
    G, D = sn_cnn(seed=0, narrow=16, released=False, normed=False)
    for layer in [*G, *D]:
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            bound = layer.weight[0].numel() ** -0.5
            assert 0.8 * bound < layer.weight.abs().max() <= bound
    assert not any(hasattr(layer, "parametrizations") for layer in D.modules())


PENALTY = 10.0
BY_HAND = {  # D's loss and G's, of logits
    "js": (
        lambda r, f: bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f)),
        lambda r, f: bce(f, torch.ones_like(f)),
    ),
    "rs": (
        lambda r, f: bce(r - f, torch.ones_like(r)),
        lambda r, f: bce(f - r, torch.ones_like(f)),
    ),
    "hinge": (lambda r, f: relu(1 - r).mean() + relu(1 + f).mean(), lambda r, f: -f.mean()),
    "rp-hinge": (lambda r, f: relu(1 + f - r).mean(), lambda r, f: relu(1 + r - f).mean()),
    "ls": (
        lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(),
        lambda r, f: ((f - 1) ** 2).mean(),
    ),
    "rp-ls": (lambda r, f: ((r - f - 1) ** 2).mean(), lambda r, f: ((f - r - 1) ** 2).mean()),
    "wgan-gp": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
}


def slope_penalty(D, x, y, shares):
    points = (shares * x + (1 - shares) * y).requires_grad_()
    (slope,) = torch.autograd.grad(D(points).sum(), points, create_graph=True)
    return PENALTY * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


@pytest.mark.parametrize("name", BY_HAND)
def test_an_iteration_by_hand(name):
    """Two, in fact: G, then D, each with its own images, noise and latents, by Adam."""
    arm = {"js": "cnn/4 js", "rs": "cnn/4 rs", "wgan-gp": "cnn/1 wgan-gp without norm"}
    setting = replace(first(arm.get(name, f"cnn/4 {name}")), narrow=32, falls=False)
    found = train(setting, replace(TINY, iterations=2), seed=3)
    of_d, of_g = BY_HAND[name]
    G, D = (net.train() for net in setting.players(seed=300_000))
    adams = [
        torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.999))
        for net, rate in ((G, 5e-4), (D, 2e-4))
    ]
    images = coloured(load("digits").images)
    stream = torch.Generator().manual_seed(300_000)
    order, place = torch.randperm(len(images), generator=stream), 0
    for _ in range(2):
        for turn in (0, 1):
            x = images[order[place : place + 5]]
            place += 5
            z = torch.randn(5, 128, generator=stream)
            shares = torch.rand(5, generator=stream) if name == "wgan-gp" else None
            x = x + torch.rand(x.shape, generator=stream) / 128
            y = G(z) if turn == 0 else G(z).detach()
            if turn == 0 and setting.loss in ("js", "hinge-linear", "ls", "wgan"):
                loss = of_g(None, D(y))
            else:
                loss = (of_g if turn == 0 else of_d)(D(x), D(y))
            if turn == 1 and shares is not None:
                loss = loss + slope_penalty(D, x, y, shares[:, None, None, None])
            net = (G, D)[turn]
            slopes = torch.autograd.grad(loss, list(net.parameters()))
            for weight, slope in zip(net.parameters(), slopes, strict=True):
                weight.grad = slope
            adams[turn].step()
    # Not the weights: a bias ahead of batch norm has only rounding as slope, and Adam moves it.
    z = torch.randn(6, 128, generator=stream)

    def answers(G, D):
        with torch.no_grad():
            return G.train()(z), D.eval()(images[:6])

    start = answers(*setting.players(seed=300_000))
    for one, other, before in zip(answers(*found.run.players), answers(G, D), start, strict=True):
        assert (one - other).norm() < 1e-3 * (other - before).norm()


def run(setting=NARROW, size=TINY, **options):
    return measure(setting, size, seed=0, **options)


def test_members_are_means_over_the_last_ten():
    """Of the net and of its average; and the course has every scored net."""
    size = replace(TINY, iterations=12)
    found = run(size=size)
    (row,) = found["members"].to_dict("records")
    course = found["course"]
    assert course["iteration"].tolist() == size.scored == list(range(1, 13))
    for name in ("frechet", "kernel", "precision", "recall", "score"):
        for column in (name, f"average_{name}"):
            assert row[column] == pytest.approx(course[column][-10:].mean())
    assert row["diverged"] == 0 and 0 < row["accuracy"] <= 1 and row["official"] == 1
    assert row["real_frechet"] < row["frechet"] and row["real_score"] > 1
    assert np.isnan(row["sharpness"]) and not size.top


def test_scores_are_those_of_the_nets():
    """At the end: of the kept G, and of the average with its decay of 1 - 10 / 11."""
    trained = train(NARROW, TINY, seed=0)
    course = trained.course()
    from helpers.experiments.image_training import samples, standard_normal
    from helpers.experiments.narrow_watch import read
    from helpers.scores.metrics import distance_of_features

    latents = standard_normal(20, 128, seed=0)
    reals, _ = read(trained.judge, coloured(trained.held.images))
    for prefix, net in (("", trained.run.players.generator), ("average_", trained.average)):
        features, _ = read(trained.judge, samples(net, latents))
        wanted = distance_of_features(reals, features)
        assert course[f"{prefix}frechet"][-1] == pytest.approx(wanted, rel=1e-6)
    assert course["frechet"][-1] != course["average_frechet"][-1]
    assert "20 samples, 40 of digits, test" in trained.label


@pytest.mark.slow
def test_a_break_anywhere(tmp_path):
    """After each iteration and after the end's analysis, to the same numbers."""
    size, pauses = replace(TINY, members=2), 0
    while True:
        try:
            found = run(size=size, folder=tmp_path, until=lambda: True)
            break
        except Paused:
            pauses += 1
    assert pauses >= 8
    for name, frame in run(size=size).items():
        assert_frame_equal(found[name], frame, check_exact=True)


def test_losses_share_their_start():
    js, rs = (
        train(replace(NARROW, loss=loss), replace(TINY, iterations=1), seed=0)
        for loss in ("js", "rs")
    )
    assert torch.equal(joint_point(*js.run.players_at(0)), joint_point(*rs.run.players_at(0)))
    assert not torch.equal(joint_point(*js.run.players), joint_point(*rs.run.players))


def test_a_run_that_diverges_is_kept():
    """Its iteration is its number; what was scored before is in the course."""
    wild = replace(NARROW, loss="ls", normed=False, rates=(5e-4, 1e12))
    found = run(wild, replace(TINY, members=1, iterations=30))
    (row,) = found["members"].to_dict("records")
    assert 0 < row["diverged"] <= 30 and "frechet" not in row
    assert (found["course"]["iteration"] < row["diverged"]).all()


@pytest.mark.slow
def test_the_end_is_looked_at():
    """The field's norms by plain autograd; D's largest curvature is above its lowest."""
    size = replace(TINY, top=1, looked=8)
    row = run(size=size)["members"].iloc[0]
    numbers = row[["sharpness", "curvature_low", "curvature_high", "imaginary_share"]]
    assert np.isfinite(numbers.astype(float)).all() and row["curvature_low"] < row["curvature_high"]
    trained = train(NARROW, size, seed=0)
    latents = torch.randn(8, 128, generator=torch.Generator().manual_seed(0))
    norms = []
    for when in (0, 4):
        G, D = trained.run.players_at(when)
        with torch.no_grad():  # D's norms as they were: no step of their power iteration
            D.eval()
        y = G.train()(latents)
        x = trained.looked
        real, fake = D(x), D(y)
        parts = (
            (BY_HAND["js"][1](real, fake), G),
            (BY_HAND["js"][0](real, fake), D),
        )
        slopes = [
            torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
            for loss, net in parts
        ]
        norms.append(torch.cat([s.flatten() for part in slopes for s in part]).norm())
    assert row["relative_norm"] == pytest.approx(float(norms[1] / norms[0]), rel=1e-3)


def test_what_is_wanted_comes_in_the_issues_order():
    """(a) and (b) decide by six seeds, (e) screens three rates, (f) has the other pairs."""
    asked = [(wanted.arms, wanted.size, list(wanted.blocks)) for wanted in WANTED]
    six, three = list(range(100, 106)), [0, 1, 2]
    assert asked[0] == (["cnn/4 js", "cnn/4 rs"], "medium", six)
    assert set(asked[1][0]) == {
        f"cnn/8 {n}{w}" for n in ("js", "rs") for w in ("", " without norm")
    }
    assert asked[1][1:] == ("medium", six)
    rates = [READINGS[reading].setting.rates[0] for reading in WANTED[2].readings]
    assert rates == [5e-4, 2.5e-4, 1e-3] and asked[2] == (["cnn/8 js", "cnn/8 rs"], "medium", three)
    assert asked[3][0] == ["cnn/4 hinge", "cnn/4 rp-hinge", "cnn/4 ls", "cnn/4 rp-ls"]
    assert all(SIZES[wanted.size].top for wanted in WANTED) and not SIZES["quick"].top


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"which leave whole channels, got 64"):
        Setting(narrow=64)
    with pytest.raises(ValueError, match=r"which leave whole channels, got 64"):
        run(Setting(narrow=16), replace(TINY, narrower=4))
    with pytest.raises(ValueError, match="nets is one of 'cnn', 'resnet', got 'dcgan'"):
        Setting(nets="dcgan")
    with pytest.raises(ValueError, match=r"data is one of .*got 'stl'"):
        Setting(data="stl")
    with pytest.raises(ValueError, match="bottleneck is of the ResNet's blocks"):
        Setting(bottleneck=True)
    with pytest.raises(ValueError, match="the ResNet has spectral norm in D"):
        Setting(nets="resnet", normed=False)
    with pytest.raises(FileNotFoundError, match="no folder"):
        run(NARROW, replace(TINY, stand_in="kmnist"), data=tmp_path)


def test_the_judge_is_the_settings(tmp_path, monkeypatch):
    """One with another SHA-256 is refused, and so is a setting that names none."""
    from helpers.models import small_resnet
    from helpers.scores import weights

    size = replace(TINY, stand_in="")
    path = tmp_path / "a.pt"
    monkeypatch.setitem(weights.JUDGES, "cifar10", path)
    with pytest.raises(FileNotFoundError, match="no judge of cifar10"):
        judge_for(NARROW, size)
    sizes = {"width": 2, "blocks": 1}
    sha = weights.write_judge(small_resnet(seed=0, **sizes), sizes, 0.1, "ResNet-8", path)
    assert judge_for(replace(NARROW, judge=sha), size).name == f"ResNet-8, SHA-256 {sha[:8]}"
    with pytest.raises(ValueError, match="the judge wanted has 00"):
        judge_for(replace(NARROW, judge="00"), size)
    with pytest.raises(ValueError, match="a setting names its judge by the SHA-256"):
        judge_for(NARROW, size)
    with pytest.raises(ValueError, match="data set is one of 'cifar10', got 'mnist'"):
        judge_for(replace(NARROW, data="mnist", judge=sha), size)
    torch.save({"net": 1}, path)
    with pytest.raises(ValueError, match="has no judge"):
        judge_for(replace(NARROW, judge=weights.sha256_of(path)), size)
