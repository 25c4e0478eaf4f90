"""`train`: against loops written out here, to the bit where an interruption is concerned."""

import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus
from torch.nn.utils import parameters_to_vector

from helpers import single
from helpers.losses import LOSSES
from helpers.models import Players, dcgan, mlp
from helpers.networks import joint_point
from helpers.optimizers import Extragradient, Nudged, Optimistic
from helpers.penalties import GradientPenalty
from helpers.replay import Replay
from helpers.training import Diverged, train

SGD = partial(torch.optim.SGD, lr=0.05)
ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


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
        "batch": 8,
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
        nets, images(), **options(latent=4, optimizer=ADAM, batch=4, iterations=4, joint_batch=True)
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
        latent=1, optimizer=silent, batch=5, iterations=6, loss=LOSSES["wgan"], joint_batch=True
    )
    train(nets, reals, **settings)
    batches = seen[::2]  # D's passes; G's in between
    epochs = [batches[k] + batches[k + 1] for k in (0, 2, 4)]
    assert all(sorted(each) == reals[:, 0].tolist() for each in epochs)
    assert len({tuple(each) for each in epochs}) == 3
    seen.clear()
    train(nets, reals, **settings | {"batch": 4, "iterations": 4})
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
    "averaged": {"optimizer": ADAM, "average": 0.9, "schedule": lambda k: 1 / (1 + k)},
    "pairs": {"optimizer": ADAM, "loss": LOSSES["rs"], "steps": (2, 2)},
}


@pytest.mark.parametrize("save_every", [3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interruption_changes_nothing(tmp_path, kind, save_every):
    """Stopped amid an epoch and between two saves, taken up again: the same bits."""
    nets = dcgan(seed=0, latent=4, width=2)
    settings = options(
        latent=4, batch=5, iterations=9, every=1, keep=(0, 2, 6, 9), **KINDS[kind] | {}
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
    assert sorted(resumed.kept) == [0, 2, 6, 9]
    for iteration in (2, 6):
        a, b = (joint_point(*run.players_at(iteration)) for run in (whole, resumed))
        assert torch.equal(a, b)
    if whole.averaged is not None:
        a, b = (list(run.averaged.parameters()) for run in (whole, resumed))
        assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))
    again = train(nets, images(), **settings | watched | {"observe": None})
    assert same(whole, again)  # from the file that the end has written, without a step


def test_other_runs_are_refused(tmp_path):
    store = tmp_path / "run.pt"
    train(small(), data(), **options(checkpoint=store))
    for changes in (
        {"seed": 1},
        {"loss": LOSSES["rs"]},
        {"batch": 4},
        {"steps": (2, 1)},
        {"optimizer": partial(torch.optim.SGD, lr=0.1)},
        {"average": 0.5},
        {"schedule": lambda k: 0.5},
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


def test_average_by_hand():
    """The first entry is the weights, then d a + (1 - d) w; batch norm's statistics are G's."""
    seen = []

    def observe(players):
        seen.append(torch.cat([p.detach().reshape(-1) for p in players.generator.parameters()]))
        return {}

    nets = dcgan(seed=0, latent=4, width=2)
    found = train(
        nets, images(), **options(latent=4, batch=4, every=1, average=0.8, observe=observe)
    )
    mean = seen[0]
    for each in seen[1:]:
        mean = 0.8 * mean + 0.2 * each
    got = torch.cat([p.detach().reshape(-1) for p in found.averaged.parameters()])
    assert torch.allclose(got, mean, atol=1e-6)
    held = found.players.generator[2].running_mean
    assert torch.equal(found.averaged[2].running_mean, held)


def test_schedule():
    """Rates fall for both players, inside a wrapper too; at zero nothing moves."""
    frozen = options(schedule=lambda k: 0.0 if k >= 3 else 1.0, optimizer=extra_adam, steps=None)
    a = train(small(), data(), **frozen | {"iterations": 3})
    b = train(small(), data(), **frozen | {"iterations": 7})
    c = train(small(), data(), **frozen | {"iterations": 7, "schedule": None})
    assert same(a, b)
    assert not same(a, c)


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
    train(nets, images(), **options(latent=4, batch=4))
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
    none = train(small(), data(), **options(iterations=0, keep=(0,)))
    assert torch.equal(joint_point(*none.players_at(0)), joint_point(*small()))
    with pytest.raises(ValueError, match=r"kept are the iterations \[0\], got 3"):
        none.players_at(3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"iterations": -1}, "iterations is a whole number, 0 or more"),
        ({"batch": 0}, "batch is a whole number, 1 or more"),
        ({"batch": 30}, "n at least 30"),
        ({"every": 0}, "every is"),
        ({"steps": (0, 1)}, "D's steps"),
        ({"latent": 0}, "a latent has"),
        ({"average": 1.0}, "the decay"),
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
        train(nets, images(), **options(latent=4, batch=4, iterations=3, device=device))
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
    monkeypatch.setattr(single.Single, "is_repeated", lambda *_: False)
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
