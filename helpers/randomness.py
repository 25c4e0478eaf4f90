"""Torch's global random numbers, which dropout and noise in a network draw, as a run's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

_TAG = 29  # apart from the streams that a run draws its data from


class PrivateRandom:
    """The state of torch's global generators while a run is at work.

    Args:
        seed: of the run.
        device: whose generator is in use besides the CPU's.

    >>> own, before = PrivateRandom(0, torch.device("cpu")), torch.get_rng_state()
    >>> with own.used():
    ...     one = torch.rand(2)
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        entropy = np.random.SeedSequence([seed, _TAG]).generate_state(1, np.uint64)[0]
        where = ["cpu", device] if device.type == "cuda" else ["cpu"]
        self._device = device
        self.states = [torch.Generator(d).manual_seed(int(entropy >> 1)).get_state() for d in where]

    @contextmanager
    def used(self) -> Iterator[None]:
        """The run's numbers within; the caller's behind it, as if nothing had been drawn."""
        callers = self._now()
        self._put(self.states)
        try:
            yield
            self.states = self._now()
        finally:
            self._put(callers)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Within `used`: what is drawn here changes nothing that is drawn behind it."""
        before = self._now()
        try:
            yield
        finally:
            self._put(before)

    def load(self, states: Sequence[Tensor]) -> None:
        """Go on from the states of a checkpoint; a device that it did not use begins afresh."""
        self.states[: len(states)] = states[: len(self.states)]

    def _now(self) -> list[Tensor]:
        found = [torch.get_rng_state()]
        if self._device.type == "cuda":
            found.append(torch.cuda.get_rng_state(self._device))
        return found

    def _put(self, states: Sequence[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self._device)
