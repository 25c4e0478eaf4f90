"""What players are not taken: those that copies would make something else of."""

from functools import partial

import pytest
import torch
from torch import nn

from helpers.games import network_game
from helpers.losses import LOSSES
from helpers.models import Players
from helpers.training import EpochBatches, Members, train, train_ensemble


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
