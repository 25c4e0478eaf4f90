"""How many runs `gather` does at once where nobody says."""

import os

import pytest
import torch

from helpers.evidence import gathering, planning
from helpers.evidence.gathering import gather, side_by_side

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def machine(monkeypatch):
    """Pretend so many processors, and so much free memory on a device, in GiB."""

    def pretend(processors, room):
        monkeypatch.setattr(os, "cpu_count", lambda: processors)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(room * 2**30), 2**40))

    return pretend


@pytest.mark.parametrize(
    "processors, room, runs, wanted",
    [
        (16, 140, 100, 8),
        (16, 140, 3, 3),
        (2, 140, 100, 2),
        (16, 15, 100, 3),
        (16, 1, 100, 1),
        (None, 140, 100, 1),
        (16, 140, 0, 1),
    ],
)
def test_on_a_gpu(machine, processors, room, runs, wanted):
    """Eight, unless processors, memory or runs are fewer; one at least."""
    machine(processors, room)
    assert side_by_side(CUDA, runs) == wanted


def test_on_a_cpu(machine):
    machine(64, 1000)
    assert side_by_side(CPU, 100) == 1


@pytest.mark.parametrize(
    "options, wanted",
    [({}, 5), ({"workers": 2}, 2), ({"workers": 1}, 1), ({"cluster": "local:1"}, 1)],
)
def test_gather(machine, monkeypatch, tmp_path, options, wanted):
    """What is asked for is done; a cluster has workers of its own."""
    machine(5, 1000)
    asked = []

    class Stop(Exception):
        pass

    def pool(workers, cluster):
        asked.append(workers)
        raise Stop

    runs = planning.wanted(["two_clusters"], size="quick")
    monkeypatch.setattr(gathering, "pick_device", lambda _: CUDA)
    monkeypatch.setattr(gathering, "_pool", pool)
    with pytest.raises(Stop):
        gather(runs, device="cuda", folder=tmp_path, anew=True, **options)
    assert asked == [wanted]
