"""Training on the mixture against a plain loop over layers, and against the games it is read as."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.analysis.dynamics import iterate
from helpers.experiments.mixture_training import (
    Setting,
    clip_weights,
    clipping_filter,
    train_mixture,
)
from helpers.games.networks import joint_point, network_game
from helpers.losses.penalty import GradientPenalty
from helpers.models import mlp
from helpers.models.stacked import Stacked

SMALL = {"seed": 0, "n": 60}
WASSERSTEIN = Setting("wgan", rates=(1e-2, 1e-2), penalty=GradientPenalty(1e-3, "data"))


def layers(latent=1):
    return mlp([latent, 100, 1], seed=0), mlp([1, 100, 1], seed=1)


@pytest.mark.parametrize("method", ["extragradient", "simultaneous"])
@pytest.mark.parametrize("loss", ["js", "js-saturating", "rs"])
def test_steps_are_those_of_the_game(method, loss):
    """The ensemble in single precision, against steps of the game of layers in double."""
    setting = Setting(loss, rates=(0.02, 0.02), method=method)
    trained = train_mixture(setting, 2, 8, keep=range(9), **SMALL)
    for member in range(2):
        game = network_game(*layers(), trained.latents[member], trained.reals[member], loss=loss)
        path = iterate(game, trained.point(member, 0), method, size=0.02, steps=8)
        for iteration, omega in enumerate(path):
            assert torch.allclose(omega, trained.point(member, iteration), atol=2e-6)


@pytest.mark.parametrize("penalty", ["data", "interpolates"])
@pytest.mark.parametrize("latent", [1, 3])
def test_against_a_plain_loop(penalty, latent):
    """WGAN-GP with extragradient and a rate for each player, by autograd and a loop."""
    at = GradientPenalty(1e-3, penalty)
    setting = replace(WASSERSTEIN, penalty=at, latent=latent, rates=(0.02, 0.05))
    trained = train_mixture(setting, 2, 5, keep=[3], **SMALL)
    G, D = layers(latent)
    z, x = trained.latents[1], trained.reals[1]
    torch.nn.utils.vector_to_parameters(
        trained.run.snapshots[0][1], [*G.parameters(), *D.parameters()]
    )
    share = GradientPenalty(1.0).shares(60)[:, None]
    for _ in range(3):
        past = [[w.detach().clone() for w in net.parameters()] for net in (G, D)]
        for _ in range(2):
            y = G(z)
            between = (x if penalty == "data" else share * x + (1 - share) * y).detach()
            between.requires_grad_()
            slope = torch.autograd.grad(D(between).sum(), between, create_graph=True)[0]
            loss_d = D(y).mean() - D(x).mean() + 1e-3 * (slope.abs() - 1).square().mean()
            slopes = (
                torch.autograd.grad(-D(y).mean(), G.parameters(), retain_graph=True),
                torch.autograd.grad(loss_d, D.parameters(), allow_unused=True),
            )
            for net, start, own, rate in zip((G, D), past, slopes, setting.rates, strict=True):
                with torch.no_grad():
                    for w, before, g in zip(net.parameters(), start, own, strict=True):
                        w.copy_(before if g is None else before - rate * g)
    assert torch.allclose(joint_point(G, D), trained.run.snapshots[3][1], atol=2e-6)


@pytest.mark.parametrize("where", [None, "data", "interpolates"])
def test_game_is_the_trained_one(where):
    """The recorded norms at the start are those of the game that is analysed."""
    penalty = where and GradientPenalty(1e-3, where)
    trained = train_mixture(replace(WASSERSTEIN, penalty=penalty), 2, 1, every=1, **SMALL)
    for member in range(2):
        field = trained.game(member).vector_field(trained.point(member, 0))
        assert trained.norm[0, member] == pytest.approx(float(field.norm()), rel=1e-5)


def test_game_with_changes():
    """Other latents and another penalty change the field, the data stay."""
    trained = train_mixture(WASSERSTEIN, 1, 1, **SMALL)
    omega = trained.point(0, 1)
    own = trained.game(0).vector_field(omega)
    assert torch.equal(own, trained.game(0, latents=trained.latents[0]).vector_field(omega))
    other = GradientPenalty(1e-3, "interpolates")
    others = [trained.game(0, penalty=other), trained.game(0, latents=torch.zeros(60, 1))]
    for game in others:
        assert not torch.allclose(own, game.vector_field(omega))


def test_members_keep_their_data():
    """More members leave the first ones as they were, and every setting sees the same points."""
    two = train_mixture(Setting(), 2, 2, **SMALL)
    three = train_mixture(Setting("rs"), 3, 2, **SMALL)
    assert torch.equal(two.reals, three.reals[:2]) and torch.equal(two.latents, three.latents[:2])
    assert torch.equal(two.run.snapshots[0], three.run.snapshots[0][:2])


def test_samples():
    """What the trained generator makes of latents, by its layers."""
    trained = train_mixture(Setting(), 2, 3, **SMALL)
    G, D = layers()
    weights = [*G.parameters(), *D.parameters()]
    torch.nn.utils.vector_to_parameters(trained.run.snapshots[3][1], weights)
    z = torch.linspace(-2, 2, 9)[:, None]
    assert torch.allclose(trained.samples(trained.point(1, 3), z).float(), G(z)[:, 0], atol=1e-5)


def test_ahead():
    """The point where extragradient takes its second gradient, and the norm recorded there."""
    setting = Setting(rates=(0.05, 0.02))
    trained = train_mixture(setting, 2, 3, every=1, keep=[2], **SMALL)
    for member in range(2):
        game, point = trained.game(member), trained.point(member, 2)
        rates = torch.tensor([0.05] * 301 + [0.02] * 301)
        wanted = point - rates * game.vector_field(point)
        assert torch.allclose(trained.ahead(member, 2), wanted, atol=1e-12)
        norm = float(game.vector_field(wanted).norm())
        assert trained.norm_ahead[2, member] == pytest.approx(norm, rel=1e-4)
        assert torch.equal(trained.end(member, 2), trained.ahead(member, 2))
    plain = train_mixture(replace(setting, method="simultaneous"), 1, 1, **SMALL)
    assert torch.equal(plain.end(0, 1), plain.point(0, 1))


@pytest.mark.filterwarnings("ignore:overflow")
def test_divergence_is_told():
    """Who has diverged is known, also if everybody has; a member's own count is at hand."""
    wild = replace(WASSERSTEIN, rates=(1e3, 1e3))
    trained = train_mixture(wild, 2, 30, every=1, **SMALL)
    assert trained.finite == [] and set(trained.run.diverged) == {0, 1}
    assert trained.lasted(0, 30) == trained.run.diverged[0] < 30
    assert len(trained.norm) == max(trained.run.diverged.values()) - 1
    calm = train_mixture(WASSERSTEIN, 2, 3, **SMALL)
    assert calm.finite == [0, 1] and calm.lasted(0, 3) == 3


@pytest.mark.slow
def test_resumed(tmp_path):
    """From its checkpoint a training goes on to the same bits, kept weights included."""
    options = {**SMALL, "keep": [300], "every": 100}
    whole = train_mixture(Setting(), 2, 510, **options)
    options["folder"] = tmp_path  # written after 500 iterations
    train_mixture(Setting(), 2, 510, **options)
    again = train_mixture(Setting(), 2, 510, **options)
    assert np.array_equal(whole.norm, again.norm)
    assert all(torch.equal(whole.run.snapshots[i], again.run.snapshots[i]) for i in (0, 300, 510))


@pytest.mark.parametrize(
    "change, match", [({"loss": "no"}, "unknown loss"), ({"method": "no"}, "method is one of")]
)
def test_unknown(change, match):
    with pytest.raises(ValueError, match=match):
        train_mixture(replace(Setting(), **change), 1, 1, **SMALL)


def test_clip_weights():
    stacked = Stacked([mlp([1, 3, 1], seed=seed) for seed in range(2)])
    clip_weights(stacked, bound=0.2)
    largest = max(float(weight.detach().abs().max()) for weight in stacked.parameters.values())
    assert largest == pytest.approx(0.2)


def test_clipping_filter():
    """Against a step and the clipping itself, for every place and every sign."""
    phi = torch.tensor([1.0, 1.0, -1.0, -1.0, 0.3, -0.3]).repeat(2)
    slope = torch.tensor([2.0, -2.0]).repeat_interleave(6)
    still = (phi - 1e-3 * slope).clamp(-1, 1) == phi
    assert torch.equal(clipping_filter(phi, slope, 1.0), still) and still.sum() == 4


def test_clipped_training():
    """Weights stay within the bound, in the extrapolation as well."""
    setting = replace(WASSERSTEIN, penalty=None, clip=0.05, rates=(0.1, 0.5))
    trained = train_mixture(setting, 2, 5, keep=range(6), **SMALL)
    for iteration in range(1, 6):
        assert trained.run.snapshots[iteration][:, 301:].abs().max() <= 0.05
