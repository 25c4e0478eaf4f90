"""Image GANs: the game of a trained GAN against the live nets, and what is kept when."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import spectral_norm

from helpers.experiments.image_training import (
    SETTINGS,
    Setting,
    milestones,
    samples,
    standard_normal,
    train_images,
)
from helpers.games.networks import joint_point, spectral_norms
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES
from helpers.models import dcgan
from helpers.training.nudging import Nudging
from helpers.training.single import SingleTraining
from helpers.training.train import Recording

SIZE = {"seed": 0, "width": 2, "latent": 4, "batch": 5}


def images(n=15, channels=1):
    noise = torch.rand(n, channels, 32, 32, generator=torch.Generator().manual_seed(1))
    return 2 * noise - 1


def trained(kind, iterations=4, *, keep=(), checkpoint=None, **changes):
    recording = Recording(snapshots=keep, checkpoint=checkpoint)
    return train_images(SETTINGS[kind], images(), iterations, recording=recording, **SIZE | changes)


def test_settings_are_those_of_the_paper():
    """Appendix C.2: rates, Adam's first beta, five passes of D, a penalty of 10."""
    penalty = GradientPenalty(10.0, "interpolates")
    for method, beta in (("adam", 0.5), ("extra-adam", 0.9)):
        shared = {"method": method, "beta": beta}
        nsgan = Setting("js", rates=(2e-4, 5e-5), critics=1, penalty=None, **shared)
        wgan = Setting("wgan", rates=(8.6e-5, 8.6e-5), critics=5, penalty=penalty, **shared)
        assert SETTINGS[f"nsgan {method}"] == nsgan
        assert SETTINGS[f"wgan-gp {method}"] == wgan


def live_field(gan, iteration, z, x, shares):
    """The field by autograd on the nets in training mode, but for the vectors of spectral norm."""
    G, D = gan.run.players_at(iteration)
    G.train()
    D.eval()
    y = G(z)
    real, fake = D(x), D(y)
    if gan.setting.loss == "js":
        loss_g, loss_d = softplus(-fake).mean(), softplus(-real).mean() + softplus(fake).mean()
    else:
        loss_g, loss_d = -fake.mean(), fake.mean() - real.mean()
        between = (shares * x + (1 - shares) * y).detach().requires_grad_()
        slope = torch.autograd.grad(D(between).sum(), between, create_graph=True)[0]
        loss_d = loss_d + 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    parts = [
        torch.autograd.grad(loss, list(net.parameters()), retain_graph=True)
        for net, loss in ((G, loss_g), (D, loss_d))
    ]
    return torch.cat([each.reshape(-1) for part in parts for each in part])


@pytest.mark.parametrize("kind", SETTINGS)
def test_game_against_autograd_on_the_live_nets(kind):
    gan = trained(kind, keep=(2,))
    z = standard_normal(6, 4, seed=3)
    shares = torch.rand(6, generator=torch.Generator().manual_seed(0))[:, None, None, None]
    for iteration in (0, 2, 4):
        game = gan.game(iteration, images(6), seed=3)
        found = game.vector_field(gan.point(iteration))
        wanted = live_field(gan, iteration, z, images(6), shares)
        assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_each_kept_iteration_has_its_own_buffers():
    """Held vectors of spectral norm are those of the iteration, not of the end."""
    gan = trained("nsgan adam", 40, keep=(2,))
    point = gan.point(2)
    early, late = (gan.game(k, images(6), seed=0).losses(point) for k in (2, 40))
    assert not torch.allclose(early, late, atol=1e-4)
    settled = [gan.game(k, images(6), seed=0, spectral_norm="exact").losses(point) for k in (2, 40)]
    assert torch.allclose(*settled)


def test_critics_and_moves(monkeypatch):
    """WGAN-GP: five moves of D for one of G; an iteration is one of G."""
    moves = []
    real = SingleTraining.move
    monkeypatch.setattr(
        SingleTraining,
        "move",
        lambda self, who, slopes: (moves.append(who), real(self, who, slopes))[1],
    )
    trained("wgan-gp adam", 2)
    assert moves == [*[1] * 5, 0] * 2
    moves.clear()
    trained("nsgan extra-adam", 2)
    assert moves == [1, 0, 1, 0]


def test_extra_adam_is_at_rest_after_even_numbers(monkeypatch):
    """Nothing is held then: the weights are those of a step, for G as for D."""
    runs = []
    real = SingleTraining.__init__
    monkeypatch.setattr(
        SingleTraining,
        "__init__",
        lambda self, *a, **k: (runs.append(self), real(self, *a, **k))[1],
    )
    for kind in ("nsgan extra-adam", "wgan-gp extra-adam"):
        for iterations, ahead in ((3, True), (4, False)):
            trained(kind, iterations)
            assert [each._held is not None for each in runs[-1].optimizers] == [ahead, ahead]


def test_end_point_and_path():
    """Their game is the one that `game` gives; the path starts and ends where it is told to."""
    gan = trained("nsgan adam", 6, keep=(2, 4))
    found = gan.end_point(max(gan.run.snapshots), images(6), seed=3, top=2)
    norms = [gan.game(k, images(6), seed=3).vector_field(gan.point(k)).norm() for k in (0, 6)]
    assert found.start_norm == pytest.approx(float(norms[0]), rel=1e-5)
    assert found.classification.gradient_norm == pytest.approx(float(norms[1]), rel=1e-5)
    assert len(found.leading) == 2 and len(found.classification.spectrum_g) == 2
    path = gan.path(images(6), 2, (4, 6), [0.0, 1.0], seed=3)
    for k, end in enumerate((4, 6)):
        game = gan.game(6, images(6), seed=3, spectral_norm="exact")
        wanted = [float(game.vector_field(gan.point(where)).norm()) for where in (2, end)]
        assert np.allclose(path.norm[k], wanted, rtol=1e-4)


def test_samples():
    """In batches of 500, in the statistics of each batch; the generator is as before."""
    generator = trained("nsgan adam").run.players.generator
    before = copy.deepcopy(generator.state_dict())
    made = samples(generator.eval(), standard_normal(501, 4, seed=0))
    assert made.shape == (501, 1, 32, 32)
    after = generator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not generator.training
    first = samples(generator, standard_normal(501, 4, seed=0)[:500])
    assert torch.equal(made[:500], first)
    assert (made[500:] - samples(generator, standard_normal(501, 4, seed=0)[400:])[-1:]).any()


def test_colour():
    gan = train_images(SETTINGS["nsgan adam"], images(channels=3), 1, **SIZE)
    assert gan.samples(1, 2, seed=0).shape == (2, 3, 32, 32)


def test_seeds_and_resumption(tmp_path):
    """A seed says all, and a kept file takes up where it was."""
    a, b = (joint_point(*trained("wgan-gp extra-adam").run.players) for _ in range(2))
    assert torch.equal(a, b)
    other = trained("wgan-gp extra-adam", seed=1)
    assert not torch.equal(a, joint_point(*other.run.players))
    store = tmp_path / "gan.pt"
    trained("wgan-gp extra-adam", checkpoint=store)
    again = trained("wgan-gp extra-adam", checkpoint=store)
    assert torch.equal(a, joint_point(*again.run.players))
    with pytest.raises(ValueError, match="another run"):
        trained("wgan-gp adam", checkpoint=store)


def test_trained_as_by_a_plain_loop():
    """To the bit: D is shown reals and samples as one batch, G's samples alone."""
    setting = SETTINGS["nsgan adam"]
    found = trained("nsgan adam", 4)
    G, D = (net.train() for net in dcgan(seed=0, latent=4, width=2, channels=1))
    of_g, of_d = (
        torch.optim.Adam(net.parameters(), lr=rate, betas=(setting.beta, 0.999))
        for net, rate in zip((G, D), setting.rates, strict=True)
    )
    stream, place, x = torch.Generator().manual_seed(0), 15, images()
    for _ in range(4):
        if place == 15:
            order, place = torch.randperm(15, generator=stream), 0
        real = x[order[place : place + 5]]
        place += 5
        fake = G(torch.randn(5, 4, generator=stream))
        logits = D(torch.cat([real, fake.detach()]))
        loss = LOSSES["js"].discriminator(*logits.split(5))
        for weight, slope in zip(
            D.parameters(), torch.autograd.grad(loss, [*D.parameters()]), strict=True
        ):
            weight.grad = slope
        of_d.step()
        loss = LOSSES["js"].generator(None, D(fake))
        for weight, slope in zip(
            G.parameters(), torch.autograd.grad(loss, [*G.parameters()]), strict=True
        ):
            weight.grad = slope
        of_g.step()
    assert torch.equal(joint_point(*found.run.players), joint_point(G, D))


@pytest.mark.parametrize("kind", ["nsgan adam", "wgan-gp extra-adam"])
def test_a_longer_training_goes_on_from_a_shorter_one(tmp_path, kind):
    """Its end need not be kept; nudged ones know what their directions are of."""
    store = tmp_path / "gan.pt"
    trained(kind, 2, keep=(1,), checkpoint=store)
    longer = trained(kind, 4, keep=(3,), checkpoint=store)
    whole = trained(kind, 4, keep=(3,))
    assert sorted(longer.run.snapshots) == sorted(whole.run.snapshots) == [0, 3, 4]
    for iteration in (0, 3, 4):
        assert torch.equal(longer.point(iteration), whole.point(iteration))
    with pytest.raises(ValueError, match=r"did not keep \[1, 2\]"):
        trained(kind, 6, keep=(1, 2), checkpoint=store)


@pytest.mark.parametrize(
    "change", [{"hessian_images": 4}, {"k": 2}, {"every": 3}, {"project": "step"}]
)
def test_directions_belong_to_a_run(tmp_path, change):
    store, count = tmp_path / "gan.pt", change.pop("hessian_images", 5)
    setting = Setting(method="adam", normed=False, nudging=Nudging(k=1))
    kept = Recording(checkpoint=store)
    train_images(setting, images(), 1, **SIZE, hessian_images=5, recording=kept)
    other = replace(setting, nudging=replace(setting.nudging, **change))
    with pytest.raises(ValueError, match=r"another run: there and here, optimizers\.0"):
        train_images(other, images(), 2, **SIZE, hessian_images=count, recording=kept)


def test_wrong_kinds():
    for changes in (
        {"seed": None},
        {"seed": "0"},
        {"latent": 1j},
        {"hessian_images": 0},
        {"batch": {1}},
    ):
        with pytest.raises(ValueError, match="whole number"):
            train_images(SETTINGS["nsgan adam"], images(), 1, **SIZE | changes)
    for bad in ((127 * images()).to(torch.uint8), "images", None):
        with pytest.raises(ValueError, match="reals are floating-point numbers"):
            train_images(SETTINGS["nsgan adam"], bad, 1, **SIZE)
    numpy = train_images(
        SETTINGS["nsgan adam"],
        images().double().numpy(),
        np.int64(2),
        **SIZE | {"seed": np.int64(0)},
    )
    assert torch.equal(numpy.point(2), trained("nsgan adam", 2).point(2))


def test_iterations():
    assert milestones(11, 3) == [2, 6, 10]
    assert all(k % 2 == 0 for k in milestones(997, 7))


def test_unknown_names():
    with pytest.raises(ValueError, match="method is one of 'adam', 'extra-adam', got 'sgd'"):
        train_images(Setting(method="sgd"), images(), 1, **SIZE)
    with pytest.raises(ValueError, match="unknown loss 'gan'"):
        train_images(Setting(loss="gan"), images(), 1, **SIZE)


def test_spectral_norms():
    """Against the singular values of the weights; a fresh layer has had its power iterations."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [spectral_norm(torch.nn.Linear(4, 3)), torch.nn.Linear(3, 3)]
    net = torch.nn.Sequential(*layers)
    held, largest, second = spectral_norms(net)[0]
    wanted = torch.linalg.svdvals(layers[0].parametrizations.weight.original.detach())
    assert torch.allclose(torch.stack([largest, second]), wanted[:2])
    assert held <= largest * (1 + 1e-6)
    assert held == pytest.approx(float(largest), rel=1e-2)
    with pytest.raises(ValueError, match="no layer of this network"):
        spectral_norms(layers[1])
