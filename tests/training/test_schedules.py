"""Rates that fall and averages of weights, beside torch's own; and both across a checkpoint."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.losses import LOSSES
from helpers.models import Players, mlp
from helpers.models.copying import copied
from helpers.training import (
    Diverged,
    Extragradient,
    HeavyBall,
    Lookahead,
    Nudged,
    Optimistic,
    Paused,
    Recording,
    averaged,
    averaging,
    falling,
    train,
)
from helpers.training.core import Training
from helpers.training.data import EpochBatches
from helpers.training.single import SingleTraining

SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.9)
ADAM = partial(torch.optim.Adam, lr=0.1, betas=(0.0, 0.9))
EYE = torch.eye(2)


def steps(net, optimizer, count, each=lambda: None):
    """Steps along a gradient that changes with the weights."""
    torch.manual_seed(0)
    data = torch.randn(count, 8, 3)
    for x in data:
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
        each()


@pytest.mark.parametrize("make", [SGD, ADAM])
def test_rates_fall_as_torchs_scheduler_lets_them(make):
    """Linearly from the middle on, to zero at the end, and they stay there."""
    nets = [mlp([3, 4, 1], seed=0) for _ in range(2)]
    ours, theirs = make(nets[0].parameters()), make(nets[1].parameters())
    assert falling(ours, 5, 10) is ours
    scheduler = LambdaLR(theirs, lambda t: max((10 - max(t, 5)) / 5, 0.0))
    steps(nets[0], ours, 12)
    steps(nets[1], theirs, 12, scheduler.step)
    assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"] == 0.0
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("make", [SGD, ADAM])
@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_average_is_torchs(make, decay):
    net = mlp([3, 4, 1], seed=0)
    optimizer = averaging(make(net.parameters()), decay)
    theirs = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))
    steps(net, optimizer, 7, lambda: theirs.update_parameters(net))
    found = averaged(net, optimizer)
    pairs = list(zip(found.parameters(), theirs.module.parameters(), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)
    moved = zip(found.parameters(), net.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in moved) == (decay == 0)


def test_averages_of_another_order():
    """Each weight has its own average, in whatever order the optimiser lists them."""
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    groups = [{"params": net[1].parameters()}, {"params": net[0].parameters(), "lr": 0.01}]
    optimizer = averaging(torch.optim.SGD(groups, lr=0.1), 0.0)
    steps(net, optimizer, 2)
    for one, other in zip(averaged(net, optimizer).parameters(), net.parameters(), strict=True):
        assert torch.equal(one, other)
    for other in (copied(net), nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))):
        with pytest.raises(ValueError, match="no copies of those that the optimiser moves"):
            averaged(other, optimizer)
    with torch.no_grad():
        net[0].weight[0, 0] = torch.nan  # of a net that has diverged
    plain = averaging(SGD(net.parameters()), 0.5)
    steps(net, plain, 1)
    assert averaged(copied(net).double(), plain)[0].weight[0, 0].isnan()


def test_buffers_and_frozen_weights_are_the_networks_own():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    net[2].requires_grad_(False)
    optimizer = averaging(SGD([w for w in net.parameters() if w.requires_grad]), 0.9)
    steps(net, optimizer, 4)
    found = averaged(net, optimizer)
    assert torch.equal(found[1].running_mean, net[1].running_mean)
    assert torch.equal(found[2].weight, net[2].weight)
    assert not torch.equal(found[0].weight, net[0].weight)


@pytest.mark.parametrize("wrapped", [False, True])
def test_both_go_on_from_a_checkpoint(tmp_path, wrapped):
    """To the bit, and with the average of all steps, those before the break too.

    Of an extragradient method, whose every second move is a step, only the steps count.
    """
    made, falls = [], (3, 6) if wrapped else (6, 12)

    def make(weights):
        optimizer = ADAM(weights)
        optimizer = Extragradient(optimizer) if wrapped else optimizer
        made.append(averaging(falling(optimizer, *falls), 0.8))
        return made[-1]

    def run(**recording):
        pair = Players(mlp([1, 5, 1], seed=0), mlp([1, 5, 1], seed=1))
        made.clear()
        result = train(
            pair, EpochBatches(torch.linspace(-1, 1, 12)[:, None], latent=1, size=4),
            loss=LOSSES["rs"], optimizer=make, iterations=12,
            recording=Recording(every=3, **recording),
        )  # fmt: skip
        return result, averaged(result.players.generator, made[0])

    whole, average = run()
    count = iter(range(99))
    path = tmp_path / "state.pt"
    with pytest.raises(Paused):
        run(checkpoint=path, until=lambda: next(count) == 7)
    again, resumed = run(checkpoint=path)
    for one, other in ((whole.players.generator, again.players.generator), (average, resumed)):
        for here, there in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(here, there)
    assert made[0].param_groups[0]["lr"] == 0.0


def test_another_schedule_is_another_run(tmp_path):
    path = tmp_path / "state.pt"

    def run(end, decay):
        def make(weights):
            return averaging(falling(ADAM(weights), 2, end), decay)

        pair = Players(mlp([1, 5, 1], seed=0), mlp([1, 5, 1], seed=1))
        train(
            pair, EpochBatches(torch.zeros(8, 1), latent=1, size=4), loss=LOSSES["js"],
            optimizer=make, iterations=4, recording=Recording(every=2, checkpoint=path),
        )  # fmt: skip

    run(4, 0.5)
    for other in ((5, 0.5), (4, 0.6)):
        with pytest.raises(ValueError, match="is of another run: there and here, optimizers"):
            run(*other)


def test_a_graph_is_not_captured_where_hooks_run(monkeypatch):
    """Python between the steps would be lost in a replay, and the rates would stay."""

    def training(make):
        found = []
        monkeypatch.setattr(Training, "advance", lambda self, n: found.append(self))
        pair = Players(mlp([1, 5, 1], seed=0), mlp([1, 5, 1], seed=1))
        batches = EpochBatches(torch.zeros(8, 1), latent=1, size=4)
        train(pair, batches, loss=LOSSES["js"], optimizer=make, iterations=1)
        assert isinstance(found[0], SingleTraining)
        return found[0]

    assert training(ADAM).is_repeated()
    assert not training(lambda w: falling(ADAM(w), 1, 2)).is_repeated()
    assert not training(lambda w: averaging(ADAM(w), 0.5)).is_repeated()


def test_refused_by_name():
    net = mlp([3, 4, 1], seed=0)
    optimizer = SGD(net.parameters())
    with pytest.raises(ValueError, match="no average of all weights"):
        averaged(net, optimizer)
    with pytest.raises(ValueError, match=r"the net has weights \[\(1, 3\)"):
        averaged(nn.Linear(3, 1), optimizer)
    averaging(optimizer, 0.5)
    with pytest.raises(ValueError, match=r"averaged already, with decay 0\.5"):
        averaging(optimizer, 0.9)
    falling(optimizer, 1, 2)
    with pytest.raises(ValueError, match=r"fall already, over steps \[1, 2\]"):
        falling(optimizer, 1, 2)
    with pytest.raises(ValueError, match=r"decay is below 1, got 1\.0"):
        averaging(SGD(net.parameters()), 1)
    with pytest.raises(ValueError, match="end is a whole number, 4 or more, got 3"):
        falling(SGD(net.parameters()), 3, 3)
    with pytest.raises(ValueError, match="an optimiser is one of torch's, got 'adam'"):
        falling("adam", 1, 2)


@pytest.mark.parametrize(
    "wrap",
    [Extragradient, Optimistic, Lookahead, lambda o: HeavyBall(o, -0.5), lambda o: Nudged(o, EYE)],
)
def test_wrappers_go_inside(wrap):
    """Around what averages, weights move after they were averaged, or steps are counted twice."""
    weights = [torch.zeros(2, requires_grad=True)]
    with pytest.raises(ValueError, match=r"goes inside, as in .* that averages the weights at its"):
        wrap(averaging(SGD(weights), 0.5))
    with pytest.raises(ValueError, match=r"goes inside, as in .* that lets the rates fall at its"):
        wrap(falling(SGD(weights), 1, 2))
    averaging(falling(wrap(SGD(weights)), 1, 2), 0.5)


def test_a_training_that_diverges_still_diverges():
    """A rate that falls does not hide it."""
    pair = Players(mlp([1, 5, 1], seed=0), mlp([1, 5, 1], seed=1))
    with pytest.raises(Diverged):
        train(
            pair, EpochBatches(torch.full((8, 1), 1e30), latent=1, size=4), loss=LOSSES["ls"],
            optimizer=lambda w: falling(torch.optim.SGD(w, lr=1e20), 50, 100), iterations=100,
        )  # fmt: skip
