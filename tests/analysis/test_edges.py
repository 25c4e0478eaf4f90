"""The edge of stability: multipliers against real steps, and edges that are known."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from helpers.analysis import EDGE_METHODS, edge_ratio, multipliers, play, turns, update_matrix
from helpers.games import joint_point, linear_game, network_game
from helpers.losses import LOSSES
from helpers.models import Players, mlp
from helpers.operators import jacobian
from helpers.training import Members, Turns, train_ensemble
from helpers.training.optimizers import Extragradient, Optimistic

BY_VALUE = [method for method in EDGE_METHODS if method != "alternating"]
RATES, BETA = (0.05, 0.2), 0.5
STILL, LONG = 1 - 1e-12, 10**9  # a decay and steps with which Adam's second moment stands still


def random_matrix(seed, n=5):
    return np.random.default_rng(seed).normal(size=(n, n))


def made(method, rate, held, moment, weights):
    """A player's optimiser in the middle of a run, with a state of its own for each weight."""
    weights = list(weights)
    if method == "adam":
        optimizer = torch.optim.Adam(weights, lr=rate, betas=(BETA, STILL), eps=0.0)
        for weight, own, square in zip(weights, held, moment, strict=True):
            optimizer.state[weight] = {
                "step": torch.tensor(float(LONG)),
                "exp_avg": own.clone(),
                "exp_avg_sq": square * (1 - STILL ** (LONG + 1)),
            }
        return optimizer
    optimizer = torch.optim.SGD(weights, lr=rate)
    if method == "extragradient":
        return Extragradient(optimizer)
    if method == "optimistic":
        optimizer = Optimistic(optimizer)
        optimizer.load_state_dict({"optimizer": optimizer.optimizer.state_dict(), "held": held})
    return optimizer


def split(flat, nets):
    """Parts of a flat vector in the shapes of the stacked weights, G's and D's."""
    shapes = [[weight.shape for weight in net.parameters()] for net in nets]
    sizes = [shape.numel() for own in shapes for shape in own]
    parts = iter(flat.split(sizes))
    return [[next(parts).reshape(1, *shape) for shape in own] for own in shapes]


class SmallGan:
    """A GAN of 14 weights in float64, at a point at which neither player is at rest."""

    def __init__(self):
        self.nets = Players(mlp([1, 2, 1], seed=0).double(), mlp([1, 2, 1], seed=1).double())
        draws = torch.Generator().manual_seed(0)
        self.z, self.x = (torch.randn(12, 1, generator=draws).double() for _ in range(2))
        self.point = joint_point(*self.nets)
        self.n = len(self.point)
        self.p = sum(weight.numel() for weight in self.nets.generator.parameters())
        self.memory = 0.1 * torch.randn(self.n, generator=draws).double()
        self.moment = 0.5 + torch.rand(self.n, generator=draws).double()
        game = network_game(*self.nets, self.z, self.x, loss="js-saturating")
        self.J = jacobian(game, self.point).dense().numpy()

    def after(self, method, rates, state):
        """The point after one iteration of the real training, from a state (point, memory)."""
        nets = Players(*(mlp([1, 2, 1], seed=0).double() for _ in range(2)))
        for net, part in zip(nets, (state[: self.p], state[self.p : self.n]), strict=True):
            vector_to_parameters(part.clone(), net.parameters())
        held, moment = split(state[self.n :], nets), split(self.moment, nets)
        run = train_ensemble(
            Members([nets], self.z[None], self.x[None]), loss=LOSSES["js-saturating"], iterations=1,
            optimizer=tuple(
                partial(made, method, rate, own, square)
                for rate, own, square in zip(rates, held, moment, strict=True)
            ),
            turns=Turns() if method == "alternating" else None,
        )  # fmt: skip
        members = (run.generators.member(0), run.discriminators.member(0))
        return torch.cat([parameters_to_vector(net.parameters()) for net in members]).detach()

    def derivative(self, method, rates, step=1e-6):
        """(n, m) by central differences."""
        state = torch.cat([self.point, self.memory])
        columns = len(state) if method in ("optimistic", "adam") else self.n
        found = []
        for column in range(columns):
            move = torch.zeros_like(state)
            move[column] = step
            ends = [self.after(method, rates, state + sign * move) for sign in (1, -1)]
            found.append((ends[0] - ends[1]) / (2 * step))
        return torch.stack(found, dim=1).numpy()

    def formula(self, method, rates):
        """The same by `update_matrix`."""
        sizes = np.repeat(rates, [self.p, self.n - self.p])
        if method == "adam":
            sizes = sizes / np.sqrt(self.moment.numpy())
        beta = BETA if method == "adam" else 0.0
        whole = update_matrix(self.J, self.p, method, sizes, beta=beta)[: self.n]
        if method in ("optimistic", "adam"):  # whose memory is in units of the step sizes
            whole[:, self.n :] *= sizes
        return whole


@pytest.fixture(scope="module")
def gan():
    return SmallGan()


@pytest.mark.parametrize("method", ["simultaneous", "optimistic", "adam"])
def test_a_step_of_a_real_training(gan, method):
    assert np.abs(gan.derivative(method, RATES) - gan.formula(method, RATES)).max() < 1e-8


@pytest.mark.parametrize("method", ["alternating", "extragradient"])
def test_a_step_with_gradients_at_two_points(gan, method):
    """What differs is the Jacobian between them: of second order in the rates."""
    off = []
    for factor in (1e-2, 5e-3):
        rates = tuple(factor * rate for rate in RATES)
        apart = gan.derivative(method, rates, step=1e-5) - gan.formula(method, rates)
        off.append(np.abs(apart).max())
    assert off[0] / off[1] == pytest.approx(4, rel=0.05)
    # and the terms of second order in J are there, up to it
    assert off[0] < 1e-5


@pytest.mark.parametrize("method", ["simultaneous", "extragradient", "optimistic"])
def test_steps_on_a_linear_game(method):
    """Where J is the same everywhere, the matrix is the step itself."""
    J, start = random_matrix(0), np.arange(1.0, 6.0)
    for own in (slice(0, 2), slice(2, 5)):
        J[own, own] += J[own, own].T
    rate, game = 0.1, linear_game(J, 2)
    optimizer = {
        "simultaneous": partial(torch.optim.SGD, lr=rate),
        "extragradient": lambda own: Extragradient(torch.optim.SGD(own, lr=rate)),
        "optimistic": lambda own: Optimistic(torch.optim.SGD(own, lr=rate)),
    }[method]
    path = play(game, start, optimizer, steps=4).numpy()
    U = update_matrix(J, 2, method, [rate, rate])
    state = start
    if method == "optimistic":  # the first step is a plain one
        state = np.concatenate([start, rate * J @ start])
    for point in path:
        assert state[:5] == pytest.approx(point, rel=1e-12)
        state = U @ state


def test_alternating_steps_are_turns():
    """Of one step each, without momentum."""
    J = random_matrix(1)
    found = update_matrix(J, 2, "alternating", [0.1, 0.1])
    assert found == pytest.approx(turns(J, 2, rate=0.1)[:5, :5], abs=1e-14)


@pytest.mark.parametrize("method", BY_VALUE)
@pytest.mark.parametrize("seed", range(4))
def test_multipliers_are_the_eigenvalues_of_the_step(method, seed):
    J, sizes = random_matrix(seed), np.random.default_rng(seed).uniform(0.1, 1, 5)
    beta = 0.7 if method == "adam" else 0.0
    values = np.linalg.eigvals(sizes[:, None] * J)
    expected = multipliers(values, method, beta=beta).ravel()
    found = np.linalg.eigvals(update_matrix(J, 2, method, sizes, beta=beta))
    assert len(found) == len(expected)
    for each in expected:
        assert np.abs(found - each).min() < 1e-9


@pytest.mark.parametrize(
    ("method", "beta", "edge"),
    [
        ("simultaneous", 0.0, 2.0),
        ("extragradient", 0.0, 1.0),
        ("optimistic", 0.0, 2 / 3),
        ("adam", 0.0, 2.0),
        ("adam", 0.9, 38.0),  # Cohen et al. 2022
        *(("adam", beta, 2 * (1 + beta) / (1 - beta)) for beta in (0.96, 0.961, 0.98, 0.999999)),
    ],
)
def test_edges_of_one_player(method, beta, edge):
    """For real eigenvalues: where the multiplier is -1, or 1 with extragradient."""
    found = edge_ratio(np.array([[edge, edge / 4], [3 * edge, 0.0]]), method, beta=beta)
    assert found == pytest.approx(np.array([[1, 0.25], [3, 0]]), rel=1e-9)


@pytest.mark.parametrize("method", BY_VALUE)
def test_at_the_edge_the_largest_modulus_is_one(method):
    """In every direction of the plane that has an edge."""
    z = np.exp(1j * np.linspace(-1.5, 1.5, 31)) * 0.3
    ratio = edge_ratio(z, method)
    assert np.isfinite(ratio).all()
    for factor, sign in ((0.999, -1), (1.001, 1)):
        moduli = np.abs(multipliers(factor * z / ratio, method)).max(axis=-1)
        assert (np.sign(moduli - 1) == sign).all()


@pytest.mark.parametrize("beta", [0.9, 0.98, 0.999])
def test_edges_of_adam_with_a_long_memory(beta):
    """Some of the stable steps are longer than 100, along directions near the real axis, too."""
    z = np.exp(1j * np.linspace(-0.02, 0.02, 5))
    ratio = edge_ratio(z, "adam", beta=beta)
    for factor, sign in ((0.999, -1), (1.001, 1)):
        moduli = np.abs(multipliers(factor * z / ratio, "adam", beta=beta)).max(axis=-1)
        assert (np.sign(moduli - 1) == sign).all()


def test_simultaneous_descent_in_the_plane():
    z = np.array([1 + 1j, 0.5 - 2j, 0.01 + 0.1j])
    assert edge_ratio(z, "simultaneous") == pytest.approx(np.abs(z) ** 2 / (2 * z.real), rel=1e-9)


def test_what_has_no_edge():
    """The flow leaves along -1; a mere rotation is unstable for descent, not with a look ahead."""
    for method in BY_VALUE:
        assert edge_ratio(-0.1, method) == np.inf
    assert edge_ratio(0.5j, "simultaneous") == np.inf
    assert edge_ratio(0.5j, "extragradient") == pytest.approx(0.5)
    assert np.isfinite(edge_ratio(0.5j, "optimistic"))


def test_refusals():
    with pytest.raises(ValueError, match=r"method is one of .*, got 'alternating'"):
        multipliers(1.0, "alternating")
    with pytest.raises(ValueError, match=r"beta is Adam's, in \[0, 1\), got 0\.5"):
        edge_ratio(1.0, "simultaneous", beta=0.5)
    with pytest.raises(ValueError, match=r"got 1\.0"):
        edge_ratio(1.0, "adam", beta=1.0)
    for values in (np.nan, "1", [np.inf]):
        with pytest.raises(ValueError, match="values are finite numbers, got"):
            multipliers(values, "simultaneous")
    with pytest.raises(ValueError, match="J is square"):
        update_matrix(np.ones((2, 3)), 1, "simultaneous", [1, 1])
    for sizes in ([1.0], [1.0, -1.0], np.ones(4)):
        with pytest.raises(ValueError, match="sizes are"):
            update_matrix(np.eye(3), 1, "simultaneous", sizes)
