"""The machine that the package runs on: devices, memory, operations, progress."""

from helpers.machine.bars import progress_bar
from helpers.machine.costs import operations, tridiagonalise
from helpers.machine.devices import pick_device, usable
from helpers.machine.memory import peak_bytes
from helpers.machine.provenance import provenance

__all__ = [
    "operations",  # floating point operations of the matrix and vector products in some work
    "peak_bytes",  # the most bytes alive at one time in tensors that some work made
    "pick_device",  # the device of this name; "auto" is CUDA where there is one, else the CPU
    "progress_bar",  # tqdm's, with the time left by all steps so far
    "provenance",  # device, torch, commit and date
    "tridiagonalise",  # a tridiagonal matrix with the same eigenvalues
    "usable",  # the device, unless it lacks what is needed here
]
