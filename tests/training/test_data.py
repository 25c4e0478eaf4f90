"""What a training and a game do not take: weights that copies would lose, undeclared pairs."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from helpers.games import joint_point, network_game
from helpers.losses import LOSSES, GanLoss
from helpers.models import Players
from helpers.training import EpochBatches, Members, Turns, train, train_ensemble


def shared_layer():
    layer = nn.Linear(2, 2).double()
    return Players(layer, nn.Sequential(layer, nn.Linear(2, 1).double()))


def shared_memory():
    pair = Players(nn.Linear(2, 2).double(), nn.Linear(2, 1).double())
    pair.discriminator.weight = nn.Parameter(pair.generator.weight.detach()[:1])
    return pair


def masked():
    pair = Players(nn.Linear(2, 2).double(), nn.Linear(2, 1).double())
    pair.discriminator.weight.register_hook(lambda slope: 0 * slope)
    return pair


def after_accumulation():
    pair = Players(nn.Linear(2, 2).double(), nn.Linear(2, 1).double())
    pair.generator.bias.register_post_accumulate_grad_hook(lambda weight: None)
    return pair


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (shared_layer, r"G\.weight and D\.0\.weight are one weight"),
        (shared_memory, r"G\.weight and D\.weight are one weight"),
        (masked, r"D\.weight has a hook on its gradient"),
        (after_accumulation, r"G\.bias has a hook on its gradient"),
    ],
)
def test_weights_that_copies_would_change(make, says):
    """A shared layer would become two, and a hook would be lost; held weights may be shared."""
    pair, x = make(), torch.ones(4, 2).double()
    how = {"loss": LOSSES["js"], "optimizer": partial(torch.optim.SGD, lr=0.1), "iterations": 1}
    with pytest.raises(ValueError, match=says):
        network_game(*pair, x, x)
    with pytest.raises(ValueError, match=says):
        train(pair, EpochBatches(x, latent=2, size=4), **how)
    with pytest.raises(ValueError, match=says):
        train_ensemble(Members([pair], x[None], x[None]), **how)


def test_a_layer_that_does_not_move_may_be_shared():
    pair, x = shared_layer(), torch.ones(4, 2).double()
    pair.generator.requires_grad_(False)
    pair = Players(nn.Sequential(pair.generator, nn.Linear(2, 2).double()), pair.discriminator)
    assert network_game(*pair, x, x).sizes == (6, 3)


@pytest.mark.parametrize("turns", [Turns(), Turns(first="G"), None])
def test_a_loss_that_pairs_says_so(turns):
    """Otherwise G's loss would be given samples in place of reals."""
    pairs = GanLoss("ra", lambda r, f: (r - f.mean()).square().mean(), lambda r, f: (f - r).mean())
    pair, x = Players(nn.Linear(2, 2).double(), nn.Linear(2, 1).double()), torch.ones(4, 2).double()
    how = {"optimizer": partial(torch.optim.SGD, lr=0.1), "iterations": 1, "turns": turns}
    for loss in (pairs, pairs.weighted(0.5)):
        says = re.escape(f"{loss.name!r} looks at the logits of reals")
        with pytest.raises(ValueError, match=says):
            network_game(*pair, x, x, loss=loss)
        with pytest.raises(ValueError, match=says):
            train(pair, EpochBatches(x, latent=2, size=4), loss=loss, **how)
        if turns != Turns(first="G"):
            with pytest.raises(ValueError, match=says):
                train_ensemble(Members([pair], x[None], x[None]), loss=loss, **how)


class Conditional(nn.Module):
    """A network of a sample and a label, both of them real numbers."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2 + 3, 1)

    def forward(self, x, y):
        return self.inner(torch.cat([x, y], dim=1))


def conditional():
    torch.manual_seed(0)
    G, D = Conditional(), Conditional()
    G.inner = nn.Linear(2 + 3, 2)
    return Players(G, D)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_real_labels_are_taken_in_the_precision_of_the_networks(kind):
    """In a training and in a game, at points of any precision; numbers of numpy are float64."""
    x, labels = torch.ones(6, 2), np.eye(3, dtype=kind)[np.arange(6) % 3]
    how = {"loss": LOSSES["js"], "optimizer": partial(torch.optim.SGD, lr=0.1), "iterations": 2}
    ends = [
        train(conditional(), EpochBatches(x, latent=2, size=3, labels=given), **how)
        for given in (labels, torch.from_numpy(labels).float())
    ]
    wanted, found = ([*run.players.discriminator.parameters()] for run in ends)
    assert all(torch.equal(*each) for each in zip(wanted, found, strict=True))
    pair = conditional()
    game = network_game(*pair, x, x, labels=torch.from_numpy(labels))
    exact = network_game(*pair, x, x, labels=torch.from_numpy(labels).float())
    for point in (joint_point(*pair), joint_point(*pair).double()):
        assert torch.equal(game.vector_field(point), exact.vector_field(point))


def test_labels_that_are_whole_numbers_stay():
    for labels in ([0, 1, 0], torch.tensor([True, False, True])):
        kept = EpochBatches(torch.ones(3, 1), latent=1, size=3, labels=labels)
        assert not kept.tensors(torch.float64)[1].is_floating_point()
    with pytest.raises(ValueError, match=r"labels must be finite, in torch\.float16 too"):
        EpochBatches(torch.ones(3, 1), latent=1, size=3, labels=[1e9] * 3).tensors(torch.float16)
