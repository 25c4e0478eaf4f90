"""Directions that nudging leaves out: those of one GAN, and of many at once."""

from functools import partial

import numpy as np
import pytest
import torch

from helpers.checkpoints.descriptions import described_optimizer
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES, GanLoss
from helpers.models import Players, mlp
from helpers.models.stacked import Stacked
from helpers.operators import MemberHessians, hessian
from helpers.spectra import member_eigenpairs
from helpers.training.data import EpochBatches, Members
from helpers.training.nudged import Nudged
from helpers.training.nudging import (
    MemberDirections,
    Nudging,
    SharpDirections,
    leading_pairs,
)
from helpers.training.train import Recording, train, train_ensemble
from tests.common import default_dtype

ADAM = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.999))


def pair(seed):
    sizes, tanh = ([2, 6, 2], [2, 6, 1]), torch.nn.Tanh
    return Players(*(mlp(s, seed=seed + k, activation=tanh) for k, s in enumerate(sizes)))


def data(members, n=32):
    random = torch.Generator().manual_seed(3)
    return torch.randn(members, n, 2, generator=random), torch.randn(
        members, n, 2, generator=random
    )


@pytest.mark.parametrize("player", ["G", "D"])
@pytest.mark.parametrize("penalty", [None, GradientPenalty(0.5)])
def test_members_against_dense(player, penalty):
    """Each member's pairs are those of its own dense Hessian, for losses of both kinds."""
    pairs, (z, x) = [pair(10 * k) for k in range(4)], data(4)
    groups = [(LOSSES["js"], 3), (LOSSES["rs"], 1)]
    nudging = Nudging(k=3, tolerance=1e-4)
    find = MemberDirections(player, nudging, z, x, groups, penalty)
    stacked = tuple(Stacked([p[k] for p in pairs]) for k in range(2))
    found = find.pairs(stacked)
    assert find(stacked, None).shape == found.vectors.shape
    for number, nets in enumerate(pairs):
        loss = "js" if number < 3 else "rs"
        game = network_game(*nets, z[number], x[number], loss=loss, penalty=penalty)
        dense = hessian(game, player, joint_point(*nets)).dense().double()
        values = torch.linalg.eigvalsh(dense)
        size = float(values.abs().max())
        np.testing.assert_allclose(
            found.values[number], values.flip(0)[:3], atol=2e-4 * size, rtol=0
        )
        assert float(found.lowest[number]) >= float(values[0]) - 1e-4 * size
        own = found.vectors[number].double()
        left = (dense @ own - own * found.values[number].double()).norm(dim=0)
        assert float(left.max()) <= 2e-4 * size
        assert torch.allclose(own.T @ own, torch.eye(3, dtype=own.dtype), atol=1e-5)


def test_single_against_members():
    """One GAN and a member of an ensemble leave out the same span."""
    nets, (z, x) = pair(5), data(1)
    nudging = Nudging(k=2, tolerance=1e-4)
    one = SharpDirections("D", nudging, z[0], x[0])(nets, None)
    stacked = tuple(Stacked([net]) for net in nets)
    all_of_them = MemberDirections("D", nudging, z, x, [(LOSSES["js"], 1)])(stacked, None)[0]
    assert float(torch.linalg.svdvals(one.T @ all_of_them).min()) > 1 - 1e-5


def grouped(find, weights):
    """Matrices before vectors, as for a weight decay of matrices alone."""
    weights = list(weights)
    groups = [[w for w in weights if (w.ndim > 1) == matrices] for matrices in (True, False)]
    return Nudged(torch.optim.SGD([{"params": group} for group in groups], lr=0.1), find)


def test_groups_in_another_order():
    """Directions are over the weights in their own order: those of another order are refused."""
    nets, (z, x) = pair(0), data(1)
    find = SharpDirections("D", Nudging(k=2, tolerance=1e-4), z[0], x[0])
    batches = EpochBatches(x[0], latent=2, size=32)
    how = {"loss": LOSSES["js"], "iterations": 1}
    plain = partial(torch.optim.SGD, lr=0.1)
    said = r"D's weights .* \[\(6, 2\), \(6,\), .*; .* got another one, \[\(6, 2\), \(1, 6\)"
    with pytest.raises(ValueError, match=said):
        train(nets, batches, optimizer=(plain, partial(grouped, find)), **how)

    def split(weights):
        groups = [{"params": [weight]} for weight in weights]
        return Nudged(torch.optim.SGD(groups, lr=0.1), find)

    found = train(nets, batches, optimizer=(plain, split), **how).players
    move = (joint_point(*found) - joint_point(*nets))[-25:]
    assert float((find(nets, None).T @ move).norm()) < 1e-4 * float(move.norm())
    fixed = torch.eye(25)[:, :1]  # over the optimiser's weights, whose order is the caller's
    train(nets, batches, optimizer=(plain, partial(grouped, fixed)), **how)


class Halves(torch.nn.Module):
    """Halves what it is given, where it lies or in a copy."""

    def __init__(self, net, in_place):
        super().__init__()
        self.net, self.in_place = net, in_place

    def forward(self, x):
        return self.net(x.mul_(0.5) if self.in_place else x * 0.5)


@pytest.mark.parametrize("player", ["G", "D"])
@pytest.mark.parametrize("loss", ["js", "rs"])
def test_networks_that_write_to_their_inputs(player, loss):
    """Latents and reals stay as they are, and so do the values that are found in them."""
    (z, x), pairs = data(2), [pair(10 * k) for k in range(2)]
    given, values = (z.clone(), x.clone()), []
    for in_place in (False, True):
        nets = (Stacked([Halves(p[k], in_place) for p in pairs]) for k in range(2))
        find = MemberDirections(player, Nudging(k=1, tolerance=1e-4), z, x, [(LOSSES[loss], 2)])
        values.append(find.pairs(tuple(nets)).values)
    assert torch.equal(z, given[0]) and torch.equal(x, given[1])
    assert torch.equal(*values)


def test_ends_of_invariant_spans():
    """A member whose Hessian has rank 1 ends early, beside one that goes on."""
    rows = torch.stack([torch.arange(12.0), torch.eye(12)[3] * 5])
    found = member_eigenpairs(lambda v: rows * v, torch.ones(2, 12), 3, tolerance=1e-5, most=12)
    np.testing.assert_allclose(found.values[0], [11, 10, 9], atol=1e-3)
    np.testing.assert_allclose(found.values[1], [5, 0, 0], atol=1e-4)
    inner = found.vectors.mT @ found.vectors
    np.testing.assert_allclose(inner, np.stack([np.eye(3)] * 2), atol=1e-4)


def test_each_pair_is_found():
    """Every residual is below its share of its own eigenvalue, far below the largest as well."""
    random = torch.Generator().manual_seed(0)
    values = torch.cat([torch.tensor([1000.0, 50, 8, 3, 2]), torch.linspace(-1, 1, 195)])
    axes = [torch.linalg.qr(torch.randn(200, 200, generator=random))[0] for _ in range(3)]
    H = torch.stack([a @ torch.diag(values) @ a.T for a in axes])
    begin = torch.randn(3, 200, generator=random)
    found = member_eigenpairs(lambda v: (H @ v[..., None])[..., 0], begin, 5, tolerance=0.1)
    true = (H @ found.vectors - found.vectors * found.values[:, None]).norm(dim=1)
    assert (true <= 0.11 * found.values).all()
    np.testing.assert_allclose(found.values, values[:5].expand(3, 5), rtol=0.02)
    for span, axis in zip(found.vectors, axes, strict=True):
        assert float(torch.linalg.svdvals(span.T @ axis[:, :5]).min()) > 0.95


def test_lost_members_stay_alone():
    """A product that is not finite costs its own member only."""
    rows = torch.stack([torch.arange(1.0, 13.0), torch.full((12,), torch.inf)])
    found = member_eigenpairs(lambda v: rows * v, torch.ones(2, 12), 2, tolerance=1e-4, most=12)
    np.testing.assert_allclose(found.values[0], [12, 11], atol=1e-3)
    assert found.values[1].isnan().all()
    assert not found.vectors[1].any()


def test_bad_counts():
    with pytest.raises(ValueError, match="k and most"):
        member_eigenpairs(lambda v: v, torch.ones(1, 3), 4)
    with pytest.raises(ValueError, match="begin"):
        member_eigenpairs(lambda v: v, torch.ones(3), 1)
    with pytest.raises(ValueError, match="players"):
        Nudging(players="X")
    with pytest.raises(ValueError, match="project"):
        Nudging(project="both")


def test_hessians_leave_weights_alone():
    own = {"w": torch.ones(2, 3, requires_grad=True)}
    product = MemberHessians(own, lambda p: p["w"].pow(2).sum()).product
    assert torch.equal(product(torch.ones(2, 3)), 2 * torch.ones(2, 3))
    assert own["w"].grad is None


def nudged(weights, find, project, inner=ADAM):
    return Nudged(inner(weights), find, project, every=3)


@pytest.mark.parametrize("project", ["gradient", "step"])
def test_ensemble_is_its_members(project):
    """A nudged ensemble's members train as each would alone."""
    pairs, (z, x) = [pair(10 * k) for k in range(3)], data(3)
    nudging = Nudging(k=2, tolerance=1e-3)

    def run(members):
        kept = slice(*members)
        few = [(LOSSES["js"], members[1] - members[0])]
        find = {p: MemberDirections(p, nudging, z[kept], x[kept], few) for p in "GD"}
        sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9)  # Adam would blow rounding up
        make = tuple(partial(nudged, find=find[p], project=project, inner=sgd) for p in "GD")
        return train_ensemble(
            Members(pairs[kept], z[kept], x[kept]),
            loss=LOSSES["js"],
            optimizer=make,
            iterations=8,
            recording=Recording(snapshots={8}),
        ).snapshots[8]

    together = run((0, 3))
    for k in range(3):
        np.testing.assert_allclose(together[k], run((k, k + 1))[0], atol=2e-5)


@pytest.mark.parametrize("project", ["gradient", "step"])
def test_training_goes_on_where_it_was(tmp_path, project):
    """A nudged training that was cut off amid two searches ends where an uncut one does."""
    nets, (z, x) = pair(7), data(1)

    def run(iterations, checkpoint=None):
        find = {p: SharpDirections(p, Nudging(k=2), z[0], x[0]) for p in "GD"}
        make = tuple(partial(nudged, find=find[p], project=project) for p in "GD")
        return train(
            nets, EpochBatches(x[0], latent=2, size=8), loss=LOSSES["js"], optimizer=make,
            iterations=iterations, recording=Recording(checkpoint=checkpoint, snapshots={10}),
        )  # fmt: skip

    run(5, tmp_path / "a.pt")
    again, whole = run(10, tmp_path / "a.pt"), run(10)
    assert torch.equal(joint_point(*again.players), joint_point(*whole.players))
    assert not torch.equal(joint_point(*whole.players), joint_point(*nets))


def test_one_description_in_every_process():
    """Checkpoints are told apart by it: it may not name places in memory."""
    z, x = data(2)
    finds = (
        SharpDirections("D", Nudging(), z[0], x[0]),
        MemberDirections("D", Nudging(), z, x, [(LOSSES["js"], 2)], GradientPenalty(1.0)),
    )
    for find in finds:
        text = str(described_optimizer(Nudged(ADAM([torch.zeros(2, 3)]), find, "step")))
        assert " at 0x" not in text
        assert "'k': 5" in text and "step" in text and "lr" in text


def test_both_look_before_either_moves():
    """Where players step at once, both directions are found at the point that gradients are of."""
    nets, (_, x) = pair(7), data(1)
    seen = {}

    class Find:
        def __init__(self, player):
            self.player = player

        def __call__(self, players, before):
            seen.setdefault(self.player, joint_point(*players).clone())
            weights = players["GD".index(self.player)].parameters()
            return torch.zeros(sum(w.numel() for w in weights), 0)

    make = tuple(partial(nudged, find=Find(p), project="step") for p in "GD")
    train(
        nets,
        EpochBatches(x[0], latent=2, size=8),
        loss=LOSSES["js"],
        optimizer=make,
        iterations=1,
        turns=None,
    )
    assert torch.equal(seen["G"], seen["D"])
    assert torch.equal(seen["G"], joint_point(*nets))


def first(output):
    return output[:, :1]


def one_nudged(find, player):
    """Plain descent for G and D, with a player's directions left out of its steps."""
    plain = partial(torch.optim.SGD, lr=0.1)
    return tuple((lambda w: Nudged(plain(w), find)) if p == player else plain for p in "GD")


def taken_or_refused(run, player, said):
    """A training runs with its directions, or refuses them in these words."""
    if not said:
        assert len(run().iterations) == 0
        return
    with pytest.raises(ValueError, match=f"directions of {player} .*{said}"):
        run()


@pytest.mark.parametrize(
    ("player", "of", "said"),
    [
        ("D", {}, "training's loss, 'rs', got .* loss='js'"),
        ("G", {}, "training's loss, 'rs', got .* loss='js'"),
        ("D", {"loss": "rs"}, r"training's penalty, .*weight=3.0.*, got .* penalty=None"),
        ("D", {"loss": "rs", "penalty": GradientPenalty(1.0)}, r"weight=3.0.*weight=1.0"),
        ("D", {"joint_batch": False}, "training's joint_batch, True, got .*=False"),
        ("D", {"logit": None}, "training's logit, <function first.*, got .*=None"),
        ("G", {"player": "D"}, "training's player, 'G', got .*='D'"),
        ("G", {"penalty": None}, ""),  # G's loss has none
        ("D", {"loss": GanLoss("rs", lambda r, f: -r.mean(), lambda r, f: -f.mean())}, "loss"),
    ],
)
def test_directions_of_another_loss(player, of, said):
    """They would be left out of the steps of a loss whose sharp directions are others."""
    nets, (z, x) = pair(0), data(1)
    right = {
        "player": player, "loss": LOSSES["rs"], "penalty": GradientPenalty(3.0),
        "joint_batch": True, "logit": first,
    }  # fmt: skip
    if "penalty" in said or "weight" in said or not of:
        right |= {"loss": "js", "penalty": None}  # the defaults
    find = SharpDirections(nudging=Nudging(k=1), latents=z[0], reals=x[0], **right | of)
    run = partial(
        train, nets, EpochBatches(x[0], latent=2, size=8), loss=LOSSES["rs"],
        optimizer=one_nudged(find, player), penalty=GradientPenalty(3.0),
        judging=Judging(True, first), iterations=1,
    )  # fmt: skip
    taken_or_refused(run, player, said)


def test_a_weighted_loss_made_twice():
    """The same factor of the same loss is no other loss, though its functions are other objects."""
    nets, (z, x) = pair(0), data(1)
    of = [LOSSES["js"].weighted(0.5) for _ in range(2)]
    find = SharpDirections("D", Nudging(k=1), z[0], x[0], of[0])
    makers = one_nudged(find, "D")
    batches = EpochBatches(x[0], latent=2, size=8)
    train(nets, batches, loss=of[1], optimizer=makers, iterations=1)
    with pytest.raises(ValueError, match=r"training's loss, 'js', got .*'js\*0.5'"):
        train(nets, batches, loss=LOSSES["js"], optimizer=makers, iterations=1)


@pytest.mark.parametrize(
    ("player", "of", "said"),
    [
        ("D", {"losses": ["js"] * 3}, r"training's loss of member 1, 'rs', got .*='js'"),
        ("G", {"losses": ["js", "rs", "rs"]}, r"training's loss of member 2, 'js', got .*='rs'"),
        ("G", {"losses": ["js", "rs"]}, r"training's number of members, 3, got .*=2"),
        ("D", {"penalty": None}, r"training's penalty, .*weight=3.0.*, got .*=None"),
        ("D", {"joint_batch": False}, "training's joint_batch, True, got .*=False"),
        ("G", {"player": "D"}, "training's player, 'G', got .*='D'"),
        ("G", {"penalty": None}, ""),  # G's loss has none
        ("D", {}, ""),
    ],
)
def test_directions_of_another_loss_of_members(player, of, said):
    """As those of one GAN, member by member, however the losses are grouped."""
    nets, (z, x) = [pair(10 * k) for k in range(3)], data(3)
    right = {"player": player, "penalty": GradientPenalty(3.0), "joint_batch": True} | of
    groups = [(LOSSES[name], 1) for name in right.pop("losses", ["js", "rs", "js"])]
    find = MemberDirections(
        nudging=Nudging(k=1), latents=z[: len(groups)], reals=x[: len(groups)], groups=groups,
        **right,
    )  # fmt: skip
    run = partial(
        train_ensemble, Members(nets, z, x), loss=[LOSSES[name] for name in ("js", "rs", "js")],
        optimizer=one_nudged(find, player), penalty=GradientPenalty(3.0), joint_batch=True,
        iterations=1,
    )  # fmt: skip
    taken_or_refused(run, player, said)


def test_directions_of_one_gan_or_of_many():
    """A training takes the kind that fits it, and names it."""
    nets, (z, x) = [pair(10 * k) for k in range(2)], data(2)
    one = SharpDirections("D", Nudging(k=1), z[0], x[0])
    many = MemberDirections("D", Nudging(k=1), z, x, [(LOSSES["js"], 2)])
    how = {"loss": LOSSES["js"], "iterations": 1}
    with pytest.raises(ValueError, match="an ensemble takes MemberDirections, got a SharpDirect"):
        train_ensemble(Members(nets, z, x), optimizer=one_nudged(one, "D"), **how)
    with pytest.raises(ValueError, match="one GAN takes SharpDirections, got a MemberDirect"):
        batches = EpochBatches(x[0], latent=2, size=8)
        train(nets[0], batches, optimizer=one_nudged(many, "D"), **how)


@pytest.mark.parametrize("player", ["G", "D"])
@pytest.mark.parametrize("joint", [False, True])
def test_members_whose_logits_are_probabilities(player, joint):
    """Refused as one GAN is, by name, where a loss takes logits."""
    nets, (z, x) = [pair(10 * k) for k in range(2)], data(2)
    nets = [Players(G, torch.nn.Sequential(D, torch.nn.Sigmoid())) for G, D in nets]
    stacked = tuple(Stacked([each[k] for each in nets]) for k in range(2))
    with pytest.raises(ValueError, match="D ends in a sigmoid, but the loss 'rs' takes logits"):
        groups = [(LOSSES["wgan"], 1), (LOSSES["rs"], 1)]
        MemberDirections(player, Nudging(k=1), z, x, groups, joint_batch=joint)(stacked, None)
    groups = [(LOSSES["wgan"], 2)]
    MemberDirections(player, Nudging(k=1), z, x, groups, joint_batch=joint)(stacked, None)


def test_the_same_search_whatever_the_default_dtype():
    """Its random vectors too, the first one and those after an invariant span."""
    own = {"w": torch.ones(1, 6, dtype=torch.float64)}
    held = torch.diag(torch.tensor([9.0, 5, 5, 3, 1, 1]).double())
    found = []
    for dtype in (torch.float32, torch.float64):
        with default_dtype(dtype):
            found.append(
                leading_pairs(
                    own, lambda w: (w["w"] @ held @ w["w"].T).sum(), None, Nudging(k=3), 0
                )
            )
    assert torch.equal(found[0].vectors, found[1].vectors)
