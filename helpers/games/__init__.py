"""Two-player games: two losses of one joint point, whatever is behind them."""

from helpers.games.altered import consensus_game, unrolled_game
from helpers.games.closed_form import (
    dirac_gan,
    linear_game,
    quadratic_game,
    rotating_saddle,
    unstable_nash,
)
from helpers.games.game import PLAYERS, Game, average, check_player
from helpers.games.judging import Judging
from helpers.games.networks import joint_point, network_game, spectral_norms
from helpers.games.sampling import KINDS, stable_jacobian

__all__ = [
    "KINDS",  # of random stable games: zero-sum or free
    "PLAYERS",  # G and D
    "Game",  # two losses of one point ``omega = (theta, phi)``, both minimised
    "Judging",  # what D sees at once, and which part of its output is the logit
    "average",  # the game whose losses are weighted sums of other games' losses
    "check_player",  # raise a ValueError unless the name is that of a player
    "consensus_game",  # the game in which each player also wants the field to be small
    "dirac_gan",  # the smallest GAN: one real point at 0, one generated at theta, f(x) = phi x
    "joint_point",  # the weights of both networks in one vector, G's first, in their own order
    "linear_game",  # the quadratic game with a given Jacobian
    "network_game",  # the game that two networks play on fixed latents and fixed real samples
    "quadratic_game",  # the game whose field is linear
    "rotating_saddle",  # a saddle that D turns while G slides down it
    "spectral_norms",  # the norm that each layer is divided by, and its two largest singular values
    "stable_jacobian",  # the Jacobian of a random linear game that is stable at 0
    "unrolled_game",  # the game in which G meets D as it would be after some steps
    "unstable_nash",  # a Nash equilibrium that repels, and a stable point that is not one
]
