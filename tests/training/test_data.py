"""What a training and a game do not take: weights that copies would lose, undeclared pairs."""

import re
from functools import partial

import pytest
import torch
from torch import nn

from helpers.games import network_game
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
