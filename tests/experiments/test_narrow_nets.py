"""Narrow nets: the releases' settings, an iteration of each loss by hand, and what is measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pandas import DataFrame
from pandas.testing import assert_frame_equal
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import relu
from torchvision.transforms.v2.functional import resize

from helpers.datasets import load
from helpers.experiments import narrow_nets
from helpers.experiments.image_ends import from_text
from helpers.experiments.image_training import samples
from helpers.experiments.narrow_ends import END
from helpers.experiments.narrow_nets import ARMS, READINGS, SIZES, WANTED, Setting, measure
from helpers.experiments.narrow_training import coloured, schedules, train
from helpers.experiments.narrow_watch import judge_for, shrinking
from helpers.experiments.protocol import setting_of
from helpers.games.networks import joint_point
from helpers.models import small_resnet, sn_cnn, sn_resnet
from helpers.scores import Classifier, inception, weights
from helpers.training import Paused
from tests.datasets.test_datasets import write_stl10
from tests.datasets.test_lsun import write_lsun

TINY = replace(
    SIZES["quick"], iterations=4, every=1, earlier=1, samples=20, batch=5, judge_epochs=1,
    narrower=1, faster=1.0,
)  # fmt: skip
NARROW = Setting(narrow=32)
FULL = SIZES["full"]


def first(arm):
    return setting_of(narrow_nets, "as released", arm)


RELEASED = {  # rates of G, betas, and steps of D for one of G, by set and nets
    ("cifar10", "cnn"): (5e-4, (0.5, 0.999), 1),
    ("cifar10", "resnet"): (1.5e-3, (0.0, 0.9), 5),
    ("stl10-unlabeled", "cnn"): (5e-4, (0.5, 0.999), 1),
    ("stl10-unlabeled", "resnet"): (1e-3, (0.5, 0.999), 5),
    ("lsun-church", "cnn"): (1e-3, (0.5, 0.999), 1),
    ("lsun-tower", "cnn"): (1e-3, (0.5, 0.999), 1),
}


def test_settings_are_the_releases():
    """The rates, betas and steps of scripts.txt; decay, schedule, batch and noise of rsgan.py."""
    found = {}
    for arm in ARMS:
        setting = first(arm)
        assert (setting.nets == "resnet") == ("resnet" in arm), arm
        begin = {"stl": "stl10-unlabeled", "lsu": "-".join(arm.split()[:2])}.get(arm[:3], "cifar10")
        assert setting.data == begin, arm
        kind = setting.rates[0], (setting.beta, setting.second_beta), setting.critics
        assert found.setdefault((setting.data, setting.nets), kind) == kind, arm
        assert setting.rates[1] == 2e-4 and setting.noise == 1 / 128
        assert setting.normed == ("without norm" not in arm) and setting.method == "adam"
        assert setting.falls and setting.released_start
    assert found == RELEASED
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


def test_pictures_are_samples_of_the_last_nets():
    """Sixteen of each member, two by two pixels in one; none of a member that diverged."""
    found = run(size=replace(TINY, members=2))["pictures"]
    assert found["member"].tolist() == [0] * 16 + [1] * 16
    assert found["picture"].tolist() == [*range(16)] * 2
    shown = from_text(found["pixels"].tolist(), side=16)[16:]
    drawn = train(NARROW, TINY, member=1, seed=0).drawn(20)[:16]
    means = drawn.view(16, 3, 16, 2, 16, 2).mean(dim=(3, 5)).numpy()
    assert shown.shape == (16, 3, 16, 16) and np.abs(shown - means).max() < 1 / 15 + 1e-3
    assert found["pixels"].str.len().sum() == 2 * 16 * 768
    wild = replace(NARROW, loss="ls", normed=False, rates=(5e-4, 1e12))
    assert not len(run(wild, replace(TINY, iterations=30))["pictures"])


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
    assert np.isfinite(row[list(END)].astype(float)).all()
    assert row["curvature_low"] < row["curvature_high"] and row["imaginary"] >= 0
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
    assert torch.equal(trained.drawn(8), samples(trained.run.players.generator, latents))


def test_images_that_d_pulls_apart():
    """Of six pairs of four images, those whose logits differ by more than log 6 = 1.79."""
    trained = train(NARROW, TINY, seed=0)
    D = nn.Sequential(nn.Flatten(), nn.Linear(3072, 1, bias=False))
    nn.init.constant_(D[1].weight, 1 / 3072)
    players = trained.run.players._replace(discriminator=D)
    images = torch.tensor([0.0, 1.0, 2.0, 3.7]).view(4, 1, 1, 1).expand(4, 3, 32, 32)
    told = replace(trained, run=replace(trained.run, players=players), looked=images)
    assert narrow_nets.pulled_apart(told) == 3 / 6


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


def test_stl10_and_lsun_are_wanted_in_full_alone():
    """By six seeds, so that a claim can fail as well as hold; each arm once."""
    new = [arm for arm in ARMS if arm.startswith(("stl10", "lsun"))]
    own = [wanted for wanted in WANTED if set(wanted.arms) & set(new)]
    assert sorted(arm for wanted in own for arm in wanted.arms) == sorted(new) and len(new) == 20
    assert all(wanted.size == "full" and wanted.blocks == range(100, 106) for wanted in own)


@pytest.mark.parametrize(
    ("arm", "side"),
    [
        ("stl10 cnn/4 js", 48),
        ("stl10 resnet/2 bottleneck rs", 48),
        pytest.param("lsun tower js", 256, marks=pytest.mark.slow),
    ],
)
def test_images_of_a_sets_size(arm, side):
    """Nets that make them and judge them; a stand-in of that size, scored at the LeNet's."""
    setting = replace(first(arm), narrow=32)
    G, D = setting.players(seed=0)
    assert setting.side == side and G(torch.zeros(2, 128)).shape == (2, 3, side, side)
    assert D(torch.zeros(2, 3, side, side)).shape == (2,)
    trained = train(setting, replace(TINY, iterations=1), seed=0)
    assert trained.looked.shape[1:] == (3, side, side) and trained.held.name == "digits"
    assert trained.held.split == "test" and "images resized to 32 x 32" in trained.judge.name
    assert np.isfinite(trained.course()["frechet"]).all()


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
    with pytest.raises(ValueError, match="images of 32 or 48 pixels, and lsun-church has 256"):
        Setting(nets="resnet", data="lsun-church")
    with pytest.raises(FileNotFoundError, match="no folder"):
        run(NARROW, replace(TINY, stand_in="kmnist"), data=tmp_path)


def test_the_judge_is_the_settings(tmp_path, monkeypatch):
    """One with another SHA-256 is refused, and so is a setting that names none."""
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


REAL = {"stand_in": "", "samples": 6, "iterations": 2, "batch": 4}


def tiny_judge(path, monkeypatch):
    """An untrained judge in the place of the one that is shipped for CIFAR-10; its SHA-256."""
    monkeypatch.setitem(weights.JUDGES, "cifar10", path)
    sizes = {"width": 2, "blocks": 1}
    return weights.write_judge(small_resnet(seed=0, **sizes), sizes, 0.1, "ResNet-8", path)


def test_stl10_from_files_of_its_makers(tmp_path, monkeypatch):
    """Its images without labels, at 48 x 48, are learnt and scored beside; CIFAR-10's judge."""
    write_stl10(tmp_path, monkeypatch, 10)
    sha = tiny_judge(tmp_path / "a.pt", monkeypatch)
    setting = replace(first("stl10 cnn/4 rs"), narrow=32, judge=sha)
    trained = train(setting, replace(TINY, **REAL), seed=0, data=tmp_path)
    images = load("stl10-unlabeled", size=48, root=tmp_path)
    assert torch.equal(trained.looked, images.subset(10, seed=0).images)
    assert torch.equal(trained.held.images, trained.looked)
    name = f"ResNet-8, SHA-256 {sha[:8]}, images resized to 32 x 32"
    assert trained.label == f"{name}; 48 x 48; 6 samples, 10 of STL-10, train"
    found = run(setting, replace(TINY, **REAL), data=tmp_path)
    (row,) = found["members"].to_dict("records")
    assert row["official"] == 1 and np.isfinite([row["frechet"], row["real_frechet"]]).all()


def test_a_judge_sees_smaller_images(tmp_path, monkeypatch):
    """As torchvision resizes them, whatever their size; its own size is left as it is."""
    judge = Classifier(small_resnet(seed=0, width=2, blocks=1), 0.1, "ResNet-8")
    images = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    small = resize(images, [32, 32], antialias=True)
    for seen in (images, small):
        for one, other in zip(shrinking(judge).both(seen), judge.both(small), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    sha = tiny_judge(tmp_path / "a.pt", monkeypatch)
    for data, named in (("cifar10", False), ("stl10", True)):
        found = judge_for(Setting(data=data, judge=sha), replace(TINY, stand_in=""))
        assert found.name.endswith("images resized to 32 x 32") is named


def test_lsun_from_files_of_its_makers(tmp_path, monkeypatch):
    """Squares of 256 x 256 are learnt, drawn once and for all; Inception sees them whole."""
    write_lsun(tmp_path, sizes=[(256, 256)] * 9 + [(300, 256)])
    blank = Classifier(small_resnet(seed=0, width=2, blocks=1), float("nan"), "Inception")
    monkeypatch.setattr(inception, "load_inception", lambda: blank)
    setting = replace(first("lsun church rs"), narrow=32)
    trained = train(setting, replace(TINY, **REAL), seed=0, data=tmp_path)
    drawn = load("lsun-church", size=256, root=tmp_path, most=setting.most)
    assert setting.most == 20_000 and len(drawn) == len(trained.looked) == 10
    assert torch.equal(trained.held.images, drawn.subset(10, seed=0).images)
    label = "Inception; 256 x 256; 6 samples, 10 of LSUN Church (stand-in), train"
    assert trained.label == label and np.isfinite(trained.course()["frechet"]).all()


def test_what_the_runs_need_is_named(tmp_path, monkeypatch):
    """The weights of Inception, and then the set; one line for either."""
    size = replace(TINY, **REAL)
    monkeypatch.delenv(inception.VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match="no weights of Inception: give the path"):
        run(first("stl10 cnn/4 rs"), size, data=tmp_path)
    blank = Classifier(small_resnet(seed=0, width=2, blocks=1), float("nan"), "Inception")
    monkeypatch.setattr(inception, "load_inception", lambda: blank)
    for arm, place in (("stl10 cnn/4 rs", "stl10_binary"), ("lsun tower js", "tower_train_lmdb")):
        with pytest.raises(FileNotFoundError, match=f"no .*{place}") as error:
            run(first(arm), size, data=tmp_path)
        assert len(str(error.value).splitlines()) == 1


def test_gaps_are_of_one_seed():
    """JS minus RS, pair by pair; an infinite distance after diverging."""
    rows = {"block": [100, 101, 102], "member": 0}
    js = DataFrame({**rows, "frechet": [50.0, 60.0, np.nan]})
    rs = DataFrame({**rows, "frechet": [41.0, np.nan, 30.0]}).iloc[::-1]
    quantities = narrow_nets.QUANTITIES["C22-6"]
    arms = {"stl10 cnn/2 js": js, "stl10 cnn/2 rs": rs, "stl10 cnn/1 js": js}
    assert quantities["fid_gap_stl_half"](arms) == [9.0, -np.inf, np.inf]
    assert quantities["fid_js_stl_sn"](arms) == [50.0, 60.0, np.inf]
    with pytest.raises(KeyError):
        quantities["fid_gap_stl_half"]({"stl10 cnn/2 js": js})
