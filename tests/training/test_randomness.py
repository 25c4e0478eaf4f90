"""Torch's global generators, lent to a run."""

import pytest
import torch

from helpers.training.randomness import PrivateRandom


def drawn(own, count=3):
    with own.used():
        return torch.rand(count)


def test_apart_from_the_callers():
    """The run goes on where it was; the caller's numbers are as if it had not been."""
    torch.manual_seed(1)
    wanted = torch.rand(4)
    torch.manual_seed(1)
    own = PrivateRandom(0, torch.device("cpu"))
    first = drawn(own)
    assert torch.equal(torch.rand(2), wanted[:2])
    second = drawn(own)
    assert torch.equal(torch.rand(2), wanted[2:])
    whole = drawn(PrivateRandom(0, torch.device("cpu")), 6)
    assert torch.equal(torch.cat([first, second]), whole)
    assert not torch.equal(first, drawn(PrivateRandom(1, torch.device("cpu"))))


def test_apart_from_a_runs_own_streams():
    """The latents of a run begin with the generator of its seed."""
    latents = torch.rand(3, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(drawn(PrivateRandom(0, torch.device("cpu"))), latents)


def test_undisturbed_and_loaded():
    own, other = (PrivateRandom(0, torch.device("cpu")) for _ in range(2))
    with own.used():
        with own.undisturbed():
            looked = torch.rand(3)
        went_on = torch.rand(3)
    assert torch.equal(looked, went_on)
    other.load(own.states)
    assert torch.equal(drawn(own), drawn(other))


def test_an_error_leaves_all_as_it_was():
    own, before = PrivateRandom(0, torch.device("cpu")), torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt), own.used():
        torch.rand(3)
        raise KeyboardInterrupt
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn(own), drawn(PrivateRandom(0, torch.device("cpu"))))
