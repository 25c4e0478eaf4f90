"""One way to write and read a state, and to say what a run was made of."""

from helpers.checkpoints.attributes import changed_attributes, put_attributes
from helpers.checkpoints.descriptions import (
    architecture,
    described,
    described_hooks,
    described_optimizer,
    difference,
    digest,
)
from helpers.checkpoints.files import checkpoint_path, read_state, try_writing, write_state

__all__ = [
    "architecture",  # all of a network but the values of its weights and buffers
    "changed_attributes",  # plain attributes of a network that are not what they were
    "checkpoint_path",  # the path of a checkpoint, with ~ for the home folder, or None if not given
    "described",  # a value as plain data
    "described_hooks",  # what runs at the steps of an optimiser
    "described_optimizer",  # kind and settings of an optimiser
    "difference",  # where two descriptions first differ, and how; None if they do not
    "digest",  # a hash of the bytes of tensors
    "put_attributes",  # give a network the attributes that were found changed
    "read_state",  # read a checkpoint of this run, to the CPU
    "try_writing",  # check that a checkpoint can be written there
    "write_state",  # write a checkpoint, never half a file
]
