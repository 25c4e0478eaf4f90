"""What networks of published code do besides computing: the right numbers, or a refusal by name.

The right ones are plain autograd's, of the networks as they are, and central differences of it.
`make matrix` holds many more layers.
"""

import warnings
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.games.game import PLAYERS
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES
from helpers.models.copying import copied
from helpers.models.functional import PassSettings, signature
from helpers.operators import hessian, jacobian

STEP = 1e-6


def seeded(make):
    """A network in float64 with the weights of a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().double()


def data(*shape, count=8):
    random = torch.Generator().manual_seed(1)
    latents = torch.randn(count, 3, generator=random, dtype=torch.float64)
    return latents, torch.randn(count, *shape, generator=random, dtype=torch.float64)


def small_generator():
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4))


def small_discriminator():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))


class Doing(nn.Module):
    """A layer that is a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def judged_by(*layers):
    """D with these layers behind its first one."""
    return seeded(lambda: nn.Sequential(nn.Linear(4, 6), *layers, nn.Tanh(), nn.Linear(6, 1)))


def differences(game, kind, omega, u):
    """A product with u, by central differences of the game's field."""
    part = {"G": slice(game.sizes[0]), "D": slice(game.sizes[0], None), "J": slice(None)}[kind]
    ends = []
    for sign in (1, -1):
        at = omega.clone()
        at[part] += sign * STEP * u
        ends.append(game.vector_field(at)[part])
    return (ends[0] - ends[1]) / (2 * STEP)


def assert_products(game, omega, route="auto", tolerance=1e-6):
    """Hessians of both and the Jacobian, three products in a row, and the transposed one.

    A traced product takes a second to make: of those D's Hessian alone.
    """
    random = torch.Generator().manual_seed(2)
    for kind in ("D",) if route == "linearized" else (*PLAYERS, "J"):
        operator = jacobian(game, omega, route=route)
        if kind != "J":
            operator = hessian(game, kind, omega, route=route)
        n = operator.shape[0]
        directions = torch.randn(2, n, generator=random, dtype=torch.float64)
        for u in (*directions, directions[0]):
            wanted = differences(game, kind, omega, u)
            off = (operator.matvec(u) - wanted).norm() / wanted.norm().clamp(min=1e-8)
            assert off <= tolerance, (kind, operator.route, float(off))
        u, w = directions
        assert torch.allclose(w @ operator.matvec(u), u @ operator.rmatvec(w), rtol=1e-7, atol=1e-9)


def assert_right(generator, discriminator, latents, reals, field=None, **options):
    game = network_game(generator, discriminator, latents, reals, **options)
    omega = joint_point(generator, discriminator)
    if field is not None:
        assert torch.allclose(game.vector_field(omega), field, rtol=1e-8, atol=1e-10)
    assert_products(game, omega)
    return game


IN_PLACE = {
    "leaky_relu_": lambda x: F.leaky_relu_(x, 0.2),
    "elu_": F.elu_,
    "selu_": F.selu_,
    "silu": lambda x: F.silu(x, inplace=True),
    "tanh_": torch.tanh_,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("route", ["linearized", "retained", "recomputed"])
def test_operations_in_place(name, route):
    """Each product is right: a traced one kept what the first had written (F1, F28)."""
    D, G = judged_by(Doing(IN_PLACE[name])), seeded(small_generator)
    latents, reals = data(4)
    game = network_game(G, D, latents, reals)
    assert_products(game, joint_point(G, D), route)


@pytest.mark.parametrize("route", ["linearized", "retained", "recomputed"])
def test_the_tutorials_discriminator(route):
    """LeakyReLU in place between convolutions, of 34,657 weights in the end (F1)."""
    D = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 1, 4)
        )
    )
    G = seeded(lambda: nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))))
    latents, reals = data(1, 8, 8)
    game = network_game(G, D, latents, reals)
    operator = hessian(game, "D", joint_point(G, D), route=route)
    u = torch.randn(operator.shape[0], generator=torch.Generator().manual_seed(3)).double()
    first, second = operator.matvec(u), operator.matvec(u)
    assert torch.allclose(first, second, rtol=1e-12, atol=1e-14)
    other = hessian(game, "D", joint_point(G, D), route="recomputed").matvec(u)
    assert torch.allclose(second, other, rtol=1e-9, atol=1e-12)


class Sums(nn.Module):
    """A residual layer that adds in place, and one that writes a column."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        y = x * 1
        y += torch.tanh(self.inner(x))
        y[:, 0] = 2 * torch.tanh(x[:, 1])
        return y


class Turned(nn.Module):
    """A linear layer with bias on a transposed input of three dimensions."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return self.inner(x.view(-1, 3, 2).transpose(1, 2)).flatten(1)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [Sums, Turned, lambda: nn.GroupNorm(2, 6)])
def test_writes_that_hide(layer):
    """In residual sums, in columns, and in torch's own formulas (F28)."""
    D, G = judged_by(seeded(layer)), seeded(small_generator)
    game = network_game(G, D, *data(4))
    assert_products(game, joint_point(G, D), "linearized")


@pytest.mark.parametrize("draw", [lambda x: x + 0.1 * torch.randn_like(x), F.dropout])
def test_noise_is_refused_or_held(draw):
    """A loss that is another one at each call is no game; a seed makes it one (F2)."""
    D, G = judged_by(Doing(draw)), seeded(small_generator)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"D\.1 \(Doing\) draws random numbers.*noise_seed"):
        network_game(G, D, *data(4))
    game = network_game(G, D, *data(4), passes=PassSettings(noise_seed=3))
    omega = joint_point(G, D)
    assert torch.equal(game.losses(omega), game.losses(omega))
    assert_products(game, omega)
    other = network_game(G, D, *data(4), passes=PassSettings(noise_seed=4))
    assert not torch.equal(game.losses(omega), other.losses(omega))
    assert torch.equal(before, torch.get_rng_state())


def test_noise_of_a_generator_of_its_own():
    """No seed of ours reaches it: the two values are said."""
    own = torch.Generator().manual_seed(0)
    D = judged_by(Doing(lambda x: x + torch.randn(x.shape, generator=own, dtype=x.dtype)))
    with pytest.raises(ValueError, match="not a function of the weights: at one point D's is"):
        network_game(seeded(small_generator), D, *data(4), passes=PassSettings(noise_seed=3))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["old", "new"])
@pytest.mark.parametrize("kind", ["spectral", "weight"])
def test_norms_of_weights(norm, kind):
    """Old hooks and new parametrizations: products of every route that is taken (F3, F22)."""
    apply = {
        "old": {"spectral": nn.utils.spectral_norm, "weight": nn.utils.weight_norm},
        "new": {
            "spectral": nn.utils.parametrizations.spectral_norm,
            "weight": nn.utils.parametrizations.weight_norm,
        },
    }[norm][kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        D = seeded(lambda: nn.Sequential(apply(nn.Linear(4, 6)), nn.Tanh(), nn.Linear(6, 1)))
    G = seeded(small_generator)
    latents, reals = data(4)
    D(reals).sum().backward()  # what is left behind has a graph, and deepcopy refuses it (F33)
    for route in ("auto", "linearized", "retained", "recomputed"):
        game = network_game(G, D, latents, reals)
        assert_products(game, joint_point(G, D), route)
    if kind == "spectral":  # settled: another loss than the held one, and its own derivatives (F32)
        settled = network_game(G, D, latents, reals, passes=PassSettings(spectral_norm="exact"))
        omega = joint_point(G, D)
        assert (settled.losses(omega) - game.losses(omega)).abs().max() > 1e-6
        assert_products(settled, omega)


class OwnSpectralNorm(nn.Module):
    """A power iteration in each pass, under no_grad or on detached weights, as in many codes."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.weight = nn.Parameter(torch.randn(6, 4))
        self.register_buffer("u", F.normalize(torch.randn(6), dim=0))

    def forward(self, x):
        if self.how == "no_grad":
            with torch.no_grad():
                v = F.normalize(self.weight.t() @ self.u, dim=0)
                self.u.copy_(F.normalize(self.weight @ v, dim=0))
        else:
            w = self.weight.data
            v = F.normalize(w.t() @ self.u.data, dim=0)
            self.u.data = F.normalize(w @ v, dim=0)
        return F.linear(x, self.weight / (self.u.clone() @ self.weight @ v))


@pytest.mark.parametrize("how", ["no_grad", "data"])
def test_a_spectral_norm_of_ones_own(how):
    """Its vectors are held, as torch's are, so that the Hessian is symmetric (F30)."""
    D = seeded(lambda: nn.Sequential(OwnSpectralNorm(how), nn.Tanh(), nn.Linear(6, 1)))
    G, (latents, reals) = seeded(small_generator), data(4)
    kept = D[0].u.clone()
    game = assert_right(G, D, latents, reals)
    H = hessian(game, "D", joint_point(G, D)).dense()
    assert torch.allclose(H, H.T, rtol=1e-9, atol=1e-12)
    assert torch.equal(D[0].u, kept)
    with pytest.raises(ValueError, match=r"D\.0 \(OwnSpectralNorm\).*'exact' works for torch"):
        network_game(G, D, latents, reals, passes=PassSettings(spectral_norm="exact"))  # F32


class Divided(nn.Module):
    """A layer divided as an `OwnSpectralNorm` would be now, by vectors that are constants."""

    def __init__(self, own):
        super().__init__()
        self.weight = own.weight
        w = own.weight.detach()
        self.v = F.normalize(w.t() @ own.u, dim=0)
        self.u = F.normalize(w @ self.v, dim=0)

    def forward(self, x):
        return F.linear(x, self.weight / (self.u @ self.weight @ self.v))


def double_backward(discriminator, fakes, reals):
    """D's Hessian of "js", of the network as it is."""
    weights = list(discriminator.parameters())
    loss = LOSSES["js"].discriminator(discriminator(reals), discriminator(fakes))
    slopes = torch.autograd.grad(loss, weights, create_graph=True)
    flat = torch.cat([slope.flatten() for slope in slopes])
    rows = [
        torch.autograd.grad(e, weights, retain_graph=True, materialize_grads=True) for e in flat
    ]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


@pytest.mark.parametrize("how", ["no_grad", "data"])
@pytest.mark.parametrize("nets", [torch.float32, torch.float64])
@pytest.mark.parametrize("point", [torch.float32, torch.float64])
def test_what_is_held_in_another_precision(how, nets, point):
    """Vectors that are held have the precision of the point, whichever the networks have."""
    D = seeded(lambda: nn.Sequential(OwnSpectralNorm(how), nn.Tanh(), nn.Linear(6, 1))).to(nets)
    G, (latents, reals) = seeded(small_generator).to(nets), (each.to(nets) for each in data(4))
    game, omega = network_game(G, D, latents, reals), joint_point(G, D).to(point)
    H = hessian(game, "D", omega).dense()
    assert H.dtype == point
    fakes = G.double()(latents.double()).detach()
    wanted = double_backward(nn.Sequential(Divided(D.double()[0]), *D[1:]), fakes, reals.double())
    tolerance = 1e-9 if (nets, point) == (torch.float64, torch.float64) else 1e-5
    assert float((H.double() - wanted).norm() / wanted.norm()) < tolerance


def half_written(x):
    """Into a tensor of torch's default precision, whatever that of x."""
    out = torch.zeros(x.shape, dtype=torch.float32)
    out[:, :2] = x[:, :2]
    return out + x


def test_a_write_that_rounds():
    """In float64 it is less accurate than that, which does not make the products wrong."""
    D, G = judged_by(Doing(half_written)).float(), seeded(small_generator).float()
    latents, reals = (each.float() for each in data(4))
    with pytest.warns(UserWarning, match=r"D\.1 \(Doing\) computes in lower precision"):
        game = network_game(G, D, latents, reals)
    H = hessian(game, "D", joint_point(G, D)).dense()
    wanted = double_backward(D, G(latents).detach(), reals)
    assert float((H - wanted).norm() / wanted.norm()) < 1e-5


class Sorted(nn.Module):
    """Places in an order, found without gradients, as exact nets on the line find them."""

    def forward(self, x):
        with torch.no_grad():
            order = x.argsort(dim=1)
            on = (x > 0).to(x.dtype)
        return x.gather(1, order) * on


def test_what_moves_by_leaps_is_not_held():
    """At other weights the game is that of networks with those weights."""
    D, G = judged_by(Sorted()), seeded(small_generator)
    latents, reals = data(4)
    game = assert_right(G, D, latents, reals)
    random = torch.Generator().manual_seed(5)
    other = torch.randn(game.dimension, generator=random, dtype=torch.float64)
    weights = [*G.parameters(), *D.parameters()]
    nn.utils.vector_to_parameters(other, weights)
    with torch.no_grad():
        wanted = LOSSES["js"].discriminator(D(reals), D(G(latents)))
    assert float(game.loss("D", other)) == pytest.approx(float(wanted), rel=1e-12)


class Standardized(nn.Module):
    """A first layer that writes into what it is given."""

    def forward(self, x):
        return x.sub_(0.1).div_(1.7)


def test_nothing_of_the_callers_is_written():
    """Data stand, and a loss is the same at every call (F4)."""
    D = seeded(lambda: nn.Sequential(Standardized(), *small_discriminator()))
    G, (latents, reals) = seeded(small_generator), data(4)
    before = reals.clone()
    game = assert_right(G, D, latents, reals)
    omega = joint_point(G, D)
    assert torch.equal(game.losses(omega), game.losses(omega))
    assert torch.equal(reals, before)
    plain = D[1:]
    real, fake = plain((reals - 0.1) / 1.7), plain((G(latents) - 0.1) / 1.7)
    wanted = LOSSES["js"].discriminator(real, fake)
    assert float(game.loss("D", omega)) == pytest.approx(float(wanted.detach()), rel=1e-12)


def test_only_weights_that_require_grad_play():
    """A frozen layer is no part of the point, and none is left to a frozen player (F5, F36)."""
    D, G = seeded(small_discriminator), seeded(small_generator)
    D[0].requires_grad_(False)
    game = assert_right(G, D, *data(4))
    assert game.sizes == (44, 7)
    assert [name for name in game.blocks if name.startswith("D")] == ["D.2.weight", "D.2.bias"]
    with pytest.raises(ValueError, match="D has no weight that requires grad"):
        network_game(G, D.requires_grad_(False), *data(4))


@pytest.mark.parametrize("joint", [False, True])
def test_one_batch_or_two(joint):
    """Batch norm in D sees both together, or each alone: what was said (F7)."""
    D, G = judged_by(nn.BatchNorm1d(6)), seeded(small_generator)
    latents, reals = data(4)
    game = assert_right(G, D, latents, reals, judging=Judging(joint))
    with torch.no_grad():
        fake = G(latents)
        if joint:
            real, fake = D(torch.cat([reals, fake])).split(8)
        else:
            real, fake = D(reals), D(fake)
    wanted = LOSSES["js"].discriminator(real, fake)
    assert float(game.loss("D", joint_point(G, D))) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.BatchNorm1d])
@pytest.mark.parametrize("route", ["auto", "retained", "recomputed"])
def test_third_derivatives_of_norms(norm, route):
    """Torch's own are wrong, for double backward too; by elementary steps they are right (F29)."""
    D, G = judged_by(norm(6)), seeded(small_generator)
    latents, reals = data(4)
    game = network_game(G, D, latents, reals, penalty=GradientPenalty(10.0))
    assert_products(game, joint_point(G, D), route)


class OwnBatchNorm(nn.Module):
    """Batch norm by hand, in its two forms."""

    def __init__(self, written_out):
        super().__init__()
        self.written_out = written_out
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("var", torch.ones(6))
        self.weight = nn.Parameter(torch.rand(6))

    def forward(self, x):
        if not self.written_out:
            return F.batch_norm(x, self.mean, self.var, self.weight, None, self.training)
        mean, var = (x.mean(0), x.var(0)) if self.training else (self.mean, self.var)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * mean.detach()
        return self.weight * (x - mean) / (var + 1e-5).sqrt()


@pytest.mark.parametrize("written_out", [False, True])
@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_batch_norm_of_ones_own(written_out, statistics):
    """It takes the statistics that were asked for, and keeps none (F31)."""
    D, G = judged_by(OwnBatchNorm(written_out)), seeded(small_generator)
    latents, reals = data(4)
    game = assert_right(G, D, latents, reals, passes=PassSettings(batch_norm=statistics))
    D.train(statistics == "batch")
    with torch.no_grad():
        wanted = LOSSES["js"].generator(*[D(G(latents))] * 2)
    assert float(game.loss("G", joint_point(G, D))) == pytest.approx(float(wanted), rel=1e-12)


class Hiding(nn.Module):
    """A weight used from a plain list (F34), and a head without a part in the loss (F35)."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.rand(6))
        self.list = [self.shift]
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        self.head(x)
        return x * self.list[0]


def test_weights_that_hide_and_heads_that_are_not_used():
    """One has its gradient, the other has none."""
    D, G = judged_by(Hiding()), seeded(small_generator)
    game = assert_right(G, D, *data(4))
    field = game.vector_field(joint_point(G, D))
    assert field[game.blocks["D.1.shift"]].abs().min() > 0
    assert field[game.blocks["D.1.head.weight"]].abs().max() == 0


class Labelled(nn.Module):
    """A network with an embedding of labels."""

    def __init__(self, width, out):
        super().__init__()
        self.table, self.inner = nn.Embedding(3, width), nn.Linear(width, out)

    def forward(self, x, y):
        return self.inner(torch.tanh(x * self.table(y)))


def test_labels():
    """G(z, y) and D(x, y), each sample with the label of the real one in its place (F37)."""
    G, D = seeded(lambda: Labelled(3, 4)), seeded(lambda: Labelled(4, 1))
    latents, reals = data(4)
    labels = torch.arange(8) % 3
    for joint in (False, True):
        game = assert_right(G, D, latents, reals, labels=labels, judging=Judging(joint))
    with torch.no_grad():
        wanted = LOSSES["js"].discriminator(D(reals, labels), D(G(latents, labels), labels))
    assert float(game.loss("D", joint_point(G, D))) == pytest.approx(float(wanted), rel=1e-12)
    with pytest.raises(ValueError, match=r"G \(Labelled\) fails.*labels=\.\.\."):
        network_game(G, D, latents, reals)
    with pytest.raises(ValueError, match="a label for each of 8 reals, got 3"):
        network_game(G, D, latents, reals, labels=labels[:3])
    with pytest.raises(ValueError, match=r"labels were given, but G takes latents alone$"):
        network_game(seeded(small_generator), D, latents, reals, labels=labels)
    with pytest.raises(ValueError, match=r"labels were given, but D takes samples alone$"):
        network_game(G, seeded(small_discriminator), latents, reals, labels=labels)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (lambda x: (x.sum(1), x), "gives a tensor of logits, got tuple.*Judging.logit="),
        (lambda x: {"logit": x.sum(1)}, "gives a tensor of logits, got dict.*Judging.logit="),
        (lambda x: x, r"one logit per sample, got \(8, 6\) for 8 samples"),
        (lambda x: x.sum(1).sigmoid(), "ends in a sigmoid.*Judging.logit=torch.logit"),
    ],
)
def test_outputs_that_are_no_logits(output, says):
    """They are refused with what to write, and what is written works (F37)."""
    D = seeded(lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), Doing(output)))
    G, few = seeded(small_generator), data(4)
    with pytest.raises(ValueError, match=says):
        network_game(G, D, *few)

    def logit(found):
        if isinstance(found, dict):
            return found["logit"]
        if isinstance(found, tuple):
            return found[0]
        return found.mean(1) if found.ndim == 2 else torch.logit(found)

    assert_right(G, D, *few, judging=Judging(logit=logit))


def test_probabilities_in_a_loss_of_squares():
    """Only logistic losses ask for logits."""
    D = seeded(lambda: nn.Sequential(*small_discriminator(), nn.Sigmoid()))
    assert_right(seeded(small_generator), D, *data(4), loss="ls")


def test_float32_inside_is_said():
    """A cast limits what float64 can tell (F38)."""
    D = judged_by(Doing(lambda x: x.to(torch.float32).double()))
    with pytest.warns(UserWarning, match=r"D\.1 \(Doing\) computes in lower precision"):
        game = network_game(seeded(small_generator), D, *data(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once
        network_game(seeded(small_generator), D, *data(4))
        hessian(game, "D", joint_point(seeded(small_generator), D))


def test_a_layer_that_fails_is_named():
    """Not a stranger's error from inside."""
    D = seeded(lambda: nn.Sequential(nn.Linear(4, 6), nn.Linear(5, 1)))
    with pytest.raises(ValueError, match=r"D\.1 \(Linear\) fails: RuntimeError"):
        network_game(seeded(small_generator), D, *data(4))


class Wrong(torch.autograd.Function):
    """A custom function whose derivative is wrong from the second one on."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, slope):
        return 3 * ctx.saved_tensors[0].detach() ** 2 * slope

    @staticmethod
    def jvp(ctx, tangent):
        return tangent


def test_no_route_is_right():
    """The error names the layer and what was found; without the check a number is given."""
    D, G = judged_by(Doing(Wrong.apply)), seeded(small_generator)
    game = network_game(G, D, *data(4))
    omega = joint_point(G, D)
    with pytest.raises(ValueError, match=r"no right products of D's Hessian.*most in D\."):
        hessian(game, "D", omega)
    unchecked = network_game(G, D, *data(4), passes=PassSettings(check=False))
    assert hessian(unchecked, "D", omega, route="retained").matvec(omega[44:]).isfinite().all()


class Old(torch.autograd.Function):
    """A custom function of the older style, which torch.func refuses."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, slope):
        return 3 * ctx.saved_tensors[0] ** 2 * slope


def test_the_operator_says_which_route_it_took():
    """The default falls back to one that is right (F3)."""
    D, G = judged_by(Doing(Old.apply)), seeded(small_generator)
    game = assert_right(G, D, *data(4))
    omega = joint_point(G, D)
    assert hessian(game, "D", omega).route == "retained"
    assert jacobian(game, omega, blocks=["D"]).route == "retained"
    assert hessian(network_game(G, seeded(small_discriminator), *data(4)), "D", omega).route == (
        "recomputed"
    )
    with pytest.raises(ValueError, match="recomputed: RuntimeError"):
        hessian(game, "D", omega, route="recomputed")


def test_the_checks_are_made_once(monkeypatch):
    """For networks of one structure, whatever their weights; of another one anew."""
    calls = []
    from helpers.games import admission
    from helpers.operators import trust

    monkeypatch.setattr(admission, "_KNOWN", {})
    monkeypatch.setattr(trust, "_FOUND", {})
    for module, name in ((admission, "plain_field"), (trust, "_tried")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, o=original, n=name: (calls.append(n), o(*a))[1]
        )
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            G, D = small_generator().double(), small_discriminator().double()
        for _ in range(2):
            game = network_game(G, D, *data(4))
            hessian(game, "D", joint_point(G, D)), hessian(game, "D", joint_point(G, D))
    assert calls == ["plain_field", "_tried"]
    D[1] = nn.LeakyReLU(0.1)
    hessian(network_game(G, D, *data(4)), "D", joint_point(G, D))
    D[1] = nn.LeakyReLU(0.2)
    hessian(network_game(G, D, *data(4)), "D", joint_point(G, D))
    assert calls == ["plain_field", "_tried"] * 3


def twice(module, inputs, output):
    return 2 * output


def squared(module, inputs, output):
    return output.square()


def watched(module, inward, outward):
    return None


class Scaled:
    """A hook that is an object."""

    def __init__(self, by):
        self.by = by

    def __call__(self, module, inputs, output):
        return self.by * output

    def method(self, module, inputs, output):
        return self.by + output


HOOKS = {
    "a function": ("register_forward_hook", twice),
    "another one": ("register_forward_hook", squared),
    "an object": ("register_forward_hook", Scaled(2)),
    "with another setting": ("register_forward_hook", Scaled(3)),
    "its method": ("register_forward_hook", Scaled(2).method),
    "in part": ("register_forward_hook", partial(torch.add, 1)),
    "in another part": ("register_forward_hook", partial(torch.add, 2)),
    "before": ("register_forward_pre_hook", twice),
    "backward": ("register_full_backward_hook", watched),
    "before backward": ("register_full_backward_pre_hook", watched),
}


def test_hooks_tell_networks_apart():
    """What one hook does says nothing of another one, nor of the same one in another place."""
    nets = {}
    for name, (register, hook) in HOOKS.items():
        nets[name] = small_discriminator()
        getattr(nets[name][1], register)(hook)
    signatures = {name: signature(copied(net)) for name, net in nets.items()}
    assert len(set(signatures.values())) == len(HOOKS)
    for name in ("a function", "an object", "in part", "backward"):
        assert signature(copied(nets[name])) == signatures[name]
    old = [nn.utils.spectral_norm(nn.Linear(4, 4)) for _ in range(2)]
    assert signature(old[0]) == signature(old[1])


def test_a_backward_hook_is_not_trusted_as_a_forward_one_was():
    """The check of linearized products is made for each, in whatever order they come."""
    for register, hook in (HOOKS["a function"], HOOKS["backward"], HOOKS["another one"]):
        G, D = seeded(small_generator), seeded(small_discriminator)
        getattr(D[1], register)(hook)
        game, omega = network_game(G, D, *data(4)), joint_point(G, D)
        if hook is watched:
            with pytest.raises(ValueError, match="no right products"):
                hessian(game, "D", omega, route="linearized")
        else:
            assert hessian(game, "D", omega, route="linearized").route == "linearized"


@dataclass
class Options:
    """What can be changed, and so cannot be hashed."""

    noise: bool
    own: "list[Options]" = field(default_factory=list)


class Configured(nn.Module):
    """D whose options say whether it draws."""

    def __init__(self, options):
        super().__init__()
        self.options, self.first, self.last = options, nn.Linear(4, 6), nn.Linear(6, 1)

    def forward(self, x):
        hidden = torch.tanh(self.first(x))
        return self.last(hidden + torch.randn_like(hidden) if self.options.noise else hidden)


def test_options_tell_networks_apart():
    """One that draws is refused, though the same class without drawing was taken before."""
    G = seeded(small_generator)
    network_game(G, seeded(lambda: Configured(Options(False))), *data(4))
    with pytest.raises(ValueError, match="draws random numbers"):
        network_game(G, seeded(lambda: Configured(Options(True))), *data(4))
    around = Options(False)
    around.own.append(around)
    nets = [Configured(around), Configured(SimpleNamespace(noise=False)), Configured({"noise": 1})]
    assert len({signature(copied(net)) for net in nets}) == 3
    assert signature(copied(nets[0])) == signature(copied(nets[0]))
    lists = [small_discriminator() for _ in range(2)]
    for slope, net in zip((0.1, 0.2), lists, strict=True):
        net.plain = [nn.LeakyReLU(slope)]
    assert signature(lists[0]) != signature(lists[1])


class Flagged(nn.Module):
    """D that asks a buffer, its class or a global option whether to draw."""

    drawing = False

    def __init__(self):
        super().__init__()
        self.net = small_discriminator()
        self.register_buffer("noisy", torch.tensor(False))

    def forward(self, x):
        return self.net(x + torch.randn_like(x) if self.noisy or self.drawing or DRAWING else x)


DRAWING: list[str] = []


def ask_buffer(net, monkeypatch):
    net.noisy.fill_(True)


def ask_class(net, monkeypatch):
    monkeypatch.setattr(Flagged, "drawing", True)


def ask_globally(net, monkeypatch):
    monkeypatch.setitem(globals(), "DRAWING", ["yes"])


@pytest.mark.parametrize("ask", [ask_buffer, ask_class, ask_globally])
def test_what_networks_do_is_seen_each_time(ask, monkeypatch):
    """One that draws is refused, though the same structure was taken before it drew."""
    G, D = seeded(small_generator), seeded(Flagged)
    network_game(G, D, *data(4))
    ask(D, monkeypatch)
    with pytest.raises(ValueError, match="draws random numbers"):
        network_game(G, D, *data(4))


class SetByTheFirstBatch(nn.Module):
    """An activation norm, as in published code."""

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(6))
        self.register_buffer("initialized", torch.tensor(1, dtype=torch.uint8))

    def forward(self, x):
        if not self.initialized.item():
            self.loc.data.copy_(-x.detach().mean(0))
            self.initialized.fill_(1)
        return x + self.loc


def test_a_layer_that_is_not_set_yet():
    """Known once it was set, and refused before."""
    G, D = seeded(small_generator), judged_by(SetByTheFirstBatch())
    network_game(G, D, *data(4))
    D[1].initialized.zero_()
    with pytest.raises(ValueError, match="not that of the networks"):
        network_game(G, D, *data(4))


class Aside(nn.Module):
    """D with a tensor in a plain list."""

    def __init__(self, kept):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 1)
        self.plain = [kept(self)]

    def forward(self, x):
        return self.last(torch.tanh(self.first(x) + x @ self.plain[0].T))


def test_a_constant_says_nothing_of_a_weight():
    """A list that holds the net's own weight moves with it."""
    G, random = seeded(small_generator), torch.Generator().manual_seed(3)
    for kept in (lambda net: net.first.weight.detach().clone(), lambda net: net.first.weight):
        D = seeded(lambda: Aside(lambda net: None))
        D.plain = [kept(D)]
        game, omega = network_game(G, D, *data(4)), joint_point(G, D)
        p = game.sizes[0]
        moved = omega.clone()
        moved[p:] += 0.3 * torch.randn(game.sizes[1], generator=random, dtype=torch.float64)
        nn.utils.vector_to_parameters(moved[p:], D.parameters())
        z, x = data(4)
        wanted = LOSSES["js"].discriminator(D(x), D(G(z)))
        assert torch.allclose(game.losses(moved)[1], wanted)


def test_signatures_of_tensors():
    """Which of its weights a net holds elsewhere or uses twice, and the numbers of small flags."""
    kept = [lambda net: net.first.bias, lambda net: net.last.weight[0], lambda net: net.first.bias]
    nets = [Aside(each) for each in kept]
    assert signature(nets[0]) != signature(nets[1])
    assert signature(copied(nets[0])) == signature(nets[0]) == signature(nets[2])
    apart = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    assert signature(apart) != signature(tied)
    flags = [Flagged(), Flagged()]
    assert signature(flags[0]) == signature(flags[1])
    flags[1].noisy.fill_(True)
    assert signature(flags[0]) != signature(flags[1])
    norm = nn.BatchNorm1d(2)
    before = signature(norm)
    norm(torch.randn(4, 2))
    assert signature(norm) == before


class Centred(nn.Module):
    """Centres by a running mean, which it moves."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, z):
        centred = z - self.mean
        self.mean.mul_(0.5).add_(0.5 * z.detach().mean(0))
        return centred


def test_a_write_of_the_same_numbers():
    """At latents of 0 the mean stays 0, and elsewhere it must be held all the same."""
    G, D = seeded(lambda: nn.Sequential(Centred(), *small_generator())), seeded(small_discriminator)
    z, x = data(4)
    network_game(G, D, torch.zeros_like(z), x)
    game, omega = network_game(G, D, z, x), joint_point(G, D)
    first = game.losses(omega)
    assert torch.equal(game.losses(omega), first)
