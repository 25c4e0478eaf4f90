"""Trainings along other fields, consensus and an unrolled D, against the games that have them."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from helpers.analysis import play
from helpers.games import Judging, consensus_game, joint_point, network_game, unrolled_game
from helpers.losses import LOSSES, GradientPenalty
from helpers.models import Players, mlp
from helpers.models.copying import copied
from helpers.training import (
    Consensus,
    EpochBatches,
    Extragradient,
    HeavyBall,
    Lookahead,
    Members,
    Paused,
    Recording,
    Turns,
    Unrolled,
    train,
    train_ensemble,
)

SGD = partial(torch.optim.SGD, lr=0.05)
FOLLOWED = {
    "consensus": (Consensus(0.3), lambda game: consensus_game(game, 0.3)),
    "unrolled": (Unrolled(3, rate=0.2), lambda game: unrolled_game(game, 3, 0.2)),
}
EACH = pytest.mark.parametrize(("turns", "changed"), FOLLOWED.values(), ids=FOLLOWED)


def pairs(count=2, activation=nn.Tanh):
    """Nets in float64: smooth, or with kinks."""
    return [
        Players(
            mlp([1, 5, 1], seed=s, activation=activation).double(),
            mlp([1, 6, 1], seed=50 + s, activation=activation).double(),
        )
        for s in range(count)
    ]


def data(count=2, n=12):
    random = torch.Generator().manual_seed(0)
    z, x = (torch.randn(count, n, 1, generator=random).double() for _ in range(2))
    return z, x + 2


@EACH
@pytest.mark.parametrize("loss", ["js", "rs", "hinge-linear"])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_an_ensemble_follows_the_field_of_the_game(turns, changed, loss, activation):
    nets = pairs(activation=activation)
    z, x = data()
    run = train_ensemble(
        Members(nets, z, x), loss=LOSSES[loss], optimizer=SGD, iterations=4, turns=turns,
        recording=Recording(every=1, snapshots=[4]),
    )  # fmt: skip
    for member, pair in enumerate(nets):
        game = changed(network_game(*pair, z[member], x[member], loss=loss))
        wanted = play(game, joint_point(*pair), SGD, steps=4)
        assert torch.allclose(run.snapshots[4][member], wanted[-1], rtol=1e-9, atol=1e-11)


@EACH
def test_both_extrapolate_along_it(turns, changed):
    """Another optimiser around the same field."""
    (pair,), (z, x) = pairs(1), data(1)
    run = train_ensemble(
        Members([pair], z, x), loss=LOSSES["js"], iterations=3, turns=turns,
        optimizer=lambda w: Extragradient(SGD(w)), recording=Recording(snapshots=[3]),
    )  # fmt: skip
    game = changed(network_game(*pair, z[0], x[0], loss="js"))
    wanted = play(game, joint_point(*pair), lambda w: Extragradient(SGD(w)), steps=3)
    assert torch.allclose(run.snapshots[3][0], wanted[-1], rtol=1e-9, atol=1e-11)


@EACH
@pytest.mark.parametrize("where", ["data", "interpolates"])
def test_a_penalty_is_part_of_the_field(turns, changed, where):
    """Also of the steps that D takes ahead."""
    (pair,), (z, x), penalty = pairs(1), data(1), GradientPenalty(0.5, where)
    run = train_ensemble(
        Members([pair], z, x), loss=LOSSES["wgan"], optimizer=SGD, iterations=2, turns=turns,
        penalty=penalty, recording=Recording(snapshots=[2]),
    )  # fmt: skip
    game = changed(network_game(*pair, z[0], x[0], loss="wgan", penalty=penalty))
    wanted = play(game, joint_point(*pair), SGD, steps=2)[-1]
    assert torch.allclose(run.snapshots[2][0], wanted, rtol=1e-9, atol=1e-11)


class Own(nn.Module):
    """A discriminator of a user's own: batch norm, and a tuple in place of a logit."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, x):
        return self.body(x), "not a logit"


def first_batch(x, seed=0):
    """What `train` draws first: an order of the reals, latents, and a penalty's shares."""
    stream = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=stream)
    z = torch.randn(len(x), 1, generator=stream)
    return x[order], z.double(), torch.rand(len(x), generator=stream)


def own_pair():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Players(mlp([1, 4, 1], seed=0, activation=nn.Tanh).double(), Own().double())


@EACH
@pytest.mark.parametrize("loss", ["js", "rs"])
def test_nets_of_ones_own(turns, changed, loss):
    """One GAN, with batch norm in D, whose running statistics see the ordinary passes alone."""
    pair, x = own_pair(), data(1)[1][0]
    judging = Judging(logit=lambda output: output[0])
    reals, z, _ = first_batch(x)
    batches = EpochBatches(x, latent=1, size=len(x))
    how = {"loss": LOSSES[loss], "optimizer": SGD, "iterations": 1, "judging": judging}
    found = train(pair, batches, turns=turns, **how).players
    game = changed(network_game(*pair, z, reals, loss=loss, judging=judging))
    wanted = play(game, joint_point(*pair), SGD, steps=1)[-1]
    assert torch.allclose(joint_point(*found), wanted, rtol=1e-9, atol=1e-11)
    plain = train(pair, batches, turns=None, **how).players
    for name, held in plain.discriminator.named_buffers():
        assert torch.equal(held, dict(found.discriminator.named_buffers())[name])


@EACH
@pytest.mark.parametrize("where", ["data", "interpolates"])
def test_one_gan_with_a_penalty(turns, changed, where, monkeypatch):
    """As an ensemble of one; at interpolates D's slope depends on G, which consensus follows."""
    pair, x = Players(*map(copied, pairs(1)[0])), data(1)[1][0]
    reals, z, shares = first_batch(x)
    penalty = GradientPenalty(0.5, where)
    found = train(
        pair, EpochBatches(x, latent=1, size=len(x)), loss=LOSSES["js"], optimizer=SGD,
        iterations=1, turns=turns, penalty=penalty,
    ).players  # fmt: skip
    monkeypatch.setattr(GradientPenalty, "shares", lambda self, n: shares)  # those of the training
    game = changed(network_game(*pair, z, reals, loss="js", penalty=penalty))
    wanted = play(game, joint_point(*pair), SGD, steps=1)[-1]
    assert torch.allclose(joint_point(*found), wanted, rtol=1e-9, atol=1e-11)


class Listed(nn.Module):
    """Uses its weights from a list."""

    def __init__(self):
        super().__init__()
        self.body = mlp([1, 4, 1], seed=3).double()
        self.plain = [self.body[0].weight, self.body[2].weight]

    def forward(self, x):
        return torch.tanh(x @ self.plain[0].T) @ self.plain[1].T


@EACH
@pytest.mark.parametrize("hidden", [True, False])
def test_weights_in_a_list(turns, changed, hidden):
    """No steps ahead would reach them: unrolling refuses such a D, and consensus follows it."""
    D = Listed() if hidden else nn.GRU(1, 1, batch_first=True).double()  # torch keeps a list, too
    pair, x = Players(pairs(1)[0].generator, D), data(1)[1][0]

    def trained():
        return train(
            pair, EpochBatches(x, latent=1, size=len(x)), loss=LOSSES["js"], optimizer=SGD,
            iterations=1, turns=turns, judging=Judging(logit=logit),
        ).players  # fmt: skip

    def logit(output):
        return output[0] if isinstance(output, tuple) else output

    if hidden and isinstance(turns, Unrolled):
        with pytest.raises(ValueError, match=r"^plain holds weights .* where steps ahead cannot"):
            trained()
        return
    reals, z, _ = first_batch(x)
    game = changed(network_game(*pair, z, reals, loss="js", judging=Judging(logit=logit)))
    wanted = play(game, joint_point(*pair), SGD, steps=1)[-1]
    assert torch.allclose(joint_point(*trained()), wanted, rtol=1e-9, atol=1e-11)


def normed_pair(norm):
    layers = {
        "batch": lambda: (nn.Linear(1, 4), nn.BatchNorm1d(4)),
        "layer": lambda: (nn.Linear(1, 4), nn.LayerNorm(4)),
        "weight": lambda: (nn.utils.parametrizations.weight_norm(nn.Linear(1, 4)),),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        D = nn.Sequential(*layers[norm](), nn.Tanh(), nn.Linear(4, 1)).double()
    return Players(mlp([1, 4, 1], seed=0, activation=nn.Tanh).double(), D)


def by_differences(game, omega, weight):
    """The field with consensus, with a Jacobian made of differences."""
    steps = 1e-6 * torch.eye(len(omega), dtype=omega.dtype)
    transposed = (game.vector_field(omega + steps) - game.vector_field(omega - steps)) / 2e-6
    v = game.vector_field(omega)
    return v + weight * transposed @ v


@EACH
@pytest.mark.parametrize("penalty", [None, GradientPenalty(5.0, "data")])
@pytest.mark.parametrize(
    ("norm", "single"), [("batch", True), ("layer", True), ("weight", True), ("layer", False)]
)
def test_norms_that_torch_differentiates_wrongly(turns, changed, norm, penalty, single):
    """A penalty makes third derivatives of norms, and consensus second ones of a weight norm."""
    pair, x = normed_pair(norm), data(1)[1][0]
    omega, (reals, z, _) = joint_point(*pair), first_batch(x)
    how = {"loss": LOSSES["js"], "optimizer": SGD, "iterations": 1, "penalty": penalty}
    if single:
        found = train(pair, EpochBatches(x, latent=1, size=len(x)), turns=turns, **how).players
        after = joint_point(*found)
        plain = train(pair, EpochBatches(x, latent=1, size=len(x)), turns=None, **how).players
        held = dict(found.discriminator.named_buffers())
        for name, buffer in plain.discriminator.named_buffers():
            assert torch.equal(held[name], buffer)
    else:
        members = Members([pair], z[None], reals[None])
        run = train_ensemble(members, turns=turns, recording=Recording(snapshots=[1]), **how)
        after = run.snapshots[1][0]
    game = network_game(*pair, z, reals, penalty=penalty)
    wanted = changed(game).vector_field(omega)
    assert torch.allclose((omega - after) / 0.05, wanted, rtol=1e-8, atol=1e-9)
    if isinstance(turns, Consensus):
        assert torch.allclose(wanted, by_differences(game, omega, 0.3), rtol=1e-5, atol=1e-6)


@EACH
def test_interpolates_move_with_the_samples(turns, changed, monkeypatch):
    """Consensus differentiates D's gradient in G's weights, also through the penalty's places."""
    (pair,), x, penalty = pairs(1), data(1)[1][0], GradientPenalty(0.5)
    stream = torch.Generator().manual_seed(0)
    order = torch.randperm(len(x), generator=stream)
    z, shares = (torch.randn(len(x), 1, generator=stream), torch.rand(len(x), generator=stream))
    found = train(
        pair, EpochBatches(x, latent=1, size=len(x)), loss=LOSSES["js"], optimizer=SGD,
        iterations=1, turns=turns, penalty=penalty,
    ).players  # fmt: skip
    monkeypatch.setattr(GradientPenalty, "shares", lambda *_: shares)
    game = changed(network_game(*pair, z.double(), x[order], penalty=penalty))
    omega = joint_point(*pair)
    moved = (omega - joint_point(*found)) / 0.05
    assert torch.allclose(moved, game.vector_field(omega), rtol=1e-9, atol=1e-11)


def test_norms_are_those_of_the_plain_gradients():
    """Consensus records the field itself, which is what is to become small."""
    (pair,), (z, x) = pairs(1), data(1)
    runs = [
        train_ensemble(
            Members([pair], z, x), loss=LOSSES["js"], optimizer=SGD, iterations=1, turns=turns,
            recording=Recording(every=1),
        ).records
        for turns in (None, Consensus(0.3))
    ]  # fmt: skip
    for name in ("norm_g", "norm_d", "loss_g", "loss_d"):
        assert runs[0][name] == pytest.approx(runs[1][name], rel=1e-12)


def test_players_look_back_together():
    """In turn, D steps back only once G has stepped: `play` in turn has G first, so by hand."""
    (pair,), (z, x) = pairs(1), data(1)

    def trained(optimizer, iterations, nets=pair):
        return train_ensemble(
            Members([nets], z, x), loss=LOSSES["js"], optimizer=optimizer, iterations=iterations,
            recording=Recording(snapshots=[0, iterations]),
        )  # fmt: skip

    plain = trained(SGD, 2)
    wanted = 0.7 * plain.snapshots[0] + 0.3 * plain.snapshots[2]
    found = trained(lambda w: Lookahead(SGD(w), every=2, share=0.3), 2)
    assert torch.allclose(found.snapshots[2], wanted, rtol=1e-12)
    nets = Players(found.generators.member(0), found.discriminators.member(0))
    after = trained(SGD, 1, nets).snapshots[1]
    longer = trained(lambda w: Lookahead(SGD(w), every=2, share=0.3), 3)
    assert torch.allclose(longer.snapshots[3], after, rtol=1e-12)


CURES = {
    "consensus": {"turns": Consensus(0.1)},
    "unrolled": {"turns": Unrolled(2, rate=0.1)},
    "heavy ball": {"optimizer": lambda w: HeavyBall(SGD(w), -0.5)},
    "lookahead": {"optimizer": lambda w: Lookahead(SGD(w), every=3)},
}


@pytest.mark.parametrize("cure", CURES.values(), ids=CURES)
@pytest.mark.parametrize("single", [False, True])
def test_interrupted_and_resumed(tmp_path, cure, single):
    """Paused at an odd moment, to the bit."""
    z, x = data()

    def run(**recording):
        options = {"loss": LOSSES["js"], "optimizer": SGD, "iterations": 8} | cure
        options["recording"] = Recording(every=1, **recording)
        if single:
            found = train(pairs()[0], EpochBatches(x[0], latent=1, size=5), **options)
            return joint_point(*found.players), found.records
        found = train_ensemble(Members(pairs(), z, x, batch_with_replacement=4), **options)
        ends = [
            joint_point(found.generators.member(k), found.discriminators.member(k)) for k in (0, 1)
        ]
        return torch.stack(ends), found.records

    asked = []

    def until():
        asked.append(0)
        return len(asked) == 4

    how = {"checkpoint": tmp_path / "a.pt", "until": until}
    with pytest.raises(Paused):
        run(**how)
    resumed, whole = run(**how), run()
    assert torch.equal(resumed[0], whole[0])
    for name, values in whole[1].items():
        assert np.array_equal(values, resumed[1][name])


def test_checkpoints_of_other_fields_are_refused(tmp_path):
    (pair,), (z, x) = pairs(1), data(1)
    for turns in (Consensus(0.1), Consensus(0.2), Unrolled(2, rate=0.1), None):
        kept = tmp_path / "a.pt"
        there = kept.exists()
        options = {"loss": LOSSES["js"], "optimizer": SGD, "iterations": 1, "turns": turns}
        try:
            train_ensemble(Members([pair], z, x), recording=Recording(checkpoint=kept), **options)
        except ValueError:
            assert there
        else:
            assert not there


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match="weight is a finite number, 0 or more, got -1"):
        Consensus(-1)
    with pytest.raises(ValueError, match="steps is a whole number, 1 or more, got 0"):
        Unrolled(0, rate=0.1)
    with pytest.raises(ValueError, match="rate is a finite number, above 0, got 0"):
        Unrolled(2, rate=0)
    (pair,), (z, x) = pairs(1), data(1)
    for wrong in ("consensus", 0.1, (1, 1)):
        with pytest.raises(ValueError, match="turns must be of the class Turns, got"):
            train_ensemble(
                Members([pair], z, x), loss=LOSSES["js"], optimizer=SGD, iterations=1, turns=wrong
            )
    assert Turns(2, 3).g == 3
