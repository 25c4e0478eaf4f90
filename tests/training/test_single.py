"""`train`: against loops written out here, to the bit where an interruption is concerned."""

import copy
import warnings
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus
from torch.nn.utils import parameters_to_vector

from helpers import training
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES
from helpers.models import Players, dcgan, mlp
from helpers.models.stacked import Stacked
from helpers.training import single
from helpers.training.cuda_graph import Replay
from helpers.training.data import EpochBatches
from helpers.training.nudged import Nudged
from helpers.training.optimizers import Extragradient, Optimistic
from helpers.training.train import Diverged, Recording
from helpers.training.turns import Turns

SGD = partial(torch.optim.SGD, lr=0.05)
ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def train(players, reals, *, steps=(1, 1), first="D", **options):
    """`helpers.training.train`, with one option for each number that its objects hold."""
    turns = None if steps is None else Turns(*steps, first=first)
    batches = _taken(EpochBatches, options, reals)
    parts = {"judging": _taken(Judging, options), "recording": _taken(Recording, options)}
    return training.train(players, batches, **{"turns": turns} | parts | options)


def _taken(kind, options, *given):
    """An object made of those options that are its fields."""
    names = [each.name for each in fields(kind) if each.name in options]
    return kind(*given, **{name: options.pop(name) for name in names})


def extra_adam(weights):
    return Extragradient(torch.optim.Adam(weights, lr=1e-3, betas=(0.9, 0.999)))


def small(seed=0):
    return Players(mlp([2, 6, 3], seed=seed), mlp([3, 6, 1], seed=seed + 100))


def data(n=20, size=3, seed=0):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed)) + 1


def images(n=12):
    noise = torch.rand(n, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    return 2 * noise - 1


def options(**changes):
    return {
        "latent": 2,
        "loss": LOSSES["js"],
        "optimizer": SGD,
        "iterations": 7,
        "size": 8,
        "every": 2,
    } | changes


def same(a, b):
    return torch.equal(joint_point(*a.players), joint_point(*b.players))


def by_hand(players, reals, iterations, batch, seed, shape, steps=1):
    """NSGAN with Adam in turn, written out: D on both halves apart, G through D's new weights."""
    G, D = (copy.deepcopy(net).train() for net in players)
    of_g, of_d = ADAM(G.parameters()), ADAM(D.parameters())
    stream = torch.Generator().manual_seed(seed)
    place, order = len(reals), None
    for _ in range(iterations):
        for _ in range(steps):
            if place + batch > len(reals):
                order, place = torch.randperm(len(reals), generator=stream), 0
            x = reals[order[place : place + batch]]
            place += batch
            y = G(torch.randn(batch, *shape, generator=stream))
            of_d.zero_grad()
            logits = D(torch.cat([x, y.detach()]))
            (softplus(-logits[:batch]).mean() + softplus(logits[batch:]).mean()).backward()
            of_d.step()
        of_g.zero_grad()
        softplus(-D(y)).mean().backward()
        of_g.step()
    return joint_point(G, D)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_loop_by_hand(steps):
    found = train(small(), data(), **options(optimizer=ADAM, steps=(steps, 1), seed=3))
    wanted = by_hand(small(), data(), 7, 8, 3, (2,), steps)
    assert torch.allclose(joint_point(*found.players), wanted, atol=1e-6)


def test_the_loop_by_hand_with_norms():
    """Batch norm and spectral norm move as they do in any loop: one batch, one power iteration."""
    nets = dcgan(seed=0, latent=4, width=2)
    found = train(
        nets,
        images(),
        **options(latent=4, optimizer=ADAM, size=4, iterations=4, joint_batch=True),
    )
    wanted = by_hand(nets, images(), 4, 4, 0, (4,))
    assert torch.allclose(joint_point(*found.players), wanted, atol=1e-5)
    norm = found.players.generator[2]
    assert norm.num_batches_tracked == 4


@pytest.mark.parametrize("loss", ["rs", "wgan", "hinge", "ls"])
def test_both_at_once(loss):
    """One SGD step from gradients at one point is that of the losses written in the table."""
    nets, of = small(), LOSSES[loss]
    found = train(nets, data(8), **options(loss=of, steps=None, iterations=1, every=1))
    G, D = (copy.deepcopy(net) for net in nets)
    stream = torch.Generator().manual_seed(0)
    x = data(8)[torch.randperm(8, generator=stream)]
    y = G(torch.randn(8, 2, generator=stream))
    loss_d, loss_g = of.discriminator(D(x), D(y)), of.generator(D(x), D(y))
    moved = [
        w - 0.05 * slope
        for net, value in ((G, loss_g), (D, loss_d))
        for w, slope in zip(
            net.parameters(),
            torch.autograd.grad(value, list(net.parameters()), retain_graph=True),
            strict=True,
        )
    ]
    wanted = torch.cat([each.reshape(-1) for each in moved])
    assert torch.allclose(joint_point(*found.players), wanted, atol=1e-6)
    assert found.records["loss_d"] == pytest.approx(loss_d.item())
    assert found.records["loss_g"] == pytest.approx(loss_g.item())


def test_extragradient_at_once():
    """x - lr g(x - lr g(x)), on the batch of the step."""
    nets = small()
    make = lambda weights: Extragradient(SGD(weights))  # noqa: E731
    found = train(nets, data(8), **options(optimizer=make, steps=None, iterations=1))
    stream = torch.Generator().manual_seed(0)
    x = data(8)[torch.randperm(8, generator=stream)]
    z = torch.randn(8, 2, generator=stream)

    def field(G, D):
        y = G(z)
        loss_d = softplus(-D(x)).mean() + softplus(D(y)).mean()
        loss_g = softplus(-D(y)).mean()
        parts = [
            torch.autograd.grad(value, list(net.parameters()), retain_graph=True)
            for net, value in ((G, loss_g), (D, loss_d))
        ]
        return torch.cat([each.reshape(-1) for part in parts for each in part])

    G, D = (copy.deepcopy(net) for net in nets)
    begin = joint_point(G, D)
    ahead = begin - 0.05 * field(G, D)
    torch.nn.utils.vector_to_parameters(ahead, [*G.parameters(), *D.parameters()])
    assert torch.allclose(joint_point(*found.players), begin - 0.05 * field(G, D), atol=1e-6)


def test_extragradient_in_turn():
    """Moves alternate: an odd number of passes ends ahead, an even one on a step from the past."""
    seen = {}

    def observe(players):
        seen[len(seen) + 1] = joint_point(*players)
        return {}

    make = lambda weights: Extragradient(torch.optim.SGD(weights, lr=0.0))  # noqa: E731
    start = joint_point(*small())
    frozen = train(small(), data(), **options(optimizer=make))
    assert torch.equal(joint_point(*frozen.players), start)
    train(small(), data(), **options(optimizer=extra_adam, every=1, observe=observe))
    ahead, after = seen[1] - start, seen[2] - start
    assert ahead.abs().max() == pytest.approx(1e-3, rel=0.01)  # Adam's first step is its rate
    # From the start again, not from ahead: two of Adam's steps in a row would go twice as far.
    assert after.abs().max() <= 1.2e-3


def test_ratio_of_steps():
    """So many moves of each player an iteration."""
    calls = []

    def watched(name):
        class Watched(torch.optim.SGD):
            def step(self, closure=None):
                calls.append(name)
                return super().step(closure)

        return partial(Watched, lr=0.01)

    makers = watched("G"), watched("D")
    train(small(), data(), **options(optimizer=makers, steps=(3, 2), iterations=2))
    assert "".join(calls) == "DDDGGDDDGG"


def test_epochs():
    """Every epoch takes every real once, in another order; what is left over is dropped."""
    seen = []

    class Eye(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, samples):
            seen.append(samples[: len(samples) // 2, 0].tolist())
            return samples[:, :1] * self.weight

    reals = torch.arange(1.0, 11.0)[:, None] * 100
    nets = Players(mlp([1, 1], seed=0), Eye())
    silent = partial(torch.optim.SGD, lr=0.0)
    settings = options(
        latent=1,
        optimizer=silent,
        size=5,
        iterations=6,
        loss=LOSSES["wgan"],
        joint_batch=True,
    )
    train(nets, reals, **settings)
    batches = seen[::2]  # D's passes; G's in between
    epochs = [batches[k] + batches[k + 1] for k in (0, 2, 4)]
    assert all(sorted(each) == reals[:, 0].tolist() for each in epochs)
    assert len({tuple(each) for each in epochs}) == 3
    seen.clear()
    train(nets, reals, **settings | {"size": 4, "iterations": 4})
    batches = seen[::2]
    assert all(len({*batches[k], *batches[k + 1]}) == 8 for k in (0, 2))


KINDS = {
    "adam": {"optimizer": ADAM},
    "extra-adam in turn": {"optimizer": extra_adam, "steps": (1, 1)},
    "extra-adam at once": {"optimizer": extra_adam, "steps": None},
    "optimistic": {"optimizer": lambda weights: Optimistic(ADAM(weights))},
    "critics": {
        "optimizer": extra_adam,
        "steps": (3, 1),
        "loss": LOSSES["wgan"],
        "penalty": GradientPenalty(10.0),
    },
    "pairs": {"optimizer": ADAM, "loss": LOSSES["rs"], "steps": (2, 2)},
}


@pytest.mark.parametrize("save_every", [3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interruption_changes_nothing(tmp_path, kind, save_every):
    """Stopped amid an epoch and between two saves, taken up again: the same bits."""
    nets = dcgan(seed=0, latent=4, width=2)
    settings = options(
        latent=4,
        size=5,
        iterations=9,
        every=1,
        snapshots=(0, 2, 6, 9),
        **KINDS[kind] | {},
    )
    whole = train(nets, images(), **settings)
    calls = []

    def observe(players):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return {"norm": players.generator[1].weight.norm()}

    store = tmp_path / "run.pt"
    watched = {"observe": observe, "checkpoint": store, "save_every": save_every}
    with pytest.raises(KeyboardInterrupt):
        train(nets, images(), **settings | watched)
    resumed = train(nets, images(), **settings | watched)
    assert same(whole, resumed)
    for a, b in zip(whole.players, resumed.players, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.buffers(), b.buffers(), strict=True))
    assert np.array_equal(whole.records["loss_d"], resumed.records["loss_d"])
    assert len(resumed.records["norm"]) == 9
    assert len(calls) == 6 + 9 - 5 // save_every * save_every  # from the last save on
    assert sorted(resumed.snapshots) == [0, 2, 6, 9]
    for iteration in (2, 6):
        a, b = (joint_point(*run.players_at(iteration)) for run in (whole, resumed))
        assert torch.equal(a, b)
    again = train(nets, images(), **settings | watched | {"observe": None})
    assert same(whole, again)  # from the file that the end has written, without a step


def test_other_runs_are_refused(tmp_path):
    store = tmp_path / "run.pt"
    train(small(), data(), **options(checkpoint=store))
    for changes in (
        {"seed": 1},
        {"loss": LOSSES["rs"]},
        {"size": 4},
        {"steps": (2, 1)},
        {"optimizer": partial(torch.optim.SGD, lr=0.1)},
    ):
        with pytest.raises(ValueError, match="another run"):
            train(small(), data(), **options(checkpoint=store, **changes))
    with pytest.raises(ValueError, match="another run"):
        train(small(1), data(), **options(checkpoint=store))
    with pytest.raises(ValueError, match="another run"):
        train(small(), data(seed=4), **options(checkpoint=store))
    with pytest.raises(ValueError, match="more than 3"):
        train(small(), data(), **options(checkpoint=store, iterations=3))


def test_a_diverged_run_is_not_saved(tmp_path):
    """A second call diverges as the first did, instead of giving back what is not finite."""
    wild = options(
        optimizer=partial(torch.optim.SGD, lr=1e30), loss=LOSSES["wgan"], every=100, iterations=20
    )
    store = tmp_path / "run.pt"
    for _ in range(2):
        with pytest.raises(Diverged):
            train(small(), data(), **wild, checkpoint=store, save_every=5)
    assert not store.exists()


def test_records_are_copies():
    """What is observed is as it was then, and not as the weights are at the end."""
    found = train(
        small(), data(), **options(observe=lambda p: {"w": next(p.generator.parameters())})
    )
    assert not np.array_equal(found.records["w"][0], found.records["w"][-1])


@pytest.mark.parametrize("every, at", [(100, 5), (3, 5)])
def test_divergence_names_the_iteration(every, at):
    """Whenever one looks: the fifth iteration's loss is the first that is not finite."""
    count = []

    class Bursts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, samples):
            count.append(1)
            return samples[:, :1] * self.weight + (torch.inf if len(count) > 8 else 0.0)

    nets = Players(mlp([2, 1], seed=0), Bursts())
    with pytest.raises(Diverged, match="in iteration 5") as caught:
        train(nets, data(size=1), **options(every=every, joint_batch=True))
    assert caught.value.iteration == at
    assert all(np.isfinite(each).all() for each in caught.value.run.records.values())


def test_what_is_given_stays():
    """Copies are trained; modes, gradients and the global random state are as before."""
    nets = dcgan(seed=0, latent=4, width=2)
    nets.generator.eval()
    before, state = joint_point(*nets), torch.get_rng_state()
    buffers = [each.clone() for net in nets for each in net.buffers()]
    train(nets, images(), **options(latent=4, size=4))
    assert torch.equal(joint_point(*nets), before)
    after = [each for net in nets for each in net.buffers()]
    assert all(torch.equal(a, b) for a, b in zip(buffers, after, strict=True))
    assert not nets.generator.training
    assert all(w.grad is None for net in nets for w in net.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_records():
    found = train(small(), data(), **options(observe=lambda players: {"two": torch.ones(2)}))
    assert found.iterations.tolist() == [2, 4, 6]
    assert found.records["loss_d"].shape == (3,)
    assert found.records["two"].shape == (3, 2)
    none = train(small(), data(), **options(iterations=0, snapshots=(0,)))
    assert torch.equal(joint_point(*none.players_at(0)), joint_point(*small()))
    with pytest.raises(ValueError, match=r"those of the iterations \[0\], got 3"):
        none.players_at(3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"iterations": -1}, "iterations is a whole number, 0 or more"),
        ({"size": 0}, "size is a whole number, 1 or more"),
        ({"size": 30}, "n at least 30"),
        ({"every": 0}, "every is"),
        ({"steps": (0, 1)}, "D's steps"),
        ({"latent": 0}, "a latent has"),
        ({"optimizer": (SGD, extra_adam)}, "by both players or by neither"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        train(small(), data(), **options(**changes))


def test_data_must_be_finite():
    reals = data()
    reals[3, 1] = torch.nan
    with pytest.raises(ValueError, match="reals must be finite"):
        train(small(), reals, **options())


@CUDA
def test_on_cuda_as_on_the_cpu():
    nets = dcgan(seed=0, latent=4, width=2)
    found = [
        train(nets, images(), **options(latent=4, size=4, iterations=3, device=device))
        for device in ("cpu", "cuda")
    ]
    a, b = (joint_point(*run.players).cpu() for run in found)
    assert torch.allclose(a, b, atol=1e-4)


@dataclass
class AlongWeights:
    """Finds one direction: a player's own weights as a unit vector."""

    player: int

    def __call__(self, players, before):
        weights = parameters_to_vector(players[self.player].parameters()).detach()
        return (weights / weights.norm())[:, None]


def test_diverged_amid_a_search():
    """A product that is not finite ends a nudged training as a loss would, with what there was."""

    def find(players, before):
        if before is not None:
            raise FloatingPointError("product at step 3 is not finite")
        return AlongWeights(1)(players, before)

    makers = (ADAM, lambda weights: Nudged(ADAM(weights), find, every=4))
    with pytest.raises(Diverged, match="iteration 5: product at step 3") as caught:
        train(small(), data(), **options(optimizer=makers, every=1))
    assert caught.value.iteration == 5
    assert len(caught.value.run.iterations) == 4


REPEATED = {
    "in turn": {},
    "at once": {"steps": None},
    "pairs": {"loss": LOSSES["rs"]},
    "critics": {"steps": (3, 1), "loss": LOSSES["wgan"], "penalty": GradientPenalty(10.0)},
    "steps of G": {"steps": (1, 2)},
    "gradient": {"nudge": "gradient"},
    "step": {"nudge": "step"},
}


def on_cuda(nudge=None, **changes):
    makers = ADAM
    if nudge:
        makers = tuple(
            partial(lambda w, find: Nudged(ADAM(w), find, nudge, every=6), find=AlongWeights(p))
            for p in (0, 1)
        )
    plain = {"optimizer": makers, "iterations": 25, "device": "cuda"}
    return train(small(), data(), **options(**plain | changes))


@CUDA
@pytest.mark.parametrize("kind", REPEATED)
def test_replays_are_iterations(kind, monkeypatch):
    """What a device repeats by itself is what it would have been told."""
    made = []
    monkeypatch.setattr(single, "Replay", lambda *a: made.append(1) or Replay(*a))
    found = on_cuda(**REPEATED[kind])
    assert made == [1]
    monkeypatch.setattr(single.SingleTraining, "is_repeated", lambda *_: False)
    wanted = on_cuda(**REPEATED[kind])
    assert made == [1]
    a, b = (joint_point(*run.players) for run in (found, wanted))
    # RS sees no shift of all logits, and Adam makes whole steps of the rounding along it.
    assert kind == "pairs" or torch.allclose(a, b, atol=1e-5)
    for name, values in wanted.records.items():
        np.testing.assert_allclose(found.records[name], values, rtol=1e-3, atol=1e-4)


@CUDA
@pytest.mark.parametrize("kind", ["in turn", "gradient"])
@pytest.mark.parametrize("then", ["cuda", "cpu"])
def test_replays_can_be_cut_off(kind, then, tmp_path):
    """A training goes on from a checkpoint of a CUDA device, on that device or another."""
    path = tmp_path / "run.pt"
    on_cuda(**REPEATED[kind], iterations=13, checkpoint=path)
    found = on_cuda(**REPEATED[kind], checkpoint=path, device=then)
    wanted = on_cuda(**REPEATED[kind])
    a, b = (joint_point(*run.players).cpu() for run in (found, wanted))
    assert torch.allclose(a, b, atol=1e-5 if then == "cuda" else 1e-3)


class Conditional(torch.nn.Module):
    """G(z, y) or D(x, y), labels through an embedding."""

    def __init__(self, sizes, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.embed = torch.nn.Embedding(3, 2)
        self.net = mlp([sizes[0] + 2, *sizes[1:]], seed=seed)

    def forward(self, x, y):
        return self.net(torch.cat([x, self.embed(y)], dim=1))


class Judge(torch.nn.Module):
    """A D whose logits depend on the whole batch; it notes what it was shown."""

    def __init__(self, inner=None, seen=None):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)
        self.net = mlp([3, 6, 1], seed=5) if inner is None else inner
        self.seen = seen

    def forward(self, x):
        if self.seen is not None:
            self.seen.append(len(x))
        return self.net(self.norm(x))


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("loss", ["js", "rs"])
@pytest.mark.parametrize("steps", [(1, 1), None])
def test_what_the_discriminator_is_shown(joint, loss, steps):
    """Two batches or one for a loss that looks at both; for a separable one of G's samples alone.

    Against a loop written out here, on a D with batch norm, where it matters.
    """
    nets, of = Players(small().generator, Judge()), LOSSES[loss]
    how = options(loss=of, steps=steps, iterations=1, every=1, joint_batch=joint)
    found = train(nets, data(8), **how)
    G, D = (copy.deepcopy(net).train() for net in nets)
    stream = torch.Generator().manual_seed(0)
    x = data(8)[torch.randperm(8, generator=stream)]
    z = torch.randn(8, 2, generator=stream)

    def both(y):
        return D(torch.cat([x, y])).split(8) if joint else (D(x), D(y))

    def for_g(y):
        return both(y) if of.pairs else (None, D(y))

    def moved(net, loss):
        return [
            w - 0.05 * slope
            for w, slope in zip(
                net.parameters(), torch.autograd.grad(loss, [*net.parameters()]), strict=True
            )
        ]

    def put(net, weights):
        for own, new in zip(net.parameters(), weights, strict=True):
            own.data.copy_(new)

    new_d = moved(D, of.discriminator(*both(G(z).detach())))
    if steps is None:
        new_g = moved(G, of.generator(*for_g(G(z))))
        put(D, new_d)
    else:
        put(D, new_d)
        new_g = moved(G, of.generator(*for_g(G(z))))
    put(G, new_g)
    assert torch.allclose(joint_point(*found.players), joint_point(G, D), atol=1e-6)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("loss", ["js", "rs"])
def test_training_judges_as_the_game_does(joint, loss):
    """One step of both by SGD is one along the game's field, batch norm in D and all."""
    nets = Players(small().generator, Judge())
    how = options(loss=LOSSES[loss], steps=None, iterations=1, every=1, joint_batch=joint)
    found = train(nets, data(8), **how)
    stream = torch.Generator().manual_seed(0)
    x = data(8)[torch.randperm(8, generator=stream)]
    z = torch.randn(8, 2, generator=stream)
    begin = joint_point(*nets)
    fields = [
        network_game(*nets, z, x, loss=loss, judging=Judging(each)).vector_field(begin)
        for each in (joint, not joint)
    ]
    step = (begin - joint_point(*found.players)) / 0.05
    assert torch.allclose(step, fields[0], atol=1e-5)
    assert not torch.allclose(step, fields[1], atol=1e-3)


def test_what_a_discriminator_writes_to():
    """A D that standardises its input in place sees the same samples at every pass."""

    class Writes(torch.nn.Module):
        def __init__(self, in_place):
            super().__init__()
            self.net, self.in_place = mlp([3, 6, 1], seed=5), in_place

        def forward(self, x):
            return self.net(x.sub_(1.0).div_(2.0) if self.in_place else (x - 1.0) / 2.0)

    for changes in ({}, {"loss": LOSSES["rs"]}, {"steps": None}, {"joint_batch": True}):
        runs = [
            train(Players(small().generator, Writes(each)), data(), **options(**changes))
            for each in (False, True)
        ]
        assert same(*runs)
    reals = data()
    train(Players(small().generator, Writes(True)), reals, **options(size=20))
    assert torch.equal(reals, data())


@pytest.mark.parametrize("optimizer", [SGD, extra_adam])
@pytest.mark.parametrize("steps", [(2, 2), None])
def test_what_a_generator_writes_to(steps, optimizer):
    """A G that scales its latents in place has the same ones at every pass of an iteration."""

    class Scales(torch.nn.Module):
        def __init__(self, in_place):
            super().__init__()
            self.net, self.in_place = mlp([2, 6, 3], seed=5), in_place

        def forward(self, z):
            return self.net(z.mul_(2) if self.in_place else z * 2)

    how = options(steps=steps, optimizer=optimizer)
    runs = [train(Players(Scales(each), small().discriminator), data(), **how) for each in (0, 1)]
    assert same(*runs)


class Shifted(torch.nn.Module):
    """Weights that enter as a sum alone, of one shape or of two."""

    def __init__(self):
        super().__init__()
        self.net = mlp([2, 6, 3], seed=0)
        a, b, c = torch.tensor([[0.3, 0.2, 0.1], [0.1, 0.0, 0.2], [0.2, 0.2, 0.0]])
        self.a, self.b, self.c = (torch.nn.Parameter(part) for part in (a, b, c[None]))

    def forward(self, z):
        return self.net(z) + (self.a + self.b + self.c[0])


@pytest.mark.parametrize("steps", [(1, 1), None])
def test_gradients_that_are_one_tensor(steps):
    """A hook that writes to gradients changes each of them once."""

    def halving(in_place, weights):
        made = SGD(weights)

        @made.register_step_pre_hook
        def halve(*_):
            for weight in weights:
                half = weight.grad / 2
                weight.grad = weight.grad.copy_(half) if in_place else half

        return made

    nets = Players(Shifted(), small().discriminator)
    how = options(iterations=2, steps=steps)
    runs = [train(nets, data(), **how | {"optimizer": partial(halving, k)}) for k in (False, True)]
    assert same(*runs)


def test_labels():
    """Each latent takes the label of the real at its place, in D's steps and in G's."""
    nets = Players(Conditional([2, 6, 3], 0), Conditional([3, 6, 1], 1))
    labels = torch.arange(20) % 3
    found = train(nets, data(), labels=labels, **options(iterations=1, size=8))
    G, D = (copy.deepcopy(net) for net in nets)
    stream = torch.Generator().manual_seed(0)
    rows = torch.randperm(20, generator=stream)[:8]
    x, y = data()[rows], labels[rows]
    z = torch.randn(8, 2, generator=stream)
    for net, loss in (
        (D, lambda: softplus(-D(x, y)).mean() + softplus(D(G(z, y).detach(), y)).mean()),
        (G, lambda: softplus(-D(G(z, y), y)).mean()),
    ):
        slopes = torch.autograd.grad(loss(), [*net.parameters()])
        with torch.no_grad():
            for weight, slope in zip(net.parameters(), slopes, strict=True):
                weight.sub_(0.05 * slope)
    assert torch.allclose(joint_point(*found.players), joint_point(G, D), atol=1e-6)
    with_penalty = options(iterations=1, size=8, penalty=GradientPenalty(1.0))
    train(nets, data(), labels=labels.numpy(), **with_penalty)
    for bad in (labels[1:], "labels", torch.tensor(1), [1, 2]):
        with pytest.raises(ValueError, match="labels are"):
            train(nets, data(), labels=bad, **options())


def test_logits_of_other_outputs():
    """A part of a tuple or a mean over patches, where it is named; else refused at the door."""

    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp([3, 6, 2], seed=100)

        def forward(self, x):
            return self.net(x)

    nets = Players(small().generator, Two())
    with pytest.raises(ValueError, match=r"one logit per sample, got \(8, 2\) for 8 samples"):
        train(nets, data(), **options())
    found = train(nets, data(), logit=lambda output: output[:, 0], **options())
    assert not same(found, train(nets, data(), **options(iterations=0)))


FROZEN = ("0.weight", "2.bias")


@pytest.mark.parametrize("turns", [None, Turns(), Turns(first="G")])
@pytest.mark.parametrize("joint", [False, True])
def test_probabilities_are_no_logits(turns, joint):
    """They are refused as `network_game` refuses them, before D moves."""
    G, D = small()
    D = torch.nn.Sequential(D, torch.nn.Sigmoid())
    how = {"loss": LOSSES["js"], "optimizer": SGD, "iterations": 1, "turns": turns}
    batches = EpochBatches(data(), latent=2, size=8)
    with pytest.raises(ValueError, match=r"ends in a sigmoid.*Judging.logit=torch.logit") as said:
        training.train(Players(G, D), batches, judging=Judging(joint), **how)
    with pytest.raises(ValueError) as game:
        network_game(G, D, torch.zeros(20, 2), data(), judging=Judging(joint))
    assert str(said.value) == str(game.value)
    training.train(Players(G, D), batches, judging=Judging(joint, torch.logit), **how)
    training.train(Players(G, D), batches, **how | {"loss": LOSSES["wgan"]})


@pytest.mark.parametrize("turns", [None, Turns(), Turns(d=2)])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("joint", [False, True])
def test_probabilities_of_an_ensemble_are_no_logits(turns, plain, joint):
    """They are refused as those of one GAN are, as batched products and under vmap."""
    G, D = small()
    end = torch.nn.Sigmoid()
    D = torch.nn.Sequential(*D, end) if plain else torch.nn.Sequential(D, end)
    assert Stacked([D]).is_samplewise == plain
    members = training.Members([Players(G, D)] * 2, *(torch.ones(2, 8, n) for n in (2, 3)))
    how = {"optimizer": SGD, "iterations": 1, "turns": turns, "joint_batch": joint}
    with pytest.raises(ValueError, match=r"ends in a sigmoid.*leave the sigmoid out$"):
        training.train_ensemble(members, loss=LOSSES["js"], **how)
    training.train_ensemble(members, loss=LOSSES["wgan"], **how)


@pytest.mark.parametrize("steps", [(1, 1), None])
def test_weights_that_do_not_require_grad(steps):
    """Stay as they are, in no optimiser; the others move as if they were constants."""
    nets = small()
    for name in FROZEN:
        nets.discriminator.get_parameter(name).requires_grad_(False)
    given = []

    def make(weights):
        given.append([*weights])
        return SGD(given[-1])

    found = train(nets, data(), **options(steps=steps, optimizer=make))
    assert [len(each) for each in given] == [4, 2]
    for name, weight in nets.discriminator.named_parameters():
        after = found.players.discriminator.get_parameter(name)
        assert torch.equal(weight, after) == (name in FROZEN)
        assert after.requires_grad == (name not in FROZEN)
    nets.generator.requires_grad_(False)
    with pytest.raises(ValueError, match="G has no weights that require grad"):
        train(nets, data(), **options())


@pytest.mark.parametrize("optimizer", [ADAM, extra_adam])
@pytest.mark.parametrize("steps", [(1, 1), None])
def test_a_head_without_a_part_in_the_loss(steps, optimizer):
    """Its gradient is zero, as in the game: the rest trains as it would without it."""

    class Headed(torch.nn.Module):
        def __init__(self, net, head):
            super().__init__()
            self.net = net
            if head:
                self.head = torch.nn.Linear(3, 10)

        def forward(self, x):
            return self.net(x)

    how = options(steps=steps, optimizer=optimizer)
    torch.manual_seed(0)
    G, D = small()
    headed, plain = (Players(G, Headed(D, each)) for each in (True, False))
    found, wanted = (train(each, data(), **how) for each in (headed, plain))
    assert torch.equal(found.players.discriminator.head.weight, headed.discriminator.head.weight)
    assert torch.equal(joint_point(*found.players)[:-40], joint_point(*wanted.players))


class Noisy(torch.nn.Module):
    """Dropout, and noise on what it is given."""

    def __init__(self, sizes, seed):
        super().__init__()
        self.net = torch.nn.Sequential(mlp(sizes[:2], seed=seed), torch.nn.Dropout(0.3))
        self.last = mlp(sizes[1:], seed=seed + 1)

    def forward(self, x):
        return self.last(self.net(x + 0.1 * torch.randn_like(x)))


def test_random_networks_resume_to_the_bit(tmp_path):
    """Whatever the global random state is; that is as before, and looking on draws none of it."""
    nets = Players(Noisy([2, 6, 3], 0), Noisy([3, 6, 1], 2))
    calls = []

    def observe(players):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return {"mean": players.generator(torch.ones(3, 2)).mean()}

    how = options(iterations=9, every=1, observe=observe)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    store = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train(nets, data(), checkpoint=store, save_every=2, **how)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    resumed = train(nets, data(), checkpoint=store, save_every=2, **how)
    calls[:] = [1] * 9
    torch.manual_seed(3)
    whole = train(nets, data(), **how)
    assert same(resumed, whole)
    for name in ("mean", "loss_d", "loss_g"):
        assert np.array_equal(resumed.records[name], whole.records[name])
    assert same(whole, train(nets, data(), **how | {"observe": None, "every": 4}))
    assert not same(whole, train(nets, data(), **how | {"seed": 1}))


def test_buffers_outside_of_states_resume_too(tmp_path):
    class Counts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp([3, 6, 1], seed=0)
            self.register_buffer("seen", torch.zeros(()), persistent=False)

        def forward(self, x):
            self.seen += 1
            return self.net(x) / (1 + self.seen)

    nets, store = Players(small().generator, Counts()), tmp_path / "run.pt"
    train(nets, data(), checkpoint=store, **options(iterations=3))
    resumed = train(nets, data(), checkpoint=store, **options(snapshots=(5,)))
    whole = train(nets, data(), **options(snapshots=(5,)))
    assert same(resumed, whole) and whole.players.discriminator.seen == 7 * 3
    assert resumed.players_at(5).discriminator.seen == 5 * 3


class Fades(torch.nn.Module):
    """With state that is no buffer: a count, or a running mean."""

    def __init__(self, kind):
        super().__init__()
        self.net, self.kind = mlp([3, 6, 1], seed=0), kind
        self.seen, self.mean, self.odd = 0, torch.zeros(1), None

    def forward(self, x):
        if self.kind == "count":
            self.seen += 1
            return self.net(x) * min(1, self.seen / 40)
        if self.kind == "mean":
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        if self.kind == "odd":
            self.odd = {*(self.odd or ()), len(self.odd or ())}
        return self.net(x - self.mean)


@pytest.mark.parametrize("kind", ["count", "mean", "none"])
def test_attributes_resume_too(tmp_path, kind):
    nets, store = Players(small().generator, Fades(kind)), tmp_path / "run.pt"
    train(nets, data(), checkpoint=store, **options(iterations=3))
    has = torch.load(store, weights_only=True).get("attributes")
    assert has is None if kind == "none" else [len(each) for each in has] == [0, 1]
    resumed, whole = (train(nets, data(), checkpoint=each, **options()) for each in (store, None))
    assert same(resumed, whole)
    ends = [run.players.discriminator for run in (resumed, whole)]
    assert ends[0].seen == ends[1].seen and torch.equal(ends[0].mean, ends[1].mean)


def test_attributes_that_no_file_keeps(tmp_path):
    nets, store = Players(small().generator, Fades("odd")), tmp_path / "run.pt"
    seen = []
    how = options(every=1, observe=lambda players: seen.append(1) or {})
    with pytest.raises(ValueError, match=r"^odd changes while the network trains"):
        train(nets, data(), checkpoint=store, **how)
    assert seen == [1] and not store.exists()
    train(nets, data(), **options())


def scheduled(weights, gamma=0.5):
    made = SGD(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = torch.optim.lr_scheduler.StepLR(made, step_size=3, gamma=gamma)
    made.register_step_post_hook(lambda *_: scheduler.step())
    return made


def clipped(bound, weights):
    made = SGD(weights)

    @made.register_step_pre_hook
    def clip(*_):
        torch.nn.utils.clip_grad_norm_(weights, bound)

    return made


@pytest.mark.parametrize("wrap", [lambda made: made, Extragradient])
def test_step_hooks_and_checkpoints(tmp_path, wrap):
    """One that keeps its count to itself is refused; others are part of what a run is made of."""
    store = tmp_path / "run.pt"
    with pytest.raises(ValueError, match=r"a step hook of G's .*scheduler.last_epoch is 0 and 1"):
        train(small(), data(), checkpoint=store, **options(optimizer=lambda w: wrap(scheduled(w))))
    how = options(optimizer=lambda w: wrap(clipped(0.1, w)))
    train(small(), data(), checkpoint=store, **how | {"iterations": 3})
    for other in (SGD, lambda w: wrap(clipped(0.2, w))):
        with pytest.raises(ValueError, match=r"of another run: there and here, optimizers\.0"):
            train(small(), data(), checkpoint=store, **how | {"optimizer": other})
    assert same(train(small(), data(), checkpoint=store, **how), train(small(), data(), **how))


def slopes_of(groups):
    return lambda weights: torch.optim.SGD(
        [{"params": [w], "lr": rate} for w, rate in zip(weights, groups, strict=True)], lr=0.1
    )


CHANGED = {
    "rates of a group": (
        {"optimizer": slopes_of([0.1, 0.2, 0.1, 0.1])},
        r"optimizers\.0\.groups\.1\.lr is 0\.1 and 0\.2",
    ),
    "order of the reals": ({"reals": data().flip(0)}, "reals is"),
    "another law of the same sums": ({"reals": data().flip(1)}, "reals is"),
    "dtype of the loss": ({"loss": LOSSES["js"].weighted(0.5)}, "loss"),
    "penalty": ({"penalty": GradientPenalty(1.0)}, "penalty"),
    "joint": ({"joint_batch": True}, "joint_batch is False and True"),
    "logit": ({"logit": lambda output: 2 * output}, "logit"),
    "mode of a layer": ({"players": "slope"}, r"players\.1\.1\.type"),
    "latent": ({"latent": (2,), "seed": 4}, "seed is 0 and 4"),
    "directions": ({"optimizer": lambda w: Nudged(SGD(w), torch.eye(43)[:, :1])}, "optimizers"),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_a_checkpoint_knows_its_run(tmp_path, kind):
    """Groups, order and content of data, losses, modules: another one's is refused by name."""
    changes, said = CHANGED[kind]
    store, how = tmp_path / "run.pt", options(optimizer=slopes_of([0.1] * 4))
    train(small(), data(), **how, checkpoint=store)
    changes = dict(changes)
    reals, nets = changes.pop("reals", data()), small()
    if changes.pop("players", None):
        nets.discriminator[1] = torch.nn.Tanh()
    with pytest.raises(ValueError, match=f"of another run: there and here, {said}"):
        train(nets, reals, **how | changes, checkpoint=store)
    again = train(small(), data().double().numpy(), **how, checkpoint=store)
    assert same(again, train(small(), data(), **how))


def test_longer_runs_and_more_snapshots_are_the_same_run(tmp_path):
    """With what is still to come; what lies behind and was not taken is refused by name."""
    store = tmp_path / "run.pt"
    train(small(), data(), **options(snapshots=(0, 2), checkpoint=store, iterations=4))
    for change, said in (
        ({"snapshots": (1, 3)}, r"4 iterations and did not keep \[1, 3\], but \[0, 2\]"),
        ({"every": 3}, r"no record after 3: it has those after \[2, 4\]"),
        ({"every": 1}, r"no record after 1"),
    ):
        with pytest.raises(ValueError, match=said):
            train(small(), data(), **options(checkpoint=store, iterations=9) | change)
    how = options(iterations=9, every=4, snapshots=(2, 4, 7))
    found = train(small(), data(), **how, checkpoint=store)
    wanted = train(small(), data(), **how)
    assert same(found, wanted) and sorted(found.snapshots) == [2, 4, 7]
    assert found.iterations.tolist() == wanted.iterations.tolist() == [4, 8]
    assert np.array_equal(found.records["loss_g"], wanted.records["loss_g"])
    for k in (2, 4, 7):
        a, b = (joint_point(*run.players_at(k)) for run in (found, wanted))
        assert torch.equal(a, b)


def test_other_ways_of_looking_on(tmp_path):
    """Records of two sorts are not mixed."""
    store = tmp_path / "run.pt"
    size = lambda players, factor: {"size": factor * players.generator[0].weight.norm()}  # noqa: E731
    train(small(), data(), **options(observe=partial(size, factor=1), checkpoint=store))
    for other in (partial(size, factor=2), None):
        with pytest.raises(ValueError, match=r"records in .*run\.pt are of another observe"):
            train(small(), data(), **options(observe=other, checkpoint=store, iterations=9))
    longer = options(observe=partial(size, factor=1), checkpoint=store, iterations=9)
    assert train(small(), data(), **longer).records["size"].shape == (4,)


@pytest.mark.parametrize("number", [np.int64, np.int32, lambda n: np.array(n)])
def test_numpy_numbers(tmp_path, number):
    """Counts, sizes and rates, and a checkpoint that is read back."""
    store = tmp_path / "run.pt"
    how = options(
        latent=number(2),
        iterations=number(7),
        size=number(8),
        every=number(2),
        steps=(number(1), number(1)),
        seed=number(0),
        snapshots=np.array([0, 7]),
        optimizer=partial(torch.optim.SGD, lr=np.float64(0.05)),
        save_every=number(3),
        checkpoint=store,
    )
    found = train(small(), data(), **how | {"iterations": number(4)})
    found = train(small(), data(), **how)
    assert same(found, train(small(), data(), **options()))


def test_dtypes_of_data():
    """Floats are converted to the networks' dtype, numpy's too; whole numbers are refused."""
    wanted = train(small(), data(), **options())
    for reals in (data().double(), data().double().numpy(), data().tolist()):
        assert same(train(small(), reals, **options()), wanted)
    double = Players(*(net.double() for net in small()))
    assert joint_point(*train(double, data(), **options()).players).dtype == torch.float64
    pictures = (255 * torch.rand(20, 3)).to(torch.uint8)
    for bad in (pictures, pictures.numpy(), pictures.int(), pictures > 9, data().to(torch.cfloat)):
        with pytest.raises(ValueError, match="reals are floating-point numbers, got torch"):
            train(small(), bad, **options())
    with pytest.raises(ValueError, match=r"finite, in torch\.float32 too"):
        train(small(), data().double() * 1e300, **options())
    mixed = Players(small().generator, small().discriminator.double())
    with pytest.raises(ValueError, match="real weights of one dtype"):
        train(mixed, data(), **options())


WRONG = (None, "123", {1, 2}, 1j, float("nan"), object(), [], b"1")


@pytest.mark.parametrize("name", ["iterations", "size", "every", "seed", "latent", "save_every"])
def test_wrong_kinds_of_numbers(name):
    for value in (*WRONG, True, 1.0, -1):
        with pytest.raises(ValueError, match=r"whole number|one dimension"):
            train(small(), data(), **options(**{name: value}))


WRONG_KINDS = {
    "turns": ("11", {1, 2}, 1, (1, 1), Turns),
    "judging": (True, "joint"),
    "loss": (None, "js", {1}),
    "optimizer": (None, "adam", (SGD,), 1j),
    "penalty": (1.0, "data", {1}),
    "observe": (1, "loss"),
    "snapshots": (None, 3, "123", [1.5], [None]),
    "joint_batch": (None, 1, "yes"),
    "logit": (1, "last"),
    "device": ("gpu", 1.5, None, {1}),
    "checkpoint": (3, {1}),
}


@pytest.mark.parametrize("name", WRONG_KINDS)
def test_wrong_kinds(name):
    for value in WRONG_KINDS[name]:
        with pytest.raises(ValueError):
            train(small(), data(), **options(**{name: value}))


def test_wrong_kinds_of_networks_and_reals():
    for value in (None, "ab", {1, 2}, (small()[0],), (1, 2)):
        with pytest.raises(ValueError, match="players are two networks"):
            train(value, data(), **options())
    for value in (None, "ab", {1, 2}, [[1.0], [1.0, 2.0]], object()):
        with pytest.raises(ValueError, match="reals are floating-point numbers"):
            train(small(), value, **options())


def test_folders_of_checkpoints(tmp_path, monkeypatch):
    """Made, or refused, before the first iteration; ~ is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    train(small(), data(), **options(checkpoint="~/deep/er/run.pt"))
    assert (tmp_path / "deep" / "er" / "run.pt").is_file()
    (tmp_path / "file").touch()
    seen = []
    how = options(every=1, observe=lambda players: seen.append(1) or {})
    for bad in (tmp_path / "file" / "run.pt", tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(
            ValueError, match=r"checkpoint .*(cannot be written|is a folder|too long)"
        ):
            train(small(), data(), **how, checkpoint=bad)
    assert not seen


def old_spectral(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.nn.utils.spectral_norm(layer)


def test_networks_that_deepcopy_refuses(tmp_path):
    """Old spectral norms: trained, taken up, looked at; what is left can be copied by anybody."""
    torch.manual_seed(0)
    G = small().generator
    D = torch.nn.Sequential(old_spectral(torch.nn.Linear(3, 6)), torch.nn.Linear(6, 1))
    D(torch.ones(2, 3))
    nets, store = Players(G, D), tmp_path / "run.pt"
    train(nets, data(), **options(checkpoint=store, iterations=3))
    found = train(nets, data(), **options(checkpoint=store, snapshots=(5,)))
    assert same(found, train(nets, data(), **options()))
    copy.deepcopy(found.players.discriminator)
    before = joint_point(*found.players_at(5))
    assert not torch.equal(before, joint_point(*found.players))


@pytest.mark.parametrize("name", ["js", "rs"])
@pytest.mark.parametrize("steps", [(1, 1), (3, 2)])
def test_g_first_by_hand(name, steps):
    """Each step on a batch of its own, with noise on its reals; D's steps see G's new weights."""
    of = LOSSES[name]
    found = train(
        small(),
        data(),
        **options(optimizer=ADAM, steps=steps, first="G", noise=0.5, loss=of, iterations=3),
    )
    G, D = (copy.deepcopy(net) for net in small())
    of_g, of_d = ADAM(G.parameters()), ADAM(D.parameters())
    stream = torch.Generator().manual_seed(0)
    place, order = 20, None

    def draw():
        nonlocal place, order
        if place + 8 > 20:
            order, place = torch.randperm(20, generator=stream), 0
        x = data()[order[place : place + 8]]
        place += 8
        z = torch.randn(8, 2, generator=stream)
        return x + 0.5 * torch.rand(8, 3, generator=stream), z

    for _ in range(3):
        for turn in [0] * steps[1] + [1] * steps[0]:
            x, z = draw()
            y = G(z) if turn == 0 else G(z).detach()
            net, steps_of = ((G, of_g), (D, of_d))[turn]
            loss = (of.generator if turn == 0 else of.discriminator)(D(x), D(y))
            steps_of.zero_grad()
            slopes = torch.autograd.grad(loss, list(net.parameters()))
            for weight, slope in zip(net.parameters(), slopes, strict=True):
                weight.grad = slope
            steps_of.step()
    assert torch.allclose(joint_point(*found.players), joint_point(G, D), atol=1e-6)


def test_noise_and_turns_go_on_after_a_break(tmp_path):
    def run(iterations, **more):
        given = options(first="G", noise=0.1, optimizer=ADAM, iterations=iterations)
        return train(small(), data(), **given, **more)

    run(3, checkpoint=tmp_path / "a.pt")
    assert same(run(7, checkpoint=tmp_path / "a.pt"), run(7))
    for other in ({"first": "D"}, {"noise": 0.2}):
        with pytest.raises(ValueError, match=f"another run: .*{next(iter(other))}"):
            given = {"first": "G", "noise": 0.1, "optimizer": ADAM, "iterations": 7} | other
            train(small(), data(), **options(**given), checkpoint=tmp_path / "a.pt")


def test_a_later_option_leaves_checkpoints_as_they_were(tmp_path):
    """What is not used is not part of a run's identity: older checkpoints go on."""
    train(small(), data(), **options(), checkpoint=tmp_path / "a.pt")
    run = torch.load(tmp_path / "a.pt", weights_only=True)["run"]
    assert not {"first", "noise"} & set(run) and {"loss", "steps", "latent", "logit"} <= set(run)


def test_turns_are_checked():
    for wrong in ({"d": 0}, {"g": None}, {"d": "1"}, {"g": 1.5}):
        with pytest.raises(ValueError, match="'s steps is a whole number, 1 or more"):
            Turns(**wrong)
    with pytest.raises(ValueError, match="first is one of 'D', 'G', got 'DG'"):
        train(small(), data(), **options(first="DG"))
    with pytest.raises(ValueError, match="noise is a finite number, 0 or more, got -1"):
        train(small(), data(), **options(noise=-1))
