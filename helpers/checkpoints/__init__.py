"""One way to write and read a state, and to say what a run was made of."""

from helpers.checkpoints.descriptions import (
    architecture,
    described,
    described_optimizer,
    difference,
    digest,
)
from helpers.checkpoints.files import checkpoint_path, read_state, try_writing, write_state

__all__ = [
    "architecture",  # all of a network but the values of its weights and buffers
    "checkpoint_path",  # the path of a checkpoint, with ~ for the home folder, or None if not given
    "described",  # a value as plain data
    "described_optimizer",  # kind and settings of an optimiser
    "difference",  # where two descriptions first differ, and how; None if they do not
    "digest",  # a hash of the bytes of tensors
    "read_state",  # read a checkpoint of this run, to the CPU
    "try_writing",  # check that a checkpoint can be written there
    "write_state",  # write a checkpoint, never half a file
]
