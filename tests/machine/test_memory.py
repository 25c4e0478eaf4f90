"""Counting bytes of tensors."""

import pytest
import torch
from torch import nn

from helpers.machine.memory import peak_bytes


def test_views_and_writes_in_place_are_free():
    def work():
        x = torch.zeros(100)
        return x[10:].view(9, 10).add_(1)

    assert peak_bytes(work) == 400


def test_what_was_there_does_not_count():
    x = torch.zeros(1000)
    assert peak_bytes(lambda: x[:10] + 1) == 40


def test_freed_memory_is_counted_once():
    """A chain holds two links at a time, however long it is."""

    def chain(length):
        x = torch.zeros(100)
        for _ in range(length):
            x = x + 1

    assert peak_bytes(lambda: chain(2)) == peak_bytes(lambda: chain(50)) == 800


def test_kept_memory_adds_up():
    assert peak_bytes(lambda: [torch.zeros(100) for _ in range(7)]) == 2800


def test_backward_counts():
    """A graph keeps its activations until the gradient has been taken: one more than without."""
    layers = nn.Sequential(*[nn.Tanh() for _ in range(5)])
    x = torch.zeros(1000, requires_grad=True)
    with_graph = peak_bytes(lambda: torch.autograd.grad(layers(x).sum(), x))
    with torch.no_grad():
        without = peak_bytes(lambda: layers(x))
    assert without == 8000
    assert with_graph >= 5 * 4000 + 4000


def test_errors_pass_and_end_the_count():
    def work():
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        peak_bytes(work)
    assert peak_bytes(lambda: torch.zeros(1)) == 4
