"""Networks as a game: what live modules say, and what must not change meanwhile."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, vector_to_parameters
from torch.nn.utils.parametrizations import spectral_norm

from helpers.games.networks import joint_point, network_game
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES
from helpers.models import mlp
from helpers.models.functional import PassSettings
from helpers.operators import ROUTES, hessian, jacobian
from tests.oracles.live import LOSS, NETWORKS, data, gan, live_field, live_losses, point

networks = pytest.mark.parametrize("kind", NETWORKS)
sizes = pytest.mark.parametrize("size", [None, 3, 4, 5, 8, 100])
CLOSE = 1e-12


def live_game(kind, size=None, **options):
    return network_game(*gan(kind), *data(kind), loss=LOSS[kind], batch_size=size, **options)


@networks
@sizes
def test_losses_over_batches(kind, size):
    """Weighted means over live batches; of eight samples in threes, the last batch has two."""
    nets, (latents, reals) = gan(kind), data(kind)
    vector_to_parameters(point(kind), [w for net in nets for w in net.parameters()])
    wanted = torch.zeros(2, dtype=torch.float64)
    for z, x in zip(latents.split(size or 8), reals.split(size or 8), strict=True):
        with torch.no_grad():
            wanted += len(z) / 8 * torch.stack(live_losses(nets, z, x, LOSS[kind]))
    game = live_game(kind, size)
    assert torch.allclose(game.losses(point(kind)), wanted, rtol=CLOSE, atol=0)
    assert torch.equal(game.losses(point(kind)), game.losses(point(kind)))


@networks
@sizes
def test_fields_over_batches(kind, size):
    """Gradients are those of `backward`, the same bits at every call."""
    game, omega = live_game(kind, size), point(kind)
    wanted = live_field(kind, omega, size or 8)
    p = game.sizes[0]
    assert torch.allclose(game.vector_field(omega), wanted, rtol=1e-10, atol=CLOSE)
    assert torch.allclose(game.gradient("G", omega), wanted[:p], rtol=1e-10, atol=CLOSE)
    assert torch.allclose(game.gradient("D", omega), wanted[p:], rtol=1e-10, atol=CLOSE)
    assert torch.equal(game.vector_field(omega), game.vector_field(omega))


def test_batch_norm_sees_one_batch_at_a_time():
    """Else the size of the batches would change nothing, as it does not without batch norm."""
    omega = point("layers")
    one, three = (live_game("layers", size).losses(omega) for size in (None, 3))
    assert (one - three).abs().min() > 1e-3
    one, three = (
        live_game("layers", s, passes=PassSettings(batch_norm="running")).losses(omega)
        for s in (None, 3)
    )
    assert torch.allclose(one, three, rtol=CLOSE, atol=0)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss):
    """Each gets the logits of live modules, real ones first."""
    (G, D), (z, x) = gan("layers"), data("layers")
    D[0].parametrizations.eval()
    with torch.no_grad():
        real, fake = D(x), D(G(z))
    found = network_game(*gan("layers"), z, x, loss=loss).losses(joint_point(G, D))
    of = LOSSES[loss]
    wanted = torch.stack([of.generator(real, fake), of.discriminator(real, fake)])
    assert torch.allclose(found, wanted, rtol=CLOSE, atol=0)


def test_running_statistics():
    """On request the stored ones, as in eval mode."""
    nets, (z, x) = gan("layers"), data("layers")
    for _ in range(3):
        nets[1](nets[0](z + 1))
    game = network_game(*nets, z, x, passes=PassSettings(batch_norm="running"))
    G, D = (copy.deepcopy(net).eval() for net in nets)
    with torch.no_grad():
        wanted = nn.functional.softplus(-D(G(z))).mean()
    omega = joint_point(*nets)
    assert torch.allclose(game.losses(omega)[0], wanted, rtol=CLOSE, atol=0)
    assert (network_game(*nets, z, x).losses(omega)[0] - wanted).abs() > 1e-3


def test_joint_point():
    """G's weights, then D's, as `parameters` has them, and a copy."""
    G, D = mlp([1, 2, 1], seed=0), spectral_norm(nn.Linear(1, 1))
    omega = joint_point(G, D)
    wanted = [*G[0].weight, *G[0].bias, *G[2].weight[0], *G[2].bias, *D.bias]
    assert omega.tolist() == pytest.approx(
        [float(w.detach()) for w in wanted] + [D.parametrizations.weight.original.item()], abs=0
    )
    assert not omega.requires_grad
    omega.zero_()
    assert all(weight.abs().min() > 0 for weight in G.parameters())


def test_blocks_bear_the_names_of_parameters():
    """Without what spectral norm adds to them; in order, side by side, from end to end."""
    game = live_game("convolutions")
    names = "G.1.weight G.2.weight G.2.bias G.4.weight G.4.bias D.0.bias D.0.weight D.2.weight"
    assert list(game.blocks) == [*names.split(), "D.2.bias"]
    assert [s.start for s in game.blocks.values()] == [0, 16, 18, 20, 28, 29, 31, 39, 47]
    assert [s.stop for s in game.blocks.values()] == [16, 18, 20, 28, 29, 31, 39, 47, 48]
    assert game.sizes == (29, 19)
    assert live_game("convolutions", 3).blocks == game.blocks
    bare = network_game(
        mlp([1, 1], seed=0), spectral_norm(nn.Linear(1, 1)), *[torch.ones(2, 1)] * 2
    )
    assert list(bare.blocks) == ["G.0.weight", "G.0.bias", "D.bias", "D.weight"]


def state(nets):
    """All that a network could lose: copies."""
    kept = []
    for net in nets:
        kept += [net.state_dict(), {name: w.grad for name, w in net.named_parameters()}]
    tensors = [{k: None if v is None else v.clone() for k, v in each.items()} for each in kept]
    modes = [each.training for net in nets for each in net.modules()]
    return tensors, modes, [w.requires_grad for net in nets for w in net.parameters()]


def with_everything():
    """Networks that would change: in training mode, with gradients, dropout, running means."""
    nets, (z, x) = gan("layers"), data("layers")
    nets[0].insert(2, nn.Dropout(0.5))
    nets[1](nets[0](z)).sum().backward()
    nets[0][0].eval()
    nets[1][3].weight.requires_grad_(False)
    nets[1][3].bias.grad = None
    return nets, z, x


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_changes(route):
    """Weights, buffers, gradients, modes, data and torch's random state stand after products."""
    nets, z, x = with_everything()
    before, random = state(nets), torch.get_rng_state()
    held = z.clone(), x.clone()
    game, omega = network_game(*nets, z, x, loss="rs"), joint_point(*nets)
    point, u = omega.clone(), torch.ones(game.sizes[1], dtype=torch.float64)
    game.losses(omega), game.vector_field(omega)
    operator = hessian(game, "D", omega, route=route)
    operator.matvec(u), operator.rmatvec(u), operator.dense()
    jacobian(game, omega, route="recomputed" if route == "bfloat16" else route).rmatvec(omega)
    jacobian(game, omega).dense(), hessian(game, "G", omega).dense()
    tensors, modes, wanting = state(nets)
    for found, wanted in zip(tensors, before[0], strict=True):
        assert found.keys() == wanted.keys()
        for key in found:
            same = found[key] is wanted[key] or torch.equal(found[key], wanted[key])
            assert same, key
    assert (modes, wanting) == before[1:]
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(omega, point)
    assert torch.equal(z, held[0])
    assert torch.equal(x, held[1])


@pytest.mark.parametrize("size", [None, 3])
def test_everything_is_held(size):
    """Networks that train on and data that are overwritten leave the game as it was."""
    nets, z, x = with_everything()
    game, omega = network_game(*nets, z, x, batch_size=size), joint_point(*nets)
    losses, field = game.losses(omega), game.vector_field(omega)
    for net in nets:
        for each in [*net.parameters(), *net.buffers()]:
            each.data.add_(1)
    z.mul_(3)
    x.mul_(3)
    assert torch.equal(game.losses(omega), losses)
    assert torch.equal(game.vector_field(omega), field)


def test_dropout_is_off():
    nets, z, x = with_everything()
    omega = joint_point(*nets)
    found = network_game(*nets, z, x).losses(omega)
    assert torch.equal(found, network_game(nets[0].eval(), nets[1], z, x).losses(omega))
    del nets[0][2]
    assert torch.equal(found, network_game(*nets, z, x).losses(omega))


def test_many_points():
    """As every game, this one takes points by the batch."""
    game = live_game("layers", 5)
    omega = torch.stack([point("layers"), point("layers") / 2])
    for k in range(2):
        assert torch.allclose(game.losses(omega)[k], game.losses(omega[k]), rtol=1e-10)
        assert torch.allclose(game.vector_field(omega)[k], game.vector_field(omega[k]), atol=1e-12)


def test_precision_follows_the_point():
    """Networks and data of float64 play in float32 where the point is."""
    game, omega = live_game("layers"), point("layers")
    for function in (game.losses, game.vector_field):
        found = function(omega.float())
        assert found.dtype == torch.float32
        assert torch.allclose(found.double(), function(omega), rtol=1e-4, atol=1e-5)


def bad(tensor, value):
    tensor = tensor.clone()
    tensor[-1, -1] = value
    return tensor


Z, X = data("layers")


@pytest.mark.parametrize(
    "z, x, options, message",
    [
        (Z, X, {"loss": "gan"}, "unknown loss 'gan'; there are js, .*rp-ls"),
        (Z, X, {"judging": True}, "judging must be of the class Judging, got True"),
        (Z, X, {"passes": "held"}, "passes must be of the class PassSettings, got 'held'"),
        (Z, X[:7], {}, "as many latents as reals, .* got 8 and 7"),
        (Z.numpy(), X, {}, "latents are a tensor of floats, one row per sample, got array"),
        (Z, X.byte(), {}, r"reals are a tensor of floats, .* got torch.uint8 \(8, 2\)"),
        (Z, X, {"labels": [0] * 8}, "labels are a tensor, one per real sample, got"),
        (Z[:0], X[:0], {}, "at least one, got 0 and 0"),
        (Z, X[:0], {}, "got 8 and 0"),
        (bad(Z, torch.nan), X, {}, "must be finite"),
        (bad(Z, torch.inf), X, {}, "must be finite"),
        (Z, bad(X, torch.nan), {}, "must be finite"),
        (Z, bad(X, -torch.inf), {}, "must be finite"),
        (Z, X, {"batch_size": 0}, "batch_size is a whole number, 1 or more, got 0"),
        (Z, X, {"batch_size": -3}, "got -3"),
        (Z, X, {"batch_size": 2.0}, "got 2.0"),
        (Z, X, {"batch_size": True}, "got True"),
        (Z, X, {"batch_size": "2"}, "got '2'"),
    ],
)
def test_bad_arguments(z, x, options, message):
    with pytest.raises(ValueError, match=message):
        network_game(*gan("layers"), z, x, **options)


def test_points_of_other_networks():
    with pytest.raises(ValueError, match=r"a GAN \(js\) is \(\.\.\., 29 \+ 19\), got \(47,\)"):
        live_game("convolutions").losses(point("convolutions")[1:])
    with pytest.raises(ValueError, match="must be finite, got nan"):
        jacobian(live_game("layers"), point("layers") * torch.nan)


@pytest.mark.parametrize("route", ROUTES)
def test_a_game_made_in_inference_mode(route):
    """It is the game that it is outside."""
    nets, z, x = (
        (mlp([1, 4, 1], seed=0), mlp([1, 4, 1], seed=1)),
        torch.ones(4, 1),
        torch.zeros(4, 1),
    )
    wanted = jacobian(network_game(*nets, z, x), joint_point(*nets), route=route)
    u = torch.ones(wanted.shape[0])
    with torch.inference_mode():
        found = jacobian(network_game(*nets, z + 0, x + 0), joint_point(*nets), route=route)
        assert torch.equal(found.matvec(u), wanted.matvec(u))
        assert torch.equal(found.rmatvec(u), wanted.rmatvec(u))


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("where", ["data", "interpolates"])
def test_a_penalty_at_a_point_made_in_inference_mode(where, batch_size):
    """The losses and the field are those at the same point made outside."""
    nets = mlp([1, 4, 1], seed=0), mlp([1, 4, 1], seed=1)
    game = network_game(
        *nets, torch.ones(4, 1), torch.zeros(4, 1), penalty=GradientPenalty(1.0, where),
        batch_size=batch_size,
    )  # fmt: skip
    point = joint_point(*nets)
    with torch.inference_mode():
        inside = point.clone()
    for omega in (point, inside):
        for mode in (True, False):
            with torch.inference_mode(mode):
                assert torch.equal(game.losses(omega), game.losses(point))
                assert torch.equal(game.vector_field(omega), game.vector_field(point))


def test_more_than_one_logit():
    """A discriminator with several outputs a sample is refused, with what it gave."""
    nets = mlp([1, 4, 1], seed=0), mlp([1, 4, 3], seed=1)
    with pytest.raises(ValueError, match=r"one logit per sample, got \(8, 3\) for 8 samples"):
        network_game(*nets, torch.zeros(8, 1), torch.ones(8, 1))


def settled_by_hand(kind, omega):
    """The losses of the live nets, each weight under a spectral norm divided by its largest one."""
    nets = gan(kind)
    vector_to_parameters(omega, [w for net in nets for w in net.parameters()])
    for module in nets[1].modules():
        if parametrize.is_parametrized(module, "weight"):
            weight = module.parametrizations.weight.original.detach()
            parametrize.remove_parametrizations(module, "weight")
            module.weight = nn.Parameter(weight / torch.linalg.matrix_norm(weight.flatten(1), 2))
    with torch.no_grad():
        return torch.stack(live_losses(nets, *data(kind), LOSS[kind]))


@networks
def test_settled_spectral_norm(kind):
    """Losses of the nets with true norms; a field and a Jacobian by differences of those."""
    game, omega = live_game(kind, passes=PassSettings(spectral_norm="exact")), point(kind)
    assert torch.allclose(game.losses(omega), settled_by_hand(kind, omega), rtol=1e-9)
    field, step = game.vector_field(omega), 1e-6
    p = game.sizes[0]
    for k in (0, p - 1, p, p + 1, len(omega) - 1):
        moved = torch.zeros_like(omega)
        moved[k] = step
        change = (settled_by_hand(kind, omega + moved) - settled_by_hand(kind, omega - moved)) / (
            2 * step
        )
        assert float(field[k]) == pytest.approx(float(change[int(k >= p)]), rel=1e-4, abs=1e-6)
        column = (game.vector_field(omega + moved) - game.vector_field(omega - moved)) / (2 * step)
        assert torch.allclose(
            jacobian(game, omega).matvec(moved / step), column, rtol=1e-3, atol=1e-4
        )


def test_held_vectors_leave_a_curvature_out():
    """Where u and v have converged the fields agree, and the Hessians of D do not."""
    kind = "convolutions"
    nets = gan(kind)
    nets[1].train()
    with torch.no_grad():
        for _ in range(300):
            nets[1](data(kind)[1])
    omega = joint_point(*nets)
    held, settled = (
        network_game(*nets, *data(kind), loss=LOSS[kind], passes=PassSettings(spectral_norm=s))
        for s in ("held", "exact")
    )
    assert torch.allclose(held.vector_field(omega), settled.vector_field(omega), atol=1e-8)
    a, b = (hessian(each, "D", omega).dense() for each in (held, settled))
    assert (a - b).abs().max() > 1e-2 * b.abs().max()


def test_unknown_passes():
    with pytest.raises(ValueError, match="spectral_norm is one of 'held', 'exact', got 'free'"):
        PassSettings(spectral_norm="free")
    with pytest.raises(ValueError, match="batch_norm is one of 'batch', 'running', got 'eval'"):
        PassSettings(batch_norm="eval")
    with pytest.raises(ValueError, match=r"noise_seed is a whole number, from 0 .*got -1"):
        PassSettings(noise_seed=-1)
