"""Layers and habits of GAN code: every product right by central differences, or refused by name."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch

from tests.matrix.cases import CASES
from tests.matrix.judge import Judge
from tests.matrix.table import TABLE


def judged(number):
    torch.set_num_threads(1)
    return Judge(CASES[number]).verdicts()


@pytest.fixture(scope="module")
def running(request):
    """Judgements of the cases that are to be tested, on two cores."""
    wanted = [item for item in request.session.items if "number" in item.fixturenames]
    numbers = sorted({item.callspec.params["number"] for item in wanted})
    workers = min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield {number: pool.submit(judged, number) for number in numbers}


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_right_or_refused(running, number):
    case, found = CASES[number], running[number].result()
    TABLE.verdicts[case.name] = found
    failures = {" ".join(cell): f"{v.word}: {v.why}" for cell, v in found.items() if v.fails}
    assert not failures
    if case.needed:
        assert case.name not in TABLE.refused_by_default()


def test_few_are_refused():
    """At most five of every 45 on the default route, those included that must be refused."""
    if len(TABLE.verdicts) < len(CASES):
        pytest.skip("some cases were not judged")
    assert len(CASES) >= 45
    refused = TABLE.refused_by_default()
    assert len(refused) <= 5 * len(CASES) // 45, refused
