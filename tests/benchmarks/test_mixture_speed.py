"""Nets on the line piece by piece beside their layers: `make bench`."""

import torch

from helpers.mixture import SETTINGS, train_mixture
from helpers.models import mlp
from helpers.networks import joint_point, network_game
from helpers.operators import jacobian


def test_field_and_jacobian(in_turn, mixture_rows):
    """The field of one GAN on 10,000 points, and its Jacobian as a matrix, in seconds."""
    trained = train_mixture(SETTINGS["nsgan"], 1, 1, seed=0)
    layers = [mlp([1, 100, 1], seed=seed) for seed in range(2)]
    latents, reals = trained.latents[0], trained.reals[0].sort(dim=0).values
    games = {
        "layers": network_game(*layers, latents, reals),
        "pieces": network_game(*trained.nets(), latents, reals),
    }
    omega = joint_point(*layers)
    works = {
        "field": {name: lambda g=game: g.vector_field(omega) for name, game in games.items()},
        "Jacobian": {
            name: lambda g=game: jacobian(g, omega).dense() for name, game in games.items()
        },
    }
    for what, both in works.items():
        both["pieces"]()
        times = in_turn(both, 20 if what == "field" else 3)
        for name, seconds in times.items():
            mixture_rows.add(what, name, seconds, "seconds")
        mixture_rows.add(what, "pieces", times["layers"] / times["pieces"], "times layers")
        assert (times["layers"] / times["pieces"]).min() > 1


def test_iteration(in_turn, mixture_rows):
    """Extragradient on 10,000 points, seconds for an iteration of one seed of 1, 8 and 16."""
    torch.set_num_threads(1)
    sizes, count = (1, 8, 16), 20
    works = {
        size: lambda size=size: train_mixture(SETTINGS["nsgan"], size, count, seed=0)
        for size in sizes
    }
    for size, seconds in in_turn(works, 3).items():
        mixture_rows.add("iteration", f"{size} seeds", seconds / (size * count), "seconds a seed")
