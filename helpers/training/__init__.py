"""Training of any two networks, or of an ensemble of seeds at once."""

from helpers.training.data import EpochBatches, Members
from helpers.training.ensemble import EnsembleResult, EnsembleTraining
from helpers.training.nudged import PROJECTIONS, Nudged
from helpers.training.nudging import MemberDirections, Nudging, SharpDirections
from helpers.training.optimizers import Extragradient, HeavyBall, Lookahead, Optimistic
from helpers.training.recording import Diverged, Paused, Recording
from helpers.training.schedules import averaged, averaging, falling
from helpers.training.single import SingleTraining, TrainingResult
from helpers.training.train import train, train_ensemble
from helpers.training.turns import Consensus, Turns, Unrolled

__all__ = [
    "PROJECTIONS",  # what a nudged optimiser projects
    "Consensus",  # both step at once, each also towards where the field is small
    "Diverged",  # raised when a training has diverged; `run` holds its result up to then
    "EnsembleResult",  # the result of a training of S members
    "EnsembleTraining",  # the state of a training of an ensemble
    "EpochBatches",  # the data of one GAN, and what each step draws of them
    "Extragradient",  # a step from the past point along the gradient at an extrapolated one
    "HeavyBall",  # a step, and then a share of the last move: momentum of either sign
    "Lookahead",  # every few iterations a step back, of both players
    "MemberDirections",  # `SharpDirections` of all members of an ensemble at once
    "Members",  # S GANs of one shape, and the data of each
    "Nudged",  # a step that leaves given directions out (Durall et al. 2021)
    "Nudging",  # which directions are left out of which player's steps
    "Optimistic",  # a step along twice the gradient minus the one before; the first is a plain step
    "Paused",  # raised when a training was asked to stop; it goes on from its checkpoint
    "Recording",  # what a training records, how often, and what it keeps
    "SharpDirections",  # the leading eigenvectors of a player's own Hessian, as they move
    "SingleTraining",  # the state of a training of one GAN
    "TrainingResult",  # the result of a training of one GAN
    "Turns",  # steps of D and of G per iteration, and who is first
    "Unrolled",  # both step at once, G against D as it would be after some steps
    "averaged",  # a copy of a network with the running averages of its weights
    "averaging",  # let an optimiser keep a running average of the weights (EMA)
    "falling",  # let an optimiser's rates fall linearly to zero
    "train",  # train one GAN of any two networks
    "train_ensemble",  # train S GANs of one shape at once
]
