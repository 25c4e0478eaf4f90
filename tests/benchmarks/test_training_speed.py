"""`train` beside the bare passes of its step and beside a plain loop with a DataLoader."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

from helpers.experiments.image_training import SETTINGS, train_images
from helpers.losses.penalty import GradientPenalty
from helpers.losses.table import LOSSES
from helpers.machine.devices import pick_device
from helpers.models import dcgan
from helpers.training.single import SingleSettings, SingleTraining
from helpers.training.train import Recording
from tests.benchmarks.workload import FULL, images

BATCH, LATENT = 100, 100
ADAM = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
KINDS = {"nsgan": ("js", (1, 1), None), "wgan-gp": ("wgan", (5, 1), GradientPenalty(10.0))}


def bare(kind, nets, reals, latents):
    """Forward and backward passes of one iteration, and nothing else."""
    G, D = nets
    loss, (critics, _), penalty = KINDS[kind]
    shares = torch.rand(BATCH, device=reals.device)

    def passes():
        for _ in range(critics):
            fake = G(latents)
            logits = D(torch.cat([reals, fake.detach()]))
            value = LOSSES[loss].discriminator(logits[:BATCH], logits[BATCH:])
            if penalty is not None:
                value = value + penalty(D, reals, fake.detach(), shares)
            torch.autograd.grad(value, list(D.parameters()))
        logits = D(fake)
        torch.autograd.grad(LOSSES[loss].generator(logits, logits), list(G.parameters()))

    return passes


def plain(nets, data, device):
    """An epoch of the loop that most code has: a DataLoader, zero_grad, backward, step, item."""
    G, D = nets
    of_g, of_d = ADAM(G.parameters()), ADAM(D.parameters())
    for (reals,) in DataLoader(TensorDataset(data), batch_size=BATCH, shuffle=True, drop_last=True):
        x = reals.to(device)
        y = G(torch.randn(BATCH, LATENT, device=device))
        of_d.zero_grad()
        loss_d = softplus(-D(x)).mean() + softplus(D(y.detach())).mean()
        loss_d.backward()
        of_d.step()
        of_g.zero_grad()
        loss_g = softplus(-D(y)).mean()
        loss_g.backward()
        of_g.step()
        loss_d.item(), loss_g.item()


@pytest.mark.parametrize("width", [16, 64] if FULL else [16])
@pytest.mark.parametrize("kind", KINDS)
def test_step(in_turn, training_rows, kind, width):
    """An iteration of `train`, Adam and records included, in bare passes of the same nets."""
    device, data = pick_device("auto"), images()[1][:1000]
    loss, steps, penalty = KINDS[kind]
    nets = dcgan(seed=0, width=width, latent=LATENT)
    settings = SingleSettings(
        optimizers=(ADAM, ADAM), steps=steps, batch=BATCH, penalty=penalty, joint_batch=False,
        seed=0, latent=(LATENT,), loss=LOSSES[loss], logit=None,
    )  # fmt: skip
    run = SingleTraining(nets, data, None, settings, Recording(every=1), device)
    latents = torch.randn(BATCH, LATENT, device=device)
    works = {"bare passes": bare(kind, run.players, run.reals[:BATCH], latents)}
    works["train"] = run.iterate
    if device.type == "cuda":
        works = {name: _waited(work) for name, work in works.items()}
    for work in works.values():
        work()
    times = in_turn(works, (21 if kind == "nsgan" else 9) if FULL else 5)
    for name, seconds in times.items():
        training_rows.add(f"{kind}, width {width}", name, seconds, "seconds")
    ratio = times["train"] / times["bare passes"]
    training_rows.add(f"{kind}, width {width}", "train", ratio, "times bare passes")
    assert np.median(ratio) < 1.3


def test_epoch(in_turn, training_rows):
    """Ten iterations of either loop, set-up included."""
    device, data = pick_device("auto"), images()[1][:1000]
    setting = SETTINGS["nsgan adam"]
    nets = [net.to(device) for net in dcgan(seed=0)]
    works = {
        "plain loop": lambda: plain(nets, data, device),
        "train": lambda: train_images(
            setting, data, 10, seed=0, device=device, recording=Recording(every=10)
        ),
    }
    if device.type == "cuda":
        works = {name: _waited(work) for name, work in works.items()}
    works["train"]()
    times = in_turn(works, 5 if FULL else 2)
    for name, seconds in times.items():
        training_rows.add("ten iterations, width 64", name, seconds, "seconds")
    ratio = times["plain loop"] / times["train"]
    training_rows.add("ten iterations, width 64", "train", ratio, "times the iterations per second")


def _waited(work):
    def and_wait():
        work()
        torch.cuda.synchronize()

    return and_wait
