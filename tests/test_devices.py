"""The choice of a device."""

import pytest
import torch

from helpers.devices import pick_device


def test_auto_prefers_cuda(monkeypatch):
    """ "auto" means CUDA where there is one, and the CPU elsewhere."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device().type == "cpu"


def test_refuses_what_is_not_there(monkeypatch):
    """A misspelt device, and CUDA without CUDA, are refused by name."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="'cuda:0'"):
        pick_device("cuda:0")
    with pytest.raises(ValueError, match="'gpu'"):
        pick_device("gpu")
