"""Both losses on a batch: who sees what, and gradients of networks as they are."""

import pytest
import torch
from torch import nn

from helpers.games.judging import Judging
from helpers.games.objective import Objective, ends_in_sigmoid, plain_field
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES
from helpers.models import mlp

Z, X = torch.ones(4, 1), torch.linspace(0, 1, 4, device="cpu")[:, None]


def sites_of(loss, **options):
    """Which passes each loss makes, in order."""
    asked = []

    def at(*sites):
        asked.extend(sites)
        return lambda x: 2 * x

    objective = Objective(LOSSES[loss], Judging(**options), Z, X)
    objective.of_generator(lambda z: z, at)
    half = len(asked)
    objective.of_discriminator(lambda z: z, at)
    return asked[:half], asked[half:]


def test_who_sees_what():
    """G's loss looks at samples alone, unless the loss pairs; one batch only where it is said."""
    assert sites_of("js") == (["fakes"], ["reals", "fakes"])
    assert sites_of("rs") == (["reals", "fakes"], ["reals", "fakes"])
    assert sites_of("js", joint_batch=True) == (["fakes"], ["joint"])
    assert sites_of("rs", joint_batch=True) == (["joint"], ["joint"])


@pytest.mark.parametrize("loss", ["js", "rs"])
@pytest.mark.parametrize("penalty", [None, GradientPenalty(2.0)])
def test_plain_field(loss, penalty):
    """That of `backward` on one pair of networks that keep nothing."""
    G, D = mlp([1, 3, 1], seed=0), mlp([1, 3, 1], seed=1)
    shares = None if penalty is None else penalty.shares(4)
    objective = Objective(LOSSES[loss], Judging(), Z, X, None, penalty, shares)
    found = plain_field(objective, [lambda: mlp([1, 3, 1], seed=0), lambda: mlp([1, 3, 1], seed=1)])
    wanted = []
    for net, of in ((G, objective.of_generator), (D, objective.of_discriminator)):
        value = of(G, lambda *_: D)
        wanted += torch.autograd.grad(value, list(net.parameters()))
    assert torch.allclose(found, torch.cat([w.reshape(-1) for w in wanted]), rtol=1e-5, atol=1e-7)


def test_each_pass_is_another_copys():
    """What is written in one does not reach the next."""

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.count = nn.Parameter(torch.ones(1)), 0

        def forward(self, x):
            self.count += 1
            return x * self.weight * self.count

    objective = Objective(LOSSES["wgan"], Judging(), Z, X)
    field = plain_field(objective, [Counting, Counting])
    assert field.tolist() == pytest.approx([-1, 0.5])


@pytest.mark.parametrize(
    ("output", "ends"),
    [
        (lambda x: x.sigmoid(), True),
        (lambda x: x.sigmoid().view(-1, 1).squeeze(1), True),
        (lambda x: x.sigmoid() * 2, False),
        (lambda x: x * 2, False),
        (lambda x: x, False),
    ],
)
def test_ends_in_sigmoid(output, ends):
    assert ends_in_sigmoid(output(torch.ones(3, requires_grad=True))) is ends


def test_samples_that_are_none():
    """Named, with what would be right."""
    objective = Objective(LOSSES["js"], Judging(), Z, X)
    with pytest.raises(ValueError, match="a tensor of samples, got tuple; wrap it"):
        objective.samples(lambda z: (z, z))
    with pytest.raises(ValueError, match=r"one sample per latent, got \(3, 1\) for 4 latents"):
        objective.samples(lambda z: z[:3])
