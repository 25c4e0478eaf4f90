"""Each run's private state of torch's global generators, on which dropout and noise draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from torch import Tensor

_TAG = 29  # keeps them apart from the streams that a run draws its data from


class PrivateRandom:
    """The state of torch's global generators, on the CPU and on one device, while a run works."""

    def __init__(self, seed: int, device: torch.device) -> None:
        entropy = np.random.SeedSequence([seed, _TAG]).generate_state(1, np.uint64)[0]
        self._cuda = [device] if device.type == "cuda" else []
        places: list[str | torch.device] = ["cpu", *self._cuda]
        self.states = [
            torch.Generator(where).manual_seed(int(entropy >> 1)).get_state() for where in places
        ]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Inside it, the run's numbers; after it, the caller's, as if nothing had been drawn."""
        with self.undisturbed():
            torch.set_rng_state(self.states[0])
            for device, state in zip(self._cuda, self.states[1:], strict=True):
                torch.cuda.set_rng_state(state, device)
            yield
            self.states = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self._cuda)]

    def undisturbed(self) -> AbstractContextManager[None]:
        """For use within `used`: what is drawn here changes nothing that is drawn after it."""
        return torch.random.fork_rng(self._cuda)

    def load(self, states: Sequence[Tensor]) -> None:
        """Go on from the states of a checkpoint; a device that it did not use begins afresh."""
        self.states[: len(states)] = states[: len(self.states)]
