"""Ensembles against members trained alone by a plain loop, and all that can interrupt them."""

from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from helpers import training
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES, GanLoss
from helpers.models import Players, mlp
from helpers.models.copying import copied
from helpers.models.stacked import Stacked
from helpers.operators import hessian
from helpers.spectra import NotConverged
from helpers.training.data import Members
from helpers.training.nudged import Nudged
from helpers.training.nudging import MemberDirections, Nudging
from helpers.training.optimizers import Extragradient, Lookahead
from helpers.training.train import Diverged, Recording
from helpers.training.turns import Turns

SGD = partial(torch.optim.SGD, lr=1e-2, momentum=0.9)
ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.0, 0.9))


def train_ensemble(*given, steps=(1, 1), **options):
    """`helpers.training.train_ensemble`, with one option for each number that its objects hold."""
    turns = None if steps is None else Turns(*steps)
    recording = {"every": 1} | _taken(Recording, options)
    parts = {"turns": turns, "recording": Recording(**recording)}
    members = Members(*given, **_taken(Members, options))
    return training.train_ensemble(members, **parts | options)


def _taken(kind, options):
    """Those options that are fields of a class, taken out."""
    names = [each.name for each in fields(kind) if each.name in options]
    return {name: options.pop(name) for name in names}


def pairs(count=3):
    return [Players(mlp([1, 5, 1], seed=s), mlp([1, 6, 1], seed=50 + s)) for s in range(count)]


def data(count=3, n=20):
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(count, n, 1, generator=random)
    return latents, torch.randn(count, n, 1, generator=random) + 2


def alone(pair, z, x, loss, optimizer, iterations, steps):
    """The losses of each iteration's last steps, by the loop that everybody writes."""
    G, D = pair
    of_g, of_d = optimizer(G.parameters()), optimizer(D.parameters())
    found = []
    for _ in range(iterations):
        for _ in range(steps[0]):
            of_d.zero_grad()
            loss_d = loss.discriminator(D(x), D(G(z).detach()))
            loss_d.backward()
            of_d.step()
        for _ in range(steps[1]):
            of_g.zero_grad()
            loss_g = loss.generator(D(x), D(G(z)))
            loss_g.backward()
            of_g.step()
        found.append([loss_d.item(), loss_g.item()])
    return np.array(found)


def together(loss="rs", optimizer=SGD, iterations=6, count=3, **more):
    return train_ensemble(
        pairs(count),
        *data(count),
        loss=LOSSES[loss],
        optimizer=optimizer,
        iterations=iterations,
        **more,
    )


# Not rs and wgan with Adam: the slope of D's last bias is 0 but for rounding there, and Adam makes
# whole steps of it.
@pytest.mark.slow
@pytest.mark.parametrize(
    "loss, optimizer", [("js", SGD), ("rs", SGD), ("ls", SGD), ("js", ADAM), ("ls", ADAM)]
)
def test_each_member_as_alone(loss, optimizer):
    """A hundred iterations of several steps: losses and weights to float32 rounding."""
    steps = (3, 2)
    run = together(loss, optimizer, 100, steps=steps)
    for number, (pair, z, x) in enumerate(zip(pairs(), *data(), strict=True)):
        wanted = alone(pair, z, x, LOSSES[loss], optimizer, 100, steps)
        found = np.stack([run.records["loss_d"], run.records["loss_g"]], axis=-1)[:, number]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        for net, stacked in zip(pair, (run.generators, run.discriminators), strict=True):
            for one, other in zip(
                net.parameters(), stacked.member(number).parameters(), strict=True
            ):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda(tmp_path):
    """The CPU's numbers on a GPU, and a checkpoint of it that goes on."""
    wanted = together("js", iterations=20)
    found = together("js", iterations=20, device="cuda", checkpoint=tmp_path / "run.pt")
    np.testing.assert_allclose(found.records["loss_d"], wanted.records["loss_d"], rtol=1e-4)
    for many in (10, 20):
        again = together(
            "js", iterations=many, device="cuda", checkpoint=tmp_path / "other.pt", save_every=5
        )
    np.testing.assert_array_equal(again.records["loss_d"], found.records["loss_d"])


def test_each_member_its_loss():
    """Side by side as apart, whichever losses the neighbours have."""
    names = ["js", "rs", "rs"]
    run = train_ensemble(
        pairs(), *data(), loss=[LOSSES[name] for name in names], optimizer=SGD, iterations=30
    )
    for number, name in enumerate(names):
        wanted = together(name, iterations=30)
        for each in ("loss_d", "loss_g"):
            np.testing.assert_allclose(
                run.records[each][:, number], wanted.records[each][:, number], rtol=1e-5
            )


# Relativistic averages (Jolicoeur-Martineau 2019), whose means couple samples; and a sum.
OWN = {
    "average": GanLoss(
        "average",
        lambda real, fake: (
            softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()
        ),
        lambda real, fake: (
            softplus(real.mean() - fake).mean() + softplus(real - fake.mean()).mean()
        ),
        pairs=True,
    ),
    "sum": GanLoss(
        "sum",
        lambda real, fake: softplus(-real).sum() + softplus(fake).sum(),
        lambda real, fake: softplus(-fake).sum(),
    ),
}
OWN |= {f"{name} weighted": loss.weighted(0.5) for name, loss in OWN.items()}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("steps", [(1, 1), None])
def test_members_with_a_loss_of_ones_own(name, steps):
    """They move as each does alone, though the loss couples samples."""
    how = {"loss": OWN[name], "optimizer": SGD, "iterations": 3, "snapshots": [3], "steps": steps}
    z, x = data(2)
    x[1] += 3
    run = train_ensemble(pairs(2), z, x, **how)
    for number, pair in enumerate(pairs(2)):
        alone = train_ensemble([pair], z[[number]], x[[number]], **how)
        assert torch.allclose(run.snapshots[3][number], alone.snapshots[3][0], rtol=1e-4, atol=1e-5)


def test_constrain():
    """After each of D's steps, never of G's."""

    def clip(discriminators):
        for weight in discriminators.parameters.values():
            weight.clamp_(-0.01, 0.01)

    run = together("wgan", iterations=3, steps=(2, 1), constrain=clip)
    assert all(weight.abs().max() <= 0.01 for weight in run.discriminators.parameters.values())
    assert any(weight.abs().max() > 0.01 for weight in run.generators.parameters.values())


def test_constrain_after_a_step_back():
    """The point between two allowed ones is put back, too, and slow weights start from there."""

    def unit(discriminators):
        for weight in discriminators.parameters.values():
            weight.div_(weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.ndim - 1)))

    plain = partial(torch.optim.SGD, lr=0.5)
    optimizers = (plain, lambda weights: Lookahead(plain(weights), every=2))
    how = {"loss": LOSSES["js"], "optimizer": optimizers, "constrain": unit}
    half = train_ensemble(pairs(), *data(), iterations=2, **how)
    for weight in half.discriminators.parameters.values():
        assert torch.allclose(weight.flatten(1).norm(dim=1), torch.ones(3))
    stacked = half.generators, half.discriminators
    nets = [Players(*(each.member(number) for each in stacked)) for number in range(3)]
    whole = train_ensemble(pairs(), *data(), iterations=4, snapshots=[4], **how)
    other = train_ensemble(nets, *data(), iterations=2, snapshots=[2], **how)
    assert torch.allclose(whole.snapshots[4], other.snapshots[2], atol=1e-6)


def test_members_do_not_see_each_other():
    """The first two of three are what they are as two, batches drawn included."""
    three, two = together(batch_with_replacement=5), together(batch_with_replacement=5, count=2)
    # data(2) draws other numbers than data(3): give both the same.
    z, x = data(3)
    two = train_ensemble(
        pairs(2),
        z[:2],
        x[:2],
        loss=LOSSES["rs"],
        optimizer=SGD,
        iterations=6,
        batch_with_replacement=5,
    )
    np.testing.assert_allclose(three.records["loss_d"][:, :2], two.records["loss_d"], rtol=1e-5)


def test_batches_follow_the_seed():
    one, same, other = (
        together(batch_with_replacement=5, seed=s).records["loss_d"] for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-4


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
@pytest.mark.parametrize("batch", [None, 4])
def test_resumed_equals_uninterrupted(tmp_path, optimizer, batch):
    """Interrupted in an iteration between two saves, to the bit."""
    calls = 0

    def observe(G, D, z, x):
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return {"mean": G(z).mean(dim=(1, 2))}

    file = tmp_path / "run.pt"
    options = {
        "optimizer": optimizer,
        "iterations": 12,
        "batch_with_replacement": batch,
        "observe": observe,
    }
    with pytest.raises(KeyboardInterrupt):
        together(checkpoint=file, save_every=3, **options)
    calls = 8
    resumed = together(checkpoint=file, save_every=3, **options)
    calls = 8
    whole = together(**options)
    np.testing.assert_array_equal(resumed.iterations, whole.iterations)
    assert resumed.records.keys() == whole.records.keys() == {"loss_d", "loss_g", "mean"}
    for name, values in whole.records.items():
        np.testing.assert_array_equal(resumed.records[name], values)
    for one, other in zip(
        resumed.generators.parameters.values(), whole.generators.parameters.values(), strict=True
    ):
        assert torch.equal(one, other)


class Fades(torch.nn.Module):
    """With a count that is no buffer, or a mean, which in a stack lies within vmap."""

    def __init__(self, kind, seed):
        super().__init__()
        self.net, self.kind, self.seen, self.mean = mlp([1, 5, 1], seed=seed), kind, 0, None

    def forward(self, x):
        if self.kind == "mean":
            self.mean = x.detach().mean()
            return self.net(x)
        self.seen += 1
        return self.net(x) * min(1, self.seen / 20)


def test_attributes_resume_too(tmp_path):
    """A count of all members; what each member has of its own is refused."""

    def run(iterations, kind="count", **more):
        nets = [Players(pair.generator, Fades(kind, k)) for k, pair in enumerate(pairs())]
        how = {"loss": LOSSES["js"], "optimizer": SGD, "snapshots": [iterations]}
        return train_ensemble(nets, *data(), iterations=iterations, **how, **more)

    run(3, checkpoint=tmp_path / "a.pt")
    resumed, whole = run(7, checkpoint=tmp_path / "a.pt"), run(7)
    assert torch.equal(resumed.snapshots[7], whole.snapshots[7])
    assert resumed.discriminators.member(1).seen == whole.discriminators.member(1).seen > 7
    with pytest.raises(ValueError, match=r"^mean changes .* got a tensor from within"):
        run(3, "mean", checkpoint=tmp_path / "b.pt")


def test_checkpoint_of_another_run(tmp_path):
    file = tmp_path / "run.pt"
    together(checkpoint=file, save_every=2)
    changes = [{"loss": "js"}, {"steps": (2, 1)}, {"optimizer": partial(SGD, lr=2e-2)}, {"seed": 1}]
    for other in changes:
        with pytest.raises(ValueError, match="another run"):
            together(checkpoint=file, **other)
    rs = {"loss": LOSSES["rs"], "optimizer": SGD, "iterations": 6, "checkpoint": file}
    with pytest.raises(ValueError, match="another run"):  # other networks
        train_ensemble(pairs(4)[1:], *data(), **rs)
    with pytest.raises(ValueError, match="has 6 iterations, more than 5"):
        together(checkpoint=file, iterations=5)


def test_finished_run_is_not_run_again(tmp_path):
    file = tmp_path / "run.pt"
    first = together(checkpoint=file, save_every=3)
    again = together(checkpoint=file, save_every=3)
    np.testing.assert_array_equal(first.records["loss_d"], again.records["loss_d"])


def test_divergence_stops_one_member_only():
    """Said with member and iteration; the others are as without it."""
    members = pairs()
    with torch.no_grad():
        for weight in members[1].discriminator.parameters():
            weight.mul_(1e25)
    z, x = data()
    run = train_ensemble(members, z, x, loss=LOSSES["ls"], optimizer=SGD, iterations=6)
    assert run.diverged == {1: 1}
    assert np.isnan(run.records["loss_d"][:, 1]).all()
    calm = together("ls")
    np.testing.assert_array_equal(
        run.records["loss_d"][:, [0, 2]], calm.records["loss_d"][:, [0, 2]]
    )
    with pytest.raises(FloatingPointError, match=r"every member has diverged, at \{0: 1\}"):
        train_ensemble(members[1:2], z[1:2], x[1:2], loss=LOSSES["ls"], optimizer=SGD, iterations=6)


def test_records_are_as_often_as_asked():
    run = together(iterations=7, every=3)
    np.testing.assert_array_equal(run.iterations, [3, 6])
    np.testing.assert_array_equal(
        run.records["loss_d"], together(iterations=7).records["loss_d"][[2, 5]]
    )


def test_python_numbers_keep_their_precision():
    """What an observer counts in Python is recorded as numpy would; tensors keep their own."""

    def observe(*_):
        return {"large": 1e39, "thirds": [1 / 3], "count": 2**40, "own": torch.ones(2)}

    records = together(iterations=1, every=1, observe=observe).records
    assert records["large"][0] == 1e39 and records["thirds"][0] == 1 / 3
    assert records["count"][0] == 2**40 and records["own"].dtype == np.float32


def test_no_iterations():
    run = together(iterations=0)
    assert run.records == {} and len(run.iterations) == 0
    weights = pairs()[1].generator.parameters()
    for one, other in zip(weights, run.generators.member(1).parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"iterations": -1}, "iterations is a whole number, 0 or more"),
        ({"every": 0}, "every is a whole number, 1 or more"),
        ({"steps": (0, 1)}, "D's steps is"),
        ({"steps": (1, 0)}, "G's steps is"),
        ({"batch_with_replacement": 0}, "batch_with_replacement is"),
    ],
)
def test_counts_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        together(**change)


def test_bad_data():
    z, x = data()
    run = partial(train_ensemble, loss=LOSSES["js"], optimizer=SGD, iterations=1)
    with pytest.raises(ValueError, match="at least one pair"):
        run([], z, x)
    with pytest.raises(ValueError, match=r"latents are \(3, n, \.\.\.\)"):
        run(pairs(), z[:2], x)
    with pytest.raises(ValueError, match=r"reals are \(3, n, \.\.\.\)"):
        run(pairs(), z, x[:, :0])
    with pytest.raises(ValueError, match="reals must be finite"):
        run(pairs(), z, x * np.nan)
    with pytest.raises(ValueError, match="3 members need one loss or one for each, got 2"):
        train_ensemble(pairs(), z, x, loss=[LOSSES["js"]] * 2, optimizer=SGD, iterations=1)


def play_alone(pair, z, x, loss, rates, iterations, extrapolate):
    """Both players at once, by the loop that everybody writes: the weights after it, in a row."""
    G, D = pair
    for _ in range(iterations):
        past = [w.detach().clone() for net in pair for w in net.parameters()]
        for _ in range(1 + extrapolate):
            loss_g = loss.generator(D(x), D(G(z)))
            loss_d = loss.discriminator(D(x), D(G(z)))
            slopes = torch.autograd.grad(loss_g, G.parameters(), retain_graph=True)
            slopes += torch.autograd.grad(loss_d, D.parameters())
            weights = [w for net in pair for w in net.parameters()]
            lr = [rates[0]] * len(list(G.parameters())) + [rates[1]] * len(list(D.parameters()))
            with torch.no_grad():
                for w, before, slope, rate in zip(weights, past, slopes, lr, strict=True):
                    w.copy_(before - rate * slope)
    return joint_point(G, D)


@pytest.mark.parametrize("loss", ["js", "rs", "hinge"])
@pytest.mark.parametrize("extrapolate", [False, True])
def test_both_at_once(loss, extrapolate):
    """Gradients of both at one point, a rate for each, and weights kept on the way."""
    rates = (1e-2, 5e-2)
    makers = tuple(
        partial(lambda w, lr: Extragradient(torch.optim.SGD(w, lr=lr)), lr=r)
        if extrapolate
        else partial(torch.optim.SGD, lr=r)
        for r in rates
    )
    run = together(loss, makers, steps=None, snapshots=[0, 4])
    assert set(run.snapshots) == {0, 4}
    for number, (pair, z, x) in enumerate(zip(pairs(), *data(), strict=True)):
        assert torch.equal(run.snapshots[0][number], joint_point(*pair))
        wanted = play_alone(pair, z, x, LOSSES[loss], rates, 4, extrapolate)
        assert torch.allclose(run.snapshots[4][number], wanted, atol=1e-6)
    assert run.records["norm_g"].shape == run.records["norm_d"].shape == (6, 3)


def test_penalty_in_turn():
    """D's step in turn goes down its loss and the penalty, at reals and at interpolates."""
    for where in ("data", "interpolates"):
        penalty = GradientPenalty(0.5, where)
        run = together("wgan", iterations=1, penalty=penalty, snapshots=[1])
        for number, ((G, D), z, x) in enumerate(zip(pairs(), *data(), strict=True)):
            y = G(z).detach()
            value = LOSSES["wgan"].discriminator(D(x), D(y))
            value = value + penalty(D, x, y, penalty.shares(20))
            slopes = torch.autograd.grad(value, D.parameters())
            lr = SGD.keywords["lr"]
            wanted = [w - lr * g for w, g in zip(D.parameters(), slopes, strict=True)]
            flat = torch.cat([w.reshape(-1) for w in wanted])
            assert torch.allclose(run.snapshots[1][number, -len(flat) :], flat, atol=1e-6)


def test_extragradient_in_turn():
    """As in `train`: a player's moves are an extrapolation and a step by turns."""
    make = lambda weights: Extragradient(torch.optim.SGD(weights, lr=0.05))  # noqa: E731
    run = together("js", make, iterations=4, snapshots=[4])
    for number, (nets, z, x) in enumerate(zip(pairs(), *data(), strict=True)):
        past = [None, None]
        for iteration in range(4):
            for player in (1, 0):
                loss = LOSSES["js"].discriminator if player else LOSSES["js"].generator
                weights = [*nets[player].parameters()]
                slopes = torch.autograd.grad(loss(nets[1](x), nets[1](nets[0](z))), weights)
                if iteration % 2 == 0:
                    past[player] = [weight.detach().clone() for weight in weights]
                with torch.no_grad():
                    for weight, start, slope in zip(weights, past[player], slopes, strict=True):
                        weight.copy_(start - 0.05 * slope)
        assert torch.allclose(run.snapshots[4][number], joint_point(*nets), atol=1e-6)


@pytest.mark.parametrize("error", [FloatingPointError, NotConverged])
def test_a_failed_search_for_directions(error):
    """It ends the training as in `train`, and says in which iteration."""

    def find(players, before):
        if before is not None:
            raise error("after 7 products")
        return torch.zeros(3, 19, 0)

    makers = (SGD, lambda weights: Nudged(SGD(weights), find, every=2))
    with pytest.raises(Diverged, match="found in iteration 3: after 7 products") as caught:
        together(optimizer=makers)
    assert caught.value.iteration == 3 and len(caught.value.run.iterations) == 2


def test_divergence_between_two_looks():
    """Whenever one looks, members and iterations are those that looking at each one finds."""
    wild = {"optimizer": partial(torch.optim.SGD, lr=1e9), "iterations": 30}
    found = []
    for every in (1, 30):
        with pytest.raises(Diverged) as caught:
            together("ls", **wild, every=every, snapshots=[29])
        found.append((caught.value.run.diverged, caught.value.iteration))
        assert not caught.value.run.snapshots
    assert found[0] == found[1]


def test_extrapolation_of_one_player_is_refused():
    for steps in ((1, 1), None):
        both = (lambda w: Extragradient(SGD(w)), SGD)
        with pytest.raises(ValueError, match="by both players or by neither"):
            together(optimizer=both, steps=steps)


def test_everybody_diverged():
    """The exception holds what there was, and who diverged when."""
    with pytest.raises(Diverged) as caught:
        together("ls", partial(torch.optim.SGD, lr=1e9), iterations=30)
    run = caught.value.run
    assert set(run.diverged) == {0, 1, 2}
    assert str(run.diverged) in str(caught.value)


class BatchJudge(torch.nn.Module):
    """A D whose logits depend on the whole batch, without buffers."""

    def __init__(self, seed):
        super().__init__()
        self.net = mlp([1, 6, 1], seed=seed)

    def forward(self, x):
        return self.net(x - 0.5 * x.mean(dim=0))


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("steps", [(2, 1), None])
def test_members_judge_as_one_alone_does(joint, steps):
    """Two batches or one, separable and pairing losses side by side: as `train` of each."""
    z, x = data(2, 8)
    nets = [Players(mlp([1, 5, 1], seed=s), BatchJudge(50 + s)) for s in range(2)]
    losses = [LOSSES["js"], LOSSES["rs"]]
    sgd = partial(torch.optim.SGD, lr=0.05)
    run = train_ensemble(
        nets, z, x, loss=losses, optimizer=sgd, iterations=3, steps=steps, joint_batch=joint,
        snapshots=[3],
    )  # fmt: skip
    for number, ((G, D), of) in enumerate(zip(nets, losses, strict=True)):
        G, D = copied(G), copied(D)
        fixed = z[number], x[number]
        for _ in range(3):
            for player in (1,) * steps[0] + (0,) * steps[1] if steps else ((1, 0),):
                _step((G, D), *fixed, of, joint, player)
        assert torch.allclose(run.snapshots[3][number], joint_point(G, D), atol=1e-6)


def _step(nets, z, x, of, joint, players):
    """A step of SGD of one player, or of both from one point."""
    G, D = nets

    def both(y):
        return D(torch.cat([x, y])).split(len(x)) if joint else (D(x), D(y))

    moves = []
    for player in players if isinstance(players, tuple) else (players,):
        y = G(z)
        at = both(y) if player or of.pairs else (None, D(y))
        loss = of.discriminator(*at) if player else of.generator(*at)
        weights = [*nets[player].parameters()]
        moves += zip(weights, torch.autograd.grad(loss, weights), strict=True)
    with torch.no_grad():
        for weight, slope in moves:
            weight.sub_(0.05 * slope)


@pytest.mark.parametrize("joint", [False, True])
def test_directions_judge_as_the_training_does(joint):
    """The Hessians that nudging looks at, of a D with batch statistics: those of its own game."""
    z, x = data(2, 8)
    nets = [Players(mlp([1, 3, 1], seed=s), BatchJudge(50 + s)) for s in range(2)]
    groups = [(LOSSES["js"], 1), (LOSSES["rs"], 1)]
    stacked = tuple(Stacked([pair[k] for pair in nets]) for k in range(2))
    for player in "GD":
        find = MemberDirections(
            player, Nudging(k=1, tolerance=1e-4), z, x, groups, joint_batch=joint
        )
        found = find.pairs(stacked).values[:, 0]
        for number, loss in enumerate(("js", "rs")):
            game = network_game(
                *nets[number], z[number], x[number], loss=loss, judging=Judging(joint)
            )
            dense = hessian(game, player, joint_point(*nets[number])).dense().double()
            wanted = torch.linalg.eigvalsh(torch.as_tensor(dense))
            assert found[number] == pytest.approx(
                float(wanted[-1]), abs=1e-3 * float(wanted.abs().max())
            )


def test_weights_that_do_not_require_grad():
    """No member's frozen weights move, whatever their values; the others see them as constants."""
    nets = pairs()
    for pair in nets:
        pair.discriminator[0].requires_grad_(False)
    z, x = data()
    run = train_ensemble(nets, z, x, loss=LOSSES["js"], optimizer=SGD, iterations=5, snapshots=[5])
    for number, pair in enumerate(nets):
        D = run.discriminators.member(number)
        assert torch.equal(D[0].weight, pair.discriminator[0].weight)
        assert not torch.equal(D[2].weight, pair.discriminator[2].weight)
        assert not D[0].weight.requires_grad and D[2].weight.requires_grad
        wanted = alone(
            Players(*map(copied, pair)), z[number], x[number], LOSSES["js"], _moving, 5, (1, 1)
        )
        found = [run.records[name][:, number] for name in ("loss_d", "loss_g")]
        np.testing.assert_allclose(np.stack(found, axis=-1), wanted, rtol=1e-4, atol=1e-5)
    assert run.snapshots[5].shape == (3, 16 + 7)
    nets[1].discriminator[0].requires_grad_(True)
    with pytest.raises(ValueError, match=r"members 0 and 1, 0\.weight\.requires_grad is False"):
        train_ensemble(nets, z, x, loss=LOSSES["js"], optimizer=SGD, iterations=1)
    for pair in nets:
        pair.generator.requires_grad_(False)
    with pytest.raises(ValueError, match="G has no weights that require grad"):
        nets[1].discriminator[0].requires_grad_(False)
        train_ensemble(nets, z, x, loss=LOSSES["js"], optimizer=SGD, iterations=1)


def _moving(weights):
    return SGD([weight for weight in weights if weight.requires_grad])


class Headed(torch.nn.Module):
    def __init__(self, seed, head):
        super().__init__()
        self.net = mlp([1, 6, 1], seed=seed)
        if head:
            self.head = mlp([1, 4], seed=seed)

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize("steps", [(1, 1), None])
def test_a_head_without_a_part_in_the_loss(steps):
    runs = [
        train_ensemble(
            [Players(mlp([1, 5, 1], seed=s), Headed(s, head)) for s in range(3)],
            *data(),
            loss=LOSSES["js"],
            optimizer=ADAM,
            iterations=5,
            steps=steps,
            snapshots=[0, 5],
        )
        for head in (True, False)
    ]
    assert torch.equal(runs[0].snapshots[5][:, :-8], runs[1].snapshots[5])
    assert torch.equal(runs[0].snapshots[5][:, -8:], runs[0].snapshots[0][:, -8:])


def test_losses_of_the_same_name():
    """Each member trains on its own, whatever they are called."""
    own = [LOSSES["js"].weighted(0.5), replace(LOSSES["ls"], name="js*0.5"), LOSSES["js"]]
    run = train_ensemble(pairs(), *data(), loss=own, optimizer=SGD, iterations=5)
    for number, loss in enumerate(own):
        wanted = train_ensemble(pairs(), *data(), loss=loss, optimizer=SGD, iterations=5)
        np.testing.assert_allclose(
            run.records["loss_d"][:, number], wanted.records["loss_d"][:, number], rtol=1e-5
        )


def groups_of(rate):
    return lambda weights: torch.optim.SGD([{"params": [w], "lr": rate} for w in weights], lr=0.1)


def clip(discriminators, bound):
    for weight in discriminators.parameters.values():
        weight.clamp_(-bound, bound)


def test_a_checkpoint_knows_its_run(tmp_path):
    """Groups, order of data, losses by what they compute, constraints, modules."""
    file, (z, x) = tmp_path / "run.pt", data()
    base = {
        "loss": LOSSES["rs"], "optimizer": groups_of(0.1), "iterations": 4, "checkpoint": file,
        "constrain": partial(clip, bound=1.0),
    }  # fmt: skip
    train_ensemble(pairs(), z, x, **base)
    leaky = [
        Players(pair.generator, torch.nn.Sequential(pair.discriminator[0], torch.nn.Tanh()))
        for pair in pairs()
    ]
    for nets, latents, reals, changes, said in (
        (pairs(), z, x.flip(1), {}, "reals is"),
        (pairs(), z.flip(1), x, {}, "latents is"),
        (pairs(), z, x, {"optimizer": groups_of(0.2)}, r"optimizers\.0\.groups\.0\.lr is 0\.1"),
        (pairs(), z, x, {"loss": replace(LOSSES["js"], name="rs")}, r"losses\.0\.0"),
        (pairs(), z, x, {"constrain": partial(clip, bound=2.0)}, r"constrain\.bound is 1\.0"),
        (leaky, z, x, {}, "players"),
    ):
        with pytest.raises(ValueError, match=f"of another run: there and here, {said}"):
            train_ensemble(nets, latents, reals, **base | changes)


def test_longer_runs_and_more_snapshots_are_the_same_run(tmp_path):
    file = tmp_path / "run.pt"
    together(iterations=4, every=2, snapshots=[0, 4], checkpoint=file)
    with pytest.raises(ValueError, match=r"4 iterations and did not keep \[2\], but \[0, 4\]"):
        together(iterations=9, every=2, snapshots=[2], checkpoint=file)
    with pytest.raises(ValueError, match="no record after 3"):
        together(iterations=9, every=3, checkpoint=file)
    found = together(iterations=9, every=4, snapshots=[4, 6], checkpoint=file)
    wanted = together(iterations=9, every=4, snapshots=[4, 6])
    assert sorted(found.snapshots) == [4, 6] and found.iterations.tolist() == [4, 8]
    assert all(torch.equal(found.snapshots[k], wanted.snapshots[k]) for k in (4, 6))
    for name in wanted.records:
        np.testing.assert_array_equal(found.records[name], wanted.records[name])


def test_numpy_numbers_and_arrays(tmp_path):
    z, x = (each.double().numpy() for each in data())
    file, wanted = tmp_path / "run.pt", together(iterations=4, batch_with_replacement=5)
    for iterations in (np.int64(2), np.int64(4)):
        run = train_ensemble(
            pairs(), z, x, loss=LOSSES["rs"], iterations=iterations,
            seed=np.int64(0), batch_with_replacement=np.int32(5),
            steps=(np.int64(1), 1), every=np.int64(1), save_every=np.int64(1),
            optimizer=partial(torch.optim.SGD, lr=np.float64(1e-2), momentum=np.float64(0.9)),
            checkpoint=file,
        )  # fmt: skip
    np.testing.assert_array_equal(run.records["loss_d"], wanted.records["loss_d"])
    with pytest.raises(ValueError, match=r"reals are floating-point numbers, got torch\.uint8"):
        train_ensemble(
            pairs(), z, (9 * x).astype(np.uint8), loss=LOSSES["rs"], optimizer=SGD, iterations=1
        )


def test_wrong_kinds():
    wrong = {
        "iterations": (None, "3", {3}, 1j, 1.0, True),
        "seed": (None, "3", -1, 1.5),
        "batch_with_replacement": ("3", 1.5, {3}),
        "turns": ("12", 1, (1, 1), Turns(first="G")),
        "loss": ("js", None, ["js"] * 3),
        "optimizer": (None, "sgd"),
        "snapshots": (None, "12", 5),
        "constrain": (1.0,),
        "observe": ("loss",),
        "device": ("gpu", None),
        "checkpoint": (1, {2}),
        "joint_batch": (None, 1),
    }
    for name, values in wrong.items():
        for value in values:
            how = {"loss": LOSSES["js"], "optimizer": SGD, "iterations": 1} | {name: value}
            with pytest.raises(ValueError):
                train_ensemble(pairs(), *data(), **how)
    for recording in (1, "losses", {"every": 1}):
        with pytest.raises(ValueError, match="recording must be of the class Recording, got"):
            training.train_ensemble(
                Members(pairs(), *data()),
                loss=LOSSES["js"],
                optimizer=SGD,
                iterations=1,
                recording=recording,
            )
    for members in (None, (pairs(), *data())):
        with pytest.raises(ValueError, match="members must be of the class Members, got"):
            training.train_ensemble(members, loss=LOSSES["js"], optimizer=SGD, iterations=1)
    for players in (None, "abc", [1, 2, 3], [pairs()[0][0]] * 3):
        with pytest.raises(ValueError, match="players are"):
            train_ensemble(players, *data(), loss=LOSSES["js"], optimizer=SGD, iterations=1)


def test_shapes_that_would_broadcast():
    z, x = data()
    two = [Players(pair.generator, mlp([1, 6, 2], seed=s)) for s, pair in enumerate(pairs())]
    how = {"optimizer": SGD, "iterations": 1}
    with pytest.raises(ValueError, match=r"one logit per sample, got \(3, 40, 2\) for \(3, 40\)"):
        train_ensemble(two, z, x, loss=LOSSES["js"], **how)
    with pytest.raises(ValueError, match="as many latents as reals, got 1 and 20"):
        train_ensemble(pairs(), z[:, :1], x, loss=LOSSES["rs"], **how)
    wide = torch.cat([x, x], dim=2)
    with pytest.raises(ValueError, match=r"of one shape, got \(2,\) and \(1,\)"):
        train_ensemble(pairs(), z, wide, loss=LOSSES["js"], **how)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_training_does_not_depend_on_the_mode_of_its_caller(mode):
    """An observer runs without gradients, and may train, too."""
    z, x = data(2)
    options = {"loss": LOSSES["js"], "optimizer": SGD, "iterations": 3}
    plain = train_ensemble(pairs(2), z, x, **options)
    with mode():
        held = train_ensemble(pairs(2), z, x, **options)
    assert np.array_equal(plain.records["loss_d"], held.records["loss_d"])

    def single(observe=None):
        batches, seen = training.EpochBatches(x[0], latent=1, size=5), Recording(1, observe)
        return training.train(pairs(1)[0], batches, recording=seen, **options).records

    plain = single()["loss_d"]
    assert len(set(plain)) > 1
    with mode():
        assert np.array_equal(single()["loss_d"], plain)
    inner = single(lambda players: {"inner": single()["loss_d"]})["inner"]
    assert np.array_equal(inner[0], plain)
