"""Wrong kinds of input, by chance, at every public door: only errors of ours come out."""

import random

import numpy as np
import pytest
import torch

from helpers import analysis, ledger
from helpers.analysis.dynamics import flow, iterate, largest_stable_step
from helpers.analysis.paths import path_profile, sign_switches
from helpers.analysis.stability import classify
from helpers.datasets import synthetic
from helpers.experiments.cure_rates import radius
from helpers.experiments.quadratic import gap_to_formula, nudged_descent
from helpers.games.altered import consensus_game, unrolled_game
from helpers.games.closed_form import dirac_gan
from helpers.ledger import rules
from helpers.losses.penalty import GradientPenalty
from helpers.losses.scalars import LOGISTIC, check_loss, hinge, least_squares
from helpers.models import (
    dcgan,
    gaussians_nets,
    lenet,
    mlp,
    small_resnet,
    sn_cnn,
    sn_dcgan,
    two_cluster_nets,
)
from helpers.models.line import LineNet
from helpers.outer.basins import find_basins
from helpers.outer.escape import barrier, barriers, escape_times
from helpers.outer.exact import on_cycle, phi_js, phi_rs, xi
from helpers.outer.lipschitz import phi_lipschitz
from helpers.outer.states import stuck_states
from helpers.outer.transport import matching, wasserstein
from helpers.outer.traps import trap_slope
from helpers.outer.wide_generator import WideGenerator
from helpers.scores.metrics import class_entropy, modes
from helpers.scores.one_cycle import OneCycle
from helpers.scores.printed import printed_scores
from helpers.scores.samples import kernel_distance, precision_and_recall
from helpers.training.nudged import Nudged
from helpers.training.optimizers import Extragradient, HeavyBall, Lookahead, Optimistic
from helpers.training.schedules import averaging, falling
from helpers.training.turns import Consensus, Unrolled

SGD = torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1)
GAME = dirac_gan()


def fresh(optimizer):
    """The optimiser without what it was given before; what is none stays what it is."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    return torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1)


ODD = [None, "123", "", {1, 2}, 3j, True, b"1", {}, object(), np.nan, np.inf, -1, 0]
ODD += [[], ["1", "2"], [[1], [1, 2]], [None], np.str_("3"), torch.tensor(1j), 2.5, 1e300, [1e300]]

# A call that is right, by its arguments; each in turn is replaced by something odd.
DOORS = {
    "xi": (lambda a, b, h: xi(a, b, h, LOGISTIC), [1, 2, LOGISTIC]),
    "phi_js": (phi_js, [[0.0, 1.0], [0.0, 0.0]]),
    "phi_rs": (phi_rs, [[0.0, 1.0], [0.0, 0.0]]),
    "phi_lipschitz": (
        lambda x, y, loss, L: phi_lipschitz(x, y, loss, L, device="cpu"),
        [[0.0], [1.0], "js", 1.0],
    ),
    "on_cycle": (on_cycle, [[1, 0, 2]]),
    "stuck_states": (stuck_states, [2, "js"]),
    "state path": (stuck_states(2, "rs").path, [0]),
    "find_basins": (lambda v, t: find_basins(v, tolerance=t), [[[1.0, 2.0]], 0.0]),
    "basin path": (find_basins([[1.0, 2.0]]).path, [0, 1]),
    "escape_times": (
        lambda v, g, t, h: escape_times(v, g, t, spacing=h),
        [[[1.0, 2.0]], [[0, 1]], 1.0, 1.0],
    ),
    "barrier": (barrier, [[[1.0, 2.0]], [[0, 0]], 0, 1]),
    "barriers": (barriers, [[1.0, 2.0], [[0]]]),
    "matching": (matching, [[0.0, 1.0], [0.0, 0.0]]),
    "wasserstein": (wasserstein, [[0.0, 1.0], [0.0, 0.0]]),
    "trap_slope": (trap_slope, ["js", 1]),
    "check_loss": (check_loss, ["js"]),
    "hinge": (hinge, [1.0]),
    "least_squares": (least_squares, [1.0]),
    "logistic": (LOGISTIC, [torch.zeros(1)]),
    "wide": (
        lambda n, w, s: WideGenerator.random(n, w, seed=s),
        [2, 3, 0],
    ),
    "follow": (WideGenerator.random(2, 3, seed=0).follow, [np.zeros((4, 1)), np.zeros((1, 2, 1))]),
    "penalty": (lambda w, where, s, n: GradientPenalty(w, where, s).shares(n), [1.0, "data", 0, 3]),
    "profile": (
        lambda alphas: path_profile(GAME, [0.0, 1.0], [1.0, 0.0], alphas),
        [[0.0, 1.0]],
    ),
    "switches": (sign_switches, [[1.0, -1.0]]),
    "entropy": (class_entropy, [[1, 2]]),
    "modes": (modes, [[1, 2]]),
    "one_cycle": (
        lambda e, b, r, d, s: OneCycle(epochs=e, batch=b, rate=r, decay=d, shift=s),
        [1, 2, 0.1, 0.1, 0],
    ),
    "kernel_distance": (
        lambda x, y, n, m, s: kernel_distance(x, y, subsets=n, most=m, seed=s),
        [torch.zeros(3, 2), torch.ones(3, 2), 1, 2, 0],
    ),
    "precision": (
        lambda x, y, k: precision_and_recall(x, y, neighbours=k),
        [torch.zeros(3, 2), torch.ones(3, 2), 1],
    ),
    "printed_scores": (printed_scores, ["sun2020"]),
    "flow": (
        lambda times, speed: flow(GAME, [[0.1, 0.1]], times, speed=speed),
        [[0.0, 0.1], 1.0],
    ),
    "iterate": (
        lambda method, size, steps: iterate(GAME, [0.1, 0.1], method, size=size, steps=steps),
        ["simultaneous", 0.1, 2],
    ),
    "stable": (lambda method: largest_stable_step(GAME, [0.0, 0.0], method), ["simultaneous"]),
    "find_rest": (
        lambda start, t, w, most: analysis.find_rest(GAME, start, tolerance=t, within=w, most=most),
        [[0.1, 0.1], 1e-6, 9.0, 5],
    ),
    "multipliers": (analysis.multipliers, [1.0, "simultaneous"]),
    "edge_ratio": (lambda z, m, b: analysis.edge_ratio(z, m, beta=b), [1.0, "adam", 0.5]),
    "update_matrix": (
        lambda J, p, m, s, b: analysis.update_matrix(J, p, m, s, beta=b),
        [np.eye(2), 1, "adam", [0.1, 0.1], 0.5],
    ),
    "turns": (
        lambda J, p, rate, m, steps: analysis.turns(J, p, rate=rate, momentum=m, steps=steps),
        [[[1.0, 0.0], [0.0, 1.0]], 1, 0.1, 0.5, (1, 1)],
    ),
    "linear_orbit": (analysis.linear_orbit, [[[1.0, 1.0], [0.0, 1.0]], [0.0, 1.0], [0.0, 1.0]]),
    "correlations": (analysis.correlations, [[1.0, 2.0, 4.0], [1.0, 3.0, 2.0]]),
    "rank_correlation": (analysis.rank_correlation, [[1.0, 2.0, 4.0], [1.0, 3.0, 2.0]]),
    "of changes": (
        analysis.rank_correlation_of_changes,
        [[1.0, 2.0, 4.0, 1.0], [1.0, 3.0, 2.0, 0.0], 1],
    ),
    "lagged_correlations": (
        analysis.lagged_correlations,
        [[1.0, 2.0, 4.0, 1.0, 3.0], [1.0, 3.0, 2.0, 0.0, 1.0], 1],
    ),
    "rising_together": (analysis.rising_together, [[1.0, 2.0, 4.0], [1.0, 3.0, 2.0], 1]),
    "turning": (analysis.turning, [[1.0, 2.0, 4.0]]),
    "classify": (lambda t: classify(GAME, [0.0, 0.0], tolerance=t), [1e-3]),
    "gap_to_formula": (
        lambda s, n, k, steps: gap_to_formula(
            lambda x: torch.optim.SGD(x, lr=1e-3), seed=s, n=n, k=k, steps=steps
        ),
        [0, 4, 1, 2],
    ),
    "nudged_descent": (
        lambda p, s, n, k, steps, flat: nudged_descent(
            lambda x: torch.optim.SGD(x, lr=1e-3), p, seed=s, n=n, k=k, steps=steps, flat=flat
        ),
        ["step", 0, 4, 1, 2, 1.0],
    ),
    "extragradient": (Extragradient, [SGD]),
    "optimistic": (Optimistic, [SGD]),
    "heavy_ball": (lambda o, m: HeavyBall(fresh(o), m), [SGD, -0.5]),
    "lookahead": (lambda o, every, share: Lookahead(fresh(o), every, share), [SGD, 5, 0.5]),
    "consensus": (Consensus, [0.1]),
    "unrolled": (lambda steps, rate: Unrolled(steps, rate), [5, 0.1]),
    "consensus_game": (consensus_game, [GAME, 0.1]),
    "unrolled_game": (unrolled_game, [GAME, 5, 0.1]),
    "cure radius": (radius, [np.eye(2), "lookahead", 0.1]),
    "falling": (lambda o, begin, end: falling(fresh(o), begin, end), [SGD, 1, 3]),
    "averaging": (lambda o, decay: averaging(fresh(o), decay), [SGD, 0.5]),
    "nudged": (
        lambda o, d, p, every: Nudged(o, d, p, every=every),
        [SGD, torch.eye(2), "step", 5],
    ),
    "mlp": (lambda sizes, s, a: mlp(sizes, seed=s, activation=a), [[1, 2], 0, torch.nn.ReLU]),
    "dcgan": (
        lambda s, z, w, c: dcgan(seed=s, latent=z, width=w, channels=c),
        [0, 2, 1, 1],
    ),
    "lenet": (lambda s, c, k: lenet(seed=s, channels=c, classes=k), [0, 1, 2]),
    "small_resnet": (
        lambda s, w, b, c, k: small_resnet(seed=s, width=w, blocks=b, channels=c, classes=k),
        [0, 1, 1, 1, 2],
    ),
    "sn_cnn": (lambda s, size, n: sn_cnn(seed=s, size=size, narrow=n), [0, 32, 32]),
    "sn_dcgan": (lambda s, n: sn_dcgan(seed=s, narrow=n), [0, 32]),
    "gaussians": (lambda s: gaussians_nets(seed=s), [0]),
    "two nets": (
        lambda s, w, c: two_cluster_nets(seed=s, widths=w, scale=c),
        [0, (2, 2), 1.0],
    ),
    "line": (lambda u, s: LineNet(u, seed=s), [2, 0]),
    "line call": (LineNet(2, seed=0), [torch.zeros(2, 1)]),
    "two_clusters": (
        lambda m, s, n, p: synthetic.two_clusters(m, seed=s, n=n, pattern=p),
        [1, 0, 4, (0, 1)],
    ),
    "circle": (
        lambda m, s, n, k: synthetic.circle_of_gaussians(m, seed=s, n=n, modes=k),
        [1, 0, 4, 2],
    ),
    "mixture": (
        lambda m, s, n, w, z: synthetic.mixture_of_gaussians(m, seed=s, n=n, sigmas=w, latent=z),
        [1, 0, 4, (1.0, 1.0), 1],
    ),
    "near": (analysis.shares_near, [torch.zeros(1, 2, 1), torch.zeros(2, 1), 1.0]),
    "pairs": (
        analysis.pair_shares,
        [torch.zeros(1, 2, 1), torch.zeros(1, 2, 1), torch.zeros(2, 1), 1.0],
    ),
    "least_loss": (analysis.least_loss, [np.full((2, 2), 0.25), [0.5, 0.5], "js"]),
    "coverage": (
        lambda s, i, least: analysis.coverage(s, i, least=least),
        [np.full((2, 1, 2), 0.5), [1, 2], 0.1],
    ),
    "stays": (
        analysis.longest_stays,
        [np.full((2, 1, 2), 0.5), [1, 2]],
    ),
    "collapses": (
        lambda s, i, n, least: analysis.collapses(s, i, shortest=n, least=least),
        [np.full((2, 1, 2), 0.5), [1, 2], 1, 0.1],
    ),
    "holds": (rules.holds, [1.0, {"rule": "at_most", "paper": 2}]),
    "check_rule": (rules.check_rule, [{"rule": "at_most", "paper": 2}]),
    "describe": (rules.describe, [{"rule": "at_most", "paper": 2}]),
    "worst": (rules.worst, [["reproduced"]]),
    "judge": (lambda c, v, p: ledger.judge(c, v, profile=p), ["C14", 1e6, "quick"]),
    "glue": (ledger.glue, ["answer", 42]),
    "find": (ledger.find, ["C14"]),
}
OURS = ("helpers/", "helpers\\")


@pytest.mark.parametrize("door", DOORS)
def test_only_our_errors(door):
    call, right = DOORS[door]
    call(*right)
    draws = random.Random(door)
    for place in range(len(right)):
        for odd in draws.sample(ODD, len(ODD)):
            given = [*right[:place], odd, *right[place + 1 :]]
            try:
                call(*given)
            except (ValueError, FloatingPointError) as error:
                trace = error.__traceback__
                while trace.tb_next is not None:
                    trace = trace.tb_next
                where = trace.tb_frame.f_code.co_filename
                assert any(part in where for part in OURS), (place, odd, error)
                named = any(word in str(error) for word in ("got", "unknown"))
                assert named or isinstance(error, FloatingPointError), (place, odd, error)
